"""Effective properties of a poroelastic cell, as its tangent tells them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fe2.arrays import Array
from fe2.physics.diffusion import characterize_diffusion
from fe2.physics.small_strain import small_strain_kinematics
from fe2.singular import null_directions
from fe2.tensors import shear_factors


def characterize(
    effective: Array,
    phases: list[Array],
    fractions: list[float],
    boundary: str,
    *,
    dim: int,
    viscosity: float | None = None,
    pores_conduct: bool = False,
) -> dict[str, Any]:
    r"""Biot's numbers, drained and undrained stiffness, Skempton's coefficient and the permeability.

    .. math:: b = -\partial_p\sigma, \qquad 1/M = \partial_p\zeta, \qquad C_u = C + M\,b\otimes b, \qquad
        B = 3\,\frac{C^{-1}:b}{1/M + b:C^{-1}:b}

    Skempton's tensor answers :math:`p = -B:\sigma/3` where no fluid escapes (Cheng, Int. J. Rock Mech. 34
    (1997), 199–205), and `skempton` is the answer to an all-round stress, :math:`p = -B\,\sigma`, in the
    plane to one in the plane. Numbers that do not exist are None.

    Args:
        effective: Effective tangent.
        phases: Those of the phases.
        fractions: Their volume fractions.
        boundary: Boundary condition.
        dim: Geometric dimension.
        viscosity: That of the fluid, where all phases have the same: permeability is μ times mobility.
        pores_conduct: Whether pores without elements add to the mobility, which then has no bounds.
    """
    size = len(effective) - dim - 1
    strain, value, seepage = slice(0, size), size, slice(-dim, None)
    mechanics, factors = small_strain_kinematics(dim), shear_factors(size)
    drained, biot = effective[strain, strain], -effective[strain, value]
    compliance, round_off = float(effective[value, value]), 1e-13 / max(np.abs(drained).max(), 1e-300)
    result: dict[str, Any] = {
        "biot": (biot / factors).tolist(),
        "biot_modulus": 1.0 / compliance if compliance > round_off else None,
        "drained": mechanics.reported_tangent(drained),
        "undrained": None,
        "skempton": None,
        "skempton_tensor": None,
    }
    if compliance > round_off:
        result["undrained"] = mechanics.reported_tangent(drained + np.outer(biot, biot) / compliance)
    if not len(null_directions(drained)):
        answer = np.linalg.solve(drained, biot)
        if (stored := compliance + float(biot @ answer)) > round_off:
            result["skempton"] = float(answer[:dim].sum()) / stored
            result["skempton_tensor"] = (dim * answer / stored / factors).tolist()
    mobility = effective[seepage, seepage]
    result["permeability"] = None if viscosity is None else viscosity * mobility
    result["mechanics"] = mechanics.characterize(
        drained, [phase[strain, strain] for phase in phases], fractions, boundary
    )
    own = [(phase[seepage, seepage], f) for phase, f in zip(phases, fractions, strict=True)]
    kept = [(k, f) for k, f in own if np.any(k) and not pores_conduct]
    result["mobility"] = characterize_diffusion(
        mobility, [k for k, _ in kept], [f for _, f in kept], boundary
    )
    return result


def consolidation(effective: Array, dim: int) -> float | None:
    r"""Coefficient of consolidation where nothing moves aside, None where it is no number.

    .. math:: c = \max_i \frac{(k/\mu)_{ii}}{1/M + b_{ii}^2/C_{iiii}}

    Args:
        effective: Effective tangent.
        dim: Geometric dimension.
    """
    value = len(effective) - dim - 1
    diagonal, axes = np.diag(effective), slice(0, dim)
    storage = diagonal[value] + effective[axes, value] ** 2 / np.maximum(diagonal[axes], 1e-300)
    found = float(np.max(diagonal[-dim:] / np.maximum(storage, 1e-300)))
    return found if 0.0 < found < 1e200 else None
