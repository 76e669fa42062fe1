"""Results, progress and pictures of a run.

As a program this file makes the two-scale runs that need processes of their own.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import re
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import basix.ufl
import matplotlib.image
import mpi
import numpy as np
import pytest
import pyvista as pv
import two_scale
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from matplotlib.tri import LinearTriInterpolator, Triangulation
from mpi4py import MPI
from two_scale import SOFT, STIFF, Guarded

from fe2.errors import Fe2Error, InputError, MicroSolveError, PictureError, StepSizeError
from fe2.history_names import history_names, plain_history
from fe2.io import pictures
from fe2.io.local_fields import reported_fields, von_mises, write_local_fields
from fe2.io.macro_fields import NodalFields, fluxes
from fe2.io.pictures import draw_run
from fe2.io.progress import Progress
from fe2.io.results import Results, read_history, read_residuals, read_watched
from fe2.io.vtu import write_vtu, write_whole
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.image_cell import image_cell
from fe2.micro.linear_model import LinearModel
from fe2.micro.points import Step
from fe2.physics.elasticity import isotropic_stiffness
from fe2.physics.small_strain import mandel_strain, small_strain_kinematics
from fe2.records import StepRecord, Summary
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps, StepControl, ramp
from fe2.tensors import from_matrix

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

WORLD = MPI.COMM_WORLD
WATCHED = ((1.0, 0.5), (0.0, 1.0))  # the first has four quadrature points at the same distance
CYCLE = ramp([(0.0, 0.0), (2.0, 0.01), (3.0, 0.004)])


def strip_run(
    folder: Path,
    elements: tuple[int, int] = (4, 2),
    *,
    watch: Sequence[Sequence[float]] = WATCHED,
    overwrite: bool = False,
    **options: Any,
) -> tuple[Simulation, two_scale.Specimen]:
    """An elastoplastic strip that is stretched, sheared and unloaded, ready to run."""
    strip = two_scale.clamped(
        two_scale.rectangle(WORLD, elements), two_scale.plastic_rve(), {"snes_rtol": 1e-10}
    )
    strip.unknown.name = "u"

    def apply(time: float) -> None:
        strip.displacement.value = (CYCLE(time), 0.5 * CYCLE(time))

    simulation = Simulation(
        strip.problem,
        LoadSteps((0.0, 1.0, 2.0, 3.0), apply),
        output=Results(folder, watch=watch, overwrite=overwrite),
        reactions={"grip": strip.right},
        loads={"pull": strip.displacement, "twice": lambda: 2.0 * CYCLE(1.0)},
        **{"quiet": True, **options},
    )
    return simulation, strip


def results_of(folder: Path, problem: MacroProblem) -> Results:
    """A folder of results without a run."""
    results = Results(folder)
    results.prepare(SimpleNamespace(problem=problem, goes_on=False, may_go_on=False))
    return results


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Simulation, two_scale.Specimen]:
    folder = tmp_path_factory.mktemp("run") / "results"
    simulation, strip = strip_run(folder)
    simulation.run()
    return folder, simulation, strip


def stored(folder: Path, step: int) -> pv.UnstructuredGrid:
    reader = pv.get_reader(folder / "macro.pvd")
    reader.set_active_time_point(step)
    return reader.read()[0]


# ---- macroscopic fields


def test_uniform_strain_gives_the_stress_of_the_formula_in_reported_components(tmp_path):
    # u = H x: engineering shear strain H_xy + H_yx, plain shear stress
    H = np.array([[2e-3, 3e-3], [-1e-3, -1.5e-3]])
    mesh = two_scale.distorted(WORLD, (4, 3), (2.0, 1.0))
    space = fem.functionspace(mesh, ("Lagrange", 2, (2,)))
    u, v = fem.Function(space, name="displacement"), ufl.TestFunction(space)
    law = HomogenizedLaw(
        mandel_strain(u), two_scale.rve(two_scale.fibre_cell(), SOFT, SOFT), quadrature_degree=3
    )
    prescribed = fem.Function(space)
    prescribed.interpolate(lambda x: H @ x[:2])
    facets = dmesh.locate_entities_boundary(mesh, 1, lambda x: np.full(x.shape[1], True))
    bc = fem.dirichletbc(prescribed, fem.locate_dofs_topological(space, 1, facets))
    problem = MacroProblem(ufl.dot(law.flux, mandel_strain(v)) * law.dx, u, law, bcs=[bc])
    results = results_of(tmp_path, problem)
    problem.solve()
    results.write_fields(0.5)

    grid = stored(tmp_path, 0)
    strain = from_matrix(H, 3)
    stress = isotropic_stiffness(70e3, 0.2, 4)[np.ix_([0, 1, 3], [0, 1, 3])] @ strain
    expected = dict(zip(("strain_xx", "strain_yy", "strain_xy"), strain * [1, 1, np.sqrt(2)], strict=True))
    expected |= dict(zip(("stress_xx", "stress_yy", "stress_xy"), stress / [1, 1, np.sqrt(2)], strict=True))
    assert set(grid.cell_data) == {*expected, "cell"}
    for name, value in expected.items():
        np.testing.assert_allclose(grid.cell_data[name], value, rtol=1e-9)
    np.testing.assert_allclose(grid["displacement"][:, :2], grid.points[:, :2] @ H.T, atol=1e-14)
    assert not grid["displacement"][:, 2].any()
    assert expected["strain_xy"] == pytest.approx(H[0, 1] + H[1, 0])


def test_cell_means_are_integrals_over_the_cell_divided_by_its_volume(tmp_path):
    mesh = two_scale.distorted(WORLD, (4, 3), (2.0, 1.0))
    strip = two_scale.clamped(mesh, LinearModel(small_strain_kinematics(2), np.diag([3.0, 2.0, 1.0])))
    strip.step((0.01, 0.02))
    results_of(tmp_path, strip.problem).write_fields(0.0)

    q = ufl.TestFunction(fem.functionspace(mesh, ("DG", 0)))
    means = fem.assemble_vector(fem.form(3.0 * ufl.grad(strip.unknown)[0, 0] * q * strip.law.dx)).array
    means = means / fem.assemble_vector(fem.form(q * strip.law.dx)).array
    grid = stored(tmp_path, 0)
    np.testing.assert_allclose(grid.cell_data["stress_xx"], means, rtol=1e-12)
    np.testing.assert_array_equal(grid.cell_data["cell"], mesh.topology.original_cell_index)


def test_fields_of_a_subdomain_are_no_numbers_elsewhere_and_laws_share_fields(tmp_path):
    mesh = two_scale.rectangle(WORLD, (6, 1))
    number = np.arange(6, dtype=np.int32)
    tags = dmesh.meshtags(mesh, 2, number, number // 2)
    space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    kinematics = small_strain_kinematics(2)
    laws = [
        HomogenizedLaw(
            mandel_strain(u),
            LinearModel(kinematics, factor * np.eye(3)),
            quadrature_degree=2,
            subdomains=tags,
            subdomain=tag,
        )
        for tag, factor in ((0, 1.0), (2, 5.0))
    ]
    form = sum(ufl.dot(law.flux, mandel_strain(v)) * law.dx for law in laws)
    problem = MacroProblem(form, u, laws)
    u.interpolate(lambda x: (0.01 * x[0], 0.0 * x[0]))
    for law in laws:
        law.evaluate(Step(1.0))
    results_of(tmp_path, problem).write_fields(0.0)
    np.testing.assert_allclose(
        stored(tmp_path, 0).cell_data["stress_xx"], np.take([0.01, np.nan, 0.05], number // 2), atol=1e-15
    )


@pytest.mark.parametrize("shape", ["triangle", "quadrilateral", "tetrahedron", "hexahedron"])
def test_a_quadratic_field_is_exact_between_the_nodes(tmp_path, shape):
    kind = dmesh.CellType[shape]
    planar = shape in ("triangle", "quadrilateral")
    mesh = (
        dmesh.create_unit_square(WORLD, 3, 2, kind)
        if planar
        else dmesh.create_unit_cube(WORLD, 2, 2, 2, kind)
    )
    u = fem.Function(fem.functionspace(mesh, ("Lagrange", 2)), name="u")
    u.interpolate(lambda x: x[0] ** 2 - x[0] * x[1] + 3.0 * x[2] * x[1])
    nodal = NodalFields([u])
    write_vtu(tmp_path / "field.vtu", nodal.grid, nodal.values(), {})
    points = np.random.default_rng(0).uniform(0.05, 0.95, (40, 3)) * [1, 1, not planar]
    x, y, z = points.T
    sampled = pv.PolyData(points).sample(pv.read(tmp_path / "field.vtu"))
    np.testing.assert_allclose(sampled["u"], x**2 - x * y + 3.0 * z * y, atol=1e-12)


def test_a_mixed_unknown_becomes_one_field_for_each_part():
    mesh = dmesh.create_unit_square(WORLD, 3, 3)
    parts = [basix.ufl.element("P", "triangle", 2, shape=(2,)), basix.ufl.element("P", "triangle", 1)]
    mixed = fem.Function(fem.functionspace(mesh, basix.ufl.mixed_element(parts)), name="m")
    mixed.sub(0).interpolate(lambda x: (x[0] ** 2, x[1]))
    mixed.sub(1).interpolate(lambda x: 1.0 + x[0])
    nodal = NodalFields([mixed])
    values, x = nodal.values(), nodal.grid.points
    np.testing.assert_allclose(values["m_0"], np.column_stack([x[:, 0] ** 2, x[:, 1]]), atol=1e-14)
    np.testing.assert_allclose(values["m_1"][:, 0], 1.0 + x[:, 0], atol=1e-14)


def test_every_step_is_stored_with_the_averages_of_the_history(finished):
    folder, _, strip = finished
    assert pv.get_reader(folder / "macro.pvd").time_values == [0.0, 1.0, 2.0, 3.0]
    average = strip.law.micro.averages(strip.law.pool.states)["equivalent_plastic_strain"]
    grid = stored(folder, -1)
    assert average.max() > 1e-4
    # all points of a rectangle's cell weigh the same
    means = average.reshape(-1, strip.law.points_per_cell).mean(axis=1)
    np.testing.assert_allclose(grid.cell_data["equivalent_plastic_strain"], means, rtol=1e-12)
    assert {f"plastic_strain_{name}" for name in ("xx", "yy", "zz", "xy")} <= set(grid.cell_data)
    assert not stored(folder, 0).cell_data["stress_xx"].any()


# ---- tables and summary


def test_history_and_residuals_are_those_of_the_records(finished):
    folder, simulation, _ = finished
    history, records = read_history(folder), simulation.records
    assert list(history) == [
        *("step", "time", "pull_0", "pull_1", "twice", "grip_x", "grip_y", "iterations", "micro_solves"),
        *("micro_iterations", "micro_seconds", "rejected", "seconds"),
        *("f_work", "f_internal_work", "f_missing_work"),
    ]
    for name in ("step", "time", "iterations", "micro_solves", "micro_seconds", "rejected", "seconds"):
        np.testing.assert_array_equal(history[name], [getattr(record, name) for record in records])
    for k, axis in enumerate("xy"):
        np.testing.assert_array_equal(history[f"grip_{axis}"], [r.reactions["grip"][k] for r in records])
        np.testing.assert_array_equal(history[f"pull_{k}"], [r.loads["pull"][k] for r in records])
    residuals = read_residuals(folder)
    np.testing.assert_array_equal(residuals["norm"], np.concatenate([r.residuals for r in records]))
    np.testing.assert_array_equal(
        residuals["step"], np.repeat([1, 2, 3], [len(r.residuals) for r in records])
    )


def test_a_row_that_was_not_finished_is_left_out(tmp_path):
    (tmp_path / "history.csv").write_text("step,time\n1,0.5\n2,0.7")
    assert {name: values.tolist() for name, values in read_history(tmp_path).items()} == {
        "step": [1.0],
        "time": [0.5],
    }
    (tmp_path / "history.csv").write_text("step,time\n1,0.5,3\n")
    with pytest.raises(
        InputError, match=r"history.csv, line 2: 2 numbers were expected, not \['1', '0.5', '3'\]"
    ):
        read_history(tmp_path)
    with pytest.raises(InputError, match=r"nowhere/history.csv is not the table of a run: .*No such file"):
        read_history(tmp_path / "nowhere")


def test_columns_of_the_same_name_are_refused(tmp_path):
    _, strip = strip_run(tmp_path / "run")
    record = StepRecord(1, 1.0, {"time": np.array(1.0)}, {}, 1, (1.0,), 1, 1, 1.0, 0, 1.0)
    with pytest.raises(InputError, match=r"^time: columns of the history need different names"):
        results_of(tmp_path / "other", strip.problem).accepted(record)


def test_summary_says_how_the_run_went_and_what_it_ran_with(finished):
    folder, simulation, strip = finished
    summary = json.loads((folder / "summary.json").read_text())
    solves = sum(record.micro_solves for record in simulation.records)
    assert summary["finished"] is True
    assert summary["micro_solves"] == solves
    assert summary["solves_per_second"] == pytest.approx(solves / summary["seconds"])
    assert summary["points"] == strip.problem.points
    assert set(summary["versions"]) == {"fe2", "dolfinx", "petsc", "mpi", "python"}
    text = (folder / "summary.txt").read_text()
    assert re.search(r"run: +finished\n", text)
    assert re.search(rf"micro solves: +{solves}\n", text)


# ---- watched points


def test_local_fields_of_a_watched_state_average_to_the_macroscopic_flux(finished):
    folder, _, strip = finished
    rve = strip.law.micro
    points = read_watched(folder)
    assert len(points) == len(WATCHED)
    for point in points:
        np.testing.assert_array_equal(point.times, [0.0, 1.0, 2.0, 3.0])
        assert point.states.shape == (4, rve.lasting_size)
        for state, gradient, flux in zip(point.states, point.gradients, point.fluxes, strict=True):
            fields = rve.fields(state)
            for name, expected in (("strain", gradient), ("stress", flux)):
                average = fields.volumes @ fields.cell_data[name] / rve.cell.volume
                size = max(1e-30, np.abs(average).max())
                # plane strain: the macroscopic scale does not see the component across the plane
                assert np.abs(average[[0, 1, 3]] - expected).max() <= 1e-12 * size
        assert np.abs(point.fluxes[-1]).max() > 1.0


def test_the_nearest_point_is_watched_and_ties_go_to_the_first_cell(finished):
    folder, _, strip = finished
    coordinates, law = strip.law.coordinates(), strip.law
    middle, corner = read_watched(folder)
    for point, wanted in zip((middle, corner), WATCHED, strict=True):
        distance = np.linalg.norm(coordinates - wanted, axis=1)
        near = np.flatnonzero(distance <= distance.min() + 1e-9)
        numbers = strip.unknown.function_space.mesh.topology.original_cell_index[law.cells]
        places = [(numbers[row // law.points_per_cell], row % law.points_per_cell, row) for row in near]
        cell, number, row = min(places)
        assert (point.cell, point.point) == (cell, number)
        np.testing.assert_array_equal(point.coordinates, coordinates[row])
        np.testing.assert_array_equal(point.requested, wanted)
        np.testing.assert_array_equal(point.states[-1], law.pool.states[row, : law.micro.lasting_size])
        np.testing.assert_array_equal(point.fluxes[-1], fluxes(law)[row])
    nearest = np.linalg.norm(coordinates - WATCHED[0], axis=1)
    assert np.count_nonzero(nearest <= nearest.min() + 1e-9) == 4


def test_coordinates_of_the_wrong_dimension_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"has 2 coordinates on this mesh, not \[1.0, 0.0, 0.0\]"):
        strip_run(tmp_path, watch=[(1.0, 0.0, 0.0)])


def test_a_run_without_watched_points_says_so(tmp_path):
    with pytest.raises(InputError, match="holds no states of watched points"):
        read_watched(tmp_path)


# ---- folders, full disks, runs that end early


def test_results_are_overwritten_only_when_asked_and_other_files_stay(tmp_path):
    simulation, _ = strip_run(tmp_path)
    simulation._begin()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "macro" / "picture.png").write_text("mine too")
    with pytest.raises(InputError, match=rf"{tmp_path} holds the results of an earlier run.*overwrite=True"):
        strip_run(tmp_path)
    strip_run(tmp_path, overwrite=True)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left - {"run.lock"} == {"notes.txt", "macro/picture.png"}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match=rf"cannot be written to the folder {tmp_path}/file/results: Not a dir"
    ):
        strip_run(tmp_path / "file" / "results")


def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "results.vtu"
    write_whole(path, "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(Fe2Error, match=f"cannot write {path}: File too large"):
            write_whole(path, "new" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["results.vtu"]


def test_a_run_that_fails_keeps_its_steps_and_says_that_it_did_not_finish(tmp_path):
    strip = two_scale.uniaxial_strain(
        two_scale.rectangle(WORLD, (2, 1)), Guarded(two_scale.elastic_rve(), largest_strain=0.012)
    )

    def apply(time: float) -> None:
        strip.displacement.value = 0.01 * time

    steps = LoadSteps((0.0, 1.0, 2.0, 3.0), apply, smallest=0.5)
    with pytest.raises(StepSizeError):
        Simulation(strip.problem, steps, output=Results(tmp_path, watch=[(0, 0)]), quiet=True).run()
    times = [0.0, 1.0, 2.0]
    assert pv.get_reader(tmp_path / "macro.pvd").time_values == times
    np.testing.assert_array_equal(read_history(tmp_path)["time"], times[1:])
    np.testing.assert_array_equal(read_watched(tmp_path)[0].times, times)
    assert json.loads((tmp_path / "summary.json").read_text())["finished"] is False
    assert "NOT finished: ended at time 2\n" in (tmp_path / "summary.txt").read_text()


def test_a_run_that_is_killed_leaves_results_that_can_be_read(tmp_path):
    result = mpi.run([sys.executable, __file__, str(tmp_path / "run"), "4", "2", "kill"], timeout=100)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert pv.get_reader(tmp_path / "run" / "macro.pvd").time_values == [0.0, 1.0, 2.0]
    assert stored(tmp_path / "run", -1)["u"].any()
    np.testing.assert_array_equal(read_history(tmp_path / "run")["time"], [1.0, 2.0])
    np.testing.assert_array_equal(read_watched(tmp_path / "run")[0].times, [0.0, 1.0, 2.0])


# ---- several ranks


@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "elements"), [(2, ("4", "2")), (3, ("2", "1"))])
def test_results_do_not_depend_on_the_number_of_ranks(tmp_path, ranks, elements):
    serial, parallel = tmp_path / "serial", tmp_path / "parallel"
    mpi.succeeded(mpi.run([sys.executable, __file__, str(serial), *elements], timeout=100))
    said = mpi.succeeded(mpi.mpiexec(ranks, [__file__, str(parallel), *elements]))
    assert len(re.findall(r"^step [123]/3  time [123] ", said, flags=re.MULTILINE)) == 3

    one, many = read_history(serial), read_history(parallel)
    assert list(one) == list(many)
    for name in set(one) - {"micro_seconds", "seconds"}:
        np.testing.assert_allclose(many[name], one[name], rtol=1e-8, err_msg=name)
    for a, b in zip(read_watched(serial), read_watched(parallel), strict=True):
        assert (a.cell, a.point) == (b.cell, b.point)
        np.testing.assert_allclose(b.states, a.states, atol=1e-8 * np.abs(a.states).max())
    first, second = stored(serial, -1), stored(parallel, -1)
    order, other = np.argsort(first.cell_data["cell"]), np.argsort(second.cell_data["cell"])
    for name in first.cell_data:
        values = first.cell_data[name][order]
        bound = 1e-8 * np.abs(values).max()
        np.testing.assert_allclose(second.cell_data[name][other], values, atol=bound, err_msg=name)
    assert np.sort(second.cell_data["cell"]).tolist() == list(range(first.n_cells))
    assert is_drawn(parallel / "picture.png")


@pytest.mark.mpi
def test_all_ranks_refuse_a_folder_with_results(tmp_path):
    (tmp_path / "history.csv").write_text("")
    result = mpi.mpiexec(2, [__file__, str(tmp_path), "2", "1"], timeout=60, statuses=True)
    assert result.stderr.count("ends with status 1") == 2, result.stderr
    assert result.stderr.count("InputError: ") == 1
    assert "holds the results of an earlier run, history.csv among them" in result.stderr


# ---- progress

RECORD = StepRecord(1, 0.5, {}, {}, 4, (1.0,), 120, 300, 1.0, 0, 2.0)
SUMMARY = Summary(True, 1.0, 2, 1, 1, 30, 20, 8, 240, 600, 2.0, 4.0)


def follow(progress: Progress) -> None:
    steps = LoadSteps((0.0, 0.5, 1.0), lambda time: None)
    control = StepControl(steps)
    problem = SimpleNamespace(comm=WORLD, laws=[])
    run = SimpleNamespace(problem=problem, steps=steps, control=control, goes_on=False, records=[])
    progress.prepare(run)
    progress.begin()
    progress.trying(0.5)
    for _ in range(2):
        for done in range(1, 9):
            progress.points(done, 8)
    control.accept()
    run.records.append(RECORD)
    progress.accepted(RECORD)
    progress.trying(1.0)
    progress.rejected(MicroSolveError("cell 3 [a] failed"))
    progress.end(SUMMARY)


def test_progress_without_a_terminal_is_one_plain_line_for_each_step(capsys):
    follow(Progress())
    first, second, last = capsys.readouterr().out.splitlines()
    pattern = r"step 1/2  time 0.5 +4 iterations +120 micro solves +2.00 s(  0:00:00 left)?"
    assert re.fullmatch(pattern, first)
    assert second == "step 2/2  given up on the way to time 1: cell 3 [a] failed"
    assert last == (
        "finished at time 1 after 0:00:04: 2 steps, 1 given up, 8 iterations, 240 micro solves, "
        "60.0 per second"
    )


def test_steps_that_are_not_planned_are_counted_and_the_time_left_is_that_of_the_last_ones(
    monkeypatch, capsys
):
    """Steps of a second each: at first each is a sixteenth of a planned step, then they double."""
    clock = [0.0]
    monkeypatch.setattr("fe2.io.progress.time", SimpleNamespace(perf_counter=lambda: clock[0]))
    steps = LoadSteps((0.0, 1.0, 2.0, 3.0), lambda time: None, smallest=0.0625, tolerance=1e-3)
    run = SimpleNamespace(
        problem=SimpleNamespace(comm=WORLD, laws=[]), steps=steps, goes_on=False, records=[]
    )
    run.control, progress = StepControl(steps), Progress()
    progress.prepare(run)
    progress.begin()
    for factor in [1.0] * 13 + [2.0] * 4:
        progress.trying(run.control.target)
        clock[0] += 1.0
        run.control.accept(factor)
        run.records.append(RECORD)
        progress.accepted(RECORD)
    lines = capsys.readouterr().out.splitlines()
    # after 13 steps 3 - 13/16 of 3 are left; of the last five of 17 are two short ones, 1/8, 1/4 and 3/8
    for number, planned, left in (1, 1, 47), (13, 1, 35), (17, 2, round(1.375 / (0.875 / 5.0))):
        assert lines[number - 1].startswith(f"step {number}, planned {planned}/3  ")
        assert lines[number - 1].endswith(f"  0:00:{left:02d} left")


def test_quiet_progress_prints_nothing(capsys):
    follow(Progress(quiet=True))
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal_shows_points_and_gives_the_cursor_back(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", terminal)
    follow(Progress())
    shown = terminal.getvalue()
    assert "step 1/2 to 0.5  evaluation 2: 8/8" in shown
    assert "cell 3 [a] failed" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


# ---- local fields and pictures


def test_von_mises_stress_of_tension_and_shear():
    stress = np.array([[5.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0 * np.sqrt(2.0)], [3.0, 3.0, 3.0, 0.0]])
    np.testing.assert_allclose(von_mises(stress), [5.0, 2.0 * np.sqrt(3.0), 0.0], atol=1e-14)


def test_local_fields_are_written_in_reported_components(finished, tmp_path):
    folder, _, strip = finished
    fields = strip.law.micro.fields(read_watched(folder)[0].states[2])
    grid = pv.read(write_local_fields(fields, tmp_path / "rve.vtu"))
    named = reported_fields(fields)
    assert set(grid.cell_data) == set(named)
    assert {"phase", "stress_zz", "stress_von_mises", "equivalent_plastic_strain"} <= set(named)
    np.testing.assert_array_equal(grid.cell_data["stress_xy"], fields.cell_data["stress"][:, 3] / np.sqrt(2))
    np.testing.assert_array_equal(grid.cell_data["strain_xy"], fields.cell_data["strain"][:, 3] * np.sqrt(2))
    np.testing.assert_array_equal(grid["u"][:, :2], fields.point_data["u"])
    volumes = grid.compute_cell_sizes().cell_data["Area"]
    np.testing.assert_allclose(volumes, fields.volumes, rtol=1e-12)


def test_history_variables_that_are_tensors_are_written_with_plain_components():
    seen = ("xx", "yy", "zz", "xy")
    assert history_names("plastic_strain", 4, seen) == tuple(f"plastic_strain_{name}" for name in seen)
    one = {"a": np.ones((1, 4))}
    np.testing.assert_allclose(plain_history(one, seen)["a"], [[1.0, 1.0, 1.0, 1.0 / np.sqrt(2.0)]])
    assert history_names("hardening", 1, seen) == ("hardening",)
    assert history_names("slips", 3, seen) == ("slips_0", "slips_1", "slips_2")
    # four numbers are no tensor where the gradient has no components of one
    assert history_names("slips", 4, ("x", "y")) == tuple(f"slips_{k}" for k in range(4))
    np.testing.assert_array_equal(plain_history(one, ("x", "y"))["a"], np.ones((1, 4)))


def test_plastic_strain_is_written_by_component_on_both_scales(finished):
    folder, _, strip = finished
    fields = strip.law.micro.fields(read_watched(folder)[0].states[2])
    plain = fields.cell_data["plastic_strain"] / [1.0, 1.0, 1.0, np.sqrt(2.0)]
    named = reported_fields(fields)
    for column, name in zip(plain.T, ("xx", "yy", "zz", "xy"), strict=True):
        np.testing.assert_array_equal(named[f"plastic_strain_{name}"], column)
    names = stored(folder, -1).cell_data.keys()
    assert {"plastic_strain_xx", "plastic_strain_zz", "plastic_strain_xy"} <= set(names)
    assert np.abs(stored(folder, 2).cell_data["plastic_strain_xx"]).max() > 0.0


def is_drawn(picture: Path) -> bool:
    """The file is a picture with many colours."""
    pixels = matplotlib.image.imread(picture)[::4, ::4]
    return len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 20


def test_a_run_is_drawn_with_an_rve_and_a_curve(finished, tmp_path):
    folder, _, strip = finished
    point = read_watched(folder)[1]
    picture = draw_run(
        folder,
        tmp_path / "run.png",
        step=2,
        local=strip.law.micro.fields(point.states[2]),
        at=point.coordinates,
        history=("pull_0", "grip_x"),
        labels={"stress_xx": "stress xx [MPa]"},
        title="Strip",
    )
    assert is_drawn(picture)


def has_egl() -> bool:
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("field", "exact"),
    [
        ("T", lambda x, y: 300.0 + x + 2.0 * y),
        ("u_x", lambda x, y: x - y),
        ("u_y", lambda x, y: 2.0 * y),
        ("u", None),
        ("stress_xx", lambda x, y: 7.0 + 0.0 * x),
    ],
)
def test_unknowns_are_drawn_by_name_as_fields_of_the_elements_are(field, exact, tmp_path):
    """Linear between the nodes: triangles have the value of their middle; of a vector it is the length."""
    import pyvista as pv

    from fe2.io.render_scene import Scene

    grid = pv.ImageData(dimensions=(4, 3, 1)).cast_to_unstructured_grid().triangulate()
    x, y, zero = (np.asarray(column) for column in grid.points.T)
    grid.point_data["u"] = np.column_stack([x - y, 2.0 * y, zero])
    grid.point_data["T"] = 300.0 + x + 2.0 * y
    grid.cell_data["stress_xx"] = np.full(grid.n_cells, 7.0)
    grid.save(tmp_path / "step.vtu")
    scene = Scene({"file": str(tmp_path / "step.vtu"), "field": field, "warp": 0.0})
    middle = scene.triangles.mean(axis=1).T[:2]
    if exact is not None:
        np.testing.assert_allclose(scene.values, exact(*middle), rtol=1e-6)
    else:
        corners = grid.cells.reshape(-1, 4)[:, 1:]
        lengths = LinearTriInterpolator(Triangulation(x, y, corners), np.hypot(x - y, 2.0 * y))
        np.testing.assert_allclose(scene.values, lengths(*middle), rtol=1e-6)


def test_an_unknown_is_drawn_and_not_the_means_of_its_name_which_other_laws_do_not_know(tmp_path):
    """A temperature beside a law without one: nodal values everywhere, means where they are known."""
    from fe2.io.render_scene import Scene

    grid = pv.ImageData(dimensions=(5, 2, 1)).cast_to_unstructured_grid().triangulate()
    x, middle = np.asarray(grid.points)[:, 0], np.asarray(grid.cell_centers().points)[:, 0]
    grid.point_data["T"] = 300.0 + x
    for name in ("T", "enthalpy"):
        grid.cell_data[name] = np.where(middle < 2.0, middle, np.nan)
    grid.save(tmp_path / "step.vtu")
    unknown, means = (
        Scene({"file": str(tmp_path / "step.vtu"), "field": name, "warp": None}) for name in ("T", "enthalpy")
    )
    np.testing.assert_allclose(unknown.values, 300.0 + unknown.triangles[:, :, 0].mean(axis=1), rtol=1e-6)
    assert unknown.limits == (300.0, 304.0)
    assert len(unknown.triangles) > grid.n_cells  # a gradient in each element is seen
    assert means.triangles[:, :, 0].max() == 2.0
    assert means.limits == pytest.approx((middle.min(), middle[middle < 2.0].max()))
    assert unknown.box()[1] == pytest.approx(means.box()[1])


@pytest.mark.skipif(not has_egl(), reason="VTK renders solids with libEGL")
def test_a_solid_is_drawn_with_its_rve_cut_open(tmp_path):
    labels = np.zeros((4, 4, 4), dtype=int)
    labels[1:3, 1:3, 1:3] = 1
    rve = two_scale.rve(image_cell(labels, {"matrix": 0, "fibre": 1}, voxel_size=0.25), SOFT, STIFF)
    state = rve.initial_state()
    rve.solve(np.array([1e-3, 0.0, 0.0, 0.0, 0.0, 2e-3]), rve.initial_state(), 1.0, state)
    mesh = dmesh.create_box(WORLD, [np.zeros(3), np.array([3.0, 1.0, 1.0])], (6, 2, 2))
    space = fem.functionspace(mesh, ("Lagrange", 1, (3,)))
    u, v = fem.Function(space, name="u"), ufl.TestFunction(space)
    law = HomogenizedLaw(mandel_strain(u), rve.linearized(), quadrature_degree=1)
    problem = MacroProblem(ufl.dot(law.flux, mandel_strain(v)) * law.dx, u, law)
    u.interpolate(lambda x: 1e-3 * np.stack([x[0] * x[2], 0.0 * x[0], -(x[0] ** 2)]))
    law.evaluate(Step(1.0))
    results_of(tmp_path, problem).write_fields(1.0)
    picture = draw_run(tmp_path, tmp_path / "solid.png", local=rve.fields(state), at=(0.1, 0.5, 0.9))
    assert is_drawn(picture)


def test_a_picture_of_what_does_not_exist_names_what_there_is(finished, tmp_path):
    folder, _, _ = finished
    for options, message in (
        ({"field": "stress_zz"}, r"has no field 'stress_zz', but .*stress_xx"),
        ({"step": 4}, r"holds no step 4: it has 4, the start included"),
        ({"history": ("pull", "grip_x")}, r"no column 'pull' in its history; there are step, time, pull_0"),
    ):
        with pytest.raises(PictureError, match=message):
            draw_run(folder, tmp_path / "none.png", **options)
    with pytest.raises(PictureError, match="holds no results of a run"):
        draw_run(tmp_path, tmp_path / "none.png")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended with SIGSEGV. .*libegl1"),
        ("import pyvista_that_is_missing", "ModuleNotFoundError: .*Pictures need pyvista"),
        (
            "import os; assert not any(name.startswith('PMI') for name in os.environ); 1/0",
            "ZeroDivisionError",
        ),
    ],
)
def test_a_drawing_process_that_fails_leaves_the_run_alive(finished, tmp_path, monkeypatch, program, message):
    script = tmp_path / "render.py"
    script.write_text(program)
    monkeypatch.setattr(pictures, "_RENDER", script)
    monkeypatch.setenv("PMI_RANK", "0")
    with pytest.raises(PictureError, match=message):
        draw_run(finished[0], tmp_path / "none.png")


def main(folder: str, length: str, height: str, ending: str = "") -> None:
    def kill_after_two_steps(time: float) -> None:
        if ending == "kill" and time == 2.0:
            os.kill(os.getpid(), signal.SIGKILL)

    elements = (int(length), int(height))
    simulation, strip = strip_run(Path(folder), elements, quiet=False, observers=[kill_after_two_steps])
    simulation.run()
    local, states = None, strip.law.pool.states  # on all ranks: a state may live on another one
    if len(states) and WORLD.rank > 0:  # the picture takes the fields of whichever rank has some
        local = strip.law.micro.fields(states[0])
    draw_run(folder, Path(folder, "picture.png"), local=local)


if __name__ == "__main__":
    main(*sys.argv[1:])
