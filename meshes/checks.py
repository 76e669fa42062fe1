"""Refusal of parameters that no mesh can be made from, with name, value and what would be right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

MOST_ELEMENTS = 1e7
"""Elements of a cell, roughly, above which a size is taken for a slip."""


def require(condition: bool, name: str, value: object, expected: str) -> None:
    """Raise ValueError that names the parameter, its value and what is right, unless the condition holds."""
    if not condition:
        raise ValueError(f"{name} = {value!r}: {expected}")


def require_positive(**values: float) -> None:
    """Refuse values that are not positive finite numbers."""
    for name, value in values.items():
        require(0.0 < value < math.inf, name, value, "must be a positive number")


def require_fraction(fraction: float, bound: float, reason: str) -> None:
    """Refuse a volume fraction outside the open interval (0, bound)."""
    require(
        0.0 < fraction < bound, "fraction", fraction, f"must lie between 0 and {bound:.6g}, where {reason}"
    )


def require_count(name: str, value: int, least: int) -> None:
    """Refuse a number of things below the least that makes sense."""
    require(value >= least, name, value, f"must be an integer of at least {least}")


def checked_period(lengths: Sequence[float], dims: tuple[int, ...]) -> tuple[float, ...]:
    """Edge lengths of a cell as a tuple, refused unless positive and as many as one of `dims`."""
    expected = " or ".join(str(dim) for dim in dims) + " positive edge lengths"
    valid = len(lengths) in dims and all(0.0 < length < math.inf for length in lengths)
    require(valid, "lengths", tuple(lengths), f"must be {expected}")
    return tuple(float(length) for length in lengths)


def checked_size(size: float | None, period: Sequence[float], divisions: int = 12) -> float:
    """Target element size; by default the shortest period over `divisions`.

    Raises:
        ValueError: The size is not positive, leaves fewer than three elements in a period, too few to tell
            an element's neighbours on either side of the cell apart, or asks for more than MOST_ELEMENTS.
    """
    if size is None:
        return min(period) / divisions
    require_positive(size=size)
    limit = min(period) / 3.0
    require(
        size <= limit * (1.0 + 1e-12), "size", size, f"must be at most {limit:.6g}, a third of the period"
    )
    least = (math.prod(period) / MOST_ELEMENTS) ** (1.0 / len(period))
    require(size >= least, "size", size, f"must be at least {least:.3g}, or the mesh outgrows the memory")
    return float(size)


def checked_output(path: str | Path, order: int) -> Path:
    """Output path, refused unless it ends in `.msh`, its folder exists and the order is 1 or 2."""
    path = Path(path)
    require(path.suffix == ".msh", "path", str(path), "must end in .msh")
    require(path.parent.is_dir(), "path", str(path), "must lie in an existing folder")
    require(order in (1, 2), "order", order, "must be 1 or 2")
    return path
