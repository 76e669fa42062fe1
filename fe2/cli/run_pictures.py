"""The pictures that a run file asks for."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from mpi4py import MPI

from fe2.case.build_laws import Subdomain
from fe2.case.build_run import Model
from fe2.case.run_tables import PictureTable
from fe2.errors import Fe2Error, Fe2Warning
from fe2.io.observer import Observer
from fe2.io.results import read_watched
from fe2.micro.fields import LocalFields
from fe2.parallel import on_every_rank
from fe2.physics.kinematics import Kinematics
from fe2.records import Summary


def default_fields(kinematics: Kinematics) -> tuple[str, str]:
    """Macroscopic and local field that are drawn where none is named."""
    block = next(block for block in kinematics.blocks if block.kind != "value")
    return block.dual_names[0], f"{block.dual}_von_mises" if block.is_mandel else block.local_dual_names[0]


class Pictures(Observer):
    """Draws all pictures of a run at its end. What cannot be drawn is a warning: the results are there."""

    def __init__(self, model: Model, folder: Path) -> None:
        """Keep what the run is, and where its results are."""
        self._model, self._folder = model, folder

    def end(self, summary: Summary) -> None:
        """Draw; collective."""
        comm = self.run.problem.comm
        for picture in self._model.case.tables.output.pictures if summary.finished else ():
            try:
                _draw(self._model, self._folder, picture, comm)
            except Fe2Error as error:
                if not error.collective and comm.size > 1:
                    raise
                warnings.warn(f"{error}; the results are complete without it", Fe2Warning, stacklevel=2)


def _draw(model: Model, folder: Path, picture: PictureTable, comm: MPI.Comm) -> None:
    from fe2.io.pictures import draw_run

    field, local_field = default_fields(model.kinematics)
    options: dict[str, Any] = {}
    number = picture.watch
    if number is not None:
        fields, place = on_every_rank(comm, lambda: _watched(model, folder, number, picture.step))
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
    with_models: list[Subdomain] = [sub for sub in model.subdomains if sub.law.model is not None]
    subdomain = with_models[watched.law]
    if subdomain.rve is None or not (subdomain.law.model and subdomain.law.model.looked_into):
        return None, watched.coordinates
    return subdomain.rve.fields(watched.states[step]), watched.coordinates
