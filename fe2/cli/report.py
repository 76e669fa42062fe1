"""`fe2 report`: what came out of a run, as one page that opens anywhere."""

from __future__ import annotations

from typing import Any

import click

from fe2.cli.options import FILE, carry_out, file_argument

_EPILOG = """\b
Examples:
  fe2 report results
  fe2 report results -o plate.html --field stress_yy
\b
The page holds its pictures, loads nothing from a network, and can be sent as it is: macroscopic field,
watched cells and history at the end and at the highest load, all curves, convergence, numbers, versions, the
log, and the case with all its defaults."""


@click.command("report", short_help="One page of HTML about a run.", epilog=_EPILOG)
@file_argument("folder", "RESULTS")
@click.option("--field", metavar="NAME", help="Macroscopic field; the first flux component by default.")
@click.option("--local-field", metavar="NAME", help="Field in the cells.")
@click.option("-o", "--output", metavar="FILE.html", type=FILE, help="RESULTS/report.html.")
def command(**options: Any) -> None:
    """One self-contained page of HTML about a run: pictures, curves, numbers, versions and the case."""
    click.echo(carry_out("report", **options))
