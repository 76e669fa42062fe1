"""Cells in space on factorizations of other states: the same answers, a fraction of the factorizations."""

from __future__ import annotations

from contextlib import AbstractContextManager

import fe2  # isort: skip  # before PETSc

import numpy as np
import pytest
from cells import box_mesh, midpoints
from micro_options import micro_option

from fe2 import profile
from fe2.micro.cell import make_cell
from fe2.micro.homogenize import condensed_tangent
from fe2.micro.linear_solver import LinearSolver
from fe2.micro.points import NOWHERE, Step
from fe2.micro.reused_factorizations import ReusedFactorizations
from fe2.micro.rve import Array

PATH = 1e-3 * np.array(
    [
        [2.0, -0.5, -0.5, 0.0, 0.0, 1.0],
        [4.0, -1.0, -1.5, 0.0, 0.5, 2.0],
        [6.0, -2.0, -2.0, 1.0, 1.0, 2.0],
        [5.0, -1.5, -1.5, 1.0, 1.0, 1.5],
    ]
)
"""Strains on loading beyond the yield stress in changing directions, and on unloading."""


def ball(divisions: int = 8, boundary: str = "periodic") -> fe2.RVE:
    """A stiff elastic ball in an elastoplastic cube, hardening 1 % of Young's modulus, 1,533 unknowns."""
    mesh = box_mesh("tetrahedron", [divisions] * 3)
    inside = np.linalg.norm(midpoints(mesh) - 0.5, axis=1) < 0.3
    laws = {
        "matrix": fe2.J2Plasticity(young=70e3, poisson=0.3, yield_stress=100.0, hardening=700.0),
        "ball": fe2.LinearElastic.isotropic(400e3, 0.2),
    }
    return fe2.small_strain(
        make_cell(mesh, inside.astype(np.int32), ["matrix", "ball"]), laws, boundary=boundary
    )


def ball_with_two_factorizations() -> fe2.RVE:
    """The ball whose solver has factorized on loading and on unloading."""
    rve = ball()
    rve.problem.load(rve.initial_state(), 1.0)
    for gradient in PATH[[0, 2]]:
        rve._newton.start(gradient, np.zeros(rve.unknowns))
        rve._newton.linearize()
    return rve


def factorizing() -> AbstractContextManager[None]:
    """Options that leave the iterations out."""
    return micro_option("ksp_type", "preonly")


def walk(rve: fe2.RVE) -> tuple[list[Array], profile.Work]:
    """Fluxes, tangents and lasting states of the polished answers along the path, and the work."""
    state, found = rve.initial_state(), []
    start = profile.snapshot()
    for gradient in PATH:
        out = state.copy()
        for accuracy in (1e-2, 1e-3):
            rve.respond(gradient, state, out, NOWHERE, Step(1.0, wanted="approach", accuracy=accuracy))
        answer = rve.respond(gradient, state, out, NOWHERE, Step(1.0, wanted="polish"))
        state = out
        found += [answer.flux, out[: rve.lasting_size].copy()]
    return found, profile.snapshot().since(start)


@pytest.fixture(scope="module")
def walks() -> dict[str, tuple[list[Array], profile.Work]]:
    reused = walk(ball())
    with factorizing():
        return {"reused": reused, "factorized": walk(ball())}


def test_polished_answers_are_those_of_factorizations(walks):
    """Both are in equilibrium to 1e-8 of the forces, times the condition of a cell that flows."""
    for one, two in zip(walks["reused"][0], walks["factorized"][0], strict=True):
        np.testing.assert_allclose(one, two, rtol=0.0, atol=1e-6 * np.abs(two).max())


def test_few_matrices_are_factorized(walks):
    reused, factorized = walks["reused"][1].counts, walks["factorized"][1].counts
    assert factorized["factorizations"] == factorized["assemblies"]
    assert factorized["iterations"] == 0
    assert reused["factorizations"] < reused["assemblies"]
    assert reused["fallbacks"] == 0


def test_tangent_of_iterations_has_twice_their_digits():
    """Sensitivities to three digits give the tangent to six: the error of a Schur complement is quadratic."""
    rve = ball()
    newton, solver = rve._newton, rve._newton.linear_solver
    assert isinstance(solver, ReusedFactorizations)
    rve.problem.load(rve.initial_state(), 1.0)
    for gradient in PATH[[0, 2]]:  # the virgin cell is factorized, and one that flows
        newton.start(gradient, np.zeros(rve.unknowns))
        newton.linearize()
    newton.start(PATH[1], np.zeros(rve.unknowns))
    solver._factorization_cost = np.inf  # iterate, however long it takes
    newton.linearize(loosely=True)
    before = profile.snapshot()
    approximate = condensed_tangent(newton)
    work = profile.snapshot().since(before).counts
    assert work["factorizations"] == 0
    assert 0 < work["iterations"] < 6 * 40
    newton.linearize()
    exact = condensed_tangent(newton)
    error = np.abs(approximate.sensitivity - exact.sensitivity).max() / np.abs(exact.sensitivity).max()
    assert 1e-7 < error < 1e-3
    np.testing.assert_allclose(
        approximate.tangent, exact.tangent, rtol=0.0, atol=1e-6 * np.abs(exact.tangent).max()
    )


def test_matrix_is_factorized_where_iterations_exceed_their_budget():
    rve = ball_with_two_factorizations()
    newton, solver = rve._newton, rve._newton.linear_solver
    newton.start(PATH[1], np.zeros(rve.unknowns))
    solver._factorization_cost = np.inf
    newton.linearize(loosely=True)
    solver._factorization_cost = 0.0
    before = profile.snapshot()
    right = np.random.default_rng(0).normal(size=rve.unknowns)
    solution = solver.solve(right)
    assert profile.snapshot().since(before).counts["factorizations"] == 1
    np.testing.assert_allclose(solver._matrix @ solution, right, atol=1e-9 * np.abs(right).max())


def test_factorization_that_failed_is_not_iterated_on(monkeypatch):
    rve = ball_with_two_factorizations()
    newton, solver = rve._newton, rve._newton.linear_solver
    with monkeypatch.context() as patch:
        patch.setattr(LinearSolver, "factorize", failing)
        with pytest.raises(fe2.MicroSolveError, match="singular"):
            newton.linearize()
    solver._factorization_cost = np.inf
    newton.linearize(loosely=True)
    assert solver._used is solver._virgin


def test_decisions_do_not_depend_on_the_clock(walks, monkeypatch):
    """The same counts and the same bits again, on a machine whose clocks jump."""
    jumps = iter(np.random.default_rng(0).exponential(size=10**6).cumsum())
    monkeypatch.setattr("time.thread_time", lambda: next(jumps))
    monkeypatch.setattr("time.perf_counter", lambda: next(jumps))
    found, work = walk(ball())
    assert work.counts == walks["reused"][1].counts
    for one, two in zip(found, walks["reused"][0], strict=True):
        np.testing.assert_array_equal(one, two)


def failing(solver: LinearSolver) -> None:
    raise fe2.MicroSolveError("the matrix is singular")


@pytest.mark.parametrize(("divisions", "boundary"), [(4, "periodic"), (8, "uniform_flux")])
def test_small_and_indefinite_matrices_are_factorized(divisions, boundary):
    rve = ball(divisions, boundary)
    assert not isinstance(rve._newton.linear_solver, ReusedFactorizations)


def test_choice_is_told_and_can_be_overridden():
    assert "factorizations of other states" in ball().solver.name
    with factorizing():
        assert "factorizations of other states" not in ball().solver.name
