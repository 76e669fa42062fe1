r"""Properties of a material that depend on the temperature: tables, or formulas of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

import fe2.lazy_ufl as ufl
from fe2.errors import InputError
from fe2.physics.checks import POSITIVE, Admissible, checked

if TYPE_CHECKING:
    from ufl.core.expr import Expr

type Property = float | Mapping[str, Any] | Callable[[Any], Any]
"""A number, a table `{"temperature": [...], "value": [...]}`, or a formula of the temperature."""


@dataclass(frozen=True)
class TemperatureTable:
    """A property by a table: linear between its temperatures, constant beyond them.

    Attributes:
        temperatures: Absolute temperatures, increasing, two at least.
        values: The property at each.
    """

    temperatures: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, temperature: Expr) -> Expr:
        """The property, a UFL scalar."""
        return self.values[0] + self._kinks(lambda t: ufl.max_value(temperature - t, 0.0))

    def primitive(self, temperature: Expr) -> Expr:
        """An integral of the property over the temperature, a UFL scalar."""
        squares = self._kinks(lambda t: 0.5 * ufl.max_value(temperature - t, 0.0) ** 2)
        return self.values[0] * temperature + squares

    def _kinks(self, term: Callable[[float], Expr]) -> Expr:
        """Sum over the temperatures of the change of the slope there, times a term."""
        points = pairwise(zip(self.temperatures, self.values, strict=True))
        slopes = [0.0, *((v - u) / (t - s) for (s, u), (t, v) in points), 0.0]
        changes = [after - before for before, after in pairwise(slopes)]
        terms = [c * term(t) for c, t in zip(changes, self.temperatures, strict=True) if c]
        return sum(terms, ufl.as_ufl(0.0))


def checked_property(owner: str, name: str, value: object, admissible: Admissible) -> Any:
    """A property as a float, a table or the function that was given.

    Args:
        owner: Name of the law, for the message.
        name: Name of the property.
        value: What was given.
        admissible: What its numbers have to be.

    Raises:
        InputError: A number is not admissible, or a table has other keys, too few or no rising temperatures.
    """
    if callable(value):
        return value
    if not isinstance(value, Mapping):
        return checked(owner, name, value, admissible)
    if set(value) != {"temperature", "value"} or not all(isinstance(v, list | tuple) for v in value.values()):
        raise InputError(
            f"{owner}: {name} holds {', '.join(map(str, value))}; a table has the lists temperature and value"
        )
    temperatures, values = value["temperature"], value["value"]
    if len(temperatures) != len(values) or len(values) < 2:
        raise InputError(
            f"{owner}: {name} has {len(temperatures)} temperatures and {len(values)} values; there must be "
            "as many, and two at least"
        )
    at = tuple(checked(owner, f"{name}.temperature", entry, POSITIVE) for entry in temperatures)
    if any(late <= early for early, late in pairwise(at)):
        raise InputError(f"{owner}: {name} has temperatures {list(at)}; they must increase")
    return TemperatureTable(at, tuple(checked(owner, f"{name}.value", entry, admissible) for entry in values))


def integral(value: Any, start: Expr, end: Expr) -> Expr:
    r"""Integral :math:`\int_{T_0}^T c\,\mathrm{d}T'` of a property, a UFL scalar.

    Of numbers and tables it is exact; a function is taken at the eight points of Gauss, which is exact for
    polynomials up to the degree 15.

    Args:
        value: A number or a UFL constant, a table, or a function.
        start: T₀.
        end: T.
    """
    if isinstance(value, TemperatureTable):
        return value.primitive(end) - value.primitive(start)
    if not callable(value) or hasattr(value, "ufl_shape"):
        return value * (end - start)
    points, weights = np.polynomial.legendre.leggauss(8)
    terms = [
        0.5 * float(w) * value(start + 0.5 * (1.0 + float(x)) * (end - start))
        for x, w in zip(points, weights, strict=True)
    ]
    return sum(terms[1:], terms[0]) * (end - start)


def at(value: Any, temperature: Expr) -> Any:
    """A property at a temperature: a number stays what it is."""
    return value(temperature) if callable(value) and not hasattr(value, "ufl_shape") else value
