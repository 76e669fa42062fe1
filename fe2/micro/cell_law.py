r"""A phase that is itself made of cells: the law of its points is a finer cell problem.

At a point x of the phase the finer cell receives the local gradient, and answers with its mean flux,

.. math:: t(x) = E\,s\big(E^T \nabla u(x), \ldots\big), \qquad \partial t = E\,A\,E^T,

with the embedding E of the blocks, see :class:`~fe2.physics.kinematics.Block`. Where the finer cell is
linear, A is computed once, and the phase follows a formula; elsewhere a finer cell is solved at every point
of the phase, and the state of each of them is a history variable of the phase.

The finer cell takes strains in its plane only: in the plane its stress across the plane is not known, and is
zero in local fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import scipy.linalg
import ufl

from fe2.arrays import Complex
from fe2.errors import InputError, LocalSolveError
from fe2.micro.model import MicroModel
from fe2.micro.points import Point, Points, Step, only
from fe2.physics.contrast import moduli_of_tangent
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import Array, ExpressionLaw, PointLaw, PointResponse
from fe2.physics.material_field import MaterialField
from fe2.response import SOLVED, Answers

if TYPE_CHECKING:
    from ufl.core.expr import Expr

STATE = "cell_state"
"""History variable that holds what of a finer cell's state lasts."""

_SYMMETRIC = 1e-10


@dataclass(frozen=True, eq=False)
class LinearCellLaw(ExpressionLaw):
    r"""A phase of linear finer cells: flux :math:`A g + s_0` of all blocks.

    Attributes:
        kinematics: Kinematics of the finer cell.
        tangent: A in the components that phase laws see, shape (k, k).
        offset: s₀, shape (k,).
        period: Edge lengths of the finer cell, nothing where it has no size.
    """

    kinematics: Kinematics
    tangent: Array
    offset: Array
    period: tuple[float, ...] = ()

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Whether the tangent of all blocks that are no values is symmetric."""
        kinds = [block.kind for block in self.kinematics.blocks for _ in block.local_components]
        kept = np.array(kinds) != "value"
        A = self.tangent[np.ix_(kept, kept)]
        return bool(np.all(np.abs(A - A.T) <= _SYMMETRIC * np.abs(A).max()))

    def moduli(self) -> tuple[float, ...]:
        """Eigenvalues of the tangent, where it has one unit."""
        return moduli_of_tangent(self.tangent) if len(self.kinematics.blocks) == 1 else ()

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        """Flux of all blocks."""
        return ufl.dot(_symbolic(self.tangent), gradient) + _symbolic(self.offset)


@dataclass(frozen=True, eq=False)
class CellLaw(PointLaw):
    """A phase at each of whose points a micro model is solved; the model's state is history of the phase.

    The averages of the model, such as the plastic strain of the finer cell, are history variables as well.

    Attributes:
        model: The micro model.
        parameters: Parameters of its points by name; those of :class:`~fe2.Rotated` for example.
        period: Edge lengths of the finer cell, nothing where it has no size.

    Raises:
        InputError: The model needs other parameters, or keeps its states itself.
    """

    model: MicroModel
    parameters: Mapping[str, Any] = field(default_factory=dict)
    period: tuple[float, ...] = ()

    broadcasts: ClassVar[bool] = True
    internal: ClassVar[tuple[str, ...]] = (STATE,)

    def __post_init__(self) -> None:
        model = self.model
        if not isinstance(model, MicroModel):
            raise InputError(f"CellLaw: model is a {type(model).__name__}; it must be a micro model")
        if model.dump_size is not None:
            raise InputError(
                f"CellLaw: a {type(model).__name__} keeps its states itself: no history of a phase can"
            )
        object.__setattr__(self, "parameters", _checked_parameters(model, self.parameters))

    @property
    def kinematics(self) -> Kinematics:
        """Kinematics of the finer cell."""
        return self.model.kinematics

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Whether the model is known to have symmetric tangents."""
        return bool(getattr(getattr(self.model, "form", None), "symmetric", False))

    def with_constants(self, constant: Callable[[float | Array], Any]) -> Self:
        """The same with all parameters of its points through `constant`."""
        twin = super().with_constants(constant)
        mapped = {name: constant(value) for name, value in self.parameters.items()}
        object.__setattr__(twin, "parameters", mapped)
        object.__setattr__(twin, "_by_point", {name: np.ndim(v) for name, v in self.parameters.items()})
        return twin

    def history(self, size: int) -> dict[str, int]:
        """The state of the model, and its averages."""
        found = {name: values.shape[1] for name, values in self._virgin_averages.items()}
        return {STATE: self.model.lasting_size, **found}

    def initial_history(self, size: int) -> dict[str, float | Array]:
        """The virgin state."""
        averages = {name: values[0] for name, values in self._virgin_averages.items()}
        return {STATE: self.model.state.stored(self._virgin[None])[0], **averages}

    def relaxed_tangent(self, frequency: float, size: int) -> Complex | None:
        """That of the finer cell; see `PhaseLaw.relaxed_tangent`.

        Raises:
            InputError: The model is no representative volume element.
        """
        if not hasattr(self.model, "spectrum"):
            raise InputError(f"a {type(self.model).__name__} as a finer cell has no spectrum")
        change = self.model.spectrum([frequency]).tangent[0] - self.model.virgin_tangent()
        E = embedding(self.kinematics)
        return E @ change @ E.T if np.any(change) else None

    def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> PointResponse:
        """Flux, tangent and state of the finer cells; see `PointLaw.respond`.

        Raises:
            LocalSolveError: Some of them found no equilibrium; the first is told with its gradient.
            InputError: The gradient has components that the model does not know.
        """
        model, E, n = self.model, embedding(self.kinematics), len(gradient)
        gradients = gradient @ E
        if np.any(gradients @ E.T != gradient):
            raise InputError(beyond_plane(model.kinematics))
        committed = model.state.restored(history[STATE], self._virgin)
        trial, answers = committed.copy(), Answers.empty(n, model.kinematics.size)
        model.evaluate(gradients, committed, trial, self._points(n), Step(dt), answers)
        answers.check()
        if len(failed := np.flatnonzero(answers.status != SOLVED)):
            first = int(failed[0])
            where = model.kinematics.described(gradients[first])
            text = f"a finer cell was not solved at {where}: {answers.errors[first]}"
            raise LocalSolveError(text, tuple(failed.tolist()))
        kept = {STATE: model.state.stored(trial), **model.averages(trial)}
        return PointResponse(answers.flux @ E.T, E @ answers.tangent @ E.T, kept)

    def _points(self, count: int) -> Points:
        """The points; a parameter that does not differ from point to point is that of all."""
        shared: dict[str, int] = vars(self).get("_by_point", {})
        values = {
            name: np.asarray(value)
            if name in shared and np.ndim(value) > shared[name]
            else np.broadcast_to(value, (count, *np.shape(value)))
            for name, value in self.parameters.items()
        }
        return Points(np.arange(count), np.zeros((count, 0)), values)

    @cached_property
    def _virgin(self) -> Array:
        return self.model.initial_state()

    @cached_property
    def _virgin_averages(self) -> dict[str, Array]:
        return self.model.averages(self._virgin[None])


def cell_law(model: MicroModel, *, period: float | None = None, **parameters: Any) -> LinearCellLaw | CellLaw:
    """The law of a phase whose points are cells of their own, finer than the phase.

    ::

        laws = {"yarn": fe2.cell_law(bundle), "matrix": epoxy}  # bundle: the RVE of filaments in resin

    It serves a cell of the same physics and dimension. Where the model is linear, its effective tangent is
    the law, once and for all; elsewhere a finer cell is solved at each point in each iteration.

    Args:
        model: The micro model: a representative volume element, or a reduced, interpolated or rotated one.
        period: Longest period of the finer cell in the unit of length of the cell around it, that of the
            model's cell by default. It is compared with the phase, and has no other effect.
        parameters: Parameters of its points by name, such as `angle` of a rotated one.

    Raises:
        InputError: The model needs other parameters, or keeps its states itself.
        MicroSolveError: The finer cell is singular.
    """
    own = getattr(model, "period", None)
    size = (period,) if period is not None else () if own is None else tuple(own.tolist())
    law = CellLaw(model, parameters, size)
    if not model.is_linear:
        return law
    point, linear, kinematics = Point(parameters=law.parameters), model.linearized(), model.kinematics
    virgin, E = linear.initial_state(), embedding(kinematics)
    answer = linear.solve(kinematics.origin, virgin, 0.0, virgin.copy(), point=point)
    offset = answer.flux - answer.tangent @ kinematics.origin
    return LinearCellLaw(kinematics, E @ answer.tangent @ E.T, E @ offset, size)


def finer_cell(law: object) -> LinearCellLaw | CellLaw | None:
    """The law of finer cells that a phase follows, or the first one of a field of materials."""
    kind = law.law if isinstance(law, MaterialField) else law
    return kind if isinstance(kind, LinearCellLaw | CellLaw) else None


def embedding(kinematics: Kinematics) -> Array:
    """Matrix E of all blocks, shape (k, m): phase laws see E g."""
    matrix: Array = scipy.linalg.block_diag(*(block.embedding for block in kinematics.blocks))
    return matrix


def is_plane(kinematics: Kinematics) -> bool:
    """Whether phase laws see components that the macroscopic gradient does not have."""
    return len(embedding(kinematics)) > kinematics.size


def beyond_plane(kinematics: Kinematics) -> str:
    """What is wrong where a plane cell is strained across its plane."""
    block = kinematics.blocks[0]
    return (
        f"a finer cell in the plane knows {', '.join(block.components)} of the {block.name}, and no others: "
        "take cells in space where heat or the like strains a phase across the plane"
    )


def check_finer_cell(phase: str, law: LinearCellLaw | CellLaw, kinematics: Kinematics) -> None:
    """Refuse finer cells of another physics, dimension or virgin state.

    Raises:
        InputError: The message has the phase, what it is and what is needed.
    """
    own, text = law.kinematics, f"phase {phase!r}: the finer cell"
    if own.name != kinematics.name:
        raise InputError(f"{text} is of {own.name}, and the cell around it of {kinematics.name}")
    if own.dim != kinematics.dim:
        raise InputError(f"{text} has {own.dim} dimensions, and the cell around it {kinematics.dim}")
    if own.gradient_names != kinematics.gradient_names:
        raise InputError(
            f"{text} receives {', '.join(own.gradient_names)}, and the cell around it "
            f"{', '.join(kinematics.gradient_names)}"
        )
    if not np.array_equal(own.origin, kinematics.origin):
        raise InputError(
            f"{text} begins with {own.described(own.origin)}, and the cell around it with "
            f"{kinematics.described(kinematics.origin)}"
        )


def _symbolic(values: Any) -> Expr:
    """A UFL constant as it is, or numbers as a UFL tensor."""
    return values if hasattr(values, "ufl_shape") else ufl.as_tensor(np.asarray(values).tolist())


def _checked_parameters(model: MicroModel, given: Mapping[str, Any]) -> dict[str, Array]:
    """Parameters of a point as arrays.

    Raises:
        InputError: One is missing, not known, or not admissible.
    """
    if set(given) != set(model.parameters):
        raise InputError(
            f"a {type(model).__name__} takes the parameters {sorted(model.parameters)}, and those given are "
            f"{sorted(given)}"
        )
    values = {name: np.asarray(value, dtype=np.float64) for name, value in given.items()}
    model.check_points(only(Point(parameters=values)))
    return values
