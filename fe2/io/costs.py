"""Costs of points as a run measured them: what balance rests on, for the simulation of larger machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.errors import InputError
from fe2.io.macro_fields import Law
from fe2.io.vtu import naming
from fe2.parallel import together

Array = npt.NDArray[np.float64]

COSTS = "costs.csv"


def append_costs(folder: Path, laws: Sequence[Law], comm: MPI.Comm) -> None:
    """Append the seconds of every point in the last accepted step as a line of ``costs.csv``; collective.

    Points stand in the order of ranks and laws.

    Raises:
        Fe2Error: On all ranks, where the file could not be written.
    """
    own = np.concatenate([law.pool.costs() for law in laws])
    gathered = comm.gather(own)
    with together(comm):
        if gathered is not None:
            path = folder / COSTS
            with naming(path), path.open("a") as file:
                np.savetxt(file, np.concatenate(gathered)[None, :], fmt="%.4e", delimiter=",")


def read_costs(path: str | Path) -> Array:
    """Seconds of every point in every step, shape (steps, points).

    Raises:
        InputError: The file is no table of costs.
    """
    try:
        costs: Array = np.loadtxt(path, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} does not hold costs of points: {error}") from error
    if not costs.size or not np.all(costs >= 0.0):
        raise InputError(f"{path} does not hold costs of points: they are numbers that are not negative")
    return costs
