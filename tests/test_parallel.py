"""Several ranks: results do not depend on their number, and none waits for one that has failed."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpi import PROGRAMS, TESTS, mpiexec, succeeded
from mpi4py import MPI

from fe2.io.failure_file import read_failure

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest"),
]
RANKS = (1, 2, 3)
STRIPS = ("plastic", "two elements", "on first rank", "linear")
# Sums in another order: round-off of 1e-16, times the condition of the strip's stiffness.
TOLERANCE = 1e-12


class Results(dict[int, dict[str, Any]]):
    """What `load_cycle` did on each number of ranks; it runs when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __missing__(self, ranks: int) -> dict[str, Any]:
        file = self._folder / f"{ranks}.json"
        succeeded(mpiexec(ranks, [str(PROGRAMS / "load_cycle.py"), str(file)]))
        return self.setdefault(ranks, json.loads(file.read_text()))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return Results(tmp_path_factory.mktemp("load_cycle"))


@pytest.mark.parametrize("ranks", RANKS)
def test_mesh_is_distributed_and_one_rank_may_own_nothing(results, ranks):
    cells = results[ranks]["plastic"]["cells of ranks"]
    assert sum(cells) == 8
    assert min(cells) > 0
    assert (
        sorted(results[ranks]["two elements"]["cells of ranks"]) == {1: [2], 2: [1, 1], 3: [0, 1, 1]}[ranks]
    )
    assert [results[ranks][name]["points"] for name in STRIPS] == [32, 8, 32, 32]


@pytest.mark.parametrize("ranks", RANKS[1:])
def test_macroscopic_mesh_on_one_rank_has_its_points_solved_by_all(results, ranks):
    """What travels is the share that the other ranks solve, 8 (2 m + m² + 2) bytes a point, m = 3."""
    found = results[ranks]["on first rank"]
    assert found["cells of ranks"] == [8] + [0] * (ranks - 1)
    assert found["bytes"] == pytest.approx(8 * 17 * (1.0 - 1.0 / ranks), rel=0.1)


def test_load_cycle_yields_and_unloads(results):
    """Plastic forces fall below the elastic ones, and change sign before the load does."""
    plastic, linear = (
        np.array([step["right"][0] for step in results[1][name]["steps"]]) for name in ("plastic", "linear")
    )
    assert plastic[1] < 0.5 * linear[1]
    assert plastic[2] < 0.0 < linear[2]


@pytest.mark.parametrize("ranks", RANKS[1:])
@pytest.mark.parametrize("strip", STRIPS)
def test_results_do_not_depend_on_the_number_of_ranks(results, strip, ranks):
    for serial, parallel in zip(results[1][strip]["steps"], results[ranks][strip]["steps"], strict=True):
        for name in ("left", "right", "displacement"):
            expected = np.array(serial[name])
            np.testing.assert_allclose(
                parallel[name], expected, rtol=0.0, atol=TOLERANCE * np.abs(expected).max(), err_msg=name
            )


@pytest.mark.parametrize("ranks", RANKS[1:])
@pytest.mark.parametrize("strip", STRIPS)
def test_work_does_not_depend_on_the_number_of_ranks(results, strip, ranks):
    """The same Newton iterations, and no micro model of a ghost is solved."""
    for serial, parallel in zip(results[1][strip]["steps"], results[ranks][strip]["steps"], strict=True):
        assert parallel["iterations"] == serial["iterations"]
        assert parallel["micro solves"] == serial["micro solves"]


@pytest.mark.parametrize("ranks", RANKS[1:])
def test_steps_are_halved_on_all_ranks_where_one_point_refuses(results, ranks):
    serial, parallel = results[1]["halved"], results[ranks]["halved"]
    assert serial["rejected"] > 0
    for name in ("rejected", "times", "iterations"):
        assert parallel[name] == serial[name]
    np.testing.assert_allclose(
        parallel["grip"], serial["grip"], rtol=0.0, atol=TOLERANCE * np.abs(serial["grip"]).max()
    )


@pytest.mark.parametrize("ranks", RANKS)
def test_failure_at_one_point_names_its_place_on_all_ranks(results, ranks):
    messages = results[ranks]["failure"]
    assert len(messages) == ranks
    assert set(messages) == set(results[1]["failure"])  # the cell's number is that of the mesh's input
    assert re.match(r"the RVE at macroscopic cell \d, quadrature point \d, coordinates \(", messages[0])


def test_rank_without_degrees_of_freedom_measures_the_residual_as_the_others_do(tmp_path):
    """Otherwise it would decide otherwise on convergence, and wait for the others for ever."""
    succeeded(mpiexec(3, [str(PROGRAMS / "idle_rank.py"), str(tmp_path / "norms.json")], timeout=100.0))
    found = json.loads((tmp_path / "norms.json").read_text())
    assert 0 in found["owned"]
    assert found["norms"][1:] == found["norms"][:1] * 2


@pytest.mark.parametrize("ranks", RANKS[1:])
def test_collective_contracts_hold_on_several_ranks(ranks):
    files = [str(TESTS / name) for name in ("test_pools.py", "test_ranks.py")]
    succeeded(mpiexec(ranks, ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files]))


def accepted_times(folder: Path) -> list[float]:
    with (folder / "history.csv").open() as file:
        return [float(row["time"]) for row in csv.DictReader(file)]


def test_run_that_fails_at_its_smallest_step_ends_all_ranks(tmp_path):
    result = mpiexec(2, [str(PROGRAMS / "ending.py"), "step", str(tmp_path)], statuses=True)
    assert result.returncode != 0
    for rank in range(2):
        status = re.search(rf"rank {rank} ends with status (\d+)", result.stderr)
        assert status, result.stderr
        assert int(status[1]) != 0
    error = r"StepSizeError: load step 2 failed at the smallest step size.*macroscopic cell \d.*is too large"
    assert len(re.findall(error, result.stderr)) == 1, result.stderr
    times = accepted_times(tmp_path)
    assert times[0] == 0.25
    assert times[-1] < 1.0
    failed = read_failure(tmp_path / "failure.h5")
    assert failed.message in result.stderr
    assert failed.step == 2
    assert failed.time == times[-1]
    assert failed.gradient[0] > 0.004  # what the guarded model refuses
    assert f"macroscopic cell {failed.cell}, quadrature point {failed.point}," in failed.message
    assert json.loads((tmp_path / "summary.json").read_text())["time"] == times[-1]


@pytest.mark.parametrize(
    ("ending", "message"), [("exception", "a table without this entry"), ("callback", "ZeroDivisionError")]
)
def test_ordinary_exception_on_one_rank_ends_all_with_its_message(tmp_path, ending, message):
    """The other rank waits in a collective call: without an end to it this would run out of time."""
    result = mpiexec(2, [str(PROGRAMS / "ending.py"), ending, str(tmp_path)], timeout=100.0)
    assert result.returncode != 0
    assert "rank 1 of 2 ends the run" in result.stderr
    assert message in result.stderr
    assert accepted_times(tmp_path) == [0.25]
