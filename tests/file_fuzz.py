"""Files damaged at random, read in a process apart: tracebacks, aborts, hangs and memory all count.

    faults = failures(READ, damaged_copies(originals, folder, count))
    assert not faults

`READ` is the text of a program that defines `read(path)`. A file is accepted where `read` returns, and
refused where it raises an fe2 error whose message is one sentence that begins with the path.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mpi import PROGRAMS, run

COUNT = int(os.environ.get("FE2_FUZZ", "100"))
"""Damaged files of each test; `make test-all` takes 1200."""

_BATCH = 200
"""Files that one process reads."""

_NUMBERS = [
    b"0",
    b"-1",
    b"1",
    b"2",
    b"7",
    b"1e15",
    b"1000000000000000",
    b"-9223372036854775808",
    b"nan",
    b"inf",
]
_NUMBERS += [b"4294967296", b"2147483647", b"1e308", b"0.5", b"99", b"x", b"1e-300", b"18446744073709551615"]


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """A copy with one to three faults: bytes and numbers replaced, spans removed, repeated, swapped."""
    for _ in range(rng.integers(1, 4)):
        content = _FAULTS[rng.integers(len(_FAULTS))](content, rng)
    return content


def damaged_copies(
    originals: Mapping[str, bytes], folder: Path, count: int = COUNT, seed: int = 0
) -> list[Path]:
    """Damaged copies in `folder`, by turns of each original; the keys are names with their endings."""
    rng, names, paths = np.random.default_rng(seed), sorted(originals), []
    for number in range(count):
        name = names[number % len(names)]
        paths.append(folder / f"{number:05}-{name}")
        paths[-1].write_bytes(damaged(originals[name], rng))
    return paths


def failures(program: str, paths: Sequence[Path]) -> list[str]:
    """What went wrong, one line for each file: neither accepted nor refused in one sentence."""
    wrong, left = [], [str(path) for path in paths]
    while left:
        result = run(
            [sys.executable, str(PROGRAMS / "read_files.py"), program, *left[:_BATCH]], timeout=1000.0
        )
        ready, *lines = result.stdout.splitlines() or [""]
        assert ready == "ready", result.stderr  # the program itself is wrong
        outcomes = [json.loads(line) for line in lines]
        if len(outcomes) < len(left[:_BATCH]):  # the next file ended the process
            outcomes.append(f"status {result.returncode}: {result.stderr[-500:]}")
        wrong += [
            f"{path}: {text}" for path, text in zip(left, outcomes, strict=False) if not _right(path, text)
        ]
        left = left[len(outcomes) :]
    return wrong


def _right(path: str, outcome: str) -> bool:
    """Whether a file was accepted, or refused in one line that names it and says why."""
    name = re.escape(Path(path).name)
    return outcome == "accepted" or re.fullmatch(rf"refused: .*{name}: \S.*", outcome) is not None


def _token(content: bytes, rng: np.random.Generator) -> bytes:
    """Another number in the place of one; the files' own numbers are among them."""
    found = [match.span() for match in re.finditer(rb"[\w.+-]+", content[:200_000])]
    if not found:
        return content
    low, high = found[rng.integers(len(found))]
    own = content[slice(*found[rng.integers(len(found))])]
    new = own if rng.random() < 0.5 else _NUMBERS[rng.integers(len(_NUMBERS))]
    return content[:low] + new + content[high:]


def _bytes(content: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(content)
    for at in rng.integers(len(data), size=rng.integers(1, 9)) if data else ():
        data[at] = rng.integers(256)
    return bytes(data)


def _word(content: bytes, rng: np.random.Generator) -> bytes:
    """A binary number, of four or eight bytes, as headers and tables of binary files hold them."""
    kind = ("<i4", "<i8", ">i4", "<f8")[rng.integers(4)]
    value = (0, -1, 1, 2, 5, 17, 2**31 - 1, -(2**31), 1000)[rng.integers(9)]
    new = np.array(value, kind).tobytes()
    at = int(rng.integers(max(len(content) - 8, 1)))
    return content[:at] + new + content[at + len(new) :]


def _span(content: bytes, rng: np.random.Generator) -> tuple[int, int]:
    low = int(rng.integers(len(content) + 1))
    return low, min(low + int(rng.integers(1, 200)), len(content))


def _removed(content: bytes, rng: np.random.Generator) -> bytes:
    low, high = _span(content, rng)
    return content[:low] + content[high:]


def _repeated(content: bytes, rng: np.random.Generator) -> bytes:
    low, high = _span(content, rng)
    return content[:high] + content[low:]


def _swapped(content: bytes, rng: np.random.Generator) -> bytes:
    lines = content.splitlines(keepends=True)
    if len(lines) > 1:
        i, j = rng.integers(len(lines), size=2)
        lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


def _truncated(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


_FAULTS = (_token, _token, _token, _token, _bytes, _word, _removed, _repeated, _swapped, _truncated)
