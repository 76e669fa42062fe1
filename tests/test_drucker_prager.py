"""Drucker–Prager plasticity, against the cone of Mohr and Coulomb and its own invariants."""

from __future__ import annotations

import numpy as np
import pytest

import fe2
from fe2.errors import InputError
from fe2.testing.material_point import difference_tangent, drive, respond, virgin

ROCK = {"young": 30e3, "poisson": 0.2, "cohesion": 5.0}  # MPa
LAWS = {
    "associated": fe2.drucker_prager(**ROCK, friction_angle=30.0),
    "hardening": fe2.drucker_prager(**ROCK, friction_angle=30.0, dilation_angle=10.0, hardening=500.0),
    "no dilation": fe2.drucker_prager(**ROCK, friction_angle=30.0, dilation_angle=0.0),
    "no friction": fe2.drucker_prager(**ROCK, friction_angle=0.0),
}
IDENTITY = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])


def invariants(stress):
    """Mean and equivalent stress."""
    mean = stress[:3].mean()
    return mean, np.sqrt(1.5 * np.sum((stress - mean * IDENTITY) ** 2))


@pytest.mark.parametrize("confinement", [0.0, 10.0, 50.0])
def test_compressed_specimens_fail_at_the_stress_of_mohr_and_coulomb(confinement):
    law, strain, history = LAWS["associated"], np.zeros(6), virgin(LAWS["associated"], 1, 6)
    passive = np.tan(np.radians(45.0 + 15.0)) ** 2
    expected = 2.0 * 5.0 * np.sqrt(passive) + passive * confinement
    for axial in np.linspace(0.0, -4.0 * expected / 30e3, 21):
        strain[0] = axial
        for _ in range(50):
            answer = respond(law, strain[None], history)
            missing = answer.flux[0, 1:3] + confinement
            if np.abs(missing).max() < 1e-10 * expected:
                break
            strain[1:3] -= np.linalg.solve(answer.tangent[0, 1:3, 1:3], missing)
        history = answer.history
    assert -answer.flux[0, 0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("size", [4, 6])
def test_stress_stays_in_the_cone_and_the_tangent_is_its_derivative(law, size):
    history, rng = virgin(law, 1, size), np.random.default_rng(0)
    at_apex, pulled = 0, np.insert(np.zeros(size - 3), 0, [5e-2, 4e-2, 6e-2])
    for strain in (*np.cumsum(rng.normal(scale=3e-3, size=(6, size)), axis=0), pulled, 0.5 * pulled):
        answer = respond(law, strain[None], history)
        expected = difference_tangent(law, strain, history, 1.0, np.eye(size), 1e-9)
        assert np.allclose(answer.tangent[0], expected, rtol=0.0, atol=1e-6 * 30e3)
        history = answer.history
        mean, equivalent = invariants(np.insert(answer.flux[0], [3, 3], 0.0) if size == 4 else answer.flux[0])
        borne = law.strength + law.hardening * history["equivalent_plastic_strain"][0, 0]
        assert equivalent + law.friction * mean < borne + 1e-10 * law.strength or equivalent < 1e-9 * borne
        at_apex += equivalent < 1e-9 * borne
    assert np.abs(history["plastic_strain"]).max() > 2e-3
    assert law.friction == 0.0 or at_apex


def test_flow_dilates_as_its_potential_says():
    law = LAWS["hardening"]
    strain = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.01])
    last = drive(law, [strain])[0].history
    volume = last["plastic_strain"][0, :3].sum()
    assert volume == pytest.approx(law.dilation * last["equivalent_plastic_strain"][0, 0], rel=1e-12)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"friction_angle": 95.0},
            "friction_angle = 95.0 is not admissible; it must be at least 0 and less than 90",
        ),
        (
            {"dilation_angle": 40.0},
            "dilation_angle = 40.0 is not admissible; it must not be above friction_angle",
        ),
        ({"cohesion": 0.0}, "cohesion = 0.0 is not admissible; it must be positive"),
    ],
)
def test_what_is_not_admissible_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        fe2.drucker_prager(**{**ROCK, "friction_angle": 30.0, **wrong})
