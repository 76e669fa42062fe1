"""Stiffness of one voxel of each phase, assembled by DOLFINx from the very form of the cell problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import basix.ufl
import dolfinx.mesh
import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.arrays import Array, Ints
from fe2.grid.element import VoxelStiffness, corners
from fe2.micro.boundary import boundary_map
from fe2.micro.cell import Cell
from fe2.micro.form import CellForm
from fe2.micro.phases import phase_form
from fe2.micro.problem import CellProblem
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import PhaseLaw
from fe2.physics.material_field import MaterialField

_ROUND_OFF = 1e-12


def voxel_problems(
    kinematics: Kinematics, laws: Mapping[str, PhaseLaw], size: Array, quadrature_degree: int | None
) -> list[tuple[Cell, CellForm]]:
    """Voxels that have nothing in common, one for each material of a phase, and their form, for each phase.

    Args:
        kinematics: The operator field ↦ gradient.
        laws: Laws in the order of the phases.
        size: Edge lengths of a voxel, shape (dim,).
        quadrature_degree: As in :func:`~fe2.micro.phases.phase_form`.

    Raises:
        InputError: A law does not fit the dimension.
    """
    problems = []
    for name, law in laws.items():
        cell = _voxels(name, size, len(law.materials))
        if isinstance(law, MaterialField):
            law = law.numbered()
        form = phase_form(cell, kinematics, {name: law}, degree=1, quadrature_degree=quadrature_degree)
        problems.append((cell, form))
    return problems


def voxel_stiffness(problems: Sequence[tuple[Cell, CellForm]]) -> VoxelStiffness:
    """Assemble the bilinear or trilinear elements of each phase, in its virgin state."""
    matrices, at_rest, is_linear = [], True, True
    for cell, form in problems:
        problem = CellProblem(cell, form, boundary_map("linear", cell, form))  # no node is free
        problem.load(problem.layout.initial(), 0.0)
        problem.set_field(form.kinematics.origin, np.zeros(0))
        is_linear = is_linear and problem.is_linear
        residual = problem.assemble_residual()
        problem.assemble_stiffness()
        stiffness, space = problem.local_stiffness.tocsr(), form.unknown.function_space
        nodes, components = space.tabulate_dof_coordinates()[:, : cell.dim], space.dofmap.index_map_bs
        assert cell.element_labels is not None
        for element in np.argsort(cell.element_labels):
            dofs = _in_order(nodes, space.dofmap.list[element], components)
            matrix, modes = stiffness[dofs][:, dofs].toarray(), form.modes[dofs]
            flux, tangent = modes.T @ residual[dofs], modes.T @ matrix @ modes
            round_off = _ROUND_OFF * form.kinematics.origin_size * np.abs(tangent).max()
            at_rest = at_rest and bool(np.abs(flux).max() <= round_off)
            matrices.append(matrix)
    return VoxelStiffness(
        stiffness=np.array(matrices),
        modes=modes,
        components=components,
        volume=cell.volume,
        at_rest=at_rest,
        is_linear=is_linear,
    )


def _voxels(name: str, size: Array, count: int) -> Cell:
    """Voxels without common nodes, all at the same place, whose labels are their numbers."""
    dim = len(size)
    kind = "quadrilateral" if dim == 2 else "hexahedron"
    nodes = (corners(dim)[:, ::-1] - 0.5) * size  # in DOLFINx's order the first axis runs fastest
    mesh = dolfinx.mesh.create_mesh(
        MPI.COMM_SELF,
        np.arange(count * len(nodes), dtype=np.int64).reshape(count, -1),
        basix.ufl.element("Lagrange", kind, 1, shape=(dim,)),
        np.tile(nodes, (count, 1)),
    )
    numbers = np.arange(count, dtype=np.int32)
    tags = dolfinx.mesh.meshtags(mesh, dim, numbers, np.zeros(count, dtype=np.int32))
    labels = mesh.topology.original_cell_index.astype(np.int64)
    return Cell(mesh, tags, (name,), size, element_labels=labels)


def _in_order(nodes: Array, corners: npt.NDArray[np.int32], components: int) -> Ints:
    """DOLFINx's degrees of freedom of an element, component by component and in the order of the corners."""
    order = corners[np.lexsort((nodes[corners] > 0.0).T[::-1])].astype(np.int64)
    numbers: Ints = (order * components + np.arange(components)[:, None]).reshape(-1)
    return numbers
