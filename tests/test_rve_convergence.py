"""Measured rates: how fast effective properties tend to exact or published values as the mesh is refined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from cells import Array, fibres, fitted_fibre, two_phases
from conftest import Verify
from own_forms import conduction

from fe2.errors import InputError
from fe2.micro.cell import Cell
from fe2.micro.small_strain import small_strain
from fe2.physics.elasticity import LinearElastic
from fe2.physics.law import PhaseLaw

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

COARSE, FINE = (16, 32), (32, 64)
"""Elements along the edge of a cell, before the edge is halved and after."""
ASYMPTOTIC = 0.15
"""What the next power of the element size still does to a rate on these meshes."""


def rate(errors: Sequence[npt.ArrayLike]) -> float:
    """Exponent of the error's norm in the element size, which is halved from the first to the second."""
    coarse, fine = (float(np.linalg.norm(error)) for error in errors)
    return float(np.log2(coarse / fine))


def assert_converged_to(
    values: Sequence[npt.ArrayLike], reference: npt.ArrayLike, *, least_rate: float, digit: float
) -> None:
    """The error on the fine mesh is what is left of the last change, at a rate of this or more."""
    change = np.abs(np.subtract(values[1], values[0]))
    assert np.all(np.abs(np.subtract(values[1], reference)) < change / (2**least_rate - 1) + digit / 2)


def stiffness(cell: Cell, degree: int, laws: dict[str, PhaseLaw]) -> Array:
    """C11, C12 and C66 of a cell."""
    return small_strain(cell, laws, degree=degree).homogenize().effective[[0, 0, 2], [0, 1, 2]]


# In plane strain, E = 1 and 10, ν = 0.3.
CONTRAST_TEN: dict[str, PhaseLaw] = {
    "matrix": LinearElastic.isotropic(1.0, 0.3),
    "fibre": LinearElastic.isotropic(10.0, 0.3),
}
PUBLISHED = (2.0750060, 0.7932506, 0.5570332)


@pytest.mark.parametrize(
    ("degree", "order", "expected"),
    [(1, 1, 2), (2, 1, 2), (2, 2, 4)],
    ids=["linear on polygons", "quadratic on polygons", "quadratic on curves"],
)
def test_stiffness_of_square_array_converges_at_twice_the_degree(
    degree: int, order: int, expected: int, verify: Verify
) -> None:
    """The error of an energy is the square of the field's, h^2p; polygons cost the area of the fibre, h²."""
    counts = FINE if expected == 4 else COARSE
    values = [stiffness(fitted_fibre(0.3, count, order), degree, CONTRAST_TEN) for count in counts]
    errors = [value - PUBLISHED for value in values]
    assert abs(rate(errors) - expected) < ASYMPTOTIC
    if expected == 4:
        assert_converged_to(values, PUBLISHED, least_rate=3.5, digit=1e-7)
        for name, change, value, reference in zip(
            ("C11", "C12", "C66"), np.abs(values[1] - values[0]), values[1], PUBLISHED, strict=True
        ):
            case = f"square array of fibres, E = 1/10, f = 0.3, plane strain: {name}"
            bound = change / (2**3.5 - 1) + 0.5e-7
            verify(case, value, reference, tolerance=bound, source="published, seven digits")
        assert errors[1][0] > 0.0  # kinematically admissible fields are too stiff


def test_elements_of_lower_degree_than_the_mesh_are_refused() -> None:
    """Affine fields are not among them on curved elements: a homogeneous cell would not be homogeneous."""
    cell = fitted_fibre(0.3, COARSE[0], 2)
    assert small_strain(cell, CONTRAST_TEN).form.unknown.function_space.element.basix_element.degree == 2
    with pytest.raises(InputError, match=r"degree = 1 is not admissible .* geometry has degree 2"):
        small_strain(cell, CONTRAST_TEN, degree=1)


def test_unstructured_mesh_of_gmsh_converges_to_the_published_stiffness() -> None:
    values = [stiffness(fibres("square", 0.3, 1 / count, 2), 2, CONTRAST_TEN) for count in (12, 24)]
    assert_converged_to(values, PUBLISHED, least_rate=2.0, digit=1e-7)


def test_equal_shear_moduli_give_the_bulk_modulus_of_hill() -> None:
    """Hill 1964: 1/(K + G) = ⟨1/(K + G)⟩ in the plane, K = λ + μ, whatever the shape of the fibre."""
    shear, ratios = 1.0, {"matrix": 0.1, "fibre": 0.45}
    laws: dict[str, PhaseLaw] = {
        name: LinearElastic.isotropic(2.0 * shear * (1.0 + nu), nu) for name, nu in ratios.items()
    }
    plane_bulk = {name: shear / (1.0 - 2.0 * nu) for name, nu in ratios.items()}
    errors = []
    for count in FINE:
        cell = fitted_fibre(0.3, count, 2)
        mean = sum(f / (plane_bulk[name] + shear) for name, f in cell.volume_fractions.items())
        bulk = 1.0 / mean - shear
        errors.append(stiffness(cell, 2, laws) - [bulk + shear, bulk - shear, shear])
    assert abs(rate(errors) - 4) < ASYMPTOTIC
    assert abs(errors[1][2]) < 1e-12  # uniform shear strain is the solution


@pytest.mark.parametrize(
    ("fraction", "contrast", "published"), [(0.3, 50.0, 1.8125289575), (0.5, 10.0, 2.4154673802)]
)
def test_conductivity_of_square_array_converges_to_the_published_value(
    fraction: float, contrast: float, published: float, verify: Verify
) -> None:
    phases = {"matrix": 1.0, "fibre": contrast}
    tangents = [
        conduction(fitted_fibre(fraction, count, 2), phases, degree=2).homogenize().tangent for count in FINE
    ]
    values = [tangent[0, 0] for tangent in tangents]
    assert abs(rate([value - published for value in values]) - 4) < ASYMPTOTIC
    assert_converged_to(values, published, least_rate=3.5, digit=1e-10)
    case = f"square array of cylinders, conductivity 1/{contrast:g}, f = {fraction}"
    bound = abs(values[1] - values[0]) / (2**3.5 - 1) + 0.5e-10
    verify(case, values[1], published, tolerance=bound, source="published, ten digits")
    assert np.allclose(tangents[1], values[1] * np.eye(2), rtol=0.0, atol=1e-9)  # the mesh has the symmetry


@pytest.mark.parametrize("degree", [1, 2])
def test_reciprocity_of_keller_converges_at_twice_the_degree(degree: int, verify: Verify) -> None:
    """k(σ) k(1/σ) = 1 after a quarter turn, whatever shape the mesh has made of the fibre."""

    def conductivity(count: int, contrast: float) -> Array:
        cell = fitted_fibre(0.3, count, 2)
        phases = {"matrix": 1.0, "fibre": contrast}
        return conduction(cell, phases, degree=degree).homogenize().tangent

    products = [conductivity(n, 10.0)[0, 0] * conductivity(n, 0.1)[1, 1] for n in FINE]
    assert min(products) > 1.0  # both conductivities are bounds from above
    assert abs(rate([product - 1.0 for product in products]) - 2 * degree) < ASYMPTOTIC
    case = f"square array of cylinders, f = 0.3, degree {degree}: k(σ) k(1/σ)"
    bound = abs(products[1] - products[0]) / (2 ** (2 * degree - 0.5) - 1)
    verify(case, products[1], 1.0, tolerance=bound, source="exact: Keller 1964")


def test_checkerboard_converges_to_the_geometric_mean_as_its_corner_singularity_lets_it(
    verify: Verify,
) -> None:
    """The temperature is r^λ at the corners, λ = (4/π) atan √(k₁/k₂), and the error is h^2λ."""
    conductivities = {"a": 1.0, "b": 4.0}
    exponent = 4.0 / np.pi * np.arctan(np.sqrt(conductivities["a"] / conductivities["b"]))
    errors = []
    for pixels in COARSE:
        board = np.kron([[0, 1], [1, 0]], np.ones((pixels, pixels), dtype=int))
        tangent = conduction(two_phases(board), conductivities).homogenize().tangent
        errors.append(tangent[0, 0] - 2.0)
    assert min(errors) > 0.0
    assert abs(rate(errors) - 2.0 * exponent) < ASYMPTOTIC / 5
    assert abs(2.0 * exponent - 1.18) < 0.01
    bound = (errors[0] - errors[1]) / (2**1.1 - 1)
    verify("chessboard, contrast 4", 2.0 + errors[1], 2.0, tolerance=bound, source="exact: √(k₁k₂)")
