"""The mesh of a generator in a case file: made in a temporary file that no message names."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mpi4py import MPI

from fe2.case.generators import generate
from fe2.errors import InputError
from fe2.parallel import on_root


@contextmanager
def generated_mesh(name: str, parameters: dict[str, Any], comm: MPI.Comm) -> Iterator[Path]:
    """File with the mesh of a generator, which exists within the context only; collective.

    Raises:
        InputError: On all ranks: the generator refuses its parameters, or its mesh is refused within the
            context; the message names the generator, not the file.
        MissingDependencyError: gmsh does not load.
    """
    with tempfile.TemporaryDirectory(prefix="fe2-") as folder:
        path = Path(comm.bcast(folder), "mesh.msh")
        on_root(comm, lambda: generate(name, path, {"binary": True, **parameters}))
        try:
            yield path
        except InputError as error:
            refusal = InputError(str(error).replace(str(path), f"the mesh of {name}"))
            refusal.collective = error.collective
            raise refusal from error
