"""Pictures of a run: the deformed macroscopic mesh, an RVE with its local field, a curve of the history.

Drawing happens in a process of its own, which knows neither fe2 nor MPI: VTK ends its process with
a segmentation fault where the system's graphics libraries are missing, and must not take a run
along with it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mpi4py import MPI

from fe2.arrays import Array
from fe2.errors import PictureError
from fe2.io.history import HISTORY, read_history
from fe2.io.local_fields import write_local_fields
from fe2.io.results import COLLECTION
from fe2.io.round_off import without_round_off
from fe2.io.units import read_units, with_units
from fe2.micro.fields import LocalFields
from fe2.parallel import on_root
from fe2.records import COUNTS

Place = Sequence[float] | Array | None

_RENDER = Path(__file__).with_name("render.py")

# With the variables of its launcher a child process would take itself for a rank of the run.
_LAUNCHERS = ("PMI", "HYDRA", "HYDI", "MPI", "OMPI", "OPAL", "PRTE", "I_MPI")

_LONGEST = 1200.0
"""Seconds after which the drawing process is given up: a display that does not answer must not hold a run."""

_ADVICE = (
    "Pictures need pyvista and matplotlib, in three dimensions also the graphics libraries of the system; "
    "Debian, Ubuntu: apt-get install libegl1 libgl1 libxrender1; Fedora: dnf install mesa-libEGL libXrender"
)


def draw_run(
    folder: str | Path,
    picture: str | Path,
    *,
    field: str = "stress_xx",
    step: int = -1,
    warp: float | None = None,
    local: LocalFields | None = None,
    local_field: str = "stress_von_mises",
    at: Place = None,
    history: tuple[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> Path:
    """Draw a step of a run as one figure of up to three panels; collective, rank 0 draws.

    Args:
        folder: Output folder of the run.
        picture: File to write, its ending tells the format: ``.png``, ``.pdf``, ``.svg``.
        field: Macroscopic field: the name of cell data in ``macro.pvd``, an unknown by its name, of which a
            vector is drawn by its length, or a component of one, e.g. "displacement_x".
        step: Which of the stored steps; 0 is the start, -1 the last one.
        warp: Factor on displacements of both scales; chosen for each, and written into the panel's
            title, by default. 0 draws the undeformed meshes.
        local: Local fields of an RVE, from ``rve.fields(state)``, on at least one of the ranks;
            None on all ranks leaves the panel out.
        local_field: Local field: a name that :func:`~fe2.io.local_fields.reported_fields` gives, or "phase".
        at: Coordinates of the RVE's point, marked on the macroscopic mesh.
        history: Names of the columns of ``history.csv`` along x and y, None for no curve.
        labels: What to write for a field or a column, by its name, e.g. with its unit; likewise for
            the axes "x" and "y" and for "history", the title of the curve. A name with "local " in
            front is for the RVE's panel only: "local x". Without it the units of the run stand there, if
            they are known.
        title: Title of the figure.
        comm: Communicator of the ranks that call.

    Returns:
        The path of the picture.

    Raises:
        PictureError: On all ranks: the run holds no such step, field or column, or drawing failed.
    """
    local = _on_first_rank(local, comm)

    def draw() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            panels = {
                "macro": _macro_panel(Path(folder), step, field, warp, at),
                "local": local and _local_panel(local, Path(scratch, "rve.vtu"), local_field, warp, at),
                "curve": history and _curve_panel(Path(folder), step, history),
            }
            known = _labels(Path(folder), [field, local_field, *(history or ())[1:]]) | dict(labels or {})
            _render({**panels, "title": title, "labels": known}, Path(picture), Path(scratch))

    on_root(comm, draw)
    return Path(picture)


def draw_cell(
    local: LocalFields,
    picture: str | Path,
    local_field: str,
    *,
    at: Sequence[float] | Array,
    residuals: Sequence[float],
) -> Path:
    """Draw an RVE beside the norms of the residuals of its iteration.

    Args:
        local: Local fields, from ``rve.fields(state)``.
        picture: File to write, its ending tells the format.
        local_field: Local field: a name that :func:`~fe2.io.local_fields.reported_fields` gives, or "phase".
        at: Coordinates of the RVE's point.
        residuals: Norms, in their order.

    Returns:
        The path of the picture.

    Raises:
        PictureError: There is no such field, or drawing failed.
    """
    curve = {
        "columns": ["field tried", "norm of the residual"],
        "x": list(range(len(residuals))),
        "y": list(residuals),
        "marked": [False] * len(residuals),
        "logarithmic": True,
        "title": "iteration of the RVE",
    }
    with tempfile.TemporaryDirectory() as scratch:
        panel = _local_panel(local, Path(scratch, "rve.vtu"), local_field, None, at)
        panels = {"macro": None, "local": panel, "curve": curve}
        _render({**panels, "title": None, "labels": {}}, Path(picture), Path(scratch))
    return Path(picture)


def _on_first_rank(local: LocalFields | None, comm: MPI.Comm) -> LocalFields | None:
    """The fields of the first rank that has any, on rank 0."""
    owners = [rank for rank, has in enumerate(comm.allgather(local is not None)) if has]
    if not owners or owners[0] == 0:
        return local
    if comm.rank == owners[0]:
        comm.send(local, dest=0)
    return comm.recv(source=owners[0]) if comm.rank == 0 else None


def _macro_panel(folder: Path, step: int, field: str, warp: float | None, at: Place) -> dict[str, Any]:
    time, file = _stored_step(folder, step)
    marked = None if at is None else [*map(float, at), 0.0][:3]
    title = f"macroscopic scale, time {time:.5g}"
    return {"file": str(file), "field": field, "warp": warp, "marked": marked, "title": title}


def _local_panel(local: LocalFields, file: Path, field: str, warp: float | None, at: Place) -> dict[str, Any]:
    write_local_fields(local, file)
    place = "" if at is None else f" at ({', '.join(f'{x:.3g}' for x in at)})"
    return {"file": str(file), "field": field, "warp": warp, "title": f"RVE{place}"}


def _curve_panel(folder: Path, step: int, columns: tuple[str, str]) -> dict[str, Any]:
    table = read_history(folder)
    for name in columns:
        if name not in table:
            raise PictureError(
                f"{folder} has no column {name!r} in its history; there are {', '.join(table)}"
            )
    x, y = (without_round_off(name, table) for name in columns)
    time, _ = _stored_step(folder, step)
    return {"columns": columns, "x": x.tolist(), "y": y.tolist(), "marked": (table["time"] == time).tolist()}


def _labels(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Labels with the units of the run, of what has any."""
    units = read_units(folder / HISTORY)
    return {name: with_units(name, units) for name in names if units and name not in (*COUNTS, "phase")}


def _stored_step(folder: Path, step: int) -> tuple[float, Path]:
    """Time of a stored step and the file with its fields."""
    try:
        entries = ElementTree.parse(folder / COLLECTION).findall("./Collection/DataSet")
    except (OSError, ElementTree.ParseError) as error:
        raise PictureError(f"{folder} holds no results of a run: {error}") from error
    try:
        entry = entries[step]
    except IndexError as error:
        raise PictureError(
            f"{folder} holds no step {step}: it has {len(entries)}, the start included"
        ) from error
    return float(entry.attrib["timestep"]), folder / entry.attrib["file"]


def _render(figure: dict[str, Any], picture: Path, scratch: Path) -> None:
    """Have the figure drawn by render.py.

    Raises:
        PictureError: The drawing process failed.
    """
    description = scratch / "figure.json"
    # -P: the folder of render.py must not hide modules of the standard library
    command = [sys.executable, "-P", str(_RENDER), str(description), str(picture.resolve())]
    ours = {name: value for name, value in os.environ.items() if not name.startswith(_LAUNCHERS)}
    try:
        description.write_text(json.dumps(figure))
        result = subprocess.run(
            command, env=ours, capture_output=True, text=True, errors="replace", check=False, timeout=_LONGEST
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PictureError(f"{picture} was not drawn: {error}") from error
    said = result.stderr.strip()
    last = said.splitlines()[-1] if said else f"exit status {result.returncode}"
    if result.returncode < 0:
        last = f"the drawing process ended with {signal.Signals(-result.returncode).name}"
    if result.returncode < 0 or last.startswith(("ImportError", "ModuleNotFoundError")):
        last = f"{last}. {_ADVICE}"
    if result.returncode != 0:
        raise PictureError(f"{picture} was not drawn: {last}")
