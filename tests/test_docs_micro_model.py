"""The micro models shown in docs/adding_a_micro_model.md are some."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fe2.physics.small_strain import small_strain_kinematics

PAGE = Path(__file__).parents[1] / "docs" / "adding_a_micro_model.md"


@pytest.fixture(params=["DamagedStiffness", "DamagedPoint"])
def model(request: pytest.FixtureRequest) -> Any:
    names: dict[str, Any] = {}
    for source in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(source, names)
    stiffness = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    return names[request.param](small_strain_kinematics(2), stiffness, 0.05)


@pytest.mark.parametrize("before", [0.0, 1.0])
def test_tangent_of_the_page_is_the_derivative(model: Any, before: float) -> None:
    gradient, state, out = np.array([0.02, -0.01, 0.03]), np.array([before]), np.zeros(1)
    tangent, h = model.solve(gradient, state, 1.0, out).tangent, 1e-6
    differences = [
        (
            model.solve(gradient + h * e, state, 1.0, out).flux
            - model.solve(gradient - h * e, state, 1.0, out).flux
        )
        / (2 * h)
        for e in np.eye(3)
    ]
    np.testing.assert_allclose(
        tangent, np.transpose(differences), rtol=1e-6, atol=1e-9 * np.abs(tangent).max()
    )


def test_damage_of_the_page_stays_after_unloading(model: Any) -> None:
    state, out = model.initial_state(), np.zeros(1)
    model.solve(np.array([0.05, 0.0, 0.0]), state, 1.0, out)
    assert out == [0.05]
    flux = model.solve(np.array([0.01, 0.0, 0.0]), out.copy(), 1.0, out).flux
    np.testing.assert_allclose(flux, np.exp(-1.0) * np.array([0.03, 0.01, 0.0]))
    if "damage" in (averages := model.averages(out[None])):
        np.testing.assert_allclose(averages["damage"], [[1.0 - np.exp(-1.0)]])
