"""The demonstration with the polycrystals runs, small and as it is in the documentation."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mpi import ROOT, run, succeeded

pytestmark = pytest.mark.demo

SCRIPT = str(ROOT / "demos" / "demo_polycrystal.py")


@pytest.mark.parametrize(
    "arguments",
    [["--voxels", "12", "--grains", "8", "27"], pytest.param([], marks=pytest.mark.slow)],
)
def test_polycrystals(arguments: list[str], tmp_path: Path) -> None:
    output = succeeded(run([sys.executable, SCRIPT, "--output", str(tmp_path), *arguments], timeout=250))
    assert "137.0667" in output
    assert (tmp_path / "polycrystal.png").read_bytes().startswith(b"\x89PNG")
