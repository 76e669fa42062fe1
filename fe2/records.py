"""What a run remembers of itself: a record for each accepted step, and a summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from fe2.arrays import Array

COUNTS = ("iterations", "micro_solves", "micro_iterations", "micro_seconds", "rejected", "seconds")
"""Numbers of a record that are columns of every history, its last ones."""


def balance_columns(field: str, *, vector: bool) -> tuple[str, str, str]:
    """Names of what comes into a field, of what is stored or done inside, and of the difference."""
    parts = ("work", "internal_work", "missing_work") if vector else ("supplied", "stored", "missing")
    return f"{field}_{parts[0]}", f"{field}_{parts[1]}", f"{field}_{parts[2]}"


@dataclass(frozen=True)
class StepRecord:
    """One accepted step. Counts are sums over all ranks, tries that were given up included.

    Attributes:
        step: Number of the planned step, from one.
        time: Time at the end of the step.
        loads: Recorded loads by name.
        reactions: Recorded reactions by name, one component for each of the unknown's.
        iterations: Newton iterations of the macroscopic problem.
        residuals: Norms of its residual.
        micro_solves: Micro problems solved.
        micro_iterations: Linear systems solved in them.
        micro_seconds: Seconds spent in them, summed over the ranks.
        rejected: Steps given up since the start of the run.
        seconds: Wall time of the accepted try.
        dt: Length of the step.
        error: Its local error where a tolerance controls it, not a number in the first step.
        balances: What was supplied and stored so far, by the name of its column.
    """

    step: int
    time: float
    loads: Mapping[str, Array]
    reactions: Mapping[str, Array]
    iterations: int
    residuals: tuple[float, ...]
    micro_solves: int
    micro_iterations: int
    micro_seconds: float
    rejected: int
    seconds: float
    dt: float = 0.0
    error: float | None = None
    balances: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """A whole run.

    Attributes:
        finished: True where the end of the plan was reached.
        time: Time of the last accepted step.
        steps: Accepted steps.
        rejected: Steps that were given up.
        ranks: Size of the communicator.
        points: Macroscopic quadrature points with a micro model.
        unknowns: Macroscopic degrees of freedom.
        iterations: Newton iterations of the macroscopic problem in accepted steps.
        micro_solves: Micro problems solved.
        micro_iterations: Linear systems solved in them.
        micro_seconds: Seconds spent in them, summed over the ranks.
        seconds: Wall time.
        choices: How cells are solved, and why, by what was chosen.
        work: How often the costly things were done on all ranks, see `fe2.profile.COUNTS`.
        phases: Seconds by phase, summed over the ranks, see `fe2.profile.PHASES`.
        balances: What was supplied and stored in all, by the name of its column in the history.
        models: What the micro models report, by name, e.g. how many evaluations left a model's range.
        exchange: What the ranks exchanged for the micro models, by name; see `fe2.dispatch.traffic`.
        units: Units of all numbers, in the words of the user.
    """

    finished: bool
    time: float
    steps: int
    rejected: int
    ranks: int
    points: int
    unknowns: int
    iterations: int
    micro_solves: int
    micro_iterations: int
    micro_seconds: float
    seconds: float
    balances: Mapping[str, float] = field(default_factory=dict)
    models: Mapping[str, float] = field(default_factory=dict)
    exchange: Mapping[str, float] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    work: Mapping[str, int] = field(default_factory=dict)
    phases: Mapping[str, float] = field(default_factory=dict)
    units: str = ""


def merged(reports: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Reports of micro models as one: the largest of what is named so, sums of all else, which are counts."""
    result: dict[str, float] = {}
    for report in reports:
        for name, value in report.items():
            before = result.get(name, 0.0)
            result[name] = max(before, value) if name.startswith("largest") else before + value
    return result


def as_plain(record: StepRecord) -> dict[str, Any]:
    """A record as JSON has it."""
    named = {name: _plain(getattr(record, name)) for name in ("loads", "reactions")}
    return {**asdict(record), **named, "residuals": list(record.residuals)}


def from_plain(content: Mapping[str, Any]) -> StepRecord:
    """The record that :func:`as_plain` made plain."""
    named = {name: _arrays(content[name]) for name in ("loads", "reactions")}
    return StepRecord(**{**content, **named, "residuals": tuple(content["residuals"])})


def _plain(columns: Mapping[str, Array]) -> dict[str, Any]:
    return {name: np.asarray(values).tolist() for name, values in columns.items()}


def _arrays(columns: Mapping[str, Any]) -> dict[str, Array]:
    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


@dataclass(frozen=True)
class SolverChoice:
    """How linear systems are solved, and why so."""

    name: str
    reason: str
