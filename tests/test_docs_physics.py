"""The files shown in docs/adding_a_physics.md are put in place and run, as a reader would do."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from mpi import ROOT

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
    assert PAGE.read_text().count("```python") == len(FILES) == 3


@pytest.mark.parametrize("name", TESTS)
def test_example_of_the_page(tests: ModuleType, name: str) -> None:
    getattr(tests, name)()
