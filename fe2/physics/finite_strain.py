r"""Mechanics at finite strain: displacement gradient and first Piola–Kirchhoff stress.

The macroscopic gradient is :math:`H = F - 1 = \partial u/\partial X`, which vanishes in the virgin
state, in row-wise components; its flux P has the same components, so that their dot product is the
work :math:`P : \dot F` on a volume of the reference configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import fe2.lazy_ufl as ufl
from fe2.arrays import Array
from fe2.physics.ellipticity import smallest_acoustic_determinant, smallest_acoustic_eigenvalue
from fe2.physics.kinematics import Block, Directions, Kinematics
from fe2.physics.small_strain import small_strain_kinematics
from fe2.tensors import to_matrix

if TYPE_CHECKING:
    from ufl.core.expr import Expr


def displacement_gradient(displacement: Expr) -> Expr:
    r"""Displacement gradient in row-wise components.

    .. math:: H = (H_{xx}, H_{xy}, H_{yx}, H_{yy}), \qquad H_{ij} = \partial u_i/\partial X_j

    and xx, xy, xz, yx, ... in three dimensions.

    Args:
        displacement: A UFL vector field with two or three components.
    """
    gradient, dim = ufl.grad(displacement), displacement.ufl_shape[0]
    return ufl.as_vector([gradient[i, j] for i in range(dim) for j in range(dim)])


def deformation_gradient(displacement: Expr) -> Expr:
    """F = 1 + H of a displacement field, a UFL matrix; for loads that follow the deformed surface."""
    return ufl.Identity(displacement.ufl_shape[0]) + ufl.grad(displacement)


def finite_strain_kinematics(dim: int) -> Kinematics:
    """Finite strain: plane strain in two dimensions; phase laws see all nine components of H."""
    names, local, small = _names(dim), _names(3), small_strain_kinematics(dim)
    return Kinematics(
        name="finite_strain",
        dim=dim,
        fields={"displacement": (dim,)},
        blocks=(
            Block(
                name="displacement_gradient",
                dual="first_piola_kirchhoff_stress",
                components=names,
                field="displacement",
                operator=displacement_gradient,
                modes=_affine_displacements,
                embedding=np.array([[float(a == b) for b in names] for a in local]),
                local_components=local,
            ),
        ),
        characterize=_characterize,
        indicators=_indicators,
        origin_size=1.0,
        resisted=Directions(small.components, _strains(dim).T, small.scale),
    )


def _names(dim: int) -> tuple[str, ...]:
    return tuple(a + b for a in "xyz"[:dim] for b in "xyz"[:dim])


def _affine_displacements(x: Array) -> Array:
    dim = x.shape[1]
    return np.einsum("ik,nj->nikj", np.eye(dim), x).reshape(len(x), dim, dim**2)


def small_strain_stiffness(tangent: Array) -> Array:
    r"""Stiffness in Mandel components of a tangent at the undeformed, stress-free state.

    Args:
        tangent: :math:`\partial P/\partial F`, shape (m, m) with m = 4 or 9, row-wise components.

    Returns:
        Shape (3, 3) or (6, 6).
    """
    dim = round(np.sqrt(len(tangent)))
    strains = _strains(dim)
    return strains @ tangent @ strains.T


def _strains(dim: int) -> Array:
    """Displacement gradients that are strains of one Mandel component, row by row."""
    strains: Array = to_matrix(np.eye(3 if dim == 2 else 6)).reshape(-1, dim**2)
    return strains


def _characterize(
    effective: Array, phases: list[Array], fractions: list[float], boundary: str
) -> dict[str, Any]:
    """What small strain says of the stiffness of the undeformed cell."""
    dim = round(np.sqrt(len(effective)))
    stiffnesses = [small_strain_stiffness(phase) for phase in phases]
    small_strain, stiffness = small_strain_kinematics(dim), small_strain_stiffness(effective)
    return {
        **small_strain.characterize(stiffness, stiffnesses, fractions, boundary),
        "stiffness": small_strain.reported_tangent(stiffness),
        "stiffness_components": small_strain.components,
    }


def _indicators(tangents: Array) -> dict[str, Array]:
    """Loss of ellipticity, which announces an instability of the cell."""
    return {
        "acoustic_determinant": smallest_acoustic_determinant(tangents)[0],
        "acoustic_eigenvalue": smallest_acoustic_eigenvalue(tangents)[0],
    }
