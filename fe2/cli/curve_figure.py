"""The frame of a figure with curves, the same for all commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fe2.errors import PictureError


@contextmanager
def curve_figure(file: Path) -> Iterator[Axes]:
    """Axes to draw into; the figure is written when the block is left.

    Args:
        file: Picture; its ending tells the format.

    Raises:
        PictureError: The picture could not be written.
    """
    figure = Figure(figsize=(5.0, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    yield axes
    try:
        figure.savefig(file, dpi=150)
    except (OSError, ValueError) as error:
        raise PictureError(f"{file} was not drawn: {error}") from error
