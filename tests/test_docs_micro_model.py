"""The micro models shown in docs/adding_a_micro_model.md are some."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fe2.physics.small_strain import small_strain_kinematics

PAGE = Path(__file__).parents[1] / "docs" / "adding_a_micro_model.md"


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    names: dict[str, Any] = {}
    for source in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(source, names)
    return names


@pytest.fixture(params=["DamagedStiffness", "DamagedPoint"])
def model(request: pytest.FixtureRequest, page: dict[str, Any]) -> Any:
    stiffness = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    return page[request.param](small_strain_kinematics(2), stiffness, 0.05)


def test_models_of_the_page_pass_the_check_of_the_page(page: dict[str, Any]) -> None:
    page["test_damaged_stiffness"]()


def test_damage_of_the_page_stays_after_unloading(model: Any) -> None:
    state, out = model.initial_state(), np.zeros(1)
    model.solve(np.array([0.05, 0.0, 0.0]), state, 1.0, out)
    assert out == [0.05]
    flux = model.solve(np.array([0.01, 0.0, 0.0]), out.copy(), 1.0, out).flux
    np.testing.assert_allclose(flux, np.exp(-1.0) * np.array([0.03, 0.01, 0.0]))
    if "damage" in (averages := model.averages(out[None])):
        np.testing.assert_allclose(averages["damage"], [[1.0 - np.exp(-1.0)]])
