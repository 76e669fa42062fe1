"""Laws whose history does not begin at zero: a resistance that fades, as an expression and point by point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ufl.core.expr import Expr

from fe2.physics.law import Array, ExpressionLaw, PhaseLaw, PointLaw, PointResponse


@dataclass(frozen=True)
class _Start(PhaseLaw):
    """Flux r g, with a resistance r that begins at its own value and falls to r / (1 + rate Δt) in a step."""

    resistance: float
    rate: float = 1.0

    def history(self, size: int) -> dict[str, int]:
        return {"resistance": 1, "weights": size}

    def initial_history(self, size: int) -> dict[str, float | Array]:
        return {"resistance": self.resistance, "weights": np.arange(1.0, size + 1.0)}


class Fading(_Start, ExpressionLaw):
    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        return self.update(gradient, history, dt)["resistance"] * gradient

    def update(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> dict[str, Expr]:
        return {"resistance": history["resistance"] / (1.0 + self.rate * dt), "weights": history["weights"]}


class PointwiseFading(_Start, PointLaw):
    def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> PointResponse:
        resistance = history["resistance"] / (1.0 + self.rate * dt)
        return PointResponse(
            resistance * gradient,
            resistance[:, :, None] * np.eye(gradient.shape[1]),
            {"resistance": resistance, "weights": history["weights"]},
        )
