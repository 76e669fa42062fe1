"""A command on the case files of a folder: all ranks agree, refusals have file and key."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
from pathlib import Path

from mpi4py import MPI

from fe2.cli.main import run

SECONDS = 60  # a file that takes longer ends the program by SIGALRM

comm = MPI.COMM_WORLD
command, *options = sys.argv[2:]
for file in sorted(Path(sys.argv[1]).glob("*.toml")):
    out, err = io.StringIO(), io.StringIO()
    signal.alarm(SECONDS)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run([command, str(file), *options])
    signal.alarm(0)
    assert status in (0, 1), (file, status)
    assert len(set(comm.allgather(status))) == 1, file
    if status == 1 and comm.rank == 0:
        for line in err.getvalue().split(f"fe2: {file}: ")[1:] or [""]:
            key, _, right = line.partition(": ")
            assert key.strip(), (file, line)
            assert right.strip(), (file, line)
