"""Names and components in which history variables are reported, everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fe2.arrays import Array
from fe2.tensors import component_names, shear_factors


def history_names(name: str, count: int, components: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns of a history variable.

    Args:
        name: The variable.
        count: Number of its components.
        components: Components of the gradient that the phase laws see.

    Returns:
        The name alone for a scalar; the name with each component behind it, ``plastic_strain_xy``, for
        a symmetric tensor of as many components as the laws see, which is then written with plain tensor
        components, ε_xy and not √2 ε_xy; numbers from zero for anything else.
    """
    if count == 1:
        return (name,)
    endings = components if _is_tensor(count, components) else range(count)
    return tuple(f"{name}_{ending}" for ending in endings)


def plain_history(values: Mapping[str, Array], components: Sequence[str]) -> dict[str, Array]:
    """History variables with plain tensor components, which micro models hold in Mandel's.

    Args:
        values: History variables by name, each of shape (n, c).
        components: Components of the gradient that the phase laws see.
    """
    return {name: array / _factors(array.shape[1], components) for name, array in values.items()}


def history_columns(values: Mapping[str, Array], components: Sequence[str]) -> dict[str, Array]:
    """The same as columns by their :func:`history_names`, each of shape (n,)."""
    return {
        column: array[:, k]
        for name, array in plain_history(values, components).items()
        for k, column in enumerate(history_names(name, array.shape[1], components))
    }


def _factors(count: int, components: Sequence[str]) -> Array:
    """What the components are divided by: Mandel's factors of a tensor, ones for anything else."""
    return shear_factors(count) if _is_tensor(count, components) else np.ones(count)


def _is_tensor(count: int, components: Sequence[str]) -> bool:
    return count in (4, 6) and tuple(components) == component_names(count)
