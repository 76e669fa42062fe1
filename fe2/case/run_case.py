"""Run files: checked completely, the cells that they name included, without DOLFINx."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import create_model

from fe2.case.catalogue import meant_name
from fe2.case.cell_case import CellCase, cell_in_table
from fe2.case.fields import Field, understand_fields
from fe2.case.generators import MESH_GENERATORS, check_parameters, generator_model
from fe2.case.materials import Material, understand_material
from fe2.case.mesh_parts import MeshParts, check_components, check_groups, check_names, mesh_parts
from fe2.case.picture_checks import check_pictures
from fe2.case.point_fields import PointField, check_point_fields
from fe2.case.problems import Key, Problems
from fe2.case.repair import only_source, repaired, without_keys_of_others
from fe2.case.run_checks import check_box, check_run
from fe2.case.run_physics import physics_of_laws, unknowns_of_laws
from fe2.case.run_tables import BoxMesh, FileMesh, GeneratorMesh, LawPlace, ModelPlace, RunFile
from fe2.case.toml_file import read_toml
from fe2.errors import InputError
from fe2.micro.model_table import DEFAULT_MODEL, MODELS, CellModel, ModelTable
from fe2.micro.points import TURNED_BY
from fe2.physics.physics_table import PHYSICS, Physics
from fe2.registry import suggestion
from fe2.table import Table

SOURCES: dict[str, type[Table]] = {"box": BoxMesh, "file": FileMesh, "generator": GeneratorMesh}


@dataclass(frozen=True)
class Law:
    """A law of the macroscopic problem.

    Attributes:
        place: Where it holds, and what is stored there besides.
        physics_name: Name of its physics.
        model: The micro model at every quadrature point, with its keys, or None where there is none.
        cell: The cell of the model, where it has one.
        material: The law itself, where there is no micro model.
    """

    place: LawPlace
    physics_name: str
    model: ModelTable | None = None
    cell: CellCase | None = None
    material: Material | None = None

    @property
    def physics(self) -> Physics:
        """Its physics, with the keys of its cell, or as they are by default."""
        return PHYSICS[self.physics_name]() if self.cell is None else self.cell.physics

    @property
    def subdomain(self) -> int | str | None:
        """Physical group in which it holds, or None."""
        group: int | str | None = self.place.subdomain
        return group

    @property
    def storage(self) -> float:
        """What a unit of volume stores where the unknown rises by one."""
        return self.place.storage

    @property
    def closed(self) -> tuple[str, ...]:
        """Components of the gradient that need no resistance."""
        return self.place.closed if isinstance(self.place, ModelPlace) else ()

    @property
    def rotated(self) -> bool:
        """Whether the axes of the cell are turned at each point."""
        return isinstance(self.place, ModelPlace) and self.place.rotated

    @property
    def parameters(self) -> Mapping[str, PointField]:
        """Parameters of the points by name."""
        return self.place.parameters if isinstance(self.place, ModelPlace) else {}

    @property
    def kind(self) -> str:
        """Name of the micro model, or "formula"."""
        return self.place.model if isinstance(self.place, ModelPlace) else "formula"

    def stores(self, meaning: str) -> bool:
        """Whether micro models store anything of an unknown of the physics."""
        return self.model is not None and meaning in self.physics.values


@dataclass(frozen=True)
class RunCase:
    """A run file as it was understood.

    Attributes:
        file: The file; paths in it are relative to its folder.
        mesh: Table of the mesh.
        physics_name: Name of the physics of laws without a cell, where they have none of their own.
        fields: The macroscopic unknowns.
        laws: Laws by name.
        tables: All other tables.
    """

    file: Path
    mesh: Table
    physics_name: str | None
    fields: Sequence[Field]
    laws: Mapping[str, Law]
    tables: RunFile

    @property
    def physics_names(self) -> tuple[str, ...]:
        """Names of the physics of all laws."""
        return tuple(dict.fromkeys(law.physics_name for law in self.laws.values()))

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
    parts = mesh_parts(mesh)
    dim = None if parts is None else parts.dim
    contents = table.get("laws") if isinstance(table.get("laws"), dict) else {}
    assert isinstance(contents, dict)
    count = len(problems.lines)
    common, named = physics_of_laws(table.get("physics"), contents, problems)
    laws = {
        name: _understand_model(content, named[name], dim, problems, ("laws", name))
        if isinstance(content, dict) and ("cell" in content or "model" in content)
        else _understand_law(content, named[name], problems, ("laws", name))
        for name, content in contents.items()
    }
    found = {name: law for name, law in laws.items() if law is not None}
    if len(problems.lines) > count:
        problems.broken.append(("laws", ""))  # some law, unlike those that were understood
    if tables is None:
        return None
    check_names(tables, problems)
    if parts is not None:
        check_groups(tables, contents, parts, problems)
    if not any(named.values()):
        return None
    physics = {
        name: PHYSICS[own]() if (law := laws[name]) is None else law.physics
        for name, own in named.items()
        if own is not None
    }
    fields = understand_fields(tables, unknowns_of_laws(physics, problems), problems)
    _check_together(tables, fields, found, parts, problems)
    if problems.lines or mesh is None:
        return None
    return RunCase(problems.file, mesh, common, fields, found, tables)


def _check_together(
    tables: RunFile,
    fields: Sequence[Field],
    laws: Mapping[str, Law],
    parts: MeshParts | None,
    problems: Problems,
) -> None:
    """Check what concerns several tables, as far as they were understood."""
    check_run(tables, fields, laws, problems)
    if parts is not None:
        count = len(problems.lines)
        check_components(tables, fields, parts.dim, problems)
        if len(problems.lines) > count:
            problems.broken.append(("boundary", ""))  # some component, by which columns are named
    check_pictures(tables, fields, laws, (2, 3) if parts is None else (parts.dim,), problems)


def _axes(box: object) -> int:
    return len(box) if isinstance(box, list) else 2


def _understand_mesh(table: dict[str, Any], problems: Problems) -> Table | None:
    """The macroscopic mesh: a box, a file or a generator, exactly one of them."""
    source = only_source(table, SOURCES, "a mesh", problems, ("mesh",))
    if source is None:
        return None
    model = SOURCES[source]
    if source == "generator":
        name = table["generator"]
        if name not in MESH_GENERATORS:
            problems.add(("mesh", "generator"), suggestion(str(name), MESH_GENERATORS), name)
            return None
        model = generator_model(name, GeneratorMesh)
    mesh = repaired(model, table, problems, ("mesh",), {"cells": [1] * _axes(table.get("box"))})
    if isinstance(mesh, BoxMesh):
        check_box(mesh, problems)
    if isinstance(mesh, FileMesh):
        problems.check_file(mesh.file, ("mesh", "file"))
    if isinstance(mesh, GeneratorMesh):
        check_parameters(mesh.generator, mesh, problems, ("mesh",))
    return mesh


@cache
def model_of_law(model: type[ModelTable]) -> type[ModelTable]:
    """Model of the table of a law that is a micro model: its place, and the keys of the micro model."""
    bases: Any = (ModelPlace, model)
    return create_model(f"Law_{model.__name__}", __base__=bases, __doc__=model.__doc__)


def file_keys(table: ModelTable) -> list[str]:
    """Keys of a micro model that name files, and are given."""
    named = {
        name
        for name, info in type(table).model_fields.items()
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("format") == "path"
    }
    return [name for name in named if getattr(table, name) is not None]


def _understand_model(
    table: dict[str, Any], physics: str | None, dim: int | None, problems: Problems, key: Key
) -> Law | None:
    """A law that is a micro model, whose keys stand beside its name and its place."""
    name = table.get("model", DEFAULT_MODEL)
    meant = name if name in MODELS else meant_name(name, MODELS)
    if meant != name:
        problems.add((*key, "model"), f"this micro model is not installed; {MODELS.meant(str(name))}", name)
    if meant is None:
        _understand_cell(table, None, problems, key)
        return None
    try:
        model = model_of_law(MODELS[meant])
    except InputError as error:
        problems.add((*key, "model"), str(error), name)
        return None
    kept = without_keys_of_others(table, model, f'model = "{meant}"', _keys_by_model, problems, key)
    found = repaired(model, {**kept, "model": meant}, problems, key)
    cell = _understand_cell(table, found, problems, key) if issubclass(model, CellModel) else None
    if found is None or physics is None or (cell is None and isinstance(found, CellModel)):
        return None
    for file in file_keys(found):
        problems.check_file(getattr(found, file), (*key, file))
    assert isinstance(found, ModelPlace)
    check_point_fields(found.parameters, asked_for(found, dim), dim, problems, (*key, "parameters"))
    return Law(found, physics, model=found, cell=cell)


def asked_for(law: Any, dim: int | None) -> tuple[str, ...]:
    """Parameters of points that a micro model asks for, and its axes where they are turned."""
    turned = TURNED_BY.get(dim or 0, "rotation" if "rotation" in law.parameters else "angle")
    return (*law.asks_for, turned) if law.rotated else law.asks_for


def _keys_by_model() -> dict[str, Collection[str]]:
    return {f'model = "{name}"': found.model_fields for name, found in MODELS.sound().items()}


def _understand_cell(
    table: dict[str, Any], found: ModelTable | None, problems: Problems, key: Key
) -> CellCase | None:
    """The cell of a law, from the law's table or from a file of its own."""
    if isinstance(table.get("cell"), dict) or isinstance(found, CellModel):
        return cell_in_table(table, problems, key)
    return None


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
        text = "a law is needed: cell (a file or a table), model with its keys, or law with its parameters"
        problems.add(key, text)
        return None
    material = understand_material(rest, physics, problems, key, places)
    if own is None or material is None:
        return None
    return Law(own, physics, material=material)
