"""The report of a run, written by the command and opened in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from browser import browser, opened
from case_files import RUN, changed, write

from fe2.cli.column_meanings import meanings
from fe2.cli.main import run
from fe2.io.history import read_history
from fe2.io.units import read_units


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is loaded and unloaded, with its report."""
    folder = tmp_path_factory.mktemp("run")
    pull = [[0.0, 0.0], [1.0, 0.004], [2.0, 0.0]]
    table = changed(RUN, units="N & <mm>", output__pictures=None, steps={"end": 2.0, "increments": 2})
    table["boundary"] = [
        {"on": "left", "fixed": ["x", "y"]},
        {"on": "right", "name": "grip", "fixed": ["y"], "prescribed": {"x": pull}},
    ]
    table["output"]["reactions"] = ["grip"]
    assert run(["run", str(write(folder, table)), "-q"]) == 0
    assert run(["report", str(folder / "results")]) == 0
    return folder / "results"


def test_page_has_the_numbers_of_the_run(results: Path) -> None:
    page = (results / "report.html").read_text()
    summary = json.loads((results / "summary.json").read_text())
    assert re.search(rf"micro solves</th><td>{summary['micro_solves']}<", page)
    assert f"<td>{summary['versions']['dolfinx']}</td>" in page
    forces = read_history(results)["grip_x"]
    assert all(f"<td>{force:.6g}</td>" in page for force in forces)
    assert "step 2/2" in page  # the log
    assert "quadrature_degree&#34;: 2" in page  # the case
    assert "units: N &amp; &lt;mm&gt;" in page  # what the user wrote is text, never markup
    assert summary["units"] == read_units(results / "history.csv") == "N & <mm>"


def test_page_refers_to_nothing_outside_itself(results: Path) -> None:
    page = (results / "report.html").read_text()
    assert all(source.startswith("data:") for source in re.findall(r'(?:src|href)="([^"]*)"', page))
    assert "<script" not in page


@pytest.mark.skipif(browser() is None, reason="no Chromium; Debian: apt-get install chromium")
def test_page_opens_in_a_browser_without_a_network(results: Path, tmp_path: Path) -> None:
    with opened(results / "report.html", tmp_path / "profile") as page:
        sizes = page.value("[...document.images].map(image => image.complete && image.naturalWidth)")
        assert len(sizes) == 2 + 4 + 2  # the cell at two times; two loads, two reactions; convergence, work
        assert all(width > 500 for width in sizes)
        assert not [address for address in page.requests() if not address.startswith(("file:", "data:"))]
        assert sum(address.startswith("file:") for address in page.requests()) == 1
        assert page.complaints() == []
        assert page.value("document.querySelector('#state').textContent") == "Finished."
        assert page.value("document.querySelectorAll('.history tbody tr').length") == 2
        # nothing is wider than the window
        assert page.value("document.documentElement.scrollWidth <= window.innerWidth")


def test_page_says_what_each_column_is(results: Path) -> None:
    page = (results / "report.html").read_text()
    for name, meaning in {
        "grip_x": "reaction: force of the support grip on the body along x",
        "grip_prescribed_x": "value prescribed at grip along x",
        "displacement_work": "work of loads and supports on displacement since the beginning",
        "micro_seconds": "seconds spent in them, summed over the ranks",
    }.items():
        assert f"<th>{name}</th><td>{meaning}</td>" in page
    assert page.count("</th><td>", page.index('id="columns"'), page.index('id="numbers"')) == len(
        read_history(results)
    )


@pytest.mark.unit
@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("flow_hot", "what comes into the body through hot in a unit of time"),
        ("flow_hot_exchange", "what comes into the body from the surroundings of hot, in a unit of time"),
        ("flow_stored", "what is stored in the body in a unit of time"),
        (
            "temperature_supplied",
            "heat, fluid or solute that came into the body since the beginning, by temp",
        ),
        ("temperature_missing", "supplied less stored, by temperature: what the iteration leaves"),
        (
            "displacement_missing_work",
            "work on displacement less the internal work: what the iteration leaves",
        ),
        ("body_0_y", "load in the volume of body_0 along y"),
        ("hot", "reaction: flow of heat, fluid or solute, or force, of the support hot into the body"),
    ],
)
def test_columns_of_scalars_and_sums_have_a_meaning(name: str, meaning: str) -> None:
    assert meanings([name])[name].startswith(meaning)


def test_a_folder_without_the_library_of_a_umat_has_a_report_without_cells(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of results is sent on, to where its library is not registered."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = shutil.copytree(results, tmp_path / "results")
    file = folder / "case_understood.json"
    content = json.loads(file.read_text())
    (law,) = content["case"]["laws"].values()
    law["phases"]["layer_1"] = {
        "label": "layer_1",
        "law": "umat",
        "library": "steel",
        "props": [1.0],
        "statev": 1,
    }
    file.write_text(json.dumps(content))
    (folder / "report.html").unlink()
    assert run(["report", str(folder)]) == 0
    told = capsys.readouterr().err
    assert told.count("warning: the cell is not drawn: ") == 1
    assert "the library 'steel' is not registered" in told
    assert (folder / "report.html").read_text().count("<img") == len(images(results))


def images(folder: Path) -> list[str]:
    return re.findall("<img", (folder / "report.html").read_text())


def test_report_of_an_unfinished_run_says_so(results: Path, tmp_path: Path) -> None:
    for name in ("summary.json", "rve"):
        (results / name).rename(tmp_path / name)
    try:
        assert run(["report", str(results), "-o", str(tmp_path / "report.html")]) == 0
    finally:
        for name in ("summary.json", "rve"):
            (tmp_path / name).rename(results / name)
    page = (tmp_path / "report.html").read_text()
    assert "Not finished: the results end at the last accepted step." in page
    assert "There is no summary: the run goes on, or was killed." in page


def test_report_of_what_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(tmp_path)]) == 1
    assert f"{tmp_path / 'history.csv'} is not the table of a run" in capsys.readouterr().err
