"""Plane layers across one axis of a rectangular cell, resolved exactly by a structured mesh."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import gmsh
import numpy as np

from . import parameters
from .checks import checked_output
from .gmsh_model import add_group
from .periodic_cell import write_periodic_cell


def laminate(
    path: str | Path,
    *,
    fractions: Sequence[float] = (0.5, 0.5),
    normal: Literal[1, 2, 3] = 1,
    lengths: Sequence[float] = (1.0, 1.0),
    elements: Literal["simplex", "tensor"] = "simplex",
    size: float | None = None,
    order: int = 1,
    binary: bool = False,
) -> Path:
    """Laminate in 2D or 3D; phases "layer_1", "layer_2", … in the order of the fractions.

    Layer i has the thickness f_i L, with L the edge length along the normal, and ⌈f_i L / size⌉ elements
    across, so that its volume fraction is f_i to round-off.

    Args:
        path: File to write, ending in .msh.
        fractions: Volume fractions of the layers, which sum to 1.
        normal: Axis across the layers, 1, 2 or 3.
        lengths: The two or three edge lengths of the cell.
        elements: "simplex" for triangles and tetrahedra, "tensor" for quadrilaterals and hexahedra.
        size: Target element size; a twelfth of the shortest edge by default.
        order: Order of the geometry, 1 or 2.
        binary: Write a binary file instead of ASCII.

    Returns:
        The path.

    Raises:
        ValueError: A parameter is out of range.
    """
    path = checked_output(path)
    size = parameters.laminate(
        fractions=fractions, normal=normal, lengths=lengths, elements=elements, size=size, order=order
    )
    period, dim, scale = [float(length) for length in lengths], len(lengths), max(lengths)

    def build() -> None:
        layers = add_layers(fractions, normal - 1, [length / scale for length in period])
        set_divisions(size / scale, tensor=elements == "tensor")
        for number, layer in enumerate(layers, start=1):
            add_group(dim, [layer], f"layer_{number}")

    return write_periodic_cell(path, build, period, size=size, order=order, binary=binary)


def add_layers(fractions: Sequence[float], axis: int, period: Sequence[float]) -> list[int]:
    """Stack boxes (rectangles in 2D) along an axis and join their faces; returns their tags."""
    dim = len(period)
    planes = period[axis] * np.concatenate([[0.0], np.cumsum(fractions)[:-1], [1.0]])
    layers = []
    for below, above in itertools.pairwise(planes):
        corner, extent = np.zeros(3), np.zeros(3)
        extent[:dim] = period
        corner[axis], extent[axis] = below, above - below
        if dim == 2:
            layers.append((dim, gmsh.model.occ.addRectangle(*corner, *extent[:2])))
        else:
            layers.append((dim, gmsh.model.occ.addBox(*corner, *extent)))
    if len(layers) > 1:
        _, parts = gmsh.model.occ.fragment(layers[:1], layers[1:])
        layers = [part for (part,) in parts]
    gmsh.model.occ.synchronize()
    return [tag for _, tag in layers]


def set_divisions(size: float, tensor: bool) -> None:
    """Divide every edge evenly into ⌈length / size⌉ parts and ask for a structured mesh."""
    for _, curve in gmsh.model.getEntities(1):
        ends = [gmsh.model.getValue(*point, []) for point in gmsh.model.getBoundary([(1, curve)])]
        divisions = math.ceil(math.dist(*ends) / size * (1.0 - 1e-9))
        gmsh.model.mesh.setTransfiniteCurve(curve, divisions + 1)
    for _, surface in gmsh.model.getEntities(2):
        gmsh.model.mesh.setTransfiniteSurface(surface)
        if tensor:
            gmsh.model.mesh.setRecombine(2, surface)
    for _, volume in gmsh.model.getEntities(3):
        gmsh.model.mesh.setTransfiniteVolume(volume)
