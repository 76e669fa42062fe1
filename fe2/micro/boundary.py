r"""Boundary conditions of a cell, as a map from free fluctuations to degrees of freedom.

The micro field is :math:`u = X g + T w`. The columns of :math:`T` span the admissible
fluctuations, so :math:`T` *is* the boundary condition:

- periodic: degrees of freedom on the upper faces copy those on the lower ones;
- linear: fluctuations vanish on the faces of the cell;
- uniform flux (uniform traction in mechanics): only the average of the fluctuation's gradient
  vanishes, :math:`\int_{\partial Y} w_i n_j\,\mathrm{d}a = 0`, which are a few rows of
  constraints :math:`C w = 0` besides.

Of an unknown with several fields, the last two act on those that carry macroscopic modes. Where
rigid translations of such a field would be left, it is pinned at one node. A condition of one's own is a
:class:`BoundaryCondition` as these are, and a form may add rows of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh

from fe2.arrays import Array, Ints, Mask
from fe2.errors import InputError
from fe2.jit import compile_form
from fe2.micro.cell import Cell
from fe2.micro.form import CellForm
from fe2.micro.periodicity import node_representatives


@dataclass(frozen=True, eq=False)
class BoundaryMap:
    """Admissible fluctuations of a cell.

    Attributes:
        name: Name of the boundary condition.
        free: For each of the N degrees of freedom the number of the free fluctuation that it
            copies, or -1 where the fluctuation is zero, shape (N,).
        size: Number n of free fluctuations.
        constraints: Rows C of shape (c, n): free fluctuations satisfy C w = 0.
    """

    name: str
    free: Ints
    size: int
    constraints: Array

    @property
    def matrix(self) -> sp.csr_matrix:
        """The map T from free fluctuations to degrees of freedom, shape (N, n), entries zero and one."""
        rows = np.flatnonzero(self.free >= 0)
        return sp.csr_matrix((np.ones(len(rows)), (rows, self.free[rows])), shape=(len(self.free), self.size))


@dataclass(frozen=True, eq=False)
class CellField:
    """One field of the unknown of a cell.

    Attributes:
        number: Its number.
        nodes: Its nodes, shape (n, dim), the centre of the cell at the origin.
        dofs: Degrees of freedom at them, shape (n, components).
        carries_modes: Whether macroscopic modes move it.
    """

    number: int
    nodes: Array
    dofs: Ints
    carries_modes: bool


@dataclass(frozen=True, eq=False)
class Admissible:
    """Which fluctuations a boundary condition admits.

    Attributes:
        masters: For each of the N degrees of freedom the one that it copies, itself where it copies none.
        fixed: Those whose fluctuation is zero, as a mask of shape (N,).
        rows: Linear forms of the test function that vanish for an admissible fluctuation.
    """

    masters: Ints
    fixed: Mask
    rows: Sequence[ufl.Form] = ()


@dataclass(frozen=True, eq=False)
class BoundaryCondition:
    """A boundary condition of cells.

    .. code-block:: python

        def clamped(cell, form, fields):
            masters, fixed = np.arange(len(form.modes)), np.zeros(len(form.modes), dtype=bool)
            for field in fields:
                at = np.any(np.abs(np.abs(field.nodes) - cell.period / 2) < 1e-8 * cell.period, axis=1)
                fixed[field.dofs[at]] = True
            return fe2.Admissible(masters, fixed)

        rve = fe2.RVE(cell, form, boundary=fe2.BoundaryCondition("clamped", clamped))

    It has to satisfy Hill's condition, that the work of the mean stress is the mean of the work: the nodal
    residual at equilibrium does no work on a fluctuation that is admitted.

    Attributes:
        name: Its name.
        admissible: Cell, form and the fields of its unknown ↦ what is admitted.
    """

    name: str
    admissible: Callable[[Cell, CellForm, Sequence[CellField]], Admissible]

    def __str__(self) -> str:
        return self.name


def boundary_map(boundary: str | BoundaryCondition, cell: Cell, form: CellForm) -> BoundaryMap:
    """The boundary condition, of the name "periodic", "linear" or "uniform_flux" or one's own, for a form.

    Raises:
        InputError: There is no such boundary condition, the cell's faces do not match, or what it admits does
            not fit the form.
    """
    condition = BOUNDARY_CONDITIONS.get(boundary) if isinstance(boundary, str) else boundary
    if condition is None:
        raise InputError(
            f"boundary = {boundary!r} is not known; it is one of {', '.join(BOUNDARY_CONDITIONS)}, or a "
            "BoundaryCondition"
        )
    found = condition.admissible(cell, form, _fields(form, cell.dim))
    masters, fixed = found.masters, found.fixed
    _check(condition.name, masters, fixed, len(form.modes))
    rows = [compile_form(row, cell.mesh.comm) for row in (*found.rows, *form.rows)]
    if form.fixed is not None:
        # a copy of a fixed degree of freedom is fixed, and so is what a fixed one copies
        fixed = fixed | np.isin(masters, masters[form.fixed])
    return _numbered(condition.name, masters, fixed, rows)


def _check(name: str, masters: Ints, fixed: Mask, size: int) -> None:
    """Refuse what is no map of the degrees of freedom."""
    if masters.shape != (size,) or fixed.shape != (size,) or fixed.dtype != np.bool_:
        raise InputError(
            f"the boundary condition {name!r} answered with masters of shape {masters.shape} and fixed of "
            f"shape {fixed.shape} and type {fixed.dtype}; both are of shape ({size},), fixed is a mask"
        )
    if not np.issubdtype(masters.dtype, np.integer) or masters.min() < 0 or masters.max() >= size:
        raise InputError(
            f"the boundary condition {name!r} answered with masters from {masters.min()} to {masters.max()}; "
            f"they are numbers of degrees of freedom, 0 to {size - 1}"
        )
    if np.any(masters[masters] != masters):
        where = int(np.argmax(masters[masters] != masters))
        raise InputError(
            f"the boundary condition {name!r} lets degree of freedom {where} copy {masters[where]}, which "
            f"copies {masters[masters[where]]} itself: a master copies itself"
        )


def _periodic(cell: Cell, form: CellForm, fields: Sequence[CellField]) -> Admissible:
    masters = _copies(form)
    fixed = np.zeros(len(masters), dtype=bool)
    for field in fields:
        if form.copies is None:
            nodes = node_representatives(field.nodes, cell.period, partners=cell.whole)
            masters[field.dofs] = field.dofs[nodes]
        if field.carries_modes and not form.zero_mean:
            fixed |= np.isin(masters, masters[field.dofs[_corner(cell, field)]])
    return Admissible(masters, fixed, _means(form, fields))


def _linear(cell: Cell, form: CellForm, fields: Sequence[CellField]) -> Admissible:
    fixed = np.zeros(len(form.modes), dtype=bool)
    for field in fields:
        if field.carries_modes:
            fixed[field.dofs[_on_faces(cell, field.nodes)]] = True
    return Admissible(_copies(form), fixed)


def _uniform_flux(cell: Cell, form: CellForm, fields: Sequence[CellField]) -> Admissible:
    masters = _copies(form)
    fixed = np.zeros(len(masters), dtype=bool)
    rows = _means(form, fields)
    for field in fields:
        if field.carries_modes:
            rows += _average_gradient(cell, form, field)
            if not form.zero_mean:
                fixed |= np.isin(masters, masters[field.dofs[_corner(cell, field)]])
    return Admissible(masters, fixed, rows)


BOUNDARY_CONDITIONS = {
    name: BoundaryCondition(name, admissible)
    for name, admissible in (("periodic", _periodic), ("linear", _linear), ("uniform_flux", _uniform_flux))
}


def _copies(form: CellForm) -> Ints:
    """What each degree of freedom copies before any boundary condition."""
    return np.arange(len(form.modes)) if form.copies is None else form.copies.copy()


def _fields(form: CellForm, dim: int) -> list[CellField]:
    moving = np.any(form.modes != 0.0, axis=1)
    if form.fixed is not None:
        moving &= ~form.fixed  # no fluctuation, nothing to be pinned or constrained
    return [
        CellField(
            number,
            part.tabulate_dof_coordinates()[:, :dim],
            positions.reshape(-1, part.dofmap.index_map_bs),
            bool(moving[positions].any()),
        )
        for number, (part, positions) in enumerate(form.fields())
    ]


def _corner(cell: Cell, field: CellField) -> int:
    return int(np.argmin(np.linalg.norm(field.nodes + cell.period / 2, axis=1)))


def _on_faces(cell: Cell, x: Array) -> Mask:
    return np.any(np.abs(np.abs(x) - cell.period / 2) < 1e-8 * cell.period, axis=1)


def _numbered(name: str, masters: Ints, fixed: Mask, rows: list[fem.Form]) -> BoundaryMap:
    """Number the free fluctuations of degrees of freedom that copy `masters` and are not fixed."""
    used = np.flatnonzero(np.bincount(masters[~fixed]))
    number = np.full(len(masters), -1, dtype=np.int64)
    number[used] = np.arange(len(used))
    free = np.where(fixed, -1, number[masters])
    unconstrained = BoundaryMap(name, free, len(used), np.zeros((0, len(used))))
    if not rows:
        return unconstrained
    constraints = np.array([fem.assemble_vector(row).array for row in rows]) @ unconstrained.matrix
    # what does not reach the faces of an axis is not constrained there
    reaches = np.any(constraints != 0.0, axis=1)
    return BoundaryMap(name, free, len(used), constraints[reaches])


def _components(form: CellForm, field: CellField) -> list[ufl.core.expr.Expr]:
    """Components of the test function of one field."""
    test = ufl.TestFunction(form.unknown.function_space)
    parts = (
        ufl.split(test) if form.unknown.function_space.num_sub_spaces and not _is_blocked(form) else (test,)
    )
    part = parts[field.number]
    return [part[i] for i in range(part.ufl_shape[0])] if part.ufl_shape else [part]


def _is_blocked(form: CellForm) -> bool:
    return form.unknown.function_space.dofmap.index_map_bs > 1


def _means(form: CellForm, fields: Sequence[CellField]) -> list[ufl.Form]:
    """Rows that let the mean of every field with macroscopic modes vanish."""
    if not form.zero_mean:
        return []
    mesh = form.unknown.function_space.mesh
    moving = [field for field in fields if field.carries_modes]
    return [v * ufl.dx(mesh) for field in moving for v in _components(form, field)]


def _average_gradient(cell: Cell, form: CellForm, field: CellField) -> list[ufl.Form]:
    mesh = cell.mesh
    mesh.topology.create_connectivity(cell.dim - 1, cell.dim)
    exterior = dmesh.exterior_facet_indices(mesh.topology)
    facets = exterior[_on_faces(cell, dmesh.compute_midpoints(mesh, cell.dim - 1, exterior)[:, : cell.dim])]
    tags = dmesh.meshtags(mesh, cell.dim - 1, facets, np.ones(len(facets), dtype=np.int32))
    ds = ufl.Measure("ds", domain=mesh, subdomain_data=tags, subdomain_id=1)
    normal = ufl.FacetNormal(mesh)
    return [v * normal[j] * ds for v in _components(form, field) for j in range(cell.dim)]
