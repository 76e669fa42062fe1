"""The reference of case files as Markdown, from the schema of the models that check them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel

import fe2.case.cell_tables as cell
import fe2.case.run_tables as run
from fe2.case.catalogue import sound_laws
from fe2.case.generators import CELLS, MESH_GENERATORS, generator_model
from fe2.case.problems import table_in
from fe2.micro.model_table import MODELS
from fe2.physics.physics_table import PHYSICS, own_keys


def reference() -> str:
    """The page `docs/case_files.md`."""
    return (
        "\n".join(
            [_text("reference.md"), *_cell_part(), *_law_part(), *_run_part(), *_generator_part()]
        ).rstrip()
        + "\n"
    )


def _cell_part() -> list[str]:
    return [
        "## Cell files\n",
        f"```toml\n{_text('cell.toml')}```\n",
        _section("Top level", cell.CellFile),
        _section("`[cell]`: every cell", cell.CellTable),
        _section("`[cell]` with an image", cell.ImageCell, cell.CellTable),
        _section("`[cell]` with a mesh", cell.MeshCell, cell.CellTable),
        _section("`[cell]` with a generator", cell.GeneratorCell, cell.CellTable),
        _section("`[phases.NAME]`: every phase", cell.PhaseTable),
        "Beside `label` stand `law` and its parameters.\n",
        _section("`[phases.NAME]`: parameters by label", cell.MaterialsTable),
        _section("`[phases.NAME]`: a finer cell", cell.FinerCell, cell.PhaseTable),
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
            parts += ["#" + part for part in _inner(physics, keys, ("cell",))]
        for law, model in sound_laws(name).items():
            parts.append(f'#### `law = "{law}"`\n\n{model.__doc__}\n\n{_rows(model, ("law",))}')
    return parts


def _run_part() -> list[str]:
    return [
        "## Run files\n",
        f"```toml\n{_text('run.toml')}```\n",
        _section("Top level", run.RunFile),
        _section("`[mesh]` of a box", run.BoxMesh),
        _section("`[mesh]` from a file", run.FileMesh),
        _section("`[mesh]` from a generator", run.GeneratorMesh),
        _section("`[laws.NAME]`: every law", run.LawPlace),
        "A law without `model` and `cell` has `law` and its parameters, as a phase has: a formula at the "
        "macroscopic scale, without history.\n",
        _section("`[laws.NAME]`: a micro model", run.ModelPlace, run.LawPlace),
        *(_section(f'`model = "{name}"`', model) for name, model in MODELS.sound().items()),
        *_inner(run.RunFile, run.RunFile.model_fields),
    ]


def _generator_part() -> list[str]:
    parts = ["## Generators\n"]
    for names, base in ((CELLS.sound(), cell.GeneratorCell), (MESH_GENERATORS, run.GeneratorMesh)):
        for name in names:
            model = generator_model(name, base)
            parts.append(
                f'### `generator = "{name}"`\n\n{model.__doc__}\n\n{_rows(model, base.model_fields)}'
            )
    return parts


def _text(name: str) -> str:
    return (Path(__file__).parent / "examples" / name).read_text(encoding="utf-8")


def _section(title: str, model: type[BaseModel], base: type[BaseModel] | None = None) -> str:
    left_out = base.model_fields if base is not None else ()
    return f"### {title}\n\n{model.__doc__}\n\n{_rows(model, left_out)}"


def _inner(model: type[BaseModel], keys: Iterable[str], path: tuple[str, ...] = ()) -> list[str]:
    """A section for each table that is a value of these keys, and for those in it."""
    parts: list[str] = []
    for key in keys:
        annotation = model.model_fields[key].annotation
        if (inner := table_in(annotation)) is not None:
            name = ".".join([*path, key])
            title = f"[[{name}]]" if get_origin(annotation) is tuple else f"[{name}]"
            parts += [_section(f"`{title}`", inner), *_inner(inner, inner.model_fields, (*path, key))]
    return parts


def _rows(model: type[BaseModel], leave_out: Collection[str]) -> str:
    schema, rows = model.model_json_schema(), []
    for name, info in model.model_fields.items():
        if name not in leave_out:
            entry = {key: value for key, value in schema["properties"][name].items() if key != "description"}
            default = "needed" if info.is_required() else _default(entry.get("default"))
            meaning = " ".join((info.description or "").split()).replace("|", "\\|")
            rows.append(f"| `{name}` | {_kind(entry)} | {default} | {meaning} |")
    if not rows:
        return "No further keys.\n"
    return "\n".join(["| key | value | default | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"


def _default(value: object) -> str:
    return "" if value in (None, "", []) or isinstance(value, dict) else f"`{json.dumps(value)}`"


_KINDS = {"number": "number", "integer": "whole number", "boolean": "true or false", "string": "text"}


def _kind(schema: Mapping[str, Any]) -> str:
    """Kind of value, in words."""
    if choices := schema.get("enum") or [schema[key] for key in ("const",) if key in schema]:
        return ", ".join(f"`{json.dumps(choice)}`" for choice in choices)
    if schema.get("format") == "function of time":
        return "function of time"
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        kinds = dict.fromkeys(_kind(part) for part in parts if part.get("type") != "null")
        return " or ".join(kinds).replace("or list of lists of numbers", "or matrix")
    if schema.get("type") == "array":
        entry = _kind(schema.get("items") or schema["prefixItems"][0])
        return "list of " + re.sub(r"^(list|table)\b|number$", lambda word: word[0] + "s", entry)
    if "$ref" in schema or schema.get("type") == "object":
        return "table"
    return _KINDS.get(schema.get("type", ""), "text or table")
