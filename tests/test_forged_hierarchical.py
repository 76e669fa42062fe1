"""Reductions, databases and recorded gradients of another hand: refused, never half believed."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import two_scale

from fe2.errors import InputError
from fe2.hierarchical.database import read_database
from fe2.hierarchical.paths import Path as GradientPath
from fe2.hierarchical.recorded import recorded_paths
from fe2.hierarchical.reduction import Reduction, reduce
from fe2.hierarchical.sampling import sample
from fe2.hierarchical.storage import load, save

STRAIN = np.array([[1e-3, 0.0, 0.0], [2e-3, 0.0, 1e-3]])
PATHS = [GradientPath(np.array([1.0, 2.0]), sign * STRAIN) for sign in (1.0, -1.0)]

Forgery = Callable[[h5py.File], None]


@cache
def reduction() -> Reduction:
    return reduce(two_scale.plastic_rve(), PATHS, tolerance=0.01, held_out=[])


def replaced(name: str, values: object) -> Forgery:
    def forge(file: h5py.File) -> None:
        del file[name]
        file[name] = values

    return forge


def external(name: str) -> Forgery:
    """The table lies in another file of the user, as raw bytes."""

    def forge(file: h5py.File) -> None:
        shape = file[name].shape
        del file[name]
        file.create_dataset(name, shape, np.float64, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])

    return forge


def linked(name: str) -> Forgery:
    def forge(file: h5py.File) -> None:
        del file[name]
        file[name] = h5py.ExternalLink("/etc/passwd", "/")

    return forge


def huge(name: str) -> Forgery:
    def forge(file: h5py.File) -> None:
        ndim = file[name].ndim
        del file[name]
        file.create_dataset(name, (10**9,) * max(1, ndim), np.float64, chunks=(1000,) * max(1, ndim))

    return forge


def damaged(source: Path, target: Path, forge: Forgery) -> Path:
    target.write_bytes(source.read_bytes())
    with h5py.File(target, "r+") as file:
        forge(file)
    return target


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("reduction") / "cell.h5"
    save(reduction(), file)
    load(file, two_scale.plastic_rve())
    return file


@pytest.mark.parametrize(
    "forge",
    [
        replaced("fine/cells", np.array([0, 10**6], dtype=np.int32)),
        replaced("fine/cells", np.array([-1, 0], dtype=np.int32)),
        replaced("fine/cells", np.array([3, 3], dtype=np.int32)),
        replaced("fine/cells", np.array([0.0, 1.0])),
        replaced("fine/weights", np.full(3, np.nan)),
        replaced("fine/modes", np.zeros((4, 4))),
        replaced("fine/dual", np.zeros((1, 1))),
        replaced("fine/modes", "text"),
        replaced("trained/scale", np.zeros(30)),
        replaced("trained/radius", np.zeros(2)),
        replaced("report/modes", 3.5),
        replaced("paths", 3.0),
        replaced("paths/00000/times", np.array([2.0, 1.0])),
        external("fine/modes"),
        linked("fine/modes"),
        linked("fine"),
        linked("paths"),
        huge("fine/modes"),
        huge("fine/weights"),
        lambda file: file.attrs.__setitem__("modes", "many"),
        lambda file: file.attrs.__setitem__("modes", [1, 2]),
        lambda file: file.attrs.__setitem__("identity", "{"),
        lambda file: file.attrs.__setitem__("identity", "[" * 100_000),
        lambda file: file.attrs.__delitem__("tolerance"),
    ],
)
def test_forged_reductions_are_refused(saved: Path, tmp_path: Path, forge: Forgery) -> None:
    with pytest.raises(InputError, match=r"cell\.h5"):
        load(damaged(saved, tmp_path / "cell.h5", forge), two_scale.plastic_rve())


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("database") / "cell.h5"
    sample(two_scale.plastic_rve(), PATHS, file)
    read_database(file)
    return file


@pytest.mark.parametrize(
    "forge",
    [
        *(
            forged(f"paths/000000/{name}")
            for name in ("steps", "gradients", "fluxes", "tangents", "states", "asked_times")
            for forged in (external, linked, huge, lambda name: replaced(name, np.zeros((7, 7, 7, 7))))
        ),
        replaced("paths/000000/averages", 1.0),
        replaced("paths", 1.0),
        replaced("paths/000000", np.zeros(3)),
        lambda file: file["paths/000000"].attrs.__delitem__("failure"),
        lambda file: file.attrs.__setitem__("format", "one"),
        lambda file: file.attrs.__setitem__("identity", 3),
    ],
)
def test_forged_databases_are_refused(sampled: Path, tmp_path: Path, forge: Forgery) -> None:
    with pytest.raises(InputError, match=r"cell\.h5"):
        read_database(damaged(sampled, tmp_path / "cell.h5", forge))


def test_forged_gradients_are_refused(tmp_path: Path) -> None:
    kinematics = two_scale.elastic_rve().kinematics
    file = tmp_path / "gradients" / "step_000000.npz"
    file.parent.mkdir()

    def refused() -> None:
        with pytest.raises(InputError, match=r"step_000000\.npz"):
            recorded_paths(tmp_path, kinematics)

    file.write_bytes(b"PK\3\4 no archive")
    refused()
    file.write_bytes(b"")
    refused()
    np.savez(file, time=np.array(0.0), law_0=np.array([{"an": "object"}], dtype=object))
    refused()
    np.savez(file, time=np.array(0.0), law_0=np.zeros(3))
    refused()
    np.savez(file, time=np.array([0.0, 1.0]), law_0=np.zeros((2, 3)))
    refused()
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000, 3), }"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("time.npy", b"\x93NUMPY\x01\x00\x46\x00" + header)
        archive.writestr("law_0.npy", b"\x93NUMPY\x01\x00\x46\x00" + header)
    refused()
