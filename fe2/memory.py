"""Memory: how much is free, and a refusal before long work that would not fit."""

from __future__ import annotations

import math
from pathlib import Path

from fe2.errors import InputError


def available_memory() -> float:
    """Bytes that programs can still have on this machine; infinite where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return math.inf
    return next(
        (1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), math.inf
    )


def check_memory(needed: float, what: str, remedy: str) -> None:
    """Refuse what needs more memory than there is.

    Args:
        needed: Bytes.
        what: What needs them.
        remedy: What would need less.

    Raises:
        InputError: There is too little.
    """
    available = available_memory()
    if needed > available:
        raise InputError(
            f"{what} needs about {needed / 1e9:.3g} GB of memory, and {available / 1e9:.3g} GB are free: "
            f"{remedy}"
        )
