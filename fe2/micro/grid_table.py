"""`model = "grid"`: an image cell at every quadrature point, solved on its grid without mesh and matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fe2.errors import InputError
from fe2.micro.model_table import CellModel, Setting

if TYPE_CHECKING:
    from fe2.micro.model import MicroModel


class OnGrid(CellModel):
    """Image cells are solved on their grid, without mesh and matrix, while the run goes on."""

    device: Literal["cpu", "cuda"] = "cpu"
    """Where: "cuda" is a GPU, for laws that are formulas."""

    def build(self, setting: Setting) -> MicroModel:
        """The model of the image.

        Raises:
            InputError: The cell is no periodic image of degree 1, or a law cannot be evaluated on a grid.
        """
        from fe2.grid.options import GridOptions
        from fe2.micro.image_rve import ImageRVE

        if not isinstance(setting.rve, ImageRVE):
            raise InputError(
                'model: "grid" is for periodic images of degree 1 with symmetric tangents on one rank each; '
                'this cell takes "rve"'
            )
        return setting.rve.on_grid(GridOptions(device=self.device))
