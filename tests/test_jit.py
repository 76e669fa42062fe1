"""Compilation: by two processes at once, after one that was killed, and where there is no compiler."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mpi import run, start

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

# The integral of 5 x⁴ over the unit interval; compilation begins when the file on the command line exists.
PROGRAM = """
import sys, time
from pathlib import Path
import fe2, ufl
from dolfinx import fem, mesh
from fe2.jit import compile_form
from mpi4py import MPI
interval = mesh.create_unit_interval(MPI.COMM_SELF, 1)
print("ready", flush=True)
while not Path(sys.argv[1]).exists():
    time.sleep(0.001)
form = compile_form(5 * ufl.SpatialCoordinate(interval)[0] ** 4 * ufl.dx, MPI.COMM_SELF)
print(round(fem.assemble_scalar(form), 12), flush=True)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Compiles the form at once."""
    (tmp_path / "go").touch()
    return [sys.executable, "-c", PROGRAM, str(tmp_path / "go")]


@pytest.fixture
def compiler(tmp_path: Path) -> Callable[[str], str]:
    """Makes a compiler of a shell script."""

    def make(script: str) -> str:
        path = tmp_path / "compiler"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return make


def compiled(cache: Path) -> list[Path]:
    return sorted(cache.rglob("libffcx_*.c.cached"))


def unfinished(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("libffcx_*.c") if not path.with_suffix(".c.cached").exists()]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def test_two_processes_compile_the_same_form_at_the_same_time(tmp_path, cache, compiler):
    """The second one comes while the compiler of the first is at work."""
    began = tmp_path / "began"
    slow = compiler(f'touch {began}\nsleep 1\nexec gcc "$@"')
    both = []
    for name, variables in {"first": {"CC": slow}, "second": {}}.items():
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / name)]
        both.append(start(command, {"XDG_CACHE_HOME": str(cache), **variables}))
    try:
        for process in both:
            assert process.stdout.readline() == "ready\n"
        (tmp_path / "first").touch()
        wait_for(began.exists, both[0])
        (tmp_path / "second").touch()
        for process in both:
            out, err = process.communicate(timeout=60)
            assert (process.returncode, out) == (0, "1.0\n"), err
    finally:
        for process in both:
            process.kill()
    assert len(compiled(cache)) == 1
    assert unfinished(cache) == []


def test_compile_that_was_killed_does_not_block_the_next_one(tmp_path, cache, command, compiler):
    began = tmp_path / "began"
    endless = compiler(f"touch {began}\nexec sleep 600")
    killed = start(command, {"XDG_CACHE_HOME": str(cache), "CC": endless})
    wait_for(began.exists, killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    left = unfinished(cache)
    assert left
    (left[0].parent / "libffcx_forms_of_another_run.c").touch()

    # DOLFINx by itself would wait for the killed process until its timeout of ten minutes
    result = run(command, timeout=60.0, variables={"XDG_CACHE_HOME": str(cache)})
    assert result.stdout == "ready\n1.0\n", result.stderr
    assert unfinished(cache) == []


def test_compiled_form_is_used_again(cache, command):
    """The second time no compiler is needed."""
    for variables in ({}, {"CC": "no-compiler", "PATH": "/nonexistent"}):
        result = run(command, timeout=60.0, variables={"XDG_CACHE_HOME": str(cache), **variables})
        assert result.stdout == "ready\n1.0\n", result.stderr
    assert len(compiled(cache)) == 1


@pytest.mark.parametrize(
    ("script", "variables"),
    [
        (None, {"PATH": "/nonexistent"}),
        (None, {"CC": "no-such-compiler"}),
        ("echo 'stdio.h: No such file or directory' >&2\nexit 1", {}),
    ],
    ids=["not on PATH", "wrong name", "headers missing"],
)
def test_missing_compiler_is_reported_with_what_to_install(cache, command, compiler, script, variables):
    if script:
        variables = {"CC": compiler(script)}
    result = run(command, timeout=60.0, variables={"XDG_CACHE_HOME": str(cache), **variables})
    assert result.returncode == 1
    last = result.stderr.split("fe2.errors.")[-1]
    assert last.startswith("MissingDependencyError: fe2 compiles cell problems to machine code")
    for hint in ("C compiler", "headers", "apt-get install gcc libc6-dev libpython3-dev"):
        assert hint in last
