"""The JSON Schema of case files, for editors: from the same models that check them."""

from __future__ import annotations

from typing import Any, Literal, Union

from pydantic import Field, create_model

from fe2.case.catalogue import PHYSICS, law_model
from fe2.case.cell_tables import CellFile, GeneratorCell, ImageCell, MeshCell, PhaseTable
from fe2.case.generators import CELL_GENERATORS, MESH_GENERATORS, generator_model
from fe2.case.run_tables import BoxMesh, CellLaw, FileMesh, GeneratorMesh, LawPlace, RunFile
from fe2.case.table import Table

Kind = Literal["cell", "run"]


def json_schema(kind: Kind) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of cell files or run files."""
    model = cell_file() if kind == "cell" else run_file()
    schema = model.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": f"fe2 {kind} file"}


def cell_file() -> type[Table]:
    """Model of a cell file with all that may stand in it."""
    return create_model("CellFile", __base__=CellFile, cell=_cells(), phases=_phases())


def run_file() -> type[Table]:
    """Model of a run file with all that may stand in it."""
    generators = [generator_model(name, GeneratorMesh) for name in MESH_GENERATORS]
    cell, phases = _cells(), _phases()
    own = create_model(
        "CellLaw",
        __base__=CellLaw,
        cell=(str | cell[0], _described(CellLaw, "cell")),
        phases=(phases[0] | None, _described(CellLaw, "phases", None)),
    )
    laws: Any = (dict[str, _union([own, *_laws(LawPlace)])], _described(RunFile, "laws"))  # type: ignore[misc]
    mesh: Any = (_union([BoxMesh, FileMesh, *generators]), _described(RunFile, "mesh"))
    return create_model("RunFile", __base__=RunFile, mesh=mesh, laws=laws)


def _cells() -> tuple[Any, Any]:
    generators = [generator_model(name, GeneratorCell) for name in CELL_GENERATORS]
    return _union([ImageCell, MeshCell, *generators]), _described(CellFile, "cell")


def _phases() -> tuple[Any, Any]:
    return dict[str, _union(_laws(PhaseTable))], _described(CellFile, "phases")  # type: ignore[misc]


def _laws(base: type[Table]) -> list[type[Table]]:
    """Models of all laws of all physics, with the keys of `base`."""
    return [
        create_model(
            f"{law}_{base.__name__}", __base__=(base, law_model(physics, law)), __doc__=law_doc(physics, law)
        )
        for physics, entry in PHYSICS.items()
        for law in entry.laws
    ]


def law_doc(physics: str, law: str) -> str:
    """One line about a law."""
    return f"{physics}: {law_model(physics, law).__doc__}"


def _union(models: list[Any]) -> Any:
    return Union[tuple(models)]  # noqa: UP007  # made of a list


def _described(model: type[Table], name: str, default: Any = ...) -> Any:
    return Field(default, description=model.model_fields[name].description)
