"""`python -m fe2.replay FILE` is `fe2 replay FILE`: solve the one RVE again that ended a run."""

import sys

from fe2.cli.main import run

if __name__ == "__main__":
    sys.exit(run(["replay", *sys.argv[1:]]))
