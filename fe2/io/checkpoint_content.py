"""What stands in the index of a checkpoint beside its tables, and the check that it does."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypedDict

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config

FORMAT = 4

type Numbers = float | list[Numbers]
"""A number, or an array as JSON has it."""

Count = Annotated[int, Field(ge=0, lt=2**53)]

_STRICT = ConfigDict(strict=True, extra="forbid")


@with_config(_STRICT)
class Control(TypedDict):
    """Where the run stands in its plan, see :meth:`fe2.stepping.StepControl.position`."""

    times: Annotated[list[float], Field(min_length=1)]
    done: Annotated[float, Field(ge=0.0, lt=1.0)]
    part: Annotated[float, Field(gt=0.0, le=1.0)]
    length: Annotated[float, Field(ge=0.0)]
    taken: Annotated[float, Field(ge=0.0)]
    rejected: Count


@with_config(_STRICT)
class Record(TypedDict):
    """A record, see :class:`fe2.records.StepRecord`."""

    step: Count
    time: float
    loads: dict[str, Numbers]
    reactions: dict[str, Numbers]
    iterations: Count
    residuals: list[float]
    micro_solves: Count
    micro_iterations: Count
    micro_seconds: float
    rejected: Count
    seconds: float
    dt: float
    error: float | None
    balances: dict[str, float]


@with_config(_STRICT)
class Position(TypedDict):
    """Where the run stands."""

    control: Control
    records: list[Record]
    seconds: float
    models: dict[str, float]


@with_config(_STRICT)
class Content(TypedDict):
    """All of it.

    Attributes:
        format: Number of this form of files.
        number: Number of the checkpoint, which names the folder of its parts.
        identity: What the run is.
        position: Where it stands.
        constants: Values of the constants that it remembers.
        seals: Seals of the parts.
    """

    format: int
    number: Annotated[int, Field(ge=1, lt=10**6)]
    identity: dict[str, Any]
    position: Position
    constants: dict[str, Numbers]
    seals: list[str]


_CONTENT = TypeAdapter(Content)


def read_content(text: bytes) -> Content:
    """The content of an index.

    Raises:
        ValueError: It is of another version of fe2, or not what a run writes.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise ValueError(f"it has the format {found!r} and not {FORMAT}: it is of another version of fe2")
    try:
        found = _CONTENT.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}, not {str(first['input'])[:80]}") from error
    _check_agreement(found["position"])
    for value in found["constants"].values():
        shape_of(value)
    return found


def _check_agreement(position: Position) -> None:
    """See whether the records lead to where the run stands."""
    control, records = position["control"], position["records"]
    times = [record["time"] for record in records]
    if control["done"] and len(control["times"]) < 2:
        raise ValueError("a step is done in part, and no planned time tells which")
    if any(late <= early for early, late in zip([control["times"][0], *times], times, strict=False)):
        raise ValueError("the times of its steps do not increase")
    if not control["done"] and control["times"][-1] != (times or control["times"])[-1]:
        raise ValueError("its last step did not end where the run stands")
    if len({_form(record) for record in records}) > 1:
        raise ValueError("its steps record different loads or reactions")


def _form(record: Record) -> tuple[Any, ...]:
    return tuple(
        (name, tuple(sorted((key, shape_of(value)) for key, value in record[name].items())))
        for name in ("loads", "reactions")
    )


def shape_of(numbers: Numbers) -> tuple[int, ...]:
    """Shape of an array.

    Raises:
        ValueError: Its rows are not of one length.
    """
    if not isinstance(numbers, list):
        return ()
    shapes = {shape_of(entry) for entry in numbers}
    if len(shapes) > 1:
        raise ValueError("an array has rows of different lengths")
    return (len(numbers), *next(iter(shapes), ()))
