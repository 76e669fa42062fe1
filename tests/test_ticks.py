"""Numbers and texts of pictures: a reader must be able to read them, and to trust what is drawn."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvista as pv
from matplotlib.figure import Figure

from fe2.io import render
from fe2.io.round_off import without_round_off
from fe2.io.ticks import ticks

UNITS = "  (units: N, mm, MPa, s, K)"


def written(values: list[float], most: int = 6) -> list[str]:
    found = ticks(np.array(values), most)
    places = found.locator.tick_values(*found.limits)
    return [found.formatter(place) for place in places if found.limits[0] <= place <= found.limits[1]]


@pytest.mark.unit
def test_powers_of_ten_stand_in_the_label_and_not_over_it() -> None:
    assert ticks(np.array([1e-7, 3e-7]), 6).suffix == ", in $10^{-7}$"
    assert written([1e-7, 3e-7], 4) == ["1", "2", "3"]
    assert ticks(np.array([0.0, 210e3]), 6).suffix == ""


@pytest.mark.unit
def test_a_constant_is_written_as_its_value() -> None:
    assert written([1.0, 1.0 + 1e-12]) == ["1"]
    assert written([293.15, 293.15]) == ["293.15"]
    assert written([0.0, 0.0]) == ["0"]
    assert written([np.nan, 3.0]) == ["3"]
    assert ticks(np.array([293.15, 293.16]), 6).constant is None


@pytest.mark.unit
def test_counts_have_whole_numbers() -> None:
    assert written([1.0, 2.0, 1.0]) == ["1", "2"]
    assert "1.2" in written([1.0, 1.5, 2.0])


@pytest.mark.unit
def test_round_off_is_told_by_the_other_components_of_the_field_alone() -> None:
    table = {
        name: np.array([value, -value])
        for name, value in {
            "stress_xx": 200e6,
            "stress_xy": 1e-3,  # Pa: round-off of the sums that give the normal stress
            "strain_xy": 1e-3,
            "w_0": 1e6,
            "w_1": 1e-6,
        }.items()
    }
    assert not without_round_off("stress_xy", table).any()
    for name in ("stress_xx", "strain_xy", "w_1"):
        np.testing.assert_array_equal(without_round_off(name, table), table[name])


@pytest.mark.parametrize("field", ["pressure", "stress_xx", "stress_xy"])
def test_texts_of_a_narrow_body_lie_in_the_picture_and_apart(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = pv.ImageData(dimensions=(3, 13, 1)).cast_to_unstructured_grid()
    middles = np.asarray(grid.cell_centers().points)
    grid.point_data["pressure"] = 1e-7 * np.asarray(grid.points)[:, 1]
    grid.cell_data["stress_xx"] = 123456.0 + middles[:, 1]
    grid.cell_data["stress_xy"] = 1e-12 * middles[:, 0]
    file = str(tmp_path / "step.vtu")
    grid.save(file)
    panel = {"file": file, "field": field, "warp": None, "title": "macroscopic scale, time 123.45"}
    curve = {"columns": ["time", "grip"], "x": [1, 2], "y": [1e-7, 2e-7], "marked": [False, True]}
    labels = {name: name.replace("_", " ") + UNITS for name in (field, "grip")}
    drawn: list[Any] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    title = "A title that is longer than both panels " * 2
    panels = {"macro": panel, "local": None, "curve": curve}
    render.draw({**panels, "title": title, "labels": labels}, "")
    (figure,) = drawn
    figure.draw_without_rendering()
    room = figure.bbox
    for ax in figure.axes:
        texts = [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts, figure._suptitle]
        for box in (text.get_window_extent() for text in texts if text.get_text()):
            assert room.x0 <= box.x0
            assert box.x1 <= room.x1
            assert room.y0 <= box.y0
            assert box.y1 <= room.y1
        labels_of_ticks = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
        for left, right in itertools.pairwise(labels_of_ticks):
            assert left.x1 < right.x0
    assert any("0 everywhere" in text.get_text() for text in figure.axes[1].texts) == (field == "stress_xy")
