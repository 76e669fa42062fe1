"""The box around the mesh of a cell, which is its period where none is given; without DOLFINx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fe2.case.cell_tables import MeshCell
from fe2.errors import InputError
from fe2.msh.read import read_mesh_file

_LARGEST = 100_000_000
"""Bytes of a file beyond which it takes more than a moment to read it."""


def mesh_box(table: MeshCell, folder: Path) -> dict[str, Any] | None:
    """Lower corner and size of the box, and the period of the cell; None for a large file.

    Raises:
        InputError: The file cannot be read.
    """
    path = folder / table.mesh
    if path.stat().st_size > _LARGEST:
        return None
    file = read_mesh_file(path, table.labels)
    dim = max((part.dim for part in file.elements), default=0)
    if dim < 2:
        raise InputError(f"{path}: holds no surface or volume elements: a mesh has two or three dimensions")
    nodes = np.concatenate([np.unique(part.nodes) for part in file.elements if part.dim == dim])
    x = file.points[nodes, :dim]
    size = np.ptp(x, axis=0).tolist()
    return {"lower": x.min(axis=0).tolist(), "size": size, "period": list(table.period or size)}


def box_in_words(box: dict[str, Any]) -> str:
    """The box as people read it."""
    corner, size, period = (
        times.join(f"{value:.6g}" for value in box[key])
        for key, times in (("lower", ", "), ("size", " × "), ("period", " × "))
    )
    axes = f"x × y{' × z' * (len(box['size']) == 3)}"
    return f"the mesh measures {size} ({axes}), from ({corner}) on; the period is {period}"
