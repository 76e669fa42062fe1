"""PETSc's SNES for the macroscopic problem: its options, and what petsc4py does not bind."""

from __future__ import annotations

import ctypes
import functools
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dolfinx.fem.petsc as fem_petsc
from petsc4py import PETSc

from fe2.errors import Fe2Warning, InputError
from fe2.macro.block_solver import FieldwiseTest
from fe2.macro.fields import Fields
from fe2.petsc_errors import choose_factorization, set_from_options

OPTIONS_PREFIX = "fe2_macro_"

_PACKAGE = "pc_factor_mat_solver_type"
_DEFAULTS: dict[str, Any] = {
    "snes_linesearch_type": "shell",
    "snes_rtol": 1e-8,
    "snes_max_it": 25,
    "ksp_type": "preonly",
    "pc_type": "lu",
    _PACKAGE: "mumps",
}
_COMPLETE = ("lu", "cholesky")
"""Preconditioners that MUMPS is for; others take the default of PETSc."""
_SEVERAL_FIELDS = {"mat_mumps_icntl_14": 100}
"""Pivots of different units are put off by MUMPS, which needs space for them, in percent of its estimate."""


class SolverOptions:
    """fe2's defaults and the options of a problem; those in PETSc's database win over both."""

    def __init__(
        self, options: Mapping[str, Any], prefix: str = OPTIONS_PREFIX, *, several_fields: bool = False
    ) -> None:
        """Keep the options.

        Args:
            options: PETSc options without their prefix.
            prefix: The prefix, not empty.
            several_fields: Whether the unknown has several fields.
        """
        defaults = _DEFAULTS | (_SEVERAL_FIELDS if several_fields else {})
        if not prefix:
            raise InputError("petsc_options_prefix: PETSc's options need a prefix, e.g. 'heat_'")
        self._prefix = prefix
        self._ours = {prefix + name: value for name, value in {**defaults, **options}.items()}
        self._has_package = _PACKAGE in options
        self._unused = set(options)

    @contextmanager
    def in_database(self) -> Iterator[None]:
        """Inside, PETSc's database holds the options; factorizations ask for theirs at their first use."""
        database = PETSc.Options()
        missing = {name: value for name, value in self._ours.items() if not database.hasName(name)}
        key = f"{self._prefix}pc_type"
        preconditioner = missing.get(key) or database.getString(key)
        if not self._has_package and preconditioner not in _COMPLETE:
            missing.pop(self._prefix + _PACKAGE, None)
        for name, value in missing.items():
            database.setValue(name, value)
        try:
            yield
        finally:
            self._unused -= {name for name in self._unused if self._is_used(database, name)}
            for name in missing:
                database.delValue(name)

    def configure(
        self,
        snes: PETSc.SNES,
        matrix: PETSc.Mat,
        preconditioner: PETSc.Mat | None = None,
        fields: Fields | None = None,
    ) -> None:
        """Give a solver the options; collective.

        Args:
            snes: The solver.
            matrix: The matrix that it will have, or one of its type.
            preconditioner: Likewise of its preconditioner, where it is another one.
            fields: Fields of the unknowns, for preconditioners that split them: ``fieldsplit_u_pc_type``.

        Raises:
            InputError: PETSc refuses one, or has no such factorization; the message names it.
        """
        snes.setOptionsPrefix(self._prefix)
        with self.in_database():
            set_from_options(snes, collective=True)
            snes.getKSP().setOperators(matrix, preconditioner or matrix)
            if fields is not None:
                _tell_fields(snes.getKSP(), preconditioner or matrix, fields)
            choose_factorization(snes.getKSP())

    def tell_unused(self) -> None:
        """Warn, once, of options that nothing has asked for in a whole solve."""
        if self._unused:
            names = ", ".join(sorted(self._unused))
            text = f"PETSc made no use of options of the macroscopic problem: {names}"
            warnings.warn(text, Fe2Warning, stacklevel=2)
        self._unused = set()

    def _is_used(self, database: PETSc.Options, name: str) -> bool:
        return bool(database.used(self._prefix + name))


def _tell_fields(ksp: PETSc.KSP, matrix: PETSc.Mat, fields: Fields) -> None:
    """Let an iterative solver know the fields, and multigrid their rigid motions; collective."""
    if ksp.getPC().getType() == PETSc.PC.Type.FIELDSPLIT:
        ksp.getPC().setFieldSplitIS(*fields.index_sets())
    if len(fields) > 1 and ksp.getType() in (PETSc.KSP.Type.FGMRES, PETSc.KSP.Type.GMRES):
        ksp.setConvergenceTest(FieldwiseTest(fields))
    if len(fields) == 1 and (motions := fields.rigid_motions(0)) is not None:
        matrix.setNearNullSpace(motions)


def weakly[**P, R](method: Callable[P, R]) -> Callable[P, R]:
    """A bound method that does not keep its object alive.

    What PETSc refers to is hidden from Python's collector: an object that owns a solver which calls its
    methods would never go, nor would its communicators, of which MPICH has two thousand in a process.
    """
    reference = weakref.WeakMethod(method)

    def call(*arguments: P.args, **named: P.kwargs) -> R:
        found = reference()
        assert found is not None, "the solver has outlived its problem"
        return found(*arguments, **named)

    return call


def set_domain_error(snes: PETSc.SNES) -> None:
    """Tell SNES that the residual is not defined here: its line search then tries a shorter step."""
    petsc_library().SNESSetFunctionDomainError(ctypes.c_void_p(snes.handle))


@functools.cache
def petsc_library() -> ctypes.CDLL:
    """PETSc's C interface."""
    return ctypes.CDLL(str(fem_petsc.get_petsc_lib()))
