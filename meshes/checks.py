"""Refusal of parameters that no mesh can be made from, with name, value and what would be right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

MOST_ELEMENTS = 1e7
"""Elements of a cell, roughly, above which a size is taken for a slip."""

Condition = tuple[bool, str, object, str]
"""Whether a parameter is right, its name, its value and what would be right."""


def require_all(*conditions: Condition) -> None:
    """Raise ValueError with a line for each condition that does not hold."""
    wrong = [f"{name} = {value!r}: {expected}" for holds, name, value, expected in conditions if not holds]
    if wrong:
        raise ValueError("\n".join(wrong))


def require(holds: bool, name: str, value: object, expected: str) -> None:
    """Raise ValueError that names the parameter, its value and what is right, unless the condition holds."""
    require_all((holds, name, value, expected))


def positive(**values: float | None) -> list[Condition]:
    """Each value that is given is a positive finite number."""
    return [
        (0.0 < value < math.inf, name, value, "must be a positive number")
        for name, value in values.items()
        if value is not None
    ]


def at_least(least: int, **values: int) -> list[Condition]:
    """Each value is an integer of at least `least`."""
    expected = f"must be an integer of at least {least}"
    return [(value >= least, name, value, expected) for name, value in values.items()]


def between(name: str, value: float, bound: float, reason: str) -> Condition:
    """A fraction lies in the open interval (0, bound)."""
    return (0.0 < value < bound, name, value, f"must lie between 0 and {bound:.6g}, where {reason}")


def one_of(name: str, value: object, choices: Sequence[object]) -> Condition:
    """A value is one of a few."""
    return (value in choices, name, value, "must be " + " or ".join(map(repr, choices)))


def edge_lengths(lengths: Sequence[float], dims: tuple[int, ...]) -> Condition:
    """Edge lengths of a cell are positive and as many as one of `dims`."""
    expected = " or ".join(str(dim) for dim in dims) + " positive edge lengths"
    right = len(lengths) in dims and all(0.0 < length < math.inf for length in lengths)
    return (right, "lengths", tuple(lengths), f"must be {expected}")


def checked_size(size: float | None, period: Sequence[float], default: float) -> float:
    """Target element size, by default `default`, coarser where a cell would have too many elements.

    Raises:
        ValueError: The size leaves fewer than three elements in a period, too few to tell an element's
            neighbours on either side of the cell apart, or asks for more than MOST_ELEMENTS.
    """
    limit = min(period) / 3.0
    least = (math.prod(period) / MOST_ELEMENTS) ** (1.0 / len(period))
    slender = f"leaves no size between {least:.3g}, where the mesh outgrows the memory, and {limit:.6g}, "
    require(least <= limit, "lengths", tuple(period), slender + "a third of the shortest edge")
    if size is None:
        return min(max(default, 3.0 * least), limit)
    require_all(
        (size <= limit * (1.0 + 1e-12), "size", size, f"must be at most {limit:.6g}, a third of the period"),
        (size >= least, "size", size, f"must be at least {least:.3g}, or the mesh outgrows the memory"),
    )
    return float(size)


def checked_output(path: str | Path) -> Path:
    """Output path, refused unless it ends in `.msh` and its folder exists."""
    path = Path(path)
    require_all(
        (path.suffix == ".msh", "path", str(path), "must end in .msh"),
        (path.parent.is_dir(), "path", str(path), "must lie in an existing folder"),
    )
    return path
