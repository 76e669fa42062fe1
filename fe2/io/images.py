"""Reads label images: raw voxels, NumPy arrays and TIFF stacks; a header is looked at before its voxels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fe2.arrays import Labels
from fe2.errors import Fe2Warning, InputError
from fe2.io.image_facts import ImageFacts
from fe2.memory import check_memory


def image_facts(
    path: str | PathLike[str], *, shape: Sequence[int] | None = None, dtype: npt.DTypeLike | None = None
) -> ImageFacts:
    """Size, type and spacing of an image, without reading its voxels.

    Args:
        path: The file.
        shape: As in :func:`read_image`.
        dtype: As in :func:`read_image`.

    Raises:
        InputError: As in :func:`read_image`, as far as the header tells.
    """
    with _named(Path(path)) as file:
        return _facts(file, shape, dtype)


def read_image(
    path: str | PathLike[str], *, shape: Sequence[int] | None = None, dtype: npt.DTypeLike | None = None
) -> Labels:
    """Read a label image.

    The file's ending tells the format: `.raw` (voxels one after another, x fastest, no header),
    `.npy` (an array indexed [x, y] or [x, y, z]: a stack [z, y, x] is saved as `stack.T`), `.tif` or
    `.tiff` (pages along z, rows along y, columns along x). A single slice, nz = 1, is an image in two
    dimensions whatever its format.

    Args:
        path: The file.
        shape: Numbers of voxels (nx, ny) or (nx, ny, nz): needed for `.raw`, checked for the others.
        dtype: Integer type of the labels: needed for `.raw`, checked for the others.

    Returns:
        Labels, indexed [x, y] or [x, y, z]; 0 and 1 for an image of bits.

    Raises:
        InputError: The file is missing, truncated, larger than the memory, or of another shape or type; it
            is compressed in a way that cannot be read. The message names the file.

    Warns:
        Fe2Warning: The file says that its pages are no slices, or that its labels are inverted.
    """
    with _named(Path(path)) as file:
        facts = _facts(file, shape, dtype)
        check_memory(
            2.0 * math.prod(facts.shape) * facts.dtype.itemsize,
            f"an image of {facts.shape} voxels of {facts.dtype}",
            "save a part of it",
        )
        for note in facts.notes:
            warnings.warn(f"{file}: {note}", Fe2Warning, stacklevel=2)
        labels = _FORMATS[file.suffix.lower()][1](file, facts).reshape(facts.shape, order="F")
        return labels.astype(
            np.uint8 if labels.dtype == np.bool_ else labels.dtype.newbyteorder("="), copy=False
        )


@contextmanager
def _named(path: Path) -> Iterator[Path]:
    """The file, whose name stands in whatever is wrong with it."""
    try:
        if path.exists() and not path.is_file():
            raise InputError("the image cannot be read: this is no file")
        yield path
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: the image cannot be read: {error.strerror or error}") from error


def _facts(path: Path, shape: Sequence[int] | None, dtype: npt.DTypeLike | None) -> ImageFacts:
    ending = path.suffix.lower()
    if ending not in _FORMATS:
        raise InputError(f"images end in .raw, .npy, .tif or .tiff, not in '{ending}'")
    facts = _FORMATS[ending][0](path, shape, dtype)
    if facts.dtype.kind not in "uib":
        raise InputError(f"labels are integers, but the image holds {facts.dtype}: save them as integers")
    if len(facts.shape) not in (2, 3):
        raise InputError(f"an image has 2 or 3 dimensions; this one has the shape {facts.shape}")
    if shape is not None and _without_single_slice(shape) != _without_single_slice(facts.shape):
        raise InputError(f"the image has the shape {facts.shape} in [x, y, z], not {tuple(shape)}")
    if dtype is not None and facts.dtype.newbyteorder("=") != np.dtype(dtype).newbyteorder("="):
        raise InputError(f"the image holds {facts.dtype}, not {np.dtype(dtype)}")
    thin = _without_single_slice(facts.shape)
    spacing = None if facts.spacing is None else facts.spacing[: len(thin)]
    return ImageFacts(thin, facts.dtype, spacing, facts.unit, facts.notes)


def _without_single_slice(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(shape[:2]) if len(shape) == 3 and shape[2] == 1 else tuple(shape)


def _check_size(actual: int, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    if min(shape, default=1) <= 0:
        raise InputError(f"shape = {tuple(shape)}: positive numbers of voxels are needed")
    expected = math.prod(shape) * dtype.itemsize
    if actual != expected:
        raise InputError(
            f"the file has {actual} bytes of voxels, but shape {tuple(shape)} of {dtype} takes {expected}: "
            f"{'it is truncated, or ' * (actual < expected)}shape or dtype is another"
        )


def _raw_facts(path: Path, shape: Sequence[int] | None, dtype: npt.DTypeLike | None) -> ImageFacts:
    if shape is None or dtype is None:
        raise InputError("raw voxels have no header: shape=(nx, ny, nz) and dtype are needed")
    kind = np.dtype(dtype)
    _check_size(path.stat().st_size, shape, kind)
    return ImageFacts(tuple(shape), kind)


def _read_raw(path: Path, facts: ImageFacts) -> Labels:
    return np.fromfile(path, facts.dtype)


_HEADER_ERRORS = (
    *(ValueError, TypeError, LookupError, EOFError, OverflowError, MemoryError),
    *(RecursionError, SyntaxError, TokenError),
)
"""What damaged headers, which NumPy parses as Python's literals, end in."""


def _npy_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the first index runs fastest, and type."""
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
    except _HEADER_ERRORS as error:
        reason = " ".join(str(error).split())
        raise InputError(f"not a NumPy array that can be read, or truncated: {reason}") from error
    return shape, fortran, dtype


def _npy_facts(path: Path, shape: Sequence[int] | None, dtype: npt.DTypeLike | None) -> ImageFacts:
    with path.open("rb") as file:
        found, _, kind = _npy_header(file)
        if not kind.hasobject:
            _check_size(path.stat().st_size - file.tell(), found, kind)
    return ImageFacts(found, kind)


def _read_npy(path: Path, facts: ImageFacts) -> Labels:
    with path.open("rb") as file:
        shape, fortran, dtype = _npy_header(file)
        return np.fromfile(file, dtype).reshape(shape, order="F" if fortran else "C")


def _tiff_facts(path: Path, shape: Sequence[int] | None, dtype: npt.DTypeLike | None) -> ImageFacts:
    from fe2.io.tiff import tiff_header  # checking a file without images does without tifffile

    return tiff_header(path)


def _read_tiff(path: Path, facts: ImageFacts) -> Labels:
    from fe2.io.tiff import tiff_voxels

    return tiff_voxels(path)


_Header = Callable[[Path, Sequence[int] | None, npt.DTypeLike | None], ImageFacts]
_FORMATS: dict[str, tuple[_Header, Callable[[Path, ImageFacts], Labels]]] = {
    ".raw": (_raw_facts, _read_raw),
    ".npy": (_npy_facts, _read_npy),
    ".tif": (_tiff_facts, _read_tiff),
    ".tiff": (_tiff_facts, _read_tiff),
}
