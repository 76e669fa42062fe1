"""`fe2 run` and signals while meshes and cells are made: status 75, and `--resume` begins."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest
from case_files import RUN, write
from mpi import mpiexec, run, start
from mpi4py import MPI

from fe2.io.run_lock import FILE

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest"),
]

SIGNALLED = """
import os, signal, sys, time
import fe2.cli.run_work as work
from fe2.cli.main import main
from mpi4py import MPI
build = work.build_model
def signalled(case, comm):
    if comm.rank == comm.size - 1:
        os.kill(os.getpid(), signal.SIGTERM)
    return build(case, comm)
work.build_model = signalled
main()
"""


def test_signal_while_cells_are_made_ends_the_command_as_one_that_can_be_resumed(tmp_path: Path) -> None:
    case, results = write(tmp_path, RUN), tmp_path / "results"
    process = start([sys.executable, "-m", "fe2", "run", str(case), "--resume"])
    while not (results / FILE).exists() or not (results / FILE).read_text():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100.0)
    assert process.returncode == 75
    assert "stopped by SIGINT" in err
    assert "Traceback" not in err
    assert not (results / FILE).exists()
    ended = run([sys.executable, "-m", "fe2", "run", str(case), "--resume", "--json"], timeout=200.0)
    assert json.loads(ended.stdout)["finished"] is True


def test_signal_to_one_rank_while_cells_are_made_ends_all_ranks(tmp_path: Path) -> None:
    case = write(tmp_path, RUN)
    ended = mpiexec(2, ["-c", SIGNALLED, "run", str(case), "--resume"], timeout=100.0)
    assert ended.returncode == 75
    assert "fe2: stopped by SIGTERM outside of the load steps" in ended.stderr
    assert "rank 1 of 2 ends the run: it left with the status 75" in ended.stderr
    assert "PETSC ERROR" not in ended.stderr
