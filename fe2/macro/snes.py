"""PETSc's SNES for the macroscopic problem: its options, and the one function that petsc4py does not bind."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from typing import Any

import dolfinx.fem.petsc as fem_petsc
from petsc4py import PETSc

OPTIONS_PREFIX = "fe2_macro_"

_DEFAULTS: dict[str, Any] = {
    "snes_linesearch_type": "bt",
    "snes_rtol": 1e-8,
    "snes_max_it": 25,
    "ksp_type": "preonly",
    "pc_type": "lu",
    "pc_factor_mat_solver_type": "mumps",
}


def configure(snes: PETSc.SNES, options: Mapping[str, Any]) -> None:
    """Give a solver fe2's defaults, these options, and those in PETSc's database, of which the later win.

    Args:
        snes: The solver.
        options: PETSc options without their prefix ``fe2_macro_``.
    """
    snes.setOptionsPrefix(OPTIONS_PREFIX)
    database = PETSc.Options()
    ours = {OPTIONS_PREFIX + name: value for name, value in {**_DEFAULTS, **options}.items()}
    missing = {name: value for name, value in ours.items() if not database.hasName(name)}
    for name, value in missing.items():
        database.setValue(name, value)
    snes.setFromOptions()
    for name in missing:
        database.delValue(name)


def set_domain_error(snes: PETSc.SNES) -> None:
    """Tell SNES that the residual is not defined here: its line search then tries a shorter step."""
    _petsc().SNESSetFunctionDomainError(ctypes.c_void_p(snes.handle))


@functools.cache
def _petsc() -> ctypes.CDLL:
    return ctypes.CDLL(str(fem_petsc.get_petsc_lib()))
