"""The quadrature points of a law: numbers, places, and parameters that are fields of the mesh."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from dolfinx import fem
from dolfinx import mesh as dmesh
from ufl.core.expr import Expr
from ufl.domain import extract_domains

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.macro.domain import CellDomain
from fe2.micro.model import MicroModel
from fe2.micro.points import Points
from fe2.parallel import on_every_rank

type Parameter = Expr | fem.Function | npt.ArrayLike
"""An expression or a function on the mesh, a number for all points, or an array with a row for each."""


def points_of(
    mesh: dmesh.Mesh, domain: CellDomain, parameters: Mapping[str, Parameter], micro: MicroModel
) -> Points:
    """The points of a law, which suit a micro model; collective.

    Args:
        mesh: The macroscopic mesh.
        domain: Where the law holds.
        parameters: Parameters of the points by name; functions and expressions are evaluated now, once:
            later changes of them are not seen.
        micro: The micro model.

    Raises:
        InputError: On all ranks: the model does not take these parameters, one has the wrong shape, or is not
            finite somewhere.
    """
    on_every_rank(mesh.comm, lambda: _check_names(parameters, micro))
    fields = {name: _on(mesh, name, value) for name, value in parameters.items() if isinstance(value, Expr)}
    evaluated = {name: domain.evaluator(field)() for name, field in fields.items()}
    coordinates = domain.coordinates()
    n, per_cell = len(coordinates), domain.points_per_cell

    def values(name: str, given: Parameter) -> Array:
        if isinstance(given, Expr):
            return np.asarray(evaluated[name], dtype=np.float64).reshape(n, *given.ufl_shape)
        array = np.asarray(given, dtype=np.float64)
        if array.ndim and len(array) != n:
            raise InputError(f"parameters: {name} has {len(array)} rows, and this rank has {n} points")
        return array if array.ndim else np.full(n, array)

    def points() -> Points:
        numbers = domain.numbers()[:, None] * per_cell + np.arange(per_cell)
        found = {name: values(name, given) for name, given in parameters.items()}
        result = Points(numbers.reshape(-1), coordinates, found)
        micro.check_points(result)
        return result

    return on_every_rank(mesh.comm, points)


def _on(mesh: dmesh.Mesh, name: str, value: Expr) -> Expr:
    """An expression on the mesh, to which it has to belong where it is no constant.

    Raises:
        InputError: It is one of another mesh.
    """
    domains = extract_domains(value)
    if any(domain != mesh.ufl_domain() for domain in domains):
        raise InputError(f"parameters: {name} is an expression on another mesh than the gradient of the law")
    return value if domains else fem.Constant(mesh, 1.0) * value


def _check_names(parameters: Mapping[str, Parameter], micro: MicroModel) -> None:
    taken, kind = micro.parameters, type(micro).__name__
    if unknown := [name for name in parameters if name not in taken]:
        known = f"it takes {', '.join(taken)}" if taken else "it takes none"
        raise InputError(f"parameters: the micro model {kind} does not take {', '.join(unknown)}; {known}")
    if missing := [name for name in taken if name not in parameters]:
        raise InputError(
            f"parameters: the micro model {kind} needs {', '.join(missing)} at each point: "
            f"give parameters={{{missing[0]!r}: ...}} to the law"
        )
