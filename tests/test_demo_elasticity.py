"""The first demonstration runs and finds what it claims, on one rank and on several."""

from __future__ import annotations

from pathlib import Path

import pytest
from mpi import ROOT, mpiexec, succeeded

from fe2.io.history import read_history


@pytest.mark.demo
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("ranks", [1, 2])
def test_demo_elasticity(ranks: int, tmp_path: Path) -> None:
    """Its own assertions decide; here only what it leaves behind is looked for."""
    command = [str(ROOT / "demos" / "demo_elasticity.py"), "--output", str(tmp_path / "results")]
    output = succeeded(mpiexec(ranks, command, timeout=800.0))
    assert output.count("resolved, a = ") == 3
    assert "all statements hold" in output
    for picture in ("stress.png", "differences.png"):
        content = (tmp_path / "results" / picture).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 20_000
    assert read_history(tmp_path / "results" / "concurrent")["force"].tolist() == [100.0]
