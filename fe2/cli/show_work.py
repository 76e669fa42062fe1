"""What `fe2 show` reads and draws."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

import click
import numpy as np
from matplotlib import colormaps
from mpi4py import MPI

from fe2.arrays import Array
from fe2.case.build_cell import build_rve
from fe2.case.problems import CaseFileError
from fe2.case.run_case import RunCase
from fe2.case.understood import read_understood
from fe2.cli.curve_figure import curve_figure
from fe2.cli.run_pictures import default_fields
from fe2.cli.run_work import CASE
from fe2.errors import Fe2Warning, InputError, counted
from fe2.io.history import read_history, read_residuals
from fe2.io.pictures import draw_run
from fe2.io.round_off import without_round_off
from fe2.io.summary import TEXT
from fe2.io.ticks import set_axis
from fe2.io.units import with_units
from fe2.io.watched import FOLDER, read_watched
from fe2.micro.fields import LocalFields
from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import PHYSICS
from fe2.records import COUNTS


def carry_out(folder: Path, output: Path | None, watch: int | None, **choice: Any) -> None:
    """Print the summary and draw the pictures of a run; what is drawn is chosen as for :func:`overview`."""
    click.echo(summary(folder), nl=False)
    click.echo(overview(folder, output or folder / "show.png", watch, choice))
    if output is None:
        click.echo(convergence(folder, folder / "convergence.png"))


def summary(folder: Path) -> str:
    """The summary of a run.

    Raises:
        InputError: The folder holds none.
    """
    try:
        return (folder / TEXT).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder} holds no results of a run: {error.strerror or error}: {TEXT}") from error


def overview(folder: Path, picture: Path, watch: int | None, choice: dict[str, Any]) -> Path:
    """Draw macroscopic field, cell and history in one figure.

    Args:
        folder: Folder of results.
        picture: File to write.
        watch: Number of the watched point, the first one where None and there is any.
        choice: Fields, step, columns and factor on displacements, None where they were not chosen.

    Returns:
        The file.
    """
    kinematics, local, place = _seen(folder, watch, choice["step"])
    field, local_field = default_fields(kinematics)
    default = ("time", main_load(read_history(folder)) or "iterations")
    return draw_run(
        folder,
        picture,
        field=choice["field"] or field,
        step=choice["step"],
        warp=choice["warp"],
        local=local,
        local_field=choice["local_field"] or local_field,
        at=place,
        history=choice["history"] or default,
        comm=MPI.COMM_SELF,
    )


def _seen(folder: Path, watch: int | None, step: int) -> tuple[Kinematics, LocalFields | None, Any]:
    """What :func:`_cell` finds; no cell where the folder came without files or libraries that it needs."""
    try:
        case = read_understood(folder / CASE)
    except CaseFileError as error:
        physics = _physics(folder / CASE)
        if physics not in PHYSICS:
            raise
        told = str(error).partition("\n")[0]
        warnings.warn(f"the cell is not drawn: {told}", Fe2Warning, stacklevel=2)
        return PHYSICS[physics]().kinematics(2), None, None
    return _cell(case, folder, watch, step)


def _physics(file: Path) -> str:
    """Name of the physics of the first law of a run, nothing where it is unknown."""
    try:
        tables = json.loads(file.read_text(encoding="utf-8"))["case"]
        law = next(iter(tables["laws"].values()))
        return str(law.get("cell", law).get("physics") or tables["physics"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return ""


def _cell(
    case: RunCase, folder: Path, watch: int | None, step: int
) -> tuple[Kinematics, LocalFields | None, Any]:
    """Kinematics of the run, and the local fields of a watched point with its coordinates."""
    laws = [law for law in case.laws.values() if law.model is not None]
    stored = any((folder / FOLDER).glob("*.h5"))
    if laws and (stored or watch is not None):
        watched = read_watched(folder)
        if (watch or 0) >= len(watched):
            raise InputError(f"--watch {watch}: the run has {len(watched)} watched points, counted from 0")
        point = watched[watch or 0]
        law = laws[point.law]
        if law.cell is not None and law.model is not None and law.model.looked_into:
            rve = build_rve(law.cell)
            states = point.states
            if not -len(states) <= step < len(states):
                raise InputError(f"--step {step}: the run has {len(states)} stored steps, the start included")
            return rve.kinematics, rve.fields(states[step]), point.coordinates
    # the name of the first component, all that is needed then, is the same in two and three dimensions
    return next(iter(case.laws.values())).physics.kinematics(2), None, None


def load_columns(history: Mapping[str, Array]) -> list[str]:
    """Columns of the history that are loads and reactions."""
    names = list(history)
    return names[2 : names.index(COUNTS[0])]


def main_load(history: Mapping[str, Array]) -> str | None:
    """The component that changes most among those of the last load or reaction; None without any."""
    loads = load_columns(history)
    if not loads:
        return None
    stem = loads[-1].rpartition("_")[0]
    alike = [name for name in loads if name.rpartition("_")[0] == stem]
    return max(alike, key=lambda name: float(np.ptp(history[name])) if len(history[name]) else 0.0)


def curve(history: Mapping[str, Array], picture: Path, x: str, y: str, units: str = "") -> Path:
    """Draw one column of the history over another, with the units of the run.

    Raises:
        PictureError: The picture could not be written.
    """
    with curve_figure(picture) as plane:
        values = without_round_off(y, history)
        plane.plot(history[x], values, color="#1f4e79", marker=".", linewidth=1.2)
        set_axis(plane.xaxis, history[x], x.replace("_", " "))
        set_axis(plane.yaxis, values, fill(with_units(y, units), 45))
    return picture


def work(history: Mapping[str, Array], picture: Path) -> Path:
    """Draw the iterations and the seconds of each accepted step.

    Raises:
        PictureError: The picture could not be written.
    """
    rows = np.arange(1, len(history["time"]) + 1)
    with curve_figure(picture) as plane:
        plane.bar(rows, history["iterations"], color="#9db8d2")
        plane.set_xlabel("accepted step")
        plane.set_ylabel("Newton iterations (bars)")
        for axis in (plane.xaxis, plane.yaxis):
            axis.get_major_locator().set_params(integer=True)
        seconds = plane.twinx()
        seconds.plot(rows, history["seconds"], color="#a04020", marker=".", linewidth=1.2)
        seconds.set_ylabel("seconds (line)")
        seconds.set_ylim(bottom=0.0)
    return picture


def convergence(folder: Path, picture: Path) -> Path:
    """Draw the residuals of the macroscopic Newton iteration, a curve for each step.

    Raises:
        PictureError: The picture could not be written.
    """
    table = read_residuals(folder)
    times = np.unique(table["time"])
    with curve_figure(picture) as plane:
        for k, time in enumerate(times):
            rows = table["time"] == time
            colour = colormaps["viridis"](k / max(1, len(times) - 1))
            norms = np.maximum(table["norm"][rows], np.finfo(float).tiny)
            plane.semilogy(table["iteration"][rows], norms, marker=".", linewidth=1.0, color=colour)
        plane.set_xlabel("iteration")
        plane.xaxis.get_major_locator().set_params(integer=True)
        plane.set_ylabel("norm of the macroscopic residual")
        plane.set_title(
            f"{counted(len(times), 'step')}, dark to light over time",
            fontsize="medium",
        )
    return picture
