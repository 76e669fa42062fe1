r"""A solid of several components, each with its chemical potential: alloys, electrolytes, gels.

.. math::

    \psi = f(c) + \tfrac12\,(\varepsilon - \varepsilon^0(c)) : C(c) : (\varepsilon - \varepsilon^0(c)), \qquad
    j_i = m_i c_i\,\nabla\mu_i,

with strains and stiffnesses that are linear in the concentrations, by Vegard's law, see
:mod:`fe2.physics.solution`. An alloy of five elements on a lattice has four components: what they leave of
the sites is the fifth, the host, and each :math:`\mu_i` is the difference of two potentials of elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.physics.checks import NOT_NEGATIVE, checked, checked_array, checked_positive_definite
from fe2.physics.chemomechanics import CONCENTRATION, POTENTIAL, SLOPE, SOLUTE_FLUX
from fe2.physics.diffusion import slope
from fe2.physics.free_energy import FreeEnergy
from fe2.physics.kinematics import Kinematics, scalar_value
from fe2.physics.small_strain import small_strain_kinematics
from fe2.physics.solution import Solid, SolutionLaw

if TYPE_CHECKING:
    from ufl.core.expr import Expr


def alloy_kinematics(dim: int, components: int) -> Kinematics:
    """The cell receives a strain, and a chemical potential and its gradient for each component.

    Args:
        dim: Geometric dimension.
        components: Number n of components; blocks and duals are numbered from 1 on, "chemical_potential_1".
    """
    fields: dict[str, tuple[int, ...]] = {"displacement": (dim,)}
    blocks = [small_strain_kinematics(dim).block()]
    for i in range(1, components + 1):
        field = f"{POTENTIAL}_{i}"
        fields[field] = ()
        blocks.append(scalar_value(field, f"{CONCENTRATION}_{i}", field))
        blocks.append(slope(f"{SLOPE}_{i}", f"{SOLUTE_FLUX}_{i}", field, dim))
    return Kinematics(name="alloy", dim=dim, fields=fields, blocks=tuple(blocks))


@dataclass(frozen=True, eq=False)
class Alloy(SolutionLaw):
    r"""A solid solution of n components.

    Attributes:
        stiffness: C at the reference, in Mandel components, shape (6, 6).
        molar_volumes: Partial molar volumes Ω, shape (n,), for isotropic strains
            :math:`\Omega_i/3\,(c_i - c_i^{ref})\,1`.
        free_energy: f; its potentials are counted from those at the reference where it is one of fe2's.
        reference: Concentrations in a virgin cell, positive, shape (n,).
        mobilities: m, not negative, shape (n,); D/RT of an ideal dilute component.
        stiffening: Change of the stiffness with each concentration, shape (n, 6, 6), or None.

    Raises:
        InputError: A shape or a number is not admissible.
    """

    stiffness: Array
    molar_volumes: Array
    free_energy: FreeEnergy
    reference: Array
    mobilities: Array
    stiffening: Array | None = None

    def __post_init__(self) -> None:
        owner, n = type(self).__name__, np.size(self.molar_volumes)
        given = checked_positive_definite(owner, "stiffness", self.stiffness)
        object.__setattr__(self, "stiffness", given)
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("molar_volumes", "reference", "mobilities"), (n,))
        if self.stiffening is not None:
            shapes["stiffening"] = (n, 6, 6)
        for name, shape in shapes.items():
            object.__setattr__(self, name, checked_array(owner, name, getattr(self, name), shape))
        for value in self.mobilities:
            checked(owner, "mobilities", float(value), NOT_NEGATIVE)
        if (room := self.free_energy.room(self.reference[None, :])).min() <= 0.0:
            raise InputError(
                f"{owner}: reference = {self.reference.tolist()} is out of the range of the free energy, by "
                f"{-room.min():g}"
            )

    @property
    def components(self) -> int:
        """Number n of components."""
        return len(self.reference)

    @property
    def energy(self) -> FreeEnergy:
        """See `SolutionLaw.energy`."""
        return self.free_energy

    @property
    def solid(self) -> Solid:
        """See `SolutionLaw.solid`."""
        unit = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
        swelling = np.outer(self.molar_volumes / 3.0, unit)
        return Solid(self.stiffness, swelling, self.stiffening, self.reference)

    def moduli(self) -> tuple[float, ...]:
        """Eigenvalues of the stiffness."""
        return tuple(np.linalg.eigvalsh(self.stiffness).tolist())

    def conducted(self, number: int, concentration: Expr, gradient: Expr) -> Expr:
        """Flux of a component, a UFL vector, with UFL constants for the numbers."""
        return self.mobilities[number] * concentration * gradient
