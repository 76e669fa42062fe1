"""Volumetric locking: which laws and elements are warned of, on both scales, and what degree 2 gains."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import basix.ufl
import numpy as np
import pytest
import ufl
from case_files import write
from cells import box_mesh
from dolfinx import fem
from fe2_meshes.square_array import square_array

import fe2
from fe2.case.read import read_case
from fe2.case.volumetric_locking import warn_of_locking_in_cell, warn_of_locking_in_run
from fe2.cli.main import run
from fe2.errors import Fe2Warning
from fe2.micro.cell import make_cell

SHEAR = 1.0e3
PLASTIC = fe2.J2Plasticity(young=70e3, poisson=0.3, yield_stress=100.0)
ISOCHORIC: dict[str, Any] = {
    "j2": PLASTIC,
    "voce": fe2.VocePlasticity(
        young=70e3, poisson=0.3, yield_stress=100.0, saturation_stress=50.0, saturation_rate=9.0
    ),
    "norton_perzyna": fe2.NortonPerzyna(
        young=70e3, poisson=0.3, yield_stress=100.0, reference_rate=1.0, exponent=4.0
    ),
    "elastic": fe2.LinearElastic.isotropic(young=1.0, poisson=0.49),
    "neo_hookean": fe2.NeoHookean(young=1.0, poisson=0.495),
    "mooney_rivlin": fe2.MooneyRivlin(c10=SHEAR / 2, c01=0.0, bulk=50 * SHEAR),
    "own energy": fe2.Hyperelastic(
        lambda F, p: 0.5 * p["mu"] * (ufl.inner(F, F) - 3.0 - 2.0 * ufl.ln(ufl.det(F))),
        {"mu": SHEAR},
        bulk=60 * SHEAR,
    ),
}
COMPRESSIBLE: dict[str, Any] = {
    "elastic": fe2.LinearElastic.isotropic(young=1.0, poisson=0.485),
    "neo_hookean": fe2.NeoHookean(young=1e9, poisson=0.45),
    "mooney_rivlin": fe2.MooneyRivlin(c10=SHEAR / 2, c01=0.0, bulk=40 * SHEAR),
    "conduction": fe2.LinearConduction(2.0),
}


def warned(make: Callable[[], object]) -> list[str]:
    """Texts of fe2's warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
    return [str(entry.message) for entry in caught if issubclass(entry.category, Fe2Warning)]


def test_laws_that_keep_the_volume_are_known() -> None:
    assert {name: law.isochoric for name, law in ISOCHORIC.items()} == dict.fromkeys(ISOCHORIC, True)
    assert {name: law.isochoric for name, law in COMPRESSIBLE.items()} == dict.fromkeys(COMPRESSIBLE, False)


def square(shape: str, divisions: int = 3) -> fe2.Cell:
    dim = 2 if shape in ("triangle", "quadrilateral") else 3
    mesh = box_mesh(shape, [divisions] * dim)
    return make_cell(mesh, np.zeros(mesh.topology.index_map(dim).size_local, dtype=np.int32), ("solid",))


@pytest.mark.parametrize(
    ("shape", "degree", "law", "warns"),
    [
        ("triangle", 1, PLASTIC, True),
        ("tetrahedron", None, PLASTIC, True),
        ("triangle", 2, PLASTIC, False),
        ("quadrilateral", 1, PLASTIC, False),
        ("triangle", 1, COMPRESSIBLE["elastic"], False),
    ],
)
def test_cells_of_linear_simplices_are_warned_of(
    shape: str, degree: int | None, law: fe2.PhaseLaw, warns: bool
) -> None:
    found = warned(lambda: fe2.small_strain(square(shape), {"solid": law}, degree=degree))
    assert len(found) == warns
    assert all("linear displacements, and solid flows" in text for text in found)


@pytest.mark.parametrize(("degree", "linearized", "warns"), [(1, False, 1), (2, False, 0), (1, True, 0)])
def test_macroscopic_meshes_are_warned_of(degree: int, linearized: bool, warns: int) -> None:
    rve = fe2.small_strain(square("quadrilateral"), {"solid": PLASTIC})
    micro = rve.linearized() if linearized else rve
    element = basix.ufl.element("Lagrange", "triangle", degree, shape=(2,))
    u = fem.Function(fem.functionspace(box_mesh("triangle", [2, 2]), element))
    found = warned(lambda: fe2.HomogenizedLaw(fe2.strain(u), micro, quadrature_degree=1))
    assert len(found) == warns
    assert all(text.startswith("the macroscopic mesh has triangles") for text in found)


def test_incompressible_phases_with_a_pressure_of_their_own_are_right() -> None:
    laws = {"solid": ISOCHORIC["neo_hookean"]}
    assert warned(lambda: fe2.finite_strain(square("triangle"), laws, degree=1))
    assert not warned(lambda: fe2.finite_strain(square("triangle"), laws, incompressible=["solid"]))


GENERATED: dict[str, tuple[dict[str, Any], bool]] = {
    "fibres of second order": ({"generator": "square_array"}, False),
    "linear displacement on curved fibres": ({"generator": "square_array", "degree": 1}, True),
    "fibres of first order": ({"generator": "square_array", "order": 1}, True),
    "layers": ({"generator": "laminate", "fractions": [0.5, 0.5]}, True),
    "layers of quadrilaterals": ({"generator": "laminate", "elements": "tensor"}, False),
    "an image": ({"image": "labels.npy"}, False),
}


@pytest.mark.parametrize("name", GENERATED)
def test_check_warns_where_the_file_tells_the_elements(name: str, tmp_path: Path) -> None:
    cell, warns = GENERATED[name]
    names = ("layer_1", "layer_2") if cell.get("generator") == "laminate" else ("matrix", "fibre")
    law = {"law": "j2_plasticity", "young": 70e3, "poisson": 0.3, "yield_stress": 100.0}
    labels = {"label": 0} if "image" in cell else {}
    phases = {phase: {**law, **dict.fromkeys(labels, k)} for k, phase in enumerate(names)}
    case = read_case(write(tmp_path, {"cell": {**cell, "physics": "small_strain"}, "phases": phases}))
    found = warned(lambda: warn_of_locking_in_cell(case))
    assert len(found) == warns
    assert all(text.startswith(f"{case.file}: the cell has triangles") for text in found)


def test_new_cases_do_not_lock_and_are_warned_of_where_they_are_made_to(tmp_path: Path) -> None:
    assert run(["new", str(tmp_path / "plate")]) == 0
    file = tmp_path / "plate" / "case.toml"
    assert not warned(lambda: warn_of_locking_in_run(read_case(file)))
    file.write_text(file.read_text().replace("degree = 2", "degree = 1").replace("order = 2", "order = 1"))
    (found,) = warned(lambda: warn_of_locking_in_run(read_case(file)))
    assert found.startswith(f"{file}: the macroscopic mesh has triangles")


def test_quadratic_triangles_come_near_the_limit_load_that_linear_ones_exceed(tmp_path: Path) -> None:
    """Perfectly plastic matrix with 30 % of fibres in a square array, in plane strain tension.

    A straight line at 45 degrees passes beside the fibres, since a / √2 > 2 r: the limit of the difference of
    the normal stresses is that of the matrix, 2 k = 2 σ_y / √3 (Drucker, Prager & Greenberg 1952).
    """
    fibre = fe2.LinearElastic.isotropic(young=700e3, poisson=0.2)
    excess = {}
    for degree, size in ((1, 0.2), (2, 0.25)):
        path = square_array(tmp_path / "cell.msh", fraction=0.3, size=size, order=degree)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Fe2Warning)
            rve = fe2.small_strain(fe2.read_cell(path), {"matrix": PLASTIC, "fibre": fibre})
        state, out = rve.initial_state(), np.empty(rve.state_size)
        for strain in np.linspace(0.0, 0.01, 6)[1:]:
            response = rve.solve(np.array([strain, -strain, 0.0]), state, 1.0, out)
            state = out.copy()
        limit = 2.0 * PLASTIC.yield_stress / np.sqrt(3.0)
        excess[degree] = (response.flux[0] - response.flux[1]) / limit - 1.0
    assert 0.0 < excess[2] < 0.08
    assert excess[1] > 0.2
