"""Functions of time in case files: a number, a table of times and values, or an expression in t."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from fe2.case.expressions import compiled, evaluate
from fe2.table import is_number


@dataclass(frozen=True)
class TimeFunction:
    """A function of time, and what it was made of.

    Attributes:
        source: A number, a list of [time, value] or an expression in t.
    """

    source: float | str | tuple[tuple[float, float], ...]

    def __call__(self, t: float) -> float:
        """Value at a time.

        Raises:
            ValueError: An expression has no finite value there.
        """
        if isinstance(self.source, str):
            return evaluate(self.source, ("t",), (t,))
        if isinstance(self.source, tuple):
            return _interpolated(self.source, t)
        return self.source


def time_function(given: Any) -> TimeFunction:
    """The function that a value in a file stands for.

    Raises:
        ValueError: It stands for none; the message says what would.
    """
    if isinstance(given, TimeFunction):
        return given
    if is_number(given):
        return TimeFunction(float(given))
    if isinstance(given, str):
        compiled(given, ("t",))
        return TimeFunction(given)
    if isinstance(given, list) and given and all(_is_pair(pair) for pair in given):
        points = tuple((float(time), float(entry)) for time, entry in given)
        if any(after[0] <= before[0] for before, after in itertools.pairwise(points)):
            raise ValueError("the times of a table, [[time, value], ...], must increase")
        return TimeFunction(points)
    raise ValueError("a number is needed, a table [[time, value], ...] or an expression in t in quotes")


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value))


def _interpolated(points: tuple[tuple[float, float], ...], t: float) -> float:
    """Piecewise linear, constant beyond the ends."""
    place = bisect_right([time for time, _ in points], t)
    if place in (0, len(points)):
        return points[min(place, len(points) - 1)][1]
    (t0, v0), (t1, v1) = points[place - 1], points[place]
    return v0 + (v1 - v0) * (t - t0) / (t1 - t0)


Function = Annotated[
    Any,
    PlainValidator(time_function),
    PlainSerializer(lambda function: function.source),
    WithJsonSchema(
        {
            "description": "A number, a table [[time, value], ...] or an expression in t.",
            "format": "function of time",
            "anyOf": [
                {"type": "number"},
                {"type": "string"},
                {
                    "type": "array",
                    "items": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
                },
            ],
        }
    ),
]
"""A function of time."""
