"""What `fe2 report` gathers: the pictures and numbers of a run, put into the page of `report.html`."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np

from fe2.arrays import Array
from fe2.cli.column_meanings import meanings
from fe2.cli.output import number, write_text
from fe2.cli.run_work import CASE, LOG
from fe2.cli.show_work import convergence, curve, load_columns, main_load, overview, work
from fe2.errors import InputError
from fe2.io.history import read_history
from fe2.io.summary import JSON, TEXT
from fe2.io.watched import FOLDER, read_watched


class Picture(NamedTuple):
    """A picture of the page: its bytes as text, and what it shows."""

    data: str
    caption: str


def carry_out(folder: Path, field: str | None, local_field: str | None, output: Path | None) -> Path:
    """Write the page.

    Args:
        folder: Folder of results.
        field: Macroscopic field, the first flux component where None.
        local_field: Field in the cells, the physics' own choice where None.
        output: The page, ``report.html`` in the folder where None.

    Returns:
        The file.

    Raises:
        InputError: The folder holds no results of `fe2 run`.
        PictureError: There is no such field, or drawing failed.
        Fe2Error: The page could not be written.
    """
    history = read_history(folder)
    record, summary = _json(folder / CASE), _json(folder / JSON, needed=False)
    fields, units = {"field": field, "local_field": local_field}, record["case"].get("units", "")
    page = _template().render(
        folder=str(Path(*folder.resolve().parts[-2:])),
        units=units,
        case_file=str(record.get("file", "")),
        case=json.dumps(record["case"], indent=2, ensure_ascii=False),
        ranks=record["ranks"],
        versions=record["versions"],
        finished=bool(summary.get("finished")),
        numbers=_numbers(folder) if summary else {},
        history=history,
        meanings=meanings(history),
        steps=len(history["time"]),
        log=_text(folder / LOG),
        pictures=_pictures(folder, history, fields),
        curves=_curves(folder, history, units),
    )
    file = output or folder / "report.html"
    write_text(file, page)
    return file


def _template() -> jinja2.Template:
    # the template knows every name, or drawing the page fails
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment.get_template("report.html")


def _pictures(folder: Path, history: dict[str, Array], fields: dict[str, Any]) -> list[Picture]:
    """Field, cell and curve for each watched point, at the end and at the highest load."""
    stored = any((folder / FOLDER).glob("*.h5"))
    points: list[int | None] = list(range(len(read_watched(folder)))) if stored else [None]
    pictures = []
    for point in points:
        for step, when in _instants(history).items():
            choice = {**fields, "step": step, "history": None, "warp": None}
            where = "" if point is None else f"watched point {point}, "
            caption = f"{where}{when}: time {number(_time(history, step))}"
            pictures.append(_picture(caption, partial(overview, folder, watch=point, choice=choice)))
    return pictures


def _instants(history: dict[str, Array]) -> dict[int, str]:
    """Stored steps that are drawn; 0 is the start."""
    last, load = len(history["time"]), main_load(history)
    instants = {last: "end"}
    if load is not None and last:
        highest = int(np.abs(history[load]).argmax()) + 1
        if highest != last:
            instants = {highest: f"largest {load.replace('_', ' ')}", **instants}
    return instants


def _time(history: dict[str, Array], step: int) -> float:
    return float(history["time"][step - 1]) if step else 0.0


def _curves(folder: Path, history: dict[str, Array], units: str) -> list[Picture]:
    drawn = [
        _picture(
            f"{name.replace('_', ' ')} over time", partial(curve, history, x="time", y=name, units=units)
        )
        for name in load_columns(history)
    ]
    return [
        *drawn,
        _picture("residuals of the macroscopic Newton iteration", partial(convergence, folder)),
        _picture("iterations and seconds of each step", partial(work, history)),
    ]


def _picture(caption: str, draw: Callable[..., Path]) -> Picture:
    with tempfile.TemporaryDirectory(prefix="fe2-") as scratch:
        file = Path(scratch, "picture.png")
        draw(picture=file)
        return Picture(base64.b64encode(file.read_bytes()).decode(), caption)


def _numbers(folder: Path) -> dict[str, str]:
    """The rows of the summary for people."""
    rows = (line.partition(":") for line in _text(folder / TEXT).splitlines())
    return {name: value.strip() for name, _, value in rows if not name.startswith("version of")}


def _json(file: Path, needed: bool = True) -> dict[str, Any]:
    if not needed and not file.exists():
        return {}
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is needed for the report of a run of `fe2 run`: {error}") from error
    if not isinstance(content, dict) or (needed and not isinstance(content.get("case"), dict)):
        raise InputError(f"{file} is needed for the report of a run of `fe2 run`: it says nothing of a case")
    found: dict[str, Any] = content
    return found


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
