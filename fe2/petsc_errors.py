"""PETSc's errors in one sentence, and options that it refuses, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from petsc4py import PETSc

from fe2.errors import Fe2Error, InputError, MicroSolveError

FACTORIZE = ("mumps", "superlu_dist", "superlu", "suitesparse", "strumpack", "pastix", "mkl_pardiso")
"""Packages that factorize; umfpack, klu and cholmod are parts of suitesparse."""
PRECONDITION = ("hypre", "ml")
"""Packages of multigrid preconditioners, beside PETSc's own, which is gamg."""


def built_with(packages: Iterable[str]) -> list[str]:
    """Those of the packages, by PETSc's names, that PETSc was built with."""
    return [name for name in packages if PETSc.Sys.hasExternalPackage(name)]


def reason(error: PETSc.Error) -> str:
    """What PETSc says of an error, without the stack of its functions."""
    lines = [re.sub(r"^\[\d+\] ", "", line).strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not re.match(r"\w+\(\) at |See http", line)]
    return ": ".join(said[1:] or said)


def set_from_options(solver: PETSc.SNES | PETSc.KSP, *, collective: bool = False) -> None:
    """Let a solver take its options from PETSc's database.

    Args:
        solver: The solver, with its prefix.
        collective: True where all ranks call with the same options.

    Raises:
        InputError: PETSc refuses an option; the message names it.
    """
    with _refusing(solver.getOptionsPrefix(), collective):
        solver.setFromOptions()


def choose_factorization(solver: PETSc.KSP) -> None:
    """Let a linear solver with a matrix look for the package that factorizes it, if any does; collective.

    Raises:
        InputError: PETSc has none for these options and this matrix; the message names the options.
    """
    with _refusing(solver.getOptionsPrefix(), True, _has("petsc", FACTORIZE)):
        solver.getPC().setFactorSetUpSolverType()


def set_up(solver: PETSc.KSP) -> None:
    """Let a linear solver set itself up.

    Raises:
        Fe2Error: PETSc could not; the message names the options, a package that is not there among them.
    """
    try:
        solver.setUp()
    except PETSc.Error as error:
        prefix, text = solver.getOptionsPrefix(), reason(error)
        given = f" with {_blamed(prefix, text)}" if _given(prefix) else f": {text}"
        raise Fe2Error(f"PETSc could not set up the linear solver{given}") from error


@contextmanager
def solving() -> Iterator[None]:
    """Solves inside with the matrix of a cell, of which the factorization may have failed unnoticed.

    Raises:
        MicroSolveError: PETSc stopped with an error.
    """
    try:
        yield
    except PETSc.Error as error:
        raise MicroSolveError(
            f"the linearized cell problem was not solved, it is singular or nearly so: {reason(error)}"
        ) from error


@contextmanager
def _refusing(prefix: str, collective: bool, hint: str = "") -> Iterator[None]:
    try:
        yield
    except PETSc.Error as error:
        text = reason(error)
        if "requested PC type" in text:
            hint = _has("its own, gamg for multigrid", PRECONDITION)
        refusal = InputError(f"PETSc refuses {_blamed(prefix, text)}{hint}")
        refusal.collective = collective
        raise refusal from error


def _has(own: str, packages: Iterable[str]) -> str:
    return f" (this PETSc has {', '.join([own, *built_with(packages)])})"


def _given(prefix: str) -> dict[str, Any]:
    given: dict[str, Any] = PETSc.Options(prefix).getAll()
    return given


def _blamed(prefix: str, text: str) -> str:
    """The options under a prefix that a message is about, or all of them, with the message."""
    given = _given(prefix)
    words = set(re.findall(r"[^\s\"',]+", text))
    found = [name for name, value in given.items() if value in words or f"-{prefix}{name}" in text]
    found = found or [name for name, value in given.items() if value.upper() in words]
    options = " ".join(f"-{prefix}{name} {given[name]}" for name in found or given)
    return f"the option {options}: {text}" if found else f"the options {options}: {text}"
