"""`fe2 material`: a material test on one cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fe2.cli.options import FILE, file_argument, speaking, world

if TYPE_CHECKING:
    from fe2.cli.output import Voice
    from fe2.micro.material_test import MaterialPath, MaterialTest
    from fe2.micro.rve import RVE

_EPILOG = """\b
Example: a cell is pulled along x to 1 % and unloaded, its sides free of stress:
  fe2 material cell.toml --path pull.csv --increments 20 -o test.csv --plot test.png
\b
pull.csv:
  time,strain_xx,stress_xx
  0,0,
  1,0.01,
  2,,0
\b
The first column is the time, the others are components of gradient and flux (strain_xx, strain_xy, ...,
stress_xx, ...; shear strains are engineering shear strains). An empty entry is not prescribed there: control
may change from one row to the next. Components that are in no column have no flux."""


@click.command("material", short_help="A material test on one cell.", epilog=_EPILOG)
@file_argument("file", "CELL.toml")
@click.option("--path", metavar="PATH.csv", required=True, type=FILE, help="Prescribed components over time.")
@click.option("--increments", default=1, type=click.IntRange(1), help="Increments between two rows.")
@click.option("-o", "--output", metavar="OUT.csv", type=FILE, help="Write the response to a file.")
@click.option("--plot", metavar="OUT.png", type=FILE, help="Draw flux over gradient.")
@click.option("--x", metavar="COLUMN", help="Column along x in the picture, e.g. strain_xx.")
@click.option("--y", metavar="COLUMN", help="Column along y in the picture, e.g. stress_xx.")
@speaking
def command(
    file: Path,
    path: Path,
    increments: int,
    output: Path | None,
    plot: Path | None,
    x: str | None,
    y: str | None,
    voice: Voice,
) -> None:
    """A material test on one cell, with mixed control of gradient and flux; prints the response as CSV."""
    from fe2.case.cell_case import read_cell_case

    case = read_cell_case(file)
    comm = world()
    from fe2.case.build_cell import build_rve
    from fe2.cli.material_table import read_path, response_columns, response_text
    from fe2.cli.output import write_text
    from fe2.io.units import write_units
    from fe2.parallel import on_root

    def work() -> None:
        with voice.stage("making the cell"):
            rve = build_rve(case)
        material_path = read_path(path, rve.kinematics, increments)
        with voice.stage("testing"):
            test, failure = _driven(rve, material_path)
        columns = response_columns(rve.kinematics, test)
        if output is not None:
            write_text(output, response_text(columns))
            write_units(output, case.units)
        elif not voice.quiet:
            if case.units:
                click.echo(f"fe2: units: {case.units}", err=True)
            click.echo(response_text(columns), nl=False)
        if plot is not None:
            from fe2.cli.material_plot import draw

            draw(columns, rve.kinematics, plot, (x, y), case.units)
        if failure is not None:
            raise failure

    on_root(comm, work)


def _driven(rve: RVE, path: MaterialPath) -> tuple[MaterialTest, Exception | None]:
    """The test, up to where it failed, and why it did."""
    from fe2.micro.material_test import MaterialTestError

    try:
        return rve.drive(path), None
    except MaterialTestError as error:
        return error.test, error
