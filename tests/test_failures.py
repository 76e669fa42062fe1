"""Every rung of the ladder: what fails, what is tried then, and what is left when nothing helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import two_scale
from cells import relative_error
from mpi4py import MPI

from fe2.errors import InputError, MicroSolveError, StepSizeError
from fe2.io.checkpoint_schedule import Checkpoints
from fe2.io.failure_file import read_failure
from fe2.io.replay import replay_failure
from fe2.micro.last_good import KeepsLastGood
from fe2.micro.newton import NewtonOptions
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.physics.viscoplasticity import NortonPerzyna
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

Array = npt.NDArray[np.float64]

LAWS = {"matrix": two_scale.ALUMINIUM, "fibre": two_scale.STEEL}


def rve(laws: Any = None, **options: Any) -> RVE:
    options = {"tolerance": 1e-10, **options}
    return small_strain(two_scale.fibre_cell(), laws or LAWS, options=NewtonOptions(**options))


# ---- the first rung: an increment in parts

YIELDING = np.array([8e-3, -3e-3, 4e-3])
CREEPING = NortonPerzyna(70e3, 0.2, 100.0, reference_rate=1.0, exponent=2.0)
# gradient, and fewer iterations than the whole increment needs
PATHS = {"loading": (YIELDING, 4), "back": (-0.8 * YIELDING, 4), "across": (YIELDING[::-1], 6)}


def solve(model: RVE, gradient: Array, state: Array, dt: float = 1.0) -> tuple[Any, Array]:
    out = state.copy()
    return model.solve(gradient, state, dt, out), out


def yielded() -> Array:
    """State after an increment in which the matrix yields."""
    model = rve()
    return solve(model, YIELDING, model.initial_state())[1]


@pytest.mark.parametrize("path", PATHS)
def test_parts_of_an_increment_are_increments(path):
    """Flux and state are those of so many smaller steps; the whole needs more iterations than allowed."""
    state = rve().initial_state() if path == "loading" else yielded()
    gradient, allowed = PATHS[path]
    model, whole = rve(max_iterations=allowed, tolerance=1e-12), rve(tolerance=1e-12)
    response, out = solve(model, gradient, state)
    assert model.splits == 1
    start, lasting, expected, matches = state[:3], model.lasting_size, [], []
    for parts in (2, 4, 8):
        row = state
        for part in range(1, parts + 1):
            flux, row = solve(whole, start + part / parts * (gradient - start), row, 1.0 / parts)
        expected.append(flux.flux)
        matches.append(
            relative_error(out[:lasting], row[:lasting]) < 1e-8
            and relative_error(response.flux, flux.flux) < 1e-8
        )
    assert matches.count(True) == 1
    # the answer depends on the number of parts: the test tells them apart
    assert relative_error(expected[0], expected[2]) > 1e-7


@pytest.mark.parametrize("path", PATHS)
def test_tangent_of_an_increment_in_parts_is_its_derivative(path):
    """Central differences of the flux, each value of which is computed in the same parts."""
    gradient, allowed = PATHS[path]
    model = rve(max_iterations=allowed, tolerance=1e-12)
    state = model.initial_state() if path == "loading" else yielded()
    response, _ = solve(model, gradient, state)
    step, columns = 1e-7, []
    for k in range(3):
        values = [solve(model, gradient + sign * step * np.eye(3)[k], state)[0].flux for sign in (1, -1)]
        columns.append((values[0] - values[1]) / (2 * step))
    assert model.splits == 7
    assert relative_error(response.tangent, np.transpose(columns)) < 1e-6


def test_increment_of_a_cell_with_a_point_law_is_continued_to_the_same_answer():
    """The law's derivative with respect to its history is not known: the last part is the whole."""
    laws = {**LAWS, "matrix": CREEPING}
    model, whole = rve(laws, max_iterations=4), rve(laws)
    expected, reached = solve(whole, YIELDING, whole.initial_state(), 0.1)
    response, out = solve(model, YIELDING, model.initial_state(), 0.1)
    assert model.splits == 1
    assert relative_error(response.flux, expected.flux) < 1e-8
    assert relative_error(response.tangent, expected.tangent) < 1e-6
    lasting = model.lasting_size
    assert relative_error(out[:lasting], reached[:lasting]) < 1e-7


# ---- by choice: the last good response


def test_last_good_response_is_kept_and_counted():
    """A cell that refuses large strains: its answer goes on as a straight line, its state stays."""
    guarded = two_scale.Guarded(two_scale.plastic_rve(), largest_strain=0.5 * YIELDING[0])
    model = KeepsLastGood(guarded)
    with pytest.raises(MicroSolveError, match="is too large"):
        solve(model, YIELDING, model.initial_state())
    state, last = model.initial_state(), None
    for scale in (0.2, 0.4):
        last, state = solve(model, scale * YIELDING, state)
    inner = guarded.initial_state()
    for scale in (0.2, 0.4):
        expected, inner = solve(guarded, scale * YIELDING, inner)
    np.testing.assert_array_equal(last.flux, expected.flux)
    np.testing.assert_array_equal(model.inner(state), inner)
    assert model.report()["answers kept where cells failed"] == 0
    kept, out = solve(model, YIELDING, state)
    np.testing.assert_allclose(kept.flux, last.flux + last.tangent @ (0.6 * YIELDING), rtol=1e-12)
    np.testing.assert_array_equal(out, state)
    assert model.report()["answers kept where cells failed"] == 1


def test_run_with_the_fallback_finishes_and_its_summary_says_how(tmp_path):
    guarded = two_scale.Guarded(two_scale.plastic_rve(), largest_strain=0.003)
    with pytest.raises(StepSizeError, match="is too large"):
        pulled(guarded, None)[0].run()
    summary = pulled(KeepsLastGood(guarded), tmp_path)[0].run()
    assert summary.finished
    assert summary.models["answers kept where cells failed"] > 0
    assert "answers kept where cells failed" in (tmp_path / "summary.txt").read_text()


# ---- the last rung: the run ends


def pulled(micro: Any, folder: Path | None, **options: Any) -> tuple[Simulation, two_scale.Specimen]:
    """A strip that yields in the second of its three steps."""
    mesh = two_scale.distorted(MPI.COMM_WORLD, (2, 1), (2.0, 1.0))
    strip = two_scale.clamped(mesh, micro, {"snes_rtol": 1e-9})

    def apply(time: float) -> None:
        strip.displacement.value = 0.001 * 8.0**time, 0.0

    steps = LoadSteps((0.0, 1.0, 2.0), apply, options.pop("smallest", 0.5))
    return Simulation(strip.problem, steps, output=folder, quiet=True, **options), strip


@pytest.fixture(scope="module")
def failure(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, two_scale.Specimen]:
    """A run that ends because its cells may not iterate; folder, message, and what the run left."""
    folder = tmp_path_factory.mktemp("failure")
    simulation, strip = pulled(
        rve(max_iterations=1, parts=1, strategy="newton"), folder, checkpoint=Checkpoints()
    )
    with pytest.raises(StepSizeError) as caught:
        simulation.run()
    return folder, str(caught.value), strip


def test_run_that_ends_leaves_a_file_of_the_cell_that_failed(failure):
    folder, message, strip = failure
    failed = read_failure(folder / "failure.h5")
    assert message.endswith(f"fe2.replay_failure('{folder / 'failure.h5'}', micro)")
    assert failed.message in message
    assert f"macroscopic cell {failed.cell}, quadrature point {failed.point}," in failed.message
    assert "did not converge in 1 iteration" in failed.message
    row = 4 * list(strip.law.cells).index(failed.cell) + failed.point
    np.testing.assert_array_equal(strip.law.coordinates()[row], failed.coordinates)
    np.testing.assert_array_equal(strip.law.pool.states[row, : len(failed.state)], failed.state)
    assert failed.case is None


def test_failed_cell_is_solved_again_by_itself(failure):
    """It fails as in the run, and with more iterations it does not."""
    file = failure[0] / "failure.h5"
    again = replay_failure(file, rve(max_iterations=1, parts=1))
    assert again.response is None
    assert again.failed.message.endswith(again.error)
    assert len(again.norms) >= 2
    solved = replay_failure(file, rve())
    assert solved.error == ""
    assert solved.norms[: len(again.norms)] == again.norms
    assert solved.norms[-1] < 1e-8 * solved.norms[0]
    state, out = read_failure(file).state_of(rve()), rve().initial_state()
    expected = rve().solve(solved.failed.gradient, state, solved.failed.dt, out)
    assert solved.response is not None
    np.testing.assert_array_equal(solved.response.flux, expected.flux)


def test_cell_behind_a_fallback_is_replayed(tmp_path):
    """Nothing was good yet, so the cell's failure ends the run; by itself the cell fails as it did there."""
    hopeless = {"max_iterations": 1, "parts": 1, "strategy": "newton"}
    with pytest.raises(StepSizeError, match=r"To solve this RVE by itself: fe2\.replay_failure"):
        pulled(KeepsLastGood(rve(**hopeless)), tmp_path)[0].run()
    again = replay_failure(tmp_path / "failure.h5", KeepsLastGood(rve(**hopeless)))
    assert again.failed.message.endswith(again.error)
    solved = replay_failure(tmp_path / "failure.h5", KeepsLastGood(rve()))
    assert solved.norms[: len(again.norms)] == again.norms
    assert isinstance(solved.rve, RVE)
    assert solved.response is not None


def test_replay_is_not_offered_where_no_cell_was_solved(tmp_path):
    model = two_scale.Guarded(two_scale.plastic_rve(), largest_strain=0.003)
    with pytest.raises(StepSizeError, match=r"Gradient and state of this point are in .*failure\.h5$"):
        pulled(model, tmp_path)[0].run()
    with pytest.raises(InputError, match="there is no whole cell behind a Guarded"):
        replay_failure(tmp_path / "failure.h5", model)


def test_replay_with_another_cell_is_refused_with_the_difference(failure):
    softer = {**LAWS, "matrix": two_scale.SOFT}
    with pytest.raises(
        InputError, match=r"not the micro model that failed: .*matrix.type was 'J2Plasticity'"
    ):
        replay_failure(failure[0] / "failure.h5", rve(softer))
    with pytest.raises(InputError, match=r"nowhere\.h5 cannot be read as the file of a failure"):
        read_failure(failure[0] / "nowhere.h5")


def test_run_goes_on_from_before_its_failure_with_other_options(failure, tmp_path):
    """The checkpoint that a failed run leaves is that of its last accepted step."""
    place = Checkpoints(folder=failure[0] / "checkpoint")
    simulation, _ = pulled(rve(), None, checkpoint=place, resume=True)
    assert simulation.run().finished
    straight, _ = pulled(rve(), None)
    straight.run()
    assert [r.time for r in simulation.records][-1] == straight.records[-1].time
