"""Draws a figure that :mod:`fe2.io.pictures` describes; run by path in a process of its own.

Two-dimensional meshes become patches of matplotlib, with axes and without any graphics library of
the system. Three-dimensional ones are rendered by VTK off screen and put into the figure as images.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyvista as pv
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from fe2.arrays import Array
from fe2.io.ticks import set_axis, ticks

# This process must not import the package fe2, which starts MPI; its own folder comes last, where
# the names in it hide nothing.
sys.path.append(str(Path(__file__).parent))

if TYPE_CHECKING:
    from fe2.io.render_scene import Scene
else:
    from render_scene import Scene


_HEIGHT = 900  # pixels of a rendered image

# Inches.
_PANEL_HEIGHT, _WIDEST, _CURVE_WIDTH = 2.9, 7.0, 3.6
_LEFT, _RIGHT, _BOTTOM, _TOP, _TITLE = 0.85, 0.2, 1.3, 0.55, 0.35
_BAR_BOTTOM, _BAR_HEIGHT = 0.55, 0.13
_TICK_WIDTH = 0.6

_LONGEST_LABEL = 40  # letters along the height of a curve


def colours(low: float, high: float) -> tuple[str, Normalize]:
    """Colour map and its range: diverging around zero where the field has both signs."""
    if low < 0.0 < high and min(-low, high) > 0.05 * max(-low, high):
        limit = max(-low, high)
        return "RdBu_r", Normalize(-limit, limit)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        margin = 0.01 * abs(high) or 1.0
        return "viridis", Normalize(low - margin, high + margin)
    return "viridis", Normalize(low, high)


def draw_scene(ax: Any, scene: Scene, marked: list[float] | None) -> ScalarMappable:
    """Draw a mesh with its field and the marked point; what a colour bar needs."""
    colour = ScalarMappable(*reversed(colours(*scene.limits)))
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
    names = [labels.get(name, name.replace("_", " ")) for name in panel["columns"]]
    set_axis(ax.xaxis, x, names[0])
    set_axis(ax.yaxis, y, fill(names[1], _LONGEST_LABEL))
    if panel.get("logarithmic"):
        ax.set(yscale="log", ylabel=names[1])
        ax.autoscale(axis="y")
    ax.grid(alpha=0.3)
    ax.set_title(labels.get("history", panel.get("title", "history")), fontsize=10)


def draw(description: dict[str, Any], picture: str) -> None:
    """Draw the panels side by side, all of the same height unless they are too wide."""
    labels, title = description["labels"], description["title"] or ""
    names = [name for name in ("macro", "local", "curve") if description[name]]
    scenes = {name: Scene(description[name]) for name in names if name != "curve"}
    texts = {name: _texts(scene, description[name], _own(labels, name)) for name, scene in scenes.items()}
    sizes = [_panel_size(scenes[name]) if name in scenes else (_CURVE_WIDTH, _PANEL_HEIGHT) for name in names]
    # a narrow body stands in the middle of its texts
    rooms = [
        max([size[0], *map(_text_width, texts.get(name, ()))])
        for name, size in zip(names, sizes, strict=True)
    ]
    width = max(sum(_LEFT + room + _RIGHT for room in rooms), 1.2 * _text_width(title) + 2 * _RIGHT)
    height = _BOTTOM + max(size[1] for size in sizes) + _TOP + (_TITLE if title else 0.0)
    figure, left = Figure(figsize=(width, height)), 0.0
    for name, size, room in zip(names, sizes, rooms, strict=True):
        panel, start = description[name], left + _LEFT + (room - size[0]) / 2
        left += _LEFT + room + _RIGHT
        ax = figure.add_axes((start / width, _BOTTOM / height, size[0] / width, size[1] / height))
        if name == "curve":
            draw_curve(ax, panel, labels)
            continue
        colour, own = draw_scene(ax, scenes[name], panel.get("marked")), _own(labels, name)
        ax.set(xlabel=own.get("x", "x"), ylabel=own.get("y", "y"))
        *heading, label = texts[name]
        ax.set_title("\n".join(heading), fontsize=10)
        bar = figure.add_axes((start / width, _BAR_BOTTOM / height, size[0] / width, _BAR_HEIGHT / height))
        _draw_bar(bar, colour, scenes[name], label)
    if title:
        figure.suptitle(title, y=1.0 - 0.12 / height, va="top")
    figure.savefig(picture, dpi=200)


def _draw_bar(bar: Any, colour: ScalarMappable, scene: Scene, label: str) -> None:
    """Draw a colour bar with as many numbers as it has room for, or the value of a constant."""
    found = ticks(np.array(scene.limits), max(1, int(_panel_size(scene)[0] / _TICK_WIDTH)))
    if found.constant is not None:
        bar.set_axis_off()
        bar.text(0.5, 0.0, label, ha="center", va="center")
        return
    bar.figure.colorbar(
        colour,
        cax=bar,
        orientation="horizontal",
        label=label,
        ticks=found.locator,
        format=found.formatter,
    )


def _texts(scene: Scene, panel: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """The lines over a panel, and the one under it."""
    found = ticks(np.array(scene.limits), 1)
    label = labels.get(scene.field, scene.field.replace("_", " "))
    label += found.suffix if found.constant is None else f": {found.constant:.6g} everywhere"
    factor = [f"displacements × {scene.factor:g}"] if scene.factor else []
    return [panel["title"], *factor, label]


def _text_width(text: str) -> float:
    """Inches of a text in a figure."""
    lines = [TextPath((0.0, 0.0), line, size=10) for line in text.splitlines() if line.strip()]
    return max((float(line.get_extents().width) for line in lines), default=0.0) / 72


def _own(labels: dict[str, str], name: str) -> dict[str, str]:
    return labels if name == "macro" else _local_labels(labels)


def _local_labels(labels: dict[str, str]) -> dict[str, str]:
    """Labels of the RVE's panel, where those that begin with "local " come first."""
    prefix = "local "
    return {
        **labels,
        **{key.removeprefix(prefix): text for key, text in labels.items() if key.startswith(prefix)},
    }


def _panel_size(scene: Scene) -> tuple[float, float]:
    """Inches, in the proportions of the mesh."""
    low, high = scene.box()
    ratio = float((high - low)[0] / (high - low)[1])
    width = min(_WIDEST, _PANEL_HEIGHT * ratio)
    return width, width / ratio


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as description:
        draw(json.load(description), sys.argv[2])
