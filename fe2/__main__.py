"""`python -m fe2` is the command `fe2`."""

from fe2.cli.main import main

if __name__ == "__main__":
    main()
