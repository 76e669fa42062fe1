"""Checks of a run file that concern several keys."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from fe2.case.fields import Field, field_of
from fe2.case.problems import Key, Problems
from fe2.case.run_tables import (
    BodyTable,
    BoundaryTable,
    BoxMesh,
    ExchangeTable,
    OutputTable,
    RunFile,
    StepsTable,
)
from fe2.case.time_functions import TimeFunction
from fe2.physics.physics_table import Physics
from fe2.registry import suggestion
from fe2.stepping import least_part


class StoringLaw(Protocol):
    """What is asked of a law."""

    @property
    def physics(self) -> Physics:
        """Its physics."""

    @property
    def storage(self) -> float:
        """What a unit of volume stores where the unknown rises by one."""

    def stores(self, meaning: str) -> bool:
        """Whether cells store anything of an unknown of the physics."""


def check_run(
    tables: RunFile, fields: Sequence[Field], laws: Mapping[str, StoringLaw], problems: Problems
) -> None:
    """Check what models of single tables do not know; `problems` receives what is wrong."""
    _check_steps(tables.steps, problems)
    times = [] if problems.touches("steps") else planned_times(tables.steps)
    held: set[str] = set()
    for number, boundary in enumerate(tables.boundary):
        key: Key = ("boundary", number)
        field = field_of(boundary, fields, problems, key)
        _check_boundary(boundary, field, problems, key, times)
        if field is not None and any(
            (boundary.fixed, boundary.prescribed, boundary.exchange, boundary.spring)
        ):
            held.add(field.name)
    for number, body in enumerate(tables.body):
        key = ("body", number)
        field = field_of(body, fields, problems, key)
        if all(part is None for part in (body.load, body.exchange, body.spring)):
            problems.add(key, "one of load, exchange and spring is needed")
        _check_values(body.load, field, problems, (*key, "load"), times)
        _check_exchange(body.exchange, field, problems, (*key, "exchange"), times)
        _check_spring(body, field, problems, key)
        if field is not None and (body.exchange or body.spring):
            held.add(field.name)
    _check_held(fields, held, laws, problems)
    _check_scalar(tables, fields, laws, problems)
    _check_initial(tables, fields, laws, problems)
    _check_output(tables.output, boundary_names(tables), problems)


def is_stored(field: Field, laws: Mapping[str, StoringLaw]) -> bool:
    """Whether anything is stored of an unknown."""
    return any(law.stores(field.meaning) or _is_beside(field, law) for law in laws.values())


def _is_beside(field: Field, law: StoringLaw) -> bool:
    """Whether a law stores something of an unknown beside what its cells do."""
    return bool(law.storage) and not field.vector and field.meaning in law.physics.unknowns


def _check_held(
    fields: Sequence[Field], held: Collection[str], laws: Mapping[str, StoringLaw], problems: Problems
) -> None:
    """Every unknown is determined: by conditions, or by what is stored of it."""
    if any(map(problems.touches, ("laws", "boundary", "body", "fields"))):
        return
    for field in fields:
        if field.name not in held and not is_stored(field, laws):
            what = "the body" if len(fields) == 1 else f"the unknown {field.name}"
            text = f"something has to hold {what}: a boundary with fixed or prescribed"
            problems.add(("boundary",), text)


def _check_scalar(
    tables: RunFile, fields: Sequence[Field], laws: Mapping[str, StoringLaw], problems: Problems
) -> None:
    """What only a scalar unknown has."""
    text = f"the {fields[0].name} is a vector; this is for a scalar unknown"
    for name, law in laws.items():
        count = list(law.physics.unknowns.values()).count("scalar")
        if law.storage and count != 1:
            several = "there are several scalar unknowns, of which it cannot be told which one this is for"
            problems.add(("laws", name, "storage"), several if count else text, law.storage)
    if all(field.vector for field in fields):
        if tables.field.initial is not None:
            problems.add(("field", "initial"), text, tables.field.initial)
        if tables.output.balance:
            problems.add(("output", "balance"), text, True)


def _check_initial(
    tables: RunFile, fields: Sequence[Field], laws: Mapping[str, StoringLaw], problems: Problems
) -> None:
    """Every unknown of which something is stored starts where the file says, or as its virgin cells."""
    names = [entry.name for entry in tables.fields]
    for field in fields if not problems.touches("laws") else ():
        virgin = {law.physics.values[field.meaning] for law in laws.values() if law.stores(field.meaning)}
        if field.initial is not None or len(virgin) == 1 or not is_stored(field, laws):
            continue
        key: Key = ("field", "initial") if len(fields) == 1 else ("fields",)
        key = ("fields", names.index(field.name), "initial") if field.name in names else key
        cells = f"virgin cells have {' and '.join(map(str, sorted(virgin)))}" if virgin else "no cell has one"
        problems.add(
            key, f"is missing: what the {field.name} begins with, of which something is stored; {cells}"
        )


def _check_exchange(
    exchange: ExchangeTable | None,
    field: Field | None,
    problems: Problems,
    key: Key,
    times: Sequence[float],
) -> None:
    if exchange is None or field is None:
        return
    if field.vector:
        problems.add(key, f"the {field.name} is a vector; this is for a scalar unknown")
        return
    _check_values(exchange.ambient, field, problems, (*key, "ambient"), times)


def _check_spring(
    table: BoundaryTable | BodyTable, field: Field | None, problems: Problems, key: Key
) -> None:
    if table.spring is not None and field is not None and not field.vector:
        text = f"the {field.name} is a scalar, which has exchange; this is for a vector"
        problems.add((*key, "spring"), text, table.spring)


def planned_times(steps: StepsTable) -> list[float]:
    """Times of the start and of the ends of all increments."""
    if steps.times is not None:
        return list(steps.times)
    end = steps.end if steps.end is not None else steps.start
    times: list[float] = np.linspace(steps.start, end, (steps.increments or 1) + 1).tolist()
    return times


def boundary_names(tables: RunFile) -> list[str]:
    """Name of each boundary in the results: its own, or that of its part and of the field that it names."""
    return [
        boundary.name
        or (boundary.on if isinstance(boundary.on, str) else f"boundary_{number}")
        + (f"_{boundary.field}" if boundary.field else "")
        for number, boundary in enumerate(tables.boundary)
    ]


def check_box(mesh: BoxMesh, problems: Problems) -> None:
    """Check that ends, numbers of elements and shape fit together."""
    dim = len(mesh.box)
    for axis, (low, high) in enumerate(mesh.box):
        if not low < high:
            problems.add(("mesh", "box", axis), "the lower end has to come first", [low, high])
    if len(mesh.cells) != dim:
        problems.add(("mesh", "cells"), f"{dim} numbers are needed, as the box has {dim} axes", mesh.cells)
    for axis, count in enumerate(mesh.cells):
        if not 0 < count <= 100_000:
            problems.add(("mesh", "cells", axis), "a positive number of elements is needed", count)
    fitting = ("triangle", "quadrilateral") if dim == 2 else ("tetrahedron", "hexahedron")
    if mesh.element is not None and mesh.element not in fitting:
        text = f"in {dim} dimensions it is {fitting[0]} or {fitting[1]}"
        problems.add(("mesh", "element"), text, mesh.element)


def _check_steps(steps: StepsTable, problems: Problems) -> None:
    least = least_part(steps.smallest, steps.tolerance)
    if steps.largest < 1.0 and steps.tolerance is None:
        problems.add(("steps", "largest"), "is of use with a tolerance only", steps.largest)
    elif steps.largest < least:
        problems.add(("steps", "largest"), f"has to be at least the smallest, {least:g}", steps.largest)
    if steps.times is None:
        if steps.end is None:
            problems.add(("steps", "end"), "is missing, and so is times: one of them is needed")
        elif not steps.end > steps.start:
            problems.add(("steps", "end"), f"it has to come after the start, {steps.start:g}", steps.end)
        return
    for name in ("start", "end", "increments"):
        if name in steps.model_fields_set:
            problems.add(("steps", name), "cannot stand beside times", getattr(steps, name))
    if any(after <= before for before, after in itertools.pairwise(steps.times)):
        problems.add(("steps", "times"), "times have to increase", steps.times)


def _check_boundary(
    boundary: BoundaryTable, field: Field | None, problems: Problems, key: Key, times: Sequence[float]
) -> None:
    if (boundary.on is None) == (boundary.at is None):
        problems.add(key, "one of on (a part of the boundary) and at (coordinates of a node) is needed")
    given = (boundary.fixed, boundary.prescribed, boundary.load, boundary.exchange, boundary.spring)
    if all(part is None for part in given):
        problems.add(key, "one of fixed, prescribed, load, exchange and spring is needed")
    for name in ("load", "exchange", "spring"):
        if boundary.at is not None and getattr(boundary, name) is not None:
            problems.add((*key, name), "it acts on a part of the boundary, not at a point")
    _check_exchange(boundary.exchange, field, problems, (*key, "exchange"), times)
    _check_spring(boundary, field, problems, key)
    for name in ("prescribed", "load"):
        _check_values(getattr(boundary, name), field, problems, (*key, name), times)
    if field is None:
        return
    if isinstance(boundary.fixed, tuple) and not field.vector:
        problems.add((*key, "fixed"), f"the {field.name} is a scalar: true is needed", boundary.fixed)
    fixed, prescribed = constrained(boundary, field.vector, 3)
    for axis in sorted(fixed & prescribed.keys()):
        name = "xyz"[axis]
        problems.add((*key, "prescribed"), f"component {name} is fixed as well; it can only be one of both")


def constrained(boundary: BoundaryTable, vector: bool, dim: int) -> tuple[set[int], dict[int, TimeFunction]]:
    """Numbers of the components that are fixed, and functions of those that are prescribed."""
    prescribed = components(boundary.prescribed) if boundary.prescribed is not None else {}
    if boundary.fixed is None:
        return set(), prescribed
    if boundary.fixed is True:
        return set(range(dim if vector else 1)), prescribed
    return {"xyz".index(name) for name in boundary.fixed}, prescribed


def components(values: Mapping[Any, TimeFunction] | TimeFunction) -> dict[int, TimeFunction]:
    """Functions by the number of their component."""
    if isinstance(values, Mapping):
        return {"xyz".index(name): function for name, function in values.items()}
    return {0: values}


def _check_values(
    values: Any, field: Field | None, problems: Problems, key: Key, times: Sequence[float]
) -> None:
    if values is None:
        return
    if field is not None and isinstance(values, Mapping) != field.vector:
        kind = 'vector: components by name are needed, { x = "0.1 * t" }' if field.vector else "scalar"
        problems.add(key, f"the {field.name} is a {kind}")
        return
    functions = values if isinstance(values, Mapping) else {"": values}
    for name, function in functions.items():
        for time in times:
            try:
                function(time)
            except ValueError as error:
                problems.add((*key, name) if name else key, str(error), function.source)
                break


def _names_are_known(problems: Problems) -> bool:
    """Whether no boundary is wrong in what it is called after."""
    wrong = [place for place in problems.broken if place[:1] == ("boundary",)]
    return all(len(place) > 2 and place[2] not in ("name", "on", "field") for place in wrong)


def _check_output(output: OutputTable, names: list[str], problems: Problems) -> None:
    folder = problems.file.parent / output.folder
    if folder.exists() and not folder.is_dir():
        problems.add(("output", "folder"), "there is a file of this name", output.folder)
    for number, name in enumerate(output.reactions if _names_are_known(problems) else ()):
        if name not in names:
            text = f"no boundary has this name; {suggestion(name, names)}"
            problems.add(("output", "reactions", number), text, name)
