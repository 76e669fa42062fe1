"""Run files: checked completely, the cells that they name included, without DOLFINx."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fe2.case.catalogue import PHYSICS, Physics, meant_physics
from fe2.case.cell_case import (
    CellCase,
    Material,
    check_file,
    understand_cell,
    understand_material,
)
from fe2.case.generators import MESH_GENERATORS, check_parameters, generator_model
from fe2.case.mesh_parts import MeshParts, check_components, check_groups, check_names, mesh_parts
from fe2.case.picture_checks import check_pictures
from fe2.case.problems import CaseFileError, Key, Problems, suggestion
from fe2.case.repair import repaired
from fe2.case.run_checks import check_box, check_run
from fe2.case.run_tables import (
    BoxMesh,
    CellLaw,
    FileMesh,
    GeneratorMesh,
    InterpolationTable,
    LawPlace,
    LinearRangeTable,
    ReductionTable,
    RunFile,
)
from fe2.case.table import Table
from fe2.case.toml_file import read_toml

SOURCES: dict[str, type[Table]] = {"box": BoxMesh, "file": FileMesh, "generator": GeneratorMesh}


@dataclass(frozen=True)
class Law:
    """A law of the macroscopic problem.

    Attributes:
        subdomain: Physical group in which it holds, or None.
        cell: The cell at every quadrature point, or None.
        mode: "concurrent", "reduced", "linearized" or "interpolated", where there is a cell.
        on_failure: "fail" or "keep last good response", where there is a cell.
        material: The law itself, where there is no cell.
        linear_range: Range in which a linearized cell holds, or None.
        reduction: The reduced cell of the mode "reduced", or None.
        interpolation: Database of an interpolated cell, or None.
        storage: What a unit of volume stores where the unknown rises by one.
        closed: Axes along which the cell may be closed.
    """

    subdomain: int | str | None
    cell: CellCase | None = None
    mode: str = "concurrent"
    on_failure: str = "fail"
    material: Material | None = None
    linear_range: LinearRangeTable | None = None
    reduction: ReductionTable | None = None
    interpolation: InterpolationTable | None = None
    storage: float = 0.0
    closed: tuple[str, ...] = ()

    @property
    def stores(self) -> bool:
        """Whether a steady state is not all that there is to solve for."""
        return self.storage > 0.0 or (self.cell is not None and self.cell.cell.value)


@dataclass(frozen=True)
class RunCase:
    """A run file as it was understood.

    Attributes:
        file: The file; paths in it are relative to its folder.
        mesh: Table of the mesh.
        physics_name: Name of the physics.
        laws: Laws by name.
        tables: All other tables.
    """

    file: Path
    mesh: Table
    physics_name: str
    laws: Mapping[str, Law]
    tables: RunFile

    @property
    def physics(self) -> Physics:
        """The physics."""
        return PHYSICS[self.physics_name]

    def path(self, name: str) -> Path:
        """A path of the file, relative to the file's folder."""
        return self.file.parent / name


def read_run_case(file: Path, parallel: Mapping[str, str | None] | None = None) -> RunCase:
    """Read and check a run file and the cell files that it names.

    Args:
        file: The file.
        parallel: Entries of the table [parallel] that win over those of the file, as a command line has them.

    Raises:
        CaseFileError: Something is wrong; the message lists all of it.
    """
    problems = Problems(file)
    table = read_toml(file)
    given = {name: _number(value) for name, value in (parallel or {}).items() if value is not None}
    if given and isinstance(table.setdefault("parallel", {}), dict):
        table["parallel"].update(given)
    case = understand_run(table, problems)
    problems.raise_if_any()
    assert case is not None
    return case


def _number(text: str) -> int | str:
    return int(text) if text.isdigit() else text


_INSTEAD: dict[str, Any] = {"mesh": {}, "laws": {"": {}}, "steps": {"end": 1.0}}
"""What stands for tables that are missing, while the others are checked."""


def understand_run(table: dict[str, Any], problems: Problems) -> RunCase | None:
    """The tables of a run file, or None where something is wrong."""
    tables = repaired(RunFile, table, problems, (), _INSTEAD)
    mesh = _understand_mesh(table["mesh"], problems) if isinstance(table.get("mesh"), dict) else None
    contents = table.get("laws") if isinstance(table.get("laws"), dict) else {}
    assert isinstance(contents, dict)
    count = len(problems.lines)
    cells = {
        name: _understand_cell_law(content, problems, ("laws", name))
        for name, content in contents.items()
        if isinstance(content, dict) and "cell" in content
    }
    named = {name: _physics_of_cell(content, problems.file.parent) for name, content in contents.items()}
    physics = _physics(table.get("physics"), named, problems)
    laws = {
        name: cells[name] if name in cells else _understand_law(content, physics, problems, ("laws", name))
        for name, content in contents.items()
    }
    found = {name: law for name, law in laws.items() if law is not None}
    if len(problems.lines) > count:
        problems.broken.append(("laws", ""))  # some law, unlike those that were understood
    if tables is None:
        return None
    check_names(tables, problems)
    if (parts := mesh_parts(mesh)) is not None:
        check_groups(tables, contents, parts, problems)
    if physics is None:
        return None
    _check_together(tables, PHYSICS[physics], found, parts, problems)
    if problems.lines or mesh is None:
        return None
    return RunCase(problems.file, mesh, physics, found, tables)


def _check_together(
    tables: RunFile, physics: Physics, laws: Mapping[str, Law], parts: MeshParts | None, problems: Problems
) -> None:
    """Check what concerns several tables, as far as they were understood."""
    check_run(tables, physics, laws, problems)
    if parts is not None:
        count = len(problems.lines)
        check_components(tables, physics, parts.dim, problems)
        if len(problems.lines) > count:
            problems.broken.append(("boundary", ""))  # some component, by which columns are named
    check_pictures(tables, physics, laws, (2, 3) if parts is None else (parts.dim,), problems)


def _axes(box: object) -> int:
    return len(box) if isinstance(box, list) else 2


def _understand_mesh(table: dict[str, Any], problems: Problems) -> Table | None:
    """The macroscopic mesh: a box, a file or a generator, exactly one of them."""
    given = [source for source in SOURCES if source in table]
    if len(given) != 1:
        found = f"not of {' and '.join(given)} at once" if given else "and none is given"
        problems.add(("mesh",), f"a mesh is made of one of box, file and generator, {found}")
        return None
    model = SOURCES[given[0]]
    if given[0] == "generator":
        name = table["generator"]
        if name not in MESH_GENERATORS:
            problems.add(("mesh", "generator"), suggestion(str(name), MESH_GENERATORS), name)
            return None
        model = generator_model(name, GeneratorMesh)
    mesh = repaired(model, table, problems, ("mesh",), {"cells": [1] * _axes(table.get("box"))})
    if isinstance(mesh, BoxMesh):
        check_box(mesh, problems)
    if isinstance(mesh, FileMesh):
        check_file(mesh.file, problems, ("mesh", "file"))
    if isinstance(mesh, GeneratorMesh):
        check_parameters(mesh.generator, mesh, problems, ("mesh",))
    return mesh


def _understand_cell_law(table: dict[str, Any], problems: Problems, key: Key) -> Law | None:
    found = repaired(CellLaw, table, problems, key)
    if found is None:
        return None
    if isinstance(found.cell, dict):
        tables: dict[str, Any] = {name: table[name] for name in ("cell", "phases") if name in table}
        cell = understand_cell(tables, problems, key)
    else:
        cell = _read_cell(found, problems, key)
    _check_mode(found, problems, key)
    if cell is None:
        return None
    return Law(
        found.subdomain,
        cell=cell,
        mode=found.mode,
        linear_range=found.linear_range,
        reduction=found.reduction,
        interpolation=found.interpolation,
        storage=found.storage,
        on_failure=found.on_failure,
        closed=found.closed,
    )


def _check_mode(law: CellLaw, problems: Problems, key: Key) -> None:
    """What belongs to one mode stands with it, and files made beforehand are there."""
    if law.linear_range is not None and law.mode != "linearized":
        problems.add((*key, "linear_range"), 'it belongs to a cell with mode = "linearized"', law.mode)
    if law.on_failure != "fail" and law.mode != "concurrent":
        problems.add((*key, "on_failure"), 'it belongs to a cell with mode = "concurrent"', law.on_failure)
    for name, mode in (("reduction", "reduced"), ("interpolation", "interpolated")):
        if (getattr(law, name) is not None) != (law.mode == mode):
            problems.add((*key, name), f'this table and mode = "{mode}" are needed together')
    if law.reduction is not None:
        check_file(law.reduction.file, problems, (*key, "reduction", "file"))
    if law.interpolation is not None:
        check_file(law.interpolation.database, problems, (*key, "interpolation", "database"))


def _read_cell(law: CellLaw, problems: Problems, key: Key) -> CellCase | None:
    """A cell from a file of its own, whose problems are told under that file's name."""
    if not isinstance(law.cell, str):
        problems.add((*key, "cell"), "a cell file in quotes is needed, or the cell's table", law.cell)
        return None
    if law.phases is not None:
        problems.add((*key, "phases"), f"the phases stand in the cell file, {law.cell}")
        return None
    count = len(problems.lines)
    check_file(law.cell, problems, (*key, "cell"))
    if len(problems.lines) > count:
        return None
    inner = Problems(problems.file.parent / law.cell)
    try:
        cell = understand_cell(read_toml(inner.file), inner)
    except CaseFileError as error:
        inner.lines.append(str(error))
        cell = None
    problems.lines.extend(inner.lines)
    return cell


def _physics_of_cell(content: object, folder: Path) -> str | None:
    """The physics that the cell of a law states, whatever else may be wrong there."""
    cell = content.get("cell") if isinstance(content, dict) else None
    if isinstance(cell, str):
        try:
            cell = read_toml(folder / cell).get("cell")
        except (CaseFileError, ValueError):
            return None
    return meant_physics(cell.get("physics")) if isinstance(cell, dict) else None


def _physics(stated: object, cells: Mapping[str, str | None], problems: Problems) -> str | None:
    """The physics that is stated, or that of the cells; all have to agree."""
    found = {name: physics for name, physics in cells.items() if physics is not None}
    if isinstance(stated, str) and stated not in PHYSICS:
        return None
    if stated is None and not found:
        if not problems.lines:
            problems.add(
                ("physics",), f"is missing, and no law has a cell; it is one of {', '.join(PHYSICS)}"
            )
        return None
    wanted = stated if isinstance(stated, str) else next(iter(found.values()), None)
    for name, physics in found.items():
        if physics != wanted:
            text = f"its physics is {physics}, but that of the run is {wanted}"
            problems.add(("laws", name, "cell"), text)
    return wanted


def _understand_law(table: object, physics: str | None, problems: Problems, key: Key) -> Law | None:
    """A law of the physics at the macroscopic scale."""
    if not isinstance(table, dict):
        problems.add(key, "a table is needed", table)
        return None
    if physics is None:
        return None
    places = tuple(LawPlace.model_fields)
    own = repaired(LawPlace, {name: table[name] for name in places if name in table}, problems, key)
    rest = {name: value for name, value in table.items() if name not in places}
    if "law" not in table and PHYSICS[physics].default_law is None:
        problems.add(key, "a law is needed: cell (a file or a table), or law with its parameters")
        return None
    material = understand_material(rest, physics, problems, key, places)
    if own is None or material is None:
        return None
    return Law(own.subdomain, material=material, storage=own.storage)
