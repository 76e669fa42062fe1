"""`model = "database"`: a potential between samples, in the place of a cell without memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from fe2.errors import InputError
from fe2.hierarchical.linearized_table import OF_REPLACEMENTS
from fe2.micro.model_table import CellModel, Setting, file_field

if TYPE_CHECKING:
    from fe2.micro.model import MicroModel


class Interpolated(CellModel):
    """A database of solved paths, whose potential is interpolated; for cells without memory."""

    writes: ClassVar[tuple[str, ...]] = OF_REPLACEMENTS

    database: str = file_field("HDF5 file of fe2 sample, relative to this file.")
    outside: Literal["count", "raise", "full"] = "full"
    """What becomes of points outside of the samples: "full" solves the cell and counts."""

    @property
    def solves_cells(self) -> bool:
        """Where points that leave the samples are solved."""
        return self.outside == "full"

    def build(self, setting: Setting) -> MicroModel:
        """The interpolation, within the range of its samples."""
        from fe2.hierarchical.database import read_database
        from fe2.hierarchical.interpolation import InterpolatedModel
        from fe2.hierarchical.ranged_model import RangedModel

        assert setting.rve is not None
        try:
            model = InterpolatedModel.of(read_database(setting.folder / self.database), setting.rve)
        except InputError as error:
            raise InputError(f"database: {error}") from error
        full = setting.rve if self.outside == "full" else None
        return RangedModel(model, model.hull, outside=self.outside, full=full)
