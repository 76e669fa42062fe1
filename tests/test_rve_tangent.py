"""The homogenized tangent is the derivative of the homogenized flux, for every law, condition and state."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from cells import Array, distorted, random_image, relative_error

from fe2.micro.boundary import BOUNDARY_CONDITIONS
from fe2.micro.newton import NewtonOptions
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.physics.elasticity import LinearElastic
from fe2.physics.law import PhaseLaw
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.viscoplasticity import NortonPerzyna
from fe2.physics.voce import VocePlasticity

LAWS: dict[str, PhaseLaw] = {
    "elastic": LinearElastic.cubic(168.4e3, 121.4e3, 75.4e3),
    "j2": J2Plasticity(200e3, 0.3, 400.0, hardening=2e3, kinematic_hardening=5e3),
    "voce": VocePlasticity(
        200e3, 0.3, 400.0, saturation_stress=150.0, saturation_rate=80.0, kinematic_hardening=4e3
    ),
    "perzyna": NortonPerzyna(200e3, 0.3, 400.0, reference_rate=1e-3, exponent=5.0, hardening=2e3),
}
RATE_INDEPENDENT = ("j2", "voce")
# Each state with those that lead to it, in units of the strain below.
PATHS = {
    "loading": (0.6, 1.0),
    "unloading": (0.6, 1.0, 0.9),
    "reloading": (1.0, 0.7, 1.3),
    "reverse loading": (1.0, -0.8),
}
STRAIN = {2: 1e-3 * np.array([5.0, -3.0, 4.0]), 3: 1e-3 * np.array([5.0, -3.0, 1.0, 2.0, -1.0, 4.0])}
DT = 0.5
STEP = 1e-8
"""Of strain. Elastic strains are 1e-3, so the third derivative of the flux, relative to the tangent, is
about 1e6 and costs 1e-10; a flux good to 1e-12 of 1e3 MPa costs 1e-9 / (2e-8 · 2e5 MPa) = 3e-7."""


@cache
def composite(name: str, dim: int, boundary: str) -> RVE:
    cell = random_image(2, 4) if dim == 2 else distorted("tetrahedron", ("a", "b"))
    laws = {"a": LAWS[name], "b": LinearElastic.isotropic(70e3, 0.2)}
    return small_strain(cell, laws, boundary=boundary, options=NewtonOptions(tolerance=1e-13))


def state_before(rve: RVE, path: str) -> Array:
    state = rve.initial_state()
    for factor in PATHS[path][:-1]:
        out = np.empty_like(state)
        rve.solve(factor * STRAIN[rve.cell.dim], state, DT, out)
        state = out
    return state


def differences(rve: RVE, gradient: Array, state: Array) -> Array:
    """Central differences of the flux, a column for each component of the gradient."""
    out = np.empty_like(state)
    return np.array(
        [
            rve.solve(gradient + change, state, DT, out).flux
            - rve.solve(gradient - change, state, DT, out).flux
            for change in STEP * np.eye(len(gradient))
        ]
    ).T / (2.0 * STEP)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("name", LAWS)
def test_tangent_agrees_with_central_differences(name: str, dim: int, boundary: str, path: str) -> None:
    rve = composite(name, dim, boundary)
    state = state_before(rve, path)
    gradient, out = PATHS[path][-1] * STRAIN[dim], np.empty_like(state)
    response = rve.solve(gradient, state, DT, out)
    assert relative_error(response.tangent, differences(rve, gradient, state)) < 1e-6
    assert LAWS[name].symmetric
    assert relative_error(response.tangent, response.tangent.T) < 1e-12


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("name", RATE_INDEPENDENT)
def test_states_are_what_they_are_called(name: str, dim: int) -> None:
    """Guards the test above: the cell yields in part where it is loaded, and nowhere where it is unloaded."""
    rve = composite(name, dim, "periodic")
    virgin = rve.solve(np.zeros(len(STRAIN[dim])), rve.initial_state(), DT, np.empty(rve.state_size)).tangent
    for path, factors in PATHS.items():
        state = state_before(rve, path)
        out = np.empty_like(state)
        tangent = rve.solve(factors[-1] * STRAIN[dim], state, DT, out).tangent
        plastic = [rve.averages(s[None])["equivalent_plastic_strain"][0, 0] for s in (state, out)]
        if path == "unloading":
            assert plastic[1] == plastic[0] > 1e-4
            assert relative_error(tangent, virgin) < 1e-10
        else:
            assert plastic[1] > plastic[0] + 1e-4
            assert relative_error(tangent, virgin) > 1e-1


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("name", [name for name in LAWS if name != "elastic"])
def test_newton_converges_quadratically_with_the_assembled_stiffness(name: str, dim: int) -> None:
    """Solutions to ever tighter tolerances cost hardly any more linear systems."""
    rve = composite(name, dim, "periodic")
    loose = small_strain(rve.cell, {"a": LAWS[name], "b": LinearElastic.isotropic(70e3, 0.2)})
    state, out = state_before(rve, "loading"), np.empty(rve.state_size)
    iterations = [r.solve(STRAIN[dim], state, DT, out).iterations for r in (loose, rve)]
    assert iterations[0] <= 8
    assert iterations[1] <= iterations[0] + 2  # from 1e-8 to 1e-13: one squaring, and one for round-off


def test_linearized_model_has_flux_and_tangent_of_the_state() -> None:
    rve = composite("j2", 2, "periodic")
    unloaded = np.empty(rve.state_size)
    gradient = 0.9 * STRAIN[2]
    response = rve.solve(gradient, state_before(rve, "unloading"), DT, unloaded)
    model = rve.linearized(unloaded)
    change = 1e-5 * np.array([1.0, 2.0, -1.0])  # stays elastic
    linear = model.solve(gradient + change, unloaded, DT, np.empty(model.state_size))
    exact = rve.solve(gradient + change, unloaded, DT, np.empty_like(unloaded))
    assert relative_error(linear.flux, exact.flux) < 1e-10
    assert relative_error(model.tangent, response.tangent) < 1e-10
    assert relative_error(rve.linearized().tangent, rve.homogenize().tangent) < 1e-12
