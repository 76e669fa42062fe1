"""Interfaces that resist: exact laminates, equivalent coatings, limits, and every boundary condition."""

from __future__ import annotations

import numpy as np
import pytest
from cells import (
    SHAPES,
    dimension,
    distorted,
    fitted_fibre,
    laminate,
    random_image,
    relative_error,
    two_phases,
)
from conftest import Verify

from fe2.errors import InputError
from fe2.micro.boundary import BOUNDARY_CONDITIONS
from fe2.micro.cell import Cell
from fe2.micro.diffusion import diffusion
from fe2.micro.image_cell import image_cell
from fe2.micro.rve import RVE
from fe2.physics.conduction import LinearConduction, NonlinearConduction

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

ROUND_OFF = 1e-10
R = 0.3
LAWS = {"a": LinearConduction(1.0), "b": LinearConduction(20.0)}


def resisting(cell: Cell, resistance: float = R, **options: object) -> RVE:
    return diffusion(cell, LAWS, contact={("a", "b"): resistance}, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_resistances_of_layers_and_interfaces_add_up(
    shape: str, axis: int, degree: int, verify: Verify
) -> None:
    """1/k* = Σ f/k + n R/L; one of the two interfaces lies on the faces of the cell."""
    exact = np.full(dimension(shape), 0.4 * 1.0 + 0.6 * 20.0)
    exact[axis] = 1.0 / (0.4 / 1.0 + 0.6 / 20.0 + 2.0 * R)
    tangent = resisting(laminate(shape, axis), degree=degree).homogenize().tangent
    assert relative_error(tangent, np.diag(exact)) < ROUND_OFF
    if degree == 1:
        case, source = (
            f"layers with contact resistance, {shape}: conductivity along {'xy'[axis]}",
            "exact: in series",
        )
        verify(case, tangent[axis, axis], exact[axis], tolerance=ROUND_OFF * max(exact), source=source)


def test_size_of_the_cell_matters() -> None:
    pattern = np.repeat([[0], [0], [1], [1]], 3, axis=1)
    for size in (0.1, 1.0, 10.0):
        tangent = resisting(two_phases(pattern, size)).homogenize().tangent
        assert tangent[0, 0] == pytest.approx(1.0 / (0.5 + 0.5 / 20.0 + 2.0 * R / (4 * size)), rel=ROUND_OFF)


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
@pytest.mark.parametrize("dim", [2, 3])
def test_interface_that_hardly_resists_is_a_perfect_bond(dim: int, boundary: str) -> None:
    cell = random_image(dim, 4)
    bonded = diffusion(cell, LAWS, boundary=boundary).homogenize().tangent
    errors = [
        relative_error(resisting(cell, small, boundary=boundary).homogenize().tangent, bonded)
        for small in (1e-4, 1e-6)
    ]
    assert errors[1] < 1e-4
    assert errors[0] / errors[1] == pytest.approx(100.0, rel=0.05)


def test_interface_that_blocks_leaves_the_phase_that_percolates() -> None:
    cell = fitted_fibre(0.3, 16, 2)
    laws = {"matrix": LinearConduction(1.0), "fibre": LinearConduction(50.0)}
    blocked = diffusion(cell, laws, contact={("fibre", "matrix"): 1e7}, degree=2).homogenize().tangent
    pores = diffusion(cell, {**laws, "fibre": LinearConduction(0.0)}, degree=2).homogenize().tangent
    assert relative_error(blocked, pores) < 1e-6


def test_fibre_whose_resistance_balances_its_conductivity_does_not_disturb(verify: Verify) -> None:
    """With R = r (1/k_m - 1/k_f) a fibre conducts like the matrix (Hasselman & Johnson 1987).

    The gradient in the matrix is then uniform: exact in any array, up to the shape of the elements.
    """
    errors = []
    for count in (16, 32):
        cell = fitted_fibre(0.3, count, 2)
        laws = {"matrix": LinearConduction(2.0), "fibre": LinearConduction(50.0)}
        neutral = np.sqrt(0.3 / np.pi) * float(cell.period[0]) * (1.0 / 2.0 - 1.0 / 50.0)
        tangent = diffusion(cell, laws, contact={("matrix", "fibre"): neutral}, degree=2).homogenize().tangent
        errors.append(relative_error(tangent, 2.0 * np.eye(2)))
    case = "neutral fibre, contrast 25 with contact resistance: conductivity"
    source = "exact: Hasselman & Johnson 1987"
    verify(case, tangent[0, 0], 2.0, tolerance=2e-5, source=source)
    assert errors[1] < 1e-5
    assert np.log2(errors[0] / errors[1]) > 2.8


def test_contact_of_one_pair_of_three_phases_leaves_the_others_bonded() -> None:
    stripes = np.repeat([[0], [0], [1], [1], [2], [2]], 3, axis=1)
    cell = image_cell(stripes, {"a": 0, "b": 1, "c": 2}, voxel_size=1.0 / 6.0)
    laws = {"a": LinearConduction(1.0), "b": LinearConduction(2.0), "c": LinearConduction(4.0)}
    for contact, resistance in (({("b", "c"): R}, R), ({("c", "a"): R, ("a", "b"): 2 * R}, 3 * R)):
        tangent = diffusion(cell, laws, contact=contact).homogenize().tangent
        exact = 1.0 / ((1.0 + 0.5 + 0.25) / 3.0 + resistance)
        assert tangent[0, 0] == pytest.approx(exact, rel=ROUND_OFF)
        assert tangent[1, 1] == pytest.approx(7.0 / 3.0, rel=ROUND_OFF)


def test_shifted_image_is_the_same_medium() -> None:
    """Interfaces on the faces of the cell, at its edges and corners, count as those inside do."""
    for dim in (2, 3):
        image = np.random.default_rng(5).integers(0, 2, size=(4,) * dim)
        shifted = np.roll(image, (1, 2, 1)[:dim], axis=tuple(range(dim)))
        there, here = (resisting(two_phases(i)).homogenize().tangent for i in (image, shifted))
        assert relative_error(here, there) < ROUND_OFF


def test_boundary_conditions_are_ordered() -> None:
    tangents = [
        resisting(random_image(2, 5), boundary=b).homogenize().tangent
        for b in ("uniform_flux", "periodic", "linear")
    ]
    # a cut through an interface on a face is closed by the two conditions that are not periodic
    assert np.linalg.eigvalsh(tangents[2] - tangents[0])[0] > 0.0
    assert np.linalg.eigvalsh(tangents[2] - tangents[1])[0] > 0.0


def test_uniform_medium_with_contact_of_its_halves_on_a_distorted_mesh() -> None:
    """The affine field remains where the interface is not crossed: an upper bound without a lower one."""
    rve = resisting(distorted("triangle", ("a", "b")))
    found = rve.homogenize().properties
    assert set(found["bounds"]) == {"voigt"}
    assert found["principal_values"][0] > 0.0
    assert rve.fields(rve.initial_state()).point_data["u"].shape[1] == 1


def test_contact_with_value_and_storage() -> None:
    laws = {"a": NonlinearConduction(lambda T: 1.0 + T, lambda T: 2.0 * T), "b": LinearConduction(20.0)}
    rve = diffusion(laminate("triangle", 0), laws, value=True, contact={("b", "a"): R})
    response = rve.solve(np.array([1.0, 1.0, 0.0]), rve.initial_state(), 0.5, np.empty(rve.state_size))
    k = 1.0 / (0.4 / 2.0 + 0.6 / 20.0 + 2.0 * R)
    exact = [[0.4 * 2.0 / 0.5, 0.0, 0.0], [0.4 / 4.0 * k**2, k, 0.0], [0.0, 0.0, 0.8 + 12.0]]
    assert np.allclose(response.tangent, exact, rtol=0.0, atol=1e-9)
    assert np.allclose(response.flux, [1.6, k, 0.0], atol=1e-9)


@pytest.mark.parametrize(
    ("contact", "message"),
    [
        ({("a", "c"): 1.0}, r"contact is given for \('a', 'c'\); it needs a pair of the phases a, b"),
        ({("a", "a"): 1.0}, "it needs a pair of the phases"),
        ({("a", "b"): 0.0}, "contact between 'a' and 'b': resistance = 0.0 .* must be positive"),
        ({("a", "b"): -2.0}, "resistance = -2.0"),
        ({("a", "b"): 1.0, ("b", "a"): 1.0}, "contact between 'b' and 'a' is given twice"),
    ],
)
def test_contacts_that_cannot_be_are_refused_by_name(
    contact: dict[tuple[str, str], float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        diffusion(laminate("triangle", 0), LAWS, contact=contact)
