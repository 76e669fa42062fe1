"""The demonstration with the wall runs on one and two ranks: its assertions hold, results are the same."""

from __future__ import annotations

import numpy as np
import pytest
from mpi import ROOT, mpiexec, succeeded

from fe2.io.history import read_history


@pytest.mark.demo
@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_wall_of_wax_and_plaster(tmp_path):
    script = ROOT / "demos" / "demo_heat.py"
    histories = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        output = succeeded(mpiexec(ranks, [str(script), "--output", str(folder)], timeout=450))
        assert f"results             {folder}" in output
        assert (folder / "heat.png").read_bytes().startswith(b"\x89PNG")
        histories.append(read_history(folder))
    serial, parallel = histories
    assert serial["hour"].tolist() == list(range(1, 25))
    for name in ("stored", "received", "liquid", "to_room"):
        scale = np.abs(serial[name]).max()
        assert np.allclose(parallel[name], serial[name], rtol=0.0, atol=1e-7 * scale)
