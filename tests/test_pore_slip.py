"""Slip at the walls of the pores: exact channels, Klinkenberg's law, gas flow on two scales."""

from __future__ import annotations

import two_scale  # isort: skip  # before dolfinx

import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ufl
from cells import Array, fitted_fibre, relative_error
from conftest import Verify
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI
from test_pore_flow import porous, slit

from fe2.errors import InputError, MicroSolveError
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.cell import Cell
from fe2.micro.mesh_cell import read_cell
from fe2.micro.newton import NewtonOptions
from fe2.micro.pore_flow import pore_flow
from fe2.micro.rve import RVE
from fe2.physics.diffusion import value_and_gradient
from fe2.physics.pore_flow import NewtonianFluid, newtonian_fluid

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

PATH, REFERENCE = 0.03, 2.0  # mean free path λ₀ at the reference pressure
RADIUS = 0.4


def gas_cell(cell: Cell, pressure: float, pores: Iterable[str] = ("pore",), **fluid: float) -> RVE:
    gas = NewtonianFluid(3.0, mean_free_path=PATH, reference_pressure=REFERENCE, **fluid)
    return pore_flow(cell, dict.fromkeys(pores, gas), value=True, initial_value=pressure)


def permeability(cell: Cell, pressure: float, **fluid: Any) -> Array:
    return np.array(gas_cell(cell, pressure, **fluid).homogenize().properties["permeability"])


@pytest.mark.parametrize(("dim", "axis"), [(2, 0), (2, 1), (3, 2)])
@pytest.mark.parametrize("pressure", [0.1, 1.0, 100.0])
def test_slit_with_slip_is_exact(dim: int, axis: int, pressure: float) -> None:
    """k = h²/12 (1 + 6 λ/h), times the share of the slit."""
    height = 5
    cell = porous(slit(dim, axis, height), 1.0 / height)
    exact = np.full(dim, height / (height + 1) / 12.0 * (1.0 + 6.0 * PATH * REFERENCE / pressure))
    exact[axis] = 0.0
    assert relative_error(permeability(cell, pressure), np.diag(exact)) < 1e-10


def test_klinkenberg_factor_of_a_slit(verify: Verify) -> None:
    """k (1 + b/p) with b = 6 λ₀ p₀/h, which grows where walls reflect like mirrors."""
    cell = porous(slit(2, 1, 4), 0.25)
    for accommodation in (1.0, 0.8):
        low, high = (permeability(cell, p, accommodation=accommodation)[0, 0] for p in (0.5, 4.0))
        slope = (low - high) / (1 / 0.5 - 1 / 4.0)
        limit = high - slope / 4.0
        assert limit == pytest.approx(0.8 / 12.0, rel=1e-10)
        factor = 6 * PATH * REFERENCE * (2 / accommodation - 1)
        case = f"gas in a slit, accommodation {accommodation:g}: b of k (1 + b/p)"
        source = "exact: Maxwell 1879, Klinkenberg 1941"
        verify(case, slope / limit, factor, tolerance=1e-10 * factor, source=source)


@cache
def tube(count: int) -> Cell:
    """A circular tube, with so many elements along its diameter, in a box."""
    import gmsh

    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        shapes, mesh = gmsh.model.occ, gmsh.model.mesh
        box, disk = shapes.addRectangle(-0.5, -0.5, 0.0, 1.0, 1.0), shapes.addDisk(0, 0, 0, RADIUS, RADIUS)
        shapes.fragment([(2, box)], [(2, disk)])
        shapes.extrude(shapes.getEntities(2), 0.0, 0.0, 0.3, numElements=[3])
        shapes.synchronize()
        pore, grain = sorted(tag for _, tag in shapes.getEntities(3))
        if abs(shapes.getMass(3, pore) - 0.3 * np.pi * RADIUS**2) > 1e-6:
            pore, grain = grain, pore
        for tag, name in ((pore, "pore"), (grain, "grain")):
            gmsh.model.addPhysicalGroup(3, [tag], name=name)
        for _, curve in gmsh.model.getEntities(1):
            low, high = np.array(gmsh.model.getBoundingBox(1, curve)).reshape(2, 3)
            if abs(high[2]) < 1e-3 and max(np.abs(low + high)) > 0.9:  # edges of the box, alike on all sides
                mesh.setTransfiniteCurve(curve, 4)
        for bound in ("Min", "Max"):
            gmsh.option.setNumber(f"Mesh.MeshSize{bound}", 2.0 * RADIUS / count)
        gmsh.option.setNumber("Mesh.ElementOrder", 2)
        mesh.generate(3)
        with tempfile.TemporaryDirectory() as folder:
            gmsh.write(str(Path(folder, "tube.msh")))
            return read_cell(Path(folder, "tube.msh"))
    finally:
        gmsh.finalize()


@pytest.mark.parametrize("pressure", [None, 0.2, 5.0])
def test_tube_converges_to_poiseuille_with_slip(pressure: float | None, verify: Verify) -> None:
    """R²/8 (1 + 4 λ/R), on walls that are curved: the normal velocity vanishes weakly."""
    slip = 0.0 if pressure is None else 4.0 * PATH * REFERENCE / pressure / RADIUS
    exact = np.pi * RADIUS**2 * RADIUS**2 / 8.0 * (1.0 + slip)
    errors = []
    for count in (3, 5):
        if pressure is None:
            k = pore_flow(tube(count), {"pore": NewtonianFluid()}).homogenize().effective
        else:
            k = permeability(tube(count), pressure)
        errors.append(abs(k[2, 2] / exact - 1.0))
        assert np.max(np.abs(k[:2])) < 1e-10 * exact
    slipping = "no slip" if pressure is None else f"slip, p = {pressure:g}"
    source = "exact: R²/8 (1 + 4 λ/R)"
    verify(f"circular tube, {slipping}: permeability", k[2, 2], exact, tolerance=2e-4 * exact, source=source)
    assert np.log(errors[0] / errors[1]) / np.log(5 / 3) > 3.0


def test_slip_around_cylinders_converges_and_vanishes_with_the_mean_free_path() -> None:
    k = [permeability(fitted_fibre(0.2, n, 2), 1.0, pores=["matrix"])[0, 0] for n in (8, 16, 32)]
    assert np.log2((k[1] - k[0]) / (k[2] - k[1])) > 2.5
    sticks = [
        pore_flow(fitted_fibre(0.2, n, 2), {"matrix": NewtonianFluid()}).homogenize().effective[0, 0]
        for n in (8, 16, 32)
    ]
    no_path = [permeability(fitted_fibre(0.2, n, 2), 1e8, pores=["matrix"])[0, 0] for n in (8, 16, 32)]
    errors = np.abs(np.array(no_path) / sticks - 1.0)  # the normal velocity vanishes weakly in the one
    assert np.all(np.log2(errors[:-1] / errors[1:]) > 2.5)
    assert errors[-1] < 1e-4


@pytest.mark.parametrize("density", [0.0, 50.0])
def test_tangent_has_both_blocks(density: float) -> None:
    cell = fitted_fibre(0.2, 8, 2)
    gas = NewtonianFluid(3.0, density=density, mean_free_path=PATH, reference_pressure=REFERENCE)
    options = NewtonOptions(tolerance=1e-12)
    rve = pore_flow(cell, {"matrix": gas}, value=True, initial_value=2.0, options=options)
    state, out, g = rve.initial_state(), np.empty(rve.state_size), np.array([1.5, 100.0, 40.0])
    response = rve.solve(g, state, 0.0, out)
    width = np.diag([1e-4, 1e-2, 1e-2])
    ends = [[rve.solve(g + sign * h, state, 0.0, out).flux for sign in (1, -1)] for h in width]
    differences = np.array([(up - down) / (2 * h.max()) for (up, down), h in zip(ends, width, strict=True)]).T
    assert relative_error(response.tangent[:, 0], differences[:, 0]) < 1e-6
    assert relative_error(response.tangent[:, 1:], differences[:, 1:]) < 1e-6
    assert np.all(response.tangent[1:, 0] < 0.0)  # a higher pressure lets less slip
    assert response.flux[0] == 0.0


def test_gas_flows_by_the_square_of_the_pressure_and_klinkenberg(verify: Verify) -> None:
    """Mass flow ρ v with ρ ∝ p: k/μ (p²/2 + b p) falls linearly, so the flow is exact on any mesh."""
    mesh = dmesh.create_rectangle(MPI.COMM_WORLD, [[0.0, 0.0], [2.0, 1.0]], [4, 1])
    space = fem.functionspace(mesh, ("Lagrange", 1))
    p, q = fem.Function(space), ufl.TestFunction(space)
    p.x.array[:] = 1.0
    rve = gas_cell(porous(slit(2, 1, 2), 0.5), 1.0)
    law = HomogenizedLaw(value_and_gradient(p), rve, quadrature_degree=2, closed="y")
    high, low = 3.0, 0.5
    ends = [
        fem.dirichletbc(value, two_scale.boundary_dofs(space, 0, at), space)
        for value, at in ((high, 0.0), (low, 2.0))
    ]
    F = p * ufl.dot(law.flux, value_and_gradient(q)) * law.dx
    problem = MacroProblem(F, p, law, bcs=ends, petsc_options={"snes_rtol": 1e-11})
    iterations = problem.solve()
    b = 6.0 * PATH * REFERENCE
    mobility = 2.0 / 3.0 / 12.0 / 3.0  # share of the slit, h²/12, viscosity
    exact = mobility * (0.5 * (high**2 - low**2) + b * (high - low)) / 2.0
    inflow, outflow = (problem.reaction(end)[0] for end in ends)
    case = "gas through slits on two scales: mass flow"
    source = "exact: k/μ (p²/2 + b p)"
    verify(case, inflow, exact, tolerance=1e-10 * exact, source=source)
    assert abs(inflow + outflow) < 1e-12 * inflow
    assert iterations <= 6
    assert problem.norms[-1] < 1e3 * problem.norms[-2] ** 2 / problem.norms[0]  # both blocks are there


# Refusals


def test_pressure_that_is_not_positive_is_a_failed_solve() -> None:
    rve = gas_cell(porous(slit(2, 1, 2), 0.5), 1.0)
    with pytest.raises(MicroSolveError, match=r"pressure = -1 is not positive in phase 'pore'"):
        rve.solve(np.array([-1.0, 1.0, 0.0]), rve.initial_state(), 0.0, np.empty(rve.state_size))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"mean free path 0\.03 .* set value=True"),
        ({"value": True}, r"initial_value = 0\.0 is not admissible; it must be positive"),
        ({"value": True, "initial_value": -1.0}, "must be positive"),
    ],
)
def test_gas_needs_its_pressure(options: dict[str, Any], message: str) -> None:
    gas = NewtonianFluid(mean_free_path=PATH)
    with pytest.raises(InputError, match=message):
        pore_flow(porous(slit(2, 1, 2)), {"pore": gas}, **options)


@pytest.mark.parametrize(
    ("name", "value"),
    [("mean_free_path", -1.0), ("reference_pressure", 0.0), ("accommodation", 0.0), ("accommodation", 1.5)],
)
def test_numbers_of_a_gas_are_admissible(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"NewtonianFluid: {name} = {value} is not admissible"):
        newtonian_fluid(**{name: value})
