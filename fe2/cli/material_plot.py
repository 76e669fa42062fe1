"""The picture of a material test: flux over gradient."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fe2.arrays import Array
from fe2.cli.curve_figure import curve_figure
from fe2.errors import InputError
from fe2.io.units import with_units
from fe2.physics.kinematics import Kinematics
from fe2.registry import suggestion


def draw(
    columns: dict[str, Array],
    kinematics: Kinematics,
    file: Path,
    axes: tuple[str | None, str | None],
    units: str,
) -> None:
    """Draw one column over another.

    Args:
        columns: The response.
        kinematics: Names of the components.
        file: Picture; its ending tells the format.
        axes: Columns along x and y; the flux component that varies most over its gradient by default.
        units: Units, for the caption.

    Raises:
        InputError: There is no such column.
        PictureError: The picture could not be written.
    """
    strongest = int(np.argmax([np.ptp(columns[name]) for name in kinematics.flux_names]))
    x = axes[0] or kinematics.gradient_names[strongest]
    y = axes[1] or kinematics.flux_names[strongest]
    for name in (x, y):
        if name not in columns:
            raise InputError(f"column {name!r}: {suggestion(name, list(columns))}")
    with curve_figure(file) as plane:
        plane.locator_params(axis="x", nbins=6)
        plane.ticklabel_format(scilimits=(-3, 5), useMathText=True)
        plane.plot(columns[x], columns[y], color="#1f4e79", marker=".", markersize=4, linewidth=1.2)
        plane.set_xlabel(x.replace("_", " "))
        plane.set_ylabel(with_units(y, units))
