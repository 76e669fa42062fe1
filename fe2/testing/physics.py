"""What every physics has to fulfil: its blocks by themselves, its cells, and its macroscopic form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI

from fe2.arrays import Array
from fe2.jit import compile_expression
from fe2.micro.cell import Cell
from fe2.micro.image_cell import image_cell
from fe2.micro.newton import NewtonOptions
from fe2.micro.rve import RVE
from fe2.physics.kinematics import Block, Kinematics
from fe2.physics.law import PhaseLaw
from fe2.physics.physics_table import PHYSICS, Physics
from fe2.testing.micro_model import check_micro_model

_ROUND_OFF = 1e-9
_BOUNDARIES = ("periodic", "linear", "uniform_flux")


def check_physics(
    name: str,
    laws: Sequence[PhaseLaw],
    *,
    amplitude: float | Mapping[str, float],
    dims: Sequence[int] = (2, 3),
    dt: float = 1.0,
    boundaries: Sequence[str] = _BOUNDARIES,
    cell: Callable[[int], Cell] | None = None,
    **keys: Any,
) -> None:
    """Check a registered physics where it can be wrong without a message.

    - its blocks have names of their own, and fields that it has; the operator of each block, applied to its
      modes, gives one in one component and zero in all others;
    - a cell of one phase answers alike under all boundary conditions: affine fields are in equilibrium;
    - a cell of two phases is a micro model that :func:`check_micro_model` accepts: its tangent has all cross
      terms, states are restored, wrappers lose nothing, ...;
    - its macroscopic form has a term in the equation of each field.

    Args:
        name: The name under which the physics is registered.
        laws: Laws of two phases.
        amplitude: Size of the gradients, or that of each block by its name.
        dims: Dimensions of the cells.
        dt: Length of the steps.
        boundaries: Boundary conditions that the physics has; with a single one the second check is left out.
        cell: Dimension ↦ cell of the phases "a" and "b"; random voxels by default.
        keys: Keys of the physics in the table of a cell.

    Raises:
        AssertionError: The physics is wrong; the message says in what.
    """
    table = PHYSICS[name](**keys)
    for dim in dims:
        check = _Check(name, table, table.kinematics(dim), amplitude, dt)
        check.blocks()
        check.modes()
        check.form()
        if len(boundaries) > 1:
            check.one_phase(laws[0], boundaries)
        made = cell(dim) if cell else _voxels(dim)
        check_micro_model(check.rve(made, laws, boundaries[0]), amplitude=amplitude, dt=dt)


def _voxels(dim: int) -> Cell:
    labels = np.random.default_rng(2).integers(0, 2, size=dim * (3,))
    return image_cell(labels, {"a": 0, "b": 1})


class _Check:
    """A physics in one dimension."""

    def __init__(
        self,
        name: str,
        table: Physics,
        kinematics: Kinematics,
        amplitude: float | Mapping[str, float],
        dt: float,
    ) -> None:
        self._owner, self._table, self._kinematics, self._dt = name, table, kinematics, dt
        sizes = amplitude if isinstance(amplitude, Mapping) else dict.fromkeys(kinematics.slices, amplitude)
        self._scale = np.concatenate([np.full(b.size, float(sizes[b.name])) for b in kinematics.blocks])

    def blocks(self) -> None:
        """Names, fields and sizes."""
        blocks, fields = self._kinematics.blocks, self._kinematics.fields
        for names in ([b.name for b in blocks], [b.dual for b in blocks]):
            if twice := [name for name in names if names.count(name) > 1]:
                self._fail(f"{twice[0]!r} is the name of two blocks")
        for block in blocks:
            if block.field not in fields:
                self._fail(f"the block {block.name!r} is of the field {block.field!r}; there are {[*fields]}")
            if (block.modes is None) != (block.kind == "value"):
                self._fail(f"the block {block.name!r} is a {block.kind}: only values have no modes")
            if {block.scale.shape, block.initial.shape} != {(block.size,)}:
                self._fail(
                    f"the block {block.name!r} has {block.size} components; so many are scale and initial"
                )

    def modes(self) -> None:
        """The operator of a mode is one in its component."""
        for block in self._kinematics.blocks:
            if block.modes is not None:
                found = self._operator_of_modes(block)
                if np.max(np.abs(found - np.eye(block.size))) > _ROUND_OFF:
                    self._fail(
                        f"the operator of {block.name!r}, applied to its modes one by one, gives\n{found.T}\n"
                        "and not the identity"
                    )

    def form(self) -> None:
        """The balances of a macroscopic form."""
        fields = self._kinematics.fields
        domain = _domain(self._kinematics.dim)
        spaces = {f: fem.functionspace(domain, ("Lagrange", 1, shape)) for f, shape in fields.items()}
        functions = {f: fem.Function(space, name=f) for f, space in spaces.items()}
        tests = {f: ufl.TestFunction(space) for f, space in spaces.items()}
        found = self._table.balances(self._kinematics, _Duals(self._kinematics, domain), functions, tests)
        if set(found) != set(fields):
            self._fail(f"its balances are of {sorted(found)}, its fields are {sorted(fields)}")

    def one_phase(self, law: PhaseLaw, boundaries: Sequence[str]) -> None:
        """A homogeneous cell, whose answer no boundary condition changes."""
        labels = np.zeros(self._kinematics.dim * (3,), dtype=int)
        fluxes = []
        for boundary in boundaries:
            rve = self.rve(image_cell(labels, {"a": 0}), [law], boundary)
            state = rve.initial_state()
            gradient = self._kinematics.origin + 0.5 * self._scale * np.cos(np.arange(len(self._scale)))
            fluxes.append(rve.solve(gradient, state, self._dt, np.empty_like(state)).flux)
        for boundary, flux in zip(boundaries, fluxes, strict=True):
            for block in self._kinematics.blocks:
                part = self._kinematics.slices[block.name]
                size = np.abs(fluxes[0][part]).max()
                if np.max(np.abs(flux[part] - fluxes[0][part])) > 1e-7 * size:
                    self._fail(
                        f"a cell of one phase has the {block.dual} {flux[part]} under {boundary} conditions, "
                        f"and {fluxes[0][part]} under {boundaries[0]} ones"
                    )

    def rve(self, cell: Cell, laws: Sequence[PhaseLaw], boundary: str) -> RVE:
        """The cell of the physics."""
        by_phase = dict(zip(cell.names, laws, strict=False))
        options = NewtonOptions(tolerance=1e-11)
        made: RVE = self._table.rve(cell, by_phase, boundary=boundary, degree=None, options=options)
        return made

    def _operator_of_modes(self, block: Block) -> Array:
        """Components of the operator for each mode, shape (modes, components)."""
        assert block.modes is not None
        domain = _domain(self._kinematics.dim)
        space = fem.functionspace(domain, ("Lagrange", 1, self._kinematics.fields[block.field]))
        field = fem.Function(space)
        point = np.full((1, self._kinematics.dim), 0.25)
        expression = compile_expression(block.operator(field), point, MPI.COMM_SELF)
        nodes = block.modes(space.tabulate_dof_coordinates()[:, : self._kinematics.dim])
        rows = []
        for k in range(block.size):
            field.x.array[:] = nodes[:, :, k].reshape(-1)
            rows.append(expression.eval(domain, np.array([0], dtype=np.int32)).reshape(-1))
        return np.array(rows)

    def _fail(self, text: str) -> NoReturn:
        raise AssertionError(f"{self._owner} in {self._kinematics.dim} dimensions: {text}")


class _Duals:
    """Answers of a law that is not there, with the shapes of its blocks."""

    def __init__(self, kinematics: Kinematics, domain: mesh.Mesh) -> None:
        self._shapes = {b.dual: () if b.kind == "value" else (b.size,) for b in kinematics.blocks}
        self._domain = domain

    def __getitem__(self, dual: str) -> Any:
        return fem.Constant(self._domain, np.zeros(self._shapes[dual]))

    def rate(self, dual: str) -> Any:
        """As the dual itself."""
        return self[dual]


def _domain(dim: int) -> mesh.Mesh:
    if dim == 2:
        return mesh.create_unit_square(MPI.COMM_SELF, 1, 1)
    return mesh.create_unit_cube(MPI.COMM_SELF, 1, 1, 1)
