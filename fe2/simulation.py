"""A two-scale run: load steps with commit and rollback, step control and output."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from fe2.errors import InputError, MacroSolveError, MicroSolveError, RunInterruptedError, StepSizeError
from fe2.hierarchical.recorded import write_gradients
from fe2.interruption import Interruption
from fe2.io.checkpoint import Remembered
from fe2.io.checkpoint_schedule import Checkpoints, Saving
from fe2.io.failure_file import FILE, write_failure
from fe2.io.progress import Progress
from fe2.io.replay import what_to_do
from fe2.io.results import ResultsFolder
from fe2.io.run_lock import RunLock, one_run
from fe2.io.summary import profile_text
from fe2.macro.problem import MacroProblem
from fe2.parallel import together
from fe2.profile import phase, snapshot
from fe2.records import StepRecord, Summary, as_plain, from_plain, merged
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
        profile: bool = False,
        checkpoint: Checkpoints | None = None,
        remember: Mapping[str, Remembered] | None = None,
        resume: bool = False,
        record_costs: bool = False,
        record_gradients: bool = False,
        case: Mapping[str, Any] | None = None,
        units: str = "",
    ) -> None:
        """Prepare the run; collective.

        Args:
            problem: The macroscopic problem.
            steps: The plan.
            output: Folder for results, or None to write nothing.
            reactions: Supports whose reactions are recorded, by the name of their columns; a support is
                one boundary condition or several. Where it holds several fields of a mixed unknown, each has
                columns of its own, whose names end in the field's.
            loads: Loads that are recorded, by the name of their columns: constants of the form, or
                functions without arguments.
            watch: Coordinates; the quadrature point nearest to each has its state stored at every
                step, so that its local fields can be drawn later.
            after_step: Called with the time after every accepted step, for what the user's form
                remembers between steps.
            overwrite: Replace results that exist in `output`.
            quiet: Print nothing.
            profile: Print at the end where the time went, by phase.
            checkpoint: When checkpoints are written; none are where it is None.
            remember: Functions and constants that `after_step` changes, by name: checkpoints hold them
                beside the unknown and the states of the micro models.
            resume: Go on from the checkpoint of an earlier run. Where there is none, the run begins at its
                start; results of one that did not reach its end are moved to ``unfinished_1`` and so on.
            record_costs: Write the measured cost of every point in every step to ``costs.csv`` in `output`.
            record_gradients: Store the gradients of all points at every step, as paths along which cells
                can be solved beforehand.
            case: The case as it was understood, for the file that a failure leaves.
            units: Units of all numbers in words, e.g. "mm, MPa": they are repeated in the summary, beside the
                history and at the axes of pictures.

        Raises:
            InputError: The output folder holds results and `overwrite` is not set, another run holds it,
                or checkpoints have no folder.
        """
        self.problem, self.steps = problem, steps
        self._reactions, self._loads = dict(reactions or {}), dict(loads or {})
        self._after_step, self._case, self._units = after_step, case, units
        self.records: list[StepRecord] = []
        self._progress = Progress(problem.comm, len(steps.times) - 1, quiet=quiet)
        self._reports: dict[str, float] = {}
        self._reports_before: dict[str, float] = {}
        self._shows_profile, self._work = profile, snapshot().since(snapshot())
        self._saving: Saving | None = None
        if checkpoint is not None or resume:
            self._saving = Saving(checkpoint or Checkpoints(), output, problem, remember or {})
        self._folders = [Path(output)] if output is not None else []
        if self._saving is not None and self._saving.folder.parent not in self._folders:
            self._folders.append(self._saving.folder)
        self._lock = RunLock(problem.comm, *self._folders)  # from now on, and until the run has ended
        self._position: dict[str, Any] | None = None
        if self._saving is not None and resume and self._saving.exists():
            self._position = self._saving.look()
            columns = {"loads": list(self._loads), "reactions": list(self._reactions_by_column())}
            with together(problem.comm):
                StepControl(steps).restore(self._position["control"])
                _check_columns(self._position["records"], columns)
        self._before = 0.0
        self._results: ResultsFolder | None = None
        if output is not None:
            self._results = ResultsFolder(
                Path(output),
                problem,
                watch=watch,
                overwrite=overwrite,
                resume=self._position is not None,
                begin_again=resume,
                costs=record_costs,
                units=units,
            )
        if record_gradients and output is None:
            raise InputError("record_gradients needs an output folder")
        self._gradients = Path(output) if output is not None and record_gradients else None
        for law in problem.laws:
            law.pool.progress = self._progress.points

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

    def _run(self) -> Summary:
        control, self._start = StepControl(self.steps), time.perf_counter()
        self._work_before = snapshot()
        finished = False
        try:
            with self._progress, self._noticing_signals():
                self._tell_places()
                self._begin(control)
                self._take_steps(control)
            finished = True
        finally:
            summary = self._summary(control, self._seconds(), finished)
            if self._results is not None:
                self._results.write_summary(summary)
            self._progress.summary(summary)
            if self._shows_profile:
                self._progress.lines(profile_text(summary))
        return summary

    def _tell_places(self) -> None:
        """Say how the points are spread where there are several ranks."""
        if self.problem.comm.size > 1:
            for law in self.problem.laws:
                self._progress.note(law.pool.describe())

    def _begin(self, control: StepControl) -> None:
        """Stand at the start, or where the run stood that this one goes on from."""
        if self._saving is None or self._position is None:
            self._write_start()
            return
        self._saving.read()
        control.restore(self._position["control"])
        self.records = [from_plain(record) for record in self._position["records"]]
        self._before = float(self._position["seconds"])
        self._reports = self._reports_before = dict(self._position["models"])
        self.steps.apply(control.time)
        if self._results is not None:
            self._results.go_on(float(self.steps.times[0]), self.records)
        self._progress.resumed(control.number, control.time)

    def _take_steps(self, control: StepControl) -> None:
        """Take all steps, with checkpoints in between and at the end, whatever the end is."""
        try:
            while not control.finished:
                if self._take_step(control) and self._saving is not None and self._saving.is_due():
                    self._save(control)
        except RunInterruptedError as error:
            self._save(control)
            if self._saving is not None:
                error.args = (f"{error} at time {control.time:.6g}; {self._saving.how_to_go_on}",)
            raise
        except StepSizeError as error:
            self._save(control)
            self._keep_failure(error, control)
            raise
        self._save(control)

    @contextmanager
    def _noticing_signals(self) -> Iterator[None]:
        """Where checkpoints are written, a signal gives up the present step at its next evaluation."""
        if self._saving is None:
            yield
            return
        with Interruption(self.problem.comm) as interruption:
            self.problem.before_evaluation = interruption.check
            try:
                yield
            finally:
                self.problem.before_evaluation = None

    def _save(self, control: StepControl) -> None:
        if self._saving is not None:
            records = [as_plain(record) for record in self.records]
            self._saving.write(
                {
                    "control": control.position(),
                    "records": records,
                    "seconds": self._seconds(),
                    "models": self._reports,
                }
            )

    def _keep_failure(self, error: StepSizeError, control: StepControl) -> None:
        """Leave a file from which the RVE that failed can be solved again by itself."""
        if self._results is None:
            return
        path = self._results.folder / FILE
        model = write_failure(path, self.problem, str(error), control.number, control.time, self._case)
        if model is not None:
            error.args = (f"{error}. {what_to_do(path, model, has_case=self._case is not None)}",)

    def _seconds(self) -> float:
        """Wall time, with that of the runs that this one goes on from."""
        return self._before + time.perf_counter() - self._start

    def _take_step(self, control: StepControl) -> bool:
        """Try a step; whether it was accepted."""
        start, target = time.perf_counter(), control.target
        self._progress.begin(control.number, target)
        self.steps.apply(target)
        try:
            iterations = self.problem.solve(target - control.time)
        except (MicroSolveError, MacroSolveError) as error:
            self.problem.rollback()
            self._progress.rejected(error)
            control.reject(error)
            return False
        except RunInterruptedError:
            self.problem.rollback()
            raise
        self.problem.commit()
        step = control.number
        control.accept()
        self._record(step, target, iterations, time.perf_counter() - start, control)
        if self._after_step is not None:
            self._after_step(target)
        return True

    def _write_start(self) -> None:
        self.steps.apply(float(self.steps.times[0]))
        if self._results is not None:
            self._results.write_fields(float(self.steps.times[0]))
        self._write_gradients(float(self.steps.times[0]))

    def _write_gradients(self, time: float) -> None:
        if self._gradients is not None:
            write_gradients(self._gradients, len(self.records), time, self.problem.laws, self.problem.comm)

    def _record(
        self, step: int, target: float, iterations: int, seconds: float, control: StepControl
    ) -> None:
        counts = self.problem.take_counts()
        self._reports = merged([self._reports_before, self.problem.reports()])
        self._work = snapshot().since(self._work_before).summed(self.problem.comm)
        record = StepRecord(
            step=step,
            time=target,
            loads={name: _load_value(load) for name, load in self._loads.items()},
            reactions=self._reactions_by_column(),
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
            with phase("output"):
                self._results.write_step(record)
        self._write_gradients(target)
        self._progress.accepted(record)

    def _reactions_by_column(self) -> dict[str, Array]:
        """Reactions by the name of the support, with that of the field where it holds several; collective."""
        columns: dict[str, Array] = {}
        for name, support in self._reactions.items():
            found = self.problem.reactions(support)
            columns |= {name if len(found) == 1 else f"{name}_{field}": part for field, part in found.items()}
        return columns

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
            models=self._reports,
            exchange=self.problem.exchange(),
            units=self._units,
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
