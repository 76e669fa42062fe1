r"""A cell whose axes are turned at each macroscopic point: fibres along a field, grains, layers of a shell.

With the rotation Q that takes the macroscopic axes to those of the cell, a gradient g is
:math:`g' = T g` in the cell's axes, where T follows from the macroscopic modes: the field of a gradient,
turned, is the field of the turned gradient. Work is the same in all axes, so that

.. math:: s = T^T s', \qquad A = T^T A' T.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fe2.arrays import Array
from fe2.errors import InputError, place
from fe2.micro.model import MicroModel
from fe2.micro.points import NOWHERE, TURNED_BY, Point, Points, Step, only
from fe2.micro.wrapper import Wrapper
from fe2.physics.kinematics import Block
from fe2.response import Answers

_ROUND_OFF = 1e-8
"""Difference of Q Qᵀ from the identity that a rotation may have."""


class Rotated(Wrapper):
    """A micro model whose axes are turned by a parameter of each point.

    In the plane the parameter is ``angle``, in radians, counterclockwise; in space ``rotation``, a matrix of
    shape (3, 3) whose columns are the axes of the cell. Histories and local fields are in the cell's axes.
    """

    def __init__(self, model: MicroModel) -> None:
        """Find out how gradients turn.

        Raises:
            InputError: The model's gradients are not made of values and first gradients of fields, or it is
                turned already.
        """
        super().__init__(model)
        self._dim = model.kinematics.dim
        self.parameter = TURNED_BY[self._dim]
        if self.parameter in model.parameters:
            raise InputError(f"the axes of a {type(model).__name__} are turned by {self.parameter} already")
        self.parameters = (*model.parameters, self.parameter)
        self._turns = [_Turn(block, self._dim) for block in model.kinematics.blocks]

    def around(self, *models: MicroModel) -> Rotated:
        """The same rotation of another model."""
        return Rotated(models[0])

    @property
    def is_linear(self) -> bool:
        """Where the model is."""
        return self.model.is_linear

    def linearized(self) -> Rotated:
        """The same rotation of the linearized model."""
        return Rotated(self.model.linearized())

    @property
    def description(self) -> dict[str, Any]:
        """The model's, and that its axes are turned."""
        return {"turned_by": self.parameter, **super().description}

    def check_points(self, points: Points) -> None:
        """Refuse what is no rotation.

        Raises:
            InputError: The parameter has another shape, or is no rotation; the point is named.
        """
        super().check_points(points)
        given = points.parameters[self.parameter]
        wanted = () if self._dim == 2 else (3, 3)
        if given.shape[1:] != wanted:
            raise InputError(f"parameters: {self.parameter} has the shape {given.shape[1:]} and not {wanted}")
        Q = self._rotations(points)
        errors = np.abs(Q @ Q.transpose(0, 2, 1) - np.eye(self._dim)).max(axis=(1, 2), initial=0.0)
        wrong = np.flatnonzero((errors > _ROUND_OFF) | (np.linalg.det(Q) < 0.0))
        if len(wrong):
            raise InputError(
                f"parameters: {self.parameter} at {place(points.coordinates[wrong[0]])} is no rotation: "
                f"{given[wrong[0]].tolist()}; the columns have to be orthonormal and right-handed"
            )

    def evaluate(
        self, gradients: Array, committed: Array, trial: Array, points: Points, step: Step, answers: Answers
    ) -> None:
        """The model's answers, with the gradient in its axes, in the macroscopic ones."""
        T = self._to_cell(points)
        turned = np.einsum("nij,nj->ni", T, gradients)
        super().evaluate(turned, committed, trial, points, step, answers)
        answers.flux[:] = np.einsum("nij,ni->nj", T, answers.flux)
        answers.tangent[:] = T.transpose(0, 2, 1) @ answers.tangent @ T

    def virgin_tangent(self, point: Point = NOWHERE) -> Array:
        """That of the model, in its own axes where nothing is known of the point."""
        tangent = self.model.virgin_tangent(point)
        if self.parameter not in point.parameters:
            return tangent
        T = self._to_cell(only(point))[0]
        return T.T @ tangent @ T

    def behind(self, state: Array, gradient: Array, point: Point) -> tuple[MicroModel, Array, Array]:
        """The model, and the gradient in its axes."""
        if self.parameter in point.parameters:
            gradient = self._to_cell(only(point))[0] @ gradient
        return self.model, self.inner(state), gradient

    def _rotations(self, points: Points) -> Array:
        """Rotations Q from the macroscopic axes to those of the cells, shape (n, dim, dim)."""
        given = points.parameters[self.parameter]
        if self._dim == 3:
            return given
        c, s = np.cos(given), np.sin(given)
        return np.array([[c, -s], [s, c]]).transpose(2, 0, 1)

    def _to_cell(self, points: Points) -> Array:
        """Matrices T, shape (n, m, m)."""
        m, end = self.kinematics.size, 0
        T, back = np.zeros((len(points), m, m)), self._rotations(points).transpose(0, 2, 1)
        for turn in self._turns:
            start, end = end, end + turn.size
            T[:, start:end, start:end] = turn(back)
        return T


class _Turn:
    """How the components of a block change when the fields of which it is made are turned.

    The field M(x) g of a gradient g, turned by Q, is Q M(Qᵀ x) g, or M(Qᵀ x) g of a scalar; it is the field
    of the turned gradient.
    """

    def __init__(self, block: Block, dim: int) -> None:
        self.size = block.size
        self._modes: Array | None = None
        if block.kind == "value" and block.size == 1:
            return
        if block.kind == "gradient" and block.modes is not None:
            at = block.modes(np.concatenate([np.zeros((1, dim)), np.eye(dim)]))
            self._modes = at[1:] - at[0]  # derivatives along the axes, (dim, field size, size)
        if self._modes is None or self._modes.shape[1] not in (1, dim):
            raise InputError(
                f"the components of the {block.name} cannot be turned: they are no first gradient"
            )
        self._inverse = np.linalg.pinv(self._modes.reshape(-1, self.size))

    def __call__(self, Q: Array) -> Array:
        """Matrices that turn the components by rotations Q of shape (n, dim, dim)."""
        if self._modes is None:
            return np.ones((len(Q), 1, 1))
        turned = np.einsum("nij,jfk->nifk", Q, self._modes)
        if self._modes.shape[1] > 1:
            turned = np.einsum("nfg,nigk->nifk", Q, turned)
        return self._inverse @ turned.reshape(len(Q), -1, self.size)


def rotated(model: MicroModel) -> Rotated:
    """The micro model with axes that are turned at each point; see :class:`Rotated`.

    ::

        law = fe2.HomogenizedLaw(fe2.strain(u), fe2.rotated(rve), parameters={"angle": fibre_angle})

    Raises:
        InputError: Gradients of the model cannot be turned.
    """
    return Rotated(model)
