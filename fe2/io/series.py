"""A collection of fields over time for ParaView: a grid, fields at its nodes, and in its cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpi4py import MPI

from fe2.io.macro_fields import CellFields, NodalFields
from fe2.io.vtu import naming, write_pvd, write_pvtu, write_vtu
from fe2.parallel import together


class Series:
    """Writes ``name.pvd``, which lists the steps whose pieces, one of each rank, are in a folder ``name``."""

    def __init__(
        self, folder: Path, name: str, nodal: NodalFields, cells: CellFields, comm: MPI.Comm
    ) -> None:
        """Know what is written; collective.

        Args:
            folder: Folder of the results.
            name: Name of the collection.
            nodal: Grid, and fields at its nodes.
            cells: Fields in its cells.
            comm: Communicator of all ranks.

        Raises:
            Fe2Error: On all ranks, where the folder of the pieces cannot be made.
        """
        self._folder, self._name, self._nodal, self._cells, self._comm = folder, name, nodal, cells, comm
        counts = comm.allgather(len(nodal.grid.cells))
        self._writers = [rank for rank, count in enumerate(counts) if count]
        self._steps: list[tuple[float, str]] = []
        with together(comm):
            if comm.rank == 0:
                with naming(folder / name):
                    (folder / name).mkdir(parents=True, exist_ok=True)

    def write(self, time: float) -> None:
        """Write the present fields; collective.

        Raises:
            Fe2Error: On all ranks, where a file could not be written on any; the message names it.
        """
        name, cells = f"step_{len(self._steps):06d}", self._cells.values()
        with together(self._comm):
            if self._comm.rank in self._writers:
                path = self._folder / self._name / self._piece(name, self._comm.rank)
                write_vtu(path, self._nodal.grid, self._nodal.values(), cells)
        self._steps.append((time, f"{self._name}/{name}.{'vtu' if self._comm.size == 1 else 'pvtu'}"))
        # the collection comes last: it lists complete steps only
        with together(self._comm):
            if self._comm.rank == 0:
                if self._comm.size > 1:
                    pieces = [self._piece(name, rank) for rank in self._writers]
                    path = self._folder / self._name / f"{name}.pvtu"
                    write_pvtu(path, pieces, self._nodal.components, dict.fromkeys(self._cells.names, 1))
                self._write_collection()

    def end_with(self, times: Sequence[float]) -> None:
        """Let the collection end with these steps of an earlier run, on any number of ranks; collective.

        Raises:
            Fe2Error: On all ranks, where a file could not be written.
        """
        with together(self._comm):
            files = [self._stored(f"step_{k:06d}") for k in range(len(times))]
        self._steps = list(zip(times, files, strict=True))
        with together(self._comm):
            if self._comm.rank == 0:
                self._write_collection()
                remove_later(self._folder / self._name, len(times))

    def _write_collection(self) -> None:
        there = [(time, file) for time, file in self._steps if (self._folder / file).exists()]
        write_pvd(self._folder / f"{self._name}.pvd", there)

    def _stored(self, name: str) -> str:
        pieced = f"{self._name}/{name}.pvtu"
        return pieced if (self._folder / pieced).exists() else f"{self._name}/{name}.vtu"

    def _piece(self, name: str, rank: int) -> str:
        return f"{name}.vtu" if self._comm.size == 1 else f"{name}_{rank}.vtu"


def remove_later(folder: Path, count: int) -> None:
    """Remove the files of all steps but the first `count` from a folder."""
    for path in folder.glob("step_*"):
        number = path.name[len("step_") :][:6]
        if number.isdecimal() and int(number) >= count:
            path.unlink()
