"""Cells that do not resist a gradient, which would make the macroscopic problem singular, are refused."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from fe2.errors import InputError, MicroSolveError
from fe2.micro.model import MicroModel
from fe2.micro.points import NOWHERE, Point


def check_closed(micro: MicroModel, closed: Collection[str]) -> None:
    """Refuse a cell whose structure is closed along an axis, before anything is solved.

    Raises:
        InputError: An axis is not among those that may be closed, or one of these is no component.
    """
    names = micro.kinematics.directions.names
    if unknown := [name for name in _names(closed) if name not in names]:
        raise InputError(
            f"closed names {', '.join(unknown)}, but the components of the "
            f"{micro.kinematics.gradient_name} are {', '.join(names)}"
        )
    if found := [axis for axis in micro.kinematics.closed if axis not in _names(closed)]:
        raise InputError(
            f"the cell is closed along {', '.join(found)}: what conducts is not connected with its periodic "
            f"images there, and nothing passes. {_SAY_SO} closed = {found}"
        )


def check_resistance(micro: MicroModel, closed: Collection[str], point: Point = NOWHERE) -> None:
    """Refuse a micro model whose virgin tangent at a point is singular: so would be the macroscopic problem.

    Raises:
        InputError: Nothing resists a direction of the gradient that is not made of the components that may
            be closed.
    """
    kinematics = micro.kinematics
    try:
        tangent = micro.virgin_tangent(point)
    except MicroSolveError:
        return  # the first load shows what is wrong
    names = np.array(kinematics.directions.names)
    directions, components = kinematics.singular_directions(tangent)
    allowed = np.isin(names, _names(closed))
    if found := [name for name, has in zip(directions, components, strict=True) if np.any(has & ~allowed)]:
        needed = names[np.any(components, axis=0)].tolist()
        raise InputError(
            f"the effective tangent of the cell is singular: nothing resists the {kinematics.gradient_name} "
            f"{', '.join(found)}. {_SAY_SO} closed = {needed}"
        )


_SAY_SO = "Where the macroscopic problem does not need this, say so with"


def _names(closed: Collection[str]) -> list[str]:
    return [closed] if isinstance(closed, str) else list(closed)
