"""The pictures that a run file asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

from fe2.case.build_laws import Subdomain
from fe2.case.build_run import Model
from fe2.io.results import read_watched
from fe2.micro.fields import LocalFields
from fe2.physics.kinematics import Kinematics


def default_fields(kinematics: Kinematics) -> tuple[str, str]:
    """Macroscopic and local field that are drawn where none is named."""
    first = f"{kinematics.flux_name}_{kinematics.components[0]}"
    mandel = kinematics.local_size > 3 and bool(np.any(kinematics.scale != 1.0))
    return first, f"{kinematics.flux_name}_von_mises" if mandel else first


def draw_pictures(model: Model, folder: Path, comm: MPI.Comm) -> None:
    """Draw all pictures of a run; collective.

    Raises:
        PictureError: On all ranks: a field or a column does not exist, or drawing failed.
    """
    from fe2.io.pictures import draw_run

    field, local_field = default_fields(model.kinematics)
    for picture in model.case.tables.output.pictures:
        options: dict[str, Any] = {}
        if picture.watch is not None:
            fields, place = _watched(model, folder, picture.watch, picture.step)
            options = {"local": fields, "at": place, "local_field": picture.local_field or local_field}
        draw_run(
            folder,
            folder / picture.file,
            field=picture.field or field,
            step=picture.step,
            warp=picture.warp,
            history=picture.history,
            labels=picture.labels,
            title=picture.title,
            comm=comm,
            **options,
        )


def _watched(model: Model, folder: Path, number: int, step: int) -> tuple[LocalFields | None, Any]:
    """Local fields of a watched point at a step, and the point's coordinates."""
    watched = read_watched(folder)[number]
    with_cells: list[Subdomain] = [sub for sub in model.subdomains if sub.rve is not None]
    subdomain = with_cells[watched.law]
    if subdomain.rve is None or subdomain.law.mode != "concurrent":
        return None, watched.coordinates
    return subdomain.rve.fields(watched.states[step]), watched.coordinates
