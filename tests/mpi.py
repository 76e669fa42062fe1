"""Programs under mpiexec, with a time limit, and other programs that need a fresh interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PROGRAMS = TESTS / "mpi_programs"

# Ranks that wait give their core to those that work: tests run more ranks than there are cores.
_SHARED_CORES = {"MPIR_CVAR_ENABLE_HEAVY_YIELD": "1", "MPIR_CVAR_POLLS_BEFORE_YIELD": "10"}

# Reports how each rank ends by itself. Not for ranks that are killed: mpiexec does not always notice that
# one is gone when a shell stands between them, and the others wait for ever.
_REPORT_STATUS = '"$0" "$@"; status=$?; echo "rank $PMI_RANK ends with status $status" >&2; exit $status'


def mpiexec(
    ranks: int, command: Sequence[str], *, timeout: float = 240.0, statuses: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a Python program on a number of ranks, each of which may report its exit status on stderr."""
    launcher = str(Path(sys.executable).parent / "mpiexec")
    shell = ["sh", "-c", _REPORT_STATUS] if statuses else []
    return run([launcher, "-n", str(ranks), *shell, sys.executable, *command], timeout=timeout)


def python(program: str, *, timeout: float = 100.0, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program text in a fresh interpreter."""
    return run([sys.executable, "-c", program], timeout=timeout, variables=variables)


def run(
    command: Sequence[str], *, timeout: float, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    process = start(command, variables)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as reason:
        out, err = _end(process)
        raise AssertionError(f"{command} did not end within {timeout} s\n{out}\n{err}") from reason
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """End a program that was given a session of its own; mpiexec ends its ranks when it is asked to."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        return process.communicate(timeout=10.0)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()


def start(command: Sequence[str], variables: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a program in a session of its own, with one thread, and fe2 and the tests importable."""
    path = os.pathsep.join([str(ROOT), str(TESTS)])
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **_SHARED_CORES, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **(variables or {})},
    )


def succeeded(result: subprocess.CompletedProcess[str]) -> str:
    """Output of a program, which has to have ended well."""
    assert result.returncode == 0, f"status {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout
