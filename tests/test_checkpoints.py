"""Checkpoints: a run that is stopped, killed or out of disk goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import two_scale
from dolfinx import fem
from mpi import PROGRAMS, mpiexec, succeeded
from mpi4py import MPI

from fe2.errors import Fe2Error, InputError, RunInterruptedError
from fe2.io.cell_values import check_element
from fe2.io.checkpoint import INDEX
from fe2.io.checkpoint_schedule import Checkpoints
from fe2.io.results import Results, read_history, read_residuals, read_watched
from fe2.micro.rve import RVE
from fe2.physics.plasticity import J2Plasticity
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps, ramp

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest"),
]

PLAN = (0.0, 0.5, 1.0, 2.0)
LOAD = ramp([(0.0, 0.0), (1.0, 0.012), (2.0, 0.0)])
# tolerances of both scales are 1e-10; the runs differ in the order of sums
SAME = {"rtol": 1e-8, "atol": 0.0}


def run_of(
    folder: Path | None, times: tuple[float, ...] = PLAN, *, micro: Any = None, **options: Any
) -> tuple[Simulation, two_scale.Specimen]:
    """A strip under a load cycle whose third interval is taken in two steps."""
    guarded = two_scale.Guarded(two_scale.plastic_rve(), longest_step=0.6)
    mesh = two_scale.distorted(MPI.COMM_WORLD, (2, 1), (2.0, 1.0))
    strip = two_scale.clamped(mesh, micro or guarded, {"snes_rtol": 1e-10})

    def apply(time: float) -> None:
        strip.displacement.value = LOAD(time), 0.5 * LOAD(time)

    steps = LoadSteps(times, apply)
    options.setdefault("checkpoint", Checkpoints(every=1))
    simulation = Simulation(
        strip.problem,
        steps,
        output=Results(folder, watch=[(0.1, 0.9)]) if folder else None,
        reactions={"grip": strip.right},
        quiet=True,
        **options,
    )
    return simulation, strip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, two_scale.Specimen]:
    folder = tmp_path_factory.mktemp("whole") / "run"
    simulation, strip = run_of(folder)
    assert [record.time for record in (simulation.run(), simulation.records)[1]] == [0.5, 1.0, 1.5, 2.0]
    return folder, strip


def assert_same_results(folder: Path, reference: Path) -> None:
    """Every step once, with the same numbers, in tables, fields and states of watched points."""
    one, other = read_history(folder), read_history(reference)
    for name in ("step", "time", "grip_x", "grip_y", "rejected", "iterations"):
        np.testing.assert_allclose(one[name], other[name], **SAME, err_msg=name)
    assert read_residuals(folder)["time"].tolist() == read_residuals(reference)["time"].tolist()
    series = [
        [line.split('"')[1] for line in (path / "macro.pvd").read_text().splitlines() if "timestep" in line]
        for path in (folder, reference)
    ]
    assert series[0] == series[1]
    for point, expected in zip(read_watched(folder), read_watched(reference), strict=True):
        assert point.times.tolist() == expected.times.tolist()
        scale = np.abs(expected.states).max()
        np.testing.assert_allclose(point.states, expected.states, rtol=0.0, atol=1e-8 * scale)


@pytest.mark.parametrize("every", [1, 2])
def test_resumed_run_is_the_uninterrupted_one(whole, tmp_path, every):
    """The run is lost within a halved step: with a checkpoint every two steps it repeats the last one."""
    folder = tmp_path / "run"

    def lost(time: float) -> None:
        if time == 1.5:
            raise KeyboardInterrupt

    simulation, _ = run_of(folder, checkpoint=Checkpoints(every=every), observers=[lost])
    with pytest.raises(KeyboardInterrupt):
        simulation.run()
    assert read_history(folder)["time"][-1] == 1.5
    resumed, strip = run_of(folder, resume=True)
    summary = resumed.run()
    assert summary.finished
    assert summary.steps == 4
    assert_same_results(folder, whole[0])
    expected = whole[1].law.pool.states
    np.testing.assert_allclose(strip.law.pool.states, expected, rtol=0.0, atol=1e-8 * np.abs(expected).max())


def test_adaptive_cells_go_on_to_the_same_results_with_the_default_tolerances(tmp_path):
    """Resumed twice, the second time on two ranks; counts may differ, for no linearization is stored."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder, ranks, steps in ((whole, 1, 5), (parts, 1, 2), (parts, 1, 3), (parts, 2, 5)):
        succeeded(mpiexec(ranks, [str(PROGRAMS / "adaptive_cycle.py"), str(folder), str(steps)]))
    found, expected = read_history(parts), read_history(whole)
    assert found["time"].tolist() == expected["time"].tolist()
    forces = [np.column_stack([table["grip_x"], table["grip_y"]]) for table in (found, expected)]
    np.testing.assert_allclose(forces[0], forces[1], rtol=0.0, atol=1e-8 * np.abs(forces[1]).max())
    (point,), (reference,) = read_watched(parts), read_watched(whole)
    for name in ("states", "gradients", "fluxes"):
        one, other = getattr(point, name), getattr(reference, name)
        np.testing.assert_allclose(one, other, rtol=0.0, atol=1e-8 * np.abs(other).max())


def test_finished_run_is_extended_by_further_steps(whole, tmp_path):
    """What lies ahead may change, what lies behind may not."""
    folder = tmp_path / "run"
    run_of(folder, PLAN[:3])[0].run()
    resumed, _ = run_of(folder, resume=True)
    resumed.run()
    assert_same_results(folder, whole[0])
    with pytest.raises(InputError, match=r"planned time 2 was 1 and is 1\.2 in this plan"):
        run_of(folder, (0.0, 0.5, 1.2, 2.0), resume=True)


def test_resuming_without_a_checkpoint_begins_at_the_start_unless_there_are_results(tmp_path):
    folder = tmp_path / "run"
    simulation, _ = run_of(folder, PLAN[:2], resume=True)
    assert simulation.run().steps == 1
    shutil.rmtree(folder / "checkpoint")
    with pytest.raises(InputError, match="holds the results of an earlier run"):
        run_of(folder, resume=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_run_at_its_next_evaluation_with_a_checkpoint(whole, tmp_path, number):
    """Ctrl-C reaches a rank twice, from the terminal and from mpiexec."""
    folder = tmp_path / "run"

    def signalled(time: float) -> None:
        if time == 1.0:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)

    simulation, _ = run_of(folder, observers=[signalled])
    before = signal.getsignal(number)
    message = rf"stopped by {number.name} at time 1; the checkpoint in .* is complete"
    with pytest.raises(RunInterruptedError, match=message):
        simulation.run()
    assert signal.getsignal(number) is before
    assert json.loads((folder / "summary.json").read_text())["finished"] is False
    run_of(folder, resume=True)[0].run()
    assert_same_results(folder, whole[0])


def test_signal_before_the_first_step_leaves_a_checkpoint_of_the_start(whole, tmp_path):
    simulation, _ = run_of(tmp_path, checkpoint=Checkpoints(seconds=1e6))
    begin = simulation._begin
    simulation._begin = lambda: (begin(), os.kill(os.getpid(), signal.SIGUSR1))
    with pytest.raises(RunInterruptedError, match="stopped by SIGUSR1 at time 0"):
        simulation.run()
    run_of(tmp_path, resume=True)[0].run()
    assert_same_results(tmp_path, whole[0])


def test_resuming_what_was_killed_before_its_first_checkpoint_begins_again(whole, tmp_path):
    """What it wrote is kept aside; a second time too."""
    for number in (1, 2):
        killed, _ = run_of(tmp_path, resume=True, checkpoint=Checkpoints(seconds=1e6))
        killed._begin()
        del killed
        assert (tmp_path / "unfinished_1").exists() == (number == 2)
    run_of(tmp_path, resume=True)[0].run()
    assert_same_results(tmp_path, whole[0])
    for number in (1, 2):
        assert (tmp_path / f"unfinished_{number}" / "macro.pvd").exists()


@pytest.fixture(scope="module")
def laminate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a laminate, and a checkpoint after its first step."""
    folder = tmp_path_factory.mktemp("laminate") / "run"
    run_of(folder, PLAN[:2], micro=small_laminate(), checkpoint=Checkpoints(case={"units": "m"}))[0].run()
    return folder


def small_laminate(yield_stress: float = 100.0, layers: int = 2) -> RVE:
    matrix = J2Plasticity(70e3, 0.2, yield_stress, hardening=7e3)
    return two_scale.rve(two_scale.laminate_cell(layers), matrix, two_scale.STEEL)


@pytest.mark.parametrize(
    ("micro", "options", "message"),
    [
        (partial(small_laminate, 101.0), {}, r"laws\[0\].laws.matrix.yield_stress was 100.0 and is 101.0"),
        (partial(small_laminate, layers=3), {}, r"laws\[0\].cell.tags\[0\] was .* and is"),
        (two_scale.plastic_rve, {}, r"laws\[0\].cell.cells was 15 and is 16"),
        (
            small_laminate,
            {"checkpoint": Checkpoints(case={"units": "mm"})},
            "case.units was 'm' and is 'mm'",
        ),
    ],
)
def test_checkpoint_of_another_run_is_refused_with_the_difference(laminate, micro, options, message):
    options = {"checkpoint": Checkpoints(case={"units": "m"}), **options}
    with pytest.raises(InputError, match=message):
        run_of(laminate, PLAN[:2], micro=micro(), resume=True, **options)


def test_what_is_to_be_remembered_lives_on_the_mesh_of_the_problem(tmp_path):
    old = fem.Function(fem.functionspace(two_scale.rectangle(MPI.COMM_WORLD), ("Lagrange", 1)))
    with pytest.raises(
        InputError, match=r"old cannot be stored in a checkpoint: it lives on a mesh of its own"
    ):
        run_of(tmp_path, checkpoint=Checkpoints(remember={"old": old}))


def test_elements_whose_values_depend_on_the_orientation_of_cells_are_refused():
    mesh = two_scale.rectangle(MPI.COMM_WORLD)
    edges = fem.Function(fem.functionspace(mesh, ("RTCF", 1)))
    with pytest.raises(InputError, match=r"flow cannot be stored in a checkpoint: .* Lagrange"):
        check_element("flow", edges)


@pytest.mark.parametrize("name", ["index.h5", "000001/0.h5"])
@pytest.mark.parametrize("damage", ["short", "missing", "altered"])
def test_damaged_checkpoint_is_an_error_that_names_the_file(tmp_path, name, damage):
    folder = tmp_path / "run"
    run_of(folder, PLAN[:2])[0].run()
    path = folder / "checkpoint" / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "short" else altered(content))
    if damage == "missing" and name == INDEX:
        with pytest.raises(InputError, match="holds the results of an earlier run"):
            run_of(folder, resume=True)
        return
    with pytest.raises(InputError, match=f"{name} cannot be read as"):
        run_of(folder, resume=True)[0].run()


def altered(content: bytes) -> bytes:
    """A file with other bytes in the middle of its largest table."""
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes(255 - byte for byte in content[middle : middle + 64])
        + content[middle + 64 :]
    )


def test_full_disk_ends_the_run_and_leaves_the_checkpoint_before(whole, tmp_path):
    """The file system refuses files beyond a size that the first checkpoint just fits in."""
    folder = tmp_path / "run"
    size = [0]

    def fill(time: float) -> None:
        if time == 1.0:
            size[0] = (folder / "checkpoint/000001/0.h5").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size[0] - 1000, before[1]))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    simulation, _ = run_of(folder, observers=[fill])
    try:
        with pytest.raises(Fe2Error, match=r"cannot write .*/checkpoint/000002/0\.h5: File too large"):
            simulation.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    resumed, _ = run_of(folder, resume=True)
    resumed.run()
    assert resumed.records[0].time == 0.5
    assert_same_results(folder, whole[0])


# ---- several ranks


def program(ranks: int, folder: Path, report: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return mpiexec(ranks, [str(PROGRAMS / "resumed.py"), str(folder), str(report), *arguments], timeout=200.0)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("reference")
    succeeded(program(1, folder / "run", folder / "report.json", "whole"))
    return json.loads((folder / "report.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ranks", "fault", "resumed_on"),
    [
        (2, "kill", 3),  # the mesh has two cells: one of three ranks has no points
        (3, "signal", 2),
        (2, "cut", 1),
    ],
)
def test_run_on_several_ranks_goes_on_on_another_number(reference, tmp_path, ranks, fault, resumed_on):
    """A mixed unknown, with a function of degree three and a constant that the form remembers."""
    folder, report = tmp_path / "run", tmp_path / "report.json"
    ended = program(ranks, folder, report, "whole", fault, "2")
    if fault == "signal":
        succeeded(ended)
        assert "stopped by SIGUSR1 at time 1;" in json.loads(report.read_text())["stopped"]
    else:
        assert ended.returncode != 0
    succeeded(program(resumed_on, folder, report, "resume"))
    found = json.loads(report.read_text())
    np.testing.assert_allclose(found["records"], reference["records"], **SAME)
    expected = np.array(reference["states"])
    np.testing.assert_allclose(found["states"], expected, rtol=0.0, atol=1e-8 * np.abs(expected).max())
    assert read_history(folder)["time"].tolist() == [time for _, time, *_ in reference["records"]]
