"""The files shown in docs/adding_a_phase_law.md are put in place and run, as a reader would do."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fe2.errors import InputError, LocalSolveError

PAGE = Path(__file__).parents[1] / "docs" / "adding_a_phase_law.md"
FILES = dict(re.findall(r"File `([\w/]+\.py)`:\n\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
TESTS = re.findall(r"^def (test_\w+)", FILES["tests/test_new_laws.py"], re.MULTILINE)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModuleType]:
    folder = tmp_path_factory.mktemp("page")
    return {path: _imported(path, source, folder) for path, source in FILES.items()}


def _imported(path: str, source: str, folder: Path) -> ModuleType:
    name = path.removesuffix(".py").replace("/", ".")
    file = folder / Path(path).name
    file.write_text(source)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_code_block_of_the_page_is_a_file():
    assert PAGE.read_text().count("```python") == len(FILES) == 3


@pytest.mark.parametrize("name", TESTS)
def test_example_of_the_page(modules, name):
    getattr(modules["tests/test_new_laws.py"], name)()


def test_laws_of_the_page_refuse_and_fail_as_it_says(modules):
    solid = modules["fe2/physics/standard_linear_solid.py"].StandardLinearSolid
    with pytest.raises(InputError, match="StandardLinearSolid: relaxation_time = 0 is not admissible"):
        solid(100, 20, 30, 0)
    law = modules["fe2/physics/ramberg_osgood.py"].RambergOsgood(200e3, 0.3, 400.0, 0.002, 8.0)
    with pytest.raises(LocalSolveError) as failure:
        law.respond(np.array([[1e-3, 0, 0, 0], [np.nan, 0, 0, 0]]), {}, 1.0)
    assert failure.value.points == (1,)
