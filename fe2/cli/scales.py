"""`fe2 scales`: may a cell be solved beforehand, or does it have to be solved while the run goes on?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fe2.cli.options import POSITIVE, SHARE, Numbers, as_json, file_argument, speaking, world

if TYPE_CHECKING:
    from fe2.cli.output import Voice

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
    "--length", required=True, type=POSITIVE, help="Distance over which the macroscopic gradient changes."
)
@click.option(
    "--gradient",
    required=True,
    type=Numbers(),
    metavar="G[,G,...]",
    help="Its size, one or for each component.",
)
@click.option("--loading-time", default=1.0, type=POSITIVE, help="Time in which the loading changes.")
@click.option(
    "--separation", default=0.1, type=SHARE, help="Largest ratio of scales that counts as separated."
)
@as_json
@speaking
def command(
    file: Path,
    length: float,
    gradient: tuple[float, ...],
    loading_time: float,
    separation: float,
    voice: Voice,
) -> None:
    """Compare the scales of a cell with those of the problem: which mode is safe, with the numbers."""
    from fe2.case.cell_case import read_cell_case

    case = read_cell_case(file)
    comm = world()
    import numpy as np

    from fe2.case.build_cell import build_rve
    from fe2.errors import InputError
    from fe2.hierarchical.scales import relaxation, scales
    from fe2.micro.spectrum import warn_of_relaxation
    from fe2.parallel import on_root

    def work() -> None:
        with voice.stage("making the cell"):
            rve = build_rve(case)
        size = rve.kinematics.size
        if len(gradient) not in (1, size):
            raise InputError(
                f"--gradient {','.join(map(str, gradient))}: one number is needed, or one for each of "
                f"{', '.join(rve.kinematics.components)}"
            )
        warn_of_relaxation(rve, loading_time)
        with voice.stage("loading, holding and unloading the cell"):
            found = relaxation(rve, np.resize(gradient, size), 100.0 * loading_time)
        judged = scales(
            period=float(rve.cell.period.max()),
            length=length,
            relaxation_time=found.time,
            loading_time=loading_time,
            remembers=found.remembers,
            separation=separation,
        )
        times = {"relaxation_time": found.time, "relaxing_part": found.part, "remembers": found.remembers}
        text = "\n".join([judged.verdict, *(f"  {reason}" for reason in judged.reasons)])
        voice.tell({**judged.as_dict(), **times}, lambda: click.echo(text), always=True)

    on_root(comm, work)
