"""`fe2 check`: is a file right? Without MPI, and without reading images or meshes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fe2.cli.options import as_json, file_argument

_EPILOG = """\b
Examples:
  fe2 check cell.toml
  fe2 check case.toml && sbatch job.sh

Every mistake is told at once, each with its key, its value and what would be right. Whether an image or a
mesh fits the rest is found out by `fe2 run --dry-run`."""


@click.command("check", short_help="Check a file, in a moment and without MPI.", epilog=_EPILOG)
@file_argument("file", "FILE")
@as_json
def command(file: Path, as_json: bool) -> None:
    """Check a cell file or a run file, in a moment and without MPI."""
    from fe2.case.cell_case import CellCase
    from fe2.case.read import read_case

    case = read_case(file)
    if isinstance(case, CellCase):
        facts = {"kind": "cell", "physics": case.cell.physics, "phases": len(case.phases)}
    else:
        cells = sum(law.cell is not None for law in case.laws.values())
        facts = {"kind": "run", "physics": case.physics_name, "laws": len(case.laws), "cells": cells}
    if as_json:
        click.echo(json.dumps({"file": str(file), **facts}))
    else:
        counts = ", ".join(f"{name} {value}" for name, value in facts.items() if name != "kind")
        click.echo(f"{file} is right: a {facts['kind']} file; {counts}")
