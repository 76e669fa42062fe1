"""The parts of a checkpoint, of which only those are opened that hold something wanted."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from fe2.arrays import Array, Ints, Mask
from fe2.errors import InputError
from fe2.io.checkpoint_content import Content
from fe2.io.hdf5_file import opened
from fe2.io.hdf5_table import table

_ROWS = 256
"""Rows that are read at a time where not all of them are wanted."""


class Parts:
    """The parts of a checkpoint.

    Attributes:
        content: What its index says.
    """

    def __init__(self, folder: Path, content: Content, cells: Ints, parts: Ints) -> None:
        """Keep which cells are in which part.

        Args:
            folder: Their folder.
            content: What the index says.
            cells: Numbers of all cells.
            parts: The part of each.

        Raises:
            ValueError: A cell is there twice, or its part is not.
        """
        self.content, self._folder = content, folder
        order = np.argsort(cells)
        self._cells, self._parts = cells[order], parts[order]
        if np.any(np.diff(self._cells) == 0):
            raise ValueError("it has a cell twice")
        if np.any((parts < 0) | (parts >= len(content["seals"]))):
            raise ValueError(f"it has cells in other parts than its {len(content['seals'])}")

    def read(self, name: str, cells_name: str, wanted: Ints, width: int, *, facets: bool = False) -> Array:
        """Rows of a table for the wanted cells, whose numbers stand beside it under another name.

        Args:
            name: Name of the table.
            cells_name: Name of the table of cells.
            wanted: Numbers of cells.
            width: Entries of a row.
            facets: These are numbers of facets, of which the index does not say in which part they are.

        Raises:
            InputError: A part is missing or damaged, or a cell is not there.
        """
        result, found = np.empty((len(wanted), width)), np.zeros(len(wanted), dtype=np.bool_)
        try:
            owners = None if facets else self._parts[_places(self._cells, wanted)]
        except ValueError as error:
            raise InputError(f"{self._folder} is not the checkpoint of this mesh: {error}") from error
        for part in range(len(self.content["seals"])) if owners is None else np.unique(owners).tolist():
            path, seal = self._folder / f"{part}.h5", self.content["seals"][part]
            with opened(path, "a part of a checkpoint", sealed=True, seal=seal) as file:
                cells = table(file, cells_name, np.int64, (None,))[:]
                rows = table(file, name, np.float64, (len(cells), width))
                mine = np.isin(wanted, cells) if owners is None else owners == part
                _fill(result, mine, rows, cells, wanted)
                found |= mine
        if not np.all(found):
            raise InputError(f"{self._folder} is not the checkpoint of this mesh: a facet is not in it")
        return result


def _places(cells: Ints, wanted: Ints) -> Ints:
    """Where cells stand among sorted ones.

    Raises:
        ValueError: One is not there.
    """
    places = np.minimum(np.searchsorted(cells, wanted), max(len(cells) - 1, 0))
    if len(wanted) and (not len(cells) or np.any(cells[places] != wanted)):
        raise ValueError("a cell of the mesh is not in it")
    return places


def _fill(result: Array, mine: Mask, stored: h5py.Dataset, cells: Ints, wanted: Ints) -> None:
    """Copy the rows of the wanted cells, some rows at a time: the whole part may not be needed."""
    order = np.argsort(cells)
    targets = np.flatnonzero(mine)
    rows = order[_places(cells[order], wanted[targets])]
    for start in range(0, len(cells), _ROWS):
        inside = (rows >= start) & (rows < start + _ROWS)
        if np.any(inside):
            block = stored[start : start + _ROWS]
            result[targets[inside]] = block[rows[inside] - start]
