"""A factorization in the place of an iterative solver that has failed, where it fits into the memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from petsc4py import PETSc

from fe2.errors import Fe2Warning, MicroSolveError
from fe2.memory import available_memory
from fe2.micro.solver_choice import OPTIONS_PREFIX
from fe2.petsc_errors import set_from_options, set_up
from fe2.profile import count
from fe2.records import SolverChoice

_CURE = (
    "A factorization needs no convergence: fewer unknowns or a machine with more memory, and the options "
    "ksp_type = preonly, pc_type = lu. Iterations converge with a lower degree or phases that differ less"
)
_LIMIT = 23
"""MUMPS's control of the memory of a rank, in megabytes."""


class GaveUpError(MicroSolveError):
    """An iterative solver did not converge."""


def direct_instead(
    matrix: PETSc.Mat,
    prepare: Callable[[PETSc.KSP, PETSc.Mat], None] | None,
    before: SolverChoice,
    failure: GaveUpError,
) -> tuple[PETSc.KSP, SolverChoice]:
    """A factorization of a matrix whose iterative solver has failed; collective over the matrix's ranks.

    MUMPS itself says, once it has analysed the pattern, whether it fits into the memory that is free.

    Args:
        matrix: The matrix.
        prepare: Sets up the direct solver; None where there is none or options have chosen the solver.
        before: The solver that has failed.
        failure: What it said.

    Returns:
        The solver, factorized, and what it is and why.

    Raises:
        MicroSolveError: There is no direct solver, or it does not fit; the message has the cure.

    Warns:
        Fe2Warning: The solver has changed.
    """
    if prepare is None:
        raise MicroSolveError(f"{failure}. {_CURE}") from failure
    ksp = PETSc.KSP().create(matrix.comm)
    ksp.setOptionsPrefix(OPTIONS_PREFIX)
    ksp.setOperators(matrix)
    prepare(ksp, matrix)
    megabytes = available_memory() / 1e6 / matrix.comm.size
    ksp.getPC().getFactorMatrix().setMumpsIcntl(_LIMIT, int(min(max(megabytes, 1.0), 2**30)))
    set_from_options(ksp)
    count("factorizations")
    set_up(ksp)
    if reason := ksp.getPC().getFailedReason():
        raise MicroSolveError(
            f"{failure}, and a factorization in {megabytes:.0f} MB a rank failed (PETSc: {reason}). {_CURE}"
        ) from failure
    count("direct")
    choice = SolverChoice("sparse factorization (MUMPS)", f"{before.name}, did not converge: {failure}")
    if matrix.comm.rank == 0:
        warnings.warn(f"{choice.reason}; cells are factorized from now on", Fe2Warning, stacklevel=2)
    return ksp, choice
