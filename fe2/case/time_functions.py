"""Functions of time in case files: a number, a table of times and values, or an expression in t."""

from __future__ import annotations

import ast
import itertools
import math
import operator
import warnings
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from fe2.table import is_number

Evaluate = Callable[[float], float]

_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_MANY = 100

_FUNCTIONS: dict[str, Callable[..., float]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "abs": abs,
    "min": min,
    "max": max,
}
_ARGUMENTS: dict[str, tuple[int, int]] = {"log": (1, 2), "min": (2, _MANY), "max": (2, _MANY)}
"""Least and most arguments of functions that do not have one."""

_LONGEST = 200
_WORDS = f"numbers, t, pi, + - * / **, comparisons, a if b else c, and {', '.join(_FUNCTIONS)}"


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
            return _value(self.source, t)
        if isinstance(self.source, tuple):
            return _interpolated(self.source, t)
        return self.source


def time_function(value: Any) -> TimeFunction:
    """The function that a value in a file stands for.

    Raises:
        ValueError: It stands for none; the message says what would.
    """
    if isinstance(value, TimeFunction):
        return value
    if is_number(value):
        return TimeFunction(float(value))
    if isinstance(value, str):
        _compiled(value)
        return TimeFunction(value)
    if isinstance(value, list) and value and all(_is_pair(pair) for pair in value):
        points = tuple((float(time), float(entry)) for time, entry in value)
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


def _value(text: str, t: float) -> float:
    try:
        value = _compiled(text)(t)
    except (ArithmeticError, ValueError, RecursionError) as error:
        raise ValueError(f"{text!r} has no value at t = {t:g}: {error}") from error
    if not is_number(value):
        raise ValueError(f"{text!r} has no finite value at t = {t:g}")
    return float(value)


@cache
def _compiled(text: str) -> Evaluate:
    """The expression as nested functions; only what is listed can be said, so nothing else can happen."""
    if len(text) > _LONGEST:
        raise ValueError(f"an expression has at most {_LONGEST} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # what is odd is refused below
            tree = ast.parse(text.strip(), mode="eval").body
        return _node(tree)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(
            "the expression in t is not written correctly; " + f"it may hold {_WORDS}"
        ) from error


def _node(node: ast.expr) -> Evaluate:
    match node:
        case ast.Constant(value=value) if is_number(value):
            number = float(value)  # type: ignore[arg-type]  # whole numbers could grow without bound
            return lambda t: number
        case ast.Name(id="t"):
            return lambda t: t
        case ast.Name(id="pi"):
            return lambda t: math.pi
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _applied(_OPERATORS[type(op)], [left, right])
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _applied(_OPERATORS[type(op)], [operand])
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
            return _applied(_OPERATORS[type(op)], [left, right])
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            least, most = _ARGUMENTS.get(name, (1, 1))
            if not least <= len(args) <= most:
                more = " or more" if most > least else ""
                raise ValueError(f"{name} takes {least}{more} arguments, not {len(args)}")
            return _applied(_FUNCTIONS[name], args)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            condition, first, second = _node(test), _node(body), _node(orelse)
            return lambda t: first(t) if condition(t) else second(t)
    raise ValueError(f"{ast.unparse(node)!r} cannot stand in an expression; it may hold {_WORDS}")


def _applied(function: Callable[..., float], arguments: list[ast.expr]) -> Evaluate:
    evaluated = [_node(argument) for argument in arguments]

    def apply(t: float) -> float:
        value = function(*(argument(t) for argument in evaluated))
        if isinstance(value, complex):
            raise ValueError("a root of a negative number")
        return value

    return apply


Function = Annotated[
    Any,
    PlainValidator(time_function),
    PlainSerializer(lambda function: function.source),
    WithJsonSchema(
        {
            "description": "A number, a table [[time, value], ...] or an expression in t.",
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
