"""Run files with laws of several physics: unknowns that they share, and such that live in a part only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gmsh
import numpy as np
import pytest
from case_files import Table, changed, write
from mpi import mpiexec, succeeded
from mpi4py import MPI

from fe2.case.build_run import build_model, build_problem, build_simulation
from fe2.case.problems import CaseFileError
from fe2.case.read import read_case
from fe2.case.run_case import read_run_case
from fe2.io.history import read_history

POISSON, ALPHA, START, RISE = 0.3, 20e-6, 300.0, 40.0
HOT, COLD = 70e3, 210e3
ALLOY: Table = {
    "law": "thermoelastic",
    "young": HOT,
    "poisson": POISSON,
    "expansion": ALPHA,
    "conductivity": 50.0,
    "heat_capacity": 2.5,
}
STEEL: Table = {"law": "linear_elastic", "young": COLD, "poisson": POISSON}


def laminate(physics: str, phase: Table, **keys: Any) -> Table:
    generator = {"generator": "laminate", "elements": "tensor", "size": 0.25, "physics": physics, **keys}
    return {"cell": generator, "phases": {"layer_1": phase, "layer_2": phase}}


WITH_HEAT = {**laminate("thermoelasticity", ALLOY, reference_temperature=START), "subdomain": "hot"}
FORMULA = {**STEEL, "physics": "small_strain", "subdomain": "cold"}
CELLS = {**laminate("small_strain", STEEL), "subdomain": "cold"}

BAR: Table = {
    "mesh": {"file": "bar.msh"},
    "fields": [{"name": "u", "kind": "vector"}, {"name": "T", "kind": "scalar", "initial": START}],
    "laws": {"alloy": WITH_HEAT, "steel": FORMULA},
    "boundary": [
        {"on": "left", "field": "u", "fixed": ["x"]},
        {"on": "right", "field": "u", "fixed": ["x"]},
        {"on": "sides", "field": "u", "fixed": ["y"]},
        {"on": "left", "field": "T", "prescribed": f"{START} + {RISE} * t"},
    ],
    "steps": {"times": [0.0, 1.0, 2.0]},
    "solver": {"macro": {"snes_rtol": 1e-10}},
    "output": {"reactions": ["right_u"], "balance": True},
}
"""A bar between walls, of an alloy that is heated and of steel beyond, which has no temperature."""


def mesh(path: Path) -> None:
    """The unit squares "hot" and "cold" beside each other, 4 by 1 quadrilaterals each, with named sides."""
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Verbosity", 0)
        corners = {(x, y): gmsh.model.geo.addPoint(x, y, 0.0) for x in (0, 1, 2) for y in (0, 1)}
        across = [gmsh.model.geo.addLine(corners[x, 0], corners[x, 1]) for x in (0, 1, 2)]
        along = {
            (x, y): gmsh.model.geo.addLine(corners[x, y], corners[x + 1, y]) for x in (0, 1) for y in (0, 1)
        }
        for x, name in enumerate(("hot", "cold")):
            loop = gmsh.model.geo.addCurveLoop([along[x, 0], across[x + 1], -along[x, 1], -across[x]])
            surface = gmsh.model.geo.addPlaneSurface([loop])
            gmsh.model.geo.mesh.setTransfiniteSurface(surface)
            gmsh.model.geo.mesh.setRecombine(2, surface)
            gmsh.model.addPhysicalGroup(2, [surface], name=name)
        for curve in across:
            gmsh.model.geo.mesh.setTransfiniteCurve(curve, 2)
        for curve in along.values():
            gmsh.model.geo.mesh.setTransfiniteCurve(curve, 5)
        sides = {"left": across[:1], "right": across[2:], "sides": list(along.values())}
        gmsh.model.geo.synchronize()
        for name, curves in sides.items():
            gmsh.model.addPhysicalGroup(1, curves, name=name)
        gmsh.model.mesh.generate(2)
        gmsh.write(str(path))
    finally:
        gmsh.finalize()


def run(folder: Path, table: Table) -> dict[str, Any]:
    mesh(folder / "bar.msh")
    model = build_model(read_run_case(write(folder, table)), MPI.COMM_WORLD)
    build_simulation(model, build_problem(model), overwrite=True).run()
    return read_history(folder / "results")


def slow(table: Table) -> Table:
    """So slow that the temperature is uniform in the alloy."""
    heated = {**table["boundary"][3], "prescribed": f"{START} + {RISE}e-9 * t"}
    return changed(table, steps={"times": [0.0, 1e9, 2e9]}, boundary__3=heated)


@pytest.mark.parametrize("law", [FORMULA, CELLS], ids=["a formula", "cells"])
def test_alloy_that_is_heated_presses_on_the_steel_beside_it(law: Table, tmp_path: Path) -> None:
    """Nothing moves but along the bar: β ΔT = σ (1 + M hot / M cold), with β = E α / (1 - 2 ν)."""
    history = run(tmp_path, slow(changed(BAR, laws__steel=law)))
    pressure = HOT * ALPHA / (1.0 - 2.0 * POISSON) * RISE * np.array([1.0, 2.0]) / (1.0 + HOT / COLD)
    np.testing.assert_allclose(history["right_u_x"], -pressure, rtol=1e-6)


def test_heat_stays_in_the_part_that_has_a_temperature(tmp_path: Path) -> None:
    history = run(tmp_path, BAR)
    assert np.all(history["flow_left_T"] > 1.0)
    np.testing.assert_allclose(history["flow_stored"], history["flow_left_T"], rtol=1e-7)
    assert np.all(np.abs(history["flow_imbalance"]) < 1e-7 * history["flow_left_T"])


def test_field_keeps_its_initial_value_where_no_law_has_it(tmp_path: Path) -> None:
    mesh(tmp_path / "bar.msh")
    model = build_model(read_run_case(write(tmp_path, slow(BAR))), MPI.COMM_WORLD)
    build_simulation(model, build_problem(model), overwrite=True).run()
    _, temperature = model.functions
    x = temperature.function_space.tabulate_dof_coordinates()[:, 0]
    expected = np.where(x < 1.0 + 1e-9, START + 2.0 * RISE, START)
    np.testing.assert_allclose(temperature.x.array, expected, rtol=1e-6)


@pytest.mark.mpi
def test_two_ranks_find_the_same_history(tmp_path: Path) -> None:
    expected = run(tmp_path, BAR)
    succeeded(mpiexec(2, ["-m", "fe2", "run", str(tmp_path / "case.toml"), "-q", "--force"]))
    found = read_history(tmp_path / "results")
    for name in ("right_u_x", "flow_left_T", "flow_stored"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-9)


def test_rigid_conductor_beside_the_alloy_carries_its_heat(tmp_path: Path) -> None:
    """The displacement lives in the alloy, the temperature everywhere: two conductors in series."""
    rigid = {"law": "linear_conduction", "conductivity": 10.0, "physics": "diffusion", "subdomain": "cold"}
    conditions = [
        {"on": "left", "field": "u", "fixed": True},
        {"on": "left", "field": "T", "prescribed": f"{START} + {RISE}e-9 * t"},
        {"on": "right", "field": "T", "prescribed": START, "name": "sink"},
    ]
    table = changed(BAR, laws__steel=rigid, boundary=conditions, steps={"times": [0.0, 1e9]})
    table["output"] = {"reactions": ["sink"]}
    flow = RISE / (1.0 / 50.0 + 1.0 / 10.0)
    np.testing.assert_allclose(run(tmp_path, table)["sink"], -flow, rtol=1e-6)


MISTAKES: dict[str, tuple[Table, str]] = {
    "a law whose physics cannot be told": (
        {"laws": {"a": WITH_HEAT, "b": {**CELLS, "subdomain": "cold"}, "c": STEEL}},
        "laws.c.physics: is missing: the cells of this run are of small_strain and thermoelasticity",
    ),
    "a physics beside a cell of another one": (
        {"laws__alloy": {**WITH_HEAT, "physics": "diffusion"}},
        'laws.alloy.physics = "diffusion": the physics of the cell is thermoelasticity',
    ),
    "nothing in common": (
        {"laws__steel": {"law": "newtonian_fluid", "physics": "pore_flow", "subdomain": "cold"}},
        "laws.steel: pore_flow has pressure, and none of the others' unknowns: displacement, temp",
    ),
    "a physics of nothing": (
        {"physics": "diffusion"},
        'physics = "diffusion": no law is of it',
    ),
    "storage without a scalar": (
        {"laws__steel__storage": 1.0},
        "laws.steel.storage = 1.0: the u is a vector",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_physics_that_do_not_fit_together_are_told(mistake: str, tmp_path: Path) -> None:
    mesh(tmp_path / "bar.msh")
    changes, message = MISTAKES[mistake]
    with pytest.raises(CaseFileError) as caught:
        read_case(write(tmp_path, changed(BAR, **changes)))
    lines = str(caught.value).splitlines()
    assert any(message in line for line in lines), lines


def test_what_is_stored_starts_somewhere(tmp_path: Path) -> None:
    """Two alloys whose virgin cells have other temperatures: the run has to say with which it begins."""
    mesh(tmp_path / "bar.msh")
    colder = {**changed(WITH_HEAT, cell__reference_temperature=280.0), "subdomain": "cold"}
    fields = [{"name": "u", "kind": "vector"}, {"name": "T", "kind": "scalar"}]
    table = changed(BAR, laws__steel=colder, fields=fields)
    with pytest.raises(
        CaseFileError, match=r"fields\[1\]\.initial: is missing: .* virgin cells have 280.0 and 300"
    ):
        read_case(write(tmp_path, table))
    conductor = {"physics": "diffusion", "conductivity": 1.0, "storage": 2.0, "subdomain": "hot"}
    alone = {"laws": {"a": conductor, "b": {**conductor, "subdomain": "cold"}}, "boundary": [], "output": {}}
    with pytest.raises(CaseFileError, match=r"field\.initial: is missing: what the temperature begins with"):
        read_case(write(tmp_path, changed(BAR, fields=[], **alone)))
    read_case(write(tmp_path, changed(BAR, fields=[], field={"initial": 0.0}, **alone)))


ON_THE_MESH: dict[str, tuple[Table, str]] = {
    "prescribed": (
        {"on": "right", "field": "T", "prescribed": 300.0},
        r"boundary\[4\]: no law has the T there",
    ),
    "a load": (
        {"on": "sides", "field": "T", "load": 1.0},
        r"boundary\[4\]\.on = \"sides\": the T does not reach",
    ),
}


@pytest.mark.parametrize("mistake", ON_THE_MESH)
def test_conditions_where_no_law_has_the_unknown_are_refused(mistake: str, tmp_path: Path) -> None:
    mesh(tmp_path / "bar.msh")
    condition, message = ON_THE_MESH[mistake]
    table = changed(BAR, boundary=[*BAR["boundary"], {**condition, "name": "wrong"}])
    with pytest.raises(CaseFileError, match=message):
        build_model(read_run_case(write(tmp_path, table)), MPI.COMM_WORLD)


def test_source_where_no_law_has_the_unknown_is_refused(tmp_path: Path) -> None:
    mesh(tmp_path / "bar.msh")
    table = {**BAR, "body": [{"on": "cold", "field": "T", "load": 1.0}]}
    with pytest.raises(CaseFileError, match=r"body\[0\]\.on = \"cold\": the law there has no T"):
        build_model(read_run_case(write(tmp_path, table)), MPI.COMM_WORLD)
