"""Unknowns of several fields, in any units: each is measured against its own forces, and none added up."""

from __future__ import annotations

import json

import basix.ufl
import heat_and_strain
import numpy as np
import pytest
import two_scale
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi import PROGRAMS, mpiexec, succeeded
from mpi4py import MPI

from fe2.errors import InputError
from fe2.macro.balance import Balance
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.linear_model import LinearModel
from fe2.micro.model import Pointwise
from fe2.micro.small_strain import small_strain
from fe2.physics.diffusion import diffusion_kinematics
from fe2.physics.elasticity import LinearElastic
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.small_strain import mandel_strain, small_strain_kinematics
from fe2.response import Response
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

WORLD = MPI.COMM_WORLD
PASCAL = {"Pa": 1.0, "MPa": 1e-6, "GPa": 1e-9}


@pytest.fixture(scope="module")
def in_pascal() -> dict[str, object]:
    return heat_and_strain.solved(WORLD, 1.0)


@pytest.mark.parametrize("unit", PASCAL)
def test_heat_does_not_depend_on_the_unit_of_stress(unit):
    """The temperature-dependent conductivity takes several iterations, whatever the displacement needs."""
    found = heat_and_strain.solved(WORLD, PASCAL[unit])
    assert found["flow"] == pytest.approx([heat_and_strain.exact_heat_flow()], rel=1e-8)
    assert found["flow"] == pytest.approx([126.446], rel=1e-5)
    assert found["iterations"] == 4


def test_force_does_not_depend_on_the_unit_of_stress(in_pascal):
    in_gigapascal = heat_and_strain.solved(WORLD, PASCAL["GPa"])
    assert in_gigapascal["force"] == pytest.approx(
        in_pascal["force"], rel=1e-9, abs=1e-9 * in_pascal["force"][0]
    )
    assert in_gigapascal["norms"] == pytest.approx(in_pascal["norms"], rel=1e-6, abs=1e-14)


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [2, 3])
def test_two_fields_are_the_same_on_several_ranks(in_pascal, ranks, tmp_path):
    file = tmp_path / "found.json"
    succeeded(mpiexec(ranks, [str(PROGRAMS / "two_fields.py"), str(file)]))
    found = json.loads(file.read_text())
    assert found["iterations"] == in_pascal["iterations"]
    assert found["flow"] == pytest.approx(in_pascal["flow"], rel=1e-11)
    assert found["force"] == pytest.approx(in_pascal["force"], rel=1e-11, abs=1e-11 * in_pascal["force"][0])


@pytest.fixture(scope="module")
def strip() -> heat_and_strain.Strip:
    found = heat_and_strain.strip(WORLD, 1e-6)
    found.problem.solve()
    return found


def test_reactions_of_a_mixed_unknown_come_by_field_and_component(strip):
    problem = strip.problem
    force, flow = problem.reaction(strip.grip), problem.reaction(strip.hot)
    assert (force.shape, flow.shape) == ((2,), (1,))
    both = [strip.grip, strip.hot]
    assert list(problem.reactions(both)) == ["U_0", "U_1"]
    np.testing.assert_array_equal(problem.reaction(both), [*force, *flow])
    np.testing.assert_array_equal(problem.reaction(both, "U_1"), flow)
    np.testing.assert_array_equal(problem.reaction(both, field=0), force)
    np.testing.assert_allclose(problem.reaction(strip.clamp), -force, atol=1e-8 * force[0])
    np.testing.assert_allclose(problem.reaction(strip.cold), -flow, rtol=1e-8)


@pytest.mark.parametrize("field", ["temperature", 2, -1])
def test_field_that_there_is_not_is_refused(strip, field):
    with pytest.raises(InputError, match=rf"field = {field!r} is not one of the unknown's: U_0, U_1"):
        strip.problem.reaction(strip.hot, field)


def test_balance_is_of_one_scalar_field(strip):
    ends = {"cold": strip.cold, "hot": strip.hot}
    columns = Balance(strip.problem, ends, field="U_1").columns()
    flow = heat_and_strain.exact_heat_flow()
    assert columns["hot"]() == pytest.approx(flow)
    assert abs(columns["imbalance"]()) < 1e-7 * flow
    with pytest.raises(InputError, match="U_0 is a vector"):
        Balance(strip.problem, ends)
    with pytest.raises(InputError, match="'grip' holds U_0, but the balance is of U_1"):
        Balance(strip.problem, {"grip": strip.grip}, field=1)


def test_history_has_columns_for_each_field_of_a_support(tmp_path):
    found = heat_and_strain.strip(WORLD, 1e-6)
    reactions = {"end": [found.grip, found.hot], "hot": found.hot}
    steps = LoadSteps([0.0, 1.0], lambda t: None)
    simulation = Simulation(found.problem, steps, output=tmp_path / "out", reactions=reactions, quiet=True)
    simulation.run()
    header = (tmp_path / "out" / "history.csv").read_text().splitlines()[0].split(",")
    assert [name for name in header if name.startswith(("end", "hot"))] == [
        "end_U_0_x",
        "end_U_0_y",
        "end_U_1",
        "hot",
    ]


def plastic_strip(metre: float, pascal: float) -> two_scale.Specimen:
    """A plastic strip of 2 by 1 metres in other units; the wall is displaced, so no force is prescribed."""
    law = J2Plasticity(70e9 * pascal, 0.2, 100e6 * pascal, 7e9 * pascal)
    fibre = J2Plasticity(200e9 * pascal, 0.3, 400e6 * pascal, 2e9 * pascal)
    micro = two_scale.rve(two_scale.fibre_cell(), law, fibre)
    mesh = two_scale.rectangle(WORLD, (4, 2), (2.0 * metre, metre))
    return two_scale.clamped(mesh, micro, length=2.0 * metre)


def test_prescribed_displacements_are_no_forces_in_any_units():
    """What a first guess lacks of its prescribed values is a length, huge beside forces in giganewtons."""
    forces, counts = [], []
    for metre, pascal in ((1.0, 1.0), (1e3, 1e-9), (1e-3, 1.0)):
        strip = plastic_strip(metre, pascal)
        counts.append([strip.step((x * metre, 0.0)) for x in (0.004, 0.012, 0.006)])
        forces.append(strip.problem.reaction(strip.right)[0] / (metre * pascal))
    assert counts[1] == counts[2] == counts[0]
    assert forces == pytest.approx([forces[0]] * 3, rel=1e-8)


def pulled_block(pascal: float) -> tuple[int, float]:
    """A block that keeps its area at large strain, pulled with 1 GPa: Newton iterations, pressure in GPa.

    Displacement and pressure are the unknown. Nothing acts on the equation of the area.
    """
    shear, bulk, traction = 1e9 * pascal, 1e12 * pascal, 1e9 * pascal
    mesh = two_scale.rectangle(WORLD)
    cell = mesh.basix_cell()
    parts = [basix.ufl.element("Lagrange", cell, 2, shape=(2,)), basix.ufl.element("Lagrange", cell, 1)]
    space = fem.functionspace(mesh, basix.ufl.mixed_element(parts))
    unknown = fem.Function(space, name="U")
    (u, p), (v, q) = ufl.split(unknown), ufl.TestFunctions(space)
    micro = LinearModel(small_strain_kinematics(2), 2.0 * shear * np.eye(3))
    law = HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=4)
    area = (1.0 + u[0].dx(0)) * (1.0 + u[1].dx(1)) - 1.0
    form = (ufl.dot(law.flux, mandel_strain(v)) - p * ufl.div(v) + q * (area + p / bulk)) * law.dx
    right = dmesh.locate_entities_boundary(mesh, 1, lambda x: np.isclose(x[0], 2.0))
    tags = dmesh.meshtags(mesh, 1, np.sort(right), np.ones(len(right), dtype=np.int32))
    form -= traction * v[0] * ufl.Measure("ds", domain=mesh, subdomain_data=tags)(1)
    rollers = []
    for axis in (0, 1):
        component = space.sub(0).sub(axis)
        own, _ = component.collapse()
        dofs = two_scale.boundary_dofs_of((component, own), axis, 0.0)
        rollers.append(fem.dirichletbc(fem.Function(own), dofs, component))
    problem = MacroProblem(form, unknown, law, bcs=rollers)
    iterations = problem.solve()
    return iterations, float(unknown.sub(1).collapse().x.array.mean()) / (1e9 * pascal)


def test_field_on_which_nothing_acts_is_solved_for_in_any_units():
    """2 G a - p = t, 2 G b - p = 0 and (1 + a)(1 + b) - 1 + p/K = 0, with G = t = 1 and K = 1000 GPa."""
    roots = np.roots([0.25, 1.25 + 1e-3, 0.5])
    pressure = float(roots[np.argmin(np.abs(roots))])
    found = [pulled_block(pascal) for pascal in PASCAL.values()]
    assert [pressures for _, pressures in found] == pytest.approx([pressure] * 3, rel=1e-8)
    assert len({iterations for iterations, _ in found}) == 1


def test_plastic_hinge_takes_full_steps():
    """A cantilever bends far into its plastic range: no evaluation is a trial, though residuals rise."""
    counts = {}
    for search in ("shell", "basic"):
        micro = two_scale.uniform_plastic_rve("newton")
        mesh = two_scale.rectangle(WORLD, (8, 2), (8.0, 1.0))
        space = fem.functionspace(mesh, ("Lagrange", 2, (2,)))
        u, v = fem.Function(space), ufl.TestFunction(space)
        law = HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=2)
        load = fem.Constant(mesh, 0.0)
        form = ufl.dot(law.flux, mandel_strain(v)) * law.dx - load * v[1] * ufl.ds
        clamp = fem.dirichletbc(np.zeros(2), two_scale.boundary_dofs(space, 0, 0.0), space)
        options = {"snes_linesearch_type": search}
        problem = MacroProblem(form, u, law, bcs=[clamp], petsc_options=options)
        iterations = []
        for load.value in (0.25, 0.5, 0.75, 1.0):
            iterations.append(problem.solve())
            problem.commit()
        counts[search] = iterations, problem.take_counts().points
    assert counts["shell"] == counts["basic"]
    assert max(counts["shell"][0]) <= 7


class Root(Pointwise):
    r"""A law from which full steps lead to and fro, and slowly away: :math:`|x|^p` with the sign of x."""

    kinematics = small_strain_kinematics(2)
    power = 0.48

    def respond(self, gradient, committed, trial, point, step) -> Response:
        x = gradient[0] - 0.01
        flux = np.array([np.sign(x) * abs(x) ** self.power, gradient[1], gradient[2]])
        slope = self.power * max(abs(x), 1e-300) ** (self.power - 1.0)
        return Response(flux, np.diag([slope, 1.0, 1.0]), 1)


def test_iteration_that_goes_to_and_fro_takes_shorter_steps():
    """No single step makes the residual grow tenfold; the solution is a strain of 0.01."""
    mesh = two_scale.rectangle(WORLD, (1, 1))
    space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(mandel_strain(u), Root(), quadrature_degree=2)
    sides = [
        fem.dirichletbc(0.0, two_scale.boundary_dofs(space, axis, 0.0, axis), space.sub(axis))
        for axis in (0, 1)
    ]
    problem = MacroProblem(ufl.dot(law.flux, mandel_strain(v)) * law.dx, u, law, bcs=sides)
    problem.solve()
    assert u.x.array.max() == pytest.approx(0.02, rel=1e-9)


@pytest.mark.parametrize("value", [293.0, 1e-9])
def test_field_that_another_one_holds_is_no_mechanism(value):
    """A uniform temperature that a multiplier on the surface prescribes: conduction does not resist it."""
    mesh = two_scale.rectangle(WORLD)
    cell = mesh.basix_cell()
    parts = [basix.ufl.element("Lagrange", cell, degree) for degree in (2, 1)]
    space = fem.functionspace(mesh, basix.ufl.mixed_element(parts))
    unknown = fem.Function(space, name="U")
    (T, multiplier), (q, m) = ufl.split(unknown), ufl.TestFunctions(space)
    law = HomogenizedLaw(ufl.grad(T), LinearModel(diffusion_kinematics(2), np.eye(2)), quadrature_degree=4)
    form = ufl.dot(law.flux, ufl.grad(q)) * law.dx + (multiplier * q + m * (T - value)) * ufl.ds
    own, _ = space.sub(1).collapse()
    inside = fem.locate_dofs_geometrical(
        (space.sub(1), own), lambda x: (x[0] > 1e-6) & (x[0] < 2 - 1e-6) & (x[1] > 1e-6) & (x[1] < 1 - 1e-6)
    )
    problem = MacroProblem(form, unknown, law, bcs=[fem.dirichletbc(fem.Function(own), inside, space.sub(1))])
    assert problem.solve() == 1
    np.testing.assert_allclose(unknown.sub(0).collapse().x.array, value, rtol=1e-9)


@pytest.mark.parametrize("pascal", [1e11, 1.0, 1e-6, 1e-9])
def test_velocity_and_pressure_are_solved_for_in_any_units(pascal):
    """In mm, MPa and s the viscosity of water is 1e-9: pivots of the two fields are far apart."""
    mesh = two_scale.rectangle(WORLD, (4, 4), (1.0, 1.0))
    cell = mesh.basix_cell()
    parts = [basix.ufl.element("Lagrange", cell, 2, shape=(2,)), basix.ufl.element("Lagrange", cell, 1)]
    space = fem.functionspace(mesh, basix.ufl.mixed_element(parts))
    unknown = fem.Function(space, name="U")
    (u, p), (v, q) = ufl.split(unknown), ufl.TestFunctions(space)
    laws = {
        name: LinearElastic.isotropic(young * pascal, 0.0) for name, young in (("matrix", 1), ("fibre", 1e3))
    }
    micro = small_strain(two_scale.fibre_cell(), laws).linearized()
    law = HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=4)
    form = (ufl.dot(law.flux, mandel_strain(v)) - p * ufl.div(v) - q * ufl.div(u)) * law.dx
    own, _ = space.sub(0).collapse()
    inflow = fem.Function(own)
    inflow.interpolate(lambda x: np.vstack([1e-3 * x[1] * (1 - x[1]), 0 * x[0]]))
    conditions = []
    for axis, end, given in ((1, 0.0, fem.Function(own)), (1, 1.0, fem.Function(own)), (0, 0.0, inflow)):
        dofs = two_scale.boundary_dofs_of((space.sub(0), own), axis, end)
        conditions.append(fem.dirichletbc(given, dofs, space.sub(0)))
    problem = MacroProblem(form, unknown, law, bcs=conditions)
    assert problem.solve() == 1
    net = fem.assemble_scalar(fem.form(ufl.dot(u, ufl.FacetNormal(mesh)) * ufl.ds))
    assert abs(net) < 1e-10 * 1e-3 / 6.0  # what flows in flows out
