"""What is handed to code of others and must not be changed by it: NumPy refuses, and this says who tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fe2.arrays import Array
from fe2.errors import InputError


def read_only(values: Array) -> Array:
    """A view of an array that cannot be written through."""
    view = values.view()
    view.flags.writeable = False
    return view


@contextmanager
def unchanged(owner: str, what: str) -> Iterator[None]:
    """Say who tried to change a :func:`read_only` array.

    Args:
        owner: Who is called inside, for the message.
        what: What it is handed.

    Raises:
        InputError: NumPy refused to write.
    """
    try:
        yield
    except ValueError as error:
        if isinstance(error, InputError) or "read-only" not in str(error):
            raise
        raise InputError(
            f"{owner} changes {what} in place ({error}): it has to leave them as they are and return new "
            "arrays, because a step that is given up starts from them again"
        ) from error
