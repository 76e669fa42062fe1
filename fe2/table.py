"""What all tables of a case file have in common, and kinds of values that several tables hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import AllowInfNan, BaseModel, ConfigDict, PlainValidator, Strict, WithJsonSchema


class Table(BaseModel):
    """A table of a case file: frozen, with no keys but its own and no conversion of types."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    advice: ClassVar[str] = ""
    """What is said of keys that the table does not have, behind the names of those that it has."""


def is_number(value: object) -> bool:
    """True for a finite number, which true and false are not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -1e308 < value < 1e308 and not math.isnan(value)


def _numbers(value: Any) -> Any:
    """A number, a list of numbers, or a matrix as a list of rows, all of one length."""
    if is_number(value):
        return float(value)
    if isinstance(value, list) and value and all(map(is_number, value)):
        return [float(entry) for entry in value]
    rows = isinstance(value, list) and value and all(isinstance(row, list) and row for row in value)
    if (
        rows
        and all(is_number(entry) for row in value for entry in row)
        and len({len(row) for row in value}) == 1
    ):
        return [[float(entry) for entry in row] for row in value]
    raise ValueError("a number, a list of numbers or a matrix, [[...], [...]], is needed")


def _lengths(value: Any) -> Any:
    entries = value if isinstance(value, list) else [value]
    if entries and all(is_number(entry) and entry > 0 for entry in entries):
        return value
    raise ValueError("one positive length is needed, or a list with one for each axis")


_NUMBER = {"type": "number"}
_LIST = {"type": "array", "items": _NUMBER}

Numbers = Annotated[
    Any,
    PlainValidator(_numbers),
    WithJsonSchema({"anyOf": [_NUMBER, _LIST, {"type": "array", "items": _LIST}]}),
]
"""A number, a list of numbers, or a matrix."""


def _number(value: Any) -> float:
    if is_number(value):
        return float(value)
    raise ValueError("a number is needed")


def _dependent(plain: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What `plain` takes, or a table of values at temperatures."""

    def check(value: Any) -> Any:
        if not isinstance(value, dict):
            return plain(value)
        columns = [value.get(name) for name in ("temperature", "value")]
        if len(value) == 2 and all(isinstance(c, list) and c and all(map(is_number, c)) for c in columns):
            return {name: [float(entry) for entry in column] for name, column in value.items()}
        raise ValueError("a table has two lists of numbers: { temperature = [...], value = [...] }")

    return check


_TABLE = {
    "type": "object",
    "properties": {"temperature": _LIST, "value": _LIST},
    "required": ["temperature", "value"],
    "additionalProperties": False,
}

Dependent = Annotated[Any, PlainValidator(_dependent(_number)), WithJsonSchema({"anyOf": [_NUMBER, _TABLE]})]
"""A number, or a table of values at temperatures."""

DependentTensor = Annotated[
    Any,
    PlainValidator(_dependent(_numbers)),
    WithJsonSchema({"anyOf": [_NUMBER, _LIST, {"type": "array", "items": _LIST}, _TABLE]}),
]
"""A number, a list of numbers, a matrix, or a table of values at temperatures."""

Lengths = Annotated[Any, PlainValidator(_lengths), WithJsonSchema({"anyOf": [_NUMBER, _LIST]})]
"""A positive length for all axes, or one for each."""

Unbounded = Annotated[float, AllowInfNan(True)]
"""A number that may be inf; what takes it refuses nan."""

Floats = Annotated[tuple[float, ...], Strict(False)]
"""A list of numbers."""

Integers = Annotated[tuple[int, ...], Strict(False)]
"""A list of whole numbers."""

Interval = Annotated[tuple[float, float], Strict(False)]
"""Lower and upper bound."""

IntegerInterval = Annotated[tuple[int, int], Strict(False)]
"""Lower and upper bound, whole numbers."""
