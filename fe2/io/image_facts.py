"""What the header of an image says, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ImageFacts:
    """What the header of an image says.

    Attributes:
        shape: Numbers of voxels (nx, ny) or (nx, ny, nz); a single slice has two.
        dtype: Type of the labels.
        spacing: Edge lengths of a voxel along the first axes, or None where the file does not tell them.
        unit: Their unit, or "" where the file does not tell it.
        notes: What may be read otherwise than it was meant.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    spacing: tuple[float, ...] | None = None
    unit: str = ""
    notes: tuple[str, ...] = ()
