"""Training: cells solved along paths, kept as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fe2.errors import InputError, MicroSolveError
from fe2.hierarchical.paths import Path
from fe2.micro.rve import RVE

Array = npt.NDArray[np.float64]

_HALVINGS = 6


@dataclass(frozen=True, eq=False)
class Snapshots:
    """What a cell went through along one path; k steps.

    Attributes:
        steps: Lengths of the time steps, shape (k,).
        gradients: Gradients at the ends of the steps, shape (k, m).
        fluxes: Fluxes, shape (k, m).
        states: States before the first step and at the end of each, what lasts of them: gradient, free
            fluctuations and history as :class:`~fe2.micro.state.StateLayout` places them, shape
            (k + 1, lasting_size).
    """

    steps: Array
    gradients: Array
    fluxes: Array
    states: Array

    @property
    def path(self) -> Path:
        """The path, with the steps that were taken."""
        return Path(np.cumsum(self.steps), self.gradients)


def follow(rve: RVE, path: Path) -> Snapshots:
    """Solve the cell along a path; a step that fails is cut in halves, which are recorded both.

    Raises:
        InputError: The path does not fit the cell.
        MicroSolveError: A step failed at 1/64 of its length.
    """
    if path.gradients.shape[1] != rve.kinematics.size:
        raise InputError(
            f"a path has {path.gradients.shape[1]} components; this cell takes {rve.kinematics.size}: "
            f"{', '.join(rve.kinematics.components)}"
        )
    size = rve.problem.layout.lasting_size
    row, trial = rve.initial_state(), rve.initial_state()
    last = rve.kinematics.origin
    kept: list[tuple[float, Array, Array]] = []
    states = [row[:size].copy()]
    for number, (dt, end) in enumerate(zip(path.steps, path.gradients, strict=True)):
        done, part = 0.0, 1.0
        while done < 1.0:
            gradient = last + (end - last) * part / (1.0 - done)
            try:
                response = rve.solve(gradient, row, part * dt, trial)
            except MicroSolveError as error:
                part *= 0.5
                if part < 0.5**_HALVINGS:
                    raise MicroSolveError(f"training failed in step {number} of a path, {error}") from error
                trial[:] = row
                continue
            row[:] = trial
            kept.append((part * dt, gradient, response.flux))
            states.append(row[:size].copy())
            done, last = done + part, gradient
    steps, gradients, fluxes = zip(*kept, strict=True)
    return Snapshots(np.array(steps), np.array(gradients), np.array(fluxes), np.array(states))


def train(rve: RVE, paths: Sequence[Path | Snapshots]) -> list[Snapshots]:
    """Solve the cell along all paths; what was solved already is taken as it is.

    Raises:
        InputError: There is no path, or one does not fit the cell.
        MicroSolveError: A step failed; the message says which.
    """
    if not paths:
        raise InputError("training needs one path at least")
    return [path if isinstance(path, Snapshots) else follow(rve, path) for path in paths]
