"""What every pool does with every micro model: evaluate, commit, roll back, and name the point that fails.

Every rank has another number of points, the first of several ranks has none: the module also runs
under mpiexec, see test_parallel.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import two_scale
from mpi4py import MPI

from fe2.dispatch.mpi import MpiPool
from fe2.dispatch.options import Parallel
from fe2.dispatch.pool import MicroPool
from fe2.dispatch.serial import SerialPool
from fe2.errors import Fe2Error, MicroSolveError
from fe2.macro.law import Array
from fe2.micro.linear_model import LinearModel
from fe2.micro.model import MicroModel

WORLD = MPI.COMM_WORLD

POOLS: dict[str, Callable[[MicroModel, int], MicroPool]] = {
    "serial": SerialPool,
    "mpi, one rank": lambda model, points: MpiPool(model, points, MPI.COMM_SELF),
    "mpi, all ranks": lambda model, points: MpiPool(model, points, WORLD),
    "mpi, moving": lambda model, points: MpiPool(model, points, WORLD, Parallel(balance="always")),
}
MODELS: dict[str, Callable[[], MicroModel]] = {
    "elastoplastic RVE": two_scale.plastic_rve,
    "elastic RVE": two_scale.elastic_rve,
    "constant tangent": lambda: two_scale.elastic_rve().linearized(),
    "closed formula": lambda: two_scale.Maxwell(two_scale.elastic_rve().linearized().tangent),
}
WITH_MEMORY = ("elastoplastic RVE", "closed formula")
POINTS = 3 if WORLD.size == 1 else WORLD.rank
DT = 0.5
EXACT = {"rtol": 1e-13, "atol": 0.0}


@pytest.fixture(params=POOLS)
def make_pool(request: pytest.FixtureRequest) -> Callable[[MicroModel, int], MicroPool]:
    return POOLS[request.param]


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> MicroModel:
    return MODELS[request.param]()


@pytest.fixture
def pool(make_pool, model) -> MicroPool:
    return make_pool(model, POINTS)


def gradients(scale: float = 1.0) -> Array:
    """A different strain at each point of each rank; half of them yield."""
    rows = 1.0 + np.arange(POINTS)[:, None] + WORLD.rank
    return 1e-3 * scale * rows * np.array([1.0, -0.4, 0.6])


def alone(model: MicroModel, gradient: Array, state: Array, dt: float = DT):
    """Answer and new state of one point."""
    out = np.full(model.state_size, np.nan)
    return model.solve(gradient, state, dt, out), out


def test_virgin_states_are_the_models(pool, model):
    assert pool.model is model
    np.testing.assert_array_equal(pool.states, np.tile(model.initial_state(), (POINTS, 1)))


def test_each_point_is_answered_from_its_own_committed_state(pool, model):
    for scale in (1.0, 2.5, 0.5):
        states = pool.states.copy()
        responses = pool.evaluate(gradients(scale), DT)
        expected = [alone(model, g, state) for g, state in zip(gradients(scale), states, strict=True)]
        assert responses.flux.shape == (POINTS, 3)
        assert responses.tangent.shape == (POINTS, 3, 3)
        for point, (response, _) in enumerate(expected):
            np.testing.assert_allclose(responses.flux[point], response.flux, **EXACT)
            np.testing.assert_allclose(responses.tangent[point], response.tangent, **EXACT)
            assert responses.iterations[point] == response.iterations
        pool.commit()
        new_states = np.array([new for _, new in expected]).reshape(POINTS, model.state_size)
        np.testing.assert_array_equal(pool.states, new_states)


def test_evaluation_leaves_committed_states_alone(pool):
    pool.evaluate(gradients(), DT)
    pool.commit()
    committed = pool.states.copy()
    first = pool.evaluate(gradients(3.0), DT)
    pool.evaluate(gradients(-2.0), DT)
    np.testing.assert_array_equal(pool.states, committed)
    again = pool.evaluate(gradients(3.0), DT)
    np.testing.assert_allclose(again.flux, first.flux, **EXACT)
    np.testing.assert_allclose(again.tangent, first.tangent, **EXACT)


def test_commit_keeps_the_last_evaluation(make_pool, model):
    straight, detour = make_pool(model, POINTS), make_pool(model, POINTS)
    straight.evaluate(gradients(2.0), DT)
    detour.evaluate(gradients(-5.0), 2.0 * DT)
    detour.evaluate(gradients(2.0), DT)
    for pool in (straight, detour):
        pool.commit()
    np.testing.assert_allclose(detour.states, straight.states, **EXACT)


def test_rollback_forgets_trial_states(pool):
    pool.evaluate(gradients(), DT)
    pool.commit()
    committed = pool.states.copy()
    expected = pool.evaluate(gradients(1.5), DT)
    pool.evaluate(gradients(-5.0), DT)
    pool.rollback()
    pool.commit()
    np.testing.assert_array_equal(pool.states, committed)
    np.testing.assert_allclose(pool.evaluate(gradients(1.5), DT).flux, expected.flux, **EXACT)


@pytest.mark.parametrize("name", WITH_MEMORY)
def test_committed_history_changes_the_answer(make_pool, name):
    pool = make_pool(MODELS[name](), POINTS)
    virgin = pool.evaluate(gradients(0.5), DT)
    pool.evaluate(gradients(4.0), DT)
    pool.commit()
    hardened = pool.evaluate(gradients(0.5), DT)
    assert np.all(
        np.linalg.norm(hardened.flux - virgin.flux, axis=1) > 0.01 * np.linalg.norm(virgin.flux, axis=1)
    )


def test_time_step_reaches_the_models(make_pool):
    model = MODELS["closed formula"]()
    pool = make_pool(model, POINTS)
    for dt in (0.1, 3.0):
        elastic = gradients() @ model.stiffness
        expected = elastic / (1.0 + dt / model.relaxation_time)
        np.testing.assert_allclose(pool.evaluate(gradients(), dt).flux, expected, **EXACT)


def test_pool_without_points_answers_nothing(make_pool, model):
    pool = make_pool(model, 0)
    assert pool.states.shape == (0, model.state_size)
    responses = pool.evaluate(np.zeros((0, 3)), DT)
    assert responses.flux.shape == (0, 3)
    assert responses.tangent.shape == (0, 3, 3)
    pool.commit()
    pool.rollback()


@pytest.mark.parametrize("failure", ["error", "exception", "not a number"])
@pytest.mark.parametrize("name", ["serial", "mpi, one rank"])
def test_failure_names_its_point(name, failure):
    model = two_scale.Locking(limit=1.0, failure=failure)
    pool = POOLS[name](model, 3)
    strains = np.array([[0.1, 0.0, 0.0], [0.0, 0.2, 0.0], [0.8, 0.8, 0.0]])
    with pytest.raises(MicroSolveError) as caught:
        pool.evaluate(strains, DT)
    assert caught.value.point == 2
    words = {"error": "locked", "exception": "ZeroDivisionError: division", "not a number": "not finite"}
    assert words[failure] in str(caught.value)


@pytest.mark.parametrize("failure", ["error", "exception", "not a number"])
def test_failure_on_one_rank_is_one_on_all(failure):
    model = two_scale.Locking(limit=1.0, failure=failure)
    pool = MpiPool(model, 2, WORLD)
    last = WORLD.rank == WORLD.size - 1
    strains = np.array([[0.1, 0.0, 0.0], [0.9 if last else 0.2, 0.9, 0.0]])
    with pytest.raises(MicroSolveError) as caught:
        pool.evaluate(strains, DT)
    assert len(set(WORLD.allgather(str(caught.value)))) == 1
    assert WORLD.allgather(caught.value.point) == [-1] * (WORLD.size - 1) + [1]
    assert WORLD.allgather(isinstance(caught.value, Fe2Error)) == [True] * WORLD.size


def test_pool_goes_on_after_a_failure(make_pool, model):
    limit = 2.0 * WORLD.allreduce(np.max(np.abs(gradients()), initial=0.0), op=MPI.MAX)
    pool = make_pool(two_scale.Guarded(model, largest_strain=limit), POINTS)
    pool.evaluate(gradients(), DT)
    pool.commit()
    committed = pool.states.copy()
    expected = pool.evaluate(gradients(0.5), DT)
    beyond = gradients(50.0)
    if pool_fails(pool, beyond):
        pool.rollback()
        np.testing.assert_array_equal(pool.states, committed)
    np.testing.assert_allclose(pool.evaluate(gradients(0.5), DT).flux, expected.flux, **EXACT)
    pool.commit()
    assert np.all(np.isfinite(pool.states))


def pool_fails(pool: MicroPool, strains: Array) -> bool:
    """True where the pool refused the strains, as it must where there is a point."""
    alone = getattr(pool, "comm", MPI.COMM_SELF).size == 1
    points = len(strains) if alone else WORLD.allreduce(len(strains))
    try:
        pool.evaluate(strains, DT)
    except MicroSolveError:
        assert points > 0
        return True
    assert points == 0
    return False


def test_progress_is_told_of_every_point(pool):
    """Each rank hears of the points that its group holds."""
    heard = []
    pool.progress = lambda done, total: heard.append((done, total))
    pool.evaluate(gradients(), DT)
    if WORLD.size == 1:
        assert heard == [(point + 1, POINTS) for point in range(POINTS)]
    assert all(1 <= done <= total for done, total in heard)


def test_tangent_is_the_derivative_of_the_flux(model):
    history = alone(model, np.array([4e-3, -1e-3, 2e-3]), model.initial_state())[1]
    gradient, width = np.array([6e-3, -1e-3, 4e-3]), 1e-7
    tangent = alone(model, gradient, history)[0].tangent
    columns = [
        alone(model, gradient + width * e, history)[0].flux
        - alone(model, gradient - width * e, history)[0].flux
        for e in np.eye(3)
    ]
    # a flux error of 1e-10 over a width of 1e-7 in strains of 1e-2
    np.testing.assert_allclose(
        np.column_stack(columns) / (2.0 * width), tangent, atol=1e-5 * np.abs(tangent).max(), rtol=0.0
    )


def test_solve_reads_the_state_and_fills_the_new_one(model):
    state = alone(model, np.array([4e-3, -1e-3, 2e-3]), model.initial_state())[1]
    before = state.copy()
    _, new = alone(model, np.array([-2e-3, 5e-3, 0.0]), state)
    np.testing.assert_array_equal(state, before)
    assert np.all(np.isfinite(new))
    assert new.shape == (model.state_size,)


def test_linear_model_refuses_a_tangent_that_does_not_fit():
    with pytest.raises(ValueError, match=r"\(2, 2\).*3 components"):
        LinearModel(two_scale.Maxwell.kinematics, np.eye(2))


@pytest.mark.parametrize("name", WITH_MEMORY)
def test_points_go_on_from_stored_states(make_pool, name):
    pool = make_pool(MODELS[name](), POINTS)
    pool.evaluate(gradients(4.0), DT)
    pool.commit()
    stored = pool.states[:, : pool.model.lasting_size].copy()
    other = make_pool(MODELS[name](), POINTS)
    other.evaluate(gradients(-1.0), DT)
    other.restore(stored)
    other.commit()  # trial states are forgotten
    np.testing.assert_array_equal(other.states[:, : pool.model.lasting_size], stored)
    expected = pool.evaluate(gradients(0.5), DT)
    np.testing.assert_allclose(other.evaluate(gradients(0.5), DT).flux, expected.flux, rtol=1e-9, atol=0.0)


class Careless(two_scale.Maxwell):
    """Writes the new state into the committed one too."""

    def solve(self, gradient, state, dt, out):
        response = super().solve(gradient, state, dt, out)
        state[:] = out
        return response


@pytest.mark.parametrize("kind", ["serial", "mpi, all ranks"])
def test_model_that_changes_its_committed_state_is_named_on_all_ranks(kind):
    pool = POOLS[kind](Careless(two_scale.elastic_rve().linearized().tangent), POINTS)
    before = pool.states.copy()
    points = POINTS if kind == "serial" else WORLD.allreduce(POINTS)
    message = "the micro model Careless changes the gradient or its committed state in place"
    with pytest.raises(Fe2Error, match=message) if points else nullcontext():
        pool.evaluate(gradients(), DT)
    np.testing.assert_array_equal(pool.states, before)
