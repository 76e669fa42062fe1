"""Set-up on machines unlike this one: the search for a Python, and what is said when something is missing."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INTERPRETER = os.path.realpath(getattr(sys, "_base_executable", sys.executable))

Run = Callable[..., subprocess.CompletedProcess[str]]


def write_command(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def write_python(path: Path, prelude: str = "") -> Path:
    """A Python that runs `prelude` before what it is asked to run, to pass for another one."""
    return write_command(path, f'shift\nprogram=$1\nshift\nexec {INTERPRETER} -c "{prelude}\n$program" "$@"')


def write_shim(path: Path) -> Path:
    """What pyenv leaves on PATH for a version that is not selected."""
    return write_command(path, "echo 'pyenv: command not found' >&2\nexit 127")


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


@pytest.fixture
def find_python(tmp_path: Path, bin_folder: Path) -> Run:
    def run(*more_folders: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(map(str, (bin_folder, *more_folders)))
        return subprocess.run(
            [ROOT / "scripts/find-python"],
            env={"PATH": path, "HOME": str(tmp_path / "home"), **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def found(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return os.path.realpath(result.stdout.strip())


def test_message_names_three_ways_when_there_is_no_python(find_python: Run) -> None:
    result = find_python()
    assert result.returncode != 0
    assert result.stdout == ""
    for way in ("uv python install 3.12", "pyenv install 3.12", "conda create", "apt-get install python3"):
        assert way in result.stderr
    assert "Looked at" not in result.stderr


def test_suitable_python_on_path_is_found(bin_folder: Path, find_python: Run) -> None:
    write_python(bin_folder / "python3")
    assert found(find_python()) == INTERPRETER


def test_shim_that_does_not_run_is_passed_over(tmp_path: Path, bin_folder: Path, find_python: Run) -> None:
    write_shim(bin_folder / "python3.12")
    write_shim(bin_folder / "python3")
    write_python(tmp_path / "behind" / "python3.12")
    assert found(find_python(tmp_path / "behind")) == INTERPRETER


def test_refused_candidates_are_listed_with_the_reason(bin_folder: Path, find_python: Run) -> None:
    write_shim(bin_folder / "python3.12")
    write_python(bin_folder / "python3", "import sys; sys.version_info = (3, 11, 2, 'final', 0)")
    write_python(bin_folder / "python3.13", "import sys; sys.modules['ensurepip'] = None")
    result = find_python()
    assert result.returncode != 0
    assert f"{bin_folder}/python3.12 does not run" in result.stderr
    assert f"{bin_folder}/python3 is Python 3.11.2, older than 3.12" in result.stderr
    assert re.search(r"python3\.13 is Python .* cannot create a virtual environment", result.stderr)
    assert "conda create" in result.stderr


def test_pyenv_version_is_found_behind_its_shim(tmp_path: Path, bin_folder: Path, find_python: Run) -> None:
    write_shim(bin_folder / "python3.12")
    write_python(tmp_path / "home/.pyenv/versions/3.12.9/bin/python3")
    assert found(find_python()) == INTERPRETER


def test_pyenv_root_is_respected(tmp_path: Path, find_python: Run) -> None:
    write_python(tmp_path / "elsewhere/versions/3.13.1/bin/python3")
    assert found(find_python(PYENV_ROOT=str(tmp_path / "elsewhere"))) == INTERPRETER


def test_python_variable_overrides_the_search(tmp_path: Path, bin_folder: Path, find_python: Run) -> None:
    write_shim(bin_folder / "python3.12")
    assert found(find_python(PYTHON=str(write_python(tmp_path / "own/python")))) == INTERPRETER


def test_unsuitable_python_variable_fails_with_the_reason(bin_folder: Path, find_python: Run) -> None:
    write_python(bin_folder / "python3.12")
    old = write_python(bin_folder / "old", "import sys; sys.version_info = (3, 9, 1, 'final', 0)")
    result = find_python(PYTHON=str(old))
    assert result.returncode != 0
    assert f"{old} is Python 3.9.1, older than 3.12" in result.stderr


def test_python_that_uv_knows_is_found(tmp_path: Path, bin_folder: Path, find_python: Run) -> None:
    """And need not be able to create an environment itself, since uv does that."""
    python = write_python(tmp_path / "managed/python3.12", "import sys; sys.modules['ensurepip'] = None")
    write_command(bin_folder / "uv", f'[ "$1 $2" = "python find" ] && echo {python}\nexit 0')
    assert found(find_python()) == INTERPRETER


def test_uv_is_asked_to_install_where_nothing_else_is_left(bin_folder: Path, find_python: Run) -> None:
    write_command(bin_folder / "uv", '[ "$1" = --version ] && exit 0\necho "uv $*" >&2\nexit 1')
    result = find_python()
    assert result.returncode != 0
    assert "uv python install 3.12\n" in result.stderr
    assert "conda create" in result.stderr


def test_missing_compiler_is_said_readably() -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "scripts/check_system.py"],
        env={**os.environ, "CC": "no-such-compiler"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert "There is no C compiler (no-such-compiler)" in result.stderr
    assert "apt-get install gcc" in result.stderr


def test_every_folder_of_modules_is_a_package() -> None:
    """A folder without `__init__.py` would be missing from an ordinary installation."""
    folders = {path.parent for path in (ROOT / "fe2").rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_mesh_generators_are_importable() -> None:
    spec = importlib.util.find_spec("fe2_meshes")
    assert spec is not None
    assert spec.origin is not None
    assert (Path(spec.origin).parent / "__init__.py").is_file()


def test_constraints_are_versions_only() -> None:
    """No index, no path: they must mean the same on every machine."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"#.*|[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", line) for line in lines)
