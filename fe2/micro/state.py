"""What one quadrature point remembers: named, typed, initialized fields of a row, and which of them last.

A row is an array of 8-byte words, so that rows of all models are stored, sent and exchanged alike. Each field
takes whole words. Fields that do not last only save work: a checkpoint leaves them out, and a restored row
takes them from the virgin one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fe2.arrays import Array, Ints
from fe2.errors import InputError

_WORD = 8


@dataclass(frozen=True)
class StateField:
    """A field of a state.

    Attributes:
        name: Its name, by which a checkpoint knows it.
        shape: Shape of its values, of a single number by default.
        dtype: Their type, as NumPy names it: "float64", "int64", "bool", ...
        initial: Their virgin values, one or of that shape.
        lasts: Whether they are needed to continue from a stored state.
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: str = "float64"
    initial: Any = 0
    lasts: bool = True

    @property
    def words(self) -> int:
        """Words that it takes in a row."""
        return -(-math.prod(self.shape) * np.dtype(self.dtype).itemsize // _WORD)


class StateLayout:
    """Where the fields of a state stand in a row.

    Attributes:
        fields: The fields by name, in their order.
        size: Words of a row.
    """

    def __init__(self, *fields: StateField) -> None:
        """Lay the fields out one after the other.

        Raises:
            InputError: Two fields have one name, or a type cannot be stored.
        """
        self.fields = {field.name: field for field in fields}
        if len(self.fields) < len(fields):
            raise InputError(
                f"the fields of a state need different names: {[field.name for field in fields]}"
            )
        for field in fields:
            if np.dtype(field.dtype).kind not in "biufc":
                raise InputError(
                    f"the state field {field.name} has the type {field.dtype}: numbers are needed"
                )
        ends = np.cumsum([0, *(field.words for field in fields)]).tolist()
        self._parts = {field.name: slice(*ends[k : k + 2]) for k, field in enumerate(fields)}
        self.size = int(ends[-1])

    @cached_property
    def lasting(self) -> Ints:
        """The words that last, increasing."""
        lasting = [np.arange(self.size)[self._parts[f.name]] for f in self.fields.values() if f.lasts]
        return np.concatenate([np.zeros(0, dtype=np.int64), *lasting])

    @property
    def lasting_size(self) -> int:
        """Number of words that last."""
        return len(self.lasting)

    def part(self, name: str) -> slice:
        """The words of a field."""
        return self._parts[name]

    def of(self, rows: Array, name: str) -> npt.NDArray[Any]:
        """View of a field in rows of shape (..., size), whose last axis gives way to those of the field."""
        field = self.fields[name]
        values = rows[..., self._parts[name]].view(field.dtype)[..., : math.prod(field.shape)]
        return values.reshape((*rows.shape[:-1], *field.shape))

    def initial(self) -> Array:
        """The virgin row."""
        row = np.zeros(self.size)
        for name, field in self.fields.items():
            self.of(row[None], name)[:] = field.initial
        return row

    def stored(self, rows: Array) -> Array:
        """What of rows (n, size) lasts, shape (n, lasting_size)."""
        return rows[:, self.lasting]

    def restored(self, stored: Array, virgin: Array) -> Array:
        """Rows with what was stored of them, (n, lasting_size), and for the rest the virgin row."""
        rows = np.tile(virgin, (len(stored), 1))
        rows[:, self.lasting] = stored
        return rows

    def describe(self) -> dict[str, str]:
        """Type and shape of each field that lasts, by name."""
        return {f.name: f"{f.dtype}{list(f.shape)}" for f in self.fields.values() if f.lasts}

    def with_fields(self, fields: Iterable[StateField]) -> StateLayout:
        """This layout with further fields behind it."""
        return StateLayout(*self.fields.values(), *fields)
