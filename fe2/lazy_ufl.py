"""UFL, which is loaded when the first expression is written: laws are made and checked without it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ufl import *  # noqa: F403


def __getattr__(name: str) -> Any:
    """What UFL has under a name."""
    return getattr(importlib.import_module("ufl"), name)
