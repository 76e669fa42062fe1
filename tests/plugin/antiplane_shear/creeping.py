"""Springs behind dashpots, all points in one call; apart from the tables, which are read without MPI."""

from __future__ import annotations

from typing import Any

import numpy as np

from fe2.micro.model import MicroModel
from fe2.micro.state import StateField, StateLayout
from fe2.physics.kinematics import Kinematics


class Springs(MicroModel):
    """States are what has crept, by backward Euler."""

    def __init__(self, kinematics: Kinematics, stiffness: float, time: float) -> None:
        self.kinematics, self._stiffness, self._time = kinematics, stiffness, time
        self.state = StateLayout(StateField("crept", (kinematics.size,)))

    def evaluate(
        self, gradients: Any, committed: Any, trial: Any, points: Any, step: Any, answers: Any
    ) -> None:
        part = step.dt / self._time
        trial[:] = (committed + part * gradients) / (1.0 + part)
        answers.flux[:] = self._stiffness * (gradients - trial)
        answers.tangent[:] = self._stiffness / (1.0 + part) * np.eye(self.kinematics.size)

    def averages(self, states: Any) -> dict[str, Any]:
        return {"crept": states}
