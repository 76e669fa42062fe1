"""The history of a run as tables of comma-separated values: one row for each accepted step."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.io.vtu import naming, write_whole
from fe2.records import COUNTS, StepRecord

HISTORY, RESIDUALS = "history.csv", "residuals.csv"


def append_history(folder: Path, record: StepRecord) -> None:
    """Append a step to both tables; the first one brings the headers.

    The files are closed again after each step, so whoever ends the run, they hold all steps up to then.

    Raises:
        InputError: Two columns have the same name.
        Fe2Error: A file could not be written.
    """
    for path, header, rows in _tables(folder, record):
        with naming(path), path.open("a", encoding="utf-8") as file:
            file.write(csv_text([] if path.exists() and path.stat().st_size else [header], rows))


def write_history(folder: Path, records: Sequence[StepRecord]) -> None:
    """Write both tables anew, with these steps and no others.

    Raises:
        Fe2Error: A file could not be written; what stood in it is untouched.
    """
    texts: dict[Path, str] = {folder / HISTORY: "", folder / RESIDUALS: ""}
    for record in records:
        for path, header, rows in _tables(folder, record):
            texts[path] += csv_text([] if texts[path] else [header], rows)
    for path, text in texts.items():
        path.unlink(missing_ok=True) if not text else write_whole(path, text)


def read_history(folder: str | Path) -> dict[str, Array]:
    """Columns of ``history.csv`` by name, one entry for each accepted step.

    Columns are ``step`` (number of the planned step; steps that were halved have several rows),
    ``time``, the loads (``name``, or ``name_0``, ``name_1``, ... for a vector), the reactions
    (``name_x``, ``name_y``, ...), and ``iterations``, ``micro_solves``, ``micro_iterations``,
    ``micro_seconds``, ``rejected``, ``seconds`` as in :class:`~fe2.records.StepRecord`; where a tolerance
    controls the steps, ``dt`` and ``error`` too. Sums of what was supplied and stored follow, see
    :class:`~fe2.macro.balances.Balances`.

    Raises:
        InputError: The folder holds no history, or a row is not of numbers.
    """
    return _read(Path(folder) / HISTORY)


def read_residuals(folder: str | Path) -> dict[str, Array]:
    """Columns of ``residuals.csv``: ``step``, ``time``, ``iteration``, and ``norm`` of the residual.

    Raises:
        InputError: The folder holds no such table, or a row is not of numbers.
    """
    return _read(Path(folder) / RESIDUALS)


def _numbered(name: str, value: Array) -> list[tuple[str, float]]:
    flat = np.atleast_1d(value).reshape(-1).tolist()
    return [(name, flat[0])] if len(flat) == 1 else [(f"{name}_{k}", number) for k, number in enumerate(flat)]


def _directed(name: str, value: Array) -> list[tuple[str, float]]:
    if 1 < len(value) <= 3:
        return [(f"{name}_{'xyz'[k]}", float(number)) for k, number in enumerate(value)]
    return _numbered(name, value)


def _tables(folder: Path, record: StepRecord) -> list[tuple[Path, list[str], list[list[float]]]]:
    """Path, header and rows of a step in both tables."""
    loads = [column for name, value in record.loads.items() for column in _numbered(name, value)]
    reactions = [column for name, value in record.reactions.items() for column in _directed(name, value)]
    columns: list[tuple[str, float]] = [
        ("step", record.step),
        ("time", record.time),
        *loads,
        *reactions,
        *((name, getattr(record, name)) for name in COUNTS),
    ]
    if record.error is not None:
        columns += [("dt", record.dt), ("error", record.error)]
    columns += record.balances.items()
    names = [name for name, _ in columns]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise InputError(f"{', '.join(sorted(repeated))}: columns of the history need different names")
    norms = [[record.step, record.time, k, norm] for k, norm in enumerate(record.residuals)]
    return [
        (folder / HISTORY, names, [[value for _, value in columns]]),
        (folder / RESIDUALS, ["step", "time", "iteration", "norm"], norms),
    ]


def csv_text(headers: Iterable[Iterable[str]], rows: Iterable[Iterable[float]]) -> str:
    """Comma-separated values: rows of names, if any, and rows of numbers, exact."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(headers)
    writer.writerows([repr(number) for number in row] for row in rows)
    return text.getvalue()


def _read(path: Path) -> dict[str, Array]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not the table of a run: {error}") from error
    # a line without its end was being written when the run ended
    complete = text[: text.rfind("\n") + 1]
    if not complete:
        raise InputError(f"{path} is not the table of a run: it has no header")
    header, *rows = csv.reader(complete.splitlines())
    numbers = np.zeros((len(rows), len(header)))
    for line, row in enumerate(rows):
        try:
            numbers[line] = [float(entry) for entry in row]
        except ValueError as error:
            raise InputError(
                f"{path}, line {line + 2}: {len(header)} numbers were expected, not {row}"
            ) from error
    return dict(zip(header, numbers.T, strict=True))
