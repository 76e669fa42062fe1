r"""Norms of the residuals of a cell: each field of the unknown against its own forces.

Residuals of displacements are forces, those of a temperature heat flows: no norm adds them up. `FieldGroup`
says what is measured together, and a cell is in equilibrium where every group is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np

from fe2.arrays import Array, Ints
from fe2.micro.field_groups import field_groups
from fe2.micro.problem import CellProblem

Rows = Ints | slice
Numbers = tuple[float, ...]
"""A number for each group."""

TINY = float(np.finfo(float).tiny)
ROUND_OFF = 1e-15
"""What is round-off, relative to the sum of the magnitudes of its summands."""


class GroupNorms(ABC):
    """Norms of the residuals of groups of unknowns, and what they are compared with.

    Attributes:
        count: Number of groups.
    """

    def __init__(self, free: list[tuple[Rows, Array]], leading: list[Ints]) -> None:
        """Keep the groups.

        Args:
            free: Numbers of the free fluctuations of each group, and weights of their residuals.
            leading: Numbers of those of the field that leads the group.
        """
        self._free, self._leading, self.count = free, leading, len(free)

    def free(self, residual: Array) -> Numbers:
        """Norms of the residual of the free fluctuations (n,)."""
        return tuple(vector_length(weights * residual[rows]) for rows, weights in self._free)

    def works(self, direction: Array, residual: Array) -> Numbers:
        """Work of the residual on a direction; of several groups, relative to the length of the direction."""
        if self.count == 1:
            return (float(direction @ residual),)
        return tuple(
            float(direction[rows] @ residual[rows]) / max(vector_length(direction[leading]), TINY)
            for (rows, _), leading in zip(self._free, self._leading, strict=True)
        )

    @abstractmethod
    def forces(self, gradient: Array, committed: Array) -> Numbers:
        """Norms of the forces of an elastic response to a gradient, the committed one being another."""

    @abstractmethod
    def nodal(self, nodal: Array) -> Numbers:
        """Norms of the forces that make up the nodal residual (N,)."""

    @abstractmethod
    def round_off(self) -> Numbers:
        """Norms that are the round-off of the present field."""


class ResidualNorms(GroupNorms):
    """Norms by group of fields of a whole cell.

    Attributes:
        free_weights: What makes the residuals of all fields as large as those of the first, shape (n,).
    """

    def __init__(self, problem: CellProblem) -> None:
        """Group the fields; residual and stiffness of the virgin cell have to be assembled."""
        self._problem, free = problem, problem.boundary.free
        forces = problem.forces(np.eye(problem.form.kinematics.size))
        groups = field_groups(problem, forces)
        factors = [np.linalg.qr(g.weights[:, None] * forces[g.dofs], mode="r") for g in groups]
        sizes = [float(np.linalg.norm(factor)) for factor in factors]
        self._factors, origin = factors, problem.form.kinematics.origin_size
        self._virgin = problem.form.kinematics.origin
        self._origin = tuple(ROUND_OFF * origin * size for size in sizes)
        weights, everywhere = np.zeros(len(free)), np.zeros(problem.boundary.size)
        self.free_weights = np.ones(problem.boundary.size)
        self._nodal: list[tuple[Rows, Array]] = []
        by_group: list[tuple[Rows, Array]] = []
        leading = [np.unique(free[g.leading][free[g.leading] >= 0]) for g in groups]
        for group, size in zip(groups, sizes, strict=True):
            weights[group.dofs] = group.weights
            kept = group.dofs[free[group.dofs] >= 0]
            everywhere[free[kept]] = weights[kept]
            rows = np.unique(free[kept])
            self._nodal.append((group.dofs, group.weights))
            by_group.append((rows, everywhere[rows]))
            self.free_weights[rows] = everywhere[rows] * (sizes[0] / size if size else 1.0)
        if len(groups) == 1:  # nothing to be picked
            self._nodal, by_group = [(slice(None), weights)], [(slice(None), everywhere)]
        super().__init__(by_group, leading)
        # round-off hardly changes with the state
        several = len(problem.form.fields()) > 1 or problem.form.values
        self._magnitudes = abs(problem.stiffness) if several else None

    def forces(self, gradient: Array, committed: Array) -> Numbers:
        """Norms of the forces of an elastic response, to what differs from a virgin cell or to the change."""
        load, change = gradient - self._virgin, gradient - committed
        return tuple(
            max(vector_length(factor @ load), vector_length(factor @ change)) for factor in self._factors
        )

    def nodal(self, nodal: Array) -> Numbers:
        """Norms of the nodal residual (N,), the forces on the faces."""
        return tuple(vector_length(weights * nodal[rows]) for rows, weights in self._nodal)

    def round_off(self) -> Numbers:
        """Norms that are the round-off of the present field."""
        if self.count == 1:
            return self._origin
        summands = self.summands()
        return tuple(
            max(ROUND_OFF * vector_length(weights * summands[rows]), origin)
            for (rows, weights), origin in zip(self._nodal, self._origin, strict=True)
        )

    def summands(self) -> Array:
        """Sums of the magnitudes that make up an elastic residual of the present field, shape (N,)."""
        assert self._magnitudes is not None
        magnitudes: Array = self._magnitudes @ np.abs(self._problem.form.unknown.x.array)
        return magnitudes


def vector_length(vector: Array) -> float:
    """Norm of a vector, in less time than NumPy's where there are few components."""
    return math.sqrt(vector @ vector)
