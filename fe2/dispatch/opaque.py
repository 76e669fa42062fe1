"""States that are no rows, as rows of words, so that they travel and are stored as all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.micro.model import MicroModel


def packed(contents: Sequence[bytes], model: MicroModel) -> Array:
    """Bytes of points as rows, each of which begins with their number, shape (n, stored_size).

    Raises:
        InputError: There are more bytes than the model said.
    """
    rows = np.zeros((len(contents), model.stored_size))
    for row, content in zip(rows, contents, strict=True):
        if len(content) > (model.dump_size or 0):
            raise InputError(
                f"{type(model).__name__}.dump makes {len(content)} bytes of a state, and dump_size is "
                f"{model.dump_size}: it has to be the most that there can be"
            )
        row[:1].view(np.int64)[0] = len(content)
        row[1:].view(np.uint8)[: len(content)] = np.frombuffer(content, dtype=np.uint8)
    return rows


def unpacked(rows: Array) -> list[bytes]:
    """The bytes that were packed.

    Raises:
        InputError: These are no such rows.
    """
    contents = []
    for row in np.ascontiguousarray(rows):
        size = int(row[:1].view(np.int64)[0])
        if not 0 <= size <= 8 * (len(row) - 1):
            raise InputError(f"a stored state promises {size} bytes, and {8 * (len(row) - 1)} are there")
        contents.append(row[1:].view(np.uint8)[:size].tobytes())
    return contents
