"""The law `void`: a phase without material in mechanics, in images and in meshes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from case_files import IMAGE_CELL, changed, write

import fe2
from fe2.case.build_cell import build_rve
from fe2.case.cell_case import read_cell_case

SOLID = fe2.LinearElastic.isotropic(210e3, 0.3)
VOID = {"solid": SOLID, "pore": fe2.Void()}
HARDLY = {"solid": SOLID, "pore": fe2.LinearElastic.isotropic(210e3 * 1e-9, 0.3)}
PHASES = {"solid": 1, "pore": 0}


def block_of_pores(*shape: int) -> fe2.Cell:
    image = np.ones(shape, dtype=int)
    image[tuple(slice(2, 6) for _ in shape)] = 0
    return fe2.image_cell(image, PHASES)


@pytest.mark.parametrize("how", [{}, {"degree": 2}, {"boundary": "linear"}])
def test_a_void_is_the_limit_of_a_soft_phase(how: dict[str, Any]) -> None:
    """A thousand-millionth of the modulus changes the stiffness by that much, times a factor of shape."""
    cell = block_of_pores(8, 8)
    void, soft = (fe2.small_strain(cell, laws, **how).homogenize() for laws in (VOID, HARDLY))
    np.testing.assert_allclose(void.tangent, soft.tangent, rtol=1e-6, atol=1e-6 * SOLID.stiffness.max())
    assert void.volume_fractions["solid"] == pytest.approx(0.75)


def test_grid_and_mesh_agree_on_voids_in_space() -> None:
    rve = fe2.small_strain(block_of_pores(7, 6, 6), VOID)
    on_grid, virgin = rve.homogenize(), rve.initial_state()
    with_mesh = rve.solve(rve.kinematics.origin, virgin, 0.0, np.empty_like(virgin))
    np.testing.assert_allclose(with_mesh.tangent, on_grid.tangent, rtol=1e-6, atol=1e-2)


def test_what_floats_in_a_void_is_left_out_and_told() -> None:
    image = np.ones((10, 10), dtype=int)
    image[2:8, 2:8] = 0
    empty = fe2.small_strain(fe2.image_cell(image, PHASES), VOID).homogenize()
    image[4:6, 4:6] = 1
    with pytest.warns(
        fe2.Fe2Warning, match=r"5\.88 % of the phase 'solid' \(0\.04 of the cell\) is isolated"
    ):
        floating = fe2.small_strain(fe2.image_cell(image, PHASES), VOID).homogenize()
    np.testing.assert_allclose(floating.tangent, empty.tangent, rtol=1e-8, atol=1e-3)
    assert floating.properties["isolated"] == pytest.approx({"solid": 0.04})


def test_a_grain_of_a_hundredth_of_an_image_is_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    image = np.ones((12, 12), dtype=int)
    image[4:7, 4:7] = 0
    image[5, 5] = 1
    report = fe2.small_strain(fe2.image_cell(image, PHASES), VOID).homogenize()
    assert report.properties["isolated"] == pytest.approx({"solid": 1 / 144})
    assert not [warning for warning in recwarn if issubclass(warning.category, fe2.Fe2Warning)]


def test_voids_alone_are_refused() -> None:
    with pytest.raises(fe2.InputError, match="nothing holds the cell: all of its phases are voids"):
        fe2.small_strain(block_of_pores(8, 8), {"solid": fe2.Void(), "pore": fe2.Void()})


def test_a_case_file_names_voids_and_what_stands_for_them(tmp_path: Path) -> None:
    table = changed(IMAGE_CELL, phases__fibre={"label": 1, "law": "void"})
    assert build_rve(read_cell_case(write(tmp_path, table))).homogenize().volume_fractions == {"matrix": 0.75}
    table["phases"]["fibre"] = {"label": 1, "law": "linear_elastic", "young": 0.0, "poisson": 0.3}
    with pytest.raises(fe2.InputError, match=r'young = 0\.0: is not admissible.*law = "void"'):
        read_cell_case(write(tmp_path, table))
    del table["phases"]["fibre"]
    with pytest.raises(fe2.InputError, match=r'label 1 has no phase.* with law = "void"'):
        build_rve(read_cell_case(write(tmp_path, table)))
