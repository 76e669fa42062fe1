r"""Which mode do the scales of a problem allow?

Two ratios decide. The cell's period over the distance over which the macroscopic gradient changes,

.. math:: \epsilon = \frac{\ell}{L}, \qquad L = \frac{\sqrt{\overline{|g|^2}}}{\sqrt{\overline{|\nabla g|^2}}}

(L is the wavelength over 2π where g is a wave), and the relaxation time of the cell over that of the loading,
:math:`\tau / T`. First-order homogenization, in whatever mode, needs a small ε. Where the cell relaxes at
once (:math:`\tau \ll T`) or not at all (:math:`\tau \gg T`) its flux is a function of the present gradient
and may be found beforehand; in between, and where it has a memory that does not relax, such as plasticity, it
depends on the path, which only a concurrent computation knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.spatial import cKDTree

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.micro.model import MicroModel

type Mode = Literal["hierarchical", "concurrent", "neither"]

_VERDICTS = {
    "hierarchical": "hierarchical is safe",
    "concurrent": "concurrent is needed",
    "neither": "the scales do not separate: neither mode holds",
}

_MEMORY_THAT_STAYS: tuple[Mode, str] = (
    "concurrent",
    "the cell has a memory that does not relax: its flux depends on the path, unless the gradients stay "
    "within the linear range (fe2 linear-range); a reduced cell keeps the memory along paths like those of "
    "its training (fe2 reduce)",
)
_NO_MEMORY: tuple[Mode, str] = (
    "hierarchical",
    "the cell answers at once and has no memory: its flux is a function of the gradient",
)

_STEPS_PER_DECADE = 8
_DECADES = 6
_MEMORY = 1e-6
"""Part of the flux that counts as round-off when memory is looked for."""


@dataclass(frozen=True)
class Relaxation:
    """How the flux of a cell follows a jump of the gradient.

    Attributes:
        time: Time after which 1/e of the relaxing part is left; zero where nothing relaxes.
        part: Part of the flux that relaxes.
        remembers: Whether flux remains when the gradient has gone back and has relaxed.
    """

    time: float
    part: float
    remembers: bool


@dataclass(frozen=True)
class Scales:
    """A verdict with its numbers.

    Attributes:
        mode: "hierarchical", "concurrent" or "neither".
        reasons: Why, in sentences with the numbers.
        length_ratio: Period over length of the gradient, or None where no length is known.
        time_ratio: Relaxation time over loading time, or None where no time is known.
    """

    mode: Mode
    reasons: tuple[str, ...]
    length_ratio: float | None
    time_ratio: float | None

    @property
    def verdict(self) -> str:
        """The mode in plain words."""
        return _VERDICTS[self.mode]

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "mode": self.mode,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "length_ratio": self.length_ratio,
            "time_ratio": self.time_ratio,
        }


def scales(
    *,
    period: float,
    length: float,
    relaxation_time: float = 0.0,
    loading_time: float | None = None,
    remembers: bool = False,
    separation: float = 0.1,
) -> Scales:
    """The verdict on scales that are stated, or computed by `relaxation` and `gradient_length`.

    Args:
        period: Largest edge of the cell.
        length: Distance over which the macroscopic gradient changes, see `gradient_length`.
        relaxation_time: Relaxation time of the cell; zero where its answer does not depend on time.
        loading_time: Time in which the loading changes; needed where the cell relaxes.
        remembers: Whether the cell has a memory that does not relax, as plasticity has.
        separation: Largest ratio of scales that counts as separated.

    Raises:
        InputError: A scale is missing or not positive.
    """
    _check(period, length, relaxation_time, loading_time, separation)
    ratio = period / length
    time_ratio = None if loading_time is None else relaxation_time / loading_time
    if ratio > separation:
        text = (
            f"the period {period:g} is {ratio:.3g} of the length {length:g} over which the gradient changes, "
            f"more than {separation:g}: no cell sees a uniform gradient; resolve the microstructure there"
        )
        return Scales("neither", (text,), ratio, time_ratio)
    lengths = f"lengths separate: period {period:g}, gradient changes over {length:g}, ratio {ratio:.3g}"
    judged: list[tuple[Mode, str]] = [_MEMORY_THAT_STAYS] if remembers else []
    if time_ratio is not None and relaxation_time > 0.0:
        judged.append(_judge_times(relaxation_time, time_ratio, separation))
    judged = judged or [_NO_MEMORY]
    modes = {mode for mode, _ in judged}
    mode: Mode = "concurrent" if "concurrent" in modes else "hierarchical"
    return Scales(mode, (lengths, *(reason for _, reason in judged)), ratio, time_ratio)


def _check(
    period: float, length: float, relaxation_time: float, loading_time: float | None, separation: float
) -> None:
    for name, value in (("period", period), ("length", length), ("separation", separation)):
        if not value > 0.0:
            raise InputError(f"{name} = {value}: it must be positive")
    if not relaxation_time >= 0.0:
        raise InputError(f"relaxation_time = {relaxation_time}: it must not be negative")
    if loading_time is not None and not loading_time > 0.0:
        raise InputError(f"loading_time = {loading_time}: it must be positive")
    if relaxation_time > 0.0 and loading_time is None:
        raise InputError("the cell relaxes: the loading_time is needed to judge it")


def _judge_times(relaxation_time: float, ratio: float, separation: float) -> tuple[Mode, str]:
    numbers = f"relaxation time {relaxation_time:.3g}, {ratio:.3g} of the loading time"
    if ratio <= separation:
        return ("hierarchical", f"{numbers}: it is in equilibrium all the time; sample it with long steps")
    if ratio >= 1.0 / separation:
        return "hierarchical", f"{numbers}: it does not relax in this time; sample it with short steps"
    return "concurrent", f"{numbers}: it relaxes while it is loaded, so its flux depends on the path"


def relaxation(model: MicroModel, gradient: Array, longest: float) -> Relaxation:
    """What a cell does after a jump of the gradient, which is held, and after the way back.

    Args:
        model: The cell.
        gradient: Change of the gradient, internal components, shape (m,); as large as in the application,
            because the answer of a nonlinear cell depends on it.
        longest: Time for which the gradient is held, much longer than the loading takes. Relaxation faster
            than a millionth of it is not seen.

    Raises:
        InputError: The time is not positive.
        MicroSolveError: The cell was not solved.
    """
    if not longest > 0.0:
        raise InputError(f"longest = {longest}: it must be positive")
    times = longest * np.logspace(-_DECADES, 0.0, _DECADES * _STEPS_PER_DECADE + 1)
    state = model.initial_state()
    origin = model.kinematics.origin
    at_rest = model.solve(origin, state, 0.0, state.copy()).flux
    jump = origin + np.asarray(gradient, dtype=np.float64)
    fluxes, state = _held(model, jump, state, times)
    size = float(np.linalg.norm(fluxes - at_rest, axis=1).max())
    left = np.linalg.norm(fluxes - fluxes[-1], axis=1)
    back, _ = _held(model, origin, state, times)
    remembers = bool(np.linalg.norm(back[-1] - at_rest) > _MEMORY * size)
    if left[0] <= _MEMORY * size:
        return Relaxation(0.0, 0.0, remembers)
    after = int(np.argmax(left <= left[0] / np.e))
    time = float(np.interp(-left[0] / np.e, -left[after - 1 : after + 1], times[after - 1 : after + 1]))
    return Relaxation(time, float(left[0] / size), remembers)


def _held(model: MicroModel, gradient: Array, state: Array, times: Array) -> tuple[Array, Array]:
    """Fluxes at the given times after the gradient was reached at once, and the last state."""
    fluxes, before = [], 0.0
    for time in times:
        new = state.copy()
        fluxes.append(model.solve(gradient, state, time - before, new).flux)
        state, before = new, float(time)
    return np.array(fluxes), state


def gradient_length(coordinates: Array, gradients: Array) -> float:
    r"""Distance :math:`L = |g| / |\nabla g|` over which a field changes, root mean squares of both.

    The derivative at each point is that of the linear function nearest to the values at its neighbours.

    Args:
        coordinates: Points, shape (n, dim), e.g. ``law.coordinates()`` of all ranks.
        gradients: Values there, shape (n, m), e.g. ``law.gradients()``.

    Returns:
        L, infinite where the field is uniform.

    Raises:
        InputError: There are too few points for a derivative.
    """
    points, dim = coordinates.shape
    neighbours = 2 * (dim + 1)
    if points <= neighbours:
        raise InputError(f"{points} points are too few for a derivative in {dim} dimensions")
    _, near = cKDTree(coordinates).query(coordinates, neighbours + 1)
    slopes = [
        np.linalg.lstsq(coordinates[rows] - coordinates[rows].mean(axis=0), gradients[rows], rcond=1e-6)[0]
        for rows in near
    ]
    size, change = float(np.mean(gradients**2) ** 0.5), float(np.mean(np.square(slopes) * dim) ** 0.5)
    return float("inf") if change <= 1e-12 * size else size / change
