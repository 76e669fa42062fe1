r"""The range of the gradient in which a constant tangent answers as the cell does.

Along a ray :math:`g_0 + r\,d` the cell is loaded to a point, held there, and unloaded, a step each. With
the tangent A and the flux :math:`s_0` at the start the deviation of the constant tangent is

.. math:: e(r) = \max_{\text{three steps}} \frac{\|s - s_0 - A\,\Delta g\|}{\|A\,r d\|}

where the norm is the largest component, each relative to the flux that the largest gradients bring,
:math:`f_i = \sum_j |A_{ij}| a_j`, so that blocks of other units count alike. The first step finds
nonlinearity, the second relaxation and storage, the third dissipation. The reach along the ray is where e
exceeds the tolerance first. The range is the convex hull of the reaches, which lies within an elastic domain
because that is convex. The centres of its facets, which are farthest from the rays, are checked; where one
is not in range, long rays are cut to a few times the shortest, and then the hull is shrunk until all are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI

from fe2.arrays import Array, Mask
from fe2.errors import InputError, MicroSolveError
from fe2.hierarchical.hull import Hull
from fe2.hierarchical.paths import directions
from fe2.micro.linear_model import LinearModel
from fe2.micro.rve import RVE
from fe2.parallel import on_every_rank
from fe2.physics.kinematics import Kinematics

_FIRST = 2.0**-10
"""Part of the largest gradient from which the search doubles."""

_RESOLUTION = 0.01
"""Relative width of the interval in which a reach is found."""

_LONGEST = (float("inf"), 16.0, 8.0, 4.0, 2.0, 1.0)
"""Lengths of the longest rays that are tried, in those of the shortest."""

_LEAST_FLUX = 0.1
"""Flux that a direction counts as having that brings none, such as a rotation: part of what others bring."""


@dataclass(frozen=True, eq=False)
class LinearRange:
    """Where a constant tangent is within a tolerance of the cell that it was taken from.

    Attributes:
        model: The constant tangent.
        origin: Gradient at which it was taken, shape (m,).
        hull: The range.
        limited: True where the tolerance ends a ray, False where the search did, shape (k,).
        convex: Whether the hull of all reaches was in range, so that no ray had to be cut.
        tolerance: The tolerance.
        solves: Solves of the cell that it took.
    """

    model: LinearModel
    origin: Array
    hull: Hull
    limited: Mask
    convex: bool
    tolerance: float
    solves: int

    def components(self) -> dict[str, tuple[float, float]]:
        """Range along each component alone, in reported components, by its name."""
        kinematics, m = self.model.kinematics, self.model.kinematics.size
        reported = (self.origin + self.hull.points[: 2 * m]) * kinematics.scale
        return {
            name: (float(reported[m + k, k]), float(reported[k, k]))
            for k, name in enumerate(kinematics.components)
        }

    def as_dict(self) -> dict[str, Any]:
        """All numbers, for JSON, in reported components."""
        kinematics = self.model.kinematics
        return {
            "gradient": kinematics.gradient_name,
            "tolerance": self.tolerance,
            "components": {name: list(bounds) for name, bounds in self.components().items()},
            "origin": self.origin * kinematics.scale,
            "ends": (self.origin + self.hull.points) * kinematics.scale,
            "limited": self.limited,
            "convex": self.convex,
            "solves": self.solves,
        }


def linear_range(
    rve: RVE,
    largest: float | Sequence[float],
    *,
    tolerance: float = 0.01,
    directions: int | None = None,
    dt: float = 1.0,
    state: Array | None = None,
    seed: int = 0,
    comm: MPI.Comm = MPI.COMM_SELF,
) -> LinearRange:
    """Find the range of a cell's constant tangent along both senses of many directions; collective.

    The directions are the components' own and then those of a low-discrepancy sequence.

    Args:
        rve: The cell.
        largest: Largest change of the gradient that is looked at, internal components: one for each
            component, or one for all.
        tolerance: Relative deviation of the flux that is admitted.
        directions: Number of directions beside the components', twice their number by default.
        dt: Length of a time step of the loading.
        state: State at which the tangent is taken, the virgin one by default.
        seed: Seed of the directions.
        comm: Ranks that share the rays.

    Raises:
        InputError: The tolerance or the largest gradient is not positive, or the cell deviates by more than
            the tolerance at a thousandth of the largest gradient already.
    """
    kinematics = rve.kinematics
    m = kinematics.size
    scale = on_every_rank(comm, lambda: _checked(largest, tolerance, m))
    rays = _rays(m, 2 * m if directions is None else directions, seed) * scale
    search = on_every_rank(comm, lambda: _Search(rve, scale, tolerance, dt, state))
    reach = _shared(comm, search.reach, rays)
    on_every_rank(comm, lambda: _check_reach(reach, rays, kinematics, tolerance))
    hull, convex = _hull(comm, search, rays, reach)
    solves = comm.allreduce(search.solves)
    return LinearRange(search.model, search.origin, hull, reach < 1.0, convex, tolerance, solves)


def _hull(comm: MPI.Comm, search: _Search, rays: Array, reach: Array) -> tuple[Hull, bool]:
    """The largest hull tried whose facets have centres in range, and whether it is that of all reaches."""
    for longest in _LONGEST:
        hull = Hull(search.origin, rays * np.minimum(reach, longest * reach.min())[:, None])
        centres = hull.centroids[: len(rays)]
        if np.all(_shared(comm, search.deviation, centres) <= search.tolerance):
            return hull, longest == _LONGEST[0]
    parts = _shared(comm, search.reach, centres)
    on_every_rank(comm, lambda: _check_reach(parts, centres, search.model.kinematics, search.tolerance))
    return hull.scaled(float(parts.min())), False


def _checked(largest: float | Sequence[float], tolerance: float, size: int) -> Array:
    """The largest change of each component."""
    scale = np.asarray(largest, dtype=np.float64)
    if scale.shape not in ((), (size,)) or not (np.all(np.isfinite(scale)) and np.all(scale > 0.0)):
        raise InputError(
            f"largest = {largest}: the largest change of the gradient is needed, positive, one for all "
            f"components or one for each of the {size}"
        )
    if not 0.0 < tolerance < 1.0:
        raise InputError(f"tolerance = {tolerance} is not admissible; it must lie between 0 and 1")
    return np.broadcast_to(scale, (size,))


def _check_reach(reach: Array, rays: Array, kinematics: Kinematics, tolerance: float) -> None:
    if np.all(reach > 0.0):
        return
    ray = np.array2string(rays[int(np.argmin(reach))] * kinematics.scale, precision=3)
    raise InputError(
        f"the constant tangent is not within {tolerance:g} of the cell at {_FIRST:.2g} of the "
        f"{kinematics.gradient_name} {ray} ({', '.join(kinematics.components)}) already: this cell has no "
        "linear range"
    )


def _shared(comm: MPI.Comm, function: Callable[[Array], float], rows: Array) -> Array:
    """A function of each row, computed by the ranks together; collective."""
    own = on_every_rank(comm, lambda: [function(row) for row in rows[comm.rank :: comm.size]])
    result = np.empty(len(rows))
    for rank, part in enumerate(comm.allgather(own)):
        result[rank :: comm.size] = part
    return result


def _rays(size: int, count: int, seed: int) -> Array:
    """Unit vectors: the axes, their opposites, then low-discrepancy directions and theirs."""
    axes = np.eye(size)
    unit = directions(size, count, seed)
    return np.concatenate([axes, -axes, unit, -unit])


class _Search:
    """Looks for the reach along rays."""

    def __init__(self, rve: RVE, scale: Array, tolerance: float, dt: float, state: Array | None) -> None:
        self._rve, self.tolerance, self._dt = rve, tolerance, dt
        self._state = rve.initial_state() if state is None else state
        self.origin: Array = self._state[: rve.kinematics.size].copy()
        self.model = rve.linearized(self._state)
        self._start = self.model.tangent @ self.origin + self.model.offset
        self._scale = scale
        self._fluxes = np.abs(self.model.tangent) @ scale
        self.solves = 0

    def reach(self, ray: Array) -> float:
        """Part of a ray within the tolerance: one where all of it is, zero where its beginning is not."""
        inside, outside = 0.0, _FIRST
        while self.deviation(outside * ray) <= self.tolerance:
            if outside >= 1.0:
                return 1.0
            inside, outside = outside, min(1.0, 2.0 * outside)
        while inside > 0.0 and outside - inside > _RESOLUTION * inside:
            middle = 0.5 * (inside + outside)
            if self.deviation(middle * ray) <= self.tolerance:
                inside = middle
            else:
                outside = middle
        return inside

    def deviation(self, change: Array) -> float:
        """Largest relative deviation of the constant tangent in loading, holding and unloading."""
        expected = self.model.tangent @ change
        reference = max(self._norm(expected), _LEAST_FLUX * float(np.max(np.abs(change) / self._scale)))
        state, worst = self._state, 0.0
        for part in (1.0, 1.0, 0.0):  # load, hold, unload
            new = state.copy()
            try:
                self.solves += 1
                response = self._rve.solve(self.origin + part * change, state, self._dt, new)
            except MicroSolveError:
                return float("inf")
            worst = max(worst, self._norm(response.flux - self._start - part * expected) / reference)
            state = new
        return worst

    def _norm(self, flux: Array) -> float:
        """Largest component, relative to the flux of the largest gradients; infinite where that is zero."""
        size = np.abs(flux)
        seen = self._fluxes > 0.0
        if np.any(size[~seen] > 1e-10 * max(size.max(), self._fluxes.max())):
            return float("inf")
        return float((size[seen] / self._fluxes[seen]).max(initial=0.0))
