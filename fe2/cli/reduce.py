"""`fe2 reduce`: a reduced cell, made beforehand for the runs that use it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from fe2.cli.options import as_json, file_argument, volume

_EPILOG = """\b
Examples:
  fe2 reduce cell.toml -o cell.h5 --amplitude 0.01
  fe2 reduce cell.toml -o cell.h5 --database paths.h5
\b
In a run file:
  [laws.composite]
  cell = "cell.toml"
  mode = "reduced"
  reduction = { file = "cell.h5", error = 0.01 }

The cell is solved along cycles in evenly spread directions and along random walks, up to the amplitude; every
fourth path is held out to calibrate the estimate of the error. Beyond the amplitude a run solves it whole.
Paths that fe2 sample solved, on many ranks or along what a run recorded, are taken as they are."""


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
    "--tolerance", default=0.02, show_default=True, help="Part of the fluctuations that modes may leave out."
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
    from mpi4py import MPI

    from fe2 import _dependencies as _dependencies  # says what is missing
    from fe2.case.build_cell import build_rve
    from fe2.case.cell_case import read_cell_case
    from fe2.cli.output import plain, stage
    from fe2.hierarchical.database import read_database
    from fe2.hierarchical.paths import Path as GradientPath
    from fe2.hierarchical.paths import cyclic, random_walks
    from fe2.hierarchical.reduction import reduce
    from fe2.hierarchical.solved_path import SolvedPath
    from fe2.hierarchical.storage import check_name, save
    from fe2.parallel import on_root

    def work() -> None:
        check_name(output)
        case = read_cell_case(file)
        with stage("making the cell", quiet, verbose):
            rve = build_rve(case)
        trained: list[GradientPath | SolvedPath] = []
        if database is not None:
            trained += read_database(database, rve).paths
        if amplitude is not None:
            for kind in (cyclic, random_walks):
                trained += kind(
                    rve.kinematics, amplitude, count=paths, steps=steps, duration=duration, seed=seed
                )
        with stage("training", quiet, verbose):
            reduction = reduce(rve, trained, tolerance=tolerance)
        save(reduction, output)
        report = asdict(reduction.report)
        if as_json:
            click.echo(json.dumps(plain({**report, "file": str(output)})))
        elif not quiet:
            click.echo(
                f"{report['modes']} modes, {report['cells']} of {report['all_cells']} mesh cells, "
                f"{report['solves']} solves\nlargest error of the flux, relative to the largest flux: "
                f"{report['training_error']:.2g} on paths of the training, {report['held_out_error']:.2g} "
                f"on others\nwritten: {output}"
            )

    on_root(MPI.COMM_WORLD, work)
