r"""Where a law holds: the mesh cells of a subdomain, or facets, with their quadrature points.

Quadrature functions of a law on facets live on a mesh of the facets alone. What a form says of the two sides
of a facet is evaluated by integrals: with the test functions :math:`\tau_q` of the quadrature space,

.. math:: g(x_q) = \frac{\int g\,\tau_q}{\int \tau_q},

each of which has one point only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem, la
from dolfinx import mesh as dmesh
from ufl.core.expr import Expr
from ufl.corealg.multifunction import MultiFunction
from ufl.corealg.traversal import unique_pre_traversal
from ufl.restriction import Restricted

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.jit import compile_expression, compile_form
from fe2.quadrature import point_dofs, point_weights, quadrature_function, quadrature_points

Entities = npt.NDArray[np.int32]


_DIRECTION = np.array([1.0, 0.6180339887, 0.4142135623])
"""Along which the points of a facet are ordered: facets lie along axes and diagonals, not along this."""


class CellDomain:
    """The cells of a mesh, or of one of its subdomains.

    Attributes:
        mesh: The mesh on which the law's quadrature functions live.
        cells: This rank's own cells of that mesh.
        points_per_cell: Number of quadrature points in each.
        rows: Where this rank's points stand in a quadrature function, cell by cell.
        measure: Integrates over the domain, with its quadrature rule.
        entity_maps: What forms with the law's flux need beside it.
        kind: What messages call a cell.
    """

    entity_maps: Sequence[dmesh.EntityMap] = ()
    kind = "cell"

    def __init__(
        self, mesh: dmesh.Mesh, degree: int, subdomains: dmesh.MeshTags | None, subdomain: int | None
    ) -> None:
        """Find the cells; collective.

        Raises:
            InputError: The subdomain has no cells.
        """
        self.mesh, self._degree = mesh, degree
        owned = mesh.topology.index_map(mesh.topology.dim).size_local
        self.cells = np.arange(owned, dtype=np.int32)
        if subdomains is not None:
            self.cells = _tagged(mesh, subdomains, subdomain, owned, "mesh cells")
        measure = ufl.Measure("dx", domain=mesh, subdomain_data=subdomains, metadata=_rule(degree))
        self.measure = measure if subdomains is None else measure(subdomain)
        self._points, _ = quadrature_points(mesh, degree)
        self.points_per_cell = len(self._points)
        self.rows = point_dofs(self.function((), "points"), self.cells)

    def function(self, shape: tuple[int, ...], name: str) -> fem.Function:
        """A quadrature function."""
        return quadrature_function(self.mesh, self._degree, shape, name)

    def evaluator(self, expression: Expr) -> Callable[[], Array]:
        """What gives the values of an expression at this rank's points, shape (n, size), cell by cell."""
        compiled = compile_expression(expression, self._points, self.mesh.comm)
        shape = (len(self.cells) * self.points_per_cell, compiled.value_size)
        return lambda: compiled.eval(self.mesh, self.cells).reshape(shape)

    def in_form(self, function: fem.Function) -> Expr:
        """A quadrature function as it stands in a form."""
        return function

    def derivative(self, form: ufl.Form, function: fem.Function, change: Expr) -> ufl.Form:
        """Derivative of a form with respect to a quadrature function, in the direction of an expression."""
        return ufl.derivative(form, function, change)

    def coordinates(self) -> Array:
        """Coordinates of this rank's points, shape (n, dim), cell by cell."""
        return self._places()

    def weights(self) -> Array:
        """Volumes that this rank's points stand for, shape (n,), cell by cell."""
        return point_weights(self.mesh, self._degree, self.cells)

    def numbers(self) -> Ints:
        """Numbers of this rank's cells, the same on any number of ranks: those of the mesh as it was made."""
        return np.asarray(self.mesh.topology.original_cell_index[self.cells], dtype=np.int64)

    @cached_property
    def _places(self) -> Callable[[], Array]:
        return CellDomain.evaluator(self, ufl.SpatialCoordinate(self.mesh))


class FacetDomain(CellDomain):
    """Facets with a tag; `mesh` is a mesh of these facets alone, and its cells are the facets.

    They are interior ones, or those of the boundary where the expression is of no side and all lie there.

    Attributes:
        is_boundary: Whether they lie on the boundary.
    """

    kind = "facet"

    def __init__(
        self,
        mesh: dmesh.Mesh,
        degree: int,
        subdomains: dmesh.MeshTags,
        subdomain: int | None,
        gradient: Expr,
    ) -> None:
        """Find the facets, and make their mesh; collective.

        Raises:
            InputError: No facet has the tag, some lie on the boundary and some do not, or the gradient is of
                two sides there.
        """
        dim = mesh.topology.dim
        mesh.topology.create_connectivity(dim - 1, dim)
        owned = mesh.topology.index_map(dim - 1).size_local
        own = _tagged(mesh, subdomains, subdomain, owned, "facets")
        mesh.topology.create_connectivity(dim - 1, dim)
        inside = np.setdiff1d(own, dmesh.exterior_facet_indices(mesh.topology))
        self.is_boundary = not _has_sides(gradient) and mesh.comm.allreduce(len(inside)) == 0
        known = subdomains.find(subdomain)
        part, entity_map, *_ = dmesh.create_submesh(mesh, dim - 1, known)
        super().__init__(part, degree, None, None)
        self._parent, self.entity_maps = mesh, [entity_map]
        kind = "ds" if self.is_boundary else "dS"
        self.measure = ufl.Measure(kind, domain=mesh, subdomain_data=subdomains, metadata=_rule(degree))(
            subdomain
        )
        # on another number of ranks a facet may be the other way round: its points keep their order
        x = super().coordinates()
        along = (x @ _DIRECTION[: x.shape[1]]).reshape(len(self.cells), self.points_per_cell)
        order = np.argsort(along, axis=1)
        self._order = (np.arange(len(order))[:, None] * self.points_per_cell + order).reshape(-1)
        self.rows = self.rows[self._order]
        self._of_one = self._integrals(ufl.as_ufl(1.0))()[:, 0]
        self._numbers = _facet_numbers(mesh, entity_map.sub_topology_to_topology(self.cells, False))
        wrong = int(np.count_nonzero(self._of_one <= 0.0))
        if mesh.comm.allreduce(wrong):
            raise InputError(
                f"subdomain {subdomain} of a law on interior facets has facets on the boundary, or the mesh "
                "has no ghosts across ranks: GhostMode.shared_facet is needed"
            )

    def evaluator(self, expression: Expr) -> Callable[[], Array]:
        """What gives the values of an expression of both sides at this rank's points, shape (n, size)."""
        integrals = self._integrals(expression)
        return lambda: integrals() / self._of_one[:, None]

    def in_form(self, function: fem.Function) -> Expr:
        """A quadrature function as it stands in a form: the same from both sides."""
        return function if self.is_boundary else function("+")

    def derivative(self, form: ufl.Form, function: fem.Function, change: Expr) -> ufl.Form:
        """Derivative of a form with respect to a quadrature function, in the direction of an expression."""
        if self.is_boundary:
            return super().derivative(form, function, change)
        direction = fem.Function(function.function_space)
        derived = ufl.algorithms.expand_derivatives(ufl.derivative(form, function, direction))
        return ufl.algorithms.map_integrands.map_integrand_dags(_OfBothSides(direction, change), derived)

    def coordinates(self) -> Array:
        """Coordinates of this rank's points, shape (n, dim), facet by facet."""
        return super().coordinates()[self._order]

    def weights(self) -> Array:
        """Areas that this rank's points stand for, shape (n,), facet by facet."""
        return self._of_one

    def numbers(self) -> Ints:
        """Numbers of this rank's facets: of the lower one of their two cells, and of the facet in it."""
        return self._numbers

    def _integrals(self, expression: Expr) -> Callable[[], Array]:
        """Integrals of an expression times the test function of each of this rank's points, (n, size)."""
        parts = [expression] if not expression.ufl_shape else list(expression)
        space = self.function((len(parts),), "integrals").function_space
        test = ufl.TestFunction(space)
        integral = ufl.dot(ufl.as_vector(parts), test if self.is_boundary else test("+")) * self.measure
        form = compile_form(integral, self.mesh.comm, self.entity_maps)
        vector = fem.create_vector(space)

        def integrals() -> Array:
            vector.array[:] = 0.0
            fem.assemble_vector(vector.array, form)
            vector.scatter_reverse(la.InsertMode.add)
            values: Array = vector.array.reshape(-1, len(parts))[self.rows]
            return values

        return integrals


def _has_sides(expression: Expr) -> bool:
    """Whether an expression is of a side of facets."""
    return any(isinstance(part, Restricted) for part in unique_pre_traversal(expression))


class _OfBothSides(MultiFunction):
    """Puts an expression of both sides in the place of a quadrature function of either."""

    def __init__(self, function: fem.Function, expression: Expr) -> None:
        super().__init__()
        self._function, self._expression = function, expression

    expr = MultiFunction.reuse_if_untouched

    def restricted(self, o: Expr, operand: Expr) -> Expr:
        """The expression, or what stands there."""
        return self._expression if operand is self._function else self.reuse_if_untouched(o, operand)


def _facet_numbers(mesh: dmesh.Mesh, facets: Entities) -> Ints:
    """A number for each facet, the same on any number of ranks: of its lower cell, and of its place there."""
    dim = mesh.topology.dim
    mesh.topology.create_connectivity(dim, dim - 1)
    cells_of, facets_of = mesh.topology.connectivity(dim - 1, dim), mesh.topology.connectivity(dim, dim - 1)
    numbers = mesh.topology.original_cell_index
    most = 6  # facets of a cell
    return np.array(
        [
            min(
                most * numbers[c] + int(np.flatnonzero(facets_of.links(c) == f)[0]) for c in cells_of.links(f)
            )
            for f in facets
        ],
        dtype=np.int64,
    )


def _rule(degree: int) -> dict[str, object]:
    return {"quadrature_degree": degree, "quadrature_rule": "default"}


def _tagged(mesh: dmesh.Mesh, tags: dmesh.MeshTags, tag: int | None, owned: int, what: str) -> Entities:
    """This rank's own entities with a tag: the micro models of a ghost are solved by its owner."""
    if tag is None:
        raise InputError("a homogenized law with subdomains needs the tag of its subdomain")
    found = tags.find(tag)
    own: Entities = found[found < owned]
    if mesh.comm.allreduce(len(own)) == 0:
        known = sorted(set().union(*mesh.comm.allgather(set(tags.values.tolist()))))
        raise InputError(f"subdomain {tag} has no {what}; the tags of the mesh are {known}")
    return own
