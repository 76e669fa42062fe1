"""A database of solved paths in one HDF5 file, which knows what cell it was made with.

.. code-block:: text

    /              format, identity (fe2's version, cell, laws, kinematics, ... as JSON), units, comment
    /paths/000000  asked_times, asked_gradients, steps, gradients, fluxes, tangents, states,
                   averages/NAME; digest, failure

Gradients, fluxes and tangents are in internal components. While paths are solved, each stands in a file of
its own in the folder ``NAME.h5.parts``; every file appears under its name when it is complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

import h5py
import numpy as np

from fe2 import __version__
from fe2.arrays import Array
from fe2.errors import InputError
from fe2.hierarchical.paths import Path
from fe2.hierarchical.solved_path import SolvedPath
from fe2.identity import difference
from fe2.io.hdf5_file import opened, put, written_whole
from fe2.io.hdf5_table import members, table
from fe2.micro.model import MicroModel

FORMAT = 1

_ARRAYS = ("steps", "gradients", "fluxes", "tangents", "states")


@dataclass(frozen=True, eq=False)
class Database:
    """Solved paths of one cell.

    Attributes:
        file: Where it stands.
        identity: What it was made with.
        units: Units of all numbers, in the words of the user.
        comment: How the paths were chosen, with the seed.
        paths: The solved paths, in order.
    """

    file: File
    identity: Mapping[str, Any]
    units: str
    comment: str
    paths: Sequence[SolvedPath]

    def check(self, model: MicroModel) -> None:
        """Refuse a cell that the database was not made with.

        Raises:
            InputError: The message names the first difference.
        """
        self.check_identity(identity_of(model))

    def check_identity(self, present: Mapping[str, Any]) -> None:
        """Refuse what the database was not made with.

        Raises:
            InputError: The message names the first difference.
        """
        _check_identity(self.file, self.identity, present)


def identity_of(model: MicroModel) -> dict[str, Any]:
    """What decides about a cell's answers: fe2's version, geometry, laws, boundary condition."""
    return {"fe2": __version__, **model.describe()}


def digest_of(path: Path, states: bool) -> str:
    """Name of a path: equal paths have equal names."""
    content = hashlib.sha256(repr((path.gradients.shape, states)).encode())
    for array in (path.times, path.gradients):
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()[:32]


def read_database(file: str | File, model: MicroModel | None = None) -> Database:
    """Read a database.

    Args:
        file: The HDF5 file.
        model: The cell that it has to have been made with, or None where that does not matter.

    Raises:
        InputError: The file is no database, or one of another cell, other laws or another version.
    """
    file = File(file)
    with opened(file, "a database of solved paths") as content:
        head = _head(file, content)
        paths = [_get(content, f"paths/{name}") for name in members(content, "paths")]
    database = Database(file, head["identity"], head["units"], head["comment"], paths)
    if model is not None:
        database.check(model)
    return database


def write_database(database: Database) -> None:
    """Write a database; what stood under its name before is there until the new one is complete.

    Raises:
        Fe2Error: It could not be written.
    """
    with written_whole(database.file) as content:
        _put_head(content, database.identity, database.units, database.comment)
        group = content.create_group("paths")
        for number, solved in enumerate(database.paths):
            _put(group.create_group(f"{number:06d}"), solved)


def parts_folder(file: File) -> File:
    """Folder of the paths that were solved for a database which is not complete."""
    return file.with_name(file.name + ".parts")


def write_part(file: File, identity: Mapping[str, Any], solved: SolvedPath) -> None:
    """Write one solved path of a database that is not complete.

    Raises:
        Fe2Error: It could not be written.
    """
    with written_whole(parts_folder(file) / f"{_digest(solved)}.h5") as content:
        _put_head(content, identity, "", "")
        _put(content.create_group("paths/000000"), solved)


def finished_parts(file: File, identity: Mapping[str, Any]) -> Iterator[tuple[str, File]]:
    """Digests and files of the paths of a database that were solved before.

    Raises:
        InputError: They were made with another cell.
    """
    for part in sorted(parts_folder(file).glob("*.h5")):
        with opened(part, "a solved path") as content:
            _check_identity(part, _head(part, content)["identity"], identity)
        yield part.stem, part


def digests(database: Database) -> dict[str, SolvedPath]:
    """Solved paths by the digest of what was asked."""
    return {_digest(solved): solved for solved in database.paths}


def _digest(solved: SolvedPath) -> str:
    return digest_of(solved.path, bool(len(solved.states)))


def _check_identity(file: File, stored: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    # what is read back from JSON has lists for tuples
    if found := difference(dict(stored), json.loads(json.dumps(present))):
        raise InputError(
            f"{file} was made with something else: {found}; sample again into another file, or use what it "
            "was made with"
        )


def _put_head(content: h5py.File, identity: Mapping[str, Any], units: str, comment: str) -> None:
    content.attrs.update(
        format=FORMAT, identity=json.dumps(identity), units=units, comment=comment, kind="fe2 database"
    )


def _head(file: File, content: h5py.File) -> dict[str, Any]:
    if content.attrs.get("kind") != "fe2 database":
        raise InputError(f"{file} is an HDF5 file, but no database of solved paths")
    if (found := int(content.attrs["format"])) != FORMAT:
        raise InputError(f"{file} has the format {found} of databases; this fe2 reads format {FORMAT}")
    return {
        "identity": json.loads(content.attrs["identity"]),
        "units": str(content.attrs["units"]),
        "comment": str(content.attrs["comment"]),
    }


def _put(group: h5py.Group, solved: SolvedPath) -> None:
    group.attrs.update(digest=_digest(solved), failure=solved.failure)
    put(group, "asked_times", solved.path.times)
    put(group, "asked_gradients", solved.path.gradients)
    for name in _ARRAYS:
        put(group, name, getattr(solved, name))
    averages = group.create_group("averages")
    for name, values in solved.averages.items():
        put(averages, name, values)


def _get(content: h5py.File, name: str) -> SolvedPath:
    def array(part: str, *shape: int | None) -> Array:
        return np.asarray(table(content, f"{name}/{part}", np.float64, shape)[:])

    asked = array("asked_gradients", None, None)
    size, steps = asked.shape[1], array("steps", None)
    count = len(steps)
    averages = {
        entry: array(f"averages/{entry}", count, None) for entry in members(content, f"{name}/averages")
    }
    tangents, states = array("tangents", None, size, size), array("states", None, None)
    if len(tangents) not in (0, count) or len(states) not in (0, count + 1):
        raise ValueError(f"{name} has {count} steps, {len(tangents)} tangents and {len(states)} states")
    try:
        path = Path(array("asked_times", None), asked)
    except InputError as error:
        raise ValueError(f"{name}: {error}") from error
    return SolvedPath(
        path=path,
        steps=steps,
        gradients=array("gradients", count, size),
        fluxes=array("fluxes", count, size),
        tangents=tangents,
        averages=averages,
        states=states,
        failure=str(content[name].attrs["failure"]),
    )
