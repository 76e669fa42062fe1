"""Groups of ranks under mpiexec: places of points, cells in parts, a large cell, and memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mpi import PROGRAMS, TESTS, mpiexec, succeeded
from mpi4py import MPI

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.slow,
    pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest"),
]


@pytest.mark.parametrize(
    ("ranks", "module", "chosen"),
    [
        (2, "test_places.py", ""),
        (3, "test_places.py", ""),
        (4, "test_places.py", "answers and 2"),
        (2, "test_micro_models.py", ""),
        (3, "test_micro_models.py", "plastic or turned or formula"),
        (2, "test_distributed_rve.py", ""),
        (3, "test_distributed_rve.py", "periodic or interfaces or failure"),
        (2, "test_several_fields.py", "share"),
    ],
)
def test_contracts_hold_on_several_ranks(ranks, module, chosen):
    """Four ranks make two groups of two."""
    arguments = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", chosen, str(TESTS / module)]
    succeeded(mpiexec(ranks, arguments))


def test_cell_of_100_000_unknowns_on_two_ranks_agrees_with_one(tmp_path: Path):
    """One rank answers with Fourier transforms, two with an assembled matrix in parts and multigrid."""
    file = tmp_path / "large.json"
    succeeded(mpiexec(2, [str(PROGRAMS / "large_cell.py"), str(file)]))
    found = json.loads(file.read_text())
    assert found["unknowns"] > 100_000
    assert "GAMG" in found["solver"]
    assert "on 2 ranks" in found["solver"]
    assert found["difference"] < 1e-8
    # rows of the matrix and elements are halved
    assert max(found["rows"]) <= 0.51 * found["unknowns"]
    assert max(found["elements"]) <= 0.51 * sum(found["elements"])


def test_many_points_on_one_rank_take_the_memory_of_their_rows(tmp_path: Path):
    """12,000 points: no communicator is used up, and memory stays within 1.3 times the rows."""
    file = tmp_path / "memory.json"
    succeeded(mpiexec(1, [str(PROGRAMS / "many_points.py"), str(file)]))
    found = json.loads(file.read_text())
    assert found["points"] == 12_000
    assert found["growth"] < 1.3 * found["rows"] + 20e6
