"""The physics of the laws of a run: several may stand side by side where they have unknowns in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fe2.case.catalogue import meant_physics
from fe2.case.problems import CaseFileError, Problems
from fe2.case.toml_file import read_toml
from fe2.physics.physics_table import PHYSICS, Kind, Physics


def physics_of_laws(
    stated: object, laws: Mapping[str, object], problems: Problems
) -> tuple[str | None, dict[str, str | None]]:
    """The physics that is common to laws without a cell, and that of each law, None where it cannot be told.

    Args:
        stated: What the run file says.
        laws: The tables of the laws, as the file has them.
        problems: Receives what does not fit together.
    """
    tables = {name: table if isinstance(table, dict) else {} for name, table in laws.items()}
    cells = {
        name: _of_cell(table["cell"], problems.file.parent)
        for name, table in tables.items()
        if "cell" in table
    }
    found = sorted(set(filter(None, cells.values())))
    common = stated if stated is not None else found[0] if len(found) == 1 else None
    common = common if isinstance(common, str) and common in PHYSICS.sound() else None
    named: dict[str, str | None] = {}
    for name, table in tables.items():
        own, key = table.get("physics"), ("laws", name, "physics")
        named[name] = cells[name] if name in cells else common if own is None else meant_physics(own)
        if own is not None and name in cells and cells[name] not in (None, own):
            problems.add(
                key, f"the physics of the cell is {cells[name]}; this key is for laws without one", own
            )
        if own is None and name not in cells and stated is None and len(found) > 1:
            problems.add(key, f"is missing: the cells of this run are of {' and '.join(found)}")
    if stated is None and not any(named.values()) and not problems.lines:
        problems.add(("physics",), f"is missing, and no law has a cell; it is one of {', '.join(PHYSICS)}")
    if common is not None and tables and None not in named.values() and common not in named.values():
        problems.add(("physics",), f"no law is of it; the cells are of {' and '.join(found)}", common)
    return common, named


def unknowns_of_laws(physics: Mapping[str, Physics], problems: Problems) -> dict[str, Kind]:
    """Unknowns of the laws of a run and what they are, those of the law with the most of them first.

    Args:
        physics: Physics of each law.
        problems: Receives physics that have nothing in common.
    """
    unknowns = {law: own.unknowns for law, own in physics.items()}
    found: dict[str, Kind] = {}
    for law in sorted(unknowns, key=lambda law: -len(unknowns[law])):
        own = unknowns[law]
        if found and not own.items() & found.items():
            title, others = physics[law].title, ", ".join(found)
            text = f"{title} has {', '.join(own)}, and none of the others' unknowns: {others}"
            problems.add(("laws", law), text)
        found |= {name: kind for name, kind in own.items() if name not in found}
    return found


def _of_cell(cell: Any, folder: Path) -> str | None:
    """The physics that the cell of a law states, whatever else may be wrong there."""
    if isinstance(cell, str):
        try:
            cell = read_toml(folder / cell).get("cell")
        except (CaseFileError, ValueError):
            return None
    return meant_physics(cell.get("physics")) if isinstance(cell, dict) else None
