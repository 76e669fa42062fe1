r"""The linear problem of a periodic label image, without a mesh and without a matrix.

Voxels of one phase are alike, so the stiffness differs from that of a homogeneous grid only where the
material differs from the reference material:

.. math:: K = K_0 + \sum_{v:\,C_v \ne C_0} T_v^T\,(k_v - k_0)\,T_v.

A homogeneous grid balances every macroscopic gradient, so the residual is zero at all nodes that touch
no such voxel, and stays so in the conjugate gradients preconditioned with :math:`K_0^{-1}`: their search
directions are :math:`K_0^{-1}` times a vector of this kind, whose product with :math:`K_0` is known
without computing it. All that is done on the whole grid is the Fourier transform.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from fe2.errors import MicroSolveError
from fe2.grid.conjugate_gradients import conjugate_gradients
from fe2.grid.device import Device, device
from fe2.grid.element import VoxelStiffness, corners, element_stencil
from fe2.grid.energy_error import EnergyError
from fe2.grid.green_operator import GreenOperator
from fe2.grid.options import GridOptions
from fe2.grid.reference import full_contrast

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PLACE = 4
"""Bytes of the number of a node."""


@dataclass(frozen=True)
class GridSolution:
    """Effective tangent of shape (m, m).

    Attributes:
        tangent: The tangent, from above: what it is too large is positive semidefinite.
        error: Its estimated error, relative to the entries of the diagonal, the largest of them.
        iterations: Iterations of each load case.
    """

    tangent: Array
    error: float
    iterations: tuple[int, ...]


def grid_memory(
    phase_of_voxel: npt.NDArray[np.int32], voxel: VoxelStiffness, reference: Array, options: GridOptions
) -> float:
    """Bytes that the problem takes at its peak, or somewhat less where the reference is a rare phase."""
    nodes, c, m = phase_of_voxel.size, voxel.components, voxel.modes.shape[1]
    word = np.dtype(options.transforms(full_contrast(voxel, reference), phase_of_voxel.size)).itemsize
    differing = nodes - int(np.bincount(phase_of_voxel.reshape(-1)).max())
    grid = nodes * (word * c * (c + 1) / 4 + 3 * word * c + 2 * _PLACE)
    return (
        grid
        + differing * (_PLACE * 2**phase_of_voxel.ndim + 8 * c * (3 * m + 6))
        + 2.0 * voxel.stiffness.nbytes
    )


class GridProblem:
    """Conjugate gradients on the nodes of the voxels that differ from the reference material."""

    def __init__(
        self,
        phase_of_voxel: npt.NDArray[np.int32],
        voxel: VoxelStiffness,
        reference: Array,
        options: GridOptions | None = None,
        where: Device | None = None,
    ) -> None:
        """Find the voxels that differ, and invert the reference.

        Args:
            phase_of_voxel: Phase of each voxel of the periodic image, shape (nx, ny[, nz]).
            voxel: Stiffness of a voxel for each phase.
            reference: Stiffness of a voxel of the reference material, shape (k, k).
            options: Tolerance and precision.
            where: Where the arrays live, one thread of the CPU by default.

        Raises:
            MicroSolveError: The reference is singular to round-off.
        """
        shape, dim = phase_of_voxel.shape, phase_of_voxel.ndim
        self._device, options = where or device(), options or GridOptions()
        self._tolerance = options.of(phase_of_voxel.size)
        self._voxel, self._shape = voxel, shape
        self._counts = np.bincount(phase_of_voxel.reshape(-1), minlength=len(voxel.stiffness))
        stencil = element_stencil(reference, voxel.components, dim)
        self._precision = options.transforms(full_contrast(voxel, reference), phase_of_voxel.size)
        try:
            self._green = GreenOperator(stencil, shape, self._device, self._precision)
        except np.linalg.LinAlgError as error:
            raise MicroSolveError(
                "the image is singular to round-off: the edges of its voxels, or the stiffnesses of its "
                "phases, differ by too many orders of magnitude"
            ) from error
        differences = voxel.stiffness - reference
        materials = phase_of_voxel.reshape(-1)
        voxels = np.flatnonzero(np.any(differences, axis=(1, 2))[materials])
        voxels = voxels[np.argsort(materials[voxels], kind="stable")]
        active, nodes = _active_nodes(voxels, shape)
        xp = self._device.xp
        self._active, self._nodes = xp.asarray(active), xp.asarray(nodes)
        self._runs = [
            [(xp.asarray(difference), start, end) for difference, start, end in runs]
            for runs in _runs(materials[voxels], differences, self._device.voxels_at_once)
        ]

    def effective_tangent(
        self, max_iterations: int, progress: Callable[[str], None] | None = None
    ) -> GridSolution:
        r"""Effective tangent, with an error that is the square of the fluctuations' error.

        .. math:: A_{ij} = \langle C_{ij} \rangle - (b_i\cdot w_j + w_i\cdot r_j)/|Y|, \qquad b = -K X

        Each load case is iterated until its estimated error is below the tolerance.

        Args:
            max_iterations: Iterations of one load case after which it is given up.
            progress: Receives what is being done.

        Raises:
            MicroSolveError: The iteration did not converge.
        """
        m = self._voxel.modes.shape[1]
        mean = np.tensordot(self._counts / self._counts.sum(), self._voxel.tangents, 1)
        volume = self._voxel.volume * self._counts.sum()
        fields, residuals, solved = [], [], []
        for first in range(0, m, step := self._device.cases_at_once):
            cases = slice(first, min(first + step, m))
            right = self._imposed(-self._voxel.modes[:, cases])

            def tell(iteration: int, first: int = first) -> None:
                if progress is not None:
                    progress(f"load case {first + 1} of {m}, iteration {iteration}")

            energies = EnergyError(
                np.diag(mean)[cases] * volume, self._tolerance, float(np.abs(mean).max()) * volume
            )
            field, residual = conjugate_gradients(
                right,
                self._product,
                self._precondition,
                energies,
                self._device,
                max_iterations=max_iterations,
                tell=tell,
            )
            fields.append(field.reshape(len(field), -1))
            residuals.append(residual.reshape(len(residual), -1))
            solved.append(energies)
        tangent = mean.copy()
        for first, w, r in zip(range(0, m, step), fields, residuals, strict=True):
            cases = slice(first, min(first + step, m))
            b = self._imposed(-self._voxel.modes[:, cases]).reshape(w.shape)
            for other, v in zip(range(0, m, step), fields, strict=True):
                tangent[cases, other : other + step] -= self._device.host(b @ v.T) / volume
                tangent[other : other + step, cases] -= self._device.host(v @ r.T) / volume
        return GridSolution(
            tangent=0.5 * (tangent + tangent.T),
            error=max(float(energies.relative.max()) for energies in solved),
            iterations=tuple(int(count) for energies in solved for count in energies.iterations),
        )

    def _product(self, directions: Any, reference_forces: Any) -> Any:
        return self._add_difference_forces(directions, reference_forces.copy())

    def _precondition(self, residuals: Any) -> Any:
        xp, size = self._device.xp, int(np.prod(self._shape))
        whole = xp.zeros((*residuals.shape[:2], size), dtype=self._precision)
        whole[..., self._active] = residuals
        fields = self._green(whole.reshape(*residuals.shape[:2], *self._shape))
        return fields.reshape(whole.shape)[..., self._active].astype(np.float64, copy=False)

    def _imposed(self, corner_fields: Array) -> Any:
        """Forces on the active nodes, where all voxels have the same displacements at their corners."""
        xp = self._device.xp
        cases = xp.asarray(corner_fields)
        result = xp.zeros((corner_fields.shape[1], self._voxel.components, len(self._active)))
        for runs in self._runs:
            for difference, start, end in runs:
                forces = (difference @ cases).T[..., None]
                self._scatter(result, start, end, xp.broadcast_to(forces, (*forces.shape[:2], end - start)))
        return result

    def _add_difference_forces(self, fields: Any, result: Any) -> Any:
        """Add the forces of the differences of stiffness in fields on the active nodes, (B, c, n)."""
        for runs in self._runs:
            first, last = runs[0][1], runs[-1][2]
            local = fields[..., self._nodes[:, first:last]].reshape(len(fields), -1, last - first)
            forces = self._device.xp.empty_like(local)
            for difference, start, end in runs:
                part = slice(start - first, end - first)
                forces[..., part] = difference @ local[..., part]
            self._scatter(result, first, last, forces)
        return result

    def _scatter(self, result: Any, first: int, last: int, local: Any) -> None:
        """Add the forces at the corners; voxels have different nodes at the same corner."""
        nodes = self._nodes[:, first:last]
        by_corner = local.reshape(*result.shape[:2], *nodes.shape)
        for corner, numbers in enumerate(nodes):
            for row, values in zip(
                result.reshape(-1, result.shape[-1]), by_corner.reshape(-1, *nodes.shape), strict=True
            ):
                row[numbers] += values[corner]


def _runs(
    materials: npt.NDArray[np.int32], differences: Array, voxels_at_once: int
) -> list[list[tuple[Array, int, int]]]:
    """Difference of stiffness of each run of voxels of one material, with its ends, some voxels at a time.

    Args:
        materials: Material of each voxel that differs, ascending.
        differences: Differences of stiffness of the materials, shape (materials, k, k).
        voxels_at_once: How many.
    """
    bounds = np.flatnonzero(np.diff(materials, prepend=-1, append=-1))
    ends = np.union1d(bounds, np.arange(0, len(materials), voxels_at_once)).tolist()
    groups: dict[int, list[tuple[Array, int, int]]] = {}
    for start, end in pairwise(ends):
        run = (differences[materials[start]], start, end)
        groups.setdefault(start // voxels_at_once, []).append(run)
    return list(groups.values())


def _active_nodes(voxels: Ints, shape: tuple[int, ...]) -> tuple[Ints, npt.NDArray[np.integer[Any]]]:
    """Nodes that touch some voxels of the periodic grid, and their numbers, (corners, voxels)."""
    size = int(np.prod(shape))
    number = np.zeros(size, dtype=np.int32 if size < 2**31 else np.int64)
    nodes = np.empty((2 ** len(shape), len(voxels)), dtype=number.dtype)
    lower, counts = np.array(np.unravel_index(voxels, shape)), np.array(shape)[:, None]
    for row, corner in zip(nodes, corners(len(shape)), strict=True):
        row[:] = np.ravel_multi_index(tuple((lower + corner[:, None]) % counts), shape)
        number[row] = 1
    active = np.flatnonzero(number)
    number[active] = np.arange(len(active))
    for row in nodes:
        row[:] = number[row]
    return active, nodes
