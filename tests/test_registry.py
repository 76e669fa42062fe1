"""What packages register: found by name, loaded where it is used, refused in a sentence where it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from case_files import GENERATOR_CELL, RUN, changed, write
from plugins import install

from fe2.case.generators import CELLS
from fe2.case.json_schema import json_schema
from fe2.case.read import read_case
from fe2.case.reference import reference
from fe2.cli.info import _broken
from fe2.errors import InputError
from fe2.micro.model import MicroModel
from fe2.micro.model_table import MODELS, check_answers
from fe2.physics.diffusion import diffusion_kinematics
from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import LAWS, PHYSICS, laws_of
from fe2.physics.small_strain import small_strain_kinematics

pytestmark = pytest.mark.unit

Installer = Callable[..., None]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    """Installs a package of one module with entry points."""

    def installed(module: str, source: str, **groups: dict[str, str]) -> None:
        (tmp_path / f"{module}.py").write_text(source)
        install(tmp_path, module, {f"fe2.{group}": entries for group, entries in groups.items()})
        monkeypatch.syspath_prepend(tmp_path)

    return installed


def test_own_names_are_registered_as_those_of_any_package() -> None:
    assert "rve" in MODELS
    for registry in (PHYSICS, LAWS, MODELS, CELLS):
        assert list(registry) == sorted(registry)
        assert registry.broken() == {}
        assert list(registry.sound()) == list(registry)
    assert all(laws_of(physics) for physics in PHYSICS)


def test_a_name_that_is_not_installed_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        InputError, match=r"'small_strian' is not installed; did you mean small_strain\? There are"
    ):
        PHYSICS["small_strian"]


BROKEN = {
    "no module": ("fails_a", "gone:X", "", r"does not load \(gone:X\): ModuleNotFoundError"),
    "a module that fails": ("fails_b", "fails_b:X", "1 / 0", r"does not load .*: ZeroDivisionError"),
    "a name that is missing": ("fails_c", "fails_c:X", "", r"does not load .*: AttributeError"),
    "no class": (
        "fails_d",
        "fails_d:X",
        "X = 3",
        r"a class derived from .*ModelTable is expected, and 3 came",
    ),
    "no build": (
        "fails_e",
        "fails_e:X",
        "from fe2.micro.model_table import ModelTable\nclass X(ModelTable):\n    pass",
        r"X\.build is missing",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_entry_is_told_and_breaks_no_other(case: str, package: Installer, tmp_path: Path) -> None:
    module, entry, source, message = BROKEN[case]
    package(module, source, models={"lattice": entry})
    with pytest.raises(InputError, match=message):
        MODELS["lattice"]
    assert list(MODELS.broken()) == ["lattice"]
    assert "rve" in MODELS.sound()
    assert "lattice" not in reference()
    json_schema("run")
    assert len(_broken()) == 1
    read_case(write(tmp_path, changed(RUN, output={"folder": "results"})))
    with pytest.raises(InputError, match=f'laws.composite.model = "lattice": .*{message}'):
        read_case(write(tmp_path, changed(RUN, laws__composite__model="lattice")))


def test_a_name_that_two_packages_register_is_refused(package: Installer) -> None:
    package("first", "", laws={"small_strain.same": "builtins:dict"})
    package("second", "", laws={"small_strain.same": "builtins:dict"})
    with pytest.raises(InputError, match=r"registered by .* 1.0 and .* 1.0: one of them has to go"):
        LAWS["small_strain.same"]


def test_a_law_that_makes_no_law_is_refused(package: Installer, tmp_path: Path) -> None:
    source = "def number(young: float) -> float:\n    return young\n"
    package("numbers_as_laws", source, laws={"small_strain.number": "numbers_as_laws:number"})
    cell = changed(GENERATOR_CELL, phases__layer_1={"law": "number", "young": 1.0})
    with pytest.raises(InputError, match=r"it made 1\.0, and a PhaseLaw is expected"):
        read_case(write(tmp_path, cell))


SPRINGS = """
from fe2.micro.model_table import ModelTable

class Springs(ModelTable):
    "Springs in parallel."
    number: int = 1
    "How many."
    def build(self, setting):
        return None
"""


def test_keys_of_a_micro_model_stand_in_schema_and_reference(package: Installer) -> None:
    package("springs_a", SPRINGS, models={"springs": "springs_a:Springs"})
    assert '### `model = "springs"`\n\nSprings in parallel.' in reference()
    assert "Law_springs" in json_schema("run")["$defs"]


class Constant(MicroModel):
    """Answers with a constant flux."""

    def __init__(self, kinematics: Kinematics, flux: object) -> None:
        self.kinematics, self._flux = kinematics, flux

    def evaluate(self, *arguments: Any) -> None:
        answers = arguments[-1]
        answers.flux[:] = self._flux
        answers.tangent[:] = np.eye(self.kinematics.size)


PLANE, SPACE = small_strain_kinematics(2), small_strain_kinematics(3)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (3, r"build returned 3, and an fe2\.MicroModel is expected"),
        (Constant(SPACE, 0.0), r"kinematics\.dim is 3, and the run expects 2"),
        (
            Constant(diffusion_kinematics(2), 0.0),
            r"kinematics\.components is \('x', 'y'\), and the run expects",
        ),
        (Constant(PLANE, [1.0, 2.0]), r"solve raises ValueError: could not broadcast"),
    ],
)
def test_a_model_whose_answers_do_not_fit_is_refused_with_what_came_and_what_was_expected(
    made: object, message: str
) -> None:
    check_answers(Constant(PLANE, 0.0), PLANE, "constant")
    with pytest.raises(InputError, match=f"the micro model 'constant' does not fit: {message}"):
        check_answers(made, PLANE, "constant")
