"""Checks of material parameters: a law that exists has numbers that can be right."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fe2.errors import InputError
from fe2.tensors import Array


@dataclass(frozen=True)
class Admissible:
    """The values that a parameter may have, in words and as a predicate."""

    words: str
    holds: Callable[[float], bool]


POSITIVE = Admissible("positive", lambda value: value > 0.0)
NOT_NEGATIVE = Admissible("zero or positive", lambda value: value >= 0.0)
SHARE = Admissible("between 0 and 1", lambda value: 0.0 <= value <= 1.0)
AT_LEAST_ONE = Admissible("at least 1", lambda value: value >= 1.0)
EXPONENT = Admissible("from 1 to 1000", lambda value: 1.0 <= value <= 1000.0)
POISSON = Admissible("greater than -1 and less than 0.5", lambda value: -1.0 < value < 0.5)
PLANE_POISSON = Admissible("greater than -1 and less than 1", lambda value: -1.0 < value < 1.0)
FINITE = Admissible("a finite number", lambda value: True)


SMALLEST, LARGEST = 1e-100, 1e100
"""Magnitudes beyond which squares and quotients of parameters leave the range of double precision."""


def _is_computable(size: float) -> bool:
    return size == 0.0 or SMALLEST <= size <= LARGEST


def checked(owner: str, name: str, value: object, admissible: Admissible) -> float:
    """The value as a float.

    Args:
        owner: Name of the law, for the message.
        name: Name of the parameter.
        value: What was given.
        admissible: What it has to be.

    Raises:
        InputError: The value is no finite real number, not admissible, or of a magnitude beyond 1e±100.
    """
    number = np.nan
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        with suppress(OverflowError):  # a whole number of hundreds of digits
            number = float(value)
    if not (np.isfinite(number) and admissible.holds(number)):
        raise InputError(f"{owner}: {name} = {value} is not admissible; it must be {admissible.words}")
    if not _is_computable(abs(number)):
        raise InputError(
            f"{owner}: {name} = {value} is not admissible; its magnitude must be between {SMALLEST:g} and "
            f"{LARGEST:g}, or zero: it would leave the range of double precision"
        )
    return number


def check_fields(law: object, **ranges: Admissible) -> None:
    """Check fields of a frozen dataclass and turn them into floats; for use in ``__post_init__``.

    Args:
        law: The instance under construction.
        ranges: What each field has to be, by the field's name.

    Raises:
        InputError: A field is not admissible.
    """
    for name, admissible in ranges.items():
        value = checked(type(law).__name__, name, getattr(law, name), admissible)
        object.__setattr__(law, name, value)


def checked_array(owner: str, name: str, value: npt.ArrayLike, shape: tuple[int, ...]) -> Array:
    """The value as a new array of floats of the shape required.

    Raises:
        InputError: The value is no array of finite numbers of this shape, or of a magnitude beyond 1e±100.
    """
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{owner}: {name} = {value!r} is not admissible; it must hold numbers") from error
    if array.shape != shape:
        raise InputError(f"{owner}: {name} has shape {array.shape}; it must have shape {shape}")
    if not np.all(np.isfinite(array)):
        raise InputError(f"{owner}: {name} holds values that are not finite; all must be finite numbers")
    if not _is_computable(largest := float(np.max(np.abs(array), initial=0.0))):
        raise InputError(
            f"{owner}: {name} with the largest component {largest:g} is not admissible; its magnitude must "
            f"be between {SMALLEST:g} and {LARGEST:g}, or zero"
        )
    return array


def checked_positive_definite(owner: str, name: str, value: npt.ArrayLike) -> Array:
    """The value as a symmetric positive definite (6, 6) array; asymmetry within round-off is averaged away.

    Raises:
        InputError: The matrix is not symmetric to 1e-8 of its largest component or not positive definite.
    """
    matrix = checked_array(owner, name, value, (6, 6))
    asymmetry = np.max(np.abs(matrix - matrix.T))
    if asymmetry > 1e-8 * np.max(np.abs(matrix)):
        raise InputError(f"{owner}: {name} is not symmetric; components differ by up to {asymmetry:.6g}")
    symmetric = 0.5 * (matrix + matrix.T)
    eigenvalues = np.linalg.eigvalsh(symmetric)
    if not eigenvalues[0] > 1e-14 * eigenvalues[-1]:
        raise InputError(
            f"{owner}: {name} is not positive definite; its smallest eigenvalue is {eigenvalues[0]:.6g}"
        )
    return symmetric


def checked_rotation(owner: str, name: str, value: npt.ArrayLike) -> Array:
    """The value as a (3, 3) rotation matrix.

    Raises:
        InputError: The matrix is not orthogonal to 1e-8 or has determinant -1.
    """
    matrix = checked_array(owner, name, value, (3, 3))
    defect = np.max(np.abs(matrix @ matrix.T - np.eye(3)))
    determinant = np.linalg.det(matrix)
    if defect > 1e-8 or determinant < 0.0:
        raise InputError(
            f"{owner}: {name} is not a rotation; |R Rᵀ - 1| = {defect:.3g} must be 0 "
            f"and the determinant, {determinant:.6g}, must be 1"
        )
    return matrix


def checked_direction(owner: str, name: str, value: npt.ArrayLike) -> Array:
    """The value as a vector of shape (3,) that is not zero.

    Raises:
        InputError: The vector is zero or does not hold three finite numbers.
    """
    vector = checked_array(owner, name, value, (3,))
    if not np.any(vector):
        raise InputError(f"{owner}: {name} is the zero vector; it must have a direction")
    return vector
