"""Assignment of points to groups: every point once, near the best possible, and moved only where it pays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fe2.dispatch.assignment import (
    LEAST_GAIN,
    best_plan,
    everything_moved,
    finish_time,
    loads,
    longest_first,
    relieved,
)

pytestmark = pytest.mark.unit

COSTS = st.lists(st.floats(0.0, 100.0), max_size=60).map(np.array)
GROUPS = st.integers(1, 9)


@st.composite
def assigned(draw) -> tuple[np.ndarray, np.ndarray, int]:
    costs, count = draw(COSTS), draw(GROUPS)
    groups = draw(st.lists(st.integers(0, count - 1), min_size=len(costs), max_size=len(costs)))
    return costs, np.array(groups, dtype=np.int64), count


def alone(count: int) -> np.ndarray:
    return np.arange(count)


def least_possible(costs: np.ndarray, count: int) -> float:
    """Shortest time of all assignments, by trying them."""
    every = itertools.product(range(count), repeat=len(costs))
    return min(loads(costs, np.array(groups, dtype=np.int64), count).max() for groups in every)


@given(COSTS, GROUPS)
def test_every_point_has_one_group_and_no_work_is_lost(costs, count):
    groups = longest_first(costs, count)
    assert groups.shape == costs.shape
    assert np.all((groups >= 0) & (groups < count))
    assert loads(costs, groups, count).sum() == pytest.approx(costs.sum())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=7).map(np.array), st.integers(1, 3))
def test_longest_first_is_within_grahams_bound_of_the_best(costs, count):
    time = loads(costs, longest_first(costs, count), count).max()
    assert time <= (4 / 3 - 1 / (3 * count)) * least_possible(costs, count) * (1 + 1e-12)


def test_longest_first_meets_grahams_worst_case():
    """Two groups, costs 3 3 2 2 2: 7 where 6 is possible, which is the bound 7/6."""
    costs = np.array([3.0, 3.0, 2.0, 2.0, 2.0])
    assert loads(costs, longest_first(costs, 2), 2).max() == 7.0
    assert least_possible(costs, 2) == 6.0


@given(assigned())
def test_relief_moves_only_what_is_over_the_target(case):
    costs, groups, count = case
    new = relieved(costs, groups, count)
    target = max(costs.sum() / count, costs.max(initial=0.0))
    for group in np.unique(groups[new != groups]):
        assert loads(costs, groups, count)[group] > target
    # a released point finds a group that has at most the mean work, so none ends above twice the target
    assert loads(costs, new, count).max(initial=0.0) <= 2.0 * target * (1 + 1e-9) + 1e-12


@given(assigned())
def test_relief_of_a_balanced_assignment_moves_nothing(case):
    costs, _, count = case
    everywhere = np.repeat(np.arange(count), len(costs))
    same = np.tile(costs, count)
    np.testing.assert_array_equal(relieved(same, everywhere, count), everywhere)


@given(assigned(), st.floats(0.0, 10.0))
def test_a_plan_is_never_worse_than_to_stay(case, seconds_per_point):
    costs, groups, count = case
    plan = best_plan(costs, groups, alone(count), seconds_per_point)
    assert plan.seconds <= finish_time(costs, groups, alone(count)) * (1 + 1e-12)
    assert plan.moved == np.count_nonzero(plan.groups != groups)
    assert np.all((plan.groups >= 0) & (plan.groups < count))


@given(assigned())
def test_a_plan_without_cost_of_moving_is_near_grahams_bound(case):
    costs, groups, count = case
    plan = best_plan(costs, groups, alone(count), 0.0)
    lower = max(costs.sum() / count, costs.max(initial=0.0))
    longest = loads(costs, longest_first(costs, count), count).max(initial=0.0)
    assert loads(costs, plan.groups, count).max(initial=0.0) <= max(longest, lower) / (1 - LEAST_GAIN) + 1e-9


def test_points_stay_where_the_move_costs_more_than_it_saves():
    """Group 0 has two points of a second: moving one saves one second."""
    costs, groups = np.array([1.0, 1.0]), np.array([0, 0])
    assert best_plan(costs, groups, alone(2), 1.1).moved == 0
    moving = best_plan(costs, groups, alone(2), 0.5)
    assert moving.moved == 1
    assert moving.seconds == pytest.approx(1.5)


def test_points_do_not_move_for_the_scatter_of_measured_costs():
    costs = np.array([1.0, 1.02, 1.0, 1.03])
    assert best_plan(costs, np.array([0, 1, 0, 1]), alone(2), 0.0).moved == 0


def test_groups_that_share_their_work_need_no_move():
    costs, groups = np.array([1.0, 1.0]), np.array([0, 0])
    assert finish_time(costs, groups, np.array([0, 0])) == 1.0
    assert best_plan(costs, groups, np.array([0, 0]), 0.0).moved == 0


def test_skewed_load_is_equalized_by_few_moves():
    """5 % of the points cost fifty times the rest and all lie in one of eight groups."""
    costs = np.ones(800)
    costs[:40] = 50.0
    groups = np.arange(800) // 100
    plan = best_plan(costs, groups, alone(8), 0.1)
    work = loads(costs, plan.groups, 8)
    assert loads(costs, groups, 8).max() / costs.mean() / 100 > 5.0
    assert work.max() <= 1.05 * work.mean()
    assert plan.moved < 400


@given(assigned())
def test_forced_move_leaves_no_point_where_it_was(case):
    _, groups, count = case
    moved = everything_moved(groups, count)
    assert np.all((moved >= 0) & (moved < count))
    if count > 1:
        assert np.all(moved != groups)
