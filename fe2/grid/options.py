"""How exactly effective properties on a grid are wanted, and where they are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fe2.errors import InputError
from fe2.grid.device import KINDS


@dataclass(frozen=True)
class GridOptions:
    """How effective properties of a periodic image are computed.

    Attributes:
        tolerance: Of the effective tangent, relative to each entry of its diagonal. Where None, images of at
            most 32³ voxels have all digits, which costs them a moment, and larger ones a millionth. Fourier
            transforms are in single precision where they leave no error of this size, which high contrasts
            magnify.
        device: "cpu", or "cuda" for a GPU.
        threads: Threads of the Fourier transforms on a CPU; OMP_NUM_THREADS by default.
        resolution_bounds: Whether a conductivity comes with bounds at the resolution of the image: the
            tangent itself from above, and one from below by the fluxes through the faces of voxels.
    """

    tolerance: float | None = None
    device: str = "cpu"
    threads: int | None = None
    resolution_bounds: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            InputError: A value has no meaning.
        """
        if self.tolerance is not None and not 0.0 < self.tolerance < 1.0:
            raise InputError(f"tolerance = {self.tolerance}: a number between 0 and 1 is needed")
        if self.device not in KINDS:
            raise InputError(f'device = {self.device!r}: it must be "cpu" or "cuda"')
        if self.threads is not None and self.threads < 1:
            raise InputError(f"threads = {self.threads}: one thread or more is needed")

    def of(self, voxels: int) -> float:
        """The tolerance for an image of so many voxels."""
        if self.tolerance is not None:
            return self.tolerance
        return _ALL_DIGITS if voxels <= _SMALL else _ENOUGH

    def transforms(self, contrast: float, voxels: int) -> type[np.floating[Any]]:
        """Precision of the Fourier transforms and of the Green operator.

        Single precision leaves an error of some 1e-8 of the mean tangent, which is the less in digits the
        smaller the effective one is against it: at most by the contrast.
        """
        return np.float32 if _SINGLE * contrast <= self.of(voxels) else np.float64


_SMALL = 32**3
_ALL_DIGITS, _ENOUGH = 1e-12, 1e-6
_SINGLE = 1e-8
