"""Windows: disjoint pieces of a label image, as samples of its microstructure."""

from __future__ import annotations

import numpy as np

from fe2.arrays import Ints, Labels
from fe2.errors import InputError


class Windows:
    """Disjoint cubes of an image, in a random order for each size, so that samples are independent.

    Attributes:
        labels: The image, indexed [x, y] or [x, y, z].
        seed: Seed of the order.
    """

    def __init__(self, labels: Labels, seed: int = 0) -> None:
        """Keep the image; it is not copied."""
        self.labels, self.seed = labels, seed

    def count(self, size: int) -> int:
        """Number of disjoint windows of so many voxels a side."""
        return int(np.prod(self._grid(size)))

    def window(self, size: int, number: int) -> Labels:
        """A window of so many voxels a side.

        Args:
            size: Voxels a side.
            number: Number of the window, below `count(size)`.

        Raises:
            InputError: There are not so many windows of this size.
        """
        grid = self._grid(size)
        if not 0 <= number < np.prod(grid):
            raise InputError(
                f"window {number} of {size} voxels a side: the image of {list(self.labels.shape)} voxels has "
                f"{int(np.prod(grid))} disjoint ones"
            )
        # the windows stand in the middle of the image, where its sides are no multiple of theirs
        offset = (np.array(self.labels.shape) - size * grid) // 2
        order = np.random.default_rng([self.seed, size]).permutation(int(np.prod(grid)))
        low = offset + size * np.array(np.unravel_index(order[number], grid))
        return self.labels[tuple(slice(start, start + size) for start in low)]

    def _grid(self, size: int) -> Ints:
        if size < 1 or int(size) != size:
            raise InputError(f"size = {size}: a positive whole number of voxels is needed")
        return np.array(self.labels.shape) // int(size)
