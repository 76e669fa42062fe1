"""The script of docs/interfaces.md runs: two blocks pulled apart, with the exact traction and energy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpi import mpiexec, succeeded

PAGE = Path(__file__).parents[1] / "docs" / "interfaces.md"
(SOURCE,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)

CHECKS = """
soft = STRENGTH / (gone - STRENGTH / STIFFNESS)
openings = np.array([u - 2.0 * f / YOUNG for u, f in zip(displacements, forces)])
expected = [0.0, STRENGTH, None, 0.0, None, 0.0, 0.0]
for force, opening, value in zip(forces, openings, expected):
    exact = soft * (gone - opening) if value is None else value
    assert abs(force - exact) < 1e-6 * STRENGTH, (force, exact)
assert abs(work - TOUGHNESS) < 1e-6 * TOUGHNESS, work
damage = interface.pool.averages()["damage"]
assert np.all(damage == 1.0), damage
"""


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """Names of the script after it has run."""
    names: dict[str, Any] = {}
    exec(compile(SOURCE, str(PAGE), "exec"), names)
    return names


def test_interface_follows_its_law_and_dissipates_its_toughness(script):
    exec(CHECKS, script)
    assert len(script["forces"]) == 7


def test_unloading_goes_straight_to_zero(script):
    """Halfway open, half a load takes half the opening: the tangent is the secant."""
    model = script["interface"].micro
    state, out = np.array([0.03]), np.zeros(1)
    half, whole = (model.solve(np.array([g, 0.0]), state, 1.0, out) for g in (0.015, 0.03))
    np.testing.assert_allclose(half.flux, 0.5 * whole.flux)
    np.testing.assert_allclose(half.tangent @ [0.015, 0.0], half.flux)


@pytest.mark.parametrize(
    "gradient", [(0.02, 0.01), (0.05, -0.03), (-0.001, 0.04), (0.0005, 0.0002), (0.2, 0.1)]
)
def test_tangent_is_the_derivative_of_the_traction(script, gradient):
    model, state, out = script["interface"].micro, np.array([0.001]), np.zeros(1)
    exact, step = model.solve(np.array(gradient), state, 1.0, out).tangent, 1e-7
    for k in range(2):
        change = step * np.eye(2)[k]
        pair = [model.solve(np.array(gradient) + sign * change, state, 1.0, out).flux for sign in (1, -1)]
        difference = (pair[0] - pair[1]) / (2.0 * step)
        np.testing.assert_allclose(exact[:, k], difference, atol=1e-5 * model.stiffness)


@pytest.mark.mpi
def test_interface_across_ranks_is_the_same(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(SOURCE + CHECKS)
    succeeded(mpiexec(2, [str(program)]))
