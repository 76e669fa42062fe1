"""The generators of meshes, as case files and the command line know them.

Their signatures are read from their source: gmsh takes half a second to load, and is not needed to
check a file or to print help.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import fe2_meshes.parameters

from fe2.case.problems import Key, Problems
from fe2.case.signatures import parameters, table_model
from fe2.errors import InputError, MissingDependencyError
from fe2.registry import Registry
from fe2.table import Table

MESH_GENERATORS = fe2_meshes.MACROSCOPIC_MESHES

_NOT_IN_FILES = ("path", "binary")


def _misfit(found: Any) -> str | None:
    return None if callable(found) else f"a function that writes a mesh is expected, and {found!r} came"


CELLS: Registry[Callable[..., Path]] = Registry("fe2.cells", "the generator", _misfit)
"""Generators of cells by name: (path, parameters) ↦ the mesh, whose physical groups are the phases."""


def is_own(name: str) -> bool:
    """Whether a generator is one of fe2's."""
    return name in (*fe2_meshes.PERIODIC_CELLS, *MESH_GENERATORS)


@cache
def signature_of(name: str) -> Callable[..., Any]:
    """A function with signature and docstring of a generator; one of fe2's does nothing and needs no gmsh."""
    if not is_own(name):
        return CELLS[name]
    spec = importlib.util.find_spec(f"fe2_meshes.{name}")
    assert spec is not None
    assert spec.origin is not None
    module = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    (function,) = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name]
    function.body = function.body[:1]  # the docstring
    names: dict[str, Any] = {"Literal": Literal, "Path": Path, "Sequence": Sequence}
    future = ast.ImportFrom("__future__", [ast.alias("annotations")], 0)
    code = ast.fix_missing_locations(ast.Module([future, function], []))
    exec(compile(code, spec.origin, "exec"), names)
    return names[name]


@cache
def generator_model(name: str, base: type[Table]) -> type[Table]:
    """Model of a table with the parameters of a generator beside the keys of `base`."""
    return table_model(f"{base.__name__}_{name}", signature_of(name), base=base, leave_out=_NOT_IN_FILES)


def generator_parameters(name: str, table: Table) -> dict[str, Any]:
    """The parameters of a generator that were given in a table."""
    keys = parameters(signature_of(name), _NOT_IN_FILES)
    return {key: getattr(table, key) for key in keys if key in table.model_fields_set}


def check_parameters(name: str, table: Table, problems: Problems, place: Key) -> None:
    """Refuse parameters of a generator that no mesh can be made from, without making one."""
    if not is_own(name):
        return
    model, keys = type(table).model_fields, parameters(signature_of(name), _NOT_IN_FILES)
    values = {key: getattr(table, key) for key in keys}
    try:
        getattr(fe2_meshes.parameters, name)(**values)
    except (ValueError, ArithmeticError) as error:
        for line in str(error).splitlines():
            problems.add_refused(place, InputError(line), model, values)


def generated_phases(name: str, table: Table) -> tuple[str, ...]:
    """Phases of the cell that a generator makes with the parameters in a table, where they are known."""
    if not is_own(name):
        return ()
    if name == "laminate":
        return tuple(f"layer_{k + 1}" for k in range(len(vars(table)["fractions"])))
    if name == "polycrystal":
        return tuple(f"grain_{k + 1}" for k in range(vars(table)["grains"]))
    return ("matrix", "sphere" if name in ("simple_cubic", "random_spheres") else "fibre")


def generate(name: str, path: Path, parameters: dict[str, Any]) -> Path:
    """Write the mesh of a generator.

    Raises:
        InputError: The generator refuses its parameters.
        MissingDependencyError: gmsh does not load.
    """
    try:
        own = importlib.import_module(f"fe2_meshes.{name}") if is_own(name) else None
        function = CELLS[name] if own is None else getattr(own, name)
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"the generator {name} needs gmsh, which does not load ({error}); on Debian and Ubuntu: "
            "apt-get install libglu1-mesa libxcursor1 libxft2 libxinerama1"
        ) from error
    try:
        return function(path, **parameters)
    except (ValueError, ArithmeticError, RuntimeError) as error:
        raise InputError(str(error)) from error
