"""The demonstration of finite strain runs and finds what it claims, on one rank and on two."""

from __future__ import annotations

from pathlib import Path

import pytest
from mpi import ROOT, mpiexec, succeeded


@pytest.mark.demo
@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_demo_hyperelasticity(ranks: int, tmp_path: Path) -> None:
    """Its own assertions decide; here only what it leaves behind is looked for."""
    command = [str(ROOT / "demos" / "demo_hyperelasticity.py"), "--output", str(tmp_path / "results")]
    output = succeeded(mpiexec(ranks, command, timeout=280.0))
    assert "all statements hold" in output
    content = (tmp_path / "results" / "ellipticity.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 20_000
