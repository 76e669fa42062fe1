"""Reduced cells that know their error: the estimate bounds it, no history is lost, budgets are kept."""

from __future__ import annotations

import reduced_cells  # isort: skip  # before dolfinx

import json
import re

import numpy as np
import pytest
import two_scale
from mpi import PROGRAMS, mpiexec, succeeded
from mpi4py import MPI
from reduced_cells import held_out, plastic_reduction, plastic_training, unseen

from fe2.dispatch.pool import Pool
from fe2.errors import InputError, OutsideRangeError, StepSizeError
from fe2.hierarchical.budget import FullSolves
from fe2.hierarchical.error_control import ErrorControlledRVE, error_controlled
from fe2.hierarchical.indicator import along
from fe2.hierarchical.reduction import reduce
from fe2.hierarchical.storage import save
from fe2.identity import difference
from fe2.io.checkpoint_schedule import Checkpoints
from fe2.io.replay import replay_failure
from fe2.micro.points import Step
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

NEVER, ALWAYS = 1e9, 1e-12


def model(tolerance: float, **options) -> ErrorControlledRVE:
    return error_controlled(plastic_reduction(), tolerance=tolerance, **options)


def walk(micro, path, steps=None):
    """Fluxes and committed rows along a path."""
    pool, fluxes = Pool(micro, 1, MPI.COMM_SELF), []
    for dt, gradient in list(zip(path.steps, path.gradients, strict=True))[:steps]:
        fluxes.append(pool.evaluate(gradient[None], Step(float(dt))).flux[0].copy())
        pool.commit()
    return np.array(fluxes), pool


def test_the_estimate_bounds_the_error_at_most_steps_of_unseen_paths():
    """Calibrated on other paths that were held out."""
    micro = model(NEVER)
    bounded = []
    for path in unseen():
        pool = Pool(micro, 1, MPI.COMM_SELF)
        for dt, gradient, flux in zip(path.steps, path.gradients, path.fluxes, strict=True):
            found = pool.evaluate(gradient[None], Step(float(dt))).flux[0]
            pool.commit()
            bounded.append(micro.estimates(pool.states)[0] >= np.linalg.norm(found - flux))
    assert np.mean(bounded) >= 0.95
    assert micro.counts.full == 0


def test_another_reduction_of_the_cell_is_told_apart():
    """As a checkpoint has to: states of one mean nothing to the other."""
    first, second = model(NEVER), error_controlled(plastic_reduction(0.1))
    assert not difference(first.describe(), model(ALWAYS).describe())
    assert "modes was" in difference(first.describe(), second.describe())
    assert first.describe()["laws"] == plastic_reduction().rve.description["laws"]


def test_with_no_tolerance_every_point_is_the_full_cell():
    """The same equations in the same order: equal to the solver's tolerance."""
    path = unseen()[0]
    fluxes, pool = walk(model(ALWAYS), path)
    np.testing.assert_allclose(fluxes, path.fluxes, rtol=0.0, atol=1e-8 * np.abs(path.fluxes).max())
    assert pool.model.counts.reduced == 0
    assert pool.model.counts.replayed == 0  # every step went on from the one before
    assert pool.model.averages(pool.states)["steps_solved_in_full"][0] == len(path.steps)


def test_a_point_that_becomes_full_has_its_whole_history():
    """Reduced for some steps, then full: the path is taken again, and the answer is that of the full cell."""
    micro, path = model(NEVER), unseen()[0]
    _, pool = walk(micro, path, 5)
    full = micro.full_state(pool.states[0])
    assert micro.counts.replayed == 5
    expected = reduced_cells.last_state(two_scale.plastic_rve(), path, 5)
    lasting = two_scale.plastic_rve().lasting_size
    scale = np.abs(expected[:lasting]).max()
    np.testing.assert_allclose(full[:lasting], expected[:lasting], rtol=0.0, atol=1e-8 * scale)
    micro.full_state(pool.states[0])
    assert micro.counts.replayed == 5  # kept


def test_going_back_to_the_reduced_cell_forgets_its_error():
    """After full solves the reduced states hold the full history: the next error is that of one step."""
    path = unseen()[0]
    always, never = model(ALWAYS), model(NEVER)
    _, pool = walk(always, path, 9)
    row, out = pool.states[0].copy(), pool.states[0].copy()
    response = never.solve(path.gradients[9], row, float(path.steps[9]), out)
    assert never.counts.reduced == 1
    after = np.linalg.norm(response.flux - path.fluxes[9])
    assert after < 0.01 * plastic_reduction().flux_scale
    assert never.path(out).times[-1] == pytest.approx(path.path.times[9])


def test_a_point_stays_full_until_the_commit():
    """The macroscopic iteration meets one function in a step."""
    micro, path = model(ALWAYS), unseen()[0]
    pool = Pool(micro, 1, MPI.COMM_SELF)
    pool.evaluate(path.gradients[:1], Step(1.0))
    micro.by_grant = True  # from now on nothing asks for a full solve
    pool.evaluate(0.9 * path.gradients[:1], Step(1.0))
    assert (micro.counts.full, micro.counts.reduced) == (2, 0)
    pool.commit()
    pool.evaluate(path.gradients[1:2], Step(1.0))
    assert (micro.counts.full, micro.counts.reduced) == (2, 1)


def test_rows_that_lost_what_was_kept_beside_them_are_solved_again():
    """Another rank, or a restart: nothing but the row is needed."""
    path = unseen()[0]
    _, pool = walk(model(ALWAYS), path, 6)
    elsewhere = model(ALWAYS)
    out = pool.states[0].copy()
    response = elsewhere.solve(path.gradients[6], pool.states[0], float(path.steps[6]), out)
    assert elsewhere.counts.replayed == 6
    np.testing.assert_allclose(response.flux, path.fluxes[6], rtol=0.0, atol=1e-6 * np.abs(path.fluxes).max())


def test_outside_of_the_range_the_cell_is_solved_or_an_error_is_raised():
    gradient = 1.5 * plastic_reduction().trained.scale
    micro = model(NEVER)
    row = micro.initial_state()
    found = micro.solve(gradient, row, 1.0, row.copy())
    expected = two_scale.plastic_rve().initial_state()
    full = two_scale.plastic_rve().solve(gradient, expected, 1.0, expected.copy())
    np.testing.assert_allclose(found.flux, full.flux, rtol=1e-8)
    assert micro.counts.full == 1
    with pytest.raises(OutsideRangeError):
        model(NEVER, outside="error").solve(gradient, row, 1.0, row.copy())


def test_difficult_paths_enrich_the_basis():
    """A path that needed full solves is reproduced once it has been trained on."""
    micro, path = model(ALWAYS), unseen()[0]
    _, pool = walk(micro, path)
    paths = micro.difficult_paths(pool.states)
    assert len(paths) == 1
    assert micro.report()["paths for enrichment"] == 1
    np.testing.assert_allclose(paths[0].gradients, path.gradients)
    training = [*plastic_training(), *paths]
    richer = reduce(two_scale.plastic_rve(), training, held_out=held_out(), tolerance=0.02)

    def error(reduction):
        return np.linalg.norm(along(reduction.model(), path) - path.fluxes, axis=1).max()

    assert error(richer) < 1.05 * error(plastic_reduction())
    assert richer.report.training_error < 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance = 0.0"),
        ({"outside": "guess"}, "outside = 'guess'"),
        ({"capacity": 0}, "capacity = 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        error_controlled(plastic_reduction(), **options)


def test_without_held_out_paths_there_is_no_estimate():
    reduction = reduce(two_scale.plastic_rve(), plastic_training(), held_out=[])
    with pytest.raises(InputError, match="no estimate of its error"):
        error_controlled(reduction)


def test_a_run_tells_what_was_solved_how(tmp_path):
    """A strip with error control follows the concurrent one; its summary has the counts."""
    mesh = two_scale.rectangle(MPI.COMM_SELF, (2, 1))
    reactions = []
    for micro in (two_scale.plastic_rve(), model(0.004)):
        strip = two_scale.clamped(mesh, micro)

        def apply(time, strip=strip):
            strip.displacement.value = (0.012 * time, 0.0)

        run = Simulation(
            strip.problem,
            LoadSteps(np.linspace(0.0, 1.0, 5), apply),
            output=tmp_path / type(micro).__name__,
            reactions={"grip": strip.right},
            quiet=True,
        )
        summary = run.run()
        reactions.append([record.reactions["grip"][0] for record in run.records])
    np.testing.assert_allclose(reactions[1], reactions[0], rtol=0.01)
    reduced, full = (summary.models[f"solves of {kind} cells"] for kind in ("reduced", "whole"))
    assert reduced + full == summary.micro_solves
    assert reduced > 0
    text = (tmp_path / "ErrorControlledRVE" / "summary.txt").read_text()
    assert re.search(rf"solves of whole cells: +{full:g}\n", text)
    stored = json.loads((tmp_path / "ErrorControlledRVE" / "summary.json").read_text())
    assert stored["models"] == summary.models


class Points:
    """Three points of one law, the second of four times the weight of the others."""

    def __init__(self, micro):
        self.micro, self.pool = micro, Pool(micro, 3, MPI.COMM_SELF)

    def weights(self):
        return np.array([1.0, 4.0, 1.0])

    def coordinates(self):
        return np.arange(3.0)[:, None]

    def step(self, gradients):
        """Which points were solved in full."""
        before = self.pool.states.copy()
        self.pool.evaluate(gradients, Step(1.0))
        self.pool.commit()
        name = "steps_solved_in_full"
        counts = [self.micro.averages(states)[name][:, 0] for states in (before, self.pool.states)]
        return np.flatnonzero(counts[1] - counts[0]).tolist()


def test_a_budget_goes_where_weight_times_error_is_largest():
    micro, path = model(NEVER), unseen()[0]
    points = Points(micro)
    choose = FullSolves(points, micro, 1, MPI.COMM_SELF)
    rows = np.array([1.0, 0.9, 0.2])[:, None] * path.gradients[3]
    assert points.step(rows) == []
    choose(1.0)
    contributions = points.weights() * micro.estimates(points.pool.states)
    assert points.step(1.05 * rows) == [int(np.argmax(contributions))]
    assert micro.counts.full == 1


def test_a_budget_of_points_that_came_the_same_path_is_not_exceeded():
    """Equal estimates: the weight decides, and then the place, but never for more points than granted."""
    micro, path = model(NEVER), unseen()[0]
    points = Points(micro)
    for budget, expected in ((1, [1]), (2, [1, 2]), (0, [])):
        points.step(np.tile(path.gradients[3], (3, 1)))
        FullSolves(points, micro, budget, MPI.COMM_SELF)(1.0)
        assert points.step(np.tile(path.gradients[4], (3, 1))) == expected
        points = Points(micro)


def test_points_without_an_estimate_take_the_budget_first():
    """Outside of the range a point is solved in full in any case, and the next step begins with it."""
    micro, path = model(NEVER), unseen()[0]
    points = Points(micro)
    choose = FullSolves(points, micro, 1, MPI.COMM_SELF)
    rows = np.array([1.0, 0.9, 0.2])[:, None] * path.gradients[3]
    rows[2] = 1.5 * plastic_reduction().trained.scale
    assert points.step(rows) == [2]
    assert np.isinf(micro.estimates(points.pool.states)).tolist() == [False, False, True]
    assert np.isnan(points.pool.averages()["estimated_error"][:, 0]).tolist() == [False, False, True]
    choose(1.0)
    assert points.step(rows) == [2]  # the budget is spent on it
    assert micro.counts.unestimated == micro.counts.full == 2
    rows[2] = 0.5 * plastic_reduction().trained.scale
    choose(2.0)
    assert points.step(rows) == [2]  # back inside, and still the one of which nothing was known
    assert micro.counts.unestimated == 2
    choose(3.0)
    contributions = points.weights() * micro.estimates(points.pool.states)
    assert np.isfinite(contributions).all()
    assert points.step(rows) == [int(np.argmax(contributions))]


def test_the_estimate_is_that_of_the_gradient_that_was_committed():
    """Also where the point is solved in full, whose first iterations were at other gradients."""
    micro, path = model(ALWAYS), unseen()[0]
    pool, straight = Pool(micro, 1, MPI.COMM_SELF), Pool(micro, 1, MPI.COMM_SELF)
    for scale in (1.3, 0.7, 1.0):
        pool.evaluate(scale * path.gradients[2:3], Step(1.0))
    straight.evaluate(path.gradients[2:3], Step(1.0))
    for each in (pool, straight):
        each.commit()
    estimates = [micro.estimates(each.states)[0] for each in (pool, straight)]
    assert estimates[0] == pytest.approx(estimates[1], rel=1e-9)


def test_the_whole_cell_of_a_point_that_ended_a_run_is_replayed(tmp_path):
    """Its state is found along the path of the point, which was reduced before."""
    micro = model(NEVER, outside="error")
    strip = two_scale.clamped(two_scale.rectangle(MPI.COMM_SELF, (2, 1)), micro)

    def apply(time):
        strip.displacement.value = (0.004 * time, 0.0)

    run = Simulation(strip.problem, LoadSteps([0.0, 1.0, 2.0, 8.0], apply, 1.0), output=tmp_path, quiet=True)
    with pytest.raises(StepSizeError, match=r"To solve this RVE by itself: fe2\.replay_failure"):
        run.run()
    again = replay_failure(tmp_path / "failure.h5", model(NEVER, outside="error"))
    assert again.response is not None
    path = model(NEVER).path(again.failed.state)
    assert len(path.times) == 2
    rve = two_scale.plastic_rve()
    state, trial = rve.initial_state(), rve.initial_state()
    for gradient in [*path.gradients, again.failed.gradient]:
        expected = rve.solve(gradient, state, 1.0, trial)
        state[:] = trial
    np.testing.assert_allclose(again.response.flux, expected.flux, rtol=1e-7)


@pytest.mark.parametrize("chosen", ["after each step", "where the load is set"])
def test_a_run_with_a_budget_goes_on_from_its_checkpoint_as_if_nothing_had_happened(tmp_path, chosen):
    """States with estimates, grants and paths, reactions, counts; at the end some points leave the range."""

    def run_of(folder, after_step=None, resume=False):
        micro = model(NEVER)
        strip = two_scale.clamped(
            two_scale.distorted(MPI.COMM_SELF, (3, 1), (2.0, 1.0)), micro, {"snes_rtol": 1e-10}
        )
        choose = FullSolves(strip.law, micro, 3, MPI.COMM_SELF)

        def apply(time):
            if chosen == "where the load is set":
                choose(time)
            strip.displacement.value = (0.018 * time, 0.003 * time)

        def after(time):
            if chosen == "after each step":
                choose(time)
            if after_step is not None:
                after_step(time)

        steps = LoadSteps(np.linspace(0.0, 1.0, 7), apply)
        options = {"checkpoint": Checkpoints(every=1), "resume": resume, "quiet": True}
        reactions = {"grip": strip.right}
        run = Simulation(
            strip.problem, steps, output=folder, reactions=reactions, observers=[after], **options
        )
        return run, strip.law.pool

    def lost(time):
        if time > 0.6:
            raise KeyboardInterrupt

    whole, expected = run_of(tmp_path / "whole")
    counts = dict(whole.run().models)
    assert counts["solves of whole cells without an estimate"] > 0
    assert counts["solves of whole cells"] > counts["solves of whole cells without an estimate"]
    with pytest.raises(KeyboardInterrupt):
        run_of(tmp_path / "lost", lost)[0].run()
    resumed, pool = run_of(tmp_path / "lost", resume=True)
    found = dict(resumed.run().models)
    finite = np.isfinite(expected.states)
    assert np.array_equal(np.isfinite(pool.states), finite)
    assert not finite.all()
    scale = np.abs(expected.states[finite]).max()
    np.testing.assert_allclose(pool.states[finite], expected.states[finite], rtol=0.0, atol=1e-8 * scale)
    for one, other in zip(resumed.records, whole.records, strict=True):
        np.testing.assert_allclose(one.reactions["grip"], other.reactions["grip"], rtol=1e-8)
    # what is kept beside the states is lost, and found again
    history = "solves of whole cells for their history"
    assert found.pop(history) > counts.pop(history)
    assert found == pytest.approx(counts, rel=1e-6)


@pytest.mark.mpi
@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest")
def test_results_do_not_depend_on_the_number_of_ranks(tmp_path):
    found = {}
    cell = tmp_path / "cell.h5"
    save(plastic_reduction(), cell)
    for ranks in (1, 2, 3):
        file = tmp_path / f"{ranks}.json"
        succeeded(mpiexec(ranks, [str(PROGRAMS / "reduced_strip.py"), str(file), str(cell)], timeout=120.0))
        found[ranks] = json.loads(file.read_text())
    for ranks in (2, 3):
        for name in ("reactions", "plastic strain"):
            expected = np.array(found[1][name])
            np.testing.assert_allclose(
                found[ranks][name], expected, rtol=0.0, atol=1e-7 * np.abs(expected).max(), err_msg=name
            )
        # what is kept beside the states belongs to a rank: where points move it is found again
        for name in found[1]["counts"].keys() - {"solves of whole cells for their history"}:
            assert found[ranks]["counts"][name] == pytest.approx(found[1]["counts"][name], rel=1e-6), name
