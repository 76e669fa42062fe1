"""Numbers along an axis of a picture: no offsets, powers of ten in the label, a constant by its value."""

from __future__ import annotations

from math import floor, log10
from typing import NamedTuple

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, Locator, MaxNLocator

from fe2.arrays import Array

_CONSTANT = 1e-9
_POWERS = range(-3, 6)  # that are written out


class Ticks(NamedTuple):
    """How values are written along an axis.

    Attributes:
        locator: Where numbers stand.
        formatter: How they are written.
        suffix: What the label needs behind it: the power of ten that all numbers are in.
        constant: The value where there is but one.
        limits: The range of the axis.
    """

    locator: Locator
    formatter: FuncFormatter
    suffix: str
    constant: float | None
    limits: tuple[float, float]


def ticks(values: Array, most: int) -> Ticks:
    """At most so many intervals, at whole numbers where all values are; what is not finite does not count."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    size = max(abs(low), abs(high))
    power = floor(log10(size)) if size else 0
    power = 0 if power in _POWERS else power
    formatter = FuncFormatter(lambda value, _: f"{value / 10.0**power:.9g}")
    suffix = f", in $10^{{{power}}}$" if power else ""
    if high - low <= _CONSTANT * size:
        value, margin = (low + high) / 2, 0.05 * size or 1.0
        return Ticks(FixedLocator([value]), formatter, suffix, value, (value - margin, value + margin))
    locator = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], integer=bool(np.all(known == np.round(known))))
    margin = 0.06 * (high - low)
    return Ticks(locator, formatter, suffix, None, (low - margin, high + margin))


def set_axis(axis: Axis, values: Array, label: str, most: int = 6) -> None:
    """Write numbers and label along an axis on which values are drawn."""
    found = ticks(values, most)
    axis.set_major_locator(found.locator)
    axis.set_major_formatter(found.formatter)
    axis.set_label_text(label + found.suffix)
    getattr(axis.axes, f"set_{axis.axis_name}lim")(found.limits)
