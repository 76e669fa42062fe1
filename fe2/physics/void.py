"""A phase without material: pores of a cell in mechanics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import fe2.lazy_ufl as ufl
from fe2.physics.law import ExpressionLaw

if TYPE_CHECKING:
    from ufl.core.expr import Expr


@dataclass(frozen=True)
class Void(ExpressionLaw):
    """No material: the phase is left out of the cell, and its faces are free of traction."""

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        """No stress."""
        return ufl.zero(gradient.ufl_shape)
