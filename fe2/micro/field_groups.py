r"""Which fields of a cell's unknown are measured together, and with what weights.

Fields on which elastic forces :math:`K_{ff} X_f g` of their own act in the virgin cell lead a group each:
displacements, a temperature. All others, as the pressure of an incompressible phase, belong to the group of
the field with which they couple most, with a weight that makes their residuals as large as that field's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array, Ints
from fe2.micro.form import CellForm
from fe2.micro.problem import CellProblem

_NONE = 1e-10
"""Forces that are the round-off of their summands, relative to them."""


@dataclass(frozen=True, eq=False)
class FieldGroup:
    """Fields that are measured together.

    Attributes:
        dofs: Degrees of freedom of all of them.
        weights: Weights of their residuals, of the same shape.
        leading: Degrees of freedom of the field that leads.
    """

    dofs: Ints
    weights: Array
    leading: Ints


def field_groups(problem: CellProblem, forces: Array) -> list[FieldGroup]:
    """The groups of a cell whose virgin stiffness is assembled; given fields belong to none.

    Args:
        problem: The cell problem.
        forces: Forces :math:`K_f X` of the virgin cell, shape (N, m).
    """
    fields = [dofs for _, dofs in problem.form.fields()]
    if len(fields) == 1:
        return [FieldGroup(fields[0], np.ones(len(fields[0])), fields[0])]
    solved = [f for f, dofs in enumerate(fields) if np.any(problem.boundary.free[dofs] >= 0)]
    leaders = [f for f in solved if _has_own_forces(problem, fields[f])] or solved[:1]
    couplings = _couplings(problem, fields)
    summands = abs(problem.stiffness) @ np.abs(problem.form.modes)
    sizes = [_size(forces[dofs], summands[dofs]) for dofs in fields]
    leader_of = {f: f if f in leaders else _nearest(f, leaders, couplings) for f in solved}
    groups = []
    for leader in leaders:
        members = [f for f in solved if leader_of[f] == leader]
        weights = [_weight(problem, f, leader, sizes, couplings) for f in members]
        groups.append(
            FieldGroup(
                np.concatenate([fields[f] for f in members]),
                np.concatenate([np.full(len(fields[f]), w) for f, w in zip(members, weights, strict=True)]),
                fields[leader],
            )
        )
    return groups


def component_groups(form: CellForm) -> list[Ints]:
    """Components of gradient and flux by the field that their modes move: those have comparable works.

    Each value is a group of its own.
    """
    moved = np.array([np.any(form.modes[dofs] != 0.0, axis=0) for _, dofs in form.fields()])
    field = np.argmax(moved, axis=0)
    for number, value in enumerate(form.values):
        field[value.component] = len(moved) + number
    return [np.flatnonzero(field == f) for f in np.unique(field)]


def _has_own_forces(problem: CellProblem, dofs: Ints) -> bool:
    modes = np.zeros_like(problem.form.modes)
    modes[dofs] = problem.form.modes[dofs]
    forces, summands = problem.stiffness @ modes, abs(problem.stiffness) @ np.abs(modes)
    return _size(forces[dofs], summands[dofs]) > 0.0


def _couplings(problem: CellProblem, fields: list[Ints]) -> Array:
    """Size of the block of the stiffness with the rows of one field and the columns of another."""
    columns = np.zeros((len(problem.form.modes), len(fields)))
    for f, dofs in enumerate(fields):
        columns[dofs, f] = 1.0
    sums = abs(problem.stiffness) @ columns
    return np.array([np.linalg.norm(sums[dofs], axis=0) for dofs in fields])


def _nearest(field: int, leaders: list[int], couplings: Array) -> int:
    """The leader g with the largest K_fg K_gf / K_gg, which has the units of K_ff whatever those of g are."""
    there, back = couplings[field, leaders], couplings[leaders, field]
    strength = there * back / couplings[leaders, leaders]
    if not np.any(strength):
        strength = there + back  # in one direction only, if at all
    return leaders[int(np.argmax(strength))]


def _weight(problem: CellProblem, field: int, leader: int, sizes: list[float], couplings: Array) -> float:
    """What makes the residuals of a field as large as those of its leader."""
    if sizes[field] and sizes[leader]:
        return sizes[leader] / sizes[field]
    if given := problem.form.weights:
        return given[field] / given[leader]
    block = couplings[field, leader]
    return float(couplings[leader, leader] / block) if block and couplings[leader, leader] else 1.0


def _size(forces: Array, summands: Array) -> float:
    """Norm of the forces, or zero where they are the round-off of their summands."""
    norm = float(np.linalg.norm(forces))
    return norm if norm > _NONE * float(np.linalg.norm(summands)) else 0.0
