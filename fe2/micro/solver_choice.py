"""Which linear solver a cell problem gets, by its kind and size, and why.

PETSc options with the prefix ``fe2_micro_`` override the choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from petsc4py import PETSc

from fe2.arrays import Array
from fe2.micro.green_preconditioner import ATTRIBUTE, PYTHON_TYPE, grid_numbering
from fe2.micro.problem import CellProblem
from fe2.records import SolverChoice

OPTIONS_PREFIX = "fe2_micro_"

FACTORIZED_IMAGES = {2: 100_000, 3: 15_000}
"""Unknowns of a periodic image, by dimension, up to which a factorization takes no more time."""

FACTORIZED_MESHES = {2: 400_000, 3: 50_000}
"""Unknowns of other cells up to which a factorization takes no more time than multigrid."""

TOLERANCE = 1e-10
"""Relative residual of the iterative solvers: what Newton's method and the sensitivities do not notice."""

_MAX_ITERATIONS = 2000


@dataclass(frozen=True, eq=False)
class SolverSetting:
    """A choice with what it means to PETSc.

    Attributes:
        choice: The choice.
        prepare: Sets up a solver whose matrix was set; options come afterwards.
        iterative: True where the solver's answer is as good as its tolerance.
        direct: Sets up the direct solver that takes over where iterations fail.
    """

    choice: SolverChoice
    prepare: Callable[[PETSc.KSP, PETSc.Mat], None]
    iterative: bool = True
    direct: Callable[[PETSc.KSP, PETSc.Mat], None] | None = None


def solver_setting(problem: CellProblem) -> SolverSetting:
    """The solver for a cell problem, unless options say otherwise."""
    form, boundary, dim = problem.form, problem.boundary, problem.cell.dim
    n = boundary.size
    # an instability makes the stiffness indefinite, with which conjugate gradients cannot go on
    definite = form.is_definite
    # the Fourier transforms of the Green operator take the whole grid on one rank
    grid = grid_numbering(problem.cell, form, boundary) if problem.share.is_whole else None
    simple = not form.saddle_point and not len(boundary.constraints) and len(form.fields()) == 1
    # of fields that know nothing of each other all have stiffnesses of their own
    apart = not form.saddle_point and not len(boundary.constraints) and form.is_decoupled

    def direct(ksp: PETSc.KSP, matrix: PETSc.Mat) -> None:
        _factorize(ksp, matrix, form.symmetric, apart and definite)

    iterates = "conjugate gradients" if definite else "GMRES"
    if grid is not None and n > FACTORIZED_IMAGES[dim]:

        def green(ksp: PETSc.KSP, matrix: PETSc.Mat) -> None:
            _iterate(ksp, definite)
            ksp.getPC().setType(PETSc.PC.Type.PYTHON)
            ksp.getPC().setPythonType(PYTHON_TYPE)

        choice = SolverChoice(
            f"{iterates}, discrete Green operator",
            f"{n} unknowns on a periodic image: more than {FACTORIZED_IMAGES[dim]}",
        )
        return SolverSetting(choice, green, direct=direct)
    if simple and n > FACTORIZED_MESHES[dim]:
        choice = SolverChoice(
            f"{iterates}, algebraic multigrid (GAMG)", f"{n} unknowns: more than {FACTORIZED_MESHES[dim]}"
        )
        return SolverSetting(
            choice, lambda ksp, matrix: _multigrid(ksp, matrix, problem, definite), direct=direct
        )
    few = n <= FACTORIZED_MESHES[dim]
    reason = f"{n} unknowns are few" if few else f"{n} unknowns, but constraints make the matrix indefinite"
    return SolverSetting(SolverChoice("sparse factorization (MUMPS)", reason), direct, iterative=False)


def describe_grid(problem: CellProblem, matrix: PETSc.Mat) -> None:
    """Let the matrix of a periodic image know its grid, for `GreenPreconditioner`."""
    matrix.setAttr(ATTRIBUTE, grid_numbering(problem.cell, problem.form, problem.boundary))


def _factorize(ksp: PETSc.KSP, matrix: PETSc.Mat, symmetric: bool, definite: bool) -> None:
    # MUMPS then takes its pivots from the diagonal, without looking for better ones
    matrix.setOption(PETSc.Mat.Option.SPD, definite)
    ksp.setType(PETSc.KSP.Type.PREONLY)
    pc = ksp.getPC()
    pc.setType(PETSc.PC.Type.CHOLESKY if symmetric else PETSc.PC.Type.LU)
    pc.setFactorSolverType("mumps")
    pc.setFactorSetUpSolverType()
    # nested dissection (METIS) takes half of the default's time in space, and four fifths in the plane
    pc.getFactorMatrix().setMumpsIcntl(7, 5)


def _iterate(ksp: PETSc.KSP, definite: bool) -> None:
    ksp.setType(PETSc.KSP.Type.CG if definite else PETSc.KSP.Type.GMRES)
    if definite:
        ksp.setNormType(PETSc.KSP.NormType.NATURAL)
    else:
        ksp.setGMRESRestart(100)
    ksp.setTolerances(rtol=TOLERANCE, atol=0.0, max_it=_MAX_ITERATIONS)


def _multigrid(ksp: PETSc.KSP, matrix: PETSc.Mat, problem: CellProblem, definite: bool) -> None:
    _iterate(ksp, definite)
    ksp.getPC().setType(PETSc.PC.Type.GAMG)
    space = problem.form.unknown.function_space
    if space.dofmap.index_map_bs > 1:
        modes = rigid_body_modes(space.tabulate_dof_coordinates()[:, : problem.cell.dim])
        free = np.zeros((problem.boundary.size, modes.shape[1]))
        kept = problem.boundary.free >= 0
        free[problem.boundary.free[kept]] = modes[kept]
        own = slice(*matrix.getOwnershipRange())
        vectors = [
            PETSc.Vec().createWithArray(column[own].copy(), comm=matrix.comm)
            for column in np.linalg.qr(free)[0].T
        ]
        matrix.setNearNullSpace(PETSc.NullSpace().create(vectors=vectors, comm=matrix.comm))


def rigid_body_modes(nodes: Array) -> Array:
    """Translations and infinitesimal rotations of nodes (n, dim), shape (n·dim, 3 or 6)."""
    dim = nodes.shape[1]
    modes = [np.tile(np.eye(dim)[k], len(nodes)) for k in range(dim)]
    for i in range(dim):
        for j in range(i + 1, dim):
            rotation = np.zeros_like(nodes)
            rotation[:, i], rotation[:, j] = -nodes[:, j], nodes[:, i]
            modes.append(rotation.reshape(-1))
    return np.array(modes).T
