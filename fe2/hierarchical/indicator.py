r"""An estimate of the error of a reduced cell's flux, from a coarser one that runs beside it.

Two reduced cells follow every point, each with its own history: a fine one, whose answer is taken, and a
coarse one, with fewer modes and mesh cells. As in embedded Runge–Kutta methods their difference says how far
the fine one may be off:

.. math:: \eta = c\,(\|s_f - s_c\| + \delta),

in a norm that is relative to the fluxes of the training, see :class:`~fe2.hierarchical.flux_scale.FluxScale`.

The factor c is calibrated on n paths that were solved in full and kept out of the training: it is the
largest ratio of the true error to :math:`\|s_f - s_c\| + \delta` along them. By the argument of split
conformal prediction (Papadopoulos et al. 2002; Lei et al., J. Amer. Statist. Assoc. 113 (2018), sec. 2.2),
with paths as the exchangeable units because steps of one path are not independent, it bounds the error at
*all* steps of a further path of the same kind with a probability of n/(n + 1) or more, and at most steps of
the rest. It says nothing of paths of another kind: that is why the trained range is checked besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array
from fe2.hierarchical.flux_scale import FluxScale
from fe2.hierarchical.solved_path import SolvedPath
from fe2.micro.model import MicroModel

_FLOOR = 0.1
"""δ as a part of the root mean square of the differences: where both agree, the estimate is not zero."""


@dataclass(frozen=True)
class Indicator:
    """Calibrated estimate of the error.

    Attributes:
        factor: The factor c.
        floor: The summand δ.
        scale: What fluxes are relative to.
    """

    factor: float
    floor: float
    scale: FluxScale

    def estimate(self, fine: Array, coarse: Array) -> float:
        """Estimated error of the flux `fine`, relative."""
        return self.factor * (float(self.scale.norms((fine - coarse)[None])[0]) + self.floor)


def calibrated(
    fine: MicroModel, coarse: MicroModel, held_out: Sequence[SolvedPath], scale: FluxScale
) -> Indicator:
    """The indicator of two reduced cells, from paths that neither was trained on."""
    fluxes = [(along(fine, path), along(coarse, path), path.fluxes) for path in held_out]
    differences = np.concatenate([scale.norms(f - c) for f, c, _ in fluxes])
    errors = np.concatenate([scale.norms(f - s) for f, _, s in fluxes])
    # a cell that the modes span exactly has no difference, and no error but round-off
    floor = max(_FLOOR * float(np.sqrt(np.mean(differences**2))), 1e-12)
    return Indicator(float(np.max(errors / (differences + floor))), floor, scale)


def along(model: MicroModel, path: SolvedPath) -> Array:
    """Fluxes of a micro model along a path, shape (k, m)."""
    row, trial = model.initial_state(), model.initial_state()
    fluxes = []
    for dt, gradient in zip(path.steps, path.gradients, strict=True):
        fluxes.append(model.solve(gradient, row, float(dt), trial).flux)
        row[:] = trial
    return np.array(fluxes)
