"""Whether coordinates far from the origin still tell the nodes of an element apart."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from fe2.arrays import Array
from fe2.errors import Fe2Warning, InputError

_FEWEST_DIGITS = 5.0
"""Decimal digits of the elements' sizes below which a mesh is refused."""

_DIGITS_TOLD = 9.0
"""Decimal digits below which a warning says how many are left."""

_FAR = 10.0
"""Distance from the origin, in sizes of the mesh, from which it is the origin's fault."""


def round_off(x: Array) -> float:
    """Distance of neighbouring numbers in double precision at the largest coordinate."""
    return float(np.spacing(np.abs(x).max(initial=0.0)))


def shortest_edge(x: Array, vertices: npt.NDArray[np.integer]) -> float:
    """Shortest distance of two vertices of an element; infinite where there are no elements.

    Args:
        x: Nodes, shape (n, d).
        vertices: Rows of the elements' vertices, shape (k, v).
    """
    first, second = np.triu_indices(vertices.shape[1], 1)
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    lengths = (np.linalg.norm(x[vertices[:, i]] - x[vertices[:, j]], axis=1) for i, j in pairs)
    return float(min((length.min(initial=np.inf) for length in lengths), default=np.inf))


def check_resolution(x: Array, vertices: npt.NDArray[np.integer]) -> None:
    """Refuse a mesh so far from the origin that its coordinates do not resolve its elements.

    Args:
        x: Nodes, shape (n, d).
        vertices: Rows of the elements' vertices, shape (k, v).

    Raises:
        InputError: Fewer than five digits of the shortest edge are left.

    Warns:
        Fe2Warning: Fewer than nine are.
    """
    used = x[np.unique(vertices)]
    far, size = np.abs(used).max(initial=0.0), np.ptp(used, axis=0).max(initial=0.0)
    if far < _FAR * size:
        return
    shortest, step = shortest_edge(x, vertices), round_off(used)
    digits = np.log10(shortest / step) if shortest > 0 else 0.0
    if digits > _DIGITS_TOLD:
        return
    text = (
        f"the mesh is {size:.3g} wide and lies {far:.3g} away from the origin, where neighbouring numbers "
        f"are {step:.1g} apart in double precision: {max(digits, 0.0):.0f} digits are left of its "
        f"shortest edge, {shortest:.3g}. Write it with coordinates from one of its corners on"
    )
    if digits < _FEWEST_DIGITS:
        raise InputError(text)
    warnings.warn(text, Fe2Warning, stacklevel=2)
