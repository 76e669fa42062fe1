"""The demonstration with the hot composite runs on one and two ranks: the same numbers, and its figure."""

from __future__ import annotations

import pytest
from mpi import ROOT, mpiexec, succeeded


@pytest.mark.demo
@pytest.mark.mpi
@pytest.mark.timeout(600)
def test_ring_is_under_stress_yields_in_service_and_stays_wider(tmp_path):
    script = ROOT / "demos" / "demo_hot_composite.py"
    outputs = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        text = succeeded(mpiexec(ranks, [str(script), "--output", str(folder)], timeout=280))
        assert (folder / "hot_composite.png").read_bytes().startswith(b"\x89PNG")
        outputs.append([line for line in text.splitlines() if line.startswith(("bore", "heat"))])
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 3
