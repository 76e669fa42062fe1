"""Reductions as HDF5 files: arrays and numbers, with the identity of the cell and its laws; no pickles."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fe2 import __version__
from fe2.arrays import Array
from fe2.errors import InputError
from fe2.hierarchical.basis import Basis
from fe2.hierarchical.cubature import Cubature
from fe2.hierarchical.database import identity_of
from fe2.hierarchical.flux_scale import FluxScale
from fe2.hierarchical.indicator import Indicator
from fe2.hierarchical.paths import Path as GradientPath
from fe2.hierarchical.reduction import Level, Reduction, ReductionOptions, ReductionReport
from fe2.hierarchical.trained_range import TrainedRange
from fe2.identity import difference
from fe2.io.hdf5_file import opened, written_whole
from fe2.io.hdf5_table import members, number, table
from fe2.micro.rve import RVE

FORMAT = 3
_SUFFIXES = (".h5", ".hdf5")


def identity(rve: RVE) -> dict[str, Any]:
    """What decides about the states and answers of a cell: fe2's version, geometry, laws, form.

    Own forms have no laws that tell their parameters apart: the form's signature does.
    """
    signature = rve.form.residual.signature().encode()
    return {**identity_of(rve), "form": hashlib.sha256(signature).hexdigest()}


def check_name(path: Path) -> None:
    """Refuse a name that is none of an HDF5 file, or lies in no folder, before the work is done.

    Raises:
        InputError: It does not end in .h5 or .hdf5, or its folder does not exist.
    """
    if path.suffix not in _SUFFIXES:
        raise InputError(f"{path}: a reduction is written as HDF5; its name has to end in .h5")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")


def save(reduction: Reduction, path: str | Path) -> None:
    """Write a reduction; what stood under its name before is there until the new one is complete.

    Raises:
        InputError: The file's name does not end in .h5 or .hdf5, or its folder does not exist.
        Fe2Error: The file could not be written.
    """
    path = Path(path)
    check_name(path)
    with written_whole(path) as file:
        _write(reduction, file)


def _write(reduction: Reduction, file: h5py.File) -> None:
    file.attrs["format"], file.attrs["fe2"] = FORMAT, __version__
    file.attrs["identity"] = json.dumps(identity(reduction.rve))
    file.attrs["components"] = list(reduction.rve.kinematics.components)
    file["flux_scale"], file.attrs["held_out"] = reduction.flux_scale, reduction.held_out
    for name, value in asdict(reduction.options).items():
        file.attrs[name] = -1 if value is None else value
    for name, level in (("fine", reduction.fine), ("coarse", reduction.coarse)):
        if level is not None:
            group = file.create_group(name)
            for part in (level.basis, level.cubature):
                for entry in fields(part):
                    group[entry.name] = getattr(part, entry.name)
    for name, entries in (("trained", reduction.trained), ("report", reduction.report)):
        for entry in fields(entries):
            file[f"{name}/{entry.name}"] = getattr(entries, entry.name)
    if reduction.indicator is not None:
        file["indicator/factor"] = reduction.indicator.factor
        file["indicator/floor"] = reduction.indicator.floor
    for k, one in enumerate(reduction.paths):
        file[f"paths/{k:05d}/times"], file[f"paths/{k:05d}/gradients"] = one.times, one.gradients


def load(path: str | Path, rve: RVE) -> Reduction:
    """Read a reduction for the cell that it was made of.

    Raises:
        InputError: The file cannot be read, is none of a reduction, holds what no reduction of this cell is,
            or was made of another cell, with other laws, or by another version of the format.
    """
    path = Path(path)
    with opened(path, "a reduction") as file:
        _check(file, path, rve)
        return _read(file, rve)


def _check(file: h5py.File, path: Path, rve: RVE) -> None:
    if "identity" not in file.attrs or "fine" not in file:
        raise InputError(f"{path}: this is no file of a reduction")
    if file.attrs["format"] != FORMAT:
        raise InputError(
            f"{path}: written in format {file.attrs['format']} by fe2 {file.attrs['fe2']}; this version "
            f"reads format {FORMAT}: reduce the cell again"
        )
    # what is read back from JSON has lists for tuples
    present = json.loads(json.dumps(identity(rve)))
    if found := difference(json.loads(file.attrs["identity"]), present):
        raise InputError(
            f"{path}: the reduction was made of another cell, with other laws or another version: {found}; "
            "reduce this cell again"
        )


def _read(file: h5py.File, rve: RVE) -> Reduction:
    attributes = file.attrs
    modes = int(attributes["modes"])
    blocks = tuple(rve.kinematics.slices.values())
    scale = FluxScale(blocks, _numbers(file, "flux_scale", len(blocks)))
    indicator = None
    if "indicator" in file:
        indicator = Indicator(number(file, "indicator/factor"), number(file, "indicator/floor"), scale)
    return Reduction(
        rve=rve,
        options=ReductionOptions(
            float(attributes["tolerance"]),
            float(attributes["cubature_tolerance"]),
            None if modes < 0 else modes,
        ),
        fine=_level(file, "fine", rve),
        coarse=_level(file, "coarse", rve) if "coarse" in file else None,
        trained=_trained(file, rve.kinematics.size),
        indicator=indicator,
        flux_scale=scale.sizes,
        paths=tuple(_path(file, f"paths/{name}", rve.kinematics.size) for name in members(file, "paths")),
        held_out=int(attributes["held_out"]),
        report=_report(file),
    )


def _numbers(file: h5py.File, name: str, *shape: int | None) -> Array:
    """An array of finite numbers."""
    values: Array = table(file, name, np.float64, shape)[:]
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{name} holds what is no number")
    return values


def _path(file: h5py.File, name: str, size: int) -> GradientPath:
    times, gradients = _numbers(file, f"{name}/times", None), _numbers(file, f"{name}/gradients", None, size)
    try:
        return GradientPath(times, gradients)
    except InputError as error:
        raise ValueError(f"{name}: {error}") from error


def _trained(file: h5py.File, size: int) -> TrainedRange:
    return TrainedRange(
        _numbers(file, "trained/origin", size),
        _numbers(file, "trained/scale", size),
        _numbers(file, "trained/block_scale", size),
        number(file, "trained/radius"),
        number(file, "trained/longest_step"),
    )


def _report(file: h5py.File) -> ReductionReport:
    counts = {
        name: int(table(file, f"report/{name}", np.int64, ())[()])
        for name in ("modes", "cells", "all_cells", "solves")
    }
    return ReductionReport(
        singular_values=_numbers(file, "report/singular_values", None),
        training_error=number(file, "report/training_error"),
        held_out_error=number(file, "report/held_out_error"),
        **counts,
    )


def _level(file: h5py.File, name: str, rve: RVE) -> Level:
    free, mesh = rve.problem.boundary.size, rve.cell.mesh
    modes = _numbers(file, f"{name}/modes", free, None)
    dual = _numbers(file, f"{name}/dual", free, modes.shape[1])
    basis = Basis(modes, dual, _numbers(file, f"{name}/singular_values", None))
    cells = table(file, f"{name}/cells", np.int32, (None,))[:]
    count = mesh.topology.index_map(mesh.topology.dim).size_local
    if not len(cells) or np.any(np.diff(cells) <= 0) or cells[0] < 0 or cells[-1] >= count:
        raise ValueError(f"{name}/cells are not some of the {count} mesh cells in increasing order")
    weights = _numbers(file, f"{name}/weights", len(cells))
    return Level(
        basis, Cubature(cells, weights, number(file, f"{name}/error"), number(file, f"{name}/residual"))
    )
