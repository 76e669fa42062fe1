"""Consolidation of porous bodies made of cells: Terzaghi, Mandel and Cryer, from run files and in Python."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import gmsh
import numpy as np
import pytest
import ufl
from case_files import Table, write
from dolfinx import fem, mesh
from dolfinx.io import gmsh as gmshio
from mpi4py import MPI
from scipy.optimize import brentq

import fe2
from fe2.arrays import Array
from fe2.case.build_cell import build_rve
from fe2.case.build_run import build_model, build_problem, build_simulation
from fe2.case.run_case import read_run_case

pytestmark = pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="serial")

ROCK = {
    "label": 0,
    "law": "poroelastic",
    "young": 14.4e3,
    "poisson": 0.2,
    "biot": 0.79,
    "biot_modulus": 12.6e3,
    "permeability": 1.9e-7,
    "viscosity": 1e-9,
}
PORE = {"label": 1, "law": "pore", "fluid_modulus": 2.25e3}


def porous_rock(folder: Path, **more: Any) -> Table:
    """A run with a cell of porous rock around a square hole full of fluid; equal along x and y."""
    labels = np.zeros((4, 4), dtype=np.uint8)
    labels[1:3, 1:3] = 1
    np.save(folder / "rock.npy", labels)
    law = {"cell": {"image": "rock.npy", "physics": "poroelasticity"}, "phases": {"rock": ROCK, "pore": PORE}}
    return {
        "fields": [
            {"name": "u", "kind": "vector", "degree": 2},
            {"name": "p", "kind": "scalar", "degree": 1},
        ],
        "laws": {"rock": law},
        **more,
    }


class Run:
    """A run from its file, with the effective numbers of its cell, which is equal along x and y."""

    def __init__(self, folder: Path, table: Table) -> None:
        case = read_run_case(write(folder, table))
        self.model = build_model(case, MPI.COMM_WORLD)
        self.problem = build_problem(self.model)
        self.folder = folder
        (law,) = case.laws.values()
        found = build_rve(law.cell).homogenize().properties
        self.stiff, self.side = found["drained"][0, 0], found["drained"][0, 1]
        self.biot, self.modulus = found["biot"][0], found["biot_modulus"]
        self.skempton, self.mobility = found["skempton"], found["permeability"][0, 0] / ROCK["viscosity"]

    def simulate(self, look: Any) -> None:
        build_simulation(self.model, self.problem, overwrite=True, observers=[look]).run()

    def value(self, field: int, place: tuple[float, ...], component: int = 0) -> float:
        function = self.model.unknowns[field].function
        space = function.function_space
        at = np.argmin(np.linalg.norm(space.tabulate_dof_coordinates()[:, :2] - place, axis=1))
        return float(function.x.array[at * space.dofmap.index_map_bs + component])


HEIGHT, LOAD = 8.0, 2.0


def test_terzaghis_column_settles_by_half_and_by_nine_tenths(tmp_path: Path) -> None:
    """(s - s₀) / (s_∞ - s₀) is 1/2 at T = c t / h² = 0.196731 and 0.9 at 0.848085."""
    probe = Run(tmp_path, porous_rock(tmp_path, **column([0.0, 1.0])))
    diffusivity = probe.mobility / (1.0 / probe.modulus + probe.biot**2 / probe.stiff)
    half, most = 0.196731, 0.848085
    growing = np.append(0.0, np.cumsum(np.geomspace(4e-4, 0.012, 45)))
    times = np.concatenate([growing * half / growing[-1], np.linspace(half, most, 31)[1:]])
    run = Run(tmp_path, porous_rock(tmp_path, **column((times * HEIGHT**2 / diffusivity).tolist())))
    settlements: list[float] = []
    run.simulate(lambda time: settlements.append(-run.value(0, (0.0, HEIGHT), 1)))
    at_once = LOAD * HEIGHT / (run.stiff + run.biot**2 * run.modulus)
    in_the_end = LOAD * HEIGHT / run.stiff
    degree = (np.array(settlements) - at_once) / (in_the_end - at_once)
    assert degree[44] == pytest.approx(0.5, abs=1e-3)
    assert degree[-1] == pytest.approx(0.9, abs=1e-3)


def column(times: list[float]) -> Table:
    """Pressed from above, where it drains."""
    return {
        "mesh": {"box": [[0.0, 1.0], [0.0, HEIGHT]], "cells": [1, 24]},
        "boundary": [
            {"on": "left", "field": "u", "fixed": ["x"]},
            {"on": "right", "field": "u", "fixed": ["x"]},
            {"on": "bottom", "field": "u", "fixed": ["y"]},
            {"on": "top", "field": "u", "load": {"y": str(-LOAD)}},
            {"on": "top", "field": "p", "prescribed": "0"},
        ],
        "steps": {"times": times, "scheme": "bdf2"},
    }


def test_steps_that_are_too_short_for_the_elements_are_told_before_the_run(tmp_path: Path) -> None:
    """Below h²/(6 c) at the drained side; at the bound, and of later steps, nothing is said."""
    run = Run(tmp_path, porous_rock(tmp_path, **column([0.0, 1.0])))
    diffusivity = run.mobility / (1.0 / run.modulus + run.biot**2 / run.stiff)
    bound = float((HEIGHT / 24) ** 2 / (6.0 * diffusivity))
    message = rf"first time step of {0.9 * bound:.6g} is shorter than h²/\(6 c\) = {bound:.6g}"
    chosen = {"tolerance": 1e-3, "smallest": 0.25}
    for times, options, told in (
        ([0.0, 1.0001 * bound, 1.5 * bound], {}, False),
        ([0.0, 0.9 * bound, 3.0 * bound], {}, True),
        ([0.0, 4.0001 * bound], chosen, False),
        ([0.0, 3.6 * bound], chosen, True),
    ):
        table = column(times)
        table["steps"] |= options
        run = Run(tmp_path, porous_rock(tmp_path, **table))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            build_simulation(run.model, run.problem, overwrite=True)
        assert told == any(re.search(message, str(warning.message)) for warning in caught)
        assert told == any("shorter than" in str(warning.message) for warning in caught)
        assert (told and bool(options)) == any("smallest = 0.29 or" in str(w.message) for w in caught)


WIDTH, FORCE = 5.0, 10.0


class Mandel:
    """Pressure and settlement of Mandel's plate (Cheng & Detournay, Int. J. Numer. Anal. Meth. 12 (1988)).

    Between rigid plates without friction, drained at x = ±a. Nothing is sheared, so that a body that is equal
    along x and y has the formulas of the isotropic one with C₁₁, C₁₂ in the place of G and ν.
    """

    def __init__(self, run: Run, count: int = 400) -> None:
        undrained = run.biot**2 * run.modulus
        self.shear = 0.5 * (run.stiff - run.side)
        nu, self.nu_u = (
            side / (stiff + side)
            for stiff, side in (
                (run.stiff, run.side),
                (run.stiff + undrained, run.side + undrained),
            )
        )
        self.nu, self.skempton = nu, run.skempton
        ratio = (1.0 - nu) / (self.nu_u - nu)
        edge = 1e-9
        self.roots = np.array(
            [
                brentq(
                    lambda x: np.sin(x) - ratio * x * np.cos(x),
                    k * np.pi + (edge if k else 1e-3),
                    (k + 0.5) * np.pi - (0.0 if k else edge),
                    xtol=1e-13,
                )
                for k in range(count)
            ]
        )
        self.diffusivity = run.mobility / (1.0 / run.modulus + run.biot**2 / run.stiff)

    def pressure(self, x: float, time: float) -> float:
        a, sine, cosine = self.roots, np.sin(self.roots), np.cos(self.roots)
        decay = np.exp(-(a**2) * self.diffusivity * time / WIDTH**2)
        terms = sine / (a - sine * cosine) * (np.cos(a * x / WIDTH) - cosine) * decay
        # B (1 + ν_u) / 3 is half of the answer to an all-round stress in the plane
        return float(FORCE / WIDTH * self.skempton * terms.sum())

    def settlement(self, height: float, time: float) -> float:
        a, sine, cosine = self.roots, np.sin(self.roots), np.cos(self.roots)
        decay = np.exp(-(a**2) * self.diffusivity * time / WIDTH**2)
        terms = (sine * cosine / (a - sine * cosine) * decay).sum()
        scale = FORCE * height / (self.shear * WIDTH)
        return float(scale * (0.5 * (1.0 - self.nu) - (1.0 - self.nu_u) * terms))


def plate(settlement: list[list[float]]) -> Table:
    return {
        "mesh": {"box": [[0.0, WIDTH], [0.0, 1.0]], "cells": [20, 1]},
        "boundary": [
            {"on": "left", "field": "u", "fixed": ["x"]},
            {"on": "bottom", "field": "u", "fixed": ["y"]},
            {"on": "top", "name": "plate", "field": "u", "prescribed": {"y": settlement}},
            {"on": "right", "field": "p", "prescribed": "0"},
        ],
        "steps": {"times": [time for time, _ in settlement], "scheme": "bdf2"},
        "output": {"reactions": ["plate"], "balance": True},
    }


def test_mandels_pressure_rises_before_it_falls(tmp_path: Path) -> None:
    """In the middle, beyond what the load made at once, while the force on the plate stays what it is."""
    exact = Mandel(Run(tmp_path, porous_rock(tmp_path, **plate([[0.0, 0.0], [1.0, -1e-6]]))))
    parts = np.concatenate([[0.0], np.cumsum(np.geomspace(6e-4, 0.01, 20)), np.linspace(0.07, 0.6, 58)[1:]])
    times = parts * WIDTH**2 / exact.diffusivity
    path = [[0.0, 0.0], *([time, -exact.settlement(1.0, time)] for time in times[1:].tolist())]
    run = Run(tmp_path, porous_rock(tmp_path, **plate(path)))
    found: list[float] = []
    run.simulate(lambda time: found.append(run.value(1, (0.0, 0.0))))
    history = fe2.read_history(tmp_path / "results")
    at_once = run.skempton * 0.5 * FORCE / WIDTH
    expected = np.array([exact.pressure(0.0, time) for time in times[1:]])
    assert expected.max() > 1.02 * at_once
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=0.01 * at_once)
    assert max(found) > 1.02 * at_once
    np.testing.assert_allclose(history["plate_y"][5:], -FORCE, rtol=0.01)
    outflow = -history["flow_right_p"]
    assert np.all(outflow > 0.0)
    np.testing.assert_allclose(-history["flow_stored"], outflow, rtol=1e-6)


CRYER = {0.0: 1.5754, 0.25: 1.3075}
"""Largest pressure in the centre of a sphere, relative to the load, of incompressible constituents."""


def cryer(poisson: float, times: Array) -> Array:
    """Pressure in the centre by c t / a² (Verruijt, Theory and problems of poroelasticity, 2013)."""
    eta = (1.0 - poisson) / (1.0 - 2.0 * poisson)

    def characteristic(x: Any) -> Any:
        return (1.0 - 0.5 * eta * x**2) * np.sin(x) - x * np.cos(x)

    grid = np.linspace(0.05, 60.0 * np.pi, 6000)
    ends = np.flatnonzero(characteristic(grid[:-1]) * characteristic(grid[1:]) < 0.0)
    x = np.array([brentq(characteristic, grid[k], grid[k + 1]) for k in ends])
    factors = eta * (np.sin(x) - x) / (0.5 * eta * x * np.cos(x) + (eta - 1.0) * np.sin(x))
    found: Array = np.exp(-np.outer(times, x**2)) @ factors
    return found


def octant(size: float = 0.12) -> Any:
    """An eighth of a sphere of radius one, with curved elements, small at its surface; boundaries 11 ff.."""
    gmsh.initialize()
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.model.occ.addSphere(0.0, 0.0, 0.0, 1.0, angle1=0.0, angle2=np.pi / 2, angle3=np.pi / 2)
        gmsh.model.occ.synchronize()
        gmsh.model.addPhysicalGroup(3, [1], 1)
        for _, face in gmsh.model.getEntities(2):
            middle = np.array(gmsh.model.occ.getCenterOfMass(2, face))
            flat = np.flatnonzero(np.abs(middle) < 1e-6)
            gmsh.model.addPhysicalGroup(2, [face], 11 + (int(flat[0]) if len(flat) else 3))
        for bound in ("Mesh.MeshSizeMin", "Mesh.MeshSizeMax"):
            gmsh.option.setNumber(bound, size)
        gmsh.model.mesh.generate(3)
        gmsh.model.mesh.setOrder(2)
        return gmshio.model_to_mesh(gmsh.model, MPI.COMM_SELF, 0)
    finally:
        gmsh.finalize()


@pytest.mark.slow
@pytest.mark.parametrize("poisson", CRYER)
def test_cryers_sphere_has_its_largest_pressure_in_the_middle(poisson: float) -> None:
    """Cryer (Quart. J. Mech. Appl. Math. 16 (1963), 401–412): it rises beyond the load."""
    rock = fe2.poroelastic(10.0, poisson, 1.0, np.inf, 1.0, 1.0)
    cell = fe2.image_cell(np.zeros((3, 3, 3), dtype=int), {"rock": 0})
    micro = fe2.poroelasticity(cell, {"rock": rock}).linearized()
    data = octant()
    domain, tags = data.mesh, data.facet_tags
    V, W = fem.functionspace(domain, ("Lagrange", 2, (3,))), fem.functionspace(domain, ("Lagrange", 1))
    u, p = fem.Function(V, name="u"), fem.Function(W, name="p")
    v, q = ufl.TestFunction(V), ufl.TestFunction(W)
    law = fe2.HomogenizedLaw(
        {"strain": fe2.strain(u), "pressure": p, "pressure_gradient": ufl.grad(p)},
        micro,
        quadrature_degree=3,
    )
    ds = ufl.Measure("ds", domain=domain, subdomain_data=tags, subdomain_id=14)
    load = ufl.inner(ufl.FacetNormal(domain), v) * ds
    F_u = ufl.dot(law["stress"], fe2.strain(v)) * law.dx + load
    F_p = (law.rate("fluid_content") * q + ufl.dot(law["seepage"], ufl.grad(q))) * law.dx
    bcs = [
        fem.dirichletbc(
            fem.Constant(domain, 0.0), fem.locate_dofs_topological(V.sub(k), 2, tags.find(11 + k)), V.sub(k)
        )
        for k in range(3)
    ]
    bcs.append(
        fem.dirichletbc(fem.Constant(domain, 0.0), fem.locate_dofs_topological(W, 2, tags.find(14)), W)
    )
    problem = fe2.MacroProblem([F_u, F_p], [u, p], law, bcs=bcs, scheme="bdf2")
    oedometer = 10.0 * (1.0 - poisson) / ((1.0 + poisson) * (1.0 - 2.0 * poisson))
    times = np.concatenate([[0.0], np.geomspace(4e-3, 0.1, 20)]) / oedometer
    middle = int(np.argmin(np.linalg.norm(W.tabulate_dof_coordinates(), axis=1)))
    found: list[float] = []
    steps = fe2.LoadSteps(times, lambda time: None)
    fe2.Simulation(
        problem, steps, observers=[lambda time: found.append(float(p.x.array[middle]))], quiet=True
    ).run()
    expected = cryer(poisson, times[1:] * oedometer)
    assert cryer(poisson, np.linspace(0.04, 0.08, 200)).max() == pytest.approx(CRYER[poisson], abs=1e-4)
    # elements of 0.12 are wrong by 1.5 %, those of 0.2 by 4 %
    assert max(found) == pytest.approx(CRYER[poisson], rel=0.02)
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_steps_go_on_long_after_the_pressure_has_evened_out():
    """Nothing acts on the pressure any more: what is left of it, and of its residual, is round-off."""
    law = fe2.poroelastic(14.4e3, 0.2, 0.79, 12.6e3, 1.9e-7, 1e-9)
    rve = fe2.poroelasticity(fe2.image_cell(np.zeros((3, 3), dtype=np.int32), {"rock": 0}), {"rock": law})
    column = mesh.create_rectangle(
        MPI.COMM_WORLD, [[0.0, 0.0], [0.1, 1.0]], [1, 6], mesh.CellType.quadrilateral
    )
    V, Q = (fem.functionspace(column, ("Lagrange", *kind)) for kind in ((2, (2,)), (1,)))
    u, p, v, q = (
        fem.Function(V, name="u"),
        fem.Function(Q, name="p"),
        ufl.TestFunction(V),
        ufl.TestFunction(Q),
    )
    blocks = {"strain": fe2.strain(u), "pressure": p, "pressure_gradient": ufl.grad(p)}
    homogenized = fe2.HomogenizedLaw(blocks, rve, quadrature_degree=4)
    top = mesh.locate_entities_boundary(column, 1, lambda x: np.isclose(x[1], 1.0))
    tags = mesh.meshtags(column, 1, top, np.full(len(top), 1, dtype=np.int32))
    load = v[1] * ufl.Measure("ds", column, subdomain_data=tags)(1)
    seeps = ufl.dot(homogenized["seepage"], ufl.grad(q)) + homogenized.rate("fluid_content") * q
    F = [ufl.dot(homogenized["stress"], fe2.strain(v)) * homogenized.dx + load, seeps * homogenized.dx]
    walls = {0: lambda x: np.isclose(x[0], 0.0) | np.isclose(x[0], 0.1), 1: lambda x: np.isclose(x[1], 0.0)}
    bcs = [fem.dirichletbc(0.0, fem.locate_dofs_topological(Q, 1, top), Q)]
    for component, place in walls.items():
        W = V.sub(component).collapse()[0]
        dofs = fem.locate_dofs_geometrical((V.sub(component), W), place)
        bcs.append(fem.dirichletbc(fem.Function(W), dofs, V.sub(component)))
    problem = fe2.MacroProblem(F, [u, p], homogenized, bcs=bcs)
    for exponent in range(-5, 7):
        with problem.step(10.0**exponent):
            assert problem.solve() <= 2
    stiffness = rve.homogenize().properties["drained"][1, 1]
    assert u.x.array.min() == pytest.approx(-1.0 / stiffness, rel=1e-10)
    assert np.abs(p.x.array).max() < 1e-15
