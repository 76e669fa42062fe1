"""Parts that float, hang on a node or slide: left out or supported, named, and refused where they matter."""

from __future__ import annotations

from dataclasses import replace

import dolfinx.mesh as dmesh
import numpy as np
import pytest
from cells import cut_out, laminate, relative_error
from dolfinx import fem
from mpi4py import MPI

from fe2.errors import InputError
from fe2.macro.law import HomogenizedLaw
from fe2.micro.boundary import BOUNDARY_CONDITIONS, boundary_map
from fe2.micro.cell import Cell
from fe2.micro.finite_strain import finite_strain
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.physics.elasticity import LinearElastic
from fe2.physics.neo_hookean import NeoHookean
from fe2.physics.small_strain import mandel_strain
from fe2.singular import null_directions

YOUNG, POISSON = 10.0, 0.2
PLANE_STRAIN = YOUNG / (1.0 - POISSON**2)
"""Stiffness of a strip that is free to contract in the plane."""


def elastic(cell: Cell, boundary: str = "periodic", young: float = YOUNG) -> RVE:
    laws = {name: LinearElastic.isotropic(young, POISSON) for name in cell.names}
    return small_strain(cell, laws, boundary=boundary)


def strips(thickness: int = 2, gap: int = 1, dim: int = 2) -> np.ndarray:
    """A mask of two strips (plates) along x, with gaps between; in space bars along x."""
    layers = np.array([1] * thickness + [0] * gap + [1] * thickness + [0] * gap, dtype=bool)
    layers[-1] = layers[0] = True  # both faces have elements
    row = layers if dim == 2 else layers[:, None] & layers[None, :]
    return np.broadcast_to(row, (3, *row.shape))


def plate(dim: int = 2, count: int = 7) -> np.ndarray:
    """A mask with a cavity of five voxels a side, beside the faces."""
    mask = np.ones((count,) * dim, dtype=bool)
    mask[(slice(1, -1),) * dim] = False
    return mask


@pytest.mark.parametrize("unit", [1.0, 1e9])
@pytest.mark.parametrize("boundary", ["periodic", "linear"])
def test_strips_are_stiff_along_themselves_alone(boundary: str, unit: float) -> None:
    mask = strips()
    found = elastic(cut_out(mask, size=1e-3 * unit), young=YOUNG * unit).homogenize()
    exact = np.diag([mask.mean() * PLANE_STRAIN * unit, 0.0, 0.0])
    assert relative_error(found.effective, exact) < 1e-12
    assert found.singular == ("yy", "xy")
    assert [found.properties[name] for name in ("bulk_modulus", "shear_modulus", "anisotropy")] == 3 * [None]
    assert found.volume_fractions == pytest.approx({"a": mask.mean()})
    assert "isolated" not in found.properties


def test_bars_in_space_turn_and_slide_past_each_other() -> None:
    mask = strips(dim=3)
    found = elastic(cut_out(mask, "hexahedron")).homogenize()
    assert relative_error(found.effective, np.diag([mask.mean() * YOUNG, 0, 0, 0, 0, 0])) < 1e-11
    assert found.singular == ("yy", "zz", "yz", "xz", "xy")


@pytest.mark.parametrize("shape", ["quadrilateral", "triangle", "hexahedron", "tetrahedron"])
@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
def test_what_floats_is_left_out_and_reported(shape: str, boundary: str) -> None:
    """A grain in a cavity."""
    dim = 2 if shape in ("quadrilateral", "triangle") else 3
    empty, filled = plate(dim), plate(dim)
    filled[(3,) * dim] = True  # floats
    with_grain, without = elastic(cut_out(filled, shape), boundary), elastic(cut_out(empty, shape), boundary)
    found, expected = with_grain.homogenize(), without.homogenize()
    assert relative_error(found.tangent, expected.tangent) < 1e-10
    assert relative_error(found.tangent, found.tangent.T) < 1e-12
    assert found.properties["isolated"] == pytest.approx({"a": 1.0 / filled.size}, rel=1e-9)
    assert found.volume_fractions == pytest.approx(expected.volume_fractions)


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
def test_element_that_hangs_on_a_node_changes_nothing(boundary: str) -> None:
    """The corner of one square touches the corner of a re-entrant plate."""
    mask = plate(count=8)
    mask[1, 1:3] = True
    hanging = mask.copy()
    hanging[2, 3] = True
    found, expected = (
        elastic(cut_out(hanging), boundary).homogenize(),
        elastic(cut_out(mask), boundary).homogenize(),
    )
    assert relative_error(found.tangent, expected.tangent) < 1e-11
    assert found.properties["isolated"] == pytest.approx({"a": 1.0 / mask.size}, rel=1e-9)


def test_block_that_hangs_on_an_edge_swings_and_is_left_out() -> None:
    mask = plate(3, 6)
    mask[1, 1:3, 2:4] = True
    hanging = mask.copy()
    hanging[2, 3, 2:4] = True  # shares the edge x = 2, y = 3 alone
    found, expected = (elastic(cut_out(m, "hexahedron")).homogenize() for m in (hanging, mask))
    assert relative_error(found.tangent, expected.tangent) < 1e-10
    assert found.properties["isolated"] == pytest.approx({"a": 2.0 / mask.size}, rel=1e-9)


def test_part_that_two_hinges_hold_stays() -> None:
    """A square between two corners of the frame carries; it is no mechanism."""
    mask = plate(count=6)
    mask[1, 1] = mask[2, 2] = mask[3, 3] = mask[4, 4] = True
    chain = elastic(cut_out(mask))
    assert "isolated" in chain.homogenize().properties  # two squares in a row swing
    mask = plate(count=5)
    mask[1, 1] = mask[2, 2] = mask[3, 3] = True
    assert "isolated" not in elastic(cut_out(mask)).homogenize().properties


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
def test_supports_do_not_change_the_flux(boundary: str) -> None:
    """Random voxels: the tangent is that of the pseudo-inverse, which needs no supports."""
    rng = np.random.default_rng(7)
    for _ in range(4):
        mask = rng.random((6, 6)) < 0.6
        mask[-1], mask[:, -1] = mask[0], mask[:, 0]
        mask[:, -1] = mask[:, 0]
        rve = elastic(cut_out(mask), boundary)
        found, problem = rve.homogenize().tangent, rve.problem
        unsupported = boundary_map(boundary, rve.cell, replace(rve.form, fixed=None))
        admissible = unsupported.matrix.toarray()
        if len(unsupported.constraints):
            _, values, rows = np.linalg.svd(unsupported.constraints)
            admissible = admissible @ rows[np.count_nonzero(values > 1e-10) :].T
        K, modes = problem.local_stiffness.toarray(), rve.form.modes
        folded, coupling = admissible.T @ K @ admissible, admissible.T @ K @ modes
        relaxed = coupling.T @ np.linalg.pinv(folded, rcond=1e-11, hermitian=True) @ coupling
        assert np.abs(found - (modes.T @ K @ modes - relaxed) / rve.cell.volume).max() < 1e-10 * YOUNG


def test_cell_that_nothing_holds_is_refused() -> None:
    mask = np.zeros((5, 5), dtype=bool)
    mask[:, 2] = mask[2, :] = True
    elastic(cut_out(mask))
    lonely = np.eye(5, dtype=bool)[::-1].copy()
    lonely[0, 0] = lonely[4, 4] = False
    lonely[0, 3] = lonely[1, 0] = lonely[4, 1] = lonely[3, 4] = True
    with pytest.raises(InputError, match=r"nothing holds the cell: 'a' is not connected with its periodic"):
        elastic(cut_out(lonely))


def test_finite_strain_leaves_out_grains_and_names_strains_not_rotations() -> None:
    cell = cut_out(strips())
    found = finite_strain(cell, {"a": NeoHookean(3.0, 0.3)}).homogenize()
    assert found.singular == ("yy", "xy")
    assert found.properties["bulk_modulus"] is None
    filled = plate()
    filled[3, 3] = True
    rve, plain = (finite_strain(cut_out(m), {"a": NeoHookean(3.0, 0.3)}) for m in (filled, plate()))
    assert rve.homogenize().singular == ()
    gradient, state = np.array([0.1, 0.3, -0.2, 0.05]), np.empty(rve.state_size)
    found, expected = (r.solve(gradient, r.initial_state(), 0.0, state[: r.state_size]) for r in (rve, plain))
    assert relative_error(found.flux, expected.flux) < 1e-7


@pytest.mark.parametrize("kind", ["concurrent", "linearized"])
def test_singular_cell_is_refused_as_a_law_unless_that_is_said(kind: str) -> None:
    rve = elastic(cut_out(strips()))
    micro = rve if kind == "concurrent" else rve.linearized()
    mesh = dmesh.create_unit_square(MPI.COMM_WORLD, 1, 1)
    u = fem.Function(fem.functionspace(mesh, ("Lagrange", 1, (2,))))
    for closed in ((), ("xy",), "yy"):
        with pytest.raises(InputError, match=r"nothing resists the strain .*closed = \['yy', 'xy'\]"):
            HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=1, closed=closed)
    with pytest.raises(InputError, match="closed names y, but the components of the strain are xx, yy, xy"):
        HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=1, closed="y")
    HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=1, closed=["yy", "xy"])


@pytest.mark.parametrize("contrast", [1e-8, 1e8])
def test_soft_layers_hold_a_cell(contrast: float) -> None:
    laws = {"a": LinearElastic.isotropic(1.0, 0.3), "b": LinearElastic.isotropic(contrast, 0.2)}
    found = small_strain(laminate("quadrilateral", 0), laws).homogenize()
    assert found.singular == ()
    assert found.properties["bulk_modulus"] > 0.0


def test_null_directions_are_told_by_the_axes_that_span_them() -> None:
    assert null_directions(np.diag([2.0, 0.0, 0.0])).tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    diagonal = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert np.abs(null_directions(1e-9 * diagonal)) == pytest.approx(np.ones((1, 2)))
    assert len(null_directions(np.zeros((3, 3)))) == 3
    assert len(null_directions(np.diag([1.0, 1e-9]))) == 0
