"""The RVE of mechanics: a kinematics, and one law for each phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from mpi4py import MPI

from fe2.errors import InputError
from fe2.micro.boundary import BoundaryCondition
from fe2.micro.cell import Cell
from fe2.micro.form import CellForm
from fe2.micro.grid_parts import FlowingVoxels, flowing_voxels
from fe2.micro.held_part import held_part, supported
from fe2.micro.image_cell import ImageCell
from fe2.micro.image_rve import ImageRVE, answers_on_grid
from fe2.micro.isolated import warn_of_isolated
from fe2.micro.newton import NewtonOptions
from fe2.micro.phases import check_phases, element_degree, phase_form
from fe2.micro.rve import RVE
from fe2.micro.subcell import restricted
from fe2.micro.voxel_memory import VoxelField, check_voxel_memory
from fe2.physics.kinematics import Kinematics, reporting
from fe2.physics.law import PhaseLaw, isochoric_phases
from fe2.physics.void import Void
from fe2.volumetric_locking import warn_of_locking

_CARRIES = "carries a load"


def phase_rve(
    cell: Cell,
    kinematics: Kinematics,
    laws: Mapping[str, PhaseLaw],
    *,
    boundary: str | BoundaryCondition,
    degree: int | None,
    quadrature_degree: int | None,
    options: NewtonOptions | None,
) -> RVE:
    """The RVE; that of a periodic image has a mesh only where its effective properties are not enough.

    Raises:
        InputError: Laws and phases do not match, or an option is not admissible.
    """
    check_phases(cell, kinematics, laws, element_degree(cell, degree))
    kinematics = replace(kinematics, isochoric=isochoric_phases(laws))
    # the mesh of an image is of quadrilaterals or hexahedra, if it is made at all
    if not isinstance(cell, ImageCell) and MPI.COMM_WORLD.rank == 0:
        shape = cell.mesh.topology.cell_name()
        warn_of_locking("the cell", shape, element_degree(cell, degree), kinematics.isochoric)

    def form(part: Cell, kinematics: Kinematics, laws: Mapping[str, PhaseLaw]) -> CellForm:
        return phase_form(part, kinematics, laws, degree=degree, quadrature_degree=quadrature_degree)

    if isinstance(cell, ImageCell) and answers_on_grid(cell, laws, boundary, degree):
        flowing, isolated = _solid_voxels(cell, laws)
        warn_of_isolated(cell, isolated, _CARRIES)
        return ImageRVE(
            cell,
            reporting(kinematics, isolated=isolated) if isolated else kinematics,
            {name: laws[name] for name in _solids(cell, laws)},
            lambda: _part_and_form(cell, kinematics, laws, form, boundary, degree or 1),
            quadrature_degree=quadrature_degree,
            flowing=flowing,
            options=options,
        )
    degree_or_least = element_degree(cell, degree)
    return mechanical_rve(
        cell, kinematics, laws, form, boundary=boundary, degree=degree_or_least, options=options
    )


def mechanical_rve(
    cell: Cell,
    kinematics: Kinematics,
    laws: Mapping[str, PhaseLaw],
    form: Callable[[Cell, Kinematics, Mapping[str, PhaseLaw]], CellForm],
    *,
    boundary: str | BoundaryCondition,
    degree: int,
    constrained: bool = False,
    options: NewtonOptions | None,
) -> RVE:
    """The RVE of what carries a load in a cell.

    Args:
        cell: The whole cell.
        kinematics: The operator field ↦ gradient.
        laws: A law for each phase of the cell.
        form: Makes the form of a part of the cell with the laws of its phases; its first field is the
            displacement.
        boundary: "periodic", "linear" or "uniform_flux".
        degree: Degree of the displacement's element.
        constrained: Whether further fields constrain the displacement.
        options: When the cell counts as solved.

    Raises:
        InputError: Nothing holds any part of the cell, or an image does not fit into the memory.
    """
    made = _part_and_form(cell, kinematics, laws, form, boundary, degree, constrained)
    return RVE(*made, boundary=boundary, options=options)


def _part_and_form(
    cell: Cell,
    kinematics: Kinematics,
    laws: Mapping[str, PhaseLaw],
    form: Callable[[Cell, Kinematics, Mapping[str, PhaseLaw]], CellForm],
    boundary: str | BoundaryCondition,
    degree: int,
    constrained: bool = False,
) -> tuple[Cell, CellForm]:
    """What carries a load in a cell, and its form."""
    whole, solids = cell, _solids(cell, laws)
    if isinstance(cell, ImageCell):
        symmetric = all(getattr(laws[name], "symmetric", False) for name in solids)
        components = sum(int(np.prod(shape)) for shape in kinematics.fields.values())
        field = VoxelField(solids, components, degree, constrained=constrained, symmetric=symmetric)
        check_voxel_memory(cell, field, boundary)
    if len(solids) < len(cell.names):
        cell = restricted(cell, np.sort(np.concatenate([cell.cells_of(name) for name in solids])))[0]
    part = held_part(cell, boundary)
    warn_of_isolated(whole, part.isolated, _CARRIES)
    if part.isolated:
        kinematics = reporting(kinematics, isolated=part.isolated)
    made = form(part.cell, kinematics, {name: laws[name] for name in part.cell.names})
    return part.cell, supported(part.cell, made, boundary)


def _solids(cell: Cell, laws: Mapping[str, PhaseLaw]) -> list[str]:
    """Names of the phases that are no voids.

    Raises:
        InputError: All of them are.
    """
    solids = [name for name in cell.names if not isinstance(laws[name], Void)]
    if not solids:
        raise InputError(f"nothing holds the cell: all of its phases are voids, {', '.join(cell.names)}")
    return solids


def _solid_voxels(
    cell: ImageCell, laws: Mapping[str, PhaseLaw]
) -> tuple[FlowingVoxels | None, dict[str, float]]:
    """The voxels that carry a load beside voids, and the share of each phase that floats in them."""
    solids = _solids(cell, laws)
    if len(solids) == len(cell.names):
        return None, {}
    numbers = [cell.names.index(name) for name in solids]
    held = flowing_voxels(np.isin(cell.phase_of_voxel, numbers), solids, _CARRIES)
    floating = cell.shares(~held.mask, solids)
    return held, {name: share for name, share in floating.items() if share > 0.0}
