r"""Symmetric second-order tensors as Mandel vectors, and rotations of them.

A symmetric tensor is a vector of its components, normal components first, shear components times
:math:`\sqrt2`. Double contraction is then the dot product, fourth-order tensors with minor symmetries
are matrices whose products, inverses and eigenvalues are those of the tensors, and rotations are
orthogonal matrices (Mandel 1965; Mehrabadi & Cowin 1990). Three sizes occur:

==== ========================== ===================================================
size components                 use
==== ========================== ===================================================
3    xx, yy, xy                 in-plane components, tensors are 2 x 2
4    xx, yy, zz, xy             plane strain: the normal component across the plane too
6    xx, yy, zz, yz, xz, xy     three dimensions
==== ========================== ===================================================

Voigt's engineering notation keeps the order of the components, has shear strains
:math:`\gamma = 2\varepsilon` and shear stresses without a factor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fe2.arrays import Array as Array
from fe2.errors import InputError

INDICES: dict[int, tuple[tuple[int, int], ...]] = {
    3: ((0, 0), (1, 1), (0, 1)),
    4: ((0, 0), (1, 1), (2, 2), (0, 1)),
    6: ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)),
}
"""Row and column of each component in the tensor's matrix, by size."""


def component_indices(size: int) -> tuple[tuple[int, int], ...]:
    """Row and column of each component in the tensor's matrix.

    Raises:
        InputError: `size` is not 3, 4 or 6.
    """
    if size not in INDICES:
        raise InputError(f"Mandel vectors have 3, 4 or 6 components, not {size}")
    return INDICES[size]


def component_names(size: int) -> tuple[str, ...]:
    """Names of the components in their order: ``("xx", "yy", "zz", "xy")`` for size 4."""
    return tuple("xyz"[i] + "xyz"[j] for i, j in component_indices(size))


def positions_in_full(size: int) -> tuple[int, ...]:
    """Positions of a smaller vector's components among the six of three dimensions."""
    return tuple(INDICES[6].index(pair) for pair in component_indices(size))


def shear_factors(size: int) -> Array:
    r"""Factor on each component, 1 for normal and :math:`\sqrt2` for shear components, shape (size,)."""
    return np.array([1.0 if i == j else np.sqrt(2.0) for i, j in component_indices(size)])


def to_matrix(vector: npt.ArrayLike) -> Array:
    """Matrices of Mandel vectors.

    Args:
        vector: Mandel vectors, shape (..., 3), (..., 4) or (..., 6).

    Returns:
        Symmetric matrices, shape (..., 2, 2) for size 3 and (..., 3, 3) otherwise.
    """
    values = np.asarray(vector, dtype=np.float64)
    size = values.shape[-1]
    dim = 2 if size == 3 else 3
    matrix = np.zeros((*values.shape[:-1], dim, dim))
    for k, ((i, j), factor) in enumerate(zip(component_indices(size), shear_factors(size), strict=True)):
        matrix[..., i, j] = matrix[..., j, i] = values[..., k] / factor
    return matrix


def from_matrix(matrix: npt.ArrayLike, size: int) -> Array:
    """Mandel vectors of the symmetric parts of matrices.

    Args:
        matrix: Shape (..., 2, 2) or (..., 3, 3); components beyond `size` are left out.
        size: Number of Mandel components.

    Returns:
        Shape (..., size).
    """
    values = np.asarray(matrix, dtype=np.float64)
    symmetric = 0.5 * (values + np.swapaxes(values, -1, -2))
    rows, columns = np.transpose(component_indices(size))
    return symmetric[..., rows, columns] * shear_factors(size)


def stiffness_to_voigt(stiffness: npt.ArrayLike) -> Array:
    r"""Stiffness for engineering shear strains: :math:`C^V_{IJ} = C^M_{IJ} / (w_I w_J)`, w the shear factors.

    Args:
        stiffness: Mandel stiffness, shape (..., k, k), k = 3, 4 or 6; the order of components is kept.
    """
    values = np.asarray(stiffness, dtype=np.float64)
    factors = shear_factors(values.shape[-1])
    return values / np.outer(factors, factors)


def stiffness_from_voigt(stiffness: npt.ArrayLike) -> Array:
    """Mandel stiffness of one for engineering shear strains: the inverse of `stiffness_to_voigt`."""
    values = np.asarray(stiffness, dtype=np.float64)
    factors = shear_factors(values.shape[-1])
    return values * np.outer(factors, factors)


def mandel_rotation(rotation: npt.ArrayLike) -> Array:
    r"""Orthogonal matrix Q that rotates Mandel vectors as R rotates tensors.

    .. math:: m(R\,A\,R^T) = Q\,m(A), \qquad Q^T Q = 1

    (Mehrabadi & Cowin 1990).

    Args:
        rotation: R, shape (3, 3), or (2, 2) for in-plane components.

    Returns:
        Shape (6, 6), or (3, 3) for in-plane components.
    """
    matrix = np.asarray(rotation, dtype=np.float64)
    size = 3 if matrix.shape[-1] == 2 else 6
    return from_matrix(matrix @ to_matrix(np.eye(size)) @ matrix.T, size).T


def rotate_stiffness(stiffness: npt.ArrayLike, rotation: npt.ArrayLike) -> Array:
    """Mandel stiffness of the rotated material: Q C Qᵀ with Q from `mandel_rotation`."""
    turn = mandel_rotation(rotation)
    return turn @ np.asarray(stiffness, dtype=np.float64) @ turn.T


def rotation_from_bunge(phi1: npt.ArrayLike, capital_phi: npt.ArrayLike, phi2: npt.ArrayLike) -> Array:
    r"""Rotations that take vectors in crystal axes to sample axes, from Bunge's Euler angles in degrees.

    .. math:: R = R_z(\varphi_1)\,R_x(\Phi)\,R_z(\varphi_2)

    with active rotations; the orientation matrix g of texture analysis is its transpose (Bunge
    1982). The columns of R are the crystal's axes in the sample.

    Args:
        phi1: Angle :math:`\varphi_1`, of any shape, e.g. one for each grain.
        capital_phi: Angle :math:`\Phi`.
        phi2: Angle :math:`\varphi_2`.

    Returns:
        Shape (..., 3, 3).
    """
    first, second, third = (_in_plane(angle) for angle in (phi1, capital_phi, phi2))
    about_x = np.roll(second, 1, axis=(-2, -1))
    rotation: Array = first @ about_x @ third
    return rotation


def _in_plane(degrees: npt.ArrayLike) -> Array:
    """Rotations about the third axis, shape (..., 3, 3)."""
    angle = np.radians(np.asarray(degrees, dtype=np.float64))
    rotation = np.zeros((*angle.shape, 3, 3))
    rotation[..., 0, 0] = rotation[..., 1, 1] = np.cos(angle)
    rotation[..., 1, 0] = np.sin(angle)
    rotation[..., 0, 1] = -rotation[..., 1, 0]
    rotation[..., 2, 2] = 1.0
    return rotation


def rotation_from_quaternion(quaternion: npt.ArrayLike) -> Array:
    r"""Rotations that take vectors in crystal axes to sample axes, from quaternions with the scalar first.

    .. math:: R = (w^2 - v\cdot v)\,1 + 2\,v \otimes v + 2\,w\,[v]_\times, \qquad q = (w, v),\ |q| = 1

    Args:
        quaternion: q = (w, x, y, z), of any length but zero, shape (..., 4).

    Returns:
        Shape (..., 3, 3).

    Raises:
        InputError: Not four numbers, or all of them zero or not finite.
    """
    q = np.asarray(quaternion, dtype=np.float64)
    length = np.linalg.norm(q, axis=-1, keepdims=True) if q.ndim else np.zeros(1)
    if q.shape[-1:] != (4,) or not np.all(np.isfinite(length) & (length > 0.0)):
        raise InputError(
            f"quaternions of shape {q.shape} are no rotations; each must be four finite numbers w, x, y, z, "
            "not all of them zero"
        )
    w, v = q[..., :1, None] / length[..., None], q[..., 1:] / length
    outer = v[..., :, None] * v[..., None, :]
    cross = np.cross(np.eye(3), v[..., None, :])  # [v]×, whose columns are v × e
    square = np.einsum("...i,...i", v, v)[..., None, None]
    rotation: Array = (w**2 - square) * np.eye(3) + 2.0 * outer + 2.0 * w * cross
    return rotation


def rotation_to(direction: npt.ArrayLike) -> Array:
    r"""A rotation that takes the third axis to a direction.

    Rodrigues' formula with :math:`v = e_3 \times d` and :math:`c = e_3 \cdot d`:

    .. math:: R = 1 + [v]_\times + \frac{1}{1 + c} [v]_\times^2

    A direction of the lower half space is reached by way of :math:`-e_3`, so that 1 + c stays away from 0.

    Args:
        direction: Shape (3,), of any length but zero.

    Raises:
        InputError: The direction has no finite, non-zero length or not three components.
    """
    d = np.asarray(direction, dtype=np.float64)
    length = float(np.linalg.norm(d))
    if d.shape != (3,) or not np.isfinite(length) or length == 0.0:
        raise InputError(f"{direction!r} is no direction; it must be three numbers, not all of them zero")
    sign = -1.0 if d[2] < 0.0 else 1.0
    x, y, c = sign * d / length
    cross = np.array([[0.0, 0.0, x], [0.0, 0.0, y], [-x, -y, 0.0]])
    upwards: Array = np.eye(3) + cross + cross @ cross / (1.0 + c)
    return upwards * np.array([1.0, sign, sign])
