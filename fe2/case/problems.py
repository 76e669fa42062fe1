"""What is wrong with a file, collected: every problem with its key, its value and what would be right."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fe2.errors import InputError
from fe2.registry import suggestion

Key = tuple[str | int, ...]

_PARAMETER = r"(?:[\w.]+: )?(\w+)(?: = .*?)?(?= is |: |; | holds | has )(.*)"
"""What a refusal begins with: the parameter, perhaps with what refuses it and with its value."""

HIDDEN = "·"
"""First character of union tags, which are no part of a key."""


class CaseFileError(InputError):
    """A file that cannot be used; each line of the message names file, key, value and what would be right."""


@dataclass
class Problems:
    """Collects the problems of one file.

    Attributes:
        file: The file, as messages name it.
        lines: One message for each problem.
        broken: Places of what was wrong in itself: what is said of them later is a consequence.
        around: Files in whose phases the cell of this file stands, from the outermost on.
    """

    file: Path
    lines: list[str] = field(default_factory=list)
    broken: list[Key] = field(default_factory=list)
    around: tuple[Path, ...] = ()

    def add(self, key: Key, text: str, *value: object) -> None:
        """Add a problem.

        Args:
            key: Where it is.
            text: What would be right.
            value: What stands there, if anything does.
        """
        if not self.touches(*key):
            self._put(key, text, *value)

    def touches(self, *key: str | int) -> bool:
        """Whether something is broken at a place, in it, or around it."""
        return any(key[: len(place)] == place[: len(key)] for place in self.broken)

    def _put(self, key: Key, text: str, *value: object) -> None:
        given = f" = {shown(value[0])}" if value else ""
        line = f"{self.file}: {written(key) or 'the file'}{given}: {text}"
        if line not in self.lines:
            self.lines.append(line)

    def add_invalid(self, key: Key, error: ValidationError, model: type[BaseModel]) -> None:
        """Add everything that pydantic found.

        Args:
            key: Where the table that was validated stands.
            error: What pydantic found.
            model: Model of the table, for the names of its keys.
        """
        found = error.errors(include_url=False)
        for details in found:
            if details["type"] in ("too_short", "too_long") and _has_inner(details["loc"], found):
                continue  # an entry that is wrong was counted as missing
            location = _location(details)
            place = (*key, *location)
            if details["type"] == "missing":
                self._put(place, f"is missing{_wanted(model, location)}")
            elif details["type"] == "extra_forbidden":
                table = _table_at(model, location[:-1])
                text = unknown_key(str(location[-1]), list(table.model_fields))
                advice = getattr(table, "advice", "")
                self._put(place, f"{text}; {advice}" if advice else text, details["input"])
            else:
                self._put(place, _right(details), details["input"])

    def add_refused(self, key: Key, error: InputError, names: Container[str], values: dict[str, Any]) -> None:
        """Add what a law, a generator or a reader refused, at the parameter that its message begins with.

        Args:
            key: Where the table with its parameters stands.
            error: The refusal.
            names: Names of the parameters.
            values: The parameters.
        """
        text = str(error)
        found = re.match(_PARAMETER, text, re.DOTALL)
        if found is None or found[1] not in names:
            self.add(key, text)
            return
        given = (values[found[1]],) if found[1] in values else ()
        self.add((*key, found[1]), found[2].lstrip(":; "), *given)

    def check_file(self, name: str, key: Key) -> bool:
        """Whether a path, relative to the file's folder, is a file; refused where it is none."""
        folder = self.file.parent
        try:
            found = (folder / name).is_file()
        except (OSError, ValueError):
            found = False
        if not found:
            text = f"there is no such file; paths are relative to the case file's folder, {folder}"
            self.add(key, text, name)
        return found

    def raise_if_any(self) -> None:
        """Raise all problems together.

        Raises:
            CaseFileError: There are any.
        """
        if self.lines:
            raise CaseFileError("\n".join(self.lines))


def parameter_of(text: str, names: Container[str]) -> str | None:
    """The parameter that a refusal begins with, where it is one of these."""
    found = re.match(_PARAMETER, text, re.DOTALL)
    return found[1] if found is not None and found[1] in names else None


def locations(error: ValidationError) -> list[Key]:
    """Where a table is wrong, the innermost places last."""
    return [_location(details) for details in error.errors(include_url=False)]


def _location(details: ErrorDetails) -> Key:
    """The place as keys, without the marks of the models."""
    return tuple(part for part in details["loc"] if part != "[key]" and not str(part).startswith(HIDDEN))


def unknown_key(name: str, known: Sequence[str]) -> str:
    """Message for a key that does not exist, with the nearest ones that do."""
    return f"unknown key; {suggestion(name, known)}"


def written(key: Key) -> str:
    """A key as one would write it: ``phases.graphite.young``, ``boundary[2].on``."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part if re.fullmatch(r"[\w-]+", part) else json.dumps(part, ensure_ascii=False)
            text += f".{bare}" if text else bare
    return text


def shown(value: object, width: int = 70) -> str:
    """A value as TOML writes it, shortened where it is long."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def _has_inner(location: Key, found: Sequence[ErrorDetails]) -> bool:
    return any(other["loc"][: len(location)] == location != other["loc"] for other in found)


def _wanted(model: type[BaseModel], location: Key) -> str:
    """Description of the field that is missing."""
    info = model.model_fields.get(str(location[0])) if len(location) == 1 else None
    text = info.description if info is not None and info.description else ""
    return f": {text.rstrip('.')}" if text else ""


def _table_at(model: type[BaseModel], location: Key) -> type[BaseModel]:
    """Model of the table at a place within the table of a model."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            inner = table_in(model.model_fields[part].annotation)
            model = inner if inner is not None else model
    return model


def table_in(annotation: object) -> type[BaseModel] | None:
    """The model of a table that a value is, or is a list of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (table_in(inner) for inner in getattr(annotation, "__args__", ()))
    return next((model for model in found if model is not None), None)


_TYPES = {
    "float_type": "a number is needed",
    "int_type": "a whole number is needed",
    "string_type": "text in quotes is needed",
    "bool_type": "true or false is needed",
    "dict_type": "a table is needed",
    "model_type": "a table is needed",
    "list_type": "a list is needed",
    "tuple_type": "a list is needed",
    "is_instance_of": "a list is needed",
    "finite_number": "a finite number is needed",
}


def _right(details: ErrorDetails) -> str:
    kind, text = details["type"], details["msg"]
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind == "literal_error":
        choices = details["ctx"]["expected"]
        near = difflib.get_close_matches(str(details["input"]), re.findall(r"'([^']*)'", choices), n=1)
        return f"it must be {choices}" + (f"; did you mean {near[0]!r}?" if near else "")
    text = _TYPES.get(kind, text).replace(" after validation", "")
    return re.sub(r"^(Input|List|Tuple|Dictionary|String) should", "it should", text)
