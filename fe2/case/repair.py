"""Tables without what is wrong in them, so that the rest can be checked in the same round."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from fe2.case.problems import Key, Problems, locations, parameter_of
from fe2.errors import InputError
from fe2.table import Table

_ROUNDS = 20


def repaired[T: BaseModel](
    model: type[T], table: object, problems: Problems, key: Key, instead: Mapping[str, Any] | None = None
) -> T | None:
    """The model of a table without what is wrong in it, which `problems` then holds.

    Args:
        model: The model.
        table: What the file holds.
        problems: Receives what is wrong, and where; what is said of these places later is no news.
        key: Where the table stands.
        instead: What stands for keys of the table that are needed and missing or wrong.

    Returns:
        None where nothing is left that could be checked.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        problems.add_invalid(key, error, model)
        broken = locations(error)
    if not isinstance(table, dict):
        return None
    content = copy.deepcopy(table)
    for _ in range(_ROUNDS):
        for location in broken:
            problems.broken.append((*key, *_remove(content, location, instead or {})))
        try:
            return model.model_validate(content)
        except ValidationError as error:
            broken = locations(error)
    return None


def _remove(content: dict[str, Any], location: Key, instead: Mapping[str, Any]) -> Key:
    """Remove an entry, or the innermost table around it whose key can be left out; where that was."""
    for depth in range(len(location), 0, -1):
        *way, last = location[:depth]
        inner: Any = content
        for part in way:
            inner = inner[part] if _has(inner, part) else None
        if isinstance(inner, dict) and last in inner:
            del inner[last]
            return location[:depth]
        if depth == 1 and last in instead:
            content[str(last)] = instead[str(last)]
            return location[:1]
    return location


def _has(inner: Any, part: str | int) -> bool:
    if isinstance(inner, list):
        return isinstance(part, int) and part < len(inner)
    return isinstance(inner, dict) and part in inner


def refusals(
    make: Callable[[dict[str, Any]], object], values: Mapping[str, Any], optional: Collection[str]
) -> Iterator[InputError]:
    """All that a law or a generator has against its parameters, of which it tells the first one only.

    A parameter that is refused is replaced, and the rest tried again. What then is said of several
    parameters at once may be a consequence, and ends the search.

    Args:
        make: The law or the generator, of its parameters.
        values: The parameters.
        optional: Those that can be left out.
    """
    tried, left = dict(values), dict[str, Iterator[Any]]()
    for _ in range(3 * len(values) + 1):
        try:
            make(tried)
        except InputError as error:
            name = parameter_of(str(error), values)
            if name is None or (left and name not in left and _others(str(error), name, values)):
                if not left:
                    yield error
                return
            if name not in left:
                yield error
                left[name] = _substitutes(values[name])
            tried[name] = next(left[name], None)
            if tried[name] is None:
                del tried[name]
                if name not in optional:
                    return
        else:
            return


def _others(text: str, name: str, values: Mapping[str, Any]) -> bool:
    """Whether a message speaks of further parameters."""
    words = text.replace(",", " ").replace("(", " ").split()
    return any(other in words for other in values if other != name)


def _substitutes(value: Any) -> Iterator[Any]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from ([-value] if value < 0 else [])
        yield from (1.0, 0.25)


def without_keys_of_others(
    table: dict[str, Any],
    model: type[Table],
    own: str,
    others: Callable[[], Mapping[str, Collection[str]]],
    problems: Problems,
    key: Key,
) -> dict[str, Any]:
    """A table without keys that only others of its kind have.

    Args:
        table: What the file holds.
        model: Model of the table.
        own: Name of what it is a table of.
        others: () ↦ keys of all of that kind, by name; asked where there is an unknown key.
        problems: Receives what is wrong.
        key: Where the table stands.
    """
    kept = dict(table)
    for name in table.keys() - model.model_fields.keys():
        if owners := [other for other, keys in others().items() if name in keys]:
            text = f"{own} has no such key; it belongs to {' and '.join(owners)}"
            problems.add((*key, name), text, kept.pop(name))
    return kept


def only_source(
    table: Mapping[str, Any], sources: Collection[str], what: str, problems: Problems, key: Key
) -> str | None:
    """The one of several keys, of which exactly one has to be there, from which something is made."""
    given = [source for source in sources if source in table]
    if len(given) == 1:
        return given[0]
    *names, last = sources
    found = f"not of {' and '.join(given)} at once" if given else "and none is given"
    problems.add(key, f"{what} is made of one of {', '.join(names)} and {last}, {found}")
    return None
