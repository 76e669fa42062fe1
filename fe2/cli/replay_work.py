"""What `fe2 replay` does: builds the RVE, solves it, tells and draws how its iteration goes."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from mpi4py import MPI

from fe2.case.build_cell import build_rve
from fe2.case.build_laws import Subdomain
from fe2.case.run_case import RunCase
from fe2.case.understood import case_of
from fe2.cli.output import Voice, number
from fe2.cli.run_pictures import default_fields
from fe2.errors import Fe2Warning, InputError, PictureError, place
from fe2.io.failure_file import FailedPoint, read_failure
from fe2.io.pictures import draw_cell
from fe2.io.replay import Replay, replay_failure, whole_cell
from fe2.micro.model import MicroModel
from fe2.micro.newton import NewtonOptions


def carry_out(
    file: Path,
    tolerance: float | None,
    max_iterations: int | None,
    local_field: str | None,
    output: Path | None,
    as_json: bool,
) -> int:
    """Replay a failure; the exit status.

    Raises:
        InputError: The file cannot be read, does not say how its micro model is made, or is of a cell that
            was replaced by something made beforehand, with no whole cell behind it.
    """
    failed, picture = read_failure(file), output or file.with_name("replay.png")
    case = _case(file, failed)
    result = replay_failure(file, _model(file, case, failed.law, tolerance, max_iterations))
    rve = result.rve
    field = local_field or default_fields(rve.kinematics)[1]
    Voice(as_json).tell(_facts(result, picture), lambda: click.echo(_text(result, picture)))
    try:
        draw_cell(rve.fields(result.state), picture, field, at=failed.coordinates, residuals=result.norms)
    except PictureError as error:
        warnings.warn(str(error), Fe2Warning, stacklevel=2)
    return 0 if result.response is not None else 1


def _case(file: Path, failed: FailedPoint) -> RunCase:
    if failed.case is None:
        raise InputError(
            f"{file} is of a run from a script, and does not say how its micro model is made: make it as the "
            f"script does and call fe2.replay_failure({str(file)!r}, micro)"
        )
    return case_of(failed.case, file)


def _model(
    file: Path, case: RunCase, law: int, tolerance: float | None, max_iterations: int | None
) -> MicroModel:
    """The micro model of the law that failed, whose RVE has the options wanted."""
    laws = [(name, found) for name, found in case.laws.items() if found.model is not None]
    if not 0 <= law < len(laws):
        raise InputError(f"{file}: the law that failed has the number {law}, but the case has {len(laws)}")
    name, found = laws[law]
    options = NewtonOptions(**case.tables.solver.micro.model_dump())
    if tolerance is not None:
        options = replace(options, tolerance=tolerance)
    if max_iterations is not None:
        options = replace(options, max_iterations=max_iterations)
    rve = None if found.cell is None else build_rve(found.cell, options)
    kinematics = found.physics.kinematics(2) if rve is None else rve.kinematics
    model = Subdomain(name, found, None, rve, kinematics, MPI.COMM_SELF, case.file).micro
    assert model is not None
    if whole_cell(model, model.initial_state(), model.kinematics.origin) is None:
        raise InputError(
            f'{file}: the law that failed has model = "{found.kind}", in which no whole cell is solved; only '
            "whole cells are replayed"
        )
    return model


def _facts(result: Replay, picture: Path) -> dict[str, Any]:
    failed = result.failed
    place = ("step", "time", "dt", "cell", "point", "coordinates", "gradient")
    return {
        "solved": result.response is not None,
        "error": result.error,
        "residuals": list(result.norms),
        **{name: getattr(failed, name) for name in place},
        "picture": str(picture),
    }


def _text(result: Replay, picture: Path) -> str:
    failed, kinematics = result.failed, result.rve.kinematics
    lines = [
        f"the run said: {failed.message}",
        f"load step {failed.step}, from time {failed.time:g}, step of length {failed.dt:g}",
        f"macroscopic cell {failed.cell}, quadrature point {failed.point}, at {place(failed.coordinates)}",
        kinematics.described(failed.gradient),
        "residuals of the cell at every field that was tried:",
        *(f"  {k:3d}  {norm:.6e}" for k, norm in enumerate(result.norms)),
    ]
    if result.response is None:
        lines.append(f"failed again: {result.error}")
    else:
        values = dict(zip(kinematics.flux_names, result.response.flux / kinematics.scale, strict=True))
        flux = ", ".join(f"{name} = {number(value)}" for name, value in values.items())
        lines.append(f"solved this time: {flux}")
    return "\n".join([*lines, f"picture: {picture}"])
