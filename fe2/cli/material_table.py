"""The tables of a material test: the path that is prescribed, and the response."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from fe2.arrays import Array
from fe2.case.problems import CaseFileError
from fe2.io.history import csv_text
from fe2.micro.material_test import MaterialPath, MaterialTest
from fe2.physics.kinematics import Kinematics
from fe2.registry import suggestion


def read_path(file: Path, kinematics: Kinematics, increments: int) -> MaterialPath:
    """A path from a table of comma-separated values.

    Args:
        file: Columns time, and components of gradient and flux by name; an empty entry is not prescribed.
        kinematics: Names of the components.
        increments: Increments between two rows.

    Raises:
        CaseFileError: The table cannot be read; the message lists all mistakes with line and column.
    """
    header, rows = _rows(file)
    names = dict(zip(kinematics.gradient_names, kinematics.components, strict=True))
    fluxes = dict(zip(kinematics.flux_names, kinematics.components, strict=True))
    values, mistakes = _values(header, rows)
    mistakes = [*_header_mistakes(header, [*names, *fluxes]), *mistakes] or _time_mistakes(values[:, 0])
    columns = dict(zip(header, values.T, strict=True))
    mistakes = mistakes or _prescribed_twice(columns, zip(names, fluxes, strict=True), [k for k, _ in rows])
    if mistakes:
        raise CaseFileError("\n".join(f"{file}: {mistake}" for mistake in mistakes))
    return MaterialPath(
        times=columns["time"],
        gradient={names[name]: column for name, column in columns.items() if name in names},
        flux={fluxes[name]: column for name, column in columns.items() if name in fluxes},
        increments=increments,
    )


def response_columns(kinematics: Kinematics, test: MaterialTest) -> dict[str, Array]:
    """Columns of the response by name: time, gradient, flux, averages of the history, iterations."""
    columns: dict[str, Array] = {"time": test.times}
    for names, values in ((kinematics.gradient_names, test.gradient), (kinematics.flux_names, test.flux)):
        columns |= dict(zip(names, values.T, strict=True))
    return columns | test.history | {"iterations": test.iterations.astype(np.float64)}


def response_text(columns: dict[str, Array]) -> str:
    """The columns as comma-separated values, exact."""
    return csv_text([columns], np.column_stack(list(columns.values())).tolist())


def _rows(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header, and rows with their line; empty lines and comments, which begin with #, are left out."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        table = list(enumerate(csv.reader(text.splitlines()), start=1))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise CaseFileError(f"{file}: the table cannot be read: {reason}") from error
    rows = [(line, [entry.strip() for entry in row]) for line, row in table]
    rows = [(line, row) for line, row in rows if any(row) and not row[0].startswith("#")]
    if not rows:
        raise CaseFileError(
            f"{file}: the table is empty; its first line names the columns: time, strain_xx, ..."
        )
    return rows[0][1], rows[1:]


def _header_mistakes(header: list[str], known: list[str]) -> list[str]:
    mistakes = [] if header[0] == "time" else [f"column {header[0]!r}: the first column is time"]
    for number, name in enumerate(header[1:], start=1):
        if name not in known:
            mistakes.append(f"column {name!r}: {suggestion(name, known)}")
        elif name in header[:number]:
            mistakes.append(f"column {name!r}: it is there twice")
    return mistakes


def _values(header: list[str], rows: list[tuple[int, list[str]]]) -> tuple[Array, list[str]]:
    """Entries as numbers, those that are empty not a number, and what is wrong with them."""
    values, mistakes = np.full((len(rows), len(header)), np.nan), []
    for row, (line, entries) in enumerate(rows):
        if len(entries) != len(header):
            mistakes.append(
                f"line {line}: {len(header)} entries are needed, as in the header, not {len(entries)}"
            )
            continue
        for column, (name, entry) in enumerate(zip(header, entries, strict=True)):
            if (value := _number(entry)) is None:
                mistakes.append(f"line {line}, column {name} = {entry!r}: a number is needed, or nothing")
            else:
                values[row, column] = value
    return values, mistakes


def _time_mistakes(times: Array) -> list[str]:
    if len(times) >= 2 and np.all(np.diff(times) > 0):
        return []
    return ["column time: at least two times are needed, and they have to increase"]


def _prescribed_twice(
    columns: Mapping[str, Array], pairs: Iterable[tuple[str, str]], lines: list[int]
) -> list[str]:
    """Components whose gradient and flux are prescribed in the same row."""
    mistakes = []
    for pair in pairs:
        if not set(pair) <= columns.keys():
            continue
        both = np.isfinite(columns[pair[0]]) & np.isfinite(columns[pair[1]])
        if both.any():
            line = lines[int(np.argmax(both))]
            mistakes.append(f"line {line}: only one of {pair[0]} and {pair[1]} can be prescribed")
    return mistakes


def _number(entry: str) -> float | None:
    """A finite number, not a number for an empty entry, None for anything else."""
    if not entry:
        return math.nan
    try:
        value = float(entry)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
