"""Phase laws of either kind at single material points, without a cell problem.

Closed expressions are compiled as in a cell, with constants for their numbers, on a mesh of one element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI

from fe2.arrays import Ints
from fe2.errors import InputError
from fe2.jit import compile_expression
from fe2.physics.law import Array, ExpressionLaw, PhaseLaw, PointLaw, PointResponse
from fe2.physics.material_field import initial_values, structure_of


def respond(law: PhaseLaw, gradient: Array, history: Mapping[str, Array], dt: float = 1.0) -> PointResponse:
    """What `PointLaw.respond` returns, for a law of either kind."""
    if isinstance(law, PointLaw):
        return law.respond(gradient, history, dt)
    if not isinstance(law, ExpressionLaw):
        raise InputError(
            f"a {type(law).__name__} answers at no point by itself; the laws of which it is made do"
        )
    return _compiled(law, gradient.shape[1]).respond(law, gradient, history, dt)


def virgin(law: PhaseLaw, points: int, size: int, rows: Ints | None = None) -> dict[str, Array]:
    """History of virgin points, each variable of shape (points, components).

    Args:
        law: The law, or a field of materials.
        points: Number of points.
        size: Components of the local gradient.
        rows: Rows of the points' materials in a field, shape (points,).
    """
    rows = np.zeros(points, dtype=np.int64) if rows is None else rows
    return {name: values[rows] for name, values in initial_values(law, size).items()}


def drive(law: PhaseLaw, path: Sequence[Array], dt: float = 1.0) -> list[PointResponse]:
    """Responses of one virgin point to a sequence of gradients, each of shape (size,)."""
    history = virgin(law, 1, len(path[0]))
    responses = []
    for strain in path:
        responses.append(respond(law, np.array([strain]), history, dt))
        history = responses[-1].history
    return responses


def difference_tangent(
    law: PhaseLaw, strain: Array, history: Mapping[str, Array], dt: float, directions: Array, width: float
) -> Array:
    """Central differences of the flux at one point, one column for each row of `directions`."""
    count = len(directions)
    repeated = {name: np.repeat(values, count, axis=0) for name, values in history.items()}
    above = respond(law, strain + width * directions, repeated, dt).flux
    below = respond(law, strain - width * directions, repeated, dt).flux
    return (above - below).T / (2.0 * width)


@dataclass(frozen=True)
class _Compiled:
    """A law whose parameters, gradient, history and time step are constants of a one-cell mesh."""

    parameters: list[fem.Constant]
    gradient: fem.Constant
    history: dict[str, fem.Constant]
    dt: fem.Constant
    expression: fem.Expression

    def respond(
        self, law: ExpressionLaw, gradient: Array, history: Mapping[str, Array], dt: float
    ) -> PointResponse:
        law.with_constants(_Setter(self.parameters))
        self.dt.value = dt
        rows = np.array([self._row(g, {n: h[i] for n, h in history.items()}) for i, g in enumerate(gradient)])
        k = gradient.shape[1]
        widths = [k, k * k, *(values.shape[1] for values in history.values())]
        flux, tangent, *new = np.split(rows, np.cumsum(widths)[:-1], axis=1)
        return PointResponse(flux, tangent.reshape(-1, k, k), dict(zip(history, new, strict=True)))

    def _row(self, gradient: Array, history: Mapping[str, Array]) -> Array:
        self.gradient.value = gradient
        for name, constant in self.history.items():
            constant.value = history[name].reshape(constant.ufl_shape)
        return self.expression.eval(_one_cell(), np.array([0], dtype=np.int32)).ravel()


class _Setter:
    """Gives constants the values of another instance of the law."""

    def __init__(self, constants: list[fem.Constant]) -> None:
        self._left = iter(constants)

    def __call__(self, value: float | Array) -> fem.Constant:
        constant = next(self._left)
        constant.value = value
        return constant


_COMPILED: dict[tuple[Any, ...], _Compiled] = {}


def _compiled(law: ExpressionLaw, size: int) -> _Compiled:
    """The law's code, which all instances share that differ in numbers only."""
    key = size, *structure_of(law)
    if key not in _COMPILED:
        _COMPILED[key] = _compile(law, size)
    return _COMPILED[key]


def _compile(law: ExpressionLaw, size: int) -> _Compiled:
    parameters: list[fem.Constant] = []

    def constant(value: float | Array) -> fem.Constant:
        parameters.append(fem.Constant(_one_cell(), value))
        return parameters[-1]

    symbolic = law.with_constants(constant)
    strain, dt = fem.Constant(_one_cell(), np.zeros(size)), fem.Constant(_one_cell(), 0.0)
    history = {
        name: fem.Constant(_one_cell(), np.zeros(count) if count > 1 else 0.0)
        for name, count in law.history(size).items()
    }
    gradient = ufl.variable(strain)
    flux = symbolic.flux(gradient, history, dt)
    new = symbolic.update(gradient, history, dt)
    parts = [flux, ufl.diff(flux, gradient), *(new[name] for name in history)]
    values = ufl.as_vector([part[i] for part in parts for i in np.ndindex(part.ufl_shape)])
    expression = compile_expression(values, np.array([[0.5]]), MPI.COMM_SELF)
    return _Compiled(parameters, strain, history, dt, expression)


@cache
def _one_cell() -> mesh.Mesh:
    return mesh.create_unit_interval(MPI.COMM_SELF, 1)
