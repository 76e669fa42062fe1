"""Reads nodes, elements and element sets of Abaqus's input files, .inp; no other file is opened.

The format: Abaqus Keywords Reference Manual, *NODE, *ELEMENT, *ELSET.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.msh.file import NO_GROUP, Elements, MeshFile, rows_of
from fe2.msh.text_numbers import text_numbers, whole

_SOLIDS = {4: "tetra", 5: "pyramid", 6: "wedge", 8: "hexahedron", 10: "tetra10", 20: "hexahedron20"}
_PLANES = {3: "triangle", 4: "quad", 6: "triangle6", 8: "quad8", 9: "quad9"}
_LINES = {2: "line", 3: "line3"}
_FAMILIES = (
    (re.compile(r"(?:DC|C|AC|Q)3D(\d+)"), 3, _SOLIDS),
    (re.compile(r"(?:CPS|CPEG|CPE|CAX|DC2D|DCAX|M3D|SFM3D|R3D|STRI|S|R2D)(\d)"), 2, _PLANES),
    (re.compile(r"(?:T2D|T3D|DC1D)(\d)"), 1, _LINES),
)
"""Names of element types: family and number of nodes."""

_OTHER_FILES = ("INCLUDE",)
_GENERATING = ("NGEN", "NFILL", "NCOPY", "NMAP", "ELGEN", "ELCOPY", "SYSTEM")
"""Keywords that make or move nodes and elements, which are not followed."""

_MOST_SETS = 64
"""Sets of an element, on average, beyond which a file is damaged: it is held once for each."""


@dataclass
class _Deck:
    """What was found so far."""

    numbers: list[Ints] = field(default_factory=list)
    points: list[Array] = field(default_factory=list)
    blocks: list[tuple[str, int, Ints]] = field(default_factory=list)
    sets: dict[str, list[Ints]] = field(default_factory=dict)


def parse_abaqus(path: str, data: bytes) -> MeshFile:
    """What an .inp file holds; element sets are the groups.

    Args:
        path: Where it was read.
        data: Its content.

    Raises:
        InputError: The file is damaged, makes its mesh with keywords that are not followed, or reads others.
    """
    deck = _Deck()
    for keyword, options, text in _keywords(data.decode("utf-8", "replace")):
        if keyword in _OTHER_FILES or "INPUT" in options:
            raise InputError(f"*{keyword} reads another file, which is not opened: write one file")
        if keyword in _GENERATING:
            raise InputError(f"*{keyword} makes or moves nodes, which is not followed: write them all")
        if keyword == "INSTANCE" and text.strip():
            raise InputError("*INSTANCE moves its part, which is not followed: write a mesh without parts")
        if keyword == "NODE":
            _add_nodes(deck, text)
        elif keyword == "ELEMENT":
            _add_elements(deck, options, text)
        elif keyword == "ELSET":
            _add_set(deck, options, text)
    if not deck.numbers or not deck.blocks:
        raise InputError("*NODE and *ELEMENT with entries are needed: the file is truncated or holds no mesh")
    numbers = np.concatenate(deck.numbers)
    points = np.concatenate(deck.points)
    elements = tuple(_elements(deck, numbers))
    names = {
        (part.dim, number): name
        for part in elements
        for number, name in enumerate(deck.sets, 1)
        if (part.groups == number).any()
    }
    return MeshFile(path, points, numbers, elements, names)


def _keywords(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Keyword, its options and its data lines, one after the other."""
    text = re.sub(r"(?m)^\*\*.*$", "", text)
    for part in re.split(r"(?m)^(?=\*)", text):
        if not part.startswith("*"):
            continue
        line, _, rest = part.partition("\n")
        while line.rstrip().endswith(",") and rest:  # goes on in the next line
            more, _, rest = rest.partition("\n")
            line = line.rstrip() + more
        keyword, *options = (entry.strip() for entry in line[1:].split(","))
        pairs = (option.partition("=") for option in options if option)
        yield (
            " ".join(keyword.upper().split()),
            {name.strip().upper(): value.strip().strip('"') for name, _, value in pairs},
            rest,
        )


def _numbers(keyword: str, text: str) -> Array:
    return text_numbers(f"*{keyword}", text.replace(",", " ").encode())


def _add_nodes(deck: _Deck, text: str) -> None:
    first = next((line for line in text.splitlines() if line.strip()), "")
    width = len([entry for entry in first.split(",") if entry.strip()])
    values = _numbers("NODE", text)
    if width not in (3, 4) or len(values) % width:
        raise InputError(f"*NODE needs a number and 2 or 3 coordinates in each line, not {first[:60]!r}")
    table = values.reshape(-1, width)
    deck.numbers.append(whole("*NODE", table[:, 0]))
    deck.points.append(np.zeros((len(table), 3)))
    deck.points[-1][:, : width - 1] = table[:, 1:]


def _type(given: str) -> tuple[str, int, int]:
    """Name for meshio, dimension, number of nodes; of planes and lines one digit counts, as in S8R5."""
    for pattern, dim, types in _FAMILIES:
        found = pattern.match(given)
        if found is not None and int(found[1]) in types:
            return types[int(found[1])], dim, int(found[1])
    raise InputError(f"elements of type {given[:40]!r} are not read from .inp files")


def _add_elements(deck: _Deck, options: dict[str, str], text: str) -> None:
    given = options.get("TYPE", "").upper()
    name, dim, count = _type(given)
    values = whole("*ELEMENT", _numbers("ELEMENT", text))
    if len(values) % (count + 1):
        raise InputError(f"*ELEMENT of type {given} needs a number and {count} nodes for every element")
    table = values.reshape(-1, count + 1)
    deck.blocks.append((name, dim, table))
    if "ELSET" in options:
        deck.sets.setdefault(_name(options["ELSET"]), []).append(table[:, 0])


def _add_set(deck: _Deck, options: dict[str, str], text: str) -> None:
    members = deck.sets.setdefault(_name(options.get("ELSET", "")), [])
    words = [word.strip().strip('"') for word in text.replace("\n", ",").split(",")]
    names = [word for word in words if word and not re.fullmatch(r"[+-]?\d+", word)]
    for name in names:
        if name not in deck.sets:
            raise InputError(f"*ELSET holds the set {name[:40]!r}, which is not defined before it")
        members += deck.sets[name]
    values = whole("*ELSET", _numbers("ELSET", ",".join(word for word in words if word not in names)))
    if "GENERATE" not in options:
        members.append(values)
        return
    if len(values) == 2:  # the step is one
        values = np.append(values, 1)
    known = np.concatenate([table[:, 0] for _, _, table in deck.blocks] or [values[:0]])
    if len(values) % 3 or (values.reshape(-1, 3)[:, 2] < 1).any():
        raise InputError("*ELSET with GENERATE needs first, last and positive step in every line")
    for first, last, step in values.reshape(-1, 3).tolist():
        members.append(known[(known >= first) & (known <= last) & ((known - first) % step == 0)])


def _name(text: str) -> str:
    if not text or not text.isprintable():
        raise InputError(f"an element set is named {text[:40]!r}")
    return text


def _elements(deck: _Deck, numbers: Ints) -> Iterator[Elements]:
    parts: dict[tuple[str, int], list[Ints]] = {}
    for type_, dim, table in deck.blocks:
        parts.setdefault((type_, dim), []).append(table)
    for (type_, dim), tables in parts.items():
        table = np.concatenate(tables)
        if not len(table):
            continue
        nodes = rows_of(table[:, 1:], table[:, 0], numbers, "*NODE")
        if sum(len(part) for members in deck.sets.values() for part in members) > _MOST_SETS * len(table):
            raise InputError(f"elements are in more than {_MOST_SETS} sets on average")
        rows, groups = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for number, members in enumerate(deck.sets.values(), 1):
            inside = np.isin(table[:, 0], np.concatenate(members) if members else [])
            rows.append(np.flatnonzero(inside))
            groups.append(np.full(len(rows[-1]), number))
        alone = np.setdiff1d(np.arange(len(table)), np.concatenate(rows))
        row = np.concatenate((*rows, alone)).astype(np.int64)
        group = np.concatenate((*groups, np.full(len(alone), NO_GROUP)))
        yield Elements(type_, dim, nodes[row], group, np.ones(len(row), np.int64), table[row, 0])
