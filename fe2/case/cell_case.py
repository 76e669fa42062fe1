"""Cell files: checked completely, without DOLFINx and without reading images or meshes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from fe2.case.catalogue import cell_model, law_model, make_law, meant_physics
from fe2.case.cell_tables import (
    CellFile,
    CellTable,
    FinerCell,
    GeneratorCell,
    ImageCell,
    MaterialsTable,
    MeshCell,
    PhaseTable,
)
from fe2.case.generators import CELLS, check_parameters, generated_phases, generator_model
from fe2.case.image_size import image_size
from fe2.case.material_table import MaterialTable, read_material_table
from fe2.case.problems import CaseFileError, Key, Problems, parameter_of, unknown_key
from fe2.case.repair import refusals, repaired
from fe2.case.toml_file import read_toml
from fe2.errors import InputError
from fe2.physics.law import PhaseLaw
from fe2.physics.material_field import MaterialField
from fe2.physics.physics_table import PHYSICS, Physics, laws_of, own_keys
from fe2.registry import suggestion
from fe2.table import Table

_MOST_ROWS = 5
"""Rows of a table of materials whose refusals are told."""

SOURCES: dict[str, type[CellTable]] = {"image": ImageCell, "mesh": MeshCell, "generator": GeneratorCell}


@dataclass(frozen=True)
class Material:
    """A law and its parameters, as they are handed to the law's callable.

    Attributes:
        law: Name of the law.
        parameters: Parameters that hold for the whole phase.
        table: Parameters that differ from label to label, where some do.
        cell: The finer cell that is the law, where `law` is "cell".
    """

    law: str
    parameters: Mapping[str, Any]
    table: MaterialTable | None = None
    cell: CellCase | None = None

    def make(self, physics: str) -> Any:
        """The law itself.

        Raises:
            InputError: The law refuses its parameters.
        """
        if self.table is None:
            return make_law(physics, self.law, dict(self.parameters))

        def make(**parameters: Any) -> PhaseLaw:
            return make_law(physics, self.law, {**self.parameters, **parameters})

        return MaterialField(make, self.table.labels, **self.table.parameters())


@dataclass(frozen=True)
class Phase:
    """A phase: its label in the image or its physical group, or all its labels, and its material."""

    label: int | str | tuple[int | str, ...] | None
    material: Material

    @property
    def in_image(self) -> int | list[int]:
        """Its label or labels in an image."""
        if isinstance(self.label, tuple):
            return [label for label in self.label if isinstance(label, int)]
        return int(self.label or 0)


@dataclass(frozen=True)
class CellCase:
    """A cell file as it was understood.

    Attributes:
        file: The file; paths in it are relative to its folder.
        key: Where the cell stands in the file: nothing, or the key of a law in a run file.
        cell: The cell's table.
        phases: The phases by name.
        units: Units, in the words of the user.
    """

    file: Path
    key: Key
    cell: CellTable
    phases: Mapping[str, Phase]
    units: str

    @property
    def physics(self) -> Physics:
        """The cell's physics, with its keys."""
        physics: object = self.cell
        assert isinstance(physics, Physics)
        return physics

    def path(self, name: str) -> Path:
        """A path of the file, relative to the file's folder."""
        return self.file.parent / name

    def laws(self) -> dict[str, PhaseLaw]:
        """Laws of the phases, but of those that are finer cells, which need DOLFINx."""
        materials = {name: phase.material for name, phase in self.phases.items()}
        return {name: own.make(self.cell.physics) for name, own in materials.items() if own.cell is None}

    def with_finer(self) -> Iterator[CellCase]:
        """This cell, and those in its phases, and in theirs."""
        yield self
        for phase in self.phases.values():
            if phase.material.cell is not None:
                yield from phase.material.cell.with_finer()

    def warn_of_contrast(self) -> None:
        """Warn where the phases differ by too many orders of magnitude for double precision."""
        from fe2.physics.contrast import moduli_of, warn_of_contrast

        warn_of_contrast(moduli_of(self.laws()))


def read_cell_case(file: Path) -> CellCase:
    """Read and check a cell file.

    Raises:
        CaseFileError: Something is wrong; the message lists all of it.
    """
    problems = Problems(file)
    case = understand_cell(read_toml(file), problems)
    problems.raise_if_any()
    assert case is not None
    return case


def understand_cell(table: dict[str, Any], problems: Problems, key: Key = ()) -> CellCase | None:
    """The tables of a cell, from a cell file or from the table of a law.

    Args:
        table: What the file holds.
        problems: Receives what is wrong.
        key: Where the tables stand in the file.

    Returns:
        The cell, without what is wrong in it, or None where nothing is left.
    """
    whole = repaired(CellFile, table, problems, key, {"cell": {}, "phases": {"": {}}})
    tables = table if isinstance(table.get("cell"), dict) else {}
    cell = understand_geometry(tables["cell"], problems, (*key, "cell")) if tables else None
    name = meant_physics(tables["cell"].get("physics")) if tables else None
    phases = {}
    if name is not None and isinstance(table.get("phases"), dict):
        image = "image" in tables["cell"]
        phases = {
            phase: understand_phase(content, name, problems, (*key, "phases", phase), image)
            for phase, content in table["phases"].items()
        }
    _check_labels(table.get("phases"), phases, problems, (*key, "phases"))
    if isinstance(cell, GeneratorCell):
        _check_generated(cell, table.get("phases"), phases, problems, key)
    if cell is not None:
        _check_named(cell, phases, problems, (*key, "cell"))
    if whole is None or cell is None:
        return None
    found = {phase: content for phase, content in phases.items() if content is not None}
    return CellCase(problems.file, key, cell, found, whole.units)


def understand_geometry(table: dict[str, Any], problems: Problems, key: Key) -> CellTable | None:
    """The table of a cell: an image, a mesh or a generator, exactly one of them."""
    given = [source for source in SOURCES if source in table]
    if len(given) != 1:
        found = f"not of {' and '.join(given)} at once" if given else "and none is given"
        problems.add(key, f"a cell is made of one of image, mesh and generator, {found}")
        return None
    model: Any = SOURCES[given[0]]
    if given[0] == "generator":
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


def without_keys_of_others(
    table: dict[str, Any],
    model: type[Table],
    own: str,
    others: Callable[[], Mapping[str, Collection[str]]],
    problems: Problems,
    key: Key,
) -> dict[str, Any]:
    """A table without keys that only others of its kind have.

    Args:
        table: What the file holds.
        model: Model of the table.
        own: Name of what it is a table of.
        others: () ↦ keys of all of that kind, by name; asked where there is an unknown key.
        problems: Receives what is wrong.
        key: Where the table stands.
    """
    kept = dict(table)
    for name in table.keys() - model.model_fields.keys():
        if owners := [other for other, keys in others().items() if name in keys]:
            text = f"{own} has no such key; it belongs to {' and '.join(owners)}"
            problems.add((*key, name), text, kept.pop(name))
    return kept


def _check_files(cell: CellTable, problems: Problems, key: Key) -> None:
    name = getattr(cell, "image", None) or getattr(cell, "mesh", None)
    if name is not None:
        check_file(name, problems, (*key, "image" if isinstance(cell, ImageCell) else "mesh"))
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


def check_file(name: str, problems: Problems, key: Key) -> None:
    """Refuse a path that is no file."""
    try:
        found = (problems.file.parent / name).is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        folder = problems.file.parent
        problems.add(
            key, f"there is no such file; paths are relative to the case file's folder, {folder}", name
        )


def understand_phase(table: object, physics: str, problems: Problems, key: Key, image: bool) -> Phase | None:
    """The table of a phase: its label, and a law with its parameters."""
    if not isinstance(table, dict):
        problems.add(key, "a table is needed", table)
        return None
    if table.get("law") == "cell":
        own = _label(table, problems, key, image)
        finer = _finer_cell(table, physics, problems, key)
        return None if own is None or finer is None else Phase(own.label, finer)
    if "table" in table:
        return _phase_of_table(table, physics, problems, key, image)
    own = _label(table, problems, key, image)
    rest = {name: value for name, value in table.items() if name != "label"}
    material = understand_material(rest, physics, problems, key, ("label", "table"))
    return None if own is None or material is None else Phase(own.label, material)


def _label(table: dict[str, Any], problems: Problems, key: Key, image: bool) -> PhaseTable | None:
    """The label of a phase."""
    if image and isinstance(table.get("label", ""), str):
        given = (table["label"],) if "label" in table else ()
        text = "a whole number is needed, the label of the phase in the image"
        problems.add((*key, "label"), text if given else f"is missing: {text}", *given)
        return None
    return repaired(PhaseTable, {"label": table["label"]} if "label" in table else {}, problems, key)


def _finer_cell(table: dict[str, Any], physics: str, problems: Problems, key: Key) -> Material | None:
    """A phase that is made of finer cells."""
    rest = {name: value for name, value in table.items() if name != "label"}
    own = repaired(FinerCell, rest, problems, key)
    if own is None:
        return None
    cell = cell_in_table(table, problems, key)
    if cell is None:
        return None
    if cell.cell.physics != physics:
        text = f"its physics is {cell.cell.physics}, but that of the cell around it is {physics}"
        problems.add((*key, "cell"), text)
        return None
    parameters = own.model_dump(exclude={"law", "label", "cell", "phases"}, exclude_none=True)
    return Material("cell", parameters, cell=cell)


def cell_in_table(table: Mapping[str, Any], problems: Problems, key: Key) -> CellCase | None:
    """The cell that a table describes by `cell` and `phases`, or that of the file that it names."""
    cell = table.get("cell")
    if isinstance(cell, dict):
        tables = {name: table[name] for name in ("cell", "phases") if name in table}
        return understand_cell(tables, problems, key)
    if not isinstance(cell, str):
        problems.add((*key, "cell"), "a cell file in quotes is needed, or the cell's table", cell)
        return None
    if table.get("phases") is not None:
        problems.add((*key, "phases"), f"the phases stand in the cell file, {cell}")
        return None
    return _cell_of_file(cell, problems, (*key, "cell"))


def _cell_of_file(name: str, problems: Problems, key: Key) -> CellCase | None:
    """A cell from a file of its own, whose problems are told under that file's name."""
    count = len(problems.lines)
    check_file(name, problems, key)
    if len(problems.lines) > count:
        return None
    inner = Problems(problems.file.parent / name, around=(*problems.around, problems.file))
    if any(inner.file.samefile(file) for file in inner.around if file.is_file()):
        way = " → ".join(str(file.name) for file in (*inner.around, inner.file))
        problems.add(key, f"a cell cannot be in a phase of itself: {way}", name)
        return None
    try:
        cell = understand_cell(read_toml(inner.file), inner)
    except CaseFileError as error:
        inner.lines.append(str(error))
        cell = None
    problems.lines.extend(inner.lines)
    return cell


def _phase_of_table(
    table: dict[str, Any], physics: str, problems: Problems, key: Key, image: bool
) -> Phase | None:
    """A phase whose labels and parameters stand in a table of materials."""
    if "label" in table:
        text = "the labels of the phase stand in its table of materials"
        problems.add((*key, "label"), text, table["label"])
    own = repaired(MaterialsTable, {"table": table["table"]}, problems, key)
    law = table.get("law", PHYSICS[physics].default_law)
    rest = {name: value for name, value in table.items() if name not in ("label", "table")}
    if own is None or law not in laws_of(physics):
        understand_material(rest, physics, problems, key, ("table",))
        return None
    try:
        names = [name for name in law_model(physics, str(law)).model_fields if name != "law"]
        found = read_material_table(problems.file.parent, own.table, names)
    except InputError as error:
        problems.add((*key, "table"), str(error), own.table)
        return None
    for name in rest.keys() & found.made_of.keys():
        problems.add((*key, name), f"the table has it too, as {', '.join(found.made_of[name])}", rest[name])
    if text := "".join(f"label {label!r}" for label in found.labels if image and isinstance(label, str))[:70]:
        problems.add(
            (*key, "table"), f"{found.file}: {text}: labels of an image are whole numbers", own.table
        )
    first = {name: values[0] for name, values in found.parameters().items()}
    count = len(problems.lines)
    _check_rows({**rest, "law": law}, found, physics, problems, (*key, "table"))
    if len(problems.lines) > count:
        return None
    material = understand_material({**rest, **first}, physics, problems, key, ("table",))
    if material is None:
        return None
    common = {name: value for name, value in material.parameters.items() if name not in first}
    return Phase(found.labels, Material(material.law, common, found))


def _check_rows(
    table: dict[str, Any], found: MaterialTable, physics: str, problems: Problems, key: Key
) -> None:
    """Ask the law whether it accepts the parameters of each row; its first refusals are told."""
    model = law_model(physics, table["law"])
    common = {name: value for name, value in table.items() if name in model.model_fields and name != "law"}
    needed = {name for name, info in model.model_fields.items() if info.is_required() and name != "law"}
    if needed - common.keys() - found.made_of.keys():
        return  # told where the parameters that hold for all are understood
    rows, refused = found.parameters(), 0
    for row in range(len(found.labels)):
        given = {**common, **{name: values[row] for name, values in rows.items()}}
        try:
            make_law(physics, table["law"], given)
        except InputError as error:
            if parameter_of(str(error), common) is not None or refused == _MOST_ROWS:
                return
            refused += 1
            place = found.place(row, parameter_of(str(error), found.made_of))
            problems.add(key, f"{place}: {error}", found.name)


def _check_named(cell: CellTable, phases: Mapping[str, object], problems: Problems, key: Key) -> None:
    """The phases that keys of the physics name."""
    physics: object = cell
    for place, name in physics.named_phases().items() if isinstance(physics, Physics) else ():
        if name not in phases:
            problems.add((*key, *place), f"no phase has this name; {suggestion(name, list(phases))}", name)


def _check_labels(table: object, phases: Mapping[str, Phase | None], problems: Problems, key: Key) -> None:
    """Each label belongs to one phase."""
    owners: dict[object, str] = {}
    for name, content in table.items() if isinstance(table, dict) else ():
        phase = phases.get(name)
        given = content.get("label") if isinstance(content, dict) else None
        of_table = phase.label if phase is not None and isinstance(phase.label, tuple) else ()
        for label in of_table or ([given] if isinstance(given, int | str) else []):
            if label in owners:
                text = f"phase {owners[label]!r} has the same label; each phase needs its own"
                problems.add((*key, name, "table" if of_table else "label"), text, label)
            owners[label] = name


def _check_generated(
    cell: GeneratorCell, table: object, phases: Mapping[str, Phase | None], problems: Problems, key: Key
) -> None:
    """Each phase that the generator makes has a table, and no table is without a phase."""
    if any(problems.touches(*key, "cell", name) for name in ("fractions", "grains")) or not phases:
        return
    if not (made := generated_phases(cell.generator, cell)):
        return
    assert isinstance(table, dict)
    groups: dict[str, tuple[object, ...]] = {}
    for name, content in table.items():
        label = content.get("label") if isinstance(content, dict) else None
        phase = phases.get(name)
        of_table = phase.label if phase is not None and isinstance(phase.label, tuple) else None
        groups[name] = of_table or (name if label is None else label,)
    named = [group for own in groups.values() for group in own]
    for name, own in groups.items():
        for group in own:
            if isinstance(group, str) and group not in made:
                text = f"{cell.generator} makes no phase {group!r}; {suggestion(group, made)}"
                problems.add((*key, "phases", name), text)
    if all(isinstance(group, str) for group in named):
        for group in made:
            if group not in named:
                text = f"is missing: {cell.generator} makes this phase, and it needs a law"
                problems.add((*key, "phases", group), text)


def understand_material(
    table: dict[str, Any], physics: str, problems: Problems, key: Key, beside: tuple[str, ...]
) -> Material | None:
    """A law with its parameters; the law itself is asked whether it accepts them.

    Args:
        table: The key `law` and the parameters.
        physics: Name of the physics.
        problems: Receives what is wrong.
        key: Where the table stands.
        beside: Other keys of the table, for messages.
    """
    laws = [*laws_of(physics), *(["cell"] if "label" in beside else [])]
    law = table.get("law", PHYSICS[physics].default_law)
    if law is None:
        problems.add((*key, "law"), f"is missing; the laws of {physics} are {', '.join(laws)}")
        return None
    if not isinstance(law, str) or law not in laws:
        problems.add((*key, "law"), f"{physics} has no such law; {suggestion(str(law), laws)}", law)
        return None
    try:
        model = law_model(physics, law)
    except InputError as broken:
        problems.add((*key, "law"), str(broken), law)
        return None
    unknown = [name for name in table if name not in model.model_fields]
    for name in unknown:
        problems.add((*key, name), unknown_key(name, [*beside, *model.model_fields]), table[name])
    known = {name: value for name, value in table.items() if name not in unknown}
    count = len(problems.lines)
    found = repaired(model, known, problems, key, _any_number(model.model_fields))
    if found is None:
        return None
    values = {name: getattr(found, name) for name in model.model_fields if name in found.model_fields_set}
    values.pop("law", None)
    optional = [name for name, info in model.model_fields.items() if not info.is_required()]
    for error in refusals(lambda given: Material(law, given).make(physics), values, optional):
        if PHYSICS[physics].empty.startswith("law") and "= 0.0 is not admissible" in str(error):
            error = InputError(f"{error}; a phase that carries nothing has {PHYSICS[physics].empty}")
        problems.add_refused(key, error, model.model_fields, values)
    return None if unknown or len(problems.lines) > count else Material(law, values)


def _any_number(fields: Mapping[str, FieldInfo]) -> dict[str, float]:
    """Numbers in the place of those that a law needs and that are missing or no numbers."""
    return {name: 1.0 for name, info in fields.items() if info.annotation in (float, Any)}
