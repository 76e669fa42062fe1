"""`fe2 reduce`: a reduced cell, made beforehand for the runs that use it."""

from __future__ import annotations

from typing import Any

import click

from fe2.cli.options import FILE, POSITIVE, as_json, carry_out, file_argument, speaking

_EPILOG = """\b
Examples:
  fe2 reduce cell.toml -o cell.h5 --amplitude 0.01
  mpirun -n 4 fe2 reduce cell.toml -o cell.h5 --amplitude 0.01
  fe2 reduce cell.toml -o cell.h5 --database paths.h5
\b
In a run file:
  [laws.composite]
  cell = "cell.toml"
  model = "reduced"
  reduction = "cell.h5"
  error = 0.01

The cell is solved along cycles in evenly spread directions and along random walks, up to the amplitude; every
fourth path is held out to calibrate the estimate of the error. Beyond the amplitude a run solves it whole.
Ranks share the paths. A training that is killed begins again; what fe2 sample solved is on the disk, also
along what a run recorded, and --database takes it as it is."""


@click.command("reduce", short_help="A reduced cell for runs.", epilog=_EPILOG)
@file_argument("file", "CELL.toml")
@click.option("-o", "--output", required=True, type=FILE, help="File to write, .h5.")
@click.option(
    "--amplitude", type=POSITIVE, help="Largest change of the gradient that is trained, internal components."
)
@click.option(
    "--database", metavar="PATHS.h5", type=FILE, help="Paths that fe2 sample solved, instead or besides."
)
@click.option("--paths", "count", default=24, type=click.IntRange(2), help="Paths of each kind.")
@click.option("--steps", default=6, type=click.IntRange(1), help="Steps in an amplitude.")
@click.option("--duration", default=1.0, help="Time for a change of one amplitude.")
@click.option(
    "--tolerance",
    default=0.02,
    type=click.FloatRange(0.0, 1.0, max_open=True),
    help="Part of the fluctuations that modes may leave out.",
)
@click.option("--seed", default=0, help="Seed of the directions.")
@as_json
@speaking
def command(**options: Any) -> None:
    """Solve a cell along paths, and keep modes and a few mesh cells of it for later runs."""
    if options["amplitude"] is None and options["database"] is None:
        raise click.UsageError("--amplitude or --database is needed, or both")
    carry_out("reduce", **options)
