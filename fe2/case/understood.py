"""A file as it was understood: every key with its value, also where it was left to its default.

Cells from other files stand in their place and paths are absolute, so the tables are a case of their
own, which can be read again wherever they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fe2.case.cell_case import CellCase, Material
from fe2.case.problems import CaseFileError, Problems
from fe2.case.run_case import RunCase, understand_run


def understood(case: RunCase) -> dict[str, Any]:
    """The tables of a run file with all defaults."""
    tables = case.tables.model_dump(mode="json", exclude_none=True)
    mesh = case.mesh.model_dump(mode="json", exclude_none=True)
    if "file" in mesh:
        mesh["file"] = _absolute(case.path(mesh["file"]))
    laws: dict[str, Any] = {}
    for name, law in case.laws.items():
        place: dict[str, Any] = {} if law.subdomain is None else {"subdomain": law.subdomain}
        place |= {"storage": law.storage} if law.storage else {}
        if law.cell is not None:
            laws[name] = {**place, "mode": law.mode, "on_failure": law.on_failure, **_cell(law.cell)}
            if law.linear_range is not None:
                laws[name]["linear_range"] = law.linear_range.model_dump(mode="json", exclude_none=True)
            if law.reduction is not None:
                reduction = law.reduction.model_dump(mode="json")
                laws[name]["reduction"] = {**reduction, "file": _absolute(case.path(law.reduction.file))}
            if law.interpolation is not None:
                table = law.interpolation.model_dump(mode="json")
                laws[name]["interpolation"] = {**table, "database": _absolute(case.path(table["database"]))}
        if law.material is not None:
            laws[name] = {**place, **_material(law.material)}
    output = {**tables["output"], "folder": _absolute(case.path(case.tables.output.folder))}
    return {**tables, "physics": case.physics_name, "mesh": mesh, "laws": laws, "output": output}


_NOT_DECISIVE = ("output", "solver", "steps", "parallel")


def decisive(case: RunCase) -> dict[str, Any]:
    """What a run can only be resumed with: all but output, solvers, ranks, and the steps ahead.

    Files count by their names, not by the folder they lie in: what they hold is compared by itself.
    """
    tables = understood(case)
    return {name: _moved(tables[name]) for name in tables if name not in _NOT_DECISIVE}


def _moved(content: Any) -> Any:
    if isinstance(content, dict):
        files = {name for name in ("file", "image", "mesh", "database") if isinstance(content.get(name), str)}
        return {name: Path(v).name if name in files else _moved(v) for name, v in content.items()}
    return [_moved(entry) for entry in content] if isinstance(content, list) else content


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
    problems = Problems(file)
    case = understand_run(tables, problems)
    problems.raise_if_any()
    assert case is not None
    return case


def _cell(case: CellCase) -> dict[str, Any]:
    cell = case.cell.model_dump(mode="json", exclude_none=True)
    for source in {"image", "mesh"} & cell.keys():
        cell[source] = _absolute(case.path(cell[source]))
    phases = {}
    for name, phase in case.phases.items():
        label = {} if phase.label is None else {"label": phase.label}
        phases[name] = {**label, **_material(phase.material)}
    return {"cell": cell, "phases": phases}


def _material(material: Material) -> dict[str, Any]:
    return {"law": material.law, **material.parameters}


def _absolute(path: Path) -> str:
    return str(path.resolve())
