"""The folder of results of a run.

================== ==============================================================================
``macro.pvd``      macroscopic fields of every step, for ParaView and pyvista; its pieces are in ``macro/``
``facets_0.pvd``   likewise the fields of the first law on facets
``history.csv``    one row for each accepted step: loads, reactions, iterations, counts, seconds
``residuals.csv``  norms of the macroscopic residual in every iteration
``rve/``           the states of watched points, one HDF5 file for each step
``failure.h5``     the RVE that ended the run, if one did, see :mod:`~fe2.io.failure_file`
``checkpoint/``    what the run needs to go on later, see :mod:`~fe2.io.checkpoint`
``gradients/``     the gradients of all points at every step, where they are recorded
``summary.json``   counts, rates and versions of the run; ``summary.txt`` is the same for people
================== ==============================================================================

Point data is the unknown, under its function's name; a mixed unknown gives ``name_0``, ``name_1``,
and so on. Cell data is described by :class:`~fe2.io.macro_fields.CellFields`. Whatever ends a run,
the files of all steps before can be read.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fe2.errors import Fe2Error, InputError
from fe2.io.checkpoint import INDEX, remove_checkpoint
from fe2.io.checkpoint_schedule import FOLDER as CHECKPOINT
from fe2.io.costs import COSTS
from fe2.io.failure_file import FILE as FAILURE
from fe2.io.failure_file import write_failure
from fe2.io.history import HISTORY, RESIDUALS, append_history, read_history, read_residuals, write_history
from fe2.io.macro_fields import CellFields, NodalFields
from fe2.io.observer import Observer
from fe2.io.replay import what_to_do
from fe2.io.series import Series, remove_later
from fe2.io.summary import JSON, TEXT, write_summary_files
from fe2.io.units import METADATA, write_units
from fe2.io.watched import FOLDER, WatchedPoint, find_places, gather_states, read_watched, write_states
from fe2.parallel import together
from fe2.profile import phase
from fe2.records import StepRecord, Summary

if TYPE_CHECKING:
    from fe2.simulation import Simulation

__all__ = ["Results", "WatchedPoint", "read_history", "read_residuals", "read_watched"]

COLLECTION, PIECES, FACETS, GRADIENTS = "macro.pvd", "macro", "facets", "gradients"

_OURS = (
    *(COLLECTION, HISTORY, HISTORY + METADATA, RESIDUALS, COSTS, JSON, TEXT, FAILURE),
    f"{FACETS}_*.pvd",
    *(f"{name}/step_*.{ending}" for name in (PIECES, f"{FACETS}_*") for ending in ("vtu", "pvtu")),
    f"{FOLDER}/step_*.h5",
    f"{GRADIENTS}/step_*.npz",
    f"{CHECKPOINT}/{INDEX}",
)


class Results(Observer):
    """Writes the results of a run as it goes on.

    Fields are written by all ranks, tables, states and summary by rank 0. An error on one rank is
    raised on all.

    Attributes:
        folder: The folder.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        watch: Sequence[Sequence[float]] = (),
        overwrite: bool = False,
        units: str = "",
        case: Mapping[str, Any] | None = None,
    ) -> None:
        """Say what is written where.

        Args:
            folder: Where results go; it is made if it does not exist.
            watch: Coordinates; the quadrature point nearest to each has its state stored at every step, so
                that its local fields can be drawn later.
            overwrite: Remove the results of an earlier run; other files stay.
            units: Units of all numbers in words, e.g. "mm, MPa": they are repeated in the summary, beside the
                history and at the axes of pictures.
            case: The case as it was understood, for the file that a failure leaves.
        """
        self.folder, self._watch, self._overwrite = Path(folder), watch, overwrite
        self._units, self._case = units, case

    def prepare(self, run: Simulation) -> None:
        """Make the folder; collective.

        Results of a run that is to go on are kept; where there is no checkpoint, those of a run that did not
        reach its end are moved aside.

        Raises:
            InputError: On all ranks: the folder holds results and `overwrite` is not set, it cannot be made
                or written to, or coordinates to watch have the wrong dimension.
        """
        super().prepare(run)
        problem = self._problem = run.problem
        self._comm = problem.comm
        with together(self._comm):
            if self._comm.rank == 0:
                _prepare(self.folder, self._overwrite, run.goes_on, run.may_go_on)
                write_units(self.folder / HISTORY, self._units)
        self._series = list(self._collections())
        with together(self._comm):
            self._places = find_places(problem.laws, self._comm, self._watch)
        self._written = 0

    def begin(self) -> None:
        """Write the fields at the start, or let the results end where the run goes on; collective."""
        start = float(self.run.steps.times[0])
        if self.run.goes_on:
            self._go_on(start, self.run.records)
        else:
            self.write_fields(start)

    def write_fields(self, time: float) -> None:
        """Write the present macroscopic fields and the states of watched points; collective.

        Raises:
            Fe2Error: On all ranks, where a file could not be written on any; the message names it.
        """
        if self._places:
            states = gather_states(self._problem.laws, self._places, self._comm)
            with together(self._comm):
                if self._comm.rank == 0:
                    path = self.folder / FOLDER / f"step_{self._written:06d}.h5"
                    write_states(path, time, self._places, states)
        for series in self._series:
            series.write(time)
        self._written += 1

    def accepted(self, record: StepRecord) -> None:
        """Write an accepted step: its fields and states, and its row in the tables; collective.

        Raises:
            Fe2Error: On all ranks, where a file could not be written on any; the message names it.
        """
        with phase("output"):
            self.write_fields(record.time)
            with together(self._comm):
                if self._comm.rank == 0:
                    append_history(self.folder, record)

    def failed(self, error: Exception) -> None:
        """Leave a file from which the RVE that failed can be solved again by itself; collective."""
        path, control = self.folder / FAILURE, self.run.control
        model = write_failure(path, self._problem, str(error), control.number, control.time, self._case)
        if model is not None:
            error.args = (f"{error}. {what_to_do(path, model, has_case=self._case is not None)}",)

    def end(self, summary: Summary) -> None:
        """Write the summary.

        Where the run has not finished, rank 0 writes without waiting for ranks that may be lost, and reports
        on the standard error output what it cannot: the error that ended the run is the one to be raised.

        Raises:
            Fe2Error: On all ranks, where the summary of a finished run could not be written.
        """
        summary = replace(summary, units=self._units)
        if summary.finished:
            with together(self._comm):
                if self._comm.rank == 0:
                    write_summary_files(self.folder, summary)
        elif self._comm.rank == 0:
            try:
                write_summary_files(self.folder, summary)
            except Fe2Error as error:
                print(f"fe2: {error}", file=sys.stderr, flush=True)

    def _collections(self) -> Iterator[Series]:
        """One of the macroscopic mesh, and one for each law on facets; collective."""
        functions, laws = self._problem.functions, self._problem.laws
        mesh = functions[0].function_space.mesh
        yield Series(self.folder, PIECES, NodalFields(functions), CellFields(mesh, laws), self._comm)
        for number, law in enumerate(law for law in laws if law.flux.function_space.mesh is not mesh):
            part = law.flux.function_space.mesh
            name = f"{FACETS}_{number}"
            cells = CellFields(part, [law], law.numbers())
            yield Series(self.folder, name, NodalFields([], part), cells, self._comm)

    def _go_on(self, start: float, records: Sequence[StepRecord]) -> None:
        """Remove what a run wrote after the checkpoint that it goes on from: it will be written again."""
        times = [start, *(record.time for record in records)]
        self._written = len(times)
        with together(self._comm):
            if self._comm.rank == 0:
                (self.folder / FAILURE).unlink(missing_ok=True)
                write_history(self.folder, records)
                remove_later(self.folder / FOLDER, len(times))
        for series in self._series:
            series.end_with(times)


def earlier_results(folder: Path) -> list[Path]:
    """Files in a folder that a run wrote."""
    return [path for pattern in _OURS for path in sorted(folder.glob(pattern))]


def refuse_links(folder: Path) -> None:
    """Refuse a folder of results in which a link would let what is written land outside of it.

    Raises:
        InputError: There is a symbolic link in it or in one of its folders; the message names it.
    """
    folders = (folder / name for name in (PIECES, FOLDER, CHECKPOINT, GRADIENTS))
    for inner in (folder, *folders, *folder.glob(f"{FACETS}_*")):
        for path in sorted(inner.iterdir()) if inner.is_dir() else ():
            if path.is_symlink():
                raise InputError(
                    f"{path} is a symbolic link: results would be written outside of {folder}; remove it, "
                    "or name as output.folder where the results are to be"
                )


def is_unfinished(folder: Path) -> bool:
    """True where no summary says that the run reached its end."""
    try:
        summary = json.loads((folder / JSON).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return not (isinstance(summary, dict) and summary.get("finished") is True)


def _set_aside(folder: Path, files: Sequence[Path]) -> None:
    """Move files of a run that did not reach its end into a folder of their own."""
    number = next(n for n in itertools.count(1) if not (folder / f"unfinished_{n}").exists())
    for path in files:
        target = folder / f"unfinished_{number}" / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def _prepare(folder: Path, overwrite: bool, resume: bool, begin_again: bool) -> None:
    """Make the folder and its subfolders, without results of an earlier run."""
    try:
        earlier = [] if resume else earlier_results(folder)
        if earlier and begin_again and not overwrite and is_unfinished(folder):
            _set_aside(folder, earlier)
            earlier = []
        if earlier and not overwrite:
            raise InputError(
                f"{folder} holds the results of an earlier run, {earlier[0].name} among them: choose another "
                "folder, move the results, or set overwrite=True of Results to have them removed"
            )
        if earlier:
            remove_checkpoint(folder / CHECKPOINT)
        for path in earlier:
            path.unlink(missing_ok=True)
        for subfolder in (PIECES, FOLDER):
            (folder / subfolder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"results cannot be written to the folder {folder}: {error.strerror}") from error
