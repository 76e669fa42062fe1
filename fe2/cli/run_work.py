"""What `fe2 run` does: the run itself with its log and its records, or the rehearsal."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from mpi4py import MPI

from fe2.case.build_run import Model, build_model, build_problem, build_simulation
from fe2.case.run_case import RunCase
from fe2.case.understood import understood
from fe2.cli.output import plain, stage, write_json
from fe2.cli.rehearsal import rehearsal, rehearsal_text
from fe2.cli.run_pictures import Pictures
from fe2.cli.warned import told_warnings
from fe2.errors import Fe2Error, InputError
from fe2.io.checkpoint import INDEX
from fe2.io.checkpoint_schedule import FOLDER as CHECKPOINT
from fe2.io.progress import Progress
from fe2.io.results import earlier_results, is_unfinished, refuse_links
from fe2.io.run_lock import one_run
from fe2.io.summary import versions
from fe2.macro.snes import OPTIONS_PREFIX
from fe2.parallel import on_root

LOG, CASE = "run.log", "case_understood.json"


class Run:
    """One run of the command.

    Attributes:
        case: The run file.
        comm: Communicator of all ranks.
    """

    def __init__(self, case: RunCase, comm: MPI.Comm, *, quiet: bool, verbose: bool, as_json: bool) -> None:
        """Keep the wishes.

        Args:
            case: The run file.
            comm: Communicator of all ranks.
            quiet: Print no progress.
            verbose: Tell how long it took to make meshes and cells.
            as_json: Print the summary as JSON.
        """
        self.case, self.comm = case, comm
        self._quiet, self._verbose, self._as_json = quiet, verbose, as_json
        self._first = comm.rank == 0

    def rehearse(self) -> None:
        """Make everything but the states, and say how large the run is; collective."""
        facts = rehearsal(self._model())
        if self._first:
            click.echo(json.dumps(plain(facts)) if self._as_json else rehearsal_text(facts))

    def carry_out(self, force: bool, resume: bool, profile: bool = False) -> None:
        """Run; collective.

        Args:
            force: Replace the results of an earlier run.
            resume: Go on from its checkpoint, if there is one.
            profile: Print where the time went.
        """
        output = self.case.path(self.case.tables.output.folder)
        on_root(self.comm, lambda: refuse_links(output))
        with one_run(self.comm, output):  # before the long work
            self._carry_out(output, force, resume, profile)

    def _carry_out(self, output: Path, force: bool, resume: bool, profile: bool) -> None:
        on_root(self.comm, lambda: _refuse_results(output, force, resume))
        model = self._model()
        problem = build_problem(model)
        observers = [Progress(quiet=self._quiet, profile=profile), Pictures(model, output)]
        simulation = build_simulation(model, problem, overwrite=force, resume=resume, observers=observers)
        on_root(self.comm, lambda: self._write_case(output))
        with self._logging(output / LOG, "a" if resume else "w"):
            summary = simulation.run()
        if self._first and self._as_json:
            click.echo(json.dumps({**asdict(summary), "folder": str(output)}))
        elif self._first and not self._quiet:
            click.echo(f"results: {output}")

    def _model(self) -> Model:
        with stage("making meshes and cells", self._quiet or not self._first, self._verbose and self._first):
            return build_model(self.case, self.comm)

    def _write_case(self, output: Path) -> None:
        content = {
            "file": str(self.case.file.resolve()),
            "case": understood(self.case),
            "versions": versions(),
            "ranks": self.comm.size,
        }
        write_json(output / CASE, content)

    def _tell(self, warning: str) -> None:
        """Let a warning stand in the log and on the standard error output."""
        logging.getLogger("fe2").warning("%s", warning)
        if self._first:
            click.echo(f"fe2: {warning}", err=True)

    @contextmanager
    def _logging(self, file: Path, mode: str) -> Iterator[None]:
        """Let rank 0 write the lines of the progress, and the error that ends the run, to a file."""
        if not self._first:
            yield
            return
        log = logging.getLogger("fe2")
        try:
            handler = logging.FileHandler(file, mode=mode, encoding="utf-8")
        except OSError as error:
            raise Fe2Error(f"cannot write {file}: {error.strerror or error}") from error
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
        log.addHandler(handler)
        level, log.level = log.level, logging.INFO
        try:
            log.info("fe2 run %s, ranks: %d", self.case.file, self.comm.size)
            with told_warnings(self._tell):
                yield
        except BaseException as error:
            log.error("ended by %s: %s", type(error).__name__, error)
            raise
        finally:
            log.removeHandler(handler)
            log.level = level
            handler.close()


def _refuse_results(folder: Path, force: bool, resume: bool) -> None:
    earlier = earlier_results(folder)
    can_resume = (folder / CHECKPOINT / INDEX).exists() or is_unfinished(folder)
    if not earlier or force or (resume and can_resume):
        return
    ways = "--force replaces them; or choose another output.folder, or move them"
    if resume:
        raise InputError(
            f"{folder} holds the results of a finished run but no checkpoint to resume from: {ways}"
        )
    raise InputError(
        f"{folder} holds the results of an earlier run, {earlier[0].name} among them: --resume goes on from "
        f"its checkpoint; {ways}"
    )


def set_petsc_options(options: str, *, residuals: bool) -> None:
    """Hand options over to PETSc.

    Args:
        options: As PETSc's programs take them: "-fe2_macro_ksp_monitor".
        residuals: Show the residuals of the macroscopic Newton iteration.
    """
    from petsc4py import PETSc

    database: Any = PETSc.Options()
    database.insertString(options)
    if residuals and not database.hasName(f"{OPTIONS_PREFIX}snes_monitor"):
        database[f"{OPTIONS_PREFIX}snes_monitor"] = None
