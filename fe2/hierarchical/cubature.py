r"""Empirical cubature: a few mesh cells with positive weights that integrate what the reduced cell needs.

Sought are weights :math:`w_e \ge 0`, most of them zero, with

.. math:: \sum_e w_e\, f_e = \sum_e f_e

for the mesh cells' shares :math:`f_e` of the reduced residual, of the flux and of the history variables in
all snapshots, and for the volume of each phase. The shares are divided by the roots of the cells' volumes;
those of one
group of fields, of a value and of a history variable each have the same norm;
their left singular vectors, up to a tolerance, are the conditions (Hernández, Caicedo & Ferrer, Comput.
Methods Appl. Mech. Engrg. 313 (2017), sec. 3), and non-negative least squares (Lawson & Hanson 1974) find a
solution with as many mesh cells as there are conditions, at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.optimize
import ufl
from dolfinx import fem

from fe2.arrays import Array, Ints, Mask
from fe2.errors import InputError, MicroSolveError
from fe2.hierarchical.basis import Basis, Virgin
from fe2.hierarchical.restriction import broken, cellwise
from fe2.hierarchical.solved_path import SolvedPath
from fe2.jit import compile_form
from fe2.micro.problem import CellProblem
from fe2.quadrature import point_weights

SKETCH = 800
"""Random combinations of the shares whose singular vectors stand for those of all (Halko, Martinsson & Tropp,
SIAM Rev. 53 (2011)); more than the conditions that a cubature ever has."""


@dataclass(frozen=True, eq=False)
class Cubature:
    """Mesh cells with weights.

    Attributes:
        cells: Mesh cells, increasing.
        weights: Their weights, positive; times the cells' volumes they add up to the cell's.
        error: Part of the shares that the conditions left out, relative to their norm.
        residual: What the weights leave of the conditions, relative to their right-hand side.
    """

    cells: npt.NDArray[np.int32]
    weights: Array
    error: float
    residual: float


def all_cells(count: int) -> Cubature:
    """Every mesh cell with the weight one: no cubature."""
    return Cubature(np.arange(count, dtype=np.int32), np.ones(count), 0.0, 0.0)


def empirical_cubature(
    problem: CellProblem, basis: Basis, virgin: Virgin, training: Sequence[SolvedPath], *, tolerance: float
) -> Cubature:
    """A cubature for a basis, from what the cell went through.

    Args:
        problem: The whole cell's problem; any state may be loaded afterwards.
        basis: Modes of the fluctuation.
        virgin: The linearized virgin cell.
        training: Paths that were solved.
        tolerance: Part of the shares, in their norm, that the conditions may leave out.

    Raises:
        InputError: No weights were found with which the conditions hold.
    """
    cell = problem.cell
    count = cell.mesh.topology.index_map(cell.dim).size_local
    shares = _Shares(problem, basis, virgin)
    sketches = [_Sketch(count, number) for number in range(len(shares.parts) + len(problem.form.history))]
    for columns in (block for path in training for block in shares.along(path)):
        for sketch, values in zip(sketches, columns, strict=True):
            sketch.add(values)
    volumes = np.bincount(
        np.repeat(np.arange(count), shares.points_per_cell), shares.volumes, minlength=count
    )
    # sums of sketches with random factors of their own are the sketch of all columns side by side
    combined = np.sum([s.values / s.norm for s in sketches if s.norm > 0.0], axis=0)
    phases = [cell.phases.values[:count] == number for number in range(len(cell.names))]
    return _chosen(combined, volumes, np.array(phases), tolerance)


def _chosen(shares: Array, volumes: Array, phases: Mask, tolerance: float) -> Cubature:
    roots = np.sqrt(volumes)
    left, singular_values, _ = np.linalg.svd(shares / roots[:, None], full_matrices=False)
    squares = singular_values**2
    tails = np.sqrt(np.append(np.cumsum(squares[::-1])[::-1], 0.0) / squares.sum())
    count = int(np.argmax(tails <= tolerance))
    of_phases = phases * roots
    of_phases = of_phases[np.any(phases, axis=1)]
    conditions = np.vstack([of_phases / np.linalg.norm(of_phases, axis=1, keepdims=True), left[:, :count].T])
    right = conditions @ roots
    try:
        solution, residual = scipy.optimize.nnls(conditions, right, maxiter=20 * len(right))
    except RuntimeError as error:  # it runs out of iterations
        raise InputError(
            f"no positive weights were found for {len(right)} conditions and a cubature_tolerance of "
            f"{tolerance:g}; give a larger one, or zero, which takes every mesh cell"
        ) from error
    cells = np.flatnonzero(solution > 0.0).astype(np.int32)
    return Cubature(
        cells, solution[cells] / roots[cells], float(tails[count]), float(residual / np.linalg.norm(right))
    )


class _Sketch:
    """Random combinations of columns, collected without keeping the columns."""

    def __init__(self, rows: int, seed: int) -> None:
        self.values = np.zeros((rows, min(rows, SKETCH)))
        self._rng = np.random.default_rng(seed)
        self._squares = 0.0

    @property
    def norm(self) -> float:
        """Norm of all columns."""
        return float(np.sqrt(self._squares))

    def add(self, columns: Array) -> None:
        factors = self._rng.standard_normal((columns.shape[1], self.values.shape[1]))
        self.values += columns @ factors / np.sqrt(self.values.shape[1])
        self._squares += float(np.sum(columns**2))


class _Shares:
    """Shares of the mesh cells in the reduced residual, the flux and the means of history variables."""

    def __init__(self, problem: CellProblem, basis: Basis, virgin: Virgin) -> None:
        form, mesh = problem.form, problem.cell.mesh
        self._problem, self._basis = problem, basis
        self.parts = _parts(virgin, basis)
        scale = np.sqrt(np.abs(np.diag(virgin.macroscopic)))
        directions = np.hstack([form.modes / np.where(scale > 0.0, scale, 1.0), problem.prolong(basis.modes)])
        space = fem.functionspace(mesh, broken(form.unknown.function_space.ufl_element()))
        self._dofs = _dofs_of_cells(space)
        self._directions = np.array(
            [_broken_values(form.unknown, d, space)[self._dofs] for d in directions.T]
        )
        self._form = compile_form(cellwise(form, space), mesh.comm)
        self._vector = np.zeros(self._dofs.size)
        self._stored = self._values(problem, scale)
        cells = np.arange(len(self._dofs), dtype=np.int32)
        self.volumes = point_weights(mesh, form.quadrature_degree, cells)
        self.points_per_cell = len(self.volumes) // len(cells)

    def along(self, path: SolvedPath) -> Iterator[list[Array]]:
        """For each step the shares in each part of the forces and in each history variable, as columns."""
        layout = self._problem.layout
        for number, (dt, gradient) in enumerate(zip(path.steps, path.gradients, strict=True)):
            before, after = path.states[number], path.states[number + 1]
            self._problem.load(before, float(dt))
            projected = self._basis.modes @ (self._basis.dual.T @ after[layout.fluctuation])
            self._evaluate(gradient, projected, after[layout.fluctuation])
            forces = self._forces()
            yield [*(forces[:, part] for part in self.parts), *self._history(after)]

    def _evaluate(self, gradient: Array, projected: Array, exact: Array) -> None:
        """Set the field of the reduced cell, or the exact one where the projection has no meaning."""
        self._problem.set_field(gradient, projected)
        try:
            self._problem.assemble_residual()
        except MicroSolveError:
            self._problem.set_field(gradient, exact)
            self._problem.assemble_residual()

    def _forces(self) -> Array:
        self._vector[:] = 0.0
        fem.assemble_vector(self._vector, self._form)
        forces: Array = np.einsum("ked,ed->ek", self._directions, self._vector[self._dofs], optimize=True)
        for column, form, scale in self._stored:
            forces[:, column] = fem.assemble_vector(form).array[self._places] / scale
        return forces

    def _values(self, problem: CellProblem, scale: Array) -> list[tuple[int, fem.Form, float]]:
        """What is conjugate to each value, element by element, and what makes it comparable to forces."""
        mesh = problem.cell.mesh
        space = fem.functionspace(mesh, ("DG", 0))
        self._places = space.dofmap.list[:, 0]
        return [
            (v.component, compile_form(_by_element(v.conjugate, space), mesh.comm), scale[v.component] or 1.0)
            for v in problem.form.values
            if not v.conjugate.empty()
        ]

    def _history(self, state: Array) -> Iterator[Array]:
        weights = self.volumes.reshape(len(self._dofs), -1)
        for variable, values in self._problem.history_of(state[None, :]):
            columns = np.zeros((len(self._dofs), variable.components))
            local = values[0].reshape(len(variable.cells), -1, variable.components)
            columns[variable.cells] = np.einsum("eq,eqc->ec", weights[variable.cells], local)
            yield columns


def _parts(virgin: Virgin, basis: Basis) -> list[Ints]:
    """Columns of the forces, of components and modes, that have the same units; each value by itself."""
    m = len(virgin.macroscopic)
    parts = [
        np.append(group.components, m + np.flatnonzero(np.any(basis.modes[group.rows] != 0.0, axis=0)))
        for group in virgin.groups
    ]
    values = np.setdiff1d(np.arange(m), np.concatenate(parts))
    return [*parts, *values[:, None]]


def _by_element(form: ufl.Form, space: fem.FunctionSpace) -> ufl.Form:
    """An integral over the cell, element by element."""
    test = ufl.TestFunction(space)
    return ufl.Form([part.reconstruct(integrand=part.integrand() * test) for part in form.integrals()])


def _dofs_of_cells(space: fem.FunctionSpace) -> Ints:
    """Degrees of freedom of every mesh cell, shape (cells, d)."""
    block = space.dofmap.index_map_bs
    nodes = space.dofmap.list.astype(np.int64)
    return (nodes[:, :, None] * block + np.arange(block)).reshape(len(nodes), -1)


def _broken_values(unknown: fem.Function, values: Array, space: fem.FunctionSpace) -> Array:
    """Degrees of freedom in a broken space of the function with the given ones."""
    source, target = fem.Function(unknown.function_space), fem.Function(space)
    source.x.array[:] = values
    parts = unknown.function_space.num_sub_spaces
    if parts and unknown.function_space.dofmap.index_map_bs == 1:
        for number in range(parts):
            target.sub(number).interpolate(source.sub(number))
    else:
        target.interpolate(source)
    result: Array = target.x.array
    return result
