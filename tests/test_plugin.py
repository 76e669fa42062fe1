"""A package that fe2 knows nothing of is installed, and its names work in case files as fe2's own do."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from case_files import Table, changed, write
from mpi import ROOT, run, succeeded

from fe2.case.problems import CaseFileError
from fe2.case.read import read_case
from fe2.io.history import read_history

STRIP: Table = {
    "physics": "antiplane_shear",
    "mesh": {"box": [[0.0, 2.0], [0.0, 1.0]], "cells": [4, 2]},
    "fields": [{"name": "w", "kind": "scalar"}],
    "laws": {},
    "boundary": [
        {"on": "left", "field": "w", "name": "wall", "fixed": True},
        {"on": "right", "field": "w", "prescribed": "0.2 * t"},
    ],
    "steps": {"end": 2.0, "increments": 4},
    "output": {"reactions": ["wall"], "pictures": []},
}
"""A strip of 2 by 1 whose right end is moved out of its plane: the shear strain is 0.1 t everywhere."""

SOFTENING = {"law": "softening", "reference": 0.1}
LAYERS: Table = {
    "cell": {"image": "layers.npy", "physics": "antiplane_shear", "element_degree": 2},
    "phases": {
        "soft": {"label": 0, "shear": 1.0, **SOFTENING},
        "stiff": {"label": 1, "shear": 5.0, **SOFTENING},
    },
}
"""Layers along the strip: the strains agree, and stresses average."""

CREEPING: Table = {"model": "creeping", "stiffness": 3.0, "time": 0.5}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder into which pip has installed the package, without a network."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "tests" / "plugin", source / "plugin")  # pip builds in the folder of the source
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        *options,
        "--target",
        str(folder),
        str(source / "plugin"),
    ]
    succeeded(subprocess.run(command, capture_output=True, text=True, timeout=120, check=False))
    return folder


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def fe2(installed: Path) -> Command:
    """The command line where the package is installed."""

    def command(*arguments: str, ranks: int = 1) -> subprocess.CompletedProcess[str]:
        launcher = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
        path = {"PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"}
        return run([*launcher, sys.executable, "-m", "fe2", *arguments], timeout=200, variables=path)

    return command


def case(folder: Path, law: Table, **changes: object) -> Path:
    file = write(folder, changed({**STRIP, "laws": {"body": law}}, **changes))
    np.save(folder / "layers.npy", np.kron([[0, 1]], np.ones((4, 2), dtype=int)))
    return file


def force_of_layers(t: float) -> float:
    strain = 0.1 * t
    return 0.5 * (1.0 + 5.0) * strain / np.sqrt(1.0 + (strain / 0.1) ** 2)


def forces_of_creep(times: np.ndarray) -> list[float]:
    """Backward Euler, as the model has it."""
    crept, forces = 0.0, []
    for before, t in itertools.pairwise(times):
        part = (t - before) / CREEPING["time"]
        crept = (crept + part * 0.1 * t) / (1.0 + part)
        forces.append(CREEPING["stiffness"] * (0.1 * t - crept))
    return forces


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_physics_and_law_of_a_package_are_solved_on_two_scales(
    ranks: int, fe2: Command, tmp_path: Path
) -> None:
    succeeded(fe2("run", str(case(tmp_path, LAYERS)), "-q", ranks=ranks))
    history = read_history(tmp_path / "results")
    expected = [-force_of_layers(t) for t in history["time"]]
    np.testing.assert_allclose(history["wall"], expected, rtol=1e-7)


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_micro_model_of_a_package_stands_at_every_point(ranks: int, fe2: Command, tmp_path: Path) -> None:
    succeeded(fe2("run", str(case(tmp_path, CREEPING)), "-q", ranks=ranks))
    history = read_history(tmp_path / "results")
    times = np.concatenate([[0.0], history["time"]])
    np.testing.assert_allclose(-history["wall"], forces_of_creep(times), rtol=1e-10)


def test_model_of_a_package_asks_for_a_parameter_of_its_points(fe2: Command, tmp_path: Path) -> None:
    """Two halves in series, of which one has three times the filler of the other."""
    filled = {"model": "graded", "stiffness": 2.0, "parameters": {"filler": "0.1 if x < 1 else 0.3"}}
    succeeded(fe2("run", str(case(tmp_path, filled)), "-q"))
    history = read_history(tmp_path / "results")
    flexibility = 1.0 / (2.0 * 0.1) + 1.0 / (2.0 * 0.3)
    np.testing.assert_allclose(-history["wall"], 0.2 * history["time"] / flexibility, rtol=1e-9)
    missing = fe2("check", str(case(tmp_path, {**filled, "parameters": {"fillr": 0.1}})))
    for told in ("parameters.fillr = 0.1: unknown key; did you mean filler", "parameters.filler: is missing"):
        assert told in missing.stderr


def test_law_of_a_package_is_a_formula_at_the_macroscopic_scale_beside_a_model(
    fe2: Command, tmp_path: Path
) -> None:
    from fe2_meshes.laminate import laminate

    laminate(tmp_path / "strip.msh", fractions=(0.5, 0.5), lengths=(2.0, 1.0), elements="tensor", size=0.25)
    parts = {
        "first": {"shear": 3.0, **SOFTENING, "subdomain": "layer_1"},
        "second": {**CREEPING, "subdomain": "layer_2"},
    }
    ends = [
        {"at": [0.0, y], "name": f"wall_{k}", "fixed": True}
        for k, y in enumerate((0.0, 0.25, 0.5, 0.75, 1.0))
    ]
    tables = {"mesh": {"file": "strip.msh"}, "laws": parts, "boundary": ends, "body": [{"load": "0.01 * t"}]}
    file = write(tmp_path, changed(STRIP, **tables, output={"folder": "results", "balance": True}))
    succeeded(fe2("run", str(file), "-q"))
    history = read_history(tmp_path / "results")
    carried = sum(history[f"flow_wall_{k}"] for k in range(5))
    np.testing.assert_allclose(carried, -0.02 * history["time"], rtol=1e-7)


def test_check_tells_what_is_wrong_in_keys_of_a_package(fe2: Command, tmp_path: Path) -> None:
    checked = succeeded(fe2("check", str(case(tmp_path, CREEPING))))
    assert "a run file; physics antiplane_shear, laws 1" in checked
    result = fe2("check", str(case(tmp_path, {**CREEPING, "stiffness": -1.0, "tme": 0.5})))
    assert result.returncode == 1
    assert "laws.body.tme = 0.5: unknown key; did you mean time?" in result.stderr
    assert "laws.body.stiffness = -1.0: it should be greater than 0" in result.stderr
    wrong = changed(LAYERS, cell__element_degree=3, phases__soft__shear=-1.0)
    result = fe2("check", str(case(tmp_path, wrong)))
    assert "laws.body.cell.element_degree = 3: it should be less than or equal to 2" in result.stderr
    assert "laws.body.phases.soft.shear = -1.0: is not admissible; it must be positive" in result.stderr


def test_schema_reference_and_info_list_what_a_package_brings(fe2: Command) -> None:
    schema = json.loads(succeeded(fe2("schema", "run")))
    assert "Law_creeping" in schema["$defs"]
    assert "softening_PhaseTable" in schema["$defs"]
    reference = succeeded(fe2("schema", "--markdown"))
    for title in ('`model = "creeping"`', '`physics = "antiplane_shear"`', '`law = "softening"`'):
        assert title in reference
    assert "Relaxation time τ." in reference
    registered = json.loads(succeeded(fe2("info", "--json")))["registered"]
    assert "antiplane_shear" in registered["physics"]


def test_without_the_package_its_names_are_refused_with_those_that_are_installed(
    tmp_path: Path,
) -> None:
    with pytest.raises(CaseFileError) as caught:
        read_case(case(tmp_path, CREEPING))
    physics, model = str(caught.value).splitlines()
    assert 'physics = "antiplane_shear": this physics is not installed; there are' in physics
    assert 'laws.body.model = "creeping": this micro model is not installed; there are' in model


def test_effective_stiffness_of_a_cell_of_a_package(fe2: Command, tmp_path: Path) -> None:
    case(tmp_path, LAYERS)
    result = json.loads(succeeded(fe2("homogenize", str(write(tmp_path, LAYERS, "cell.toml")), "--json")))
    np.testing.assert_allclose(
        result["effective"], np.diag([3.0, 1.0 / (0.5 / 1.0 + 0.5 / 5.0)]), rtol=1e-8, atol=1e-12
    )


def test_generator_of_cells_of_a_package(fe2: Command, tmp_path: Path) -> None:
    """Layers across the first axis: shear stresses are equal there, strains along it."""
    phases = {"layer_1": {"shear": 1.0, **SOFTENING}, "layer_2": {"shear": 5.0, **SOFTENING}}
    cell = {"generator": "halves", "share": 0.25, "physics": "antiplane_shear"}
    file = write(tmp_path, {"cell": cell, "phases": phases}, "cell.toml")
    result = json.loads(succeeded(fe2("homogenize", str(file), "--json")))
    expected = np.diag([1.0 / (0.25 / 1.0 + 0.75 / 5.0), 0.25 * 1.0 + 0.75 * 5.0])
    np.testing.assert_allclose(result["effective"], expected, rtol=1e-8, atol=1e-12)
