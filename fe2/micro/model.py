"""The contract of a micro model: anything that answers a macroscopic gradient."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from fe2.physics.kinematics import Kinematics
from fe2.response import Response

Array = npt.NDArray[np.float64]


class MicroModel(Protocol):
    """Anything that maps (gradient, state, dt) to (flux, tangent, new state)."""

    @property
    def kinematics(self) -> Kinematics:
        """Names and sizes of gradient and flux."""

    @property
    def state_size(self) -> int:
        """Numbers that one quadrature point remembers."""

    def initial_state(self) -> Array:
        """State of the virgin material, shape (state_size,)."""

    def solve(self, gradient: Array, state: Array, dt: float, out: Array) -> Response:
        """Flux and tangent at the end of a time step.

        Args:
            gradient: Macroscopic gradient at the end of the step, shape (m,).
            state: Committed state, shape (state_size,); not modified.
            dt: Length of the time step.
            out: Receives the trial state, shape (state_size,).

        Raises:
            MicroSolveError: No equilibrium was found.
        """

    def averages(self, states: Array) -> dict[str, Array]:
        """Volume averages of the history variables for states (n, state_size), by name, each (n, c)."""
