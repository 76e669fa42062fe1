"""Hyperelastic laws at single points: closed forms, frame indifference, tangents; ellipticity of tangents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import ufl
from cells import relative_error
from conftest import Verify
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from fe2.errors import InputError
from fe2.physics.ellipticity import (
    acoustic_tensors,
    smallest_acoustic_determinant,
    smallest_acoustic_eigenvalue,
)
from fe2.physics.finite_strain import small_strain_stiffness
from fe2.physics.holzapfel_gasser_ogden import HolzapfelGasserOgden
from fe2.physics.hyperelasticity import Hyperelastic, HyperelasticLaw
from fe2.physics.mooney_rivlin import MooneyRivlin
from fe2.physics.neo_hookean import NeoHookean
from fe2.stiffness import bulk_modulus, isotropic_stiffness, shear_modulus
from fe2.testing.material_point import Array, difference_tangent, respond

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

YOUNG, POISSON = 10.0, 0.3
MU = shear_modulus(YOUNG, POISSON)
LAMBDA = bulk_modulus(YOUNG, POISSON) - 2.0 / 3.0 * MU


def saint_venant_kirchhoff(F, p):
    E = 0.5 * (F.T * F - ufl.Identity(3))
    return 0.5 * p["lambda"] * ufl.tr(E) ** 2 + p["mu"] * ufl.inner(E, E)


def bonet_wood(F, p):
    J = ufl.det(F)
    return p["mu"] / 2 * (ufl.tr(F.T * F) - 3 - 2 * ufl.ln(J)) + p["lambda"] / 2 * ufl.ln(J) ** 2


@dataclass(frozen=True, eq=False)
class BlatzKo(HyperelasticLaw):
    """A law of a user's own, with the one method it needs (Blatz & Ko 1962, foam)."""

    shear: float

    def energy(self, F):
        C = F.T * F
        first, third = ufl.tr(C), ufl.det(C)
        second = 0.5 * (first**2 - ufl.tr(C * C))
        return 0.5 * self.shear * (second / third + 2.0 * ufl.sqrt(third) - 5.0)


LAWS: dict[str, HyperelasticLaw] = {
    "neo-Hookean": NeoHookean(YOUNG, POISSON),
    "Mooney-Rivlin": MooneyRivlin(c10=0.4, c01=0.15, bulk=20.0),
    "Holzapfel-Gasser-Ogden": HolzapfelGasserOgden(
        0.8, 2.0, 1.5, 20.0, directions=[[1.0, 1.0, 0.2], [1.0, -1.0, 0.0]], dispersion=0.1
    ),
    "formula": Hyperelastic(saint_venant_kirchhoff, {"lambda": 3.0, "mu": 2.0}),
    "formula with bulk": Hyperelastic(
        lambda F, p: p["c"] * (ufl.tr(F.T * F) / ufl.det(F) ** (2 / 3) - 3), {"c": 0.5}, 30
    ),
    "own class": BlatzKo(1.5),
}
TENSION_AND_SHEAR = np.array([[1.25, 0.3, -0.1], [0.1, 0.9, 0.15], [-0.05, 0.2, 1.1]])


def stress(law: HyperelasticLaw, F: Array) -> Array:
    return respond(law, (F - np.eye(3)).reshape(1, 9), {}).flux.reshape(3, 3)


def tangent(law: HyperelasticLaw, F: Array) -> Array:
    return respond(law, (F - np.eye(3)).reshape(1, 9), {}).tangent[0]


@pytest.mark.parametrize("name", LAWS)
def test_stress_turns_with_the_body(name: str) -> None:
    Q = Rotation.from_rotvec([0.7, -1.1, 0.4]).as_matrix()
    P = stress(LAWS[name], TENSION_AND_SHEAR)
    assert np.linalg.norm(P) > 0.1
    assert relative_error(stress(LAWS[name], Q @ TENSION_AND_SHEAR), Q @ P) < 1e-13
    cauchy = P @ TENSION_AND_SHEAR.T
    assert relative_error(cauchy, cauchy.T) < 1e-13  # what frame indifference implies
    assert np.abs(stress(LAWS[name], Q)).max() < 1e-13


@pytest.mark.parametrize("name", LAWS)
def test_tangent_is_symmetric_and_agrees_with_central_differences(name: str) -> None:
    A = tangent(LAWS[name], TENSION_AND_SHEAR)
    H = (TENSION_AND_SHEAR - np.eye(3)).reshape(9)
    assert relative_error(A, difference_tangent(LAWS[name], H, {}, 0.0, np.eye(9), 1e-6)) < 1e-8
    assert relative_error(A, A.T) < 1e-14


@pytest.mark.parametrize(
    ("law", "young", "poisson"),
    [
        (LAWS["neo-Hookean"], YOUNG, POISSON),
        (MooneyRivlin(0.4, 0.15, 20.0), 9 * 20.0 * 1.1 / (61.1), (60.0 - 2.2) / (120.0 + 2.2)),
        # fibres that are not stretched do nothing
        (
            HolzapfelGasserOgden(1.1, 2.0, 1.5, 20.0, [[1, 0]]),
            9 * 20.0 * 1.1 / 61.1,
            (60.0 - 2.2) / (120.0 + 2.2),
        ),
    ],
)
def test_virgin_tangent_is_the_small_strain_stiffness(
    law: HyperelasticLaw, young: float, poisson: float
) -> None:
    A = tangent(law, np.eye(3))
    assert relative_error(small_strain_stiffness(A), isotropic_stiffness(young, poisson)) < 1e-13
    rotation = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).reshape(9)
    assert np.abs(A @ rotation).max() < 1e-12


def test_neo_hookean_stress_is_the_closed_form() -> None:
    inverse = np.linalg.inv(TENSION_AND_SHEAR).T
    J = np.linalg.det(TENSION_AND_SHEAR)
    exact = MU * (TENSION_AND_SHEAR - inverse) + LAMBDA * np.log(J) * inverse
    assert relative_error(stress(LAWS["neo-Hookean"], TENSION_AND_SHEAR), exact) < 1e-14


def uniaxial(stretch: float) -> Array:
    """Isochoric tension along x."""
    return np.diag([stretch, stretch**-0.5, stretch**-0.5])


def difference_of_principal_stresses(law: HyperelasticLaw, stretch: float) -> float:
    """σ₁ - σ₂, which the pressure of an incompressible material does not change."""
    F = uniaxial(stretch)
    cauchy = stress(law, F) @ F.T
    return float(cauchy[0, 0] - cauchy[1, 1])


@pytest.mark.parametrize("stretch", [0.5, 0.9, 1.3, 3.0])
def test_incompressible_tension_of_rubber_is_the_closed_form(stretch: float) -> None:
    rubber = MooneyRivlin(c10=0.4, c01=0.15, bulk=1e3)
    exact = 2.0 * (stretch**2 - 1.0 / stretch) * (0.4 + 0.15 / stretch)
    assert np.isclose(difference_of_principal_stresses(rubber, stretch), exact, rtol=1e-12)
    neo_hookean = MU * (stretch**2 - 1.0 / stretch)
    assert np.isclose(difference_of_principal_stresses(LAWS["neo-Hookean"], stretch), neo_hookean, rtol=1e-12)


@pytest.mark.parametrize("stretch", [0.7, 1.05, 1.4])
@pytest.mark.parametrize("dispersion", [0.0, 0.1, 1.0 / 3.0])
def test_tissue_along_its_fibres_is_the_closed_form(dispersion: float, stretch: float) -> None:
    mu, k1, k2 = 0.8, 2.0, 1.5
    law = HolzapfelGasserOgden(mu, k1, k2, 1e3, directions=[[2.0, 0.0, 0.0]], dispersion=dispersion)
    first = stretch**2 + 2.0 / stretch
    E = max(dispersion * (first - 3.0) + (1.0 - 3.0 * dispersion) * (stretch**2 - 1.0), 0.0)
    slope = k1 * E * np.exp(k2 * E**2)  # dψ/dE
    exact = mu * (stretch**2 - 1.0 / stretch)
    exact += 2.0 * slope * (dispersion * (stretch**2 - 1.0 / stretch) + (1.0 - 3.0 * dispersion) * stretch**2)
    assert np.isclose(difference_of_principal_stresses(law, stretch), exact, rtol=1e-12)
    if dispersion == 0.0:
        assert (E > 0.0) == (stretch > 1.0)  # fibres carry tension only


@pytest.mark.parametrize("amount", [0.1, 0.7, 2.0])
@pytest.mark.parametrize("name", ["neo-Hookean", "Mooney-Rivlin"])
def test_simple_shear_obeys_the_universal_relation(name: str, amount: float) -> None:
    """σ₁₁ - σ₂₂ = γ σ₁₂ in every isotropic material (Rivlin 1948); σ₁₂ = 2 (c₁₀ + c₀₁) γ in rubber."""
    F = np.eye(3)
    F[0, 1] = amount
    laws = {"neo-Hookean": LAWS["neo-Hookean"], "Mooney-Rivlin": MooneyRivlin(0.4, 0.15, 1e3)}
    modulus = {"neo-Hookean": MU, "Mooney-Rivlin": 2.0 * (0.4 + 0.15)}[name]
    cauchy = stress(laws[name], F) @ F.T
    assert np.isclose(cauchy[0, 0] - cauchy[1, 1], amount * cauchy[0, 1], rtol=1e-12)
    assert np.isclose(cauchy[0, 1], modulus * amount, rtol=1e-12)


def test_formula_of_ones_own_is_the_built_in_law() -> None:
    own = Hyperelastic(bonet_wood, {"mu": MU, "lambda": LAMBDA})
    assert (
        relative_error(tangent(own, TENSION_AND_SHEAR), tangent(LAWS["neo-Hookean"], TENSION_AND_SHEAR))
        < 1e-13
    )
    other = Hyperelastic(bonet_wood, {"mu": 2 * MU, "lambda": 2 * LAMBDA})
    assert relative_error(stress(other, TENSION_AND_SHEAR), 2 * stress(own, TENSION_AND_SHEAR)) < 1e-13


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NeoHookean(0.0, 0.3), "NeoHookean: young = 0.0 .* positive"),
        (lambda: NeoHookean(1.0, 0.5), "NeoHookean: poisson = 0.5 .* less than 0.5"),
        (lambda: MooneyRivlin(0.0, 0.1, 1.0), "MooneyRivlin: c10 = 0.0"),
        (lambda: MooneyRivlin(1.0, -0.1, 1.0), "MooneyRivlin: c01 = -0.1 .* zero or positive"),
        (lambda: MooneyRivlin(1.0, 0.1, np.inf), "MooneyRivlin: bulk = inf"),
        (lambda: HolzapfelGasserOgden(1.0, 1.0, 0.0, 1.0, [[1, 0]]), "fibre_exponent = 0.0"),
        (lambda: HolzapfelGasserOgden(1.0, 1.0, 1.0, 1.0, [[1, 0]], 0.4), "dispersion = 0.4 .* between 0"),
        (lambda: HolzapfelGasserOgden(1.0, 1.0, 1.0, 1.0, [[0, 0]]), r"directions\[0\] is the zero vector"),
        (lambda: HolzapfelGasserOgden(1.0, 1.0, 1.0, 1.0, []), "directions are missing"),
        (lambda: HolzapfelGasserOgden(1.0, 1.0, 1.0, 1.0, [[1, 0], [1]]), r"directions"),
        (lambda: Hyperelastic(bonet_wood, {"mu": "x", "lambda": 1.0}), "Hyperelastic: mu = x"),
        (lambda: Hyperelastic(bonet_wood, {"mu": 1.0}), "parameters .*'mu'.* cannot be formed: KeyError"),
        (lambda: Hyperelastic(lambda F, p: F), r"has shape \(3, 3\); it must be a scalar"),
        (lambda: Hyperelastic(lambda F, p: ufl.tr(F), {}, -1.0), "bulk = -1.0"),
    ],
)
def test_inadmissible_parameters_are_refused_by_name(
    make: Callable[[], HyperelasticLaw], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make()


def random_deformations(dim: int, count: int) -> Array:
    rng = np.random.default_rng(3)
    F = np.eye(dim) + rng.uniform(-0.4, 0.4, size=(4 * count, dim, dim))
    return F[np.linalg.det(F) > 0.2][:count]


@pytest.mark.parametrize("dim", [2, 3])
def test_smallest_acoustic_determinant_of_neo_hookean_is_the_closed_form(dim: int) -> None:
    """Q(n) = μ 1 + c m ⊗ m, m = F⁻ᵀn, c = μ + λ (1 - ln J): |m| is least along the largest stretch."""
    F = random_deformations(dim, 20)
    J = np.linalg.det(F)
    inverse = np.linalg.inv(F).transpose(0, 2, 1)
    c = MU + LAMBDA * (1.0 - np.log(J))
    identity = np.eye(dim)
    A = MU * np.einsum("ik,jl->ijkl", identity, identity)[None]
    A = A + LAMBDA * np.einsum("pij,pkl->pijkl", inverse, inverse)
    A = A + (c - LAMBDA)[:, None, None, None, None] * np.einsum("pil,pkj->pijkl", inverse, inverse)
    tangents = A.reshape(-1, dim**2, dim**2)
    if dim == 3:
        assert relative_error(tangents[0], tangent(LAWS["neo-Hookean"], F[0])) < 1e-13
    exact = MU ** (dim - 1) * (MU + c / np.linalg.svd(F)[1][:, 0] ** 2)
    values, directions = smallest_acoustic_determinant(tangents)
    assert np.allclose(values, exact, rtol=1e-12)
    Q = acoustic_tensors(tangents, directions[:, None, :])[:, 0]
    assert np.allclose(np.linalg.det(Q), values, rtol=1e-13)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1.0)
    assert np.allclose(smallest_acoustic_eigenvalue(tangents)[0], MU, rtol=1e-12)


def test_saint_venant_kirchhoff_loses_ellipticity_at_a_known_compression(verify: Verify) -> None:
    r"""Uniaxial strain s with λ = 0: with y = n₁² (1 - s²), det Q = μ² (2s² - (s² + 2) y + 2y²).

    It has a double root in y where (s² + 2)² = 16 s², so at s = 2 - √2, for n₁² = s / (1 - s²).
    """
    law = Hyperelastic(saint_venant_kirchhoff, {"lambda": 0.0, "mu": 1.0})

    def smallest(stretch: float) -> tuple[float, Array]:
        values, directions = smallest_acoustic_determinant(tangent(law, np.diag([stretch, 1.0, 1.0]))[None])
        return float(values[0]), directions[0]

    assert smallest(0.9)[0] > 0.0
    critical = brentq(lambda stretch: smallest(stretch)[0], 0.5, 0.7, xtol=1e-14)
    exact = 2.0 - np.sqrt(2.0)
    case, source = "St. Venant–Kirchhoff, λ = 0, compressed: stretch where ellipticity ends", "exact: 2 - √2"
    verify(case, critical, exact, tolerance=1e-11, source=source)
    assert np.isclose(smallest(critical)[1][0] ** 2, exact / (1.0 - exact**2), rtol=1e-6)


def test_eigenvalue_stays_negative_where_the_determinant_has_changed_sign_twice() -> None:
    A = -np.eye(4)[None]  # Q = -1: two waves that do not propagate
    assert np.isclose(smallest_acoustic_determinant(A)[0][0], 1.0)
    assert np.isclose(smallest_acoustic_eigenvalue(A)[0][0], -1.0)
