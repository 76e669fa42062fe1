"""The adaptive strategy of cells: the same results as full Newton iterations, for a fraction of the work."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import two_scale
from mpi4py import MPI
from petsc4py import PETSc
from two_scale import Specimen

from fe2 import profile
from fe2.errors import InputError, MicroSolveError
from fe2.io.progress import Progress
from fe2.macro.law import Array
from fe2.micro.diffusion import diffusion
from fe2.micro.homogenize import condensed_tangent, flux_correction, homogenized_flux
from fe2.micro.newton import NewtonOptions, with_database
from fe2.micro.points import NOWHERE, Step
from fe2.micro.rve import RVE
from fe2.physics.conduction import LinearConduction, NonlinearConduction
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

WORLD = MPI.COMM_WORLD
# loading, more loading with bending, unloading, unloading further, reverse loading
CYCLE = ((0.006, 0.0), (0.012, 0.004), (0.010, 0.003), (0.009, 0.0025), (-0.008, 0.0))
GRADIENT = 1e-3 * np.array([4.0, -1.0, 2.0])


def strip(strategy: str, rtol: float = 1e-10) -> Specimen:
    rve = two_scale.plastic_rve(strategy)
    return two_scale.clamped(two_scale.rectangle(WORLD), rve, {"snes_rtol": rtol})


def cycle(specimen: Specimen, steps: Sequence[tuple[float, float]] = CYCLE) -> dict[str, Array]:
    """Displacements, lasting states and Newton iterations at the end of each step, and all work."""
    start = profile.snapshot()
    size = specimen.law.micro.lasting_size
    rows = []
    for step in steps:
        iterations = specimen.step(step)
        reaction = specimen.problem.reaction(specimen.right)
        rows.append((specimen.unknown.x.array.copy(), specimen.law.pool.states[:, :size].copy(), reaction))
        rows[-1] += (iterations,)
    names = ("displacement", "states", "reaction", "iterations")
    result = {name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    return {**result, "counts": profile.snapshot().since(start).counts}


@pytest.fixture(scope="module")
def cycles() -> dict[str, dict[str, Array]]:
    return {strategy: cycle(strip(strategy)) for strategy in ("newton", "adaptive")}


@pytest.mark.parametrize("name", ["displacement", "states", "reaction"])
def test_strategies_agree_to_the_tolerance_of_the_solvers(cycles, name):
    """Residuals of 1e-10 of the forces on both scales, times the condition of a flowing cell."""
    one, two = (cycles[strategy][name] for strategy in ("newton", "adaptive"))
    np.testing.assert_allclose(two, one, rtol=0.0, atol=1e-7 * np.abs(one).max())


def test_adaptive_strategy_needs_a_fraction_of_the_factorizations(cycles):
    plain, adaptive = (cycles[strategy]["counts"] for strategy in ("newton", "adaptive"))
    assert plain["factorizations"] >= 6 * adaptive["factorizations"]
    assert adaptive["accepted"] > 0
    # about one factorization for each point that was solved, and no more residuals than it needs
    assert adaptive["factorizations"] <= 1.3 * adaptive["solved"]
    assert adaptive["fallbacks"] == 0


def test_unloading_takes_one_iteration(cycles):
    """Cells that begin to unload answer elastically at once; those of Newton's start do not."""
    counts = cycles["adaptive"]["counts"]
    assert counts["reversals"] > 0
    assert cycles["adaptive"]["iterations"][3] == 1


def test_linear_response_costs_two_residuals_and_nothing_else():
    """One at the start of the step, whose gradient is the old one, and one at its end."""
    specimen = strip("adaptive")
    specimen.step((1e-5, 0.0))
    work = cycle(specimen, [(1e-4, 5e-5), (2e-4, 0.0), (-1e-4, 5e-5)])
    points = specimen.problem.points
    assert list(work["iterations"]) == [1, 1, 1]
    assert work["counts"]["residuals"] <= 3 * 2 * points + points  # + points that are asked if they unload
    assert work["counts"]["factorizations"] == work["counts"]["solves"] == work["counts"]["assemblies"] == 0


def test_committed_states_are_in_equilibrium_to_the_full_tolerance(cycles):
    """Solved again from the states before, every point gives the state that was committed."""
    states, rve = cycles["adaptive"]["states"], two_scale.plastic_rve("newton")
    out = np.empty(rve.state_size)
    for before, after in pairwise(states):
        for point in range(0, states.shape[1], 5):
            rve.solve(after[point, :3], before[point], 1.0, out)
            np.testing.assert_allclose(out, after[point], rtol=0.0, atol=1e-8 * np.abs(out).max())


def test_given_up_step_leaves_no_trace():
    """Nor does what cells remember to save work: the rows are those of the commit, bit by bit."""
    straight, detour = strip("adaptive"), strip("adaptive")
    for specimen in (straight, detour):
        specimen.step(CYCLE[0])
    detour.displacement.value = (0.02, 0.01)
    detour.problem.solve()
    detour.problem.rollback()
    detour.unknown.x.array[:] = straight.unknown.x.array
    for specimen in (straight, detour):
        specimen.step(CYCLE[1])
    np.testing.assert_array_equal(detour.law.pool.states, straight.law.pool.states)


def test_polish_that_fails_fails_the_step(monkeypatch):
    specimen = strip("adaptive")
    specimen.step(CYCLE[0])
    before, states = specimen.unknown.x.array.copy(), specimen.law.pool.states.copy()

    def respond(self, gradient, committed, trial, point, step, respond=RVE.respond):
        if step.wanted == "polish":
            raise MicroSolveError("a cell that cannot be polished")
        return respond(self, gradient, committed, trial, point, step)

    monkeypatch.setattr(RVE, "respond", respond)
    specimen.displacement.value = CYCLE[1]
    with pytest.raises(MicroSolveError, match=r"macroscopic cell \d+.*cannot be polished"):
        specimen.problem.solve()
    specimen.problem.rollback()
    np.testing.assert_array_equal(specimen.unknown.x.array, before)
    np.testing.assert_array_equal(specimen.law.pool.states, states)


def test_approach_that_fails_is_solved_from_the_committed_state():
    rve, dt = two_scale.plastic_rve(), 1.0
    spoilt = rve.initial_state()
    spoilt[rve.lasting_size :] = np.nan
    exact, start = np.empty(rve.state_size), profile.snapshot()
    expected = rve.solve(GRADIENT, rve.initial_state(), dt, exact)
    response = rve.respond(
        GRADIENT, rve.initial_state(), spoilt, NOWHERE, Step(dt, wanted="approach", accuracy=1e-2)
    )
    assert profile.snapshot().since(start).counts["fallbacks"] == 1
    np.testing.assert_array_equal(response.flux, expected.flux)
    np.testing.assert_array_equal(spoilt, exact)


def test_restored_state_answers_as_the_one_that_was_stored():
    """A checkpoint keeps the lasting part; the rest comes from the virgin state."""
    rve, dt = two_scale.plastic_rve(), 1.0
    stored = np.empty(rve.state_size)
    rve.solve(GRADIENT, rve.initial_state(), dt, stored)
    restored = rve.initial_state()
    restored[: rve.lasting_size] = stored[: rve.lasting_size]
    for factor in (1.0, 0.9, 1.5):
        answers = []
        for state in (stored, restored):
            out = state.copy()
            rve.respond(factor * GRADIENT, state, out, NOWHERE, Step(dt, wanted="approach", accuracy=1e-3))
            answers.append(
                rve.respond(factor * GRADIENT, state, out, NOWHERE, Step(dt, wanted="polish")).flux
            )
        np.testing.assert_allclose(*answers, rtol=1e-7)


def test_polish_reaches_the_tolerance_from_a_loose_answer():
    rve, out = two_scale.plastic_rve(), two_scale.plastic_rve().initial_state()
    exact = np.empty(rve.state_size)
    expected = rve.solve(GRADIENT, rve.initial_state(), 1.0, exact)
    loose = rve.respond(
        GRADIENT, rve.initial_state(), out, NOWHERE, Step(1.0, wanted="approach", accuracy=1e-1)
    )
    polished = rve.respond(GRADIENT, rve.initial_state(), out, NOWHERE, Step(1.0, wanted="polish"))
    assert np.linalg.norm(polished.flux - expected.flux) < 1e-8 * np.linalg.norm(expected.flux)
    assert np.linalg.norm(loose.flux - expected.flux) > np.linalg.norm(polished.flux - expected.flux)
    size = rve.lasting_size
    np.testing.assert_allclose(out[:size], exact[:size], rtol=0.0, atol=1e-8 * np.abs(exact[:size]).max())


def flux_errors(rve: RVE, gradient: Array, distances: Sequence[float]) -> tuple[Array, Array]:
    """Errors of the flux at so many times the fluctuation from equilibrium, plain and corrected."""
    newton = rve._newton
    rve._problem.load(rve.initial_state(), 0.0)
    exact = newton.equilibrate(gradient, np.zeros(rve.unknowns))
    wanted = homogenized_flux(newton, exact.nodal)
    away = np.abs(exact.fluctuation).max() * np.random.default_rng(1).normal(size=rve.unknowns)
    errors = []
    for distance in distances:
        point = newton.start(gradient, exact.fluctuation + distance * away)
        plain = homogenized_flux(newton, point.nodal)
        newton.linearize()
        correction = flux_correction(newton, point.residual, condensed_tangent(newton).sensitivity)
        errors.append([np.linalg.norm(plain - wanted), np.linalg.norm(plain + correction - wanted)])
    return tuple(np.array(errors).T / np.linalg.norm(wanted))


def test_error_of_the_corrected_flux_is_of_second_order():
    """Halving the distance to equilibrium quarters it."""
    _, corrected = flux_errors(two_scale.plastic_rve(), GRADIENT, (0.004, 0.002, 0.001))
    np.testing.assert_allclose(np.log2(corrected[:-1] / corrected[1:]), 2.0, atol=0.2)


def test_flux_is_corrected_with_the_forces_of_the_modes_where_the_tangent_is_not_symmetric():
    """The flux depends on the temperature, the storage not on the gradient; linear in the fluctuation."""
    law = NonlinearConduction(lambda temperature: 1.0 + temperature**2)
    rve = diffusion(two_scale.fibre_cell(), {"matrix": law, "fibre": LinearConduction(10.0)}, value=True)
    assert not rve.form.symmetric
    plain, corrected = flux_errors(rve, np.ones(rve.kinematics.size), (0.2, 0.1))
    assert np.all(plain > 1e-3)
    assert np.all(corrected < 1e-12)


def test_strategy_that_there_is_not_is_refused():
    with pytest.raises(InputError, match=r"strategy = 'best'.*adaptive, newton"):
        NewtonOptions(strategy="best")


def test_option_of_petsc_chooses_the_strategy():
    database = PETSc.Options("fe2_micro_")
    try:
        database["strategy"] = "newton"
        assert with_database(NewtonOptions(tolerance=1e-3)) == NewtonOptions(
            tolerance=1e-3, strategy="newton"
        )
        database["strategy"] = "best"
        with pytest.raises(InputError, match=r"strategy = 'best'.*adaptive, newton"):
            with_database(None)
    finally:
        database.delValue("strategy")
    assert with_database(None) == NewtonOptions()


def test_summary_and_profile_say_what_was_done(tmp_path, capsys):
    specimen = strip("adaptive")
    steps = LoadSteps([0.0, 1.0, 2.0], lambda time: specimen.displacement.value.__setitem__(0, 0.006 * time))
    summary = Simulation(specimen.problem, steps, output=tmp_path, observers=[Progress(profile=True)]).run()
    content = json.loads((tmp_path / "summary.json").read_text())
    assert content["work"] == dict(summary.work)
    assert summary.work["factorizations"] >= summary.work["solved"] > 0
    assert 0.0 < sum(summary.phases.values()) <= summary.seconds
    assert summary.choices["strategy of cells"].startswith("adaptive: ")
    assert "are few" in summary.choices["linear solver of cells"]
    text = (tmp_path / "summary.txt").read_text()
    assert f"factorizations: {summary.work['factorizations']}" in " ".join(text.split())
    printed = capsys.readouterr().out
    for name in (*profile.PHASES.values(), "the rest"):
        assert name in printed
