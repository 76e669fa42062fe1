"""Mandel vectors, rotations and stiffnesses against their definitions and published values."""

from __future__ import annotations

import numpy as np
import pytest

from fe2.errors import InputError
from fe2.stiffness import (
    bulk_modulus,
    closest_isotropic,
    deviatoric_projector,
    isotropic_stiffness,
    shear_modulus,
    universal_anisotropy,
    volumetric_projector,
)
from fe2.tensors import (
    component_names,
    from_matrix,
    mandel_rotation,
    positions_in_full,
    rotate_stiffness,
    rotation_from_bunge,
    rotation_to,
    stiffness_from_voigt,
    stiffness_to_voigt,
    to_matrix,
)

pytestmark = pytest.mark.unit

RNG = np.random.default_rng(20)
BUNGE = (37.0, 64.0, -118.0)


def cubic_stiffness(c11: float, c12: float, c44: float) -> np.ndarray:
    voigt = np.diag([c11 - c12] * 3 + [c44] * 3)
    voigt[:3, :3] += c12
    return stiffness_from_voigt(voigt)


@pytest.mark.parametrize("size", [3, 4, 6])
def test_double_contraction_is_the_dot_product_and_conversion_is_reversible(size):
    a, b = RNG.normal(size=(2, 5, size))
    assert np.allclose(np.einsum("nij,nij->n", to_matrix(a), to_matrix(b)), np.sum(a * b, axis=1), rtol=1e-13)
    assert np.allclose(from_matrix(to_matrix(a), size), a, rtol=1e-15)


def test_component_order_and_shear_factor():
    assert component_names(6) == ("xx", "yy", "zz", "yz", "xz", "xy")
    assert component_names(4) == ("xx", "yy", "zz", "xy")
    assert component_names(3) == ("xx", "yy", "xy")
    assert [positions_in_full(size) for size in (3, 4, 6)] == [(0, 1, 5), (0, 1, 2, 5), (0, 1, 2, 3, 4, 5)]
    matrix = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
    root = np.sqrt(2.0)
    assert np.allclose(from_matrix(matrix, 6), [1, 2, 3, 4 * root, 5 * root, 6 * root])
    assert np.allclose(from_matrix(matrix, 4), [1, 2, 3, 6 * root])
    assert np.allclose(from_matrix(matrix[:2, :2], 3), [1, 2, 6 * root])


def test_matrix_without_symmetry_is_symmetrized():
    assert np.allclose(from_matrix([[0.0, 1.0], [0.0, 0.0]], 3), [0, 0, np.sqrt(0.5)])


def test_other_sizes_are_refused():
    with pytest.raises(InputError, match="3, 4 or 6 components, not 5"):
        to_matrix(np.zeros(5))
    with pytest.raises(InputError, match="4 or 6 components, not 3"):
        volumetric_projector(3)
    with pytest.raises(InputError, match=r"shape \(3, 3\) or \(6, 6\), not \(4, 4\)"):
        closest_isotropic(np.eye(4))


def test_voigt_stiffness_of_isotropic_material_has_the_textbook_components():
    young, poisson = 210.0, 0.3
    voigt = stiffness_to_voigt(isotropic_stiffness(young, poisson))
    lame, shear = young * poisson / (1 + poisson) / (1 - 2 * poisson), shear_modulus(young, poisson)
    expected = np.diag([2 * shear] * 3 + [shear] * 3)
    expected[:3, :3] += lame
    assert np.allclose(voigt, expected, rtol=1e-14)
    rows = list(positions_in_full(4))
    assert np.allclose(
        isotropic_stiffness(young, poisson, 4), isotropic_stiffness(young, poisson)[np.ix_(rows, rows)]
    )


@pytest.mark.parametrize("size", [3, 6])
def test_voigt_conversion_keeps_the_energy_of_engineering_strains(size):
    mandel = RNG.normal(size=(size, size))
    strain = RNG.normal(size=size)
    normal = {3: 2, 6: 3}[size]
    engineering = strain.copy()
    engineering[normal:] *= np.sqrt(2.0)
    voigt = stiffness_to_voigt(mandel)
    assert engineering @ voigt @ engineering == pytest.approx(strain @ mandel @ strain, rel=1e-13)
    assert np.allclose(stiffness_from_voigt(voigt), mandel, rtol=1e-15)


def test_rotation_of_mandel_vectors_is_the_rotation_of_tensors():
    rotation = rotation_from_bunge(*BUNGE)
    vectors = RNG.normal(size=(4, 6))
    expected = from_matrix(rotation @ to_matrix(vectors) @ rotation.T, 6)
    turn = mandel_rotation(rotation)
    assert np.allclose(vectors @ turn.T, expected, atol=1e-14)
    assert np.allclose(turn @ turn.T, np.eye(6), atol=1e-14)
    other = rotation_from_bunge(10.0, 20.0, 30.0)
    assert np.allclose(mandel_rotation(rotation @ other), turn @ mandel_rotation(other), atol=1e-14)


def test_plane_rotation_is_the_rotation_about_the_third_axis():
    rotation = rotation_from_bunge(25.0, 0.0, 0.0)
    in_plane = np.ix_(positions_in_full(3), positions_in_full(3))
    assert np.allclose(mandel_rotation(rotation[:2, :2]), mandel_rotation(rotation)[in_plane], atol=1e-15)


def test_stress_of_rotated_material_is_the_rotated_stress():
    rotation = rotation_from_bunge(*BUNGE)
    root = RNG.normal(size=(6, 6))
    stiffness, strain = root @ root.T, RNG.normal(size=6)
    turn = mandel_rotation(rotation)
    assert np.allclose(rotate_stiffness(stiffness, rotation) @ (turn @ strain), turn @ stiffness @ strain)


def test_bunge_angles_follow_the_orientation_matrix_of_texture_analysis():
    c1, c, c2 = np.cos(np.radians(BUNGE))
    s1, s, s2 = np.sin(np.radians(BUNGE))
    g = np.array(  # Bunge 1982, sample to crystal axes
        [
            [c1 * c2 - s1 * s2 * c, s1 * c2 + c1 * s2 * c, s2 * s],
            [-c1 * s2 - s1 * c2 * c, -s1 * s2 + c1 * c2 * c, c2 * s],
            [s1 * s, -c1 * s, c],
        ]
    )
    assert np.allclose(rotation_from_bunge(*BUNGE), g.T, atol=1e-15)


@pytest.mark.parametrize(
    "axis", [(0, 0, 2), (0, 0, -1), (1, 0, 0), (1e-9, 0, -1), (1, -2, -3), (0, -4, 1e-3)]
)
def test_rotation_to_takes_the_third_axis_to_the_direction(axis):
    rotation = rotation_to(axis)
    assert np.allclose(rotation[:, 2], np.array(axis) / np.linalg.norm(axis), atol=1e-15)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


@pytest.mark.parametrize("axis", [(0, 0, 0), (1, 0), (np.nan, 0, 1)])
def test_no_direction_is_refused(axis):
    with pytest.raises(InputError, match="no direction"):
        rotation_to(axis)


@pytest.mark.parametrize("size", [4, 6])
def test_projectors_split_every_strain(size):
    spherical, deviatoric = volumetric_projector(size), deviatoric_projector(size)
    assert np.allclose(spherical @ spherical, spherical)
    assert np.allclose(deviatoric @ deviatoric, deviatoric)
    assert np.allclose(spherical @ deviatoric, 0.0)
    strain = RNG.normal(size=size)
    assert np.allclose(spherical @ strain, [strain[:3].sum() / 3] * 3 + [0] * (size - 3))


def test_closest_isotropic_returns_the_moduli_of_an_isotropic_stiffness():
    moduli = closest_isotropic(isotropic_stiffness(70.0, 0.2))
    assert moduli == pytest.approx((bulk_modulus(70.0, 0.2), shear_modulus(70.0, 0.2)), rel=1e-14)


def test_closest_isotropic_is_a_minimum_of_the_distance_and_independent_of_orientation():
    root = RNG.normal(size=(6, 6))
    stiffness = root @ root.T
    bulk, shear = closest_isotropic(stiffness)
    assert closest_isotropic(rotate_stiffness(stiffness, rotation_from_bunge(*BUNGE))) == pytest.approx(
        (bulk, shear), rel=1e-12
    )

    def distance(k: float, g: float) -> float:
        return float(
            np.linalg.norm(stiffness - 3 * k * volumetric_projector(6) - 2 * g * deviatoric_projector(6))
        )

    assert all(
        distance(bulk, shear) < distance(bulk + a, shear + b)
        for a, b in ((0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01))
    )


def test_universal_anisotropy_of_isotropy_is_zero_and_of_cubic_crystals_a_function_of_zeners_ratio():
    assert universal_anisotropy(isotropic_stiffness(70.0, 0.2)) == pytest.approx(0.0, abs=1e-12)
    copper = cubic_stiffness(168.4, 121.4, 75.4)
    zener = 2 * 75.4 / (168.4 - 121.4)
    # Ranganathan & Ostoja-Starzewski 2008: K_V = K_R and G_V / G_R = 1 + (6/25) (sqrt(Z) - 1/sqrt(Z))^2.
    expected = 6.0 / 5.0 * (np.sqrt(zener) - 1.0 / np.sqrt(zener)) ** 2
    assert universal_anisotropy(copper) == pytest.approx(expected, rel=1e-12)
    turned = rotate_stiffness(copper, rotation_from_bunge(*BUNGE))
    assert universal_anisotropy(turned) == pytest.approx(expected, rel=1e-12)
