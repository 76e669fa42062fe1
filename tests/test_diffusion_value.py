"""Cells that receive the value of the field: conductivity and storage that depend on it, phase change."""

from __future__ import annotations

import heat  # isort: skip  # before dolfinx

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import two_scale
import ufl
from cells import Array, laminate, random_image, relative_error, two_phases
from mpi import PROGRAMS, mpiexec, succeeded
from mpi4py import MPI
from ufl.core.expr import Expr

from fe2 import profile
from fe2.errors import InputError, MicroSolveError
from fe2.micro.boundary import BOUNDARY_CONDITIONS
from fe2.micro.diffusion import diffusion
from fe2.micro.material_test import MaterialPath
from fe2.micro.newton import NewtonOptions
from fe2.micro.rve import RVE
from fe2.physics.conduction import LinearConduction, NonlinearConduction
from fe2.physics.melting import MeltingConduction

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

ROUND_OFF = 1e-10
NONLINEAR = NonlinearConduction(lambda T: 1.0 + 0.3 * T**2, enthalpy=lambda T: 2.0 * T + ufl.exp(0.5 * T))
WAX = MeltingConduction(
    0.4, 2.0, 30.0, solidus=-0.2, liquidus=0.3, liquid_conductivity=0.2, liquid_capacity=2.5
)
METAL = LinearConduction(20.0, capacity=3.0)
STORING = NonlinearConduction(lambda T: ufl.as_ufl(1.0), enthalpy=lambda T: 2.0 * T + ufl.exp(0.5 * T))


def solved(rve: RVE, gradient: Array, state: Array, dt: float) -> Any:
    return rve.solve(np.array(gradient, dtype=float), state, dt, np.empty(rve.state_size))


def after(rve: RVE, gradient: Array, state: Array, dt: float) -> Array:
    out = np.empty(rve.state_size)
    rve.solve(np.array(gradient, dtype=float), state, dt, out)
    return out


@pytest.mark.parametrize("shape", ["triangle", "hexahedron"])
def test_laminate_has_the_means_of_conductivities_at_the_value(shape: str) -> None:
    rve = diffusion(laminate(shape, 0), {"a": NONLINEAR, "b": METAL}, value=True)
    for value in (0.0, 0.7, -2.0):
        tangent = solved(rve, [value, *np.zeros(rve.cell.dim)], rve.initial_state(), 0.0).tangent
        k, dk = 1.0 + 0.3 * value**2, 0.6 * value
        exact = np.full(rve.cell.dim, 0.4 * k + 0.6 * 20.0)
        exact[0] = 1.0 / (0.4 / k + 0.6 / 20.0)
        assert relative_error(tangent[1:, 1:], np.diag(exact)) < ROUND_OFF
        slope = np.eye(rve.cell.dim)[0]
        coupled = solved(rve, [value, *slope], rve.initial_state(), 0.0).tangent
        assert coupled[1, 0] == pytest.approx(0.4 * dk / k**2 * exact[0] ** 2, abs=1e-10)


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
@pytest.mark.parametrize("laws", ["nonlinear", "melting"])
def test_tangent_is_the_derivative_of_storage_and_flux(laws: str, boundary: str) -> None:
    phases = {"a": NONLINEAR if laws == "nonlinear" else WAX, "b": METAL}
    rve = diffusion(random_image(2, 5), phases, value=True, boundary=boundary)
    state = after(rve, [-0.1, 0.4, 0.2], rve.initial_state(), 0.3)
    for value in (-0.4, 0.1, 0.6):
        g, step = np.array([value, 1.3, -0.6]), 1e-6
        tangent = solved(rve, g, state, 0.2).tangent
        columns = [
            (solved(rve, g + step * e, state, 0.2).flux - solved(rve, g - step * e, state, 0.2).flux)
            / (2 * step)
            for e in np.eye(3)
        ]
        assert relative_error(tangent[0], np.array(columns).T[0]) < 1e-6
        assert relative_error(tangent[1:], np.array(columns).T[1:]) < 1e-6
        assert np.allclose(tangent[0, 1:], 0.0)  # storage does not know the gradient: no first moment
        if abs(value - 0.1) < 0.2:
            assert np.abs(tangent[1:, 0]).max() > 1e-2


def test_storage_is_the_mean_of_the_phases() -> None:
    rve = diffusion(laminate("quadrilateral", 1), {"a": WAX, "b": METAL}, value=True, initial_value=-1.0)
    state, dt = rve.initial_state(), 0.25
    sensible = 0.4 * 2.0 * (-1.0 + 0.2) + 0.6 * 3.0 * -1.0
    assert rve.averages(state[None])["enthalpy"][0, 0] == pytest.approx(sensible, rel=ROUND_OFF)
    melted = 0.4 * (2.0 * 0.5 + 0.5 * 0.25 + 2.5 * 0.7 + 30.0) + 0.6 * 3.0
    response = solved(rve, [1.0, 0.0, 0.0], state, dt)
    assert response.flux[0] == pytest.approx((melted - sensible) / dt, rel=ROUND_OFF)
    assert response.tangent[0, 0] == pytest.approx((0.4 * 2.5 + 0.6 * 3.0) / dt, rel=ROUND_OFF)
    steady = solved(rve, [1.0, 2.0, 0.0], state, 0.0)
    assert steady.flux[0] == 0.0
    assert steady.flux[1] == pytest.approx(2.0 * (0.4 * 0.2 + 0.6 * 20.0), rel=ROUND_OFF)


def test_size_of_the_cell_does_not_matter() -> None:
    """The cell is small against everything macroscopic: its storage has no moment, at any size."""
    pattern, g = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]), np.array([0.1, 2.0, -1.0])
    responses = []
    for size in (1e-3, 1.0, 50.0):
        rve = diffusion(two_phases(pattern, size), {"a": WAX, "b": METAL}, value=True)
        responses.append(solved(rve, g, rve.initial_state(), 0.1))
    for response in responses[1:]:
        assert relative_error(response.flux, responses[0].flux) < ROUND_OFF
        assert relative_error(response.tangent, responses[0].tangent) < ROUND_OFF


def test_large_storage_does_not_hide_the_flux() -> None:
    """Convergence is judged by the flux alone: storage is given with the value."""
    small, large = (
        diffusion(
            random_image(2, 5),
            {
                "a": NonlinearConduction(lambda T: 1.0 + T, lambda T: T),
                "b": LinearConduction(9.0, capacity=c),
            },
            value=True,
        )
        for c in (1.0, 1e14)
    )
    g = [2.0, 0.3, 1.0]
    fluxes = [
        solved(rve, g, after(rve, [0, 0.1, 0], rve.initial_state(), 0), 1e-3).flux for rve in (small, large)
    ]
    assert relative_error(fluxes[1][1:], fluxes[0][1:]) < ROUND_OFF


def test_path_of_values_without_flux_follows_the_enthalpy() -> None:
    rve = diffusion(random_image(2, 5), {"a": WAX, "b": METAL}, value=True, initial_value=-1.0)
    times = np.linspace(0.0, 1.0, 6)
    values = -1.0 + 2.0 * times
    test = rve.drive(
        MaterialPath(times, gradient={"value": values, "gradient_x": 0.0 * times, "gradient_y": 0.0 * times})
    )
    stored = np.sum(test.flux[1:, 0] * np.diff(times))
    change = np.diff(rve.averages(np.array([rve.initial_state(), test.state]))["enthalpy"][:, 0])
    assert stored == pytest.approx(change[0], rel=ROUND_OFF)


def test_negative_conductivity_of_a_formula_is_a_failed_micro_solve() -> None:
    law = NonlinearConduction(lambda T: 1.0 - T)
    rve = diffusion(laminate("quadrilateral", 0), {"a": law, "b": law}, value=True)
    solved(rve, [0.5, 1.0, 0.0], rve.initial_state(), 0.0)
    with pytest.raises(MicroSolveError, match=r"conductivity = -0\.5 is not positive in phase 'a'"):
        solved(rve, [1.5, 1.0, 0.0], rve.initial_state(), 0.0)


def test_formula_that_has_no_meaning_at_zero_starts_at_its_initial_value() -> None:
    law = NonlinearConduction(lambda T: 600.0 / T, lambda T: ufl.ln(T))
    rve = diffusion(random_image(2, 5), {"a": law, "b": METAL}, value=True, initial_value=300.0)
    assert rve.homogenize().properties["bounds"]["voigt"][0, 0] == pytest.approx(
        2.0 * rve.cell.volume_fractions["a"] + 20.0 * rve.cell.volume_fractions["b"]
    )
    assert np.all(np.isfinite(solved(rve, [310.0, 1.0, 0.0], rve.initial_state(), 1.0).flux))


def test_isotropic_and_anisotropic_formulas() -> None:
    def matrix(T: Expr) -> Expr:
        return ufl.as_matrix([[2.0 + T, 0.5], [0.5, 1.0]])

    law = NonlinearConduction(matrix)
    rve = diffusion(laminate("triangle", 0), {"a": law, "b": law}, value=True)
    response = solved(rve, [1.0, 1.0, 2.0], rve.initial_state(), 0.0)
    assert np.allclose(response.flux, [0.0, 4.0, 2.5])
    assert np.allclose(response.tangent, [[0, 0, 0], [1.0, 3.0, 0.5], [0.0, 0.5, 1.0]])


def test_laws_that_cannot_be_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"NonlinearConduction: .* are functions of the value"):
        NonlinearConduction(2.0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"liquidus = 0 is not admissible; it must be above the solidus, 1"):
        MeltingConduction(1.0, 1.0, 10.0, solidus=1.0, liquidus=0.0)
    with pytest.raises(InputError, match=r"MeltingConduction: latent_heat = -1"):
        MeltingConduction(1.0, 1.0, -1.0, solidus=0.0, liquidus=1.0)
    with pytest.raises(
        InputError, match=r"phase 'a', a NonlinearConduction, depends on the value .* value=True"
    ):
        diffusion(laminate("triangle", 0), {"a": NONLINEAR, "b": METAL})
    with pytest.raises(InputError, match="initial_value = nan"):
        diffusion(laminate("triangle", 0), {"a": NONLINEAR, "b": METAL}, value=True, initial_value=np.nan)
    rve = diffusion(laminate("triangle", 0), {"a": NONLINEAR, "b": METAL}, value=True)
    with pytest.raises(
        InputError, match=r"shape \(2,\); this RVE takes 3 components: value, gradient_x, gradient_y"
    ):
        solved(rve, [1.0, 0.0], rve.initial_state(), 0.0)


NEWTON = NewtonOptions(strategy="newton")
CYCLE = [(0.3, 0.0), (1.0, 0.1), (1.0, 0.9), (0.2, 0.9), (-0.8, -0.5), (-0.5, -0.5)]


@pytest.mark.parametrize("law", [NONLINEAR, METAL, WAX], ids=["nonlinear", "linear", "melting"])
def test_homogeneous_cell_is_the_single_scale_problem_with_the_same_newton_counts(law: Any) -> None:
    mesh = two_scale.distorted(MPI.COMM_WORLD, (4, 2), (2.0, 1.0))
    rve = diffusion(
        laminate("triangle", 0), {"a": law, "b": law}, value=True, initial_value=-0.5, options=NEWTON
    )
    two, one = heat.strip(mesh, rve), heat.SingleScale(mesh, law)
    two.start(-0.5)
    one.start(-0.5)
    for left, right in CYCLE:
        assert two.step(left, right, 0.4) == one.step(left, right, 0.4)
        assert np.allclose(two.T.x.array, one.T.x.array, rtol=0.0, atol=1e-10)


@cache
def composite() -> RVE:
    return diffusion(
        two_scale.fibre_cell(),
        {"matrix": METAL, "fibre": WAX},
        value=True,
        initial_value=-0.5,
        options=NewtonOptions(tolerance=1e-12),
    )


@pytest.mark.parametrize("law", [METAL, STORING], ids=["linear", "enthalpy"])
def test_run_of_cells_whose_equilibrium_is_linear_costs_one_factorization(law: Any) -> None:
    """Conductivities do not change: however much is stored, all points of all steps share one solution."""
    rve = diffusion(two_phases([[0, 1, 0], [0, 0, 0], [0, 0, 1]]), {"a": METAL, "b": law}, value=True)
    assert not rve.is_linear
    start = profile.snapshot()
    strip = heat.strip(two_scale.rectangle(MPI.COMM_WORLD), rve)
    strip.start(-0.5)
    content, entered = strip.content(), 0.0
    for left, right in CYCLE:
        strip.step(left, right, 0.4)
        entered += 0.4 * strip.inflow()
    assert strip.content() - content == pytest.approx(entered, rel=1e-9)
    counts = profile.snapshot().since(start).counts
    assert (counts["factorizations"], counts["solves"]) == (1, rve.kinematics.size)


def test_heat_is_conserved_over_melting_and_freezing() -> None:
    """What has entered through the ends is what the cells hold, at every step."""
    strip = heat.strip(two_scale.rectangle(MPI.COMM_WORLD), composite())
    strip.start(-0.5)
    start, entered, contents = strip.content(), 0.0, []
    for left, right in [*CYCLE, *20 * [(-0.5, -0.5)]]:
        strip.step(left, right, 0.5)
        entered += 0.5 * strip.inflow()
        contents.append(strip.content() - start)
        assert abs(contents[-1] - entered) < 1e-9 * max(contents)
    assert max(contents) > 2.0 * 0.25 * 30.0  # all has been molten
    assert abs(entered) < 1e-2 * max(contents)  # and is frozen again
    assert np.allclose(strip.T.x.array, -0.5, atol=1e-2)


def test_macroscopic_newton_converges_quadratically_with_both_blocks_of_the_tangent() -> None:
    rve = diffusion(random_image(2, 5), {"a": NONLINEAR, "b": METAL}, value=True)
    strip = heat.strip(two_scale.rectangle(MPI.COMM_WORLD), rve)
    strip.start(0.0)
    strip.step(1.5, -1.0, 0.3)
    norms = np.array(strip.problem.norms)
    fast = [(a, b) for a, b in zip(norms / norms[0], norms[1:] / norms[0], strict=False) if 1e-6 < a < 1e-2]
    assert fast
    assert all(b < 10.0 * a**2 for a, b in fast)


def initial_profile(x: Array) -> Array:
    return 0.4 * np.sin(3.0 * x[0]) * np.cos(x[1])


def test_initial_temperature_that_is_not_uniform_is_taken_by_initialize() -> None:
    strip = heat.strip(two_scale.rectangle(MPI.COMM_WORLD), composite())
    strip.T.interpolate(initial_profile)
    strip.problem.initialize()
    points = strip.law.gradients()[:, 0]
    expected = [_enthalpy(value) for value in points]
    found = strip.law.micro.averages(strip.law.pool.states)["enthalpy"][:, 0]
    assert np.allclose(found, expected, rtol=1e-10)


def _enthalpy(value: float) -> float:
    s = np.clip((value + 0.2) / 0.5, 0.0, 1.0)
    wax = 2.0 * (value + 0.2) + 0.5 * (0.5 * (s**3 - 0.5 * s**4) + max(value - 0.3, 0.0))
    return float(0.25 * (wax + 30.0 * s**2 * (3.0 - 2.0 * s)) + 0.75 * 3.0 * value)


@pytest.mark.mpi
@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest")
def test_two_ranks_give_what_one_gives(tmp_path: Path) -> None:
    found = []
    for ranks in (1, 2):
        file = tmp_path / f"{ranks}.json"
        succeeded(mpiexec(ranks, [str(PROGRAMS / "heat_cycle.py"), str(file)]))
        found.append(np.array(json.loads(file.read_text())))
    assert found[0][:, 0].tolist() == found[1][:, 0].tolist()
    assert relative_error(found[1], found[0]) < 1e-10
