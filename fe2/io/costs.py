"""Costs of points as a run measured them: what balance rests on, for the simulation of larger machines."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.io.observer import Observer
from fe2.io.vtu import naming
from fe2.parallel import together
from fe2.records import StepRecord

COSTS = "costs.csv"


class CostRecorder(Observer):
    """Writes the seconds of every point in every accepted step as a line of ``costs.csv``.

    Points stand in the order of ranks and laws.
    """

    def __init__(self, folder: str | Path) -> None:
        """Keep the folder, which is that of the results."""
        self._path = Path(folder) / COSTS

    def accepted(self, record: StepRecord) -> None:
        """Append a line; collective.

        Raises:
            Fe2Error: On all ranks, where the file could not be written.
        """
        comm = self.run.problem.comm
        gathered = comm.gather(np.concatenate([law.pool.costs() for law in self.run.problem.laws]))
        with together(comm):
            if gathered is not None:
                with naming(self._path), self._path.open("a") as file:
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
