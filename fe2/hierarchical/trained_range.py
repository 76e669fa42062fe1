"""The range in which a model that was trained may be asked: beyond it nothing is said, not even wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array
from fe2.errors import OutsideRangeError, place
from fe2.hierarchical.solved_path import SolvedPath
from fe2.micro.form import CellForm

_MARGIN = 1e-6
"""Part of the range by which a gradient may exceed it: round-off is no extrapolation."""

_ROUND_OFF = 1e-12
"""Part of its virgin value by which a component that was not trained may change."""


@dataclass(frozen=True, eq=False)
class TrainedRange:
    r"""The smallest ellipsoid along the components' axes, of the components' proportions, with all gradients.

    .. math:: \sum_i \left(\frac{g_i - g^0_i}{a_i}\right)^2 \le \rho^2

    Attributes:
        origin: Gradient :math:`g^0` of the virgin cell, shape (m,).
        scale: Largest change :math:`a_i` of each component in the training, shape (m,).
        block_scale: The largest of them in the component's block, shape (m,): components of other blocks have
            other units.
        radius: Largest norm ρ of a trained gradient.
        longest_step: Longest time step of the training; infinite where time does not matter to the laws.
    """

    origin: Array
    scale: Array
    block_scale: Array
    radius: float
    longest_step: float

    def distance(self, gradient: Array) -> float:
        """Norm of a gradient relative to the radius: at most one inside."""
        change = np.abs(gradient - self.origin)
        margin = _MARGIN * self.block_scale
        trained = self.scale > margin
        left = change > np.maximum(margin, _ROUND_OFF * np.abs(self.origin))
        if not np.all(np.isfinite(change)) or np.any(left & ~trained):
            return float("inf")
        return float(np.linalg.norm(change[trained] / self.scale[trained]) / self.radius)

    def contains(self, gradient: Array, dt: float) -> bool:
        """Whether a step may be taken."""
        return self.distance(gradient) <= 1.0 + _MARGIN and dt <= self.longest_step * (1.0 + _MARGIN)

    def check(self, gradient: Array, dt: float) -> None:
        """Refuse a step outside of the range.

        Raises:
            OutsideRangeError: The message says by how much.
        """
        if self.contains(gradient, dt):
            return
        if dt > self.longest_step * (1.0 + _MARGIN):
            text = f"a time step of {dt:g} is longer than any of the training, {self.longest_step:g}"
        else:
            text = (
                f"the gradient {place(gradient)} lies outside of the trained range, at "
                f"{self.distance(gradient):.6g} of its radius; train with larger amplitudes, or let such "
                "points be solved in full"
            )
        raise OutsideRangeError(text)


def trained_range(form: CellForm, training: Sequence[SolvedPath]) -> TrainedRange:
    """The range of a training."""
    origin, blocks = form.kinematics.origin, form.kinematics.slices.values()
    changes = np.vstack([path.gradients for path in training]) - origin
    scale = np.abs(changes).max(axis=0)
    block_scale = np.concatenate([np.full_like(scale[block], scale[block].max()) for block in blocks])
    seen = scale > 0.0
    radius = float(np.linalg.norm(changes[:, seen] / scale[seen], axis=1).max()) if seen.any() else 0.0
    longest = max(float(path.steps.max()) for path in training)
    return TrainedRange(origin, scale, block_scale, radius, longest if _time_matters(form) else float("inf"))


def _time_matters(form: CellForm) -> bool:
    return form.dt in form.residual.constants() or any(not t.law.rate_independent for t in form.point_laws)
