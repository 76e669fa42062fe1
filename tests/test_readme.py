"""What the package docstring and README show works as it is written."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
from mpi import python, succeeded

import fe2

ROOT = Path(__file__).parents[1]


def test_package_docstring_is_a_script_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fe2.__doc__ is not None
    script = textwrap.dedent(fe2.__doc__.split("::\n")[1].split("\nReplace")[0])
    monkeypatch.chdir(tmp_path)
    result = python(script, timeout=200)
    succeeded(result)
    assert "warning" not in result.stderr.lower()
    assert fe2.read_history(tmp_path / "results")["step"].tolist() == [1, 2, 3, 4]


@pytest.mark.slow
def test_scripts_of_readme_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, cell = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "meshes").symlink_to(ROOT / "meshes")
    unloading = "\nassert test.flux[-1, 0] < 0.0 < test.flux[20, 0] and len(test.flux) == 41\n"
    result = python(script + cell + unloading, timeout=280)
    succeeded(result)
    assert "warning" not in result.stderr.lower()
    pulls = fe2.read_history(tmp_path / "results" / "strip")["grip_x"]
    assert len(pulls) == 10
    assert np.all(np.diff(pulls) > 0.0)
