"""Which phase each label of an image belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fe2.arrays import Labels
from fe2.errors import InputError, place
from fe2.micro.image_grid import ImageGrid

_SHOWN = 20
"""Labels that a message lists."""


@dataclass(frozen=True)
class LabelOwners:
    """The phases of labels.

    Attributes:
        labels: The labels, ascending.
        phases: Index of the phase of each.
    """

    labels: Labels
    phases: npt.NDArray[np.int32]

    def phase_of(self, image: Labels) -> npt.NDArray[np.int32]:
        """Index of the phase of each voxel, whose labels all have one."""
        return self.phases[np.searchsorted(self.labels, image)]


def owners_of_labels(image: Labels, phases: Mapping[str, Any], grid: ImageGrid) -> LabelOwners:
    """The phases of the labels of an image.

    Args:
        image: The voxels that are kept.
        phases: Label or labels of each phase.
        grid: Where they are in the whole image.

    Raises:
        InputError: A label belongs to no phase or to several, or a phase has no voxel.
    """
    found, first, counts = np.unique(image, return_index=True, return_counts=True)
    given = [np.unique(np.asarray(labels, dtype=np.int64)) for labels in phases.values()]
    labels = np.concatenate([np.zeros(0, np.int64), *given])
    owner = np.repeat(np.arange(len(given), dtype=np.int32), [len(part) for part in given])
    order = np.argsort(labels, kind="stable")
    labels, owner = labels[order], owner[order]
    if (twice := np.flatnonzero(labels[1:] == labels[:-1])).size:
        one, other = (list(phases)[k] for k in owner[twice[0] : twice[0] + 2])
        raise InputError(
            f"label {labels[twice[0]]} is given to more than one phase, among them '{one}' and '{other}'"
        )
    used = np.isin(labels, found)
    for k, name in enumerate(phases):
        if not used[owner == k].any():
            pairs = zip(found[:_SHOWN].tolist(), counts.tolist(), strict=False)
            known = ", ".join(f"{value} ({count} voxels)" for value, count in pairs) + _more(len(found))
            text = f"no voxel has its label {listed(phases[name])}; the image has {known}"
            raise InputError(f"phase '{name}': {text}")
    lacking = np.flatnonzero(~np.isin(found, labels))
    if lacking.size:
        label, row, count = (int(values[lacking[0]]) for values in (found, first, counts))
        voxel = np.array([low for low, _ in grid.crop[: image.ndim]]) + np.unravel_index(row, image.shape)
        known = ", ".join(f"{name!r}: {listed(labels)}" for name, labels in phases.items())
        raise InputError(
            f"label {label} has no phase: {count} voxels have it, the first is {voxel.tolist()} at "
            f"{place((voxel + 0.5) * grid.size)} from the image's corner; the phases are {{{known}}}; "
            "what carries nothing, as pores, is a phase too"
        )
    return LabelOwners(labels, owner)


def listed(labels: Any) -> str:
    """Label or labels of a phase, shortened where there are many."""
    if np.ndim(labels) == 0:
        return str(labels)
    return ", ".join(map(str, np.asarray(labels)[:_SHOWN])) + _more(len(labels))


def _more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""
