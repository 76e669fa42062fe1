"""The fields, columns and steps that the pictures of a run file can name, known before anything is solved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Protocol

import numpy as np

from fe2.case.cell_case import CellCase
from fe2.case.fields import Field, flow_prefix, is_of
from fe2.case.problems import Key, Problems
from fe2.case.run_checks import StoringLaw, boundary_names, is_stored, planned_times
from fe2.case.run_tables import BoundaryTable, PictureTable, RunFile
from fe2.history_names import history_names
from fe2.micro.model_table import ModelTable
from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import Physics
from fe2.records import COUNTS, balance_columns
from fe2.registry import suggestion


class LawWithCell(StoringLaw, Protocol):
    """What is asked of a law."""

    @property
    def cell(self) -> CellCase | None:
        """The cell, where the law has one."""

    @property
    def physics(self) -> Physics:
        """Its physics."""

    @property
    def model(self) -> ModelTable | None:
        """The micro model, where the law has one."""


def check_pictures(
    tables: RunFile,
    fields: Sequence[Field],
    laws: Mapping[str, LawWithCell],
    dims: Sequence[int],
    problems: Problems,
) -> None:
    """Refuse pictures that could not be drawn when the run has finished.

    Args:
        tables: The run file.
        fields: Its unknowns.
        laws: Its laws.
        dims: Dimensions that the mesh may have.
        problems: Receives what is wrong.
    """
    models = [law for law in laws.values() if law.model is not None]
    cells = [law.cell for law in models if law.cell is not None]
    written = [name for dim in dims for law in models for name in _macro_fields(law, dim)]
    written += [name for field in fields for name in _of_unknown(field, max(dims))]
    written = list(dict.fromkeys(written))
    local = list(dict.fromkeys(name for dim in dims for cell in cells for name in _local_fields(cell, dim)))
    columns = _columns(tables, fields, laws, boundary_names(tables))
    steps = len(planned_times(tables.steps)) - 1
    for number, picture in enumerate(tables.output.pictures):
        key = ("output", "pictures", number)
        named: list[tuple[Key, str | None, list[str]]] = [
            (("field",), picture.field, ["cell", *written]),
            (("local_field",), picture.local_field, ["phase", *local]),
        ]
        if problems.touches("laws") or len(cells) < len(
            models
        ):  # what other fields there are is not known, only what was misspelt
            named = [entry for entry in named if get_close_matches(str(entry[1]), entry[2], cutoff=0.8)]
        if not (problems.touches("boundary") or problems.touches("body")):
            named += [(("history", k), name, columns) for k, name in enumerate(picture.history or ())]
        for place, name, known in named:
            if name is not None and name not in known:
                what = "column in the history" if place[0] == "history" else "field"
                problems.add((*key, *place), f"the run has no such {what}; {suggestion(name, known)}", name)
        _check_picture(picture, tables, steps, key, problems)


def _check_picture(picture: PictureTable, tables: RunFile, steps: int, key: Key, problems: Problems) -> None:
    if not (problems.touches("steps") or -steps - 1 <= picture.step <= steps):
        text = f"the run stores {steps + 1} steps, the start included: 0 to {steps}, or -1 for the last"
        problems.add((*key, "step"), text, picture.step)
    watched = len(tables.output.watch)
    if picture.watch is not None and picture.watch >= watched and not problems.touches("output", "watch"):
        points = "is 1 point" if watched == 1 else f"are {watched} points"
        text = f"there {points} in output.watch, counted from 0"
        problems.add((*key, "watch"), text, picture.watch)
    if picture.watch is None and picture.local_field is not None:
        problems.add((*key, "local_field"), "it needs watch, the point whose cell is drawn")


def _macro_fields(law: LawWithCell, dim: int) -> list[str]:
    kinematics = law.physics.kinematics(dim)
    indicators = kinematics.indicators(np.zeros((0, kinematics.size, kinematics.size)))
    return [
        *kinematics.flux_names,
        *kinematics.gradient_names,
        *([] if law.cell is None else _history(law.cell, kinematics)),
        *indicators,
        *(law.model.writes if law.model is not None else ()),
    ]


def _of_unknown(field: Field, dim: int) -> list[str]:
    return [field.name, *(f"{field.name}_{axis}" for axis in "xyz"[:dim] if field.vector)]


def _local_fields(cell: CellCase, dim: int) -> list[str]:
    kinematics, names = cell.physics.kinematics(dim), []
    for block in kinematics.blocks:
        if block.kind != "value":
            names += [*block.local_dual_names, *block.local_names]
            names += [f"{block.dual}_von_mises"] if block.is_mandel else []
    return [*names, *_history(cell, kinematics)]


def _history(cell: CellCase, kinematics: Kinematics) -> list[str]:
    """Columns of the history variables of all phases."""
    found: dict[str, int] = {}
    for part in cell.with_finer():
        for law in part.laws().values():
            found |= part.physics.history(law, len(kinematics.local_components))
    columns = (history_names(name, count, kinematics.local_components) for name, count in found.items())
    return [name for names in columns for name in names]


def _columns(
    tables: RunFile, fields: Sequence[Field], laws: Mapping[str, LawWithCell], names: list[str]
) -> list[str]:
    """Columns of the history."""
    found = ["step", "time"]
    for name, table in zip(names, tables.boundary, strict=True):
        found += [f"{name}_{kind}" for kind in _directed(table.prescribed, "prescribed")]
        found += [f"{name}_{kind}" for kind in _directed(table.load, "load")]
        found += [f"{name}_ambient"] if table.exchange is not None else []
        if name in tables.output.reactions:
            vector = any(field.vector for field in fields if is_of(table, field, fields))
            found += [f"{name}_{axis}" for axis in _constrained(table)] if vector else [name]
    for number, body in enumerate(tables.body):
        found += _directed(body.load, f"body_{number}")
        found += [f"body_{number}_ambient"] if body.exchange is not None else []
    scalars = [field for field in fields if not field.vector] if tables.output.balance else []
    for field in scalars:
        found += [flow_prefix(field, scalars) + name for name in _balance(tables, names, field, fields)]
    controlled = [] if tables.steps.tolerance is None else ["dt", "error"]
    stored = [field for field in fields if field.vector or is_stored(field, laws)]
    balances = [name for field in stored for name in balance_columns(field.name, vector=field.vector)]
    return [*found, *COUNTS, *controlled, *balances]


def _directed(values: Any, name: str) -> list[str]:
    if values is None:
        return []
    return [f"{name}_{axis}" for axis in values] if isinstance(values, Mapping) else [name]


def _constrained(table: BoundaryTable) -> list[str]:
    fixed = "xyz" if table.fixed is True else table.fixed or ()
    return [*fixed, *(table.prescribed if isinstance(table.prescribed, Mapping) else ())]


def _balance(tables: RunFile, names: list[str], field: Field, fields: Sequence[Field]) -> list[str]:
    parts = [(n, t) for n, t in zip(names, tables.boundary, strict=True) if is_of(t, field, fields)]
    bodies = [(f"body_{k}", body) for k, body in enumerate(tables.body) if is_of(body, field, fields)]
    return [
        *(name for name, table in parts if table.fixed is not None or table.prescribed is not None),
        *(f"{name}_load" for name, table in parts if table.load is not None),
        *(f"{name}_exchange" for name, table in parts if table.exchange is not None),
        *(name for name, body in bodies if body.load is not None),
        *(f"{name}_exchange" for name, body in bodies if body.exchange is not None),
        "stored",
        "imbalance",
    ]
