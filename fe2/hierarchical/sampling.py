"""Sampling: a cell is solved along many paths by all ranks, and what was solved survives a kill."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path as File

from mpi4py import MPI

from fe2.errors import InputError
from fe2.hierarchical.database import (
    Database,
    digest_of,
    digests,
    finished_parts,
    identity_of,
    parts_folder,
    read_database,
    write_database,
    write_part,
)
from fe2.hierarchical.paths import Path
from fe2.hierarchical.solved_path import SolvedPath, solve_path
from fe2.hierarchical.training_memory import check_training_memory
from fe2.io.vtu import naming
from fe2.micro.rve import RVE
from fe2.parallel import on_every_rank, on_root


def sample(
    rve: RVE,
    paths: Sequence[Path],
    file: str | File,
    *,
    states: bool = True,
    units: str = "",
    comment: str = "",
    comm: MPI.Comm = MPI.COMM_SELF,
    progress: Callable[[int, int], None] | None = None,
) -> Database:
    """Solve a cell along paths and keep all in a database; collective over `comm`, which shares the work.

    Every solved path is on the disk at once. Called again, on any number of ranks, it solves what is
    missing only; called with further paths it extends the database.

    Args:
        rve: The cell, on this process alone.
        paths: The paths, the same on all ranks.
        file: The HDF5 file.
        states: Whether states (fluctuation and history) are kept, as a reduced cell needs them.
        units: Units of all numbers, in words.
        comment: How the paths were chosen, with the seed.
        comm: Ranks that share the work.
        progress: Called with the numbers of paths done and to do on this rank.

    Returns:
        The database, on all ranks; paths that failed are in it up to there, with the reason.

    Raises:
        InputError: On all ranks: there are no paths, the file was made with another cell, or the states of
            all paths do not fit into the memory.
        Fe2Error: On all ranks: a file could not be written.
    """
    file = File(file)
    identity = identity_of(rve)
    on_every_rank(comm, lambda: _check(rve, paths, states))
    names = [digest_of(path, states) for path in paths]
    done = comm.bcast(on_root(comm, lambda: _done(file, identity)))
    missing = [
        (name, path) for name, path in dict(zip(names, paths, strict=True)).items() if name not in done
    ]
    own = missing[comm.rank :: comm.size]

    def work() -> None:
        for number, (_, path) in enumerate(own):
            write_part(file, identity, solve_path(rve, path, states=states))
            if progress is not None:
                progress(number + 1, len(own))

    on_every_rank(comm, work)
    on_root(comm, lambda: _merge(file, names, identity, units, comment))
    return on_every_rank(comm, lambda: read_database(file, rve))


def _check(rve: RVE, paths: Sequence[Path], states: bool) -> None:
    if not paths:
        raise InputError("sampling needs one path at least")
    check_training_memory(rve, paths, states=states)


def _done(file: File, identity: dict[str, object]) -> set[str]:
    """Digests of the paths that were solved before; the folder for parts is made."""
    found = {name for name, _ in finished_parts(file, identity)}
    if file.exists():
        database = read_database(file)
        database.check_identity(identity)
        found |= set(digests(database))
    with naming(file):
        parts_folder(file).mkdir(parents=True, exist_ok=True)
    return found


def _merge(file: File, names: list[str], identity: dict[str, object], units: str, comment: str) -> None:
    """One file of what was there before and of the parts, in the order of the paths."""
    solved: dict[str, SolvedPath] = {}
    if file.exists():
        before = read_database(file)
        solved = digests(before)
        comment = before.comment if comment in before.comment else f"{before.comment}; {comment}".strip("; ")
        units = units or before.units
    parts = dict(finished_parts(file, identity))
    for name in [*names, *parts]:
        if name not in solved:
            solved[name] = read_database(parts[name]).paths[0]
    if parts or not file.exists():
        write_database(Database(file, identity, units, comment, list(solved.values())))
    shutil.rmtree(parts_folder(file))
