"""Properties that depend on the temperature, residual stresses of cooling, and what heat does to moduli."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import ufl
from case_files import write
from mpi4py import MPI

import fe2
from fe2.case.cell_case import read_cell_case
from fe2.errors import InputError
from fe2.micro.newton import NewtonOptions
from fe2.physics.checks import POSITIVE
from fe2.physics.temperature import TemperatureTable, checked_property, integral
from fe2.physics.thermoelasticity import ROOM_TEMPERATURE

Array = npt.NDArray[np.float64]

pytestmark = pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="serial")

T0 = ROOM_TEMPERATURE
TIGHT = NewtonOptions(tolerance=1e-12)
METAL = {"young": 70e3, "poisson": 0.33, "expansion": 23e-6, "conductivity": 237.0, "heat_capacity": 2.4}
CERAMIC = {"young": 380e3, "poisson": 0.22, "expansion": 8e-6, "conductivity": 30.0, "heat_capacity": 3.2}


def value(expression: Any) -> float:
    return float(ufl.as_ufl(expression)(()))


@pytest.mark.unit
def test_table_is_linear_between_its_temperatures_and_constant_beyond_them() -> None:
    table = TemperatureTable((300.0, 400.0, 600.0), (10.0, 20.0, 12.0))
    for temperature in (200.0, 300.0, 350.0, 400.0, 500.0, 600.0, 900.0):
        expected = np.interp(temperature, table.temperatures, table.values)
        assert value(table(ufl.as_ufl(temperature))) == pytest.approx(expected, rel=1e-14)


@pytest.mark.unit
@pytest.mark.parametrize("end", [250.0, 350.0, 700.0])
def test_heat_is_the_integral_of_the_heat_capacity(end: float) -> None:
    """Of a table over each of its kinks, and of a polynomial."""
    table, points = TemperatureTable((300.0, 400.0, 600.0), (10.0, 20.0, 12.0)), [293.0, 300.0, 400.0, 600.0]
    knots = np.array(sorted({293.0, end, *(p for p in points if min(293.0, end) < p < max(293.0, end))}))
    exact = np.trapezoid(np.interp(knots, table.temperatures, table.values), knots) * np.sign(end - 293.0)
    start = ufl.as_ufl(293.0)
    assert value(integral(table, start, ufl.as_ufl(end))) == pytest.approx(exact, rel=1e-13)
    cubic = integral(lambda T: 1.0 + 1e-8 * T**3, start, ufl.as_ufl(end))
    assert value(cubic) == pytest.approx(end - 293.0 + 2.5e-9 * (end**4 - 293.0**4), rel=1e-12)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"temperature": [300.0, 400.0], "value": [1.0]}, "young has 2 temperatures and 1 values"),
        ({"temperature": [400.0, 300.0], "value": [1.0, 2.0]}, "young has temperatures .* must increase"),
        ({"temperature": [-1.0, 300.0], "value": [1.0, 2.0]}, r"young\.temperature = -1\.0 .* positive"),
        ({"temperature": [300.0, 400.0], "value": [1.0, -2.0]}, r"young\.value = -2\.0 .* positive"),
        (
            {"temperature": [300.0, 400.0], "values": [1.0, 2.0]},
            "young holds temperature, values; a table has",
        ),
    ],
)
def test_tables_that_cannot_be_are_refused_by_name(table: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_property("metal", "young", table, POSITIVE)


HOT = {"temperature": [T0, T0 + 200.0]}
DEPENDS = {
    "young": {**HOT, "value": [70e3, 50e3]},
    "poisson": {**HOT, "value": [0.33, 0.35]},
    "expansion": {**HOT, "value": [23e-6, 25e-6]},
    "conductivity": {**HOT, "value": [237.0, 200.0]},
    "heat_capacity": {**HOT, "value": [2.4, 3.0]},
}


def single() -> fe2.RVE:
    cell = fe2.image_cell(np.zeros((3, 3, 3), dtype=int), {"metal": 0})
    return fe2.thermoelasticity(cell, {"metal": fe2.thermoelastic(**DEPENDS)}, options=TIGHT)


def test_stress_heat_and_flow_are_those_of_the_temperature_that_there_is() -> None:
    """σ = C(T) : (ε - α(T) ΔT), K(T), and Maxwell's relation ∂σ/∂T = -∂η/∂ε at a strained state."""
    rve, strain, change = single(), 2e-3, 100.0
    change_of_all = np.array([strain, 0.0, 0.0, 0.0, 0.0, 0.0, change, 3.0, 0.0, 0.0])
    gradient = rve.kinematics.origin + change_of_all
    state = rve.initial_state()
    response = rve.solve(gradient, state, 1.0, np.empty_like(state))
    young, poisson, alpha = 60e3, 0.34, 24e-6
    bulk, shear = young / (3.0 * (1.0 - 2.0 * poisson)), young / (2.0 * (1.0 + poisson))
    expected = bulk * (strain - 3.0 * alpha * change) + 4.0 / 3.0 * shear * strain
    assert response.flux[0] == pytest.approx(expected, rel=1e-12)
    assert response.flux[7] == pytest.approx(3.0 * 218.5, rel=1e-12)
    np.testing.assert_allclose(response.tangent[:6, 6], -response.tangent[6, :6], rtol=1e-9, atol=1e-9)
    free = rve.solve(rve.kinematics.origin, state, 1.0, np.empty_like(state))
    assert T0 * free.tangent[6, 6] == pytest.approx(2.4, rel=1e-12)


def test_free_body_takes_the_integral_of_its_heat_capacity() -> None:
    """Free of stress, T₀ η = ∫ c dT + T₀ α C α ΔT."""
    rve, times = single(), np.array([0.0, 1.0])
    path = {"temperature": np.array([T0, T0 + 100.0])}
    held = {f"temperature_gradient_{axis}": 0.0 * times for axis in "xyz"}
    test = rve.drive(fe2.MaterialPath(times, path | held))
    free = 100.0 * T0 * 9.0 * (70e3 / (3.0 * (1.0 - 0.66))) * 23e-6**2
    assert T0 * test.flux[-1, 6] == pytest.approx(2.4 * 100.0 + 0.5 * 0.003 * 100.0**2 + free, rel=1e-9)
    np.testing.assert_allclose(test.gradient[-1, :3], 24e-6 * 100.0, rtol=1e-9)


def test_tables_stand_in_case_files(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.zeros((3, 3, 3), dtype=np.uint8))
    metal = {"label": 0, "law": "thermoelastic", **DEPENDS}
    file = write(
        tmp_path, {"cell": {"image": "image.npy", "physics": "thermoelasticity"}, "phases": {"metal": metal}}
    )
    case = read_cell_case(file)
    law: Any = case.phases["metal"].material.make("thermoelasticity")
    assert law.heat_capacity == TemperatureTable((T0, T0 + 200.0), (2.4, 3.0))


def layers(metal: fe2.Thermoelastic, ceramic: fe2.Thermoelastic) -> fe2.RVE:
    labels = np.broadcast_to(np.array([0, 0, 0, 1]), (3, 3, 4))
    cell = fe2.image_cell(labels, {"metal": 0, "ceramic": 1})
    return fe2.thermoelasticity(
        cell, {"metal": metal, "ceramic": ceramic}, reference_temperature=900.0, options=TIGHT
    )


def cooled(rve: fe2.RVE, end: float) -> tuple[float, float]:
    """Stresses along the layers at a temperature, where the whole is free of stress."""
    times = np.linspace(0.0, 1.0, 4)
    held = {f"temperature_gradient_{axis}": 0.0 * times for axis in "xyz"}
    test = rve.drive(fe2.MaterialPath(times, {"temperature": 900.0 + (end - 900.0) * times} | held))
    fields = rve.fields(test.state).cell_data
    metal, ceramic = (fields["stress"][fields["phase"] == phase, 0].mean() for phase in (0, 1))
    return float(metal), float(ceramic)


def biaxial(material: dict[str, float]) -> float:
    return material["young"] / (1.0 - material["poisson"])


def test_cooled_layers_keep_the_stress_of_their_misfit() -> None:
    """Free as a whole: M₁ (e - α₁ ΔT) f + M₂ (e - α₂ ΔT) (1 - f) = 0 with M = E/(1 - ν)."""
    rve, share, change = layers(fe2.thermoelastic(**METAL), fe2.thermoelastic(**CERAMIC)), 0.75, -600.0
    m, c = biaxial(METAL), biaxial(CERAMIC)
    strain = change * (share * m * 23e-6 + (1.0 - share) * c * 8e-6) / (share * m + (1.0 - share) * c)
    np.testing.assert_allclose(
        cooled(rve, 300.0), [m * (strain - 23e-6 * change), c * (strain - 8e-6 * change)], rtol=1e-8
    )


def test_metal_that_flows_while_it_cools_keeps_its_yield_stress() -> None:
    """Perfectly plastic layers: σ_y in the metal, and what balances it in the ceramic."""
    metal = fe2.thermoplastic(yield_stress=100.0, **METAL)
    stresses = cooled(layers(metal, fe2.thermoelastic(**CERAMIC)), 300.0)
    np.testing.assert_allclose(stresses, [100.0, -300.0], rtol=1e-8)


def test_yield_stress_that_rises_while_it_cools_is_that_of_the_end() -> None:
    metal = fe2.thermoplastic(yield_stress={"temperature": [300.0, 900.0], "value": [100.0, 20.0]}, **METAL)
    stresses = cooled(layers(metal, fe2.thermoelastic(**CERAMIC)), 450.0)
    np.testing.assert_allclose(stresses, [80.0, -240.0], rtol=1e-8)


def test_each_phase_may_be_free_of_stress_at_a_temperature_of_its_own() -> None:
    """A coating that was made at 500 K on a metal of 900 K: as if its change were from there."""
    ceramic = fe2.thermoelastic(stress_free_temperature=500.0, **CERAMIC)
    found = cooled(layers(fe2.thermoelastic(**METAL), ceramic), 300.0)
    m, c, free = biaxial(METAL), biaxial(CERAMIC), np.array([23e-6 * -600.0, 8e-6 * -200.0])
    strain = (0.75 * m * free[0] + 0.25 * c * free[1]) / (0.75 * m + 0.25 * c)
    np.testing.assert_allclose(found, [m, c] * (strain - free), rtol=1e-8)


def test_tension_cools_as_kelvin_says() -> None:
    """ΔT = -T₀ α : σ / c_σ of a composite, and E_s = E / (1 - T₀ α² E / c_σ) without exchange of heat."""
    labels = np.random.default_rng(3).integers(0, 2, size=(3, 3, 3))
    cell = fe2.image_cell(labels, {"metal": 0, "ceramic": 1})
    rve = fe2.thermoelasticity(
        cell, {"metal": fe2.thermoelastic(**METAL), "ceramic": fe2.thermoelastic(**CERAMIC)}
    )
    properties, times = rve.homogenize().properties, np.array([0.0, 1.0])
    held = {f"temperature_gradient_{axis}": 0.0 * times for axis in "xyz"}
    test = rve.drive(fe2.MaterialPath(times, held, {"stress_xx": 100.0 * times}))
    alpha, capacity = properties["expansion"], properties["heat_capacity_constant_stress"]
    assert test.gradient[-1, 6] - T0 == pytest.approx(-T0 * alpha[0] * 100.0 / capacity, rel=1e-8)
    slow, fast = (np.linalg.inv(properties[name]) for name in ("isothermal", "adiabatic"))
    np.testing.assert_allclose(slow - fast, T0 * np.outer(alpha, alpha) / capacity, rtol=1e-6, atol=1e-18)
    assert test.gradient[-1, 0] == pytest.approx(100.0 * fast[0, 0], rel=1e-8)
