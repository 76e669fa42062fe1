"""Watched points: quadrature points whose whole state is stored at every step.

The state of a point is all that its local fields need: ``rve.fields(state)`` rebuilds them without
solving anything again.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from mpi4py import MPI

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.io.hdf5_file import opened
from fe2.io.hdf5_table import table
from fe2.io.macro_fields import fluxes
from fe2.io.vtu import write_whole

if TYPE_CHECKING:
    from fe2.macro.law import HomogenizedLaw as Law


FOLDER = "rve"


@dataclass(frozen=True)
class WatchedPoint:
    """A macroscopic quadrature point with what it went through; n stored steps, the start included.

    Attributes:
        requested: Coordinates that were asked for.
        coordinates: Coordinates of the quadrature point nearest to them.
        cell: Number of its macroscopic cell in the mesh as it was read or made.
        point: Number of the quadrature point in that cell.
        law: Number of its law in the problem.
        times: Times of the stored steps, shape (n,).
        states: Lasting parts of the states, shape (n, lasting_size): ``rve.fields(states[-1])`` are the
            last local fields.
        gradients: Macroscopic gradients in internal components, shape (n, m).
        fluxes: Homogenized fluxes in internal components, shape (n, m).
    """

    requested: Array
    coordinates: Array
    cell: int
    point: int
    law: int
    times: Array
    states: Array
    gradients: Array
    fluxes: Array


@dataclass(frozen=True)
class Place:
    """Where a watched point is: as in `WatchedPoint`, and its row among the law's points of its rank."""

    requested: Array
    coordinates: Array
    cell: int
    point: int
    law: int
    rank: int
    row: int


def find_places(laws: Sequence[Law], comm: MPI.Comm, watch: Sequence[Sequence[float]]) -> list[Place]:
    """The quadrature point nearest to each of the given coordinates; collective.

    Of points at the same distance, up to round-off, the first by law, macroscopic cell and point
    is taken, with cells as numbered in the mesh's input: the choice does not depend on the number
    of ranks.

    Raises:
        InputError: Coordinates have the wrong dimension, or there is no law.
    """
    if watch and not laws:
        raise InputError("there are no points to watch: the problem has no homogenized law")
    points = [law.coordinates() for law in laws]
    return [_nearest(laws, points, comm, np.asarray(target, dtype=np.float64)) for target in watch]


def gather_states(laws: Sequence[Law], places: Sequence[Place], comm: MPI.Comm) -> list[dict[str, Array]]:
    """State, gradient and flux of every watched point at present on rank 0, nothing elsewhere; collective."""
    own: dict[int, dict[str, Array]] = {}
    for number, law in enumerate(laws):
        here = [k for k, place in enumerate(places) if (place.law, place.rank) == (number, comm.rank)]
        own |= zip(here, _values(law, [places[k].row for k in here]), strict=True)
    gathered = comm.gather(own, root=0)
    if gathered is None:
        return []
    return [gathered[place.rank][k] for k, place in enumerate(places)]


_PLACE, _STORED = ("requested", "coordinates", "cell", "point", "law"), ("state", "gradient", "flux")


def write_states(
    path: Path, time: float, places: Sequence[Place], states: Sequence[dict[str, Array]]
) -> None:
    """Write the states of watched points at one time as a file that is there completely or not at all.

    Raises:
        Fe2Error: The file could not be written.
    """
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["time"] = time
        for k, (place, values) in enumerate(zip(places, states, strict=True)):
            group = file.create_group(str(k))
            for name in _PLACE:
                group.attrs[name] = getattr(place, name)
            for name, array in values.items():
                group[name] = array
    write_whole(path, content.getvalue())


def read_watched(folder: str | Path) -> list[WatchedPoint]:
    """The watched points of a run, in the order in which they were asked for.

    Args:
        folder: Output folder of the run.

    Raises:
        InputError: The folder holds no watched points, or one of their files cannot be read.
    """
    paths = sorted((Path(folder) / FOLDER).glob("step_*.h5"))
    if not paths:
        raise InputError(
            f"{folder} holds no states of watched points: name points in `watch` of the simulation"
        )
    steps = [_read_step(path) for path in paths]
    times = np.array([time for time, _ in steps])
    series = zip(*(points for _, points in steps), strict=True)
    return [
        WatchedPoint(
            requested=points[0]["requested"],
            coordinates=points[0]["coordinates"],
            cell=int(points[0]["cell"]),
            point=int(points[0]["point"]),
            law=int(points[0]["law"]),
            times=times,
            states=np.array([point["state"] for point in points]),
            gradients=np.array([point["gradient"] for point in points]),
            fluxes=np.array([point["flux"] for point in points]),
        )
        for points in series
    ]


def _nearest(laws: Sequence[Law], points: list[Array], comm: MPI.Comm, target: Array) -> Place:
    dim = laws[0].flux.function_space.mesh.geometry.dim
    if target.shape != (dim,):
        raise InputError(f"a point to watch has {dim} coordinates on this mesh, not {target.tolist()}")
    distances = [np.linalg.norm(x - target, axis=1) for x in points]
    least = comm.allreduce(min((d.min(initial=np.inf) for d in distances), default=np.inf), op=MPI.MIN)
    largest = comm.allreduce(max((d.max(initial=0.0) for d in distances), default=0.0), op=MPI.MAX)
    within = least + 1e-9 * largest
    own = [
        _place(laws[k], k, int(row), points[k][row], target, comm.rank)
        for k, d in enumerate(distances)
        for row in np.flatnonzero(d <= within)
    ]
    candidates = [place for part in comm.allgather(own) for place in part]
    return min(candidates, key=lambda place: (place.law, place.cell, place.point))


def _place(law: Law, number: int, row: int, coordinates: Array, target: Array, rank: int) -> Place:
    local, point = divmod(row, law.points_per_cell)
    cell = law.numbers()[local]
    return Place(target, coordinates, int(cell), point, number, rank, row)


def _values(law: Law, rows: list[int]) -> list[dict[str, Array]]:
    """What is stored of some of this rank's points; collective."""
    states = law.micro.state.stored(law.pool.fetch(np.array(rows, dtype=np.int64)))
    values = {"state": states, "gradient": law.gradients()[rows], "flux": fluxes(law)[rows]}
    return [{name: array[k] for name, array in values.items()} for k in range(len(rows))]


def _read_step(path: Path) -> tuple[float, list[dict[str, Array]]]:
    with opened(path, "the states of watched points") as file:
        points = [
            {
                **{name: file[str(k)].attrs[name] for name in _PLACE},
                **{name: table(file, f"{k}/{name}", np.float64, (None,))[:] for name in _STORED},
            }
            for k in range(len(file))
        ]
        return float(file.attrs["time"]), points
