"""Time integration on the macroscopic scale: its order, its past, and what rejected steps leave of it."""

from __future__ import annotations

import warnings
from pathlib import Path

import cooling
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpi import mpiexec, succeeded
from mpi4py import MPI

from fe2.errors import Fe2Warning, InputError
from fe2.io.history import read_history
from fe2.macro.rate import weights
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

WORLD = MPI.COMM_WORLD


@pytest.mark.unit
@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_bdf2_is_exact_for_parabolas_and_steps_of_any_length(dt, dt_before):
    alpha, beta = weights("bdf2", dt, dt_before)
    for power, slope in ((1, 1.0), (2, 2.0 * dt)):
        now, earlier = dt**power, (-dt_before) ** power
        size = alpha * abs(now) + beta * abs(earlier)
        assert alpha * now + beta * earlier == pytest.approx(slope, abs=1e-14 * size)


@pytest.mark.unit
def test_first_step_and_one_after_a_step_without_length_are_backward_eulers():
    assert weights("bdf2", 0.5, 0.0) == weights("backward_euler", 0.5, 0.25) == (2.0, 0.0)
    assert weights("bdf2", 0.0, 0.5) == (0.0, 0.0)


def cooled(scheme: str, times: list[float]) -> list[float]:
    found, values = cooling.body(WORLD, scheme), []
    for dt in np.diff(times):
        with found.problem.step(dt):
            assert found.problem.solve() == 1
        values.append(float(found.T.x.array[0]))
        np.testing.assert_allclose(found.T.x.array, values[-1], rtol=1e-12)
    return values


@pytest.mark.parametrize(("scheme", "order"), [("backward_euler", 1), ("bdf2", 2)])
def test_measured_order_with_steps_that_vary_is_that_of_the_scheme(scheme, order):
    """What cells store and what the form stores is integrated alike; the reference is exact."""
    errors = []
    for count in (16, 32, 64):
        lengths = np.tile([1.0, 2.0], count // 2)
        times = np.concatenate([[0.0], np.cumsum(lengths) / lengths.sum()])
        values = cooled(scheme, times.tolist())
        np.testing.assert_allclose(values, cooling.integrated(times.tolist(), order)[1:], rtol=1e-11)
        errors.append(abs(values[-1] - cooling.exact(1.0)))
    # the next term of the expansion is smaller by the step, 1/32, times a number of order one
    assert np.log2(errors[1] / errors[2]) == pytest.approx(order, abs=0.1)


def test_rejected_steps_leave_nothing_of_themselves_in_the_past():
    found, times = cooling.body(WORLD, "bdf2"), cooling.PLAN
    for dt in np.diff(times):
        before = found.T.x.array.copy()
        found.problem.solve(1.7 * dt)
        found.problem.rollback()
        found.T.x.array[:] = before
        found.problem.commit()  # of nothing
        with found.problem.step(dt):
            found.problem.solve()
            found.problem.solve()
    np.testing.assert_allclose(found.T.x.array, cooling.integrated(times, 2)[-1], rtol=1e-12)


@pytest.mark.mpi
def test_resumed_run_is_the_uninterrupted_one_on_any_number_of_ranks(tmp_path):
    program = str(Path(cooling.__file__))
    for ranks, steps in ((1, 2), (3, 3), (2, 5)):
        succeeded(mpiexec(ranks, [program, str(tmp_path), str(steps)]))


def test_checkpoint_of_another_scheme_and_unknown_schemes_are_refused(tmp_path):
    cooling.run(WORLD, "backward_euler", tmp_path, 1)
    with pytest.raises(InputError, match=r"another run: scheme"):
        cooling.run(WORLD, "bdf2", tmp_path, 2)
    with pytest.raises(InputError, match="scheme = 'bdf3' is not one of backward_euler, bdf2"):
        cooling.body(WORLD, "bdf3")


def controlled(scheme: str, tolerance: float, warm: float = 0.0, smallest: float = 2.0**-12) -> Simulation:
    """Let the body cool with an error that is controlled; at time 0.3 it becomes warm around it."""
    found = cooling.body(WORLD, scheme)
    times = (0.0, 0.3, 2.0)
    plan = LoadSteps(times, lambda t: found.ambient.value.fill(warm * (t > 0.3)), smallest, tolerance)
    simulation = Simulation(found.problem, plan, quiet=True)
    simulation.run()
    assert {0.3, 2.0} <= {record.time for record in simulation.records}
    change = cooling.content(found.T.x.array[0]) - cooling.content(cooling.START)
    assert simulation.records[-1].balances["T_stored"] == pytest.approx(change, rel=1e-9)
    return simulation


def test_estimate_is_the_error_of_the_step():
    """That of backward Euler, from the value at its beginning; what comes next is smaller by the step."""
    records, values = controlled("backward_euler", 1e-4).records, [cooling.START]
    values = cooling.integrated([0.0, *(record.time for record in records)], 1)
    for record, start, end in zip(records[1:], values[1:], values[2:], strict=False):
        change = cooling.START - end
        error = abs(end - start * np.exp(-cooling.SPEED * record.dt)) / change
        assert record.error == pytest.approx(error, rel=2.0 * cooling.SPEED * record.dt, abs=1e-9)
    assert np.isnan(records[0].error)


@pytest.mark.parametrize(("scheme", "order"), [("backward_euler", 1), ("bdf2", 2)])
def test_error_follows_the_tolerance(scheme, order):
    """Local errors fall with the power p + 1 of the step, the final one with the power p."""
    errors = []
    for tolerance in (1e-3, 1e-3 / 4.0 ** (order + 1)):
        simulation = controlled(scheme, tolerance, smallest=2.0**-16)
        assert max(record.error for record in simulation.records[1:]) <= tolerance
        errors.append(abs(simulation.problem.functions[0].x.array[0] - cooling.exact(2.0)))
    assert np.log(errors[0] / errors[1]) / np.log(4.0) == pytest.approx(order, abs=0.25)


def test_steps_become_short_after_a_jump_and_long_again():
    with pytest.warns(Fe2Warning, match="local error in time of T, .* in a step that cannot be shorter"):
        simulation = controlled("bdf2", 1e-3, warm=10.0)
    steps = {record.time: record.dt for record in simulation.records}
    times = np.array(list(steps))
    assert simulation.control.rejected > 0
    shortest = steps[times[times > 0.3][0]]
    assert shortest == pytest.approx(1.7 * 2.0**-12)
    assert min(steps[0.3], steps[2.0]) > 50.0 * shortest


@pytest.mark.mpi
def test_controlled_steps_are_the_same_on_any_number_of_ranks_and_after_a_restart(tmp_path):
    program, folder = str(Path(cooling.__file__)), tmp_path / "parts"
    for ranks, steps in ((1, 2), (3, 3), (2, 5)):
        succeeded(mpiexec(ranks, [program, str(folder), str(steps), "1e-3"]))
    whole = cooling.run(WORLD, "bdf2", tmp_path / "whole", 5, 1e-3)
    found = read_history(folder)
    assert found["time"].tolist() == [record.time for record in whole.records]
    np.testing.assert_allclose(found["error"], [record.error for record in whole.records], rtol=1e-6)
    assert len(found["dt"]) > 20


@pytest.mark.unit
def test_disturbances_of_the_differences_die_out_where_steps_grow_by_less_than_the_bound():
    """In a body that stores and does nothing else a difference is β/α times the one before."""
    for growth, fewer in ((2.414, True), (2.415, False)):
        alpha, beta = weights("bdf2", growth, 1.0)
        assert (beta < alpha) == fewer


@pytest.mark.parametrize(
    ("scheme", "growth", "told"),
    [
        ("bdf2", [1.0, 2.0, 2.41, 2.4], None),
        ("bdf2", [1.0, 9.0, 1.0, 9.0], None),
        ("bdf2", [1.0, 2.5, 3.5, 3.0, 1.0], "planned steps 2 to 5 grow by up to 3.5 each"),
        ("backward_euler", [3.0, 3.0, 3.0], None),
    ],
)
def test_plans_that_grow_too_fast_for_bdf2_are_told_before_the_run(scheme, growth, told):
    times = np.cumsum([0.0, 1.0, *np.cumprod(growth)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Simulation(cooling.body(WORLD, scheme).problem, LoadSteps(times, lambda time: None), quiet=True)
    texts = [str(warning.message) for warning in caught if warning.category is Fe2Warning]
    assert len(texts) == (told is not None)
    assert all(told in text and "1 + √2 = 2.414 in a row" in text for text in texts)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance = 0.0 is not admissible"),
        (
            {"tolerance": 1e-3, "largest": 1e-5},
            "largest = 1e-05 must lie between the smallest, 0.000244141, and 1",
        ),
    ],
)
def test_controls_that_cannot_be_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        LoadSteps((0.0, 1.0), lambda time: None, **options)
