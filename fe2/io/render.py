"""Draws a figure that :mod:`fe2.io.pictures` describes; run by path in a process of its own.

Two-dimensional meshes become patches of matplotlib, with axes and without any graphics library of
the system. Three-dimensional ones are rendered by VTK off screen and put into the figure as images.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pyvista as pv
from matplotlib import rcParams
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from vtkmodules.vtkFiltersGeometry import vtkDataSetSurfaceFilter

Array = npt.NDArray[np.float64]

_SUBDIVISION = 3  # of faces with curved edges
_MOST_EDGES = 6000  # beyond that, the lines of a mesh would cover the field
_HEIGHT = 900  # pixels of a rendered image
_VIEW = np.array([0.55, -0.75, 0.45])  # from the middle of a solid to the eye
_VISIBLE = 0.08  # displacement that is well seen, in parts of the mesh's size

# Inches.
_PANEL_HEIGHT, _WIDEST, _CURVE_WIDTH = 2.9, 7.0, 3.6
_LEFT, _RIGHT, _BOTTOM, _TOP, _TITLE = 0.8, 0.2, 1.3, 0.55, 0.35
_BAR_BOTTOM, _BAR_HEIGHT = 0.55, 0.13


class Scene:
    """A deformed mesh with a scalar field on it.

    Attributes:
        flat: True for a mesh in the plane.
        factor: Factor on the displacements.
        triangles: Corners of the triangles of its surface, shape (triangles, 3, 3).
        values: Field on each triangle.
        edges: Edges of the deformed mesh, shape (edges, 2, 3).
        outline: Rim of the deformed mesh and borders between its phases, in the same shape.
        before: Rim of the mesh as it was; nothing for a solid, which has none.
    """

    def __init__(self, panel: dict[str, Any]) -> None:
        """Read and deform the mesh; ends the process with a message where there is no such field.

        Args:
            panel: What to show: file, field and factor on displacements.
        """
        grid = pv.read(panel["file"]).clean(tolerance=1e-10)
        self.field = panel["field"]
        if self.field not in grid.cell_data:
            sys.exit(
                f"the cells of {panel['file']} have no field {self.field!r}, but {', '.join(grid.cell_data)}"
            )
        self._undeformed = grid
        self.factor = self._choose_factor(panel["warp"])
        self.flat = bool(np.ptp(grid.points[:, 2]) == 0.0)
        deformed = grid.copy()
        deformed.points = grid.points + self.factor * self._displacement(grid)
        if not self.flat and "phase" in grid.cell_data:
            deformed = _without_corner(deformed, grid)
        surface = _surface(deformed)
        self.values = np.asarray(surface.cell_data[self.field])
        self.triangles, self.outline = _triangles_and_outline(surface, _phases(surface))
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
        seen = np.concatenate([self.triangles.reshape(-1, 3), self.before.reshape(-1, 3)]) @ self.screen.T
        low, high = seen.min(axis=0), seen.max(axis=0)
        margin = 0.03 * float(np.max(high - low))
        return low - margin, high + margin

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


def colours(values: Array) -> tuple[str, Normalize]:
    """Colour map and its range: diverging around zero where the field has both signs."""
    low, high = float(values.min()), float(values.max())
    if low < 0.0 < high and min(-low, high) > 0.05 * max(-low, high):
        limit = max(-low, high)
        return "RdBu_r", Normalize(-limit, limit)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        margin = 0.01 * abs(high) or 1.0
        return "viridis", Normalize(low - margin, high + margin)
    return "viridis", Normalize(low, high)


def draw_scene(ax: Any, scene: Scene, marked: list[float] | None) -> ScalarMappable:
    """Draw a mesh with its field and the marked point; what a colour bar needs."""
    colour = ScalarMappable(*reversed(colours(scene.values)))
    (_draw_flat if scene.flat else _draw_solid)(ax, scene, colour)
    if marked is not None:
        x, y = scene.screen @ scene.moved(marked)
        style = {"marker": "o", "ms": 10, "mfc": "none"}
        ax.plot(x, y, **style, mec="white", mew=4)
        ax.plot(x, y, **style, mec="black", mew=1.8)
    low, high = scene.box()
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    return colour


def _draw_flat(ax: Any, scene: Scene, colour: ScalarMappable) -> None:
    faces = colour.to_rgba(scene.values)
    patches = PolyCollection(scene.triangles[:, :, :2], facecolors=faces, edgecolors=faces, linewidths=0.3)
    patches.set_rasterized(True)
    ax.add_collection(patches)
    ax.add_collection(LineCollection(scene.edges[:, :, :2], colors="black", linewidths=0.25, alpha=0.35))
    if scene.factor:
        ax.add_collection(LineCollection(scene.before[:, :, :2], colors="0.6", linewidths=0.8))
    ax.add_collection(LineCollection(scene.outline[:, :, :2], colors="black", linewidths=0.9))
    ax.set(xlabel="x", ylabel="y")


def _draw_solid(ax: Any, scene: Scene, colour: ScalarMappable) -> None:
    low, high = scene.box()
    extent = (low[0], high[0], low[1], high[1])
    ax.imshow(_image(scene, colour, (low + high) / 2, high - low), extent=extent, aspect="auto")
    ax.set_axis_off()
    _draw_triad(ax, scene.screen)


def _image(scene: Scene, colour: ScalarMappable, middle: Array, size: Array) -> npt.NDArray[np.uint8]:
    """The rendered solid in parallel projection; `middle` and `size` are those of the picture."""
    plotter = pv.Plotter(off_screen=True, window_size=(round(_HEIGHT * size[0] / size[1]), _HEIGHT))
    count = len(scene.triangles)
    faces = np.column_stack([np.full(count, 3), np.arange(3 * count).reshape(-1, 3)])
    body = pv.PolyData(scene.triangles.reshape(-1, 3), faces.reshape(-1))
    body.cell_data["colour"] = colour.to_rgba(scene.values)[:, :3]
    plotter.add_mesh(body, scalars="colour", rgb=True, ambient=0.7, diffuse=0.35)
    for lines, shade, width in ((scene.edges, "#404040", 1), (scene.outline, "black", 2)):
        if len(lines):
            plotter.add_mesh(
                pv.line_segments_from_points(lines.reshape(-1, 3)), color=shade, line_width=width
            )
    plotter.set_background("white")
    right, up = scene.screen
    focus = middle @ scene.screen
    distance = 10.0 * float(np.linalg.norm(np.ptp(scene.triangles.reshape(-1, 3), axis=0)))
    plotter.camera_position = [tuple(focus + distance * np.cross(right, up)), tuple(focus), tuple(up)]
    plotter.enable_parallel_projection()
    plotter.camera.parallel_scale = size[1] / 2
    plotter.reset_camera_clipping_range()
    image: npt.NDArray[np.uint8] = plotter.screenshot(return_img=True)
    plotter.close()
    return image


def _draw_triad(ax: Any, screen: Array) -> None:
    """Directions of the axes in the lower left corner."""
    for name, direction in zip("xyz", screen.T, strict=True):
        ax.annotate(
            name,
            xy=(0.06, 0.06),
            xytext=(0.06 + 0.09 * direction[0], 0.06 + 0.09 * direction[1]),
            xycoords="axes fraction",
            arrowprops={"arrowstyle": "<-", "shrinkA": 0, "shrinkB": 0},
        )


def draw_curve(ax: Any, panel: dict[str, Any], labels: dict[str, str]) -> None:
    """Draw two columns of the history, with the drawn step marked."""
    x, y, marked = np.array(panel["x"]), np.array(panel["y"]), np.array(panel["marked"], dtype=bool)
    ax.plot(x, y, "-o", color="tab:blue", markersize=3.5)
    ax.plot(x[marked], y[marked], "o", markersize=10, markerfacecolor="none", markeredgecolor="black")
    for name, write in zip(panel["columns"], (ax.set_xlabel, ax.set_ylabel), strict=True):
        write(labels.get(name, name.replace("_", " ")))
    ax.locator_params(nbins=6)
    ax.ticklabel_format(scilimits=(-3, 5))
    ax.grid(alpha=0.3)
    ax.margins(0.06)
    ax.set_title("history", fontsize=10)


def draw(description: dict[str, Any], picture: str) -> None:
    """Draw the panels side by side, all of the same height unless they are too wide."""
    rcParams["axes.formatter.use_mathtext"] = True
    labels = description["labels"]
    names = [name for name in ("macro", "local", "curve") if description[name]]
    scenes = {name: Scene(description[name]) for name in names if name != "curve"}
    sizes = [_panel_size(scenes[name]) if name in scenes else (_CURVE_WIDTH, _PANEL_HEIGHT) for name in names]
    width = sum(_LEFT + size[0] + _RIGHT for size in sizes)
    height = _BOTTOM + max(size[1] for size in sizes) + _TOP + (_TITLE if description["title"] else 0.0)
    figure, left = Figure(figsize=(width, height)), 0.0
    for name, size in zip(names, sizes, strict=True):
        panel, left = description[name], left + _LEFT
        ax = figure.add_axes((left / width, _BOTTOM / height, size[0] / width, size[1] / height))
        if name == "curve":
            draw_curve(ax, panel, labels)
        else:
            scene = scenes[name]
            colour = draw_scene(ax, scene, panel.get("marked"))
            bar = figure.add_axes((left / width, _BAR_BOTTOM / height, size[0] / width, _BAR_HEIGHT / height))
            label = labels.get(scene.field, scene.field.replace("_", " "))
            drawn = figure.colorbar(colour, cax=bar, orientation="horizontal", label=label)
            drawn.locator = MaxNLocator(5)
            drawn.formatter.set_powerlimits((-2, 5))
            factor = f"displacements × {scene.factor:g}" if scene.factor else ""
            ax.set_title("\n".join(filter(None, [panel["title"], factor])), fontsize=10)
        left += size[0] + _RIGHT
    if description["title"]:
        figure.suptitle(description["title"], y=1.0 - 0.12 / height, va="top")
    figure.savefig(picture, dpi=200)


def _panel_size(scene: Scene) -> tuple[float, float]:
    """Inches, in the proportions of the mesh."""
    low, high = scene.box()
    ratio = float((high - low)[0] / (high - low)[1])
    width = min(_WIDEST, _PANEL_HEIGHT * ratio)
    return width, width / ratio


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as description:
        draw(json.load(description), sys.argv[2])
