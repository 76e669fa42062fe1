"""Elastic stiffnesses as Mandel matrices: isotropic ones, and how far others are from isotropy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fe2.errors import InputError
from fe2.tensors import Array, component_indices


def bulk_modulus(young: float, poisson: float) -> float:
    r"""Bulk modulus :math:`K = E / (3 (1 - 2\nu))`, of numbers or UFL expressions."""
    return young / (3.0 * (1.0 - 2.0 * poisson))


def shear_modulus(young: float, poisson: float) -> float:
    r"""Shear modulus :math:`G = E / (2 (1 + \nu))`, of numbers or UFL expressions."""
    return young / (2.0 * (1.0 + poisson))


def isotropic_eigenvalues(young: float, poisson: float) -> tuple[float, float]:
    """Eigenvalues of an isotropic stiffness: twice the shear modulus, three times the bulk modulus."""
    return 2.0 * shear_modulus(young, poisson), 3.0 * bulk_modulus(young, poisson)


def nearly_incompressible(bulk: float, shear: float) -> bool:
    """Whether the moduli are those of a Poisson's ratio of 0.49 or more."""
    return bulk >= (1.0 - 1e-9) * bulk_modulus(1.0, 0.49) / shear_modulus(1.0, 0.49) * shear


def volumetric_projector(size: int) -> Array:
    r"""Projector on spherical tensors, :math:`\frac13\, 1 \otimes 1`.

    Args:
        size: 4 or 6: the trace needs all three normal components.

    Returns:
        Shape (size, size).
    """
    if size not in (4, 6):
        raise InputError(f"the trace needs all three normal components: 4 or 6 components, not {size}")
    identity = np.array([float(i == j) for i, j in component_indices(size)])
    return np.outer(identity, identity) / 3.0


def deviatoric_projector(size: int) -> Array:
    r"""Projector on deviators, :math:`1 - \frac13\, 1 \otimes 1`, shape (size, size), size 4 or 6."""
    return np.eye(size) - volumetric_projector(size)


def isotropic_stiffness(young: float, poisson: float, size: int = 6) -> Array:
    r"""Isotropic stiffness :math:`C = 3K\,P_{vol} + 2G\,P_{dev}` in the units of `young`.

    Args:
        young: Young's modulus.
        poisson: Poisson's ratio.
        size: 6 for three dimensions, 4 for plane strain.
    """
    bulk, shear = bulk_modulus(young, poisson), shear_modulus(young, poisson)
    return 3.0 * bulk * volumetric_projector(size) + 2.0 * shear * deviatoric_projector(size)


def closest_isotropic(stiffness: npt.ArrayLike) -> tuple[float, float]:
    r"""Bulk and shear modulus of the isotropic stiffness closest in the Euclidean norm.

    .. math:: d\,K = P_{vol} : C, \qquad 2 (m - 1)\,G = P_{dev} : C

    in the space's own dimension d, with m = 6 components in three dimensions and m = 3 in the plane,
    where K is the plane-strain bulk modulus :math:`\lambda + \mu`. It is also Voigt's average over all
    orientations (Norris 2006).

    Args:
        stiffness: Mandel stiffness, shape (6, 6) or (3, 3).
    """
    values, dim = _in_own_dimension(stiffness)
    size = len(values)
    volumetric = float(values[:dim, :dim].sum()) / dim
    return volumetric / dim, (float(np.trace(values)) - volumetric) / (2 * (size - 1))


def is_isotropic(stiffness: npt.ArrayLike) -> bool:
    """Whether a stiffness, shape (6, 6) or (3, 3), is its closest isotropic one, up to 1e-9 of its norm."""
    values, dim = _in_own_dimension(stiffness)
    bulk, shear = closest_isotropic(values)
    identity = (np.arange(len(values)) < dim).astype(np.float64)
    volumetric = np.outer(identity, identity) / dim
    closest = dim * bulk * volumetric + 2.0 * shear * (np.eye(len(values)) - volumetric)
    return bool(np.linalg.norm(values - closest) < 1e-9 * np.linalg.norm(values))


def universal_anisotropy(stiffness: npt.ArrayLike) -> float:
    r"""Universal elastic anisotropy index, zero for isotropy and positive otherwise.

    .. math:: A^U = (m - 1)\,\frac{G_V}{G_R} + \frac{K_V}{K_R} - m

    with the Voigt and Reuss averages over all orientations (Ranganathan & Ostoja-Starzewski 2008 in
    three dimensions, m = 6; in the plane m = 3).

    Args:
        stiffness: Mandel stiffness, shape (6, 6) or (3, 3), positive definite.
    """
    values, dim = _in_own_dimension(stiffness)
    size = len(values)
    voigt_bulk, voigt_shear = closest_isotropic(values)
    compliance_bulk, compliance_shear = closest_isotropic(np.linalg.inv(values))
    # The compliance of an isotropic material has 1/(d²K) and 1/(4G) where its stiffness has K and G.
    ratio_shear, ratio_bulk = 4.0 * voigt_shear * compliance_shear, dim**2 * voigt_bulk * compliance_bulk
    return (size - 1) * ratio_shear + ratio_bulk - size


def _in_own_dimension(stiffness: npt.ArrayLike) -> tuple[Array, int]:
    values = np.asarray(stiffness, dtype=np.float64)
    dimensions = {(3, 3): 2, (6, 6): 3}
    if values.shape not in dimensions:
        raise InputError(f"the stiffness must have shape (3, 3) or (6, 6), not {values.shape}")
    return values, dimensions[values.shape]
