"""Checkpoints: what a run needs to go on later, on any number of ranks.

================== ==============================================================================
``index.h5``       where the run stands, what it is, which of its cells are in which part; written last
``000012/3.h5``    part of rank 3 of the twelfth checkpoint: states of its points, values in its cells
================== ==============================================================================

Every rank writes its own part, and nothing passes through one rank but the numbers of the cells. The index
is replaced when all parts are on the disk, and only then are the parts of the checkpoint before removed: a
run that ends at any moment leaves a complete one. States are found by law, mesh cell and quadrature point,
functions by mesh cell, so that another number of ranks can read them. Nothing in the files is executed, and
nothing is read before its seal, its type and its size are right; the index knows the seals of its parts.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from dolfinx import fem

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.identity import difference, mesh_facts, point_facts
from fe2.io.cell_values import (
    all_cell_numbers,
    cell_numbers,
    cell_values,
    cell_width,
    check_element,
    set_cell_values,
)
from fe2.io.checkpoint_content import FORMAT, Content, read_content, shape_of
from fe2.io.checkpoint_parts import Parts
from fe2.io.hdf5_file import opened, put, sync_folder, written_whole
from fe2.io.hdf5_table import table
from fe2.io.macro_fields import at_points, set_at_points
from fe2.io.seal import seal_of
from fe2.io.vtu import naming
from fe2.parallel import on_every_rank, together

if TYPE_CHECKING:
    from fe2.macro.law import HomogenizedLaw as Law
    from fe2.macro.problem import MacroProblem as Problem


INDEX = "index.h5"
type Remembered = fem.Function[Any] | fem.Constant


class CheckpointFolder:
    """Writes and reads the checkpoints of one run; every method is collective.

    Attributes:
        folder: The folder, which holds one complete checkpoint at a time.
    """

    def __init__(
        self,
        folder: Path,
        problem: Problem,
        remembered: Mapping[str, Remembered],
        identity: Mapping[str, Any],
    ) -> None:
        """Find out what there is to be stored.

        Args:
            folder: Where checkpoints go.
            problem: The macroscopic problem, whose unknown and states are stored.
            remembered: Functions and constants that the user's form remembers between steps, by name.
            identity: What the run is, beside mesh and micro models: compared when it is read.

        Raises:
            InputError: A function cannot be stored.
        """
        self.folder = folder
        self._comm, self._laws = problem.comm, problem.laws
        remembered = {**remembered, **problem.remembered}
        self._mesh = problem.functions[0].function_space.mesh
        functions = {name: f for name, f in remembered.items() if isinstance(f, fem.Function)}
        self._constants = {name: c for name, c in remembered.items() if isinstance(c, fem.Constant)}
        unknowns = problem.functions
        names = ["unknown"] if len(unknowns) == 1 else [f"unknown {function.name}" for function in unknowns]
        self._functions = {**dict(zip(names, unknowns, strict=True)), **functions}
        for name, function in self._functions.items():
            check_element(name, function)
            if function.function_space.mesh is not self._mesh:
                raise InputError(f"{name} cannot be stored in a checkpoint: it lives on a mesh of its own")
        self._identity = {
            **identity,
            "scheme": problem.scheme,
            "mesh": mesh_facts(self._mesh),
            "laws": [
                {
                    "points": law.points_per_cell,
                    **law.micro.describe(),
                    "parameters": {
                        name: point_facts(self._comm, law.points.number, values)
                        for name, values in law.points.parameters.items()
                    },
                    "rates": bool(law.stored),
                }
                for law in self._laws
            ],
            "functions": {name: str(f.function_space.ufl_element()) for name, f in self._functions.items()},
            "constants": {name: list(c.value.shape) for name, c in self._constants.items()},
        }

    def exists(self) -> bool:
        """True where there is a checkpoint."""
        return on_every_rank(self._comm, (self.folder / INDEX).exists)

    def write(self, position: Mapping[str, Any]) -> None:
        """Write a checkpoint, and remove the one before when it is complete.

        Args:
            position: Where the run stands, as JSON has it.

        Raises:
            Fe2Error: On all ranks, where a part could not be written; the checkpoint before is untouched.
        """
        number = self._comm.bcast(_last_number(self.folder) + 1 if self._comm.rank == 0 else 0, root=0)
        parts = self.folder / f"{number:06d}"
        with together(self._comm):
            if self._comm.rank == 0:
                _make_empty(parts)
        states = [law.pool.stored() for law in self._laws]
        with together(self._comm), written_whole(parts / f"{self._comm.rank}.h5") as file:
            self._write_part(file, states)
        with together(self._comm):
            seal = seal_of(parts / f"{self._comm.rank}.h5")
        gathered = self._comm.gather((cell_numbers(self._mesh), seal), root=0)
        with together(self._comm):
            if gathered is not None:
                sync_folder(self.folder)
                cells, seals = zip(*gathered, strict=True)
                self._write_index(number, position, cells, seals)
                _remove_others(self.folder, parts)

    def look(self) -> dict[str, Any]:
        """Where the run stood that wrote the checkpoint, which has to be of this one.

        Raises:
            InputError: On all ranks: the checkpoint belongs to another run, the difference is named; or its
                index is missing or damaged.
        """
        return {**on_every_rank(self._comm, self._read_index).content["position"]}

    def read(self) -> None:
        """Set states, unknown and remembered functions and constants from the checkpoint.

        Raises:
            InputError: On all ranks: as :meth:`look`, or a part is missing or damaged.
        """
        parts = on_every_rank(self._comm, self._read_index)
        known = all_cell_numbers(self._mesh)
        with together(self._comm):
            states = [
                self._read_rows(k, "states", law.micro.stored_size, parts) for k, law in enumerate(self._laws)
            ]
            fluxes = [
                (law, function, self._read_rows(k, name, law.micro.kinematics.size, parts))
                for k, law in enumerate(self._laws)
                for name, function in law.stored.items()
            ]
            values = {
                name: parts.read(f"functions/{name}", "cells", known, cell_width(function))
                for name, function in self._functions.items()
            }
            constants = {name: self._constant(name, parts.content) for name in self._constants}
        for law, rows in zip(self._laws, states, strict=True):
            law.pool.restore(rows)
        for law, function, rows in fluxes:
            set_at_points(law, function, rows)
        for name, function in self._functions.items():
            set_cell_values(function, values[name])
        for name, constant in self._constants.items():
            constant.value = constants[name]

    def _write_part(self, file: h5py.File, states: list[Array]) -> None:
        put(file, "cells", cell_numbers(self._mesh))
        for name, function in self._functions.items():
            put(file, f"functions/{name}", cell_values(function))
        for k, (law, rows) in enumerate(zip(self._laws, states, strict=True)):
            put(file, f"laws/{k}/cells", law.numbers())
            put(file, f"laws/{k}/states", _by_cell(rows, law))
            for name, function in law.stored.items():
                put(file, f"laws/{k}/{name}", _by_cell(at_points(law, function), law))

    def _write_index(
        self, number: int, position: Mapping[str, Any], cells: Sequence[Ints], seals: Sequence[str]
    ) -> None:
        content = {
            "format": FORMAT,
            "number": number,
            "identity": self._identity,
            "position": position,
            "constants": {name: np.asarray(c.value).tolist() for name, c in self._constants.items()},
            "seals": list(seals),
        }
        with written_whole(self.folder / INDEX) as file:
            put(file, "content", np.frombuffer(json.dumps(content).encode(), dtype=np.uint8))
            put(file, "cells", np.concatenate(cells))
            put(file, "parts", np.repeat(np.arange(len(cells)), [len(part) for part in cells]))

    def _read_index(self) -> Parts:
        path = self.folder / INDEX
        with opened(path, "the index of a checkpoint", sealed=True) as file:
            content = read_content(table(file, "content", np.uint8, (None,))[:].tobytes())
            if text := difference(content["identity"], json.loads(json.dumps(self._identity))):
                raise InputError(f"{self.folder} is the checkpoint of another run: {text}")
            count = self._mesh.topology.index_map(self._mesh.topology.dim).size_global
            cells = table(file, "cells", np.int64, (count,))[:]
            parts = table(file, "parts", np.int64, (count,))[:]
            return Parts(self.folder / f"{content['number']:06d}", content, cells, parts)

    def _constant(self, name: str, content: Content) -> Array:
        """Value of a constant: that its shape is right, the identity has shown."""
        wanted, found = self._constants[name].value.shape, content["constants"].get(name, [])
        if shape_of(found) != wanted:
            raise InputError(f"{self.folder / INDEX}: the constant {name} is {found} and has not {wanted}")
        return np.array(found, dtype=np.float64)

    def _read_rows(self, number: int, table_name: str, size: int, parts: Parts) -> Array:
        """Rows of numbers of a law's points, shape (n, size)."""
        name, law = f"laws/{number}", self._laws[number]
        width = law.points_per_cell * size
        facets = law.flux.function_space.mesh is not self._mesh
        rows = parts.read(f"{name}/{table_name}", f"{name}/cells", law.numbers(), width, facets=facets)
        return rows.reshape(len(law.cells) * law.points_per_cell, size)


def _by_cell(rows: Array, law: Law) -> Array:
    """Rows of a law's points, one row for each cell."""
    return rows.reshape(len(law.cells), law.points_per_cell * rows.shape[1])


def remove_checkpoint(folder: Path) -> None:
    """Remove a checkpoint, its index first; what is not there need not be removed."""
    (folder / INDEX).unlink(missing_ok=True)
    for path in _part_folders(folder):
        shutil.rmtree(path)


def _part_folders(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("[0-9]" * 6)) if path.is_dir())


def _last_number(folder: Path) -> int:
    return max((int(path.name) for path in _part_folders(folder)), default=0)


def _make_empty(folder: Path) -> None:
    with naming(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)


def _remove_others(folder: Path, kept: Path) -> None:
    for path in _part_folders(folder):
        if path != kept:
            shutil.rmtree(path, ignore_errors=True)
