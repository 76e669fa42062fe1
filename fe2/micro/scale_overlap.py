r"""Whether a finer cell is small against the phase that is made of it.

The mean thickness of a phase of volume V and interface S is

.. math:: \ell = 2 V / S,

that of a layer exactly, and half of the diameter of a long cylinder. The error of two scales in the place of
one is proportional to the period of the finer cell over it: 2 % at a quarter where layers of moduli 1:10 lie
in a layer, see the page on nested cells.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from dolfinx import mesh as dmesh

from fe2.arrays import Array
from fe2.errors import Fe2Warning
from fe2.micro.cell import Cell
from fe2.micro.facet_pairs import facet_pairs
from fe2.micro.image_cell import ImageCell

LARGEST = 0.25
"""Period of a finer cell over the mean thickness of its phase up to which nothing is said."""


def warn_of_overlap(cell: Cell, phase: str, period: float) -> None:
    """Warn where a finer cell is not small against its phase.

    Args:
        cell: The cell that has the phase.
        phase: Its name.
        period: Longest period of the finer cell.

    Warns:
        Fe2Warning: It is larger than a quarter of the mean thickness.
    """
    thickness = mean_thickness(cell, phase) if len(cell.names) > 1 else np.inf
    if period > LARGEST * thickness:
        warnings.warn(
            f"phase {phase!r}: the finer cell, of period {period:.4g}, is not small against the phase, of "
            f"mean thickness {thickness:.4g}: the scales overlap, and the error is of the order of their "
            f"ratio, {period / thickness:.2g}. Where the finer cell has no size of its own, set its `period`",
            Fe2Warning,
            stacklevel=2,
        )


def mean_thickness(cell: Cell, phase: str) -> float:
    """Twice the volume of a phase over the area of its interface, infinite where it has none."""
    if isinstance(cell, ImageCell):
        volume, area = _of_voxels(cell, phase)
    else:
        volume, area = cell.volume_fractions[phase] * cell.volume, _area(cell, phase)
    return 2.0 * volume / area if area > 0.0 else np.inf


def _of_voxels(cell: ImageCell, phase: str) -> tuple[float, float]:
    """Volume, and area of the interface, also that to the next period."""
    inside, size = cell.phase_of_voxel == cell.names.index(phase), np.asarray(cell.voxel_size)
    faces = np.array([np.count_nonzero(inside != np.roll(inside, 1, k)) for k in range(inside.ndim)])
    volume = float(np.prod(size))
    return float(inside.sum()) * volume, float(np.sum(faces * volume / size))


def _area(cell: Cell, phase: str) -> float:
    """Area of the facets beyond which another phase lies, also in the next period, or nothing."""
    pairs = facet_pairs(cell, np.arange(len(cell.phases.values), dtype=np.int32))
    inside = cell.phases.values == cell.names.index(phase)
    differ = inside[pairs.cells[:, 0]] != inside[pairs.cells[:, 1]]
    return float(_facet_areas(cell, pairs.facets[differ]).sum())


def _facet_areas(cell: Cell, facets: npt.NDArray[np.int32]) -> Array:
    """Areas of facets between their vertices, shape (n,); lengths in the plane."""
    if not len(facets):
        return np.zeros(0)
    corners = dmesh.entities_to_geometry(cell.mesh, cell.dim - 1, facets)
    x = cell.mesh.geometry.x[corners]
    sides = x[:, 1:] - x[:, :1]
    if cell.dim == 2:
        return np.linalg.norm(sides[:, 0], axis=1)
    areas: Array = 0.5 * np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    if x.shape[1] == 4:  # a quadrilateral, in DOLFINx's order of the corners
        areas += 0.5 * np.linalg.norm(np.cross(x[:, 1] - x[:, 3], x[:, 2] - x[:, 3]), axis=1)
    return areas
