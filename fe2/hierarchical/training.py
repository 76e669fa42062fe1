"""Training: paths of a cell that are solved, or were solved before."""

from __future__ import annotations

from collections.abc import Sequence

from fe2.errors import InputError, MicroSolveError
from fe2.hierarchical.paths import Path
from fe2.hierarchical.solved_path import SolvedPath, solve_path
from fe2.micro.rve import RVE


def train(rve: RVE, paths: Sequence[Path | SolvedPath]) -> list[SolvedPath]:
    """Solve the cell along all paths; what was solved already is taken as far as it got.

    Raises:
        InputError: There is no path, one does not fit the cell, or one was kept without its states.
        MicroSolveError: A step failed at 1/64 of its length; the message says which.
    """
    if not paths:
        raise InputError("training needs one path at least")
    return [_solved(rve, path) for path in paths]


def _solved(rve: RVE, path: Path | SolvedPath) -> SolvedPath:
    if isinstance(path, SolvedPath):
        if path.states.shape != (len(path.steps) + 1, rve.lasting_size) or not len(path.steps):
            raise InputError(
                "a path that was solved before does not hold the states of this cell: sample it with states"
            )
        return path
    solved = solve_path(rve, path, tangents=False)
    if solved.failure:
        raise MicroSolveError(f"training failed in {solved.failure}")
    return solved
