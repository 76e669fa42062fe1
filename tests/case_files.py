"""Case files for tests: tables, and TOML made of them."""

from __future__ import annotations

import copy
import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np

Table = dict[str, Any]

ELASTIC = {"law": "linear_elastic", "young": 210.0, "poisson": 0.3}
PLASTIC = {"law": "j2_plasticity", "young": 70e3, "poisson": 0.3, "yield_stress": 100.0, "hardening": 700.0}

IMAGE_CELL: Table = {
    "units": "GPa, mm",
    "cell": {
        "image": "labels.npy",
        "voxel_size": [0.5, 0.5],
        "coarsen": 1,
        "crop": [[0, 4], [0, 4]],
        "physics": "small_strain",
        "boundary": "periodic",
        "degree": 1,
    },
    "phases": {
        "matrix": {"label": 0, **ELASTIC},
        "fibre": {
            "label": 1,
            "law": "cubic_elastic",
            "c11": 300.0,
            "c12": 100.0,
            "c44": 80.0,
            "orientation": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
        },
    },
}
"""A fibre of 2 by 2 pixels in a cell of 4 by 4."""

GENERATOR_CELL: Table = {
    "cell": {
        "generator": "laminate",
        "fractions": [0.5, 0.5],
        "elements": "tensor",
        "size": 0.25,
        "physics": "small_strain",
    },
    "phases": {"layer_1": PLASTIC, "layer_2": {"label": "layer_2", **ELASTIC, "young": 210e3}},
}

RUN: Table = {
    "units": "mm, MPa",
    "mesh": {"box": [[0.0, 2.0], [0.0, 1.0]], "cells": [4, 2], "element": "quadrilateral"},
    "field": {"degree": 1, "quadrature_degree": 2},
    "laws": {"composite": {**GENERATOR_CELL, "model": "rve", "subdomain": "box"}},
    "boundary": [
        {"on": "left", "fixed": ["x", "y"]},
        {"on": "right", "name": "grip", "fixed": ["y"], "prescribed": {"x": "0.004 * t"}},
        {"on": "top", "load": {"y": [[0.0, 0.0], [1.0, 1.0]]}},
    ],
    "body": [{"load": {"y": -0.1}}],
    "steps": {"end": 1.0, "increments": 2, "smallest": 0.25},
    "output": {
        "folder": "results",
        "watch": [[1.0, 0.5]],
        "reactions": ["grip"],
        "pictures": [{"file": "strip.png", "watch": 0, "history": ["grip_prescribed_x", "grip_x"]}],
    },
    "solver": {"macro": {"snes_rtol": 1e-9}, "micro": {"tolerance": 1e-10}},
}
"""A strip of a laminate, pulled along x."""


def changed(table: Table, **changes: Any) -> Table:
    """A copy with values at keys such as `cell__degree`; None removes a key."""
    result = copy.deepcopy(table)
    for key, value in changes.items():
        *way, last = key.split("__")
        inner: Any = result
        for part in way:
            inner = inner[_index(part)]
        if value is None:
            del inner[_index(last)]
        else:
            inner[_index(last)] = value
    return result


def _index(part: str) -> int | str:
    return int(part) if part.isdigit() else part


def write(folder: Path, table: Table, name: str = "case.toml") -> Path:
    """Write a case file, and the image beside it."""
    labels = np.zeros((4, 4), dtype=np.uint8)
    labels[1:3, 1:3] = 1
    np.save(folder / "labels.npy", labels)
    file = folder / name
    file.write_text(toml(table), encoding="utf-8")
    return file


def toml(table: Table) -> str:
    """TOML with one line for each key of the top level."""
    return "".join(
        f"{json.dumps(str(key), ensure_ascii=False)} = {value(entry)}\n" for key, entry in table.items()
    )


def value(entry: Any) -> str:
    if isinstance(entry, dict):
        return "{ " + ", ".join(f"{value(str(key))} = {value(inner)}" for key, inner in entry.items()) + " }"
    if isinstance(entry, list | tuple):
        return "[" + ", ".join(map(value, entry)) + "]"
    if isinstance(entry, bool):
        return str(entry).lower()
    if isinstance(entry, str):
        return json.dumps(entry, ensure_ascii=True)
    if isinstance(entry, datetime.date):
        return entry.isoformat()
    return repr(entry)
