"""All mistakes of a file, and of the cell files that it names, are told in one round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fe2_meshes
import pytest
from case_files import ELASTIC, GENERATOR_CELL, RUN, Table, changed, write

from fe2.case.generators import generate
from fe2.case.read import read_case
from fe2.case.time_functions import time_function
from fe2.errors import InputError

PLATE: Table = changed(
    RUN,
    mesh={"generator": "perforated_plate", "size": 0.3},
    laws__composite__subdomain=None,
    boundary=[{"on": "left", "fixed": ["x", "y"]}, {"on": "right", "load": {"x": "t"}}],
    output={"folder": "results"},
    body=[],
)


def told(folder: Path, table: Table) -> list[str]:
    """Keys of the lines of a refusal."""
    file = write(folder, table)
    with pytest.raises(InputError) as refusal:
        read_case(file)
    lines = str(refusal.value).splitlines()
    return [
        line.removeprefix(f"{folder}/").removeprefix("case.toml: ").split(" = ")[0].split(": ")[0]
        for line in lines
    ]


MANY: dict[str, dict[str, Any]] = {
    "a misspelt key, a misspelt boundary and a wrong modulus": {
        "steps__increment": 3,
        "boundary__0__on": "lft",
        "laws__composite__phases__layer_1__young": -1.0,
    },
    "a solver's option, a pole and a law": {
        "solver__macro__snes_rtoll": 1e-8,
        "boundary__1__prescribed": {"x": "0.01 / (t - 0.5)"},
        "laws__composite__phases__layer_2__law": "steel",
    },
    "a picture, a reaction, a generator's size and a watched point": {
        "output__pictures__0__field": "stres_xx",
        "output__reactions": ["grp"],
        "laws__composite__cell__size": 5.0,
        "output__watch": [[1.0, 0.5, 0.0]],
    },
    "a component that the mesh does not have, by which columns are named": {
        "boundary__1__prescribed": {"z": "0.01 * t"},
        "output__pictures": [{"file": "a.png", "history": ["grip_prescribed_x", "grip_x"]}],
    },
    "two parameters of one law, two of one table": {
        "laws__composite__phases__layer_1__young": -1.0,
        "laws__composite__phases__layer_1__poisson": 0.7,
        "field__degree": 0,
        "field__quadrature_degree": "two",
    },
    "a missing table, a phase's name, a key of the cell": {
        "steps": None,
        "laws__composite__phases__layer_3": ELASTIC,
        "laws__composite__cell__sise": 0.25,
    },
    "a physics, a boundary and a phase": {
        "laws__composite__cell__physics": "smal_strain",
        "boundary__1__on": "rigt",
        "laws__composite__phases__layer_2__poisson": 0.7,
    },
    "a cell file that is not there, a boundary, a box": {
        "laws": {"a": {"cell": "nope.toml"}},
        "boundary__1__on": "rigt",
        "mesh__cells": [4],
    },
    "types of a mesh, of a load and of a parameter": {
        "mesh__cells": [4, "2"],
        "body__0__load": {"y": [1, 2]},
        "laws__composite__phases__layer_1__hardening": "soft",
        "laws__composite__phases__layer_2__young": -3,
    },
}

KEYS: dict[str, set[str]] = {
    "a misspelt key, a misspelt boundary and a wrong modulus": {
        "steps.increment",
        "boundary[0].on",
        "laws.composite.phases.layer_1.young",
    },
    "a solver's option, a pole and a law": {
        "solver.macro.snes_rtoll",
        "boundary[1].prescribed.x",
        "laws.composite.phases.layer_2.law",
    },
    "a picture, a reaction, a generator's size and a watched point": {
        "output.pictures[0].field",
        "output.pictures[0].history[1]",  # the reaction's column
        "output.reactions[0]",
        "laws.composite.cell.size",
        "output.watch[0]",
    },
    "a component that the mesh does not have, by which columns are named": {"boundary[1].prescribed"},
    "two parameters of one law, two of one table": {
        "laws.composite.phases.layer_1.young",
        "laws.composite.phases.layer_1.poisson",
        "field.degree",
        "field.quadrature_degree",
    },
    "a missing table, a phase's name, a key of the cell": {
        "steps",
        "laws.composite.phases.layer_3",
        "laws.composite.cell.sise",
    },
    "a physics, a boundary and a phase": {
        "laws.composite.cell.physics",
        "boundary[1].on",
        "laws.composite.phases.layer_2.poisson",
    },
    "a cell file that is not there, a boundary, a box": {"laws.a.cell", "boundary[1].on", "mesh.cells"},
    "types of a mesh, of a load and of a parameter": {
        "mesh.cells[1]",
        "body[0].load.y",
        "laws.composite.phases.layer_1.hardening",
        "laws.composite.phases.layer_2.young",
    },
}


@pytest.mark.parametrize("mistakes", MANY)
def test_all_mistakes_are_told_at_once_and_no_consequences(mistakes: str, tmp_path: Path) -> None:
    table = changed(RUN, solver__macro={}) if "solver" in mistakes else RUN
    assert set(told(tmp_path, changed(table, **MANY[mistakes]))) == KEYS[mistakes]


def test_a_law_tells_what_it_refuses_beside_a_misspelt_key(tmp_path: Path) -> None:
    """Also where what is missing then may be a matrix or a table over temperature."""
    wrong = {"law": "thermoelastic", "young": -1.0, "poisson": 0.3, "expnsion": 1e-5, "conductivity": -2.0}
    cell = changed(GENERATOR_CELL, cell__physics="thermoelasticity")
    cell["phases"] = {"layer_1": {**wrong, "heat_capacity": 2.0}, "layer_2": {"law": "void"}}
    keys = {"expnsion", "expansion", "young", "conductivity"}
    assert set(told(tmp_path, cell)) == {f"phases.layer_1.{key}" for key in keys}


def test_mistakes_of_a_run_and_of_its_cell_file_are_told_together(tmp_path: Path) -> None:
    wrong = changed(GENERATOR_CELL, cell__elements="tensr", phases__layer_1__young=-1.0)
    write(tmp_path, wrong, "cell.toml")
    table = changed(RUN, laws={"a": {"cell": "cell.toml"}}, boundary__0__on="lft", output__watc=[[0, 0]])
    assert set(told(tmp_path, table)) == {
        "cell.toml",
        "boundary[0].on",
        "output.watc",
    }
    with pytest.raises(InputError, match=r"cell\.elements(.|\n)*phases\.layer_1\.young"):
        read_case(tmp_path / "case.toml")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"boundary__0__on": "lef"}, "boundary[0].on"),
        ({"body": [{"on": "plat", "load": {"x": 1.0}}]}, "body[0].on"),
        ({"laws__composite__subdomain": "plat"}, "laws.composite.subdomain"),
        ({"boundary__0__fixed": ["x", "z"]}, "boundary[0].fixed"),
        ({"mesh__size": -1.0}, "mesh.size"),
        ({"mesh__radius": 3.0}, "mesh.radius"),
        ({"boundary__1__load": {"x": "sqrt(0.5 - t)"}}, "boundary[1].load.x"),
        ({"boundary__1__load": {"x": "1 / (t - 0.5)"}}, "boundary[1].load.x"),
        ({"boundary__1__load": {"x": "log(t)"}}, "boundary[1].load.x"),
    ],
)
def test_what_a_generator_or_a_function_of_time_does_not_have_is_refused(
    tmp_path: Path, changes: dict[str, Any], key: str
) -> None:
    assert told(tmp_path, changed(PLATE, **changes)) == [key]


@pytest.mark.parametrize("name", fe2_meshes.MACROSCOPIC_MESHES)
def test_groups_of_macroscopic_meshes_are_those_that_are_known(name: str, tmp_path: Path) -> None:
    import meshio

    groups = fe2_meshes.MACROSCOPIC_GROUPS[name]
    mesh = meshio.read(generate(name, tmp_path / "mesh.msh", {}))
    found = {(int(dim), group) for group, (_, dim) in mesh.field_data.items()}
    known = {(groups.dim, group) for group in groups.subdomains}
    assert found == known | {(groups.dim - 1, group) for group in groups.boundaries}


@pytest.mark.parametrize(
    "text",
    [
        "min(t)",
        "abs(t, 1)",
        "sin()",
        "log(1, 2, 3)",
        "t.real",
        "t[0]",
        "(lambda: 1)()",
        "[t for t in (1,)]",
        "__import__('os')",
        "().__class__",
        "f'{t}'",
        "sin(*t)",
        "max(t, key=abs)",
        "1 if t",
        "(" * 150 + "t",
        "t; t",
        "\0",
        "not t",
        "t and t",
        "t // 0",
        "t := 1",
        "...",
        "1j",
        "'a'",
        "t" * 201,
    ],
)
def test_expressions_hold_formulas_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        time_function(text)(1.0)


@pytest.mark.parametrize(
    "text",
    ["9**9**9**9", "t**t**t**t", "10.0**400", "exp(1e9)", "(-t)**0.5", "1e300*1e10*t", "2**2**2**2**2**t"],
)
def test_expressions_without_a_finite_value_are_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match="value at t = 9"):
        time_function(text)(9.0)
