"""Size study: how the variance of an effective property falls with the volume, and where it does not."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from case_files import write
from mpi import mpiexec, succeeded
from mpi4py import MPI

from fe2.cli.main import run
from fe2.errors import InputError
from fe2.hierarchical.size_study import SizeStudy, size_study
from fe2.hierarchical.windows import Windows
from fe2.micro.diffusion import diffusion
from fe2.micro.image_cell import image_cell
from fe2.micro.rve import RVE
from fe2.physics.conduction import LinearConduction

pytestmark = pytest.mark.slow

CONDUCTIVITY = {"a": 1.0, "b": 1.02}
LABELS = {"a": 0, "b": 1}
CELL = {
    "units": "W, m, K",
    "cell": {"image": "pixels.npy", "physics": "diffusion"},
    "phases": {name: {"label": LABELS[name], "conductivity": k} for name, k in CONDUCTIVITY.items()},
}


def conducting(image) -> RVE:
    present = {name: label for name, label in LABELS.items() if (image == label).any()}
    laws = {name: LinearConduction(CONDUCTIVITY[name]) for name in present}
    return diffusion(image_cell(image, present), laws)


@cache
def checkerboard(size: int = 96):
    """Pixels of two phases, each at random."""
    return np.random.default_rng(5).integers(0, 2, size=(size, size))


def layered(length: int = 400, height: int = 24):
    """Layers at random, each as long as the image: correlated over any distance along y."""
    return np.repeat(np.random.default_rng(5).integers(0, 2, size=(length, 1)), height, axis=1)


def along_layers(rve: RVE) -> float:
    virgin = rve.initial_state()
    return float(rve.solve(np.zeros(2), virgin, 0.0, np.empty_like(virgin)).tangent[1, 1])


@cache
def checkerboard_study() -> SizeStudy:
    windows = Windows(checkerboard())
    return size_study(lambda size, k: conducting(windows.window(int(size), k)), [3, 24], samples=12)


def test_variance_of_a_random_checkerboard_falls_like_one_over_the_volume():
    study = checkerboard_study()
    assert study.exponent == pytest.approx(1.0, abs=2.0 * study.error)
    assert study.error == pytest.approx(np.sqrt(2.0 / 11.0 / 2.0) / np.log(8.0))
    assert study.representative
    assert "representative volumes exist" in study.verdict


def test_variance_of_a_random_checkerboard_is_that_of_its_fraction():
    """To first order in the contrast the conductivity is the mean of the pixels': D² = Δk² / 4 N."""
    study = checkerboard_study()
    exact = (CONDUCTIVITY["b"] - CONDUCTIVITY["a"]) ** 2 / 4.0 / study.volumes
    counts = np.array([len(values) for values in study.values])
    # s² of n samples has the relative standard deviation (2 / (n - 1))^1/2
    np.testing.assert_array_less(np.abs(study.variances / exact - 1.0), 3.0 * np.sqrt(2.0 / (counts - 1)))


def test_layers_have_no_representative_volume():
    """Along layers the conductivity is the mean over as many layers as the window is wide: D² ~ V^-1/2."""
    windows = Windows(layered())
    study = size_study(
        lambda size, k: conducting(windows.window(int(size), k)),
        [3, 24],
        samples=12,
        quantity=along_layers,
        name="the conductivity along the layers",
    )
    assert study.exponent == pytest.approx(0.5, abs=2.0 * study.error)
    assert study.representative is False
    assert study.verdict.startswith("WARNING")
    assert "no representative volume exists" in study.verdict


def test_fit_is_exact_where_the_variances_are():
    """Two values m ± d of each size have the variance 2 d²."""
    volumes, beta, c = np.array([1.0, 2.0, 8.0]), 1.0, 0.3
    deviation = np.sqrt(c * volumes**-beta)
    values = [2.0 + np.tile([d, -d], 200) * np.sqrt(399 / 400) for d in deviation]

    numbers = iter(np.concatenate(values))
    cell = SimpleNamespace(cell=SimpleNamespace(volume=1.0))
    study = size_study(
        lambda size, k: cell, [1, 2, 3], samples=400, quantity=lambda _: next(numbers), volumes=volumes
    )
    assert study.exponent == pytest.approx(beta, rel=1e-12)
    # twice the standard error of the mean of four cells is one percent of it
    volume = study.volume_for(0.01, samples=4)
    assert 2.0 * np.sqrt(c / volume / 4.0) == pytest.approx(0.01 * 2.0, rel=1e-9)


def test_homogeneous_cells_do_not_vary():
    windows = Windows(np.zeros((24, 24), dtype=int))
    study = size_study(lambda size, k: conducting(windows.window(int(size), k)), [3, 6], samples=3)
    assert study.exponent is None
    assert study.representative
    assert study.volume_for(0.01) == 9.0


def test_windows_are_disjoint_and_inside():
    numbers = np.arange(11 * 7 * 10).reshape(11, 7, 10)
    windows = Windows(numbers)
    assert windows.count(3) == 3 * 2 * 3
    seen = np.concatenate([windows.window(3, k).reshape(-1) for k in range(18)])
    assert len(set(seen.tolist())) == len(seen) == 18 * 27


@pytest.mark.parametrize(
    ("sizes", "samples", "message"),
    [
        ([3], 5, "at least two"),
        ([6, 3], 5, "increasing"),
        ([3, 6], 2, "too few for a variance"),
        ([3, 6], [5, 5, 5], "3 numbers of samples"),
        ([3, 40], 5, "disjoint"),
    ],
)
def test_studies_that_cannot_be_are_refused(sizes, samples, message):
    windows = Windows(checkerboard())
    with pytest.raises(InputError, match=message):
        size_study(lambda size, k: conducting(windows.window(int(size), k)), sizes, samples=samples)


@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest")
@pytest.mark.mpi
def test_command_gives_the_same_on_any_number_of_ranks(tmp_path: Path):
    np.save(tmp_path / "pixels.npy", checkerboard(24))
    file = write(tmp_path, CELL)
    results = []
    for ranks in (1, 2):
        out = tmp_path / f"{ranks}.json"
        command = [
            "-m",
            "fe2",
            "size-study",
            str(file),
            "--sizes",
            "3,6",
            "--samples",
            "5",
            "-q",
            "-o",
            str(out),
        ]
        succeeded(mpiexec(ranks, command))
        results.append(json.loads(out.read_text()))
    assert results[0] == results[1]
    assert np.shape(results[0]["values"]) == (2, 5)
    assert results[0]["sizes_in"] == "voxels a side"


def test_command_writes_table_and_figure(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    np.save(tmp_path / "pixels.npy", checkerboard(24))
    file = write(tmp_path, CELL)
    files = [tmp_path / "study.csv", tmp_path / "study.png"]
    arguments = ["--sizes", "3,6", "--samples", "4", "--csv", files[0], "--plot", files[1]]
    assert run(["size-study", str(file), *map(str, arguments)]) == 0
    with files[0].open() as table:
        rows = list(csv.DictReader(table))
    assert [float(row["size"]) for row in rows] == 4 * [3.0] + 4 * [6.0]
    assert files[1].stat().st_size > 10_000
    assert "the variance of the mean tangent falls like V^" in capfd.readouterr().out


def test_command_refuses_a_size_with_too_few_windows(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    np.save(tmp_path / "pixels.npy", checkerboard(24))
    assert run(["size-study", str(write(tmp_path, CELL)), "--sizes", "3,20"]) == 1
    assert "size 20: the image of [24, 24] voxels has 1 disjoint windows" in capfd.readouterr().err


def test_command_refuses_a_cell_without_samples(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    cell = {
        "cell": {"generator": "laminate", "fractions": [0.5, 0.5], "physics": "diffusion"},
        "phases": {"layer_1": {"conductivity": 1.0}, "layer_2": {"conductivity": 2.0}},
    }
    assert run(["size-study", str(write(tmp_path, cell)), "--sizes", "3,6"]) == 1
    assert "random_fibres" in capfd.readouterr().err
