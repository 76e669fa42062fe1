"""A rank that leaves before the others, in whatever way, ends them with its message: none waits for ever."""

from __future__ import annotations

import pytest
from mpi import PROGRAMS, mpiexec
from mpi4py import MPI

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest"),
]


@pytest.mark.parametrize(
    ("how", "status", "message"),
    [
        ("text", 1, "there is no such table"),
        ("raise", 3, "fe2: rank 1 of 2 ends the run: it left with the status 3"),
        ("inside", 1, "fe2: rank 1 of 2 ends the run: it left with the status 1"),  # by sys.exit(0)
        ("SIGINT", 1, "KeyboardInterrupt"),
        ("SIGTERM", 143, "EXIT CODE: "),
        ("SIGKILL", 137, "EXIT CODE: 9"),
    ],
)
def test_rank_that_leaves_ends_all_with_its_message(how, status, message):
    ended = mpiexec(2, [str(PROGRAMS / "leaving.py"), how], timeout=100.0)
    if how.startswith("SIG"):
        assert ended.returncode  # mpiexec tells the end of the rank of which it hears first, or that it ended
    else:
        assert ended.returncode == status
    assert message in ended.stdout + ended.stderr
    if not how.startswith("SIG"):
        assert "the last words of this rank" in ended.stdout


@pytest.mark.parametrize(("how", "status"), [("together", 4), ("caught", 0)])
def test_ranks_that_leave_together_end_by_themselves(how, status):
    ended = mpiexec(3, [str(PROGRAMS / "leaving.py"), how], timeout=100.0, statuses=True)
    assert ended.returncode == status
    assert ended.stderr.count(f"ends with status {status}") == 3
    assert "ends the run" not in ended.stderr
