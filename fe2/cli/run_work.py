"""What `fe2 run` does: the run itself with its log and its records, or the rehearsal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from mpi4py import MPI
from petsc4py import PETSc

from fe2.case.build_run import Model, build_model, build_problem, build_simulation
from fe2.case.run_case import RunCase, read_run_case
from fe2.case.understood import understood
from fe2.cli.cores import check_ranks
from fe2.cli.output import Voice, write_json
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
from fe2.parallel import on_every_rank, on_root

LOG, CASE = "run.log", "case_understood.json"


def carry_out(
    file: Path,
    dry_run: bool,
    force: bool,
    resume: bool,
    ranks: int | None,
    petsc: str | None,
    profile: bool,
    voice: Voice,
    **parallel: str | None,
) -> None:
    """Run a case file, or say how large the run is; collective.

    Args:
        file: The case.
        dry_run: Make everything but the states, and say how large the run is.
        force: Replace the results of an earlier run.
        resume: Go on from its checkpoint, if there is one.
        ranks: Number of ranks that is wanted.
        petsc: Options of PETSc, as its programs take them: "-fe2_macro_ksp_monitor".
        profile: Print where the time went.
        voice: How much is said.
        parallel: Keys of the table [parallel], where they are given.
    """
    comm = MPI.COMM_WORLD
    check_ranks(comm, ranks, voice.quiet)
    _set_petsc_options(petsc or "", residuals=voice.verbose)
    case = on_every_rank(comm, lambda: read_run_case(file, parallel))
    output = case.path(case.tables.output.folder)

    def model() -> Model:
        with voice.stage("making meshes and cells"):
            return build_model(case, comm)

    if dry_run:
        facts = rehearsal(model())
        voice.tell(facts, lambda: click.echo(rehearsal_text(facts)), always=True)
        return
    on_root(comm, lambda: refuse_links(output))
    with one_run(comm, output):  # before the long work
        on_root(comm, lambda: _refuse_results(output, force, resume))
        made = model()
        observers = [Progress(quiet=voice.quiet or voice.json, profile=profile), Pictures(made, output)]
        simulation = build_simulation(
            made, build_problem(made), overwrite=force, resume=resume, observers=observers
        )
        on_root(comm, lambda: _write_case(case, comm, output))
        with _logging(output / LOG, "a" if resume else "w", case, comm):
            summary = simulation.run()
        voice.tell({**asdict(summary), "folder": str(output)}, lambda: click.echo(f"results: {output}"))


def _write_case(case: RunCase, comm: MPI.Comm, output: Path) -> None:
    facts = {"file": str(case.file.resolve()), "case": understood(case), "versions": versions()}
    write_json(output / CASE, {**facts, "ranks": comm.size})


@contextmanager
def _logging(file: Path, mode: str, case: RunCase, comm: MPI.Comm) -> Iterator[None]:
    """Let rank 0 write the lines of the progress, and the error that ends the run, to a file."""
    if comm.rank > 0:
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
        log.info("fe2 run %s, ranks: %d", case.file, comm.size)
        with told_warnings(_tell):
            yield
    except BaseException as error:
        log.error("ended by %s: %s", type(error).__name__, error)
        raise
    finally:
        log.removeHandler(handler)
        log.level = level
        handler.close()


def _tell(warning: str) -> None:
    """Let a warning stand in the log and on the standard error output."""
    logging.getLogger("fe2").warning("%s", warning)
    click.echo(f"fe2: {warning}", err=True)


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


def _set_petsc_options(options: str, *, residuals: bool) -> None:
    """Hand options over to PETSc, and show the residuals of the macroscopic Newton iteration if wanted."""
    database: Any = PETSc.Options()
    database.insertString(options)
    if residuals and not database.hasName(f"{OPTIONS_PREFIX}snes_monitor"):
        database[f"{OPTIONS_PREFIX}snes_monitor"] = None
