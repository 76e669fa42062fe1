"""Cells that cannot be solved or built say so: typed errors that name phases, mesh cells and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import ufl
from cells import Array, distorted, point_values, random_image, relative_error
from own_forms import floating_strips
from ufl.core.expr import Expr

from fe2 import profile
from fe2.errors import InputError, LocalSolveError, MicroSolveError
from fe2.micro.linear_solver import TANGENT, check_residuals
from fe2.micro.material_test import MaterialPath
from fe2.micro.newton import NewtonOptions
from fe2.micro.points import Points, Step
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.physics.elasticity import LinearElastic
from fe2.physics.law import ExpressionLaw, PointLaw, PointResponse
from fe2.physics.plasticity import J2Plasticity
from fe2.response import Answers

ELASTIC = LinearElastic.isotropic(70e3, 0.2)
STEEL = J2Plasticity(200e3, 0.3, 400.0, hardening=2e3)
STRAIN = np.array([5e-3, -3e-3, 4e-3])
CELL = random_image(2, 4)


@dataclass(frozen=True)
class Brittle(PointLaw):
    """Hooke's law E = 2e5, ν = 0, without a solution beyond a strain, or beyond an increment of strain."""

    largest_strain: float = np.inf
    largest_increment: float = np.inf
    value: float = 1.0

    def history(self, size: int) -> dict[str, int]:
        return {"last_strain": size}

    def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> PointResponse:
        strain = np.linalg.norm(gradient, axis=1)
        increment = np.linalg.norm(gradient - history["last_strain"], axis=1)
        failed = np.flatnonzero((strain > self.largest_strain) | (increment > self.largest_increment))
        if failed.size:
            raise LocalSolveError("Brittle: broken", tuple(failed.tolist()))
        n, k = gradient.shape
        flux = self.value * 2e5 * gradient
        return PointResponse(flux, np.broadcast_to(2e5 * np.eye(k), (n, k, k)), {"last_strain": gradient})


def solve(rve: RVE, gradient: Array, state: Array | None = None) -> Any:
    state = rve.initial_state() if state is None else state
    return rve.solve(gradient, state, 1.0, np.empty_like(state))


def test_failed_local_newton_names_mesh_cells_of_its_phase() -> None:
    """With equal phases the strain is uniform, so that exactly the phase's first cells are named."""
    hooke = LinearElastic(2e5 * np.eye(6))
    rve = small_strain(CELL, {"a": hooke, "b": Brittle(largest_strain=1e-3)})
    assert solve(rve, 0.1 * STRAIN).flux == pytest.approx(2e5 * 0.1 * STRAIN, rel=1e-9)
    cell = CELL.cells_of("b")[0]
    with pytest.raises(MicroSolveError, match=rf"Brittle: broken \(mesh cells {cell}\b") as caught:
        solve(rve, STRAIN)
    assert isinstance(caught.value.__cause__, LocalSolveError)
    # the failure leaves nothing behind
    assert solve(rve, 0.1 * STRAIN).flux == pytest.approx(2e5 * 0.1 * STRAIN, rel=1e-9)


def test_material_test_halves_increments_that_fail_and_gives_up_with_the_reason() -> None:
    path = MaterialPath(np.array([0.0, 1.0]), gradient={"xx": np.array([0.0, 0.01])})
    whole = small_strain(CELL, {"a": Brittle(), "b": ELASTIC}).drive(path)
    halved = small_strain(CELL, {"a": Brittle(largest_increment=4e-3), "b": ELASTIC}).drive(path)
    assert np.array_equal(halved.times, whole.times)
    assert halved.flux[1, 0] == pytest.approx(whole.flux[1, 0], rel=1e-6)
    assert halved.iterations[1] > whole.iterations[1]
    with pytest.raises(
        MicroSolveError, match=r"material test failed at gradient .*xx, yy, xy.*Brittle: broken"
    ):
        small_strain(CELL, {"a": Brittle(largest_strain=4e-3), "b": ELASTIC}).drive(path)


def test_gradient_that_is_no_gradient() -> None:
    rve = small_strain(CELL, {"a": STEEL, "b": ELASTIC})
    with pytest.raises(MicroSolveError, match=r"the strain handed to the RVE is not finite: .*nan"):
        solve(rve, np.array([np.nan, 0.0, 0.0]))
    with pytest.raises(InputError, match=r"the strain has shape \(6,\).* 3 components: xx, yy, xy"):
        solve(rve, np.zeros(6))


def test_newton_that_may_not_iterate_reports_its_residuals() -> None:
    rve = small_strain(CELL, {"a": STEEL, "b": ELASTIC}, options=NewtonOptions(max_iterations=1))
    number = r"\d\.\d\de[+-]\d\d"
    with pytest.raises(
        MicroSolveError, match=rf"did not converge in 1 iteration .*residuals {number}, {number}$"
    ):
        solve(rve, STRAIN)
    assert solve(rve, 0.1 * STRAIN).iterations == 2  # elastic: one iteration, and the tangent


def test_flux_that_is_not_finite_is_a_failed_solve() -> None:
    rve = small_strain(CELL, {"a": Brittle(value=np.nan), "b": ELASTIC})
    with pytest.raises(MicroSolveError, match="residuals nan"):
        solve(rve, STRAIN)


@dataclass(frozen=True)
class Void(ExpressionLaw):
    """No stress at all."""

    stiffness: float = 0.0

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        return self.stiffness * gradient


def test_phase_without_stiffness_makes_the_cell_singular() -> None:
    rve = small_strain(CELL, {"a": Void(), "b": Void()})
    with pytest.raises(MicroSolveError, match="is singular: its factorization met a zero pivot"):
        solve(rve, STRAIN)


@dataclass(frozen=True)
class Careless(PointLaw):
    """Writes into one of the arrays that it is handed, in one of many ways."""

    way: str

    def history(self, size: int) -> dict[str, int]:
        return {"last_strain": size}

    def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> PointResponse:
        old = history["last_strain"]
        match self.way:
            case "assigned":
                old[:] = gradient
            case "added":
                old += gradient
            case "gradient":
                gradient *= 2.0
            case "output":
                np.multiply(old, 2.0, out=old)
            case "copied":
                np.copyto(old, gradient)
        n, k = gradient.shape
        return PointResponse(gradient, np.broadcast_to(np.eye(k), (n, k, k)), {"last_strain": old})


@pytest.mark.parametrize("strategy", ["adaptive", "newton"])
@pytest.mark.parametrize("way", ["assigned", "added", "gradient", "output", "copied"])
def test_law_that_changes_what_it_is_handed_is_named(way: str, strategy: Any) -> None:
    rve = small_strain(CELL, {"a": Careless(way), "b": ELASTIC}, options=NewtonOptions(strategy=strategy))
    with pytest.raises(
        InputError, match=r"the law Careless changes .* committed history in place .*read-only"
    ):
        solve(rve, STRAIN)


@pytest.mark.parametrize("shape", ["triangle", "quadrilateral"])
def test_solution_of_a_singular_matrix_is_looked_at(shape: str) -> None:
    """Round-off hides the zero pivot; nothing balances the forces on a part that floats."""
    rve = floating_strips(shape)
    newton = rve._newton
    newton.start(np.zeros(2), np.zeros(rve.unknowns))
    newton.linearize()
    forces = np.random.default_rng(0).normal(size=(rve.unknowns, 2))
    for unit in (1.0, 1e9):
        with pytest.raises(MicroSolveError, match=r"singular: its solution leaves the residual .* of the"):
            newton.linear_solver.solve(unit * forces[:, 0])
        with pytest.raises(MicroSolveError, match=r"singular: its solution leaves the residual .* of the"):
            newton.linear_solver.solve_many(unit * forces)


def test_singular_matrix_leaves_a_solver_that_factorizes_the_next_one() -> None:
    rve = small_strain(distorted("triangle"), {"a": ELASTIC})
    solver = rve._newton.linear_solver
    rve._newton.linearize()
    right = np.random.default_rng(0).normal(size=(rve.unknowns, 1))
    expected, values = solver.solve_many(right), solver._matrix.data.copy()
    for _ in range(2):
        solver._matrix.data[:] = 0.0
        with pytest.raises(MicroSolveError, match="zero pivot"):
            solver.factorize()
        solver._matrix.data[:] = values
        solver.factorize()
        assert solver.solve_many(right) == pytest.approx(expected, rel=1e-12)


def test_load_that_is_the_round_off_of_others_is_solved_as_well_as_it_can_be() -> None:
    left, right = np.array([[1e-16, 1e-16]]), np.array([[1.0, 1e-16]])
    check_residuals(left, right, np.ones(1), TANGENT, "")
    with pytest.raises(MicroSolveError, match=r"1\.0e\+00 of the right-hand side. Hold it"):
        check_residuals(left[:, 1], right[:, 1], np.ones(1), TANGENT, "Hold it")
    with pytest.raises(MicroSolveError, match="singular"):
        check_residuals(np.array([np.nan]), right[:, 0], np.ones(1), TANGENT, "")


@dataclass(frozen=True)
class Numbers(ExpressionLaw):
    """A law without parameters: its tangent is numbers that know no mesh."""

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        return ufl.as_vector([3.0 * gradient[i] for i in range(gradient.ufl_shape[0])])


def test_law_without_parameters_is_a_law() -> None:
    report = small_strain(distorted("triangle"), {"a": Numbers()}).homogenize()
    assert relative_error(report.tangent, 3.0 * np.eye(3)) < 1e-12
    assert relative_error(report.properties["bounds"]["voigt"], report.effective) < 1e-12


@pytest.mark.parametrize(
    ("laws", "options", "message"),
    [
        ({"a": STEEL}, {}, "phase 'b' of the cell has no law; laws are given for .'a'."),
        (
            {"a": STEEL, "b": STEEL, "c": STEEL},
            {},
            "a law is given for 'c', but the cell's phases are .'a', 'b'.",
        ),
        ({"a": STEEL, "b": 210e3}, {}, "the law of phase 'b' is a float, not a phase law"),
        ({"a": STEEL, "b": STEEL}, {"degree": 0}, "degree = 0 is not admissible"),
    ],
)
def test_cells_that_cannot_be_built(laws: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small_strain(CELL, laws, **options)


def test_many_points_of_a_linear_cell_are_one_product() -> None:
    """The same fluxes, tangents and states as one by one; local fields are there for each point."""
    hooke = LinearElastic.isotropic(STEEL.young, STEEL.poisson)
    rve = small_strain(CELL, {"a": hooke, "b": ELASTIC})
    gradients = STRAIN * np.linspace(-1.0, 1.0, 41)[:, None]
    committed = np.tile(rve.initial_state(), (len(gradients), 1))
    trial, answers, start = committed.copy(), Answers.empty(len(gradients), 3), profile.snapshot()
    rve.evaluate(gradients, committed, trial, Points.numbered(len(gradients)), Step(1.0), answers)
    assert rve.batch is None
    assert profile.snapshot().since(start).counts["factorizations"] == 1
    for k in (0, 20, 40):
        out = committed[k].copy()
        one = rve.solve(gradients[k], committed[k], 1.0, out)
        np.testing.assert_array_equal(answers.tangent[k], one.tangent)
        np.testing.assert_allclose(answers.flux[k], one.flux, rtol=1e-13, atol=0.0)
        np.testing.assert_allclose(trial[k], out, rtol=1e-12, atol=1e-18)
    _, fluxes, volumes = point_values(rve, trial[40])
    in_plane = fluxes[:, [0, 1, 3]]
    np.testing.assert_allclose(volumes @ in_plane / volumes.sum(), answers.flux[40], rtol=1e-10)


def test_linear_cell_is_solved_once_for_all_and_as_newton_would() -> None:
    """A yield stress that is never reached takes the other way to the same answer."""
    hooke = LinearElastic.isotropic(STEEL.young, STEEL.poisson)
    never = J2Plasticity(STEEL.young, STEEL.poisson, 1e9)
    for boundary in ("periodic", "linear", "uniform_flux"):
        answers = []
        for law in (hooke, never):
            rve = small_strain(CELL, {"a": law, "b": ELASTIC}, boundary=boundary)
            out = rve.initial_state()
            response = rve.solve(STRAIN, rve.initial_state(), 1.0, out)
            answers.append((response, out[: len(STRAIN) + rve.unknowns]))
        (linear, state), (newton, nonlinear_state) = answers
        assert (linear.iterations, newton.iterations) == (0, 2)
        assert relative_error(linear.flux, newton.flux) < 1e-11
        assert relative_error(linear.tangent, newton.tangent) < 1e-11
        assert relative_error(state, nonlinear_state) < 1e-11
