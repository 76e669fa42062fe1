"""Numbers in the text of a mesh file, whatever its format."""

from __future__ import annotations

import warnings

import numpy as np

from fe2.arrays import Array, Ints
from fe2.errors import InputError


def text_numbers(where: str, text: bytes) -> Array:
    """All numbers of a text.

    Args:
        where: What messages call the text, e.g. "section $Nodes".
        text: Numbers with blanks or line ends between them.

    Raises:
        InputError: Something in it is no number.
    """
    if not text.strip():
        return np.empty(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            return np.fromstring(text, sep=" ")
    except (ValueError, DeprecationWarning) as error:
        raise InputError(f"{where} holds something that is no number") from error


def whole(where: str, values: Array) -> Ints:
    """Whole numbers of a text.

    Raises:
        InputError: One of them is not whole, or too large to be told apart from its neighbours.
    """
    wrong = ~((values == np.rint(values)) & (np.abs(values) < 2.0**53))
    if wrong.any():
        raise InputError(f"{where} holds {values[wrong][0]:g} in the place of a whole number")
    return values.astype(np.int64)
