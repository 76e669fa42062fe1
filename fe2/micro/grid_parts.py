"""Which voxels of an image something flows through; the twin of `subcell` without a mesh."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from fe2.arrays import Ints, Mask
from fe2.errors import InputError
from fe2.micro.subcell import joined_parts, nothing_flows


@dataclass(frozen=True, eq=False)
class FlowingVoxels:
    """The voxels that flow is possible through.

    Attributes:
        mask: Those of a part that is connected with its own periodic images, shape (nx, ny[, nz]).
        percolates: For each axis, whether a part is connected from one face to the other.
        parts: Number of parts that are not connected with each other.
    """

    mask: Mask
    percolates: tuple[bool, ...]
    parts: int


def flowing_voxels(
    conducting: Mask, names: Sequence[str], does: str = "flows", *, through_faces: bool = False
) -> FlowingVoxels:
    """Conducting voxels without isolated ones.

    Args:
        conducting: The voxels of conducting phases.
        names: Names of these phases, for messages.
        does: What they do, for messages.
        through_faces: Whether voxels are connected through common faces only; otherwise a common corner is
            enough.

    Raises:
        InputError: Nothing is left.
    """
    found = connected_voxels(conducting, through_faces=through_faces)
    if not found.parts:
        phases = ", ".join(map(repr, names))
        raise InputError(nothing_flows(phases, through_faces, does))
    return found


def connected_voxels(conducting: Mask, *, through_faces: bool) -> FlowingVoxels:
    """The voxels that are connected with their own periodic images, perhaps none."""
    structure = None if through_faces else np.ones((3,) * conducting.ndim)
    pieces, count = ndimage.label(conducting, structure)
    parts, loops, _ = joined_parts(_joints(pieces, through_faces), count)
    flowing = np.any(loops, axis=1)
    mask = np.concatenate([[False], flowing[parts]])[pieces]
    return FlowingVoxels(mask, tuple(np.any(loops[flowing], axis=0).tolist()), int(flowing.sum()))


def held_voxels(mask: Mask, *, periodic: bool) -> Mask:
    """Voxels that common faces connect with their own periodic images, or else with the image's faces.

    Args:
        mask: The voxels that may be connected.
        periodic: Whether they have periodic images.
    """
    if mask.all():
        return mask
    if periodic:
        return connected_voxels(mask, through_faces=True).mask
    pieces, count = ndimage.label(mask)
    stays = np.zeros(1 + count, dtype=bool)
    for axis in range(mask.ndim):
        stays[pieces.take([0, -1], axis=axis)] = True
    stays[0] = False
    return stays[pieces]


def _joints(pieces: npt.NDArray[np.int32], through_faces: bool) -> Ints:
    """Pairs of pieces that touch across the faces of the image, and the periods between them."""
    shape = np.array(pieces.shape)
    joints = [np.zeros((0, 2 + pieces.ndim), dtype=np.int64)]
    for step in itertools.product((-1, 0, 1), repeat=pieces.ndim):
        if through_faces and np.count_nonzero(step) > 1:
            continue
        for axis in range(pieces.ndim):
            if step[axis] != 1:
                continue  # the opposite step joins the same voxels
            voxels = np.argwhere(np.take(pieces, [shape[axis] - 1], axis=axis))
            voxels[:, axis] = shape[axis] - 1
            neighbours = voxels + step
            shift = neighbours // shape
            ends = [pieces[tuple(at.T)] for at in (voxels, neighbours - shift * shape)]
            # the neighbour belongs to the next period: it is reached by leaving this one
            touching = ends[1] > 0
            joints.append(np.column_stack([ends[0] - 1, ends[1] - 1, shift])[touching])
    return np.concatenate(joints)
