"""The simplest micro model: a constant tangent, the linearization of whatever it was taken from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.micro.model import MicroModel
from fe2.micro.points import Points, Step
from fe2.micro.state import StateField, StateLayout
from fe2.physics.kinematics import Kinematics
from fe2.response import Answers


class LinearModel(MicroModel):
    """Flux A g + s₀; its state is the gradient alone.

    Attributes:
        kinematics: Names and sizes of gradient and flux.
        tangent: Matrix A, shape (m, m), internal components.
        offset: Flux s₀ at no gradient, shape (m,).
    """

    def __init__(self, kinematics: Kinematics, tangent: Array, offset: Array | None = None) -> None:
        """Check the shapes and keep copies.

        Raises:
            InputError: The tangent or the offset does not fit the kinematics.
        """
        m = kinematics.size
        self.kinematics = replace(kinematics, isochoric=())  # it does not flow
        self.state = StateLayout(StateField("gradient", (m,)))
        self.tangent = np.array(tangent, dtype=np.float64)
        self.offset = np.zeros(m) if offset is None else np.array(offset, dtype=np.float64)
        if self.tangent.shape != (m, m) or self.offset.shape != (m,):
            raise InputError(
                f"a tangent of shape {self.tangent.shape} and an offset of shape {self.offset.shape} do not "
                f"fit the {kinematics.name} kinematics, which has {m} components"
            )

    @property
    def description(self) -> dict[str, Any]:
        """Tangent and offset."""
        return {"tangent": self.tangent.tolist(), "offset": self.offset.tolist()}

    @property
    def is_linear(self) -> bool:
        """It is."""
        return True

    def linearized(self) -> LinearModel:
        """Itself."""
        return self

    def evaluate(
        self, gradients: Array, committed: Array, trial: Array, points: Points, step: Step, answers: Answers
    ) -> None:
        """Fluxes and tangents; states and time step do not matter."""
        trial[:] = gradients
        answers.flux[:] = gradients @ self.tangent.T + self.offset
        answers.tangent[:] = self.tangent
