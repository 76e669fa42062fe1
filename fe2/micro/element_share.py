"""The elements of a cell that one rank integrates, where several ranks solve a cell together.

Every rank of the group holds the cell's mesh and all nodal vectors. It integrates the elements of its
share only, remembers their history only, and holds their part of the stiffness; what is a sum over
elements is summed over the group. Vectors and decisions are then the same on all ranks. Where one rank
solves the cell alone, its share is the whole.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from dolfinx.fem.forms import get_integration_domains
from mpi4py import MPI

from fe2.arrays import Array, Ints
from fe2.micro.form import CellForm, HistoryVariable
from fe2.parallel import together

Cells = npt.NDArray[np.int32]

_KINDS = {
    "cell": fem.IntegralType.cell,
    "exterior_facet": fem.IntegralType.exterior_facet,
    "interior_facet": fem.IntegralType.interior_facet,
}
_NUMBERS = {"cell": 1, "exterior_facet": 2, "interior_facet": 4}
"""Numbers that describe an entity: its mesh cell, and the facet in it, on one side or on two."""


class ElementShare:
    """A part of the elements of a cell.

    Attributes:
        comm: The ranks that solve the cell together.
    """

    def __init__(self, comm: MPI.Comm, mesh: dmesh.Mesh[Any]) -> None:
        """Take an equal part of the mesh cells, which are numbered so that neighbours stand together."""
        self.comm, self._mesh = comm, mesh
        cells = mesh.topology.index_map(mesh.topology.dim).size_local
        ends = np.linspace(0, cells, comm.size + 1).round().astype(np.int64)
        self._mine = np.zeros(cells, dtype=bool)
        self._mine[ends[comm.rank] : ends[comm.rank + 1]] = True

    @property
    def is_whole(self) -> bool:
        """Whether this rank has all elements."""
        return self.comm.size == 1

    def cells(self, cells: Cells) -> Cells:
        """Those of some mesh cells that this rank has."""
        return cells[self._mine[cells]]

    def form(self, form: CellForm) -> CellForm:
        """The part of a cell's form that this rank integrates, with the history of its elements."""
        if self.is_whole:
            return form
        history = {id(old): replace(old, cells=self.cells(old.cells)) for old in form.history}
        return replace(
            form,
            residual=self._integrals(form.residual),
            values=tuple(replace(v, conjugate=self._integrals(v.conjugate)) for v in form.values),
            jacobian=None if form.jacobian is None else self._integrals(form.jacobian),
            history=tuple(history.values()),
            point_laws=tuple(
                replace(
                    term,
                    cells=self.cells(term.cells),
                    history={name: history[id(old)] for name, old in term.history.items()},
                )
                for term in form.point_laws
            ),
            fluxes=tuple(replace(term, cells=self.cells(term.cells)) for term in form.fluxes),
            conditions=tuple(
                replace(condition, cells=self.cells(condition.cells)) for condition in form.conditions
            ),
        )

    def of_history(self, variable: HistoryVariable, points: int) -> Ints:
        """Places of this rank's values among those of all elements, with so many points in each."""
        numbers = points * variable.components
        kept: Ints = np.flatnonzero(np.repeat(self._mine[variable.cells], numbers))
        return kept

    def sum(self, values: Array) -> Array:
        """Sum over the ranks, in place; collective."""
        if not self.is_whole:
            self.comm.Allreduce(MPI.IN_PLACE, values)
        return values

    def agreed(self) -> AbstractContextManager[None]:
        """What goes wrong inside on one rank is raised on all; nothing inside may be collective."""
        return nullcontext() if self.is_whole else together(self.comm)

    def _integrals(self, form: ufl.Form) -> ufl.Form:
        """A form whose integrals run over the entities of this rank's elements."""
        kinds = {integral.integral_type() for integral in form.integrals()}
        domains = {kind: self._domains(form, kind) for kind in kinds}
        everywhere = {kind: max((number for number, _ in domains[kind]), default=0) for kind in kinds}
        return ufl.Form(
            [
                integral.reconstruct(
                    subdomain_id=everywhere[integral.integral_type()]
                    if integral.subdomain_id() == "everywhere"
                    else integral.subdomain_id(),
                    subdomain_data=domains[integral.integral_type()],
                )
                for integral in form.integrals()
            ]
        )

    def _domains(self, form: ufl.Form, kind: str) -> list[tuple[int, Cells]]:
        """Entities of this rank by the number of their subdomain; the last one is the whole mesh."""
        integrals = [integral for integral in form.integrals() if integral.integral_type() == kind]
        data = next((i.subdomain_data() for i in integrals if i.subdomain_data() is not None), None)
        ids = [integral.subdomain_id() for integral in integrals]
        flat = [number for part in ids for number in (part if isinstance(part, tuple) else (part,))]
        numbers = sorted({number for number in flat if number != "everywhere"})
        found = get_integration_domains(_KINDS[kind], data, numbers) if numbers else []
        domains = [(number, self._own(entities, kind)) for number, entities in found]
        last = max([number for number, _ in domains] + numbers, default=0) + 1
        return [*domains, (last, self._own(self._everything(kind), kind))]

    def _own(self, entities: Cells, kind: str) -> Cells:
        table = np.asarray(entities, dtype=np.int32).reshape(-1, _NUMBERS[kind])
        return np.ascontiguousarray(table[self._mine[table[:, 0]]]).reshape(-1)

    def _everything(self, kind: str) -> Cells:
        if kind == "cell":
            return np.arange(len(self._mine), dtype=np.int32)
        topology, dim = self._mesh.topology, self._mesh.topology.dim
        topology.create_connectivity(dim - 1, dim)
        topology.create_connectivity(dim, dim - 1)
        exterior = dmesh.exterior_facet_indices(topology)
        facets = np.arange(topology.index_map(dim - 1).size_local, dtype=np.int32)
        wanted = exterior if kind == "exterior_facet" else np.setdiff1d(facets, exterior)
        found: Cells = fem.compute_integration_domains(_KINDS[kind], topology, wanted)
        return found


class SummedMatrix:
    """A matrix over all degrees of freedom that is the sum of the parts of several ranks.

    Attributes:
        part: This rank's part.
    """

    def __init__(self, part: sp.csr_matrix | sp.bsr_matrix, share: ElementShare) -> None:
        """Keep the part; the share knows the other ranks."""
        self.part, self._share = part, share

    def __matmul__(self, columns: Array) -> Array:
        """Product with a vector or with columns; collective."""
        return self._share.sum(np.ascontiguousarray(self.part @ columns))

    def diagonal(self) -> Array:
        """The diagonal; collective."""
        return self._share.sum(self.part.diagonal())

    def __abs__(self) -> SummedMatrix:
        """The sum of the absolute values of the parts, which is at least that of the matrix."""
        return SummedMatrix(abs(self.part), self._share)
