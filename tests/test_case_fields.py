"""Run files with several unknowns: conditions, initial values, reactions and balances by field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from case_files import Table, changed, write
from mpi import mpiexec, succeeded

from fe2.case.build_fields import initial_value, starts_elsewhere
from fe2.case.build_run import build_model, build_problem, build_simulation
from fe2.case.problems import CaseFileError
from fe2.case.read import read_case
from fe2.case.run_case import read_run_case
from fe2.case.understood import understood
from fe2.io.history import read_history
from fe2.io.watched import read_watched

YOUNG, POISSON, ALPHA, CONDUCTIVITY, CAPACITY = 70e3, 0.3, 20e-6, 50.0, 2.5
ALLOY = {
    "law": "thermoelastic",
    "young": YOUNG,
    "poisson": POISSON,
    "expansion": ALPHA,
    "conductivity": CONDUCTIVITY,
    "heat_capacity": CAPACITY,
}
START = 300.0

BAR: Table = {
    "units": "mm, N, s, K",
    "mesh": {"box": [[0.0, 4.0], [0.0, 1.0]], "cells": [4, 1]},
    "fields": [{"name": "u", "kind": "vector", "degree": 2}, {"name": "T", "kind": "scalar"}],
    "laws": {
        "alloy": {
            "cell": {
                "generator": "laminate",
                "fractions": [0.5, 0.5],
                "elements": "tensor",
                "size": 0.25,
                "physics": "thermoelasticity",
                "reference_temperature": START,
            },
            "phases": {"layer_1": ALLOY, "layer_2": ALLOY},
        }
    },
    "boundary": [
        {"on": "left", "field": "u", "fixed": ["x"]},
        {"on": "right", "field": "u", "fixed": ["x"]},
        {"on": "bottom", "field": "u", "fixed": ["y"]},
        {"on": "left", "field": "T", "prescribed": f"{START} + 40 * t"},
        {"on": "right", "field": "T", "prescribed": f"{START} + 40 * t"},
    ],
    "steps": {"end": 2.0, "increments": 2},
    "output": {"reactions": ["left_u", "right_u", "right_T"], "balance": True},
}
"""A bar between rigid walls in plane strain, heated from both ends."""


def run(folder: Path, table: Table) -> dict[str, Any]:
    model = build_model(read_run_case(write(folder, table)), _world())
    build_simulation(model, build_problem(model), overwrite=True).run()
    return read_history(folder / "results")


def _world() -> Any:
    from mpi4py import MPI

    return MPI.COMM_WORLD


def refusal(folder: Path, table: Table) -> str:
    with pytest.raises(CaseFileError) as caught:
        read_case(write(folder, table))
    return str(caught.value)


def steady(table: Table) -> Table:
    """So slow that nothing of the heat that is stored is noticed."""
    return changed(
        table,
        steps={"times": [0.0, 1e9, 2e9]},
        boundary__3__prescribed=f"{START} + 40e-9 * t",
        boundary__4__prescribed=f"{START} + 40e-9 * t",
    )


def test_walls_press_as_the_heated_bar_between_them_would_expand(tmp_path: Path) -> None:
    """Plane strain, free on one side: E α ΔT (1 + ν) / (1 - ν²) of the wall."""
    history = run(tmp_path, steady(BAR))
    pressure = YOUNG * ALPHA * 40.0 * np.array([1.0, 2.0]) * (1.0 + POISSON) / (1.0 - POISSON**2)
    np.testing.assert_allclose(history["left_u_x"], pressure, rtol=1e-6)
    np.testing.assert_allclose(history["right_u_x"], -pressure, rtol=1e-6)
    np.testing.assert_allclose(history["right_T_prescribed"], START + 40.0 * np.array([1.0, 2.0]))


def test_unknown_starts_as_the_virgin_cell_or_as_the_physics_where_the_model_has_no_cell(
    tmp_path: Path,
) -> None:
    case = read_run_case(write(tmp_path, BAR))
    (law,) = case.laws.values()
    without = replace(case, laws={"alloy": replace(law, cell=None)})
    temperature = case.fields[1]
    assert initial_value(case, temperature) == START
    assert (
        initial_value(without, temperature) == replace(law, cell=None).physics.values["temperature"] == 293.15
    )
    assert not starts_elsewhere(case)
    assert not starts_elsewhere(without)
    assert law.stores("temperature")
    assert replace(law, cell=None).stores("temperature")


def test_heat_that_comes_in_is_what_is_stored_whatever_the_temperature(tmp_path: Path) -> None:
    history = run(tmp_path, changed(BAR, solver={"macro": {"snes_rtol": 1e-10}}))
    inflow = history["flow_left_T"] + history["flow_right_T"]
    assert np.all(inflow > 0.0)
    np.testing.assert_allclose(history["flow_stored"], inflow, rtol=1e-8)
    assert np.all(np.abs(history["flow_imbalance"]) < 1e-8 * inflow)


def test_heated_body_takes_the_heat_capacity_times_its_warming_however_hot_it_is(tmp_path: Path) -> None:
    """At constant strain, from 300 K to 900 K in one step: c ΔT = Q t."""
    walls = [{"on": side, "field": "u", "fixed": ["x", "y"]} for side in ("left", "right", "bottom", "top")]
    source = {"field": "T", "load": CAPACITY * 300.0}
    table = changed(BAR, boundary=walls, body=[source], output={"balance": True, "watch": [[2.0, 0.5]]})
    history = run(tmp_path, table)
    np.testing.assert_allclose(history["flow_stored"], CAPACITY * 300.0 * 4.0, rtol=1e-8)
    (watched,) = read_watched(tmp_path / "results")
    np.testing.assert_allclose(watched.gradients[-1], [0, 0, 0, START + 600.0, 0, 0], rtol=1e-8, atol=1e-6)


def test_heat_flows_through_a_bar_whose_ends_differ(tmp_path: Path) -> None:
    """k ΔT / l through a side of 1, where the ends are held at 300 and 340 for long."""
    table = changed(steady(BAR), boundary__3__prescribed=START)
    history = run(tmp_path, table)
    flow = CONDUCTIVITY * 40.0 / 4.0 * np.array([1.0, 2.0])
    np.testing.assert_allclose(history["right_T"], flow, rtol=1e-5)


def test_a_run_may_start_from_another_temperature_than_its_cells(tmp_path: Path) -> None:
    """Nothing happens at 320 K in a box without room but the stress, that of 20 K: E α ΔT / (1 - 2 ν)."""
    table = changed(
        BAR, fields__1__initial=320.0, boundary__3__prescribed=320.0, boundary__4__prescribed=320.0
    )
    table["boundary"].append({"on": "top", "field": "u", "fixed": ["y"]})
    history = run(tmp_path, table)
    np.testing.assert_allclose(history["left_u_x"], YOUNG * ALPHA * 20.0 / (1.0 - 2.0 * POISSON), rtol=1e-9)
    np.testing.assert_allclose(history["right_T"], 0.0, atol=1e-9 * CAPACITY * 20.0)


def test_without_fields_the_unknowns_have_the_names_of_the_physics(tmp_path: Path) -> None:
    parts = [
        {**part, "field": {"u": "displacement", "T": "temperature"}[part["field"]]}
        for part in BAR["boundary"]
    ]
    case = read_run_case(
        write(tmp_path, changed(BAR, fields=None, boundary=parts, output={"folder": "results"}))
    )
    assert [(field.name, field.vector, field.degree) for field in case.fields] == [
        ("displacement", True, 1),
        ("temperature", False, 1),
    ]
    assert understood(case)["boundary"][0]["field"] == "displacement"


MISTAKES = {
    "no field": ({"boundary__0__field": None}, "boundary[0].field: is missing: this is of one of u, T"),
    "a field with a slip": (
        {"boundary__3__field": "t"},
        'boundary[3].field = "t": no unknown has this name; there are u, T',
    ),
    "a component of a scalar": (
        {"boundary__3__prescribed": {"x": 1.0}},
        "boundary[3].prescribed: the T is a scalar",
    ),
    "a number for a vector": (
        {"boundary__0": {"on": "left", "field": "u", "load": 1.0}},
        "boundary[0].load: the u is a vector",
    ),
    "an unknown that is missing": (
        {"fields": [{"name": "u", "kind": "vector"}]},
        "fields: temperature (scalar) is missing",
    ),
    "an unknown too many": (
        {"fields": [{"name": "u", "kind": "vector"}, {"name": "v", "kind": "vector"}]},
        'fields[1].kind = "vector": the unknowns of the laws are displacement (vector), temperature',
    ),
    "one name twice": (
        {"fields": [{"name": "u", "kind": "vector"}, {"name": "u", "kind": "scalar"}]},
        'fields[1].name = "u": fields need different names',
    ),
    "springs of a scalar": (
        {"boundary__4": {"on": "right", "field": "T", "spring": 1.0}},
        "boundary[4].spring = 1.0: the T is a scalar, which has exchange; this is for a vector",
    ),
    "springs that push": (
        {"boundary__1": {"on": "right", "field": "u", "spring": {"x": -1.0}}},
        'boundary[1].spring = {"x": -1.0}: a positive stiffness is needed',
    ),
    "an initial vector": ({"fields__0__initial": 1.0}, "fields[0].initial = 1.0: the u is a vector"),
    "an initial value of all": (
        {"field": {"initial": 300.0}},
        "field.initial = 300.0: here it stands with each of [[fields]]",
    ),
    "nothing that holds a field": (
        {"boundary": BAR["boundary"][3:], "output": {"folder": "results"}},
        "boundary: something has to hold the unknown u",
    ),
    "a reaction of another name": ({"output__reactions": ["left"]}, "did you mean left_"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_fields_are_told_with_key_value_and_what_is_right(mistake: str, tmp_path: Path) -> None:
    changes, message = MISTAKES[mistake]
    lines = refusal(tmp_path, changed(BAR, **changes)).splitlines()
    assert message in lines[0], lines
    assert len(lines) == 1, lines


@pytest.mark.mpi
def test_two_ranks_find_the_same_history(tmp_path: Path) -> None:
    expected = run(tmp_path, BAR)
    succeeded(mpiexec(2, ["-m", "fe2", "run", str(tmp_path / "case.toml"), "-q", "--force"]))
    found = read_history(tmp_path / "results")
    for name in ("left_u_x", "right_T", "flow_stored"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-9)
