"""Quadrature functions, and values at the quadrature points of a set of mesh cells as flat arrays."""

from __future__ import annotations

import basix
import basix.ufl
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from ufl.algorithms import expand_derivatives
from ufl.algorithms.transformer import strip_variables
from ufl.core.expr import Expr
from ufl.domain import extract_domains

from fe2.arrays import Array, Ints
from fe2.jit import compile_expression


def quadrature_function(mesh: dmesh.Mesh, degree: int, shape: tuple[int, ...], name: str) -> fem.Function:
    """A function with values of the given shape at the points of the default rule of that degree."""
    element = basix.ufl.quadrature_element(
        mesh.basix_cell(), value_shape=shape, degree=degree, scheme="default"
    )
    return fem.Function(fem.functionspace(mesh, element), name=name)


def point_dofs(function: fem.Function, cells: npt.NDArray[np.int32]) -> Ints:
    """Rows of a quadrature function's values, one for each point of the given mesh cells, cell by cell."""
    rows: Ints = function.function_space.dofmap.list[cells].reshape(-1).astype(np.int64)
    return rows


def quadrature_points(mesh: dmesh.Mesh, degree: int) -> tuple[Array, Array]:
    """Points (q, dim) and weights (q,) of the default rule of that degree on the reference cell."""
    return basix.make_quadrature(mesh.basix_cell(), degree)


def full_degree(mesh: dmesh.Mesh, degree: int, order: int = 1) -> int:
    r"""Lowest degree with which no straight element loses stiffness where the tangent is constant.

    The stiffness is an integral of products of two derivatives. Those of order k of a polynomial of degree p
    have the degree :math:`2(p - k)` on simplices; on quadrilaterals and hexahedra a derivative along one axis
    is still of degree p along the others, so that p + 1 points are needed in each direction, degree 2p.

    Args:
        mesh: The mesh.
        degree: Degree p of the element.
        order: Order k of the derivatives, 0 for the values themselves.
    """
    simplex = mesh.topology.cell_name() in ("interval", "triangle", "tetrahedron")
    return max(1, 2 * (degree - order) if simplex else 2 * degree)


class PointEvaluator:
    """Evaluates a UFL expression at the quadrature points of a set of mesh cells.

    Attributes:
        points_per_cell: Number of quadrature points in each mesh cell.
    """

    def __init__(self, expression: Expr, mesh: dmesh.Mesh, degree: int, cells: npt.NDArray[np.int32]) -> None:
        """Compile the expression for the default quadrature rule of that degree."""
        points, _ = quadrature_points(mesh, degree)
        self.points_per_cell = len(points)
        # a variable has a number of its own: with it, the same expression would be compiled for every cell
        expression = strip_variables(expand_derivatives(expression))
        if not extract_domains(expression):  # numbers alone do not know the mesh
            expression = expression + fem.Constant(mesh, np.zeros(expression.ufl_shape))
        self._expression = compile_expression(expression, points, mesh.comm)
        self._mesh, self._cells = mesh, cells

    def __call__(self) -> Array:
        """Values at present, shape (points, components), points cell by cell."""
        shape = (len(self._cells) * self.points_per_cell, self._expression.value_size)
        return self._expression.eval(self._mesh, self._cells).reshape(shape)


def point_weights(mesh: dmesh.Mesh, degree: int, cells: npt.NDArray[np.int32]) -> Array:
    """Volumes that the quadrature points of the given mesh cells stand for, cell by cell."""
    _, weights = quadrature_points(mesh, degree)
    jacobian = PointEvaluator(abs(ufl.JacobianDeterminant(mesh)), mesh, degree, cells)
    return (jacobian().reshape(len(cells), len(weights)) * weights).reshape(-1)
