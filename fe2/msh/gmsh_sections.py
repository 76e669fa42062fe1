"""The sections of a .msh file, and the numbers in them: no more is taken than a section holds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.msh.text_numbers import text_numbers, whole

ADVICE = "Write it anew with gmsh: Mesh.MshFileVersion = 4.1 (or 2.2)"


class Format(NamedTuple):
    """Version of a file, and the byte order of a binary one: "<", ">", or nothing for text."""

    version: str
    order: str


def sections_of(data: bytes) -> dict[str, bytes]:
    """Names and contents of the sections `$Name ... $EndName`.

    Raises:
        InputError: A section has no end, or one that every mesh needs is missing.
    """
    if not data.startswith(b"$MeshFormat"):
        raise InputError("not a .msh file: it does not begin with $MeshFormat")
    sections, at = {}, 0
    while at >= 0:
        name = data[at + 1 : at + 80].partition(b"\n")[0].strip().decode("ascii", "replace")
        if not name.isalnum():
            raise InputError(f"a section is named {name!r}: the file is damaged")
        end = data.find(f"$End{name}".encode(), at)
        if end < 0 or data[end + 4 + len(name) :].partition(b"\n")[0].strip():
            raise InputError(f"section ${name} has no $End{name}: the file is truncated")
        if name in sections:
            raise InputError(f"section ${name} is there twice")
        sections[name] = data[at + 1 + len(name) : end].partition(b"\n")[2]
        at = data.find(b"$", end + 4 + len(name))
    if "ParametricNodes" in sections:
        sections.setdefault("Nodes", b"")
    for required in ("MeshFormat", "Nodes", "Elements"):
        if required not in sections:
            raise InputError(f"section ${required} is missing: the file is truncated or holds no mesh")
    return sections


def format_of(section: bytes) -> Format:
    """What the section $MeshFormat says: version, 0 for text or 1 for binary, bytes of a number.

    Raises:
        InputError: A version that is not read, or a format that does not exist.
    """
    line, _, rest = section.partition(b"\n")
    entries = line.decode("ascii", "replace").split()
    if entries[:1] not in (["4.1"], ["2.2"]):
        raise InputError(f"version {' '.join(entries[:1])} of the format is not read. {ADVICE}")
    if len(entries) != 3 or entries[1] not in ("0", "1") or entries[2] != "8":
        raise InputError(f"section $MeshFormat holds '{' '.join(entries)}'. {ADVICE}")
    if entries[1] == "0":
        return Format(entries[0], "")
    orders = {b"\x01\x00\x00\x00": "<", b"\x00\x00\x00\x01": ">"}
    if rest[:4] not in orders:
        raise InputError(f"section $MeshFormat has no byte order, the number 1 in four bytes. {ADVICE}")
    return Format(entries[0], orders[rest[:4]])


class _Text:
    """Takes numbers from a section of text, one array after the other."""

    def __init__(self, name: str, section: bytes) -> None:
        self._name, self._at = name, 0
        self._values = text_numbers(f"section ${name}", section)

    def ints(self, count: int = 1) -> Ints:
        return whole(f"section ${self._name}", self.floats(count))

    sizes = ints

    def floats(self, count: int) -> Array:
        if not 0 <= count <= len(self._values) - self._at:
            raise InputError(f"section ${self._name} ends too early, after {len(self._values)} numbers")
        self._at += count
        return self._values[self._at - count : self._at]

    def left(self) -> int:
        """Numbers that are left."""
        return len(self._values) - self._at

    def ended(self) -> bool:
        return self.left() == 0


class _Binary:
    """Takes numbers from a binary section: whole ones of four and eight bytes, and others."""

    def __init__(self, name: str, section: bytes, order: str) -> None:
        self._name, self._section, self._order, self._at = name, section, order, 0

    def _take(self, kind: str, count: int) -> npt.NDArray[np.generic]:
        dtype = np.dtype(self._order + kind)
        if not 0 <= count <= (len(self._section) - self._at) // dtype.itemsize:
            raise InputError(f"section ${self._name} ends too early, after {len(self._section)} bytes")
        start, self._at = self._at, self._at + count * dtype.itemsize
        return np.frombuffer(self._section, dtype, count, start)

    def ints(self, count: int = 1) -> Ints:
        return self._take("i4", count).astype(np.int64)

    def sizes(self, count: int = 1) -> Ints:
        return self._take("i8", count).astype(np.int64)

    def floats(self, count: int) -> Array:
        return self._take("f8", count).astype(np.float64)

    def left(self) -> int:
        return len(self._section) - self._at

    def ended(self) -> bool:
        return not self._section[self._at :].strip()


type Numbers = _Text | _Binary


def numbers_of(name: str, section: bytes, order: str) -> Numbers:
    """The numbers of a section, in text or in binary."""
    return _Binary(name, section, order) if order else _Text(name, section)


def count(numbers: Numbers, name: str) -> int:
    """A number of entries, of which the section can hold that many.

    Raises:
        InputError: It cannot.
    """
    found = int(numbers.sizes()[0])
    if not 0 <= found <= numbers.left():
        raise InputError(f"section ${name} promises {found} entries and does not hold them")
    return found


def finish(numbers: Numbers, name: str) -> None:
    """Refuse a section that holds more than it promises.

    Raises:
        InputError: It does.
    """
    if not numbers.ended():
        raise InputError(f"section ${name} holds more entries than it promises")
