"""Demonstrations in other units: the same solution in the words that they print, the same counts."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from mpi import ROOT, run, succeeded

DEMOS = {
    "heat": [],
    "plasticity": [],
    "hyperelasticity": [],
    "hierarchical": ["--size", "0.25", "--plate-size", "5.0"],
}
COUNTS = ("steps", "rejected", "iterations", "micro_solves", "micro_iterations")
CLOCK = re.compile(r"seconds|per second|^picture|^results|, [\d.]+ s\b|[\d.]+ s  \{")
SECONDS_OF_STEP = re.compile(r"(?<=solves)\s+[\d.]+ s(\s+[\d:]+ left)?$")
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")


def printed(name: str, folder: Path, *arguments: str) -> list[str]:
    """What a demonstration prints, but for seconds and paths."""
    command = [sys.executable, str(ROOT / "demos" / f"demo_{name}.py"), "--output", str(folder), *arguments]
    lines = succeeded(run(command, timeout=900)).splitlines()
    lines = [SECONDS_OF_STEP.sub("", line) for line in lines]
    return [line.replace(str(folder), "") for line in lines if not CLOCK.search(line)]


def counts(folder: Path) -> list[object]:
    """Counts in all summaries below a folder."""
    summaries = [json.loads(file.read_text()) for file in sorted(folder.rglob("summary.json"))]
    return [summary.get(name) for summary in summaries for name in COUNTS]


@pytest.mark.demo
@pytest.mark.slow
@pytest.mark.timeout(2000)
@pytest.mark.parametrize("name", DEMOS)
def test_demonstrations_repeat_in_other_units(name: str, tmp_path: Path) -> None:
    own = printed(name, tmp_path / "own", *DEMOS[name])
    other = printed(name, tmp_path / "other", *DEMOS[name], "--units", "1e-3", "1e6")
    assert counts(tmp_path / "other") == counts(tmp_path / "own")
    assert len(own) == len(other) > 1
    for first, second in zip(own, other, strict=True):
        assert NUMBER.sub("#", first) == NUMBER.sub("#", second)
        numbers = [np.array([float(text) for text in NUMBER.findall(line)]) for line in (first, second)]
        np.testing.assert_allclose(numbers[1], numbers[0], rtol=1e-5, atol=1e-8)
