"""Small-strain mechanics: strain and stress in Mandel components, plane strain in two dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import fe2.lazy_ufl as ufl
from fe2.arrays import Array
from fe2.physics.bounds import (
    hashin_shtrikman_moduli,
    reuss_bound,
    voigt_bound,
    warn_outside_of_bounds,
    warn_outside_of_means,
)
from fe2.physics.kinematics import Block, Kinematics
from fe2.singular import null_directions
from fe2.stiffness import closest_isotropic, is_isotropic, universal_anisotropy
from fe2.tensors import component_indices, component_names, shear_factors, stiffness_to_voigt

if TYPE_CHECKING:
    from ufl.core.expr import Expr


_SIZE = {2: 3, 3: 6}
_LOCAL_SIZE = {2: 4, 3: 6}


def mandel_strain(displacement: Expr) -> Expr:
    r"""Small strain in Mandel components.

    .. math:: \varepsilon = (\varepsilon_{xx}, \varepsilon_{yy}, \varepsilon_{zz},
              \sqrt2\,\varepsilon_{yz}, \sqrt2\,\varepsilon_{xz}, \sqrt2\,\varepsilon_{xy})

    and (xx, yy, √2 xy) in the plane, so that the dot product of stress and strain is the work.

    Args:
        displacement: A UFL vector field with two or three components.
    """
    size = _SIZE[displacement.ufl_shape[0]]
    strain, factors = ufl.sym(ufl.grad(displacement)), shear_factors(size)
    return ufl.as_vector(
        [
            float(factor) * strain[i, j]
            for (i, j), factor in zip(component_indices(size), factors, strict=True)
        ]
    )


def small_strain_kinematics(dim: int) -> Kinematics:
    """Small strain: plane strain in two dimensions, where the phase laws see xx, yy, zz, xy."""
    names, local = component_names(_SIZE[dim]), component_names(_LOCAL_SIZE[dim])
    return Kinematics(
        name="small_strain",
        dim=dim,
        fields={"displacement": (dim,)},
        blocks=(
            Block(
                name="strain",
                dual="stress",
                components=names,
                field="displacement",
                operator=mandel_strain,
                modes=_affine_displacements,
                scale=shear_factors(_SIZE[dim]),
                embedding=np.array([[float(a == b) for b in names] for a in local]),
                local_components=local,
            ),
        ),
        characterize=_characterize,
    )


def _affine_displacements(x: Array) -> Array:
    points, dim = x.shape
    pairs = component_indices(_SIZE[dim])
    fields = np.zeros((points, dim, len(pairs)))
    for k, (i, j) in enumerate(pairs):
        weight = 0.5 if i == j else np.sqrt(0.5)
        fields[:, i, k] += weight * x[:, j]
        fields[:, j, k] += weight * x[:, i]
    return fields


def _characterize(
    effective: Array, phases: list[Array], fractions: list[float], boundary: str
) -> dict[str, Any]:
    """Closest isotropic moduli and anisotropy of a stiffness, and bounds where phases are known.

    A singular stiffness has no moduli: they are None.
    """
    bulk, shear = closest_isotropic(effective)
    is_singular = len(null_directions(effective)) > 0
    result: dict[str, Any] = {
        "bulk_modulus": None if is_singular else bulk,
        "shear_modulus": None if is_singular else shear,
        "anisotropy": None if is_singular else universal_anisotropy(effective),
    }
    if not phases:
        return result
    upper, lower = voigt_bound(phases, fractions), reuss_bound(phases, fractions)
    warn_outside_of_means("stiffness", effective, lower, upper)
    result["bounds"] = {"voigt": stiffness_to_voigt(upper), "reuss": stiffness_to_voigt(lower)}
    moduli = [closest_isotropic(phase) for phase in phases]
    if sum(fractions) > 1.0 - 1e-9 and all(map(is_isotropic, phases)):
        dim = 3 if len(effective) == 6 else 2
        bounds = hashin_shtrikman_moduli(moduli, fractions, dim)
        warn_outside_of_bounds("bulk modulus", bulk, bounds["bulk"], boundary)
        warn_outside_of_bounds("shear modulus", shear, bounds["shear"], boundary)
        result["bounds"]["hashin_shtrikman"] = bounds
    return result
