"""Memory: how much is free, a refusal before long work that would not fit, and keeping what was freed."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from fe2.errors import InputError

VARIABLE = "FE2_MEMORY"
"""Environment variable with the memory that a process may use, in GB; "inf" looks at nothing."""

_LOCAL_RANKS = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE", "PMIX_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE")
_CGROUPS = Path("/sys/fs/cgroup")
_LIMITS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""Files of a control group with its limit and its use, of version 2 and 1."""


def available_memory() -> float:
    """Bytes that this process can still have; infinite where the system does not tell.

    The variable ``FE2_MEMORY`` counts, in GB, where it is set. Otherwise it is what the machine has free or
    the control group (container, Slurm job) still allows, whichever is less, over the ranks of the node.

    Raises:
        InputError: The variable holds no positive number.
    """
    if VARIABLE in os.environ:
        return _given(os.environ[VARIABLE])
    return min(_machine(), _control_group()) / _ranks_of_node()


def check_memory(
    needed: float, what: str, remedy: Callable[[float], str] | str, *, margin: float = 1.0
) -> None:
    """Refuse what needs more memory than there is.

    Args:
        needed: Bytes.
        what: What needs them.
        remedy: What would need less, or a function of the bytes that there are.
        margin: Factor by which more than there is has to be needed, where that is known roughly.

    Raises:
        InputError: There is too little.
    """
    available = available_memory()
    if needed > margin * available:
        cure = remedy if isinstance(remedy, str) else remedy(available)
        raise InputError(
            f"{what} needs about {gigabytes(needed)} of memory, and {gigabytes(available)} are free: {cure}"
        )


def gigabytes(count: float) -> str:
    """Bytes as messages give them."""
    return f"{count / 1e9:.3g} GB"


def _given(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not value > 0.0:
        raise InputError(f"{VARIABLE} = {text!r}: a positive number is needed, the memory of a process in GB")
    return 1e9 * value


def _machine() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return math.inf
    return next(
        (1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), math.inf
    )


def _control_group() -> float:
    """What the control groups of this process, version 1 or 2, still allow."""
    found = [math.inf]
    for folder in _control_groups():
        for limit, used in _LIMITS:
            allowed, taken = _number(folder / limit), _number(folder / used)
            if allowed is not None and taken is not None:
                found.append(max(allowed - taken + _reclaimable(folder), 0.0))
    return min(found)


def _control_groups() -> Iterator[Path]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers in ("", "memory"):
            root = _CGROUPS / controllers
            own = root / name.lstrip("/")
            yield from (folder for folder in (own, *own.parents) if folder == root or root in folder.parents)


def _number(file: Path) -> float | None:
    try:
        return float(file.read_text())
    except (OSError, ValueError):  # "max" is no limit
        return None


def _reclaimable(folder: Path) -> float:
    """File pages that the system drops before it lacks memory."""
    try:
        lines = [line.split() for line in (folder / "memory.stat").read_text().splitlines()]
    except OSError:
        return 0.0
    values = {words[0]: float(words[1]) for words in lines if len(words) == 2}
    return values.get("total_inactive_file", values.get("inactive_file", 0.0))


def _ranks_of_node() -> int:
    given = (os.environ.get(name, "") for name in _LOCAL_RANKS)
    return next((int(text) for text in given if text.isdigit() and int(text) > 0), 1)


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
