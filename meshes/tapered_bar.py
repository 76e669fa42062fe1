"""Bar of square cross-section that tapers along its axis, in 3D: a macroscopic mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import gmsh
import numpy as np

from . import parameters
from .checks import checked_output
from .gmsh_model import add_group, faces_in_plane, generate, gmsh_model, write_model


def tapered_bar(
    path: str | Path,
    *,
    length: float = 4.0,
    start: float = 1.0,
    end: float = 0.5,
    nx: int = 8,
    ny: int = 2,
    elements: Literal["simplex", "tensor"] = "tensor",
    order: int = 1,
    binary: bool = False,
) -> Path:
    """Tapered bar along the first axis, structured; groups "bar", "left", "right" and "side".

    The axis is the line from (0, 0, 0) to (length, 0, 0), the cross-section is a square about it whose edge
    falls linearly from `start` to `end`.

    Args:
        path: File to write, ending in .msh.
        length: Length of the bar.
        start: Edge of the cross-section "left", at x = 0.
        end: Edge of the cross-section "right", at x = length.
        nx: Number of elements along the bar.
        ny: Number of elements along each edge of the cross-section.
        elements: "simplex" for tetrahedra, "tensor" for hexahedra.
        order: Order of the geometry, 1 or 2.
        binary: Write a binary file instead of ASCII.

    Returns:
        The path.

    Raises:
        ValueError: A parameter is out of range.
    """
    path = checked_output(path)
    parameters.tapered_bar(length=length, start=start, end=end, nx=nx, ny=ny, elements=elements, order=order)
    with gmsh_model(path.stem):
        bar = add_bar(start / length, end / length)
        name_faces(bar)
        set_divisions(nx, ny, elements == "tensor")
        generate(3, 1.0, order)
        return write_model(path, binary, length)


def add_bar(start: float, end: float) -> int:
    """Loft through the two end squares of a bar of length 1; returns the tag of the volume."""
    kernel = gmsh.model.occ
    wires = []
    for position, edge in ((0.0, start), (1.0, end)):
        square = 0.5 * edge * np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
        points = [kernel.addPoint(position, y, z) for y, z in square]
        wires.append(kernel.addWire([kernel.addLine(points[k], points[(k + 1) % 4]) for k in range(4)]))
    ((_, bar),) = kernel.addThruSections(wires, makeSolid=True, makeRuled=True)
    kernel.remove(kernel.getEntities(1))
    kernel.synchronize()
    return int(bar)


def name_faces(bar: int) -> None:
    """Name the volume and its boundaries."""
    add_group(3, [bar], "bar")
    faces = {tag for _, tag in gmsh.model.getBoundary([(3, bar)], oriented=False)}
    ends = {name: faces_in_plane(3, 0, x, 1e-6) for name, x in (("left", 0.0), ("right", 1.0))}
    for name, tags in ends.items():
        add_group(2, tags, name)
        faces -= set(tags)
    add_group(2, sorted(faces), "side")


def set_divisions(nx: int, ny: int, tensor: bool) -> None:
    """Structured mesh with nx elements along the bar and ny along the edges of its ends."""
    squares = [gmsh.model.getEntitiesForPhysicalName(name) for name in ("left", "right")]
    ends = {tag for square in squares for _, tag in gmsh.model.getBoundary(square, oriented=False)}
    for _, line in gmsh.model.getEntities(1):
        gmsh.model.mesh.setTransfiniteCurve(line, (ny if line in ends else nx) + 1)
    for _, face in gmsh.model.getEntities(2):
        gmsh.model.mesh.setTransfiniteSurface(face)
        if tensor:
            gmsh.model.mesh.setRecombine(2, face)
    for _, volume in gmsh.model.getEntities(3):
        gmsh.model.mesh.setTransfiniteVolume(volume)
