"""`fe2 info`: versions, MPI, solvers, whether forms can be compiled, and where compiled forms are kept."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fe2.cli.options import as_json, world

if TYPE_CHECKING:
    from fe2.registry import Registry

_PACKAGES = ("basix", "ffcx", "ufl", "numpy", "scipy", "gmsh", "h5py", "pydantic", "pyvista")

_EPILOG = """\b
Examples:
  fe2 info
  mpirun -n 4 fe2 info            does MPI find all ranks?
  fe2 info --json | jq .solvers

The exit status is 1 where forms cannot be compiled, or not where fe2 keeps them, on any rank."""


@click.command("info", short_help="Versions, MPI, solvers, compiler.", epilog=_EPILOG)
@as_json
def command(as_json: bool) -> int:
    """Versions, MPI, solvers found, and a test of the compiler; worth a look before a long run."""
    world()
    from fe2.cli.output import Voice

    facts = _facts()
    Voice(as_json).tell(facts, lambda: _show(facts))
    return 0 if facts["compiler"]["works"] else 1


def _facts() -> dict[str, Any]:
    from mpi4py import MPI
    from petsc4py import PETSc

    from fe2.io.summary import versions
    from fe2.petsc_errors import FACTORIZE, PRECONDITION, built_with

    world = MPI.COMM_WORLD
    hosts = world.allgather(MPI.Get_processor_name())
    return {
        "versions": {**versions(), **_package_versions()},
        "mpi": {
            "library": " ".join(MPI.Get_library_version().splitlines()[0].split()),
            "ranks": world.size,
            "hosts": {host: hosts.count(host) for host in dict.fromkeys(hosts)},
        },
        "petsc": {
            "scalar": PETSc.ScalarType.__name__,
            "integer_bits": 8 * PETSc.IntType().itemsize,
            "solvers": built_with((*FACTORIZE, *PRECONDITION)),
        },
        "registered": {what: list(registry) for what, registry in _registries().items()},
        "broken": _broken(),
        "compiler": min(world.allgather(_compile()), key=lambda compiler: compiler["works"]),
    }


def _registries() -> dict[str, Registry[Any]]:
    from fe2.case.generators import CELLS
    from fe2.micro.model_table import MODELS
    from fe2.physics.physics_table import LAWS, PHYSICS

    return {"physics": PHYSICS, "laws": LAWS, "micro models": MODELS, "cells": CELLS}


def _broken() -> list[str]:
    """What is registered and does not load or fit, in a sentence each."""
    return [text for registry in _registries().values() for text in registry.broken().values()]


def _package_versions() -> dict[str, str]:
    from importlib import metadata

    found = {}
    for name in _PACKAGES:
        for distribution in (name, f"fenics-{name}"):
            try:
                found[name] = metadata.version(distribution)
            except metadata.PackageNotFoundError:
                continue
    return found


def _compile() -> dict[str, Any]:
    """Compile a form where fe2 keeps compiled code, in a folder in which nothing is cached."""
    from fe2.code_cache import cache_folder, check_cache
    from fe2.errors import Fe2Error
    from fe2.jit import try_compiler

    start, cache = time.perf_counter(), ""
    try:
        cache = str(cache_folder())
        check_cache()
        with tempfile.TemporaryDirectory(prefix="try-", dir=cache) as folder:
            try_compiler(Path(folder))
    except Fe2Error as error:
        return {"works": False, "message": str(error).splitlines()[0], "cache": cache}
    return {"works": True, "seconds": round(time.perf_counter() - start, 2), "cache": cache}


def _show(facts: dict[str, Any]) -> None:
    from rich.table import Table

    from fe2.cli.output import console

    mpi, petsc, compiler = facts["mpi"], facts["petsc"], facts["compiler"]
    works = (
        f"works, {compiler['seconds']} s" if compiler["works"] else f"DOES NOT WORK: {compiler['message']}"
    )
    rows = {
        **facts["versions"],
        "MPI library": mpi["library"],
        "MPI ranks": f"{mpi['ranks']} on " + ", ".join(f"{host} ({n})" for host, n in mpi["hosts"].items()),
        "PETSc numbers": f"{petsc['scalar']}, {petsc['integer_bits']}-bit indices",
        "PETSc solvers": ", ".join(petsc["solvers"]) or "none beside PETSc's own",
        "physics": ", ".join(facts["registered"]["physics"]),
        "laws": str(len(facts["registered"]["laws"])),
        "micro models": ", ".join(facts["registered"]["micro models"]),
        "generators of cells": ", ".join(facts["registered"]["cells"]),
        **{f"broken ({number})": text for number, text in enumerate(facts["broken"], 1)},
        "compiling forms": works,
        "compiled forms in": compiler["cache"],
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(name, value)
    console().print(table)
