"""Runs of coupled physics: concurrent, reduced and linearized cells, and stops on other numbers of ranks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import coupled_cells
import numpy as np
import pytest
from coupled_cells import CELLS, PLAN, STRETCH
from mpi import mpiexec, succeeded
from mpi4py import MPI

from fe2.hierarchical.paths import Path as Gradients
from fe2.hierarchical.reduction import reduce
from fe2.io.history import read_history
from fe2.io.results import read_watched
from fe2.io.watched import WatchedPoint
from fe2.macro.rate import weights
from fe2.micro.model import MicroModel
from fe2.micro.rve import RVE

pytestmark = pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="serial")


def even(micro: MicroModel, supply: float, folder: Path) -> WatchedPoint:
    """A point of a strip that is supplied evenly."""
    coupled_cells.strip(MPI.COMM_WORLD, micro, supply, folder, scheme="bdf2", steps=4, uneven=0.0).run()
    return read_watched(folder)[0]


def around(rve: RVE, point: WatchedPoint) -> Iterator[Gradients]:
    """The path that a point took, and both ways along each component, further than iterations go."""
    changes = point.gradients[1:] - rve.kinematics.origin
    yield Gradients(np.array(PLAN[1:]), point.gradients[1:])
    value = 2.0 * np.abs(changes[:, 3]).max()
    for size, way in zip([2.0 * STRETCH] * 3 + [value, value, value], np.eye(6), strict=True):
        for sign in (-1.0, 1.0):
            yield Gradients(
                np.array([1.0, 2.0]), rve.kinematics.origin + sign * size * np.outer([0.5, 1.0], way)
            )


def supplied(scheme: str, supply: float) -> list[float]:
    """What was taken in by a unit of volume at each time of the plan, where a scheme integrates."""
    sums, lengths = [0.0], np.diff(PLAN)
    for number, dt in enumerate(lengths):
        alpha, beta = weights(scheme, dt, lengths[number - 1] if number else 0.0)
        past = beta * (sums[-1] - sums[-2]) if number else 0.0
        sums.append(sums[-1] + (supply * PLAN[number + 1] + past) / alpha)
    return sums


@pytest.mark.parametrize("physics", CELLS)
def test_reduced_cells_take_in_what_is_supplied_and_answer_as_the_whole_ones(physics, tmp_path):
    """Trained on the path of the run itself among others, with all of their fluctuations."""
    cell, supply = CELLS[physics]
    rve = cell()
    whole = even(rve, supply, tmp_path / "whole")
    value = rve.kinematics.blocks[1]
    stored = rve.kinematics.values[0]
    taken = value.balance * (whole.fluxes[:, stored] - whole.fluxes[0, stored])
    np.testing.assert_allclose(taken, supplied("bdf2", supply), rtol=1e-9)
    reduction = reduce(rve, [*around(rve, whole)], tolerance=1e-10, cubature_tolerance=1e-10, held_out=[])
    reduced = even(reduction.model(), supply, tmp_path / "reduced")
    for name in ("fluxes", "gradients"):
        found, expected = getattr(reduced, name), getattr(whole, name)
        sizes = np.abs(expected).max(axis=0)
        np.testing.assert_allclose(found[:, :4], expected[:, :4], rtol=0.0, atol=1e-6 * sizes[:4].max())
        np.testing.assert_allclose(found[:, stored], expected[:, stored], rtol=1e-6)


@pytest.mark.parametrize("physics", CELLS)
def test_linearized_cells_follow_the_tangent_of_the_virgin_one(physics, tmp_path):
    """η = A_ηε ε + A_ηT (T - T₀) is what was supplied, σ = A_σε ε + A_σT (T - T₀) what follows."""
    cell, supply = CELLS[physics]
    rve = cell()
    A, value, stored = rve.homogenize().tangent, rve.kinematics.blocks[1], rve.kinematics.values[0]
    point = even(rve.linearized(), supply, tmp_path)
    strain = STRETCH * np.array(PLAN) / PLAN[-1]
    taken = np.array(supplied("bdf2", supply)) / value.balance
    change = (taken - A[stored, 0] * strain) / A[stored, stored]
    origin = rve.kinematics.origin[stored]
    np.testing.assert_allclose(
        point.gradients[:, stored] - origin, change, rtol=0.0, atol=1e-9 * np.abs(change).max()
    )
    stress = A[0, 0] * strain + A[0, stored] * change
    np.testing.assert_allclose(point.fluxes[:, 0], stress, rtol=0.0, atol=1e-9 * np.abs(stress).max())


@pytest.mark.mpi
@pytest.mark.parametrize("physics", CELLS)
def test_runs_that_were_stopped_go_on_as_if_they_were_not_on_more_ranks(physics, tmp_path):
    """Two steps on one rank and the others on two, by BDF2, beside all on one."""
    program = str(Path(coupled_cells.__file__))
    for ranks, steps in ((1, "2"), (2, "4")):
        succeeded(mpiexec(ranks, [program, physics, "bdf2", str(tmp_path / "parts"), steps]))
    cell, supply = CELLS[physics]
    coupled_cells.strip(
        MPI.COMM_WORLD, cell(), supply, tmp_path / "whole", scheme="bdf2", steps=4, uneven=0.8
    ).run()
    parts, whole = (read_history(tmp_path / name) for name in ("parts", "whole"))
    assert set(parts) == set(whole)
    for name in ("time", "right_x", "right_y", "p_supplied", "p_stored", "u_work"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-8)
    for one, other in zip(*(read_watched(tmp_path / name) for name in ("parts", "whole")), strict=True):
        moved = [0, 3, 4]  # along the strip; all other components are round-off
        np.testing.assert_allclose(one.gradients[:, moved], other.gradients[:, moved], rtol=1e-7)
