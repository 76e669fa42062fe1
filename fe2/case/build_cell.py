"""From a cell file to a cell and a representative volume element."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mpi4py import MPI

from fe2.case.cell_case import CellCase
from fe2.case.cell_tables import GeneratorCell, ImageCell, MeshCell
from fe2.case.generated_mesh import generated_mesh
from fe2.case.generators import generator_parameters
from fe2.case.image_size import image_size
from fe2.case.located import located
from fe2.case.materials import Material
from fe2.code_cache import check_cache
from fe2.errors import InputError
from fe2.io.images import read_image
from fe2.micro.cell import Cell
from fe2.micro.cell_law import cell_law
from fe2.micro.image_cell import image_cell
from fe2.micro.mesh_cell import read_cell
from fe2.micro.newton import NewtonOptions
from fe2.micro.rotated import rotated
from fe2.micro.rve import RVE
from fe2.physics.law import PhaseLaw


def build_rve(case: CellCase, options: NewtonOptions | None = None) -> RVE:
    """The representative volume element of a cell file, on this process alone.

    Raises:
        CaseFileError: Image, mesh, phases or laws do not fit together; the message names file and key.
    """
    return build_cell_and_rve(case, options)[1]


def build_cell_and_rve(case: CellCase, options: NewtonOptions | None = None) -> tuple[Cell, RVE]:
    """The whole cell, with what neither conducts nor flows, beside its representative volume element.

    Raises:
        CaseFileError: As :func:`build_rve`.
        InputError: There is no place for compiled code, which cells with a mesh need.
    """
    if not isinstance(case.cell, ImageCell):
        check_cache()
    laws = phase_laws(case, options)
    with located(case):
        cell = build_cell(case)
        rve: RVE = case.physics.rve(
            cell, laws, boundary=case.cell.boundary, degree=case.cell.degree, options=options
        )
    return cell, rve


def phase_laws(case: CellCase, options: NewtonOptions | None = None) -> dict[str, PhaseLaw]:
    """The law of each phase; of those that are finer cells, these are built.

    Args:
        case: A cell file.
        options: When cells count as solved.

    Raises:
        CaseFileError: A finer cell cannot be made; the message names file and key.
    """
    finer = {name: phase.material for name, phase in case.phases.items() if phase.material.cell is not None}
    found = case.laws() | {name: _cell_law(case, name, own, options) for name, own in finer.items()}
    return {name: found[name] for name in case.phases}


def _cell_law(case: CellCase, phase: str, material: Material, options: NewtonOptions | None) -> PhaseLaw:
    assert material.cell is not None
    turned = {key: value for key, value in material.parameters.items() if key in ("angle", "rotation")}
    # what an adaptive strategy keeps of a point between iterations does not reach a law
    model = build_rve(material.cell, replace(options or NewtonOptions(), strategy="newton"))
    with located(case):
        try:
            found = rotated(model) if turned else model
            return cell_law(found, period=material.parameters.get("period"), **turned)
        except InputError as error:
            raise InputError(f"phase {phase!r}: {error}") from error


def build_cell(case: CellCase) -> Cell:
    """The geometry of a cell file.

    Raises:
        InputError: Image, mesh or generator refuse their parameters.
    """
    table = case.cell
    if isinstance(table, ImageCell):
        image_size(table, case.file.parent).warn_of_other_spacing()
        labels = read_image(case.path(table.image), shape=table.shape, dtype=table.dtype)
        return image_cell(
            labels,
            {name: phase.in_image for name, phase in case.phases.items()},
            voxel_size=table.voxel_size,
            coarsen=table.coarsen,
            crop=None if table.crop is None else [list(bounds) for bounds in table.crop],
        )
    if isinstance(table, MeshCell):
        return _mesh_cell(case, case.path(table.mesh))
    assert isinstance(table, GeneratorCell)
    parameters = generator_parameters(table.generator, table)
    with generated_mesh(table.generator, parameters, MPI.COMM_SELF) as path:
        return _mesh_cell(case, path)


def _mesh_cell(case: CellCase, path: Path) -> Cell:
    groups = {name: name if phase.label is None else phase.label for name, phase in case.phases.items()}
    table, periodic = case.cell, case.cell.boundary == "periodic"
    if not isinstance(table, MeshCell):
        return read_cell(path, phases=groups, periodic=periodic)
    return read_cell(
        path,
        phases=groups,
        periodic=periodic,
        labels=table.labels,
        merge=table.merge,
        period=table.period,
        tolerance=table.tolerance,
    )
