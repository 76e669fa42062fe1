"""`fe2 linear-range`: how far may a cell be loaded before its tangent at the start is wrong?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fe2.cli.options import Numbers, as_json, file_argument, speaking, world

if TYPE_CHECKING:
    from fe2.cli.output import Voice

_EPILOG = """\b
Examples:
  fe2 linear-range cell.toml --largest 0.01
  mpirun -n 4 fe2 linear-range cell.toml --largest 0.01 --tolerance 0.001 --json

Along each direction the cell is loaded, held and unloaded, and its flux compared with that of the constant
tangent. In a run file a law with model = "linearized" has the same keys."""


@click.command("linear-range", short_help="Range in which a cell's tangent holds.", epilog=_EPILOG)
@file_argument("file", "CELL.toml")
@click.option(
    "--largest",
    required=True,
    type=Numbers(),
    metavar="G[,G,...]",
    help="Largest gradient that is looked at, internal components: one for all or one for each.",
)
@click.option("--tolerance", default=0.01, help="Relative deviation of the flux that is admitted.")
@click.option("--directions", type=click.IntRange(0), help="Directions beside the components'.")
@click.option("--dt", default=1.0, type=click.FloatRange(0.0), help="Length of a time step.")
@as_json
@speaking
def command(
    file: Path, largest: tuple[float, ...], tolerance: float, directions: int | None, dt: float, voice: Voice
) -> None:
    """Range of the gradient in which a cell answers as its tangent does, along many directions."""
    comm = world()
    from fe2.case.build_cell import build_rve
    from fe2.case.cell_case import read_cell_case
    from fe2.hierarchical.linear_range import linear_range
    from fe2.parallel import on_every_rank, on_root

    case = on_every_rank(comm, lambda: read_cell_case(file))
    sizes = largest if len(largest) > 1 else largest[0]
    with voice.stage("looking for the range"):
        rve = on_every_rank(comm, lambda: build_rve(case))
        found = linear_range(rve, sizes, tolerance=tolerance, directions=directions, dt=dt, comm=comm)
    result = {**found.as_dict(), "units": case.units}
    on_root(comm, lambda: voice.tell(result, lambda: _show(result)))


def _show(result: dict[str, Any]) -> None:
    from fe2.cli.output import console, number, table

    title = f"{result['gradient']} in which the tangent is within {result['tolerance']:g}"
    title += f"  (units: {result['units']})" if result["units"] else ""
    ranges = [(name, number(low), number(high)) for name, (low, high) in result["components"].items()]
    out = console()
    out.print(table(title, ("component", "from", "to"), ranges))
    reached = sum(map(bool, result["limited"]))
    out.print(
        f"{len(result['limited'])} rays, of which {reached} end before the largest {result['gradient']}; "
        f"{result['solves']} solves of the cell"
    )
    if not result["convex"]:
        out.print("what is in range is not convex: the rays were cut to the part whose hull is")
