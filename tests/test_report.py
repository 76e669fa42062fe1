"""The report of a run, written by the command and opened in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from browser import browser, opened
from case_files import RUN, changed, write

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
