"""What a run, a mesh or a material is, as plain facts that can be stored and compared later.

Facts are trees of names, numbers and texts, as JSON has them, and do not depend on the number of ranks.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from dolfinx import mesh as dmesh
from mpi4py import MPI

from fe2.arrays import Array, Ints

_LONGEST = 100
"""Numbers of an array that are stored one by one."""

_SAME = 1e-9
"""Relative difference of two numbers that are the same: sums depend on the number of ranks by round-off."""


def facts(thing: Any) -> Any:
    """A parameter, a law, an array or a container of them as facts.

    A dataclass gives its class and its fields; a long array its shape and weighted sums; what describes
    itself its description; what is none of these gives the name of its class.
    """
    if thing is None or isinstance(thing, bool | int | str):
        return thing
    if isinstance(thing, float | np.generic):
        return float(thing)
    if isinstance(thing, np.ndarray):
        return _array_facts(thing)
    if isinstance(thing, Mapping):
        return {str(name): facts(value) for name, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [facts(value) for value in thing]
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = {field.name: facts(getattr(thing, field.name)) for field in dataclasses.fields(thing)}
        return {"type": type(thing).__name__, **fields}
    if not isinstance(thing, type) and callable(describe := getattr(thing, "describe", None)):
        return describe()
    return {"type": getattr(thing, "__qualname__", type(thing).__name__)}


def mesh_facts(mesh: dmesh.Mesh, tags: dmesh.MeshTags | None = None) -> dict[str, Any]:
    """Shape, size, extent and weighted sums of a mesh, the same on any number of ranks; collective.

    Args:
        mesh: The mesh.
        tags: Tags of all its cells, e.g. phases, that belong to what it is.
    """
    dim = mesh.geometry.dim
    owned = mesh.topology.index_map(mesh.topology.dim).size_local
    nodes = mesh.geometry.x[mesh.geometry.dofmaps[0][:owned], :dim]
    numbers = _cell_numbers(mesh, owned)
    comm = mesh.comm
    low = _reduced(comm, nodes.min(axis=(0, 1), initial=np.inf), MPI.MIN)
    high = _reduced(comm, nodes.max(axis=(0, 1), initial=-np.inf), MPI.MAX)
    weights = _weights(numbers)
    places = np.arange(1.0, nodes.shape[1] + 1.0)
    moments = np.einsum("c,p,cpd->d", weights, places, (nodes - low) / np.where(high > low, high - low, 1.0))
    result = {
        "shape": mesh.topology.cell_name(),
        "degree": int(mesh.geometry.cmaps[0].degree),
        "cells": int(mesh.topology.index_map(mesh.topology.dim).size_global),
        "low": low.tolist(),
        "high": high.tolist(),
        "moments": _reduced(comm, moments, MPI.SUM).tolist(),
    }
    if tags is not None:
        mine = tags.indices < owned
        sums = np.array([_weights(numbers[tags.indices[mine]]) @ (1.0 + tags.values[mine])])
        result["tags"] = _reduced(comm, sums, MPI.SUM).tolist()
    return result


def point_facts(comm: MPI.Comm, numbers: Ints, values: Array) -> dict[str, float]:
    """Weighted sums of what points have, the same on any number of ranks; collective.

    Args:
        comm: Communicator of all ranks that have points.
        numbers: Numbers of this rank's points that no partition changes, shape (n,).
        values: Their values, shape (n, ...).

    Returns:
        Sums of the values' sizes, and of the positive ones alone: in neither does anything cancel.
    """
    rows = values.reshape(len(numbers), int(np.prod(values.shape[1:])))
    weights = np.outer(_weights(numbers.astype(np.float64)), _weights(np.arange(float(rows.shape[1]))))
    sums = np.array([np.sum(weights * np.abs(rows)), np.sum(weights * np.maximum(rows, 0.0))])
    return dict(
        zip(("sum of sizes", "sum of positives"), _reduced(comm, sums, MPI.SUM).tolist(), strict=True)
    )


def _cell_numbers(mesh: dmesh.Mesh, owned: int) -> Array:
    """Numbers of this rank's cells that no partition changes."""
    try:
        return np.asarray(mesh.topology.original_cell_index[:owned], dtype=np.float64)
    except RuntimeError:  # part of another mesh, which is on one rank
        return np.arange(owned, dtype=np.float64)


def difference(stored: Any, present: Any, what: str = "") -> str:
    """The first difference of two trees of facts in words, or nothing where they are the same.

    Args:
        stored: What was stored.
        present: What is there now.
        what: Name of the trees.
    """
    if isinstance(stored, dict) and isinstance(present, dict):
        names = dict.fromkeys([*stored, *present])
        inner = ((stored.get(n), present.get(n), f"{what}.{n}" if what else n) for n in names)
        return next((text for text in (difference(*pair) for pair in inner) if text), "")
    if isinstance(stored, list) and isinstance(present, list) and len(stored) == len(present):
        entries = ((a, b, f"{what}[{k}]") for k, (a, b) in enumerate(zip(stored, present, strict=True)))
        return next((text for text in (difference(*entry) for entry in entries) if text), "")
    if _same(stored, present):
        return ""
    return f"{what} was {_shown(stored)} and is {_shown(present)}"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        try:
            return math.isclose(one, other, rel_tol=_SAME) or (math.isnan(one) and math.isnan(other))
        except OverflowError:  # JSON knows integers that are no floating-point numbers
            return one == other
    return bool(one == other)


def _shown(value: Any) -> str:
    text = "not there" if value is None else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _array_facts(array: npt.NDArray[Any]) -> Any:
    if array.size <= _LONGEST:
        return array.tolist()
    flat = array.reshape(-1).astype(np.float64)
    return {
        "shape": list(array.shape),
        "sums": [_weights(np.arange(float(flat.size))) @ np.abs(flat), flat.sum()],
    }


def _weights(numbers: Array) -> Array:
    """Numbers between 1/2 and 3/2 that differ from one another, so that an exchange changes a sum."""
    weights: Array = 0.5 + np.modf(np.asarray(numbers, dtype=np.float64) * 0.618033988749895)[0]
    return weights


def _reduced(comm: MPI.Comm, values: Array, operation: MPI.Op) -> Array:
    result = np.empty_like(values)
    comm.Allreduce(values, result, op=operation)
    return result
