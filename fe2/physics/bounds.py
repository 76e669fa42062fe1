"""Bounds on effective tangents from the phases' tangents and volume fractions."""

from __future__ import annotations

import warnings

import numpy as np

from fe2.arrays import Array
from fe2.errors import Fe2Warning

_ROUND_OFF = 1e-6
"""Distance from a bound, relative to the upper one, that is round-off or the tolerance of a solver."""

_CAUSES = "elements that touch in corners or edges only or a mesh that is too coarse are the usual causes"
_HOLDS = {"periodic": (True, True), "linear": (True, False), "uniform_flux": (False, True)}
"""Which of the lower and the upper Hashin–Shtrikman bound holds for a cell, by its boundary condition."""


def voigt_bound(tangents: list[Array], fractions: list[float]) -> Array:
    r"""Arithmetic mean :math:`\sum_p f_p A_p`: no effective tangent is larger as a quadratic form."""
    return np.einsum("p,pij->ij", np.asarray(fractions), np.asarray(tangents))


def reuss_bound(tangents: list[Array], fractions: list[float]) -> Array:
    r"""Harmonic mean :math:`(\sum_p f_p A_p^{-1})^{-1}`: no effective tangent is smaller.

    It is zero where the fractions do not add up to one: a void has no tangent.
    """
    tangents_, fractions_ = np.asarray(tangents), np.asarray(fractions)
    if fractions_.sum() < 1.0 - 1e-9 or any(np.linalg.matrix_rank(a) < len(a) for a in tangents_):
        return np.zeros_like(tangents_[0])
    return np.linalg.inv(np.einsum("p,pij->ij", fractions_, np.linalg.inv(tangents_)))


def hashin_shtrikman_moduli(
    moduli: list[tuple[float, float]], fractions: list[float], dim: int
) -> dict[str, list[float]]:
    r"""Lower and upper bound of the bulk and shear modulus of an isotropic mixture.

    .. math::

        K(G_0) &= \Big(\sum_p \tfrac{f_p}{K_p + z_K}\Big)^{-1} - z_K, \qquad
        G(K_0, G_0) = \Big(\sum_p \tfrac{f_p}{G_p + z_G}\Big)^{-1} - z_G

        \text{3D:}\quad z_K &= \tfrac43 G_0, \quad
        z_G = \tfrac{G_0}{6}\,\tfrac{9 K_0 + 8 G_0}{K_0 + 2 G_0}, \qquad
        \text{2D:}\quad z_K = G_0, \quad z_G = \tfrac{K_0 G_0}{K_0 + 2 G_0}

    with the smallest and the largest moduli for :math:`K_0, G_0` (Hashin & Shtrikman, J. Mech. Phys.
    Solids 11 (1963); Walpole, ibid. 14 (1966) where the phases are not ordered alike; Hashin,
    ibid. 13 (1965) in the plane, where K is :math:`\lambda + \mu`).

    Args:
        moduli: Bulk and shear modulus of each phase.
        fractions: Volume fractions, which add up to one.
        dim: 2 or 3.

    Returns:
        "bulk" and "shear", each as lower and upper bound.
    """
    bulk, shear = (np.array(values) for values in zip(*moduli, strict=True))

    def estimate(k0: float, g0: float) -> tuple[float, float]:
        if dim == 3:
            z_bulk, z_shear = 4.0 / 3.0 * g0, g0 / 6.0 * (9.0 * k0 + 8.0 * g0) / (k0 + 2.0 * g0)
        else:
            z_bulk, z_shear = g0, k0 * g0 / (k0 + 2.0 * g0)
        weights = np.asarray(fractions)
        return (
            float(1.0 / (weights / (bulk + z_bulk)).sum() - z_bulk),
            float(1.0 / (weights / (shear + z_shear)).sum() - z_shear),
        )

    lower, upper = estimate(bulk.min(), shear.min()), estimate(bulk.max(), shear.max())
    return {"bulk": [lower[0], upper[0]], "shear": [lower[1], upper[1]]}


def hashin_shtrikman_conductivity(values: list[float], fractions: list[float], dim: int) -> list[float]:
    r"""Lower and upper bound of the conductivity of an isotropic mixture.

    .. math:: k(k_0) = \Big(\sum_p \frac{f_p}{k_p + (d - 1) k_0}\Big)^{-1} - (d - 1) k_0

    with the smallest and the largest conductivity for :math:`k_0` (Hashin & Shtrikman, J. Appl. Phys. 33
    (1962)).

    Args:
        values: Conductivity of each phase, zero or positive.
        fractions: Volume fractions, which add up to one.
        dim: 2 or 3.
    """
    conductivities, weights = np.asarray(values), np.asarray(fractions)

    def estimate(comparison: float) -> float:
        z = (dim - 1) * comparison
        return float(1.0 / (weights / (conductivities + z)).sum() - z)

    lower = estimate(conductivities.min()) if conductivities.min() > 0.0 else 0.0
    return [lower, estimate(conductivities.max())]


def warn_outside_of_means(what: str, effective: Array, lower: Array, upper: Array) -> None:
    """Warn where an effective tangent, as a quadratic form, is not between Reuss's and Voigt's bound.

    These bounds hold for all boundary conditions of a cell.

    Args:
        what: What the tangent is called.
        effective: Effective tangent, shape (m, m).
        lower: Harmonic mean, shape (m, m).
        upper: Arithmetic mean, shape (m, m).
    """
    allowed = -_ROUND_OFF * np.linalg.norm(upper, 2)
    for name, difference in (("below its Reuss", effective - lower), ("above its Voigt", upper - effective)):
        least = np.linalg.eigvalsh(0.5 * (difference + difference.T))[0]
        if least < allowed:
            _warn(f"the effective {what} is {name} bound by {-least:.3g} in one direction")


def warn_outside_of_bounds(what: str, value: float, bounds: list[float], boundary: str) -> None:
    r"""Warn where a number is outside of its Hashin–Shtrikman bounds.

    The bounds hold for the isotropic part of an effective tangent, whether the microstructure is isotropic
    or not: the variational principle with the same trial polarization in all directions, summed over them,
    knows nothing of the arrangement of the phases (Milton, The Theory of Composites, 2002, ch. 23). They are
    bounds of the medium that repeats the cell. A cell alone is stiffer than it under linear conditions, which
    can so exceed the upper one, and softer under uniform flux, as a quadratic form (Suquet 1987; Huet, J.
    Mech. Phys. Solids 38 (1990)).

    Args:
        what: What the number is called.
        value: The number, of the isotropic tangent that is closest to the effective one.
        bounds: Lower and upper bound.
        boundary: Boundary condition of the cell.
    """
    (lower, upper), (has_lower, has_upper) = bounds, _HOLDS.get(boundary, (False, False))
    allowed = _ROUND_OFF * upper
    is_below, is_above = has_lower and value < lower - allowed, has_upper and value > upper + allowed
    if is_below or is_above:
        side, bound = ("below its lower", lower) if is_below else ("above its upper", upper)
        _warn(f"the effective {what} {value:.6g} is {side} Hashin–Shtrikman bound {bound:.6g}")


def _warn(text: str) -> None:
    warnings.warn(f"{text}: {_CAUSES}", Fe2Warning, stacklevel=2)
