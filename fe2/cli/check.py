"""`fe2 check`: is a file right? Without MPI, and without reading more than it has to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from fe2.cli.options import as_json, file_argument

_EPILOG = """\b
Examples:
  fe2 check cell.toml
  fe2 check case.toml && sbatch job.sh

Every mistake is told at once, each with its key, its value and what would be right. Of an image the header
is read, and its size as it was understood is shown, x × y × z; of a cell's mesh the file is read, and the box
around it is shown. Where materials stand in a table, the labels of the image are compared with its rows.
Where a run file names hypre, or a package for factorizations other than MUMPS, PETSc is asked whether it is
there, which needs MPI. Whether other labels or a mesh fit the rest is found out by `fe2 run --dry-run`."""


@click.command("check", short_help="Check a file, in a moment and without MPI.", epilog=_EPILOG)
@file_argument("file", "FILE")
@as_json
def command(file: Path, as_json: bool) -> None:
    """Check a cell file or a run file, in a moment and without MPI."""
    from fe2.case.cell_case import CellCase
    from fe2.case.cell_tables import ImageCell
    from fe2.case.image_size import image_size, size_in_words
    from fe2.case.located import check_labels
    from fe2.case.read import read_case
    from fe2.case.volumetric_locking import warn_of_locking_in_cell, warn_of_locking_in_run

    case = read_case(file)
    named = [case] if isinstance(case, CellCase) else [law.cell for law in case.laws.values() if law.cell]
    cells = [part for cell in named for part in cell.with_finer()]
    images = [image_size(cell.cell, cell.file.parent) for cell in cells if isinstance(cell.cell, ImageCell)]
    boxes = _boxes(cells)
    facts: dict[str, Any]
    if isinstance(case, CellCase):
        warn_of_locking_in_cell(case)
        facts = {"kind": "cell", "physics": case.cell.physics, "phases": len(case.phases)}
    else:
        if case.tables.solver.macro.names_a_package:  # PETSc has to be asked, which starts MPI
            from mpi4py import MPI

            from fe2.case.solver_check import check_solver

            check_solver(case, MPI.COMM_WORLD)
        warn_of_locking_in_run(case)
        facts = {
            "kind": "run",
            "physics": " and ".join(case.physics_names),
            "laws": len(case.laws),
            "cells": len(cells),
        }
    for cell in cells:
        check_labels(cell)
        cell.warn_of_contrast()
    for image in images:
        image.warn_of_other_spacing()
    sizes = {str(image.file): image.as_dict() for image in images}
    if as_json:
        click.echo(json.dumps({"file": str(file), **facts, "images": sizes, "meshes": boxes}))
    else:
        counts = ", ".join(f"{name} {value}" for name, value in facts.items() if name != "kind")
        click.echo(f"{file} is right: a {facts['kind']} file; {counts}")
        for image_file, size in sizes.items():
            click.echo(f"{image_file}: {size_in_words(size)}")
        for mesh, box in boxes.items():
            click.echo(f"{mesh}: {box['words']}")


def _boxes(cells: list[Any]) -> dict[str, dict[str, Any]]:
    """The boxes around the meshes of the cells, by file."""
    from fe2.case.cell_tables import MeshCell

    boxes: dict[str, dict[str, Any]] = {}
    for cell in cells:
        if isinstance(cell.cell, MeshCell):
            from fe2.case.mesh_box import box_in_words, mesh_box  # only for these: it takes a moment

            box = mesh_box(cell.cell, cell.file.parent)
            if box is not None:
                boxes[str(cell.file.parent / cell.cell.mesh)] = {**box, "words": box_in_words(box)}
    return boxes
