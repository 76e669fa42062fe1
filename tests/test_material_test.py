"""Material tests on cells: closed forms under mixed control, no hidden state, refused paths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cells import Array, distorted, random_image, relative_error

from fe2.errors import InputError
from fe2.micro.material_test import MaterialPath, MaterialTest
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.physics.elasticity import LinearElastic
from fe2.physics.law import PhaseLaw
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.viscoplasticity import NortonPerzyna
from fe2.physics.voce import VocePlasticity

E, NU, YIELD, H = 200e3, 0.3, 400.0, 5e3  # MPa
TANGENT = E * H / (E + H)
CONTROL = 2e-9
"""The control's tolerance, 1e-9 of the stress of an elastic response, in a norm of six components."""


@pytest.fixture(scope="module")
def bar() -> RVE:
    return small_strain(distorted("tetrahedron"), {"a": J2Plasticity(E, NU, YIELD, hardening=H)})


def drive(rve: RVE, increments: int = 1, **prescribed: Any) -> MaterialTest:
    """Drive along a path with points a second apart, from zero; gradient_xx=[...] prescribes a strain."""
    kinds: dict[str, dict[str, Array]] = {"gradient": {}, "flux": {}}
    for key, values in prescribed.items():
        kind, component = key.split("_")
        kinds[kind][component] = np.array([0.0, *values])
    points = 1 + len(next(iter(prescribed.values())))
    return rve.drive(MaterialPath(np.arange(float(points)), **kinds, increments=increments))


def test_uniaxial_stress_of_homogeneous_plastic_cell_under_strain_control(bar: RVE) -> None:
    strain = np.array([0.0, 0.001, 0.006, 0.004, -0.004, 0.002])
    stress, plastic, accumulated = [], 0.0, 0.0
    for value in strain:
        trial = E * (value - plastic)
        flow = max(abs(trial) - YIELD - H * accumulated, 0.0) / (E + H)
        plastic, accumulated = plastic + flow * np.sign(trial), accumulated + flow
        stress.append(E * (value - plastic))
    for increments in (1, 4):
        test = drive(bar, increments, gradient_xx=strain[1:])
        assert test.components == ("xx", "yy", "zz", "yz", "xz", "xy")
        rows = slice(None, None, increments)
        assert np.max(np.abs(test.flux[rows, 0] - stress)) < CONTROL * E * 0.006
        assert np.max(np.abs(test.flux[:, 1:])) < CONTROL * E * 0.006
        lateral = -NU * test.flux[:, 0] / E - 0.5 * (test.gradient[:, 0] - test.flux[:, 0] / E)
        assert np.allclose(test.gradient[:, 1:3], lateral[:, None], rtol=0.0, atol=CONTROL * 0.006)
        assert test.averages["equivalent_plastic_strain"][-1, 0] == pytest.approx(accumulated, rel=1e-7)


def test_uniaxial_stress_under_stress_control_with_unloading_in_one_increment(bar: RVE) -> None:
    """The consistent tangent of the last step would send unloading by E/Et = 41 times too far."""
    test = drive(bar, flux_xx=[450.0, 0.0, -470.0, 0.0])
    first = (450.0 - YIELD) / H
    second = first + (470.0 - 450.0) / H
    plastic = np.array([0.0, first, first, first - (second - first), first - (second - first)])
    exact = plastic + np.array([0.0, 450.0, 0.0, -470.0, 0.0]) / E
    assert np.max(np.abs(test.gradient[:, 0] - exact)) < CONTROL * 450.0 / TANGENT
    assert test.iterations.max() < 10


@pytest.mark.parametrize("law", [LinearElastic.isotropic(E, NU), J2Plasticity(E, NU, YIELD, hardening=H)])
def test_elastic_cycle_returns_to_the_origin(law: PhaseLaw) -> None:
    """At no strain and no stress there is no scale but that of the way there."""
    rve = small_strain(random_image(2, 5), {"a": law, "b": LinearElastic.isotropic(70e3, 0.2)})
    test = drive(rve, 2, flux_xx=[50.0, 0.0, -50.0, 0.0])
    assert relative_error(test.gradient[[2, 6]], -test.gradient[[6, 2]]) < 1e-8
    assert np.max(np.abs(test.gradient[[4, 8]])) < 1e-8 * np.max(np.abs(test.gradient))


def test_shear_is_reported_as_engineering_strain(bar: RVE) -> None:
    shear, gamma = E / (2.0 * (1.0 + NU)), 0.012
    test = drive(bar, gradient_xy=[0.002, gamma])
    yield_shear = YIELD / np.sqrt(3.0)
    exact = (yield_shear + H / 3.0 * gamma) / (1.0 + H / (3.0 * shear))
    assert test.flux[1, 5] == pytest.approx(shear * 0.002, rel=1e-8)
    assert test.flux[2, 5] == pytest.approx(exact, rel=1e-8)


def test_control_changes_from_strain_to_stress_and_back(bar: RVE) -> None:
    nan = np.nan
    test = drive(bar, 2, gradient_xx=[0.01, nan, 0.007], flux_xx=[nan, 0.0, nan])
    loaded = YIELD + TANGENT * (0.01 - YIELD / E)
    assert test.flux[2, 0] == pytest.approx(loaded, rel=1e-8)
    assert test.flux[3, 0] == pytest.approx(loaded / 2, rel=1e-8)  # half-way to no stress
    assert abs(test.flux[4, 0]) < CONTROL * loaded
    residual = 0.01 - loaded / E
    assert test.gradient[4, 0] == pytest.approx(residual, rel=1e-8)
    assert test.gradient[5, 0] == pytest.approx((residual + 0.007) / 2, rel=1e-8)  # strain control again
    assert test.flux[5, 0] == pytest.approx(E * (0.007 - residual) / 2, rel=1e-8)
    assert np.array_equal(test.times, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ({"times": [0.0, 1.0, 1.0]}, "times of a path must increase"),
        ({"times": [0.0]}, "at least two"),
        ({"times": [0.0, 1.0], "increments": 0}, "increments = 0 is not admissible"),
        (
            {"times": [0.0, 1.0], "gradient": {"11": [0, 1]}},
            "prescribes '11', but the components are xx, yy, zz",
        ),
        (
            {"times": [0.0, 1.0], "gradient": {"xx": [0.1, 1]}},
            "'xx' starts at 0.1; a path starts from the virgin",
        ),
        ({"times": [0.0, 1.0], "flux": {"yy": [0, 1, 2]}}, "flux 'yy' has 3 values for 2 times"),
        (
            {"times": [0.0, 1.0], "gradient": {"xx": [0, 1]}, "flux": {"xx": [np.nan, 1]}},
            "point 1 of the path prescribes gradient and flux of 'xx'",
        ),
    ],
)
def test_paths_that_cannot_be_are_refused(bar: RVE, path: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        bar.drive(MaterialPath(**path))


RATE_INDEPENDENT: dict[str, PhaseLaw] = {
    "elastic": LinearElastic.isotropic(E, NU),
    "j2": J2Plasticity(E, NU, YIELD, hardening=H),
    "voce": VocePlasticity(E, NU, YIELD, saturation_stress=150.0, saturation_rate=80.0),
}
VISCOUS = NortonPerzyna(E, NU, YIELD, reference_rate=1e-3, exponent=5.0)
STRAIN = np.array([5e-3, -3e-3, 4e-3])


def composite(law: PhaseLaw) -> RVE:
    return small_strain(random_image(2, 4), {"a": law, "b": LinearElastic.isotropic(70e3, 0.2)})


@pytest.mark.parametrize("law", [*RATE_INDEPENDENT.values(), VISCOUS], ids=[*RATE_INDEPENDENT, "perzyna"])
def test_rve_has_no_state_of_its_own(law: PhaseLaw) -> None:
    """The same input gives the same answer, whatever was solved in between; committed states stay."""
    rve = composite(law)
    states = [rve.initial_state()]
    for factor in (1.0, 1.4):
        states.append(np.empty_like(states[0]))
        rve.solve(factor * STRAIN, states[-2], 1.0, states[-1])
    kept, out = [state.copy() for state in states], np.empty_like(states[0])
    first = rve.solve(1.2 * STRAIN, states[1], 1.0, out)
    answer = out.copy()
    for state in states:
        rve.solve(-2.0 * STRAIN[::-1], state, 0.1, out)
        rve.fields(state)
    again = rve.solve(1.2 * STRAIN, states[1], 1.0, out)
    assert np.array_equal(first.flux, again.flux)
    assert np.array_equal(first.tangent, again.tangent)
    assert np.array_equal(answer, out)
    for state, copy in zip(states, kept, strict=True):
        assert np.array_equal(state, copy)


def test_time_step_matters_for_rate_dependent_laws_only() -> None:
    out = np.empty(composite(VISCOUS).state_size)
    for law in RATE_INDEPENDENT.values():
        rve = composite(law)
        fluxes = [rve.solve(STRAIN, rve.initial_state(), dt, out[: rve.state_size]).flux for dt in (0.0, 1e3)]
        assert np.array_equal(fluxes[0], fluxes[1])
    rve, steps = composite(VISCOUS), (0.0, 1e-3, 1.0, 1e3, 1e20)
    fluxes = [rve.solve(STRAIN, rve.initial_state(), dt, out).flux for dt in steps]
    norms = [np.linalg.norm(flux) for flux in fluxes]
    assert np.all(np.diff(norms) < -1e-3 * norms[0])  # slower is softer
    elastic, perfect = composite(RATE_INDEPENDENT["elastic"]), composite(J2Plasticity(E, NU, YIELD))
    for limit, flux in ((elastic, fluxes[0]), (perfect, fluxes[-1])):
        exact = limit.solve(STRAIN, limit.initial_state(), 1.0, np.empty(limit.state_size)).flux
        # the overstress left is (|strain| / (rate dt))^(1/5) of the yield stress, 2e-4 at most
        assert relative_error(flux, exact) < 3e-4
