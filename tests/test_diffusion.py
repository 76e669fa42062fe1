"""Conduction and diffusion in a cell: exact laminates, published arrays, bounds, pores, refusals."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from cells import (
    SHAPES,
    Array,
    box_mesh,
    dimension,
    fibres,
    fitted_fibre,
    laminate,
    midpoints,
    random_image,
    relative_error,
    two_phases,
)
from conftest import Verify

from fe2.errors import InputError, MicroSolveError
from fe2.micro.boundary import BOUNDARY_CONDITIONS
from fe2.micro.cell import Cell, make_cell
from fe2.micro.diffusion import diffusion
from fe2.micro.effective import EffectiveProperties
from fe2.micro.image_cell import image_cell
from fe2.physics.conduction import LinearConduction
from fe2.physics.elasticity import LinearElastic

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

ROUND_OFF = 1e-11


def effective(cell: Cell, conductivity: dict[str, Any], **options: Any) -> EffectiveProperties:
    return diffusion(
        cell, {name: LinearConduction(k) for name, k in conductivity.items()}, **options
    ).homogenize()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_laminate_conducts_by_the_harmonic_mean_across_and_the_arithmetic_along(
    shape: str, axis: int, verify: Verify
) -> None:
    found = effective(laminate(shape, axis), {"a": 1.0, "b": 20.0})
    exact = np.full(dimension(shape), 0.4 * 1.0 + 0.6 * 20.0)
    exact[axis] = 1.0 / (0.4 / 1.0 + 0.6 / 20.0)
    assert relative_error(found.tangent, np.diag(exact)) < ROUND_OFF
    across, along = exact[axis], exact[1 - axis]
    for name, value, reference in (
        ("across", found.tangent[axis, axis], across),
        ("along", found.tangent[1 - axis, 1 - axis], along),
    ):
        case, source = (
            f"laminate of conductivities 1/20, {shape}: {name} layers normal to {'xy'[axis]}",
            "exact: means",
        )
        verify(case, value, reference, tolerance=ROUND_OFF * along, source=source)
    assert np.allclose(found.properties["principal_values"], np.sort(exact), rtol=ROUND_OFF)
    assert found.properties["anisotropy"] == pytest.approx(max(exact) / min(exact))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_laminate_of_anisotropic_phases(axis: int) -> None:
    """K* = ⟨K⟩ - ⟨K n n K / k⟩ + ⟨K n / k⟩⟨n K / k⟩ / ⟨1/k⟩ with k = n K n."""
    rng = np.random.default_rng(3)
    K = {name: m @ m.T + np.eye(3) for name, m in zip("ab", rng.normal(size=(2, 3, 3)), strict=True)}
    f, n = {"a": 0.4, "b": 0.6}, np.eye(3)[axis]
    across = {p: n @ K[p] @ n for p in K}
    column = sum(f[p] * K[p] @ n / across[p] for p in K)
    rest = sum(f[p] * (K[p] - np.outer(K[p] @ n, K[p] @ n) / across[p]) for p in K)
    exact = rest + np.outer(column, column) / sum(f[p] / across[p] for p in K)
    assert relative_error(effective(laminate("tetrahedron", axis), K).tangent, exact) < ROUND_OFF


def test_principal_values_of_a_phase_may_be_listed_and_may_vanish() -> None:
    listed = effective(random_image(2, 5), {"a": [1.0, 3.0], "b": [5.0, 0.5]})
    matrices = effective(random_image(2, 5), {"a": np.diag([1.0, 3.0]), "b": np.diag([5.0, 0.5])})
    assert relative_error(listed.tangent, matrices.tangent) < ROUND_OFF
    rods = effective(laminate("quadrilateral", 0), {"a": [1.0, 2.0], "b": [4.0, 0.0]})
    assert relative_error(rods.tangent, np.diag([1.0 / (0.4 + 0.6 / 4.0), 0.8])) < ROUND_OFF


@pytest.mark.parametrize(
    ("fraction", "contrast", "published"), [(0.3, 50.0, 1.8125289575), (0.5, 10.0, 2.4154673802)]
)
def test_array_of_cylinders_of_gmsh_converges_to_the_published_value(
    fraction: float, contrast: float, published: float
) -> None:
    values = [
        effective(fibres("square", fraction, 1 / n, 2), {"matrix": 1.0, "fibre": contrast}, degree=2).tangent[
            0, 0
        ]
        for n in (10, 20)
    ]
    errors = np.abs(np.array(values) - published)
    assert np.log2(errors[0] / errors[1]) > 3.0  # 4, but unstructured meshes scatter
    assert errors[1] < 1e-5 * published


def test_insulating_cylinders_conduct_as_rayleigh_computed(verify: Verify) -> None:
    """Rayleigh's lattice sums with the terms of Perrins, McKenzie & McPhedran 1979, eq. 16, f = 0.3."""
    f, T = 0.3, 1.0
    correction = 0.305827 * f**4 * T / (T**2 - 1.402958 * f**8) + 0.013362 * f**8 / T
    exact = 1.0 - 2.0 * f / (T + f - correction)
    values = [
        effective(fitted_fibre(f, n, 2), {"matrix": 1.0, "fibre": 0.0}, degree=2).tangent[0, 0]
        for n in (16, 32)
    ]
    case = "square array of insulating cylinders, f = 0.3: conductivity"
    source = "Perrins, McKenzie & McPhedran 1979, eq. 16"
    verify(case, values[1], exact, tolerance=3e-6, source=source)
    assert abs(values[1] - exact) < abs(values[0] - exact)
    perfect = effective(fitted_fibre(f, 32, 2), {"matrix": 1.0, "fibre": 1e8}, degree=2).tangent[0, 0]
    assert values[1] * perfect == pytest.approx(1.0, abs=1e-5)  # Keller 1964


@pytest.mark.parametrize(("f", "contrast"), [(0.3, 50.0), (0.5, 10.0)])
def test_hexagonal_array_conducts_as_perrins_computed(f: float, contrast: float, verify: Verify) -> None:
    """Perrins, McKenzie & McPhedran 1979, their series for the hexagonal array."""
    T = (1.0 + contrast) / (1.0 - contrast)
    correction = 0.075422 * f**6 * T / (T**2 - 1.060283 * f**12) + 0.000076 * f**12 / T
    exact = 1.0 - 2.0 * f / (T + f - correction)
    laws = {"matrix": 1.0, "fibre": contrast}
    tangents = [effective(fibres("hexagonal", f, 1 / n, 2), laws, degree=2).tangent for n in (10, 20)]
    coarse, fine = (np.trace(tangent) / 2.0 for tangent in tangents)
    assert relative_error(tangents[1], fine * np.eye(2)) < 1e-5
    case = f"hexagonal array of cylinders, conductivity 1/{contrast:g}, f = {f}"
    bound = abs(fine - coarse) / (2**3 - 1)  # what an unstructured mesh leaves
    verify(case, fine, exact, tolerance=bound, source="Perrins, McKenzie & McPhedran 1979")


def test_chessboard_of_four_phases_conducts_as_mortola_and_steffe_conjectured(verify: Verify) -> None:
    """The conjecture was proven by Milton and by Craster & Obnosov (2001); k₁ to k₄ stand around a corner."""
    k1, k2, k3, k4 = 1.0, 2.0, 3.0, 5.0
    product = (k1 * k2 * k3 + k1 * k2 * k4 + k1 * k3 * k4 + k2 * k3 * k4) / (k1 + k2 + k3 + k4)
    ratio = (k1 + k2) * (k3 + k4) / ((k1 + k4) * (k2 + k3))
    exact = np.sqrt([product * ratio, product / ratio])
    laws, found = {"1": k1, "2": k2, "3": k3, "4": k4}, []
    for pixels in (16, 32, 64):
        board = np.kron([[0, 1], [3, 2]], np.ones((pixels, pixels), dtype=int))
        cell = image_cell(board, {"1": 0, "2": 1, "3": 2, "4": 3})
        found.append(np.diag(effective(cell, laws).tangent))
    errors = np.array(found) - exact
    assert np.all(errors > 0.0)
    assert np.all(np.log2(errors[:-1] / errors[1:]) > 1.5)  # 2λ at the corners
    for axis, error in zip("xy", errors.T, strict=True):
        case, source = f"chessboard of conductivities 1/2/3/5: k_{axis}", "exact: Craster & Obnosov 2001"
        reference = exact["xy".index(axis)]
        verify(case, reference + error[2], reference, tolerance=(error[1] - error[2]) / 1.8, source=source)


def test_insulator_is_the_limit_of_poor_conductors_and_the_same_as_a_pore() -> None:
    cell = fitted_fibre(0.3, 16, 2)
    insulating = effective(cell, {"matrix": 1.0, "fibre": 0.0}, degree=2).tangent
    poor = [effective(cell, {"matrix": 1.0, "fibre": k}, degree=2).tangent for k in (1e-3, 1e-6)]
    errors = [relative_error(tangent, insulating) for tangent in poor]
    assert errors[1] < 2e-6
    assert errors[0] / errors[1] == pytest.approx(1e3, rel=0.01)


def test_chessboard_is_bracketed_by_its_boundary_conditions() -> None:
    """√(k₁k₂) exactly; a uniform flux comes from below, and what is periodic or affine from above."""
    board = two_phases(np.kron([[0, 1], [1, 0]], np.ones((16, 16), dtype=int)))
    k = {b: effective(board, {"a": 1.0, "b": 10.0}, boundary=b).tangent[0, 0] for b in BOUNDARY_CONDITIONS}
    assert k["uniform_flux"] < np.sqrt(10.0) < k["periodic"] < k["linear"]


def test_boundary_conditions_are_ordered_and_bounds_hold() -> None:
    cell, k = random_image(3, 4), {"a": 1.0, "b": 30.0}
    found = {b: effective(cell, k, boundary=b) for b in ("uniform_flux", "periodic", "linear")}
    bounds = found["periodic"].properties["bounds"]
    tangents = [bounds["reuss"], *(f.tangent for f in found.values()), bounds["voigt"]]
    for below, above in pairwise(tangents):
        assert np.linalg.eigvalsh(above - below)[0] > -1e-10


def test_bounds_of_hashin_and_shtrikman_are_formulas() -> None:
    """A coated sphere (cylinder) assemblage attains them: Maxwell 1873 (Rayleigh 1892) for the coating."""
    for dim, shape in ((2, "quadrilateral"), (3, "hexahedron")):
        found = effective(laminate(shape, 0), {"a": 2.0, "b": 7.0}).properties["bounds"]["hashin_shtrikman"]
        upper = 7.0 + 0.4 / (1.0 / (2.0 - 7.0) + 0.6 / (dim * 7.0))
        lower = 2.0 + 0.6 / (1.0 / (7.0 - 2.0) + 0.4 / (dim * 2.0))
        assert np.allclose(found, [lower, upper], rtol=ROUND_OFF)


def test_array_lies_between_the_bounds_also_where_a_phase_insulates() -> None:
    for k in (0.0, 10.0):
        found = effective(fitted_fibre(0.5, 16, 2), {"matrix": 1.0, "fibre": k}, degree=2)
        lower, upper = found.properties["bounds"]["hashin_shtrikman"]
        assert lower <= found.tangent[0, 0] <= upper
    assert lower > 0.0


CHANNEL = np.zeros((12, 12), dtype=int)
CHANNEL[:, 3:6] = 1


def test_straight_channel_is_not_tortuous() -> None:
    found = effective(two_phases(CHANNEL), {"a": 0.0, "b": 2.0}).properties
    assert found["conducting_fraction"] == pytest.approx(0.25)
    assert found["tortuosity"] == {"x": pytest.approx(1.0), "y": None}
    assert found["relative_conductivity"] == {"x": pytest.approx(0.25), "y": 0.0}
    assert found["percolates"] == {"x": True, "y": False}
    assert found["anisotropy"] is None
    assert "isolated" not in found


def test_inclined_channel_is_twice_as_long_in_square(verify: Verify) -> None:
    """A straight layer at 45° carries D cos² of the gradient along each axis: τ = 1/cos² = 2."""
    mesh = box_mesh("triangle", (8, 8))
    x, y = midpoints(mesh).T
    cell = make_cell(mesh, ((x - y) % 1.0 < 0.25).astype(int), ("rock", "channel"))
    found = effective(cell, {"rock": 0.0, "channel": 3.0})
    assert found.properties["tortuosity"] == {"x": pytest.approx(2.0), "y": pytest.approx(2.0)}
    tortuosity = found.properties["tortuosity"]["x"]
    verify("channel at 45°: tortuosity", tortuosity, 2.0, tolerance=1e-10, source="exact: 1/cos²")
    assert found.tangent[0, 1] == pytest.approx(0.25 * 3.0 / 2.0)


def test_isolated_pores_are_left_out_and_reported() -> None:
    image = CHANNEL.copy()
    image[5:7, 8:10] = 1
    found = {b: effective(two_phases(image), {"a": 0.0, "b": 2.0}, boundary=b) for b in BOUNDARY_CONDITIONS}
    for report in found.values():
        assert report.properties["isolated"] == {"b": pytest.approx(4 / 144)}
        assert report.tangent[0, 0] == pytest.approx(0.5)
    properties = found["periodic"].properties
    assert properties["conducting_fraction"] == pytest.approx(0.25 + 4 / 144)
    assert properties["tortuosity"]["x"] == pytest.approx(1.0 + 4 / 36)


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
def test_channels_that_do_not_meet_are_each_pinned(boundary: str) -> None:
    image = CHANNEL.copy()
    image[:, 8:10] = 1
    found = effective(two_phases(image), {"a": 0.0, "b": 2.0}, boundary=boundary)
    assert found.tangent[0, 0] == pytest.approx(2.0 * 5 / 12, rel=1e-10)


def test_isolated_conductors_of_two_phases_in_an_insulator() -> None:
    labels = np.zeros((9, 9), dtype=int)
    labels[:, 0] = 1
    labels[4:6, 4:6] = 2
    cell = image_cell(labels, {"rock": 0, "crack": 1, "ore": 2})
    laws = {"rock": LinearConduction(0.0), "crack": LinearConduction(3.0), "ore": LinearConduction(5.0)}
    found = diffusion(cell, laws).homogenize()
    assert found.properties["isolated"] == {"ore": pytest.approx(4 / 81)}
    assert np.allclose(found.tangent, np.diag([3.0 / 9.0, 0.0]), atol=1e-12)


def test_flux_is_the_average_of_the_local_flux() -> None:
    rve = diffusion(random_image(2, 5), {"a": LinearConduction(1.0), "b": LinearConduction([4.0, 9.0])})
    out, g = np.empty(rve.state_size), np.array([0.3, -1.0])
    flux = rve.solve(g, rve.initial_state(), 0.0, out).flux
    fields = rve.fields(out)
    for name, mean in (("gradient", g), ("flux", flux)):
        values: Array = fields.cell_data[name]
        assert np.allclose(fields.volumes @ values / fields.volumes.sum(), mean, rtol=1e-10)


@pytest.mark.parametrize(
    ("conductivity", "message"),
    [
        (-1.0, "conductivity = -1.0 is not admissible; it must be zero or positive"),
        (np.nan, "conductivity = nan is not admissible"),
        ("high", "conductivity = high is not admissible"),
        ([1.0, -2.0], "no principal value may be negative, and one is -2"),
        ([[1.0, 2.0], [2.0, 1.0]], "one is -1"),
        ([[1.0, 0.5], [0.0, 1.0]], "conductivity is not symmetric"),
        ([1.0, 2.0, 3.0, 4.0], r"has shape \(4,\)"),
        ([1.0, np.inf], "not finite"),
    ],
)
def test_conductivities_that_cannot_be_are_refused_by_name(conductivity: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"LinearConduction: .*{message}"):
        LinearConduction(conductivity)


def test_cells_and_laws_that_do_not_fit_are_refused_by_name() -> None:
    cell, law = laminate("quadrilateral", 0), LinearConduction(1.0)
    for laws, message in (
        ({"a": law}, "phase 'b' of the cell has no law"),
        ({"a": law, "b": law, "c": law}, "a law is given for 'c'"),
        ({"a": law, "b": LinearConduction([1.0, 2.0, 3.0])}, r"shape \(3,\), but the cell is 2-dimensional"),
        ({"a": LinearConduction(0.0), "b": LinearConduction([0.0, 0.0])}, "nothing conducts in the cell"),
        ({"a": law, "b": LinearConduction(1.0, capacity=2.0)}, "phase 'b'.* stores.* set value=True"),
    ):
        with pytest.raises(InputError, match=message):
            diffusion(cell, laws)
    island = np.zeros((5, 5), dtype=int)
    island[2, 2] = 1
    with pytest.raises(InputError, match="'b' is not connected with its periodic images"):
        diffusion(two_phases(island), {"a": LinearConduction(0.0), "b": law})
    rve = diffusion(cell, {"a": law, "b": law})
    with pytest.raises(InputError, match=r"the gradient has shape \(3,\); this RVE takes 2 components: x, y"):
        rve.solve(np.zeros(3), rve.initial_state(), 0.0, rve.initial_state())
    with pytest.raises(MicroSolveError, match="not finite"):
        rve.solve(np.array([np.nan, 0.0]), rve.initial_state(), 0.0, rve.initial_state())
    with pytest.raises(InputError, match="LinearConduction: capacity = -1 is not"):
        LinearConduction(1.0, capacity=-1)


def test_law_of_another_physics_is_refused() -> None:
    law = LinearElastic.isotropic(1.0, 0.3)
    with pytest.raises(InputError, match=r"phase 'b' is a LinearElastic, which is no law of diffusion"):
        diffusion(laminate("quadrilateral", 0), {"a": LinearConduction(1.0), "b": law})
