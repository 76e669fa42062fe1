"""The file shown in docs/adding_a_coupled_physics.md is put in place and used, as a reader would do."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import ufl
from case_files import write
from dolfinx import fem, mesh
from mpi import ROOT
from mpi4py import MPI
from plugins import install

import fe2
from fe2.case.build_cell import build_rve
from fe2.case.cell_case import read_cell_case

TEXT = (ROOT / "docs" / "adding_a_coupled_physics.md").read_text()
FILES = dict(re.findall(r"File `([\w/]+\.py)`:\n\n```python\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ModuleType, ModuleType]]:
    folder = tmp_path_factory.mktemp("page")
    for name, source in FILES.items():
        (folder / name).write_text(source)
    (entry_points,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    install(folder, "piezo", tomllib.loads(entry_points)["project"]["entry-points"])
    sys.path.insert(0, str(folder))
    yield folder, importlib.import_module("piezo"), importlib.import_module("test_piezo")
    sys.path.remove(str(folder))
    for name in ("piezo", "test_piezo"):
        del sys.modules[name]


def test_the_page_has_a_physics_and_its_test() -> None:
    assert set(FILES) == {"piezo.py", "test_piezo.py"}


def test_test_of_the_page_passes(pages: tuple[Path, ModuleType, ModuleType]) -> None:
    pages[2].test_across_layers_inverses_average()
    pages[2].test_a_layer_beside_a_void_carries_its_share()


def test_physics_of_the_page_is_known_to_cell_files(pages: tuple[Path, ModuleType, ModuleType]) -> None:
    folder, *_ = pages
    law = {"law": "piezoelectric", "young": 2.0, "poisson": 0.25, "coupling": 0.3, "permittivity": 1.5}
    table = {
        "cell": {"image": "labels.npy", "physics": "piezoelectricity"},
        "phases": {"a": {"label": 0, **law}},
    }
    file = write(folder, table)
    np.save(folder / "labels.npy", np.zeros((3, 3), dtype=int))
    rve = build_rve(read_cell_case(file))
    found = rve.kinematics.by_block(rve.homogenize().effective)
    np.testing.assert_allclose(found["electric_displacement"]["strain"], [[0.3, 0, 0], [0, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(found["electric_displacement"]["electric_field"], 1.5 * np.eye(2), atol=1e-12)


def test_macroscopic_form_of_the_page_is_in_balance(pages: tuple[Path, ModuleType, ModuleType]) -> None:
    """A held bar of layers across a voltage: uniform field, σ and D of the effective constants."""
    rve = pages[1].piezoelectricity(
        fe2.image_cell(np.array([[0], [0], [1], [1]]).repeat(4, axis=1), {"a": 0, "b": 1}), pages[2].LAWS
    )
    domain = mesh.create_rectangle(
        MPI.COMM_SELF, [[0.0, 0.0], [2.0, 1.0]], [2, 1], mesh.CellType.quadrilateral
    )
    V, W = fem.functionspace(domain, ("Lagrange", 1, (2,))), fem.functionspace(domain, ("Lagrange", 1))
    u, phi, v, q = (
        fem.Function(V, name="u"),
        fem.Function(W, name="phi"),
        ufl.TestFunction(V),
        ufl.TestFunction(W),
    )

    def everywhere(x: np.ndarray) -> np.ndarray:
        return np.isclose(x[0], 0.0) | np.isclose(x[0], 2.0) | np.isclose(x[1], 0.0) | np.isclose(x[1], 1.0)

    def end(x: np.ndarray) -> np.ndarray:
        return np.isclose(x[0], 2.0)

    bcs = [fem.dirichletbc(np.zeros(2), fem.locate_dofs_geometrical(V, everywhere), V)]
    for where, volts in ((lambda x: np.isclose(x[0], 0.0), 0.0), (end, 3.0)):
        bcs.append(fem.dirichletbc(volts, fem.locate_dofs_geometrical(W, where), W))
    names = {"fe2": fe2, "ufl": ufl, "u": u, "phi": phi, "v": v, "q": q, "rve": rve, "bcs": bcs}
    (form,) = re.findall(r"```python\n(law = .*?)```", TEXT, re.DOTALL)
    exec(form, names)
    names["problem"].solve()
    effective = rve.kinematics.by_block(rve.homogenize().effective)
    field = np.array([-1.5, 0.0])
    answers = names["law"].flux.x.array.reshape(-1, 5)
    expected = np.concatenate([effective[dual]["electric_field"] @ field for dual in effective])
    np.testing.assert_allclose(answers, np.tile(expected, (len(answers), 1)), atol=1e-10)


def test_kit_accepts_the_physics_of_the_page(pages: tuple[Path, ModuleType, ModuleType]) -> None:
    (call,) = re.findall(r"```python\n(from fe2.testing.*?)```", TEXT, re.DOTALL)
    exec(call, {"LAWS": pages[2].LAWS})
