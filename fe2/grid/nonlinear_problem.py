r"""A non-linear image cell on its grid: Newton's method with conjugate gradients, without mesh and matrix.

One multilinear element for each voxel, with the local gradient :math:`e = E g + B w` at its Gauss points:

.. math::

    r(w) = \sum_{v,q} \omega_q T_v^T B_q^T \sigma(e_q), \qquad
    K = \sum_{v,q} \omega_q T_v^T B_q^T C_q B_q T_v, \qquad
    s = \frac{1}{|Y|} \sum_{v,q} \omega_q E^T \sigma(e_q).

Newton's systems are solved by conjugate gradients as exactly as the step is worth, preconditioned with the
inverse of the homogeneous grid with the mean tangent; local tangents, products and transforms in them are in
single precision, everything that ends in a result in double. At equilibrium one further solution for each
component, :math:`K S = -F` with :math:`F_j = \sum \omega_q T_v^T B_q^T C_q E e_j`, gives the consistent
tangent :math:`A = \langle E^T C E\rangle + (F^T S + S^T R)/|Y|` with the residuals :math:`R = F + K S`: the
error is of second order in what the iteration leaves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from fe2.arrays import Array
from fe2.errors import MicroSolveError, counted
from fe2.grid.conjugate_gradients import conjugate_gradients
from fe2.grid.device import Device
from fe2.grid.element import corners, element_stencil
from fe2.grid.energy_error import EnergyError, RelativeResidualError
from fe2.grid.green_operator import GreenOperator

_TRIALS = 6
_SUFFICIENT_DECREASE = 0.8
_LOOSEST, _TIGHTEST = 1e-2, 1e-4
_TANGENT = 1e-8
"""Error of the effective tangent, relative."""
_PRECISIONS = (np.float32, np.float64)
_STALE = 2.0
"""Contrast of the mean tangent with that of the preconditioner from which on it is made anew."""
_TINY = 1e-300


class Material(Protocol):
    """The law of a phase on arrays; lists and arrays of scalars have the points last.

    Attributes:
        linear: Its constant tangent, shape (k, k), where it is linear and without history, else None.
        names: Names of its history variables.
    """

    linear: Array | None
    names: tuple[str, ...]

    def __call__(
        self, xp: Any, gradient: Any, history: Mapping[str, Any], dt: float
    ) -> tuple[Sequence[Any], Sequence[Any], Mapping[str, Sequence[Any]]]:
        """Flux (k), upper triangle of the tangent, new history."""


@dataclass(frozen=True, eq=False)
class VoxelElement:
    """A voxel with its Gauss points.

    Attributes:
        gradients: Local gradients at the points of nodal values, B of shape (k, q, c × corners), numbered
            component by component.
        weights: Shape (q,), whose sum is the volume.
        embedding: E of shape (k, m).
        modes: Macroscopic modes at the corners, shape (c × corners, m).
        components: Components c of the unknown.
    """

    gradients: Array
    weights: Array
    embedding: Array
    modes: Array
    components: int

    def stiffness(self, tangent: Array) -> Array:
        """Of a homogeneous voxel, from its local tangent (k, k)."""
        B = self.gradients
        stiffness: Array = np.einsum("iqa,ij,jqb,q->ab", B, tangent, B, self.weights, optimize=True)
        return stiffness


def voxel_element(size: Array, modes: Array, components: int, embedding: Array) -> VoxelElement:
    """The multilinear element with two Gauss points along each edge.

    Args:
        size: Edge lengths, shape (dim,).
        modes: Macroscopic modes at the corners of the voxel, which stands in the origin with its lowest one.
        components: Components c of the unknown.
        embedding: E of shape (k, m).
    """
    dim, nodes = len(size), corners(len(size))
    points = np.array(list(itertools.product(0.5 + np.array([-1.0, 1.0]) / np.sqrt(12.0), repeat=dim)))
    slopes = np.empty((dim, len(points), len(nodes)))
    for q, point in enumerate(points):
        shapes, signs = np.where(nodes, point, 1.0 - point), np.where(nodes, 1.0, -1.0)
        for d in range(dim):
            slopes[d, q] = signs[:, d] * np.delete(shapes, d, axis=1).prod(axis=1) / size[d]
    # the gradient of mode j is affine in the corners: G of shape (c × dim, m), whose inverse takes components
    values = modes.reshape(components, len(nodes), -1).swapaxes(0, 1).reshape(len(nodes), -1)
    affine = np.linalg.lstsq(nodes * size, values, rcond=None)[0]
    G = affine.reshape(dim, components, -1).swapaxes(0, 1).reshape(components * dim, -1)
    take = (embedding @ np.linalg.pinv(G)).reshape(-1, components, dim)
    B = np.einsum("kcd,dqa->kqca", take, slopes).reshape(len(embedding), len(points), -1)
    return VoxelElement(B, np.full(len(points), np.prod(size) / len(points)), embedding, modes, components)


@dataclass
class _Point:
    """A point on the way to equilibrium: fluctuation, residual, and norms of residual and forces."""

    fluctuation: Any
    residual: Any
    norm: float
    forces: float
    flux: Array

    @property
    def error(self) -> float:
        return self.norm / max(self.forces, _TINY)


@dataclass(frozen=True)
class Solution:
    """A cell at the end of an increment: flux (m,), tangent (m, m), fluctuation (c, n), and counts."""

    flux: Array
    tangent: Array
    fluctuation: Any
    newton_iterations: int
    linear_iterations: int


class NonlinearProblem:
    """One image with the laws of its phases; states are handed in."""

    def __init__(
        self,
        phase_of_voxel: npt.NDArray[np.int32],
        element: VoxelElement,
        materials: Sequence[Material],
        where: Device,
    ) -> None:
        """Find the nodes of the phases' voxels; what has no material is void.

        Args:
            phase_of_voxel: Phase of each voxel of the periodic image, shape (nx, ny[, nz]).
            element: The voxel.
            materials: Laws of the phases.
            where: Where the arrays live.
        """
        self._device, self._element, self._shape = where, element, phase_of_voxel.shape
        self._materials = materials
        xp, self._size = where.xp, phase_of_voxel.size
        k, q, _ = element.gradients.shape
        self._upper = [(i, j) for i in range(k) for j in range(i, k)]
        self.points = q
        B = element.gradients.reshape(k * q, -1)
        BT = np.ascontiguousarray((element.gradients * element.weights[:, None]).reshape(k * q, -1).T)
        self._B = {np.dtype(kind): xp.asarray(B, dtype=kind) for kind in _PRECISIONS}
        self._BT = {np.dtype(kind): xp.asarray(BT, dtype=kind) for kind in _PRECISIONS}
        self._nodes: list[Any] = []
        self._tangents: list[Any] = []
        kind = np.int32 if self._size < 2**31 else np.int64
        lower_corner = np.arange(self._size, dtype=kind).reshape(self._shape)
        for p, material in enumerate(materials):
            here = phase_of_voxel == p
            axes = tuple(range(here.ndim))
            nodes = [np.roll(lower_corner, tuple(-corner), axes)[here] for corner in corners(here.ndim)]
            self._nodes.append(xp.asarray(np.array(nodes)))
            count = int(here.sum())
            if material.linear is None:
                self._tangents.append(xp.zeros((len(self._upper), q, count), dtype=np.float32))
            else:
                stiffness = element.stiffness(material.linear)
                self._tangents.append(
                    {np.dtype(kind): xp.asarray(stiffness, dtype=kind) for kind in _PRECISIONS}
                )
        self._linear = [material.linear for material in materials]

    def voxels(self, phase: int) -> int:
        """Number of voxels of a phase."""
        return int(self._nodes[phase].shape[1])

    # ---- forces

    def _chunks(self, phase: int) -> list[slice]:
        count, chunk = self.voxels(phase), self._device.voxels_at_once
        return [slice(a, min(a + chunk, count)) for a in range(0, count, chunk)]

    def _add(self, result: Any, nodes: Any, forces: Any) -> None:
        by_corner = forces.reshape(self._element.components, *nodes.shape)
        for corner, numbers in enumerate(nodes):
            for component, row in enumerate(result):
                row[numbers] += by_corner[component, corner]

    def _assemble(
        self,
        gradient: Array,
        fluctuation: Any,
        history: Sequence[Mapping[str, Any]],
        dt: float,
        new: Sequence[Any],
    ) -> _Point:
        """Residual, flux and tangents at a field; the new history goes to `new`."""
        xp, k = self._device.xp, len(self._element.embedding)
        uniform = xp.asarray(self._element.embedding @ gradient)[:, None]
        affine = xp.asarray(self._element.modes @ gradient)[:, None]
        residual, square = xp.zeros((self._element.components, self._size)), 0.0
        total = xp.zeros(len(affine))
        for p, material in enumerate(self._materials):
            for part in self._chunks(p):
                nodes = self._nodes[p][:, part]
                local = fluctuation[:, nodes].reshape(len(affine), -1)
                if material.linear is not None:
                    forces = self._tangents[p][local.dtype] @ (local + affine)
                else:
                    e = (self._B[local.dtype] @ local).reshape(k, -1) + uniform
                    old = {
                        name: values[..., part].reshape(len(values), -1)
                        for name, values in history[p].items()
                    }
                    flux, upper, fresh = material(xp, e, old, dt)
                    stress = xp.empty((k, self.points, nodes.shape[1]))
                    flat = stress.reshape(k, -1)
                    for i, values in enumerate(flux):
                        flat[i] = values
                    for i, values in enumerate(upper):
                        self._tangents[p][i, :, part] = xp.broadcast_to(
                            xp.asarray(values), flat[0].shape
                        ).reshape(self.points, -1)
                    for name, rows in fresh.items():
                        for i, values in enumerate(rows):
                            new[p][name][i, :, part] = xp.asarray(values).reshape(self.points, -1)
                    forces = self._BT[local.dtype] @ stress.reshape(k * self.points, -1)
                total += forces.sum(axis=1)
                square += float(xp.vdot(forces, forces))
                self._add(residual, nodes, forces)
        volume = float(self._element.weights.sum()) * self._size
        flux = self._element.modes.T @ self._device.host(total) / volume
        norm = float(xp.sqrt(xp.vdot(residual, residual)))
        return _Point(fluctuation, residual, norm, float(np.sqrt(square)), flux)

    def _tangent_forces(self, p: int, part: slice, local: Any) -> Any:
        """Forces of nodal values of some voxels, or of the same of all of them, (c × corners, voxels)."""
        if self._linear[p] is not None:
            return self._tangents[p][local.dtype] @ local
        xp, k, C = self._device.xp, len(self._element.embedding), self._tangents[p][..., part]
        e = (self._B[local.dtype] @ local).reshape(k, self.points, -1)
        stress = xp.zeros((k, *C.shape[1:]), dtype=local.dtype)
        work = xp.empty(C.shape[1:], dtype=local.dtype)
        for (i, j), entry in zip(self._upper, C, strict=True):
            xp.multiply(entry, e[j], out=work)
            stress[i] += work
            if i != j:
                xp.multiply(entry, e[i], out=work)
                stress[j] += work
        return self._BT[local.dtype] @ stress.reshape(k * self.points, -1)

    def _product(self, directions: Any, reference_forces: Any) -> Any:
        """K times directions (1, c, n), in single precision."""
        return self._forces_of(directions[0].astype(np.float32))[None].astype(np.float64)

    def _forces_of(self, field: Any) -> Any:
        """K times a field (c, n), in its precision."""
        result = self._device.xp.zeros_like(field)
        for p in range(len(self._materials)):
            for part in self._chunks(p):
                nodes = self._nodes[p][:, part]
                local = field[:, nodes].reshape(self._element.modes.shape[0], -1)
                self._add(result, nodes, self._tangent_forces(p, part, local))
        return result

    def _imposed(self, mode: Array) -> Any:
        """Forces of a macroscopic mode, the same at the corners of all voxels, shape (1, c, n)."""
        xp = self._device.xp
        result, local = xp.zeros((1, self._element.components, self._size)), xp.asarray(mode)[:, None]
        for p in range(len(self._materials)):
            for part in self._chunks(p):
                nodes = self._nodes[p][:, part]
                forces = self._tangent_forces(p, part, local)
                self._add(result[0], nodes, xp.broadcast_to(forces, (len(mode), nodes.shape[1])))
        return result

    # ---- the preconditioner

    def _mean_tangent(self) -> Array:
        """Mean local tangent of all voxels, shape (k, k)."""
        k = len(self._element.embedding)
        mean = np.zeros((k, k))
        for p, linear in enumerate(self._linear):
            if linear is not None:
                mean += self.voxels(p) * linear
                continue
            for (i, j), entry in zip(self._upper, self._tangents[p], strict=True):
                mean[i, j] += float(entry.sum(dtype=np.float64)) / self.points
                mean[j, i] = mean[i, j]
        return mean / self._size

    def _preconditioner(self, mean: Array) -> Callable[[Any], Any]:
        c, dim = self._element.components, len(self._shape)
        stencil = element_stencil(self._element.stiffness(mean), c, dim)
        try:
            green = GreenOperator(stencil, self._shape, self._device, np.float32)
        except np.linalg.LinAlgError as error:
            raise MicroSolveError("the mean tangent of the cell is singular") from error

        def precondition(residuals: Any) -> Any:
            fields = green(residuals.astype(np.float32).reshape(-1, c, *self._shape))
            return fields.reshape(residuals.shape).astype(np.float64)

        return precondition

    # ---- equilibrium

    def solve(
        self,
        gradient: Array,
        fluctuation: Any,
        history: Sequence[Mapping[str, Any]],
        dt: float,
        new: Sequence[Mapping[str, Any]],
        *,
        tolerance: float,
        max_iterations: int,
        max_linear: int,
    ) -> Solution:
        """Equilibrium at the end of an increment, and the consistent tangent.

        Args:
            gradient: Macroscopic gradient at the end, shape (m,).
            fluctuation: First guess, shape (c, n).
            history: History of each phase at the beginning, arrays (components, points, voxels) by name.
            dt: Time step.
            new: Receives the history at the end.
            tolerance: Norm of the residual, relative to that of the forces of all voxels.
            max_iterations: Newton's iterations after which it is given up.
            max_linear: Iterations of a linear system after which it is given up.

        Raises:
            MicroSolveError: No equilibrium was found.
        """
        norms: list[float] = []
        reference: Array | None = None
        linear = 0
        point = self._assemble(gradient, fluctuation, history, dt, new)
        while True:
            if not np.isfinite(point.norm) or not np.isfinite(point.forces):
                raise MicroSolveError(f"the cell problem has no finite residual, {_told(norms)}")
            norms.append(point.error)
            mean = self._mean_tangent()
            if reference is None or _contrast(mean, reference) > _STALE:
                reference, precondition = mean, self._preconditioner(mean)
            if point.error <= tolerance:
                break
            if len(norms) > max_iterations:
                raise MicroSolveError(
                    f"the cell problem did not converge in {counted(max_iterations, 'iteration')} "
                    f"to {tolerance:.2g}, {_told(norms)}"
                )
            wanted = RelativeResidualError(
                max(min(_LOOSEST, point.error), min(_TIGHTEST, 0.1 * tolerance / point.error))
            )
            direction = self._linear_solution(-point.residual[None], precondition, wanted, max_linear)[0][0]
            linear += wanted.steps
            point = self._line_search(point, direction, gradient, history, dt, new, norms)
        tangent, count = self._consistent_tangent(precondition, max_linear)
        return Solution(point.flux, tangent, point.fluctuation, len(norms) - 1, linear + count)

    def _linear_solution(
        self, right: Any, precondition: Callable[[Any], Any], energies: EnergyError, most: int
    ) -> tuple[Any, Any]:
        return conjugate_gradients(
            right,
            self._product,
            precondition,
            energies,
            self._device,
            max_iterations=most,
            tell=lambda _: None,
        )

    def _line_search(
        self,
        start: _Point,
        direction: Any,
        gradient: Array,
        history: Sequence[Mapping[str, Any]],
        dt: float,
        new: Sequence[Any],
        norms: Sequence[float],
    ) -> _Point:
        """Secant search for the zero of direction · residual; a full step that helps is taken."""
        xp, length, failure = self._device.xp, 1.0, None
        slope = float(xp.vdot(direction, start.residual))
        for _ in range(_TRIALS):
            try:
                trial = self._assemble(gradient, start.fluctuation + length * direction, history, dt, new)
            except MicroSolveError as error:
                failure, length = error, 0.5 * length
                continue
            after = float(xp.vdot(direction, trial.residual))
            if trial.norm <= start.norm or abs(after) <= _SUFFICIENT_DECREASE * abs(slope):
                return trial
            part = slope / (slope - after) if np.isfinite(after) and slope != after else 0.5
            length *= float(np.clip(part, 0.1, 0.7))
        raise MicroSolveError(
            f"the line search of the cell problem found no step that lowers the residual, {_told(norms)}"
        ) from failure

    def _consistent_tangent(self, precondition: Callable[[Any], Any], most: int) -> tuple[Array, int]:
        element, xp, m = self._element, self._device.xp, self._element.modes.shape[1]
        volume = float(element.weights.sum()) * self._size
        mean = element.embedding.T @ self._mean_tangent() @ element.embedding
        fields, residuals, steps = [], [], 0
        for j in range(m):
            energies = EnergyError(
                np.diag(mean)[j : j + 1] * volume, _TANGENT, float(np.abs(mean).max()) * volume
            )
            right = -self._imposed(element.modes[:, j])
            field = self._linear_solution(right, precondition, energies, most)[0]
            fields.append(field)
            residuals.append(right - self._forces_of(field[0])[None])
            steps += energies.steps
        change = np.empty((m, m))
        for i in range(m):
            right = self._imposed(element.modes[:, i])
            for j in range(m):
                change[i, j] = float(xp.vdot(right, fields[j])) - float(xp.vdot(fields[i], residuals[j]))
        tangent = mean + change / volume
        return 0.5 * (tangent + tangent.T), steps


def _contrast(mean: Array, reference: Array) -> float:
    """Ratio of the extreme eigenvalues of one tangent relative to another, one where it is not definite."""
    try:
        values = eigh(mean, reference, eigvals_only=True)
    except np.linalg.LinAlgError:
        return 1.0
    return float(values[-1] / max(values[0], 1e-12 * values[-1]))


def _told(norms: Sequence[float]) -> str:
    return "errors " + ", ".join(f"{norm:.2e}" for norm in norms[-6:])
