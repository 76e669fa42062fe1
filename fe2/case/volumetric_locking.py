"""Warnings of volumetric locking from a case file alone, where its tables tell the elements."""

from __future__ import annotations

from fe2.case.cell_case import CellCase
from fe2.case.cell_tables import GeneratorCell
from fe2.case.generators import is_own
from fe2.case.run_case import Law, RunCase
from fe2.case.run_tables import BoxMesh, GeneratorMesh
from fe2.physics.law import isochoric_phases
from fe2.table import Table
from fe2.volumetric_locking import warn_of_locking

_SPACE = ("simple_cubic", "random_spheres", "tapered_bar")
"""Generators of meshes in space whatever their parameters."""


def warn_of_locking_in_cell(case: CellCase) -> None:
    """Warn where a generator makes simplices of first order for phases that keep their volume."""
    for part in case.with_finer():
        cell = part.cell
        if isinstance(cell, GeneratorCell) and is_own(cell.generator):
            degree = cell.degree or vars(cell)["order"]
            warn_of_locking(f"{part.file}: the cell", _shape(cell, cell.generator), degree, _isochoric(part))


def warn_of_locking_in_run(case: RunCase) -> None:
    """Warn of the cells, and of the macroscopic mesh where it is no file."""
    cells = {law.cell.file: law.cell for law in case.laws.values() if law.cell is not None}
    for cell in cells.values():
        warn_of_locking_in_cell(cell)
    mesh, shape = case.mesh, ""
    if isinstance(mesh, BoxMesh):
        shape = mesh.element or ""
    elif isinstance(mesh, GeneratorMesh):
        shape = _shape(mesh, mesh.generator)
    for name, law in case.laws.items():
        found = _isochoric_law(name, law)
        warn_of_locking(f"{case.file}: the macroscopic mesh", shape, case.tables.field.degree, found)


def _shape(table: Table, generator: str) -> str:
    """Cell type of the elements that a generator makes, where they are simplices."""
    values = vars(table)
    if values.get("elements") == "tensor":
        return ""
    space = generator in _SPACE or values.get("dim") == 3 or len(values.get("lengths") or ()) == 3
    return "tetrahedron" if space else "triangle"


def _isochoric(case: CellCase) -> tuple[str, ...]:
    return case.physics.keeps_volume(case.laws())


def _isochoric_law(name: str, law: Law) -> tuple[str, ...]:
    if law.cell is not None:
        return () if law.model is not None and law.model.linear else _isochoric(law.cell)
    return () if law.material is None else isochoric_phases({name: law.material.make(law.physics_name)})
