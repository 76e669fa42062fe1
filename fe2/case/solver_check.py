"""Whether PETSc has the solvers and packages that a run file names."""

from __future__ import annotations

from mpi4py import MPI
from petsc4py import PETSc

from fe2.case.problems import CaseFileError
from fe2.case.run_case import RunCase
from fe2.errors import InputError
from fe2.macro.snes import OPTIONS_PREFIX, SolverOptions


def check_solver(case: RunCase, comm: MPI.Comm) -> None:
    """Refuse what PETSc does not have on these ranks; collective.

    Raises:
        CaseFileError: On all ranks: the file names it.
        InputError: On all ranks: an option of PETSc's database does.
    """
    options = case.tables.solver.macro.options()
    matrix = PETSc.Mat().createAIJ(((1, None), (1, None)), nnz=1, comm=comm)  # of the type of the problem's
    matrix.assemble()
    try:
        SolverOptions(options).configure(PETSc.SNES().create(comm), matrix)
    except InputError as error:
        for name, value in options.items():
            if f"-{OPTIONS_PREFIX}{name} {value}" in str(error):
                refusal = CaseFileError(f'{case.file}: solver.macro.{name} = "{value}": {error}')
                refusal.collective = True
                raise refusal from error
        raise
