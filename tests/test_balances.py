"""What runs say of heat and work: what was supplied, stored and done, against exact answers."""

from __future__ import annotations

import warnings

import cooling
import coupled
import numpy as np
import pytest
import two_scale
from mpi4py import MPI

from fe2.errors import Fe2Warning
from fe2.io.history import read_history
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

WORLD = MPI.COMM_WORLD


@pytest.mark.parametrize(("scheme", "order"), [("backward_euler", 1), ("bdf2", 2)])
def test_heat_that_is_lost_was_stored(tmp_path, scheme, order):
    """What cells and the body besides store is their capacity times the change, whatever the scheme."""
    found = cooling.body(WORLD, scheme)
    Simulation(found.problem, LoadSteps(cooling.PLAN, lambda t: None), output=tmp_path, quiet=True).run()
    history = read_history(tmp_path)
    area, capacity = 2.0, sum(cooling.CAPACITIES)
    change = np.array(cooling.integrated(cooling.PLAN, order)[1:]) - cooling.START
    np.testing.assert_allclose(history["T_stored"], area * capacity * change, rtol=1e-10)
    np.testing.assert_allclose(history["T_supplied"], history["T_stored"], rtol=1e-10)
    assert np.abs(history["T_missing"]).max() < 1e-12
    assert f"{history['T_stored'][-1]:.6g}" in (tmp_path / "summary.txt").read_text()


def test_heat_of_a_run_that_follows_another_one_is_its_own():
    """The first step of BDF2 then has a past of which this run's sums know nothing."""
    problem = cooling.body(WORLD, "bdf2").problem
    for times in cooling.PLAN[:4], cooling.PLAN[3:]:
        before = float(problem.functions[0].x.array[0])
        simulation = Simulation(problem, LoadSteps(times, lambda time: None), quiet=True)
        simulation.run()
        change = cooling.content(problem.functions[0].x.array[0]) - cooling.content(before)
        assert simulation.records[-1].balances["T_stored"] == pytest.approx(change, rel=1e-9)


@pytest.mark.parametrize("steps", [1, 3])
def test_work_of_an_elastic_strip_is_its_energy_whatever_the_steps(steps):
    """Half of force times displacement, done by the support."""
    strip = two_scale.uniaxial_strain(two_scale.rectangle(WORLD), two_scale.elastic_rve().linearized())
    plan = LoadSteps(np.linspace(0.0, 1.0, steps + 1), lambda t: strip.displacement.value.fill(0.01 * t))
    simulation = Simulation(strip.problem, plan, quiet=True)
    simulation.run()
    work, inside, missing = simulation.records[-1].balances.values()
    assert work == pytest.approx(0.5 * strip.problem.reaction(strip.right)[0] * 0.01, rel=1e-10)
    assert (inside, missing) == (pytest.approx(work, rel=1e-10), pytest.approx(0.0, abs=1e-10 * work))


def test_iteration_that_is_ended_early_is_told():
    """Beside a law that locks the rest of the body takes what is prescribed: this is not linear."""
    problem, _ = two_scale.half_homogenized(
        two_scale.rectangle(WORLD), two_scale.Locking(young=1e5, limit=0.02)
    )
    problem.snes.setTolerances(rtol=0.1)
    with pytest.warns(Fe2Warning, match=r"the balance of f lacks \S+ of what passes in a step"):
        Simulation(problem, LoadSteps([0.0, 1.0], lambda t: None), quiet=True).run()


def test_heat_and_work_of_a_coupled_body_go_on_after_a_restart(tmp_path):
    """All heat of the source is in the entropy; the work is the mean stress times the change of strain."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Fe2Warning)
        coupled.run(WORLD, tmp_path / "parts", 2)
        coupled.run(WORLD, tmp_path / "parts", 4)
        coupled.run(WORLD, tmp_path / "whole", 4)
    parts, whole = read_history(tmp_path / "parts"), read_history(tmp_path / "whole")
    area = 2.0
    np.testing.assert_allclose(whole["T_stored"], area * coupled.SOURCE * whole["time"], rtol=1e-9)
    strains = coupled.STRETCH * np.array([0.0, *whole["time"]]) / 2.0
    temperatures = [coupled.temperature(e, t) for e, t in zip(strains, [0.0, *whole["time"]], strict=True)]
    stresses = coupled.stiffness()[0, 0] * strains - coupled.thermal_stress()[0] * np.array(temperatures)
    steps = 0.5 * (stresses[1:] + stresses[:-1]) * np.diff(strains)
    np.testing.assert_allclose(whole["u_work"], area * np.cumsum(steps), rtol=1e-8)
    for name in ("T_supplied", "T_stored", "u_work", "u_internal_work"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-12)
    assert np.abs(whole["u_missing_work"]).max() < 1e-9 * np.abs(whole["u_work"]).max()
