"""Memory: how much is free, a refusal before long work that would not fit, and keeping what was freed."""

from __future__ import annotations

import ctypes
import math
import os
from functools import cache
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


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Numbers of the parameters of `mallopt`, from glibc's malloc.h."""
_KEPT = 2**30
"""Bytes up to which freed memory is kept for the next allocation."""


@cache
def keep_freed_memory() -> None:
    """Let the C library keep what is freed instead of giving it back to the system, for the whole process.

    Every factorization allocates its workspace anew. By default glibc returns such large blocks to the
    system, which then zeroes every page again: an eighth of the time of a factorization. Nothing is done
    where the user has set the allocator (``MALLOC_…_``, ``GLIBC_TUNABLES``) or there is no ``mallopt``.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
