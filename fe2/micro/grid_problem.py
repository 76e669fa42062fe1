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

import numpy as np
import numpy.typing as npt

from fe2.errors import MicroSolveError
from fe2.micro.green_operator import GreenOperator, element_stencil
from fe2.micro.voxel import VoxelStiffness, corners

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ROUND_OFF = 1e-12
"""Residual that is round-off, in the norm of the Green operator, relative to the cell's own stiffness."""

_VOXELS_AT_ONCE = 4096  # their forces fit into the processor's cache


@dataclass(frozen=True)
class GridSolution:
    """Effective tangent of shape (m, m), and iterations of each load case."""

    tangent: Array
    iterations: tuple[int, ...]


def grid_memory(phase_of_voxel: npt.NDArray[np.int32], voxel: VoxelStiffness) -> float:
    """Bytes that the problem takes at its peak, or somewhat less where the reference is a rare phase."""
    nodes, c, m = phase_of_voxel.size, voxel.components, voxel.modes.shape[1]
    differing = nodes - int(np.bincount(phase_of_voxel.reshape(-1)).max())
    corner_numbers = 4 * 8 * 2**phase_of_voxel.ndim  # with those that sorting them takes
    grid = nodes * (1.5 * 8 * c * c + 4 * 8 * c + 16)
    return grid + differing * (corner_numbers + 8 * c * (3 * m + 8)) + 2.0 * voxel.stiffness.nbytes


class GridProblem:
    """Conjugate gradients on the nodes of the voxels that differ from the reference material."""

    def __init__(
        self, phase_of_voxel: npt.NDArray[np.int32], voxel: VoxelStiffness, reference: Array
    ) -> None:
        """Find the voxels that differ, and invert the reference.

        Args:
            phase_of_voxel: Phase of each voxel of the periodic image, shape (nx, ny[, nz]).
            voxel: Stiffness of a voxel for each phase.
            reference: Stiffness of a voxel of the reference material, shape (k, k).

        Raises:
            MicroSolveError: The reference is singular to round-off.
        """
        shape, dim = phase_of_voxel.shape, phase_of_voxel.ndim
        self._voxel, self._shape = voxel, shape
        self._counts = np.bincount(phase_of_voxel.reshape(-1), minlength=len(voxel.stiffness))
        try:
            self._green = GreenOperator(element_stencil(reference, voxel.components, dim), shape)
        except np.linalg.LinAlgError as error:
            raise MicroSolveError(
                "the image is singular to round-off: the edges of its voxels, or the stiffnesses of its "
                "phases, differ by too many orders of magnitude"
            ) from error
        differences = voxel.stiffness - reference
        materials = phase_of_voxel.reshape(-1)
        voxels = np.flatnonzero(np.any(differences, axis=(1, 2))[materials])
        voxels = voxels[np.argsort(materials[voxels], kind="stable")]
        nodes = _nodes(voxels, shape)
        self._active, numbers = np.unique(nodes, return_inverse=True)
        self._nodes: Ints = numbers.reshape(nodes.shape)
        self._runs = _runs(materials[voxels], differences)

    def effective_tangent(
        self, tolerance: float, max_iterations: int, progress: Callable[[str], None] | None = None
    ) -> GridSolution:
        r"""Effective tangent, with an error that is the square of the fluctuations' error.

        .. math:: A_{ij} = \langle C_{ij} \rangle - (b_i\cdot w_j + w_i\cdot r_j)/|Y|, \qquad b = -K X

        Args:
            tolerance: Of the residual in the norm of the Green operator, relative to that without
                fluctuations.
            max_iterations: Iterations of one load case after which it is given up.
            progress: Receives what is being done.

        Raises:
            MicroSolveError: The iteration did not converge.
        """
        m = self._voxel.modes.shape[1]
        mean = np.tensordot(self._counts / self._counts.sum(), self._voxel.tangents, 1)
        volume = self._voxel.volume * self._counts.sum()
        round_off = _ROUND_OFF**2 * float(np.abs(mean).max()) * volume
        forces, fields, residuals, iterations = [], [], [], []
        for case in range(m):
            right = self._imposed(-self._voxel.modes[:, case])

            def tell(iteration: int, case: int = case) -> None:
                if progress is not None:
                    progress(f"load case {case + 1} of {m}, iteration {iteration}")

            field, residual, count = self._solve(right, tolerance, round_off, max_iterations, tell)
            forces.append(right.reshape(-1))
            fields.append(field.reshape(-1))
            residuals.append(residual.reshape(-1))
            iterations.append(count)
        b, w, r = np.array(forces), np.array(fields), np.array(residuals)
        tangent = mean - (b @ w.T + w @ r.T) / volume
        return GridSolution(0.5 * (tangent + tangent.T), tuple(iterations))

    def _solve(
        self,
        right: Array,
        tolerance: float,
        round_off: float,
        max_iterations: int,
        tell: Callable[[int], None],
    ) -> tuple[Array, Array, int]:
        """Fluctuation and residual on the active nodes, shape (c, n), and the number of iterations."""
        field, residual = np.zeros_like(right), right.copy()
        preconditioned = self._precondition(residual)
        product = float(np.vdot(residual, preconditioned))
        goal = max(tolerance**2 * product, round_off)
        direction, reference_forces = preconditioned, residual.copy()  # K₀ times the direction
        iterations = 0
        while product > goal:
            if iterations == max_iterations:
                raise MicroSolveError(
                    f"conjugate gradients on the image did not converge in {iterations} iterations: the "
                    f"residual is {np.sqrt(product / goal):.2g} times what it has to be"
                )
            iterations += 1
            tell(iterations)
            forces = reference_forces + self._difference_forces(direction)
            length = product / float(np.vdot(direction, forces))
            field += length * direction
            residual -= length * forces
            preconditioned = self._precondition(residual)
            previous, product = product, float(np.vdot(residual, preconditioned))
            direction = preconditioned + product / previous * direction
            reference_forces = residual + product / previous * reference_forces
        return field, residual, iterations

    def _precondition(self, residual: Array) -> Array:
        whole = np.zeros((len(residual), int(np.prod(self._shape))))
        whole[:, self._active] = residual
        field = self._green(whole.reshape(-1, *self._shape))
        result: Array = field.reshape(len(residual), -1)[:, self._active]
        return result

    def _imposed(self, corner_field: Array) -> Array:
        """Forces on the active nodes, where all voxels have the same displacements at their corners."""
        result = np.zeros((self._voxel.components, len(self._active)))
        for runs in self._runs:
            forces = [np.repeat((K @ corner_field)[:, None], end - start, axis=1) for K, start, end in runs]
            _add(result, self._nodes[:, runs[0][1] : runs[-1][2]], np.hstack(forces))
        return result

    def _difference_forces(self, field: Array) -> Array:
        """Forces of the differences of stiffness in a field on the active nodes."""
        result = np.zeros_like(field)
        for runs in self._runs:
            first, last = runs[0][1], runs[-1][2]
            nodes = self._nodes[:, first:last]
            local = field[:, nodes].reshape(-1, last - first)
            forces = np.empty_like(local)
            for difference, start, end in runs:
                part = slice(start - first, end - first)
                forces[:, part] = difference @ local[:, part]
            _add(result, nodes, forces)
        return result


def _runs(materials: npt.NDArray[np.int32], differences: Array) -> list[list[tuple[Array, int, int]]]:
    """Difference of stiffness of each run of voxels of one material, with its ends, some voxels at a time.

    Args:
        materials: Material of each voxel that differs, ascending.
        differences: Differences of stiffness of the materials, shape (materials, k, k).
    """
    bounds = np.flatnonzero(np.diff(materials, prepend=-1, append=-1))
    ends = np.union1d(bounds, np.arange(0, len(materials), _VOXELS_AT_ONCE)).tolist()
    groups: dict[int, list[tuple[Array, int, int]]] = {}
    for start, end in pairwise(ends):
        run = (differences[materials[start]], start, end)
        groups.setdefault(start // _VOXELS_AT_ONCE, []).append(run)
    return list(groups.values())


def _nodes(voxels: Ints, shape: tuple[int, ...]) -> Ints:
    """Nodes at the corners of voxels of the periodic grid, shape (corners, voxels)."""
    lower, counts = np.array(np.unravel_index(voxels, shape)), np.array(shape)[:, None]
    return np.array(
        [
            np.ravel_multi_index(tuple((lower + corner[:, None]) % counts), shape)
            for corner in corners(len(shape))
        ]
    )


def _add(forces: Array, nodes: Ints, local: Array) -> None:
    """Add the forces at the corners; voxels have different nodes at the same corner."""
    by_corner = local.reshape(len(forces), *nodes.shape)
    for corner, numbers in enumerate(nodes):
        for component, row in enumerate(forces):
            row[numbers] += by_corner[component, corner]
