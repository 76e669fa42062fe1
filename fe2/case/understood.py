"""A file as it was understood: every key with its value, also where it was left to its default.

Cells from other files stand in their place and paths are absolute, so the tables are a case of their
own, which can be read again wherever they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fe2.case.cell_case import CellCase
from fe2.case.materials import Material
from fe2.case.problems import CaseFileError, Problems
from fe2.case.run_case import RunCase, file_keys, understand_run
from fe2.stepping import least_part


def understood(case: RunCase, path: Callable[[Path], str] | None = None) -> dict[str, Any]:
    """The tables of a run file with all defaults.

    Args:
        case: The run file.
        path: How paths are written, absolute by default.
    """
    written = path or _absolute
    tables = case.tables.model_dump(mode="json", exclude_none=True)
    tables["steps"]["smallest"] = least_part(case.tables.steps.smallest, case.tables.steps.tolerance)
    if "times" in tables["steps"]:  # beside which the defaults of equal steps cannot stand
        tables["steps"] = {k: v for k, v in tables["steps"].items() if k not in ("start", "increments")}
    mesh = case.mesh.model_dump(mode="json", exclude_none=True)
    if "file" in mesh:
        mesh["file"] = written(case.path(mesh["file"]))
    laws: dict[str, Any] = {}
    for name, law in case.laws.items():
        if law.model is not None:
            keys = law.model.model_dump(mode="json", exclude_none=True, exclude={"cell", "phases"})
            files = {key: written(case.path(keys[key])) for key in file_keys(law.model)}
            named = {n: written(case.path(f.file)) for n, f in law.parameters.items() if f.file is not None}
            keys["parameters"] = keys["parameters"] | named
            laws[name] = {**keys, **files, **({} if law.cell is None else _cell(law.cell, written))}
        if law.material is not None:
            place = law.place.model_dump(mode="json", exclude_none=True)
            laws[name] = {**place, **_material(law.material)}
    output = {**tables["output"], "folder": written(case.path(case.tables.output.folder))}
    physics = {} if case.physics_name is None else {"physics": case.physics_name}
    return {**tables, **physics, "mesh": mesh, "laws": laws, "output": output}


_NOT_DECISIVE = ("output", "solver", "steps", "parallel")


def decisive(case: RunCase) -> dict[str, Any]:
    """What a run can only be resumed with: all but output, solvers, ranks, and the steps ahead.

    Files count by their names, not by the folder they lie in: what they hold is compared by itself.
    """
    tables = understood(case, lambda path: path.name)
    return {name: content for name, content in tables.items() if name not in _NOT_DECISIVE}


def read_understood(file: Path) -> RunCase:
    """The case of a run, from the file in its folder of results.

    Raises:
        CaseFileError: The file is missing or damaged, or names files that are gone.
    """
    try:
        tables = json.loads(file.read_text(encoding="utf-8"))["case"]
    except OSError as error:
        raise CaseFileError(f"{file}: the file cannot be read: {error.strerror or error}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise CaseFileError(f"{file}: this is not the case of a run: {error}") from error
    return case_of(tables, file)


def case_of(tables: Mapping[str, Any], file: Path) -> RunCase:
    """The case of a run from its tables as they were understood, which stood in a file.

    Raises:
        CaseFileError: They are damaged, or name files that are gone.
    """
    problems = Problems(file)
    case = understand_run(dict(tables), problems)
    problems.raise_if_any()
    assert case is not None
    return case


def _cell(case: CellCase, written: Callable[[Path], str]) -> dict[str, Any]:
    cell = case.cell.model_dump(mode="json", exclude_none=True)
    for source in {"image", "mesh"} & cell.keys():
        cell[source] = written(case.path(cell[source]))
    phases = {}
    for name, phase in case.phases.items():
        own, table = phase.label, phase.material.table
        place = {} if own is None else {"label": own}
        place = place if table is None else {"table": written(table.file)}
        finer = phase.material.cell
        phases[name] = {
            **place,
            **_material(phase.material),
            **({} if finer is None else _cell(finer, written)),
        }
    return {"cell": cell, "phases": phases}


def _material(material: Material) -> dict[str, Any]:
    return {"law": material.law, **material.parameters}


def _absolute(path: Path) -> str:
    return str(path.resolve())
