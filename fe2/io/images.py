"""Reads label images: raw voxels, NumPy arrays and TIFF stacks."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from fe2.errors import InputError

Labels = npt.NDArray[np.integer[Any]]


def read_image(
    path: str | PathLike[str],
    *,
    shape: Sequence[int] | None = None,
    dtype: npt.DTypeLike | None = None,
) -> Labels:
    """Read a label image.

    The file's ending tells the format: `.raw` (voxels one after another, x fastest, no header),
    `.npy` (an array indexed [x, y] or [x, y, z]), `.tif` or `.tiff` (pages along z, rows along y,
    columns along x; a single page is an image in two dimensions).

    Args:
        path: The file.
        shape: Numbers of voxels (nx, ny) or (nx, ny, nz): needed for `.raw`, checked for the others.
        dtype: Integer type of the labels: needed for `.raw`, checked for the others.

    Returns:
        Labels, indexed [x, y] or [x, y, z]; 0 and 1 for an image of bits.

    Raises:
        InputError: The file is missing, truncated or of another shape or type; it is compressed in a
            way that cannot be read. The message names the file.
    """
    path = Path(path)
    ending = path.suffix.lower()
    try:
        if ending == ".raw":
            labels = _read_raw(path, shape, dtype)
        elif ending == ".npy":
            labels = _read_npy(path)
        elif ending in (".tif", ".tiff"):
            labels = _read_tiff(path)
        else:
            raise InputError(f"images end in .raw, .npy, .tif or .tiff, not in '{ending}'")
        if labels.dtype == np.bool_:
            labels = labels.astype(np.uint8)
        _check(labels, shape, dtype)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: the image cannot be read: {error.strerror or error}") from error
    return labels


def _read_raw(path: Path, shape: Sequence[int] | None, dtype: npt.DTypeLike | None) -> Labels:
    if shape is None or dtype is None:
        raise InputError("raw voxels have no header: shape=(nx, ny, nz) and dtype are needed")
    if min(shape) <= 0:
        raise InputError(f"shape = {tuple(shape)}: positive numbers of voxels are needed")
    kind = np.dtype(dtype)
    expected, actual = math.prod(shape) * kind.itemsize, path.stat().st_size
    if actual != expected:
        raise InputError(
            f"the file has {actual} bytes, but shape {tuple(shape)} of {kind} takes {expected}: "
            f"{'it is truncated, or ' * (actual < expected)}shape or dtype is another"
        )
    voxels = np.fromfile(path, kind).astype(kind.newbyteorder("="), copy=False)
    return voxels.reshape(shape, order="F")


def _read_npy(path: Path) -> Labels:
    try:
        with path.open("rb") as file:
            labels: Labels = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"not a NumPy array that can be read, or truncated: {error}") from error
    return labels


def _read_tiff(path: Path) -> Labels:
    complaints = _Complaints()
    complaints.log.addHandler(complaints)
    try:
        with tifffile.TiffFile(path) as file:
            axes = [series.axes for series in file.series]
            stacks = [series.asarray() for series in file.series]
    except OSError:
        raise
    except Exception as error:  # damaged files end in errors of many kinds
        if "imagecodecs" in str(error):
            raise InputError(
                f"the compression needs one more package ({error}): pip install imagecodecs, or save the "
                "image uncompressed or with deflate"
            ) from error
        raise InputError(f"not a TIFF image that can be read, or truncated: {error}") from error
    finally:
        complaints.log.removeHandler(complaints)
    if complaints.messages or not stacks:
        reasons = "; ".join(complaints.messages) or "it holds no image"
        raise InputError(f"the TIFF file is damaged or truncated: {reasons}")
    shapes = {stack.shape for stack in stacks}
    if len(shapes) == 1 and set(axes) == {"YX"}:  # pages that were written one by one
        stacks = [np.stack(stacks) if len(stacks) > 1 else stacks[0]]
    if len(stacks) != 1 or not axes[0].endswith("YX"):
        raise InputError(
            "one stack of equal pages of labels is needed; the file has images with the axes "
            f"{', '.join(axes)} of shape {', '.join(map(str, shapes))} (S: colours, C: channels, T: time)"
        )
    labels: Labels = stacks[0].T
    return labels[..., 0] if labels.ndim == 3 and labels.shape[2] == 1 else labels


class _Complaints(logging.Handler):
    """Collects errors that tifffile only logs, such as pages that a truncated file lacks."""

    log = logging.getLogger("tifffile")

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.messages.append(record.getMessage())


def _check(labels: Labels, shape: Sequence[int] | None, dtype: npt.DTypeLike | None) -> None:
    if labels.dtype.kind not in "ui":
        raise InputError(f"labels are integers, but the image holds {labels.dtype}")
    if labels.ndim not in (2, 3):
        raise InputError(f"an image has 2 or 3 dimensions; this one has the shape {labels.shape}")
    if shape is not None and labels.shape != tuple(shape):
        raise InputError(f"the image has the shape {labels.shape} in [x, y, z], not {tuple(shape)}")
    if dtype is not None and labels.dtype != np.dtype(dtype).newbyteorder("="):
        raise InputError(f"the image holds {labels.dtype}, not {np.dtype(dtype)}")
