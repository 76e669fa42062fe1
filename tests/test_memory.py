"""Memory: what there is, what a cell takes, and the refusal of what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from case_files import RUN, write
from mpi4py import MPI
from petsc4py import PETSc

import fe2
from fe2 import memory
from fe2.case.build_cell import build_rve
from fe2.case.build_run import build_model, build_problem
from fe2.case.cell_case import read_cell_case
from fe2.case.run_case import read_run_case
from fe2.cli.rehearsal import rehearsal
from fe2.micro import diffusion, phase_rve, pore_flow
from fe2.micro.image_cell import ImageCell
from fe2.micro.memory_estimate import CellSize, cell_memory, cell_size
from fe2.micro.rve import RVE
from fe2.micro.voxel_memory import voxel_size

ELASTIC = {"a": fe2.LinearElastic.isotropic(1.0, 0.3), "b": fe2.LinearElastic.isotropic(5.0, 0.3)}
FACTOR_ENTRIES = 29  # MUMPS's INFOG: effective number of entries in the factors


def noise(*shape: int) -> fe2.Cell:
    labels = (np.random.default_rng(0).random(shape) < 0.4).astype(int)
    return fe2.image_cell(labels, {"a": 0, "b": 1})


def around_a_block(dim: int, m: int) -> RVE:
    labels = np.zeros((m,) * dim, dtype=int)
    labels[(slice(m // 4, m // 2),) * dim] = 1
    return fe2.pore_flow(fe2.image_cell(labels, {"a": 0, "b": 1}), {"a": fe2.NewtonianFluid(1.0)})


CELLS = {
    "plane, degree 2": lambda: fe2.small_strain(noise(40, 40), ELASTIC, degree=2),
    "space, periodic": lambda: fe2.small_strain(noise(6, 6, 6), ELASTIC, degree=2),
    "space, linear": lambda: fe2.small_strain(noise(14, 14, 14), ELASTIC, boundary="linear"),
    "slab, linear": lambda: fe2.small_strain(noise(30, 30, 4), ELASTIC, boundary="linear"),
    "pores in the plane": lambda: around_a_block(2, 24),
}


@pytest.mark.parametrize("name", sorted(CELLS))
def test_entries_of_matrix_and_factor_are_those_of_the_estimate(name: str) -> None:
    """A factor of 1.5 for the factorization, whatever element, proportions and boundary condition."""
    rve = CELLS[name]()
    size = cell_size(rve.problem)
    entries, factor = size.entries, size.factor_entries()
    rve.homogenize()
    assert entries == pytest.approx(rve.problem.local_stiffness.data.size, rel=0.1)
    real = rve._newton.linear_solver.ksp.getPC().getFactorMatrix().getMumpsInfog(FACTOR_ENTRIES)
    assert 1 / 1.5 < factor / real < 1.5


def test_a_cell_that_does_not_fit_is_refused_with_what_would(monkeypatch: pytest.MonkeyPatch) -> None:
    rve = fe2.small_strain(noise(12, 12, 12), ELASTIC, boundary="linear")
    needed = cell_memory(rve.problem)
    monkeypatch.setenv("FE2_MEMORY", str(0.5 * needed / 1e9))
    match = rf"the cell of {rve.unknowns} unknowns.* needs about .* GB are free: coarsen = 2 needs"
    with pytest.raises(fe2.InputError, match=match):
        rve.homogenize()
    monkeypatch.setenv("FE2_MEMORY", str(2.0 * needed / 1e9))
    rve.homogenize()


def test_iterative_solvers_take_the_matrix_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = fe2.small_strain(noise(20, 20, 20), ELASTIC, boundary="linear").problem
    factorized, options = cell_memory(problem), PETSc.Options("fe2_micro_")
    options["pc_type"] = "gamg"
    try:
        assert cell_memory(problem) < factorized
    finally:
        options.delValue("pc_type")


VOXELS = {
    **CELLS,
    "pores in space": lambda: around_a_block(3, 6),
    "voids": lambda: fe2.small_strain(noise(8, 8, 8), {**ELASTIC, "b": fe2.Void()}, degree=2),
    "uniform flux": lambda: fe2.small_strain(noise(6, 6, 6), ELASTIC, boundary="uniform_flux"),
    "insulators": lambda: fe2.diffusion(
        noise(10, 10, 10),
        {"a": fe2.LinearConduction(1.0), "b": fe2.LinearConduction(0.0)},
        boundary="linear",
    ),
}


@pytest.mark.parametrize("name", sorted(VOXELS))
def test_voxels_alone_say_what_the_mesh_will_need_at_the_least(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknowns but for a few that hang on corners; hardly ever more memory than with the mesh."""
    found: list[CellSize | None] = []
    for module in (phase_rve, pore_flow, diffusion):
        monkeypatch.setattr(module, "check_voxel_memory", lambda *given: found.append(voxel_size(*given)))
    size = cell_size(VOXELS[name]().problem)
    (early,) = found
    assert early is not None
    assert early.unknowns == pytest.approx(size.unknowns, rel=0.02, abs=3)
    assert 0.6 < early.memory() / size.memory() < 1.05


@pytest.mark.parametrize(
    ("coarsen", "shape", "wanted"), [(1, (24, 24, 24), 2), (2, (50, 50, 50), 5), (1, (23, 24, 24), 2)]
)
def test_an_image_is_refused_before_its_mesh_is_made_with_the_key_that_would_fit(
    coarsen: int, shape: tuple[int, ...], wanted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pore flow around blocks; the value to write counts from the one in the file, and divides the image."""
    labels = np.zeros(shape, dtype=np.uint8)
    labels[8:16, 8:16, 8:16] = 1
    np.save(tmp_path / "image.npy", labels)
    text = f'[cell]\nimage = "image.npy"\nphysics = "pore_flow"\ncoarsen = {coarsen}\n'
    text += "[phases.pore]\nlabel = 0\nviscosity = 1.0\n[phases.grain]\nlabel = 1\nsolid = true\n"
    (tmp_path / "cell.toml").write_text(text)
    monkeypatch.setenv("FE2_MEMORY", "1.5")
    monkeypatch.setattr(ImageCell, "_meshed", property(lambda cell: pytest.fail("a mesh was made")))
    crop = r", of an image cropped to 22 x 24 x 24 voxels," if shape[0] == 23 else ""
    message = rf"cell\.toml: cell\.coarsen = {coarsen}: the cell of about .* unknowns, .* 1.5 GB are free: "
    with pytest.raises(fe2.InputError, match=message + rf"coarsen = {wanted}{crop} needs"):
        build_rve(read_cell_case(tmp_path / "cell.toml"))


@pytest.mark.parametrize("text", ["", "much", "-1", "0", "nan"])
def test_memory_that_is_no_number_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FE2_MEMORY", text)
    with pytest.raises(fe2.InputError, match=r"FE2_MEMORY = .*: a positive number is needed"):
        memory.available_memory()


def test_memory_is_shared_by_the_ranks_of_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_machine", lambda: 8e9)
    monkeypatch.setattr(memory, "_control_group", lambda: 6e9)
    monkeypatch.setenv("MPI_LOCALNRANKS", "3")
    assert memory.available_memory() == 2e9


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"memory.max": "5000", "memory.current": "3000", "memory.stat": "inactive_file 500"}, 2500.0),
        ({"memory.limit_in_bytes": "5000", "memory.usage_in_bytes": "3000"}, 2000.0),
        ({"memory.max": "max", "memory.current": "3000"}, np.inf),
    ],
)
def test_limits_of_control_groups_count(
    files: dict[str, str], free: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(memory, "_control_groups", lambda: iter([tmp_path]))
    assert memory._control_group() == free


def test_a_run_whose_states_do_not_fit_is_refused_by_the_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_model(read_run_case(write(tmp_path, RUN)), MPI.COMM_WORLD)
    monkeypatch.setenv("FE2_MEMORY", "1e-6")
    for long_work in (rehearsal, build_problem):
        with pytest.raises(
            fe2.InputError, match=r"share of the states of 32 points, .* GB, and its cells, needs"
        ):
            long_work(model)
