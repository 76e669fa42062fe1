"""Reads VTK's .vtk and .vtu files with meshio, which checks nothing: memory and types are looked at here."""

from __future__ import annotations

import io
import resource
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from fe2.arrays import Ints
from fe2.errors import Fe2Warning, InputError
from fe2.msh.file import Elements, MeshFile

_ROOM = 1 << 30
"""Bytes that a reader may take at least."""

_UNPACKED = 50
"""Bytes that a reader may take for each of the file's: compressed files unpack to a few times their size."""


def parse_vtk(path: str, data: bytes, labels: str | None) -> MeshFile:
    """What a .vtk or .vtu file holds; cell data of whole numbers are the labels.

    Args:
        path: Where it was read.
        data: Its content.
        labels: Name of the cell data; may be None where only one is of whole numbers.

    Raises:
        InputError: The file is damaged, or has no such data.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise InputError("the file declares entities, which no file of VTK needs")
    mesh = _read(path, len(data))
    points = np.zeros((len(mesh.points), 3))
    if mesh.points.ndim != 2 or not 1 <= mesh.points.shape[1] <= 3:
        raise InputError(f"points of shape {mesh.points.shape} are not places")
    points[:, : mesh.points.shape[1]] = mesh.points
    groups = _labels(mesh, labels)
    elements, first = [], 1
    for block, group in zip(mesh.cells, groups, strict=True):
        number = np.arange(first, first + len(block.data))
        first += len(block.data)
        nodes = np.asarray(block.data)
        if nodes.ndim != 2 or not np.issubdtype(nodes.dtype, np.integer) or not len(nodes):
            raise InputError(f"elements of type {block.type} with nodes of shape {nodes.shape} are not read")
        wrong = ((nodes < 0) | (nodes >= len(points))).any(axis=1)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"element {number[row]} has the nodes {nodes[row].tolist()}, counted from 0, of "
                f"{len(points)} that there are"
            )
        elements.append(Elements(block.type, block.dim, nodes.astype(np.int64), group, group, number))
    return MeshFile(path, points, np.arange(len(points)), tuple(_by_type(elements)), {})


def _by_type(elements: list[Elements]) -> Iterator[Elements]:
    for type_ in dict.fromkeys(part.type for part in elements):
        parts = [part for part in elements if part.type == type_]
        columns = zip(*((p.nodes, p.groups, p.entities, p.numbers) for p in parts), strict=True)
        yield Elements(type_, parts[0].dim, *(np.concatenate(column) for column in columns))


def _labels(mesh: Any, name: str | None) -> list[Ints]:
    """The labels of each block of elements."""
    fitting = [key for key, blocks in mesh.cell_data.items() if all(map(_are_labels, blocks))]
    if name is None and len(fitting) == 1:
        name = fitting[0]
    if name not in fitting:
        known = ", ".join(map(repr, fitting)) or "none"
        wanted = "labels is needed" if name is None else f"labels = {name!r}"
        raise InputError(f"{wanted}: the name of cell data, whole numbers from 0 on; the file has {known}")
    return [np.asarray(block).astype(np.int64).ravel() for block in mesh.cell_data[name]]


def _are_labels(block: Any) -> bool:
    values = np.asarray(block)
    if values.ndim != 1 and values.shape[1:] != (1,):
        return False
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values) or not np.isfinite(values).all():
        return False
    return bool(((values >= 0) & (values < 2**31) & (values == np.rint(values))).all())


def _read(path: str, size: int) -> Any:
    import meshio  # slow, and only those who read such a mesh need it

    console = io.StringIO()
    read = meshio.vtu.read if Path(path).suffix.lower() == ".vtu" else meshio.vtk.read
    try:
        with _limited(_ROOM + _UNPACKED * size), redirect_stderr(console), redirect_stdout(console):
            mesh = read(path)
            mesh.cell_data = {
                key: [np.array(part) for part in parts] for key, parts in mesh.cell_data.items()
            }
    except (Exception, SystemExit) as error:  # a damaged file may raise any
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"meshio cannot read it: {reason}") from error
    printed = " ".join(console.getvalue().split())
    if printed:
        warnings.warn(f"{path}: {printed[:300]}", Fe2Warning, stacklevel=2)
    return mesh


@contextmanager
def _limited(more: int) -> Iterator[None]:
    """Let nothing inside take more memory than it may: a short file can promise or unpack to any size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([now + more, *limits]), hard))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
