"""Paths in the space of the macroscopic gradient, along which a cell is solved beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, qmc

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.physics.kinematics import Kinematics


@dataclass(frozen=True, eq=False)
class Path:
    """A path of the gradient over time, in internal components; it starts from the virgin cell.

    Attributes:
        times: Ends of the steps, shape (k,), increasing and positive: the start is at time zero.
        gradients: Gradient at the end of each step, shape (k, m).
    """

    times: Array
    gradients: Array

    def __post_init__(self) -> None:
        if self.times.ndim != 1 or self.gradients.shape[:1] != self.times.shape or not len(self.times):
            raise InputError(
                f"a path has a gradient for each of its times; got times of shape {self.times.shape} and "
                f"gradients of shape {self.gradients.shape}"
            )
        if np.any(np.diff(self.times, prepend=0.0) <= 0.0) or not np.all(np.isfinite(self.gradients)):
            raise InputError(
                "the times of a path have to be positive and to increase, its gradients to be finite"
            )

    @property
    def steps(self) -> Array:
        """Lengths of the time steps, shape (k,)."""
        return np.diff(self.times, prepend=0.0)


def directions(size: int, count: int, seed: int = 0) -> Array:
    """Directions that cover the unit sphere evenly, shape (count, size).

    The normal quantiles of a scrambled Halton sequence, a low-discrepancy sequence (Owen 2017), normalized.
    """
    points = norm.ppf(qmc.Halton(size, rng=np.random.default_rng(seed)).random(count))
    unit: Array = points / np.linalg.norm(points, axis=1, keepdims=True)
    return unit


def monotonic(
    kinematics: Kinematics,
    amplitude: float | Sequence[float],
    *,
    count: int,
    steps: int = 10,
    duration: float = 1.0,
    seed: int = 0,
) -> list[Path]:
    """Straight paths from the virgin gradient.

    Args:
        kinematics: Names and sizes of the gradient.
        amplitude: Largest change of each component, internal components, or of all.
        count: Number of paths.
        steps: Number of steps of each.
        duration: Time that each takes.
        seed: Seed of the directions.
    """
    return _straight(kinematics, amplitude, (1.0,), count, steps, duration, seed)


def cyclic(
    kinematics: Kinematics,
    amplitude: float | Sequence[float],
    *,
    count: int,
    steps: int = 10,
    turns: Sequence[float] = (1.0, -1.0, 1.0),
    duration: float = 1.0,
    seed: int = 0,
) -> list[Path]:
    """Paths back and forth along a direction, with reversals of the load.

    Args:
        kinematics: Names and sizes of the gradient.
        amplitude: Largest change of each component, internal components, or of all.
        count: Number of paths.
        steps: Number of steps over a length of one amplitude.
        turns: Fractions of the amplitude that are visited one after the other.
        duration: Time for a length of one amplitude.
        seed: Seed of the directions.
    """
    return _straight(kinematics, amplitude, tuple(turns), count, steps, duration, seed)


def random_walks(
    kinematics: Kinematics,
    amplitude: float | Sequence[float],
    *,
    count: int,
    steps: int = 10,
    corners: int = 4,
    duration: float = 1.0,
    seed: int = 0,
) -> list[Path]:
    """Paths from corner to corner; the corners fill the ball of the amplitude evenly.

    Args:
        kinematics: Names and sizes of the gradient.
        amplitude: Largest change of each component, internal components, or of all.
        count: Number of paths.
        steps: Number of steps from one corner to the next.
        corners: Number of corners of each path.
        duration: Time from one corner to the next.
        seed: Seed of the corners.
    """
    m = kinematics.size
    unit = directions(m, count * corners, seed)
    radii = qmc.Halton(1, rng=np.random.default_rng([seed, 1])).random(count * corners) ** (1.0 / m)
    places = (unit * radii * _scale(kinematics, amplitude)).reshape(count, corners, m)
    return [_through(kinematics, path, [steps] * corners, duration / steps) for path in places]


def _straight(
    kinematics: Kinematics,
    amplitude: float | Sequence[float],
    turns: tuple[float, ...],
    count: int,
    steps: int,
    duration: float,
    seed: int,
) -> list[Path]:
    lengths = np.abs(np.diff(turns, prepend=0.0))
    numbers = np.maximum(1, np.rint(steps * lengths)).astype(int).tolist()
    ends = directions(kinematics.size, count, seed) * _scale(kinematics, amplitude)
    return [_through(kinematics, np.outer(turns, end), numbers, duration / steps) for end in ends]


def _through(kinematics: Kinematics, corners: Array, numbers: Sequence[int], dt: float) -> Path:
    """The path from the virgin gradient through its changes at the corners, in so many steps each."""
    starts = np.vstack([np.zeros(corners.shape[1]), corners[:-1]])
    rows = [
        start + np.outer(np.arange(1, n + 1) / n, end - start)
        for start, end, n in zip(starts, corners, numbers, strict=True)
    ]
    gradients = kinematics.origin + np.vstack(rows)
    return Path(dt * np.arange(1.0, len(gradients) + 1.0), gradients)


def _scale(kinematics: Kinematics, amplitude: float | Sequence[float]) -> Array:
    scale = np.broadcast_to(np.asarray(amplitude, dtype=np.float64), (kinematics.size,))
    if not np.all(np.isfinite(scale)) or np.any(scale < 0.0) or not np.any(scale):
        raise InputError(f"amplitude = {amplitude}: the largest change of each component is needed, positive")
    return scale
