"""`fe2 replay`: the one RVE that ended a run, by itself."""

from __future__ import annotations

from typing import Any

import click

from fe2.cli.options import FILE, as_json, carry_out, file_argument

_EPILOG = """\b
Examples:
  fe2 replay results/failure.h5
  fe2 replay results/failure.h5 --tolerance 1e-6 --max-iterations 100
  fe2 replay results/failure.h5 -o why.png --local-field stress_von_mises

The file holds the case, the state before the step, the gradient that was not reached and the time step. A
run from a script has no case: make its micro model and call fe2.replay_failure(file, micro). Of a reduced
cell with error control the whole cell is replayed. The exit status is 0 where the RVE was solved this time,
and 1 where it failed again."""


@click.command("replay", short_help="The RVE that ended a run, by itself.", epilog=_EPILOG)
@file_argument("file", "FAILURE.h5")
@click.option("--tolerance", type=float, help="Tolerance of the residual; that of the case by default.")
@click.option("--max-iterations", type=click.IntRange(1), help="Linear systems; that of the case by default.")
@click.option("--local-field", metavar="NAME", help="Field of the cell that is drawn, before the step.")
@click.option("-o", "--output", metavar="FILE.png", type=FILE, help="Picture; replay.png by default.")
@as_json
def command(**options: Any) -> int:
    """Solve the RVE of a failure again: where it was, how its iteration goes, with a picture."""
    return carry_out("replay", **options)
