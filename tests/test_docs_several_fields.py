"""The script of docs/several_fields.md runs, and gives the closed forms that the page names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fe2.io.history import read_history

PAGE = Path(__file__).parents[1] / "docs" / "several_fields.md"


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Names of the script after it has run in an empty folder."""
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        exec(compile(source, str(PAGE), "exec"), names)
        names["history"] = read_history("results/heated_bar")
    return names


def test_walls_press_with_the_stiffness_of_the_cell(script):
    stiffness = script["solid"].homogenize().effective
    force = -(stiffness[0, 0] + stiffness[0, 1]) * script["alpha"] * 50.0
    problem, right = script["problem"], script["right"]
    assert problem.reaction(right)[0] == pytest.approx(force, rel=1e-9)
    assert script["history"]["right_x"][-1] == pytest.approx(force, rel=1e-9)


def test_heat_flows_with_the_conductivity_of_the_cell(script):
    flow = script["conductor"].homogenize().effective[0, 0] * 100.0 / 4.0
    history = script["history"]
    assert history["warm"][-1] == pytest.approx(flow, rel=1e-9)
    assert history["heat_cold"][-1] == pytest.approx(-flow, rel=1e-9)
    assert abs(history["heat_imbalance"][-1]) < 1e-9 * flow


def test_names_of_fields_and_columns_are_those_of_the_page(script):
    problem = script["problem"]
    assert problem.fields.names == ("w_0", "w_1")
    assert {"end_w_0_x", "end_w_0_y", "end_w_1"} <= script["history"].keys()
    both = [script["right"], script["warm"]]
    assert problem.reaction(both, "w_1") == pytest.approx(problem.reaction(script["warm"]))
