"""Large cells: iterations with the discrete Green operator or multigrid agree with a factorization."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pytest
from cells import distorted, fibres, perforated_plate

import fe2
from fe2 import profile
from fe2.micro import direct_fallback, solver_choice
from fe2.micro.cell import Cell
from fe2.micro.green_preconditioner import PYTHON_TYPE
from fe2.micro.homogenize import homogenized_tangent
from fe2.micro.phases import phase_form
from fe2.micro.rve import RVE
from fe2.micro.solver_choice import rigid_body_modes
from fe2.physics.small_strain import small_strain_kinematics

Array = npt.NDArray[np.float64]

SAME = 1e-8
"""Relative. The iterations stop at 1e-10, Newton's method at 1e-8."""


@pytest.fixture(params=["green", "multigrid"])
def iterative(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let small cells be solved as if they were large."""
    few, many = {2: 0, 3: 0}, {2: 10**9, 3: 10**9}
    monkeypatch.setattr(solver_choice, "FACTORIZED_IMAGES", few if request.param == "green" else many)
    monkeypatch.setattr(solver_choice, "FACTORIZED_MESHES", few)
    return str(request.param)


@contextmanager
def options(**values: str) -> Iterator[None]:
    """PETSc options of the micro solver."""
    from petsc4py import PETSc  # after fe2, which finds its MPI

    own = PETSc.Options("fe2_micro_")
    for name, value in values.items():
        own[name] = value
    try:
        yield
    finally:
        for name in values:
            own.delValue(name)


DIRECT = {"ksp_type": "preonly", "pc_type": "lu", "pc_factor_mat_solver_type": "mumps"}


def image(dim: int) -> Cell:
    """Two phases without any symmetry."""
    labels = np.random.default_rng(4).choice(2, (8, 7, 5)[:dim], p=[0.7, 0.3])
    return fe2.image_cell(labels, {"a": 0, "b": 1}, voxel_size=[1.0, 1.5, 0.5][:dim])


def plastic(cell: Cell) -> RVE:
    soft = fe2.J2Plasticity(young=100.0, poisson=0.3, yield_stress=0.1, hardening=1.0)
    return fe2.small_strain(cell, {"a": soft, "b": fe2.LinearElastic.isotropic(500.0, 0.2)})


def hyperelastic(cell: Cell) -> RVE:
    return fe2.finite_strain(cell, {"a": fe2.NeoHookean(1.0, 0.3), "b": fe2.NeoHookean(20.0, 0.3)})


def conducting(cell: Cell) -> RVE:
    laws = {"a": fe2.LinearConduction(1.0), "b": fe2.LinearConduction(30.0)}
    return fe2.diffusion(cell, laws)


def insulating(cell: Cell) -> RVE:
    return fe2.diffusion(cell, {"a": fe2.LinearConduction(1.0), "b": fe2.LinearConduction(0.0)})


def answers(rve: RVE, steps: int) -> list[Array]:
    """Fluxes and tangents on a path of loading."""
    direction = 0.01 * np.cos(np.arange(rve.kinematics.size))
    state, found = rve.initial_state(), []
    for step in range(steps):
        out = np.empty_like(state)
        response = rve.solve((step + 1) * direction, state, 1.0, out)
        found += [response.flux, response.tangent]
        state = out
    return found


@pytest.mark.parametrize(
    ("make", "dim"),
    [(plastic, 2), (plastic, 3), (hyperelastic, 2), (conducting, 3), (insulating, 2), (insulating, 3)],
)
def test_images_answer_as_with_a_factorization(make: Callable[[Cell], RVE], dim: int, iterative: str) -> None:
    rve = make(image(dim))
    found = answers(rve, 2)
    assert ("Green" if iterative == "green" else "GAMG") in rve.solver.name
    with options(**DIRECT):
        expected = answers(make(image(dim)), 2)
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=0.0, atol=SAME * np.abs(wanted).max())


@pytest.mark.parametrize("boundary", ["periodic", "linear"])
@pytest.mark.parametrize(
    "cell",
    [lambda: fibres("square", 0.3, 0.2, 1), lambda: distorted("tetrahedron", ("a", "b")), perforated_plate],
)
@pytest.mark.parametrize("iterative", ["multigrid"], indirect=True)
def test_meshes_answer_as_with_a_factorization(
    cell: Callable[[], Cell], boundary: str, iterative: str
) -> None:
    geometry = cell()
    moduli = [fe2.LinearElastic.isotropic(10.0**k, 0.3) for k in range(2)]
    laws = dict(zip(geometry.names, moduli, strict=False))
    found = fe2.small_strain(geometry, laws, boundary=boundary).homogenize()
    assert found.solver.name == "conjugate gradients, algebraic multigrid (GAMG)"
    assert len(found.iterations) == len(found.components)
    with options(**DIRECT):
        expected = fe2.small_strain(geometry, laws, boundary=boundary).homogenize()
    np.testing.assert_allclose(found.tangent, expected.tangent, rtol=0.0, atol=SAME * expected.tangent.max())


@pytest.mark.parametrize("iterative", ["green"], indirect=True)
def test_assembled_homogeneous_image_needs_one_iteration(iterative: str) -> None:
    """The mean over translations of the assembled matrix, its pin included, is the matrix itself."""
    law = fe2.LinearElastic.isotropic(2.0, 0.3)
    cell = image(3)
    rve = RVE(cell, phase_form(cell, small_strain_kinematics(3), {"a": law, "b": law}))
    rve.homogenize()
    right = np.random.default_rng(0).normal(size=rve.unknowns)
    solver = rve._newton.linear_solver
    solver.solve(right)
    assert solver.ksp.getIterationNumber() <= 2
    homogenized_tangent(rve._newton)
    assert max(solver.iterations) <= 2


def test_the_green_operator_is_a_preconditioner_of_petsc() -> None:
    own = {"ksp_type": "cg", "pc_type": "python", "pc_python_type": PYTHON_TYPE, "ksp_rtol": "1e-10"}
    with options(**own):
        found = plastic(image(2)).homogenize()
    with options(**DIRECT):
        expected = plastic(image(2)).homogenize()
    assert found.solver.name == "cg, python"
    assert "-fe2_micro_pc_type python" in found.solver.reason
    assert max(found.iterations) < 40
    np.testing.assert_allclose(found.tangent, expected.tangent, rtol=0.0, atol=SAME * expected.tangent.max())


def test_small_cells_are_factorized() -> None:
    rve = fe2.small_strain(distorted("triangle"), {"a": fe2.LinearElastic.isotropic(1.0, 0.3)})
    assert rve.solver.name == "sparse factorization (MUMPS)"
    assert rve.solver.reason.endswith("unknowns are few")


@pytest.mark.parametrize("dim", [2, 3])
def test_rigid_body_modes_are_without_strain(dim: int) -> None:
    cell = distorted("triangle" if dim == 2 else "tetrahedron")
    rve = fe2.small_strain(cell, {"a": fe2.LinearElastic.isotropic(1.0, 0.3)})
    rve.homogenize()
    modes = rigid_body_modes(cell.mesh.geometry.x[:, :dim])
    # element nodes of degree 1 are the geometry's nodes, in the same order
    forces = rve._problem.stiffness @ modes
    assert modes.shape[1] == dim * (dim + 1) // 2
    assert np.linalg.matrix_rank(modes) == modes.shape[1]
    assert np.abs(forces).max() < 1e-12 * np.abs(rve._problem.stiffness).max() * np.abs(modes).max()


@pytest.fixture
def impatient() -> Iterator[None]:
    """Options that let iterations fail without choosing a solver."""
    with options(ksp_max_it="2"):
        yield


@pytest.mark.parametrize("make", [plastic, insulating])
def test_iterations_that_fail_are_replaced_by_a_factorization(
    make: Callable[[Cell], RVE], iterative: str, impatient: None
) -> None:
    """Answers, the choice that is told, its count and a warning."""
    rve, before = make(image(2)), profile.snapshot()
    with pytest.warns(fe2.Fe2Warning, match="did not converge.*factorized from now on"):
        found = answers(rve, 2)
    assert profile.snapshot().since(before).counts["direct"] == 1
    assert rve.solver.name == "sparse factorization (MUMPS)"
    assert ("Green" if iterative == "green" else "GAMG") in rve.solver.reason
    with options(**DIRECT):
        expected = answers(make(image(2)), 2)
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=0.0, atol=SAME * np.abs(wanted).max())


def test_factorization_that_does_not_fit_is_refused_with_the_cure(
    iterative: str, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_fallback, "available_memory", lambda: 1e6)
    labels = np.random.default_rng(4).choice(2, (12, 12, 12))
    laws = {"a": fe2.LinearElastic.isotropic(1.0, 0.3), "b": fe2.LinearElastic.isotropic(9.0, 0.2)}
    cell = fe2.image_cell(labels, {"a": 0, "b": 1}, voxel_size=1.0)
    rve = RVE(cell, phase_form(cell, small_strain_kinematics(3), laws))
    with pytest.raises(
        fe2.MicroSolveError, match=r"KSP reason -3\), and a factorization in 1 MB.*fewer unknowns"
    ):
        rve.homogenize()
