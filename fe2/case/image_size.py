"""The size of a cell that is an image, as it was understood from the file's header and the cell's table."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fe2.case.cell_tables import ImageCell
from fe2.errors import Fe2Warning
from fe2.io.image_facts import ImageFacts
from fe2.io.images import image_facts
from fe2.micro.image_grid import ImageGrid, image_grid

_SAME = 1e-3
"""Relative difference of two spacings that is none: resolutions are stored as fractions of whole numbers."""


@dataclass(frozen=True)
class ImageSize:
    """What the file says, and the grid of the cell."""

    file: Path
    facts: ImageFacts
    grid: ImageGrid

    def as_dict(self) -> dict[str, Any]:
        """Numbers along x, y and z: voxels of the file, elements of the cell, lengths in its unit."""
        return {
            "voxels": list(self.facts.shape),
            "elements": list(self.grid.elements),
            "voxel_size": list(self.grid.size),
            "size": self.grid.period.tolist(),
        }

    def warn_of_other_spacing(self) -> None:
        """Warn where the file tells another spacing than the table, in whatever unit of length."""
        told = self.facts.spacing
        if told is None:
            return
        ratio = np.array(self.grid.size)[: len(told)] / np.array(told)[: len(self.grid.size)]
        power = np.round(np.log10(ratio[0]))
        if np.abs(ratio / 10.0**power - 1.0).max() > _SAME:
            unit = f" {self.facts.unit}" if self.facts.unit else ""
            warnings.warn(
                f"{self.file}: the file says that a voxel measures {times(told)}{unit}, voxel_size says "
                f"{times(self.grid.size)}, which is used (x × y × z)",
                Fe2Warning,
                stacklevel=2,
            )


def image_size(table: ImageCell, folder: Path) -> ImageSize:
    """Look at the header of a cell's image.

    Args:
        table: The cell's table.
        folder: Folder of the case file.

    Raises:
        InputError: The file cannot be read, or the table does not fit it.
    """
    file = folder / table.image
    facts = image_facts(file, shape=table.shape, dtype=table.dtype)
    crop = None if table.crop is None else [list(bounds) for bounds in table.crop]
    grid = image_grid(facts.shape, voxel_size=table.voxel_size, coarsen=table.coarsen, crop=crop)
    return ImageSize(file, facts, grid)


def size_in_words(size: dict[str, Any]) -> str:
    """The size as people read it: x × y × z."""
    elements = "" if size["elements"] == size["voxels"] else f", as {times(size['elements'])} elements"
    return (
        f"{times(size['voxels'])} voxels of {times(size['voxel_size'])}{elements}; the cell measures "
        f"{times(size['size'])} (x × y{' × z' * (len(size['size']) == 3)})"
    )


def times(numbers: Any) -> str:
    """Numbers with × between them."""
    return " × ".join(f"{number:.6g}" for number in numbers)
