"""Compilation of forms and expressions: optimized, safe with many ranks, and after a killed compile.

Compiled code lives in a cache of fe2's own, one folder for each kind of processor: code made with
``-march=native`` must not meet another node's processor through a shared home directory. Within
the cache one process compiles at a time under a file lock, which the operating system releases
when a process dies; a source file without its finished mark is then a leftover, and is removed.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cffi
import dolfinx.jit
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from mpi4py import MPI
from ufl.core.expr import Expr

from fe2.errors import MissingDependencyError
from fe2.parallel import together

_COMPILER_FLAGS = ["-O3", "-march=native", "-ffast-math", "-g0"]


def compile_form(form: ufl.Form, comm: MPI.Comm) -> fem.Form:
    """Compile a form; collective over `comm`.

    Raises:
        MissingDependencyError: On all ranks, where the C compiler or its headers are missing on any.
    """
    _compile(form, comm)
    return fem.form(form, jit_options=_options())


def compile_expression(expression: Expr, points: npt.NDArray[np.float64], comm: MPI.Comm) -> fem.Expression:
    """Compile an expression that is evaluated at `points` of the reference cell; collective over `comm`."""
    _compile((expression, points), comm)
    # with its own guess of the type, DOLFINx would compile functions and constants anew, outside of the lock
    return fem.Expression(expression, points, comm=comm, dtype=np.float64, jit_options=_options())


def _compile(ufl_object: Any, comm: MPI.Comm) -> None:
    # Every rank fills its own node's cache before the collective call, which then only loads.
    with together(comm):
        try:
            with _compiler_lock(cache_folder()):
                dolfinx.jit.ffcx_jit(
                    MPI.COMM_SELF,
                    ufl_object,
                    form_compiler_options={"scalar_type": np.float64},
                    jit_options=_options(),
                )
        except (FileNotFoundError, cffi.VerificationError) as error:
            raise MissingDependencyError(
                "fe2 compiles cell problems to machine code and found no working C compiler. Install one "
                "with its headers and Python's, on Debian: apt-get install gcc libc6-dev libpython3-dev. "
                f"The compiler said: {type(error).__name__}: {error}"
            ) from error


def _options() -> dict[str, Any]:
    # all that DOLFINx has: it would take the rest from a file in the working directory
    return {
        "cache_dir": cache_folder(),
        "cffi_debug": False,
        "cffi_extra_compile_args": _COMPILER_FLAGS,
        "cffi_libraries": None,
        "cffi_verbose": False,
        "timeout": 600,
    }


@functools.cache
def cache_folder() -> Path:
    """Folder of compiled code for this machine's kind of processor."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fe2"
    folder = root / f"{platform.machine()}-{hashlib.sha256(_processor().encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    wanted = ("flags", "Features", "model name", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


@contextmanager
def _compiler_lock(folder: Path) -> Iterator[None]:
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        names = set(os.listdir(folder))  # one call, as the cache may hold thousands of files
        for name in names:
            if name.startswith("libffcx_") and name.endswith(".c") and f"{name}.cached" not in names:
                (folder / name).unlink(missing_ok=True)
        yield
