"""Arguments and options that several commands share, and the start of work that needs MPI."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mpi4py import MPI

Function = Callable[..., Any]

FILE = click.Path(path_type=Path)
"""A file. That one which is read exists is checked later, with a message like that of all other files."""

POSITIVE = click.FloatRange(0.0, min_open=True)
SHARE = click.FloatRange(0.0, 1.0, min_open=True)


class Numbers(click.ParamType[Any]):
    """Numbers with commas between them."""

    name = "numbers"

    def __init__(self, kind: type = float) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of numbers."""
        if not isinstance(value, str):
            return value
        try:
            return tuple(self.kind(entry) for entry in value.split(","))
        except ValueError:
            example = "8,16,32" if self.kind is int else "0.25,0.75"
            self.fail(
                f"{value!r}: numbers with commas between them are needed, such as {example}", param, ctx
            )


def file_argument(name: str, metavar: str) -> Callable[[Function], Function]:
    """A file that is read."""
    return click.argument(name, metavar=metavar, type=FILE)


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, alone on the standard output.")


def speaking(function: Function) -> Function:
    """The options -v and -q, and --json where there is one, which become one argument `voice`."""

    @wraps(function)
    def command(*, verbose: bool, quiet: bool, as_json: bool = False, **options: Any) -> Any:
        from fe2.cli.output import Voice

        return function(voice=Voice(as_json, verbose, quiet), **options)

    click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors and results.")(command)
    return click.option("-v", "--verbose", is_flag=True, help="Say more about what is being done.")(command)


def world() -> MPI.Comm:
    """Communicator of all ranks; an error says what is missing for work that needs it."""
    from mpi4py import MPI

    from fe2 import _dependencies as _dependencies

    return MPI.COMM_WORLD


def carry_out(name: str, **options: Any) -> Any:
    """Do what a command does, by a module that is loaded now: its help needs neither MPI nor DOLFINx."""
    world()
    return importlib.import_module(f"fe2.cli.{name}_work").carry_out(**options)
