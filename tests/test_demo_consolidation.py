"""The demonstration with the footing runs on one and two ranks: its assertions hold, results are the same."""

from __future__ import annotations

import pytest
from mpi import ROOT, mpiexec, succeeded


@pytest.mark.demo
@pytest.mark.mpi
@pytest.mark.timeout(400)
def test_ground_settles_as_the_water_leaves(tmp_path):
    script = ROOT / "demos" / "demo_consolidation.py"
    outputs = []
    for ranks, units in (1, ["1", "1"]), (2, ["1e3", "1e-3"]):
        folder = tmp_path / str(ranks)
        text = succeeded(
            mpiexec(ranks, [str(script), "--output", str(folder), "--units", *units], timeout=190)
        )
        assert (folder / "consolidation.png").read_bytes().startswith(b"\x89PNG")
        outputs.append([line for line in text.splitlines() if line.startswith(("Skempton", "press", "sett"))])
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 3
