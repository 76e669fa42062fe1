"""Bounds, closest isotropic moduli, anisotropy: formulas in special cases, cells between the bounds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from cells import fibres, laminate, random_image, relative_error

from fe2.errors import Fe2Warning
from fe2.micro.diffusion import diffusion
from fe2.micro.image_cell import image_cell
from fe2.micro.small_strain import small_strain
from fe2.physics.bounds import hashin_shtrikman_moduli, reuss_bound, voigt_bound
from fe2.physics.conduction import LinearConduction
from fe2.physics.diffusion import characterize_diffusion
from fe2.physics.elasticity import LinearElastic
from fe2.physics.small_strain import small_strain_kinematics
from fe2.stiffness import (
    bulk_modulus,
    closest_isotropic,
    isotropic_stiffness,
    shear_modulus,
    universal_anisotropy,
)
from fe2.tensors import positions_in_full, rotate_stiffness, rotation_from_bunge, stiffness_to_voigt

SOFT, STIFF = (50.0, 20.0), (160.0, 90.0)  # bulk and shear moduli
FRACTIONS = [0.35, 0.65]
PLANE = np.ix_(positions_in_full(3), positions_in_full(3))


def isotropic(bulk: float, shear: float, dim: int) -> np.ndarray:
    """Mandel stiffness of the space's own bulk modulus: in the plane it is λ + μ."""
    m = {2: 3, 3: 6}[dim]
    identity = np.array([1.0] * dim + [0.0] * (m - dim))
    volumetric = np.outer(identity, identity) / dim
    return dim * bulk * volumetric + 2.0 * shear * (np.eye(m) - volumetric)


def coated_inclusions(
    matrix: tuple[float, float], inclusion: tuple[float, float], f: float, dim: int
) -> list[float]:
    """Hashin–Shtrikman bounds as they stand in textbooks, for inclusions of fraction f in a matrix."""
    (k1, g1), (k2, g2) = matrix, inclusion
    if dim == 3:
        by_bulk = 3.0 * (1.0 - f) / (3.0 * k1 + 4.0 * g1)
        by_shear = 6.0 * (1.0 - f) * (k1 + 2.0 * g1) / (5.0 * g1 * (3.0 * k1 + 4.0 * g1))
    else:
        by_bulk = (1.0 - f) / (k1 + g1)
        by_shear = (1.0 - f) * (k1 + 2.0 * g1) / (2.0 * g1 * (k1 + g1))
    return [k1 + f / (1.0 / (k2 - k1) + by_bulk), g1 + f / (1.0 / (g2 - g1) + by_shear)]


@pytest.mark.parametrize("dim", [2, 3])
def test_hashin_shtrikman_bounds_are_the_coated_spheres_and_cylinders(dim: int) -> None:
    bounds = hashin_shtrikman_moduli([SOFT, STIFF], FRACTIONS, dim)
    lower = coated_inclusions(SOFT, STIFF, FRACTIONS[1], dim)
    upper = coated_inclusions(STIFF, SOFT, FRACTIONS[0], dim)
    assert np.allclose([bounds["bulk"], bounds["shear"]], np.transpose([lower, upper]), rtol=1e-13)
    other_way_round = hashin_shtrikman_moduli([STIFF, SOFT], FRACTIONS[::-1], dim)
    assert np.allclose(list(bounds.values()), list(other_way_round.values()), rtol=1e-13)


@pytest.mark.parametrize("dim", [2, 3])
def test_bounds_nest_and_meet_where_they_must(dim: int) -> None:
    phases = [isotropic(*moduli, dim) for moduli in (SOFT, STIFF)]
    bounds = hashin_shtrikman_moduli([SOFT, STIFF], FRACTIONS, dim)
    reuss, voigt = (
        closest_isotropic(reuss_bound(phases, FRACTIONS)),
        closest_isotropic(voigt_bound(phases, FRACTIONS)),
    )
    for low, (lower, upper), high in zip(reuss, bounds.values(), voigt, strict=True):
        assert low < lower < upper < high
    for fractions, moduli in (([1.0, 0.0], SOFT), ([0.0, 1.0], STIFF)):
        pure = hashin_shtrikman_moduli([SOFT, STIFF], fractions, dim)
        assert np.allclose(list(pure.values()), np.repeat(moduli, 2).reshape(2, 2), rtol=1e-13)
    same_shear = hashin_shtrikman_moduli([(50.0, 30.0), (160.0, 30.0)], FRACTIONS, dim)
    hill = 30.0 * (4.0 / 3.0 if dim == 3 else 1.0)
    exact = 1.0 / (FRACTIONS[0] / (50.0 + hill) + FRACTIONS[1] / (160.0 + hill)) - hill
    assert same_shear["bulk"] == pytest.approx([exact, exact], rel=1e-13)
    assert same_shear["shear"] == pytest.approx([30.0, 30.0], rel=1e-13)


def test_bounds_of_phases_that_are_not_ordered_alike() -> None:
    """Walpole: the smallest and the largest of each modulus bound, whichever phase has them."""
    bounds = hashin_shtrikman_moduli([(50.0, 90.0), (160.0, 20.0)], FRACTIONS, 3)
    softest = hashin_shtrikman_moduli([(50.0, 20.0), (160.0, 20.0)], FRACTIONS, 3)["bulk"][0]
    assert bounds["bulk"][0] == pytest.approx(softest, rel=1e-13)
    assert bounds["bulk"][0] < bounds["bulk"][1]
    assert bounds["shear"][0] < bounds["shear"][1]


def test_reuss_bound_of_cell_with_pores_is_zero() -> None:
    phases = [isotropic(*moduli, 3) for moduli in (SOFT, STIFF)]
    assert not reuss_bound(phases, [0.5, 0.4]).any()
    assert relative_error(voigt_bound(phases, [0.5, 0.4]), 0.5 * phases[0] + 0.4 * phases[1]) < 1e-14


def test_closest_isotropic_moduli_and_anisotropy_in_the_plane_and_in_space() -> None:
    for dim in (2, 3):
        assert closest_isotropic(isotropic(*SOFT, dim)) == pytest.approx(SOFT, rel=1e-14)
        assert universal_anisotropy(isotropic(*SOFT, dim)) == pytest.approx(0.0, abs=1e-12)
    plane_strain = isotropic_stiffness(70.0, 0.2)[PLANE]
    plane_bulk = bulk_modulus(70.0, 0.2) + shear_modulus(70.0, 0.2) / 3.0  # λ + μ
    assert closest_isotropic(plane_strain) == pytest.approx((plane_bulk, shear_modulus(70.0, 0.2)), rel=1e-14)


def test_anisotropy_of_square_symmetry_in_the_plane() -> None:
    """Shear moduli G and r G along the axes and the diagonals: A = 2 G_V / G_R - 2 = (r - 1)² / (2 r)."""
    bulk, shear, ratio = 100.0, 40.0, 3.0
    identity, stretch = np.array([1.0, 1.0, 0.0]) / np.sqrt(2), np.array([1.0, -1.0, 0.0]) / np.sqrt(2)
    stiffness = 2 * bulk * np.outer(identity, identity) + 2 * shear * np.outer(stretch, stretch)
    stiffness[2, 2] = 2 * ratio * shear
    exact = (ratio - 1.0) ** 2 / (2.0 * ratio)
    assert universal_anisotropy(stiffness) == pytest.approx(exact, rel=1e-13)
    turned = rotate_stiffness(stiffness, rotation_from_bunge(25.0, 0.0, 0.0)[:2, :2])
    assert universal_anisotropy(turned) == pytest.approx(exact, rel=1e-13)
    assert closest_isotropic(turned) == pytest.approx((bulk, (1 + ratio) / 2 * shear), rel=1e-13)


def test_report_of_a_laminate() -> None:
    """Voigt and Reuss are attained by laminates: along the layers in shear, across them in shear."""
    laws = {"a": LinearElastic.isotropic(210.0, 0.3), "b": LinearElastic.isotropic(70.0, 0.2)}
    report = small_strain(laminate("hexahedron", 0), laws).homogenize()
    bounds = report.properties["bounds"]
    assert report.volume_fractions == pytest.approx({"a": 0.4, "b": 0.6}, rel=1e-12)
    assert report.effective[3, 3] == pytest.approx(bounds["voigt"][3, 3], rel=1e-10)
    assert report.effective[4, 4] == pytest.approx(bounds["reuss"][4, 4], rel=1e-10)
    assert report.properties["anisotropy"] == pytest.approx(universal_anisotropy(report.tangent), rel=1e-9)
    assert report.properties["bulk_modulus"] == pytest.approx(closest_isotropic(report.tangent)[0], rel=1e-12)
    exact = 0.4 * isotropic_stiffness(210.0, 0.3) + 0.6 * isotropic_stiffness(70.0, 0.2)
    assert relative_error(bounds["voigt"], stiffness_to_voigt(exact)) < 1e-12


def test_hexagonal_array_is_isotropic_and_between_the_hashin_shtrikman_bounds() -> None:
    """Isotropic up to the mesh: its error is some 1e-4 in the stiffness and squared in the anisotropy."""
    laws = {"matrix": LinearElastic.isotropic(1.0, 0.3), "fibre": LinearElastic.isotropic(10.0, 0.3)}
    report = small_strain(fibres("hexagonal", 0.5, 1 / 12, 2), laws, degree=2).homogenize()
    bounds = report.properties["bounds"]["hashin_shtrikman"]
    for name in ("bulk", "shear"):
        lower, upper = bounds[name]
        assert lower < report.properties[f"{name}_modulus"] < upper
    assert 0.0 <= report.properties["anisotropy"] < 1e-6


def test_anisotropic_phases_have_no_hashin_shtrikman_bounds() -> None:
    laws = {"a": LinearElastic.cubic(168.4, 121.4, 75.4), "b": LinearElastic.isotropic(70.0, 0.2)}
    bounds = small_strain(random_image(2, 5), laws).homogenize().properties["bounds"]
    assert set(bounds) == {"voigt", "reuss"}


@pytest.mark.parametrize("unit", [1.0, 1e9])
def test_conductivity_outside_of_its_bounds_is_a_warning(unit: float) -> None:
    """A chessboard conducts √(k₁ k₂) = 0 (Keller 1964); elements that meet in corners conduct k/2."""
    board = image_cell(np.indices((4, 4)).sum(axis=0) % 2, {"void": 0, "solid": 1})
    laws = {"void": LinearConduction(0.0), "solid": LinearConduction(unit)}
    with pytest.warns(Fe2Warning, match="above its upper Hashin–Shtrikman bound"):
        diffusion(board, laws).homogenize()
    phases = [unit * np.eye(2), 4.0 * unit * np.eye(2)]
    for value, match in ((1.5, "below its lower Hashin"), (2.6, "above its Voigt"), (1.5, "below its Reuss")):
        with pytest.warns(Fe2Warning, match=match):
            characterize_diffusion(value * unit * np.eye(2), phases, [0.5, 0.5], "periodic")


@pytest.mark.parametrize("unit", [1.0, 1e9])
def test_stiffness_outside_of_its_bounds_is_a_warning(unit: float) -> None:
    kinematics = small_strain_kinematics(3)
    phases = [isotropic(unit * bulk, unit * shear, 3) for bulk, shear in (SOFT, STIFF)]
    bounds = hashin_shtrikman_moduli([SOFT, STIFF], FRACTIONS, 3)
    inside = unit * isotropic(np.mean(bounds["bulk"]), np.mean(bounds["shear"]), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kinematics.characterize(inside, phases, FRACTIONS, "periodic")
    for outside, match in (
        (1.2 * inside, "bulk modulus .* above its upper"),
        (0.8 * inside, "shear modulus .* below its lower"),
        (2.0 * inside, "stiffness is above its Voigt bound"),
        (0.4 * inside, "stiffness is below its Reuss bound"),
    ):
        with pytest.warns(Fe2Warning, match=match):
            kinematics.characterize(outside, phases, FRACTIONS, "periodic")


@pytest.mark.parametrize(
    ("boundary", "corners", "exceeds", "holds"), [("linear", "a", 1, 0), ("uniform_flux", "b", 0, 1)]
)
def test_cell_alone_is_held_to_the_bound_that_it_obeys(
    boundary: str, corners: str, exceeds: int, holds: int
) -> None:
    """Linear conditions make a cell stiffer than the medium that repeats it, uniform flux softer."""
    image = np.roll(np.pad(np.ones((6, 6), dtype=int), 3), 6, axis=(0, 1))
    cell = image_cell(image, {corners: 1, "ab".replace(corners, ""): 0})
    conductors = {"a": LinearConduction(1.0), "b": LinearConduction(1e3)}
    solids = {"a": LinearElastic.isotropic(1.0, 0.3), "b": LinearElastic.isotropic(1e3, 0.3)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conduction = diffusion(cell, conductors, boundary=boundary).homogenize()
        elasticity = small_strain(cell, solids, boundary=boundary).homogenize()
    bounds = conduction.properties["bounds"]["hashin_shtrikman"]
    moduli = elasticity.properties["bounds"]["hashin_shtrikman"]
    outward = 1.0 if exceeds else -1.0
    assert outward * (np.trace(conduction.tangent) / 2 - bounds[exceeds]) > 0.0
    for name in ("bulk", "shear"):
        assert outward * (elasticity.properties[f"{name}_modulus"] - moduli[name][exceeds]) > 0.0
    wrong = bounds[holds] * (1.0 - 0.01 * outward)
    phases = [k * np.eye(2) for k in (1.0, 1e3)]
    fractions = [conduction.volume_fractions[name] for name in "ab"]
    with pytest.warns(Fe2Warning, match="(below its lower|above its upper) Hashin"):
        characterize_diffusion(wrong * np.eye(2), phases, fractions, boundary)


def test_laminate_which_attains_its_bounds_is_no_warning() -> None:
    """It attains Voigt's bound along its layers, Reuss's across them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for contrast in (2.0, 1e8):
            laws = {"a": LinearElastic.isotropic(1.0, 0.3), "b": LinearElastic.isotropic(contrast, 0.2)}
            small_strain(laminate("quadrilateral", 0), laws).homogenize()
            conductors = {"a": LinearConduction(1.0), "b": LinearConduction(contrast)}
            diffusion(laminate("quadrilateral", 1), conductors).homogenize()
