"""The law of a solid that holds a solute: potentials, stresses and tangents at single points."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fe2.errors import InputError, LocalSolveError
from fe2.physics.chemomechanics import Chemoelastic
from fe2.physics.free_energy import GAS_CONSTANT

Array = npt.NDArray[np.float64]

pytestmark = pytest.mark.unit

SILICON = {
    "young": 90e9,
    "poisson": 0.28,
    "diffusivity": 1e-16,
    "molar_volume": 8.2e-6,
    "temperature": 300.0,
    "reference_concentration": 2e3,
}
RT = GAS_CONSTANT * 300.0
REGULAR = {"saturation_concentration": 3e5, "interaction": 1.5 * RT}


def law(**changes: Any) -> Chemoelastic:
    return Chemoelastic(**(SILICON | changes))


def answered(law: Chemoelastic, gradient: Array) -> Any:
    history = {"local_concentration": np.full((len(gradient), 1), law.reference_concentration)}
    return law.respond(gradient, history, 1.0)


def random_gradients(size: int, count: int = 50) -> Array:
    generator = np.random.default_rng(1)
    strains, potentials = (
        generator.normal(size=(count, size)) * 5e-3,
        generator.normal(size=(count, 1)) * 5.0 * RT,
    )
    return np.concatenate([strains, potentials], axis=1)


@pytest.mark.parametrize("size", [4, 6])
@pytest.mark.parametrize("more", [{}, REGULAR, {"molar_volume": -3e-6}, {"molar_volume": 0.0}])
def test_stress_and_potential_are_those_of_the_formulas(size: int, more: dict[str, float]) -> None:
    made, gradient = law(**more), random_gradients(size)
    answer = answered(made, gradient)
    stress, c = answer.flux[:, :size], answer.flux[:, size]
    volume = gradient[:, :3].sum(axis=1)
    bulk, shear = made.young / (3.0 * (1.0 - 2.0 * made.poisson)), made.young / (2.0 * (1.0 + made.poisson))
    unit = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])[:size]
    mean = bulk * (volume - made.molar_volume * (c - made.reference_concentration))
    deviator = gradient[:, :size] - np.outer(volume / 3.0, unit)
    np.testing.assert_allclose(stress, np.outer(mean, unit) + 2.0 * shear * deviator, rtol=1e-9, atol=1e-4)
    chemical = np.log(c / made.reference_concentration)
    if (top := made.saturation_concentration) is not None:
        reference = made.reference_concentration
        chemical = np.log(c / (top - c)) - np.log(reference / (top - reference))
        chemical -= 2.0 * 1.5 * (c - reference) / top
    np.testing.assert_allclose(
        RT * chemical - made.molar_volume * mean, gradient[:, size], rtol=1e-9, atol=1e-6 * RT
    )


@pytest.mark.parametrize("more", [{}, REGULAR])
def test_tangent_is_the_derivative_and_that_of_a_potential(more: dict[str, float]) -> None:
    """The grand potential ψ - μ c: ∂σ/∂μ = -∂c/∂ε, and the rest is symmetric."""
    made, gradient = law(**more), random_gradients(6, 10)
    widths = np.array([1e-7] * 6 + [1e-4 * RT])
    tangent = answered(made, gradient).tangent
    for k, h in enumerate(np.diag(widths)):
        column = (answered(made, gradient + h).flux - answered(made, gradient - h).flux) / (2.0 * widths[k])
        np.testing.assert_allclose(
            tangent[:, :, k], column, rtol=1e-5, atol=1e-6 * np.abs(tangent[:, :, k]).max()
        )
    np.testing.assert_allclose(tangent[:, :6, 6], -tangent[:, 6, :6], rtol=1e-12)
    np.testing.assert_allclose(
        tangent[:, :6, :6], tangent[:, :6, :6].transpose(0, 2, 1), rtol=1e-9, atol=1e-2
    )


@pytest.mark.parametrize("start", [1e-3, 2e3, 1e5, 2.9e5])
def test_equilibrium_is_found_from_far_away(start: float) -> None:
    """From a concentration that is wrong by many orders of magnitude."""
    made, gradient = law(**REGULAR), random_gradients(6)
    gradient[:, 6] *= 4.0
    expected = answered(made, gradient).flux
    found = made.respond(gradient, {"local_concentration": np.full((50, 1), start)}, 1.0).flux
    size = np.abs(expected).max(axis=0)
    np.testing.assert_allclose(found / size, expected / size, rtol=1e-9, atol=1e-9)


def test_answers_do_not_depend_on_units() -> None:
    """In N, mm, mJ with concentrations in mol/mm³."""
    other = Chemoelastic(90e3, 0.28, 1e-10, 8.2e3, 300.0, 2e-6, gas_constant=1e3 * GAS_CONSTANT)
    gradient = random_gradients(6)
    expected, scaled = answered(law(), gradient).flux, gradient.copy()
    scaled[:, 6] *= 1e3
    found = answered(other, scaled).flux * np.array([1e6] * 6 + [1e9])
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-3)


@pytest.mark.parametrize("c", [2e3, 5e4])
def test_stress_drives_the_solute_as_in_a_sphere(c: float) -> None:
    """D (1 + θ c), θ = 2 Ω² E / (9 R T (1 - ν)), where one direction is free and the others do not move.

    A sphere with radial symmetry (Zhang, Shyy & Sastry, J. Electrochem. Soc. 154 (2007), A910) and a plate
    have this in common.
    """
    made = law()
    # strains that leave σ_xx = 0 at the concentration c, with ε_yy = ε_zz = 0
    swelling = made.molar_volume / 3.0 * (c - made.reference_concentration)
    strain = swelling * (1.0 + made.poisson) / (1.0 - made.poisson)
    mean = -2.0 / 9.0 * made.young * 3.0 * swelling / (1.0 - made.poisson)
    potential = RT * np.log(c / made.reference_concentration) - made.molar_volume * mean
    answer = answered(made, np.array([[strain, 0.0, 0.0, 0.0, 0.0, 0.0, potential]]))
    assert answer.flux[0, 6] == pytest.approx(c, rel=1e-9)
    assert abs(answer.flux[0, 0]) < 1e-6 * made.young * swelling + 1.0
    tangent = answer.tangent[0]
    capacity = tangent[6, 6] - tangent[6, 0] * tangent[0, 6] / tangent[0, 0]
    theta = 2.0 * made.molar_volume**2 * made.young / (9.0 * RT * (1.0 - made.poisson))
    assert c / RT / capacity == pytest.approx(1.0 + theta * c, rel=1e-9)


def test_solute_softens_a_bar_as_gorsky_says() -> None:
    """At constant potential 1/E + (Ω/3)² c₀ / R T in tension: the moment of a bent bar relaxes to that."""
    made = law(reference_concentration=1e5)
    compliance = np.linalg.inv(answered(made, np.zeros((1, 7))).tangent[0, :6, :6])
    share = 1.0 / (made.young * compliance[0, 0])
    expected = 1.0 / (1.0 + (made.molar_volume / 3.0) ** 2 * made.young * made.reference_concentration / RT)
    assert share == pytest.approx(expected, rel=1e-10)
    assert expected < 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"young": 0.0}, r"young = 0\.0 is not admissible; it must be positive"),
        ({"diffusivity": -1.0}, r"Chemoelastic: diffusivity = -1\.0 is not admissible"),
        ({"temperature": -1.0}, r"temperature = -1\.0"),
        ({"reference_concentration": 0.0}, r"reference_concentration = 0\.0"),
        (
            {"saturation_concentration": 1e3},
            "reference_concentration = 2000 .* below the saturation_concentration, 1000",
        ),
        ({"interaction": 1.0}, "interaction = 1 is not admissible without a saturation_concentration"),
        ({"saturation_concentration": 4e3, "interaction": 6e3}, "interaction = 6000 .* less than 4988"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(change: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        law(**change)


def test_concentrations_that_leave_their_range_are_told() -> None:
    with pytest.raises(
        LocalSolveError, match=r"concentration = .* leaves its range, it must be positive"
    ) as caught:
        answered(law(), np.array([[0.0] * 7, [0.0] * 6 + [-1e3 * RT]]))
    assert caught.value.points == (1,)
    with pytest.raises(LocalSolveError, match="must lie between 0 and 300000"):
        answered(law(**REGULAR), np.array([[0.0] * 6 + [1e3 * RT]]))


def test_a_solution_that_falls_apart_is_told() -> None:
    """Within the spinodal, where 2 w > R T c_max² / (c (c_max - c)), and strain does not keep it together."""
    unstable = law(saturation_concentration=3e5, interaction=6.0 * RT, molar_volume=0.0)
    history = {"local_concentration": np.array([[1.5e5]])}
    potential = unstable.energy.potential(np.array([[1.5e5]]))[0, 0]
    with pytest.raises(LocalSolveError, match="not stable at the concentration"):
        unstable.respond(np.array([[0.0] * 6 + [potential]]), history, 1.0)
