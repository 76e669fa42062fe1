"""Meshes and fields for the pictures of :mod:`fe2.io.render`, which alone imports this module."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pyvista as pv
from vtkmodules.vtkFiltersGeometry import vtkDataSetSurfaceFilter

from fe2.arrays import Array
from fe2.io.round_off import without_round_off

_SUBDIVISION = 3  # of faces with curved edges
_SMALL = 20_000  # triangles; the field of a surface of fewer is drawn on parts of them
_MOST_EDGES = 6000  # beyond that, the lines of a mesh would cover the field
_VIEW = np.array([0.55, -0.75, 0.45])  # from the middle of a solid to the eye
_VISIBLE = 0.08  # displacement that is well seen, in parts of the mesh's size
_PROPORTIONS = (0.7, 6.0)  # least and most of a picture's width to its height


class Scene:
    """A deformed mesh with a scalar field on it.

    Attributes:
        flat: True for a mesh in the plane.
        factor: Factor on the displacements.
        triangles: Corners of the triangles of its surface, shape (triangles, 3, 3).
        values: Field on each triangle.
        limits: Least and largest value of the field in what is drawn.
        edges: Edges of the deformed mesh, shape (edges, 2, 3).
        outline: Rim of the deformed mesh and borders between its phases, in the same shape.
        before: Rim of the mesh as it was; nothing for a solid, which has none.
    """

    def __init__(self, panel: dict[str, Any]) -> None:
        """Read and deform the mesh; ends the process with a message where there is no such field.

        Args:
            panel: What to show: file, field and factor on displacements.
        """
        grid = pv.read(panel["file"])
        if panel["file"].endswith(".pvtu"):  # nodes that ranks share occur in each of their pieces
            grid = grid.clean(tolerance=1e-10)
        self.field = panel["field"]
        at_nodes = _of_nodes(grid)
        if self.field not in [*at_nodes, *grid.cell_data]:
            names = ", ".join([*grid.cell_data, *at_nodes])
            sys.exit(f"{panel['file']} has no field {self.field!r}, but {names}")
        if self.field in at_nodes:  # an unknown is more than the means of the same name over elements
            grid.point_data["drawn"] = without_round_off(self.field, at_nodes)
        else:
            grid.cell_data["drawn"] = without_round_off(self.field, grid.cell_data)
        self._undeformed = grid
        self.factor = self._choose_factor(panel["warp"])
        self.flat = bool(np.ptp(grid.points[:, 2]) == 0.0)
        deformed = grid.copy()
        deformed.points = grid.points + self.factor * self._displacement(grid)
        if not self.flat and "phase" in grid.cell_data:
            deformed = _without_corner(deformed, grid)
        part = _where_known(deformed)
        self.values, self.limits, self.triangles, self.outline = _coloured(_surface(part))
        before = _surface(grid)
        _, self.before = _triangles_and_outline(before, np.zeros(before.n_cells))
        edges = deformed.extract_all_edges()
        lines = (
            edges.lines.reshape(-1, 3)[:, 1:] if edges.n_cells <= _MOST_EDGES else np.zeros((0, 2), np.int64)
        )
        self.edges = np.asarray(edges.points)[lines]

    @property
    def screen(self) -> Array:
        """Directions to the right and upwards in the picture, shape (2, 3)."""
        if self.flat:
            return np.eye(3)[:2]
        eye = _VIEW / np.linalg.norm(_VIEW)
        right = np.cross([0.0, 0.0, 1.0], eye)
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(eye, right)])

    def box(self) -> tuple[Array, Array]:
        """Lower left and upper right corner of the picture, in units of length."""
        seen = np.concatenate([points.reshape(-1, 3) for points in (self.triangles, self.before, self.edges)])
        seen = seen @ self.screen.T
        middle, size = (seen.min(axis=0) + seen.max(axis=0)) / 2, np.ptp(seen, axis=0)
        size = size + 0.06 * size.max()
        least, most = _PROPORTIONS
        size = np.array([max(size[0], least * size[1]), max(size[1], size[0] / most)])
        return middle - size / 2, middle + size / 2

    def moved(self, place: list[float]) -> Array:
        """A point of the undeformed mesh in the deformed one."""
        probe = pv.PolyData(np.array([place], dtype=float)).sample(self._undeformed)
        point: Array = np.asarray(place) + self.factor * self._displacement(probe)[0]
        return point

    def _displacement(self, grid: Any) -> Array:
        vectors = [values for values in grid.point_data.values() if values.ndim == 2 and values.shape[1] == 3]
        return np.asarray(vectors[0]) if vectors else np.zeros((grid.n_points, 3))

    def _choose_factor(self, wanted: float | None) -> float:
        largest = float(np.linalg.norm(self._displacement(self._undeformed), axis=1).max())
        if wanted is not None or largest == 0.0:
            return wanted or 0.0
        ideal = _VISIBLE * self._undeformed.length / largest
        power = 10.0 ** math.floor(math.log10(ideal))
        return max(1.0, power * max((d for d in (1, 2, 5) if d * power <= ideal), default=1))


def _of_nodes(grid: Any) -> dict[str, Array]:
    """Scalars at the nodes by name: scalar unknowns, and components and lengths of vectors."""
    found: dict[str, Array] = {}
    for name, values in grid.point_data.items():
        if values.ndim == 1:
            found[name] = np.asarray(values)
        else:
            found[name] = np.linalg.norm(values, axis=1)
            found |= {f"{name}_{axis}": column for axis, column in zip("xyz", values.T, strict=False)}
    return found


def _where_known(grid: Any) -> Any:
    """The elements that have a value; all, where none has."""
    known = np.isfinite(grid.cell_data.get("drawn", np.zeros(grid.n_cells)))
    return grid.extract_cells(np.flatnonzero(known)) if 0 < np.count_nonzero(known) < grid.n_cells else grid


def _coloured(surface: Any) -> tuple[Array, tuple[float, float], Array, Array]:
    """Values on triangles, the limits of the field, the triangles and the outline."""
    triangles, outline = _triangles_and_outline(surface, _phases(surface))
    if "drawn" in surface.cell_data:
        values = np.asarray(surface.cell_data["drawn"])
        return values, (float(values.min()), float(values.max())), triangles, outline
    nodal = np.asarray(surface.point_data["drawn"])
    if len(triangles) < _SMALL:
        surface = surface.subdivide(2, "linear")
    corners = surface.faces.reshape(-1, 4)[:, 1:]
    values = np.asarray(surface.point_data["drawn"])[corners].mean(axis=1)
    return values, (float(nodal.min()), float(nodal.max())), np.asarray(surface.points)[corners], outline


def _surface(grid: Any) -> Any:
    """Triangles of the surface; curved faces become several."""
    surface = vtkDataSetSurfaceFilter()
    surface.SetInputData(grid)
    surface.SetNonlinearSubdivisionLevel(_SUBDIVISION)
    surface.Update()
    return pv.wrap(surface.GetOutput()).triangulate().clean(tolerance=1e-10)


def _without_corner(deformed: Any, grid: Any) -> Any:
    """A solid cell without the eighth that is nearest to the eye, which shows its inside."""
    centers = grid.cell_centers().points - np.asarray(grid.center)
    kept: Any = deformed.extract_cells(np.flatnonzero(np.any(centers * np.sign(_VIEW) < 0.0, axis=1)))
    return kept


def _phases(surface: Any) -> Array:
    return np.asarray(surface.cell_data.get("phase", np.zeros(surface.n_cells)))


def _triangles_and_outline(surface: Any, phases: Array) -> tuple[Array, Array]:
    """Corners of all triangles, and the edges at the rim or between phases, as coordinates."""
    corners = surface.faces.reshape(-1, 4)[:, 1:]
    pairs = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), axis=1)
    edges, which, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    lowest, highest = np.full(len(edges), np.inf), np.full(len(edges), -np.inf)
    np.minimum.at(lowest, which.reshape(-1), np.tile(phases, 3))
    np.maximum.at(highest, which.reshape(-1), np.tile(phases, 3))
    points = np.asarray(surface.points)
    return points[corners], points[edges[(counts == 1) | (lowest != highest)]]
