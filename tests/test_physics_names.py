"""Nothing outside of a physics' own files knows its name, nor that of one of its laws."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from mpi import ROOT
from test_imports import modules, unit_of

from fe2.physics.physics_table import LAWS, PHYSICS

pytestmark = pytest.mark.unit

PACKAGE = ROOT / "fe2"

PUBLIC = {"__init__.py", "public.py"}
"""What hands names on to users."""

NEUTRAL = {"bounds", "checks", "contrast", "kinematics", "law", "material_field", "physics_table"}
"""Modules of fe2/physics that are of no physics."""


def own_files() -> set[str]:
    """The files that physics register, and those of fe2/micro that import formulas of a physics."""
    groups = ("fe2.physics", "fe2.laws")
    registered = {entry.module for group in groups for entry in entry_points(group=group)}
    factories = {str(physics.factory).partition(":")[0] for physics in PHYSICS.sound().values()}
    formulas = {name for name, imported in modules().items() if unit_of_micro(name) and of_physics(imported)}
    return registered | factories | formulas


def unit_of_micro(module: str) -> bool:
    return module.startswith("fe2.micro.")


def of_physics(imported: frozenset[str]) -> set[str]:
    """Modules of a physics among those imported."""
    return {
        name for name in imported if name.startswith("fe2.physics.") and name.split(".")[2] not in NEUTRAL
    }


def common_files() -> Iterator[Path]:
    own = {module.replace(".", "/") + ".py" for module in own_files()}
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        if str(path.relative_to(ROOT)) in own or str(relative) in PUBLIC or relative.parts[0] == "physics":
            continue
        yield path


def test_common_code_is_most_of_the_code() -> None:
    own = sorted(name for name in own_files() if unit_of_micro(name))
    assert set(own) >= {"fe2.micro.diffusion", "fe2.micro.small_strain"}
    assert len(own) <= 12, own
    assert len(list(common_files())) > 200


def test_no_name_of_a_physics_or_of_its_laws_stands_in_common_code() -> None:
    laws = {name.partition(".")[2] for name in LAWS}
    names = [*PHYSICS, *sorted(law for law in laws if "_" in law)]
    word = re.compile(rf"(?<![A-Za-z])({'|'.join(names)})(?![A-Za-z])")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in common_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := word.search(line))
    ]
    assert not found


def test_no_module_of_a_physics_is_imported_by_common_code() -> None:
    wrong = [
        f"{module} imports {', '.join(sorted(of_physics(imported)))}"
        for module, imported in modules().items()
        if unit_of_fe2(module) not in ("", "physics", "public")
        and module not in own_files()
        and of_physics(imported)
    ]
    assert not wrong


def unit_of_fe2(module: str) -> str:
    return unit_of(module) if "." in module else ""
