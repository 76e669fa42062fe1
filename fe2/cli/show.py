"""`fe2 show`: what came out of a run, as text and as pictures."""

from __future__ import annotations

from typing import Any

import click

from fe2.cli.options import FILE, carry_out, file_argument

_EPILOG = """\b
Examples:
  fe2 show results
  fe2 show results --field stress_xy --step 10 -o stress.png
  fe2 show results --watch 0 --local-field equivalent_plastic_strain
  fe2 show results --history grip_prescribed_x grip_x
\b
Written into the folder of results; -o writes the first alone, to a file of your own:
  show.png           macroscopic field, the cell at a watched point, a curve of the history
  convergence.png    residuals of the macroscopic Newton iteration in every step
\b
Fields are those of elements, as stress_xx, and unknowns by their name, as temperature or
displacement_x. A cell is drawn where a point is watched and its fields were solved."""


@click.command("show", short_help="Pictures and numbers of a run.", epilog=_EPILOG)
@file_argument("folder", "RESULTS")
@click.option(
    "--field",
    metavar="NAME",
    help="Macroscopic field or unknown; the first component of the flux by default.",
)
@click.option("--step", default=-1, help="Number of the stored step; 0 is the start.")
@click.option(
    "--watch",
    metavar="K",
    type=click.IntRange(0),
    help="Watched point whose cell is drawn; the first by default.",
)
@click.option(
    "--local-field",
    metavar="NAME",
    help="Field in the cell; von Mises stress or first flux component by default.",
)
@click.option(
    "--history",
    nargs=2,
    metavar="X Y",
    help="Columns of the history; by default time and, of the last load or reaction, what changes most.",
)
@click.option("--warp", type=float, metavar="FACTOR", help="Factor on displacements; chosen by default.")
@click.option("-o", "--output", metavar="FILE.png", type=FILE, help="Where the picture goes.")
def command(**options: Any) -> None:
    """Pictures and numbers of a run: macroscopic field, history, the cell at a watched point, convergence."""
    carry_out("show", **options)
