"""Scales: relaxation times and lengths of fields that are known, and the verdicts on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import two_scale
from case_files import GENERATOR_CELL, write

from fe2.cli.main import run
from fe2.errors import InputError
from fe2.hierarchical.scales import gradient_length, relaxation, scales

STRAIN = np.array([2e-3, 0.0, 1e-3])


def test_relaxation_time_of_a_maxwell_body():
    """Backward Euler with steps that grow by 10^(1/8) delays the relaxation by 7 %."""
    model = two_scale.Maxwell(two_scale.elastic_rve().linearized().tangent, relaxation_time=2.0)
    found = relaxation(model, STRAIN, 200.0)
    assert found.time == pytest.approx(2.0, rel=0.1)
    assert found.part == pytest.approx(1.0, abs=0.01)
    assert not found.remembers


def test_elastic_cells_do_not_relax_and_plastic_ones_remember():
    elastic = relaxation(two_scale.elastic_rve(), STRAIN, 100.0)
    assert (elastic.time, elastic.part, elastic.remembers) == (0.0, 0.0, False)
    plastic = relaxation(two_scale.plastic_rve(), STRAIN, 100.0)
    assert (plastic.time, plastic.remembers) == (0.0, True)
    assert not relaxation(two_scale.plastic_rve(), 0.1 * STRAIN, 100.0).remembers


def test_length_of_a_wave_is_its_wavelength_over_two_pi():
    """The linear fit over a few neighbours is exact to second order in their distance."""
    x = np.stack(np.meshgrid(*2 * [np.linspace(0.0, 1.0, 40, endpoint=False)]), axis=-1).reshape(-1, 2)
    wave = np.stack([np.sin(2.0 * np.pi * x[:, 0]), np.cos(2.0 * np.pi * x[:, 0])], axis=1)
    assert gradient_length(x, wave) == pytest.approx(1.0 / (2.0 * np.pi), rel=0.03)
    assert gradient_length(3.0 * x, wave) == pytest.approx(3.0 / (2.0 * np.pi), rel=0.03)
    assert gradient_length(x, np.ones((len(x), 3))) == float("inf")


def test_length_of_a_linear_field_is_exact():
    """g = a + b x on the unit square: L² = mean(g²) / b²."""
    x = np.random.default_rng(0).uniform(size=(200, 2))
    field = 1.0 + 3.0 * x[:, :1]
    assert gradient_length(x, field) == pytest.approx(np.sqrt(np.mean(field**2)) / 3.0, rel=1e-10)


CASES = {
    "elastic": ({}, "hierarchical", "its flux is a function of the gradient"),
    "no separation": ({"length": 5.0}, "neither", "0.2 of the length 5"),
    "plastic": ({"remembers": True}, "concurrent", "memory that does not relax"),
    "fast": ({"relaxation_time": 0.5, "loading_time": 10.0}, "hierarchical", "equilibrium all the time"),
    "slow": ({"relaxation_time": 500.0, "loading_time": 10.0}, "hierarchical", "does not relax in this time"),
    "alike": ({"relaxation_time": 5.0, "loading_time": 10.0}, "concurrent", "relaxes while it is loaded"),
    "fast and plastic": (
        {"relaxation_time": 0.5, "loading_time": 10.0, "remembers": True},
        "concurrent",
        "memory that does not relax",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_verdicts(name):
    arguments, mode, reason = CASES[name]
    found = scales(**{"period": 1.0, "length": 50.0, **arguments})
    assert found.mode == mode
    assert any(reason in text for text in found.reasons)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0.0}, "length = 0.0"),
        ({"period": -1.0}, "period = -1.0"),
        ({"relaxation_time": 1.0}, "loading_time is needed"),
        ({"relaxation_time": -1.0}, "must not be negative"),
    ],
)
def test_scales_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        scales(**{"period": 1.0, "length": 50.0, **arguments})


def test_too_few_points_for_a_length_are_refused():
    with pytest.raises(InputError, match="too few"):
        gradient_length(np.zeros((3, 2)), np.zeros((3, 1)))


def test_command_judges_a_cell(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    file = str(write(tmp_path, GENERATOR_CELL))
    assert run(["scales", file, "--length", "50", "--gradient", "0.005", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["mode"], found["remembers"]) == ("concurrent", True)
    assert found["length_ratio"] == pytest.approx(1.0 / 50.0)
    assert run(["scales", file, "--length", "50", "--gradient", "1e-5"]) == 0
    assert capfd.readouterr().out.startswith("hierarchical is safe\n")
    assert run(["scales", file, "--length", "2", "--gradient", "1e-5"]) == 0
    assert "neither mode holds" in capfd.readouterr().out
    assert run(["scales", file, "--length", "2", "--gradient", "1,2"]) == 1
    assert "one for each of xx, yy, xy" in capfd.readouterr().err
