"""An image cell on its grid as a micro model: non-linear laws without mesh and matrix."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fe2.arrays import Array, Mask
from fe2.errors import InputError, MicroSolveError
from fe2.grid.device import device
from fe2.grid.element import corners
from fe2.grid.nonlinear_problem import Material, NonlinearProblem, Solution, voxel_element
from fe2.grid.options import GridOptions
from fe2.identity import facts
from fe2.memory import check_memory
from fe2.micro.array_law import ArrayLaw, ArrayPointLaw
from fe2.micro.image_cell import ImageCell
from fe2.micro.model import Pointwise
from fe2.micro.newton import NewtonOptions
from fe2.micro.points import Point, Step
from fe2.micro.state import StateField, StateLayout
from fe2.parallel import threads
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import ExpressionLaw, PhaseLaw, PointLaw
from fe2.physics.material_field import MaterialField, initial_values
from fe2.profile import count, phase
from fe2.records import SolverChoice
from fe2.response import Response

_MESH = "take the mesh, that is the RVE itself"
_MAX_LINEAR = 2000


class GridModel(Pointwise):
    """A periodic image with any laws of symmetric tangents, the same elements as the RVE with a mesh.

    A state is the gradient, the fluctuation at the nodes of the grid and the history at the Gauss points.
    """

    def __init__(
        self,
        cell: ImageCell,
        kinematics: Kinematics,
        laws: Mapping[str, PhaseLaw],
        *,
        voxels: Mask | None = None,
        options: NewtonOptions | None = None,
        grid: GridOptions | None = None,
    ) -> None:
        """Prepare the laws and the grid.

        Args:
            cell: The image.
            kinematics: The operator field ↦ gradient, of one block.
            laws: Laws of the phases that count, by name.
            voxels: The voxels that count, where not all do; the others are voids.
            options: When the cell counts as solved.
            grid: On which device, with how many threads; its tolerance is not used.

        Raises:
            InputError: A law cannot be taken, or there is not enough memory.
        """
        self.cell, self.kinematics, self._options = cell, kinematics, options or NewtonOptions()
        self._grid, block = grid or GridOptions(), kinematics.block()
        self._device = device(self._grid.device, self._grid.threads or threads())
        self._laws = {name: laws[name] for name in cell.names if name in laws}
        for name, law in self._laws.items():
            if isinstance(law, PointLaw) and self._device.name != "cpu":
                raise InputError(
                    f"phase {name!r}: a {type(law).__name__} is evaluated by NumPy, device = "
                    f'{self._device.name!r} is not for it; take device = "cpu"'
                )
        self._materials = [_material(name, law, block.local_size) for name, law in self._laws.items()]
        phases = np.full(cell.phase_of_voxel.shape, -1, dtype=np.int32)
        for p, name in enumerate(self._laws):
            here = cell.phase_of_voxel == cell.names.index(name)
            phases[here if voxels is None else here & voxels] = p
        self._phases = phases
        self._components = int(np.prod(kinematics.field_shape))
        nodes = corners(cell.dim) * cell.voxel_size
        modes = kinematics.modes(nodes).reshape(len(nodes), self._components, -1).swapaxes(0, 1)
        element = voxel_element(
            cell.voxel_size, modes.reshape(-1, kinematics.size), self._components, block.embedding
        )
        sizes = np.bincount(phases[phases >= 0], minlength=len(self._laws))
        entries = block.local_size * (block.local_size + 1) // 2 * len(element.weights)
        nonlinear = sum(int(n) for n, m in zip(sizes, self._materials, strict=True) if m.linear is None)
        with_nodes = phases.size * (8.0 * 12 * self._components + 4 * 2**cell.dim)
        check_memory(
            8.0 * entries * nonlinear + with_nodes,
            f"the image of {phases.shape} elements",
            "coarsen or crop it",
        )
        self._problem = NonlinearProblem(phases, element, self._materials, self._device)
        self.state = self._layout(sizes, len(element.weights))

    def _layout(self, sizes: npt.NDArray[np.int64], points: int) -> StateLayout:
        fields = [
            StateField("gradient", (self.kinematics.size,), initial=self.kinematics.origin),
            StateField("fluctuation", (self._components, self._phases.size)),
        ]
        for (name, law), voxels in zip(self._laws.items(), sizes.tolist(), strict=True):
            for variable, (values,) in initial_values(law, self.kinematics.block().local_size).items():
                shape = (len(values), points, voxels)
                fields.append(StateField(f"{name}: {variable}", shape, initial=values[:, None, None]))
        return StateLayout(*fields)

    def _history(self, state: Array) -> list[dict[str, Any]]:
        """Views of the history of each phase in a state."""
        return [
            {variable: self.state.of(state, f"{name}: {variable}") for variable in material.names}
            for name, material in zip(self._laws, self._materials, strict=True)
        ]

    def respond(self, gradient: Array, committed: Array, trial: Array, point: Point, step: Step) -> Response:
        """Equilibrium at the end of a time step, from the committed state, with the consistent tangent.

        Raises:
            InputError: The gradient has the wrong size.
            MicroSolveError: No equilibrium was found, or a phase law failed.
        """
        start = time.perf_counter()
        if gradient.shape != (self.kinematics.size,):
            raise InputError(
                f"the {self.kinematics.gradient_name} has shape {gradient.shape}; this cell takes "
                f"{self.kinematics.size} components: {', '.join(self.kinematics.components)}"
            )
        if not np.isfinite(gradient).all():
            raise MicroSolveError(f"the {self.kinematics.gradient_name} is not finite: {gradient}")
        count("solved")
        xp, host = self._device.xp, self._device.host
        with phase("cell"), self._device.refusing():
            old = [{n: xp.asarray(v) for n, v in found.items()} for found in self._history(committed)]
            views = self._history(trial)
            on_cpu = self._device.name == "cpu"
            new = views if on_cpu else [{n: xp.empty(v.shape) for n, v in found.items()} for found in views]
            solved = self._solved(gradient, committed, old, step.dt, new)
            if not on_cpu:
                for view, found in zip(views, new, strict=True):
                    for name, values in found.items():
                        view[name][:] = host(values)
        self.state.of(trial, "gradient")[:] = gradient
        self.state.of(trial, "fluctuation")[:] = host(solved.fluctuation)
        if not all(np.all(np.isfinite(values)) for values in (solved.flux, solved.tangent)):
            raise MicroSolveError("the cell problem gave a flux or a tangent that is not finite")
        seconds = time.perf_counter() - start
        return Response(solved.flux, solved.tangent, solved.newton_iterations + 1, seconds)

    def _solved(self, gradient: Array, committed: Array, old: Any, dt: float, new: Any) -> Solution:
        """The increment as a whole, or else with equilibria at gradients on the way as first guesses."""

        def solve(target: Array, guess: Any) -> Solution:
            return self._problem.solve(
                target,
                guess,
                old,
                dt,
                new,
                tolerance=self._options.tolerance,
                max_iterations=self._options.max_iterations,
                max_linear=_MAX_LINEAR,
            )

        before = self.state.of(committed, "gradient")
        start = self._device.xp.asarray(self.state.of(committed, "fluctuation"))
        try:
            return solve(gradient, start)
        except MicroSolveError as error:
            parts = 2
            while parts <= self._options.parts:
                guess = start
                try:
                    for part in range(1, parts + 1):
                        solved = solve(before + part / parts * (gradient - before), guess)
                        guess = solved.fluctuation
                    return solved
                except MicroSolveError:
                    parts *= 2
            raise error

    def averages(self, states: Array) -> dict[str, Array]:
        """Volume averages of the history variables; those of one name in several phases add up."""
        result: dict[str, Array] = {}
        for name, material in zip(self._laws, self._materials, strict=True):
            for variable in material.names:
                values = self.state.of(states, f"{name}: {variable}")
                average = values.sum(axis=(-2, -1)) / (values.shape[-2] * self._phases.size)
                result[variable] = result.get(variable, 0.0) + average
        return result

    @property
    def unknowns(self) -> int:
        """Fluctuations at the nodes, of which one node is no unknown."""
        return (self._phases.size - 1) * self._components

    @property
    def solver(self) -> SolverChoice:
        """Conjugate gradients on the grid."""
        return SolverChoice(
            "conjugate gradients, discrete Green operator", "the cell is a periodic image on its grid"
        )

    def choices(self) -> dict[str, str]:
        """How the cell is solved, and why."""
        return {
            "strategy of cells": "newton: cells on their grid have no other",
            "linear solver of cells": f"{self.solver.name}: {self.solver.reason}",
        }

    @property
    def description(self) -> dict[str, Any]:
        """Image, kinematics and laws as facts that can be stored and compared."""
        return {
            "kinematics": self.kinematics.name,
            "phases": list(self._laws),
            "laws": facts(self._laws),
            "voxels": hashlib.blake2b(self._phases.tobytes(), digest_size=16).hexdigest(),
            "grid": list(self._phases.shape),
            "period": self.cell.period.tolist(),
        }


def _material(name: str, law: PhaseLaw, size: int) -> Material:
    """The law of a phase on arrays.

    Raises:
        InputError: It cannot be taken.
    """
    kind = type(law).__name__
    if isinstance(law, MaterialField):
        raise InputError(f"phase {name!r}: a field of materials is not evaluated on the grid; {_MESH}")
    if not law.symmetric:
        raise InputError(
            f"phase {name!r}: the tangent of a {kind} is not symmetric, which conjugate gradients need; "
            f"{_MESH}"
        )
    if isinstance(law, PointLaw):
        return ArrayPointLaw(law, size)
    if not isinstance(law, ExpressionLaw):
        raise InputError(f"phase {name!r}: a {kind} is not evaluated on the grid; {_MESH}")
    try:
        return ArrayLaw(law, size)
    except InputError as error:
        raise InputError(f"phase {name!r}, a {kind}: {error}; {_MESH}") from error
