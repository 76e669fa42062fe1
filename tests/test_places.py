"""Results do not depend on where a point is solved: groups, moves, and points that neighbours take.

The module runs on one rank and under mpiexec, see test_groups.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import two_scale
from mpi4py import MPI

from fe2.dispatch.assignment import loads
from fe2.dispatch.options import Parallel
from fe2.dispatch.pool import Pool
from fe2.errors import InputError, MicroSolveError
from fe2.micro.linear_model import LinearModel
from fe2.micro.model import Pointwise
from fe2.micro.points import Points, Step
from fe2.response import Response

WORLD = MPI.COMM_WORLD
SIZES = [k for k in range(1, WORLD.size + 1) if WORLD.size % k == 0]
WAYS = [Parallel(1, balance) for balance in ("off", "steps", "on", "always")]
WAYS += [Parallel(k) for k in SIZES[1:]]
NAMES = [f"groups of {way.ranks_per_rve}, {way.balance}" for way in WAYS]
CYCLE = (1.0, 2.5, 0.5, -1.5)
# micro tolerance 1e-10, relative to forces; states hold strains beside forces
CLOSE = {"rtol": 1e-8, "atol": 1e-13}


def gradients(points: int, scale: float) -> np.ndarray:
    """A different strain at each point of each rank; half of them yield."""
    first = WORLD.exscan(points) or 0
    rows = 1.0 + np.arange(points)[:, None] + first
    return 1e-3 * scale * rows / 3.0 * np.array([1.0, -0.4, 0.6])


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
@pytest.mark.parametrize("points", [(5, 0, 2, 1), (1, 0, 0, 0)], ids=["uneven", "one point"])
def test_answers_and_states_are_those_of_one_rank(way, points):
    own, model = points[WORLD.rank], two_scale.plastic_rve()
    pool, alone = Pool(model, own, WORLD, way), Pool(model, own, MPI.COMM_SELF)
    for scale in CYCLE:
        found = pool.evaluate(gradients(own, scale), Step(0.5))
        expected = alone.evaluate(gradients(own, scale), Step(0.5))
        np.testing.assert_allclose(found.flux, expected.flux, **CLOSE)
        np.testing.assert_allclose(found.tangent, expected.tangent, rtol=1e-8, atol=1e-3)
        pool.commit()
        alone.commit()
        lasting = model.lasting_size
        np.testing.assert_allclose(pool.states[:, :lasting], alone.states[:, :lasting], **CLOSE)
        for name, values in alone.averages().items():
            np.testing.assert_allclose(pool.averages()[name], values, **CLOSE)
    backwards = np.arange(own)[::-1]
    np.testing.assert_array_equal(pool.fetch(backwards), pool.states[::-1])
    moved = pool.traffic.moved
    assert moved == (len(CYCLE) * sum(points[: WORLD.size]) if _moves_always(way) else moved)


def _moves_always(way: Parallel) -> bool:
    return way.balance == "always" and way.ranks_per_rve < WORLD.size


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
def test_stored_states_go_on_elsewhere(way):
    own, model = (2, 1, 1, 2)[WORLD.rank], two_scale.plastic_rve()
    first, second = Pool(model, own, WORLD), Pool(model, own, WORLD, way)
    first.evaluate(gradients(own, 2.0), Step(0.5))
    first.commit()
    second.restore(first.states[:, : model.lasting_size])
    expected, found = (pool.evaluate(gradients(own, 0.5), Step(0.5)) for pool in (first, second))
    np.testing.assert_allclose(found.flux, expected.flux, **CLOSE)


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
@pytest.mark.parametrize("failure", ["error", "exception", "not a number"])
def test_failure_is_told_to_the_owner_of_the_point_and_to_all(way, failure):
    if way.ranks_per_rve > 1:
        pytest.skip("a closed formula lives on one rank")
    pool = Pool(two_scale.Locking(failure=failure), 2, WORLD, way)
    calm = np.full((2, 3), 0.1)
    pool.evaluate(calm, Step(1.0))
    pool.commit()
    beyond = calm.copy()
    if WORLD.rank == WORLD.size - 1:
        beyond[1] = 0.9
    pool.evaluate(beyond, Step(1.0))
    assert WORLD.allgather(pool.failure.point) == [-1] * (WORLD.size - 1) + [1]
    assert len(set(WORLD.allgather(pool.failure.message))) == 1
    pool.rollback()
    assert np.all(np.isfinite(pool.evaluate(calm, Step(1.0)).flux))


@pytest.mark.parametrize("size", SIZES)
def test_cell_that_fails_in_a_group_fails_on_all_ranks(size):
    limit = 1e-3
    guarded = (
        two_scale.plastic_rve() if size > 1 else two_scale.Guarded(two_scale.plastic_rve(), np.inf, limit)
    )
    pool = Pool(guarded, 2, WORLD, Parallel(size))
    strains = np.full((2, 3), 0.5 * limit)
    if WORLD.rank == 0:
        strains[1] = np.nan if size > 1 else 2.0 * limit
    pool.evaluate(strains, Step(1.0))
    assert pool.failure.kind is MicroSolveError
    assert WORLD.allreduce(1) == WORLD.size
    strains[:] = 0.5 * limit
    pool.evaluate(strains, Step(1.0))


class Graded(Pointwise):
    """A stiffness that is a parameter of each point, which tells its number."""

    kinematics = two_scale.Maxwell.kinematics
    parameters = ("stiffness",)

    def respond(self, gradient, committed, trial, point, step):
        flux = point.parameters["stiffness"] @ gradient + point.number * point.coordinates[:1]
        return Response(flux, point.parameters["stiffness"])


@pytest.mark.parametrize("way", [way for way in WAYS if way.ranks_per_rve == 1], ids=lambda way: way.balance)
def test_points_keep_numbers_coordinates_and_parameters_wherever_they_are(way):
    own = (5, 0, 2, 1)[WORLD.rank]
    numbers = 10 + np.arange(own) + (WORLD.exscan(own) or 0)
    stiffness = numbers[:, None, None] * np.diag([1.0, 2.0, 3.0])
    points = Points(numbers, 0.1 * numbers[:, None] * np.ones(2), {"stiffness": stiffness})
    pool = Pool(Graded(), points, WORLD, way)
    for _ in range(3):
        found = pool.evaluate(gradients(own, 1.0), Step(1.0))
        expected = np.einsum("nij,nj->ni", stiffness, gradients(own, 1.0)) + 0.1 * numbers[:, None] ** 2
        np.testing.assert_allclose(found.flux, expected, rtol=1e-14)
        np.testing.assert_array_equal(found.tangent, stiffness)
        pool.commit()


class Skewed(two_scale.Maxwell):
    """Points with a negative first strain take fifty times as long as the others."""

    def respond(self, gradient, committed, trial, point, step):
        time.sleep(0.05 if gradient[0] < 0.0 else 0.001)
        return super().respond(gradient, committed, trial, point, step)


def skewed(points: int) -> np.ndarray:
    """One point of twenty is expensive, and the first rank has all of them."""
    strains = np.full((points, 3), 1e-3)
    expensive = points * WORLD.size // 20
    if WORLD.rank == 0:
        strains[:expensive, 0] = -1e-3
    return strains


def test_measured_costs_spread_the_expensive_points():
    pool = Pool(Skewed(np.eye(3)), 20, WORLD, Parallel(balance="steps"))
    pool.evaluate(skewed(20), Step(1.0))
    pool.commit()
    costs = pool._placement.of_all(pool._costs)
    work = loads(costs, pool._placement.where, WORLD.size)
    expensive = np.bincount(pool._placement.where[costs > 0.03], minlength=WORLD.size)
    assert expensive.sum() == WORLD.size
    assert expensive.max() == 1
    assert work.max() < 1.3 * work.mean()


def test_idle_groups_take_waiting_points():
    pool = Pool(Skewed(np.eye(3)), 20, WORLD, Parallel(balance="on"))
    alone = Pool(two_scale.Maxwell(np.eye(3)), 20, MPI.COMM_SELF)
    for _ in range(2):
        expected = alone.evaluate(skewed(20), Step(1.0)).flux
        np.testing.assert_allclose(pool.evaluate(skewed(20), Step(1.0)).flux, expected, rtol=1e-14)
        pool.commit()
        alone.commit()
    assert (pool.traffic.taken > 0) == (WORLD.size > 1)
    assert pool.traffic.moved == 0


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
def test_runs_do_not_depend_on_the_place(way):
    """Reactions of a strip that yields and unloads; steps are taken by Newton's method on both scales."""
    reactions = []
    for comm, parallel in ((MPI.COMM_SELF, None), (WORLD, way)):
        mesh = two_scale.rectangle(comm, (2, 1))
        tight = {"snes_rtol": 1e-11}
        strip = two_scale.clamped(mesh, two_scale.plastic_rve(), tight, parallel=parallel)
        for displacement in ((0.012, 0.004), (0.002, 0.0)):
            strip.step(displacement)
            reactions.append(strip.problem.reaction(strip.right))
    alone, together = np.split(np.array(reactions), 2)
    np.testing.assert_allclose(together, alone, rtol=0.0, atol=1e-8 * np.abs(alone).max())


def test_sizes_of_groups_that_cannot_be_are_refused():
    with pytest.raises(
        InputError, match=f"ranks_per_rve = 7 does not divide the number of ranks, {WORLD.size}"
    ):
        Pool(two_scale.plastic_rve(), 1, WORLD, Parallel(7))
    with pytest.raises(InputError, match="ranks_per_rve = 0 is not admissible"):
        Parallel(0)
    with pytest.raises(
        InputError, match="balance = 'much' is not known; it is one of off, steps, on, always"
    ):
        Parallel(balance="much")
    linear = LinearModel(two_scale.Maxwell.kinematics, np.eye(3))
    if WORLD.size > 1:
        with pytest.raises(InputError, match="a LinearModel lives on one"):
            Pool(linear, 1, WORLD, Parallel(WORLD.size))
    assert Parallel("auto").group_size(linear, 12) == 1
    assert Parallel("auto").group_size(two_scale.plastic_rve(), 12) == 1
