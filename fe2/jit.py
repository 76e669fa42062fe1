"""Compilation of forms and expressions: optimized, safe with many ranks, and after a killed compile.

Compiled code lives in a cache of fe2's own, see :mod:`fe2.code_cache`, one folder for each kind of
processor: code made with ``-march=native`` must not meet another node's processor through a shared home
directory. Within the cache one process compiles at a time under a file lock, which the operating system
releases when a process dies; a source file without its finished mark is then a leftover, and is removed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import basix.ufl
import cffi
import dolfinx.jit
import numpy as np
import ufl
from dolfinx import fem
from dolfinx.mesh import EntityMap
from mpi4py import MPI
from ufl.core.expr import Expr

from fe2.arrays import Array
from fe2.code_cache import cache_folder, check_room, unusable
from fe2.errors import InputError, MissingDependencyError
from fe2.parallel import together

_COMPILER_FLAGS = ["-O3", "-march=native", "-ffast-math", "-g0"]


type Forms = ufl.Form | Sequence[ufl.Form] | Sequence[Sequence[ufl.Form]]


def compile_form(form: Forms, comm: MPI.Comm, entity_maps: Sequence[EntityMap] | None = None) -> Any:
    """Compile a form, or the blocks of one; collective over `comm`.

    Args:
        form: The form, or its blocks in a list or in rows.
        comm: Communicator of the ranks that call.
        entity_maps: For forms that hold functions on several meshes, as DOLFINx has them.

    Raises:
        MissingDependencyError: On all ranks, where the C compiler or its headers are missing on any.
        InputError: On all ranks, where the folder of compiled code cannot be used on any.
    """
    folder = _compile(_flat(form), comm)
    return fem.form(form, jit_options=_options(folder), entity_maps=entity_maps)


def compile_expression(expression: Expr, points: Array, comm: MPI.Comm) -> fem.Expression:
    """Compile an expression that is evaluated at `points` of the reference cell; collective over `comm`."""
    folder = _compile([(expression, points)], comm)
    # with its own guess of the type, DOLFINx would compile functions and constants anew, outside of the lock
    return fem.Expression(expression, points, comm=comm, dtype=np.float64, jit_options=_options(folder))


def _flat(form: Forms) -> Iterator[ufl.Form]:
    if isinstance(form, ufl.Form):
        yield form
    elif not isinstance(form, ufl.ZeroBaseForm):
        for part in form:
            yield from _flat(part)


def try_compiler(folder: Path) -> None:
    """Compile a small form, as all forms are, into a folder.

    Raises:
        MissingDependencyError: The C compiler or its headers are missing.
        InputError: The folder cannot be written to, or code from there cannot be loaded.
    """
    cell = basix.ufl.element("Lagrange", "interval", 1, shape=(1,))
    _compile_into(folder, ufl.Constant(ufl.Mesh(cell)) * ufl.dx)


def _compile(ufl_objects: Iterable[Any], comm: MPI.Comm) -> Path:
    """Compile into the folder of compiled code, and say which that is; collective over `comm`."""
    # Every rank fills its own node's cache before the collective call, which then only loads.
    with together(comm):
        folder = cache_folder()
        for ufl_object in ufl_objects:
            _compile_into(folder, ufl_object)
    return folder


def _compile_into(folder: Path, ufl_object: Any) -> None:
    try:
        with _compiler_lock(folder):
            dolfinx.jit.ffcx_jit(
                MPI.COMM_SELF,
                ufl_object,
                form_compiler_options={"scalar_type": np.float64},
                jit_options=_options(folder),
            )
    except ImportError as error:
        raise InputError(
            f"compiled code in {folder} cannot be loaded: {error}; where its file system has noexec, set "
            "XDG_CACHE_HOME to a folder elsewhere, otherwise remove it"
        ) from error
    except (FileNotFoundError, cffi.VerificationError) as error:
        check_room(folder)  # a compiler that finds no room for its output says so in many ways
        raise MissingDependencyError(
            "fe2 compiles cell problems to machine code and found no working C compiler. Install one "
            "with its headers and Python's, on Debian: apt-get install gcc libc6-dev libpython3-dev. "
            f"The compiler said: {type(error).__name__}: {error}"
        ) from error
    except OSError as error:
        raise unusable(folder, error) from error


def _options(folder: Path) -> dict[str, Any]:
    # all that DOLFINx has: it would take the rest from a file in the working directory
    return {
        "cache_dir": folder,
        "cffi_debug": False,
        "cffi_extra_compile_args": _COMPILER_FLAGS,
        "cffi_libraries": None,
        "cffi_verbose": False,
        "timeout": 600,
    }


@contextmanager
def _compiler_lock(folder: Path) -> Iterator[None]:
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        names = set(os.listdir(folder))  # one call, as the cache may hold thousands of files
        for name in names:
            if name.startswith("libffcx_") and name.endswith(".c") and f"{name}.cached" not in names:
                (folder / name).unlink(missing_ok=True)
        yield
