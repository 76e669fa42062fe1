r"""Chemo-mechanics: strain, chemical potential and its gradient; stress, concentration and solute flux.

A solute of the partial molar volume Ω strains the solid that holds it, and stress drives it:

.. math::

    \sigma = C : \Big(\varepsilon - \tfrac{\Omega}{3} (c - c_{ref})\,1\Big), \qquad
    \mu = \mu_0 + R T \ln\frac{c}{c_{ref}} - \Omega\,\sigma_h, \qquad j = \frac{D c}{R T}\,\nabla\mu,

with the hydrostatic stress :math:`\sigma_h = \mathrm{tr}\,\sigma/3`. The flux is the opposite of the physical
one, as all fluxes of fe2. The potential is the unknown, so that no gradient of a stress is asked for; the
concentration is what it and the strain make it locally (Larché & Cahn, Acta Metall. 21 (1973), 1051–1063).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import fe2.lazy_ufl as ufl
from fe2.errors import InputError
from fe2.physics.checks import FINITE, POISSON, POSITIVE, check_fields
from fe2.physics.chemical_properties import characterize_chemomechanics
from fe2.physics.conduction import LinearConduction
from fe2.physics.diffusion import slope
from fe2.physics.free_energy import GAS_CONSTANT, DiluteSolution, FreeEnergy, RegularSolution
from fe2.physics.kinematics import Kinematics, scalar_value
from fe2.physics.small_strain import small_strain_kinematics
from fe2.physics.solution import Solid, SolutionLaw
from fe2.stiffness import isotropic_eigenvalues, isotropic_stiffness

if TYPE_CHECKING:
    from ufl.core.expr import Expr

type Number = float | npt.ArrayLike

STRAIN, POTENTIAL, SLOPE = "strain", "chemical_potential", "chemical_potential_gradient"
STRESS, CONCENTRATION, SOLUTE_FLUX = "stress", "concentration", "solute_flux"


def chemomechanical_kinematics(dim: int, reference_potential: float = 0.0) -> Kinematics:
    """The cell receives strain, chemical potential and its gradient; plane strain in two dimensions.

    Args:
        dim: Geometric dimension.
        reference_potential: Chemical potential μ₀ of a virgin cell, which is free of stress.
    """
    return Kinematics(
        name="chemomechanics",
        dim=dim,
        fields={"displacement": (dim,), POTENTIAL: ()},
        blocks=(
            small_strain_kinematics(dim).block(),
            scalar_value(POTENTIAL, CONCENTRATION, POTENTIAL, reference_potential),
            slope(SLOPE, SOLUTE_FLUX, POTENTIAL, dim),
        ),
        characterize=partial(characterize_chemomechanics, dim=dim),
    )


@dataclass(frozen=True, eq=False)
class Chemoelastic(SolutionLaw):
    r"""An isotropic elastic solid that swells with one solute, ideal and dilute or regular.

    With a saturation concentration the solution is regular, and vacant sites take part,

    .. math:: \mu = \mu_0 + R T \Big(\ln\frac{c}{c_{max} - c} - \ln\frac{c_{ref}}{c_{max} - c_{ref}}\Big)
        - \frac{2 w}{c_{max}} (c - c_{ref}) - \Omega\,\sigma_h, \qquad
        j = \frac{D}{R T}\,c\,\Big(1 - \frac{c}{c_{max}}\Big) \nabla\mu.

    Attributes:
        young: Young's modulus, positive.
        poisson: Poisson's ratio, between -1 and 0.5.
        diffusivity: Diffusivity D of the ideal solution without stress: a number, principal values along the
            axes, or a symmetric matrix.
        molar_volume: Partial molar volume Ω of the solute; it shrinks the solid where it is negative.
        temperature: Absolute temperature T, positive.
        reference_concentration: Concentration c_ref in a virgin cell, positive, moles in a unit of volume.
        saturation_concentration: Concentration c_max at which all sites are taken; without it the solution is
            dilute.
        interaction: Energy w of a mole of pairs of solute and vacancy in a regular solution; below 2 R T, or
            the solution tends to fall apart.
        gas_constant: R; 8.314 J/(mol K) in SI units, 8314 in N, mm, mJ.

    Raises:
        InputError: A number is not admissible.
    """

    young: float
    poisson: float
    diffusivity: Number
    molar_volume: float
    temperature: float
    reference_concentration: float
    saturation_concentration: float | None = None
    interaction: float = 0.0
    gas_constant: float = GAS_CONSTANT

    def __post_init__(self) -> None:
        check_fields(
            self,
            young=POSITIVE,
            poisson=POISSON,
            molar_volume=FINITE,
            temperature=POSITIVE,
            reference_concentration=POSITIVE,
            interaction=FINITE,
            gas_constant=POSITIVE,
        )
        try:
            conductivity = LinearConduction(self.diffusivity).conductivity
        except InputError as error:
            text = str(error).removeprefix("LinearConduction: ").replace("conductivity", "diffusivity")
            raise InputError(f"{type(self).__name__}: {text}") from error
        object.__setattr__(self, "diffusivity", conductivity)
        if self.saturation_concentration is not None:
            check_fields(self, saturation_concentration=POSITIVE)
        self._check_together()

    def _check_together(self) -> None:
        """What single numbers do not tell."""
        owner, saturation, reference = (
            type(self).__name__,
            self.saturation_concentration,
            self.reference_concentration,
        )
        if saturation is None:
            if self.interaction:
                raise InputError(
                    f"{owner}: interaction = {self.interaction:g} is not admissible without a "
                    "saturation_concentration; it belongs to a regular solution"
                )
            return
        if reference >= saturation:
            raise InputError(
                f"{owner}: reference_concentration = {reference:g} is not admissible; it must be below the "
                f"saturation_concentration, {saturation:g}"
            )
        largest = 0.5 * self.thermal * saturation**2 / (reference * (saturation - reference))
        if self.interaction >= largest:
            raise InputError(
                f"{owner}: interaction = {self.interaction:g} is not admissible; it must be less than "
                f"{largest:g}, or the solution would fall apart at its reference_concentration"
            )

    @property
    def thermal(self) -> float:
        """R T, energy of a mole."""
        return self.gas_constant * self.temperature

    @property
    def insulates(self) -> bool:
        """Whether no solute diffuses."""
        return not np.any(self.diffusivity)

    @property
    def energy(self) -> FreeEnergy:
        """See `SolutionLaw.energy`."""
        reference = (self.reference_concentration,)
        if self.saturation_concentration is None:
            return DiluteSolution(self.thermal, reference)
        pairs = ((0.0, self.interaction), (self.interaction, 0.0))
        return RegularSolution(self.thermal, self.saturation_concentration, reference, pairs)

    @property
    def solid(self) -> Solid:
        """See `SolutionLaw.solid`."""
        swelling = self.molar_volume / 3.0 * np.array([[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]])
        reference = np.array([self.reference_concentration])
        return Solid(isotropic_stiffness(self.young, self.poisson), swelling, None, reference)

    def moduli(self) -> tuple[float, ...]:
        """Twice the shear modulus, three times the bulk modulus."""
        return isotropic_eigenvalues(self.young, self.poisson)

    def conducted(self, concentration: Expr, gradient: Expr) -> Expr:
        """Flux, a UFL vector, with UFL constants for the numbers."""
        mobile = concentration / (self.gas_constant * self.temperature)
        if self.saturation_concentration is not None:
            mobile *= 1.0 - concentration / self.saturation_concentration
        conduction = object.__new__(LinearConduction)  # which would check numbers
        object.__setattr__(conduction, "conductivity", self.diffusivity)
        return mobile * conduction.conducted(ufl.as_ufl(0.0), gradient)
