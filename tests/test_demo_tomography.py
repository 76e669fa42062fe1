"""The demonstration of a tomography image: real and made-up images, files, ranks, and wrong input."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from green_operator import cast_iron, effective_stiffness, isotropic
from mpi import ROOT, mpiexec, run, succeeded

from fe2.tensors import stiffness_to_voigt

DEMO = str(ROOT / "demos" / "demo_tomography.py")
CAST_IRON = ROOT.parent / "shared" / "data" / "cast_iron_ggg40_100.raw"
PHASES = {"soft": (3, 20.0, 0.1), "matrix": (1, 70.0, 0.3), "hard": (9, 400.0, 0.2)}
OPTIONS = [f"--phase={name}={label}:{E}:{nu}" for name, (label, E, nu) in PHASES.items()]

pytestmark = pytest.mark.demo


def spheres(*shape: int) -> np.ndarray:
    """Overlapping spheres of two phases in a matrix, none of them in the first half along x."""
    random = np.random.default_rng(3)
    image = np.full(shape, 1, dtype=np.uint8)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    for k in range(14):
        centre = random.uniform([shape[0] / 2 + 4, 0, 0], shape)
        image[np.linalg.norm(grid - centre, axis=-1) < 4] = (3, 9)[k % 2]
    return image


def demo(*arguments: object, timeout: float = 140.0) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, DEMO, *map(str, arguments)], timeout=timeout)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "windows.csv").open() as file:
        return list(csv.DictReader(file))


def moduli(folder: Path) -> np.ndarray:
    return np.array([[float(row["bulk_GPa"]), float(row["shear_GPa"])] for row in table(folder)])


def assert_results(folder: Path, windows: int) -> None:
    assert len(table(folder)) == 3 * windows
    assert (folder / "tomography.png").stat().st_size > 50_000


@pytest.mark.slow
def test_stiffness_of_the_cast_iron_image(tmp_path: Path) -> None:
    if not CAST_IRON.exists():
        pytest.skip(f"{CAST_IRON} is not there")
    printed = succeeded(demo(CAST_IRON, "--output", tmp_path, timeout=280))
    assert "all checks passed" in printed
    assert "0.113944 of the voxels" in printed
    assert_results(tmp_path, 1 + 8 + 64)
    expected = stiffness_to_voigt(cast_iron(CAST_IRON, factor=5))
    found = np.loadtxt(tmp_path / "stiffness.csv", delimiter=",")
    np.testing.assert_allclose(found, expected, atol=1e-8 * expected.max())


def test_periodic_stiffness_of_three_phases_agrees_with_another_program(tmp_path: Path) -> None:
    image = spheres(16, 8, 12)
    np.save(tmp_path / "image.npy", image)
    arguments = [tmp_path / "image.npy", *OPTIONS, "--coarsen", 1, "--divisions", 1, 2, "--output", tmp_path]
    assert "all checks passed" in succeeded(demo(*arguments))
    assert_results(tmp_path, 1 + 8)
    stiffness = {label: isotropic(E, nu) for label, E, nu in PHASES.values()}
    expected = stiffness_to_voigt(effective_stiffness(image, stiffness))
    found = np.loadtxt(tmp_path / "stiffness.csv", delimiter=",")
    np.testing.assert_allclose(found, expected, atol=1e-8 * expected.max())


@pytest.mark.mpi
def test_numbers_depend_neither_on_ranks_nor_on_the_format_of_the_image(tmp_path: Path) -> None:
    """Also with a layer of voxels that does not fit to whole elements, which is left out."""
    image = spheres(25, 24, 24)
    np.save(tmp_path / "image.npy", image)
    tifffile.imwrite(tmp_path / "image.tif", image.T, photometric="minisblack")
    options = [*OPTIONS, "--coarsen", "2", "--divisions", "2", "--output"]
    one, two = tmp_path / "one", tmp_path / "two"
    succeeded(demo(tmp_path / "image.npy", *options, one))
    result = mpiexec(2, [DEMO, str(tmp_path / "image.tif"), *options, str(two)], timeout=140.0)
    assert "on 2 ranks" in succeeded(result)
    assert_results(two, 1 + 8)
    np.testing.assert_allclose(moduli(two), moduli(one), rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "the following arguments are required: IMAGE"),
        (("absent.tif",), "absent.tif: the image cannot be read: No such file"),
        (("image.npy", "--coarsen", "1"), "phase 'graphite': no voxel has its label 87"),
        (("image.npy", *OPTIONS[:2], "--coarsen", "1"), "label 9 has no phase"),
        (("image.npy", *OPTIONS, "--divisions", "3"), "do not hold 3³ windows of three elements of 5 voxels"),
        (("image.npy", *OPTIONS, "--shape", "9", "9", "9"), "not (9, 9, 9)"),
        (("image.npy", "--phase", "soft=3"), "invalid phase value: 'soft=3'"),
        (("image.npy", "--phase", "soft=3:-1:0.2"), "young = -1.0 is not admissible"),
    ],
)
def test_wrong_input_is_refused_in_one_line(arguments: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", spheres(16, 16, 16))
    paths = [str(tmp_path / word) if word.endswith((".npy", ".tif")) else word for word in arguments]
    result = demo(*paths, "--output", tmp_path / "results")
    assert result.returncode != 0
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "results").exists()
