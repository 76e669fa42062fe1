"""Forged checkpoints: ways to alter the files of one, with seals that are right again or not."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fe2.io.seal import _MARK, _SIZE

type Random = np.random.Generator
TABLES = ("content", "cells", "parts", "functions/unknown", "laws/0/cells", "laws/0/states")
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1e400,
    10**400,
    "../../x",
    "",
    [],
    [[1.0], [2.0, 3.0]],
    {},
    {"a": 1},
    0.5,
]


def seal(path: Path) -> str:
    """Give a file the seal that its content has; the seal."""
    content = path.read_bytes()
    if content[-_SIZE:].startswith(_MARK):
        content = content[:-_SIZE]
    digest = hashlib.sha256(content).digest()
    path.write_bytes(content + _MARK + digest)
    return digest.hex()


def seal_all(folder: Path) -> None:
    """Seal the parts, let the index know of it, and seal that."""
    seals = [seal(path) for path in sorted(folder.glob("[0-9]*/*.h5")) if path.is_file()]
    index = folder / "index.h5"
    if not index.is_file():
        return
    try:
        with h5py.File(index, "r+") as file:
            content = json.loads(file["content"][:].tobytes())
            replace_table(file, "content", as_bytes({**content, "seals": seals}))
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError):
        pass  # forged so that the index cannot be read: as it is, then
    seal(index)


def as_bytes(content: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)


def replace_table(file: h5py.File, name: str, values: Any) -> None:
    del file[name]
    file[name] = values


def flip(path: Path, random: Random) -> None:
    """Flip one bit anywhere."""
    content = bytearray(path.read_bytes())
    content[random.integers(len(content))] ^= 1 << random.integers(8)
    path.write_bytes(content)


def shorten(path: Path, random: Random) -> None:
    path.write_bytes(path.read_bytes()[: random.integers(path.stat().st_size)])


def lengthen(path: Path, random: Random) -> None:
    path.write_bytes(path.read_bytes() + random.bytes(int(random.integers(1, 4000))))


def no_file(path: Path, random: Random) -> None:
    """A pipe, a device, a folder, nothing, or another file in its place."""
    path.unlink()
    other = Path(
        ["/dev/zero", "/dev/null", "/proc/self/mem", "/nowhere", str(path.parent)][random.integers(5)]
    )
    ways: list[Callable[[], Any]] = [
        lambda: os.mkfifo(path),
        lambda: path.symlink_to(other),
        path.mkdir,
        lambda: None,
        lambda: path.write_bytes(random.bytes(3000)),
        path.touch,
    ]
    ways[random.integers(len(ways))]()


def with_table(path: Path, random: Random) -> None:
    """Another table under the name of one: type, shape, place, or values."""
    with h5py.File(path, "r+") as file:
        names = [name for name in TABLES if name in file]
        name = names[random.integers(len(names))]
        values = file[name][()]
        odd_table(file, name, values, random)


def odd_table(file: h5py.File, name: str, values: np.ndarray, random: Random) -> None:
    def external() -> None:
        file.create_dataset(name, values.shape, values.dtype, external=[("/etc/hostname", 0, 1000)])

    def virtual() -> None:
        layout = h5py.VirtualLayout(values.shape, values.dtype)
        layout[...] = h5py.VirtualSource("/etc/hostname", "x", values.shape)
        file.create_virtual_dataset(name, layout)

    def value(change: Callable[[np.ndarray], Any]) -> Callable[[], None]:
        def put() -> None:
            file[name] = change(values)

        return put

    ways: list[Callable[[], Any]] = [
        external,
        virtual,
        lambda: file.create_dataset(name, (2**40, *values.shape[1:]), values.dtype, chunks=True),
        lambda: file.create_dataset(name, data=values, chunks=True, compression="gzip"),
        lambda: file.create_group(name),
        lambda: file.__setitem__(name, h5py.SoftLink("/cells")),
        lambda: file.__setitem__(name, h5py.ExternalLink("/etc/hostname", "/")),
        lambda: None,
        lambda: file.create_dataset(name, data="a text"),
        lambda: file.create_dataset(name, data=h5py.Empty("f8")),
        lambda: file.create_dataset(name, values.shape, [("a", "f8"), ("b", "S5")]),
        value(lambda v: v.astype(np.float32)),
        value(lambda v: v.astype(complex)),
        value(lambda v: v[:-1]),
        value(lambda v: np.concatenate([v, v])),
        value(lambda v: v[..., None]),
        value(lambda v: v[..., :-1]),
        value(lambda v: v[:0]),
        value(lambda v: v.reshape(-1)[0]),
    ]
    if name in ("cells", "parts", "laws/0/cells"):
        ways += [value(lambda v: v + 1), value(lambda v: np.zeros_like(v) - 1), value(lambda v: v * 2**40)]
    del file[name]
    ways[random.integers(len(ways))]()


def with_content(path: Path, random: Random) -> None:
    """Something else in the tree of what the index says."""
    with h5py.File(path, "r+") as file:
        content = json.loads(file["content"][:].tobytes())
        places = list(places_of(content))
        place, key = places[random.integers(len(places))]
        kind = random.integers(6)
        if kind == 0:
            del place[key]
        elif kind == 1 and isinstance(place, dict):
            place["surplus"] = 1
        else:
            place[key] = ODD[random.integers(len(ODD))]
        text = json.dumps(content).encode()
        if kind == 5:
            text = text[: random.integers(len(text))] if random.random() < 0.5 else b"[" * 100000
        replace_table(file, "content", np.frombuffer(text, dtype=np.uint8))


def places_of(tree: Any) -> Any:
    """All containers of a tree with all their keys."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        yield tree, key
        yield from places_of(value)


ON_FILE = (flip, shorten, lengthen, no_file)
ON_TABLES = (with_table, with_content)


def forge(folder: Path, random: Random) -> tuple[str, bool]:
    """Alter a checkpoint in some way; what was done, and whether no seal can tell."""
    index = folder / "index.h5"
    part = next(folder.glob("[0-9]*/0.h5"))
    path = index if random.random() < 0.6 else part
    ways = [*ON_FILE, *ON_TABLES * 3] if path == index else [*ON_FILE, with_table, with_table]
    way = ways[random.integers(len(ways))]
    way(path, random)
    sealed = way in ON_TABLES and random.random() < 0.7
    if sealed:
        seal_all(folder)
    return f"{way.__name__} of {path.name}, {'sealed anew' if sealed else 'as it is'}", sealed
