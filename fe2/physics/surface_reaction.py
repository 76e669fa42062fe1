"""Exchange through a surface where a reaction limits it, for macroscopic forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fe2.lazy_ufl as ufl

if TYPE_CHECKING:
    from ufl.core.expr import Expr


def surface_reaction(
    potential: Expr,
    outside: Expr | float,
    *,
    rate: Expr | float,
    thermal: Expr | float,
    barrier: Expr | float = 0.0,
    work: Expr | float = 0.0,
) -> Expr:
    r"""What comes in through a unit of surface in a unit of time, by the theory of the transition state.

    .. math:: k\,e^{-(E_a - \Omega\sigma_h)/RT} \left(e^{\mu_{out}/RT} - e^{\mu/RT}\right)

    It vanishes at :math:`\mu = \mu_{out}`, whatever the stress, and is :math:`k\,(\mu_{out} - \mu)/RT` near
    potentials and a barrier of zero. In the solute's form it stands as ``-surface_reaction(...) * q * ds``.
    The barrier may depend on the potentials: with :math:`E_a = (\mu + \mu_{out})/2` the rate is
    :math:`2k \sinh((\mu_{out} - \mu)/2RT)`, that of Butler and Volmer.

    Args:
        potential: Chemical potential μ at the surface.
        outside: That of the surroundings, such as :math:`RT/2\,\ln(p/p_0)` of a gas of molecules of two atoms
            at the pressure p, by Sieverts.
        rate: k, moles in a unit of surface and time.
        thermal: R T.
        barrier: Activation energy :math:`E_a`, counted from the same zero as the potentials.
        work: :math:`\Omega\sigma_h` of the volume that is activated and the hydrostatic stress at the
            surface; tension lowers the barrier.

    Returns:
        A UFL expression, in units of the rate.
    """
    height = ufl.as_ufl(barrier) - work
    forth, back = ((ufl.as_ufl(level) - height) / thermal for level in (outside, potential))
    return rate * (ufl.exp(forth) - ufl.exp(back))
