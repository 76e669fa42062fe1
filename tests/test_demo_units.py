"""Demonstrations in other units: the same solution in the words that they print, the same counts."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from mpi import ROOT, run, succeeded

M_PA, MM_GPA = ("1e-3", "1e6"), ("1", "1e-3")  # how many of these units a mm and an MPa are
UNITS = {
    "elasticity": [M_PA, MM_GPA],
    "plasticity": [M_PA, MM_GPA],
    "hyperelasticity": [M_PA, MM_GPA],
    "hierarchical": [M_PA, MM_GPA],
    "bimetal": [("1e-3", "1.0"), ("1e3", "1e-3")],  # kN and mm, mN and m
    "hot_composite": [("1e-3", "1.0"), ("1e3", "1e-3")],  # kN and mm, mN and m
    "swelling_particle": [("1e-6", "1e3"), ("1e-9", "1e6")],  # MPa and mm, GPa and µm
    "heat": [("1e3", "1e3"), ("1e-6", "1e12")],  # mm and mW, Mm and pW
    "porous_flow": [("1e-3", "1e-3", "1e3"), ("1e-3", "1e-8", "1e-3")],  # water in SI and in mm and MPa
    "polycrystal": [("1e-6", "1e9"), ("1e-3", "1e3")],  # m and Pa, mm and MPa
    "tomography": [("1e-6", "1e9"), ("1e-3", "1e3")],  # voxels of a µm in m and Pa, in mm and MPa
}
COUNTS = ("steps", "rejected", "iterations", "micro_solves", "micro_iterations")
CLOCK = re.compile(r"[\d.]+ s\b|[\d:]+ left|after [\d:]+:|[\d.]+ per second")
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")


def arguments(name: str, folder: Path) -> list[str]:
    """What makes a demonstration small, or gives it an image."""
    if name == "hierarchical":
        return ["--size", "0.25", "--plate-size", "5.0"]
    if name == "polycrystal":
        return ["--voxels", "12", "--grains", "8", "27"]
    if name == "tomography":
        image = folder / "image.npy"
        places = np.stack(np.meshgrid(*3 * [np.arange(16)], indexing="ij"))
        np.save(image, (np.sin(places * [[[[0.5]]], [[[0.7]]], [[[0.9]]]]).sum(axis=0) > 0.8).astype("uint8"))
        phases = ["--phase", "matrix=0:210:0.3", "--phase", "inclusion=1:39.7:0.2225"]
        return [str(image), "--coarsen", "1", "--divisions", "1", "2", *phases]
    return []


def printed(name: str, folder: Path, *arguments: str) -> list[str]:
    """What a demonstration prints, but for seconds and paths."""
    command = [sys.executable, str(ROOT / "demos" / f"demo_{name}.py"), "--output", str(folder), *arguments]
    text = succeeded(run(command, timeout=900)).replace(str(folder), "")
    return [" ".join(CLOCK.sub("", line).split()) for line in text.splitlines()]


def counts(folder: Path) -> list[object]:
    """Counts in all summaries below a folder."""
    summaries = [json.loads(file.read_text()) for file in sorted(folder.rglob("summary.json"))]
    return [summary.get(name) for summary in summaries for name in COUNTS]


@pytest.mark.demo
@pytest.mark.slow
@pytest.mark.timeout(2800)
@pytest.mark.parametrize("name", UNITS)
def test_demonstrations_repeat_in_other_units(name: str, tmp_path: Path) -> None:
    small = arguments(name, tmp_path)
    own = printed(name, tmp_path / "own", *small)
    for units in UNITS[name]:
        folder = tmp_path / "_".join(units)
        other = printed(name, folder, *small, "--units", *units)
        assert counts(folder) == counts(tmp_path / "own")
        assert len(own) == len(other) > 1
        for first, second in zip(own, other, strict=True):
            assert NUMBER.sub("#", first) == NUMBER.sub("#", second)
            numbers = [[float(text) for text in NUMBER.findall(line)] for line in (first, second)]
            np.testing.assert_allclose(numbers[1], numbers[0], rtol=1e-5, atol=1e-8)
