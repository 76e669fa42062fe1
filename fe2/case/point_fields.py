"""Fields of the macroscopic mesh in case files: parameters of points, such as the angle of a cell's axes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from fe2.arrays import Array
from fe2.case.expressions import compiled, evaluate
from fe2.case.material_table import MaterialTable, read_material_table
from fe2.case.problems import Key, Problems, unknown_key
from fe2.errors import InputError
from fe2.table import is_number

_AXES = ("x", "y", "z")
_FILES = (".csv", ".npy")
_WANTED = "a number is needed, an expression in x, y, z, a list or a matrix of these, or a .csv or .npy file"


@dataclass(frozen=True)
class PointField:
    """A parameter of points as a file states it.

    Attributes:
        source: A number, an expression of the coordinates, a list or a matrix of these, or a file.
    """

    source: Any

    @property
    def file(self) -> str | None:
        """The file that has a value for each label or element, where it is one."""
        return self.source if _is_file(self.source) else None

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape at a point, where it does not come from a file."""
        return np.shape(np.asarray(self.source, dtype=object))

    def entries(self) -> Iterator[float | str]:
        """Numbers and expressions, one after the other."""
        yield from np.asarray(self.source, dtype=object).reshape(-1).tolist()

    def check(self, dim: int) -> None:
        """Refuse expressions that cannot be evaluated in so many dimensions.

        Raises:
            ValueError: Something else than the coordinates stands in one.
        """
        for entry in self.entries() if self.file is None else ():
            if isinstance(entry, str):
                compiled(entry, _AXES[:dim])

    def values(self, coordinates: Array) -> Array:
        """Values at points of shape (n, dim), shape (n, ...).

        Raises:
            ValueError: An expression has no finite value at one of them.
        """
        names, points = _AXES[: coordinates.shape[1]], coordinates.tolist()
        columns = [
            [evaluate(entry, names, point) for point in points]
            if isinstance(entry, str)
            else [entry] * len(points)
            for entry in self.entries()
        ]
        return np.array(columns, dtype=np.float64).T.reshape(len(points), *self.shape)


def _is_file(source: object) -> bool:
    return isinstance(source, str) and Path(source).suffix.lower() in _FILES


def point_field(given: Any) -> PointField:
    """The field that a value in a file stands for.

    Raises:
        ValueError: It stands for none; the message says what would.
    """
    if _is_file(given):
        return PointField(given)
    try:
        entries = np.asarray(given, dtype=object)
    except ValueError as error:  # rows of different lengths
        raise ValueError(_WANTED) from error
    if not entries.size or not all(is_number(entry) or isinstance(entry, str) for entry in entries.flat):
        raise ValueError(_WANTED)
    PointField(given).check(len(_AXES))
    return PointField(given)


_ENTRY = {"anyOf": [{"type": "number"}, {"type": "string"}]}
_LIST = {"type": "array", "items": _ENTRY}

PointValue = Annotated[
    Any,
    PlainValidator(point_field),
    PlainSerializer(lambda field: field.source),
    WithJsonSchema({"anyOf": [*_ENTRY["anyOf"], _LIST, {"type": "array", "items": _LIST}]}),
]
"""A field of the macroscopic mesh."""


def check_point_fields(
    given: Mapping[str, PointField], asked: Collection[str], dim: int | None, problems: Problems, key: Key
) -> None:
    """Refuse parameters of points that a law does not ask for, lacks, or that cannot be evaluated.

    Args:
        given: The parameters, as the file has them.
        asked: Names of those that the law asks for.
        dim: Dimension of the mesh, where it is known.
        problems: Receives what is wrong.
        key: Where they stand.
    """
    for name, field in given.items():
        if name not in asked:
            text = unknown_key(name, list(asked)) if asked else "the law asks for no parameters of its points"
            problems.add((*key, name), text, field.source)
            continue
        try:
            field.check(dim or len(_AXES))
            if field.file is not None:
                read_values(problems.file.parent, field.file, name, asked)
        except (InputError, ValueError) as error:
            problems.add((*key, name), str(error), field.source)
    for name in asked:
        if name not in given:
            problems.add((*key, name), "is missing: the law asks for it at each point")


def read_values(folder: Path, file: str, name: str, asked: Collection[str]) -> MaterialTable | Array:
    """The values of a parameter: a table with a row for each label of the mesh, or a row for each element.

    Args:
        folder: Folder of the case file.
        file: The file, relative to it.
        name: Name of the parameter.
        asked: Names of all parameters, each of which may be a column of a table.

    Raises:
        InputError: The file cannot be read, holds no finite numbers, or does not have the parameter.
    """
    path = folder / file
    if path.suffix.lower() == ".csv":
        table = read_material_table(folder, file, asked, orientation="rotation")
        if name not in table.made_of:
            raise InputError(f"{path}: there is no column {name}; there are {', '.join(table.columns)}")
        return table
    try:
        values = np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the file cannot be read: {error}") from error
    if values.ndim == 0 or values.dtype.kind not in "iuf":
        raise InputError(f"{path}: an array of numbers is needed, with a row for each element of the mesh")
    if len(wrong := np.unique(np.nonzero(~np.isfinite(values))[0])):
        raise InputError(f"{path}: row {wrong[0]} is {values[wrong[0]].tolist()}: finite numbers are needed")
    return values.astype(np.float64)
