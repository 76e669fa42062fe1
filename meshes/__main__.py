"""`python -m fe2_meshes list` names the generators; `python -m fe2_meshes <generator> …` runs one."""

import sys
from importlib import import_module

from . import MACROSCOPIC_MESHES, PERIODIC_CELLS
from .command_line import run, summary


def describe(names: tuple[str, ...]) -> str:
    """One line for each generator: its name and the first line of its docstring."""
    functions = [getattr(import_module(f".{name}", __package__), name) for name in names]
    return "\n".join(f"  {function.__name__:<22} {summary(function)}" for function in functions)


def main(arguments: list[str]) -> None:
    """Run the generator named by the first argument, or list all of them."""
    names = PERIODIC_CELLS + MACROSCOPIC_MESHES
    if arguments and arguments[0] in names:
        name, *rest = arguments
        run(getattr(import_module(f".{name}", __package__), name), rest)
        return
    if arguments and arguments[0] not in ("list", "-h", "--help"):
        sys.exit(f"fe2_meshes: no generator '{arguments[0]}'; the generators are {', '.join(names)}")
    print(f"periodic cells:\n{describe(PERIODIC_CELLS)}\nmacroscopic meshes:\n{describe(MACROSCOPIC_MESHES)}")
    print("options of one: python -m fe2_meshes <generator> --help")


if __name__ == "__main__":
    main(sys.argv[1:])
