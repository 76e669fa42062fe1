"""The demonstration with the plate runs on two ranks: its own assertions hold, and its results are there."""

from __future__ import annotations

import pytest
from mpi import ROOT, mpiexec, succeeded

from fe2.io.history import read_history


@pytest.mark.demo
@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_perforated_plate(tmp_path):
    script = ROOT / "demos" / "demo_plasticity.py"
    output = succeeded(mpiexec(2, [str(script), "--output", str(tmp_path)], timeout=900))

    assert f"results        {tmp_path}\n" in output
    assert (tmp_path / "plasticity.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "summary.json").is_file()
    history = read_history(tmp_path)
    assert history["time"][-1] == 3.0
    assert {"displacement", "grip_x", "elastic_energy", "plastic_work"} <= set(history)
