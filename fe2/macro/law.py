"""The homogenized law: flux and tangent of micro models at the quadrature points of a macroscopic form."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from ufl.core.expr import Expr

from fe2.arrays import Array, Ints
from fe2.dispatch.options import Parallel
from fe2.dispatch.pool import PointFailure, Pool
from fe2.errors import Fe2Error, InputError, MicroSolveError, place
from fe2.macro.blocks import Gradient, dual, gathered
from fe2.macro.domain import CellDomain, FacetDomain
from fe2.macro.parameters import Parameter, points_of
from fe2.macro.rate import Rate, Scheme
from fe2.macro.resistance import check_closed, check_resistance
from fe2.micro.model import MicroModel
from fe2.micro.points import NOWHERE, Point, Step
from fe2.parallel import together
from fe2.profile import phase
from fe2.quadrature import full_degree
from fe2.volumetric_locking import warn_of_locking


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

    .. code-block:: python

        blocks = {"strain": fe2.strain(u), "temperature": T, "temperature_gradient": grad(T)}
        law = fe2.HomogenizedLaw(blocks, micro)
        F = (inner(law["stress"], fe2.strain(v)) + dot(law["heat_flux"], grad(q))) * law.dx

    The fluxes enter a UFL form as any coefficient does; the derivative of the form follows by the chain rule,
    :math:`\mathrm{d}s = A\,\mathrm{d}g`, with the tangents of each flux by each block. Where there is one
    block its name may be left out: ``HomogenizedLaw(fe2.strain(u), micro)`` and ``law.flux``.

    The law lives on a whole mesh, on one of its subdomains, or on facets with a tag. On those of the boundary
    it takes values there, as a foundation does, and its fluxes stand under ``law.ds``. On interior ones its
    gradient is of both sides, such as a jump, and its fluxes stand under ``law.dS``.

    Attributes:
        gradient: The macroscopic gradient as a UFL expression of the unknown, all blocks one after the other.
        flux: Quadrature function of m components; on facets it stands as ``law.flux("+")``.
        tangent: Quadrature function of m × m components.
        dx: The measure under which flux and tangent may be integrated: this law's subdomain with
            this law's quadrature rule.
        dS: The same of a law on interior facets.
        ds: The same of a law on facets of the boundary.
        entity_maps: What forms with the fluxes need, which `MacroProblem` adds by itself.
        points: This rank's points, with their parameters.
        pool: Evaluates their micro models.
        cells: This rank's mesh cells in which the law holds; on facets, cells of the mesh of the facets.
        points_per_cell: Number of quadrature points in each mesh cell.
        rows: Where this rank's points stand in quadrature functions, cell by cell.
        scheme: How rates follow from the fluxes; the problem sets it.
        failure: Where an evaluation failed last, or None where none has.
    """

    dx: ufl.Measure
    dS: ufl.Measure  # noqa: N815  # as in UFL
    ds: ufl.Measure

    def __init__(
        self,
        gradient: Gradient,
        micro: MicroModel,
        *,
        quadrature_degree: int | None = None,
        subdomains: dmesh.MeshTags | None = None,
        subdomain: int | None = None,
        parallel: Parallel | None = None,
        closed: Collection[str] = (),
        parameters: Mapping[str, Parameter] | None = None,
    ) -> None:
        """Create flux and tangent, and a micro model's state for each quadrature point; collective.

        Args:
            gradient: The macroscopic gradient: an expression for each block of `micro`, by its name, or all
                components in one UFL vector.
            micro: The micro model of all points: an RVE, its linearization, a reduced model, ...
            quadrature_degree: Degree of the quadrature rule of the macroscopic mesh: by default the lowest
                that integrates the stiffness of straight elements fully, 2(p - 1) on simplices for gradients
                of an element of degree p, 2p for values and jumps, and 2p on quadrilaterals and hexahedra.
            subdomains: Tags of the mesh cells, where the law holds in one subdomain only, or of facets, where
                it holds on them.
            subdomain: Tag of that subdomain.
            parallel: How the micro models are spread over the ranks.
            closed: Components of the gradient that the cell need not resist, such as an axis along which
                nothing flows, or a strain that nothing holds: the macroscopic problem must not need them.
                None by default.
            parameters: Parameters of the points by name, where the micro model takes any, such as the
                ``angle`` of :func:`fe2.rotated`: an expression or a function on the mesh, a number, or an
                array with a row for each of this rank's points, cell by cell. Functions and expressions are
                evaluated here, once.

        Raises:
            InputError: The gradient does not fit the micro model, the virgin cell does not resist some
                gradient, the subdomain has no cells, or the parameters are not those of the micro model or
                not finite.
        """
        self.gradient = gathered(gradient, micro)
        mesh = _mesh_of(self.gradient)
        on_facets = subdomains is not None and subdomains.dim < mesh.topology.dim
        check_closed(micro, closed)
        if quadrature_degree is None:
            quadrature_degree = _default_degree(mesh, self.gradient, is_value=on_facets)
        if on_facets:
            facets = FacetDomain(mesh, quadrature_degree, subdomains, subdomain, self.gradient)
            self._domain: CellDomain = facets
            if facets.is_boundary:
                self.ds = facets.measure
            else:
                self.dS = facets.measure
        else:
            _warn_of_locking(mesh, self.gradient, micro)
            self._domain = CellDomain(mesh, quadrature_degree, subdomains, subdomain)
            self.dx = self._domain.measure
        m = micro.kinematics.size
        self.flux, self.tangent = (
            self._domain.function((m,), "flux"),
            self._domain.function((m, m), "tangent"),
        )
        self.cells, self.points_per_cell = self._domain.cells, self._domain.points_per_cell
        self.entity_maps = self._domain.entity_maps
        self.rows = self._domain.rows
        self._evaluate_gradient = self._domain.evaluator(self.gradient)
        self._is_evaluated = self._is_trial = self._is_committed = False
        self.failure: Failure | None = None
        self.scheme: Scheme = "backward_euler"
        self._storage: tuple[Rate, fem.Function] | None = None  # and the flux at the last commit
        self.points = points_of(mesh, self._domain, parameters or {}, micro)
        self.pool = Pool(micro, self.points, mesh.comm, parallel)
        first = self.points.point(0) if len(self.points) else NOWHERE
        with together(mesh.comm):
            if len(self.points) or not micro.parameters:
                check_resistance(micro, closed, first)

    def __getitem__(self, name: str) -> Expr:
        """A flux by its name, e.g. "stress", as it stands in a form: a scalar or a vector.

        Raises:
            InputError: The micro model has no such flux; the message names those that there are.
        """
        return dual(self._domain.in_form(self.flux), name, self.micro)

    def rate(self, name: str) -> Expr:
        r"""What a flux changes in a unit of time, by backward Euler or BDF2, see :class:`fe2.Rate`.

        So what is stored, an entropy or an enthalpy, needs no history in the cell. A step without length has
        no rate, and after a commit it is that of the step which was committed. Before the first commit
        :math:`s_n` is the flux of the virgin cell; where the unknown begins elsewhere,
        :meth:`MacroProblem.initialize` commits that.

        Args:
            name: Name of the flux, e.g. "entropy".

        Raises:
            InputError: The micro model has no such flux, or a step was committed before any rate was asked
                for: nobody kept its flux.
            MicroSolveError: On all ranks, where a virgin cell has no flux.
        """
        present = self[name]
        if self._storage is None:
            if self._is_committed:
                raise InputError(
                    f"the rate of {name} is asked for after a step was committed, whose {name} was not kept: "
                    "ask for rates before the first step"
                )
            m, virgin = self.micro.kinematics.size, self.micro.initial_state()
            start, new = self.micro.kinematics.origin, virgin.copy()
            fluxes = self._at_each(lambda point: self.micro.solve(start, virgin, 0.0, new, point=point).flux)
            committed = self._domain.function((m,), "committed_flux")
            committed.x.array.reshape(-1, m)[self.rows] = np.reshape(fluxes, (-1, m))
            committed.x.scatter_forward()
            self._storage = Rate(self.flux, _mesh_of(self.gradient)), committed
        return self._storage[0](present)

    def gives_value_in(self, form: ufl.Form) -> bool:
        """Whether the fluxes stand in a form, and some are conjugate to values."""
        values = any(block.kind == "value" for block in self.micro.kinematics.blocks)
        return values and self.flux in form.coefficients()

    @property
    def rates(self) -> Rate | None:
        """The rates of the fluxes, where any was asked for."""
        return None if self._storage is None else self._storage[0]

    @property
    def stored(self) -> dict[str, fem.Function]:
        """What the next rates need, by name: fluxes at the last commit, for BDF2 also at the one before."""
        if self._storage is None:
            return {}
        rate, committed = self._storage
        return {"flux": committed, **({"past flux": rate.past} if self.scheme != "backward_euler" else {})}

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
        tangent = self._domain.in_form(self.tangent)
        return self._domain.derivative(form, self.flux, ufl.dot(tangent, change))

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
        gradients = self.gradients()
        if self._storage is not None:
            rate, committed = self._storage
            rate.begin(step.dt, self.scheme, committed.x.array)
        with phase("pool"):
            answers = self.pool.evaluate(gradients, step)
        if (failure := self.pool.failure) is not None:
            located = self._located(failure, gradients)
            mine = gradients[failure.point] if failure.point >= 0 else np.zeros(0)
            self.failure = Failure(str(located), failure.point, mine.copy(), step.dt)
            raise located from failure.cause
        self._is_evaluated = self._is_trial = True
        self.flux.x.array.reshape(-1, m)[self.rows] = answers.flux
        self.tangent.x.array.reshape(-1, m, m)[self.rows] = answers.tangent
        for function in (self.flux, self.tangent):
            function.x.scatter_forward()  # a facet may be integrated by a rank that does not own it
        solved = len(gradients) if step.wanted in ("exact", "approach") else 0
        return Evaluation(solved, int(answers.iterations.sum()), float(answers.cost.sum()))

    def answers(self) -> tuple[Array, Array]:
        """Copies of the entries of flux and tangent, for :meth:`take_back`."""
        return self.flux.x.array.copy(), self.tangent.x.array.copy()

    def take_back(self, answers: tuple[Array, Array]) -> None:
        """Let flux and tangent be what they were."""
        self.flux.x.array[:], self.tangent.x.array[:] = answers

    def commit(self) -> None:
        """Trial states become the committed ones."""
        self.pool.commit()
        if self._storage is not None and self._is_trial:
            rate, committed = self._storage
            rate.commit()
            committed.x.array[:] = self.flux.x.array
        self._is_committed |= self._is_trial
        self._is_trial = False

    def rollback(self) -> None:
        """Trial states are forgotten."""
        self.pool.rollback()
        self._is_trial = False

    def gradients(self) -> Array:
        """Macroscopic gradients at this rank's points, shape (n, m), cell by cell."""
        return self._evaluate_gradient()

    def coordinates(self) -> Array:
        """Coordinates of this rank's points, shape (n, dim), cell by cell."""
        return self._domain.coordinates()

    def weights(self) -> Array:
        """Volumes or areas that this rank's points stand for, shape (n,), cell by cell."""
        return self._domain.weights()

    def numbers(self) -> Ints:
        """Numbers of this rank's cells in the mesh as it was read or made; likewise one for each facet."""
        return self._domain.numbers()

    def indicators(self) -> dict[str, Array]:
        """What the tangents at this rank's points announce, by name, each of shape (n,), cell by cell.

        The kinematics says what there is: the loss of ellipticity at finite strain, nothing in small
        strain. Before the first evaluation the tangents are those of the virgin micro model.
        """
        tangents = self.tangents()
        if not self._is_evaluated and self.micro.kinematics.indicators(tangents[:0]):
            tangents = np.reshape(self._at_each(self.micro.virgin_tangent), tangents.shape)
        return self.micro.kinematics.indicators(tangents)

    def _at_each[T](self, virgin: Callable[[Point], T]) -> list[T]:
        """What virgin micro models have at this rank's points; collective.

        It is the same at all where they take no parameters.

        Raises:
            MicroSolveError: On all ranks, where one has nothing; the message names the first such point.
        """
        found: list[T] = []
        with together(self._domain.mesh.comm):
            if not self.micro.parameters:
                return [virgin(NOWHERE)] * len(self.points)
            for k, point in enumerate(self.points):
                try:
                    found.append(virgin(point))
                except MicroSolveError as error:
                    raise type(error)(f"{self._place(k)}: {error}") from error
        return found

    def tangents(self) -> Array:
        """Tangents of the last evaluation at this rank's points, shape (n, m, m), cell by cell."""
        m = self.micro.kinematics.size
        return self.tangent.x.array.reshape(-1, m, m)[self.rows]

    def _place(self, point: int) -> str:
        """Where one of this rank's points is, in words."""
        number = int(self.numbers()[point // self.points_per_cell])
        return (
            f"the RVE at macroscopic {self._domain.kind} {number}, quadrature point "
            f"{point % self.points_per_cell}, coordinates {place(self.coordinates()[point])}"
        )

    def _located(self, failure: PointFailure, gradients: Array) -> Fe2Error:
        """The error of the point that failed, with its place, on all ranks."""
        comm = self._domain.mesh.comm
        point, text = failure.point, ""
        if point >= 0:
            described = self.micro.kinematics.described(gradients[point])
            text = f"{self._place(point)}, {described}: {failure.message}"
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


def _default_degree(mesh: dmesh.Mesh, gradient: Expr, *, is_value: bool) -> int:
    """Degree of the quadrature rule where none is given."""
    degree = max(c.ufl_element().degree for c in ufl.algorithms.extract_coefficients(gradient))
    lowered = ufl.algorithms.expand_derivatives(gradient)
    is_value = is_value or ufl.algorithms.estimate_total_polynomial_degree(lowered) >= degree
    return full_degree(mesh, degree, 0 if is_value else 1)


def _warn_of_locking(mesh: dmesh.Mesh, gradient: Expr, micro: MicroModel) -> None:
    degrees = [c.ufl_element().embedded_superdegree for c in ufl.algorithms.extract_coefficients(gradient)]
    if mesh.comm.rank == 0:
        shape = mesh.topology.cell_name()
        warn_of_locking("the macroscopic mesh", shape, max(degrees), micro.kinematics.isochoric)
