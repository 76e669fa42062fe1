"""What an iteration on a factorization costs against the factorization itself, for cells of several sizes.

The solver takes the ratio from counts, `_OPERATIONS` and `_COLUMN` of `fe2.micro.reused_factorizations`. This
measures it: processor time of the thread, the smallest of several repetitions.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from test_reused_factorizations import PATH, ball

from fe2.micro.linear_solver import LinearSolver
from fe2.micro.reused_factorizations import ReusedFactorizations


def measure(divisions: int, repeat: int) -> None:
    """Print counted and measured costs of one cell."""
    rve = ball(divisions)
    newton = rve._newton
    solver = newton.linear_solver
    assert isinstance(solver, ReusedFactorizations)
    rve.problem.load(rve.initial_state(), 1.0)
    newton.start(PATH[2], np.zeros(rve.unknowns))
    newton.linearize()
    factorization = min(_seconds(lambda: LinearSolver.factorize(solver)) for _ in range(repeat))
    for columns in (1, 6):
        right = np.random.default_rng(0).normal(size=(rve.unknowns, columns))
        iteration = min(_seconds(partial(_iteration, solver, right)) for _ in range(repeat))
        counted = solver._factorization_cost / solver._iteration_cost(columns)
        print(
            f"{rve.unknowns:6d} unknowns, {columns} columns: a factorization costs {counted:5.1f} iterations "
            f"by counts, {factorization / iteration:5.1f} measured"
        )


def _iteration(solver: ReusedFactorizations, right: np.ndarray) -> None:
    preconditioned = solver._back_substitute(solver.ksp, right)
    image = solver._matrix @ preconditioned
    length = np.einsum("ij,ij->j", right, image)
    np.linalg.norm(right + length * preconditioned - length * image, axis=0)


def _seconds(work: Callable[[], None]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--divisions", type=int, nargs="*", default=[8, 11, 15])
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    for divisions in arguments.divisions:
        measure(divisions, arguments.repeat)
