"""Options of PETSc for the cells that are made meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def micro_option(name: str, value: str) -> Iterator[None]:
    """An option for all cells, taken back afterwards."""
    from petsc4py import PETSc  # after fe2, which finds its MPI

    options = PETSc.Options("fe2_micro_")
    options[name] = value
    try:
        yield
    finally:
        options.delValue(name)
