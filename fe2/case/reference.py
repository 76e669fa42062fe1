"""The reference of case files as Markdown, from the same models that check them."""

from __future__ import annotations

import re
import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fe2.case.catalogue import sound_laws
from fe2.case.cell_tables import (
    CellFile,
    CellTable,
    GeneratorCell,
    ImageCell,
    MaterialsTable,
    MeshCell,
    PhaseTable,
)
from fe2.case.generators import CELLS, MESH_GENERATORS, generator_model
from fe2.case.petsc_table import MacroSolver
from fe2.case.reference_text import HEAD, example
from fe2.case.run_tables import (
    BodyTable,
    BoundaryTable,
    BoxMesh,
    FieldTable,
    FileMesh,
    GeneratorMesh,
    LawPlace,
    MicroSolver,
    ModelPlace,
    OutputTable,
    PictureTable,
    RunFile,
    SolverTable,
    StepsTable,
)
from fe2.micro.model_table import MODELS
from fe2.physics.physics_table import PHYSICS, own_keys


def reference() -> str:
    """The page `docs/case_files.md`."""
    return "\n".join([HEAD, *_cell_part(), *_law_part(), *_run_part(), *_generator_part()]).rstrip() + "\n"


def _cell_part() -> list[str]:
    return [
        "## Cell files\n",
        example("cell"),
        _section("Top level", CellFile),
        _section("`[cell]`: every cell", CellTable),
        _section("`[cell]` with an image", ImageCell, CellTable),
        _section("`[cell]` with a mesh", MeshCell, CellTable),
        _section("`[cell]` with a generator", GeneratorCell, CellTable),
        _section("`[phases.NAME]`: every phase", PhaseTable),
        "Beside `label` stand `law` and its parameters.\n",
        _section("`[phases.NAME]`: parameters by label", MaterialsTable),
    ]


def _law_part() -> list[str]:
    parts = ["## Physics and laws\n"]
    for name, physics in PHYSICS.sound().items():
        default = f" Phases without `law` follow `{physics.default_law}`." if physics.default_law else ""
        unknowns = ", ".join(f"{field} ({kind})" for field, kind in physics().unknowns.items())
        parts.append(
            f'### `physics = "{name}"`\n\n{physics.__doc__} Macroscopic unknown: {unknowns}.{default}\n'
        )
        if keys := own_keys(physics):
            parts.append("Further keys of `[cell]`:\n\n" + _rows(physics, physics.model_fields.keys() - keys))
        for law, model in sound_laws(name).items():
            parts.append(f'#### `law = "{law}"`\n\n{model.__doc__}\n\n{_rows(model, ("law",))}')
    return parts


def _run_part() -> list[str]:
    return [
        "## Run files\n",
        example("run"),
        _section("Top level", RunFile),
        _section("`[mesh]` of a box", BoxMesh),
        _section("`[mesh]` from a file", FileMesh),
        _section("`[mesh]` from a generator", GeneratorMesh),
        _section("`[field]`", FieldTable),
        _section("`[laws.NAME]`: every law", LawPlace),
        "A law without `model` and `cell` has `law` and its parameters, as a phase has: a formula at the "
        "macroscopic scale, without history.\n",
        _section("`[laws.NAME]`: a micro model", ModelPlace, LawPlace),
        *(_section(f'`model = "{name}"`', model) for name, model in MODELS.sound().items()),
        _section("`[[boundary]]`", BoundaryTable),
        _section("`[[body]]`", BodyTable),
        _section("`[steps]`", StepsTable),
        _section("`[output]`", OutputTable),
        _section("`[[output.pictures]]`", PictureTable),
        _section("`[solver]`", SolverTable),
        _section("`[solver.macro]`", MacroSolver),
        _section("`[solver.micro]`", MicroSolver),
    ]


def _generator_part() -> list[str]:
    parts = ["## Generators\n"]
    for names, base in ((CELLS.sound(), GeneratorCell), (MESH_GENERATORS, GeneratorMesh)):
        for name in names:
            model = generator_model(name, base)
            parts.append(
                f'### `generator = "{name}"`\n\n{model.__doc__}\n\n{_rows(model, base.model_fields)}'
            )
    return parts


def _section(title: str, model: type[BaseModel], base: type[BaseModel] | None = None) -> str:
    left_out = base.model_fields if base is not None else ()
    return f"### {title}\n\n{model.__doc__}\n\n{_rows(model, left_out)}"


def _rows(model: type[BaseModel], leave_out: Any) -> str:
    rows = [
        f"| `{name}` | {_type(info)} | {_default(info)} | {_cell_text(info.description or '')} |"
        for name, info in model.model_fields.items()
        if name not in leave_out
    ]
    if not rows:
        return "No further keys.\n"
    return "\n".join(["| key | value | default | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"


def _cell_text(text: str) -> str:
    """Text for a table, whose rows are single lines."""
    return " ".join(text.split()).replace("|", "\\|")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "needed"
    default = info.get_default(call_default_factory=True)
    if default is None or default in ((), {}, "") or isinstance(default, BaseModel):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, Sequence) and not isinstance(default, str):
        return f"`{list(default)}`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{default}`"


_NAMES: dict[object, str] = {
    float: "number",
    int: "whole number",
    bool: "true or false",
    str: "text",
}


def _type(info: FieldInfo) -> str:
    """Kind of value, in words."""
    schema = next((data for data in info.metadata if hasattr(data, "json_schema")), None)
    if schema is not None:
        return _schema_type(schema.json_schema or {})
    return _annotation_type(info.annotation)


def _annotation_type(annotation: Any) -> str:
    if annotation in _NAMES:
        return _NAMES[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{_quoted(choice)}`" for choice in arguments)
    if origin in (Union, types.UnionType):
        inner = [argument for argument in arguments if argument is not type(None)]
        return " or ".join(dict.fromkeys(map(_annotation_type, inner)))
    if hasattr(annotation, "__metadata__"):
        schema = next((data for data in annotation.__metadata__ if hasattr(data, "json_schema")), None)
        return _annotation_type(arguments[0]) if schema is None else _schema_type(schema.json_schema or {})
    if origin is tuple:
        entry = _annotation_type(arguments[0])
        return "list of " + re.sub(r"^(list|table)\b|number$", lambda word: word[0] + "s", entry)
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "table"
    return "text or table"


def _schema_type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{_quoted(choice)}`" for choice in schema["enum"])
    if "description" in schema:
        return "function of time"
    if "const" in schema:
        return "true"
    if "anyOf" in schema:
        return " or ".join(_schema_type(inner) for inner in schema["anyOf"])
    kind = schema.get("type")
    if kind == "array":
        inner = schema["items"]
        if inner.get("type") == "array":
            return "matrix"
        return "list of components" if "enum" in inner else "list of numbers"
    words = {"integer": "whole number", "string": "text", "number": "number"}
    return words.get(kind, "number, text, true or false") if isinstance(kind, str) else "number, text or true"


def _quoted(choice: object) -> str:
    return f'"{choice}"' if isinstance(choice, str) else str(choice)
