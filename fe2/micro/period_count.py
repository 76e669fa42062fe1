"""How many elements a period has at least."""

from __future__ import annotations

from fe2.errors import InputError

FEWEST = 3
"""Elements in a period below which neighbours across the period are not distinct."""


def check_count(axis: int, count: int) -> None:
    """Refuse fewer than three elements in a period.

    Args:
        axis: Axis along which they were counted.
        count: Smallest number of elements between opposite faces.

    Raises:
        InputError: There are fewer.
    """
    if count < FEWEST:
        raise InputError(
            f"{count} element{'s' * (count != 1)} in the period along {'xyz'[axis]}: at least {FEWEST} "
            "are needed, or an element would be its own neighbour across the period"
        )
