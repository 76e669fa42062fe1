"""Imports whose order matters, made before anything else of fe2; says how to get what is missing.

h5py comes before DOLFINx: two HDF5 libraries live in the process, and h5py fails to load where
`dolfinx.fem.petsc` and numba came first. MPI comes before DOLFINx's compiled modules.
"""

from __future__ import annotations

import importlib

from fe2.errors import HOW_TO_GET_DOLFINX, MissingDependencyError

try:
    import h5py as h5py
except ValueError as error:
    raise ImportError(
        "h5py could not be loaded beside the HDF5 library of DOLFINx: "
        "import fe2 (or h5py) before dolfinx.fem.petsc"
    ) from error

try:
    importlib.import_module("mpi4py.MPI")
    importlib.import_module("dolfinx.fem.petsc")
except MissingDependencyError:
    raise
except ImportError as error:
    raise MissingDependencyError(f"{HOW_TO_GET_DOLFINX} ({type(error).__name__}: {error})") from error
