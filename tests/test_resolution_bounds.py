"""Bounds of the conductivity of an image at its resolution: potentials from above, fluxes from below."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from case_files import write
from click.testing import CliRunner

import fe2
from fe2.cli.homogenize import command

Array = npt.NDArray[np.float64]

GRID = fe2.GridOptions(tolerance=1e-12, resolution_bounds=True)


def bounds(
    image: npt.NDArray[np.int64], *laws: float | list[float], size: float = 1.0
) -> tuple[Array, Array]:
    """From below and from above, of an image whose labels are numbers of conductivities."""
    names = {str(k): k for k in range(len(laws))}
    cell = fe2.image_cell(image, names, voxel_size=size)
    found = fe2.diffusion(cell, {str(k): fe2.LinearConduction(value) for k, value in enumerate(laws)})
    found = found.homogenize(GRID).properties["resolution_bounds"]
    np.testing.assert_allclose(found["mean"], 0.5 * (found["lower"] + found["upper"]), rtol=1e-15)
    return found["lower"], found["upper"]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_bounds_of_a_laminate_are_equal_and_exact(axis: int) -> None:
    layers = np.array([0, 0, 1, 1, 1]).reshape([5 if k == axis else 1 for k in range(3)])
    image = np.broadcast_to(layers, [5 if k == axis else 3 for k in range(3)])
    expected = np.full(3, 0.4 * 50.0 + 0.6 * 0.2)
    expected[axis] = 1.0 / (0.4 / 50.0 + 0.6 / 0.2)
    for found in bounds(image, 50.0, 0.2, size=0.3):
        np.testing.assert_allclose(found, np.diag(expected), rtol=1e-11, atol=1e-11)


def test_bounds_enclose_the_checkerboard_and_approach_it() -> None:
    """√(k₁k₂), exactly (Keller 1964, J. Math. Phys. 5, 548; Dykhne 1971)."""
    gaps = []
    for n in (1, 2, 4, 8, 16):
        image = (np.indices((4 * n, 4 * n)) // n).sum(axis=0) % 2
        lower, upper = (float(found[0, 0]) for found in bounds(image, 1.0, 10.0))
        assert lower < np.sqrt(10.0) < upper
        gaps.append(upper - lower)
        if n == 1:
            assert (lower, upper) == pytest.approx(
                (20.0 / 11.0, 5.5), rel=1e-12
            )  # all in series, all in parallel
    assert np.all(np.diff(gaps) < 0.0)


def test_bounds_hold_for_the_same_voxels_in_finer_elements() -> None:
    """The bound from above falls, as potentials are nested, and stays above those from below."""
    image = np.random.default_rng(5).choice(3, (4, 5, 3))
    laws = (1.0, 20.0, [3.0, 0.1, 7.0])
    lower, upper = bounds(image, *laws)
    finer, nearer = bounds(np.repeat(np.repeat(np.repeat(image, 3, 0), 3, 1), 3, 2), *laws)
    for small, large in ((lower, nearer), (nearer, upper), (finer, nearer), (lower, upper)):
        assert np.linalg.eigvalsh(large - small).min() > 0.0


def test_pores_that_touch_in_corners_conduct_above_and_not_below() -> None:
    image = np.zeros((6, 6), dtype=int)
    image[np.arange(6), np.arange(6)] = 1
    lower, upper = bounds(image, 0.0, 2.0)
    np.testing.assert_allclose(lower, 0.0, atol=1e-12)
    assert upper[0, 0] > 0.1


def test_channel_conducts_alike_in_both() -> None:
    image = np.zeros((6, 7), dtype=int)
    image[:, 1:3], image[2:4, 5] = 1, 1  # a channel, and what hangs on nothing
    for found in bounds(image, 0.0, 3.0):
        np.testing.assert_allclose(found, [[3.0 * 2 / 7, 0.0], [0.0, 0.0]], atol=1e-12)


def test_no_bounds_are_told_where_fluxes_cross_the_axes_and_where_none_are_asked_for() -> None:
    cell = fe2.image_cell(np.arange(9).reshape(3, 3) % 2, {"a": 0, "b": 1})
    oblique = fe2.LinearConduction([[2.0, 0.5], [0.5, 1.0]])
    rve = fe2.diffusion(cell, {"a": fe2.LinearConduction(1.0), "b": oblique})
    assert "resolution_bounds" not in rve.homogenize(GRID).properties
    straight = fe2.diffusion(cell, {"a": fe2.LinearConduction(1.0), "b": fe2.LinearConduction(2.0)})
    assert "resolution_bounds" not in straight.homogenize().properties


def test_command_line_tells_both_bounds_and_their_mean(tmp_path: Path) -> None:
    image = np.indices((4, 4)).sum(axis=0) % 2
    np.save(tmp_path / "image.npy", image)
    phases = {
        name: {"label": label, "law": "linear_conduction", "conductivity": value}
        for name, label, value in (("a", 0, 1.0), ("b", 1, 10.0))
    }
    file = write(tmp_path, {"cell": {"image": "image.npy", "physics": "diffusion"}, "phases": phases})
    found = json.loads(CliRunner().invoke(command, [str(file), "--json"]).stdout)["resolution_bounds"]
    assert found["lower"][0][0] == pytest.approx(20.0 / 11.0)
    assert found["upper"][1][1] == pytest.approx(5.5)
    told = CliRunner().invoke(command, [str(file)]).stdout
    assert "mean at the resolution of the image, diagonal:" in told
