"""Units that are stated once stand in everything that a run or a material test leaves."""

from __future__ import annotations

import json
from pathlib import Path

import two_scale  # isort: skip  # before dolfinx

import numpy as np
import pytest
from case_files import GENERATOR_CELL, changed, write
from mpi4py import MPI

from fe2.cli import material_plot
from fe2.cli.main import run
from fe2.cli.show_work import curve
from fe2.io import pictures
from fe2.io.history import read_history
from fe2.io.results import Results
from fe2.io.units import read_units, with_units, write_units
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps


def stretched(folder: Path, units: str) -> None:
    strip = two_scale.uniaxial_strain(
        two_scale.rectangle(MPI.COMM_SELF, (2, 1), (2.0, 1.0)), two_scale.elastic_rve().linearized()
    )
    steps = LoadSteps([0.0, 1.0], lambda t: np.put(strip.displacement.value, 0, 1e-3 * t))
    loads = {"stretch": strip.displacement}
    results = Results(folder, overwrite=True, units=units)
    Simulation(strip.problem, steps, output=results, quiet=True, loads=loads).run()


def test_units_of_a_script_stand_in_summary_and_beside_the_history(tmp_path: Path) -> None:
    stretched(tmp_path, "mm, MPa")
    assert json.loads((tmp_path / "summary.json").read_text())["units"] == "mm, MPa"
    assert "units:" in (tmp_path / "summary.txt").read_text()
    assert read_units(tmp_path / "history.csv") == "mm, MPa"
    assert list(read_history(tmp_path))[:3] == ["step", "time", "stretch"]
    stretched(tmp_path, "")  # nothing stays of the earlier run's
    assert read_units(tmp_path / "history.csv") == ""
    assert "units" not in (tmp_path / "summary.txt").read_text()


def test_axes_of_pictures_have_the_units_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts have none; what the caller wrote for a name stays."""
    stretched(tmp_path, "mm, MPa")
    drawn: list[dict[str, str]] = []
    monkeypatch.setattr(pictures, "_render", lambda figure, *files: drawn.append(figure["labels"]))
    for history in (("time", "stretch"), ("time", "iterations")):
        pictures.draw_run(tmp_path, tmp_path / "run.png", history=history, comm=MPI.COMM_SELF)
    assert drawn[0]["stretch"] == "stretch  (units: mm, MPa)"
    assert drawn[0]["stress_xx"] == "stress xx  (units: mm, MPa)"
    assert "iterations" not in drawn[1]
    pictures.draw_run(tmp_path, tmp_path / "run.png", labels={"stress_xx": "σ (MPa)"}, comm=MPI.COMM_SELF)
    assert drawn[2]["stress_xx"] == "σ (MPa)"


def test_a_curve_is_drawn_whatever_the_units_are(tmp_path: Path) -> None:
    history = {"time": np.arange(3.0), "force": np.arange(3.0)}
    curve(history, tmp_path / "force.png", "time", "force", units="$, %, x_1^{2")
    assert (tmp_path / "force.png").stat().st_size > 1000
    assert with_units("grip_x", "") == "grip x"


def test_units_of_a_material_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside the table or, where that is printed, on the standard error output; and at the axis."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path.csv").write_text("time,strain_xx\n0,0\n1,0.001\n")
    file = str(write(tmp_path, changed(GENERATOR_CELL, units="mm, MPa")))
    labels: list[str] = []
    original = material_plot.with_units
    monkeypatch.setattr(material_plot, "with_units", lambda *a: labels.append(original(*a)) or labels[-1])
    assert run(["material", file, "--path", "path.csv", "-o", "out.csv", "--plot", "out.png"]) == 0
    assert read_units(tmp_path / "out.csv") == "mm, MPa"
    assert labels == ["stress xx  (units: mm, MPa)"]
    capsys.readouterr()
    assert run(["material", file, "--path", "path.csv"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("time,strain_xx,")
    assert "fe2: units: mm, MPa" in printed.err
    write_units(tmp_path / "out.csv", "")
    assert not list(tmp_path.glob("*metadata*"))
