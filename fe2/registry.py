"""What installed packages bring to fe2: physics, laws, micro models and cells, by registered names.

A package registers a class under an entry point, in its `pyproject.toml` as fe2 does in its own::

    [project.entry-points."fe2.models"]
    lattice = "my_package.lattice:Lattice"

Nothing is loaded before it is used, and nothing is found in any other way, by a path in a file least of all.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import metadata
from typing import Any

from fe2.errors import InputError

_MOST_NAMES = 20


def suggestion(name: str, known: Sequence[str]) -> str:
    """What may have been meant, or all that there is."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    listed = ", ".join(known) if known else "none"
    if len(known) > _MOST_NAMES:
        listed = f"{len(known)}, which fe2 schema --markdown lists"
    return f"did you mean {near[0]}? There are {listed}" if near else f"there are {listed}"


class Registry[T]:
    """What is registered in one group of entry points, by name; loaded where it is asked for."""

    def __init__(self, group: str, what: str, misfit: Callable[[Any], str | None]) -> None:
        """Keep what is needed.

        Args:
            group: Group of entry points, e.g. "fe2.physics".
            what: What one of them is called, e.g. "physics".
            misfit: What was found ↦ which member does not fit, what came and what is expected, or None.
        """
        self.group, self.what, self._misfit = group, what, misfit

    def __iter__(self) -> Iterator[str]:
        """Names, in alphabetical order."""
        return iter(_entries(self.group, tuple(sys.path)))

    def __contains__(self, name: object) -> bool:
        """Whether an installed package has registered this name."""
        return isinstance(name, str) and name in _entries(self.group, tuple(sys.path))

    def __getitem__(self, name: str) -> T:
        """What is registered under a name.

        Raises:
            InputError: There is none of this name, there are two, it does not load, or it does not fit.
        """
        found = _entries(self.group, tuple(sys.path)).get(name, ())
        if not found:
            raise InputError(f"{self.what} {name!r} is not installed; {self.meant(name)}")
        if len(found) > 1:
            packages = " and ".join(map(_package, found))
            raise InputError(f"{self.what} {name!r} is registered by {packages}: one of them has to go")
        (entry,) = found
        loaded = self._loaded(entry)
        if text := self._misfit(loaded):
            raise InputError(f"{self.what} {name!r} of {_package(entry)} does not fit: {text}")
        return loaded

    def meant(self, name: str) -> str:
        """What may have been meant by a name that is not there, or all that there is."""
        if not list(self):
            return "nothing at all is registered: fe2 has to be installed anew, e.g. with pip install -e ."
        return suggestion(name, list(self))

    def _loaded(self, entry: metadata.EntryPoint) -> Any:
        try:
            return _load(entry)
        except Exception as error:  # whatever a foreign module does while it is imported
            reason = f"{type(error).__name__}: {error}"
            text = f"{self.what} {entry.name!r} of {_package(entry)} does not load ({entry.value}): {reason}"
            raise InputError(text) from error

    def sound(self) -> dict[str, T]:
        """All that load and fit, by name."""
        broken = self.broken()
        return {name: self[name] for name in self if name not in broken}

    def broken(self) -> dict[str, str]:
        """Why the others do not, in a sentence each, by name."""
        found = {}
        for name in self:
            try:
                self[name]
            except InputError as error:
                found[name] = str(error)
        return found


@cache
def _entries(group: str, path: tuple[str, ...]) -> dict[str, tuple[metadata.EntryPoint, ...]]:
    """Entry points of a group by name, for the present path of modules."""
    found: dict[str, tuple[metadata.EntryPoint, ...]] = {}
    for entry in sorted(metadata.entry_points(group=group), key=lambda entry: entry.name):
        found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


@cache
def _load(entry: metadata.EntryPoint) -> Any:
    return entry.load()


def _package(entry: metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown package"
