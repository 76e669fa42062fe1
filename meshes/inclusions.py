"""Cells of a matrix with equal fibres or spheres: geometry, phases, and refinement of narrow gaps."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import gmsh
import numpy as np
import numpy.typing as npt

from .exact_fraction import narrowest_gap, stretched, volume_of
from .gmsh_model import add_group, element_nodes
from .parameters import Inclusions
from .periodic_cell import write_periodic_cell
from .periodic_images import images
from .size_field import SizeField

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def write_inclusions(path: Path, inclusions: Inclusions, phase: str, *, order: int, binary: bool) -> Path:
    """Mesh and write a box with discs, fibres along the third axis, or spheres, continued periodically.

    Nodes are moved so that the elements of the inclusions have the wanted volume fraction.

    Args:
        path: File to write.
        inclusions: The box and the balls in it, and the depth of fibres.
        phase: Physical group of the inclusions; the rest is "matrix".
        order: Polynomial order of the geometry.
        binary: Whether the file is binary.

    Returns:
        The path.
    """
    period = inclusions.period
    scale, dim = float(period.max()), len(period)
    unit, radius, centres = period / scale, inclusions.radius / scale, inclusions.centres / scale
    size = inclusions.size / scale
    if order == 1:  # what polygons lack and are stretched by, size² / 12 r, has to fit into the gaps
        size = min(size, math.sqrt(3.0 * radius * narrowest_gap(centres, radius, unit)))
    in_box = wrapped_centres(centres, radius, unit)
    size_field = SizeField(unit, *small_elements(in_box, radius, unit, size))
    pieces: list[int] = []

    def build() -> None:
        matrix, pieces[:] = add_geometry(unit, in_box, radius)
        add_group(dim, matrix, "matrix")
        add_group(dim, pieces, phase)

    def adjust(tags: IntArray, nodes: FloatArray) -> FloatArray:
        kinds, parts = zip(*(element_nodes(tags, dim, piece) for piece in pieces), strict=True)
        volume = volume_of(kinds[0], np.concatenate(parts), dim)
        target = inclusions.fraction * float(unit.prod())
        return stretched(nodes, centres, radius, unit, size, volume, target)

    return write_periodic_cell(
        path,
        build,
        period.tolist(),
        size=size * scale,
        order=order,
        binary=binary,
        size_field=size_field,
        adjust=adjust,
        layers=inclusions.layers,
    )


def wrapped_centres(centres: FloatArray, radius: float, period: FloatArray) -> FloatArray:
    """Centres of all periodic images that reach into the box."""
    candidates = (centres[:, None, :] + images(len(period)) * period).reshape(-1, len(period))
    outside = np.maximum(np.maximum(-candidates, candidates - period), 0.0)
    reaching = np.linalg.norm(outside, axis=1) < radius * (1.0 - 1e-9)
    return candidates[reaching]


def small_elements(
    centres: FloatArray, radius: float, period: FloatArray, size: float
) -> tuple[FloatArray, FloatArray]:
    """Where elements are to be smaller than `size`, and how small: in narrow gaps, and in small balls."""
    positions, widths = narrow_gaps(centres, radius, period, size)
    if radius < 2.0 * size:
        positions = np.concatenate([positions, centres])
        widths = np.concatenate([widths, np.full(len(centres), radius / 3.0)])
    return positions, widths


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
    else:
        box = kernel.addBox(0.0, 0.0, 0.0, *period)
        balls = [kernel.addSphere(*centre, radius) for centre in centres]
    _, (in_box, *in_balls) = kernel.fragment([(dim, box)], [(dim, ball) for ball in balls])
    pieces = set(itertools.chain.from_iterable(in_balls))
    kernel.remove(sorted(pieces - set(in_box)), recursive=True)
    kernel.synchronize()
    matrix = [tag for _, tag in in_box if (dim, tag) not in pieces]
    return matrix, [tag for _, tag in in_box if (dim, tag) in pieces]
