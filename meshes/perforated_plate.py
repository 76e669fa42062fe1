"""Rectangular plate with a circular hole in the middle, or a quarter of it: a macroscopic mesh."""

from __future__ import annotations

import math
from pathlib import Path

import gmsh

from . import parameters
from .checks import checked_output
from .gmsh_model import (
    add_group,
    faces_in_plane,
    generate,
    gmsh_model,
    inversion_error,
    inverted_elements,
    write_model,
)

GROWTH = 0.3  # increase of the element size per distance from the hole


def perforated_plate(
    path: str | Path,
    *,
    width: float = 2.0,
    height: float = 2.0,
    radius: float = 0.4,
    quarter: bool = True,
    size: float | None = None,
    hole_size: float | None = None,
    order: int = 1,
    binary: bool = False,
) -> Path:
    """Plate with a hole, triangles; groups "plate", "left", "right", "bottom", "top" and "hole".

    The hole is centred at the origin. The whole plate reaches from −width/2 to width/2 and from −height/2 to
    height/2, the quarter from 0: its sides "left" and "bottom" lie in the planes of symmetry.

    Args:
        path: File to write, ending in .msh.
        width: Width of the whole plate.
        height: Height of the whole plate.
        radius: Radius of the hole.
        quarter: Mesh the upper right quarter only.
        size: Element size far from the hole; a twentieth of the shorter side of the whole plate by default.
        hole_size: Element size at the hole; by default a sixth of the radius, at most `size`.
        order: Order of the geometry, 1 or 2 (curved hole).
        binary: Write a binary file instead of ASCII.

    Returns:
        The path.

    Raises:
        ValueError: A parameter is out of range.
        RuntimeError: gmsh failed, or curved elements at the hole are inverted: `hole_size` is too large.
    """
    path = checked_output(path)
    size, hole_size = parameters.perforated_plate(
        width=width,
        height=height,
        radius=radius,
        quarter=quarter,
        size=size,
        hole_size=hole_size,
        order=order,
    )
    scale = max(width, height)

    def local_size(dim: int, tag: int, x: float, y: float, z: float, proposed: float) -> float:
        return min(proposed, hole_size / scale + GROWTH * max(math.hypot(x, y) - radius / scale, 0.0))

    with gmsh_model(path.stem):
        add_plate(width / scale, height / scale, radius / scale, quarter)
        gmsh.model.mesh.setSizeCallback(local_size)
        generate(2, size / scale, order)
        inverted, _ = inverted_elements(2)
        if len(inverted) > 0:
            raise inversion_error(inverted * scale)
        return write_model(path, binary, scale)


def add_plate(width: float, height: float, radius: float, quarter: bool) -> None:
    """Cut the hole and name the plate and its boundaries."""
    left, bottom = (0.0, 0.0) if quarter else (-width / 2.0, -height / 2.0)
    right, top = width / 2.0, height / 2.0
    rectangle = gmsh.model.occ.addRectangle(left, bottom, 0.0, right - left, top - bottom)
    disc = gmsh.model.occ.addDisk(0.0, 0.0, 0.0, radius, radius)
    ((_, plate),), _ = gmsh.model.occ.cut([(2, rectangle)], [(2, disc)])
    gmsh.model.occ.synchronize()
    add_group(2, [plate], "plate")
    hole = {tag for _, tag in gmsh.model.getEntities(1)}
    sides = {"left": (0, left), "right": (0, right), "bottom": (1, bottom), "top": (1, top)}
    for name, (axis, position) in sides.items():
        lines = faces_in_plane(2, axis, position, 1e-6)
        add_group(1, lines, name)
        hole -= set(lines)
    add_group(1, sorted(hole), "hole")
