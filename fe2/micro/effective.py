"""Effective properties of a virgin cell: its tangent beside bounds, anisotropy and fractions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fe2.arrays import Array
from fe2.physics.contrast import moduli_of, moduli_of_tangent, warn_of_contrast
from fe2.quadrature import PointEvaluator, point_weights
from fe2.records import SolverChoice

if TYPE_CHECKING:
    from fe2.micro.rve import RVE


@dataclass(frozen=True)
class EffectiveProperties:
    """What a cell is like as a material.

    Attributes:
        physics: Name of the physics.
        components: Names of the components.
        effective: Tangent between reported components, shape (m, m): in small strain the stiffness
            with engineering shear strains.
        tangent: The same between internal (Mandel) components.
        volume_fractions: Volume fraction of each phase; what is missing to one is void.
        properties: What else describes the tangent in this physics, e.g. "bounds", "bulk_modulus",
            "anisotropy".
        singular: Directions of the gradient that nothing resists, in reported components, e.g. "yy".
        boundary: Boundary condition of the cell.
        unknowns: Number of free fluctuations.
        seconds: Time that it took.
        solver: How the linear systems were solved, and why so.
        iterations: Iterations of the linear solver, one number for each load case; none where it is direct.
        error_estimate: Estimated error of the tangent that the solver leaves, relative to the entries of its
            diagonal, the largest of them; zero where it leaves round-off.
    """

    physics: str
    components: tuple[str, ...]
    effective: Array
    tangent: Array
    volume_fractions: dict[str, float]
    properties: dict[str, Any]
    singular: tuple[str, ...]
    boundary: str
    unknowns: int
    seconds: float
    solver: SolverChoice
    iterations: tuple[int, ...] = ()
    error_estimate: float = 0.0


def effective_properties(rve: RVE) -> EffectiveProperties:
    """Effective properties of the virgin cell.

    Raises:
        MicroSolveError: The cell problem is singular.
    """
    start = time.perf_counter()
    virgin = rve.initial_state()
    tangent = rve.solve(rve.kinematics.origin, virgin, 0.0, np.empty_like(virgin)).tangent
    fractions = rve.cell.volume_fractions
    phases = _material_tangents(rve)
    _warn_of_contrast(rve, phases)
    # a form of one's own may not tell the phases' fluxes: then there are no bounds
    names = list(fractions) if set(fractions) <= set(phases) else []
    properties = rve.kinematics.characterize(
        tangent,
        [material for name in names for material in phases[name].tangents],
        [fractions[name] * share for name in names for share in phases[name].shares.tolist()],
        rve.boundary,
    )
    return EffectiveProperties(
        physics=rve.kinematics.name,
        components=rve.kinematics.components,
        effective=rve.kinematics.reported_tangent(tangent),
        tangent=tangent,
        volume_fractions=fractions,
        properties=properties,
        singular=rve.kinematics.singular_directions(tangent)[0],
        boundary=rve.boundary,
        unknowns=rve.unknowns,
        seconds=time.perf_counter() - start,
        solver=rve.solver,
        iterations=rve.solver_iterations,
    )


@dataclass(frozen=True, eq=False)
class _Materials:
    """Tangents of the materials of a phase, macroscopic components, and their shares of its volume."""

    tangents: Array
    shares: Array


def _warn_of_contrast(rve: RVE, phases: dict[str, _Materials]) -> None:
    """Warn of phases whose laws could not tell their moduli before."""
    told = moduli_of(rve.form.laws)
    if not all(told.get(name) for name in phases):
        warn_of_contrast(
            {
                name: told.get(name) or [k for A in found.tangents for k in moduli_of_tangent(A)]
                for name, found in phases.items()
            }
        )


def _material_tangents(rve: RVE) -> dict[str, _Materials]:
    """Mean tangent of each material of each phase in the virgin state, zero between blocks."""
    mesh, degree, kinematics = rve.cell.mesh, rve.form.quadrature_degree, rve.kinematics
    tangents: dict[str, _Materials] = {}
    for term in rve.form.fluxes:
        if term.tangent is None:
            continue
        block = kinematics.block(term.block)
        k, part = block.local_size, kinematics.slices[block.name]
        weights = point_weights(mesh, degree, term.cells)
        values = PointEvaluator(term.tangent, mesh, degree, term.cells)().reshape(-1, k, k)
        rows = np.zeros(len(rve.cell.phases.values), np.int64) if term.rows is None else term.rows
        points = np.repeat(rows[term.cells], len(weights) // max(len(term.cells), 1))
        integrals = np.zeros((int(rows.max()) + 1, k, k))
        np.add.at(integrals, points, weights[:, None, None] * values)
        volumes = rve.sum_over_ranks(np.bincount(points, weights, minlength=len(integrals)))
        there = volumes > 0.0
        means = rve.sum_over_ranks(integrals)[there] / volumes[there, None, None]
        empty = np.zeros((len(means), kinematics.size, kinematics.size))
        found = tangents.setdefault(term.phase, _Materials(empty, volumes[there] / volumes.sum()))
        found.tangents[:, part, part] = block.embedding.T @ means @ block.embedding
    return tangents
