"""The homogenized law: flux and tangent of micro models at the quadrature points of a macroscopic form."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from ufl.core.expr import Expr

from fe2.dispatch.options import Parallel
from fe2.dispatch.pool import PointFailure, Pool
from fe2.errors import Fe2Error, InputError, MicroSolveError, place
from fe2.jit import compile_expression
from fe2.micro.model import MicroModel
from fe2.micro.points import Step
from fe2.profile import phase
from fe2.quadrature import full_degree, point_dofs, point_weights, quadrature_function, quadrature_points
from fe2.volumetric_locking import warn_of_locking

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """Work of micro models on this rank: points evaluated, linear systems solved, seconds."""

    points: int
    iterations: int
    seconds: float

    def __add__(self, other: Evaluation) -> Evaluation:
        """The work of both."""
        return Evaluation(
            self.points + other.points, self.iterations + other.iterations, self.seconds + other.seconds
        )


@dataclass(frozen=True)
class Failure:
    """Where and with what an evaluation failed.

    Attributes:
        message: What was raised.
        point: Number of the point among those of this rank, -1 where another rank owns it.
        gradient: Gradient of that point, shape (m,), or of none, shape (0,).
        dt: Length of the step.
    """

    message: str
    point: int
    gradient: Array
    dt: float


class HomogenizedLaw:
    r"""A material law that is not a formula but a micro model at every quadrature point.

    The flux enters a UFL form as any coefficient does; the derivative of the form follows by the
    chain rule, :math:`\mathrm{d}s = A\,\mathrm{d}g`. The law lives on a whole mesh or on one of
    its subdomains.

    Attributes:
        gradient: The macroscopic gradient as a UFL expression of the unknown.
        flux: Quadrature function of m components.
        tangent: Quadrature function of m × m components.
        dx: The measure under which flux and tangent may be integrated: this law's subdomain with
            this law's quadrature rule.
        pool: Evaluates the micro models of this rank's points.
        cells: This rank's mesh cells in which the law holds.
        points_per_cell: Number of quadrature points in each mesh cell.
        failure: Where an evaluation failed last, or None where none has.
    """

    def __init__(
        self,
        gradient: Expr,
        micro: MicroModel,
        *,
        quadrature_degree: int | None = None,
        subdomains: dmesh.MeshTags | None = None,
        subdomain: int | None = None,
        parallel: Parallel | None = None,
        closed: Collection[str] = (),
    ) -> None:
        """Create flux and tangent, and a micro model's state for each quadrature point; collective.

        Args:
            gradient: The macroscopic gradient in the components of `micro`, a UFL vector.
            micro: The micro model of all points: an RVE, its linearization, a reduced model, ...
            quadrature_degree: Degree of the quadrature rule of the macroscopic mesh: by default the lowest
                that integrates the stiffness of straight elements fully, 2(p - 1) on simplices for gradients
                of an element of degree p, 2p for values, and 2p on quadrilaterals and hexahedra.
            subdomains: Tags of the mesh cells, where the law holds in one subdomain only.
            subdomain: Tag of that subdomain.
            parallel: How the micro models are spread over the ranks.
            closed: Components of the gradient that the cell need not resist, such as an axis along which
                nothing flows, or a strain that nothing holds: the macroscopic problem must not need them.
                None by default.

        Raises:
            InputError: The gradient does not fit the micro model, the virgin cell does not resist some
                gradient, or the subdomain has no cells.
        """
        self._mesh = _mesh_of(gradient)
        if quadrature_degree is None:
            quadrature_degree = _default_degree(self._mesh, gradient)
        self.gradient, self._degree = gradient, quadrature_degree
        _check_components(gradient, micro)
        check_closed(micro, closed)
        _warn_of_locking(self._mesh, gradient, micro)
        m = micro.kinematics.size
        self.flux = quadrature_function(self._mesh, quadrature_degree, (m,), "flux")
        self.tangent = quadrature_function(self._mesh, quadrature_degree, (m, m), "tangent")
        self.cells = _cells_of(self._mesh, subdomains, subdomain)
        measure = ufl.Measure(
            "dx",
            domain=self._mesh,
            subdomain_data=subdomains,
            metadata={"quadrature_degree": quadrature_degree, "quadrature_rule": "default"},
        )
        self.dx = measure if subdomains is None else measure(subdomain)
        points, _ = quadrature_points(self._mesh, quadrature_degree)
        self.points_per_cell = len(points)
        self._evaluate_gradient = compile_expression(gradient, points, self._mesh.comm)
        self._evaluate_place = compile_expression(ufl.SpatialCoordinate(self._mesh), points, self._mesh.comm)
        self._rows = point_dofs(self.flux, self.cells)
        self._evaluated = False
        self.failure: Failure | None = None
        self.pool = Pool(micro, len(self._rows), self._mesh.comm, parallel)
        check_resistance(self.micro, closed)

    @property
    def micro(self) -> MicroModel:
        """The micro model of all points."""
        return self.pool.model

    @property
    def adaptive(self) -> bool:
        """Whether the micro models tell requests apart."""
        return self.micro.adaptive

    def derivative(self, form: ufl.Form, unknown: fem.Function, direction: Expr) -> ufl.Form:
        """Derivative of a form through this law's flux: the tangent times the change of the gradient."""
        change = ufl.algorithms.expand_derivatives(ufl.derivative(self.gradient, unknown, direction))
        return ufl.derivative(form, self.flux, ufl.dot(self.tangent, change))

    def evaluate(self, step: Step) -> Evaluation:
        """Update flux and tangent for the present value of the unknown; collective.

        Args:
            step: The time step, and what is wanted of the micro models.

        Returns:
            The work on this rank.

        Raises:
            MicroSolveError: On all ranks, where a micro model failed anywhere; the message names
                the mesh cell, the quadrature point, its coordinates and its gradient. It is an
                OutsideRangeError where the model was asked outside of its range.
            Fe2Error: On all ranks, as above, where a micro model ended with anything else.
        """
        m = self.micro.kinematics.size
        gradients = self._at_points(self._evaluate_gradient)
        with phase("pool"):
            answers = self.pool.evaluate(gradients, step)
        if (failure := self.pool.failure) is not None:
            located = self._located(failure, gradients)
            mine = gradients[failure.point] if failure.point >= 0 else np.zeros(0)
            self.failure = Failure(str(located), failure.point, mine.copy(), step.dt)
            raise located from failure.cause
        self._evaluated = True
        self.flux.x.array.reshape(-1, m)[self._rows] = answers.flux
        self.tangent.x.array.reshape(-1, m, m)[self._rows] = answers.tangent
        solved = len(gradients) if step.wanted in ("exact", "approach") else 0
        return Evaluation(solved, int(answers.iterations.sum()), float(answers.cost.sum()))

    def commit(self) -> None:
        """Trial states become the committed ones."""
        self.pool.commit()

    def rollback(self) -> None:
        """Trial states are forgotten."""
        self.pool.rollback()

    def coordinates(self) -> Array:
        """Coordinates of this rank's points, shape (n, dim), cell by cell."""
        return self._at_points(self._evaluate_place)

    def gradients(self) -> Array:
        """Macroscopic gradients at this rank's points, shape (n, m), cell by cell."""
        return self._at_points(self._evaluate_gradient)

    def weights(self) -> Array:
        """Volumes that this rank's points stand for, shape (n,), cell by cell."""
        return point_weights(self._mesh, self._degree, self.cells)

    def indicators(self) -> dict[str, Array]:
        """What the tangents at this rank's points announce, by name, each of shape (n,), cell by cell.

        The kinematics says what there is: the loss of ellipticity at finite strain, nothing in small
        strain. Before the first evaluation the tangents are those of the virgin micro model.
        """
        tangents = self.tangents()
        if not self._evaluated and self.micro.kinematics.indicators(tangents[:0]):
            tangents = np.broadcast_to(self.micro.virgin_tangent(), tangents.shape)
        return self.micro.kinematics.indicators(tangents)

    def tangents(self) -> Array:
        """Tangents of the last evaluation at this rank's points, shape (n, m, m), cell by cell."""
        m = self.micro.kinematics.size
        return self.tangent.x.array.reshape(-1, m, m)[self._rows]

    def _at_points(self, expression: fem.Expression) -> Array:
        values = expression.eval(self._mesh, self.cells)
        return values.reshape(len(self._rows), -1 if len(self._rows) else expression.value_size)

    def _located(self, failure: PointFailure, gradients: Array) -> Fe2Error:
        """The error of the point that failed, with its place, on all ranks."""
        comm = self._mesh.comm
        point, text = failure.point, ""
        if point >= 0:
            cell = self.cells[point // self.points_per_cell]
            number = int(self._mesh.topology.original_cell_index[cell])
            names = ", ".join(self.micro.kinematics.components)
            value = place(gradients[point] * self.micro.kinematics.scale)
            text = (
                f"the RVE at macroscopic cell {number}, quadrature point {point % self.points_per_cell}, "
                f"coordinates {place(self.coordinates()[point])}, "
                f"{self.micro.kinematics.gradient_name} ({names}) = {value}: {failure.message}"
            )
        texts = [text for text in comm.allgather(text) if text]
        located = failure.kind(texts[0])
        located.collective = True
        return located


def _mesh_of(gradient: Expr) -> dmesh.Mesh:
    coefficients = ufl.algorithms.extract_coefficients(gradient)
    meshes = [c.function_space.mesh for c in coefficients if isinstance(c, fem.Function)]
    if not meshes:
        raise InputError("the gradient of a homogenized law has to be an expression of a DOLFINx function")
    return meshes[0]


def _default_degree(mesh: dmesh.Mesh, gradient: Expr) -> int:
    """Degree of the quadrature rule where none is given."""
    degree = max(c.ufl_element().degree for c in ufl.algorithms.extract_coefficients(gradient))
    lowered = ufl.algorithms.expand_derivatives(gradient)
    is_derivative = ufl.algorithms.estimate_total_polynomial_degree(lowered) < degree
    return full_degree(mesh, degree, 1 if is_derivative else 0)


def _warn_of_locking(mesh: dmesh.Mesh, gradient: Expr, micro: MicroModel) -> None:
    degrees = [c.ufl_element().embedded_superdegree for c in ufl.algorithms.extract_coefficients(gradient)]
    if mesh.comm.rank == 0:
        shape = mesh.topology.cell_name()
        warn_of_locking("the macroscopic mesh", shape, max(degrees), micro.kinematics.isochoric)


def _check_components(gradient: Expr, micro: MicroModel) -> None:
    m = micro.kinematics.size
    if gradient.ufl_shape != (m,):
        raise InputError(
            f"the gradient of the homogenized law has shape {gradient.ufl_shape}, but the micro model takes "
            f"{m} components: {', '.join(micro.kinematics.components)}"
        )


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


def check_resistance(micro: MicroModel, closed: Collection[str]) -> None:
    """Refuse a micro model whose virgin tangent is singular: so would be the macroscopic problem; collective.

    Raises:
        InputError: Nothing resists a direction of the gradient that is not made of the components that may
            be closed.
    """
    kinematics = micro.kinematics
    try:
        tangent = micro.virgin_tangent()
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


def _cells_of(
    mesh: dmesh.Mesh, subdomains: dmesh.MeshTags | None, subdomain: int | None
) -> npt.NDArray[np.int32]:
    """This rank's own cells: a ghost's micro models are solved by its owner."""
    owned = mesh.topology.index_map(mesh.topology.dim).size_local
    if subdomains is None:
        return np.arange(owned, dtype=np.int32)
    if subdomain is None:
        raise InputError("a homogenized law with subdomains needs the tag of its subdomain")
    found = subdomains.find(subdomain)
    cells: npt.NDArray[np.int32] = found[found < owned]
    if mesh.comm.allreduce(len(cells)) == 0:
        tags = sorted(set().union(*mesh.comm.allgather(set(subdomains.values.tolist()))))
        raise InputError(f"subdomain {subdomain} has no mesh cells; the tags of the mesh are {tags}")
    return cells
