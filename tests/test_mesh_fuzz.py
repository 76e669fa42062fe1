"""Whatever stands in a mesh file: it is read or refused in one sentence, without traceback, abort or hang."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from file_fuzz import damaged_copies, failures
from msh_writer import DIMS, box

READ = """
import fe2
from fe2.micro.mesh_cell import read_cell
def read(path):
    cell = read_cell(path, periodic=False)
    assert 0.0 < sum(cell.volume_fractions.values()) < 1.0 + 1e-6
"""


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small mesh of each shape, order, version and encoding."""
    folder, files = tmp_path_factory.mktemp("meshes"), {}
    for kind, order, version, binary in itertools.product(DIMS, (1, 2), ("2.2", "4.1"), (False, True)):
        name = f"{kind}{order}-{version}-{'binary' if binary else 'text'}.msh"
        files[name] = box(kind, order).write(folder / name, version, binary).read_bytes()
    return files


def test_damaged_meshes_are_read_or_refused_in_one_sentence(
    originals: dict[str, bytes], tmp_path: Path
) -> None:
    assert failures(READ, damaged_copies(originals, tmp_path)) == []
