"""Compiled code is shared: by cells of one kind, and by runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from mpi import python, succeeded

PROGRAM = """
import numpy as np
import fe2
from fe2.code_cache import cache_folder

laws = {
    "elastic": fe2.LinearElastic.isotropic(70e3, 0.3),
    "plastic": fe2.J2Plasticity(young=200e3, poisson=0.3, yield_stress=400.0, hardening=2e3),
}
random = np.random.default_rng(0)
for _ in range(2):
    cell = fe2.image_cell(random.permutation(np.arange(16) % 2).reshape(4, 4), {"elastic": 0, "plastic": 1})
    fe2.small_strain(cell, laws).homogenize()
    print(len(list(cache_folder().glob("*.so"))))
"""


@pytest.mark.slow
def test_cells_of_one_kind_share_their_compiled_code(tmp_path: Path) -> None:
    first, second = succeeded(python(PROGRAM, timeout=250, XDG_CACHE_HOME=str(tmp_path))).split()
    assert second == first
