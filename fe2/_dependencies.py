"""Imports whose order matters, made before anything else of fe2; says how to get what is missing.

h5py comes before DOLFINx: two HDF5 libraries live in the process, and h5py fails to load where
`dolfinx.fem.petsc` and numba came first. MPI comes before DOLFINx's compiled modules.
"""

from __future__ import annotations

import importlib

from fe2.errors import MissingDependencyError

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
except ImportError as error:
    raise MissingDependencyError(
        "fe2 needs DOLFINx 0.11 with PETSc, which was not found or does not load "
        f"({type(error).__name__}: {error}). Get it with one of: pip install 'fe2[wheel]'; "
        "conda install -c conda-forge fenics-dolfinx mpich; a container image of the FEniCS project."
    ) from error
