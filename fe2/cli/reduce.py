"""`fe2 reduce`: a reduced cell, made beforehand for the runs that use it."""

from __future__ import annotations

from pathlib import Path

import click

from fe2.cli.options import as_json, file_argument, volume

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
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File to write, .h5.")
@click.option(
    "--amplitude",
    type=click.FloatRange(0.0, min_open=True),
    help="Largest change of the gradient that is trained, internal components.",
)
@click.option(
    "--database",
    metavar="PATHS.h5",
    type=click.Path(path_type=Path),
    help="Paths that fe2 sample solved, instead or besides.",
)
@click.option("--paths", default=24, show_default=True, type=click.IntRange(2), help="Paths of each kind.")
@click.option("--steps", default=6, show_default=True, type=click.IntRange(1), help="Steps in an amplitude.")
@click.option("--duration", default=1.0, show_default=True, help="Time for a change of one amplitude.")
@click.option(
    "--tolerance",
    default=0.02,
    show_default=True,
    type=click.FloatRange(0.0, 1.0, max_open=True),
    help="Part of the fluctuations that modes may leave out.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the directions.")
@as_json
@volume
def command(
    file: Path,
    output: Path,
    amplitude: float | None,
    database: Path | None,
    paths: int,
    steps: int,
    duration: float,
    tolerance: float,
    seed: int,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """Solve a cell along paths, and keep modes and a few mesh cells of it for later runs."""
    if amplitude is None and database is None:
        raise click.UsageError("--amplitude or --database is needed, or both")
    from fe2 import _dependencies as _dependencies  # says what is missing
    from fe2.cli.reduce_work import Training, carry_out

    training = Training(amplitude, database, paths, steps, duration, seed)
    carry_out(file, output, training, tolerance, as_json=as_json, verbose=verbose, quiet=quiet)
