r"""A warning of time steps in which what diffuses does not pass the element at a drained boundary.

Where the pressure of a porous body is held, a first step that is too short leaves it oscillating beside: with
linear elements of the height h it has to be

.. math:: \Delta t \ge \frac{h^2}{6\,c},

with the coefficient c of consolidation (Vermeer & Verruijt, Int. J. Numer. Anal. Meth. Geomech. 5 (1981),
1–14). An element of degree k counts as k of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI

from fe2.case.build_conditions import Conditions
from fe2.case.build_fields import Unknown
from fe2.case.build_laws import Subdomain
from fe2.errors import Fe2Warning
from fe2.stepping import LoadSteps


def warn_of_short_steps(
    file: object,
    steps: LoadSteps,
    unknowns: Sequence[Unknown],
    subdomains: Sequence[Subdomain],
    conditions: Conditions,
) -> None:
    """Compare the first step with what elements at drained boundaries need; collective.

    Args:
        file: The run file, for the message.
        steps: The plan. With a tolerance the first step is the smallest one.
        unknowns: The macroscopic unknowns.
        subdomains: The laws.
        conditions: Boundary conditions.

    Warns:
        Fe2Warning: It is shorter; the text has the step and the bound.
    """
    diffusivities = [found for subdomain in subdomains if (found := _diffusivity(subdomain)) is not None]
    scalars = [unknown for unknown in unknowns if not unknown.field.vector]
    if not diffusivities or not scalars:
        return
    comm = scalars[0].function.function_space.mesh.comm
    heights = [
        _largest_height(unknown, list(conditions.supports_of(unknown.field.name).values()))
        / unknown.field.degree
        for unknown in scalars
    ]
    bound = comm.allreduce(max(heights), MPI.MAX) ** 2 / (6.0 * max(diffusivities))
    planned = float(steps.times[1] - steps.times[0])
    first = planned if steps.tolerance is None else steps.least * planned
    if first < bound * (1.0 - 1e-9) and comm.rank == 0:
        part = 1.05 * bound / planned  # of which two digits are not too short
        longer = f"smallest = {part:.2g} or more" if first < planned and part < 1.0 else "a longer one"
        warnings.warn(
            f"{file}: a first time step of {first:.6g} is shorter than h²/(6 c) = {bound:.6g} of the "
            "elements at boundaries where the pressure is held: it may oscillate there. "
            f"Take {longer}, or smaller elements there",
            Fe2Warning,
            stacklevel=2,
        )


def _diffusivity(subdomain: Subdomain) -> float | None:
    """That of the virgin cell, where its physics has one."""
    rve = subdomain.rve
    if rve is None:
        return None
    return subdomain.law.physics.diffusivity(rve.kinematics, rve.linearized().tangent)


def _largest_height(unknown: Unknown, held: list[fem.DirichletBC]) -> float:
    """Height over the boundary of this rank's elements that have a facet where an unknown is held."""
    space = unknown.function.function_space
    mesh, dofs, dim = space.mesh, space.dofmap, space.mesh.topology.dim
    topology = mesh.topology
    topology.create_connectivity(dim - 1, dim)
    topology.create_connectivity(dim, dim - 1)
    is_held = np.zeros(dofs.index_map.size_local + dofs.index_map.num_ghosts, dtype=bool)
    for condition in held:
        is_held[condition.dof_indices()[0]] = True
    drained, across = [], []
    for facet in dmesh.exterior_facet_indices(topology).tolist():
        element = int(topology.connectivity(dim - 1, dim).links(facet)[0])
        number = int(np.argmax(topology.connectivity(dim, dim - 1).links(element) == facet))
        if np.all(is_held[dofs.list[element][dofs.dof_layout.entity_closure_dofs(dim - 1, number)]]):
            drained.append(facet)
            across.append(element)
    if not drained:
        return 0.0
    ends = [
        dmesh.compute_midpoints(mesh, d, np.array(entities, dtype=np.int32))
        for d, entities in ((dim, across), (dim - 1, drained))
    ]
    is_simplex = topology.cell_name() in ("triangle", "tetrahedron")
    return float((dim + 1 if is_simplex else 2) * np.linalg.norm(ends[0] - ends[1], axis=1).max())
