"""Stokes flow in a cell: exact channels, published values, walls of images, Darcy's law on two scales."""

from __future__ import annotations

import two_scale  # isort: skip  # before dolfinx

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ufl
from case_files import Table, write
from cells import Array, box_mesh, fibres, fitted_fibre, laminate, midpoints, relative_error, spheres
from conftest import Verify
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI

from fe2.case.build_cell import build_rve
from fe2.case.build_run import build_model, build_problem, build_simulation
from fe2.case.cell_case import read_cell_case
from fe2.case.run_case import read_run_case
from fe2.errors import InputError, MicroSolveError
from fe2.io.history import read_history
from fe2.io.images import read_image
from fe2.io.progress import Progress
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro import pore_form as module
from fe2.micro.boundary import boundary_map
from fe2.micro.cell import Cell, make_cell
from fe2.micro.coarsening import coarsen_image
from fe2.micro.effective import EffectiveProperties
from fe2.micro.image_cell import image_cell
from fe2.micro.pore_flow import pore_flow
from fe2.physics.conduction import LinearConduction
from fe2.physics.diffusion import gradient
from fe2.physics.pore_flow import NewtonianFluid, Solid, newtonian_fluid

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

ROUND_OFF = 1e-10
FIBRES = Path(__file__).parents[2] / "shared/data/fibres_100x100x10.raw"
ODD = np.arange(1, 200, 2)
SQUARE_DUCT = (1.0 - 192.0 / np.pi**5 * np.sum(np.tanh(ODD * np.pi / 2) / ODD**5)) / 12.0  # Boussinesq 1868
SQUARE_ARRAY = 51.52695  # drag F/(μU) at the solid fraction 0.2 (Sangani & Acrivos 1982)


def porous(labels: Any, size: float = 1.0) -> Cell:
    """Cell of an image: zeros are "pore", ones "grain"."""
    return image_cell(np.asarray(labels, dtype=np.int64), {"pore": 0, "grain": 1}, voxel_size=size)


def permeability(labels: Any, size: float = 1.0, viscosity: float = 1.0) -> EffectiveProperties:
    return pore_flow(porous(labels, size), {"pore": NewtonianFluid(viscosity), "grain": Solid()}).homogenize()


def slit(dim: int, axis: int, height: int) -> Array:
    labels = np.zeros((3,) * (dim - 1) + (height + 1,), dtype=int)
    labels[..., -1] = 1
    return np.moveaxis(labels, -1, axis)


@pytest.mark.parametrize(("dim", "axis"), [(2, 0), (2, 1), (3, 0), (3, 2)])
@pytest.mark.parametrize("height", [2, 5])
def test_slit_has_the_permeability_of_the_parabola(dim: int, axis: int, height: int, verify: Verify) -> None:
    found = permeability(slit(dim, axis, height), size=1.0 / height, viscosity=7.0)
    exact = np.full(dim, height / (height + 1) / 12.0)
    exact[axis] = 0.0
    assert relative_error(found.effective, np.diag(exact)) < ROUND_OFF
    case, along = f"slit across {'xyz'[axis]}, {height} elements, {dim}D: permeability", (axis + 1) % dim
    bound = ROUND_OFF * exact[along]
    verify(case, found.effective[along, along], exact[along], tolerance=bound, source="exact: h²/12")
    assert relative_error(7.0 * found.tangent, np.diag(exact)) < ROUND_OFF
    assert list(found.properties["percolates"].values()) == [i != axis for i in range(dim)]
    assert found.properties["anisotropy"] is None
    assert found.properties["porosity"] == pytest.approx(height / (height + 1))


def square_duct(elements: int) -> float:
    labels = np.ones((elements + 1, elements + 1, 3), dtype=int)
    labels[:-1, :-1] = 0
    found = permeability(labels, 1.0 / elements).effective * (1.0 + 1.0 / elements) ** 2
    assert np.max(np.abs(found[:2])) < 1e-14
    return float(found[2, 2])


def test_square_duct_converges_to_the_series(verify: Verify) -> None:
    assert pytest.approx(0.0351442537, abs=1e-10) == SQUARE_DUCT
    errors = SQUARE_DUCT - np.array([square_duct(n) for n in (2, 4, 8)])
    assert np.all(errors > 0.0)  # the velocity is the minimizer of the dissipation in a smaller space
    assert np.all(np.log2(errors[:-1] / errors[1:]) > 3.0)  # 4 but for the corners
    finest, bound = SQUARE_DUCT - errors[-1], 1e-4 * SQUARE_DUCT
    verify("square duct: permeability / h²", finest, SQUARE_DUCT, tolerance=bound, source="exact: series")


@pytest.mark.parametrize("cells", ["gmsh", "fitted"])
def test_square_array_of_cylinders_converges_to_the_published_drag(cells: str, verify: Verify) -> None:
    sizes = (8, 16, 32)
    make = {"gmsh": lambda n: fibres("square", 0.2, 1 / n, 2), "fitted": lambda n: fitted_fibre(0.2, n, 2)}
    found = [pore_flow(make[cells](n), {"matrix": NewtonianFluid()}).homogenize().effective for n in sizes]
    errors = np.array([1.0 / k[0, 0] for k in found]) - SQUARE_ARRAY
    assert np.log2(errors[1] / errors[2]) > 3.0
    assert errors[2] > 0.0
    case = f"flow across a square array of cylinders, f = 0.2, {cells}: drag F/(μU)"
    bound, source = 3e-5 * SQUARE_ARRAY, "Sangani & Acrivos 1982"
    verify(case, SQUARE_ARRAY + errors[2], SQUARE_ARRAY, tolerance=bound, source=source)
    for k in found:
        assert relative_error(k, np.mean(np.diag(k)) * np.eye(2)) < 1e-3
        assert relative_error(k, k.T) < ROUND_OFF


# Drag F/(μU), with the digits of the tables
OTHER_ARRAYS = {0.05: "15.56", 0.1: "24.83", 0.4: "217.89", 0.5: "532.55", 0.6: "1763"}


@pytest.mark.parametrize("fraction", OTHER_ARRAYS)
def test_drag_of_thin_and_dense_square_arrays(fraction: float, verify: Verify) -> None:
    found = [
        pore_flow(fitted_fibre(fraction, n, 2), {"matrix": NewtonianFluid()}).homogenize().effective[0, 0]
        for n in (16, 32)
    ]
    coarse, fine = 1.0 / np.array(found)
    digits = OTHER_ARRAYS[fraction]
    last = 10.0 ** -len(digits.partition(".")[2])
    case = f"flow across a square array of cylinders, f = {fraction:g}: drag F/(μU)"
    bound = abs(fine - coarse) / (2**3 - 1) + 0.5 * last  # of the mesh, third order, and the digits
    verify(case, fine, float(digits), tolerance=bound, source="Sangani & Acrivos 1982")


def test_drag_of_a_simple_cubic_array_of_spheres(verify: Verify) -> None:
    """F/(6πμaU) = 7.442 at the solid fraction 0.216 (Zick & Homsy 1982), on curved tetrahedra."""
    fraction, found = 0.216, []
    for n in (6, 12):
        k = pore_flow(spheres(fraction, 1 / n, 2), {"matrix": NewtonianFluid()}).homogenize().effective
        assert relative_error(k, np.mean(np.diag(k)) * np.eye(3)) < 5e-3
        radius = (3.0 * fraction / (4.0 * np.pi)) ** (1 / 3)
        found.append(3.0 / (6.0 * np.pi * radius * np.trace(k)))
    case = "flow through a simple cubic array of spheres, f = 0.216: drag F/(6πμaU)"
    bound = abs(found[1] - found[0]) / (2**2 - 1)
    verify(case, found[1], 7.442, tolerance=bound, source="Zick & Homsy 1982")


@pytest.mark.parametrize(("dim", "size", "share"), [(2, 16, 0.75), (3, 6, 0.6)])
@pytest.mark.parametrize("seed", [1, 2])
def test_image_whose_faces_do_not_match(dim: int, size: int, share: float, seed: int) -> None:
    """Symmetric, positive, of the pores alone; the velocity vanishes in walls, its mean is the flux."""
    labels = np.random.default_rng(seed).random((size,) * dim) > share
    rve = pore_flow(porous(labels), {"pore": NewtonianFluid(2.0)})
    k = rve.homogenize().effective
    assert relative_error(k, k.T) < ROUND_OFF
    assert np.linalg.eigvalsh(k)[0] > 0.0
    shifted = permeability(np.roll(labels, (2, 1), axis=(0, 1))).effective
    assert relative_error(shifted, k) < 1e-8  # the periodic medium is the same
    out, g = np.empty(rve.state_size), np.arange(1.0, dim + 1)
    flux = rve.solve(g, rve.initial_state(), 0.0, out).flux
    assert relative_error(flux, k @ g / 2.0) < ROUND_OFF
    fields = rve.fields(out)
    mean = fields.volumes @ fields.cell_data["flux"] / rve.cell.volume
    assert relative_error(mean, flux) < ROUND_OFF
    grain = porous(labels)
    centres = midpoints(grain.mesh)[grain.cells_of("grain")]
    nodes = fields.points[:, :dim]
    for offset in product((-0.5, 0.5), repeat=dim):
        corners = {tuple(corner) for corner in np.round(2 * (centres + offset)).astype(int).tolist()}
        at = [tuple(node) in corners for node in np.round(2 * nodes).astype(int).tolist()]
        assert np.all(fields.point_data["u"][at] == 0.0)


def test_mass_is_conserved_and_power_is_dissipated() -> None:
    """Hill–Mandel for a fluid: -⟨v⟩·g = ⟨μ |∇v|²⟩, and nothing leaves through faces or walls."""
    rve = pore_flow(fitted_fibre(0.2, 16, 2), {"matrix": NewtonianFluid(3.0)})
    out, g = np.empty(rve.state_size), np.array([1.0, -0.5])
    flux = rve.solve(g, rve.initial_state(), 0.0, out).flux
    rve.fields(out)
    v, _ = ufl.split(rve.form.unknown)
    dx = ufl.dx(metadata={"quadrature_degree": rve.form.quadrature_degree})
    dissipated = fem.assemble_scalar(fem.form(3.0 * ufl.inner(ufl.grad(v), ufl.grad(v)) * dx))
    assert flux @ g == pytest.approx(dissipated, rel=1e-10)
    assert abs(fem.assemble_scalar(fem.form(ufl.div(v) * ufl.dx))) < 1e-12


def test_pores_that_touch_in_corners_are_not_connected() -> None:
    diagonal = 1 - np.eye(4, dtype=int)
    with pytest.raises(InputError, match="'pore' is not connected with its periodic images"):
        permeability(diagonal)
    channel = np.ones((6, 6), dtype=int)
    channel[:, 1] = 0
    pocket, through_the_period = channel.copy(), np.roll(channel, -1, axis=1)
    pocket[2, 2] = pocket[3, 3] = 0  # a dead end and, at its corner, an isolated pore
    dead_end = channel.copy()
    dead_end[2, 2] = 0
    found = permeability(pocket)
    assert found.properties["isolated"] == {"pore": pytest.approx(1 / 36)}
    assert relative_error(found.effective, permeability(dead_end).effective) < ROUND_OFF
    # two channels that touch in a corner through the period alone are as good as two that do not
    through_the_period[2, 1] = 0
    assert relative_error(permeability(through_the_period).effective, permeability(dead_end).effective) < 1e-9


def test_parallel_channels_that_touch_in_corners_carry_flow_by_themselves() -> None:
    apart = np.ones((8, 4, 4), dtype=int)
    apart[:, 0, 0] = apart[:, 2, 2] = 0
    touching = np.ones((8, 4, 4), dtype=int)
    touching[:, 0, 0] = touching[:, 1, 1] = 0
    values = [permeability(labels).effective for labels in (apart, touching)]
    assert relative_error(values[0], values[1]) < 1e-9
    assert values[0][0, 0] == pytest.approx(2 * SQUARE_DUCT / 16, rel=0.05)


def test_stabilization_of_voxels_hardly_matters_where_it_is_not_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = (np.indices((6, 6, 6)) + 0.5) / 6 - 0.5
    ball = np.linalg.norm(x, axis=0) < 0.35
    with_it = permeability(ball, 1 / 6).effective
    monkeypatch.setattr(module, "_STABILIZATION", 0.0)
    assert relative_error(with_it, permeability(ball, 1 / 6).effective) < 1e-4


@pytest.mark.parametrize("shape", ["triangle", "tetrahedron"])
def test_simplices_at_random_agree_with_higher_degree(shape: str) -> None:
    """Also where tetrahedra in corners have no velocity of their own."""
    dim = 2 if shape == "triangle" else 3
    counts = [12] * 2 if dim == 2 else [4] * 3
    mesh = box_mesh(shape, counts)
    solid = np.random.default_rng(3).random(len(midpoints(mesh))) < 0.15
    cell = make_cell(mesh, solid.astype(int), ("pore", "grain"))
    k = pore_flow(cell, {"pore": NewtonianFluid()}).homogenize().effective
    better = pore_flow(cell, {"pore": NewtonianFluid()}, degree=3).homogenize().effective
    assert relative_error(k, k.T) < ROUND_OFF
    assert np.linalg.eigvalsh(k)[0] > 0.0
    assert relative_error(k, better) < 0.25


def test_pressure_that_the_mesh_does_not_determine_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Voxels without stabilization."""
    labels = np.random.default_rng(0).random((7, 7, 7)) > 0.55
    assert np.linalg.eigvalsh(permeability(labels).effective)[0] > 0.0
    monkeypatch.setattr(module, "_STABILIZATION", 0.0)
    with pytest.raises(MicroSolveError, match="singular"):
        permeability(labels)


def test_fields_of_an_image_are_in_equilibrium() -> None:
    labels = np.random.default_rng(0).random((5, 5, 5)) > 0.55
    rve = pore_flow(porous(labels), {"pore": NewtonianFluid()})
    out = np.empty(rve.state_size)
    rve.solve(np.array([1.0, 2.0, 3.0]), rve.initial_state(), 0.0, out)
    rve.fields(out)
    residual = fem.assemble_vector(fem.form(rve.form.residual)).array
    free = boundary_map("periodic", rve.cell, rve.form).matrix
    assert np.max(np.abs(free.T @ residual)) < 1e-12


def test_permeability_scales_with_the_length_squared_and_not_with_viscosity() -> None:
    labels = np.random.default_rng(0).random((8, 8)) > 0.8
    k, small = permeability(labels), permeability(labels, size=1e-6, viscosity=1e-3)
    assert relative_error(small.effective, 1e-12 * k.effective) < ROUND_OFF
    assert relative_error(small.tangent, 1e-9 * k.effective) < ROUND_OFF
    assert relative_error(small.properties["permeability"], small.effective) < ROUND_OFF
    assert small.volume_fractions == pytest.approx(k.volume_fractions)


def test_fibres_of_the_image_let_a_fluid_through() -> None:
    if not FIBRES.exists():
        pytest.skip(f"{FIBRES} is not there")
    image = coarsen_image(read_image(FIBRES, shape=(100, 100, 10), dtype="u1")[:50, :50], 5)
    found = pore_flow(
        image_cell(image[:, :, [0, 1, 0]], {"pore": 0, "solid": 255}, voxel_size=5 * 1.0989),
        {"pore": NewtonianFluid(), "solid": None},
    ).homogenize()
    principal = np.linalg.eigvalsh(found.effective)
    assert relative_error(found.effective, found.effective.T) < 1e-8
    assert principal[-1] > 0.0
    assert principal[0] > -1e-12 * principal[-1]


# Two scales


def test_darcy_flow_through_a_bed_has_a_linear_pressure_and_closed_mass_balance() -> None:
    mesh = dmesh.create_rectangle(MPI.COMM_WORLD, [[0.0, 0.0], [2.0, 1.0]], [4, 2])
    space = fem.functionspace(mesh, ("Lagrange", 1))
    p, q = fem.Function(space), ufl.TestFunction(space)
    rve = pore_flow(fibres("square", 0.2, 1 / 8, 2), {"matrix": NewtonianFluid(0.5)})
    law = HomogenizedLaw(gradient(p), rve, quadrature_degree=1)
    ends = [
        fem.dirichletbc(value, two_scale.boundary_dofs(space, 0, at), space)
        for value, at in ((3.0, 0.0), (0.0, 2.0))
    ]
    problem = MacroProblem(ufl.dot(law.flux, gradient(q)) * law.dx, p, law, bcs=ends)
    problem.solve()
    problem.commit()
    k = rve.homogenize().effective
    x = space.tabulate_dof_coordinates()
    # k_xy of an unstructured mesh is not quite zero, and the sides are impermeable
    assert np.allclose(p.x.array, 3.0 * (1.0 - x[:, 0] / 2.0), atol=3e-5)
    inflow, outflow = (problem.reaction(end)[0] for end in ends)
    assert inflow == pytest.approx(k[0, 0] / 0.5 * 1.5, rel=1e-8)
    assert abs(inflow + outflow) < 1e-12 * inflow


def test_quadratic_pressure_with_a_source_is_exact_on_quadratic_elements() -> None:
    mesh = dmesh.create_unit_square(MPI.COMM_WORLD, 3, 3)
    space = fem.functionspace(mesh, ("Lagrange", 2))
    p, q = fem.Function(space), ufl.TestFunction(space)
    labels = np.zeros((4, 4), dtype=int)
    labels[1:3, 1:3] = 1
    rve = pore_flow(porous(labels, 1 / 4), {"pore": NewtonianFluid()})
    law = HomogenizedLaw(gradient(p), rve, quadrature_degree=2)
    k = rve.homogenize().effective
    assert relative_error(k, k[0, 0] * np.eye(2)) < ROUND_OFF
    exact = fem.Function(space)
    exact.interpolate(lambda x: x[0] ** 2 + 2.0 * x[1] ** 2 - x[0] * x[1])
    form = ufl.dot(law.flux, gradient(q)) * law.dx + 6.0 * float(k[0, 0]) * q * ufl.dx(mesh)
    mesh.topology.create_connectivity(1, 2)
    edge = fem.locate_dofs_topological(space, 1, dmesh.exterior_facet_indices(mesh.topology))
    problem = MacroProblem(form, p, law, bcs=[fem.dirichletbc(exact, edge)])
    problem.solve()
    assert np.max(np.abs(p.x.array - exact.x.array)) < 1e-10


# Case files

CELL: Table = {
    "cell": {"image": "pores.npy", "voxel_size": 0.25, "physics": "pore_flow"},
    "phases": {"pore": {"label": 0, "viscosity": 2.0}, "grain": {"label": 1, "solid": True}},
}


def test_cell_file_gives_the_permeability(tmp_path: Path) -> None:
    np.save(tmp_path / "pores.npy", slit(2, 1, 4))
    found = build_rve(read_cell_case(write(tmp_path, CELL))).homogenize()
    assert relative_error(found.effective, np.diag([1.0 / 15.0, 0.0])) < ROUND_OFF
    assert relative_error(found.tangent, np.diag([0.5 / 15.0, 0.0])) < ROUND_OFF


def test_run_file_of_darcy_flow(tmp_path: Path) -> None:
    labels = np.zeros((4, 4), dtype=int)
    labels[1:3, 1:3] = 1
    np.save(tmp_path / "pores.npy", labels)
    table = {
        "mesh": {"box": [[0.0, 2.0], [0.0, 1.0]], "cells": [4, 1], "element": "quadrilateral"},
        "laws": {"bed": CELL},
        "boundary": [
            {"on": "left", "name": "inlet", "prescribed": "3 * t"},
            {"on": "right", "name": "outlet", "fixed": True},
        ],
        "steps": {"end": 1.0},
        "output": {"reactions": ["inlet", "outlet"]},
    }
    model = build_model(read_run_case(write(tmp_path, table)), MPI.COMM_WORLD)
    build_simulation(model, build_problem(model), overwrite=True, observers=[Progress(quiet=True)]).run()
    history = read_history(tmp_path / "results")
    k = permeability(labels, 0.25).effective[0, 0]
    assert history["inlet"][-1] == pytest.approx(k / 2.0 * 1.5, rel=1e-9)
    assert history["outlet"][-1] == pytest.approx(-history["inlet"][-1], rel=1e-12)


def test_law_without_a_cell_is_refused(tmp_path: Path) -> None:
    table = {
        "mesh": {"box": [[0.0, 1.0], [0.0, 1.0]], "cells": [2, 2]},
        "physics": "pore_flow",
        "laws": {"water": {"viscosity": 1.0}},
        "boundary": [{"on": "left", "fixed": True}],
        "steps": {"end": 1.0},
    }
    model = build_model(read_run_case(write(tmp_path, table)), MPI.COMM_WORLD)
    with pytest.raises(InputError, match=r"laws\.water\.law.* this law needs a cell"):
        build_problem(model)


# Refusals


@pytest.mark.parametrize(
    ("laws", "options", "message"),
    [
        ({"a": Solid()}, {}, "all of its phases are solid"),
        ({"a": NewtonianFluid(), "c": Solid()}, {}, "a law is given for 'c'"),
        (
            {"a": NewtonianFluid(), "b": LinearConduction(1.0)},
            {},
            "the law of phase 'b' is a LinearConduction",
        ),
        ({"a": NewtonianFluid(), "b": NewtonianFluid(2.0)}, {}, "one fluid fills the pores, but those of"),
        (
            {"a": NewtonianFluid()},
            {"boundary": "linear"},
            "boundary = 'linear' is not admissible in pore flow",
        ),
        ({"a": NewtonianFluid()}, {"degree": 1}, "degree = 1 is not admissible in pore flow; .* 2 or more"),
    ],
)
def test_what_cannot_be_is_refused(laws: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pore_flow(laminate("triangle", 0), laws, **options)


def test_hexahedra_have_velocities_of_degree_two() -> None:
    with pytest.raises(InputError, match=r"degree = 3 is not admissible in pore flow on hexahedra"):
        pore_flow(porous(slit(3, 0, 2)), {"pore": NewtonianFluid()}, degree=3)


def test_pores_that_do_not_percolate_are_refused() -> None:
    labels = np.ones((4, 4), dtype=int)
    labels[1:3, 1:3] = 0
    with pytest.raises(InputError, match="nothing flows in the cell"):
        permeability(labels)


def test_pores_without_walls_are_refused() -> None:
    with pytest.raises(InputError, match="its pores have no walls"):
        pore_flow(laminate("triangle", 0), {"a": NewtonianFluid(), "b": NewtonianFluid()})


def test_faces_that_do_not_match_are_refused_and_not_taken_for_walls() -> None:
    mesh = box_mesh("triangle", [4, 4])
    x = mesh.geometry.x
    x[(x[:, 0] == 1.0) & (x[:, 1] == 0.5), 1] = 0.6
    cell = make_cell(mesh, np.zeros(len(midpoints(mesh))), ("a",), periodic=False)
    with pytest.raises(InputError, match="no partner on the opposite face"):
        pore_flow(cell, {"a": NewtonianFluid()})


@pytest.mark.parametrize("viscosity", [0.0, -1.0, np.nan, "water"])
def test_viscosity_is_positive(viscosity: Any) -> None:
    with pytest.raises(InputError, match=r"NewtonianFluid: viscosity = .* must be positive"):
        NewtonianFluid(viscosity)
    with pytest.raises(InputError, match=r"NewtonianFluid: viscosity"):
        newtonian_fluid(viscosity, solid=True)
