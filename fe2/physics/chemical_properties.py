"""Effective properties of a chemo-mechanical cell, as its tangent tells them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fe2.arrays import Array
from fe2.physics.diffusion import characterize_diffusion
from fe2.physics.small_strain import small_strain_kinematics
from fe2.singular import null_directions


def characterize_chemomechanics(
    effective: Array, phases: list[Array], fractions: list[float], boundary: str, *, dim: int
) -> dict[str, Any]:
    r"""Stiffness of the open and of the closed cell, swelling, capacity for the solute, and diffusivity.

    The open cell exchanges solute at a constant potential, the closed one keeps its mean concentration:

    .. math::

        C_{closed} = C - \frac{\partial_\mu\sigma \otimes \partial_\varepsilon c}{\partial_\mu c}, \qquad
        V = \frac{-C^{-1}\,\partial_\mu\sigma}{\chi_\sigma}, \qquad
        \chi_\sigma = \partial_\mu c - \partial_\varepsilon c : C^{-1} : \partial_\mu\sigma, \qquad
        D = \frac{\partial_{\nabla\mu}\,j}{\chi_\sigma},

    with the open stiffness C (Larché & Cahn 1973), the capacities χ at constant strain and constant stress,
    the strain V that a unit of concentration makes without stress, and the diffusivity D of a body that is
    free of stress. Numbers that a singular stiffness does not have are None.
    """
    strain, value, flow = slice(0, -dim - 1), -dim - 1, slice(-dim, None)
    mechanics = small_strain_kinematics(dim)
    stiffness, pressure, uptake = (
        effective[strain, strain],
        effective[strain, value],
        effective[value, strain],
    )
    held = float(effective[value, value])
    closed = stiffness - np.outer(pressure, uptake) / held
    swelling, free, diffusivity = None, None, None
    if not len(null_directions(stiffness)):
        way = -np.linalg.solve(stiffness, pressure)
        free = held + float(uptake @ way)
        swelling = (way * mechanics.scale / free).tolist()
        diffusivity = (effective[flow, flow] / free).tolist()
    factors = np.outer(mechanics.scale, mechanics.scale)
    return {
        "open": (stiffness / factors).tolist(),
        "closed": (closed / factors).tolist(),
        "swelling": swelling,
        "capacity_constant_strain": held,
        "capacity_constant_stress": free,
        "diffusivity": diffusivity,
        "mechanics": mechanics.characterize(
            stiffness, [phase[strain, strain] for phase in phases], fractions, boundary
        ),
        "mobility": characterize_diffusion(
            effective[flow, flow], [phase[flow, flow] for phase in phases], fractions, boundary
        ),
    }


def characterize_alloy(
    effective: Array, phases: list[Array], fractions: list[float], boundary: str, *, dim: int
) -> dict[str, Any]:
    r"""As :func:`characterize_chemomechanics` of n components, whose potentials follow each other.

    .. math::

        C_{closed} = C - \partial_\mu\sigma\,(\partial_\mu c)^{-1}\,\partial_\varepsilon c, \qquad
        \chi_\sigma = \partial_\mu c - \partial_\varepsilon c : C^{-1} : \partial_\mu\sigma, \qquad
        V = -C^{-1}\,\partial_\mu\sigma\,\chi_\sigma^{-1}.

    Each component has a swelling, rows of the capacities and a mobility, numbered from 1 on: "swelling_1".
    """
    mechanics = small_strain_kinematics(dim)
    k, step = mechanics.size, dim + 1
    strain, values = slice(0, k), np.arange(k, len(effective), step)
    stiffness, pressure, uptake = (
        effective[strain, strain],
        effective[strain][:, values],
        effective[values][:, strain],
    )
    held = effective[np.ix_(values, values)]
    closed = stiffness - pressure @ np.linalg.solve(held, uptake)
    found: dict[str, Any] = {}
    if not len(null_directions(stiffness)):
        way = -np.linalg.solve(stiffness, pressure)
        free = held + uptake @ way
        swelling = mechanics.scale * np.linalg.solve(free.T, way.T)
        found = _numbered("swelling", swelling) | _numbered("capacity_constant_stress", free)
    mobilities = np.array([effective[v + 1 : v + step, v + 1 : v + step] for v in values])
    factors = np.outer(mechanics.scale, mechanics.scale)
    return {
        "open": (stiffness / factors).tolist(),
        "closed": (closed / factors).tolist(),
        **found,
        **_numbered("capacity_constant_strain", held),
        **_numbered("mobility", mobilities),
        "mechanics": mechanics.characterize(
            stiffness, [phase[strain, strain] for phase in phases], fractions, boundary
        ),
    }


def _numbered(name: str, rows: Array) -> dict[str, list[Any]]:
    """A row for each component, by name."""
    return {f"{name}_{number}": row.tolist() for number, row in enumerate(rows, 1)}
