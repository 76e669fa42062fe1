"""A stiffness in proportion to a parameter of each point, all points in one call."""

from __future__ import annotations

from typing import Any

import numpy as np

from fe2.micro.model import MicroModel
from fe2.physics.kinematics import Kinematics


class Filled(MicroModel):
    """Fluxes k f g, where f is the share of the filler at the point."""

    parameters = ("filler",)

    def __init__(self, kinematics: Kinematics, stiffness: float) -> None:
        self.kinematics, self._stiffness = kinematics, stiffness

    def evaluate(
        self, gradients: Any, committed: Any, trial: Any, points: Any, step: Any, answers: Any
    ) -> None:
        moduli = self._stiffness * points.parameters["filler"]
        answers.flux[:] = moduli[:, None] * gradients
        answers.tangent[:] = moduli[:, None, None] * np.eye(self.kinematics.size)
