"""Plastic and viscoplastic laws at a single point against closed-form solutions."""

from __future__ import annotations

import numpy as np
import pytest

from fe2.physics.law import Array, PhaseLaw
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.viscoplasticity import NortonPerzyna
from fe2.physics.voce import VocePlasticity
from fe2.stiffness import shear_modulus
from fe2.testing.material_point import drive, respond, virgin

pytestmark = pytest.mark.unit

YOUNG, POISSON, YIELD = 200e3, 0.3, 400.0
SHEAR = shear_modulus(YOUNG, POISSON)
ROOT3 = np.sqrt(3.0)
SIZES = pytest.mark.parametrize("size", [4, 6])


def uniaxial(stress: float, plastic: float, size: int) -> Array:
    """Strain of a bar under uniaxial stress along x with a given axial plastic strain."""
    lateral = -POISSON * stress / YOUNG - 0.5 * plastic
    return np.array([stress / YOUNG + plastic, lateral, lateral] + [0.0] * (size - 3))


def shear(engineering_strain: float, size: int) -> Array:
    return np.array([0.0] * (size - 1) + [engineering_strain / np.sqrt(2.0)])


def shear_stress(flux: Array) -> float:
    return float(flux[0, -1] / np.sqrt(2.0))


def assert_uniaxial(law: PhaseLaw, states: list[tuple[float, float, float]], size: int) -> None:
    """Drive a bar through (stress, plastic strain, accumulated plastic strain) and compare all three."""
    responses = drive(law, [uniaxial(stress, plastic, size) for stress, plastic, _ in states])
    for (stress, plastic, accumulated), response in zip(states, responses, strict=True):
        assert response.flux[0, 0] == pytest.approx(stress, rel=1e-11, abs=1e-8)
        assert np.allclose(response.flux[0, 1:], 0.0, atol=1e-8)
        assert response.history["plastic_strain"][0, 0] == pytest.approx(plastic, rel=1e-11, abs=1e-15)
        assert response.history["equivalent_plastic_strain"][0, 0] == pytest.approx(accumulated, rel=1e-11)


@SIZES
@pytest.mark.parametrize(("isotropic", "kinematic"), [(2e3, 0.0), (0.0, 2e3), (3e3, 5e3), (0.0, 0.0)])
def test_bilinear_bar_under_a_load_cycle(isotropic, kinematic, size):
    """Plastic states fulfil |stress - H_k e_p| = yield + H p, with p the travel of e_p."""
    law = J2Plasticity(YOUNG, POISSON, YIELD, isotropic, kinematic)

    def flowing(plastic: float, accumulated: float, sign: float) -> tuple[float, float, float]:
        return kinematic * plastic + sign * (YIELD + isotropic * accumulated), plastic, accumulated

    loaded = flowing(0.01, 0.01, 1.0)
    almost_reverse = kinematic * 0.01 - 0.999999 * (YIELD + isotropic * 0.01)
    assert_uniaxial(
        law,
        [
            (0.9999 * YIELD, 0.0, 0.0),
            loaded,
            (0.0, 0.01, 0.01),
            (almost_reverse, 0.01, 0.01),
            flowing(-0.005, 0.025, -1.0),
            (0.0, -0.005, 0.025),
            flowing(0.002, 0.032, 1.0),
        ],
        size,
    )


@SIZES
def test_uniaxial_tangent_modulus_is_that_of_springs_in_series(size):
    """E_t = E (H + H_k) / (E + H + H_k), from the tangent condensed to zero lateral stress."""
    law = J2Plasticity(YOUNG, POISSON, YIELD, hardening=3e3, kinematic_hardening=5e3)
    stress = YIELD + 8e3 * 0.01
    tangent = drive(law, [uniaxial(stress, 0.01, size)])[0].tangent[0]
    assert 1.0 / np.linalg.inv(tangent)[0, 0] == pytest.approx(YOUNG * 8e3 / (YOUNG + 8e3), rel=1e-10)


@SIZES
def test_bauschinger_effect_of_kinematic_hardening(size):
    """After the same prestrain, yield in the other direction comes 2 H_k e_p earlier."""
    prestrain, modulus = 0.02, 4e3
    for law, reverse in (
        (J2Plasticity(YOUNG, POISSON, YIELD, hardening=modulus), -(YIELD + modulus * prestrain)),
        (J2Plasticity(YOUNG, POISSON, YIELD, kinematic_hardening=modulus), -(YIELD - modulus * prestrain)),
    ):
        history = drive(law, [uniaxial(YIELD + modulus * prestrain, prestrain, size)])[0].history
        for factor, flows in ((0.9999, False), (1.0001, True)):
            new = respond(law, uniaxial(factor * reverse, prestrain, size)[None], history).history
            flow = new["equivalent_plastic_strain"] - history["equivalent_plastic_strain"]
            assert (flow[0, 0] > 1e-9) == flows


@SIZES
def test_voce_bar_follows_the_closed_form_curve(size):
    law = VocePlasticity(YOUNG, POISSON, YIELD, 150.0, 60.0, hardening=500.0, kinematic_hardening=800.0)
    states = [(0.5 * YIELD, 0.0, 0.0)]
    for p in (1e-6, 1e-3, 0.01, 0.05, 0.4):
        stress = YIELD + 500.0 * p + 150.0 * (1.0 - np.exp(-60.0 * p)) + 800.0 * p
        states.append((stress, p, p))
    assert_uniaxial(law, states, size)


@SIZES
def test_voce_shear_follows_the_closed_form_curve_in_one_step(size):
    law = VocePlasticity(YOUNG, POISSON, YIELD, 150.0, 60.0)
    for p in (1e-4, 0.02, 1.0):
        tau = (YIELD + 150.0 * (1.0 - np.exp(-60.0 * p))) / ROOT3
        assert shear_stress(drive(law, [shear(tau / SHEAR + ROOT3 * p, size)])[0].flux) == pytest.approx(
            tau, rel=1e-12
        )


@SIZES
def test_voce_without_saturation_is_linear_j2_plasticity(size):
    moduli = {"hardening": 2e3, "kinematic_hardening": 5e3}
    path = np.cumsum(np.random.default_rng(3).normal(scale=3e-3, size=(12, size)), axis=0)
    expression = drive(J2Plasticity(YOUNG, POISSON, YIELD, **moduli), list(path))
    point = drive(VocePlasticity(YOUNG, POISSON, YIELD, 0.0, 0.0, **moduli), list(path))
    for a, b in zip(expression, point, strict=True):
        assert np.allclose(a.flux, b.flux, rtol=1e-12, atol=1e-12 * np.abs(b.flux).max())
        assert np.allclose(a.tangent, b.tangent, rtol=0.0, atol=1e-12 * b.tangent.max())
        assert all(np.allclose(a.history[n], b.history[n], rtol=1e-12, atol=1e-17) for n in a.history)
    assert point[-1].history["equivalent_plastic_strain"][0, 0] > 0.01


@SIZES
def test_virgin_material_has_the_elastic_tangent_and_no_invalid_numbers(size):
    for scale in (1e-3, 1.0, 1e6):  # GPa, MPa, Pa
        law = J2Plasticity(YOUNG * scale, POISSON, YIELD * scale)
        for strain in (np.zeros(size), np.array([1e-2] * 3 + [0.0] * (size - 3)), np.full(size, 1e-30)):
            response = drive(law, [strain])[0]
            assert np.all(np.isfinite(response.flux))
            assert response.tangent[0, -1, -1] == pytest.approx(2.0 * SHEAR * scale, rel=1e-14)
            assert np.all(response.history["plastic_strain"] == 0.0)


# Norton-Perzyna: rate 1e-3 / s at an overstress of 100 MPa.
PERZYNA = {"reference_rate": 1e-3, "reference_stress": 100.0}


@SIZES
@pytest.mark.parametrize("exponent", [1.0, 4.0, 30.0])
def test_shear_at_constant_rate_reaches_the_plateau_of_that_rate(exponent, size):
    """On the plateau the plastic rate is the applied one: s_eq = s_0 + s_r (rate / (sqrt 3 e_0))^(1/n)."""
    law = NortonPerzyna(YOUNG, POISSON, YIELD, exponent=exponent, **PERZYNA)
    for rate in (1e-4, 1e-2):
        strains = np.linspace(0.0, 0.2, 41)[1:]
        final = drive(law, [shear(strain, size) for strain in strains], dt=(strains[1] - strains[0]) / rate)[
            -1
        ]
        plateau = YIELD + 100.0 * (rate / ROOT3 / 1e-3) ** (1.0 / exponent)
        assert ROOT3 * shear_stress(final.flux) == pytest.approx(plateau, rel=1e-9)


@SIZES
@pytest.mark.parametrize(("exponent", "hardening", "kinematic"), [(4.0, 0.0, 0.0), (2.0, 3e3, 5e3)])
def test_relaxation_converges_to_the_exact_solution_with_first_order(exponent, hardening, kinematic, size):
    r"""The overstress obeys df/dt = -h e_0 (f / s_r)^n with h = 3 G + H + H_k."""
    law = NortonPerzyna(
        YOUNG,
        POISSON,
        YIELD,
        exponent=exponent,
        hardening=hardening,
        kinematic_hardening=kinematic,
        **PERZYNA,
    )
    overstress, duration, modulus = 200.0, 1.0, 3.0 * SHEAR + hardening + kinematic
    strain = shear((YIELD + overstress) / ROOT3 / SHEAR, size)
    rate = (exponent - 1.0) * modulus * 1e-3 / 100.0**exponent
    exact = (overstress ** (1.0 - exponent) + rate * duration) ** (1.0 / (1.0 - exponent))
    assert exact < 0.8 * overstress

    jump = respond(law, strain[None], virgin(law, 1, size), dt=0.0)
    assert ROOT3 * shear_stress(jump.flux) == pytest.approx(YIELD + overstress, rel=1e-13)
    errors = []
    for steps in (20, 40, 80, 160):
        flow = drive(law, [strain] * steps, dt=duration / steps)[-1].history["equivalent_plastic_strain"][
            0, 0
        ]
        errors.append(abs(overstress - modulus * flow - exact))
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert errors[-1] < 0.01 * exact
    assert np.all(np.abs(orders - 1.0) < 0.1), orders
    assert abs(orders[-1] - 1.0) < abs(orders[0] - 1.0)


def test_length_of_the_time_step_matters_between_elasticity_and_plasticity():
    law = NortonPerzyna(YOUNG, POISSON, YIELD, exponent=5.0, **PERZYNA, hardening=1e3)
    strain, history = shear(0.02, 6)[None], virgin(law, 1, 6)
    stresses = [
        shear_stress(law.respond(strain, history, dt).flux) for dt in (0.0, 1e-6, 1e-2, 1e2, 1e6, 1e30)
    ]
    assert np.all(np.diff(stresses) < 0.0)
    assert stresses[0] == pytest.approx(SHEAR * 0.02, rel=1e-14)
    slow = drive(J2Plasticity(YOUNG, POISSON, YIELD, hardening=1e3), [shear(0.02, 6)])[0]
    assert stresses[-1] == pytest.approx(shear_stress(slow.flux), rel=1e-5)
    limit = law.respond(strain, history, 1e60)
    assert np.allclose(limit.flux, slow.flux, rtol=1e-10)
    assert np.allclose(limit.tangent, slow.tangent, rtol=1e-9, atol=1e-9 * slow.tangent.max())


@pytest.mark.parametrize("exponent", [1.0, 1.5, 10.0, 100.0, 1000.0])
def test_step_equation_is_solved_for_every_exponent_and_step_length(exponent):
    """Independent check of dp = dt e_0 (f / s_r)^n, in logarithms, wherever f keeps its digits."""
    law = NortonPerzyna(YOUNG, POISSON, YIELD, exponent=exponent, **PERZYNA)
    dts, strains = np.logspace(-20, 20, 41), np.array([3e-3, 3.4641016152e-3 + 2e-3, 0.02, 1.0, 100.0])
    checked = 0
    for dt in dts:
        gradient = np.array([shear(strain, 6) for strain in strains])
        response = law.respond(gradient, virgin(law, len(strains), 6), float(dt))
        flow = response.history["equivalent_plastic_strain"][:, 0]
        trial = ROOT3 * SHEAR * strains
        overstress = trial - YIELD - 3.0 * SHEAR * flow
        assert np.all(np.isfinite(response.tangent))
        assert np.all(flow[trial <= YIELD] == 0.0)
        clear = (overstress > 1e-3 * trial) & (flow > 1e-290)
        checked += np.count_nonzero(clear)
        logarithm = np.log(dt * 1e-3) + exponent * np.log(overstress[clear] / 100.0)
        assert np.allclose(np.log(flow[clear]), logarithm, rtol=1e-11, atol=1e-11 * exponent)
    assert checked > 40


def test_norton_creep_flows_at_every_stress():
    law = NortonPerzyna(YOUNG, POISSON, 0.0, exponent=3.0, **PERZYNA)
    strain = shear(1e-4, 4)
    stress = ROOT3 * SHEAR * 1e-4
    flow = drive(law, [strain], dt=1e-6)[0].history["equivalent_plastic_strain"][0, 0]
    assert flow == pytest.approx(1e-6 * 1e-3 * (stress / 100.0) ** 3, rel=1e-4)


def test_reference_stress_is_the_yield_stress_unless_given():
    implicit = NortonPerzyna(YOUNG, POISSON, YIELD, reference_rate=1e-3, exponent=3.0)
    explicit = NortonPerzyna(YOUNG, POISSON, YIELD, reference_rate=1e-3, exponent=3.0, reference_stress=YIELD)
    strain = [shear(0.01, 4)]
    assert np.array_equal(drive(implicit, strain)[0].flux, drive(explicit, strain)[0].flux)
