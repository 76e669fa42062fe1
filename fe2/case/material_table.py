"""A table of materials, .csv: a label in each row, and parameters of a law in the other columns."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fe2.errors import InputError
from fe2.registry import suggestion
from fe2.tensors import rotation_from_bunge, rotation_from_quaternion

_LARGEST = 50_000_000
"""Bytes of a table, at most."""

_LABEL = "label"
_ANGLES, _QUATERNION = ("phi1", "Phi", "phi2"), ("qw", "qx", "qy", "qz")
_COMPONENT = re.compile(r"(\w+)_[xyz]")

type Row = tuple[int, list[str]]
"""A line of the file, and its entries."""


@dataclass(frozen=True)
class MaterialTable:
    """Parameters of a law by label.

    Attributes:
        file: The file, as messages name it.
        name: The file, as the case file names it.
        labels: Label of each row.
        lines: Line of each row in the file.
        columns: Values of each column, without the labels.
        made_of: Columns that make up each parameter.
    """

    file: Path
    name: str
    labels: tuple[int | str, ...]
    lines: tuple[int, ...]
    columns: Mapping[str, tuple[float, ...]]
    made_of: Mapping[str, tuple[str, ...]]

    def parameters(self) -> dict[str, Sequence[Any]]:
        """Values of each parameter, one for each row."""
        return {name: self._values(name, own) for name, own in self.made_of.items()}

    def place(self, row: int, parameter: str | None) -> str:
        """A row in words, with the values of the columns that make up a parameter, or all of them."""
        own = self.columns if parameter is None else self.made_of[parameter]
        values = ", ".join(f"{name} = {self.columns[name][row]:g}" for name in own)
        return f"{self.file}, line {self.lines[row]} (label {self.labels[row]}): {values}"

    def _values(self, parameter: str, own: tuple[str, ...]) -> Sequence[Any]:
        rows = np.array([self.columns[name] for name in own]).T
        found: list[Any]
        if own == _ANGLES:
            found = rotation_from_bunge(*rows.T).tolist()
        elif own == _QUATERNION:
            found = rotation_from_quaternion(rows).tolist()
        else:
            found = (rows[:, 0] if own == (parameter,) else rows).tolist()
        return found


def read_material_table(
    folder: Path, name: str, parameters: Collection[str], orientation: str = "orientation"
) -> MaterialTable:
    """Read a table of materials.

    A column is a parameter of the law; ``axis_x, axis_y, axis_z`` are the components of a parameter that has
    several. Bunge's angles ``phi1, Phi, phi2`` in degrees, or a quaternion ``qw, qx, qy, qz``, are a law's
    orientation. Lines that begin with # are left out.

    Args:
        folder: Folder of the case file.
        name: The file, relative to it.
        parameters: Parameters of the law.
        orientation: The one that angles or a quaternion stand for.

    Raises:
        InputError: The file cannot be read, is too large or no table, or a column is no parameter of the law;
            the message names file, line, column and value.
    """
    file = folder / name
    try:
        header, *rows = _rows(_text(file))
        columns = _columns(header, rows)
        made_of = _made_of(list(columns), parameters, orientation)
        labels = _labels(rows)
        _check_quaternions(rows, columns, made_of.get(orientation))
    except InputError as error:
        raise InputError(f"{file}{error}") from error
    return MaterialTable(file, name, labels, tuple(line for line, _ in rows), columns, made_of)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as content:
            data = content.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        raise InputError(f": the file cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > _LARGEST:
        raise InputError(f": the file has more than {_LARGEST} bytes: it is no table of materials")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f": the file is no text in UTF-8 (byte {error.start})") from error


def _rows(text: str) -> Iterator[Row]:
    """Header and rows; empty lines and those that begin with # are left out."""
    reader, count = csv.reader(io.StringIO(text, newline="")), 0
    try:
        for row in reader:
            entries = [entry.strip() for entry in row]
            if any(entries) and not entries[0].startswith("#"):
                count += 1
                yield reader.line_num, entries
    except csv.Error as error:
        raise InputError(f", line {reader.line_num}: {error}") from error
    if count < 2:
        raise InputError(": a line with the names of the columns is needed, and a row at least")


def _columns(header: Row, rows: list[Row]) -> dict[str, tuple[float, ...]]:
    line, names = header
    if names[0] != _LABEL:
        raise InputError(f", line {line}: the first column is {names[0]!r}; it must be {_LABEL}")
    if (twice := Counter(names).most_common(1)[0])[1] > 1:
        raise InputError(f", line {line}: column {twice[0]!r} stands more than once")
    for number, entries in rows:
        if len(entries) != len(names):
            raise InputError(f", line {number}: {len(entries)} entries, and there are {len(names)} columns")
    return {name: tuple(_number(row, place, name) for row in rows) for place, name in enumerate(names[1:], 1)}


def _number(row: Row, place: int, column: str) -> float:
    line, entries = row
    try:
        value = float(entries[place])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f", line {line} ({_LABEL} {entries[0]}): {column} = {entries[place]!r}: a finite number is needed"
        )
    return value


def _labels(rows: list[Row]) -> tuple[int | str, ...]:
    first: dict[int | str, int] = {}
    for line, (text, *_) in rows:
        label = int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else text
        if label in first or not text:
            reason = f"line {first[label]} has it already" if text else "it is empty"
            raise InputError(f", line {line}: {_LABEL} = {text!r}: {reason}; each row has a label of its own")
        first[label] = line
    return tuple(first)


def _made_of(columns: list[str], parameters: Collection[str], orientation: str) -> dict[str, tuple[str, ...]]:
    """Columns that make up each parameter; refuses those that make up none."""
    made: dict[str, tuple[str, ...]] = {}
    left = list(columns)
    for whole in (_ANGLES, _QUATERNION):
        given = [name for name in whole if name in left]
        if orientation in parameters and given:
            if len(given) < len(whole):
                missing = next(name for name in whole if name not in given)
                raise InputError(f": column {missing!r} is missing beside {', '.join(given)}")
            made[orientation], left = whole, [name for name in left if name not in whole]
    for name in left:
        component = _COMPONENT.fullmatch(name)
        owner = name if name in parameters or component is None else component[1]
        if owner not in parameters:
            known = [*parameters, *(_ANGLES if orientation in parameters else ())]
            raise InputError(f": column {name!r} is no parameter of the law; {suggestion(name, known)}")
        made[owner] = (*made.get(owner, ()), name)
    return made


def _check_quaternions(
    rows: list[Row], columns: Mapping[str, tuple[float, ...]], of_orientation: tuple[str, ...] | None
) -> None:
    if of_orientation == _QUATERNION:
        lengths = np.linalg.norm([columns[name] for name in _QUATERNION], axis=0)
        for row in np.flatnonzero(lengths == 0.0)[:1]:
            line, (label, *_) = rows[row]
            raise InputError(f", line {line} ({_LABEL} {label}): {', '.join(_QUATERNION)} are all zero")
