"""The demonstration with the bed runs on one and two ranks: its assertions hold, results are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mpi import ROOT, mpiexec, succeeded

from fe2.io.history import read_history

pytestmark = [pytest.mark.demo, pytest.mark.mpi, pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = str(ROOT / "demos" / "demo_porous_flow.py")
FIBRES = Path(__file__).parents[2] / "shared/data/fibres_100x100x10.raw"


def test_bed_of_grains(tmp_path: Path) -> None:
    histories = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        output = succeeded(mpiexec(ranks, [SCRIPT, "--output", str(folder)], timeout=250))
        assert f"results             {folder}" in output
        assert (folder / "porous_flow.png").read_bytes().startswith(b"\x89PNG")
        histories.append(read_history(folder))
    serial, parallel = histories
    assert serial["force"].tolist() == [10.0, 1000.0, 3000.0]
    for name in ("speed", "of_darcy"):
        assert np.allclose(parallel[name], serial[name], rtol=1e-7)


def test_bed_with_the_cross_section_of_a_tomography_image(tmp_path: Path) -> None:
    if not FIBRES.exists():
        pytest.skip(f"{FIBRES} is not there")
    succeeded(mpiexec(1, [SCRIPT, "--output", str(tmp_path), "--image", str(FIBRES)], timeout=250))
    assert read_history(tmp_path)["of_darcy"][-1] < 1.0
