"""Effective properties of periodic images on their grid: the same numbers as with mesh and matrix."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from case_files import write
from green_operator import effective_stiffness, isotropic
from micro_options import micro_option
from mpi import mpiexec, succeeded

import fe2
from fe2.errors import InputError, MicroSolveError
from fe2.micro.effective import EffectiveProperties
from fe2.micro.grid_parts import flowing_voxels
from fe2.micro.image_cell import ImageCell
from fe2.micro.rve import RVE
from fe2.parallel import threads

SAME = 1e-10
"""Relative, a hundred times the tolerance that is asked for."""

EXACT = fe2.GridOptions(tolerance=1e-12)

PHASES = {"a": 0, "b": 1, "c": 2}
SIZES = [1.0, 2.0, 0.5]


def blocks(dim: int, seed: int = 3) -> npt.NDArray[np.int64]:
    """An image without any symmetry, of different numbers of voxels along the axes, even and odd."""
    return np.random.default_rng(seed).choice(3, (7, 6, 5)[:dim], p=[0.6, 0.25, 0.15])


def sphere(count: int) -> npt.NDArray[np.int64]:
    """A ball in a cube of so many voxels an edge."""
    x = (np.indices((count,) * 3) + 0.5) / count - 0.5
    return (np.sum(x**2, axis=0) < 0.3**2).astype(np.int64)


def assembled() -> AbstractContextManager[None]:
    """Let RVEs solve with the assembled matrix, by a factorization."""
    return micro_option("ksp_type", "preonly")


def elastic(cell: ImageCell) -> RVE:
    law = fe2.LinearElastic
    return fe2.small_strain(
        cell, {"a": law.isotropic(1.0, 0.3), "b": law.isotropic(50.0, 0.1), "c": law.cubic(3.0, 1.0, 2.0)}
    )


def plastic(cell: ImageCell) -> RVE:
    soft = fe2.J2Plasticity(young=1.0, poisson=0.3, yield_stress=1e-3, hardening=0.1)
    voce = fe2.VocePlasticity(4.0, 0.3, 1e-3, saturation_stress=1e-3, saturation_rate=80.0)
    return fe2.small_strain(cell, {"a": soft, "b": fe2.LinearElastic.isotropic(10.0, 0.2), "c": voce})


def hyperelastic(cell: ImageCell) -> RVE:
    return fe2.finite_strain(cell, {name: fe2.NeoHookean(10.0**k, 0.3) for k, name in enumerate(PHASES)})


def conducting(cell: ImageCell) -> RVE:
    laws = {"a": 1.0, "b": [3.0, 1.0, 2.0][: cell.dim], "c": 20.0}
    return fe2.diffusion(cell, {name: fe2.LinearConduction(value) for name, value in laws.items()})


def partly_insulating(cell: ImageCell) -> RVE:
    laws = {"a": 1.0, "b": 0.0, "c": 20.0}
    return fe2.diffusion(cell, {name: fe2.LinearConduction(value) for name, value in laws.items()})


FACTORIES = [elastic, plastic, conducting, partly_insulating]


@pytest.mark.parametrize(
    ("make", "dim"), [*((make, dim) for make in FACTORIES for dim in (2, 3)), (hyperelastic, 2)]
)
def test_grid_and_assembled_matrix_agree(make: Callable[[ImageCell], RVE], dim: int) -> None:
    cell = fe2.image_cell(blocks(dim), PHASES, voxel_size=SIZES[:dim])
    on_grid = make(cell).homogenize(EXACT)
    assert "_meshed" not in cell.__dict__, "no mesh is made for effective properties"
    with assembled():
        expected = make(cell).homogenize(EXACT)
    assert_same(on_grid, expected)
    assert "Green" in on_grid.solver.name
    assert expected.solver.name.startswith("preonly, ")
    assert len(on_grid.iterations) == len(on_grid.components)


def assert_same(found: EffectiveProperties, expected: EffectiveProperties) -> None:
    scale = np.abs(expected.tangent).max()
    np.testing.assert_allclose(found.tangent, expected.tangent, rtol=0.0, atol=SAME * scale)
    np.testing.assert_allclose(found.effective, expected.effective, rtol=0.0, atol=2 * SAME * scale)
    assert found.unknowns == expected.unknowns
    assert found.components == expected.components
    assert found.volume_fractions == pytest.approx(expected.volume_fractions, rel=1e-12)
    assert found.properties.keys() == expected.properties.keys()
    for name in ("percolates", "isolated"):
        wanted = expected.properties.get(name, {})
        assert found.properties.get(name, {}) == pytest.approx(wanted, rel=1e-12)
    bounds, exact = found.properties.get("bounds", {}), expected.properties.get("bounds", {})
    assert bounds.keys() == exact.keys()
    for name in bounds.keys() & {"voigt", "reuss"}:
        np.testing.assert_allclose(bounds[name], exact[name], rtol=1e-10, atol=1e-10 * scale)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_laminate_conducts_with_the_arithmetic_and_the_harmonic_mean(axis: int) -> None:
    layers = np.array([0, 0, 1, 1, 1]).reshape([5 if k == axis else 1 for k in range(3)])
    cell = fe2.image_cell(
        np.broadcast_to(layers, [5 if k == axis else 3 for k in range(3)]), {"a": 0, "b": 1}
    )
    laws = {"a": fe2.LinearConduction(50.0), "b": fe2.LinearConduction(0.2)}
    expected = np.full(3, 0.4 * 50.0 + 0.6 * 0.2)
    expected[axis] = 1.0 / (0.4 / 50.0 + 0.6 / 0.2)
    found = fe2.diffusion(cell, laws).homogenize(EXACT).tangent
    np.testing.assert_allclose(found, np.diag(expected), rtol=SAME, atol=SAME)


def test_program_without_any_shared_code_gives_the_same_stiffness() -> None:
    image = sphere(6)
    laws = {"a": fe2.LinearElastic.isotropic(1.0, 0.3), "b": fe2.LinearElastic.isotropic(20.0, 0.2)}
    found = fe2.small_strain(fe2.image_cell(image, {"a": 0, "b": 1}), laws).homogenize(EXACT).tangent
    expected = effective_stiffness(image, {0: isotropic(1.0, 0.3), 1: isotropic(20.0, 0.2)})
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=SAME * np.abs(expected).max())


def test_homogeneous_image_needs_no_iteration() -> None:
    cell = fe2.image_cell(np.zeros((4, 5, 3), dtype=int), {"a": 0})
    law = fe2.LinearElastic.cubic(3.0, 1.0, 2.0)
    found = fe2.small_strain(cell, {"a": law}).homogenize(EXACT)
    assert found.iterations == (0,) * 6
    np.testing.assert_allclose(found.tangent, law.stiffness, rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("contrast", [1e-1, 1e1])
def test_number_of_iterations_does_not_depend_on_the_resolution(contrast: float) -> None:
    laws = {"a": fe2.LinearElastic.isotropic(1.0, 0.3), "b": fe2.LinearElastic.isotropic(contrast, 0.3)}
    counts = [
        max(fe2.small_strain(fe2.image_cell(sphere(n), {"a": 0, "b": 1}), laws).homogenize(EXACT).iterations)
        for n in (8, 16, 24)
    ]
    bound = (
        0.5 * np.sqrt(10.0) * np.log(2.0 * np.sqrt(10.0) / 1e-8)
    )  # of conjugate gradients, at this contrast
    assert max(counts) <= bound
    assert abs(counts[2] - counts[1]) <= 2


@pytest.mark.parametrize("contrast", [1e-6, 1e6])
def test_nearly_void_and_nearly_rigid_phases_approach_their_limits(contrast: float) -> None:
    """Conductivity of a matrix around a ball; the limit of an insulating ball is computed without it."""
    cell = fe2.image_cell(sphere(10), {"a": 0, "b": 1})
    laws = {"a": fe2.LinearConduction(1.0), "b": fe2.LinearConduction(contrast)}
    found = fe2.diffusion(cell, laws).homogenize(EXACT).tangent
    with assembled():
        expected = fe2.diffusion(cell, laws).homogenize(EXACT).tangent
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-8 * expected.max())
    if contrast < 1.0:
        void = fe2.diffusion(cell, {**laws, "b": fe2.LinearConduction(0.0)}).homogenize(EXACT).tangent
        np.testing.assert_allclose(found, void, rtol=0.0, atol=10 * contrast)


def test_what_is_cut_off_is_left_out_and_told() -> None:
    """A channel along x, closed across it, beside a grain that touches nothing."""
    image = np.zeros((6, 7), dtype=int)
    image[:, 1:3], image[2:4, 5] = 1, 1
    laws = {"solid": fe2.LinearConduction(0.0), "pore": fe2.LinearConduction(3.0)}
    found = fe2.diffusion(fe2.image_cell(image, {"solid": 0, "pore": 1}), laws).homogenize(EXACT)
    np.testing.assert_allclose(found.tangent, [[3.0 * 2 / 7, 0.0], [0.0, 0.0]], atol=1e-12)
    assert found.properties["percolates"] == {"x": True, "y": False}
    assert found.properties["isolated"] == {"pore": pytest.approx(2 / 42)}


@pytest.mark.parametrize("step", [(1, 1), (1, -1), (1, 2)])
def test_voxels_that_meet_at_corners_across_the_faces_are_connected(step: tuple[int, int]) -> None:
    """A diagonal winds around the cell; every second voxel of a row is connected with nothing."""
    image = np.zeros((8, 8), dtype=bool)
    image[np.arange(0, 8 * step[0]), np.arange(0, 8 * step[1], step[1]) % 8] = True
    if max(map(abs, step)) == 1:
        assert flowing_voxels(image, ["pore"]).percolates == (True, True)
    else:
        with pytest.raises(InputError, match="nothing flows in the cell: 'pore'"):
            flowing_voxels(image, ["pore"])


def test_mesh_is_made_for_local_fields_and_the_tangent_is_the_same() -> None:
    cell = fe2.image_cell(blocks(2), PHASES)
    rve = elastic(cell)
    expected = rve.homogenize(EXACT).tangent
    out = rve.initial_state()
    response = rve.solve(np.array([1e-3, 0.0, 0.0]), rve.initial_state(), 1.0, out)
    np.testing.assert_allclose(response.tangent, expected, rtol=0.0, atol=SAME * expected.max())
    np.testing.assert_allclose(rve.linearized().tangent, expected, rtol=0.0, atol=SAME * expected.max())
    with pytest.raises(AttributeError, match="colour"):
        _ = rve.colour


def test_iteration_that_is_not_finished_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fe2.micro.image_rve.MAX_ITERATIONS", 3)
    cell = fe2.image_cell(blocks(2), PHASES)
    with pytest.raises(MicroSolveError, match="did not converge in 3 iterations"):
        elastic(cell).homogenize(EXACT)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("make", FACTORIES)
def test_error_of_the_effective_tangent_is_what_was_asked_for(
    make: Callable[[ImageCell], RVE], tolerance: float
) -> None:
    """It lies above the exact one, by what is estimated at most."""
    cell = fe2.image_cell(blocks(3), PHASES, voxel_size=SIZES)
    exact, found = (make(cell).homogenize(grid) for grid in (EXACT, fe2.GridOptions(tolerance=tolerance)))
    assert max(found.iterations) < min(exact.iterations)
    errors = np.diag(found.tangent - exact.tangent) / np.diag(exact.tangent)
    assert errors.max() <= found.error_estimate <= tolerance
    assert errors.min() > -1e-9


def test_single_precision_of_the_preconditioner_costs_no_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = fe2.image_cell(blocks(3), PHASES)
    single = elastic(cell).homogenize()
    monkeypatch.setattr("fe2.grid.options._SINGLE", np.inf)
    double = elastic(cell).homogenize()
    assert single.iterations == double.iterations
    np.testing.assert_allclose(single.tangent, double.tangent, rtol=0.0, atol=1e-8 * double.tangent.max())


def test_directions_along_which_nothing_flows_keep_all_digits() -> None:
    """Single precision would leave 1e-9 of what the conductor has; the conductor is singular across it."""
    image = np.zeros((9, 9), dtype=int)
    image[:, 0] = 1
    laws = {"rock": fe2.LinearConduction(0.0), "crack": fe2.LinearConduction(3.0)}
    found = fe2.diffusion(fe2.image_cell(image, {"rock": 0, "crack": 1}), laws).homogenize()
    np.testing.assert_allclose(found.tangent, np.diag([3.0 / 9.0, 0.0]), atol=1e-15)
    assert found.singular == ("y",)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tolerance": 0.0}, "tolerance = 0.0: a number between 0 and 1"),
        ({"device": "tpu"}, "device = 'tpu': it must be"),
        ({"threads": 0}, "threads = 0: one thread or more"),
    ],
)
def test_options_without_meaning_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fe2.GridOptions(**values)  # type: ignore[arg-type]


def test_device_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    cell = fe2.image_cell(blocks(2), PHASES)
    with pytest.raises(InputError, match=r"device = 'cuda': CuPy is needed, pip install 'fe2\[gpu\]'"):
        elastic(cell).homogenize(fe2.GridOptions(device="cuda"))
    with assembled(), pytest.raises(InputError, match="this cell is solved on its mesh"):
        elastic(cell).homogenize(fe2.GridOptions(device="cuda"))


def test_image_that_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fe2.memory.available_memory", lambda: 1e3)
    cell = fe2.image_cell(blocks(2), PHASES)
    with pytest.raises(
        InputError, match=r"coarsen = 1: the image of \(7, 6\) elements needs about .* GB .* crop the image"
    ):
        elastic(cell).homogenize(EXACT)
    with pytest.raises(InputError, match=r"coarsen = 1: the cell of about 84 unknowns, .* needs about .* GB"):
        elastic(cell).initial_state()


def test_threads_are_those_of_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads() >= 1


@pytest.mark.mpi
def test_command_line_gives_the_same_on_two_ranks(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", blocks(3))
    phases = {
        name: {"label": label, "law": "linear_elastic", "young": 10.0**label, "poisson": 0.3}
        for name, label in PHASES.items()
    }
    file = write(tmp_path, {"cell": {"image": "image.npy", "physics": "small_strain"}, "phases": phases})
    command = ["-m", "fe2", "homogenize", str(file), "--json", "--tolerance", "1e-12"]
    found = json.loads(succeeded(mpiexec(2, command)))
    laws = {name: fe2.LinearElastic.isotropic(10.0**label, 0.3) for name, label in PHASES.items()}
    expected = fe2.small_strain(fe2.image_cell(blocks(3), PHASES), laws).homogenize(EXACT)
    np.testing.assert_allclose(found["effective"], expected.effective, rtol=1e-12, atol=1e-12)
    assert found["solver"]["name"] == "conjugate gradients, discrete Green operator"
    assert tuple(found["solver"]["iterations"]) == expected.iterations
    assert found["unknowns"] == 3 * (7 * 6 * 5 - 1)
