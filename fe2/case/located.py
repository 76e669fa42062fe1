"""Where a cell file is wrong in a way that only its image, or the cell that is made of it, shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from fe2.case.cell_case import CellCase
from fe2.case.cell_tables import ImageCell
from fe2.case.image_size import image_size
from fe2.case.problems import CaseFileError, Key, Problems
from fe2.errors import InputError
from fe2.io.images import read_image
from fe2.micro.label_owners import owners_of_labels


def check_labels(case: CellCase) -> None:
    """Compare the labels of an image with the rows of tables of materials, where the cell has both.

    Raises:
        CaseFileError: A label has no row, or no voxel has one of the phases; the message names file and key.
    """
    cell = case.cell
    if isinstance(cell, ImageCell) and any(phase.material.table for phase in case.phases.values()):
        labels = read_image(case.path(cell.image), shape=cell.shape, dtype=cell.dtype)
        grid = image_size(cell, case.file.parent).grid
        with located(case):
            owners_of_labels(labels[grid.kept], {n: phase.in_image for n, phase in case.phases.items()}, grid)


@contextmanager
def located(case: CellCase) -> Iterator[None]:
    """Name file and key where an image, a mesh or a cell refuses what the file says."""
    try:
        yield
    except CaseFileError:
        raise
    except InputError as error:
        problems = Problems(case.file)
        key, text = _place(case, str(error))
        if text.endswith("is a phase too") and case.physics.empty:
            text = f"{text}, with {case.physics.empty}"
        problems.add_refused(key, InputError(text), type(case.cell).model_fields, case.cell.model_dump())
        problems.raise_if_any()


def _place(case: CellCase, text: str) -> tuple[Key, str]:
    """Key of the table that an error is about, and the error's text."""
    phase = re.search(r"phase '([^']*)'", text)
    if phase is not None and phase[1] in case.phases:
        return (*case.key, "phases", phase[1]), text
    return (*case.key, "cell"), text
