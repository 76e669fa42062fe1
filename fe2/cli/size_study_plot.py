"""The figure of a size study: values of all samples, and their variance with its fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fe2.errors import PictureError
from fe2.hierarchical.size_study import SizeStudy


def draw(study: SizeStudy, file: Path, unit: str, units: str) -> None:
    """Draw a size study.

    Args:
        study: What was found.
        file: Picture; its ending tells the format.
        unit: What a size is.
        units: Units of the property, in the words of the user.

    Raises:
        PictureError: The picture could not be written.
    """
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_values(left, study)
    left.set_xlabel(f"size of the cell, {unit}")
    left.set_ylabel(study.quantity + (f"  ({units})" if units else ""))
    _draw_variances(right, study)
    for axes in (left, right):
        axes.legend()
        axes.grid(alpha=0.3)
    if study.representative is False:
        figure.suptitle("the variance does not fall like 1/V: no representative volume exists", color="C3")
    try:
        figure.savefig(file, dpi=150)
    except (OSError, ValueError) as error:
        raise PictureError(f"{file} was not drawn: {error}") from error


def _draw_values(axes: Axes, study: SizeStudy) -> None:
    """Values of all samples against the size, with their means and deviations."""
    for size, values in zip(study.sizes, study.values, strict=True):
        axes.plot(np.full(len(values), size), values, "o", color="0.65", markersize=4)
    bars = np.sqrt(study.variances)
    axes.errorbar(
        study.sizes, study.means, yerr=bars, fmt="s-", color="C0", capsize=4, label="mean, ± deviation"
    )
    axes.set_xscale("log")
    axes.set_xticks(study.sizes, [f"{size:g}" for size in study.sizes])
    axes.minorticks_off()


def _draw_variances(axes: Axes, study: SizeStudy) -> None:
    """Variances against the volume, with the fitted power and the one of a representative volume."""
    axes.loglog(study.volumes, study.variances, "s", color="C0", label="variance")
    if study.exponent is not None:
        fit = study.factor * study.volumes**-study.exponent
        label = f"fit, $V^{{-{study.exponent:.2f} \\pm {study.error:.2f}}}$"
        axes.loglog(study.volumes, fit, "-", color="C0", label=label)
        like = study.variances[0] * study.volumes[0] / study.volumes
        axes.loglog(study.volumes, like, "--", color="0.5", label="like $1/V$")
    axes.set_xticks(study.volumes, [f"{volume:.4g}" for volume in study.volumes])
    axes.xaxis.minorticks_off()
    axes.set_xlabel("volume V")
    axes.set_ylabel("variance")
