"""PETSc's files of options: the command line reads that of the user, and none of the working directory.

PETSc takes options from ``.petscrc`` and ``petscrc`` in the working directory, those that load code and write
files among them. Whoever starts a run in a folder that somebody else made must not run what lies there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

_MODULE = "petsc4py.PETSc"


class _StartsPetsc(MetaPathFinder):
    """Finds nothing; the first search for PETSc starts it without the files of the working directory."""

    def __init__(self) -> None:
        self._waits = True

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Start PETSc when it is asked for, once."""
        if self._waits and fullname == _MODULE:
            self._waits = False
            import petsc4py

            _name_file_of_user()
            petsc4py.init(["fe2", "-skip_petscrc"])
        return None


def leave_out_working_directory() -> None:
    """Let PETSc start without the files of options of the working directory, where it has not started."""
    if _MODULE not in sys.modules and not any(isinstance(finder, _StartsPetsc) for finder in sys.meta_path):
        sys.meta_path.insert(0, _StartsPetsc())


def _name_file_of_user() -> None:
    """Name the file in the user's home first in the variable of options, so that later ones win as ever."""
    file = Path.home() / ".petscrc"
    if file.is_file() and " " not in str(file):
        os.environ["PETSC_OPTIONS"] = f"-options_file {file} {os.environ.get('PETSC_OPTIONS', '')}"
