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
from fe2.errors import InputError
from fe2.hierarchical.basis import Basis
from fe2.hierarchical.cubature import Cubature
from fe2.hierarchical.database import identity_of
from fe2.hierarchical.indicator import Indicator
from fe2.hierarchical.paths import Path as GradientPath
from fe2.hierarchical.reduction import Level, Reduction, ReductionOptions, ReductionReport
from fe2.hierarchical.trained_range import TrainedRange
from fe2.identity import difference
from fe2.io.hdf5_file import written_whole
from fe2.micro.rve import RVE

FORMAT = 2
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
    file.attrs["flux_scale"], file.attrs["held_out"] = reduction.flux_scale, reduction.held_out
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
    for number, one in enumerate(reduction.paths):
        file[f"paths/{number:05d}/times"], file[f"paths/{number:05d}/gradients"] = one.times, one.gradients


def load(path: str | Path, rve: RVE) -> Reduction:
    """Read a reduction for the cell that it was made of.

    Raises:
        InputError: The file cannot be read, is none of a reduction, or was made of another cell, with other
            laws, or by another version of the format.
    """
    path = Path(path)
    try:
        with h5py.File(path, "r") as file:
            _check(file, path, rve)
            return _read(file, rve)
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: this is no file of a reduction, or it is damaged: {error}") from error


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
    indicator = None
    if "indicator" in file:
        indicator = Indicator(float(file["indicator/factor"][()]), float(file["indicator/floor"][()]))
    trained, report = file["trained"], file["report"]
    return Reduction(
        rve=rve,
        options=ReductionOptions(
            float(attributes["tolerance"]),
            float(attributes["cubature_tolerance"]),
            None if modes < 0 else modes,
        ),
        fine=_level(file["fine"]),
        coarse=_level(file["coarse"]) if "coarse" in file else None,
        trained=TrainedRange(
            trained["origin"][:],
            trained["scale"][:],
            float(trained["radius"][()]),
            float(trained["longest_step"][()]),
        ),
        indicator=indicator,
        flux_scale=float(attributes["flux_scale"]),
        paths=tuple(
            GradientPath(group["times"][:], group["gradients"][:]) for group in file["paths"].values()
        ),
        held_out=int(attributes["held_out"]),
        report=ReductionReport(
            singular_values=report["singular_values"][:],
            modes=int(report["modes"][()]),
            cells=int(report["cells"][()]),
            all_cells=int(report["all_cells"][()]),
            training_error=float(report["training_error"][()]),
            held_out_error=float(report["held_out_error"][()]),
            solves=int(report["solves"][()]),
        ),
    )


def _level(group: h5py.Group) -> Level:
    return Level(
        Basis(group["modes"][:], group["dual"][:], group["singular_values"][:]),
        Cubature(
            group["cells"][:].astype(np.int32),
            group["weights"][:],
            float(group["error"][()]),
            float(group["residual"][()]),
        ),
    )
