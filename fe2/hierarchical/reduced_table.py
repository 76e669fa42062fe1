"""`model = "reduced"`: a reduced cell that was made beforehand, and whole cells where it may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from fe2.errors import InputError
from fe2.hierarchical.linearized_table import OF_REPLACEMENTS
from fe2.micro.model_table import CellModel, Setting, file_field

if TYPE_CHECKING:
    from mpi4py import MPI

    from fe2.micro.model import MicroModel


class Reduced(CellModel):
    """A reduced cell that fe2 reduce made beforehand, and the whole cell where it may be wrong."""

    writes: ClassVar[tuple[str, ...]] = OF_REPLACEMENTS

    reduction: str = file_field("File that fe2 reduce wrote for this cell, relative to this file.")
    error: float = Field(0.01, gt=0.0)
    """Estimated error of the flux, relative to the largest trained one; beyond it the cell is solved."""
    outside: Literal["full", "error"] = "full"
    """What becomes of points outside of the trained range: solved whole, or refused, which cuts the step."""
    capacity: int = Field(500, ge=1)
    """Largest number of steps of the run, for which every point has room."""
    budget: int | None = Field(None, ge=0)
    """Points of the law that are solved in full in each step, those where weight times estimated error is
    largest, whatever `error` says; points outside of the trained range come first, and are solved in full
    in any case. Without it, all points whose estimate exceeds `error`."""

    @property
    def solves_cells(self) -> bool:
        """Where points that leave the trained range are solved."""
        return self.outside == "full"

    def build(self, setting: Setting) -> MicroModel:
        """The reduced cell with control of its error."""
        from fe2.hierarchical.error_control import error_controlled
        from fe2.hierarchical.storage import load

        assert setting.rve is not None
        try:
            reduction = load(setting.folder / self.reduction, setting.rve)
            return error_controlled(
                reduction, tolerance=self.error, outside=self.outside, capacity=self.capacity
            )
        except InputError as error:
            raise InputError(f"reduction: {error}") from error

    def before_steps(self, law: Any, comm: MPI.Comm) -> Callable[[float], None] | None:
        """The choice of the points that are solved in full, where there is a budget."""
        from fe2.hierarchical.budget import FullSolves

        return None if self.budget is None else FullSolves(law, law.micro, self.budget, comm)
