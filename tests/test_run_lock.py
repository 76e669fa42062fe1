"""One run a folder: a second one is told who is there, and what a killed run leaves is no obstacle."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import two_scale
from case_files import RUN, write
from mpi import mpiexec, start
from mpi4py import MPI

from fe2.errors import InputError
from fe2.io.checkpoint_schedule import Checkpoints
from fe2.io.lock_holder import Holder
from fe2.io.run_lock import FILE, RunLock, one_run
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest"),
]

SELF = MPI.COMM_SELF
TAKES = """
import sys, time
from pathlib import Path
from mpi4py import MPI
from fe2.errors import InputError
from fe2.io.run_lock import one_run
try:
    with one_run(MPI.COMM_WORLD, Path(sys.argv[1])):
        print("taken", flush=True)
        time.sleep(200)
except InputError as error:
    print(error, flush=True)
"""


@contextmanager
def another_run(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", TAKES, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def simulation(folder: Path, **options: object) -> Simulation:
    strip = two_scale.clamped(two_scale.rectangle(SELF, (2, 1)), two_scale.Maxwell(np.eye(3)))
    return Simulation(
        strip.problem, LoadSteps((0.0, 1.0), lambda _: None), output=folder, quiet=True, **options
    )


def leave(folder: Path, **changes: object) -> None:
    """The file of a run that is not there any more, or on another machine."""
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_text(json.dumps({**asdict(Holder.this_process(8)), **changes}))


def test_second_run_is_told_who_holds_the_folder(tmp_path):
    with another_run(tmp_path) as holder:
        name = rf"process {holder.pid} on {socket.gethostname()}, ranks: 1, since \d{{4}}-"
        with pytest.raises(InputError, match=rf"{tmp_path} is in use by another run \({name}"):
            simulation(tmp_path)
        with pytest.raises(InputError, match="is in use by another run"):
            simulation(tmp_path, overwrite=True, resume=True)
    simulation(tmp_path).run()


def test_second_run_of_the_command_ends_before_any_long_work_on_all_ranks(tmp_path):
    case = write(tmp_path, RUN)
    with another_run(tmp_path / "results"):
        for option in ("--force", "--resume"):
            ended = mpiexec(2, ["-m", "fe2", "run", str(case), option], timeout=100.0, statuses=True)
            assert ended.returncode != 0
            assert ended.stderr.count("is in use by another run (process") == 1
            assert ended.stderr.count("ends with status 1") == 2
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [FILE]


def test_folder_is_free_after_a_run_whatever_its_end(tmp_path):
    failing = simulation(tmp_path, observers=[lambda _: 1 // 0])
    assert (tmp_path / FILE).exists()
    with pytest.raises(ZeroDivisionError):
        failing.run()
    assert not (tmp_path / FILE).exists()
    with another_run(tmp_path):
        pass
    del failing
    made_and_forgotten = simulation(tmp_path, overwrite=True)
    del made_and_forgotten
    with another_run(tmp_path):
        pass


def test_run_that_was_killed_is_followed_by_the_next(tmp_path):
    with another_run(tmp_path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert json.loads((tmp_path / FILE).read_text())["process"] == holder.pid
    simulation(tmp_path).run()
    assert not (tmp_path / FILE).exists()


def test_run_on_another_machine_is_believed_and_the_message_says_what_to_do_where_it_is_gone(tmp_path):
    leave(tmp_path, host="elsewhere", boot="another", process=17)
    with pytest.raises(InputError, match=rf"process 17 on elsewhere, ranks: 8.* remove {tmp_path / FILE}"):
        simulation(tmp_path)
    (tmp_path / FILE).unlink()
    simulation(tmp_path).run()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 1}', "null" * 3000])
def test_file_that_says_nothing(tmp_path, content):
    """An empty one is of a run that was killed before it said who it is; in any other may stand anything."""
    (tmp_path / FILE).write_text(content)
    if content:
        with pytest.raises(InputError, match=f"which one cannot be told.*remove {tmp_path / FILE}"):
            RunLock(SELF, tmp_path)
    else:
        RunLock(SELF, tmp_path).release()


@pytest.mark.parametrize("what", ["folder", "pipe", "link"])
def test_what_is_no_file_neither_blocks_nor_is_written_to(tmp_path, what):
    path, other = tmp_path / FILE, tmp_path / "other"
    other.write_text("kept")
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "link": lambda: path.symlink_to(other)}[what]()
    with pytest.raises(InputError, match="cannot be written to the folder"):
        RunLock(SELF, tmp_path)
    assert other.read_text() == "kept"


def test_who_is_gone():
    here = replace(Holder.this_process(2), job="5", restart=1)
    assert here.is_gone(here, locks=True)  # it would hold the lock if it were there
    assert not here.is_gone(here, locks=False)
    assert replace(here, process=2**22 + 1).is_gone(here, locks=False)
    assert replace(here, boot="before").is_gone(here, locks=False)  # the machine was started again
    elsewhere = replace(here, boot="another", host="elsewhere")
    assert not elsewhere.is_gone(here, locks=True)
    assert replace(elsewhere, restart=0).is_gone(here, locks=True)  # the same job, before it was queued again
    assert not replace(elsewhere, job="6", restart=0).is_gone(here, locks=True)


def test_of_many_runs_that_begin_at_once_one_has_the_folder(tmp_path):
    """Also where a killed run has left its file."""
    leave(tmp_path)
    both = [start([sys.executable, "-c", TAKES, str(tmp_path)]) for _ in range(3)]
    try:
        first = [process.stdout.readline() for process in both]
    finally:
        for process in both:
            process.kill()
            process.communicate()
    assert sum(line == "taken\n" for line in first) == 1
    assert sum("is in use by another run (process" in line for line in first) == 2


def test_runs_of_one_process_come_one_after_the_other(tmp_path):
    with one_run(SELF, tmp_path), one_run(SELF, tmp_path / "x" / "..", tmp_path):
        pass
    assert not (tmp_path / FILE).exists()


def test_checkpoints_in_a_folder_of_their_own_are_held_too(tmp_path):
    with another_run(tmp_path / "shared"), pytest.raises(InputError, match="shared is in use by"):
        simulation(tmp_path / "run", checkpoint=Checkpoints(every=1, folder=tmp_path / "shared"))


def test_lock_without_a_file_system_that_knows_locks(tmp_path, monkeypatch):
    """Then the process that the file names decides."""
    monkeypatch.setattr("fe2.io.run_lock._flock", lambda *_: False)
    with another_run(tmp_path) as holder, pytest.raises(InputError, match=f"process {holder.pid} "):
        RunLock(SELF, tmp_path)
    RunLock(SELF, tmp_path).release()
