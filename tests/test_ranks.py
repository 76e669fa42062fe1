"""What is collective does the same on every rank: these tests also run under mpiexec, see test_parallel."""

from __future__ import annotations

import numpy as np
import pytest
import two_scale
import ufl
from dolfinx import fem
from mpi4py import MPI

import fe2.jit
from fe2.errors import Fe2Error, InputError, MicroSolveError, MissingDependencyError, StepSizeError
from fe2.identity import difference, point_facts
from fe2.macro.law import HomogenizedLaw
from fe2.micro.linear_model import LinearModel
from fe2.micro.model import MicroModel
from fe2.micro.rotated import rotated
from fe2.parallel import raise_together
from fe2.physics.diffusion import diffusion_kinematics
from fe2.physics.small_strain import mandel_strain

WORLD = MPI.COMM_WORLD
LAST = WORLD.size - 1


def test_no_error_is_none_on_any_rank():
    raise_together(WORLD, None)
    assert WORLD.allreduce(1) == WORLD.size


@pytest.mark.parametrize("kind", [MicroSolveError, InputError, StepSizeError])
def test_error_of_one_rank_has_its_class_and_message_on_all(kind):
    error = kind("the place") if WORLD.rank == LAST else None
    with pytest.raises(kind, match=r"^the place$") as caught:
        raise_together(WORLD, error)
    if WORLD.rank == LAST:
        assert caught.value is error
    assert WORLD.allreduce(1) == WORLD.size


def test_errors_of_several_ranks_are_one():
    with pytest.raises(Fe2Error) as caught:
        raise_together(WORLD, MicroSolveError(f"on rank {WORLD.rank}"))
    assert WORLD.allgather(str(caught.value)) == ["on rank 0"] * WORLD.size


def test_ordinary_exception_keeps_its_class_name_and_its_cause():
    error = ZeroDivisionError("by zero") if WORLD.rank == LAST else None
    with pytest.raises(ZeroDivisionError if WORLD.size == 1 else Fe2Error, match="by zero") as caught:
        raise_together(WORLD, error)
    if WORLD.size > 1:
        assert str(caught.value) == "ZeroDivisionError: by zero"
        assert caught.value.__cause__ is error
        assert caught.value.collective


def test_compiler_missing_on_one_rank_is_reported_on_all(monkeypatch):
    def compile_nothing(*arguments, **options):
        raise FileNotFoundError("gcc")

    if WORLD.rank == LAST:
        monkeypatch.setattr(fe2.jit.dolfinx.jit, "ffcx_jit", compile_nothing)
    mesh = two_scale.rectangle(WORLD)
    with pytest.raises(MissingDependencyError, match="apt-get install gcc"):
        fe2.jit.compile_form(fem.Constant(mesh, 1.0) * two_scale.ufl.dx, WORLD)
    assert WORLD.allreduce(1) == WORLD.size


def test_subdomain_without_cells_is_refused_on_all_ranks():
    mesh = two_scale.rectangle(WORLD)
    u = fem.Function(fem.functionspace(mesh, ("Lagrange", 1, (2,))))
    cells = np.arange(mesh.topology.index_map(2).size_local, dtype=np.int32)
    tags = two_scale.dmesh.meshtags(mesh, 2, cells, np.full(len(cells), 3, dtype=np.int32))
    with pytest.raises(InputError, match=r"subdomain 7 has no mesh cells; the tags of the mesh are \[3\]"):
        HomogenizedLaw(
            mandel_strain(u), two_scale.elastic_rve(), quadrature_degree=2, subdomains=tags, subdomain=7
        )


def test_law_on_a_part_of_the_mesh_that_not_every_rank_owns():
    """Two bars in series, the micro models in one element only: harmonic mean of the stiffnesses."""
    mesh = two_scale.rectangle(WORLD)
    micro = two_scale.elastic_rve()
    problem, force = two_scale.half_homogenized(mesh, micro)
    assert WORLD.allreduce(len(problem.laws[0].cells)) == 2
    problem.solve()
    modulus = micro.linearized().tangent[0, 0]
    stiffness = 1.0 / (0.5 / modulus + 1.5 / 100e3)
    assert force() == pytest.approx(stiffness * 0.01, rel=1e-10)


def test_counts_and_reactions_are_sums_over_all_ranks():
    strip = two_scale.uniaxial_strain(two_scale.rectangle(WORLD), two_scale.plastic_rve())
    strip.displacement.value = 1e-4
    iterations = strip.problem.solve()
    counts = strip.problem.take_counts()
    assert counts.points == 32 * len(strip.problem.norms) == 32 * (iterations + 1)
    assert strip.problem.points == 32
    assert strip.problem.unknowns == 30
    force = 0.5e-4 * strip.law.micro.linearized().tangent[0, 0]
    np.testing.assert_allclose(strip.problem.reaction(strip.right), [force, 0.0], atol=1e-9 * force)
    assert strip.problem.take_counts().points == 0


def test_virgin_cell_that_fails_on_one_rank_is_named_on_all() -> None:
    """A rate begins with the flux of virgin cells, which have parameters of their own at each point."""

    class Fragile(MicroModel):
        kinematics, parameters = diffusion_kinematics(2), ("strength",)

        def evaluate(self, gradients, committed, trial, points, step, answers) -> None:
            answers.flux[:], answers.tangent[:] = gradients, np.eye(2)
            answers.fail(points.parameters["strength"] < 0.0, MicroSolveError("too weak"))

    mesh = two_scale.rectangle(WORLD, (4, 4), (1.0, 1.0))
    T = fem.Function(fem.functionspace(mesh, ("Lagrange", 1)))
    x = ufl.SpatialCoordinate(mesh)  # only the cells in one corner have a negative strength
    law = HomogenizedLaw(ufl.grad(T), Fragile(), parameters={"strength": 1.7 - x[0] - x[1]})
    place = r"macroscopic cell \d+, quadrature point \d, coordinates \(0\.[89]\d*, 0\.[89]\d*\): too weak"
    with pytest.raises(MicroSolveError, match=place) as caught:
        law.rate("flux")
    assert len(set(WORLD.allgather(str(caught.value)))) == 1


def test_facts_of_points_depend_on_who_has_which_value_and_not_on_the_ranks() -> None:
    def facts_on(comm: MPI.Comm, row: int = 0) -> dict[str, float]:
        mesh = two_scale.rectangle(comm, (4, 4), (1.0, 1.0))
        T = fem.Function(fem.functionspace(mesh, ("Lagrange", 1)))
        x = ufl.SpatialCoordinate(mesh)
        angle = {"angle": ufl.sin(7.0 * x[row] + 3.0 * x[1 - row])}
        law = HomogenizedLaw(
            ufl.grad(T), rotated(LinearModel(diffusion_kinematics(2), np.eye(2))), parameters=angle
        )
        return point_facts(comm, law.points.number, law.points.parameters["angle"])

    alone = facts_on(MPI.COMM_SELF)
    assert difference(alone, facts_on(WORLD)) == ""
    assert difference(alone, facts_on(WORLD, 1)) != ""  # the same values at other points
