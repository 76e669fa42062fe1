"""What fluxes are compared with: each block with its own, for stresses and heat fluxes add up to nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array
from fe2.physics.kinematics import Kinematics


@dataclass(frozen=True, eq=False)
class FluxScale:
    r"""The norm :math:`\max_b \|s_b\| / a_b` over the blocks b of a flux.

    Attributes:
        blocks: Where the blocks stand.
        sizes: Largest norm :math:`a_b` of each in a training; a block of size zero is not compared.
    """

    blocks: tuple[slice, ...]
    sizes: Array

    @classmethod
    def of(cls, kinematics: Kinematics, fluxes: Array) -> FluxScale:
        """The scale of some fluxes, shape (k, m)."""
        blocks = tuple(kinematics.slices.values())
        return cls(blocks, _norms(blocks, fluxes).max(axis=0))

    def norms(self, fluxes: Array) -> Array:
        """Norms of fluxes (k, m), shape (k,)."""
        norms = _norms(self.blocks, fluxes)
        relative: Array = np.divide(norms, self.sizes, out=np.zeros_like(norms), where=self.sizes > 0.0)
        return relative.max(axis=1)


def _norms(blocks: tuple[slice, ...], fluxes: Array) -> Array:
    return np.column_stack([np.linalg.norm(fluxes[:, block], axis=1) for block in blocks])
