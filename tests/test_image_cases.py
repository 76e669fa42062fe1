"""Cells of images in case files: the size as it is understood, and what their headers tell."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from case_files import IMAGE_CELL, changed, write
from click.testing import CliRunner

from fe2.case.build_cell import build_cell
from fe2.case.cell_case import read_cell_case
from fe2.cli.main import fe2_command
from fe2.errors import Fe2Warning, InputError


def stack(folder: Path, **cell: Any) -> Path:
    """A cell file of a TIFF stack of 6 × 4 × 3 voxels, of which the file says 2 × 2 × 5 micrometres."""
    image = np.arange(72, dtype=np.uint8).reshape(3, 4, 6) % 2
    metadata = {"axes": "ZYX", "spacing": 5.0, "unit": "um"}
    tifffile.imwrite(folder / "stack.tif", image, imagej=True, resolution=(0.5, 0.5), metadata=metadata)
    table = changed(IMAGE_CELL, cell__image="stack.tif")
    for name in ("voxel_size", "crop", "coarsen"):
        table["cell"].pop(name)
    table["cell"].update(cell)
    return write(folder, table)


def test_check_prints_the_size_of_an_image_as_it_is_understood(tmp_path: Path) -> None:
    result = CliRunner().invoke(fe2_command, ["check", str(stack(tmp_path, voxel_size=[2.0, 2.0, 5.0]))])
    assert (
        "stack.tif: 6 × 4 × 3 voxels of 2 × 2 × 5; the cell measures 12 × 8 × 15 (x × y × z)" in result.stdout
    )


@pytest.mark.parametrize("size", [[2.0, 2.0, 5.0], [2e-3, 2e-3, 5e-3], [2e3, 2e3, 5e3]])
def test_a_spacing_in_another_unit_is_the_same(size: list[float], tmp_path: Path) -> None:
    case = read_cell_case(stack(tmp_path, voxel_size=size))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_cell(case)


@pytest.mark.parametrize("size", [1.0, [2.0, 2.0, 2.0], [5.0, 2.0, 2.0]])
def test_another_spacing_than_that_of_the_file_is_a_warning(size: Any, tmp_path: Path) -> None:
    case = read_cell_case(stack(tmp_path, voxel_size=size))
    with pytest.warns(Fe2Warning, match=r"stack\.tif: the file says that a voxel measures 2 × 2 × 5 um"):
        build_cell(case)


def test_what_the_header_of_an_image_tells_is_checked_with_the_rest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cell\.crop = .* 0 <= low < high <= \[6, 4, 3\]"):
        read_cell_case(stack(tmp_path, crop=[[0, 6], [0, 5], [0, 3]]))
    with pytest.raises(InputError, match=r"cell\.coarsen = 2: it does not divide"):
        read_cell_case(stack(tmp_path, coarsen=2))
    (tmp_path / "stack.tif").write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"cell\.image: .*stack\.tif: not a TIFF"):
        read_cell_case(write(tmp_path, changed(IMAGE_CELL, cell__image="stack.tif")))
