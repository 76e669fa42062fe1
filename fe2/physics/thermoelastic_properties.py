"""Effective properties of a thermoelastic cell, as its tangent tells them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fe2.arrays import Array
from fe2.physics.diffusion import characterize_diffusion
from fe2.physics.small_strain import small_strain_kinematics
from fe2.singular import null_directions


def characterize_thermoelasticity(
    effective: Array,
    phases: list[Array],
    fractions: list[float],
    boundary: str,
    *,
    dim: int,
    reference_temperature: float,
) -> dict[str, Any]:
    r"""Effective expansion and heat capacities, and what stiffness and conductivity have by themselves.

    .. math:: \alpha = -C^{-1}\,\partial_T\sigma, \qquad c_\varepsilon = T_0\,\partial_T\eta, \qquad
        c_\sigma = c_\varepsilon + T_0\,\alpha : C : \alpha, \qquad
        C_\eta = C - \partial_T\sigma \otimes \partial_\varepsilon\eta / \partial_T\eta

    The adiabatic stiffness C_η is Kelvin's: no heat is exchanged while the cell is strained.
    In the plane the strain along the third axis is zero: α is the expansion of a body that is held there.
    Numbers that a singular stiffness does not have are None.
    """
    strain, value, heat = slice(0, -dim - 1), -dim - 1, slice(-dim, None)
    mechanics = small_strain_kinematics(dim)
    stiffness, pressure = effective[strain, strain], effective[strain, value]
    capacity = reference_temperature * float(effective[value, value])
    expansion, free = None, None
    if not len(null_directions(stiffness)):
        solved = -np.linalg.solve(stiffness, pressure)
        expansion = (solved * mechanics.scale).tolist()
        free = capacity + reference_temperature * float(effective[value, strain] @ solved)
    adiabatic = stiffness - np.outer(pressure, effective[value, strain]) / effective[value, value]
    return {
        "expansion": expansion,
        "isothermal": (stiffness / np.outer(mechanics.scale, mechanics.scale)).tolist(),
        "adiabatic": (adiabatic / np.outer(mechanics.scale, mechanics.scale)).tolist(),
        "heat_capacity_constant_strain": capacity,
        "heat_capacity_constant_stress": free,
        "reference_temperature": reference_temperature,
        "mechanics": mechanics.characterize(
            stiffness, [phase[strain, strain] for phase in phases], fractions, boundary
        ),
        "conduction": characterize_diffusion(
            effective[heat, heat], [phase[heat, heat] for phase in phases], fractions, boundary
        ),
    }
