"""Formulas in case files: what is listed here can be said, and nothing else, so nothing else can happen."""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Sequence
from functools import cache

from fe2.table import is_number

Evaluate = Callable[[Sequence[float]], float]

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
    "atan2": math.atan2,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "abs": abs,
    "min": min,
    "max": max,
}
_ARGUMENTS: dict[str, tuple[int, int]] = {
    "atan2": (2, 2),
    "log": (1, 2),
    "min": (2, _MANY),
    "max": (2, _MANY),
}
"""Least and most arguments of functions that do not have one."""

_LONGEST = 200

Names = tuple[str, ...]


def evaluate(text: str, names: Names, values: Sequence[float]) -> float:
    """Value of an expression.

    Args:
        text: The expression.
        names: Names of its variables.
        values: Their values.

    Raises:
        ValueError: The expression is none, or has no finite value there.
    """
    try:
        found = compiled(text, names)(values)
    except (ArithmeticError, ValueError, RecursionError) as error:
        raise ValueError(f"{text!r} has no value at {_at(names, values)}: {error}") from error
    if not is_number(found):
        raise ValueError(f"{text!r} has no finite value at {_at(names, values)}")
    return float(found)


def _at(names: Names, values: Sequence[float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in zip(names, values, strict=True))


@cache
def compiled(text: str, names: Names) -> Evaluate:
    """An expression as nested functions of the values of its variables.

    Raises:
        ValueError: Something else stands in it; the message says what may.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"an expression has at most {_LONGEST} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # what is odd is refused below
            tree = ast.parse(text.strip(), mode="eval").body
        return _node(tree, names)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"the expression in {', '.join(names)} is not written correctly; it may hold {_words(names)}"
        ) from error


def _words(names: Names) -> str:
    known = ", ".join(_FUNCTIONS)
    return f"numbers, {', '.join(names)}, pi, + - * / **, comparisons, a if b else c, and {known}"


def _node(node: ast.expr, names: Names) -> Evaluate:
    match node:
        case ast.Constant(value=value) if is_number(value):
            number = float(value)  # type: ignore[arg-type]  # whole numbers could grow without bound
            return lambda values: number
        case ast.Name(id=name) if name in names:
            return operator.itemgetter(names.index(name))
        case ast.Name(id="pi"):
            return lambda values: math.pi
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _applied(_OPERATORS[type(op)], [left, right], names)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _applied(_OPERATORS[type(op)], [operand], names)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
            return _applied(_OPERATORS[type(op)], [left, right], names)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            least, most = _ARGUMENTS.get(name, (1, 1))
            if not least <= len(args) <= most:
                more = " or more" if most > least else ""
                raise ValueError(f"{name} takes {least}{more} arguments, not {len(args)}")
            return _applied(_FUNCTIONS[name], args, names)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            condition, first, second = (_node(part, names) for part in (test, body, orelse))
            return lambda values: first(values) if condition(values) else second(values)
    raise ValueError(f"{ast.unparse(node)!r} cannot stand in an expression; it may hold {_words(names)}")


def _applied(function: Callable[..., float], arguments: list[ast.expr], names: Names) -> Evaluate:
    evaluated = [_node(argument, names) for argument in arguments]

    def apply(values: Sequence[float]) -> float:
        found = function(*(argument(values) for argument in evaluated))
        if isinstance(found, complex):
            raise ValueError("a root of a negative number")
        return found

    return apply
