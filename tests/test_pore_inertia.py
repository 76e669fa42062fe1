"""Inertia in the pores: Darcy's law at rest, a correction that begins cubic and turns quadratic."""

from __future__ import annotations

import two_scale  # isort: skip  # before dolfinx

from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg as spla
import ufl
from cells import Array, fitted_fibre, relative_error
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI
from test_pore_flow import porous, slit
from ufl.core.expr import Expr

from fe2.errors import InputError, MicroSolveError
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.boundary import boundary_map
from fe2.micro.newton import NewtonOptions
from fe2.micro.pore_flow import pore_flow
from fe2.micro.rve import RVE
from fe2.physics.diffusion import gradient
from fe2.physics.pore_flow import NewtonianFluid, newtonian_fluid
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

ALONG, INCLINED = np.array([1.0, 0.0]), np.array([0.8, 0.6])


def array_of_cylinders(count: int, density: float, degree: int = 2, **options: Any) -> RVE:
    """Square array, solid fraction 0.2, period and viscosity 1."""
    fluid = NewtonianFluid(1.0, density=density)
    return pore_flow(fitted_fibre(0.2, count, 2), {"matrix": fluid}, degree=degree, **options)


def velocities(rve: RVE, gradients: Array) -> Array:
    """Seepage velocities under rising pressure gradients, each started from the one before."""
    state, found = rve.initial_state(), []
    for g in gradients:
        out = np.empty_like(state)
        found.append(-rve.solve(-g, state, 0.0, out).flux)
        state = out
    return np.array(found)


def integral(rve: RVE, density: Expr) -> float:
    """Integral over the pores, with the quadrature rule of the cell."""
    metadata = {"quadrature_degree": rve.form.quadrature_degree, "quadrature_rule": "default"}
    return float(fem.assemble_scalar(fem.form(density * ufl.dx(metadata=metadata))))


def test_flow_along_a_slit_has_no_inertia() -> None:
    fluid = NewtonianFluid(0.5, density=1e4)
    rve = pore_flow(porous(slit(2, 1, 5), 0.2), {"pore": fluid})
    out = np.empty(rve.state_size)
    flux = rve.solve(np.array([100.0, 0.0]), rve.initial_state(), 0.0, out).flux
    assert relative_error(flux, [100.0 / 0.5 * 5 / 6 / 12.0, 0.0]) < 1e-10


@pytest.mark.parametrize("direction", [ALONG, INCLINED])
def test_correction_to_darcy_begins_with_the_dissipation_of_the_first_correction(direction: Array) -> None:
    """s·e = k ε - ε³ ⟨μ |∇v₁|²⟩, where v₁ solves Stokes' equations under the inertia of Stokes' flow v₀.

    Mei & Auriault 1991; the quadratic term vanishes in the continuum and, with skew-symmetric inertia, here.
    """
    slow, swift = (array_of_cylinders(8, density, quadrature_degree=5) for density in (0.0, 1.0))
    out = np.empty(slow.state_size)
    rate = slow.solve(direction, slow.initial_state(), 0.0, out).flux @ direction
    slow.fields(out)  # puts v₀ into the form's unknown
    v0, _ = ufl.split(slow.form.unknown)
    w, _ = ufl.split(ufl.TestFunction(slow.form.unknown.function_space))
    inertia = 0.5 * (ufl.dot(ufl.grad(v0) * v0, w) - ufl.dot(ufl.grad(w) * v0, v0))
    load = fem.assemble_vector(fem.form(inertia * ufl.dx(metadata={"quadrature_degree": 5}))).array
    stiffness = fem.assemble_matrix(fem.form(slow.form.derived_jacobian())).to_scipy()
    T = boundary_map("periodic", slow.cell, slow.form).matrix
    slow.form.unknown.x.array[:] = T @ spla.spsolve((T.T @ stiffness @ T).tocsc(), T.T @ load)
    dissipation = integral(slow, ufl.inner(ufl.grad(v0), ufl.grad(v0)))
    sizes = np.array([20.0, 40.0])
    flux = -velocities(swift, -sizes[:, None] * direction) @ direction
    errors = (rate * sizes - flux) / sizes**3 / dissipation - 1.0
    assert np.all(np.abs(errors) < 1e-2)
    assert np.log2(errors[1] / errors[0]) == pytest.approx(2.0, abs=0.1)  # the next term is of fifth order


def test_correction_to_darcy_is_cubic_at_first_and_quadratic_in_the_end() -> None:
    """Exponent of g - (μ/k) V in V, along g; the Reynolds number is that of the period."""
    rve = array_of_cylinders(16, 1.0)
    sizes = 10.0 ** np.arange(0.0, 3.76, 0.25)
    found = velocities(rve, sizes[:, None] * INCLINED)
    k = rve.homogenize().effective
    correction = sizes - np.linalg.solve(k, found.T).T @ INCLINED
    speed = np.linalg.norm(found, axis=1)
    exponents = np.diff(np.log(correction)) / np.diff(np.log(speed))
    assert np.all(np.abs(exponents[speed[1:] < 0.3] - 3.0) < 0.01)
    assert np.all(np.diff(exponents[speed[1:] > 0.3]) < 0.0)
    assert 50.0 < speed[-1] < 70.0
    assert exponents[-1] == pytest.approx(2.0, abs=0.2)


def test_tangent_of_a_flowing_cell_agrees_with_differences_and_is_not_symmetric() -> None:
    rve = array_of_cylinders(8, 1.0, options=NewtonOptions(tolerance=1e-12))
    state, out, g = rve.initial_state(), np.empty(rve.state_size), 1000.0 * INCLINED
    tangent = rve.solve(g, state, 0.0, out).tangent
    steps = 0.1 * np.eye(2)
    ends = [[rve.solve(g + sign * h, state, 0.0, out).flux for sign in (1, -1)] for h in steps]
    differences = np.array([(up - down) / 0.2 for up, down in ends]).T
    assert relative_error(tangent, differences) < 1e-6
    rest = rve.homogenize().effective
    assert relative_error(tangent, rest) > 0.1
    assert abs(tangent[0, 1] - tangent[1, 0]) > 1e-3 * tangent[0, 0]
    assert relative_error(rest, rest.T) < 1e-10


def test_power_of_a_swift_flow_is_what_viscosity_dissipates() -> None:
    """Hill–Mandel: inertia does no work, on any mesh."""
    rve = array_of_cylinders(8, 1.0)
    out, g = np.empty(rve.state_size), 3000.0 * INCLINED
    flux = rve.solve(g, rve.initial_state(), 0.0, out).flux
    rve.fields(out)
    v, _ = ufl.split(rve.form.unknown)
    dissipated = integral(rve, ufl.inner(ufl.grad(v), ufl.grad(v)))
    assert flux @ g == pytest.approx(dissipated, rel=1e-7)
    assert abs(integral(rve, ufl.div(v))) < 1e-10


def test_swift_flow_converges_with_mesh_and_degree() -> None:
    g = np.array([1000.0, 3000.0])[:, None] * INCLINED
    coarse, fine, best = (
        velocities(array_of_cylinders(n, 1.0, degree), g)[-1] for n, degree in ((8, 2), (16, 2), (16, 3))
    )
    assert 30.0 < np.linalg.norm(best) < 50.0
    assert relative_error(fine, best) < 2e-3
    assert relative_error(coarse, best) > 6.0 * relative_error(fine, best)  # third order


def test_velocities_scale_with_the_reynolds_number_alone() -> None:
    """In SI units, with water and grains of a tenth of a millimetre: v = (ν/L) Re(g L³/(ρν²))."""
    length, viscosity, density = 1e-4, 1e-3, 1e3
    labels = np.zeros((8, 8), dtype=int)
    labels[2:5, 2:6] = 1
    one = pore_flow(porous(labels, 1 / 8), {"pore": NewtonianFluid(1.0, density=1.0)})
    water = pore_flow(porous(labels, length / 8), {"pore": NewtonianFluid(viscosity, density=density)})
    g = 2000.0 * INCLINED
    expected = viscosity / density / length * velocities(one, g[None])[0]
    found = velocities(water, g[None] * viscosity**2 / density / length**3)[0]
    assert relative_error(found, expected) < 1e-7


def test_flow_that_does_not_converge_is_a_failed_solve_and_the_step_is_cut() -> None:
    rve = array_of_cylinders(8, 1.0, options=NewtonOptions(max_iterations=1))
    with pytest.raises(MicroSolveError, match="did not converge in 1 iteration"):
        rve.solve(3000.0 * INCLINED, rve.initial_state(), 0.0, np.empty(rve.state_size))
    mesh = dmesh.create_rectangle(MPI.COMM_WORLD, [[0.0, 0.0], [1.0, 1.0]], [1, 1])
    space = fem.functionspace(mesh, ("Lagrange", 1))
    p, q = fem.Function(space), ufl.TestFunction(space)
    drop = fem.Constant(mesh, 0.0)
    ends = [
        fem.dirichletbc(value, two_scale.boundary_dofs(space, 0, at), space)
        for value, at in ((drop, 0.0), (fem.Constant(mesh, 0.0), 1.0))
    ]
    law = HomogenizedLaw(gradient(p), rve, quadrature_degree=1)
    problem = MacroProblem(ufl.dot(law.flux, gradient(q)) * law.dx, p, law, bcs=ends)
    steps = LoadSteps([0.0, 1.0], lambda t: drop.value.fill(3000.0 * t))
    summary = Simulation(problem, steps, quiet=True).run()
    assert summary.finished
    assert summary.rejected > 0
    inflow, outflow = (problem.reaction(end)[0] for end in ends)
    assert inflow == pytest.approx(
        velocities(array_of_cylinders(8, 1.0), 3000.0 * ALONG[None])[0, 0], rel=1e-2
    )
    assert abs(inflow + outflow) < 1e-12 * inflow


@pytest.mark.parametrize("make", [NewtonianFluid, newtonian_fluid])
def test_density_is_not_negative(make: Any) -> None:
    with pytest.raises(InputError, match=r"NewtonianFluid: density = -1.0 .* must be zero or positive"):
        make(1.0, density=-1.0)
