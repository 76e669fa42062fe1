"""What every pool does with every micro model: evaluate, commit, roll back, and name the point that fails.

Every rank has another number of points, the first of several ranks has none: the module also runs
under mpiexec, see test_parallel.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import two_scale
from mpi4py import MPI
from petsc4py import PETSc

from fe2.dispatch.options import Parallel
from fe2.dispatch.pool import Pool
from fe2.errors import Fe2Error, InputError, MicroSolveError
from fe2.macro.law import Array
from fe2.micro.linear_model import LinearModel
from fe2.micro.model import MicroModel
from fe2.micro.points import Step
from fe2.response import FAILED, NOT_ASKED, SOLVED

WORLD = MPI.COMM_WORLD

POOLS: dict[str, Callable[[MicroModel, int], Pool]] = {
    "one rank": lambda model, points: Pool(model, points, MPI.COMM_SELF),
    "all ranks": lambda model, points: Pool(model, points, WORLD),
    "moving": lambda model, points: Pool(model, points, WORLD, Parallel(balance="always")),
}
MODELS: dict[str, Callable[[], MicroModel]] = {
    "elastoplastic RVE": two_scale.plastic_rve,
    "elastic RVE": two_scale.elastic_rve,
    "constant tangent": lambda: two_scale.elastic_rve().linearized(),
    "closed formula": lambda: two_scale.Maxwell(two_scale.elastic_rve().linearized().tangent),
}
WITH_MEMORY = ("elastoplastic RVE", "closed formula")
POINTS = 3 if WORLD.size == 1 else WORLD.rank
STEP = Step(0.5)
EXACT = {"rtol": 1e-13, "atol": 0.0}


@pytest.fixture(params=POOLS)
def make_pool(request: pytest.FixtureRequest) -> Callable[[MicroModel, int], Pool]:
    return POOLS[request.param]


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> MicroModel:
    return MODELS[request.param]()


@pytest.fixture
def pool(make_pool, model) -> Pool:
    return make_pool(model, POINTS)


def gradients(scale: float = 1.0) -> Array:
    """A different strain at each point of each rank; half of them yield."""
    rows = 1.0 + np.arange(POINTS)[:, None] + WORLD.rank
    return 1e-3 * scale * rows * np.array([1.0, -0.4, 0.6])


def alone(model: MicroModel, gradient: Array, state: Array, dt: float = STEP.dt):
    """Answer and new state of one point."""
    out = np.full(model.state_size, np.nan)
    return model.solve(gradient, state, dt, out), out


def test_virgin_states_are_the_models(pool, model):
    assert pool.model is model
    np.testing.assert_array_equal(pool.states, np.tile(model.initial_state(), (POINTS, 1)))


def test_each_point_is_answered_from_its_own_committed_state(pool, model):
    for scale in (1.0, 2.5, 0.5):
        states = pool.states.copy()
        responses = pool.evaluate(gradients(scale), STEP)
        expected = [alone(model, g, state) for g, state in zip(gradients(scale), states, strict=True)]
        assert responses.flux.shape == (POINTS, 3)
        assert responses.tangent.shape == (POINTS, 3, 3)
        for point, (response, _) in enumerate(expected):
            np.testing.assert_allclose(responses.flux[point], response.flux, **EXACT)
            np.testing.assert_allclose(responses.tangent[point], response.tangent, **EXACT)
            assert responses.iterations[point] == response.iterations
        pool.commit()
        new_states = np.array([new for _, new in expected]).reshape(POINTS, model.state_size)
        # points of a linear cell are answered in one product, whose sums have another order
        np.testing.assert_allclose(pool.states, new_states, rtol=1e-12, atol=1e-17)


def test_evaluation_leaves_committed_states_alone(pool):
    pool.evaluate(gradients(), STEP)
    pool.commit()
    committed = pool.states.copy()
    first = copy.deepcopy(pool.evaluate(gradients(3.0), STEP))
    pool.evaluate(gradients(-2.0), STEP)
    np.testing.assert_array_equal(pool.states, committed)
    again = pool.evaluate(gradients(3.0), STEP)
    np.testing.assert_allclose(again.flux, first.flux, **EXACT)
    np.testing.assert_allclose(again.tangent, first.tangent, **EXACT)


def test_commit_keeps_the_last_evaluation(make_pool, model):
    straight, detour = make_pool(model, POINTS), make_pool(model, POINTS)
    straight.evaluate(gradients(2.0), STEP)
    detour.evaluate(gradients(-5.0), Step(1.0))
    detour.evaluate(gradients(2.0), STEP)
    for pool in (straight, detour):
        pool.commit()
    np.testing.assert_allclose(detour.states, straight.states, **EXACT)


def test_rollback_forgets_trial_states(pool):
    pool.evaluate(gradients(), STEP)
    pool.commit()
    committed = pool.states.copy()
    expected = copy.deepcopy(pool.evaluate(gradients(1.5), STEP))
    pool.evaluate(gradients(-5.0), STEP)
    pool.rollback()
    pool.commit()
    np.testing.assert_array_equal(pool.states, committed)
    np.testing.assert_allclose(pool.evaluate(gradients(1.5), STEP).flux, expected.flux, **EXACT)


@pytest.mark.parametrize("name", WITH_MEMORY)
def test_committed_history_changes_the_answer(make_pool, name):
    pool = make_pool(MODELS[name](), POINTS)
    virgin = copy.deepcopy(pool.evaluate(gradients(0.5), STEP))
    pool.evaluate(gradients(4.0), STEP)
    pool.commit()
    hardened = pool.evaluate(gradients(0.5), STEP)
    assert np.all(
        np.linalg.norm(hardened.flux - virgin.flux, axis=1) > 0.01 * np.linalg.norm(virgin.flux, axis=1)
    )


def test_time_step_reaches_the_models(make_pool):
    model = MODELS["closed formula"]()
    pool = make_pool(model, POINTS)
    for dt in (0.1, 3.0):
        elastic = gradients() @ model.stiffness
        expected = elastic / (1.0 + dt / model.relaxation_time)
        np.testing.assert_allclose(pool.evaluate(gradients(), Step(dt)).flux, expected, **EXACT)


def test_pool_without_points_answers_nothing(make_pool, model):
    pool = make_pool(model, 0)
    assert pool.states.shape == (0, model.state_size)
    responses = pool.evaluate(np.zeros((0, 3)), STEP)
    assert responses.flux.shape == (0, 3)
    assert responses.tangent.shape == (0, 3, 3)
    pool.commit()
    pool.rollback()


FAILURES = {
    "error": (MicroSolveError, "locked"),
    "exception": (MicroSolveError, "ZeroDivisionError: division"),
    "mistake": (Fe2Error, "TypeError: no such"),
    "not a number": (MicroSolveError, "not finite"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_failure_names_its_point_and_a_mistake_in_the_program_is_none_of_a_point(kind):
    pool = Pool(two_scale.Locking(limit=1.0, failure=kind), 3, MPI.COMM_SELF)
    strains = np.array([[0.1, 0.0, 0.0], [0.8, 0.8, 0.0], [0.0, 0.2, 0.0]])
    answers = pool.evaluate(strains, STEP)
    found, words = FAILURES[kind]
    assert pool.failure.point == 1
    assert pool.failure.kind is found
    assert words in pool.failure.message
    assert answers.status[1:].tolist() == [SOLVED if kind == "mistake" else FAILED, NOT_ASKED]


@pytest.mark.parametrize(
    "error", [OverflowError("e"), np.linalg.LinAlgError("e"), MemoryError("e"), PETSc.Error(76)]
)
@pytest.mark.parametrize("kind", [two_scale.Pointwise, two_scale.MicroModel])
def test_numbers_that_break_down_are_the_failure_of_a_point(kind, error):
    class Breaking(kind):
        kinematics = two_scale.small_strain_kinematics(2)

        def respond(self, *_):
            raise error

        if kind is two_scale.MicroModel:
            evaluate = respond

    pool = Pool(Breaking(), 3, MPI.COMM_SELF)
    pool.evaluate(np.zeros((3, 3)), STEP)
    assert (pool.failure.point, pool.failure.kind) == (0, MicroSolveError)
    name = "PETSc.Error" if isinstance(error, PETSc.Error) else type(error).__name__
    assert pool.failure.message.startswith(f"{name}: ")


def test_tangent_that_is_left_out_is_the_failure_of_its_point():
    """Neither zeros nor what was answered before stand in its place."""

    class Forgetful(two_scale.MicroModel):
        kinematics = two_scale.small_strain_kinematics(2)

        def evaluate(self, gradients, committed, trial, points, step, answers):
            answers.flux[:] = gradients
            answers.tangent[gradients[:, 0] < 1.0] = np.eye(3)

    pool = Pool(Forgetful(), 3, MPI.COMM_SELF)
    pool.evaluate(np.zeros((3, 3)), STEP)
    assert pool.failure is None
    pool.evaluate(np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), STEP)
    assert (pool.failure.point, pool.failure.kind) == (1, MicroSolveError)
    assert "left one out" in pool.failure.message


@pytest.mark.parametrize("kind", FAILURES)
def test_failure_on_one_rank_is_one_on_all(kind):
    pool = Pool(two_scale.Locking(limit=1.0, failure=kind), 2, WORLD)
    last = WORLD.rank == WORLD.size - 1
    pool.evaluate(np.array([[0.1, 0.0, 0.0], [0.9 if last else 0.2, 0.9, 0.0]]), STEP)
    assert len(set(WORLD.allgather((pool.failure.kind, pool.failure.message)))) == 1
    assert WORLD.allgather(pool.failure.point) == [-1] * (WORLD.size - 1) + [1]


def test_point_that_fails_on_one_rank_of_its_group_fails_on_all():
    """The others would go on to the next point, and wait there for ever."""

    class Divided(two_scale.MicroModel):
        kinematics, batch, divisible = two_scale.small_strain_kinematics(2), 1, True
        rank = 0

        def distributed(self, comm):
            part = Divided()
            part.rank = comm.rank
            return part

        def evaluate(self, gradients, committed, trial, points, step, answers):
            answers.flux[:], answers.tangent[:] = gradients, np.eye(3)
            if self.rank == WORLD.size - 1:
                answers.fail(gradients[:, 0] > 1.0, MicroSolveError("on one rank"))

    pool = Pool(Divided(), 2, WORLD, Parallel(ranks_per_rve=WORLD.size))
    pool.evaluate(np.array([[0.0, 0.0, 0.0], [2.0 * (WORLD.rank == 0), 0.0, 0.0]]), STEP)
    assert (pool.failure.kind, pool.failure.message) == (MicroSolveError, "on one rank")
    assert pool.failure.point == (1 if WORLD.rank == 0 else -1)


def test_pool_goes_on_after_a_failure(make_pool, model):
    limit = 2.0 * WORLD.allreduce(np.max(np.abs(gradients()), initial=0.0), op=MPI.MAX)
    pool = make_pool(two_scale.Guarded(model, largest_strain=limit), POINTS)
    pool.evaluate(gradients(), STEP)
    pool.commit()
    committed = pool.states.copy()
    expected = copy.deepcopy(pool.evaluate(gradients(0.5), STEP))
    beyond = gradients(50.0)
    if pool_fails(pool, beyond):
        pool.rollback()
        np.testing.assert_array_equal(pool.states, committed)
    np.testing.assert_allclose(pool.evaluate(gradients(0.5), STEP).flux, expected.flux, **EXACT)
    pool.commit()
    assert np.all(np.isfinite(pool.states))


def pool_fails(pool: Pool, strains: Array) -> bool:
    """True where the pool refused the strains, as it must where there is a point."""
    pool.evaluate(strains, STEP)
    assert (pool.failure is not None) == (pool.comm.allreduce(len(strains)) > 0)
    return pool.failure is not None


def test_progress_is_told_of_every_point(pool):
    """Each rank hears of the points that its group holds."""
    heard = []
    pool.progress = lambda done, total: heard.append((done, total))
    pool.evaluate(gradients(), STEP)
    if WORLD.size == 1:
        batch = pool.model.batch or POINTS
        assert heard == [(point, POINTS) for point in range(batch, POINTS + 1, batch)]
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
    pool.evaluate(gradients(4.0), STEP)
    pool.commit()
    stored = pool.states[:, : pool.model.lasting_size].copy()
    other = make_pool(MODELS[name](), POINTS)
    other.evaluate(gradients(-1.0), STEP)
    other.restore(stored)
    other.commit()  # trial states are forgotten
    np.testing.assert_array_equal(other.states[:, : pool.model.lasting_size], stored)
    expected = pool.evaluate(gradients(0.5), STEP)
    np.testing.assert_allclose(other.evaluate(gradients(0.5), STEP).flux, expected.flux, rtol=1e-9, atol=0.0)


class Careless(two_scale.Maxwell):
    """Writes the new state into the committed one too."""

    def respond(self, gradient, committed, trial, point, step):
        response = super().respond(gradient, committed, trial, point, step)
        committed[:] = trial
        return response


@pytest.mark.parametrize("kind", ["one rank", "all ranks"])
def test_model_that_changes_its_committed_state_is_named_on_all_ranks(kind):
    pool = POOLS[kind](Careless(two_scale.elastic_rve().linearized().tangent), POINTS)
    before = pool.states.copy()
    pool.evaluate(gradients(), STEP)
    if pool.comm.allreduce(POINTS):
        assert pool.failure.kind is InputError
        message = "the micro model Careless changes the gradient or its committed state in place"
        assert message in pool.failure.message
    np.testing.assert_array_equal(pool.states, before)
