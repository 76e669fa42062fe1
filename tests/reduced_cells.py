"""Small cells that the tests reduce, each trained once."""

from __future__ import annotations

from functools import cache

import two_scale  # isort: skip  # before dolfinx

import numpy as np

from fe2.arrays import Array
from fe2.hierarchical.paths import Path, cyclic, monotonic, random_walks
from fe2.hierarchical.reduction import Reduction, reduce
from fe2.hierarchical.solved_path import SolvedPath
from fe2.hierarchical.training import train
from fe2.micro.rve import RVE

AMPLITUDE = 0.01


@cache
def plastic_training() -> tuple[SolvedPath, ...]:
    kinematics = two_scale.plastic_rve().kinematics
    paths = cyclic(kinematics, AMPLITUDE, count=8, steps=4) + random_walks(
        kinematics, AMPLITUDE, count=4, corners=3, steps=4
    )
    return tuple(train(two_scale.plastic_rve(), paths))


@cache
def held_out() -> tuple[SolvedPath, ...]:
    kinematics = two_scale.plastic_rve().kinematics
    paths = cyclic(kinematics, AMPLITUDE, count=10, steps=4, seed=11) + random_walks(
        kinematics, AMPLITUDE, count=9, corners=3, steps=4, seed=12
    )
    return tuple(train(two_scale.plastic_rve(), paths))


@cache
def plastic_reduction(tolerance: float = 0.02) -> Reduction:
    """With 19 paths held out, so that the estimate bounds all errors of 95 % of further paths."""
    return reduce(two_scale.plastic_rve(), plastic_training(), tolerance=tolerance, held_out=held_out())


@cache
def unseen() -> tuple[SolvedPath, ...]:
    kinematics = two_scale.plastic_rve().kinematics
    paths = cyclic(kinematics, AMPLITUDE, count=3, steps=4, turns=(0.9, -0.6, 0.8), seed=5)
    return tuple(train(two_scale.plastic_rve(), paths))


def straight(rve: RVE, amplitude: float, steps: int = 4) -> list[Path]:
    """As many directions as there are components, and one more."""
    return monotonic(rve.kinematics, amplitude, count=rve.kinematics.size + 1, steps=steps)


def last_state(model, path: SolvedPath, steps: int | None = None) -> np.ndarray:
    """State of a micro model after some steps of a path, all of them by default."""
    row, trial = model.initial_state(), model.initial_state()
    for dt, gradient in list(zip(path.steps, path.gradients, strict=True))[:steps]:
        model.solve(gradient, row, float(dt), trial)
        row[:] = trial
    return row


def reduced_as_whole(rve: RVE, path: Path, widths: Array) -> None:
    """A reduction that was trained on a path follows it, and its tangent has all cross terms.

    Args:
        rve: The whole cell.
        path: The path.
        widths: Widths of the differences by which the tangent is looked at, shape (m,).
    """
    reduced = reduce(rve, [path], tolerance=1e-10, cubature_tolerance=1e-10).model()
    states = [rve.initial_state(), reduced.initial_state()]
    for gradient in path.gradients:
        answers = []
        for k, model in enumerate((rve, reduced)):
            out = np.empty_like(states[k])
            answers.append(model.solve(gradient, states[k], 1.0, out))
            states[k] = out
        np.testing.assert_allclose(answers[1].flux, answers[0].flux, rtol=1e-6, atol=1e-8)
    start, last = reduced.initial_state(), path.gradients[0]

    def flux(gradient: Array) -> Array:
        found: Array = reduced.solve(gradient, start, 1.0, np.empty_like(start)).flux
        return found

    columns = [(flux(last + h) - flux(last - h)) / (2.0 * h.sum()) for h in np.diag(widths)]
    tangent = reduced.solve(last, start, 1.0, np.empty_like(start)).tangent
    scales = np.sqrt(np.abs(np.diag(tangent)))
    assert np.max(np.abs(tangent - np.transpose(columns)) / np.outer(scales, scales)) < 1e-7
