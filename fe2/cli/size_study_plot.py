"""The figure of a size study: values of all samples, and their variance with its fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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
    for size, values in zip(study.sizes, study.values, strict=True):
        left.plot(np.full(len(values), size), values, "o", color="0.65", markersize=4)
    bars = np.sqrt(study.variances)
    left.errorbar(
        study.sizes, study.means, yerr=bars, fmt="s-", color="C0", capsize=4, label="mean, ± deviation"
    )
    left.set_xscale("log")
    left.set_xticks(study.sizes, [f"{size:g}" for size in study.sizes])
    left.minorticks_off()
    left.set_xlabel(f"size of the cell, {unit}")
    left.set_ylabel(study.quantity + (f"  ({units})" if units else ""))
    left.legend()
    right.loglog(study.volumes, study.variances, "s", color="C0", label="variance")
    if study.exponent is not None:
        fit = study.factor * study.volumes**-study.exponent
        right.loglog(
            study.volumes,
            fit,
            "-",
            color="C0",
            label=f"fit, $V^{{-{study.exponent:.2f} \\pm {study.error:.2f}}}$",
        )
        like = study.variances[0] * study.volumes[0] / study.volumes
        right.loglog(study.volumes, like, "--", color="0.5", label="like $1/V$")
    right.set_xticks(study.volumes, [f"{volume:.4g}" for volume in study.volumes])
    right.xaxis.minorticks_off()
    right.set_xlabel("volume V")
    right.set_ylabel("variance")
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    if study.representative is False:
        figure.suptitle("the variance does not fall like 1/V: no representative volume exists", color="C3")
    try:
        figure.savefig(file, dpi=150)
    except (OSError, ValueError) as error:
        raise PictureError(f"{file} was not drawn: {error}") from error
