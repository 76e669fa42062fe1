"""Reduced cells without Python: `fe2 reduce`, and `model = "reduced"` in run files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from case_files import GENERATOR_CELL, PLASTIC, RUN, changed, write
from mpi import mpiexec, succeeded
from mpi4py import MPI

from fe2.case.build_cell import build_rve
from fe2.case.cell_case import read_cell_case
from fe2.cli.main import run
from fe2.hierarchical.database import read_database
from fe2.hierarchical.indicator import along
from fe2.hierarchical.storage import load
from fe2.io.history import read_history

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

REDUCED = changed(
    RUN,
    laws__composite__model="reduced",
    laws__composite__reduction="cell.h5",
    laws__composite__error=0.02,
    output={"folder": "reduced", "reactions": ["grip"]},
)
SMALL = ("--amplitude", "0.01", "--paths", "4", "--steps", "3")


def test_a_reduced_cell_is_made_and_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    cell = write(tmp_path, GENERATOR_CELL, "cell.toml")
    output = tmp_path / "cell.h5"
    assert run(["reduce", str(cell), "-o", str(output), *SMALL, "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["cells"] < report["all_cells"]
    assert report["held_out_error"] < 0.02
    assert report["left_out"] <= 0.02
    assert report["singular_values"] == sorted(report["singular_values"], reverse=True)
    concurrent = changed(RUN, output={"folder": "concurrent", "reactions": ["grip"]})
    for name, case in (("reduced", REDUCED), ("concurrent", concurrent)):
        assert run(["run", str(write(tmp_path, case, f"{name}.toml")), "-q"]) == 0
    forces = [read_history(tmp_path / name)["grip_x"] for name in ("reduced", "concurrent")]
    np.testing.assert_allclose(forces[0], forces[1], rtol=0.02)
    summary = json.loads((tmp_path / "reduced" / "summary.json").read_text())
    assert summary["models"]["solves of reduced cells"] > 0
    other = changed(REDUCED, laws__composite__phases__layer_1__young=71e3, output__folder="other")
    assert run(["run", str(write(tmp_path, other, "other.toml")), "-q"]) == 1
    assert "laws.composite.reduction" in (error := capfd.readouterr().err)
    assert "made of another cell" in error


@pytest.mark.mpi
@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest")
def test_ranks_share_the_training_and_find_the_same_reduction(tmp_path: Path):
    """Each path starts from the virgin cell: equal to the tolerance of the cell's solver."""
    cell = write(tmp_path, GENERATOR_CELL, "cell.toml")
    rve = build_rve(read_cell_case(cell))
    found = {}
    for ranks in (1, 2, 3):
        output = tmp_path / f"{ranks}.h5"
        arguments = ["-m", "fe2", "reduce", str(cell), "-o", str(output), *SMALL, "--json"]
        report = json.loads(succeeded(mpiexec(ranks, arguments, timeout=120.0)))
        found[ranks] = report, load(output, rve)
    report, expected = found[1]
    for ranks in (2, 3):
        other, reduction = found[ranks]
        assert other["solves"] == report["solves"]
        assert other["left_out"] == pytest.approx(report["left_out"], rel=1e-6)
        cells = reduction.fine.cubature.cells
        np.testing.assert_array_equal(cells, expected.fine.cubature.cells)
        for one, two in zip(reduction.paths, expected.paths, strict=True):
            np.testing.assert_array_equal(one.gradients, two.gradients)
        last = expected.paths[-1]
        fluxes = [along(r.model(), last) for r in (reduction, expected)]
        np.testing.assert_allclose(fluxes[0], fluxes[1], rtol=0.0, atol=1e-6 * np.abs(fluxes[1]).max())


def test_paths_that_were_sampled_are_reduced_and_full_solves_have_a_budget(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    cell, paths = write(tmp_path, GENERATOR_CELL, "cell.toml"), tmp_path / "paths.h5"
    for kind in ("cyclic", "random"):
        kinds = ["--amplitude", "0.01", "--kind", kind, "--count", "4", "--steps", "3", "-q"]
        assert run(["sample", str(cell), "-o", str(paths), *kinds]) == 0
    reduce = ["reduce", str(cell), "-o", str(tmp_path / "cell.h5"), "--json"]
    assert run([*reduce, "--database", str(paths)]) == 0
    from_paths = json.loads(capfd.readouterr().out)
    assert run([*reduce, *SMALL]) == 0
    assert from_paths["solves"] == sum(len(solved.steps) for solved in read_database(paths).paths)
    assert from_paths["held_out_error"] < 0.02
    assert run(reduce) == 2
    assert "--amplitude or --database is needed" in capfd.readouterr().err
    for budget in (0, 3):
        case = changed(REDUCED, laws__composite__budget=budget, output__folder=f"budget_{budget}")
        assert run(["run", str(write(tmp_path, case, "run.toml")), "-q"]) == 0
        summary = json.loads((tmp_path / f"budget_{budget}" / "summary.json").read_text())
        # nothing is known before the first of the two steps
        assert summary["models"]["points that became full"] == budget


def test_a_reduced_cell_that_ends_a_run_is_replayed(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Outside of its range, which was to be an error: the whole cell shows what happens there."""
    cell = write(tmp_path, GENERATOR_CELL, "cell.toml")
    small = ["--amplitude", "0.001", "--paths", "4", "--steps", "2"]
    assert run(["reduce", str(cell), "-o", str(tmp_path / "cell.h5"), *small]) == 0
    case = changed(REDUCED, laws__composite__outside="error", steps__smallest=0.5)
    capfd.readouterr()
    assert run(["run", str(write(tmp_path, case, "run.toml")), "-q"]) == 1
    failure = tmp_path / "reduced" / "failure.h5"
    assert f"To solve this RVE by itself: fe2 replay {failure}" in capfd.readouterr().err
    assert run(["replay", str(failure), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["solved"] is True
    assert found["residuals"][-1] < 1e-6 * found["residuals"][0]
    # one whose whole cell fails as well
    case = changed(
        REDUCED,
        output__folder="hopeless",
        solver__micro={"max_iterations": 1, "parts": 1, "strategy": "newton"},
    )
    assert run(["run", str(write(tmp_path, case, "run.toml")), "-q"]) == 1
    assert run(["replay", str(tmp_path / "hopeless" / "failure.h5")]) == 1
    assert "failed again: the cell problem did not converge in 1 iteration" in capfd.readouterr().out


def test_a_fallback_is_refused_where_no_cell_is_solved_at_first(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    case = changed(REDUCED, laws__composite__on_failure="keep last good response")
    assert run(["check", str(write(tmp_path, case))]) == 1
    assert 'model = "reduced" has no such key; it belongs to model = "rve"' in capfd.readouterr().err


def test_a_reduced_law_needs_its_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    assert run(["check", str(write(tmp_path, REDUCED))]) == 1
    assert 'laws.composite.reduction = "cell.h5": there is no such file' in capfd.readouterr().err
    case = changed(RUN, laws__composite__model="reduced")
    assert run(["check", str(write(tmp_path, case))]) == 1
    assert "laws.composite.reduction: is missing: File that fe2 reduce wrote" in capfd.readouterr().err


def test_names_of_files_are_refused_before_the_training(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    cell = write(tmp_path, GENERATOR_CELL, "cell.toml")
    assert run(["reduce", str(cell), "-o", str(tmp_path / "cell.txt"), "--amplitude", "0.01"]) == 1
    assert "has to end in .h5" in capfd.readouterr().err
    assert run(["reduce", str(cell), "-o", str(tmp_path / "no" / "cell.h5"), "--amplitude", "0.01"]) == 1
    assert "there is no folder" in capfd.readouterr().err


def test_a_homogeneous_cell_is_refused_by_its_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    layers = {"layer_1": PLASTIC, "layer_2": PLASTIC}
    cell = write(tmp_path, {**GENERATOR_CELL, "phases": layers}, "cell.toml")
    output = tmp_path / "cell.h5"
    assert run(["reduce", str(cell), "-o", str(output), *SMALL]) == 1
    assert f"{cell}: cell: a basis of zero modes" in capfd.readouterr().err
    assert not output.exists()
