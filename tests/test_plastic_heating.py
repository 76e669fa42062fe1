"""Plastic work that heats: closed forms of adiabatic tests, the balance of heat, and consistent tangents."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from mpi4py import MPI

import fe2
from fe2.errors import InputError
from fe2.micro.newton import NewtonOptions
from fe2.micro.rve import RVE
from fe2.physics.thermoelasticity import ROOM_TEMPERATURE

Array = npt.NDArray[np.float64]

pytestmark = pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="serial")

T0 = ROOM_TEMPERATURE
YOUNG, POISSON, YIELD, EXPANSION, CONDUCTIVITY, CAPACITY, SHARE = 70e3, 0.33, 200.0, 23e-6, 237.0, 2.4, 0.9
TIGHT = NewtonOptions(tolerance=1e-12)


def metal(**more: Any) -> fe2.Thermoelastic:
    return fe2.thermoplastic(
        YOUNG, POISSON, YIELD, EXPANSION, CONDUCTIVITY, CAPACITY, **{"taylor_quinney": SHARE} | more
    )


def body(**more: Any) -> RVE:
    cell = fe2.image_cell(np.zeros((3, 3, 3), dtype=int), {"metal": 0})
    return fe2.thermoelasticity(cell, {"metal": metal(**more)}, options=TIGHT)


def free_capacity(young: float, poisson: float, expansion: float, capacity: float) -> float:
    """Heat capacity at constant stress."""
    return capacity + 9.0 * young / (3.0 * (1.0 - 2.0 * poisson)) * expansion**2 * T0


def stretched(rve: RVE, strain: float, steps: int, along: tuple[str, ...] = ("xx",)) -> fe2.MaterialTest:
    """Strained along axes, free of stress along the others, and without exchange of heat."""
    times = np.linspace(0.0, 1.0, steps + 1)
    ways = {f"strain_{axis}": strain * times for axis in along}
    held = {f"temperature_gradient_{axis}": 0.0 * times for axis in "xyz"}
    return rve.drive(fe2.MaterialPath(times, ways | held))


def warming(test: fe2.MaterialTest, rve: RVE) -> float:
    return float(test.gradient[-1, rve.kinematics.values[0]] - T0)


@pytest.mark.parametrize("steps", [1, 5])
def test_perfectly_plastic_bar_is_heated_by_the_share_of_its_plastic_work(steps: int) -> None:
    """c_σ ΔT = χ W_p - T₀ α σ: what flow heats less what tension cools; exact in any number of steps."""
    rve, strain = body(), 0.03
    found = warming(stretched(rve, strain, steps), rve)
    work = strain - YIELD / YOUNG
    expected = (SHARE * YIELD * work - T0 * EXPANSION * YIELD) / (
        free_capacity(YOUNG, POISSON, EXPANSION, CAPACITY) + SHARE * YIELD * EXPANSION
    )
    assert found == pytest.approx(expected, rel=1e-9)
    assert expected > 1.0


def test_heating_of_a_hardening_bar_converges_with_the_steps() -> None:
    """W_p = σ_y ε_p + H ε_p²/2 for isotropic and kinematic hardening together.

    Backward Euler takes the stress at the end of each of N steps: H ε_p²/(2N) too much.
    """
    isotropic, kinematic, strain = 4e3, 6e3, 0.03
    rve = body(hardening=isotropic, kinematic_hardening=kinematic)
    H, capacity = isotropic + kinematic, free_capacity(YOUNG, POISSON, EXPANSION, CAPACITY)
    change = 0.0
    for _ in range(50):
        plastic = (strain - EXPANSION * change - YIELD / YOUNG) / (1.0 + H / YOUNG)
        work = YIELD * plastic + 0.5 * H * plastic**2
        change = (SHARE * work - T0 * EXPANSION * (YIELD + H * plastic)) / capacity
    errors = [warming(stretched(rve, strain, steps), rve) - change for steps in (10, 20)]
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.15)
    assert errors[1] == pytest.approx(SHARE * H * plastic**2 / (2.0 * 20.0) / capacity, rel=0.1)


def test_layers_heat_each_other() -> None:
    """A metal that flows between a ceramic that does not, pulled alike in the plane of the layers.

    The heat of the flow warms both, at the same temperature: with C = 2 α σ + c_σ ΔT / T₀ of each layer,
    T₀ ⟨C⟩ = ⟨χ 2 σ_y ε_p⟩, σ_y and σ = E (e - α ΔT)/(1 - ν) in all directions of the plane.
    """
    young, poisson, expansion, capacity = 380e3, 0.22, 8e-6, 3.2
    labels = np.broadcast_to(np.array([0, 0, 0, 1]), (3, 3, 4))
    cell = fe2.image_cell(labels, {"metal": 0, "ceramic": 1})
    ceramic = fe2.thermoelastic(young, poisson, expansion, 30.0, capacity)
    rve = fe2.thermoelasticity(cell, {"metal": metal(), "ceramic": ceramic}, options=TIGHT)
    strain, share = 0.01, 0.75
    test = stretched(rve, strain, 4, ("xx", "yy"))
    biaxial = young / (1.0 - poisson)
    rates = [
        free_capacity(YOUNG, POISSON, EXPANSION, CAPACITY),
        free_capacity(young, poisson, expansion, capacity),
    ]
    # linear in ΔT: terms without it, and with it
    plastic = strain - YIELD * (1.0 - POISSON) / YOUNG
    without = share * (T0 * 2.0 * EXPANSION * YIELD - SHARE * 2.0 * YIELD * plastic)
    without += (1.0 - share) * T0 * 2.0 * expansion * biaxial * strain
    slope = share * (rates[0] + SHARE * 2.0 * YIELD * EXPANSION)
    slope += (1.0 - share) * (rates[1] - T0 * 2.0 * expansion**2 * biaxial)
    assert warming(test, rve) == pytest.approx(-without / slope, rel=1e-8)


def test_heat_of_flow_is_what_the_temperature_held_has_to_take_away() -> None:
    """Of an isothermal test the entropy tells the heat that left: T₀ Δη = T₀ α σ - χ W_p."""
    rve, times = body(), np.linspace(0.0, 1.0, 4)
    path = {"strain_xx": 0.03 * times, "temperature": T0 + 0.0 * times}
    held = {f"temperature_gradient_{axis}": 0.0 * times for axis in "xyz"}
    test = rve.drive(fe2.MaterialPath(times, path | held))
    heat = SHARE * YIELD * (0.03 - YIELD / YOUNG)
    supplied = T0 * test.flux[-1, rve.kinematics.values[0]]
    assert supplied == pytest.approx(T0 * EXPANSION * YIELD - heat, rel=1e-9)
    assert test.averages["plastic_heat"][-1, 0] == pytest.approx(heat, rel=1e-9)


LAWS = {
    "expression": metal(hardening=1e3, kinematic_hardening=500.0),
    "point law": fe2.Thermoelastic(
        fe2.VocePlasticity(YOUNG, POISSON, YIELD, 100.0, 20.0),
        fe2.LinearConduction(CONDUCTIVITY),
        EXPANSION,
        CAPACITY,
        taylor_quinney=SHARE,
    ),
    "of the temperature": fe2.thermoplastic(
        {"temperature": [T0, T0 + 100.0], "value": [YOUNG, 0.8 * YOUNG]},
        POISSON,
        lambda T: YIELD - 0.2 * (T - T0),
        EXPANSION,
        {"temperature": [T0, T0 + 100.0], "value": [CONDUCTIVITY, 200.0]},
        {"temperature": [T0, T0 + 100.0], "value": [CAPACITY, 3.0]},
        hardening=1e3,
        taylor_quinney=SHARE,
    ),
}


@pytest.mark.parametrize(
    ("name", "parts"), [("expression", 1), ("expression", 3), ("point law", 1), ("of the temperature", 2)]
)
def test_tangent_is_the_derivative_with_all_its_cross_terms(name: str, parts: int) -> None:
    labels = np.random.default_rng(3).integers(0, 2, size=(3, 3))
    cell = fe2.image_cell(labels, {"metal": 0, "ceramic": 1})
    laws = {"metal": LAWS[name], "ceramic": fe2.thermoelastic(380e3, 0.22, 8e-6, 30.0, 3.2)}
    rve = fe2.thermoelasticity(cell, laws, options=NewtonOptions(tolerance=1e-12, strategy="newton"))
    origin, state = rve.kinematics.origin, rve.initial_state()
    before = np.empty_like(state)
    rve.solve(origin + np.array([3e-3, -1e-3, 0.0, 10.0, 0.0, 0.0]), state, 1.0, before)

    def solve(gradient: Array) -> Any:
        out = np.empty_like(before)
        return (
            rve._increments._parts(parts, gradient, before, 1.0, out)
            if parts > 1
            else rve.solve(gradient, before, 1.0, out)
        )

    gradient, widths = (
        origin + np.array([6e-3, -1e-3, 1e-3, 40.0, 3.0, -2.0]),
        np.array([1e-7] * 3 + [1e-2] + [1e-3] * 2),
    )
    columns = [
        (solve(gradient + h).flux - solve(gradient - h).flux) / (2.0 * h.sum()) for h in np.diag(widths)
    ]
    tangent = solve(gradient).tangent
    scales = np.sqrt(np.abs(np.diag(tangent)))
    assert np.max(np.abs(tangent - np.transpose(columns)) / np.outer(scales, scales)) < 2e-8


@pytest.mark.parametrize(("stress", "temperature"), [(1e6, 1.0), (1e-3, 1e3)])
def test_heating_does_not_depend_on_units(stress: float, temperature: float) -> None:
    def warmed(s: float, t: float) -> float:
        law = fe2.thermoplastic(
            YOUNG * s,
            POISSON,
            YIELD * s,
            EXPANSION / t,
            CONDUCTIVITY * s / t,
            CAPACITY * s / t,
            taylor_quinney=SHARE,
        )
        cell = fe2.image_cell(np.zeros((3, 3, 3), dtype=int), {"metal": 0})
        rve = fe2.thermoelasticity(cell, {"metal": law}, reference_temperature=T0 * t, options=TIGHT)
        test = stretched(rve, 0.03, 2)
        return float(test.gradient[-1, rve.kinematics.values[0]] / t)

    assert warmed(stress, temperature) == pytest.approx(warmed(1.0, 1.0), rel=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"taylor_quinney": 1.1}, r"taylor_quinney = 1\.1 is not admissible; it must be between 0 and 1"),
        ({"taylor_quinney": -0.1}, r"taylor_quinney = -0\.1"),
        (
            {"stress_free_temperature": 0.0},
            r"stress_free_temperature = 0\.0 is not admissible; it must be positive",
        ),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(change: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        metal(**change)


def test_what_does_not_flow_cannot_heat() -> None:
    conduction, elastic = fe2.LinearConduction(1.0), fe2.LinearElastic.isotropic(1.0, 0.3)
    with pytest.raises(InputError, match=r"taylor_quinney = 0\.9 .* LinearElastic has no plastic_strain"):
        fe2.Thermoelastic(elastic, conduction, 1e-5, 1.0, taylor_quinney=0.9)
