"""Symmetric tensors as parameters of laws: a number, three principal values along the axes, or a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import fe2.lazy_ufl as ufl
from fe2.arrays import Array
from fe2.errors import InputError
from fe2.physics.checks import FINITE, checked, checked_array
from fe2.tensors import component_indices, component_names, from_matrix

if TYPE_CHECKING:
    from ufl.core.expr import Expr


def checked_tensor(owner: str, name: str, value: float | npt.ArrayLike) -> float | Array:
    """A number, or six Mandel components.

    Args:
        owner: Name of the law, for the message.
        name: Name of the parameter.
        value: A number, three principal values along the axes, or a symmetric matrix of shape (3, 3).

    Raises:
        InputError: It is nothing of all that.
    """
    if np.ndim(value) == 0:
        return checked(owner, name, value, FINITE)
    if np.shape(value) not in ((3,), (3, 3)):
        raise InputError(
            f"{owner}: {name} has shape {np.shape(value)}; it must be a number, three principal values, "
            "or a symmetric matrix of shape (3, 3)"
        )
    given = checked_array(owner, name, value, np.shape(value))
    matrix = np.diag(given) if given.ndim == 1 else given
    if not np.allclose(matrix, matrix.T, rtol=0.0, atol=1e-8 * np.abs(matrix).max()):
        raise InputError(f"{owner}: {name} is not symmetric: {given.tolist()}")
    return from_matrix(matrix, 6)


def tensor_times(tensor: Any, factor: Expr, size: int) -> Expr:
    """A tensor times a scalar in Mandel components, a UFL vector.

    Args:
        tensor: A scalar, or a vector of six Mandel components.
        factor: The scalar.
        size: Number of components, 4 in plane strain or 6.
    """
    pairs = component_indices(size)
    if getattr(tensor, "ufl_shape", ()) == ():
        return ufl.as_vector([tensor * factor if i == j else 0.0 * factor for i, j in pairs])
    names = component_names(6)
    return ufl.as_vector([tensor[names.index(name)] * factor for name in component_names(size)])


def volume_change(strain: Expr) -> Expr:
    """Trace of a strain in Mandel components that has the three normal ones first, a UFL scalar."""
    return strain[0] + strain[1] + strain[2]
