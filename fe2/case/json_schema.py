"""The JSON Schema of case files, for editors: from the same models that check them."""

from __future__ import annotations

from typing import Any, Literal, Union

from pydantic import Field, create_model

import fe2.case.cell_tables as cells
import fe2.case.run_tables as run
from fe2.case.catalogue import cell_model, sound_laws
from fe2.case.generators import CELLS, MESH_GENERATORS, generator_model
from fe2.case.run_case import model_of_law
from fe2.micro.model_table import DEFAULT_MODEL, MODELS, CellModel, ModelTable
from fe2.physics.physics_table import PHYSICS
from fe2.table import Table

Kind = Literal["cell", "run"]


def json_schema(kind: Kind) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of cell files or run files."""
    model = cell_file() if kind == "cell" else run_file()
    schema = model.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": f"fe2 {kind} file"}


def cell_file() -> type[Table]:
    """Model of a cell file with all that may stand in it."""
    return create_model("CellFile", __base__=cells.CellFile, cell=_cells(), phases=_phases())


def run_file() -> type[Table]:
    """Model of a run file with all that may stand in it."""
    generated = [generator_model(name, run.GeneratorMesh) for name in MESH_GENERATORS]
    cell, phases = _cells(), _phases()
    models = [_named(name, model, cell, phases) for name, model in MODELS.sound().items()]
    laws: Any = dict[str, _union([*models, *_laws(run.LawPlace)])]  # type: ignore[misc]
    return create_model(
        "RunFile",
        __base__=run.RunFile,
        mesh=(_union([run.BoxMesh, run.FileMesh, *generated]), _described(run.RunFile, "mesh")),
        laws=(laws, _described(run.RunFile, "laws")),
    )


def _named(name: str, model: type[ModelTable], cell: Any, phases: Any) -> type[Table]:
    """Model of a law of one micro model, with its cell in full where it has one."""
    key = Literal[name]  # type: ignore[valid-type]
    fields: dict[str, Any] = {"model": (key, name if name == DEFAULT_MODEL else ...)}
    if issubclass(model, CellModel):
        fields["cell"] = (str | cell[0], _described(CellModel, "cell"))
        fields["phases"] = (phases[0] | None, _described(CellModel, "phases", None))
    return create_model(f"Law_{name}", __base__=model_of_law(model), __doc__=model.__doc__, **fields)


def _cells() -> tuple[Any, Any]:
    """The cells of all geometries, with the keys of all physics."""
    generated = [generator_model(name, cells.GeneratorCell) for name in CELLS.sound()]
    geometries: list[Any] = [cells.ImageCell, cells.MeshCell, *generated]
    return _union([_of_any_physics(geometry) for geometry in geometries]), _described(cells.CellFile, "cell")


def _of_any_physics(geometry: type[cells.CellTable]) -> type[cells.CellTable]:
    model = geometry
    for physics in PHYSICS.sound().values():
        model = cell_model(model, physics)
    return create_model(geometry.__name__, __base__=model, __doc__=geometry.__doc__)


def _phases() -> tuple[Any, Any]:
    models = [*_laws(cells.PhaseTable), *map(_by_label, _laws(cells.MaterialsTable)), cells.FinerCell]
    return dict[str, _union(models)], _described(cells.CellFile, "phases")  # type: ignore[misc]


def _by_label(model: type[Table]) -> type[Table]:
    """The model of a law any of whose parameters may stand in a table of materials instead."""
    fields: dict[str, Any] = {
        name: (info.annotation, Field(None, description=info.description))
        for name, info in model.model_fields.items()
        if info.is_required() and name not in ("law", "table")
    }
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields)


def _laws(base: type[Table]) -> list[type[Table]]:
    """Models of all laws of all physics, with the keys of `base`."""
    return [
        create_model(f"{law}_{base.__name__}", __base__=(base, model), __doc__=f"{physics}: {model.__doc__}")
        for physics in PHYSICS.sound()
        for law, model in sound_laws(physics).items()
    ]


def _union(models: list[Any]) -> Any:
    return Union[tuple(models)]  # noqa: UP007  # made of a list


def _described(model: type[Table], name: str, default: Any = ...) -> Any:
    return Field(default, description=model.model_fields[name].description)
