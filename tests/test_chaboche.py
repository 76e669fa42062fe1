"""Cyclic plasticity with several back stresses, against closed forms and the laws that it contains."""

from __future__ import annotations

import numpy as np
import pytest

import fe2
from fe2.errors import InputError
from fe2.testing.material_point import difference_tangent, drive, respond, virgin

STEEL = {"young": 200e3, "poisson": 0.3, "yield_stress": 200.0}  # MPa
BACK = {"back_stress": [80e3, 8e3], "recovery": [600.0, 40.0]}
SHEAR = 200e3 / 2.6
LAWS = {
    "rate-independent": fe2.Chaboche(**STEEL, **BACK, saturation_stress=100.0, saturation_rate=10.0),
    "viscous": fe2.Chaboche(**STEEL, **BACK, viscosity=80.0, exponent=8.0),
    "linear viscous": fe2.Chaboche(**STEEL, **BACK, viscosity=80.0),
}


def sheared(law, slips, dt):
    """Shear stresses along a path of shear strains γ."""
    path = [np.array([0.0, 0.0, 0.0, slip / np.sqrt(2.0)]) for slip in slips]
    return [answer.flux[0, 3] / np.sqrt(2.0) for answer in drive(law, path, dt)]


def test_it_contains_linear_kinematic_and_voce_hardening():
    path = list(np.cumsum(np.random.default_rng(0).normal(scale=3e-3, size=(12, 6)), axis=0))
    voce = fe2.VocePlasticity(**STEEL, saturation_stress=150.0, saturation_rate=80.0, kinematic_hardening=5e3)
    same = fe2.Chaboche(
        **STEEL, back_stress=[5e3], recovery=[0.0], saturation_stress=150.0, saturation_rate=80.0
    )
    for one, other in zip(drive(voce, path), drive(same, path), strict=True):
        assert np.allclose(one.flux, other.flux, rtol=0.0, atol=1e-12 * np.abs(one.flux).max())
        assert np.allclose(one.tangent, other.tangent, rtol=0.0, atol=1e-11 * one.tangent.max())


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_saturated_flow_bears_the_sum_of_what_resists(law):
    rate = 0.02  # of the equivalent plastic strain
    slips = np.sqrt(3.0) * rate * np.arange(1, 101)
    viscous = law.viscosity * rate ** (1.0 / law.exponent)
    expected = 200.0 + law.saturation_stress + 80e3 / 600.0 + 8e3 / 40.0 + viscous
    assert sheared(law, slips, 1.0)[-1] * np.sqrt(3.0) == pytest.approx(expected, rel=1e-8)


def test_back_stress_grows_as_its_closed_form_with_an_error_of_first_order():
    law, errors = fe2.Chaboche(**STEEL, back_stress=[20e3], recovery=[100.0]), []
    for steps in (100, 200):
        end = sheared(law, np.linspace(0.0, 0.02, steps + 1)[1:], 1.0)[-1]
        plastic = (0.02 - end / SHEAR) / np.sqrt(3.0)
        errors.append(end * np.sqrt(3.0) - 200.0 - 200.0 * (1.0 - np.exp(-100.0 * plastic)))
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.05)


def test_stabilized_cycle_has_the_amplitude_of_its_closed_form():
    """Δσ/2 = σ₀ + (C/γ) tanh(γ Δε_p/2), Chaboche, Int. J. Plasticity 5 (1989) 247."""
    law, steps = fe2.Chaboche(**STEEL, back_stress=[20e3], recovery=[100.0]), 800
    half = np.concatenate([np.linspace(-0.02, 0.02, steps + 1)[1:], np.linspace(0.02, -0.02, steps + 1)[1:]])
    stresses = np.array(
        sheared(law, np.concatenate([np.linspace(0.0, -0.02, steps), half, half, half]), 1.0)
    ) * np.sqrt(3.0)
    top = stresses[-steps - 1]
    plastic = 2.0 * (0.02 - top / np.sqrt(3.0) / SHEAR) / np.sqrt(3.0)
    assert top == pytest.approx(200.0 + 200.0 * np.tanh(100.0 * plastic / 2.0), rel=1e-3)
    assert stresses[-1] == pytest.approx(-top, rel=1e-4)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("size", [4, 6])
def test_tangent_is_the_derivative_of_the_stress(law, size):
    history, rng = virgin(law, 1, size), np.random.default_rng(1)
    for strain in np.cumsum(rng.normal(scale=3e-3, size=(6, size)), axis=0):
        answer = respond(law, strain[None], history, 0.5)
        expected = difference_tangent(law, strain, history, 0.5, np.eye(size), 1e-8)
        assert np.allclose(answer.tangent[0], expected, rtol=0.0, atol=1e-6 * expected.max())
        history = answer.history
    assert history["equivalent_plastic_strain"][0, 0] > 5e-3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"recovery": [1.0]}, r"recovery has shape \(1,\); it must have shape \(2,\)"),
        ({"back_stress": [1.0, -1.0]}, "back_stress = -1.0 is not admissible; it must be zero or positive"),
        ({"exponent": 0.1}, "exponent = 0.1 is not admissible; it must be at least 1"),
    ],
)
def test_what_is_not_admissible_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        fe2.Chaboche(**{**STEEL, **BACK, **wrong})
