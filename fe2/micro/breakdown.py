"""Numbers of one point on which its solution breaks down, told apart from mistakes in the program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from petsc4py import PETSc

from fe2.errors import MicroSolveError
from fe2.petsc_errors import reason

BREAKDOWNS = (ArithmeticError, np.linalg.LinAlgError, MemoryError, PETSc.Error)
"""What a point may raise beside a MicroSolveError: other numbers, those of a shorter step, may do without."""


@contextmanager
def breakdowns() -> Iterator[None]:
    """Breakdowns inside are failures of a point.

    Raises:
        MicroSolveError: One of them happened; the message begins with its type.
    """
    try:
        yield
    except PETSc.Error as error:
        raise MicroSolveError(f"PETSc.Error: {reason(error)}") from error
    except BREAKDOWNS as error:
        raise MicroSolveError(f"{type(error).__name__}: {error}") from error
