"""Nested cells from case files: what they mean, what is refused, and runs on several ranks that go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fe2  # isort: skip  # before dolfinx

import numpy as np
import pytest
from case_files import ELASTIC, PLASTIC, Table, changed, write
from mpi import mpiexec, succeeded
from mpi4py import MPI
from test_case_files import refusal
from test_rve_exact import laminate_stiffness

from fe2.case.build_cell import build_rve
from fe2.case.cell_case import read_cell_case
from fe2.case.read import read_case
from fe2.case.run_case import read_run_case
from fe2.case.understood import read_understood, understood
from fe2.errors import InputError
from fe2.io.history import read_history
from fe2.tensors import positions_in_full

pytestmark = pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="serial")

LAYERS = {"generator": "laminate", "elements": "tensor", "size": 0.25, "fractions": [0.4, 0.6]}
STIFF = {**ELASTIC, "young": 210e3}
FINER: Table = {
    "cell": {**LAYERS, "physics": "small_strain"},
    "phases": {"layer_1": STIFF, "layer_2": PLASTIC},
}
NESTED: Table = {
    "cell": {**LAYERS, "normal": 2, "physics": "small_strain"},
    "phases": {"layer_1": {"law": "cell", "cell": "finer.toml", "period": 0.01}, "layer_2": STIFF},
}
PULLED: Table = {
    "mesh": {"box": [[0.0, 2.0], [0.0, 1.0]], "cells": [2, 1], "element": "quadrilateral"},
    "laws": {"composite": {"cell": "nested.toml"}},
    "boundary": [
        {"on": "left", "fixed": ["x", "y"]},
        {"on": "right", "name": "grip", "prescribed": {"x": "0.008 * t"}},
    ],
    "steps": {"end": 1.0, "increments": 2},
    "output": {"folder": "results", "reactions": ["grip"]},
}


def stiffness(young: float) -> np.ndarray:
    return fe2.LinearElastic.isotropic(young, 0.3).stiffness[np.ix_(*2 * [positions_in_full(3)])]


@pytest.mark.parametrize("inline", [False, True])
def test_cell_of_a_cell_file_is_the_exact_laminate(tmp_path: Path, inline: bool) -> None:
    elastic = {**FINER["phases"], "layer_2": {**ELASTIC, "young": 70e3}}
    finer = {**FINER, "phases": elastic}
    write(tmp_path, finer, "finer.toml")
    table = changed(
        NESTED, **({"phases__layer_1": {"law": "cell", "period": 0.01, **finer}} if inline else {})
    )
    rve = build_rve(read_cell_case(write(tmp_path, table)))
    inner = laminate_stiffness([stiffness(210e3), stiffness(70e3)], [0.4, 0.6], 0)
    exact = laminate_stiffness([inner, stiffness(210e3)], [0.4, 0.6], 1)
    assert rve.is_linear
    assert rve.homogenize().tangent == pytest.approx(exact, rel=1e-9, abs=1e-6)


def test_turned_cell_is_the_laminate_of_the_other_axis(tmp_path: Path) -> None:
    elastic = {**FINER["phases"], "layer_2": {**ELASTIC, "young": 70e3}}
    write(tmp_path, {**FINER, "phases": elastic}, "finer.toml")
    table = changed(NESTED, phases__layer_1__angle=np.pi / 2.0)
    inner = laminate_stiffness([stiffness(210e3), stiffness(70e3)], [0.4, 0.6], 1)
    exact = laminate_stiffness([inner, stiffness(210e3)], [0.4, 0.6], 1)
    found = build_rve(read_cell_case(write(tmp_path, table))).homogenize().tangent
    assert found == pytest.approx(exact, rel=1e-9, abs=1e-6)


MISTAKES: dict[str, tuple[Table, str]] = {
    "a file that is not there": (
        {"phases__layer_1__cell": "coarser.toml"},
        'phases.layer_1.cell = "coarser.toml": there is no such file',
    ),
    "no cell": (
        {"phases__layer_1__cell": None},
        "phases.layer_1.cell: is missing: Cell file of the finer cell",
    ),
    "no name": ({"phases__layer_1__cell": 3}, "phases.layer_1.cell = 3: "),
    "a slip": (
        {"phases__layer_1__angel": 0.1},
        "phases.layer_1.angel = 0.1: unknown key; did you mean angle?",
    ),
    "itself": (
        {"phases__layer_1__cell": "case.toml"},
        'phases.layer_1.cell = "case.toml": a cell cannot be in a phase of itself: case.toml → case.toml',
    ),
    "another physics": (
        {
            "cell__physics": "finite_strain",
            "phases__layer_2": {"law": "neo_hookean", "young": 1.0, "poisson": 0.3},
        },
        "phases.layer_1.cell: its physics is small_strain, but that of the cell around it is finite_strain",
    ),
    "no period": (
        {"phases__layer_1__period": 0.0},
        "phases.layer_1.period = 0.0: it should be greater than 0",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_by_key(tmp_path: Path, name: str) -> None:
    changes, text = MISTAKES[name]
    write(tmp_path, FINER, "finer.toml")
    assert text in refusal(tmp_path, changed(NESTED, **changes))


def test_circle_of_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, changed(NESTED, phases__layer_1__cell="a.toml"), "b.toml")
    file = write(tmp_path, changed(NESTED, phases__layer_1__cell="b.toml"), "a.toml")
    with pytest.raises(InputError, match=r"b\.toml: phases\.layer_1\.cell .*: a\.toml → b\.toml → a\.toml"):
        read_case(file)


def test_mistakes_of_the_finer_file_have_its_name(tmp_path: Path) -> None:
    write(tmp_path, changed(FINER, phases__layer_2__young=-1.0), "finer.toml")
    with pytest.raises(InputError, match=r"finer\.toml: phases\.layer_2\.young = -1\.0"):
        read_case(write(tmp_path, NESTED))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"phases__layer_1__rotation": np.eye(3).tolist()}, "a Rotated takes the parameters .'angle'."),
        ({"cell__lengths": [1.0, 1.0, 1.0]}, "the finer cell has 2 dimensions, and the cell around it 3"),
    ],
)
def test_what_only_the_cells_show_is_told_by_key(tmp_path: Path, changes: Any, text: str) -> None:
    write(tmp_path, FINER, "finer.toml")
    case = read_cell_case(write(tmp_path, changed(NESTED, **changes)))
    with pytest.raises(InputError, match=rf"case\.toml: phases\.layer_1: .*{text}"):
        build_rve(case)


def test_understood_run_holds_the_finer_cell(tmp_path: Path) -> None:
    """It is read again where the files are gone."""
    write(tmp_path, FINER, "finer.toml")
    write(tmp_path, NESTED, "nested.toml")
    case = read_run_case(write(tmp_path, PULLED))
    tables = understood(case)
    assert tables["laws"]["composite"]["phases"]["layer_1"]["cell"]["generator"] == "laminate"
    (tmp_path / "finer.toml").unlink()
    file = tmp_path / "understood.json"
    file.write_text(json.dumps({"case": tables}), encoding="utf-8")
    assert understood(read_understood(file)) == tables


@pytest.mark.mpi
def test_run_of_nested_plastic_cells_goes_on_on_other_ranks(tmp_path: Path) -> None:
    """Whole on one rank, and stopped after one of two steps and resumed on two."""
    histories = []
    for name in ("whole", "resumed"):
        folder = tmp_path / name
        folder.mkdir()
        write(folder, FINER, "finer.toml")
        write(folder, NESTED, "nested.toml")
        file = str(write(folder, PULLED))
        if name == "whole":
            succeeded(mpiexec(1, ["-m", "fe2", "run", file, "-q"]))
        else:
            half = changed(PULLED, steps={"end": 0.5, "increments": 1})
            succeeded(mpiexec(1, ["-m", "fe2", "run", str(write(folder, half)), "-q"]))
            write(folder, PULLED)
            succeeded(mpiexec(2, ["-m", "fe2", "run", file, "-q", "--resume"]))
        histories.append(read_history(folder / "results"))
    assert histories[0]["time"] == pytest.approx([0.5, 1.0])
    reactions = [history["grip_x"] for history in histories]
    # the residual of the macroscopic problem, 1e-8, and twice that of the cells
    assert reactions[1] == pytest.approx(reactions[0], rel=1e-6)
