"""Conductors that touch in corners and edges: counted, warned of, and left out where faces are asked for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from cells import cut_out, relative_error

from fe2.errors import Fe2Warning, InputError
from fe2.micro.corner_contacts import contacts_of_elements, contacts_of_voxels
from fe2.micro.diffusion import diffusion
from fe2.micro.effective import EffectiveProperties
from fe2.micro.image_cell import image_cell
from fe2.physics.conduction import LinearConduction

BOARD = np.indices((4, 4)).sum(axis=0) % 2 == 0


def of_image(mask: npt.ArrayLike, connection: str = "nodes") -> EffectiveProperties:
    cell = image_cell(np.asarray(mask, dtype=int), {"void": 0, "a": 1})
    laws = {"void": LinearConduction(0.0), "a": LinearConduction(2.0)}
    return diffusion(cell, laws, connection=connection).homogenize()


def of_mesh(mask: npt.ArrayLike, connection: str = "nodes") -> EffectiveProperties:
    return diffusion(cut_out(mask), {"a": LinearConduction(2.0)}, connection=connection).homogenize()


def crossed() -> npt.NDArray[np.bool_]:
    """A channel along x and a block that continues it along y through corners alone."""
    mask = np.zeros((7, 7), dtype=bool)
    mask[:, 0] = mask[:, 6] = True  # one channel through the period
    mask[2, 1] = mask[3, 2] = mask[2, 3] = mask[3, 4] = mask[2, 5] = True
    return mask


@pytest.mark.parametrize("homogenize", [of_image, of_mesh])
def test_chessboard_conducts_through_its_corners_alone(homogenize) -> None:
    """Exactly it conducts √(k₁ k₂) = 0: Keller, J. Math. Phys. 5 (1964); all of its nodes are contacts."""
    match = "1 of what conducts, all that is connected along x, y, is connected in corners or edges only"
    with pytest.warns(Fe2Warning, match=match):
        found = homogenize(BOARD)
    assert found.properties["percolates"] == {"x": True, "y": True}
    assert found.properties["corner_contacts"] == BOARD.size
    assert found.properties["connected_by_faces"] == {"a": 0.0}
    assert found.properties["percolates_by_faces"] == {"x": False, "y": False}
    with pytest.raises(InputError, match=r"nothing flows in the cell: 'a' is not connected .* through faces"):
        homogenize(BOARD, "faces")


@pytest.mark.parametrize("homogenize", [of_image, of_mesh])
def test_faces_leave_out_what_hangs_on_corners(homogenize) -> None:
    mask = crossed()
    with pytest.warns(
        Fe2Warning, match="all that is connected along y, is connected in corners or edges only"
    ):
        found = homogenize(mask)
    assert found.properties["percolates"] == {"x": True, "y": True}
    assert found.properties["percolates_by_faces"] == {"x": True, "y": False}
    assert found.effective[1, 1] > 0.01
    with pytest.warns(Fe2Warning) as told:
        by_faces = homogenize(mask, "faces")
    assert ["isolated" in str(warning.message) for warning in told] == [True]
    assert by_faces.properties["percolates"] == {"x": True, "y": False}
    assert relative_error(by_faces.effective, np.diag([2.0 * 2.0 / 7.0, 0.0])) < 0.05
    assert by_faces.properties["isolated"]["a"] == pytest.approx(3.0 / 49.0)


def test_contacts_are_counted_alike_on_grids_and_meshes() -> None:
    rng = np.random.default_rng(3)
    for shape in ((5, 6), (4, 3, 5)):
        mask = rng.random(shape) < 0.5
        for axis in range(mask.ndim):
            ends = np.moveaxis(mask, axis, 0)
            ends[0, ...].flat[0] = ends[-1, ...].flat[0] = True
        cell = cut_out(mask, "quadrilateral" if mask.ndim == 2 else "hexahedron")
        cells = np.arange(len(cell.phases.values), dtype=np.int32)
        assert contacts_of_elements(cell, cells) == contacts_of_voxels(mask) > 0
    assert contacts_of_voxels(np.ones((3, 3, 3), dtype=bool)) == 0


def test_other_connections_are_refused() -> None:
    with pytest.raises(InputError, match='connection = \'edges\': it must be "nodes" or "faces"'):
        of_image(BOARD, "edges")
