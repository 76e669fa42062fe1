"""Training: paths of a cell that are solved, by all ranks that share the work, or were solved before."""

from __future__ import annotations

from collections.abc import Sequence

from mpi4py import MPI

from fe2.errors import InputError, MicroSolveError
from fe2.hierarchical.paths import Path
from fe2.hierarchical.solved_path import SolvedPath, solve_path
from fe2.hierarchical.training_memory import check_training_memory
from fe2.micro.rve import RVE
from fe2.parallel import on_every_rank


def train(rve: RVE, paths: Sequence[Path | SolvedPath], comm: MPI.Comm = MPI.COMM_SELF) -> list[SolvedPath]:
    """Solve the cell along all paths; what was solved already is taken as far as it got.

    Every path starts from the virgin cell, so the answers do not depend on who solves which; collective.

    Args:
        rve: The cell, on this process alone.
        paths: The paths, the same on all ranks.
        comm: Ranks that share the work.

    Returns:
        All solved paths in their order, on all ranks.

    Raises:
        InputError: On all ranks: there is no path, one does not fit the cell, or one was kept without its
            states; or states of all paths do not fit into the memory.
        MicroSolveError: On all ranks: a step failed at 1/64 of its length; the message says which.
    """
    on_every_rank(comm, lambda: _check(rve, paths))
    missing = [(number, path) for number, path in enumerate(paths) if isinstance(path, Path)]
    own = on_every_rank(
        comm, lambda: {number: _solved(rve, path) for number, path in missing[comm.rank :: comm.size]}
    )
    found = {number: path for part in comm.allgather(own) for number, path in part.items()}
    return [path if isinstance(path, SolvedPath) else found[number] for number, path in enumerate(paths)]


def _check(rve: RVE, paths: Sequence[Path | SolvedPath]) -> None:
    if not paths:
        raise InputError("training needs one path at least")
    check_training_memory(rve, paths, reduces=True)
    for path in paths:
        if isinstance(path, SolvedPath) and (
            path.states.shape != (len(path.steps) + 1, rve.lasting_size) or not len(path.steps)
        ):
            raise InputError(
                "a path that was solved before does not hold the states of this cell: sample it with states"
            )


def _solved(rve: RVE, path: Path) -> SolvedPath:
    solved = solve_path(rve, path, tangents=False)
    if solved.failure:
        raise MicroSolveError(f"training failed in {solved.failure}")
    return solved
