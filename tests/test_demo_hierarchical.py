"""The demonstration of the hierarchical mode, on small meshes: its own assertions hold."""

from __future__ import annotations

import sys

import pytest
from mpi import ROOT, run, succeeded


@pytest.mark.demo
@pytest.mark.slow
def test_perforated_plate_three_times(tmp_path):
    script = ROOT / "demos" / "demo_hierarchical.py"
    sizes = ["--size", "0.25", "--plate-size", "3.0"]
    output = succeeded(run([sys.executable, str(script), "--output", str(tmp_path), *sizes], timeout=280))

    assert f"picture        {tmp_path / 'hierarchical.png'}\n" in output
    assert (tmp_path / "hierarchical.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "cell.h5").is_file()
