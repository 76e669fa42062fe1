"""`model = "rve"`: a cell at every quadrature point, solved while the run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from fe2.micro.model_table import CellModel, Setting

if TYPE_CHECKING:
    from fe2.micro.model import MicroModel


class Concurrent(CellModel):
    """Cells are solved while the run goes on."""

    looked_into: ClassVar[bool] = True

    on_failure: Literal["fail", "keep last good response"] = "fail"
    """What a cell does that cannot be solved; an answer that is kept is linearized, and counted."""

    @property
    def solves_cells(self) -> bool:
        """At every point."""
        return True

    def build(self, setting: Setting) -> MicroModel:
        """The representative volume element itself."""
        from fe2.micro.last_good import KeepsLastGood

        assert setting.rve is not None
        return setting.rve if self.on_failure == "fail" else KeepsLastGood(setting.rve)
