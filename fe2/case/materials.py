"""Laws with their parameters, as the tables of phases and of laws of a run state them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic.fields import FieldInfo

from fe2.case.catalogue import law_model, make_law
from fe2.case.cell_tables import MaterialsTable
from fe2.case.material_table import MaterialTable, read_material_table
from fe2.case.problems import Key, Problems, parameter_of, unknown_key
from fe2.case.repair import refusals, repaired
from fe2.errors import InputError
from fe2.physics.law import PhaseLaw
from fe2.physics.material_field import MaterialField
from fe2.physics.physics_table import PHYSICS, laws_of
from fe2.registry import suggestion
from fe2.table import Table

if TYPE_CHECKING:
    from fe2.case.cell_case import CellCase

_MOST_ROWS = 5
"""Rows of a table of materials whose refusals are told."""


@dataclass(frozen=True)
class Material:
    """A law and its parameters, as they are handed to the law's callable.

    Attributes:
        law: Name of the law.
        parameters: Parameters that hold for the whole phase.
        table: Parameters that differ from label to label, where some do.
        cell: The finer cell that is the law, where `law` is "cell".
    """

    law: str
    parameters: Mapping[str, Any]
    table: MaterialTable | None = None
    cell: CellCase | None = None

    def make(self, physics: str) -> Any:
        """The law itself.

        Raises:
            InputError: The law refuses its parameters.
        """
        if self.table is None:
            return make_law(physics, self.law, dict(self.parameters))

        def make(**parameters: Any) -> PhaseLaw:
            return make_law(physics, self.law, {**self.parameters, **parameters})

        return MaterialField(make, self.table.labels, **self.table.parameters())


def understand_material(
    table: dict[str, Any], physics: str, problems: Problems, key: Key, beside: tuple[str, ...]
) -> Material | None:
    """A law with its parameters; the law itself is asked whether it accepts them.

    Args:
        table: The key `law` and the parameters.
        physics: Name of the physics.
        problems: Receives what is wrong.
        key: Where the table stands.
        beside: Other keys of the table, for messages.
    """
    laws = [*laws_of(physics), *(["cell"] if "label" in beside else [])]
    law = table.get("law", PHYSICS[physics].default_law)
    if law is None:
        problems.add((*key, "law"), f"is missing; the laws of {physics} are {', '.join(laws)}")
        return None
    if not isinstance(law, str) or law not in laws:
        problems.add((*key, "law"), f"{physics} has no such law; {suggestion(str(law), laws)}", law)
        return None
    try:
        model = law_model(physics, law)
    except InputError as broken:
        problems.add((*key, "law"), str(broken), law)
        return None
    count = len(problems.lines)
    known = _known_keys(table, model, beside, problems, key)
    found = repaired(model, known, problems, key, _any_number(model.model_fields))
    if found is None:
        return None
    values = {name: getattr(found, name) for name in model.model_fields if name in found.model_fields_set}
    values.pop("law", None)
    optional = [name for name, info in model.model_fields.items() if not info.is_required()]
    for error in refusals(lambda given: Material(law, given).make(physics), values, optional):
        if PHYSICS[physics].empty.startswith("law") and "= 0.0 is not admissible" in str(error):
            error = InputError(f"{error}; a phase that carries nothing has {PHYSICS[physics].empty}")
        problems.add_refused(key, error, model.model_fields, values)
    return None if len(problems.lines) > count else Material(law, values)


def _known_keys(
    table: dict[str, Any], model: type[Table], beside: tuple[str, ...], problems: Problems, key: Key
) -> dict[str, Any]:
    """A table without the keys that the law does not have; `problems` receives them."""
    for name in table:
        if name not in model.model_fields:
            problems.add((*key, name), unknown_key(name, [*beside, *model.model_fields]), table[name])
    return {name: value for name, value in table.items() if name in model.model_fields}


def material_of_table(
    table: dict[str, Any], physics: str, problems: Problems, key: Key, image: bool
) -> Material | None:
    """A law whose parameters differ from label to label, as a table of materials has them."""
    own = repaired(MaterialsTable, {"table": table["table"]}, problems, key)
    law = table.get("law", PHYSICS[physics].default_law)
    rest = {name: value for name, value in table.items() if name not in ("label", "table")}
    if own is None or law not in laws_of(physics):
        understand_material(rest, physics, problems, key, ("table",))
        return None
    try:
        model = law_model(physics, str(law))
        _known_keys(rest, model, ("table",), problems, key)
        names = [name for name in model.model_fields if name != "law"]
        found = read_material_table(problems.file.parent, own.table, names)
    except InputError as error:
        problems.add((*key, "table"), str(error), own.table)
        return None
    for name in rest.keys() & found.made_of.keys():
        problems.add((*key, name), f"the table has it too, as {', '.join(found.made_of[name])}", rest[name])
    if text := "".join(f"label {label!r}" for label in found.labels if image and isinstance(label, str))[:70]:
        problems.add(
            (*key, "table"), f"{found.file}: {text}: labels of an image are whole numbers", own.table
        )
    first = {name: values[0] for name, values in found.parameters().items()}
    count = len(problems.lines)
    _check_rows({**rest, "law": law}, found, physics, problems, (*key, "table"))
    if len(problems.lines) > count:
        return None
    material = understand_material({**rest, **first}, physics, problems, key, ("table",))
    if material is None:
        return None
    common = {name: value for name, value in material.parameters.items() if name not in first}
    return Material(material.law, common, found)


def _check_rows(
    table: dict[str, Any], found: MaterialTable, physics: str, problems: Problems, key: Key
) -> None:
    """Ask the law whether it accepts the parameters of each row; its first refusals are told."""
    model = law_model(physics, table["law"])
    common = {name: value for name, value in table.items() if name in model.model_fields and name != "law"}
    needed = {name for name, info in model.model_fields.items() if info.is_required() and name != "law"}
    if needed - common.keys() - found.made_of.keys():
        return  # told where the parameters that hold for all are understood
    rows, refused = found.parameters(), 0
    for row in range(len(found.labels)):
        given = {**common, **{name: values[row] for name, values in rows.items()}}
        try:
            make_law(physics, table["law"], given)
        except InputError as error:
            if parameter_of(str(error), common) is not None or refused == _MOST_ROWS:
                return
            refused += 1
            place = found.place(row, parameter_of(str(error), found.made_of))
            problems.add(key, f"{place}: {error}", found.name)


def _any_number(fields: Mapping[str, FieldInfo]) -> dict[str, float]:
    """Numbers in the place of those that a law needs and that are missing or no numbers."""
    return {name: 1.0 for name, info in fields.items() if info.annotation in (float, Any)}
