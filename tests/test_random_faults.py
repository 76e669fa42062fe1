"""A long run into which faults are injected at random: nothing lost, nothing hung.

``FE2_FAULTS=N`` is about how many there are: soft ones in single points, and for each sixteen of them one
that an attempt does not survive, as a signal to one rank or ``sys.exit`` on it, or a second start meanwhile.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mpi import PROGRAMS, mpiexec
from mpi4py import MPI
from mpi_programs.faults import HARD, HARD_FAULTS, LOAD, SOFT, STEPS
from test_simulation import uniaxial_stress

from fe2.io.results import read_history

pytestmark = [
    pytest.mark.faults,
    pytest.mark.mpi,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest"),
]


@pytest.mark.parametrize("ranks", [2])
def test_run_survives_random_faults(tmp_path: Path, ranks: int) -> None:
    """In uniaxial strain radial return is exact for steps of any size: halved steps change nothing."""
    attempts, status = 0, -1
    while status != 0:
        attempts += 1
        assert attempts <= 2 * HARD_FAULTS + 20, "the run makes no progress"
        # the number of ranks changes from one attempt to the next
        command = [str(PROGRAMS / "faults.py"), str(tmp_path), str(attempts)]
        status = mpiexec(ranks + attempts % 2, command, timeout=600.0).returncode
    kinds = (tmp_path / "faults.txt").read_text().splitlines()
    counts = {kind: kinds.count(kind) for kind in (*SOFT, *HARD)}
    print(f"{len(kinds)} faults in {attempts} attempts: {counts}")
    assert set(kinds) <= {*SOFT, *HARD}
    assert len(kinds) >= 8 * HARD_FAULTS
    assert len(HARD) > HARD_FAULTS or min(counts.values()) > 0
    history = read_history(tmp_path / "run")
    assert np.all(np.diff(history["time"]) > 0.0)
    plan = np.linspace(0.0, 3.0, STEPS + 1)[1:].tolist()
    at_plan = dict(zip(history["time"].tolist(), history["grip_x"].tolist(), strict=True))
    expected = uniaxial_stress([LOAD(time) / 2.0 for time in plan])
    np.testing.assert_allclose([at_plan[time] for time in plan], expected, rtol=1e-8, atol=1e-6)
