r"""Interpolation of a potential in the space of the gradient, for cells without memory.

Sampled fluxes :math:`s_j` at gradients :math:`g_j` are interpolated by the gradient of a potential,

.. math:: s(g) = \sum_j \nabla\nabla\varphi(g - g_j)\,c_j + s_0 + A_0\,g, \qquad \varphi(x) = |x|^5,

with a symmetric :math:`A_0` and coefficients orthogonal to all such linear fluxes: a curl-free kernel
interpolant (Narcowich & Ward, Math. Comp. 63 (1994) 661-687; Fuselier, Math. Comp. 77 (2008) 1407-1423;
Wendland, Scattered Data Approximation, 2004, chapter 8, for :math:`|x|^5`). Its derivative is the consistent
tangent, symmetric because there is a potential. It reproduces linear cells exactly.

The error of leaving out sample i follows without solving again: with the inverse B of the system
:math:`e_i = B_{ii}^{-1} c_i` (Rippa, Adv. Comput. Math. 11 (1999) 193-210, for blocks).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from scipy.spatial import cKDTree

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.hierarchical.database import Database
from fe2.hierarchical.hull import Hull
from fe2.identity import facts
from fe2.micro.model import MicroModel
from fe2.micro.points import Points, Step
from fe2.micro.rve import RVE
from fe2.micro.state import StateField, StateLayout
from fe2.physics.kinematics import Kinematics
from fe2.response import Answers

_SAME = 1e-6
"""Distance of two samples, relative to the largest gradient, below which one of them is left out."""

_DISTANCES = 1_000_000
"""Distances of gradients and samples that are looked at together."""


class InterpolatedModel(MicroModel):
    """A micro model that interpolates sampled fluxes; its state is the gradient alone.

    Attributes:
        kinematics: Names and sizes of gradient and flux.
        samples: Sampled gradients, shape (n, m).
        errors: What the flux at each sample would be wrong by without it, relative to the largest sampled
            flux, shape (n,).
        hull: The convex hull of the samples: outside of it nothing is known.
    """

    def __init__(self, kinematics: Kinematics, gradients: Array, fluxes: Array) -> None:
        """Interpolate.

        Args:
            kinematics: Names and sizes.
            gradients: Different gradients, shape (n, m), among them that of the virgin cell.
            fluxes: Fluxes of a cell without memory, shape (n, m).

        Raises:
            InputError: The samples do not surround the virgin gradient.
        """
        self.kinematics, self.samples = kinematics, np.array(gradients)
        n, m = self.samples.shape
        self.state = StateLayout(StateField("gradient", (m,), initial=kinematics.origin))
        self._scale = np.abs(self.samples - kinematics.origin).max(axis=0)
        self.hull = Hull(kinematics.origin, self.samples - kinematics.origin)
        self._places = (self.samples - kinematics.origin) / self._scale
        linear = _linear_fluxes(self._places)
        blocks = _hessian(self._places[:, None] - self._places[None])
        matrix = np.block(
            [
                [blocks.transpose(0, 2, 1, 3).reshape(n * m, n * m), linear],
                [linear.T, np.zeros((linear.shape[1],) * 2)],
            ]
        )
        inverse = _inverse(matrix)
        right = (np.asarray(fluxes) * self._scale).reshape(-1)
        solution = inverse[:, : n * m] @ right
        self._coefficients = solution[: n * m].reshape(n, m)
        self._linear = solution[n * m :]
        self.errors = self._left_out(inverse, np.asarray(fluxes))

    @classmethod
    def of(cls, database: Database, rve: RVE) -> InterpolatedModel:
        """The interpolation of a database.

        Args:
            database: Solved paths of the cell.
            rve: The cell.

        Raises:
            InputError: The database is of another cell, or the cell has a memory or no potential, as one
                that receives macroscopic values.
        """
        database.check(rve)
        _check_without_memory(rve)
        virgin = rve.initial_state()
        origin = rve.kinematics.origin
        start = rve.solve(origin, virgin, 0.0, virgin.copy()).flux
        gradients = np.vstack([origin, *(solved.gradients for solved in database.paths)])
        fluxes = np.vstack([start, *(solved.fluxes for solved in database.paths)])
        kept = _different(gradients)
        return cls(rve.kinematics, gradients[kept], fluxes[kept])

    @property
    def description(self) -> dict[str, Any]:
        """Samples and what was made of them."""
        return {"samples": facts(self.samples), "coefficients": facts(self._coefficients)}

    @property
    def error(self) -> float:
        """The largest error of leaving out one sample, inside of the hull, relative to the largest flux."""
        inside = self.hull.gauge(self.samples) < 1.0 - _SAME
        return float(self.errors[inside].max(initial=0.0))

    def evaluate(
        self, gradients: Array, committed: Array, trial: Array, points: Points, step: Step, answers: Answers
    ) -> None:
        """Fluxes and tangents; states and time step do not matter."""
        trial[:] = gradients
        m = gradients.shape[1]
        linear, constant = _symmetric(self._linear[m:], m), self._linear[:m]
        # of all points at once, the distances to the samples would not fit the memory
        size = max(1, _DISTANCES // len(self.samples))
        for part in (slice(start, start + size) for start in range(0, len(gradients), size)):
            places = (gradients[part] - self.kinematics.origin) / self._scale
            flux, tangent = _kernel(places[:, None] - self._places, self._coefficients)
            answers.flux[part] = (flux + constant + places @ linear) / self._scale
            answers.tangent[part] = (tangent + linear) / np.outer(self._scale, self._scale)

    def _left_out(self, inverse: Array, fluxes: Array) -> Array:
        n, m = fluxes.shape
        errors = np.empty((n, m))
        for i in range(n):
            rows = slice(i * m, (i + 1) * m)
            errors[i] = np.linalg.lstsq(inverse[rows, rows], self._coefficients[i], rcond=None)[0]
        largest = float(np.linalg.norm(fluxes, axis=1).max())
        result: Array = np.linalg.norm(errors / self._scale, axis=1) / largest
        return result


def _check_without_memory(rve: RVE) -> None:
    form = rve.form
    if form.history or form.point_laws or form.dt in form.residual.constants():
        names = sorted({variable.name for variable in form.history}) or ["the time step"]
        raise InputError(
            f"the cell has a memory ({', '.join(names)}): its flux is no function of the gradient that could "
            "be interpolated"
        )
    if form.values:
        values = ", ".join(form.kinematics.gradient_names[value.component] for value in form.values)
        raise InputError(
            f"the {form.kinematics.name} of this cell receives values ({values}): fluxes and what is "
            "conjugate to values have no common potential that could be interpolated; use the "
            "linearized cell or a reduced one"
        )
    if not form.symmetric:
        raise InputError(
            "the cell's tangent is not symmetric: there is no potential that could be interpolated"
        )


def _different(gradients: Array) -> Ints:
    """Rows of which no two are the same, the first ones being kept."""
    scale = np.abs(gradients - gradients[0]).max(axis=0)
    points = (gradients - gradients[0]) / np.where(scale > 0.0, scale, 1.0)
    pairs = cKDTree(points).query_pairs(_SAME, output_type="ndarray")
    return np.setdiff1d(np.arange(len(points)), pairs[:, 1])


def _hessian(x: Array) -> Array:
    r"""Second derivatives of :math:`|x|^5`: :math:`5 r^3 I + 15 r\,x x^T`, for x of shape (..., m)."""
    r = np.linalg.norm(x, axis=-1)[..., None, None]
    return 5.0 * r**3 * np.eye(x.shape[-1]) + 15.0 * r * x[..., :, None] * x[..., None, :]


def _kernel(x: Array, c: Array) -> tuple[Array, Array]:
    """Second derivatives of the same times c, summed over n, and their derivatives; x is (p, n, m)."""
    r = np.linalg.norm(x, axis=-1)
    along = np.einsum("pni,ni->pn", x, c)
    flux = 5.0 * r**3 @ c + 15.0 * np.einsum("pn,pni->pi", r * along, x)
    mixed = 15.0 * np.einsum("pn,pni,nj->pij", r, x, c, optimize=True)
    # where r vanishes, x does as well
    weights = 15.0 * along / np.where(r > 0.0, r, 1.0)
    stretched = (weights[..., None] * x).transpose(0, 2, 1) @ x
    isotropic = 15.0 * np.sum(r * along, axis=1)[:, None, None] * np.eye(x.shape[-1])
    return flux, isotropic + mixed + mixed.transpose(0, 2, 1) + stretched


def _linear_fluxes(x: Array) -> Array:
    """Fluxes s₀ + A₀ x for all s₀ and symmetric A₀, shape (n m, m + m (m + 1) / 2)."""
    n, m = x.shape
    columns = [np.tile(np.eye(m), (n, 1))]
    for i, j in zip(*np.triu_indices(m), strict=True):
        flux = np.zeros((n, m))
        flux[:, i] += x[:, j]
        if i != j:
            flux[:, j] += x[:, i]
        columns.append(flux.reshape(-1, 1))
    return np.hstack(columns)


def _symmetric(values: Array, m: int) -> Array:
    matrix = np.zeros((m, m))
    matrix[np.triu_indices(m)] = values
    return matrix + np.triu(matrix, 1).T


def _inverse(matrix: Array) -> Array:
    try:
        inverse: Array = scipy.linalg.inv(matrix, check_finite=True)
    except (np.linalg.LinAlgError, ValueError) as error:
        raise InputError(
            f"the samples do not determine a potential: {error}; more different ones are needed"
        ) from error
    return inverse
