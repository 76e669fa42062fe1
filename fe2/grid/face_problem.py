r"""Conduction through the faces of a voxel image: the dual of the nodal problem, from below.

For fluxes that are balanced, periodic and continuous across faces, the complementary energy bounds the
effective conductivity from below (Prager & Synge, Quart. Appl. Math. 5 (1947) 241–269):

.. math:: q \cdot A^{-1} q \le \frac{1}{|Y|} \int_Y \sigma\cdot k^{-1}\sigma\,\mathrm{d}x,
    \qquad \operatorname{div}\sigma = 0, \quad \langle\sigma\rangle = q.

In a voxel the flux is linear between the values a and b on opposite faces (Raviart & Thomas 1977, lowest
order). Its energy :math:`(a^2 + ab + b^2)/3k` is at most :math:`(a^2 + b^2)/2k`, the trapezoidal rule, with
which the flux of a face is the potential drop between the centres of two voxels times a harmonic mean t:

.. math:: g\cdot A_-\,g = \min_p \frac{1}{N} \sum_\mathrm{faces} t\,(g_d + \Delta p/h_d)^2,
    \qquad t = 2\,(1/k_1 + 1/k_2)^{-1},

the finite volume method with two points. So :math:`A_- \le A`, and what the nodal elements give is above A.
Where voxels insulate, they touch through faces here, and through nodes there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fe2.grid.conjugate_gradients import conjugate_gradients
from fe2.grid.device import Device, device
from fe2.grid.energy_error import EnergyError
from fe2.grid.green_operator import GreenOperator
from fe2.grid.linear_problem import GridSolution
from fe2.grid.options import GridOptions

Array = npt.NDArray[np.float64]


def face_memory(phase_of_voxel: npt.NDArray[np.int32]) -> float:
    """Bytes that the problem takes at its peak, in the precision of its preconditioner."""
    return phase_of_voxel.size * (8.0 * (2 * phase_of_voxel.ndim + 8 * phase_of_voxel.ndim / 3) + 3 * 8.0)


class FaceProblem:
    """Potentials at the centres of voxels, fluxes through their faces."""

    def __init__(
        self,
        phase_of_voxel: npt.NDArray[np.int32],
        conductivities: Array,
        size: Array,
        options: GridOptions | None = None,
        where: Device | None = None,
    ) -> None:
        """Make the conductances of the faces, and invert a homogeneous reference.

        Args:
            phase_of_voxel: Phase of each voxel of the periodic image, shape (nx, ny[, nz]).
            conductivities: Those of each phase along the axes, shape (phases, dim), not negative.
            size: Edge lengths of a voxel, shape (dim,).
            options: Tolerance and precision.
            where: Where the arrays live, one thread of the CPU by default.
        """
        self._device, options = where or device(), options or GridOptions()
        self._tolerance = options.of(phase_of_voxel.size)
        self._shape, self._size, xp = phase_of_voxel.shape, size, self._device.xp
        phases, dim = xp.asarray(phase_of_voxel), phase_of_voxel.ndim
        self._faces = xp.empty((dim, *self._shape))
        for axis, face in enumerate(self._faces):  # those between a voxel and the next one
            k = xp.asarray(conductivities[:, axis])[phases]
            after = xp.roll(k, -1, axis)
            face[:] = 2.0 * k * after / xp.maximum(k + after, 1e-300)
        stencil = np.zeros((1, 1, *(3,) * dim))
        means = [float(face.mean()) for face in self._faces]
        reference = [max(mean, 1e-6 * max(means)) or 1.0 for mean in means]
        for axis in range(dim):
            for step, share in ((0, -1.0), (1, 2.0), (2, -1.0)):
                place = [0, 0, *(1,) * dim]
                place[2 + axis] = step
                stencil[tuple(place)] += share * reference[axis] / size[axis] ** 2
        self._precision = options.transforms(1.0, phase_of_voxel.size)  # only preconditions
        self._green = GreenOperator(stencil, self._shape, self._device, self._precision)

    def effective_tangent(
        self, max_iterations: int, progress: Callable[[str], None] | None = None
    ) -> GridSolution:
        """Effective conductivity from below, exact to a relative error of the tolerance.

        Raises:
            MicroSolveError: The iteration did not converge.
        """
        dim, count = len(self._shape), int(np.prod(self._shape))
        xp = self._device.xp
        means = np.array([float(face.mean()) for face in self._faces])
        tangent = np.diag(means)
        fields, residuals, solved = [], [], []
        for case in range(dim):
            energies = EnergyError(means[case : case + 1] * count, self._tolerance, means.max() * count)

            def tell(iteration: int, case: int = case) -> None:
                if progress is not None:
                    progress(f"fluxes through faces, load case {case + 1} of {dim}, iteration {iteration}")

            field, residual = conjugate_gradients(
                self._imposed(case),
                self._product,
                self._precondition,
                energies,
                self._device,
                max_iterations=max_iterations,
                tell=tell,
            )
            fields.append(field)
            residuals.append(residual)
            solved.append(energies)
        for i in range(dim):
            right = self._imposed(i)
            for j in range(dim):
                work = float(xp.vdot(right, fields[j]) + xp.vdot(fields[i], residuals[j]))
                tangent[i, j] -= work / count
        return GridSolution(
            tangent=0.5 * (tangent + tangent.T),
            error=max(float(energies.relative[0]) for energies in solved),
            iterations=tuple(int(energies.iterations[0]) for energies in solved),
        )

    def _imposed(self, axis: int) -> Any:
        """What a unit gradient along an axis leaves out of balance, shape (1, 1, n)."""
        face = self._faces[axis] / self._size[axis]
        return (face - self._device.xp.roll(face, 1, axis)).reshape(1, 1, -1)

    def _product(self, potentials: Any, reference_forces: Any) -> Any:
        xp, p = self._device.xp, potentials.reshape(self._shape)
        result = xp.zeros_like(p)
        for axis, face in enumerate(self._faces):
            flux = xp.roll(p, -1, axis)
            flux -= p
            flux *= face
            flux /= self._size[axis] ** 2
            result -= flux
            result += xp.roll(flux, 1, axis)
        return result.reshape(potentials.shape)

    def _precondition(self, residuals: Any) -> Any:
        whole = residuals.reshape(1, *self._shape).astype(self._precision)
        return self._green(whole).reshape(residuals.shape).astype(np.float64)
