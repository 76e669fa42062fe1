"""The file of a failure: all that is needed to solve the one RVE again that ended a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from fe2.arrays import Array
from fe2.dispatch.opaque import unpacked
from fe2.errors import InputError
from fe2.identity import difference
from fe2.io.hdf5_file import opened, put, written_whole
from fe2.io.hdf5_table import table
from fe2.micro.model import MicroModel
from fe2.micro.points import Point
from fe2.parallel import together

if TYPE_CHECKING:
    from fe2.macro.problem import MacroProblem as Problem


FILE = "failure.h5"
_ARRAYS = ("coordinates", "gradient", "state")


class FailedPoint(BaseModel):
    """A quadrature point whose RVE was not solved, at the smallest step.

    Attributes:
        message: What the run said.
        step: Number of the planned load step, from one.
        time: Time of the last accepted step.
        dt: Length of the step that failed.
        law: Number of the law among those with a micro model.
        cell: Number of the macroscopic cell in the mesh as it was read or made.
        point: Number of the quadrature point in the cell.
        coordinates: Its coordinates.
        gradient: Macroscopic gradient that was not reached, internal components, shape (m,).
        state: What has to be stored of the committed state, from which the step started.
        micro: What the micro model is, as facts.
        case: The tables of the case file as they were understood, or None.
        number: Number of the point, as the micro model was told it.
        parameters: Its parameters by name.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)

    message: str
    step: int
    time: float
    dt: float
    law: int
    cell: int
    point: int
    coordinates: Array
    gradient: Array
    state: Array
    micro: Mapping[str, Any]
    case: Mapping[str, Any] | None
    number: int
    parameters: Mapping[str, Any]

    @property
    def place(self) -> Point:
        """The point, as the micro model was told it."""
        parameters = {name: np.asarray(value) for name, value in self.parameters.items()}
        return Point(self.number, self.coordinates, parameters)

    def state_of(self, model: MicroModel) -> Array:
        """The committed state for a micro model, which has to be the one that failed.

        Raises:
            InputError: It is another one; the difference is named.
        """
        if text := difference(self.micro, json.loads(json.dumps(model.describe()))):
            raise InputError(f"this is not the micro model that failed: {text}")
        if len(self.gradient) != model.kinematics.size or len(self.state) != model.stored_size:
            raise InputError(
                f"the file of the failure has {len(self.gradient)} components and {len(self.state)} numbers "
                f"of state; the micro model has {model.kinematics.size} and {model.stored_size}"
            )
        if model.dump_size is not None:
            row: Array = model.load(unpacked(self.state[None]))[0]
            return row
        return model.state.restored(self.state[None], model.initial_state())[0]


def write_failure(
    path: Path, problem: Problem, message: str, step: int, time: float, case: Mapping[str, Any] | None
) -> MicroModel | None:
    """Write the file of the point that a message is about; collective.

    Returns:
        The micro model that failed, or None where the message is about none and there is nothing to write.

    Raises:
        Fe2Error: On all ranks, where the file could not be written.
    """
    failures = [(k, law, law.failure) for k, law in enumerate(problem.laws) if law.failure is not None]
    found = [entry for entry in failures if entry[2].message in message]
    if not found:
        return None
    number, law, failure = found[0]
    mine = failure.point >= 0
    chosen = np.array([failure.point] if mine else [], dtype=np.int64)
    if law.micro.dump_size is None:
        states = law.micro.state.stored(law.pool.fetch(chosen))
    else:
        states = law.pool.stored()[chosen]
    micro, coordinates = law.micro.describe(), law.coordinates()
    with together(problem.comm):
        if mine:
            row, inner = divmod(failure.point, law.points_per_cell)
            point = law.points.point(failure.point)
            content = {
                **{"message": message, "step": step, "time": time, "dt": failure.dt, "law": number},
                **{"cell": int(law.numbers()[row]), "point": inner, "micro": micro, "case": case},
                "number": point.number,
                "parameters": {name: np.asarray(value).tolist() for name, value in point.parameters.items()},
            }
            with written_whole(path) as file:
                put(file, "content", np.frombuffer(json.dumps(content).encode(), dtype=np.uint8))
                values = coordinates[failure.point], failure.gradient, states[0]
                for name, array in zip(_ARRAYS, values, strict=True):
                    put(file, name, array)
    return law.micro


def read_failure(path: str | Path) -> FailedPoint:
    """Read the file of a failure; nothing in it is executed.

    Raises:
        InputError: It is missing, damaged, or another file.
    """
    with opened(Path(path), "the file of a failure", sealed=True) as file:
        facts = json.loads(table(file, "content", np.uint8, (None,))[:].tobytes())
        arrays = {name: table(file, name, np.float64, (None,))[:] for name in _ARRAYS}
        return FailedPoint(**{**facts, **arrays})
