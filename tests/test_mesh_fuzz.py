"""Whatever stands in a mesh file: it is read or refused in one sentence, without traceback, abort or hang."""

from __future__ import annotations

import itertools
from pathlib import Path

from file_fuzz import damaged_copies, failures
from mesh_formats import ENDINGS, write
from msh_writer import DIMS, box

READ = """
import warnings
import numpy as np
import fe2
from mpi4py import MPI
from fe2.io.gmsh_mesh import read_mesh
from fe2.micro.mesh_cell import read_cell
warnings.simplefilter("ignore", fe2.Fe2Warning)
warnings.simplefilter("error", RuntimeWarning)
def read(path):
    read_mesh(path, MPI.COMM_SELF)
    cell = read_cell(path, periodic=False)
    assert 0.0 < sum(cell.volume_fractions.values()) < 1.0 + 1e-6
    if len(cell.names) < 5:
        laws = {name: fe2.LinearConduction(1.0) for name in cell.names}
        found = fe2.diffusion(cell, laws, boundary="linear").homogenize().effective
        assert np.isfinite(found).all() and np.abs(found).max() < 1.0 + 1e-6
"""


def test_damaged_meshes_of_gmsh_are_read_or_refused_in_one_sentence(tmp_path: Path) -> None:
    originals = {}
    for kind, order, version, binary in itertools.product(DIMS, (1, 2), ("2.2", "4.1"), (False, True)):
        name = f"{kind}{order}-{version}-{'binary' if binary else 'text'}.msh"
        originals[name] = box(kind, order).write(tmp_path / name, version, binary).read_bytes()
    assert failures(READ, damaged_copies(originals, tmp_path)) == []


def test_damaged_meshes_of_other_programs_are_read_or_refused_in_one_sentence(tmp_path: Path) -> None:
    originals = {}
    for kind, ending in itertools.product(DIMS, ENDINGS):
        path = write(tmp_path / f"{kind}.{ending}", kind)
        originals[path.name] = path.read_bytes()
    assert failures(READ, damaged_copies(originals, tmp_path)) == []
