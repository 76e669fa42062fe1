r"""Flow of one fluid through a pore space: Darcy's law on the macroscopic scale, Navier–Stokes' in the pores.

The macroscopic gradient is that of the pressure, with the pressure itself where the walls let the fluid
slip. The flux is :math:`s = -\langle v\rangle`, the *opposite* of the seepage velocity, as in diffusion:
without inertia :math:`s = K\,\nabla p` with :math:`K = k/\mu`, so that the weak form is
:math:`\int s\cdot\nabla q` and the tangent K is positive. What is reported as the effective property
is the permeability :math:`k = \mu K`, a length squared, whatever the viscosity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fe2.arrays import Array
from fe2.physics.checks import NOT_NEGATIVE, POSITIVE, Admissible, check_fields
from fe2.physics.diffusion import slope
from fe2.physics.kinematics import Block, Kinematics, closed_axes, scalar_value
from fe2.physics.law import PhaseLaw

_FIELD = "pressure"

ACCOMMODATION = Admissible("positive and at most 1", lambda value: 0.0 < value <= 1.0)


@dataclass(frozen=True)
class NewtonianFluid(PhaseLaw):
    r"""A fluid that fills pores, :math:`\rho\,(v\cdot\nabla)v - \mu\,\Delta v + \nabla p = 0`, steady.

    With a mean free path the fluid slips along the walls (Maxwell 1879),

    .. math:: v_t = \frac{2-\sigma}{\sigma}\,\lambda(p)\,\frac{\partial v_t}{\partial n}, \qquad
        \lambda(p) = \lambda_0\,p_0/p.

    Attributes:
        viscosity: Dynamic viscosity :math:`\mu`, pressure times time.
        density: Mass density :math:`\rho`; 0 for slow flow, without inertia.
        mean_free_path: Mean free path :math:`\lambda_0` of a gas at the reference pressure; 0 where the
            fluid sticks to the walls.
        reference_pressure: Pressure :math:`p_0` at which the gas has that mean free path.
        accommodation: Share :math:`\sigma` of the molecules that a wall reflects diffusely.

    Raises:
        InputError: A number is not admissible.
    """

    viscosity: float = 1.0
    density: float = 0.0
    mean_free_path: float = 0.0
    reference_pressure: float = 1.0
    accommodation: float = 1.0

    def __post_init__(self) -> None:
        check_fields(
            self,
            viscosity=POSITIVE,
            density=NOT_NEGATIVE,
            mean_free_path=NOT_NEGATIVE,
            reference_pressure=POSITIVE,
            accommodation=ACCOMMODATION,
        )

    @property
    def slips(self) -> bool:
        """Whether the fluid slips along the walls."""
        return self.mean_free_path > 0.0

    @property
    def slip_length_times_pressure(self) -> float:
        r"""Constant C of the slip length :math:`C/p`."""
        diffuse = (2.0 - self.accommodation) / self.accommodation
        return diffuse * self.mean_free_path * self.reference_pressure


@dataclass(frozen=True)
class Solid(PhaseLaw):
    """Rigid grains: left out of the cell; their faces are walls."""


def newtonian_fluid(
    viscosity: float = 1.0,
    density: float = 0.0,
    mean_free_path: float = 0.0,
    reference_pressure: float = 1.0,
    accommodation: float = 1.0,
    solid: bool = False,
) -> NewtonianFluid | Solid:
    """A Newtonian fluid in the pores, or rigid grains.

    Args:
        viscosity: Dynamic viscosity, pressure times time; the permeability does not depend on it.
        density: Mass density; 0 for slow flow, without inertia.
        mean_free_path: Mean free path of a gas at the reference pressure, which lets it slip along the
            walls; the cell has to receive the pressure then (value = true). 0 where the fluid sticks.
        reference_pressure: Pressure at which the gas has that mean free path.
        accommodation: Share of the molecules that a wall reflects diffusely, at most 1.
        solid: Whether the phase is solid: grains, whose other numbers do not count.

    Raises:
        InputError: A number is not admissible.
    """
    fluid = NewtonianFluid(viscosity, density, mean_free_path, reference_pressure, accommodation)
    return Solid() if solid else fluid


def pore_flow_kinematics(dim: int) -> Kinematics:
    """The cell receives the gradient of the macroscopic pressure."""
    return Kinematics(name="pore_flow", dim=dim, fields={_FIELD: ()}, blocks=(_slope(dim),))


def value_pore_flow_kinematics(dim: int, initial_value: float = 0.0) -> Kinematics:
    """The cell receives the macroscopic pressure and its gradient.

    Nothing works on the pressure itself: the first component of the flux is zero.

    Args:
        dim: Geometric dimension.
        initial_value: Pressure in a virgin cell.
    """
    pressure = scalar_value("pressure", "nothing", _FIELD, initial_value)
    return Kinematics(
        name="pore_flow_with_value", dim=dim, fields={_FIELD: ()}, blocks=(pressure, _slope(dim))
    )


def _slope(dim: int) -> Block:
    return slope("pressure_gradient", "flux", _FIELD, dim)


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
    return replace(
        kinematics, tangent_factor=viscosity, characterize=characterize, closed=closed_axes(percolates)
    )


def characterize_pore_flow(
    effective: Array,
    phases: list[Array],
    fractions: list[float],
    boundary: str,
    *,
    viscosity: float,
    porosity: float,
    isolated: dict[str, float],
    percolates: tuple[bool, ...],
) -> dict[str, Any]:
    """Permeability, its principal values and their ratio (None where it is infinite), and the pore space."""
    dim = len(percolates)
    permeability = viscosity * effective[-dim:, -dim:]
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
