"""What `fe2 reduce` does: solves paths with all ranks, and reduces the cell to what it did along them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from mpi4py import MPI

from fe2.case.build_cell import build_rve
from fe2.case.cell_case import read_cell_case
from fe2.case.located import located
from fe2.cli.output import Voice
from fe2.hierarchical import paths
from fe2.hierarchical.database import read_database
from fe2.hierarchical.reduction import Reduction, check_reducible, reduce
from fe2.hierarchical.storage import check_name, save
from fe2.hierarchical.training import train
from fe2.hierarchical.training_memory import check_training_memory
from fe2.parallel import on_every_rank, on_root


def carry_out(
    file: Path,
    output: Path,
    amplitude: float | None,
    database: Path | None,
    count: int,
    steps: int,
    duration: float,
    tolerance: float,
    seed: int,
    voice: Voice,
) -> None:
    """Reduce the cell of a file; the ranks share the paths, and the first one does the rest; collective.

    Raises:
        Fe2Error: On all ranks: a file cannot be read or written, or the cell cannot be reduced.
    """
    comm = MPI.COMM_WORLD
    on_root(comm, lambda: check_name(output))
    case = on_every_rank(comm, lambda: read_cell_case(file))
    with voice.stage("making the cell"):
        rve = on_every_rank(comm, lambda: build_rve(case))
    wanted: list[paths.Path] = []
    for kind in (paths.cyclic, paths.random_walks):
        if amplitude is not None:
            wanted += kind(rve.kinematics, amplitude, count=count, steps=steps, duration=duration, seed=seed)

    def check() -> None:
        with located(case):
            check_reducible(rve)

    on_every_rank(comm, check)
    known = on_root(comm, lambda: [] if database is None else list(read_database(database, rve).paths)) or []

    def check_memory() -> None:
        with located(case):
            check_training_memory(rve, [*known, *wanted], reduces=True)

    on_every_rank(comm, check_memory)
    with voice.stage("training"):
        solved = train(rve, wanted, comm) if wanted else []

    def finish() -> None:
        with voice.stage("reducing"), located(case):
            reduction = reduce(rve, [*known, *solved], tolerance=tolerance)
        save(reduction, output)
        facts = {**asdict(reduction.report), "left_out": reduction.fine.basis.left_out, "file": str(output)}
        voice.tell(facts, lambda: _show(reduction, output))

    on_root(comm, finish)


def _show(reduction: Reduction, output: Path) -> None:
    report, left_out = reduction.report, reduction.fine.basis.left_out
    decay = report.singular_values[:8] / report.singular_values[0]
    click.echo(
        f"{report.modes} modes, which leave out {left_out:.2g} of the fluctuations; "
        f"{report.cells} of {report.all_cells} mesh cells; {report.solves} solves\n"
        f"singular values, relative to the first: {', '.join(f'{value:.2g}' for value in decay)}"
        f"{', ...' if len(report.singular_values) > 8 else ''}\n"
        f"largest error of the flux, relative to the largest flux: {report.training_error:.2g} on paths "
        f"of the training, {report.held_out_error:.2g} on others\nwritten: {output}"
    )
