"""Directions of the macroscopic gradient that no flux resists: the null space of an effective tangent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fe2.arrays import Array

_ROUND_OFF = 1e-11
"""Singular value, relative to the largest, that is round-off: a factorization leaves some 1e-14."""

_SMALL = 1e-6
"""Part of a direction that is round-off."""


def null_directions(matrix: Array) -> Array:
    """Basis of the null space of a matrix (m, m), to round-off, shape (d, m), in reduced echelon form.

    The largest entry of each row is one, and the other rows are zero there, so that what the axes span is
    told by the axes.
    """
    _, values, vectors = np.linalg.svd(matrix)
    rows = vectors[values <= _ROUND_OFF * values[0]]
    for row in range(len(rows)):
        pivot = int(np.argmax(np.abs(rows[row])))
        rows[row] /= rows[row, pivot]
        others = np.arange(len(rows)) != row
        rows[others] -= np.outer(rows[others, pivot], rows[row])
    rows[np.abs(rows) < _SMALL] = 0.0
    order = np.lexsort((-np.abs(rows)).T[::-1])
    result: Array = rows[order]
    return result


def named_direction(direction: Array, names: Sequence[str]) -> str:
    """What a direction (m,) is called by the names of its components, e.g. "yy" or "xx - 0.5 yy"."""
    parts: list[str] = []
    for value, name in zip(direction / np.abs(direction).max(), names, strict=True):
        if value:
            size = "" if abs(abs(value) - 1.0) < _SMALL else f"{abs(value):.4g} "
            sign = ("-" if value < 0.0 else "") if not parts else ("- " if value < 0.0 else "+ ")
            parts.append(f"{sign}{size}{name}")
    return " ".join(parts)
