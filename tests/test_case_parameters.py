"""Run files with parameters of points: cells whose axes are turned, from expressions and from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from case_files import ELASTIC, Table, changed, write
from fe2_meshes.laminate import laminate
from mpi import mpiexec, succeeded
from mpi4py import MPI

from fe2.case.build_run import build_model, build_problem, build_simulation
from fe2.case.problems import CaseFileError
from fe2.case.read import read_case
from fe2.case.run_case import read_run_case
from fe2.case.understood import read_understood, understood
from fe2.io.history import read_history
from fe2.macro.law import HomogenizedLaw
from fe2.micro.rotated import Rotated
from fe2.physics.physics_table import PHYSICS
from fe2.tensors import rotation_from_bunge

LAYERS = (1.0, 5.0)
ACROSS, ALONG = 2.0 / (1.0 / LAYERS[0] + 1.0 / LAYERS[1]), sum(LAYERS) / 2.0
"""Conductivity of equal layers: of a series across them, of a parallel connection along them."""


def cell(physics: str = "diffusion", **laws: Any) -> Table:
    generator = {"generator": "laminate", "elements": "tensor", "size": 0.25, "physics": physics}
    soft = laws.get("soft", {"conductivity": LAYERS[0]})
    stiff = laws.get("stiff", {"conductivity": LAYERS[1]})
    return {"cell": generator, "phases": {"layer_1": soft, "layer_2": stiff}}


BAR: Table = {
    "mesh": {"box": [[0.0, 2.0], [0.0, 1.0]], "cells": [4, 1]},
    "laws": {
        "body": {**cell(), "rotated": True, "parameters": {"angle": "0.5 * pi if x > 1 else 0"}},
    },
    "boundary": [
        {"on": "left", "name": "cold", "fixed": True},
        {"on": "right", "name": "warm", "prescribed": "3 * t"},
    ],
    "steps": {"end": 1.0},
    "output": {"reactions": ["warm"]},
}
"""A bar of layers, which lie across the flow in one half, and along it in the other one."""


def law_of(folder: Path, table: Table) -> HomogenizedLaw:
    model = build_model(read_run_case(write(folder, table)), MPI.COMM_WORLD)
    (law,) = build_problem(model).laws
    return law


def refusal(folder: Path, table: Table) -> str:
    with pytest.raises(CaseFileError) as caught:
        read_case(write(folder, table))
    return str(caught.value)


def test_flow_through_turned_layers_is_that_of_a_series(tmp_path: Path) -> None:
    """Half of the bar conducts as a series of layers, half as layers side by side."""
    model = build_model(read_run_case(write(tmp_path, BAR)), MPI.COMM_WORLD)
    build_simulation(model, build_problem(model), overwrite=True).run()
    flow = 3.0 / (1.0 / ACROSS + 1.0 / ALONG)
    np.testing.assert_allclose(read_history(tmp_path / "results")["warm"], flow, rtol=1e-10)


@pytest.mark.parametrize("model", ["rve", "linearized"])
def test_tangents_of_a_laminate_follow_a_field_of_angles(model: str, tmp_path: Path) -> None:
    """Q diag(k across, k along) Qᵀ of the angle at each point."""
    graded = changed(
        BAR, laws__body__parameters={"angle": "30 * pi / 180 * x / 2 + 0.1 * y"}, laws__body__model=model
    )
    law = law_of(tmp_path, graded)
    x, y = law.points.coordinates.T
    angle = np.pi / 6.0 * x / 2.0 + 0.1 * y
    assert np.ptp(angle) > 0.4
    tangents = np.array([law.micro.virgin_tangent(point) for point in law.points])
    c, s = np.cos(angle), np.sin(angle)
    Q = np.array([[c, -s], [s, c]]).transpose(2, 0, 1)
    exact = Q @ np.diag([ACROSS, ALONG]) @ Q.transpose(0, 2, 1)
    np.testing.assert_allclose(tangents, exact, atol=1e-10)


PHASES: dict[str, tuple[Table, Table]] = {
    "diffusion": ({"conductivity": 1.0}, {"conductivity": 5.0}),
    "small_strain": (ELASTIC, {**ELASTIC, "young": 900.0}),
    "finite_strain": (
        {"law": "neo_hookean", "young": 1.0, "poisson": 0.3},
        {"law": "neo_hookean", "young": 5.0, "poisson": 0.3},
    ),
    "pore_flow": ({"viscosity": 2.0}, {"solid": True}),
    "thermoelasticity": (
        {**ELASTIC, "law": "thermoelastic", "expansion": 1e-5, "conductivity": 3.0, "heat_capacity": 2.0},
        {**ELASTIC, "law": "thermoelastic", "expansion": 3e-5, "conductivity": 9.0, "heat_capacity": 4.0},
    ),
}


@pytest.mark.parametrize("physics", PHASES)
def test_a_laminate_turned_by_a_right_angle_is_that_of_the_other_axis(physics: str, tmp_path: Path) -> None:
    soft, stiff = PHASES[physics]
    given = {**cell(physics, soft=soft, stiff=stiff), "closed": ["x", "y"] if physics == "pore_flow" else []}
    fixed = [{"on": "left", "field": name, "fixed": True} for name in PHYSICS[physics]().unknowns]
    tables = {"boundary": fixed, "output": {"folder": "results"}}
    turned = {**given, "rotated": True, "parameters": {"angle": "pi / 2"}}
    other = changed(given, cell__normal=2)
    found, expected = (
        law_of(tmp_path, changed(BAR, laws={"body": law}, **tables)) for law in (turned, other)
    )
    tangent = found.micro.virgin_tangent(found.points.point(0))
    exact = expected.micro.virgin_tangent()
    np.testing.assert_allclose(tangent, exact, atol=1e-9 * np.abs(exact).max())


GRAINS = """label, angle
layer_1, 0.3
layer_2, -0.2
"""


def grains(folder: Path) -> Table:
    """A macroscopic mesh of two grains."""
    laminate(folder / "grains.msh", fractions=(0.5, 0.5), lengths=(2.0, 1.0), elements="tensor", size=0.25)
    (folder / "angles.csv").write_text(GRAINS)
    corners = [{"at": [0.0, 0.0], "fixed": True}]
    law = changed(BAR["laws"]["body"], parameters__angle="angles.csv")
    return changed(
        BAR, mesh={"file": "grains.msh"}, laws={"body": law}, boundary=corners, output={"folder": "r"}
    )


def test_angles_come_from_a_table_of_the_subdomains_of_the_mesh(tmp_path: Path) -> None:
    law = law_of(tmp_path, grains(tmp_path))
    x = law.points.coordinates[:, 0]
    np.testing.assert_array_equal(law.points.parameters["angle"], np.where(x < 1.0, 0.3, -0.2))


def test_a_case_that_was_understood_finds_its_tables_again_wherever_it_is(tmp_path: Path) -> None:
    tables = understood(read_run_case(write(tmp_path, grains(tmp_path))))
    assert tables["laws"]["body"]["parameters"]["angle"] == str(tmp_path / "angles.csv")
    again = tmp_path / "elsewhere" / "case.json"
    again.parent.mkdir()
    again.write_text(json.dumps({"case": tables}), encoding="utf-8")
    assert understood(read_understood(again)) == tables


def test_angles_of_the_elements_are_in_the_order_of_the_mesh_on_any_number_of_ranks(tmp_path: Path) -> None:
    """The angle of each element of the bar is the place of its middle, as the order of a box is along x."""
    law = law_of(tmp_path, changed(BAR, laws__body__parameters__angle="0.3 * x"))
    middles = {
        int(number): float(place)
        for number, place in zip(
            law.numbers(),
            law.points.coordinates[:, 0].reshape(-1, law.points_per_cell).mean(axis=1),
            strict=True,
        )
    }
    np.save(tmp_path / "angles.npy", [middles[k] for k in range(4)])
    table = changed(BAR, laws__body__parameters__angle="angles.npy")
    found = law_of(tmp_path, table)
    x = found.points.coordinates[:, 0]
    np.testing.assert_allclose(found.points.parameters["angle"], np.floor(2.0 * x) / 2.0 + 0.25, atol=1e-12)
    results = []
    for ranks in (1, 2):
        succeeded(mpiexec(ranks, ["-m", "fe2", "run", str(tmp_path / "case.toml"), "-q", "--force"]))
        results.append(read_history(tmp_path / "results")["warm"])
    np.testing.assert_allclose(results[1], results[0], rtol=1e-9)


@pytest.mark.parametrize(
    "rotation",
    [
        ["90 * x", 20.0, "10"],
        [["cos(pi / 2 * x)", "-sin(pi / 2 * x)", 0], ["sin(pi / 2 * x)", "cos(pi / 2 * x)", 0], [0, 0, 1]],
    ],
    ids=["Bunge", "matrix"],
)
def test_axes_in_space_are_turned_by_a_matrix_or_by_the_angles_of_a_texture(
    rotation: Any, tmp_path: Path
) -> None:
    space = changed(
        BAR,
        mesh={"box": [[0.0, 1.0]] * 3, "cells": [2, 1, 1]},
        laws__body__cell__lengths=[1.0, 1.0, 1.0],
        laws__body__parameters={"rotation": rotation},
    )
    law = law_of(tmp_path, space)
    assert isinstance(law.micro, Rotated)
    for point in law.points:
        turn = 90.0 * point.coordinates[0]
        Q = (
            rotation_from_bunge(turn, 20.0, 10.0)
            if len(np.shape(rotation)) == 1
            else rotation_from_bunge(turn, 0, 0)
        )
        exact = Q @ np.diag([ACROSS, ALONG, ALONG]) @ Q.T
        np.testing.assert_allclose(law.micro.virgin_tangent(point), exact, atol=1e-10)


MISTAKES: dict[str, tuple[Table, str]] = {
    "missing": ({"parameters": None}, "laws.body.parameters.angle: is missing: the law asks for it at each"),
    "a slip": (
        {"parameters": {"angel": 1.0, "angle": 0.0}},
        "laws.body.parameters.angel = 1.0: unknown key; did you mean angle? There are angle",
    ),
    "nobody asked": (
        {"rotated": False},
        'laws.body.parameters.angle = "0.5 * pi if x > 1 else 0": the law asks for no parameters',
    ),
    "of space": ({"parameters": {"rotation": 1.0}}, "laws.body.parameters.rotation = 1.0: unknown key"),
    "another variable": (
        {"parameters__angle": "30 * x / L"},
        "'L' cannot stand in an expression; it may hold numbers, x, y, z, pi",
    ),
    "an axis that the mesh does not have": ({"parameters__angle": "z"}, "'z' cannot stand in an expression"),
    "a word": ({"parameters__angle": True}, "laws.body.parameters.angle = true: a number is needed"),
    "a file that is not there": ({"parameters__angle": "nope.npy"}, "nope.npy: the file cannot be read"),
    "rows that are no numbers": ({"parameters__angle": "nan.npy"}, "nan.npy: row 1 is nan: finite numbers"),
    "a table without it": (
        {"parameters__angle": "other.csv"},
        "column 'tilt' is no parameter of the law; there are angle",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_parameters_are_told_before_anything_is_made(mistake: str, tmp_path: Path) -> None:
    np.save(tmp_path / "nan.npy", [0.0, np.nan])
    (tmp_path / "other.csv").write_text("label, tilt\nbox, 1.0\n")
    changes, message = MISTAKES[mistake]
    lines = refusal(
        tmp_path, changed(BAR, laws={"body": changed(BAR["laws"]["body"], **changes)})
    ).splitlines()
    assert any(message in line for line in lines), lines
    assert len(lines) <= 2, lines


ON_THE_MESH: dict[str, tuple[Any, str]] = {
    "no value": ("log(x - 1)", r"angle = .*: 'log\(x - 1\)' has no value at x = 0\.\d+, y = 0\.\d+"),
    "rows": ("short.npy", r"short.npy has 2 rows, and the mesh has 32 elements"),
    "labels": ("short.csv", r"short.csv: there is no row for the subdomain 'layer_2'"),
    "names": ("wrong.csv", r"the mesh has no subdomain of this name; did you mean layer_1"),
    "shape": ([1.0, 2.0], r"laws\.body\.parameters\.angle: has the shape \(2,\) and not \(\)"),
}


@pytest.mark.parametrize("mistake", ON_THE_MESH)
def test_parameters_that_do_not_fit_the_mesh_are_told_before_any_cell_is_solved(
    mistake: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "short.npy", [0.0, 1.0])
    (tmp_path / "short.csv").write_text("label, angle\nlayer_1, 1.0\n")
    (tmp_path / "wrong.csv").write_text("label, angle\nlayr_1, 1.0\nlayer_2, 0.0\n")
    given, message = ON_THE_MESH[mistake]
    table = changed(grains(tmp_path), laws__body__parameters__angle=given)
    with pytest.raises(CaseFileError, match=message):
        law_of(tmp_path, table)


def test_dry_run_tries_a_cell_with_the_parameters_of_a_point(tmp_path: Path) -> None:
    file = write(tmp_path, BAR)
    told = succeeded(mpiexec(2, ["-m", "fe2", "run", str(file), "--dry-run", "--json"]))
    assert json.loads(told)["laws"]["body"]["points"] == 16
