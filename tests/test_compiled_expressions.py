"""Expressions of all kinds are compiled once, under fe2's lock."""

from __future__ import annotations

from pathlib import Path

import basix.ufl
import numpy as np
import pytest
from cells import box_mesh
from dolfinx import fem
from mpi4py import MPI

from fe2 import jit


@pytest.mark.parametrize("kind", ["constant", "function", "product"])
def test_expression_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """DOLFINx must find what was compiled under the lock: a second compile beside it is unprotected."""
    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path)
    mesh, points = box_mesh("triangle", (1, 1)), np.array([[0.25, 0.25]])
    element = basix.ufl.quadrature_element("triangle", points=points, weights=np.array([0.5]))
    constant, function = fem.Constant(mesh, 2.0), fem.Function(fem.functionspace(mesh, element))
    function.x.array[:] = 3.0
    expressions = {
        "constant": (constant, 2.0),
        "function": (function, 3.0),
        "product": (constant * function, 6.0),
    }
    expression, value = expressions[kind]
    compiled = jit.compile_expression(expression, points, MPI.COMM_SELF)
    assert np.allclose(compiled.eval(mesh, np.array([0, 1], dtype=np.int32)), value)
    assert len(list(tmp_path.glob("libffcx_*.c"))) == 1
