r"""Slow viscous flow through a pore space: Darcy's law on the macroscopic scale, Stokes' in the pores.

The macroscopic gradient is that of the pressure. The flux is :math:`s = -\langle v\rangle`, the *opposite*
of the seepage velocity, as in diffusion: :math:`s = K\,\nabla p` with :math:`K = k/\mu`, so that the weak
form is :math:`\int s\cdot\nabla q` and the tangent K is positive. What is reported as the effective property
is the permeability :math:`k = \mu K`, a length squared, whatever the viscosity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fe2.physics.checks import POSITIVE, check_fields
from fe2.physics.diffusion import scalar_gradient_kinematics
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import PhaseLaw

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StokesFlow(PhaseLaw):
    r"""A Newtonian fluid that flows without inertia, :math:`-\mu\,\Delta v + \nabla p = 0`.

    Attributes:
        viscosity: Dynamic viscosity :math:`\mu`, pressure times time.

    Raises:
        InputError: The viscosity is not positive.
    """

    viscosity: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, viscosity=POSITIVE)


@dataclass(frozen=True)
class Solid(PhaseLaw):
    """Rigid grains: left out of the cell; the fluid sticks to them."""


def stokes_flow(viscosity: float = 1.0, solid: bool = False) -> StokesFlow | Solid:
    """Newtonian fluid without inertia, or rigid grains to which it sticks.

    Args:
        viscosity: Dynamic viscosity, pressure times time; the permeability does not depend on it.
        solid: Whether the phase is solid: grains, whose viscosity does not count.

    Raises:
        InputError: The viscosity is not positive.
    """
    fluid = StokesFlow(viscosity)
    return Solid() if solid else fluid


def pore_flow_kinematics(dim: int) -> Kinematics:
    """The cell receives the gradient of the macroscopic pressure."""
    return scalar_gradient_kinematics("pore_flow", "pressure_gradient", dim)


def with_pore_space(
    kinematics: Kinematics,
    *,
    viscosity: float,
    porosity: float,
    isolated: dict[str, float],
    percolates: tuple[bool, ...],
) -> Kinematics:
    """The same kinematics, which reports permeabilities and what is to be said of the pore space.

    Args:
        kinematics: Kinematics of pore flow.
        viscosity: Viscosity of the fluid.
        porosity: Share of the cell's volume that is pore, isolated pores included.
        isolated: Share of the cell's volume, by phase, of pores through which nothing flows.
        percolates: For each axis, whether the pores are connected from face to face.
    """
    characterize = partial(
        characterize_pore_flow,
        viscosity=viscosity,
        porosity=porosity,
        isolated=isolated,
        percolates=percolates,
    )
    return replace(kinematics, tangent_factor=viscosity, characterize=characterize)


def characterize_pore_flow(
    effective: Array,
    phases: list[Array],
    fractions: list[float],
    *,
    viscosity: float,
    porosity: float,
    isolated: dict[str, float],
    percolates: tuple[bool, ...],
) -> dict[str, Any]:
    """Permeability, its principal values and their ratio (None where it is infinite), and the pore space."""
    permeability = viscosity * effective
    principal = np.linalg.eigvalsh(0.5 * (permeability + permeability.T))
    anisotropy = float(principal[-1] / principal[0]) if principal[0] > 1e-10 * principal[-1] else None
    result: dict[str, Any] = {
        "permeability": permeability.tolist(),
        "principal_values": principal.tolist(),
        "anisotropy": anisotropy,
        "viscosity": viscosity,
        "porosity": porosity,
        "percolates": dict(zip("xyz", percolates, strict=False)),
    }
    return {**result, "isolated": isolated} if isolated else result
