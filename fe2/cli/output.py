"""What commands print and write: stages of long work, numbers in tables, files."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from fe2.cli.ranks import first_rank
from fe2.errors import Fe2Error


@dataclass(frozen=True)
class Voice:
    """How much a command says, and that the first rank alone says it.

    Attributes:
        json: Print the result as JSON, alone on the standard output.
        verbose: Tell how long each stage took.
        quiet: Say nothing but errors and results.
    """

    json: bool = False
    verbose: bool = False
    quiet: bool = False

    @property
    def silent(self) -> bool:
        """Whether nothing is said beside the result."""
        return self.quiet or self.json or not first_rank()

    @contextmanager
    def stage(self, text: str) -> Iterator[Callable[[str], None]]:
        """Tell on the standard error output what is done: a spinner on a terminal, a line where verbose.

        What it yields takes details of the progress, which stand beside the spinner.
        """
        start = time.perf_counter()
        if sys.stderr.isatty() and not self.silent:
            from rich.console import Console

            with Console(stderr=True).status(text) as status:
                yield lambda detail: status.update(f"{text}: {detail}, {time.perf_counter() - start:.0f} s")
        else:
            yield lambda detail: None
        if self.verbose and not self.silent:
            click.echo(f"{text}: {time.perf_counter() - start:.2f} s", err=True)

    def tell(self, result: Mapping[str, Any], show: Callable[[], None], *, always: bool = False) -> None:
        """Print a result as JSON, or show it to people, where quiet only `always`; on the first rank."""
        if self.json and first_rank():
            click.echo(json.dumps(plain(result)))
        elif first_rank() and (always or not self.quiet):
            show()


def plain(value: Any) -> Any:
    """A value as JSON knows it: arrays are lists, and what is no number is null."""
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of JSON.

    Raises:
        Fe2Error: It could not be written.
    """
    write_text(path, json.dumps(plain(content), indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        Fe2Error: It could not be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Fe2Error(f"cannot write {path}: {error.strerror or error}") from error


def number(value: float) -> str:
    """A number with six significant digits, aligned with others of its size."""
    return "0" if value == 0.0 else f"{value:.6g}"


def table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> Any:
    """A table for the console."""
    from rich.table import Table

    made = Table(title=title or None, title_justify="left", title_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name else "left")
    for row in rows:
        made.add_row(*row)
    return made


def matrix_table(title: str, columns: Sequence[str], matrix: Any, rows: Sequence[str]) -> Any:
    """A matrix as a table; entries below a millionth of the largest are shown as 0."""
    values = np.array(matrix, dtype=np.float64)
    values[np.abs(values) < 1e-6 * np.abs(values).max(initial=0.0)] = 0.0
    shown = ((name, *map(number, row)) for name, row in zip(rows, values.tolist(), strict=True))
    return table(title, ("", *columns), shown)


def console() -> Any:
    """Where tables are printed; lines are never broken where no terminal sets a width."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)
