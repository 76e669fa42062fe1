"""The files shown in docs/adding_a_physics.md are put in place and run, as a reader would do."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from case_files import write
from mpi import ROOT
from plugins import install

from fe2.case.build_cell import build_rve
from fe2.case.cell_case import read_cell_case

PAGE = ROOT / "docs" / "adding_a_physics.md"
FILES = dict(re.findall(r"File `([\w/]+\.py)`:\n\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
TESTS = re.findall(r"^def (test_\w+)", FILES["tests/test_antiplane.py"], re.MULTILINE)


@pytest.fixture(scope="module")
def tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder, loaded = tmp_path_factory.mktemp("page"), {}
    for path, source in FILES.items():
        name = path.removesuffix(".py").replace("/", ".")
        file = folder / f"{name}.py"
        file.write_text(source)
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = loaded[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded[name])
    yield loaded["tests.test_antiplane"]
    for name in loaded:
        del sys.modules[name]


def test_every_code_block_of_the_page_is_a_file() -> None:
    assert PAGE.read_text().count("```python") == len(FILES) == 4


def test_entry_of_the_page_makes_the_physics_known_to_cell_files(
    tests: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry_points,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    install(tmp_path, "antiplane", tomllib.loads(entry_points)["project"]["entry-points"])
    monkeypatch.syspath_prepend(tmp_path)
    law = {"law": "softening_shear", "reference": 0.3}
    phases = {"a": {"label": 0, "shear": 1.0, **law}, "b": {"label": 1, "shear": 5.0, **law}}
    table = {"cell": {"image": "labels.npy", "physics": "antiplane"}, "phases": phases}
    file = write(tmp_path, table)
    np.save(tmp_path / "labels.npy", np.kron([[0], [1]], np.ones((2, 4), dtype=int)))  # two layers, at rest
    found = build_rve(read_cell_case(file)).homogenize().effective
    assert np.allclose(found, np.diag([1.0 / (0.5 / 1.0 + 0.5 / 5.0), 3.0]), rtol=1e-10)


@pytest.mark.parametrize("name", TESTS)
def test_example_of_the_page(tests: ModuleType, name: str) -> None:
    getattr(tests, name)()
