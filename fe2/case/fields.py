"""The macroscopic unknowns of a run: those of its physics, as the file names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fe2.case.problems import Key, Problems
from fe2.case.run_tables import BodyTable, BoundaryTable, RunFile
from fe2.physics.physics_table import Kind
from fe2.registry import suggestion


@dataclass(frozen=True)
class Field:
    """A macroscopic unknown.

    Attributes:
        name: Its name in the file and in the results.
        meaning: Its name in the physics.
        vector: Whether it is a vector.
        degree: Degree of its Lagrange element.
        initial: Initial value of a scalar, where the file states one.
    """

    name: str
    meaning: str
    vector: bool
    degree: int
    initial: float | None = None


def understand_fields(tables: RunFile, unknowns: Mapping[str, Kind], problems: Problems) -> list[Field]:
    """The unknowns, in the order of the physics; `problems` receives what does not fit them.

    An entry of [[fields]] stands for the unknown of its name, or else for the next one of its kind.
    """
    common, count = tables.field, len(problems.lines)
    listed = ", ".join(f"{name} ({kind})" for name, kind in unknowns.items())
    found: dict[str, Field] = {}
    for number, entry in enumerate(tables.fields):
        left = [name for name, kind in unknowns.items() if name not in found and entry.kind in (None, kind)]
        if not left:
            text = f"the unknowns of the laws are {listed}"
            problems.add(("fields", number, "kind" if entry.kind else "name"), text, entry.kind or entry.name)
            continue
        if entry.name in [field.name for field in found.values()]:
            problems.add(("fields", number, "name"), "fields need different names", entry.name)
        meaning = entry.name if entry.name in left else left[0]
        vector = unknowns[meaning] == "vector"
        if vector and entry.initial is not None:
            problems.add(("fields", number, "initial"), f"the {entry.name} is a vector", entry.initial)
        found[meaning] = Field(entry.name, meaning, vector, entry.degree or common.degree, entry.initial)
    missing = [f"{name} ({kind})" for name, kind in unknowns.items() if name not in found]
    if tables.fields and missing and len(problems.lines) == count:
        problems.add(("fields",), f"{', '.join(missing)} is missing")
    if common.initial is not None and (tables.fields or len(unknowns) > 1):
        problems.add(("field", "initial"), "here it stands with each of [[fields]]", common.initial)
    if len(problems.lines) > count:
        problems.broken.append(("fields",))  # what names of fields are compared with
    for name, kind in unknowns.items():
        initial = common.initial if kind == "scalar" else None
        found.setdefault(name, Field(name, name, kind == "vector", common.degree, initial))
    return [found[name] for name in unknowns]


def field_of(
    table: BoundaryTable | BodyTable, fields: Sequence[Field], problems: Problems, key: Key
) -> Field | None:
    """The unknown that a condition or a load is of; None where it cannot be told, with a problem."""
    names = [field.name for field in fields]
    if table.field is None and len(fields) == 1:
        return fields[0]
    if table.field is None:
        problems.add((*key, "field"), f"is missing: this is of one of {', '.join(names)}")
        problems.broken.append((*key, "field"))
        return None
    if table.field not in names and problems.touches("fields"):
        return None
    if table.field not in names:
        text = f"no unknown has this name; {suggestion(table.field, names)}"
        problems.add((*key, "field"), text, table.field)
        problems.broken.append((*key, "field"))
        return None
    return fields[names.index(table.field)]


def is_of(table: BoundaryTable | BodyTable, field: Field, fields: Sequence[Field]) -> bool:
    """Whether a condition or a load is of this one of the unknowns."""
    return table.field == field.name or (table.field is None and len(fields) == 1)


def flow_prefix(field: Field, scalars: Sequence[Field]) -> str:
    """What the columns of the balance of a scalar begin with."""
    return "flow_" if len(scalars) == 1 else f"flow_{field.name}_"
