"""PETSc's files of options: the command line reads that of the user, and none of the working directory.

PETSc takes options from ``.petscrc`` and ``petscrc`` in the working directory, those that load code and write
files among them. Whoever starts a run in a folder that somebody else made must not run what lies there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fe2._import_order import before

_MODULE = "petsc4py.PETSc"


def leave_out_working_directory() -> None:
    """Let PETSc start without the files of options of the working directory, where it has not started."""
    if _MODULE not in sys.modules:
        before([_MODULE], _start)


def _start() -> None:
    import petsc4py

    _name_file_of_user()
    petsc4py.init(["fe2", "-skip_petscrc"])


def _name_file_of_user() -> None:
    """Name the file in the user's home first in the variable of options, so that later ones win as ever."""
    file = Path.home() / ".petscrc"
    if file.is_file() and " " not in str(file):
        os.environ["PETSC_OPTIONS"] = f"-options_file {file} {os.environ.get('PETSC_OPTIONS', '')}"
