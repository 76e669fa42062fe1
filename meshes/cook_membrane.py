"""Cook's membrane, the tapered and swept panel of the literature: a macroscopic mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import gmsh

from . import parameters
from .checks import checked_output
from .gmsh_model import add_group, generate, gmsh_model, write_model


def cook_membrane(
    path: str | Path,
    *,
    width: float = 48.0,
    left: float = 44.0,
    right: float = 16.0,
    nx: int = 16,
    ny: int = 16,
    elements: Literal["simplex", "tensor"] = "tensor",
    order: int = 1,
    binary: bool = False,
) -> Path:
    """Trapezoid, structured; groups "membrane", "left", "right", "bottom" and "top".

    The corners are (0, 0), (width, left), (width, left + right) and (0, left): with the default lengths the
    membrane of Cook (1974), which is clamped at the left and loaded by a shear force at the right.

    Args:
        path: File to write, ending in .msh.
        width: Distance of the two vertical sides.
        left: Length of the left side.
        right: Length of the right side.
        nx: Number of elements from left to right.
        ny: Number of elements from bottom to top.
        elements: "simplex" for triangles, "tensor" for quadrilaterals.
        order: Order of the geometry, 1 or 2.
        binary: Write a binary file instead of ASCII.

    Returns:
        The path.

    Raises:
        ValueError: A parameter is out of range.
    """
    path = checked_output(path)
    parameters.cook_membrane(
        width=width, left=left, right=right, nx=nx, ny=ny, elements=elements, order=order
    )
    with gmsh_model(path.stem):
        kernel = gmsh.model.geo
        corners = [(0.0, 0.0), (1.0, left / width), (1.0, (left + right) / width), (0.0, left / width)]
        points = [kernel.addPoint(x, y, 0.0) for x, y in corners]
        lines = [kernel.addLine(points[k], points[(k + 1) % 4]) for k in range(4)]
        surface = kernel.addPlaneSurface([kernel.addCurveLoop(lines)])
        kernel.synchronize()
        add_group(2, [surface], "membrane")
        for line, name, divisions in zip(
            lines, ("bottom", "right", "top", "left"), (nx, ny) * 2, strict=True
        ):
            add_group(1, [line], name)
            gmsh.model.mesh.setTransfiniteCurve(line, divisions + 1)
        gmsh.model.mesh.setTransfiniteSurface(surface)
        if elements == "tensor":
            gmsh.model.mesh.setRecombine(2, surface)
        generate(2, 1.0, order)
        return write_model(path, binary, width)
