"""The grid of an image cell: which voxels are kept, what becomes one element, and how large that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.micro.period_count import check_count


@dataclass(frozen=True)
class ImageGrid:
    """Voxels that are kept, and the elements that they become.

    Attributes:
        image: Numbers of voxels of the whole image.
        crop: First and last-plus-one voxel along each axis of the image.
        size: Edge lengths of a voxel, one for each axis of the cell: two where a single slice is left.
        coarsen: Edge length in voxels of the blocks that become one element each.
    """

    image: tuple[int, ...]
    crop: tuple[tuple[int, int], ...]
    size: tuple[float, ...]
    coarsen: int

    @property
    def kept(self) -> tuple[slice | int, ...]:
        """Index of the voxels that are kept; a single slice has no third axis."""
        slices: list[slice | int] = [slice(low, high) for low, high in self.crop]
        return tuple(slices if len(self.size) == len(slices) else [*slices[:2], self.crop[2][0]])

    @property
    def voxels(self) -> tuple[int, ...]:
        """Numbers of voxels that are kept, along the axes of the cell."""
        return tuple(high - low for low, high in self.crop)[: len(self.size)]

    @property
    def elements(self) -> tuple[int, ...]:
        """Numbers of elements."""
        return tuple(n // self.coarsen for n in self.voxels)

    @property
    def period(self) -> Array:
        """Edge lengths of the cell."""
        return np.array(self.voxels) * np.array(self.size)


def image_grid(
    shape: Sequence[int],
    *,
    voxel_size: float | Sequence[float] = 1.0,
    coarsen: int = 1,
    crop: Sequence[Sequence[int]] | None = None,
) -> ImageGrid:
    """The grid of an image of `shape` voxels; for the arguments see :func:`~fe2.micro.image_cell.image_cell`.

    Raises:
        InputError: A voxel size, crop or coarsening that cannot be; fewer than three elements along an axis.
    """
    shape = tuple(shape)
    size = np.asarray(voxel_size, dtype=np.float64)
    if size.shape not in ((), (len(shape),)) or not np.all(np.isfinite(size) & (size > 0)):
        raise InputError(
            f"voxel_size = {voxel_size}: one positive length is needed, or one for each of {len(shape)} axes"
        )
    bounds = _bounds(shape, crop)
    voxels = [high - low for low, high in bounds]
    dim = 2 if len(shape) == 3 and voxels[2] == 1 else len(shape)  # a single slice is an image in the plane
    check_coarsening(coarsen, voxels[:dim])
    for axis, count in enumerate(voxels[:dim]):
        if count == 1:
            raise InputError(
                f"1 voxel along {'xyz'[axis]}: an image in the plane has the axes x and y alone; drop it"
            )
        check_count(axis, count // coarsen)
    lengths = np.broadcast_to(size, len(shape))[:dim]
    return ImageGrid(shape, bounds, tuple(lengths.tolist()), int(coarsen))


def _bounds(shape: tuple[int, ...], crop: Sequence[Sequence[int]] | None) -> tuple[tuple[int, int], ...]:
    if crop is None:
        return tuple((0, n) for n in shape)
    bounds = np.asarray(crop)
    right = bounds.shape == (len(shape), 2) and bounds.dtype.kind in "ui"
    if not right or (bounds[:, 0] < 0).any() or (bounds[:, 1] > shape).any() or (np.diff(bounds) <= 0).any():
        raise InputError(
            f"crop = {crop}: [low, high] in voxels is needed for each of {len(shape)} axes, with "
            f"0 <= low < high <= {list(shape)}"
        )
    return tuple((low, high) for low, high in bounds.tolist())


def check_coarsening(factor: int, voxels: Sequence[int]) -> None:
    """Refuse a factor that is no positive whole number, or does not divide an image's shape.

    Raises:
        InputError: It is refused.
    """
    if factor < 1 or int(factor) != factor:
        raise InputError(f"coarsen = {factor}: a positive whole number of voxels is needed")
    if any(n % factor for n in voxels):
        fitting = [n - n % factor for n in voxels]
        raise InputError(
            f"coarsen = {factor}: it does not divide the image's shape {list(voxels)}; crop it to {fitting}"
        )
