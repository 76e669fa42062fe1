"""The fields of a macroscopic unknown: what has units of its own is never added to what has others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from dolfinx import fem
from petsc4py import PETSc

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.subspaces import subspace

Dofs = npt.NDArray[np.int32]


class Fields:
    """The parts of the unknowns, such as displacement and temperature: those of a mixed one, or it itself.

    Attributes:
        names: Name of each field: that of its unknown, numbered in a mixed one, as in the results.
        sizes: Number of components of each field.
        unknowns: Number of the unknown to which each field belongs.
    """

    def __init__(self, unknowns: Sequence[fem.Function]) -> None:
        """Find this rank's own degrees of freedom of each field.

        Args:
            unknowns: The macroscopic unknowns, whose entries stand one after the other.
        """
        spaces = [unknown.function_space for unknown in unknowns]
        counts = [space.dofmap.index_map.size_local * space.dofmap.index_map_bs for space in spaces]
        self._comm = spaces[0].mesh.comm
        self._spaces, self._starts = spaces, np.cumsum([0, *counts[:-1]]).tolist()
        if any(space == other for space, other in itertools.combinations(spaces, 2)):
            # a boundary condition would be of both
            raise InputError("two unknowns share a function space: give each its own, e.g. V.clone()")
        found = [
            (name, dofs[dofs < count] + start, np.arange(len(dofs))[dofs < count], part, number)
            for number, (unknown, space, start, count) in enumerate(
                zip(unknowns, spaces, self._starts, counts, strict=True)
            )
            for name, dofs, part in _leaves(space, unknown.name)
        ]
        self.names = tuple(name for name, *_ in found)
        self._parts = [part for *_, part, _ in found]
        self.sizes = tuple(part.dofmap.index_map_bs for part in self._parts)
        self.unknowns = tuple(number for *_, number in found)
        if len(set(self.names)) < len(found):
            raise InputError(f"the unknowns need different names, not {', '.join(self.names)}")
        # field, component and place in its own space of every own degree of freedom
        self._field, self._component, self._place = np.zeros((3, sum(counts)), dtype=np.int32)
        for number, (_, dofs, places, *_) in enumerate(found):
            self._field[dofs], self._place[dofs] = number, places
            self._component[dofs] = places % self.sizes[number]

    def __len__(self) -> int:
        """Number of fields."""
        return len(self.names)

    def only(self, values: Array, field: int) -> Array:
        """The entries of one field, with zeros elsewhere."""
        return np.where(self._field == field, values, 0.0)

    def norms(self, values: Array) -> Array:
        """Euclidean norm of each field's part of a vector, shape (fields,); collective.

        Args:
            values: Entries of this rank's own degrees of freedom, shape (owned,).
        """
        # of nothing, as on a rank without degrees of freedom, numpy counts in integers
        squares = np.bincount(self._field, values**2, minlength=len(self)).astype(np.float64)
        return np.sqrt(self._summed(squares))

    def totals(self, values: Array) -> Array:
        """Sum of each field's part of a vector, shape (fields,); collective."""
        return self._summed(np.bincount(self._field, values, minlength=len(self)).astype(np.float64))

    def sums(self, values: Array, dofs: Dofs) -> list[Array]:
        """Sums over some degrees of freedom, shape (components,) for each field; collective."""
        parts = [np.zeros(size) for size in self.sizes]
        for number, part in enumerate(parts):
            mine = dofs[self._field[dofs] == number]
            np.add.at(part, self._component[mine], values[mine])
        return [self._summed(part) for part in parts]

    def among(self, dofs: Dofs) -> list[int]:
        """Numbers of the fields to which some degrees of freedom belong, on any rank; collective."""
        if len(self) == 1:
            return [0]
        counts = self._summed(np.bincount(self._field[dofs], minlength=len(self)).astype(np.float64))
        return np.flatnonzero(counts).tolist()

    def number(self, field: str | int) -> int:
        """Number of a field.

        Raises:
            InputError: There is no such field.
        """
        choices: Sequence[str | int] = self.names if isinstance(field, str) else range(len(self))
        if field not in choices:
            raise InputError(f"field = {field!r} is not one of the unknown's: {', '.join(self.names)}")
        return choices.index(field)

    def constrained(self, bcs: Sequence[fem.DirichletBC]) -> Dofs:
        """This rank's own degrees of freedom under boundary conditions, each once.

        Raises:
            InputError: A boundary condition is of none of the unknowns.
        """
        found = [np.zeros(0, dtype=np.int32)]
        for bc in bcs:
            holds = [space._cpp_object.contains(bc.function_space) for space in self._spaces]
            if not any(holds):
                raise InputError("a boundary condition is of none of the unknowns")
            dofs, owned = bc.dof_indices()
            found.append((dofs[:owned] + self._starts[holds.index(True)]).astype(np.int32))
        return np.unique(np.concatenate(found))

    def index_sets(self) -> list[tuple[str, PETSc.IS]]:
        """Name and global degrees of freedom of each field, as PETSc's field split takes them; collective."""
        own = len(self._field)
        start = self._comm.scan(own) - own
        rows = [(start + np.flatnonzero(self._field == k)).astype(PETSc.IntType) for k in range(len(self))]
        sets = [PETSc.IS().createGeneral(own, comm=self._comm) for own in rows]
        for number, (own, size) in enumerate(zip(sets, self.sizes, strict=True)):
            components = self._component[self._field == number]
            is_blocked = np.array_equal(components, np.arange(len(components)) % size)
            if self._comm.allreduce(not is_blocked) == 0:
                own.setBlockSize(size)
            if (motions := self.rigid_motions(number)) is not None:
                own.compose("nearnullspace", motions)
        return list(zip(self.names, sets, strict=True))

    def rigid_motions(self, number: int) -> PETSc.NullSpace | None:
        """Translations and rotations of a field with a component for each axis, for multigrid; collective.

        None of other fields, and where degrees of freedom are no values at nodes.
        """
        space, dim = self._parts[number], self._spaces[0].mesh.geometry.dim
        if self.sizes[number] != dim or not space.element.interpolation_ident:
            return None
        own = self._field == number
        x = space.tabulate_dof_coordinates()[self._place[own] // dim, :dim]
        along = np.eye(dim)[self._component[own]]
        motions = [along[:, k] for k in range(dim)]
        pairs = itertools.combinations(range(dim), 2)
        motions += [along[:, j] * x[:, i] - along[:, i] * x[:, j] for i, j in pairs]
        vectors: list[PETSc.Vec] = []
        for motion in motions:
            vector = PETSc.Vec().createWithArray(motion, comm=self._comm)
            for other in vectors:
                vector.axpy(-vector.dot(other), other)
            vector.normalize()
            vectors.append(vector)
        return PETSc.NullSpace().create(vectors=vectors, comm=self._comm)

    def actions(self, matrix: PETSc.Mat, change: PETSc.Vec) -> tuple[Array, Array]:
        r"""Forces on each field by the change of each, and the terms of which they are the sum; collective.

        Returns:
            :math:`\|J_{fg}\,\delta u_g\|` and :math:`\|\,|J_{fg}|\,|\delta u_g|\,\|`, (fields, fields).
        """
        rows, columns, values = matrix.getValuesCSR()
        sizes = PETSc.Mat().createAIJ(matrix.getSizes(), csr=(rows, columns, np.abs(values)), comm=self._comm)
        image, part = matrix.createVecLeft(), change.duplicate()
        forces, terms = np.zeros((2, len(self), len(self)))
        for field in range(len(self)):
            part.array[:] = self.only(change.array, field)
            matrix.mult(part, image)
            forces[:, field] = self.norms(image.array)
            part.abs()
            sizes.mult(part, image)
            terms[:, field] = self.norms(image.array)
        for temporary in (sizes, image, part):
            temporary.destroy()
        return forces, terms

    def _summed(self, values: Array) -> Array:
        total = np.empty_like(values)
        self._comm.Allreduce(values, total)
        return total


def own(functions: Sequence[fem.Function]) -> Array:
    """This rank's own entries of functions, one after the other."""
    parts = [u.x.array[:size] for u, size in zip(functions, _own_sizes(functions), strict=True)]
    return np.concatenate(parts)


def set_own(functions: Sequence[fem.Function], values: Array) -> None:
    """Set functions from such entries; collective."""
    ends = np.cumsum(_own_sizes(functions))
    for u, part in zip(functions, np.split(values, ends[:-1]), strict=True):
        u.x.array[: len(part)] = part
        u.x.scatter_forward()


def _own_sizes(functions: Sequence[fem.Function]) -> list[int]:
    dofmaps = [u.function_space.dofmap for u in functions]
    return [dofmap.index_map.size_local * dofmap.index_map_bs for dofmap in dofmaps]


def _leaves(space: fem.FunctionSpace, name: str) -> Iterator[tuple[str, Dofs, fem.FunctionSpace]]:
    """Name of each field, where the degrees of freedom of its own space stand, and that space."""
    if not space.ufl_element().is_mixed:
        nodes, components = space.dofmap.index_map, space.dofmap.index_map_bs
        count = (nodes.size_local + nodes.num_ghosts) * components
        yield name, np.arange(count, dtype=np.int32), space
        return
    for number in range(space.num_sub_spaces):
        part, dofs = subspace(space, number)
        for inner, places, own in _leaves(part, f"{name}_{number}"):
            yield inner, dofs.astype(np.int32)[places], own
