"""The demonstration with particles that swell runs on one and two ranks: the same numbers, and its figure."""

from __future__ import annotations

import pytest
from mpi import ROOT, mpiexec, succeeded


@pytest.mark.demo
@pytest.mark.mpi
@pytest.mark.timeout(300)
def test_strip_bends_and_grows_as_its_particles_swell(tmp_path):
    script = ROOT / "demos" / "demo_swelling_particle.py"
    outputs = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        text = succeeded(mpiexec(ranks, [str(script), "--output", str(folder)], timeout=140))
        assert (folder / "swelling_particle.png").read_bytes().startswith(b"\x89PNG")
        outputs.append([line for line in text.splitlines() if line.startswith(("longer", "bent"))])
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 2
