"""Case files: what is refused and in which words, and that what is accepted means what the API means."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import fe2  # isort: skip  # before dolfinx

import numpy as np
import pytest
from case_files import ELASTIC, GENERATOR_CELL, IMAGE_CELL, RUN, Table, changed, write
from fe2_meshes.laminate import laminate
from mpi4py import MPI

from fe2.case.build_cell import build_rve
from fe2.case.build_run import Model, build_model, build_problem, build_simulation
from fe2.case.catalogue import law_model
from fe2.case.cell_case import read_cell_case
from fe2.case.cell_tables import GeneratorCell
from fe2.case.generated_mesh import generated_mesh
from fe2.case.generators import CELLS, generate, generated_phases, generator_model
from fe2.case.json_schema import json_schema
from fe2.case.read import read_case
from fe2.case.reference import reference
from fe2.case.run_case import read_run_case
from fe2.case.time_functions import time_function
from fe2.case.understood import read_understood, understood
from fe2.errors import InputError
from fe2.io.history import read_history
from fe2.io.progress import Progress
from fe2.micro.mesh_cell import read_cell
from fe2.physics.physics_table import PHYSICS, laws_of

ROOT = Path(__file__).parents[1]
CAST_IRON = ROOT / "../shared/data/cast_iron_ggg40_100.raw"


def refusal(folder: Path, table: Table) -> str:
    """The message without the file's name in each line."""
    file = write(folder, table)
    with pytest.raises(InputError) as caught:
        read_case(file)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines), lines
    return "\n".join(line.removeprefix(f"{file}: ") for line in lines)


def model_of(folder: Path, table: Table) -> Model:
    return build_model(read_run_case(write(folder, table)), MPI.COMM_WORLD)


def run(folder: Path, table: Table) -> dict[str, Any]:
    """History of a run."""
    model = model_of(folder, table)
    build_simulation(model, build_problem(model), overwrite=True, observers=[Progress(quiet=True)]).run()
    return read_history(folder / "results")


CELL_MISTAKES = {
    "a key with a slip": (
        {"phases__matrix__yung": 1.0},
        "phases.matrix.yung = 1.0: unknown key; did you mean young?",
    ),
    "an unknown key at the top": ({"cel": 1}, "cel = 1: unknown key; did you mean cell?"),
    "a parameter that is missing": (
        {"phases__matrix__young": None},
        "phases.matrix.young: is missing: Young's modulus",
    ),
    "a parameter out of range": (
        {"phases__matrix__young": -1.0},
        "phases.matrix.young = -1.0: is not admissible; it must be positive",
    ),
    "a parameter of the wrong kind": (
        {"phases__matrix__young": "1"},
        'phases.matrix.young = "1": a number is needed',
    ),
    "a law with a slip": ({"phases__matrix__law": "linear_elastc"}, "did you mean linear_elastic?"),
    "no law": (
        {"phases__matrix__law": None},
        "phases.matrix.law: is missing; the laws of small_strain are chaboche, crystal_plasticity,",
    ),
    "no rotation": (
        {"phases__fibre__orientation": [[1, 0, 0], [0, 1, 0], [0, 1, 0]]},
        "phases.fibre.orientation = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]: is not a rotation",
    ),
    "a label twice": (
        {"phases__fibre__label": 0},
        "phases.fibre.label = 0: phase 'matrix' has the same label",
    ),
    "no label in an image": ({"phases__fibre__label": None}, "phases.fibre.label: is missing"),
    "a physics with a slip": (
        {"cell__physics": "small_strian"},
        'cell.physics = "small_strian": this physics is not installed; did you mean small_strain?',
    ),
    "a boundary condition with a slip": ({"cell__boundary": "perodic"}, "did you mean 'periodic'?"),
    "two sources": (
        {"cell__mesh": "a.msh"},
        "cell: a cell is made of one of image, mesh and generator, not of image and mesh at once",
    ),
    "a file that is not there": (
        {"cell__image": "other.npy"},
        'cell.image = "other.npy": there is no such file',
    ),
    "raw without a shape": (
        {"cell__image": "labels.raw"},
        "cell.shape: is missing; raw voxels have no header",
    ),
    "no phases": ({"phases": {}}, "phases = {}: it should have at least 1 item"),
}


@pytest.mark.parametrize("mistake", CELL_MISTAKES)
def test_mistakes_in_cell_files_are_told_with_key_value_and_what_is_right(
    mistake: str, tmp_path: Path
) -> None:
    changes, message = CELL_MISTAKES[mistake]
    assert message in refusal(tmp_path, changed(IMAGE_CELL, **changes))


RUN_MISTAKES = {
    "a component with a slip": (
        {"boundary__1__prescribed": {"w": 1}},
        "boundary[1].prescribed.w = \"w\": it must be 'x', 'y' or 'z'",
    ),
    "an expression that says too much": (
        {"boundary__1__prescribed": {"x": "open('a')"}},
        "cannot stand in an expression",
    ),
    "an expression without a value": ({"boundary__1__prescribed": {"x": "1 / t"}}, "has no value at t = 0"),
    "a table whose times fall": (
        {"boundary__2__load": {"y": [[1, 0], [0, 0]]}},
        "the times of a table, [[time, value], ...], must increase",
    ),
    "a number for a vector": (
        {"boundary__2__load": 1.0},
        "boundary[2].load: the displacement is a vector: components by name",
    ),
    "a component twice": ({"boundary__1__prescribed": {"y": 1.0}}, "component y is fixed as well"),
    "nothing that holds": ({"boundary": []}, "boundary: something has to hold the body"),
    "an empty boundary": (
        {"boundary__1": {"on": "right"}},
        "boundary[1]: one of fixed, prescribed, load, exchange and spring is needed",
    ),
    "no end": ({"steps__end": None}, "steps.end: is missing, and so is times"),
    "an end before the start": ({"steps__end": -1.0}, "steps.end = -1.0: it has to come after the start, 0"),
    "largest alone": ({"steps__largest": 0.5}, "steps.largest = 0.5: is of use with a tolerance only"),
    "largest and smallest": (
        {"steps__tolerance": 1e-3, "steps__smallest": 0.1, "steps__largest": 0.05},
        "steps.largest = 0.05: has to be at least the smallest, 0.1",
    ),
    "a scheme": ({"steps__scheme": "bdf3"}, 'steps.scheme = "bdf3"'),
    "end and times": ({"steps__times": [0.0, 1.0]}, "steps.end = 1.0: cannot stand beside times"),
    "reactions of nothing": (
        {"output__reactions": ["gripp"]},
        'output.reactions[0] = "gripp": no boundary has this name; did you mean grip?',
    ),
    "too few numbers of elements": (
        {"mesh__cells": [4, 2, 2]},
        "mesh.cells = [4, 2, 2]: 2 numbers are needed, as the box has 2 axes",
    ),
    "an element of another dimension": (
        {"mesh__element": "hexahedron"},
        "in 2 dimensions it is triangle or quadrilateral",
    ),
    "a cell file that is not there": (
        {"laws": {"a": {"cell": "x.toml"}}},
        'laws.a.cell = "x.toml": there is no such file',
    ),
    "another physics": (
        {"physics": "diffusion"},
        'physics = "diffusion": no law is of it; the cells are of small_strain',
    ),
    "a micro model with a slip": (
        {"laws__composite__model": "linearised"},
        'laws.composite.model = "linearised": this micro model is not installed; did you mean linearized?',
    ),
    "a key of another micro model": (
        {"laws__composite__database": "cell.h5"},
        'database = "cell.h5": model = "rve" has no such key; it belongs to model = "database"',
    ),
    "a mistake in an inline cell": (
        {"laws__composite__phases__layer_1__young": -1.0},
        "laws.composite.phases.layer_1.young = -1.0: is not admissible",
    ),
}


@pytest.mark.parametrize("mistake", RUN_MISTAKES)
def test_mistakes_in_run_files_are_told_with_key_value_and_what_is_right(
    mistake: str, tmp_path: Path
) -> None:
    changes, message = RUN_MISTAKES[mistake]
    assert message in refusal(tmp_path, changed(RUN, **changes))


def test_several_mistakes_are_told_together(tmp_path: Path) -> None:
    table = changed(IMAGE_CELL, cell__degree=0, phases__matrix__young=-1.0, phases__fibre__c11="a", unit="mm")
    assert len(refusal(tmp_path, table).splitlines()) == 4


def test_mistakes_in_a_cell_file_that_a_run_names_are_told_under_its_name(tmp_path: Path) -> None:
    write(tmp_path, changed(GENERATOR_CELL, phases__layer_1__young=-1.0), "cell.toml")
    file = write(tmp_path, changed(RUN, laws={"a": {"cell": "cell.toml"}}))
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'cell.toml'}: phases.layer_1.young = -1.0")):
        read_case(file)


MESH_MISTAKES = {
    "a boundary that the mesh has not": (
        {"boundary__0__on": "lft"},
        'boundary[0].on = "lft": the mesh has no boundary of this name; did you mean left?',
    ),
    "a subdomain that the mesh has not": (
        {"laws__composite__subdomain": "bx"},
        'laws.composite.subdomain = "bx": the mesh has no subdomain of this name',
    ),
    "a component that the mesh has not": (
        {"boundary__0__fixed": ["z"]},
        "boundary[0].fixed: the displacement has no component z on this mesh",
    ),
    "a point that is no node": (
        {"boundary__0": {"at": [0.1, 0.0], "fixed": True}},
        "boundary[0].at = [0.1, 0.0]: there is no node of the mesh; the nearest one is at [0, 0]",
    ),
    "a point of another dimension": (
        {"output__watch": [[1.0, 0.5, 0.0]]},
        "output.watch[0] = [1.0, 0.5, 0.0]: 2 coordinates are needed on this mesh",
    ),
    "a phase that the cell has not": ({"laws__composite__phases__layer_2__label": "layer_3"}, "layer_3"),
    "a generator's parameter": (
        {"laws__composite__cell__fractions": [0.5, 0.6]},
        "laws.composite.cell.fractions = [0.5, 0.6]: must be positive and sum to 1",
    ),
    "names of boundaries that are equal": (
        {"boundary__1__name": "left"},
        'boundary[1].name = "left": boundaries need different names',
    ),
}


@pytest.mark.parametrize("mistake", MESH_MISTAKES)
def test_what_does_not_fit_the_mesh_is_told_with_file_and_key(mistake: str, tmp_path: Path) -> None:
    changes, message = MESH_MISTAKES[mistake]
    with pytest.raises(InputError) as caught:
        model_of(tmp_path, changed(RUN, **{"output__reactions": [], "output__pictures": [], **changes}))
    assert str(caught.value).startswith(str(tmp_path / "case.toml"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("source", "at", "value"),
    [
        (2, 0.3, 2.0),
        ([[0, 0], [1, 4], [2, 0]], 0.25, 1.0),
        ([[0, 0], [1, 4], [2, 0]], 1.5, 2.0),
        ([[0, 1], [1, 4]], -3.0, 1.0),
        ([[0, 1], [1, 4]], 1.0, 4.0),
        ("0.02 * t", 0.5, 0.01),
        ("-2 * sin(pi * t / 2) ** 2", 1.0, -2.0),
        ("1 if t < 0.5 else 2 * (1 - t)", 0.75, 0.5),
        ("max(0, t - 1)", 3.0, 2.0),
    ],
)
def test_functions_of_time(source: Any, at: float, value: float) -> None:
    assert time_function(source)(at) == pytest.approx(value, rel=1e-14)


def test_cell_of_an_image_is_that_of_the_api(tmp_path: Path) -> None:
    labels = np.zeros((4, 4), dtype=np.uint8)
    labels[1:3, 1:3] = 1
    cell = fe2.image_cell(labels, {"matrix": 0, "fibre": 1}, voxel_size=0.5)
    rotation = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    laws = {
        "matrix": fe2.LinearElastic.isotropic(210.0, 0.3),
        "fibre": fe2.LinearElastic.cubic(300.0, 100.0, 80.0, orientation=rotation),
    }
    expected = fe2.small_strain(cell, laws).homogenize().effective
    rve = build_rve(read_cell_case(write(tmp_path, IMAGE_CELL)))
    np.testing.assert_allclose(rve.homogenize().effective, expected, rtol=1e-12)


@pytest.mark.parametrize("boundary", ["periodic", "linear", "uniform_flux"])
def test_cell_of_a_generator_is_that_of_its_mesh(boundary: str, tmp_path: Path) -> None:
    laminate(tmp_path / "layers.msh", fractions=(0.5, 0.5), elements="tensor", size=0.25)
    table = changed(GENERATOR_CELL, cell__boundary=boundary)
    from_generator = build_rve(read_cell_case(write(tmp_path, table))).homogenize()
    mesh = {"mesh": "layers.msh", "physics": "small_strain", "boundary": boundary}
    from_file = build_rve(read_cell_case(write(tmp_path, {**table, "cell": mesh}))).homogenize()
    np.testing.assert_allclose(from_generator.effective, from_file.effective, rtol=1e-12)
    assert from_file.boundary == boundary


@pytest.mark.skipif(not CAST_IRON.is_file(), reason="the tomography images are not in ../shared/data")
def test_cast_iron_is_that_of_the_api(tmp_path: Path) -> None:
    table = {
        "cell": {
            "image": str(CAST_IRON.resolve()),
            "shape": [100, 100, 100],
            "dtype": "uint8",
            "coarsen": 5,
            "crop": [[0, 50], [0, 50], [0, 50]],
            "physics": "small_strain",
        },
        "phases": {
            "graphite": {"label": 87, **ELASTIC, "young": 39.7, "poisson": 0.2225},
            "ferrite": {"label": 182, **ELASTIC},
        },
    }
    found = build_rve(read_cell_case(write(tmp_path, table))).homogenize()
    image = fe2.read_image(CAST_IRON, shape=(100, 100, 100), dtype="uint8")
    cell = fe2.image_cell(image, {"graphite": 87, "ferrite": 182}, coarsen=5, crop=[[0, 50]] * 3)
    laws = {
        "graphite": fe2.LinearElastic.isotropic(39.7, 0.2225),
        "ferrite": fe2.LinearElastic.isotropic(210.0, 0.3),
    }
    expected = fe2.small_strain(cell, laws).homogenize()
    np.testing.assert_allclose(found.effective, expected.effective, rtol=1e-9, atol=1e-9)
    assert found.volume_fractions == expected.volume_fractions


TENSION: Table = {
    "mesh": {"box": [[0.0, 2.0], [0.0, 1.0]], "cells": [2, 2]},
    "physics": "small_strain",
    "laws": {"steel": ELASTIC},
    "boundary": [
        {"on": "left", "fixed": ["x"]},
        {"at": [0.0, 0.0], "name": "corner", "fixed": ["y"]},
        {"on": "right", "load": {"x": "3 * t"}},
    ],
    "steps": {"end": 1.0},
    "output": {"reactions": ["left"]},
}
"""A bar in plane strain under uniaxial tension."""


def elongation(stress: float, length: float) -> float:
    """Plane strain, free sides: (1 - ν²) σ / E."""
    return float((1.0 - ELASTIC["poisson"] ** 2) / ELASTIC["young"] * stress * length)


def test_traction_on_a_law_that_is_a_formula(tmp_path: Path) -> None:
    model = model_of(tmp_path, TENSION)
    simulation = build_simulation(
        model, build_problem(model), overwrite=False, observers=[Progress(quiet=True)]
    )
    simulation.run()
    (unknown,) = model.functions
    x = unknown.function_space.tabulate_dof_coordinates()
    u = unknown.x.array.reshape(-1, 2)
    np.testing.assert_allclose(u[x[:, 0] == 2.0, 0], elongation(3.0, 2.0), rtol=1e-10)
    history = read_history(tmp_path / "results")
    assert history["left_x"][-1] == pytest.approx(-3.0, rel=1e-10)
    assert history["right_load_x"][-1] == 3.0


@pytest.mark.parametrize("spring", [{"x": 40.0}, 40.0], ids=["along x", "along all axes"])
def test_bar_on_springs_is_displaced_by_the_traction_over_their_stiffness(
    spring: Any, tmp_path: Path
) -> None:
    """Poisson's ratio is zero, so that springs along y do nothing."""
    rest = [TENSION["boundary"][2], {"at": [0.0, 0.0], "name": "corner", "fixed": ["y"]}]
    table = changed(TENSION, laws={"steel": {**ELASTIC, "poisson": 0.0}}, output={"folder": "results"})
    model = model_of(tmp_path, {**table, "boundary": [{"on": "left", "spring": spring}, *rest]})
    build_simulation(model, build_problem(model), overwrite=False, observers=[Progress(quiet=True)]).run()
    (unknown,) = model.functions
    x = unknown.function_space.tabulate_dof_coordinates()[:, 0]
    expected = 3.0 / 40.0 + 3.0 / ELASTIC["young"] * x
    np.testing.assert_allclose(unknown.x.array.reshape(-1, 2)[:, 0], expected, rtol=1e-9)


def test_springs_in_the_volume_carry_its_load(tmp_path: Path) -> None:
    """A body that moves as a whole under a force and springs of a unit of volume: u = f / k."""
    body = [{"load": {"x": 2.0, "y": -1.0}, "spring": {"x": 50.0, "y": 20.0}}]
    model = model_of(tmp_path, changed(TENSION, boundary=[], body=body, output={"folder": "results"}))
    build_simulation(model, build_problem(model), overwrite=False, observers=[Progress(quiet=True)]).run()
    u = model.functions[0].x.array.reshape(-1, 2)
    np.testing.assert_allclose(u, np.broadcast_to([2.0 / 50.0, -1.0 / 20.0], u.shape), rtol=1e-9)


def test_body_force_is_carried_by_the_support(tmp_path: Path) -> None:
    table = changed(TENSION, boundary=TENSION["boundary"][:2], body=[{"on": "box", "load": {"x": "-4 * t"}}])
    assert run(tmp_path, table)["left_x"][-1] == pytest.approx(8.0, rel=1e-10)


@pytest.mark.parametrize("model", ["rve", "linearized"])
def test_cell_of_one_material_is_the_formula(model: str, tmp_path: Path) -> None:
    cell = changed(GENERATOR_CELL, phases={"layer_1": ELASTIC, "layer_2": ELASTIC})
    clamped = [
        {"on": "left", "fixed": True},
        {"on": "right", "name": "grip", "prescribed": {"x": "0.01 * t"}},
    ]
    table = changed(TENSION, boundary=clamped, output={"reactions": ["grip"]}, field={"quadrature_degree": 2})
    formula = run(tmp_path, table)["grip_x"]
    with_cells = run(tmp_path, changed(table, laws={"steel": {**cell, "model": model}}))["grip_x"]
    np.testing.assert_allclose(with_cells, formula, rtol=1e-9)


def test_two_laws_share_a_mesh(tmp_path: Path) -> None:
    """Two layers in series with cells of one material on one side: as stiff as formulas on both."""
    laminate(tmp_path / "bar.msh", fractions=(0.5, 0.5), lengths=(2.0, 1.0), elements="tensor", size=0.25)
    soft = {**ELASTIC, "young": 70.0}
    cell = changed(GENERATOR_CELL, phases={"layer_1": soft, "layer_2": soft})
    table = changed(TENSION, mesh={"file": "bar.msh"}, field={"quadrature_degree": 2})
    conditions = {
        "boundary": [
            {"at": [0.0, 0.0], "fixed": True},
            {"at": [0.0, 1.0], "name": "above", "fixed": ["x"]},
            {"at": [2.0, 0.5], "name": "pulled", "prescribed": {"x": 0.01}},
        ],
        "output": {"reactions": ["pulled"]},
    }
    conditions["boundary"][0]["name"] = "corner"
    formulas = {"steel": {**ELASTIC, "subdomain": "layer_1"}, "soft": {**soft, "subdomain": "layer_2"}}
    mixed = {"steel": {**ELASTIC, "subdomain": "layer_1"}, "soft": {**cell, "subdomain": "layer_2"}}
    expected = run(tmp_path, changed(table, laws=formulas, **conditions))["pulled_x"]
    found = run(tmp_path, changed(table, laws=mixed, **conditions))["pulled_x"]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    with pytest.raises(InputError, match="laws: no law holds in the subdomain 'layer_2' of the mesh"):
        model_of(tmp_path, changed(table, laws={"steel": formulas["steel"]}, **conditions))


def test_law_with_history_cannot_be_a_formula(tmp_path: Path) -> None:
    plastic = GENERATOR_CELL["phases"]["layer_1"]
    model = model_of(tmp_path, changed(TENSION, laws={"alloy": plastic}))
    with pytest.raises(InputError, match=r"laws\.alloy\.law .* a law with history needs a cell"):
        build_problem(model)


@pytest.mark.parametrize("physics", list(PHYSICS))
def test_every_key_of_every_law_is_described(physics: str) -> None:
    for law in laws_of(physics):
        model = law_model(physics, law)
        assert model.__doc__
        for name, field in model.model_fields.items():
            assert name == "law" or field.description, f"{physics}.{law}.{name}"


@pytest.mark.parametrize("kind", ["cell", "run"])
def test_published_schema_is_current(kind: Any) -> None:
    published = json.loads((ROOT / f"docs/schema/{kind}.schema.json").read_text(encoding="utf-8"))
    assert published == json_schema(kind), f"fe2 schema {kind} > docs/schema/{kind}.schema.json"


def test_published_reference_is_current() -> None:
    published = (ROOT / "docs/case_files.md").read_text(encoding="utf-8")
    assert published == reference(), "fe2 schema --markdown > docs/case_files.md"


def test_rows_of_the_reference_are_single_lines() -> None:
    """A description that is wrapped in the source would end the table."""
    rows = [line for line in reference().splitlines() if "|" in line]
    assert [line for line in rows if not (line.startswith("|") and line.endswith("|"))] == []


def test_examples_of_the_reference_are_right(tmp_path: Path) -> None:
    (tmp_path / "iron.raw").write_bytes(bytes(100**3))
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", reference(), re.DOTALL)):
        file = tmp_path / ("cell.toml" if number == 0 else "case.toml")
        file.write_text(text, encoding="utf-8")
        read_case(file)


AT_TIMES = {**changed(RUN, steps__end=None, steps__increments=None)}
AT_TIMES["steps"] = {k: v for k, v in AT_TIMES["steps"].items() if v is not None} | {"times": [0.0, 0.5, 2.0]}


@pytest.mark.parametrize("table", [RUN, TENSION, AT_TIMES], ids=["cells", "formula", "times"])
def test_case_as_it_was_understood_is_the_same_case(table: Table, tmp_path: Path) -> None:
    tables = understood(read_run_case(write(tmp_path, table)))
    again = tmp_path / "elsewhere.json"
    again.write_text(json.dumps({"case": tables}), encoding="utf-8")
    assert understood(read_understood(again)) == tables
    assert tables["steps"]["smallest"] == table["steps"].get("smallest", 2.0**-6)


@pytest.mark.parametrize("name", list(CELLS))
def test_phases_of_a_generator_are_known_without_making_its_mesh(name: str, tmp_path: Path) -> None:
    model = generator_model(name, GeneratorCell)
    table = model.model_validate({"generator": name, "physics": "small_strain", **COARSE[name]})
    mesh = generate(name, tmp_path / "cell.msh", COARSE[name])
    assert set(read_cell(mesh).names) == set(generated_phases(name, table))


COARSE: dict[str, dict[str, Any]] = {
    "laminate": {"fractions": [0.2, 0.3, 0.5], "size": 0.25},
    "square_array": {"fraction": 0.3, "size": 0.3},
    "hexagonal_array": {"fraction": 0.3, "size": 0.3},
    "random_fibres": {"fraction": 0.2, "count": 3, "size": 0.2},
    "simple_cubic": {"fraction": 0.2, "size": 0.3},
    "random_spheres": {"fraction": 0.1, "count": 2, "size": 0.3},
    "polycrystal": {"grains": 5, "size": 0.3},
}


def test_parameters_of_a_generator_that_no_mesh_can_be_made_from_are_told_at_once(tmp_path: Path) -> None:
    cell = {"generator": "square_array", "fraction": 0.95, "size": 0.5, "order": 3, "physics": "small_strain"}
    table = {"cell": cell, "phases": {"matrix": ELASTIC, "fibre": ELASTIC}}
    fraction, order = refusal(tmp_path, table).splitlines()
    assert "cell.fraction = 0.95: must lie between" in fraction
    assert "cell.order = 3: must be 1 or 2" in order
    cell |= {"fraction": 0.3, "order": 2}
    assert "cell.size = 0.5: must be at most 0.333333, a third of the period" in refusal(tmp_path, table)
    packed = {"generator": "random_fibres", "fraction": 0.85, "count": 20, "physics": "small_strain"}
    text = refusal(tmp_path, table | {"cell": packed})
    assert "cell.fraction = 0.85: 20 fibres find no place" in text


def test_a_mesh_that_is_generated_and_refused_is_named_by_its_generator() -> None:
    message = "the mesh of laminate: element 3 is wrong"
    with (
        pytest.raises(InputError, match=message),
        generated_mesh("laminate", {"size": 0.3}, MPI.COMM_SELF) as path,
    ):
        raise InputError(f"{path}: element 3 is wrong")


def test_phases_that_a_generator_makes_have_laws(tmp_path: Path) -> None:
    table = changed(GENERATOR_CELL, phases__layer_2=None)
    table["phases"]["layr_2"] = ELASTIC
    first, second = refusal(tmp_path, table).splitlines()
    assert "phases.layr_2: laminate makes no phase 'layr_2'; did you mean layer_2?" in first
    assert "phases.layer_2: is missing: laminate makes this phase, and it needs a law" in second
