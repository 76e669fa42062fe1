"""Databases of solved paths, what survives a kill, and the potential that interpolates them."""

from __future__ import annotations

import json
import os
import signal
import time
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import two_scale
from case_files import GENERATOR_CELL, RUN, changed, write
from mpi import mpiexec, start, succeeded
from mpi4py import MPI

from fe2 import profile
from fe2.cli.main import run
from fe2.errors import InputError
from fe2.hierarchical.database import Database, read_database
from fe2.hierarchical.interpolation import InterpolatedModel
from fe2.hierarchical.paths import Path as GradientPath
from fe2.hierarchical.paths import cyclic, monotonic
from fe2.hierarchical.ranged_model import RangedModel
from fe2.hierarchical.recorded import GradientRecorder, recorded_paths
from fe2.hierarchical.sampling import sample
from fe2.hierarchical.solved_path import solve_path
from fe2.io.history import read_history
from fe2.micro.finite_strain import finite_strain
from fe2.micro.rve import RVE
from fe2.physics.neo_hookean import NeoHookean
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

pytestmark = pytest.mark.slow

AMPLITUDE = 3e-3


def assert_same(one: Database, other: Database) -> None:
    assert one.identity == other.identity
    assert len(one.paths) == len(other.paths)
    for a, b in zip(one.paths, other.paths, strict=True):
        np.testing.assert_array_equal(a.gradients, b.gradients)
        for name in ("steps", "fluxes", "tangents", "states"):
            values = getattr(a, name)
            np.testing.assert_allclose(getattr(b, name), values, rtol=1e-9, atol=1e-9 * np.abs(values).max())


# ---- paths


def test_solved_path_holds_what_the_cell_answered():
    rve = two_scale.plastic_rve()
    (path,) = cyclic(rve.kinematics, AMPLITUDE, count=1, steps=3)
    solved = solve_path(rve, path)
    np.testing.assert_array_equal(solved.gradients, path.gradients)
    state, size = rve.initial_state(), rve.lasting_size
    for k, (gradient, dt) in enumerate(zip(path.gradients, path.steps, strict=True)):
        new = state.copy()
        response = rve.solve(gradient, state, dt, new)
        np.testing.assert_allclose(solved.fluxes[k], response.flux, rtol=1e-10)
        np.testing.assert_allclose(solved.tangents[k], response.tangent, rtol=1e-8, atol=1.0)
        np.testing.assert_allclose(solved.states[k + 1], new[:size], atol=1e-10)
        state = new
    averages = rve.averages(state[None, :])
    assert averages.keys() == solved.averages.keys()
    for name, values in averages.items():
        np.testing.assert_allclose(solved.averages[name][-1:], values, atol=1e-12)
    assert max(np.abs(values).max() for values in averages.values()) > 1e-4  # it has yielded


def test_path_without_tangents_is_the_same_path_for_fewer_factorizations():
    """Both are in equilibrium to the tolerance of the cell, 1e-10 of the forces."""
    rve = two_scale.plastic_rve()
    (path,) = cyclic(rve.kinematics, AMPLITUDE, count=1, steps=3)
    solved, works = [], []
    for tangents in (True, False):
        start = profile.snapshot()
        solved.append(solve_path(rve, path, tangents=tangents))
        works.append(profile.snapshot().since(start).counts["factorizations"])
    exact, quick = solved
    assert quick.tangents.shape == (0, 3, 3)
    assert works[1] < works[0]
    for name in ("fluxes", "states"):
        one, two = getattr(exact, name), getattr(quick, name)
        np.testing.assert_allclose(two, one, rtol=0.0, atol=1e-7 * np.abs(one).max())


def test_path_that_fails_is_kept_up_to_there():
    limit = 1.0
    path = GradientPath(np.array([1.0, 2.0]), np.array([[0.5, 0.0, 0.0], [1.5 * limit, 0.0, 0.0]]))
    solved = solve_path(two_scale.Locking(limit=limit), path)
    assert solved.failure == "step 1: the material is locked"
    assert 0.5 < solved.gradients[-1, 0] < limit
    assert solved.steps.sum() == pytest.approx(1.0 + (solved.gradients[-1, 0] - 0.5))


# ---- databases


@cache
def paths() -> list[GradientPath]:
    return monotonic(two_scale.plastic_rve().kinematics, AMPLITUDE, count=5, steps=2, seed=4)


def test_database_returns_what_was_sampled(tmp_path: Path):
    rve = two_scale.plastic_rve()
    sample(rve, paths(), tmp_path / "cell.h5", units="MPa", comment="monotonic, seed 4")
    database = read_database(tmp_path / "cell.h5", rve)
    assert (database.units, database.comment) == ("MPa", "monotonic, seed 4")
    assert os.listdir(tmp_path) == ["cell.h5"]
    for path, solved in zip(paths(), database.paths, strict=True):
        np.testing.assert_array_equal(solved.path.gradients, path.gradients)
        expected = solve_path(rve, path)
        np.testing.assert_allclose(solved.fluxes, expected.fluxes, rtol=1e-9)
        assert solved.states.shape == (3, rve.lasting_size)


def test_what_is_there_is_not_solved_again_and_further_paths_extend_it(tmp_path: Path, monkeypatch):
    rve, solved = two_scale.plastic_rve(), []
    solve = rve.solve
    monkeypatch.setattr(rve, "solve", lambda *arguments: solved.append(1) or solve(*arguments))
    file = tmp_path / "cell.h5"
    counts = []
    for number in (2, 2, 5):
        before = len(solved)
        database = sample(rve, paths()[:number], file)
        counts.append(len(solved) - before)
        assert len(database.paths) == number
    assert counts == [4, 0, 6]
    assert_same(database, sample(rve, paths(), tmp_path / "at once.h5"))


def test_database_of_another_cell_law_or_version_is_refused(tmp_path: Path):
    file = tmp_path / "cell.h5"
    sample(two_scale.plastic_rve(), paths()[:1], file)
    with pytest.raises(
        InputError, match=r"cell\.h5 was made with something else: laws\.fibre\.young was 200000\.0"
    ):
        read_database(file, two_scale.uniform_plastic_rve())
    other = two_scale.rve(two_scale.laminate_cell(), two_scale.ALUMINIUM, two_scale.STEEL)
    with pytest.raises(InputError, match=r"was made with something else: cell\.cells was 16 and is 15"):
        sample(other, paths()[:2], file)
    assert not (tmp_path / "cell.h5.parts").exists()
    with h5py.File(file, "r+") as content:
        identity = {**json.loads(content.attrs["identity"]), "fe2": "0.0.1"}
        content.attrs["identity"] = json.dumps(identity)
    with pytest.raises(InputError, match=r"fe2 was '0\.0\.1' and is"):
        read_database(file, two_scale.plastic_rve())


def test_files_that_are_no_database_are_refused(tmp_path: Path):
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(InputError, match=r"text\.h5 cannot be read as a database"):
        read_database(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    with pytest.raises(InputError, match="no database of solved paths"):
        read_database(tmp_path / "other.h5")


def test_no_paths_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="one path at least"):
        sample(two_scale.elastic_rve(), [], tmp_path / "cell.h5")


CELL = changed(GENERATOR_CELL, units="MPa")
ARGUMENTS = ["--amplitude", "0.003", "--count", "6", "--steps", "3", "--kind", "cyclic", "--seed", "3"]


def sampled(file: Path, database: Path) -> list[str]:
    return ["-m", "fe2", "sample", str(file), "-o", str(database), *ARGUMENTS, "-q"]


@pytest.mark.mpi
@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest")
def test_database_does_not_depend_on_ranks_or_on_a_kill(tmp_path: Path):
    file = write(tmp_path, CELL)
    assert run(["sample", str(file), "-o", str(tmp_path / "1.h5"), *ARGUMENTS, "-q"]) == 0
    serial = read_database(tmp_path / "1.h5")
    succeeded(mpiexec(3, sampled(file, tmp_path / "3.h5")))
    assert_same(serial, read_database(tmp_path / "3.h5"))

    killed = tmp_path / "killed.h5"
    process = start([os.sys.executable, *sampled(file, killed)])
    parts = tmp_path / "killed.h5.parts"
    deadline = time.monotonic() + 100.0
    while len(list(parts.glob("*.h5"))) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    before = {part.name: part.stat().st_mtime_ns for part in parts.glob("*.h5")}
    assert 2 <= len(before) < 6
    assert not killed.exists()
    succeeded(mpiexec(2, sampled(file, killed)))
    assert_same(serial, read_database(killed))
    assert not parts.exists()


# ---- the interpolated potential


def hyperelastic(tolerance: float = 1e-10) -> RVE:
    laws = {"matrix": NeoHookean(young=1.0, poisson=0.3), "fibre": NeoHookean(young=10.0, poisson=0.3)}
    return finite_strain(two_scale.fibre_cell(), laws)


@cache
def neo_hookean() -> RVE:
    return hyperelastic()


@cache
def interpolated(count: int) -> InterpolatedModel:
    """Along so many directions, three gradients each."""
    rve = neo_hookean()
    chosen = monotonic(rve.kinematics, 0.1, count=count, steps=3)
    solved = [solve_path(rve, path, states=False) for path in chosen]
    gradients = np.vstack([np.zeros(4), *(path.gradients for path in solved)])
    fluxes = np.vstack([np.zeros(4), *(path.fluxes for path in solved)])
    return InterpolatedModel(rve.kinematics, gradients, fluxes)


def answer(model, gradient):
    state = model.initial_state()
    return model.solve(gradient, state, 1.0, state.copy())


def test_interpolation_is_exact_at_the_samples_and_its_tangent_is_the_derivative():
    model, rve = interpolated(20), neo_hookean()
    for gradient in model.samples[[0, 7, 20]]:
        np.testing.assert_allclose(answer(model, gradient).flux, answer(rve, gradient).flux, atol=1e-9)
    gradient, h = np.array([0.02, -0.01, 0.015, 0.005]), 1e-5
    tangent = answer(model, gradient).tangent
    differences = [
        (answer(model, gradient + h * d).flux - answer(model, gradient - h * d).flux) / (2.0 * h)
        for d in np.eye(4)
    ]
    np.testing.assert_allclose(tangent, np.transpose(differences), atol=1e-7 * np.abs(tangent).max())
    np.testing.assert_allclose(tangent, tangent.T, atol=1e-13)


def test_linear_cells_are_reproduced():
    rve = two_scale.elastic_rve()
    gradients = np.vstack([np.zeros(3), np.random.default_rng(0).normal(size=(12, 3)) * [1e-3, 2e-3, 5e-3]])
    fluxes = np.array([answer(rve, gradient).flux for gradient in gradients])
    model = InterpolatedModel(rve.kinematics, gradients, fluxes)
    exact = rve.linearized().tangent
    np.testing.assert_allclose(answer(model, gradients[3] / 2.0).tangent, exact, atol=1e-9 * exact.max())
    assert model.errors.max() < 1e-10


def test_errors_of_leaving_out_are_those_of_leaving_out():
    model, rve = interpolated(8), neo_hookean()
    fluxes = np.array([answer(rve, gradient).flux for gradient in model.samples])
    for left in (0, 4, 10):
        rest = np.delete(np.arange(len(fluxes)), left)
        smaller = InterpolatedModel(rve.kinematics, model.samples[rest], fluxes[rest])
        error = np.linalg.norm(answer(smaller, model.samples[left]).flux - fluxes[left])
        assert model.errors[left] == pytest.approx(error / np.linalg.norm(fluxes, axis=1).max(), rel=1e-4)


def test_error_falls_with_more_samples_and_is_estimated():
    rve = neo_hookean()
    unseen = np.vstack([path.gradients for path in monotonic(rve.kinematics, 0.05, count=6, steps=1, seed=9)])
    exact = np.array([answer(rve, gradient).flux for gradient in unseen])
    errors = []
    for count in (10, 40):
        model = interpolated(count)
        found = np.array([answer(model, gradient).flux for gradient in unseen])
        largest = max(np.linalg.norm(answer(rve, g).flux) for g in model.samples)
        errors.append(float(np.linalg.norm(found - exact, axis=1).max() / largest))
        assert errors[-1] <= model.errors.max()
    assert errors[1] < 0.5 * errors[0]
    assert errors[1] < 0.01


def test_outside_of_the_samples_the_whole_cell_is_solved_and_counted():
    model, rve = interpolated(20), neo_hookean()
    ranged = RangedModel(model, model.hull, outside="full", full=rve)
    far = np.array([0.3, 0.0, 0.0, 0.1])
    np.testing.assert_allclose(answer(ranged, far).flux, answer(rve, far).flux, rtol=1e-12)
    near = model.samples[1] / 2.0
    np.testing.assert_array_equal(answer(ranged, near).flux, answer(model, near).flux)
    assert ranged.report()["evaluations outside the range"] == 1


def test_cells_with_a_memory_are_refused(tmp_path: Path):
    rve = two_scale.plastic_rve()
    database = sample(rve, paths()[:1], tmp_path / "cell.h5")
    with pytest.raises(InputError, match=r"the cell has a memory \(.*plastic"):
        InterpolatedModel.of(database, rve)


def test_samples_on_one_side_are_refused():
    rve = two_scale.elastic_rve()
    with pytest.raises(InputError, match="do not surround the origin"):
        InterpolatedModel(rve.kinematics, np.vstack([np.eye(3), 2.0 * np.eye(3)]), np.zeros((6, 3)))


def rubber(young: float) -> dict[str, object]:
    return {"law": "neo_hookean", "young": young, "poisson": 0.3}


def test_case_file_with_an_interpolated_cell(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Reactions of a stretched rubber strip are those of the concurrent run, to the error admitted."""
    cell = {
        "cell": {"image": "labels.npy", "voxel_size": 0.25, "physics": "finite_strain"},
        "phases": {"matrix": {"label": 0, **rubber(1.0)}, "fibre": {"label": 1, **rubber(10.0)}},
    }
    file = write(tmp_path, cell, "cell.toml")
    common = ["-o", str(tmp_path / "cell.h5"), "--amplitude", "0.15", "--no-states", "-q"]
    assert run(["sample", str(file), *common, "--count", "30", "--steps", "3"]) == 0
    boundary = [
        {"on": "left", "fixed": ["x", "y"]},
        {"on": "right", "name": "grip", "fixed": ["y"], "prescribed": {"x": "0.1 * t"}},
    ]
    reactions = {}
    for model in ("rve", "database"):
        database = {"database": "cell.h5"} if model == "database" else {}
        law = {"cell": "cell.toml", "model": model, **database}
        output = {"folder": model, "reactions": ["grip"]}
        case = changed(RUN, laws={"rubber": law}, boundary=boundary, body=[], output=output, solver={})
        assert run(["run", str(write(tmp_path, case, f"{model}.toml")), "-q"]) == 0
        reactions[model] = read_history(tmp_path / model)["grip_x"]
    np.testing.assert_allclose(reactions["database"], reactions["rve"], rtol=0.01)
    text = (tmp_path / "database" / "summary.txt").read_text()
    assert "evaluations of models with a range:" in text

    write(tmp_path, changed(cell, phases__fibre__young=20.0), "cell.toml")
    assert run(["run", str(tmp_path / "database.toml"), "-q", "--force"]) == 1
    assert "laws.rubber.database" in (error := capfd.readouterr().err)
    assert "laws.fibre.young was 10.0 and is 20.0" in error


# ---- recorded paths


def test_paths_recorded_from_a_run_lead_through_its_states(tmp_path: Path):
    """What was recorded and solved again ends in the states of the run."""
    rve = two_scale.plastic_rve()
    strip = two_scale.clamped(two_scale.rectangle(MPI.COMM_SELF, (2, 1), (2.0, 1.0)), rve)
    pull = strip.displacement.value
    steps = LoadSteps([0.0, 1.0, 2.0, 3.0], lambda t: np.put(pull, 0, 0.01 * min(t, 4.0 - t)))
    Simulation(
        strip.problem, steps, output=tmp_path, quiet=True, observers=[GradientRecorder(tmp_path)]
    ).run()
    recorded = recorded_paths(tmp_path, rve.kinematics)
    assert len(recorded) == strip.problem.points
    size = rve.lasting_size
    for path, state in list(zip(recorded, strip.law.pool.states, strict=True))[::3]:
        np.testing.assert_array_equal(path.times, [1.0, 2.0, 3.0])
        solved = solve_path(rve, path)
        np.testing.assert_allclose(solved.states[-1], state[:size], atol=1e-7 * np.abs(state[:size]).max())
    largest = max(np.linalg.norm(path.gradients, axis=1).max() for path in recorded)
    chosen = recorded_paths(tmp_path, rve.kinematics, count=2)
    assert len(chosen) == 2
    assert max(np.linalg.norm(path.gradients, axis=1).max() for path in chosen) == largest


def test_a_run_without_recorded_gradients_is_told_so(tmp_path: Path):
    with pytest.raises(InputError, match=r"fe2\.GradientRecorder"):
        recorded_paths(tmp_path, two_scale.elastic_rve().kinematics)


@pytest.mark.mpi
@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest")
def test_command_samples_what_a_run_on_two_ranks_recorded(tmp_path: Path):
    output = {"folder": "results", "gradients": True}
    run_file = write(tmp_path, changed(RUN, output=output, steps={"end": 1.0, "increments": 2}), "run.toml")
    succeeded(mpiexec(2, ["-m", "fe2", "run", str(run_file), "-q"]))
    cell, found = write(tmp_path, CELL, "cell.toml"), tmp_path / "cell.h5"
    recorded = ["--recorded", str(tmp_path / "results"), "--count", "3", "--no-states"]
    assert run(["sample", str(cell), "-o", str(found), *recorded, "-q"]) == 0
    database = read_database(found)
    assert [solved.states.size for solved in database.paths] == [0, 0, 0]
    assert all(solved.gradients.shape == (2, 3) for solved in database.paths)


def test_command_needs_an_amplitude_or_a_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    assert run(["sample", str(write(tmp_path, CELL)), "-o", str(tmp_path / "cell.h5")]) == 2
    assert "one of --amplitude and --recorded is needed" in capfd.readouterr().err
