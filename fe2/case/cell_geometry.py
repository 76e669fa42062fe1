"""The table of a cell: an image, a mesh or a generator, with the keys of its physics."""

from __future__ import annotations

from typing import Any

from fe2.case.catalogue import cell_model, meant_physics
from fe2.case.cell_tables import CellTable, GeneratorCell, ImageCell, MeshCell
from fe2.case.generators import CELLS, check_parameters, generator_model
from fe2.case.image_size import image_size
from fe2.case.problems import Key, Problems
from fe2.case.repair import only_source, repaired, without_keys_of_others
from fe2.errors import InputError
from fe2.physics.physics_table import PHYSICS, own_keys

SOURCES: dict[str, type[CellTable]] = {"image": ImageCell, "mesh": MeshCell, "generator": GeneratorCell}


def understand_geometry(table: dict[str, Any], problems: Problems, key: Key) -> CellTable | None:
    """The table of a cell: an image, a mesh or a generator, exactly one of them."""
    source = only_source(table, SOURCES, "a cell", problems, key)
    if source is None:
        return None
    model: Any = SOURCES[source]
    if source == "generator":
        name = table["generator"]
        if name not in CELLS:
            problems.add((*key, "generator"), CELLS.meant(str(name)), name)
            return None
        model = generator_model(name, GeneratorCell)
    meant = meant_physics(table.get("physics"))
    if meant is not None:
        model = cell_model(model, PHYSICS[meant])
        table = without_keys_of_others(table, model, meant, _keys_by_physics, problems, key)
    cell: CellTable | None = repaired(
        model, table, problems, key, {} if meant is None else {"physics": meant}
    )
    if cell is None:
        return None
    _check_files(cell, problems, key)
    if isinstance(cell, GeneratorCell):
        check_parameters(cell.generator, cell, problems, key)
    return cell


def _keys_by_physics() -> dict[str, list[str]]:
    return {name: own_keys(found) for name, found in PHYSICS.sound().items()}


def _check_files(cell: CellTable, problems: Problems, key: Key) -> None:
    name = getattr(cell, "image", None) or getattr(cell, "mesh", None)
    if name is not None:
        problems.check_file(name, (*key, "image" if isinstance(cell, ImageCell) else "mesh"))
    if isinstance(cell, ImageCell):
        _check_image(cell, problems, key)


def _check_image(cell: ImageCell, problems: Problems, key: Key) -> None:
    """Refuse what the header of an image tells to be wrong, or does not fit it."""
    count = len(problems.lines)
    for needed in ("shape", "dtype") if cell.image.lower().endswith(".raw") else ():
        if getattr(cell, needed) is None:
            text = str(ImageCell.model_fields[needed].description)
            problems.add((*key, needed), f"is missing; raw voxels have no header. {text}")
    if len(problems.lines) == count and (problems.file.parent / cell.image).is_file():
        try:
            image_size(cell, problems.file.parent)
        except InputError as error:
            of_file = str(error).startswith(f"{problems.file.parent / cell.image}: ")
            place = (*key, "image") if of_file else key
            problems.add_refused(place, error, ImageCell.model_fields, cell.model_dump())
