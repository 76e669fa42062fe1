"""Iterations with multigrid on each field against factorizations."""

from __future__ import annotations

import re
from typing import Any

import coupled
import numpy as np
import pytest
import two_scale
import ufl
from dolfinx import fem
from mpi import ROOT, mpiexec, succeeded
from mpi4py import MPI

from fe2.errors import InputError
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.physics.small_strain import mandel_strain

WORLD = MPI.COMM_WORLD


def heated(**options: Any) -> MacroProblem:
    """Displacement and temperature."""
    found = coupled.body(WORLD, **options)
    found.stretch.value = 0.004
    return found.problem


def incompressible(**options: Any) -> MacroProblem:
    """A saddle point: a pressure that keeps the volume of a strip under its weight, of quadratic elements."""
    mesh = two_scale.distorted(WORLD, (6, 4), (2.0, 1.0))
    V, Q = fem.functionspace(mesh, ("Lagrange", 2, (2,))), fem.functionspace(mesh, ("Lagrange", 1))
    u, p = fem.Function(V, name="u"), fem.Function(Q, name="p")
    v, q = ufl.TestFunction(V), ufl.TestFunction(Q)
    law = HomogenizedLaw(mandel_strain(u), two_scale.elastic_rve().linearized())
    F_u = (ufl.dot(law.flux, mandel_strain(v)) - p * ufl.div(v) + 100.0 * v[1]) * law.dx
    F_p = -q * ufl.div(u) * law.dx
    held = fem.dirichletbc(np.zeros(2), two_scale.boundary_dofs(V, 0, 0.0), V)
    return MacroProblem([F_u, F_p], [u, p], law, bcs=[held], **options)


def elastic(**options: Any) -> MacroProblem:
    mesh = two_scale.distorted(WORLD, (6, 4), (2.0, 1.0))
    V = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, v = fem.Function(V, name="u"), ufl.TestFunction(V)
    law = HomogenizedLaw(mandel_strain(u), two_scale.elastic_rve().linearized())
    F = (ufl.dot(law.flux, mandel_strain(v)) + 100.0 * v[1]) * law.dx
    held = fem.dirichletbc(np.zeros(2), two_scale.boundary_dofs(V, 0, 0.0), V)
    return MacroProblem(F, u, law, bcs=[held], **options)


@pytest.mark.parametrize("make", [heated, incompressible, elastic])
def test_blocks_have_the_solution_of_the_factorization_in_one_iteration_of_newton(make):
    found = []
    for preconditioner in ("direct", "blocks"):
        problem = make(preconditioner=preconditioner)
        with problem.step(0.5):
            assert problem.solve() == 1
        found.append([u.x.array.copy() for u in problem.functions])
    assert problem.snes.getLinearSolveIterations() > 1
    for direct, blocks in zip(*found, strict=True):
        # a residual of 1e-9 of the forces, times the condition of a few hundred unknowns
        np.testing.assert_allclose(blocks, direct, atol=1e-6 * np.abs(direct).max())


@pytest.mark.mpi
def test_iterations_hardly_grow_with_the_mesh_on_two_ranks():
    """Eight times the unknowns."""
    program = ROOT / "benchmarks" / "block_preconditioner.py"
    text = succeeded(mpiexec(2, [str(program), "--divisions", "4", "8", "--dt", "100"]))
    counts = [int(n) for n in re.findall(r"(\d+) of the linear solver", text)]
    assert len(counts) == 2
    assert max(counts) < 30
    assert counts[1] < 1.5 * counts[0]


def test_preconditioner_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="preconditioner = 'block' is not one of direct, blocks"):
        elastic(preconditioner="block")
