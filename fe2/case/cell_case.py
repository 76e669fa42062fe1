"""Cell files: checked completely, without DOLFINx and without reading images or meshes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fe2.case.catalogue import meant_physics
from fe2.case.cell_geometry import understand_geometry
from fe2.case.cell_tables import CellFile, CellTable, FinerCell, GeneratorCell, PhaseTable
from fe2.case.generators import generated_phases
from fe2.case.materials import Material, material_of_table, understand_material
from fe2.case.problems import CaseFileError, Key, Problems
from fe2.case.repair import repaired
from fe2.case.toml_file import read_toml
from fe2.physics.law import PhaseLaw
from fe2.physics.physics_table import Physics
from fe2.registry import suggestion


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
        if "label" in table:
            text = "the labels of the phase stand in its table of materials"
            problems.add((*key, "label"), text, table["label"])
        material = material_of_table(table, physics, problems, key, image)
        return None if material is None or material.table is None else Phase(material.table.labels, material)
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
    if not problems.check_file(name, key):
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
    broken = [table[name] for name, phase in phases.items() if phase is None]
    if any(isinstance(content, dict) and "table" in content for content in broken):
        return  # labels of a table that could not be understood
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
