"""Tables of an HDF5 file that another hand may have written: what they are is seen before they are read."""

from __future__ import annotations

import math

import h5py
import numpy as np


def table(file: h5py.File, name: str, kind: type[np.generic], shape: tuple[int | None, ...]) -> h5py.Dataset:
    """A table of a file, which is read when it is indexed.

    Args:
        file: The file.
        name: Name of the table, with those of its groups.
        kind: Type of its numbers.
        shape: Its shape, with None where any number of entries will do.

    Raises:
        ValueError: There is none, it is something else, it lies in another file, or it is not as large as
            it says.
    """
    found = _not_linked(file, name)
    if not isinstance(found, h5py.Dataset) or found.dtype != np.dtype(kind) or not _fits(found.shape, shape):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} is {found} and not a table of {np.dtype(kind)} with the shape ({wanted})")
    plan = found.id.get_create_plist()
    filters = {plan.get_filter(k)[0] for k in range(plan.get_nfilters())}
    if found.external or found.is_virtual or filters - {h5py.h5z.FILTER_FLETCHER32}:
        raise ValueError(f"{name} lies in another file, or is compressed, and fe2 writes nothing of the kind")
    if not _is_complete(found):
        raise ValueError(f"{name} has {found.nbytes} bytes, which are not all in the file")
    return found


def number(file: h5py.File, name: str) -> float:
    """A number of a file.

    Raises:
        ValueError: There is none, or something else.
    """
    return float(table(file, name, np.float64, ())[()])


def members(file: h5py.File, name: str) -> list[str]:
    """Names in a group of a file, in order.

    Raises:
        ValueError: There is no such group.
    """
    found = _not_linked(file, name)
    if not isinstance(found, h5py.Group):
        raise ValueError(f"{name} is no group")
    return sorted(found)


def _not_linked(file: h5py.File, name: str) -> h5py.Dataset | h5py.Group:
    """What has a name in a file, itself and not a link to something else or elsewhere."""
    place: h5py.Dataset | h5py.Group = file
    for part in name.split("/"):
        link = place.get(part, getlink=True) if isinstance(place, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{name} is not in it" if link is None else f"{name} is a link")
        place = place[part]
    return place


def _fits(shape: tuple[int, ...] | None, wanted: tuple[int | None, ...]) -> bool:
    return (
        shape is not None
        and len(shape) == len(wanted)
        and all(size in (None, found) for found, size in zip(shape, wanted, strict=True))
    )


def _is_complete(found: h5py.Dataset) -> bool:
    """Whether all that a table says it holds is in the file, also each of its pieces where it has any."""
    if found.nbytes > found.id.get_storage_size():
        return False
    if found.chunks is None:
        return True
    counts = (-(-size // piece) for size, piece in zip(found.shape, found.chunks, strict=True))
    return bool(math.prod(counts) == found.id.get_num_chunks())
