"""Warnings on the command line: one line each, and a list of them for the results."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fe2.errors import Fe2Warning


@contextmanager
def told_warnings(tell: Callable[[str], None]) -> Iterator[list[str]]:
    """Hand the warnings of fe2 to `tell`, each once, in the words ``warning: ...``; others go their way.

    Args:
        tell: Receives the text of each.

    Yields:
        The texts so far, without ``warning:``.
    """
    told: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", Fe2Warning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, Fe2Warning):
                others(message, category, *place, **more)
            elif str(message) not in told:
                told.append(str(message))
                tell(f"warning: {message}")

        warnings.showwarning = show
        yield told
