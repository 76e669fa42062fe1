r"""The cell problem before any boundary condition: an ordinary DOLFINx form with its macroscopic modes.

Nothing of the macroscopic scale enters the form. The built-in physics are short factories for a
:class:`CellForm`; a form of one's own makes a cell problem in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import basix.ufl
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from ufl.core.expr import Expr

from fe2.arrays import Array, Ints, Mask
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import PointLaw
from fe2.physics.material_field import MaterialField
from fe2.subspaces import subspaces

if TYPE_CHECKING:
    from fe2.micro.cell_solver import CellSolver


@dataclass(frozen=True, eq=False)
class HistoryVariable:
    """A history variable of one phase, stored at the quadrature points of that phase's mesh cells.

    Attributes:
        name: Name of the variable, e.g. "plastic_strain".
        phase: Name of the phase that remembers it.
        value: Quadrature function that holds the values at the beginning of the step.
        cells: Mesh cells of the phase.
        update: UFL expression of the value at the end of the step, or None where a point law
            computes it.
        initial: Values in the virgin state: of shape (mesh cells, components) with a row for each element of
            the mesh, or (1, components) where all begin alike.
        internal: Whether its numbers say nothing by themselves: then it is not averaged or drawn.
    """

    name: str
    phase: str
    value: fem.Function
    cells: npt.NDArray[np.int32]
    update: Expr | None = None
    initial: Array = field(default_factory=lambda: np.zeros((1, 1)))
    internal: bool = False

    @property
    def components(self) -> int:
        """Numbers at each quadrature point."""
        return int(self.value.function_space.dofmap.index_map_bs)


@dataclass(frozen=True, eq=False)
class PointLawTerm:
    """A point law on one phase: flux and tangent are quadrature functions that appear in the cell's form.

    Attributes:
        law: The vectorized law, or a field of such laws.
        cells: Mesh cells of the phase.
        gradient: Local gradient, a UFL vector of the unknown.
        flux: Quadrature function of k components.
        tangent: Quadrature function of k × k components.
        history: The law's history variables, by name.
        rows: For a field of materials the row of each element of the mesh, shape (mesh cells,).
    """

    law: PointLaw | MaterialField
    cells: npt.NDArray[np.int32]
    gradient: Expr
    flux: fem.Function
    tangent: fem.Function
    history: dict[str, HistoryVariable]
    rows: Ints | None = None

    def law_at(self, points_per_cell: int) -> PointLaw:
        """The law of the points of its mesh cells, cell by cell."""
        if isinstance(self.law, PointLaw):
            return self.law
        assert self.rows is not None
        return self.law.at(np.repeat(self.rows[self.cells], points_per_cell))


@dataclass(frozen=True, eq=False)
class Condition:
    """What has to be positive at the quadrature points of one phase for its law to have a meaning.

    Attributes:
        phase: Name of the phase.
        cells: Mesh cells of the phase.
        names: What is looked at, e.g. "det F".
        values: UFL vector with a component for each name.
    """

    phase: str
    cells: npt.NDArray[np.int32]
    names: tuple[str, ...]
    values: Expr


@dataclass(frozen=True, eq=False)
class PhaseFlux:
    """Local gradient and flux of one phase for local fields, and its tangent for bounds, if it has one.

    Attributes:
        phase: Name of the phase.
        cells: Mesh cells of the phase.
        gradient: What the phase law sees, a UFL vector.
        flux: Its flux, likewise.
        tangent: Derivative of the flux, or None where the flux is no function of the local gradient.
        block: Name of the block that is the mean of this gradient; the only one by default.
        rows: Materials of the elements of the mesh, shape (mesh cells,), where the phase has a field of them.
    """

    phase: str
    cells: npt.NDArray[np.int32]
    gradient: Expr
    flux: Expr
    tangent: Expr | None
    block: str = ""
    rows: Ints | None = None


@dataclass(frozen=True, eq=False)
class MacroValue:
    """A component of the macroscopic gradient that is a parameter of the form, uniform in the cell.

    Attributes:
        component: Its number in the gradient; its column of the modes is zero.
        constant: The parameter, as it appears in the form.
        conjugate: Integral over the cell of what is conjugate to it, e.g. of the entropy to a temperature.
    """

    component: int
    constant: fem.Constant
    conjugate: ufl.Form


@dataclass(frozen=True, eq=False)
class Bound:
    """Bounds l ≤ u ≤ h of a field of the unknown that lives in the cell only, without macroscopic modes.

    Each is a number, an array of the field's nodal values, or a function of those at the beginning of the
    step: ``Bound(1, lower=lambda before: before, upper=1.0)`` for a damage that never heals.

    Attributes:
        field: Number of the field among those of the unknown.
        lower: Lower bound.
        upper: Upper bound.
    """

    field: int
    lower: float | Array | Callable[[Array], Array] = -np.inf
    upper: float | Array | Callable[[Array], Array] = np.inf


@dataclass(frozen=True, eq=False)
class CellForm:
    r"""Residual of a cell, its unknown and its macroscopic modes.

    Attributes:
        kinematics: Names and sizes of the macroscopic gradient and flux.
        unknown: The micro field u, a function on the cell's mesh.
        residual: Linear form r(u; v).
        modes: Matrix X of shape (N, m): nodal values of the fields whose macroscopic gradient is
            one in one component and zero in the others.
        dt: Time step, as it appears in the form.
        values: Components of the gradient that are parameters of the form.
        jacobian: Bilinear form, derived from the residual where it is None.
        history: History variables with their updates.
        point_laws: Laws whose flux and tangent are quadrature functions.
        fluxes: Local gradient and flux of each phase, for local fields.
        conditions: What has to be positive wherever the residual is evaluated.
        fixed: Degrees of freedom whose fluctuation is zero whatever the boundary condition, e.g. at
            walls, as a mask of shape (N,), or None.
        copies: For each degree of freedom the one whose fluctuation it copies, shape (N,), where that is
            not simply the one at the same point of the periodic medium; periodicity is then included
            where it is wanted.
        rows: Linear forms of the test function that vanish for admissible fluctuations, whatever the boundary
            condition.
        zero_mean: True where the mean of the fluctuation has to vanish because the form depends on
            the value of the unknown; otherwise a node is pinned.
        symmetric: True where the Jacobian is symmetric for every state.
        definite: Whether the stiffness is positive definite for every state, so that conjugate gradients can
            solve with it; where None, it is taken to be where it is symmetric and strains are small.
        saddle_point: True where velocities or the like constrain a pressure: the matrix is indefinite.
        singular_hint: What to do where the linearized problem is singular, a sentence for the message.
        weights: For each field of the unknown, what makes its residuals as large as those of the first.
            It counts for fields on which no forces act in the virgin cell; where nothing is given, the
            coupling with the field that they constrain says it. Fields with forces of their own are
            measured by themselves.
        quadrature_degree: Degree of the quadrature rule at whose points history is stored.
        laws: The phase laws that the form was made of, by phase, where it was made of laws.
        parameters: Functions in the form that are the same for every state: material parameters by element.
        direct: What the flux gets from the gradient without any element, a matrix D of shape (m, m):
            :math:`s = X^T r/|Y| + D g`. A fluid in pores that have no elements answers so. Its work on
            fluctuations stands in the residual.
        bounds: Bounds of fields of the unknown, which a cell solver has to hold: by default `Bounded`.
        solver: The way to equilibrium, if not one of fe2's own.
    """

    kinematics: Kinematics
    unknown: fem.Function
    residual: ufl.Form
    modes: Array
    dt: fem.Constant
    values: tuple[MacroValue, ...] = ()
    jacobian: ufl.Form | None = None
    history: tuple[HistoryVariable, ...] = ()
    point_laws: tuple[PointLawTerm, ...] = ()
    fluxes: tuple[PhaseFlux, ...] = ()
    conditions: tuple[Condition, ...] = ()
    fixed: Mask | None = None
    copies: Ints | None = None
    rows: tuple[ufl.Form, ...] = ()
    zero_mean: bool = False
    symmetric: bool = False
    definite: bool | None = None
    saddle_point: bool = False
    singular_hint: str = ""
    weights: tuple[float, ...] = ()
    quadrature_degree: int = 2
    laws: Mapping[str, object] = field(default_factory=dict)
    parameters: tuple[fem.Function, ...] = ()
    direct: Array | None = None
    bounds: tuple[Bound, ...] = ()
    solver: CellSolver | None = None

    @property
    def is_definite(self) -> bool:
        """Whether the stiffness is symmetric and positive definite for every state."""
        small = self.kinematics.origin_size == 0.0
        return self.symmetric and (small if self.definite is None else self.definite)

    def fields(self) -> list[tuple[fem.FunctionSpace, Ints]]:
        """The fields of the unknown: their spaces and where their degrees of freedom stand among all N."""
        space = self.unknown.function_space
        if space.num_sub_spaces == 0 or space.dofmap.index_map_bs > 1:
            return [(space, np.arange(len(self.modes), dtype=np.int64))]
        return subspaces(space)

    @cached_property
    def decoupled(self) -> Mask:
        """Pairs of fields neither of which ever is in the equations of the other, shape (k, k)."""
        count = len(self.fields())
        if count == 1:
            return np.zeros((1, 1), dtype=bool)
        blocks = ufl.extract_blocks(self.derived_jacobian())
        expand = ufl.algorithms.expand_derivatives
        empty = np.array([[b is None or expand(b).empty() for b in row] for row in blocks])
        return empty & empty.T & ~np.eye(count, dtype=bool)

    @property
    def is_decoupled(self) -> bool:
        """Whether there is one field only, or none is in the equations of another."""
        return bool(np.all(self.decoupled | np.eye(len(self.decoupled), dtype=bool)))

    def derived_jacobian(self) -> ufl.Form:
        r"""The Jacobian :math:`\partial r/\partial u`, with the tangents of the point laws."""
        if self.jacobian is not None:
            return self.jacobian
        return self.derivative(self.residual, self.unknown, ufl.TrialFunction(self.unknown.function_space))

    def derivative(
        self, form: ufl.Form, by: fem.Function | fem.Constant, direction: Expr | float = 1.0
    ) -> ufl.Form:
        """Derivative of a form by the unknown or by a value, through the fluxes of the point laws as well."""
        result = partial(form, by, direction)
        for term in self.point_laws:
            change = ufl.dot(term.tangent, partial(term.gradient, by, direction))
            result += ufl.algorithms.expand_derivatives(ufl.derivative(form, term.flux, change))
        return result


def partial[F: (ufl.Form, Expr)](
    form: F, by: fem.Function | fem.Constant, direction: Expr | float = 1.0
) -> F:
    """Derivative of a form or an expression by a function or a constant, expanded."""
    if isinstance(form, ufl.Form) and form.empty():
        return form
    if isinstance(by, fem.Function):
        return ufl.algorithms.expand_derivatives(ufl.derivative(form, by, direction))
    # UFL differentiates by functions: one stands in for the constant
    mesh = by.ufl_domain()
    element = basix.ufl.element("Discontinuous Lagrange", mesh.ufl_cell().cellname, 0)
    stand_in = ufl.Coefficient(ufl.FunctionSpace(mesh, element))
    derivative = ufl.derivative(ufl.replace(form, {by: stand_in}), stand_in, ufl.as_ufl(direction))
    return ufl.replace(ufl.algorithms.expand_derivatives(derivative), {stand_in: by})
