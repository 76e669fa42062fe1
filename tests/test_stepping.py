"""Load steps: the plan is met exactly, whatever is rejected on the way."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fe2.errors import InputError, MicroSolveError, StepSizeError
from fe2.stepping import LoadSteps, StepControl, ramp

pytestmark = pytest.mark.unit

REASON = MicroSolveError("the RVE at macroscopic cell 7 failed")


def control(times: list[float], smallest: float = 2.0**-6) -> StepControl:
    return StepControl(LoadSteps(times, lambda time: None, smallest))


def accepted(steps: StepControl, rejections: list[int]) -> list[float]:
    """Times of accepted steps, where the k-th step is rejected `rejections[k]` times; then none is."""
    times = []
    while not steps.finished:
        for _ in range(rejections[len(times)] if len(times) < len(rejections) else 0):
            steps.reject(REASON)
        steps.accept()
        times.append(steps.time)
    return times


def test_plan_is_followed_where_nothing_fails():
    steps = control([0.0, 0.1, 0.3, 1.0])
    numbers, targets = [], []
    while not steps.finished:
        numbers.append(steps.number)
        targets.append(steps.target)
        steps.accept()
        assert steps.on_plan
        assert steps.time == targets[-1]
    assert numbers == [1, 2, 3]
    assert targets == [0.1, 0.3, 1.0]
    assert steps.rejected == 0


def test_rejected_step_is_halved_and_grows_again():
    steps = control([0.0, 1.0, 2.0])
    assert accepted(steps, [2]) == [0.25, 0.75, 1.0, 1.5, 2.0]
    assert steps.rejected == 2


def test_step_starts_where_the_last_accepted_one_ended():
    steps = control([0.0, 8.0])
    steps.reject(REASON)
    steps.reject(REASON)
    steps.accept()
    assert (steps.time, steps.target) == (2.0, 6.0)
    steps.reject(REASON)
    assert (steps.time, steps.target) == (2.0, 4.0)
    assert not steps.on_plan
    assert steps.number == 1


def test_growth_does_not_pass_a_planned_time():
    assert accepted(control([0.0, 1.0]), [3, 0, 0]) == [0.125, 0.375, 0.875, 1.0]


def test_failure_at_the_smallest_step_ends_the_run():
    steps = control([0.0, 1.0, 3.0], smallest=0.25)
    steps.accept()
    steps.reject(REASON)
    steps.reject(REASON)
    with pytest.raises(
        StepSizeError, match=r"step 2 .* from time 1 to 1\.5: the RVE at macroscopic cell 7"
    ) as caught:
        steps.reject(REASON)
    assert caught.value.__cause__ is REASON
    assert caught.value.collective
    assert steps.rejected == 3
    assert steps.time == 1.0


def test_a_plan_may_forbid_halving():
    with pytest.raises(StepSizeError):
        control([0.0, 1.0], smallest=1.0).reject(REASON)


@settings(max_examples=300, deadline=None)
@given(
    increments=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5),
    start=st.floats(-1e3, 1e3),
    rejections=st.lists(st.integers(0, 6), max_size=60),
    smallest=st.floats(2.0**-8, 1.0),
)
def test_any_run_meets_every_planned_time_or_ends_at_its_smallest_step(
    increments, start, rejections, smallest
):
    plan = (start + np.cumsum([0.0, *increments])).tolist()
    round_off = 1e-12 * np.abs(plan).max()
    steps, left = control(plan, smallest), iter(rejections)
    times, tried = [plan[0]], 0
    while not steps.finished:
        interval = plan[steps.number - 1], plan[steps.number]
        for _ in range(next(left, 0)):
            size = steps.target - steps.time
            tried += 1
            try:
                steps.reject(REASON)
            except StepSizeError:
                assert size / 2.0 < smallest * (interval[1] - interval[0]) + round_off
                assert steps.rejected == tried
                assert set(plan[: steps.number]) <= set(times)
                return
            assert steps.time == times[-1]
            assert steps.target - steps.time == pytest.approx(size / 2.0, abs=round_off)
        assert interval[0] <= steps.time < steps.target <= interval[1]
        size = steps.target - steps.time
        steps.accept()
        times.append(steps.time)
        if not steps.on_plan:
            assert steps.target - steps.time <= 2.0 * size + round_off
    assert steps.rejected == tried
    assert np.all(np.diff(times) > 0.0)
    assert set(plan) <= set(times)


def test_chosen_steps_at_most_double_across_planned_times_and_after_a_restart():
    """The smallest part of a long planned step is much longer than the last one of a short one before."""
    plan = [0.0, 1e-3, 1.0, 1e3]

    def chosen(*ends: int) -> list[float]:
        """Times of accepted steps, in runs up to these numbers of planned steps."""
        times, position = [0.0], None
        for end in ends:
            steps = StepControl(LoadSteps(plan[: end + 1], lambda time: None, tolerance=1e-3))
            if position is not None:
                steps.restore(position)
            while not steps.finished:
                steps.accept(2.0 if len(times) % 5 else 0.9)
                times.append(steps.time)
            position = steps.position()
        return times

    lengths = np.diff(whole := chosen(3))
    assert (lengths[1:] / lengths[:-1]).max() < 2.0 * (1.0 + 1e-6)
    assert set(plan) <= set(whole)
    assert chosen(1, 2, 3) == whole


def test_ramp_goes_through_its_points_and_holds_beyond_them():
    load = ramp([(0.0, 0.0), (1.0, 5.0), (2.0, 5.0), (4.0, -1.0)])
    assert [load(t) for t in (-1.0, 0.0, 0.5, 1.0, 1.7, 3.0, 4.0, 9.0)] == [
        0.0,
        0.0,
        2.5,
        5.0,
        5.0,
        2.0,
        -1.0,
        -1.0,
    ]
    assert isinstance(load(0.3), float)


def test_ramp_that_goes_back_in_time_is_refused():
    with pytest.raises(InputError, match=re.escape("[0.0, 2.0, 1.0]")):
        ramp([(0.0, 0.0), (2.0, 1.0), (1.0, 2.0)])


@pytest.mark.parametrize("times", [[], [1.0], [0.0, 0.0], [0.0, 2.0, 1.0], [0.0, np.nan], [[0.0, 1.0]]])
def test_times_that_do_not_increase_are_refused(times):
    with pytest.raises(InputError, match="two increasing times"):
        LoadSteps(times, lambda time: None)


@pytest.mark.parametrize("smallest", [0.0, -0.5, 1.5, np.nan])
def test_smallest_step_that_cannot_be_is_refused(smallest):
    with pytest.raises(InputError, match="smallest"):
        LoadSteps([0.0, 1.0], lambda time: None, smallest)
