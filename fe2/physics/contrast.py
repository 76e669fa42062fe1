"""How far the phases of a cell differ, and how many digits double precision leaves of the softest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from fe2.errors import Fe2Warning
from fe2.physics.law import PhaseLaw
from fe2.tensors import Array

LARGEST = 1e10
"""Ratio of moduli from which on the digits that are left are worth a word."""
_ROTATION = 4e-15
"""Eigenvalue that is the round-off of the largest: a rotation, against which nothing is stiff."""


def warn_of_contrast(moduli: Mapping[str, Sequence[float]]) -> None:
    r"""Warn where moduli of a cell's phases lie ten orders of magnitude or more apart.

    A residual is the difference of stiff forces; its round-off, :math:`\epsilon = 2.2\cdot10^{-16}` of them,
    leaves :math:`-\log_{10}(\epsilon\,k_\max/k_\min)` digits of the soft ones.

    Args:
        moduli: Some moduli of each phase, by name; phases without any, and zeros, do not count.

    Warns:
        Fe2Warning: The ratio is 1e10 or larger; the text has the phases and the digits.
    """
    known = [(value, name) for name, values in moduli.items() for value in values if value > 0.0]
    if not known:
        return
    (least, softest), (most, stiffest) = min(known), max(known)
    if most < LARGEST * least:
        return
    digits = max(0, math.floor(-math.log10(np.finfo(float).eps) - math.log10(most) + math.log10(least)))
    warnings.warn(
        f"moduli of the phases range from {least:.3g} ({softest}) to {most:.3g} ({stiffest}), a factor of "
        f"{most / least:.1e}: double precision leaves about {digits} digits of what {softest} decides. Take "
        "a void, an insulator or a smaller factor where the answer does not depend on it",
        Fe2Warning,
        stacklevel=2,
    )


def moduli_of(laws: Mapping[str, object]) -> dict[str, tuple[float, ...]]:
    """What laws tell of the moduli of their virgin materials, by phase."""
    return {name: law.moduli() for name, law in laws.items() if isinstance(law, PhaseLaw)}


def moduli_of_tangent(tangent: Array) -> tuple[float, ...]:
    """Eigenvalues of a tangent, without the zeros of rotations."""
    values = np.abs(np.linalg.eigvalsh(0.5 * (tangent + tangent.T)))
    return tuple(values[values > _ROTATION * values.max(initial=0.0)].tolist())
