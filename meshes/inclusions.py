"""Cells of a matrix with equal fibres or spheres: geometry, phases, and refinement of narrow gaps."""

from __future__ import annotations

import itertools
from pathlib import Path

import gmsh
import numpy as np
import numpy.typing as npt

from .checks import checked_size, require, require_positive
from .gmsh_model import add_group
from .periodic_cell import write_periodic_cell
from .periodic_images import images
from .size_field import SizeField

FloatArray = npt.NDArray[np.float64]


def write_inclusions(
    path: Path,
    period: FloatArray,
    centres: FloatArray,
    radius: float,
    phase: str,
    *,
    size: float,
    order: int,
    binary: bool,
) -> Path:
    """Mesh and write a box with discs, fibres along the third axis, or spheres, continued periodically.

    Args:
        path: File to write.
        period: Edge lengths of the box, shape (dim,).
        centres: Shape (n, 2) for discs (dim = 2) and fibres (dim = 3), (n, 3) for spheres.
        radius: Of all inclusions.
        phase: Physical group of the inclusions; the rest is "matrix".
        size: Target element size, diminished towards gaps that are narrower.
        order: Polynomial order of the geometry.
        binary: Whether the file is binary.

    Returns:
        The path.
    """
    scale = period.max()
    unit, section = period / scale, period[: centres.shape[1]] / scale
    unit_centres = wrapped_centres(centres / scale, radius / scale, section)
    size_field = SizeField(unit, *narrow_gaps(unit_centres, radius / scale, section, size / scale))

    def build() -> None:
        matrix, inclusions = add_geometry(unit, unit_centres, radius / scale)
        add_group(len(period), matrix, "matrix")
        add_group(len(period), inclusions, phase)

    return write_periodic_cell(
        path, build, period.tolist(), size=size, order=order, binary=binary, size_field=size_field
    )


def fibre_cell(
    section: tuple[float, float], dim: int, depth: float | None, size: float | None
) -> tuple[FloatArray, float]:
    """Period and element size of a cell with fibres along the third axis, three elements deep unless given.

    Raises:
        ValueError: Dimension, depth or size are out of range.
    """
    require(dim in (2, 3), "dim", dim, "must be 2 or 3")
    if dim == 2:
        require(depth is None, "depth", depth, "is for dim = 3 only")
        return np.array(section), checked_size(size, section)
    if depth is None:
        size = checked_size(size, section)
        return np.array([*section, 3.0 * size]), size
    require_positive(depth=depth)
    if size is None:
        size = min(checked_size(None, section), depth / 3.0)
    return np.array([*section, depth]), checked_size(size, (*section, depth))


def wrapped_centres(centres: FloatArray, radius: float, period: FloatArray) -> FloatArray:
    """Centres of all periodic images that reach into the box."""
    candidates = (centres[:, None, :] + images(len(period)) * period).reshape(-1, len(period))
    outside = np.maximum(np.maximum(-candidates, candidates - period), 0.0)
    reaching = np.linalg.norm(outside, axis=1) < radius * (1.0 - 1e-9)
    return candidates[reaching]


def narrow_gaps(
    centres: FloatArray, radius: float, period: FloatArray, size: float
) -> tuple[FloatArray, FloatArray]:
    """Positions and widths of the places where inclusions nearly touch each other or the box.

    A ball that cuts a face, an edge or a corner of the box by little leaves as narrow a piece as one that
    misses it by little.

    Returns:
        Positions, shape (k, dim), and widths below `size`, shape (k,).
    """
    dim = len(period)
    first, second = np.triu_indices(len(centres), 1)
    positions = [(centres[first] + centres[second]) / 2.0]
    widths = [np.linalg.norm(centres[first] - centres[second], axis=1) - 2.0 * radius]
    for planes in itertools.product((np.nan, 0.0, 1.0), repeat=dim):
        if not np.all(np.isnan(planes)):
            feet = np.where(np.isnan(planes), centres, planes * period)
            positions.append(feet)
            widths.append(np.abs(np.linalg.norm(centres - feet, axis=1) - radius))
    position, width = np.concatenate(positions), np.concatenate(widths)
    inside = np.all((position > -1e-9 * period) & (position < (1.0 + 1e-9) * period), axis=1)
    narrow = inside & (width < size)
    return position[narrow], width[narrow]


def add_geometry(period: FloatArray, centres: FloatArray, radius: float) -> tuple[list[int], list[int]]:
    """Cut the box with the inclusions; returns the tags of the matrix and of the inclusions in the box."""
    kernel, dim = gmsh.model.occ, len(period)
    if dim == 2:
        box = kernel.addRectangle(0.0, 0.0, 0.0, *period)
        balls = [kernel.addDisk(*centre, 0.0, radius, radius) for centre in centres]
    elif centres.shape[1] == 2:
        box = kernel.addBox(0.0, 0.0, 0.0, *period)
        balls = [kernel.addCylinder(*centre, 0.0, 0.0, 0.0, period[2], radius) for centre in centres]
    else:
        box = kernel.addBox(0.0, 0.0, 0.0, *period)
        balls = [kernel.addSphere(*centre, radius) for centre in centres]
    _, (in_box, *in_balls) = kernel.fragment([(dim, box)], [(dim, ball) for ball in balls])
    pieces = set(itertools.chain.from_iterable(in_balls))
    kernel.remove(sorted(pieces - set(in_box)), recursive=True)
    kernel.synchronize()
    matrix = [tag for _, tag in in_box if (dim, tag) not in pieces]
    return matrix, [tag for _, tag in in_box if (dim, tag) in pieces]
