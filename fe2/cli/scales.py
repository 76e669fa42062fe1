"""`fe2 scales`: may a cell be solved beforehand, or does it have to be solved while the run goes on?"""

from __future__ import annotations

import json
from pathlib import Path

import click

from fe2.cli.options import as_json, file_argument, volume

_EPILOG = """\b
Examples:
  fe2 scales cell.toml --length 50 --gradient 0.01
  fe2 scales cell.toml --length 50 --gradient 0.01 --loading-time 10 --json

The length is the distance over which the macroscopic gradient changes: the radius of a notch, the wavelength
over 2 pi. The cell is loaded with the gradient at once, held for a hundred loading times and unloaded, which
shows its relaxation time and whether it has a memory that does not relax."""


@click.command("scales", short_help="Hierarchical, concurrent, or neither?", epilog=_EPILOG)
@file_argument("file", "CELL.toml")
@click.option(
    "--length",
    required=True,
    type=click.FloatRange(0.0, min_open=True),
    help="Distance over which the macroscopic gradient changes.",
)
@click.option("--gradient", required=True, metavar="G[,G,...]", help="Its size, one or for each component.")
@click.option(
    "--loading-time",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.0, min_open=True),
    help="Time in which the loading changes.",
)
@click.option(
    "--separation",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0.0, 1.0, min_open=True),
    help="Largest ratio of scales that counts as separated.",
)
@as_json
@volume
def command(
    file: Path,
    length: float,
    gradient: str,
    loading_time: float,
    separation: float,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """Compare the scales of a cell with those of the problem: which mode is safe, with the numbers."""
    try:
        numbers = [float(entry) for entry in gradient.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{gradient!r}: numbers are needed", param_hint="--gradient") from error
    from fe2.case.cell_case import read_cell_case

    case = read_cell_case(file)
    import numpy as np
    from mpi4py import MPI

    from fe2.case.build_cell import build_rve
    from fe2.cli.output import plain, stage
    from fe2.errors import InputError
    from fe2.hierarchical.scales import relaxation, scales
    from fe2.parallel import on_root

    def work() -> None:
        with stage("making the cell", quiet or as_json, verbose):
            rve = build_rve(case)
        size = rve.kinematics.size
        if len(numbers) not in (1, size):
            raise InputError(
                f"--gradient {gradient}: one number is needed, or one for each of "
                f"{', '.join(rve.kinematics.components)}"
            )
        with stage("loading, holding and unloading the cell", quiet or as_json, verbose):
            found = relaxation(rve, np.resize(numbers, size), 100.0 * loading_time)
        judged = scales(
            period=float(rve.cell.period.max()),
            length=length,
            relaxation_time=found.time,
            loading_time=loading_time,
            remembers=found.remembers,
            separation=separation,
        )
        if as_json:
            times = {"relaxation_time": found.time, "relaxing_part": found.part, "remembers": found.remembers}
            click.echo(json.dumps(plain({**judged.as_dict(), **times})))
        else:
            click.echo("\n".join([judged.verdict, *(f"  {reason}" for reason in judged.reasons)]))

    on_root(MPI.COMM_WORLD, work)
