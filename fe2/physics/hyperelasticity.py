r"""Hyperelasticity: laws that are a strain energy ψ(F), with the stress :math:`P = \partial\psi/\partial F`.

A law of one's own is one formula, as an expression or as a class::

    law = fe2.Hyperelastic(lambda F, p: p["c"] * (ufl.tr(F.T * F) - 3) + ..., {"c": 0.4})

    @dataclass(frozen=True)
    class Blatz(fe2.HyperelasticLaw):
        shear: float

        def energy(self, F):
            return ...

F is always a 3 x 3 matrix, with :math:`F_{zz} = 1` in plane strain.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

import fe2.lazy_ufl as ufl
from fe2.errors import InputError
from fe2.physics.checks import FINITE, NOT_NEGATIVE, checked
from fe2.physics.law import Array, ExpressionLaw
from fe2.stiffness import nearly_incompressible

if TYPE_CHECKING:
    from ufl.core.expr import Expr

type Energy = Callable[[Expr, Mapping[str, Expr]], Expr]


def deformation_gradient(gradient: Expr) -> Expr:
    """F = 1 + H from the nine row-wise components of H, as a UFL variable."""
    return ufl.variable(
        ufl.as_matrix([[gradient[3 * i + j] + float(i == j) for j in range(3)] for i in range(3)])
    )


def row_wise(matrix: Expr) -> Expr:
    """The nine components of a 3 x 3 matrix, row by row."""
    return ufl.as_vector([matrix[i, j] for i in range(3) for j in range(3)])


def isochoric_invariants(F: Expr) -> tuple[Expr, Expr]:
    r"""Invariants of :math:`\bar C = J^{-2/3} C`, :math:`C = F^T F`.

    .. math:: \bar I_1 = J^{-2/3}\,\mathrm{tr}\,C, \qquad
              \bar I_2 = J^{-4/3}\,\tfrac12 \left((\mathrm{tr}\,C)^2 - \mathrm{tr}\,C^2\right)
    """
    C, J = F.T * F, ufl.det(F)
    first = ufl.tr(C)
    second = 0.5 * (first**2 - ufl.inner(C, C))
    return J ** (-2.0 / 3.0) * first, J ** (-4.0 / 3.0) * second


@dataclass(frozen=True, eq=False)
class HyperelasticLaw(ExpressionLaw):
    r"""A law with a strain energy; derive from it and give `energy`.

    .. math:: P = \frac{\partial\psi}{\partial F}, \qquad \det F > 0
    """

    @abstractmethod
    def energy(self, F: Expr) -> Expr:
        """Energy ψ on a unit volume of the reference configuration, a UFL scalar.

        Args:
            F: Deformation gradient, a UFL variable of shape (3, 3).
        """

    @property
    def isochoric(self) -> bool:
        """From an undeformed Poisson's ratio of 0.49 on; False where UFL cannot evaluate the energy."""
        shear = np.zeros((3, 3))
        shear[0, 1] = 1.0
        try:
            return nearly_incompressible(self._curvature(np.eye(3)) / 9.0, self._curvature(shear))
        except ValueError:
            return False

    def _curvature(self, direction: Array, step: float = 1e-3) -> float:
        """Second derivative of the energy at F = 1 along a direction, by differences."""
        from ufl.algorithms.apply_algebra_lowering import apply_algebra_lowering

        deformations = (np.eye(3) + t * direction for t in (-step, 0.0, step))
        energies = (ufl.as_ufl(self.energy(ufl.as_matrix(F.tolist()))) for F in deformations)
        low, middle, high = (float(apply_algebra_lowering(energy)(())) for energy in energies)
        return (low - 2.0 * middle + high) / step**2

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        """First Piola–Kirchhoff stress."""
        F = deformation_gradient(gradient)
        return row_wise(ufl.diff(self.energy(F), F))

    def admissible(self, gradient: Expr) -> dict[str, Expr]:
        """Matter does not turn inside out."""
        return {"det F": ufl.det(deformation_gradient(gradient))}


@dataclass(frozen=True, eq=False)
class SplitHyperelasticLaw(HyperelasticLaw):
    r"""A law whose resistance to a change of volume is a term of its own, which may be very stiff.

    .. math:: \psi(F) = \psi_d(F) + \frac{K}{2}\,\theta(J)^2, \qquad J = \det F

    A cell may give such a phase a pressure field :math:`p = K\,\theta(J)` of its own, and the potential

    .. math:: \psi_d(F) + p\,\theta(J) - \frac{p^2}{2K},

    which does not lock as K grows (Simo, Taylor & Pister 1985; Brink & Stein 1996).
    """

    @abstractmethod
    def distortional_energy(self, F: Expr) -> Expr:
        r"""The rest :math:`\psi_d` of the energy, a UFL scalar."""

    @property
    @abstractmethod
    def volumetric_modulus(self) -> float:
        """The stiff modulus K."""

    def volumetric_strain(self, J: Expr) -> Expr:
        r""":math:`\theta(J)`, which vanishes and has slope one at J = 1."""
        return J - 1.0

    def energy(self, F: Expr) -> Expr:
        """Both parts."""
        return (
            self.distortional_energy(F)
            + 0.5 * self.volumetric_modulus * self.volumetric_strain(ufl.det(F)) ** 2
        )

    def mixed_flux(self, gradient: Expr, pressure: Expr) -> tuple[Expr, Expr]:
        r"""Stress where the pressure is an unknown, and the equation for it.

        .. math:: P = \frac{\partial\psi_d}{\partial F} + p\,\theta'(J)\,\frac{\partial J}{\partial F}, \qquad
                  \theta(J) - \frac{p}{K} = 0

        Args:
            gradient: Displacement gradient, nine components.
            pressure: p, positive in tension.

        Returns:
            P in row-wise components, and the left side of the second equation.
        """
        F = deformation_gradient(gradient)
        strain = self.volumetric_strain(ufl.det(F))
        stress = row_wise(ufl.diff(self.distortional_energy(F) + pressure * strain, F))
        return stress, strain - pressure / self.volumetric_modulus


@dataclass(frozen=True, eq=False)
class Hyperelastic(SplitHyperelasticLaw):
    r"""A law from an energy of one's own, in one line.

    .. math:: \psi(F) = \mathtt{function}(F, p) + \frac{K}{2} (J - 1)^2

    Attributes:
        function: (F, parameters) ↦ energy, in UFL. F is 3 x 3; parameters are numbers or UFL
            constants by name, so that formulas must hold for both: `ufl.ln`, not `math.log`.
        parameters: Numbers by name; cells that differ in them share their compiled code.
        bulk: K, where the function leaves the resistance to a change of volume out; 0 where it does
            not.

    Raises:
        InputError: A parameter is no finite number, or the function does not give a scalar.
    """

    function: Energy
    parameters: Mapping[str, float] = field(default_factory=dict)
    bulk: float = 0.0

    def __post_init__(self) -> None:
        owner = type(self).__name__
        values = {name: checked(owner, name, value, FINITE) for name, value in self.parameters.items()}
        object.__setattr__(self, "parameters", values)
        object.__setattr__(self, "bulk", checked(owner, "bulk", self.bulk, NOT_NEGATIVE))
        self._check_function()

    @property
    def volumetric_modulus(self) -> float:
        """K."""
        return self.bulk

    def distortional_energy(self, F: Expr) -> Expr:
        """What the function says."""
        return self.function(F, self.parameters)

    def energy(self, F: Expr) -> Expr:
        """The function, and the resistance to a change of volume where it is apart."""
        return self.distortional_energy(F) if self._is_whole() else super().energy(F)

    def with_constants(self, constant: Callable[[float | Array], Expr]) -> Self:
        """See `ExpressionLaw.with_constants`; the parameters are among the numbers."""
        twin = copy.copy(self)
        constants = {name: constant(value) for name, value in self.parameters.items()}
        object.__setattr__(twin, "parameters", constants)
        if not self._is_whole():
            object.__setattr__(twin, "bulk", constant(self.bulk))
        return twin

    def _is_whole(self) -> bool:
        """True where the function is all of the energy."""
        # in a cell the modulus is a UFL constant, and then not zero
        return bool(self.bulk == 0.0)

    def _check_function(self) -> None:
        F = deformation_gradient(ufl.as_vector([0.0] * 9))
        try:
            shape = ufl.as_ufl(self.function(F, self.parameters)).ufl_shape
        except Exception as error:
            raise InputError(
                f"{type(self).__name__}: the energy of a 3 x 3 matrix F and the parameters "
                f"{sorted(self.parameters)} cannot be formed: {type(error).__name__}: {error}"
            ) from error
        if shape != ():
            raise InputError(f"{type(self).__name__}: the energy has shape {shape}; it must be a scalar")
