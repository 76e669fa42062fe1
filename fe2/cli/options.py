"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Function = Callable[..., Any]


def file_argument(name: str, metavar: str) -> Callable[[Function], Function]:
    """A file that is read. That it exists is checked later, with a message like that of all other files."""
    return click.argument(name, metavar=metavar, type=click.Path(path_type=Path))


def volume(function: Function) -> Function:
    """The options -v and -q."""
    quiet = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors and results.")
    verbose = click.option("-v", "--verbose", is_flag=True, help="Say more about what is being done.")
    return verbose(quiet(function))


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, alone on the standard output.")
