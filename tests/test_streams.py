"""Terminals without Unicode, closed or full standard output: what was computed is not lost."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from case_files import IMAGE_CELL, RUN, changed, write
from mpi import run as run_process

from fe2.cli.streams import Output

SMALL = changed(RUN, mesh__cells=[2, 1], steps__increments=1, output__pictures=None)
FE2 = f"{sys.executable} -m fe2"


def shell(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    result = run_process(
        ["bash", "-o", "pipefail", "-c", f"cd {folder} && {command}"], timeout=200, variables=variables
    )
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    write(folder, changed(IMAGE_CELL, units="GPa, µm"), "cell.toml")
    write(folder, SMALL, "case.toml")
    return folder


def test_streams_keep_their_error_and_hand_over_what_they_cannot_write() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "no space")

    handed: list[bytes] = []
    full = Output(Full(), lambda data, error: handed.append(data))
    assert full.write(b"numbers") == 7
    assert handed == [b"numbers"]
    assert full.is_lost
    closed = Output(None, lambda data, error: handed.append(data))
    closed.write(b"more")
    assert handed == [b"numbers", b"more"]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["/dev/full", "&-"])
def test_what_cannot_be_printed_goes_to_the_standard_error_output(folder: Path, where: str) -> None:
    result = shell(f"{FE2} homogenize cell.toml --json >{where}", folder)
    assert result.returncode == 1
    told, _, found = result.stderr.partition("\n")
    assert told.startswith("fe2: the standard output cannot be written (")
    assert json.loads(found)["volume_fractions"] == {"matrix": 0.75, "fibre": 0.25}


@pytest.mark.slow
def test_results_in_a_file_are_complete_when_nothing_can_be_printed(folder: Path) -> None:
    result = shell(f"{FE2} homogenize cell.toml -o out.json >/dev/full 2>&-", folder)
    assert result.returncode == 0
    assert json.loads((folder / "out.json").read_text())["units"] == "GPa, µm"


@pytest.mark.slow
@pytest.mark.parametrize("where", [">/dev/full", ">&-", ">&- 2>&-", "| head -n 1", "| true"])
def test_a_run_goes_on_when_its_progress_cannot_be_printed(folder: Path, where: str) -> None:
    result = shell(f"{FE2} run case.toml --force {where}", folder)
    assert result.returncode == 0
    assert "finished" in (folder / "results/summary.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["schema run", "check cell.toml", "homogenize cell.toml", "--help"])
def test_a_reader_that_has_gone_is_no_error(folder: Path, command: str) -> None:
    result = shell(f"{FE2} {command} | true", folder)
    assert result.returncode == 0
    assert result.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
@pytest.mark.parametrize("command", ["homogenize cell.toml", "check cell.toml", "check wrong.toml"])
def test_terminal_without_unicode(folder: Path, command: str, variables: dict[str, str]) -> None:
    write(folder, changed(IMAGE_CELL, cell__größe=1.0), "wrong.toml")
    result = shell(f"{FE2} {command}", folder, **variables)
    assert result.returncode == (1 if "wrong" in command else 0)
    assert "Encode" not in result.stderr
    assert result.stdout or "unknown key" in result.stderr
