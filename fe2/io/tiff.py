"""TIFF stacks: size, axes and spacing from their headers, and their voxels."""

from __future__ import annotations

import logging
import math
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

from fe2.arrays import Labels
from fe2.errors import InputError
from fe2.io.image_facts import ImageFacts

_PER_INCH, _PER_CENTIMETRE = 2, 3
_MILLIMETRES = {_PER_INCH: 25.4, _PER_CENTIMETRE: 10.0}
_WHITE_IS_ZERO = 0
_BIG = 43  # version of BigTIFF
_PAGES = {"C": "channels", "T": "times"}


def tiff_header(path: Path) -> ImageFacts:
    """Size, type and spacing of a stack.

    Raises:
        InputError: The file is damaged or truncated, or no stack of labels.
    """
    with _opened(path) as file:
        series = list(file.series)
        shape, axes = _stack(series)
        page = series[0].keyframe
        dtype = np.dtype(series[0].dtype)
        needed, size = math.prod(shape) * dtype.itemsize, path.stat().st_size
        if page.compression == 1 and dtype != np.bool_ and needed > size:
            raise InputError(
                f"the TIFF file is damaged or truncated: its {size} bytes do not hold {shape} voxels of "
                f"{dtype}, {needed} bytes"
            )
        spacing, unit = _spacing(file, page)
        notes = []
        if axes[:1] in _PAGES:
            notes.append(
                f"the file says that its {shape[2]} pages are {_PAGES[axes[0]]}; they are read as slices "
                "along z"
            )
        if page.photometric == _WHITE_IS_ZERO:
            notes.append("the file says that 0 is white; labels are what it stores, not what viewers show")
    return ImageFacts(shape, dtype, spacing, unit, tuple(notes))


def tiff_voxels(path: Path) -> Labels:
    """The labels, indexed [x, y] or [x, y, z].

    Raises:
        InputError: As :func:`tiff_header`, or the compression cannot be read.
    """
    with _opened(path) as file:
        stacks = [series.asarray() for series in file.series]
        labels: Labels = (np.stack(stacks) if len(stacks) > 1 else stacks[0]).T
    return labels


@contextmanager
def _opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """The file; what tifffile finds wrong with it, or only logs, is an error of one kind."""
    complaints = _Complaints()
    complaints.log.addHandler(complaints)
    try:
        _check_chain(path)
        with tifffile.TiffFile(path) as file:
            yield file
    except (OSError, InputError):
        raise
    except Exception as error:  # damaged files end in errors of many kinds
        if "imagecodecs" in str(error):
            raise InputError(
                f"the compression needs one more package ({error}): pip install imagecodecs, or save the "
                "image uncompressed or with deflate"
            ) from error
        reason = " ".join(str(error).split())
        raise InputError(f"not a TIFF image that can be read, or truncated: {reason}") from error
    finally:
        complaints.log.removeHandler(complaints)
    if complaints.messages:
        reasons = " ".join("; ".join(complaints.messages).split())
        raise InputError(f"the TIFF file is damaged or truncated: {reasons}")


def _check_chain(path: Path) -> None:
    """Refuse a file whose directories of pages, each of which names the next one, go in a circle."""
    with path.open("rb") as file:
        start = file.read(16).ljust(16, b"\0")
        order = ">" if start[:2] == b"MM" else "<"
        is_big = struct.unpack(f"{order}H", start[2:4])[0] == _BIG
        link, count, tag = (f"{order}Q", f"{order}Q", 20) if is_big else (f"{order}I", f"{order}H", 12)
        (offset,) = struct.unpack_from(link, start, 8 if is_big else 4)
        seen: set[int] = set()
        while offset and offset not in seen:
            seen.add(offset)
            file.seek(min(offset, 2**62))
            tags = file.read(struct.calcsize(count))
            if len(tags) < struct.calcsize(count):
                return
            file.seek(min(struct.unpack(count, tags)[0], 2**32) * tag, os.SEEK_CUR)
            following = file.read(struct.calcsize(link))
            offset = struct.unpack(link, following)[0] if len(following) == struct.calcsize(link) else 0
    if offset:
        raise InputError("the TIFF file is damaged or truncated: its pages go in a circle")


class _Complaints(logging.Handler):
    """Collects errors that tifffile only logs, such as pages that a truncated file lacks."""

    log = logging.getLogger("tifffile")

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.messages.append(record.getMessage())


def _stack(series: list[tifffile.TiffPageSeries]) -> tuple[tuple[int, ...], str]:
    """Columns, rows and pages, and the axes, of the only stack or of equal pages written one by one."""
    if not series:
        raise InputError("the TIFF file is damaged or truncated: it holds no image")
    shapes, axes = {tuple(part.shape) for part in series}, [part.axes for part in series]
    single = len(series) == 1 and re.fullmatch("[ZIQCT]?YX", axes[0])
    if not single and not (len(shapes) == 1 and set(axes) == {"YX"}):
        raise InputError(
            "one stack of equal pages of labels is needed; the file has images with the axes "
            f"{', '.join(axes)} of shape {', '.join(map(str, shapes))} (S: colours, C: channels, T: time)"
        )
    pages = () if single else (len(series),)
    return (*reversed(series[0].shape), *pages), axes[0][:-2]


def _spacing(file: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[tuple[float, ...] | None, str]:
    """Edge lengths of a voxel along the first axes and their unit; None where the file does not tell them."""
    if file.ome_metadata:
        lengths = [_number(file.ome_metadata, f"PhysicalSize{axis}") for axis in "XYZ"]
        found = re.search(r'PhysicalSizeXUnit="([^"]*)"', file.ome_metadata)
        unit = found[1] if found else "µm"
    else:
        lengths = [_resolution(page, name) for name in ("XResolution", "YResolution")]
        description = file.imagej_metadata or {}
        lengths.append(float(description.get("spacing") or 0.0))
        unit = str(description.get("unit") or "")
        tag = page.tags.get("ResolutionUnit")
        scale = None if unit or tag is None else _MILLIMETRES.get(int(tag.value))
        if scale is not None:
            lengths, unit = [scale * length for length in lengths], "mm"
    known = next((k for k, length in enumerate(lengths) if not 0.0 < length < math.inf), len(lengths))
    if known < 2 or (not unit and set(lengths[:known]) == {1.0}):
        return None, ""
    return tuple(lengths[:known]), unit


def _number(text: str, name: str) -> float:
    found = re.search(rf'{name}="([-+.\deE]+)"', text)
    return float(found[1]) if found else 0.0


def _resolution(page: tifffile.TiffPage, name: str) -> float:
    """Length of a pixel from a tag with pixels in a unit of length; 0 where there is none."""
    tag = page.tags.get(name)
    if tag is None:
        return 0.0
    pixels, units = tag.value
    return float(units) / float(pixels) if pixels else 0.0
