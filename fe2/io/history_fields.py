"""Names and components in which history variables are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fe2.tensors import component_names, shear_factors

Array = npt.NDArray[np.float64]


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


def history_factors(count: int, components: Sequence[str]) -> Array:
    """What the components are divided by: Mandel's factors of a tensor, ones for anything else."""
    return shear_factors(count) if _is_tensor(count, components) else np.ones(count)


def _is_tensor(count: int, components: Sequence[str]) -> bool:
    return count in (4, 6) and tuple(components) == component_names(count)
