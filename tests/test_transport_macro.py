"""Storage, wells, exchange and the balance on the macroscopic scale, from Python and from case files."""

from __future__ import annotations

import two_scale  # isort: skip  # before dolfinx

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ufl
from case_files import IMAGE_CELL, RUN, Table, write
from cells import Array
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi import PROGRAMS, mpiexec, succeeded
from mpi4py import MPI
from test_pore_flow import porous, slit

from fe2.case.build_cell import build_rve
from fe2.case.build_run import build_model, build_problem, build_simulation
from fe2.case.cell_case import read_cell_case
from fe2.case.problems import CaseFileError
from fe2.case.run_case import read_run_case
from fe2.errors import InputError
from fe2.io.history import read_history
from fe2.io.progress import Progress
from fe2.macro.balance import Balance
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.macro.rate import Rate
from fe2.micro.pore_flow import pore_flow
from fe2.micro.rve import RVE
from fe2.physics.diffusion import gradient
from fe2.physics.pore_flow import NewtonianFluid
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

VISCOSITY = 0.1
MOBILITY = 2.0 / 3.0 / 12.0 / VISCOSITY  # of slits of height 1 in a cell of height 1.5


def slits() -> RVE:
    return pore_flow(porous(slit(2, 1, 2), 0.5), {"pore": NewtonianFluid(VISCOSITY)})


def bed() -> RVE:
    """A square grain in a square cell: the permeability is isotropic."""
    labels = np.zeros((4, 4), dtype=int)
    labels[1:3, 1:3] = 1
    return pore_flow(porous(labels, 0.25), {"pore": NewtonianFluid(0.05)})


def decay(rve: RVE, steps: int, cells: int) -> tuple[float, dict[str, Array]]:
    """Pressure that is left of cos(πx) in a closed strip at time 0.5, with storage 1; and the balance."""
    mesh = dmesh.create_rectangle(MPI.COMM_WORLD, [[0.0, 0.0], [1.0, 0.2]], [cells, 1])
    space = fem.functionspace(mesh, ("Lagrange", 2))
    p, q = fem.Function(space), ufl.TestFunction(space)
    p.interpolate(lambda x: np.cos(np.pi * x[0]))
    law, rate = HomogenizedLaw(gradient(p), rve, quadrature_degree=2, closed="y"), Rate(p)
    F = rate(p) * q * ufl.dx + ufl.dot(law.flux, gradient(q)) * law.dx
    problem = MacroProblem(F, p, law, rate=rate)
    half = ufl.conditional(ufl.lt(ufl.SpatialCoordinate(mesh)[0], 0.5), 1.0, 0.0)
    balance = Balance(problem, {}, stored=rate(p) * ufl.dx)
    half_balance = Balance(problem, {}, stored=half * rate(p) * ufl.dx)
    columns = {**balance.columns(), "half": half_balance.columns()["stored"]}
    plan = LoadSteps(np.linspace(0.0, 0.5, steps + 1), lambda t: None)
    simulation = Simulation(problem, plan, loads=columns, quiet=True)
    simulation.run()
    values = {name: np.array([record.loads[name] for record in simulation.records]) for name in columns}
    return float(p.x.array.max()), values


def test_pressure_of_a_compressible_fluid_decays_as_it_should() -> None:
    rve = bed()
    rate = np.pi**2 * rve.linearized().tangent[0, 0]
    errors = [abs(decay(rve, steps, 8)[0] - np.exp(-0.5 * rate)) for steps in (20, 40)]
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.15)  # backward Euler
    left, values = decay(rve, 20, 8)
    assert left == pytest.approx((1.0 + rate / 40) ** -20, rel=3e-4)  # its exact decay; (πh)⁴/180
    assert np.max(np.abs(values["imbalance"])) < 1e-13 * np.max(np.abs(values["half"]))


def test_rate_of_a_density_and_of_a_step_without_length() -> None:
    mesh = dmesh.create_unit_square(MPI.COMM_WORLD, 1, 1)
    p = fem.Function(fem.functionspace(mesh, ("Lagrange", 1)))
    rate = Rate(p)
    density = fem.form(rate(p**2) * ufl.dx)
    p.x.array[:] = 2.0
    rate.begin(0.5)
    p.x.array[:] = 3.0
    assert fem.assemble_scalar(density) == pytest.approx((9.0 - 4.0) / 0.5)
    rate.begin(0.0)
    p.x.array[:] = 5.0
    assert fem.assemble_scalar(density) == 0.0


def test_balance_of_wells_and_inflows() -> None:
    """A well by an integral, its reaction nodes on one side, impermeable otherwise."""
    mesh = dmesh.create_rectangle(MPI.COMM_WORLD, [[0.0, 0.0], [2.0, 1.0]], [4, 2])
    space = fem.functionspace(mesh, ("Lagrange", 1))
    p, q = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(gradient(p), slits(), quadrature_degree=1, closed="y")
    x = ufl.SpatialCoordinate(mesh)
    well = 3.0 * ufl.exp(-((x[0] - 0.5) ** 2)) * (2.0 - p)
    bc = fem.dirichletbc(0.0, two_scale.boundary_dofs(space, 0, 2.0), space)
    dx = ufl.dx(metadata={"quadrature_degree": 4})  # the same rule with and without the test function
    F = ufl.dot(law.flux, gradient(q)) * law.dx - well * q * dx
    problem = MacroProblem(F, p, law, bcs=[bc])
    balance = Balance(problem, {"outlet": bc, "well": well * dx})
    problem.solve()
    found = {name: column() for name, column in balance.columns("mass_").items()}
    assert found["mass_well"] > 1.0
    assert found["mass_outlet"] == pytest.approx(-found["mass_well"], rel=1e-12)
    assert abs(found["mass_imbalance"]) < 1e-12
    assert found["mass_stored"] == 0.0


@pytest.mark.parametrize(
    ("name", "what", "message"),
    [("well", "form", "'well' has a test function"), ("stored", "bc", "'stored' names a column")],
)
def test_balance_refuses_what_is_none(name: str, what: str, message: str) -> None:
    mesh = dmesh.create_unit_square(MPI.COMM_WORLD, 1, 1)
    space = fem.functionspace(mesh, ("Lagrange", 1))
    p, q = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(gradient(p), slits().linearized(), quadrature_degree=1, closed="y")
    problem = MacroProblem(ufl.dot(law.flux, gradient(q)) * law.dx, p, law)
    bc = fem.dirichletbc(0.0, np.array([0], dtype=np.int32), space)
    with pytest.raises(InputError, match=message):
        Balance(problem, {name: bc if what == "bc" else q * ufl.dx})


@pytest.mark.mpi
def test_gas_on_several_ranks(tmp_path: Path) -> None:
    found = []
    for ranks in (1, 2, 3):
        file = tmp_path / f"{ranks}.npy"
        succeeded(mpiexec(ranks, [str(PROGRAMS / "pore_flow.py"), str(file)], timeout=200))
        found.append(np.load(file))
    inlet, well, stored, imbalance, _ = found[0].T
    assert np.all(np.abs([inlet, well, stored]) > 1e-2)
    assert np.max(np.abs(imbalance)) < 1e-10 * np.max(inlet)
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-8, abs=1e-10)


# Case files

SLITS: Table = {
    "cell": {"image": "slits.npy", "voxel_size": 0.5, "physics": "pore_flow"},
    "phases": {"pore": {"label": 0, "viscosity": VISCOSITY}, "grain": {"label": 1, "solid": True}},
}
BED: Table = {
    "mesh": {"box": [[0.0, 2.0], [0.0, 1.0]], "cells": [4, 1], "element": "quadrilateral"},
    "field": {"initial": 0.0},
    "laws": {"bed": {**SLITS, "closed": ["y"], "storage": 0.5}},
    "boundary": [
        {"on": "left", "name": "leak", "exchange": {"coefficient": 0.7, "ambient": 3.0}},
        {"on": "right", "name": "outlet", "fixed": True},
    ],
    "body": [{"load": 0.25}, {"exchange": {"coefficient": 0.1, "ambient": "1 + t"}}],
    "steps": {"end": 2.0, "increments": 4},
    "output": {"balance": True},
}


def run(folder: Path, table: Table) -> dict[str, Array]:
    np.save(folder / "slits.npy", slit(2, 1, 2))
    model = build_model(read_run_case(write(folder, table)), MPI.COMM_WORLD)
    build_simulation(model, build_problem(model), overwrite=True, observers=[Progress(quiet=True)]).run()
    return read_history(folder / "results")


def test_run_file_with_storage_exchange_and_balance(tmp_path: Path) -> None:
    history = run(tmp_path, BED)
    size = np.max(np.abs(history["flow_outlet"]))
    assert np.max(np.abs(history["flow_imbalance"])) < 1e-12 * size
    names = ("leak_exchange", "outlet", "body_0", "body_1_exchange")
    inflow = sum(history[f"flow_{name}"] for name in names)
    assert inflow == pytest.approx(history["flow_stored"], abs=1e-12 * size)
    assert np.all(history["flow_stored"] > 1e-2)
    assert history["body_1_ambient"].tolist() == [1.5, 2.0, 2.5, 3.0]
    assert history["flow_body_0"] == pytest.approx(0.5)


def test_leak_and_bed_are_resistances_in_series(tmp_path: Path) -> None:
    table: Table = {**BED, "laws": {"bed": {**SLITS, "closed": ["y"]}}, "body": [], "steps": {"end": 1.0}}
    history = run(tmp_path, table)
    assert history["flow_leak_exchange"][-1] == pytest.approx(3.0 / (1 / 0.7 + 2.0 / MOBILITY), rel=1e-9)
    assert history["flow_stored"][-1] == 0.0


@pytest.mark.parametrize("law", ["viscosity", "conductivity"])
def test_cell_that_is_closed_along_an_axis_is_refused_unless_that_is_said(law: str, tmp_path: Path) -> None:
    """Before anything is solved: nothing flows there, and the macroscopic problem may be singular."""
    np.save(tmp_path / "slits.npy", slit(2, 1, 2))
    phases = {"pore": {"label": 0, law: 1.0}, "grain": {"label": 1, "solid": True}}
    if law == "conductivity":
        phases["grain"] = {"label": 1, law: 0.0}
    cell = {**SLITS["cell"], "physics": "pore_flow" if law == "viscosity" else "diffusion"}
    for closed in ([], ["x"]):
        table = {**BED, "laws": {"bed": {"cell": cell, "phases": phases, "closed": closed}}}
        with pytest.raises(
            CaseFileError, match=r"laws\.bed\.cell.* the cell is closed along y: .* closed = \['y'\]"
        ):
            build_model(read_run_case(write(tmp_path, table)), MPI.COMM_WORLD)
    table["laws"]["bed"]["closed"] = ["y"]
    rve = build_model(read_run_case(write(tmp_path, table)), MPI.COMM_WORLD).subdomains[0].rve
    mesh = dmesh.create_unit_square(MPI.COMM_WORLD, 1, 1)
    p = fem.Function(fem.functionspace(mesh, ("Lagrange", 1)))
    for micro in (rve, rve.linearized()):
        with pytest.raises(InputError, match="the cell is closed along y"):
            HomogenizedLaw(gradient(p), micro, quadrature_degree=1)


def test_run_file_of_a_gas_that_slips(tmp_path: Path) -> None:
    gas = {"label": 0, "viscosity": VISCOSITY, "mean_free_path": 0.1, "reference_pressure": 2.0}
    cell = {**SLITS["cell"], "value": True, "initial_value": 4.0}
    table: Table = {
        **BED,
        "laws": {"bed": {"cell": cell, "phases": {**SLITS["phases"], "pore": gas}, "closed": ["y"]}},
        "boundary": [
            {"on": "left", "name": "in", "prescribed": 3.0},
            {"on": "right", "prescribed": 3.0 - 1e-5},
        ],
        "field": {"initial": 3.0},
        "body": [],
        "steps": {"end": 1.0},
    }
    history = run(tmp_path, table)
    exact = MOBILITY * (1.0 + 6.0 * 0.2 / 3.0) * 1e-5 / 2.0
    assert history["flow_in"][-1] == pytest.approx(exact, rel=1e-5)
    assert abs(history["flow_imbalance"][-1]) < 1e-9 * exact


def test_run_file_of_a_wall_that_melts(tmp_path: Path) -> None:
    labels = np.zeros((4, 4), dtype=int)
    labels[1:3, 1:3] = 1
    np.save(tmp_path / "wall.npy", labels)
    wax = {"label": 1, "law": "melting_conduction", "conductivity": 0.5, "capacity": 1.0, "latent_heat": 20.0}
    table: Table = {
        **BED,
        "field": {"initial": 20.0},
        "laws": {
            "wall": {
                "cell": {"image": "wall.npy", "physics": "diffusion", "value": True, "initial_value": 18.0},
                "phases": {
                    "plaster": {"label": 0, "conductivity": 2.0, "capacity": 1.0},
                    "wax": {**wax, "solidus": 25.0, "liquidus": 28.0},
                },
            }
        },
        "boundary": [
            {"on": "left", "name": "air", "exchange": {"coefficient": 4.0, "ambient": "20 + 30 * t"}}
        ],
        "body": [],
        "steps": {"end": 1.0, "increments": 8},
        "solver": {"macro": {"snes_rtol": 1e-11}},
    }
    history = run(tmp_path, table)
    stored = history["flow_stored"]
    assert np.max(np.abs(history["flow_imbalance"])) < 1e-9 * np.max(stored)
    assert np.all(np.diff(stored) > 0.0)


@pytest.mark.parametrize(
    ("physics", "key", "value", "message"),
    [
        (
            "small_strain",
            "value",
            True,
            "value = true: small_strain has no such key; it belongs to diffusion",
        ),
        ("diffusion", "incompressible", ["matrix"], "it belongs to finite_strain"),
        (
            "finite_strain",
            "incompressible",
            ["rubber"],
            r"incompressible\[0\] = \"rubber\": no phase has",
        ),
        (
            "diffusion",
            "contact",
            [{"between": ["matrix", "air"], "resistance": 1.0}],
            r"contact\[0\].between = \"air\": no phase has this name",
        ),
        (
            "diffusion",
            "contact",
            [{"between": ["matrix", "fibre"], "resistance": 0.0}],
            r"contact\[0\].resistance = 0.0: it should be greater than 0",
        ),
    ],
)
def test_keys_of_other_physics_are_refused(
    tmp_path: Path, physics: str, key: str, value: Any, message: str
) -> None:
    laws = {
        "small_strain": {"law": "linear_elastic", "young": 1.0, "poisson": 0.3},
        "diffusion": {"conductivity": 1.0},
        "finite_strain": {"law": "neo_hookean", "young": 1.0, "poisson": 0.3},
    }
    np.save(tmp_path / "labels.npy", np.zeros((4, 4), dtype=int))
    table = copy.deepcopy(IMAGE_CELL)
    table["cell"] |= {"physics": physics, key: value}
    table["phases"] = {"matrix": {"label": 0, **laws[physics]}, "fibre": {"label": 1, **laws[physics]}}
    with pytest.raises(CaseFileError, match=message):
        read_cell_case(write(tmp_path, table))


def test_cell_file_with_contact_and_incompressible_phase(tmp_path: Path) -> None:
    labels = np.repeat([[0, 1]], 4, axis=0).repeat(2, axis=1)
    np.save(tmp_path / "layers.npy", labels)
    cell = {"image": "layers.npy", "voxel_size": 0.25}
    contact = [{"between": ["a", "b"], "resistance": 0.3}]
    phases = {"a": {"label": 0, "conductivity": 1.0}, "b": {"label": 1, "conductivity": 2.0}}
    table = {"cell": {**cell, "physics": "diffusion", "contact": contact}, "phases": phases}
    found = build_rve(read_cell_case(write(tmp_path, table))).homogenize().effective
    assert found[1, 1] == pytest.approx(1.0 / (0.5 / 1.0 + 0.5 / 2.0 + 2 * 0.3), rel=1e-10)
    rubber = {"law": "neo_hookean", "young": 1.0, "poisson": 0.4999}
    table = {
        "cell": {**cell, "physics": "finite_strain", "incompressible": ["a"]},
        "phases": {"a": {"label": 0, **rubber}, "b": {"label": 1, **rubber, "poisson": 0.3}},
    }
    rve = build_rve(read_cell_case(write(tmp_path, table)))
    assert len(rve.form.fields()) == 2


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("laws", "composite", "storage"), 1.0),
        (("boundary", 0, "exchange"), {"coefficient": 1.0, "ambient": 0.0}),
        (("output", "balance"), True),
        (("field", "initial"), 1.0),
    ],
)
def test_vectors_have_no_storage_or_balance(tmp_path: Path, place: tuple[Any, ...], value: Any) -> None:
    table = copy.deepcopy(RUN)
    inner = table
    for part in place[:-1]:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else inner[part]
    inner[place[-1]] = value
    with pytest.raises(CaseFileError, match=f"{place[-1]}.*the displacement is a vector"):
        read_run_case(write(tmp_path, table))
