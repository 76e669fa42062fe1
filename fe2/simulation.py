"""A two-scale run: load steps with commit and rollback, step control, and who looks at it."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from dolfinx import fem

from fe2.arrays import Array
from fe2.errors import InputError, MacroSolveError, MicroSolveError, RunInterruptedError, StepSizeError
from fe2.interruption import Interruption
from fe2.io.checkpoint_schedule import Checkpoints, Saving
from fe2.io.observer import Calls, Observer
from fe2.io.progress import Progress
from fe2.io.results import Results
from fe2.io.run_lock import RunLock, one_run
from fe2.macro.balances import Balances
from fe2.macro.problem import MacroProblem
from fe2.macro.rate import warn_of_growth
from fe2.macro.time_error import StepTooLongError, TimeError
from fe2.parallel import together
from fe2.profile import snapshot
from fe2.records import StepRecord, Summary, as_plain, from_plain, merged
from fe2.stepping import LoadSteps, StepControl

type Load = fem.Constant | Callable[[], float]


class Simulation:
    """Takes a macroscopic problem through its load steps.

    A step that fails, on whatever scale, is rolled back on all ranks and halved; it grows again
    afterwards. Where the plan has a tolerance, so is one whose error in time is too large. Nothing of a
    rejected step is kept. What is written, printed or done besides is the matter of observers: the results,
    the progress, the checkpoints, and a user's own.

    Attributes:
        problem: The macroscopic problem.
        steps: The plan.
        control: Where the run stands in it.
        records: One record for each accepted step.
        goes_on: Whether the run goes on from a checkpoint.
        may_go_on: Whether it would, had there been one.
    """

    def __init__(
        self,
        problem: MacroProblem,
        steps: LoadSteps,
        *,
        output: str | Path | Results | None = None,
        reactions: Mapping[str, fem.DirichletBC | Sequence[fem.DirichletBC]] | None = None,
        loads: Mapping[str, Load] | None = None,
        observers: Sequence[Observer | Callable[[float], Any]] = (),
        checkpoint: Checkpoints | None = None,
        resume: bool = False,
        overwrite: bool = False,
        quiet: bool = False,
    ) -> None:
        """Prepare the run; collective.

        Args:
            problem: The macroscopic problem.
            steps: The plan.
            output: Folder for results, or `fe2.Results` with more to say, or None to write nothing.
            reactions: Supports whose reactions are recorded, by the name of their columns; a support is
                one boundary condition or several. Where it holds several fields, each has columns of its own,
                whose names end in the field's.
            loads: Loads that are recorded, by the name of their columns: constants of the form, or
                functions without arguments.
            observers: Who is told of every step. A function is called with the time after every accepted
                step, for what the user's form remembers between steps. A `fe2.Progress` takes the place of
                the default one.
            checkpoint: When checkpoints are written; none are where it is None.
            resume: Go on from the checkpoint of an earlier run. Where there is none, the run begins at its
                start; results of one that did not reach its end are moved to ``unfinished_1`` and so on.
            overwrite: Replace results that exist in a folder `output`.
            quiet: Print nothing.

        Raises:
            InputError: The output folder holds results and `overwrite` is not set, another run holds it,
                or checkpoints have no folder.

        Warns:
            Fe2Warning: Planned steps grow too fast for the scheme.
        """
        self.problem, self.steps, self.may_go_on = problem, steps, resume
        if problem.scheme == "bdf2" and problem.rates and steps.tolerance is None and problem.comm.rank == 0:
            warn_of_growth(steps.times)
        self._reactions, self._loads = dict(reactions or {}), dict(loads or {})
        self.records: list[StepRecord] = []
        self._errors = None if steps.tolerance is None else TimeError(problem, steps.tolerance)
        self.control = StepControl(steps)
        self._reports: dict[str, float] = {}
        self._reports_before: dict[str, float] = {}
        self._before, self._work = 0.0, snapshot().since(snapshot())
        self._balances = Balances(problem)
        results = Results(output, overwrite=overwrite) if isinstance(output, str | Path) else output
        folder = None if results is None else results.folder
        self._saving: Saving | None = None
        if checkpoint is not None or resume:
            own = self._balances.remembered | ({} if self._errors is None else self._errors.remembered)
            identity = {"error control": self._errors is not None}
            self._saving = Saving(checkpoint or Checkpoints(), folder, problem, own, identity)
        given = [entry if isinstance(entry, Observer) else Calls(entry) for entry in observers]
        if not any(isinstance(entry, Progress) for entry in given):
            given.insert(0, Progress(quiet=quiet))
        self._observers = [entry for entry in (results, *given, self._saving) if entry is not None]
        self._folders = [] if folder is None else [folder]
        if self._saving is not None and self._saving.folder.parent not in self._folders:
            self._folders.append(self._saving.folder)
        self._lock = RunLock(problem.comm, *self._folders)  # from now on, and until the run has ended
        self._position = self._earlier_position()
        self.goes_on = self._position is not None
        run = weakref.proxy(self)  # observers do not keep a run, whose folder is free when it is forgotten
        for observer in self._observers:
            observer.prepare(run)

    def run(self) -> Summary:
        """Take all load steps; collective.

        Returns:
            Counts and times of the run.

        Raises:
            StepSizeError: A step failed at its smallest size. Results up to the last accepted step
                are on disk.
            RunInterruptedError: A signal asked the run to stop, which writes checkpoints.
        """
        with one_run(self.problem.comm, *self._folders):
            self._lock.release()
            return self._run()

    def position(self) -> dict[str, Any]:
        """Where the run stands, as JSON has it."""
        return {
            "control": self.control.position(),
            "records": [as_plain(record) for record in self.records],
            "seconds": self._seconds(),
            "models": self._reports,
        }

    def _run(self) -> Summary:
        self.control, self._start = StepControl(self.steps), time.perf_counter()
        self._work_before = snapshot()
        finished = False
        try:
            with self._noticing_signals():
                self._begin()
                self._take_steps()
            finished = True
        finally:
            summary = self._summary(self._seconds(), finished)
            with ExitStack() as all_of_them:
                for observer in reversed(self._observers):
                    all_of_them.callback(observer.end, summary)
        return summary

    def _earlier_position(self) -> dict[str, Any] | None:
        """Where the run stood that this one goes on from, if there is one; collective."""
        if self._saving is None or not self.may_go_on or not self._saving.exists():
            return None
        position = self._saving.look()
        columns = {"loads": list(self._loads), "reactions": list(self._reactions_by_column())}
        with together(self.problem.comm):
            StepControl(self.steps).restore(position["control"])
            _check_columns(position["records"], columns)
        return position

    def _begin(self) -> None:
        """Stand at the start, or where the run stood that this one goes on from."""
        if self._saving is not None and self._position is not None:
            self._saving.read()
            self.control.restore(self._position["control"])
            self.records = [from_plain(record) for record in self._position["records"]]
            self._before = float(self._position["seconds"])
            self._reports = self._reports_before = dict(self._position["models"])
        elif self._errors is not None:
            self._errors.begin(self.control.time)
        self._balances.begin(self.records[-1].balances if self.records else {})
        self.steps.apply(self.control.time)
        for observer in self._observers:
            observer.begin()

    @contextmanager
    def _noticing_signals(self) -> Iterator[None]:
        """Where checkpoints are written, a signal gives up the present step at its next evaluation."""
        if self._saving is None:
            yield
            return
        with Interruption(self.problem.comm) as interruption:
            self.problem.iteration.before_evaluation = interruption.check
            try:
                yield
            finally:
                self.problem.iteration.before_evaluation = None

    def _take_steps(self) -> None:
        try:
            while not self.control.finished:
                self._take_step()
        except (RunInterruptedError, StepSizeError) as error:
            for observer in self._observers:
                observer.failed(error)
            raise

    def _seconds(self) -> float:
        """Wall time, with that of the runs that this one goes on from."""
        return self._before + time.perf_counter() - self._start

    def _take_step(self) -> None:
        """Try a step."""
        start, target, errors = time.perf_counter(), self.control.target, self._errors
        for observer in self._observers:
            observer.trying(target)
        self.steps.apply(target)
        try:
            self.problem.time = self.control.time
            with self.problem.step(target - self.control.time):
                iterations = self.problem.solve()
                error = (
                    None if errors is None else errors.measure(target, refuse=not self.control.is_smallest)
                )
        except (MicroSolveError, MacroSolveError) as reason:
            for observer in self._observers:
                observer.rejected(reason)
            self.control.reject(reason, reason.factor if isinstance(reason, StepTooLongError) else 0.5)
            return
        record = self._record(target, iterations, time.perf_counter() - start, error)
        if errors is None:
            self.control.accept()
        else:
            errors.accept(target)
            self.control.accept(errors.factor)
        self.records.append(record)
        for observer in self._observers:
            observer.accepted(record)

    def _record(self, target: float, iterations: int, seconds: float, error: float | None) -> StepRecord:
        counts = self.problem.take_counts()
        self._reports = merged([self._reports_before, self.problem.reports()])
        self._work = snapshot().since(self._work_before).summed(self.problem.comm)
        return StepRecord(
            step=self.control.number,
            time=target,
            loads={name: _load_value(load) for name, load in self._loads.items()},
            reactions=self._reactions_by_column(),
            iterations=iterations,
            residuals=tuple(self.problem.norms),
            micro_solves=counts.points,
            micro_iterations=counts.iterations,
            micro_seconds=counts.seconds,
            rejected=self.control.rejected,
            seconds=seconds,
            dt=target - self.control.time,
            error=error,
            balances=self._balances.add(target - self.control.time),
        )

    def _reactions_by_column(self) -> dict[str, Array]:
        """Reactions by the name of the support, with that of the field where it holds several; collective."""
        columns: dict[str, Array] = {}
        for name, support in self._reactions.items():
            found = self.problem.reactions(support)
            columns |= {name if len(found) == 1 else f"{name}_{field}": part for field, part in found.items()}
        return columns

    def _summary(self, seconds: float, finished: bool) -> Summary:
        return Summary(
            finished=finished,
            time=self.control.time,
            steps=len(self.records),
            rejected=self.control.rejected,
            ranks=self.problem.comm.size,
            points=self.problem.points,
            unknowns=self.problem.unknowns,
            iterations=sum(record.iterations for record in self.records),
            micro_solves=sum(record.micro_solves for record in self.records),
            micro_iterations=sum(record.micro_iterations for record in self.records),
            micro_seconds=sum(record.micro_seconds for record in self.records),
            seconds=seconds,
            balances=dict(self._balances.totals),
            models=self._reports,
            exchange=self.problem.exchange(),
            choices=self.problem.choices(),
            work=self._work.counts,
            phases=self._work.seconds,
        )


def _load_value(load: Load) -> Any:
    return np.array(load.value if isinstance(load, fem.Constant) else load(), dtype=np.float64)


def _check_columns(records: Sequence[Mapping[str, Any]], columns: Mapping[str, Sequence[str]]) -> None:
    """Refuse to go on with a history of other columns."""
    for what, own in columns.items():
        if records and sorted(records[0][what]) != sorted(own):
            there, here = (", ".join(sorted(names)) or "none" for names in (records[0][what], own))
            raise InputError(f"the run to go on with recorded other {what}: {there}, and here {here}")
