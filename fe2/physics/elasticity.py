"""Linear elasticity: isotropic, cubic, transversely isotropic, orthotropic, or any stiffness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

import fe2.lazy_ufl as ufl
from fe2.physics.checks import (
    FINITE,
    PLANE_POISSON,
    POISSON,
    POSITIVE,
    checked,
    checked_direction,
    checked_positive_definite,
    checked_rotation,
)
from fe2.physics.law import ExpressionLaw
from fe2.stiffness import closest_isotropic, isotropic_stiffness, nearly_incompressible
from fe2.tensors import Array, positions_in_full, rotate_stiffness, rotation_to

if TYPE_CHECKING:
    from ufl.core.expr import Expr


@dataclass(frozen=True, eq=False)
class LinearElastic(ExpressionLaw):
    r"""Hooke's law :math:`\sigma = C : \varepsilon`.

    In plane strain the rows and columns xx, yy, zz, xy are used: an anisotropic stiffness may also
    give out-of-plane shear stresses then, which do no work.

    Attributes:
        stiffness: C in Mandel components xx, yy, zz, yz, xz, xy, shape (6, 6), units of stress.

    Raises:
        InputError: The stiffness is not a symmetric positive definite (6, 6) matrix.
    """

    stiffness: Array

    def __post_init__(self) -> None:
        stiffness = checked_positive_definite(type(self).__name__, "stiffness", self.stiffness)
        stiffness.flags.writeable = False
        object.__setattr__(self, "stiffness", stiffness)

    @property
    def isochoric(self) -> bool:
        """From a Poisson's ratio of 0.49 on."""
        return nearly_incompressible(*closest_isotropic(self.stiffness))

    def moduli(self) -> tuple[float, ...]:
        """Eigenvalues of the stiffness."""
        return tuple(np.linalg.eigvalsh(self.stiffness).tolist())

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        """Stress."""
        rows = positions_in_full(gradient.ufl_shape[0])
        return ufl.dot(ufl.as_matrix([[self.stiffness[i, j] for j in rows] for i in rows]), gradient)

    @classmethod
    def isotropic(cls, young: float, poisson: float) -> Self:
        """Isotropic material.

        Args:
            young: Young's modulus, positive.
            poisson: Poisson's ratio, between -1 and 0.5.
        """
        owner = f"{cls.__name__}.isotropic"
        modulus = checked(owner, "young", young, POSITIVE)
        return cls(isotropic_stiffness(modulus, checked(owner, "poisson", poisson, POISSON)))

    @classmethod
    def cubic(cls, c11: float, c12: float, c44: float, orientation: npt.ArrayLike | None = None) -> Self:
        """Cubic crystal, from its constants in the crystal's axes.

        Args:
            c11: Voigt component, positive.
            c12: Voigt component; C₁₁ - C₁₂ and C₁₁ + 2 C₁₂ must be positive.
            c44: Voigt component (stress over engineering shear strain), positive.
            orientation: Rotation matrix whose columns are the crystal's axes, shape (3, 3);
                `fe2.tensors.rotation_from_bunge` makes one from Euler angles. Unrotated where None.
        """
        owner = f"{cls.__name__}.cubic"
        diagonal = checked(owner, "c11", c11, POSITIVE)
        off_diagonal = checked(owner, "c12", c12, FINITE)
        stiffness = np.diag(np.repeat([diagonal, 2.0 * checked(owner, "c44", c44, POSITIVE)], 3))
        stiffness[:3, :3] += off_diagonal * (1.0 - np.eye(3))
        return cls._oriented(owner, stiffness, orientation)

    @classmethod
    def transversely_isotropic(
        cls,
        young_axial: float,
        young_transverse: float,
        poisson_axial: float,
        poisson_transverse: float,
        shear_axial: float,
        axis: npt.ArrayLike = (0.0, 0.0, 1.0),
    ) -> Self:
        r"""Material with an axis of symmetry, such as a carbon fibre.

        Args:
            young_axial: Young's modulus along the axis, positive.
            young_transverse: Young's modulus across the axis, positive.
            poisson_axial: Transverse contraction under tension along the axis,
                :math:`-\varepsilon_t / \varepsilon_a`.
            poisson_transverse: Contraction across the axis under tension across it, between -1 and 1.
            shear_axial: Shear modulus of planes that hold the axis, positive.
            axis: Direction of the axis, shape (3,), of any length.
        """
        owner = f"{cls.__name__}.transversely_isotropic"
        along = checked(owner, "young_axial", young_axial, POSITIVE)
        across = checked(owner, "young_transverse", young_transverse, POSITIVE)
        contraction = checked(owner, "poisson_transverse", poisson_transverse, PLANE_POISSON)
        # Contraction of the axis under tension across it, by the symmetry of the compliance.
        reverse = checked(owner, "poisson_axial", poisson_axial, FINITE) * across / along
        axial_shear = 2.0 * checked(owner, "shear_axial", shear_axial, POSITIVE)
        stiffness = _inverse_of_compliance(
            owner,
            (across, across, along),
            (contraction, reverse, reverse),
            (axial_shear, axial_shear, across / (1.0 + contraction)),
        )
        rotation = rotation_to(checked_direction(owner, "axis", axis))
        return cls._oriented(owner, stiffness, rotation)

    @classmethod
    def orthotropic(
        cls,
        young_1: float,
        young_2: float,
        young_3: float,
        poisson_12: float,
        poisson_13: float,
        poisson_23: float,
        shear_12: float,
        shear_13: float,
        shear_23: float,
        orientation: npt.ArrayLike | None = None,
    ) -> Self:
        r"""Material with three perpendicular planes of symmetry.

        Args:
            young_1: Young's modulus along the first axis; likewise `young_2`, `young_3`; positive.
            young_2: See `young_1`.
            young_3: See `young_1`.
            poisson_12: Contraction of axis 2 under tension along axis 1,
                :math:`-\varepsilon_2 / \varepsilon_1`; likewise `poisson_13`, `poisson_23`.
            poisson_13: See `poisson_12`.
            poisson_23: See `poisson_12`.
            shear_12: Shear modulus of the plane of axes 1 and 2; likewise `shear_13`, `shear_23`; positive.
            shear_13: See `shear_12`.
            shear_23: See `shear_12`.
            orientation: Rotation matrix whose columns are the material's axes, shape (3, 3).
                Unrotated where None.
        """
        owner = f"{cls.__name__}.orthotropic"
        moduli = {"young_1": young_1, "young_2": young_2, "young_3": young_3}
        ratios = {"poisson_12": poisson_12, "poisson_13": poisson_13, "poisson_23": poisson_23}
        shears = {"shear_23": shear_23, "shear_13": shear_13, "shear_12": shear_12}
        stiffness = _inverse_of_compliance(
            owner,
            tuple(checked(owner, name, value, POSITIVE) for name, value in moduli.items()),
            tuple(checked(owner, name, value, FINITE) for name, value in ratios.items()),
            tuple(2.0 * checked(owner, name, value, POSITIVE) for name, value in shears.items()),
        )
        return cls._oriented(owner, stiffness, orientation)

    @classmethod
    def _oriented(cls, owner: str, stiffness: Array, orientation: npt.ArrayLike | None) -> Self:
        if orientation is None:
            return cls(stiffness)
        return cls(rotate_stiffness(stiffness, checked_rotation(owner, "orientation", orientation)))


def _inverse_of_compliance(
    owner: str, young: tuple[float, ...], poisson: tuple[float, ...], shear: tuple[float, ...]
) -> Array:
    """Stiffness from Young's moduli, ratios 12, 13, 23, and twice the shear moduli 23, 13, 12."""
    compliance = np.diag(1.0 / np.array([*young, *shear]))
    for (i, j), ratio in zip(((0, 1), (0, 2), (1, 2)), poisson, strict=True):
        compliance[i, j] = compliance[j, i] = -ratio / young[i]
    checked_positive_definite(owner, "compliance", compliance)
    return np.linalg.inv(compliance)
