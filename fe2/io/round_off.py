"""Components of a field that are nothing but round-off beside the others of the field."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from fe2.arrays import Array

_COMPONENT = re.compile(r"_[xyz]{1,2}$")
_ROUND_OFF = 1e-10


def without_round_off(name: str, fields: Mapping[str, Array]) -> Array:
    """A component of a field, zero where it is nothing beside the others, as the shear in pure tension."""
    values = np.asarray(fields[name])
    stem, count = _COMPONENT.subn("", name)
    alike = [other for key, other in fields.items() if count and _COMPONENT.sub("", key) == stem]
    scale = max((_largest(other) for other in alike), default=0.0)
    return np.where(np.isfinite(values), 0.0, values) if _largest(values) <= _ROUND_OFF * scale else values


def _largest(values: Array) -> float:
    return float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values)))
