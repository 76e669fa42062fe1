"""A periodic image as a representative volume element: its effective properties need no mesh."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from petsc4py import PETSc

from fe2.errors import InputError
from fe2.grid.device import Device, device
from fe2.grid.element import VoxelStiffness
from fe2.grid.face_problem import FaceProblem, face_memory
from fe2.grid.linear_problem import GridProblem, GridSolution, grid_memory
from fe2.grid.options import GridOptions
from fe2.grid.reference import contrast, reference_stiffness
from fe2.memory import check_memory, gigabytes
from fe2.micro.boundary import BoundaryCondition
from fe2.micro.cell import Cell
from fe2.micro.effective import EffectiveProperties
from fe2.micro.form import CellForm
from fe2.micro.grid_model import GridModel
from fe2.micro.grid_parts import FlowingVoxels
from fe2.micro.image_cell import ImageCell
from fe2.micro.linear_model import LinearModel
from fe2.micro.memory_estimate import coarsening_that_fits
from fe2.micro.newton import NewtonOptions
from fe2.micro.phases import rows_of
from fe2.micro.rve import RVE
from fe2.micro.solver_choice import OPTIONS_PREFIX
from fe2.micro.voxel import voxel_problems, voxel_stiffness
from fe2.parallel import threads
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import PhaseLaw
from fe2.records import SolverChoice

Array = npt.NDArray[np.float64]

MAX_MATERIALS = 10000
"""Materials of an image whose voxels' stiffnesses are kept; with more of them the image is meshed."""

MAX_ITERATIONS = 2000
"""Conjugate gradients of one load case; tens are usual, and hundreds where a phase is nearly void."""


def answers_on_grid(
    cell: Cell, laws: Mapping[str, PhaseLaw], boundary: str | BoundaryCondition, degree: int | None
) -> bool:
    """Whether the effective properties of a cell can be computed on its regular grid.

    They can for one-rank periodic images of not too many materials with elements of degree 1 and symmetric
    tangents, unless PETSc
    options with the prefix ``fe2_micro_`` choose a solver for the assembled matrix.
    """
    options = PETSc.Options(OPTIONS_PREFIX)
    return (
        isinstance(cell, ImageCell)
        and cell.comm.size == 1
        and boundary == "periodic"
        and degree in (None, 1)
        and all(getattr(law, "symmetric", False) for law in laws.values())
        and sum(len(law.materials) for law in laws.values()) <= MAX_MATERIALS
        and not any(options.hasName(name) for name in ("pc_type", "ksp_type"))
    )


_EXACT = GridOptions(tolerance=1e-12)
"""For what stands in the place of a micro model."""


_ZERO = 1e-12
"""Conductivity across the axes of voxels that is round-off, relative to the largest along them."""


class ImageRVE(RVE):
    """An RVE that makes mesh and matrix when something else than its virgin tangent is asked for."""

    def __init__(
        self,
        cell: ImageCell,
        kinematics: Kinematics,
        laws: Mapping[str, PhaseLaw],
        make: Callable[[], tuple[Cell, CellForm]],
        *,
        quadrature_degree: int | None = None,
        flowing: FlowingVoxels | None = None,
        options: NewtonOptions | None = None,
    ) -> None:
        """Prepare the forms of single voxels.

        Args:
            cell: The image.
            kinematics: The operator field ↦ gradient.
            laws: Laws of the phases that flux goes through, by name.
            make: Makes mesh and form.
            quadrature_degree: Degree of the quadrature rule, chosen from the element by default.
            flowing: The voxels that count, where not all do; the others are voids.
            options: When the cell counts as solved.

        Raises:
            InputError: A law does not fit the dimension.
        """
        self._image, self._kinematics, self._make, self._options = (
            cell,
            kinematics,
            make,
            options or NewtonOptions(),
        )
        self._flowing = flowing
        if flowing is None:
            self.cell = cell
        self._laws = {name: laws[name] for name in cell.names if name in laws}
        self._voxels = voxel_problems(kinematics, self._laws, cell.voxel_size, quadrature_degree)

    def __getattr__(self, name: str) -> Any:
        """What only an RVE with a mesh has; the mesh is made at its first use."""
        if "form" in self.__dict__ or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        cell, form = self._make()
        super().__init__(cell, form, boundary="periodic", options=self._options)
        return getattr(self, name)

    @property
    def kinematics(self) -> Kinematics:  # type: ignore[override]
        """Names and sizes of gradient and flux."""
        return self._kinematics

    @property
    def boundary(self) -> str:
        """Name of the boundary condition."""
        return "periodic"

    @property
    def unknowns(self) -> int:
        """Number of free fluctuations: those of the grid's nodes, of which each part has one pinned."""
        components = int(np.prod(self._kinematics.field_shape))
        if self._flowing is None:
            return (self._image.phase_of_voxel.size - 1) * components
        nodes = self._flowing.mask
        for axis in range(nodes.ndim):
            nodes = nodes | np.roll(nodes, 1, axis)
        return (int(nodes.sum()) - self._flowing.parts) * components

    def homogenize(self, grid: GridOptions | None = None) -> EffectiveProperties:
        """Effective properties of the virgin cell: tangent, bounds, anisotropy and fractions.

        Args:
            grid: How exactly, and on which device.

        Raises:
            InputError: There is not enough memory, or no such device.
            MicroSolveError: The iteration did not converge.
        """
        start = time.perf_counter()
        voxel, grid = self._voxel, grid or GridOptions()
        if not voxel.at_rest:
            return super().homogenize(grid)
        fractions = (counts := self._materials_and_counts[1])[:-1] / counts.sum()
        reference = reference_stiffness(voxel, fractions)
        solution = self._solution(reference, grid)
        kinematics, bounds = self._kinematics, self._resolution_bounds(solution, grid)
        present = [k for k, fraction in enumerate(fractions) if fraction > 0.0]
        return EffectiveProperties(
            physics=kinematics.name,
            components=kinematics.components,
            effective=kinematics.reported_tangent(solution.tangent),
            tangent=solution.tangent,
            volume_fractions=self._volume_fractions(fractions),
            properties=kinematics.characterize(
                solution.tangent,
                [voxel.tangents[k] for k in present],
                [float(fractions[k]) for k in present],
                "periodic",
            )
            | bounds,
            singular=kinematics.singular_directions(solution.tangent)[0],
            boundary="periodic",
            unknowns=self.unknowns,
            seconds=time.perf_counter() - start,
            solver=_choice(voxel, reference, self._flowing is not None),
            iterations=solution.iterations,
            error_estimate=solution.error,
        )

    @property
    def period(self) -> Array:
        """Edge lengths of the image."""
        return self._image.period

    @property
    def is_linear(self) -> bool:
        """Whether the materials are."""
        return self._voxel.is_linear

    def _solution(self, reference: Array, grid: GridOptions) -> GridSolution:
        materials = self._materials_and_counts[0]
        where = device(grid.device, grid.threads or threads())
        voxel = self._voxel if self._flowing is None else self._voxel.with_void()
        self._check_memory(grid_memory(materials, voxel, reference, grid), where)
        with where.refusing():
            problem = GridProblem(materials, voxel, reference, grid, where)
            return problem.effective_tangent(MAX_ITERATIONS, self.progress)

    def _resolution_bounds(self, upper: GridSolution, grid: GridOptions) -> dict[str, Any]:
        """Bounds of the conductivity of the image, where its voxels conduct along their axes."""
        voxel = self._voxel if self._flowing is None else self._voxel.with_void()
        along = np.diagonal(voxel.tangents, axis1=1, axis2=2)
        beside = voxel.tangents - along[:, None] * np.eye(along.shape[1])
        if not grid.resolution_bounds or voxel.components > 1 or np.abs(beside).max() > _ZERO * along.max():
            return {}
        materials, where = self._materials_and_counts[0], device(grid.device, grid.threads or threads())
        self._check_memory(face_memory(materials), where)
        with where.refusing():
            problem = FaceProblem(materials, along, self._image.voxel_size, grid, where)
            lower = problem.effective_tangent(MAX_ITERATIONS, self.progress)
        bounds = {
            "lower": lower.tangent,
            "upper": upper.tangent,
            "mean": 0.5 * (lower.tangent + upper.tangent),
        }
        reported = self._kinematics.reported_tangent
        return {"resolution_bounds": {name: reported(matrix) for name, matrix in bounds.items()}}

    def _check_memory(self, needed: float, where: Device) -> None:
        """Refuse an image that does not fit into the memory of the machine, or of the GPU."""
        shape, factor = self._image.phase_of_voxel.shape, self._image.coarsen
        what = f"coarsen = {factor}: the image of {shape} elements"

        def remedy(free: float) -> str:
            return coarsening_that_fits(shape, factor, lambda more: needed / more ** len(shape), free)

        if (free := where.free_memory()) < needed:
            raise InputError(
                f"{what} needs about {gigabytes(needed)} of the GPU's memory, and {gigabytes(free)} are "
                f"free: {remedy(free)}"
            )
        if where.name == "cpu":
            check_memory(needed, what, remedy)

    def on_grid(self, grid: GridOptions | None = None) -> GridModel:
        """The same cell without mesh and matrix, a micro model for laws that are not linear.

        Args:
            grid: On which device, with how many threads; how exactly is said by the RVE's own options.

        Raises:
            InputError: A law cannot be evaluated on the grid, or there is not enough memory.
        """
        return GridModel(
            self._image,
            self._kinematics,
            self._laws,
            voxels=None if self._flowing is None else self._flowing.mask,
            options=self._options,
            grid=grid,
        )

    def linearized(self, state: Array | None = None) -> LinearModel:
        """Micro model with the constant tangent of this cell at a state, the virgin one by default."""
        if state is None and self._voxel.at_rest:
            return LinearModel(self._kinematics, self.homogenize(_EXACT).tangent)
        return super().linearized(state)

    @cached_property
    def _voxel(self) -> VoxelStiffness:
        return voxel_stiffness(self._voxels)

    def _volume_fractions(self, fractions: Array) -> dict[str, float]:
        """Share of each phase that has any, from those of the materials."""
        ends = np.cumsum([len(law.materials) for law in self._laws.values()])
        shares = [float(part.sum()) for part in np.split(fractions, ends[:-1])]
        return {name: share for name, share in zip(self._laws, shares, strict=True) if share > 0.0}

    @cached_property
    def _materials_and_counts(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Material of each voxel, the phases' materials one after the other, then voids; voxels of each."""
        image = self._image
        sizes = [len(law.materials) for law in self._laws.values()]
        void, starts = sum(sizes), np.cumsum([0, *sizes])
        materials = np.full(image.phase_of_voxel.shape, void, dtype=np.int32)
        for start, (name, law) in zip(starts, self._laws.items(), strict=False):
            voxels = image.phase_of_voxel == image.names.index(name)
            if self._flowing is not None:
                voxels &= self._flowing.mask
            materials[voxels] = start + rows_of(name, law, image.label_of_voxel[voxels], {})
        return materials, np.bincount(materials.reshape(-1), minlength=void + 1)


def _choice(voxel: VoxelStiffness, reference: Array, void: bool) -> SolverChoice:
    tangent = voxel.modes.T @ reference @ voxel.modes / voxel.volume
    size = f"{contrast(voxel.tangents, tangent):.3g}" + (" beside voids" if void else "")
    return SolverChoice(
        "conjugate gradients, discrete Green operator",
        f"the iterations on a periodic image depend on the contrast, {size}, not on the resolution",
    )
