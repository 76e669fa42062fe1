"""`fe2 report`: what came out of a run, as one page that opens anywhere."""

from __future__ import annotations

from pathlib import Path

import click

_EPILOG = """\b
Examples:
  fe2 report results
  fe2 report results -o plate.html --field stress_yy
\b
The page holds its pictures, loads nothing from a network, and can be sent as it is: macroscopic field,
watched cells and history at the end and at the highest load, all curves, convergence, numbers, versions, the
log, and the case with all its defaults."""


@click.command("report", short_help="One page of HTML about a run.", epilog=_EPILOG)
@click.argument("folder", metavar="RESULTS", type=click.Path(path_type=Path))
@click.option("--field", metavar="NAME", help="Macroscopic field; the first flux component by default.")
@click.option("--local-field", metavar="NAME", help="Field in the cells.")
@click.option(
    "-o", "--output", metavar="FILE.html", type=click.Path(path_type=Path), help="RESULTS/report.html."
)
def command(folder: Path, field: str | None, local_field: str | None, output: Path | None) -> None:
    """One self-contained page of HTML about a run: pictures, curves, numbers, versions and the case."""
    from fe2 import _dependencies as _dependencies  # says what is missing
    from fe2.cli.report_work import write_report

    click.echo(write_report(folder, output or folder / "report.html", field, local_field))
