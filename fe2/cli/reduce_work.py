"""What `fe2 reduce` does: solves paths with all ranks, and reduces the cell to what it did along them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from mpi4py import MPI

from fe2.case.build_cell import build_rve, located
from fe2.case.cell_case import read_cell_case
from fe2.cli.output import plain, stage
from fe2.hierarchical.database import read_database
from fe2.hierarchical.paths import Path as GradientPath
from fe2.hierarchical.paths import cyclic, random_walks
from fe2.hierarchical.reduction import Reduction, check_reducible, reduce
from fe2.hierarchical.storage import check_name, save
from fe2.hierarchical.training import train
from fe2.hierarchical.training_memory import check_training_memory
from fe2.micro.rve import RVE
from fe2.parallel import on_every_rank, on_root


@dataclass(frozen=True)
class Training:
    """Along which paths a cell is reduced.

    Attributes:
        amplitude: Largest change of the gradient along new paths, or None for no new ones.
        database: Paths that were solved before, or None.
        count: New paths of each kind.
        steps: Steps in an amplitude.
        duration: Time for a change of one amplitude.
        seed: Seed of the directions.
    """

    amplitude: float | None
    database: Path | None
    count: int
    steps: int
    duration: float
    seed: int

    def new_paths(self, rve: RVE) -> list[GradientPath]:
        """Cycles and random walks."""
        if self.amplitude is None:
            return []
        options: dict[str, Any] = {"count": self.count, "steps": self.steps}
        options |= {"duration": self.duration, "seed": self.seed}
        return [
            path
            for kind in (cyclic, random_walks)
            for path in kind(rve.kinematics, self.amplitude, **options)
        ]


def carry_out(
    file: Path,
    output: Path,
    training: Training,
    tolerance: float,
    *,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """Reduce the cell of a file; the ranks share the paths, and the first one does the rest; collective.

    Raises:
        Fe2Error: On all ranks: a file cannot be read or written, or the cell cannot be reduced.
    """
    comm = MPI.COMM_WORLD
    silent, verbose = quiet or as_json or comm.rank > 0, verbose and comm.rank == 0
    on_root(comm, lambda: check_name(output))
    case = on_every_rank(comm, lambda: read_cell_case(file))
    with stage("making the cell", silent, verbose):
        rve = on_every_rank(comm, lambda: build_rve(case))

    database = training.database
    wanted = training.new_paths(rve)

    def check() -> None:
        with located(case):
            check_reducible(rve)

    on_every_rank(comm, check)
    known = on_root(comm, lambda: [] if database is None else list(read_database(database, rve).paths)) or []

    def check_memory() -> None:
        with located(case):
            check_training_memory(rve, [*known, *wanted], reduces=True)

    on_every_rank(comm, check_memory)
    with stage("training", silent, verbose):
        solved = train(rve, wanted, comm) if wanted else []

    def finish() -> None:
        with stage("reducing", silent, verbose), located(case):
            reduction = reduce(rve, [*known, *solved], tolerance=tolerance)
        save(reduction, output)
        _report(reduction, output, as_json, quiet)

    on_root(comm, finish)


def _report(reduction: Reduction, output: Path, as_json: bool, quiet: bool) -> None:
    report, left_out = reduction.report, reduction.fine.basis.left_out
    if as_json:
        click.echo(json.dumps(plain({**asdict(report), "left_out": left_out, "file": str(output)})))
    elif not quiet:
        decay = report.singular_values[:8] / report.singular_values[0]
        click.echo(
            f"{report.modes} modes, which leave out {left_out:.2g} of the fluctuations; "
            f"{report.cells} of {report.all_cells} mesh cells; {report.solves} solves\n"
            f"singular values, relative to the first: {', '.join(f'{value:.2g}' for value in decay)}"
            f"{', ...' if len(report.singular_values) > 8 else ''}\n"
            f"largest error of the flux, relative to the largest flux: {report.training_error:.2g} on paths "
            f"of the training, {report.held_out_error:.2g} on others\nwritten: {output}"
        )
