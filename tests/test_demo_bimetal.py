"""The demonstration with the bimetal runs on one and two ranks: its assertions hold, results are the same."""

from __future__ import annotations

import numpy as np
import pytest
from mpi import ROOT, mpiexec, succeeded

from fe2.io.history import read_history


@pytest.mark.demo
@pytest.mark.mpi
@pytest.mark.timeout(300)
def test_bimetal_bends_and_keeps_its_heat(tmp_path):
    script = ROOT / "demos" / "demo_bimetal.py"
    outputs = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        text = succeeded(mpiexec(ranks, [str(script), "--output", str(folder)], timeout=140))
        assert (folder / "bimetal.png").read_bytes().startswith(b"\x89PNG")
        assert read_history(folder)["iterations"].max() <= 2
        outputs.append(
            [line.split()[:6] for line in text.splitlines() if line.startswith(("curv", "heat", "defl"))]
        )
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 3
    assert np.isfinite(float(outputs[0][2][4]))
