"""Whole runs: records and results of load steps, rejected steps that leave no trace, runs that fail."""

from __future__ import annotations

import json

import numpy as np
import pytest
import two_scale
import ufl
from dolfinx import fem
from mpi4py import MPI
from two_scale import ALUMINIUM, Guarded, Specimen

from fe2.errors import InputError, StepSizeError
from fe2.io.results import Results, read_history
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.model import MicroModel
from fe2.physics.small_strain import mandel_strain
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps, ramp
from fe2.stiffness import bulk_modulus, shear_modulus

WORLD = MPI.COMM_WORLD
# loading, a hold, unloading, reverse loading
LOAD = ramp([(0.0, 0.0), (1.0, 0.012), (1.5, 0.012), (2.0, 0.009), (3.0, -0.006)])
PLAN = (0.0, 1.0, 1.5, 2.0, 3.0)


def simulation(strip: Specimen, times=PLAN, *, smallest: float = 2.0**-6, **options) -> Simulation:
    """Run of a clamped strip that is pulled along, and half as much across."""

    def apply(time: float) -> None:
        strip.displacement.value = LOAD(time), 0.5 * LOAD(time)

    steps = LoadSteps(times, apply, smallest)
    return Simulation(strip.problem, steps, reactions={"grip": strip.right}, quiet=True, **options)


def clamped(micro: MicroModel) -> Specimen:
    mesh = two_scale.distorted(WORLD, (3, 2), (2.0, 1.0))
    return two_scale.clamped(mesh, micro, {"snes_rtol": 1e-10})


@pytest.fixture(scope="module")
def reference() -> tuple[Specimen, Simulation]:
    """A run with the plan only, in which nothing fails."""
    strip = clamped(Guarded(two_scale.plastic_rve()))
    run = simulation(strip, loads={"pull": strip.displacement, "squared": lambda: LOAD(2.5) ** 2})
    summary = run.run()
    assert summary.finished
    assert summary.rejected == 0
    return strip, run


def test_records_follow_the_plan(reference):
    strip, run = reference
    assert [record.step for record in run.records] == [1, 2, 3, 4]
    assert [record.time for record in run.records] == list(PLAN[1:])
    for record in run.records:
        np.testing.assert_allclose(record.loads["pull"], [LOAD(record.time), 0.5 * LOAD(record.time)])
        assert record.loads["squared"] == LOAD(2.5) ** 2
        assert record.micro_solves == strip.problem.points * len(record.residuals)
        assert len(record.residuals) == record.iterations + 1
    assert strip.problem.points == 6 * 4


def test_hold_and_unloading_of_a_plastic_strip(reference):
    """Nothing happens in a rate-independent hold; unloading is stiffer than loading."""
    _, run = reference
    force = [record.reactions["grip"][0] for record in run.records]
    assert run.records[1].iterations == 0
    assert force[1] == pytest.approx(force[0], rel=1e-12)
    unloading, loading = (force[1] - force[2]) / 0.003, force[0] / 0.012
    assert unloading > 1.5 * loading
    assert force[3] < 0.0


def uniaxial_stress(strains: list[float]) -> list[float]:
    """Stress of the elastoplastic material in uniaxial strain: exact for steps of any size.

    The deviator is proportional to its axial part: with q the signed equivalent stress, radial return
    is one-dimensional, and backward Euler is exact on every monotone part of the path.
    """
    bulk, shear = bulk_modulus(70e3, 0.2), shear_modulus(70e3, 0.2)
    plastic, accumulated, stresses = 0.0, 0.0, []
    for strain in strains:
        trial = 2.0 * shear * strain - 3.0 * shear * plastic
        excess = max(0.0, abs(trial) - ALUMINIUM.yield_stress - ALUMINIUM.hardening * accumulated)
        increment = excess / (3.0 * shear + ALUMINIUM.hardening)
        plastic, accumulated = plastic + np.sign(trial) * increment, accumulated + increment
        stresses.append(bulk * strain + 2.0 / 3.0 * (2.0 * shear * strain - 3.0 * shear * plastic))
    return stresses


@pytest.mark.parametrize("longest_step", [np.inf, 0.3])
def test_proportional_loading_is_exact_whatever_was_rejected(longest_step):
    """Reactions at the planned times, with and without halved steps."""
    micro = Guarded(two_scale.uniform_plastic_rve(), longest_step=longest_step)
    strip = two_scale.uniaxial_strain(two_scale.rectangle(WORLD), micro)
    steps = LoadSteps(PLAN, lambda time: setattr(strip.displacement, "value", LOAD(time)))
    run = Simulation(strip.problem, steps, reactions={"grip": strip.right}, quiet=True)
    summary = run.run()
    assert (summary.rejected > 0) == np.isfinite(longest_step)
    at_plan = {record.time: record.reactions["grip"][0] for record in run.records}
    expected = uniaxial_stress([LOAD(time) / 2.0 for time in PLAN[1:]])
    assert [at_plan[time] for time in PLAN[1:]] == pytest.approx(expected, rel=1e-9)


def test_run_with_rejected_steps_equals_the_run_without_them():
    """The run that finds its steps by failing, and the run whose plan has these steps."""
    searching = clamped(Guarded(two_scale.plastic_rve(), longest_step=0.3, largest_strain=0.05))
    found = simulation(searching)
    summary = found.run()
    times = [record.time for record in found.records]
    assert summary.rejected > 0
    assert set(PLAN[1:]) < set(times)
    assert np.diff([0.0, *times]).max() <= 0.3

    planned = clamped(Guarded(two_scale.plastic_rve()))
    straight = simulation(planned, (0.0, *times))
    assert straight.run().rejected == 0
    for one, other in zip(found.records, straight.records, strict=True):
        assert one.iterations == other.iterations
        np.testing.assert_allclose(one.reactions["grip"], other.reactions["grip"], rtol=1e-12)
    np.testing.assert_allclose(searching.unknown.x.array, planned.unknown.x.array, rtol=0.0, atol=1e-14)
    states, expected = searching.law.pool.states, planned.law.pool.states
    np.testing.assert_allclose(states, expected, rtol=0.0, atol=1e-12 * np.abs(expected).max())


def test_step_that_fails_within_newtons_iteration_is_halved_and_grows_again():
    """The micro models take an increment that full steps pass on first loading, and none on unloading."""
    plan = PLAN[:-1]
    searching = clamped(Guarded(two_scale.plastic_rve(), largest_increment=0.004))
    found = simulation(searching, plan)
    assert found.run().rejected > 0
    times = [0.0, *(record.time for record in found.records)]
    assert set(plan) < set(times)
    assert times[1] <= 0.5 * plan[1]
    assert times[-1] - times[-2] == plan[-1] - plan[-2]
    straight = simulation(clamped(Guarded(two_scale.plastic_rve())), times)
    assert straight.run().rejected == 0
    for one, other in zip(found.records, straight.records, strict=True):
        np.testing.assert_allclose(one.reactions["grip"], other.reactions["grip"], rtol=1e-12)


def test_time_step_of_the_micro_models_is_the_step_that_is_tried():
    """Relaxation under a held strain by backward Euler: s = C g / (1 + Δt/τ) in each step."""
    stiffness = two_scale.elastic_rve().linearized().tangent
    micro = Guarded(two_scale.Maxwell(stiffness, relaxation_time=2.0), longest_step=0.3)
    strip = two_scale.uniaxial_strain(two_scale.rectangle(WORLD), micro)
    steps = LoadSteps(
        (0.0, 1e-9, 1.0), lambda time: setattr(strip.displacement, "value", 0.02 * (time > 0.0))
    )
    run = Simulation(strip.problem, steps, reactions={"grip": strip.right}, quiet=True)
    run.run()
    stress, previous = stiffness[0, 0] * 0.01, 0.0
    for record in run.records:
        stress /= 1.0 + (record.time - previous) / 2.0
        previous = record.time
        assert record.reactions["grip"][0] == pytest.approx(stress, rel=1e-9)


def test_run_ends_below_the_smallest_step_with_the_place_of_the_failure(reference, tmp_path):
    """Strains too large for the material: everything up to the last accepted step is kept and on disk."""
    strip = clamped(Guarded(two_scale.plastic_rve(), largest_strain=0.006))
    run = simulation(strip, smallest=0.125, output=tmp_path)
    with pytest.raises(StepSizeError) as caught:
        run.run()
    message = str(caught.value)
    assert "load step 1 failed at the smallest step size, from time" in message
    for word in ("macroscopic cell", "quadrature point", "coordinates (", "strain (xx, yy, xy) = ("):
        assert word in message

    assert run.records
    last = run.records[-1]
    assert 0.0 < last.time < 1.0
    straight = clamped(Guarded(two_scale.plastic_rve()))
    simulation(straight, (0.0, *(record.time for record in run.records))).run()
    np.testing.assert_allclose(strip.unknown.x.array, straight.unknown.x.array, rtol=0.0, atol=1e-14)
    np.testing.assert_allclose(strip.law.pool.states, straight.law.pool.states, rtol=0.0, atol=1e-12)

    history = read_history(tmp_path)
    assert history["time"].tolist() == [record.time for record in run.records]
    assert history["grip_x"][-1] == last.reactions["grip"][0]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["finished"] is False
    assert summary["time"] == last.time
    assert summary["rejected"] > last.rejected


def test_failed_first_step_leaves_the_virgin_body():
    strip = clamped(Guarded(two_scale.plastic_rve(), longest_step=1e-6))
    run = simulation(strip, smallest=0.5)
    with pytest.raises(StepSizeError, match=r"a time step of 0\.5 is too long"):
        run.run()
    assert run.records == []
    assert not strip.unknown.x.array.any()
    assert not strip.law.pool.states[:, : strip.law.micro.lasting_size].any()


def test_rejected_work_is_counted():
    strip = clamped(Guarded(two_scale.plastic_rve(), longest_step=0.6))
    run = simulation(strip, (0.0, 1.0))
    summary = run.run()
    assert summary.rejected == 1
    assert [record.rejected for record in run.records] == [1, 1]
    assert summary.steps == 2
    assert summary.micro_solves == sum(strip.problem.points * len(record.residuals) for record in run.records)


def test_function_after_each_step_sees_accepted_steps_only():
    strip = clamped(Guarded(two_scale.plastic_rve(), longest_step=0.6))
    times, displacements = [], []

    def after(time: float) -> None:
        times.append(time)
        displacements.append(strip.unknown.x.array.max())

    run = simulation(strip, (0.0, 1.0, 2.0), observers=[after])
    run.run()
    assert times == [record.time for record in run.records] == [0.5, 1.0, 1.5, 2.0]
    assert displacements == pytest.approx([0.006, 0.012, 0.012, 0.009], rel=1e-2)


def test_a_rate_of_the_users_own_form_is_updated_after_each_step():
    """Storage c u̇ in the user's form: backward Euler needs the last u, which `after_step` keeps."""
    mesh = two_scale.rectangle(WORLD, (2, 1))
    space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, before, v = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(mandel_strain(u), two_scale.Maxwell(np.eye(3)), quadrature_degree=2)
    drag, dt = 3.0, 0.25
    form = ufl.dot(law.flux, mandel_strain(v)) * law.dx
    form += drag * ufl.dot(u - before, v) / dt * ufl.dx - v[0] * ufl.dx
    problem = MacroProblem(form, u, law)
    steps = LoadSteps((0.0, 0.25, 0.5, 0.75), lambda time: None)
    keep = lambda time: before.x.array.__setitem__(slice(None), u.x.array)  # noqa: E731
    Simulation(problem, steps, observers=[keep], quiet=True).run()
    # a free body under a unit force and drag moves at 1/c
    np.testing.assert_allclose(u.x.array.reshape(-1, 2)[:, 0], 0.75 / drag, rtol=1e-9)


def test_results_are_not_overwritten_unless_asked_for(tmp_path):
    strip = clamped(two_scale.elastic_rve())
    simulation(strip, (0.0, 1.0), output=tmp_path).run()
    with pytest.raises(InputError, match="overwrite"):
        simulation(strip, (0.0, 1.0), output=tmp_path)
    simulation(strip, (0.0, 1.0, 2.0), output=tmp_path, overwrite=True).run()
    assert len(read_history(tmp_path)["time"]) == 2


def test_output_changes_nothing(reference, tmp_path):
    strip = clamped(Guarded(two_scale.plastic_rve()))
    run = simulation(strip, output=Results(tmp_path, watch=[(0.1, 0.9)]))
    run.run()
    for one, other in zip(run.records, reference[1].records, strict=True):
        np.testing.assert_allclose(one.reactions["grip"], other.reactions["grip"], rtol=1e-12)
    assert read_history(tmp_path)["grip_y"].tolist() == [
        record.reactions["grip"][1] for record in run.records
    ]
