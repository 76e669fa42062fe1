"""A two-scale run: load steps with commit and rollback, step control and output."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from fe2.errors import MacroSolveError, MicroSolveError
from fe2.io.progress import Progress
from fe2.io.results import ResultsFolder
from fe2.macro.problem import MacroProblem
from fe2.records import StepRecord, Summary
from fe2.stepping import LoadSteps, StepControl

Array = npt.NDArray[np.float64]

type Load = fem.Constant | Callable[[], float]


class Simulation:
    """Takes a macroscopic problem through its load steps.

    A step that fails, on whatever scale, is rolled back on all ranks and halved; it grows again
    afterwards. Nothing of a rejected step is kept.

    Attributes:
        problem: The macroscopic problem.
        records: One record for each accepted step.
    """

    def __init__(
        self,
        problem: MacroProblem,
        steps: LoadSteps,
        *,
        output: str | Path | None = None,
        reactions: Mapping[str, fem.DirichletBC | Sequence[fem.DirichletBC]] | None = None,
        loads: Mapping[str, Load] | None = None,
        watch: Sequence[Sequence[float]] = (),
        after_step: Callable[[float], None] | None = None,
        overwrite: bool = False,
        quiet: bool = False,
    ) -> None:
        """Prepare the run; collective.

        Args:
            problem: The macroscopic problem.
            steps: The plan.
            output: Folder for results, or None to write nothing.
            reactions: Supports whose reactions are recorded, by the name of their columns; a support is
                one boundary condition or several.
            loads: Loads that are recorded, by the name of their columns: constants of the form, or
                functions without arguments.
            watch: Coordinates; the quadrature point nearest to each has its state stored at every
                step, so that its local fields can be drawn later.
            after_step: Called with the time after every accepted step, for what the user's form
                remembers between steps.
            overwrite: Replace results that exist in `output`.
            quiet: Print nothing.

        Raises:
            InputError: The output folder holds results and `overwrite` is not set.
        """
        self.problem, self.steps = problem, steps
        self._reactions, self._loads = dict(reactions or {}), dict(loads or {})
        self._after_step = after_step
        self.records: list[StepRecord] = []
        self._progress = Progress(problem.comm, len(steps.times) - 1, quiet=quiet)
        self._results: ResultsFolder | None = None
        if output is not None:
            self._results = ResultsFolder(Path(output), problem, watch=watch, overwrite=overwrite)
        for law in problem.laws:
            law.pool.progress = self._progress.points

    def run(self) -> Summary:
        """Take all load steps; collective.

        Returns:
            Counts and times of the run.

        Raises:
            StepSizeError: A step failed at its smallest size. Results up to the last accepted step
                are on disk.
        """
        control, start = StepControl(self.steps), time.perf_counter()
        finished = False
        try:
            with self._progress:
                self._write_start()
                while not control.finished:
                    self._take_step(control)
            finished = True
        finally:
            summary = self._summary(control, time.perf_counter() - start, finished)
            if self._results is not None:
                self._results.write_summary(summary)
            self._progress.summary(summary)
        return summary

    def _take_step(self, control: StepControl) -> None:
        start, target = time.perf_counter(), control.target
        self._progress.begin(control.number, target)
        self.steps.apply(target)
        try:
            iterations = self.problem.solve(target - control.time)
        except (MicroSolveError, MacroSolveError) as error:
            self.problem.rollback()
            self._progress.rejected(error)
            control.reject(error)
            return
        self.problem.commit()
        step = control.number
        control.accept()
        self._record(step, target, iterations, time.perf_counter() - start, control)
        if self._after_step is not None:
            self._after_step(target)

    def _write_start(self) -> None:
        self.steps.apply(float(self.steps.times[0]))
        if self._results is not None:
            self._results.write_fields(float(self.steps.times[0]))

    def _record(
        self, step: int, target: float, iterations: int, seconds: float, control: StepControl
    ) -> None:
        counts = self.problem.take_counts()
        record = StepRecord(
            step=step,
            time=target,
            loads={name: _load_value(load) for name, load in self._loads.items()},
            reactions={name: self.problem.reaction(bc) for name, bc in self._reactions.items()},
            iterations=iterations,
            residuals=tuple(self.problem.norms),
            micro_solves=counts.points,
            micro_iterations=counts.iterations,
            micro_seconds=counts.seconds,
            rejected=control.rejected,
            seconds=seconds,
        )
        self.records.append(record)
        if self._results is not None:
            self._results.write_step(record)
        self._progress.accepted(record)

    def _summary(self, control: StepControl, seconds: float, finished: bool) -> Summary:
        return Summary(
            finished=finished,
            time=control.time,
            steps=len(self.records),
            rejected=control.rejected,
            ranks=self.problem.comm.size,
            points=self.problem.points,
            unknowns=self.problem.unknowns,
            iterations=sum(record.iterations for record in self.records),
            micro_solves=sum(record.micro_solves for record in self.records),
            micro_iterations=sum(record.micro_iterations for record in self.records),
            micro_seconds=sum(record.micro_seconds for record in self.records),
            seconds=seconds,
        )


def _load_value(load: Load) -> Any:
    return np.array(load.value if isinstance(load, fem.Constant) else load(), dtype=np.float64)
