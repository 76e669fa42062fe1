"""A reduced cell that knows when it is wrong, and is then solved in full.

Both reduced cells of a reduction are solved at every evaluation. Where their calibrated difference exceeds
the tolerance, the gradient lies outside of the trained range, or the reduced cell fails, the whole cell is
solved instead. It needs the whole history, which a reduced state does not hold: every state therefore holds
the gradients of all committed steps, and the whole cell is taken along them again. That is exact and costs
one full solve for each committed step, once: the full states found are kept beside, by the path that leads
to them, and a point that stays with the whole cell goes on from there.

The way back is exact as well: after a full solve the reduced states take their history from the full state,
and the accumulated error of the reduced cells at this point is gone.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fe2.arrays import Array, Ints
from fe2.errors import InputError, MicroSolveError
from fe2.hierarchical.indicator import Indicator
from fe2.hierarchical.paths import Path
from fe2.hierarchical.reduction import Reduction
from fe2.micro.model import Pointwise
from fe2.micro.points import NOWHERE, Point, Step
from fe2.micro.rve import RVE
from fe2.micro.state import StateField, StateLayout
from fe2.physics.kinematics import Kinematics
from fe2.response import Response

KEPT_BYTES = 500_000_000
"""Memory for full states of points that were solved in full; what does not fit is solved again."""


@dataclass(frozen=True)
class ErrorControl:
    """When a point is solved in full.

    Attributes:
        tolerance: Estimated error of the flux above which it is, relative to the largest flux of the
            training.
        outside: What happens outside of the trained range: "full" solves the whole cell, "error" gives up.
        capacity: Largest number of committed steps of a run, for which every state has room.
    """

    tolerance: float = 0.01
    outside: Literal["full", "error"] = "full"
    capacity: int = 500

    def __post_init__(self) -> None:
        if not self.tolerance > 0.0:
            raise InputError(f"tolerance = {self.tolerance}: a positive error is needed")
        if self.outside not in ("full", "error"):
            raise InputError(f"outside = {self.outside!r} is not known; it is 'full' or 'error'")
        if self.capacity < 1:
            raise InputError(f"capacity = {self.capacity}: room for one step at least is needed")


@dataclass
class Counts:
    """Work on this rank.

    Attributes:
        reduced: Evaluations answered by the reduced cell.
        full: Evaluations answered by the whole cell.
        unestimated: Those of them for which there was no estimate: the gradient lay outside of the trained
            range, or the reduced cells were not solved. They are solved in full whatever a budget says.
        replayed: Steps that the whole cell was taken along again to know its history.
        became_full: Full solves at points that had been reduced in all of their steps.
        enriched: Paths that were handed over for the training of a richer basis.
        largest_estimate: Largest estimated error of a flux, relative to the largest of the training.
    """

    reduced: int = 0
    full: int = 0
    unestimated: int = 0
    replayed: int = 0
    became_full: int = 0
    enriched: int = 0
    largest_estimate: float = 0.0


class ErrorControlledRVE(Pointwise):
    """A reduced cell with an estimate of its error and the whole cell behind it, a micro model.

    Its state holds the number of committed steps, how many of them were solved in full, the last estimate of
    the error, whether a full solve is granted, the states of both reduced cells, and the path.

    Attributes:
        reduction: The reduced cell.
        control: When a point is solved in full.
        counts: What was solved on this rank.
        by_grant: Whether the points with an estimate that are solved in full are those whose states say
            so, and not those whose estimate exceeds the tolerance; see
            :class:`~fe2.hierarchical.budget.FullSolves`.
    """

    def __init__(self, reduction: Reduction, control: ErrorControl | None = None) -> None:
        """Build both reduced cells.

        Raises:
            InputError: The reduction has no estimate of its error.
        """
        self.reduction, self.control = reduction, control or ErrorControl()
        self._coarse, self._fine = reduction.coarse_model, reduction.model()
        assert reduction.indicator is not None
        self._indicator: Indicator = reduction.indicator
        self._full = reduction.rve
        self._kept: OrderedDict[bytes, Array] = OrderedDict()
        self.state = StateLayout(
            *(StateField(name) for name in ("steps", "steps in full", "estimated error", "granted")),
            StateField("reduced cell", (self._fine.state_size,)),
            StateField("coarser reduced cell", (self._coarse.state_size,)),
            StateField("path", (self.control.capacity, 1 + self.kinematics.size)),
        )
        self._layout = _Layout(self.state)
        self.counts = Counts()
        self.by_grant = False

    @property
    def kinematics(self) -> Kinematics:  # type: ignore[override]
        """Names and sizes of gradient and flux."""
        return self._full.kinematics

    @property
    def description(self) -> dict[str, Any]:
        """Both reduced cells as facts that can be stored and compared; collective."""
        return {**self._fine.description, "coarse": self._coarse.description}

    def initial_state(self) -> Array:
        """The virgin state of both reduced cells, and no path."""
        row = self.state.initial()
        row[self._layout.fine] = self._fine.initial_state()
        row[self._layout.coarse] = self._coarse.initial_state()
        return row

    def respond(self, gradient: Array, committed: Array, trial: Array, point: Point, step: Step) -> Response:
        """Flux and tangent of the reduced cell, or of the whole one where the former may be too wrong.

        A point that was solved in full in an iteration of a step stays so until the step is committed, so
        that the macroscopic iteration meets one function; its estimate is that of the last iteration all the
        same. See `Pointwise.respond` for the arguments.

        Raises:
            OutsideRangeError: The gradient lies outside of the trained range and this was to be an error.
            MicroSolveError: The whole cell was not solved, or the path is longer than the capacity.
        """
        start, layout = time.perf_counter(), self._layout
        state, dt = committed, step.dt
        steps = int(state[layout.steps])
        if steps >= self.control.capacity:
            raise MicroSolveError(
                f"capacity = {self.control.capacity}: a state has room for so many steps, and all are taken; "
                "give a larger capacity to error_controlled, or to reduction in the run file"
            )
        inside = self.reduction.trained.contains(gradient, dt)
        if not inside and self.control.outside == "error":
            self.reduction.trained.check(gradient, dt)
        row = state.copy()
        row[layout.steps] = steps + 1
        row[layout.step(steps)] = [dt, *gradient]
        row[layout.estimate] = np.inf
        stays = trial[layout.steps] == steps + 1 and trial[layout.full] > state[layout.full]
        response = self._reduced(gradient, state, dt, row) if inside else None
        if response is None or stays or self._is_wanted_in_full(row):
            self.counts.unestimated += int(response is None)
            self.counts.became_full += int(state[layout.full] == 0.0 and not stays)
            response = self._solve_in_full(gradient, state, dt, row)
        else:
            self.counts.reduced += 1
        trial[:] = row
        return Response(response.flux, response.tangent, response.iterations, time.perf_counter() - start)

    def averages(self, states: Array) -> dict[str, Array]:
        """Averages of the history, the last estimated error and the number of steps solved in full.

        The estimate is that of the reduced cell, relative to the largest flux of the training; it is not a
        number where there was none and the cell was solved in full.
        """
        layout = self._layout
        averages = self._fine.averages(states[:, layout.fine])
        estimates = states[:, layout.estimate, None]
        averages["estimated_error"] = np.where(np.isfinite(estimates), estimates, np.nan)
        averages["steps_solved_in_full"] = states[:, layout.full, None]
        return averages

    def path(self, state: Array) -> Path | None:
        """The committed path of a state, or None where there is none yet."""
        table = self._table(state)
        return Path(np.cumsum(table[:, 0]), table[:, 1:].copy()) if len(table) else None

    def full_state(self, state: Array) -> Array:
        """The state of the whole cell at the end of a state's path, solved again where it is not kept.

        Local fields follow from it.

        Raises:
            MicroSolveError: The whole cell could not be solved along the path.
        """
        table = self._table(state)
        known = len(table)
        while known and table[:known].tobytes() not in self._kept:
            known -= 1
        row = self._kept[table[:known].tobytes()].copy() if known else self._full.initial_state()
        trial = row.copy()
        for dt, *gradient in table[known:]:
            self._full.solve(np.array(gradient), row, float(dt), trial)
            self.counts.replayed += 1
            row[:] = trial
        if len(table):
            self._keep(table.tobytes(), row)
        return row

    def behind(self, state: Array, gradient: Array, point: Point) -> tuple[RVE, Array, Array]:
        """The whole cell, and its state at the end of a state's path."""
        return self._full, self.full_state(state), gradient

    def estimates(self, states: Array) -> Array:
        """Estimated errors of the last committed evaluations, in the units of the first flux, shape (n,).

        Infinite where there was no estimate, zero before the first step.
        """
        values: Array = states[:, self._layout.estimate] * self.reduction.flux_scale[0]
        return values

    def granted(self, states: Array, points: Ints) -> Array:
        """States that grant full solves to these points and to no others, shape (n, state_size)."""
        rows = states.copy()
        rows[:, self._layout.grant] = 0.0
        rows[points, self._layout.grant] = 1.0
        return rows

    def choices(self) -> dict[str, str]:
        """How the whole cell is solved, and why, where the reduced one is not enough."""
        return {name: text for name, text in self._full.choices().items() if name.startswith("linear solver")}

    def report(self) -> dict[str, float]:
        """What was solved on this rank since the model was made, and what the whole cell reports."""
        counts = self.counts
        return {
            **self._full.report(),
            "solves of reduced cells": counts.reduced,
            "solves of whole cells": counts.full,
            "solves of whole cells without an estimate": counts.unestimated,
            "solves of whole cells for their history": counts.replayed,
            "points that became full": counts.became_full,
            "paths for enrichment": counts.enriched,
            "largest estimated error": counts.largest_estimate,
        }

    def difficult_paths(self, states: Array, limit: int = 8) -> list[Path]:
        """Paths of the points that were solved in full most often, to be trained on.

        ``reduce(rve, [*paths, *model.difficult_paths(law.pool.states)])`` makes the richer reduction, for
        the next run.

        Args:
            states: Committed states, shape (n, state_size); gather them first where ranks share the points.
            limit: Largest number of paths.
        """
        order = np.argsort(-states[:, self._layout.full], kind="stable")
        rows = [states[k] for k in order[:limit] if states[k, self._layout.full] > 0.0]
        self.counts.enriched += len(rows)
        return [path for path in map(self.path, rows) if path is not None]

    def virgin_tangent(self, point: Point = NOWHERE) -> Array:
        """That of the reduced cell."""
        return self._fine.virgin_tangent(point)

    def _reduced(self, gradient: Array, state: Array, dt: float, row: Array) -> Response | None:
        """Answer of the reduced cell, whose estimate is put into the row, or None where it was not solved."""
        layout = self._layout
        try:
            fine = self._fine.solve(gradient, state[layout.fine], dt, row[layout.fine])
            coarse = self._coarse.solve(gradient, state[layout.coarse], dt, row[layout.coarse])
        except MicroSolveError:
            return None
        estimate = self._indicator.estimate(fine.flux, coarse.flux)
        row[layout.estimate] = estimate
        self.counts.largest_estimate = max(self.counts.largest_estimate, estimate)
        return fine

    def _is_wanted_in_full(self, row: Array) -> bool:
        if self.by_grant:
            return bool(row[self._layout.grant])
        return bool(row[self._layout.estimate] > self.control.tolerance)

    def _solve_in_full(self, gradient: Array, state: Array, dt: float, row: Array) -> Response:
        layout = self._layout
        before = self.full_state(state)
        after = before.copy()
        response = self._full.solve(gradient, before, dt, after)
        self.counts.full += 1
        self._keep(self._table(row).tobytes(), after)
        row[layout.full] = state[layout.full] + 1
        row[layout.fine] = self._fine.from_full(after)
        row[layout.coarse] = self._coarse.from_full(after)
        return response

    def _table(self, state: Array) -> Array:
        """Time steps and gradients of a state's path, shape (k, 1 + m)."""
        table: Array = state[self._layout.path].reshape(self.control.capacity, -1)
        return table[: int(state[self._layout.steps])]

    def _keep(self, key: bytes, state: Array) -> None:
        self._kept[key] = state
        self._kept.move_to_end(key)
        while len(self._kept) > max(2, KEPT_BYTES // state.nbytes):
            self._kept.popitem(last=False)


class _Layout:
    """Where the parts of a state stand."""

    steps, full, estimate, grant = 0, 1, 2, 3

    def __init__(self, state: StateLayout) -> None:
        self.fine, self.coarse = state.part("reduced cell"), state.part("coarser reduced cell")
        self.path = state.part("path")
        self._width = state.fields["path"].shape[1]

    def step(self, number: int) -> slice:
        """Time step and gradient of a step of the path."""
        start = self.path.start + number * self._width
        return slice(start, start + self._width)


def error_controlled(
    reduction: Reduction,
    *,
    tolerance: float = ErrorControl.tolerance,
    outside: Literal["full", "error"] = "full",
    capacity: int = ErrorControl.capacity,
) -> ErrorControlledRVE:
    """The micro model of a reduction that is solved in full wherever its error may exceed the tolerance.

    Args:
        reduction: The reduced cell.
        tolerance: Error of the flux, relative to the largest flux of the training.
        outside: "full" solves the whole cell outside of the trained range, "error" gives up there.
        capacity: Largest number of committed steps of a run.

    Raises:
        InputError: An option is not admissible, or no path was held out of the training.
    """
    return ErrorControlledRVE(reduction, ErrorControl(tolerance, outside, capacity))
