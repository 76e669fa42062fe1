"""Stiffness of one voxel of each phase, assembled by DOLFINx from the very form of the cell problem."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import dolfinx.mesh
import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.micro.boundary import boundary_map
from fe2.micro.cell import Cell
from fe2.micro.form import CellForm
from fe2.micro.phases import phase_form
from fe2.micro.problem import CellProblem
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import PhaseLaw

Array = npt.NDArray[np.float64]

_ROUND_OFF = 1e-12


@dataclass(frozen=True, eq=False)
class VoxelStiffness:
    """Virgin stiffness of one voxel for each phase, and the macroscopic modes on it.

    The degrees of freedom are numbered component by component, in each the corners as
    `itertools.product` gives them: the last axis runs fastest.

    Attributes:
        stiffness: Shape (phases, k, k) with k = components × corners.
        modes: Macroscopic modes at the corners, shape (k, m).
        components: Components of the unknown.
        volume: Volume of the voxel.
        at_rest: True where the virgin phases are free of flux.
    """

    stiffness: Array
    modes: Array
    components: int
    volume: float
    at_rest: bool

    @property
    def tangents(self) -> Array:
        """Tangent of each phase in macroscopic components, shape (phases, m, m)."""
        return np.einsum("im,pij,jn->pmn", self.modes, self.stiffness, self.modes) / self.volume

    def with_void(self) -> VoxelStiffness:
        """The same with one phase more, which has no stiffness."""
        return replace(self, stiffness=np.concatenate([self.stiffness, np.zeros_like(self.stiffness[:1])]))


def voxel_problems(
    kinematics: Kinematics, laws: Mapping[str, PhaseLaw], size: Array, quadrature_degree: int | None
) -> list[tuple[Cell, CellForm]]:
    """A cell of one voxel and its form for each phase.

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
        cell = _one_voxel(name, size)
        form = phase_form(cell, kinematics, {name: law}, degree=1, quadrature_degree=quadrature_degree)
        problems.append((cell, form))
    return problems


def voxel_stiffness(problems: Sequence[tuple[Cell, CellForm]]) -> VoxelStiffness:
    """Assemble one bilinear or trilinear element for each phase, in its virgin state."""
    matrices, at_rest = [], True
    for cell, form in problems:
        problem = CellProblem(cell, form, boundary_map("linear", cell, form))  # no node is free
        problem.load(np.zeros(problem.layout.size), 0.0)
        problem.set_field(form.kinematics.origin, np.zeros(0))
        residual = problem.assemble_residual()
        problem.assemble_stiffness()
        space = form.unknown.function_space
        order = _in_order(space.tabulate_dof_coordinates()[:, : cell.dim], space.dofmap.index_map_bs)
        matrices.append(problem.local_stiffness.toarray()[np.ix_(order, order)])
        flux, tangent = form.modes.T @ residual, form.modes.T @ (problem.local_stiffness @ form.modes)
        round_off = _ROUND_OFF * form.kinematics.origin_size * np.abs(tangent).max()
        at_rest = at_rest and bool(np.abs(flux).max() <= round_off)
    return VoxelStiffness(
        stiffness=np.array(matrices),
        modes=np.asarray(form.modes)[order],
        components=space.dofmap.index_map_bs,
        volume=cell.volume,
        at_rest=at_rest,
    )


def corners(dim: int) -> npt.NDArray[np.int64]:
    """Corners of a voxel, shape (2^dim, dim), zeros and ones; the last axis runs fastest."""
    return np.array(list(itertools.product((0, 1), repeat=dim)))


def _one_voxel(name: str, size: Array) -> Cell:
    upper, dim = size / 2, len(size)
    if dim == 2:
        kind = dolfinx.mesh.CellType.quadrilateral
        mesh = dolfinx.mesh.create_rectangle(MPI.COMM_SELF, [-upper, upper], [1, 1], kind)
    else:
        kind = dolfinx.mesh.CellType.hexahedron
        mesh = dolfinx.mesh.create_box(MPI.COMM_SELF, [-upper, upper], [1, 1, 1], kind)
    tags = dolfinx.mesh.meshtags(mesh, dim, np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.int32))
    return Cell(mesh, tags, (name,), size)


def _in_order(nodes: Array, components: int) -> npt.NDArray[np.int64]:
    """DOLFINx's degrees of freedom, component by component and in the order of the corners."""
    order = np.lexsort((nodes > 0.0).T[::-1])
    numbers: npt.NDArray[np.int64] = (order * components + np.arange(components)[:, None]).reshape(-1)
    return numbers
