"""`fe2 run`: a two-scale analysis from a file, on one rank or many."""

from __future__ import annotations

from typing import Any

import click

from fe2.cli.options import as_json, carry_out, file_argument, speaking
from fe2.cli.signals import leaving_on_signals

_EPILOG = """\b
Examples:
  fe2 run case.toml --dry-run         sizes, memory and time, before any long work
  fe2 run case.toml
  mpirun -n 8 fe2 run case.toml --force
  mpirun -n 4 fe2 run case.toml --resume
  fe2 run case.toml --petsc "-fe2_macro_ksp_view -fe2_macro_ksp_monitor"

PETSc's options reach the macroscopic solver under the prefix fe2_macro_ and the solver of the cells under
fe2_micro_. The folder of results holds macro.pvd for ParaView, history.csv, summary.txt, run.log and the case
as it was understood; it never replaces another without --force.

A checkpoint is written every 15 minutes (output.checkpoint_seconds, output.checkpoint_every), at the end, and
when SIGINT (Ctrl-C), SIGTERM or SIGUSR1 asks the run to stop. The exit status is 0 for a run that reached its
end, 1 for one that failed, 75 for one that was stopped by a signal and can be resumed."""


@click.command("run", short_help="A two-scale analysis.", epilog=_EPILOG)
@file_argument("file", "CASE.toml")
@click.option(
    "--dry-run", is_flag=True, help="Check everything, make meshes and cells, and say how large the run is."
)
@click.option("--force", is_flag=True, help="Replace the results of an earlier run.")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on from the last checkpoint; without one begin at the start, and keep what is there aside.",
)
@click.option(
    "--ranks",
    type=click.IntRange(1),
    metavar="N",
    help="Refuse to run on another number of ranks: a launcher that does not fit starts N runs of one rank.",
)
@click.option("--petsc", metavar="OPTIONS", help="PETSc's options, monitors for example.")
@click.option("--ranks-per-rve", metavar="K", help="Ranks that solve each cell together: a number, or auto.")
@click.option("--balance", help="Whether points move between ranks: off, steps or on.")
@click.option("--macro-ranks", metavar="K", help="Ranks that share the macroscopic mesh, the first ones.")
@click.option("--profile", is_flag=True, help="Print at the end where the time went, by phase.")
@as_json
@speaking
@leaving_on_signals()
def command(**options: Any) -> None:
    """A two-scale analysis; with -v also the residuals of PETSc's Newton iteration."""
    carry_out("run", **options)
