"""`model = "linearized"`: the tangent of the virgin cell, perhaps with the range in which it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from fe2.errors import InputError
from fe2.micro.model_table import CellModel, Setting
from fe2.table import Numbers

if TYPE_CHECKING:
    from fe2.micro.model import MicroModel

OF_REPLACEMENTS = ("estimated_error", "steps_solved_in_full", "range_used")
"""What models that stand for a cell report of it."""


class Linearized(CellModel):
    """The tangent of the virgin cell, perhaps with its range, which is found before the run and watched."""

    linear: ClassVar[bool] = True
    writes: ClassVar[tuple[str, ...]] = OF_REPLACEMENTS

    largest: Numbers | None = None
    """Largest change of the gradient that is looked at: one number, or one for each component; without it the
    tangent is used wherever it is asked for."""
    tolerance: float = Field(0.01, gt=0.0, lt=1.0)
    """Relative deviation of the cell's flux that is admitted."""
    directions: int | None = Field(None, ge=0)
    """Number of directions beside the components'; twice their number by default."""
    dt: float = Field(1.0, ge=0.0)
    """Length of a time step of the loading."""
    outside: Literal["count", "raise"] = "count"
    """What becomes of points outside of the range: counted in the summary, or refused: that cuts the step."""

    def build(self, setting: Setting) -> MicroModel:
        """The linear model, within its range."""
        from fe2.hierarchical.linear_range import linear_range
        from fe2.hierarchical.ranged_model import RangedModel

        assert setting.rve is not None
        if self.largest is None:
            return setting.rve.linearized()
        try:
            found = linear_range(
                setting.rve,
                self.largest,
                tolerance=self.tolerance,
                directions=self.directions,
                dt=self.dt,
                comm=setting.comm,
            )
        except InputError as error:
            raise InputError(f"largest: {error}") from error
        return RangedModel(found.model, found.hull, outside=self.outside)
