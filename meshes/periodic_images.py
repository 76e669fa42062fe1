"""Translations between a periodic cell and its neighbours."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def images(dim: int) -> FloatArray:
    """The 3^dim translations, in periods, to a cell and its neighbours; the cell itself is among them."""
    return np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=dim)))


def nearest_images(difference: FloatArray, period: FloatArray) -> FloatArray:
    """Shortest periodic images of difference vectors, shape (…, dim)."""
    shortest: FloatArray = difference - period * np.round(difference / period)
    return shortest
