"""Cells with several fields: each in equilibrium against its own forces, whatever the units of the others.

The module also runs under mpiexec, see test_groups.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Literal

import basix.ufl
import numpy as np
import pytest
import ufl
from cells import distorted, two_phases
from dolfinx import fem
from mpi4py import MPI
from own_forms import Array, heated_rods, scalar_kinematics

import fe2
from fe2 import profile
from fe2.micro.boundary import boundary_map
from fe2.micro.field_groups import component_groups, field_groups
from fe2.micro.form import CellForm
from fe2.micro.points import NOWHERE, Step
from fe2.micro.problem import CellProblem
from fe2.micro.rve import RVE

WORLD = MPI.COMM_WORLD
IMAGE = [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
UNITS = [(1.0, 1.0), (1e-6, 1.0), (1e3, 1e-3), (1e6, 1e9)]
"""Units of stress, in MPa, and of temperature, in K: Pa, GPa, TPa; mK and GK."""
SUBDUED = [
    np.array([4e-3, 1e-3, 1e5, 0.0]),
    np.array([1e-3, 0.0, 1e5, 5e4]),
    np.array([5e-3, 2e-3, 1.0, 2.0]),
]
"""Plastic strains beside heat flows that are much larger, or smaller, as numbers."""

Strategy = Literal["adaptive", "newton"]


@cache
def rods(
    stress: float = 1.0, temperature: float = 1.0, coupling: float = 0.0, strategy: Strategy = "newton"
) -> RVE:
    cell = two_phases(IMAGE, 0.25)
    options = fe2.NewtonOptions(strategy=strategy, parts=1 if coupling else 8)
    return heated_rods(cell, stress, temperature, coupling=coupling, options=options)


def walk(rve: RVE, path: list[Array], scale: Array) -> list[Array]:
    """Fluxes and tangents along a path, in MPa and K; the adaptive strategy approaches, then polishes."""
    state, found = rve.initial_state(), []
    for gradient in path:
        out = state.copy()
        kinds = [Step(1.0, 0.0, "approach", 1e-2), Step(1.0, 0.0, "approach", 1e-4), Step(1.0, 0.0, "polish")]
        for step in kinds if rve.adaptive else [Step(1.0)]:
            response = rve.respond(gradient / scale[0], state, out, NOWHERE, step)
        state, found = (
            out,
            [*found, response.flux * scale[1], response.tangent * np.outer(scale[1], 1 / scale[0])],
        )
    return found


def scales(stress: float, temperature: float) -> Array:
    """Numbers in MPa and K over those in a unit, of the gradient and of the flux."""
    return np.array([[1.0, 1.0, temperature, temperature], [stress, stress, 1.0, 1.0]])


@pytest.mark.parametrize("strategy", ["newton", "adaptive"])
@pytest.mark.parametrize("gradient", SUBDUED)
def test_fields_side_by_side_are_solved_as_each_by_itself(gradient: Array, strategy: Strategy) -> None:
    """Without a coupling the answer is the sum of those to strain and to temperature gradient alone."""
    rve, exact = rods(strategy=strategy), rods(strategy="newton")
    together = walk(rve, [gradient], scales(1.0, 1.0))[0]
    strained, heated = (
        walk(exact, [gradient * on], scales(1.0, 1.0))[0] for on in ([1, 1, 0, 0], [0, 0, 1, 1])
    )
    np.testing.assert_allclose(together[:2], strained[:2], rtol=0, atol=1e-6 * np.abs(strained[:2]).max())
    np.testing.assert_allclose(together[2:], heated[2:], rtol=0, atol=1e-6 * np.abs(heated[2:]).max())


@pytest.mark.parametrize("strategy", ["newton", "adaptive"])
def test_work_and_answers_are_the_same_in_all_units(strategy: Strategy) -> None:
    path = [
        np.array([2e-3, 1e-3, 3e4, 1e4]),
        np.array([5e-3, 1e-3, 1e5, 0.0]),
        np.array([4e-3, 1e-3, 5e4, 1e5]),
    ]
    found = []
    for unit in UNITS:
        rve, start = rods(*unit, coupling=1e-8, strategy=strategy), profile.snapshot()
        answers = walk(rve, path, scales(*unit))
        found.append((answers, profile.snapshot().since(start).counts))
    (reference, counts), *others = found
    for answers, others_counts in others:
        for one, two in zip(answers, reference, strict=True):
            for part in (slice(0, 2), slice(2, 4)):
                np.testing.assert_allclose(one[part], two[part], rtol=0, atol=1e-7 * np.abs(two[part]).max())
        assert others_counts == counts
    assert counts["fallbacks"] == 0


@pytest.mark.parametrize("strategy", ["newton", "adaptive"])
def test_field_on_which_the_gradient_puts_no_forces_is_solved_too(strategy: Strategy) -> None:
    """Its forces are those on the faces: another field brings them."""
    gradient, found = np.array([4e-3, 1e-3, 0.0, 0.0]), []
    for unit in UNITS:
        options = fe2.NewtonOptions(strategy=strategy, parts=1)
        rve = heated_rods(two_phases(IMAGE, 0.25), *unit, drift=1e5, options=options)
        found.append(walk(rve, [gradient], scales(*unit))[0])
    assert np.abs(found[0][2]) > 1.0
    for flux in found[1:]:
        for part in (slice(0, 2), slice(2, 3)):
            np.testing.assert_allclose(
                flux[part], found[0][part], rtol=0, atol=1e-7 * np.abs(flux[part]).max()
            )


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
def test_pressure_is_measured_with_the_displacements_that_it_constrains(order: tuple[int, ...]) -> None:
    """Of displacements (0), their pressure (1) and a temperature (2), in any order."""
    cell = distorted("triangle")
    mesh, kind = cell.mesh, cell.mesh.basix_cell()
    elements = [
        basix.ufl.element("Lagrange", kind, 2, shape=(2,)),
        basix.ufl.element("Lagrange", kind, 1),
        basix.ufl.element("Lagrange", kind, 1),
    ]
    space = fem.functionspace(mesh, basix.ufl.mixed_element([elements[k] for k in order]))
    unknown = fem.Function(space)
    parts, tests = ufl.split(unknown), ufl.TestFunctions(space)
    (u, p, t), (v, q, r) = ([group[order.index(k)] for k in range(3)] for group in (parts, tests))
    work = 1e9 * ufl.inner(ufl.sym(ufl.grad(u)), ufl.grad(v)) - p * ufl.div(v) - q * ufl.div(u)
    modes = np.zeros((len(unknown.x.array), 6))
    places = [space.sub(order.index(k)).collapse() for k in (0, 2)]
    x = places[0][0].tabulate_dof_coordinates()[:, :2]
    flat = np.asarray(places[0][1]).reshape(-1, 2)
    modes[flat[:, 0], 0:2] = modes[flat[:, 1], 2:4] = x
    modes[np.asarray(places[1][1]).reshape(-1), 4:] = places[1][0].tabulate_dof_coordinates()[:, :2]
    form = CellForm(
        kinematics=dataclasses.replace(
            scalar_kinematics("heated fluid", ("xx", "xy", "yx", "yy", "x", "y"), "gradient", "flux"), dim=2
        ),
        unknown=unknown,
        residual=(work + 1e-3 * ufl.dot(ufl.grad(t), ufl.grad(r)) - 1e3 * t * ufl.div(v)) * ufl.dx,
        modes=modes,
        dt=fem.Constant(mesh, 0.0),
    )
    problem = CellProblem(cell, form, boundary_map("linear", cell, form))
    problem.assemble_stiffness()
    groups = field_groups(problem, problem.stiffness @ modes)
    dofs = [np.sort(np.asarray(space.sub(order.index(k)).collapse()[1]).reshape(-1)) for k in range(3)]
    found = {frozenset(group.dofs.tolist()) for group in groups}
    assert found == {frozenset([*dofs[0].tolist(), *dofs[1].tolist()]), frozenset(dofs[2].tolist())}
    assert [len(group) for group in component_groups(form)] in ([4, 2], [2, 4])


def test_increments_in_parts_are_the_same_in_all_units() -> None:
    """Few iterations are allowed; the tangent goes through the history of the parts."""
    gradient, found = np.array([4e-3, 1e-3, 5e4, 0.0]), []
    for unit in UNITS:
        options = fe2.NewtonOptions(strategy="newton", max_iterations=3, parts=64)
        rve = heated_rods(two_phases(IMAGE, 0.25), *unit, coupling=1e-8, options=options)
        found.append((*walk(rve, [gradient], scales(*unit)), rve.splits))
    assert found[0][-1] == 1
    for flux, tangent, splits in found[1:]:
        assert splits == 1
        for part in (slice(0, 2), slice(2, 4)):
            for one, two in ((flux[part], found[0][0][part]), (tangent[part], found[0][1][part])):
                np.testing.assert_allclose(one, two, rtol=0, atol=1e-7 * np.abs(two).max())


@pytest.mark.parametrize("unit", UNITS[:2])
def test_ranks_that_share_a_cell_answer_as_one(unit: tuple[float, float]) -> None:
    whole = rods(*unit, coupling=1e-8)
    part = whole.distributed(WORLD)
    state, out, own = whole.initial_state(), whole.initial_state(), part.initial_state()
    gradient = SUBDUED[1] / scales(*unit)[0]
    expected = whole.solve(gradient, state, 1.0, out)
    found = part.solve(gradient, own, 1.0, np.empty_like(own))
    assert found.iterations == expected.iterations
    for kind in (slice(0, 2), slice(2, 4)):
        size = np.abs(expected.flux[kind]).max()
        np.testing.assert_allclose(found.flux[kind], expected.flux[kind], rtol=0, atol=1e-8 * size)
