r"""A solid of several components, each with its chemical potential: alloys, electrolytes, gels.

.. math::

    \psi = f(c) + \tfrac12\,(\varepsilon - \varepsilon^0(c)) : C(c) : (\varepsilon - \varepsilon^0(c)), \qquad
    j_i = m_i c_i\,\nabla\mu_i,

with strains and stiffnesses that are linear in the concentrations, by Vegard's law, see
:mod:`fe2.physics.solution`. An alloy of five elements on a lattice has four components: what they leave of
the sites is the fifth, the host, and each :math:`\mu_i` is the difference of two potentials of elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.physics.checks import (
    NOT_NEGATIVE,
    POISSON,
    POSITIVE,
    Admissible,
    checked,
    checked_array,
    checked_positive_definite,
)
from fe2.physics.chemical_properties import characterize_alloy
from fe2.physics.chemomechanics import CONCENTRATION, POTENTIAL, SLOPE, SOLUTE_FLUX, Number
from fe2.physics.diffusion import slope
from fe2.physics.free_energy import GAS_CONSTANT, DiluteSolution, FreeEnergy, RegularSolution
from fe2.physics.kinematics import Kinematics, scalar_value
from fe2.physics.small_strain import small_strain_kinematics
from fe2.physics.solution import Solid, SolutionLaw
from fe2.stiffness import isotropic_stiffness

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
    describe = partial(characterize_alloy, dim=dim)
    return Kinematics(name="alloy", dim=dim, fields=fields, blocks=tuple(blocks), characterize=describe)


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


def solid_solution(
    young: Number,
    poisson: Number,
    molar_volumes: Sequence[float],
    diffusivities: Sequence[float],
    temperature: float,
    saturation_concentration: float,
    reference_fractions: Sequence[float],
    interactions: npt.ArrayLike | None = None,
    free_energy: Literal["regular", "dilute"] = "regular",
    gas_constant: float = GAS_CONSTANT,
) -> Alloy:
    r"""An isotropic solid solution of n components on the sites of a host.

    With the fractions :math:`x_i = c_i/c_{max}`, and :math:`x_0` of the host, which is what they leave,

    .. math:: \mu_i = R T \ln\frac{x_i}{x_0} + \sum_{j=0}^n (w_{ij} - w_{0j})\,x_j + \dots, \qquad
        C = \sum_{i=0}^n x_i\,C_i, \qquad j_i = \frac{D_i c_i}{R T}\,\nabla\mu_i,

    counted from the potentials in a virgin cell.

    Args:
        young: Young's modulus, positive; a list has that of the host and of each component, (n + 1).
        poisson: Poisson's ratio, between -1 and 0.5, likewise.
        molar_volumes: Partial molar volume of each component, less that of the host.
        diffusivities: Diffusivity D of each component where it is dilute, not negative.
        temperature: Absolute temperature T, positive.
        saturation_concentration: Sites in a unit of volume, in moles, positive.
        reference_fractions: Share of the sites that each component has in a virgin cell, positive, together
            below 1.
        interactions: Energies w of a mole of pairs, a symmetric matrix, the host first, (n + 1) by (n + 1).
        free_energy: "regular", where the components share the sites; "dilute", where each is by itself,
            :math:`\mu_i = R T \ln(c_i/c_i^{ref})`.
        gas_constant: R; 8.314 J/(mol K) in SI units, 8314 in N, mm, mJ.

    Raises:
        InputError: A number is not admissible, or the lists are not of one length.
    """
    owner, n = "alloy", np.size(molar_volumes)
    sites = checked(owner, "saturation_concentration", saturation_concentration, POSITIVE)
    thermal = checked(owner, "temperature", temperature, POSITIVE) * checked(
        owner, "gas_constant", gas_constant, POSITIVE
    )
    volumes, shares, diffusing = (
        checked_array(owner, name, value, (n,))
        for name, value in (
            ("molar_volumes", molar_volumes),
            ("reference_fractions", reference_fractions),
            ("diffusivities", diffusivities),
        )
    )
    if shares.min() <= 0.0 or shares.sum() >= 1.0:
        raise InputError(
            f"{owner}: reference_fractions = {shares.tolist()} is not admissible; each must be positive, and "
            f"their sum, {shares.sum():g}, below 1"
        )
    for value in diffusing:
        checked(owner, "diffusivities", float(value), NOT_NEGATIVE)
    energy = _energy(owner, free_energy, thermal, sites, shares, interactions)
    stiffnesses = np.array(
        [
            isotropic_stiffness(*moduli)
            for moduli in zip(
                _of_each(owner, "young", young, n, POSITIVE),
                _of_each(owner, "poisson", poisson, n, POISSON),
                strict=True,
            )
        ]
    )
    change = (stiffnesses[1:] - stiffnesses[0]) / sites
    mixed = stiffnesses[0] + np.einsum("n,nij->ij", shares * sites, change)
    stiffening = change if change.any() else None
    return Alloy(mixed, volumes, energy, shares * sites, diffusing / thermal, stiffening)


def _of_each(owner: str, name: str, given: Number, components: int, admissible: Admissible) -> Array:
    """A number of the host and of each component."""
    values = np.full(components + 1, given) if np.ndim(given) == 0 else given
    found = checked_array(owner, name, values, (components + 1,))
    for value in found:
        checked(owner, name, float(value), admissible)
    return found


def _energy(
    owner: str, kind: str, thermal: float, sites: float, shares: Array, interactions: npt.ArrayLike | None
) -> FreeEnergy:
    """The free energy that keys describe; it has to be stable at the reference."""
    reference = tuple((shares * sites).tolist())
    if kind == "dilute":
        if interactions is not None:
            raise InputError(
                f"{owner}: interactions = {interactions} is not admissible with the free_energy dilute; they "
                "belong to a regular solution"
            )
        return DiluteSolution(thermal, reference)
    if interactions is None:
        return RegularSolution(thermal, sites, reference)
    pairs = checked_array(owner, "interactions", interactions, (len(shares) + 1,) * 2)
    if not np.allclose(pairs, pairs.T, rtol=1e-8, atol=0.0):
        raise InputError(f"{owner}: interactions = {pairs.tolist()} is not admissible; it must be symmetric")
    energy = RegularSolution(thermal, sites, reference, tuple(map(tuple, pairs.tolist())))
    if (lowest := np.linalg.eigvalsh(sites / thermal * energy.slope(np.array([reference]))[0])[0]) <= 0.0:
        raise InputError(
            f"{owner}: interactions = {pairs.tolist()} is not admissible; the solution would fall apart at "
            f"its reference_fractions: the lowest curvature of the energy is {lowest:.3g} R T, and it has "
            "to be positive"
        )
    return energy
