"""Pictures of a run file: what cannot be drawn is found by `fe2 check`, and never fails a finished run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from case_files import RUN, changed, write

from fe2.case.read import read_case
from fe2.case.run_case import RunCase
from fe2.cli.main import run
from fe2.errors import InputError
from fe2.io import pictures
from fe2.io.history import read_history

SMALL = changed(RUN, mesh__cells=[2, 1], steps__increments=1, output__watch=[[1.0, 0.5]])


def refusal(folder: Path, **picture: Any) -> str:
    table = changed(SMALL, output__pictures=[{"file": "a.png", **picture}])
    with pytest.raises(InputError) as error:
        read_case(write(folder, table))
    return str(error.value)


@pytest.mark.parametrize(
    "file",
    [
        "../../x.png",
        "/tmp/x.png",
        "sub/x.png",
        "a\\x.png",
        ".png",
        ".hidden.png",
        "a\0.png",
        "a\n.png",
        "x.exe",
        "x.png.sh",
        "a" * 300 + ".png",
    ],
)
def test_pictures_lie_in_the_folder_of_results(tmp_path: Path, file: str) -> None:
    assert "output.pictures[0].file = " in refusal(tmp_path, file=file)


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "x" * 300])
def test_folder_of_results_is_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"output\.folder = "):
        read_case(write(tmp_path, changed(SMALL, output__folder=name)))


def test_folder_of_results_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("mine")
    with pytest.raises(InputError, match=r"output\.folder = \"results\": there is a file of this name"):
        read_case(write(tmp_path, SMALL))


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (
            {"field": "stres_xx"},
            'pictures[0].field = "stres_xx": the run has no such field; did you mean stress_xx?',
        ),
        ({"field": "stress_zz"}, "pictures[0].field"),
        ({"field": "enthalpy"}, "pictures[0].field"),
        ({"watch": 0, "local_field": "von_mises"}, "did you mean stress_von_mises?"),
        ({"local_field": "phase"}, "pictures[0].local_field: it needs watch"),
        ({"watch": 1}, "pictures[0].watch = 1: there is 1 point in"),
        ({"step": 2}, "pictures[0].step = 2: the run stores 2 steps"),
        ({"step": -3}, "pictures[0].step = -3"),
        ({"history": ["time", "grip_z"]}, 'pictures[0].history[1] = "grip_z": the run has no such column'),
        ({"history": ["time", "top_prescribed_x"]}, "pictures[0].history[1]"),
    ],
)
def test_what_a_run_does_not_have_is_refused(tmp_path: Path, picture: dict[str, Any], said: str) -> None:
    assert said in refusal(tmp_path, **picture)


def test_what_a_run_writes_is_accepted_and_nothing_else_is_known(tmp_path: Path) -> None:
    """The names that are known before the run are those of its files."""
    file = write(tmp_path, changed(SMALL, output__pictures=None))
    assert run(["run", str(file), "-q"]) == 0
    folder = tmp_path / "results"
    fields = names_of_cell_data(folder / "macro/step_000001.vtu")
    fields += ["displacement", "displacement_x", "displacement_y"]
    columns = list(read_history(folder))
    entries = [
        *({"file": "a.png", "field": name} for name in fields),
        *({"file": "a.png", "history": [name, "time"]} for name in columns),
    ]
    case = read_case(write(tmp_path, changed(SMALL, output__folder="other", output__pictures=entries)))
    assert isinstance(case, RunCase)
    told = refusal(tmp_path, field="nothing of the kind", history=["nothing of the kind", "time"])
    field, column = (re.search(r"there are (.*)", line) for line in told.splitlines())
    assert field is not None
    assert set(field[1].split(", ")) == set(fields)
    assert column is not None
    assert set(column[1].split(", ")) == set(columns)


def names_of_cell_data(file: Path) -> list[str]:
    found = re.search(rb"<CellData.*?</CellData>", file.read_bytes(), re.DOTALL)
    assert found is not None
    return [name.decode() for name in re.findall(rb'Name="([^"]*)"', found[0])]


def test_a_picture_that_cannot_be_drawn_does_not_fail_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "render.py"
    script.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(pictures, "_RENDER", script)
    assert run(["run", str(write(tmp_path, SMALL))]) == 0
    told = capsys.readouterr().err
    assert "fe2: warning: " in told
    assert "strip.png was not drawn: the drawing process ended with SIGSEGV" in told
    assert "libegl1" in told
    assert "strip.png was not drawn" in (tmp_path / "results/run.log").read_text()
    assert (tmp_path / "results/summary.txt").exists()


@pytest.mark.parametrize(
    "name", ["strip.png", "macro.pvd", "macro.pvd.part", "run.log", "macro/step_000000.vtu"]
)
def test_a_link_in_the_folder_of_results_is_refused(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    link = tmp_path / "results" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    assert run(["run", str(write(tmp_path, SMALL)), "--force"]) == 1
    assert f"{name} is a symbolic link" in capsys.readouterr().err
    assert victim.read_text() == "mine"
