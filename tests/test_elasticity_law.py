"""Linear elastic laws: constants against their definitions, symmetry, orientation, refused input."""

from __future__ import annotations

import numpy as np
import pytest

from fe2.errors import InputError
from fe2.physics.elasticity import LinearElastic
from fe2.tensors import rotate_stiffness, rotation_from_bunge, rotation_to, stiffness_to_voigt
from fe2.testing.material_point import drive

pytestmark = pytest.mark.unit

TURN = rotation_from_bunge(30.0, 50.0, -20.0)
CARBON = {  # GPa
    "young_axial": 230.0,
    "young_transverse": 15.0,
    "poisson_axial": 0.2,
    "poisson_transverse": 0.25,
    "shear_axial": 24.0,
}
WOOD = {  # GPa
    "young_1": 11.0,
    "young_2": 0.9,
    "young_3": 0.5,
    "poisson_12": 0.37,
    "poisson_13": 0.42,
    "poisson_23": 0.47,
    "shear_12": 0.75,
    "shear_13": 0.72,
    "shear_23": 0.04,
}


def compliance(law: LinearElastic) -> np.ndarray:
    """Compliance for engineering shear strains, in Voigt's order."""
    return np.linalg.inv(stiffness_to_voigt(law.stiffness))


def uniaxial_strain_of(law: LinearElastic, axis: int) -> np.ndarray:
    return compliance(law)[:, axis]


@pytest.mark.parametrize("size", [4, 6])
def test_isotropic_stress_under_uniaxial_and_shear_strain(size):
    young, poisson = 210.0, 0.3
    stretch, shear = np.zeros(size), np.zeros(size)
    stretch[0], shear[-1] = 1e-3, np.sqrt(2.0) * 1e-3
    under_stretch, under_shear = drive(LinearElastic.isotropic(young, poisson), [stretch, shear])
    lame, modulus = young * poisson / (1 + poisson) / (1 - 2 * poisson), young / 2 / (1 + poisson)
    expected = [(lame + 2 * modulus) * 1e-3, lame * 1e-3, lame * 1e-3] + [0.0] * (size - 3)
    assert np.allclose(under_stretch.flux[0], expected, rtol=1e-13)
    assert np.allclose(
        under_shear.flux[0], [0.0] * (size - 1) + [np.sqrt(2.0) * 2 * modulus * 1e-3], rtol=1e-13
    )


@pytest.mark.parametrize("size", [4, 6])
def test_plane_strain_uses_the_rows_of_the_full_stiffness(size):
    law = LinearElastic.orthotropic(**WOOD, orientation=TURN)
    strain = np.zeros(6)
    rows = [0, 1, 2, 5] if size == 4 else list(range(6))
    strain[rows] = np.linspace(1e-3, -2e-3, size)
    response = drive(law, [strain[rows]])[0]
    assert np.allclose(response.flux[0], (law.stiffness @ strain)[rows], rtol=1e-12)
    assert np.allclose(response.tangent[0], law.stiffness[np.ix_(rows, rows)], rtol=1e-13)


def test_orthotropic_constants_come_back_from_uniaxial_and_shear_stress():
    law = LinearElastic.orthotropic(**WOOD)
    strain = uniaxial_strain_of(law, 0)
    assert strain[0] == pytest.approx(1 / 11.0, rel=1e-12)
    assert strain[1] / strain[0] == pytest.approx(-0.37, rel=1e-12)
    assert strain[2] / strain[0] == pytest.approx(-0.42, rel=1e-12)
    strain = uniaxial_strain_of(law, 1)
    assert strain[1] == pytest.approx(1 / 0.9, rel=1e-12)
    assert strain[2] / strain[1] == pytest.approx(-0.47, rel=1e-12)
    assert uniaxial_strain_of(law, 2)[2] == pytest.approx(1 / 0.5, rel=1e-12)
    shears = np.diag(compliance(law))[3:]
    assert np.allclose(1.0 / shears, [0.04, 0.72, 0.75], rtol=1e-12)


def test_transversely_isotropic_constants_come_back_along_and_across_the_axis():
    law = LinearElastic.transversely_isotropic(**CARBON)
    strain = uniaxial_strain_of(law, 2)
    assert strain[2] == pytest.approx(1 / 230.0, rel=1e-12)
    assert np.allclose(strain[:2] / strain[2], -0.2, rtol=1e-12)
    strain = uniaxial_strain_of(law, 0)
    assert strain[0] == pytest.approx(1 / 15.0, rel=1e-12)
    assert strain[1] / strain[0] == pytest.approx(-0.25, rel=1e-12)
    assert np.allclose(1.0 / np.diag(compliance(law))[3:], [24.0, 24.0, 15.0 / 2 / 1.25], rtol=1e-12)


def test_transversely_isotropic_law_does_not_change_with_rotation_about_its_axis():
    axis = (1.0, -2.0, 0.5)
    law = LinearElastic.transversely_isotropic(**CARBON, axis=axis)
    frame = rotation_to(axis)
    about_axis = frame @ rotation_from_bunge(71.0, 0.0, 0.0) @ frame.T
    assert np.allclose(rotate_stiffness(law.stiffness, about_axis), law.stiffness, atol=1e-12 * 230)
    assert not np.allclose(rotate_stiffness(law.stiffness, TURN), law.stiffness, rtol=0.1)


def test_isotropic_law_does_not_change_with_rotation():
    law = LinearElastic.isotropic(210.0, 0.3)
    assert np.allclose(rotate_stiffness(law.stiffness, TURN), law.stiffness, atol=1e-12 * 210)


def test_cubic_constants_and_orientation():
    law = LinearElastic.cubic(168.4, 121.4, 75.4)
    voigt = stiffness_to_voigt(law.stiffness)
    assert np.allclose(voigt[0, :3], [168.4, 121.4, 121.4])
    assert np.allclose(voigt[3:, 3:], 75.4 * np.eye(3))
    quarter_turn = rotation_from_bunge(90.0, 0.0, 0.0)
    assert np.allclose(LinearElastic.cubic(168.4, 121.4, 75.4, quarter_turn).stiffness, law.stiffness)
    # Young's modulus along [111]: 1/E = S11 - 2 (S11 - S12 - S44/2) / 3 (Nye 1957).
    s = compliance(law)
    diagonal = rotation_to((1.0, 1.0, 1.0)).T
    along_diagonal = uniaxial_strain_of(LinearElastic.cubic(168.4, 121.4, 75.4, diagonal), 2)[2]
    expected = s[0, 0] - 2.0 / 3.0 * (s[0, 0] - s[0, 1] - 0.5 * s[3, 3])
    assert along_diagonal == pytest.approx(expected, rel=1e-12)


def test_all_symmetries_contain_isotropy():
    expected = LinearElastic.isotropic(200.0, 0.25).stiffness
    assert np.allclose(LinearElastic.cubic(240.0, 80.0, 80.0, TURN).stiffness, expected)
    transverse = LinearElastic.transversely_isotropic(200.0, 200.0, 0.25, 0.25, 80.0, axis=(1, 2, 3))
    assert np.allclose(transverse.stiffness, expected)
    orthotropic = LinearElastic.orthotropic(*[200.0] * 3, *[0.25] * 3, *[80.0] * 3, orientation=TURN)
    assert np.allclose(orthotropic.stiffness, expected)


INVALID = [
    (
        LinearElastic.isotropic,
        {"young": -3.0, "poisson": 0.3},
        "young = -3.0 is not admissible; it must be positive",
    ),
    (LinearElastic.isotropic, {"young": np.nan, "poisson": 0.3}, "young = nan is not admissible"),
    (LinearElastic.isotropic, {"young": "steel", "poisson": 0.3}, "young = steel is not admissible"),
    (LinearElastic.isotropic, {"young": True, "poisson": 0.3}, "young = True is not admissible"),
    (
        LinearElastic.isotropic,
        {"young": 1, "poisson": 0.5},
        "poisson = 0.5 is not admissible; it must be greater than -1 and less than 0.5",
    ),
    (LinearElastic.isotropic, {"young": 1, "poisson": -1}, "poisson = -1 is not admissible"),
    (
        LinearElastic.cubic,
        {"c11": 1.0, "c12": 2.0, "c44": 1.0},
        "not positive definite; its smallest eigenvalue is -1",
    ),
    (LinearElastic.cubic, {"c11": 2.0, "c12": 1.0, "c44": np.inf}, "c44 = inf is not admissible"),
    (
        LinearElastic.cubic,
        {"c11": 2.0, "c12": 1.0, "c44": 1.0, "orientation": np.diag([1.0, 1.0, -1.0])},
        "orientation is not a rotation",
    ),
    (
        LinearElastic.cubic,
        {"c11": 2.0, "c12": 1.0, "c44": 1.0, "orientation": (10.0, 20.0, 30.0)},
        r"orientation has shape \(3,\); it must have shape \(3, 3\)",
    ),
    (
        LinearElastic.transversely_isotropic,
        {**CARBON, "shear_axial": 0.0},
        "shear_axial = 0.0 is not admissible",
    ),
    (
        LinearElastic.transversely_isotropic,
        {**CARBON, "poisson_axial": 4.0},
        "compliance is not positive definite",
    ),
    (
        LinearElastic.transversely_isotropic,
        {**CARBON, "poisson_transverse": -1.0},
        "poisson_transverse = -1.0 is not",
    ),
    (LinearElastic.transversely_isotropic, {**CARBON, "axis": (0.0, 0.0, 0.0)}, "axis is the zero vector"),
    (LinearElastic.orthotropic, {**WOOD, "young_2": -0.9}, "young_2 = -0.9 is not admissible"),
    (LinearElastic.orthotropic, {**WOOD, "poisson_23": 1.5}, "compliance is not positive definite"),
    (LinearElastic, {"stiffness": np.eye(3)}, r"stiffness has shape \(3, 3\); it must have shape \(6, 6\)"),
    (LinearElastic, {"stiffness": np.eye(6) + np.eye(6, k=1)}, "stiffness is not symmetric"),
    (LinearElastic, {"stiffness": np.full((6, 6), np.nan)}, "stiffness holds values that are not finite"),
    (LinearElastic, {"stiffness": [["a"] * 6] * 6}, "stiffness .* must hold numbers"),
]


@pytest.mark.parametrize(("make", "parameters", "message"), INVALID)
def test_invalid_parameters_are_refused_with_their_value(make, parameters, message):
    with pytest.raises(InputError, match=f"^LinearElastic.*: .*{message}"):
        make(**parameters)
