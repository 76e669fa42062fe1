"""Linear viscoelasticity, against closed forms of relaxation and vibration."""

from __future__ import annotations

import numpy as np
import pytest

import fe2
from fe2.errors import InputError
from fe2.testing.material_point import difference_tangent, drive, respond, virgin

TIMES, SHEAR, BULK = np.array([1.0, 20.0]), np.array([0.3, 0.4]), np.array([0.1, 0.0])
LAW = fe2.viscoelastic(3e3, 0.4, TIMES, SHEAR, BULK)
G, K = 3e3 / 2.8, 3e3 / 0.6


def ramp(time, end, shares):
    """∫ (1 - Σ gᵢ (1 - e^(-(t - s)/τᵢ))) ds/T from 0 to min(t, T): what a strain of constant rate leaves."""
    until = min(time, end)
    left = np.exp(-(time - until) / TIMES) - np.exp(-time / TIMES)
    return ((1.0 - shares.sum()) * until + np.sum(shares * TIMES * left)) / end


@pytest.mark.parametrize("steps", [1, 7])
def test_strain_of_constant_rate_is_exact_in_any_step(steps):
    strain, end = np.array([2e-3, 2e-3, 2e-3, 0.0, 0.0, 1e-2]), 3.0
    path = [strain * k / steps for k in range(1, steps + 1)] + [strain] * steps
    answers = drive(LAW, path, end / steps)
    for answer, time in ((answers[steps - 1], end), (answers[-1], 2.0 * end)):
        assert answer.flux[0, 5] == pytest.approx(2.0 * G * 1e-2 * ramp(time, end, SHEAR), rel=1e-13)
        assert answer.flux[0, 0] == pytest.approx(3.0 * K * 2e-3 * ramp(time, end, BULK), rel=1e-13)


def test_sudden_strains_and_long_times_have_the_moduli_of_their_ends():
    strain = [np.array([0.0, 0.0, 0.0, 1e-2])]
    for dt, left in ((0.0, 1.0), (1e-9, 1.0), (1e9, 0.3)):
        assert drive(LAW, strain, dt)[0].flux[0, 3] == pytest.approx(2.0 * G * 1e-2 * left, rel=1e-7)


def test_vibration_has_the_complex_modulus():
    frequency, steps = 0.05, 400
    times = np.arange(1, 12 * steps + 1) / (frequency * steps)
    path = [np.array([0.0, 0.0, 0.0, np.sin(2.0 * np.pi * frequency * t)]) for t in times]
    stress = np.array([answer.flux[0, 3] for answer in drive(LAW, path, times[0])])[-steps:]
    wave = np.exp(-2j * np.pi * frequency * times[-steps:])
    measured = 2j * np.mean(stress * wave)  # of Im(G* e^(iωt))
    assert measured / 2.0 == pytest.approx(LAW.complex_moduli(frequency)[1], rel=1e-4)


def test_tangent_is_the_derivative_of_the_stress():
    history = virgin(LAW, 1, 4)
    for strain in np.cumsum(np.random.default_rng(0).normal(scale=1e-3, size=(3, 4)), axis=0):
        answer = respond(LAW, strain[None], history, 0.7)
        expected = difference_tangent(LAW, strain, history, 0.7, np.eye(4), 1e-4)
        assert np.allclose(answer.tangent[0], expected, rtol=0.0, atol=1e-9 * expected.max())
        history = answer.history


def test_warm_polymers_relax_as_cold_ones_in_shorter_times():
    shift = {"reference_temperature": 293.0, "shift": [17.4, 51.6]}
    warm = fe2.viscoelastic(3e3, 0.4, TIMES, SHEAR, temperature=303.0, **shift)
    assert warm.times == pytest.approx(TIMES * 10.0 ** (-17.4 * 10.0 / 61.6), rel=1e-14)


def test_cell_of_a_relaxing_matrix_ends_at_the_stiffness_of_its_relaxed_moduli():
    image = np.zeros((4, 4), dtype=np.int32)
    image[1:3, 1:3] = 1
    cell, fibre = fe2.image_cell(image, {"matrix": 0, "fibre": 1}), fe2.LinearElastic.isotropic(70e3, 0.2)
    rve = fe2.small_strain(cell, {"matrix": fe2.viscoelastic(3e3, 0.4, TIMES, SHEAR), "fibre": fibre})
    shear, bulk = 0.3 * G, K
    young = 9.0 * bulk * shear / (3.0 * bulk + shear)
    relaxed = fe2.LinearElastic.isotropic(young, (3.0 * bulk - 2.0 * shear) / (6.0 * bulk + 2.0 * shear))
    expected = fe2.small_strain(cell, {"matrix": relaxed, "fibre": fibre}).homogenize().effective
    test = rve.drive(
        fe2.MaterialPath([0.0, 1e-6, 1e6], gradient={"xx": [0.0, 1.0, 1.0], "yy": [0.0] * 3, "xy": [0.0] * 3})
    )
    assert test.flux[-1] == pytest.approx(expected[:, 0], rel=1e-5, abs=1e-6 * expected.max())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shear": [0.5, 0.6]}, "shear = .* is not admissible; the sum must be less than 1"),
        ({"shear": [0.5]}, r"shear has shape \(1,\); it must have shape \(2,\)"),
        ({"times": [1.0, -1.0]}, "times = -1.0 is not admissible; it must be positive"),
        ({"temperature": 300.0}, "reference_temperature is missing"),
        (
            {"temperature": 300.0, "shift": [1, 2]},
            "reference_temperature is missing beside temperature, shift",
        ),
    ],
)
def test_what_is_not_admissible_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        fe2.viscoelastic(**{"young": 3e3, "poisson": 0.4, "times": TIMES, "shear": SHEAR, **wrong})
