"""Whoever imports DOLFINx after fe2 gets h5py and MPI first, though fe2 itself loads them only when needed.

The reason for the order stands in :mod:`fe2._dependencies`. What only reads a case file or prints
help needs neither, and starts in a fraction of a second, also where MPI cannot be initialized, as on
the login nodes of some clusters. :mod:`fe2.grid` does without them where they are not installed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Collection, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from fe2.errors import HOW_TO_GET_DOLFINX, MissingDependencyError

_NEEDED = ("mpi4py", "petsc4py", "dolfinx")


class _Before(MetaPathFinder):
    """Finds nothing; the first search for one of some modules makes it do something else first."""

    def __init__(self, modules: Collection[str], action: Callable[[], None]) -> None:
        self.modules, self.action, self._waits = modules, action, True

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Act when one of the modules is asked for, once."""
        # stays in the list: to leave it now would hide the next finder from the search that goes on
        if self._waits and fullname in self.modules:
            self._waits = False  # the action may search itself
            try:
                self.action()
            except Exception:
                self._waits = True
                raise
        return None


def before(modules: Collection[str], action: Callable[[], None]) -> None:
    """Let something be done when one of some modules is imported, before it is looked for."""
    if all(getattr(finder, "action", None) is not action for finder in sys.meta_path):
        sys.meta_path.insert(0, _Before(modules, action))


def check() -> None:
    """Say how to get DOLFINx where it is not installed.

    Raises:
        MissingDependencyError: DOLFINx is not installed.
    """
    for name in _NEEDED:
        with contextlib.suppress(ModuleNotFoundError):
            if importlib.util.find_spec(name) is not None:
                continue
        raise MissingDependencyError(f"{HOW_TO_GET_DOLFINX} (No module named {name!r})")


def install() -> None:
    """Prepare for DOLFINx when it is imported, or at once where it has been."""
    if "dolfinx" in sys.modules:
        importlib.import_module("fe2._dependencies")  # here, where it is not too late to say what is wrong
        prepare()
    else:
        before(("dolfinx", "petsc4py"), prepare)
        before(_NEEDED, check)


def prepare() -> None:
    """Load h5py and MPI, keep PETSc from handling signals, let a rank that leaves too soon end all of them.

    What is missing or does not load is left to :mod:`fe2._dependencies`, which says how to get it.
    """
    # PETSc would print a page and abort: at SIGTERM too, and in the place of Python's own handlers
    options = os.environ.get("PETSC_OPTIONS", "")
    if "signal_handler" not in options:
        os.environ["PETSC_OPTIONS"] = f"{options} -no_signal_handler".strip()
    with contextlib.suppress(ImportError, ValueError):
        importlib.import_module("h5py")
    with contextlib.suppress(ImportError):
        importlib.import_module("fe2.leaving").end_all_ranks_on_error()
