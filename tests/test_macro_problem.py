"""The macroscopic problem as DOLFINx's own: steps, several unknowns, J and P, prefixes, entity maps."""

from __future__ import annotations

import json

import heat_and_strain
import numpy as np
import pytest
import two_scale
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi import PROGRAMS, mpiexec, succeeded
from mpi4py import MPI
from petsc4py import PETSc

from fe2.errors import InputError
from fe2.io.results import read_history
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.macro.rate import Rate
from fe2.micro.linear_model import LinearModel
from fe2.micro.points import Step
from fe2.physics.diffusion import diffusion_kinematics, value_and_gradient, value_diffusion_kinematics
from fe2.physics.small_strain import mandel_strain, small_strain_kinematics
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

WORLD = MPI.COMM_WORLD
CONDUCTOR = LinearModel(diffusion_kinematics(2), np.eye(2))


@pytest.fixture(scope="module")
def mixed() -> dict[str, object]:
    return heat_and_strain.solved(WORLD, 1.0)


def check_equal(found, mixed) -> None:
    assert found["iterations"] == mixed["iterations"]
    assert found["flow"] == pytest.approx(mixed["flow"], rel=1e-11)
    assert found["force"] == pytest.approx(mixed["force"], rel=1e-11, abs=1e-11 * mixed["force"][0])


def test_two_unknowns_are_solved_as_one_mixed_unknown(mixed):
    check_equal(heat_and_strain.solved(WORLD, 1.0, separate=True), mixed)


@pytest.mark.mpi
def test_two_unknowns_are_the_same_on_several_ranks(mixed, tmp_path):
    file = tmp_path / "found.json"
    succeeded(mpiexec(3, [str(PROGRAMS / "two_fields.py"), str(file), "separate"]))
    check_equal(json.loads(file.read_text()), mixed)


def test_results_of_two_unknowns_carry_their_names(tmp_path):
    """Results, reactions, and a checkpoint from which the run goes on."""
    strip = heat_and_strain.strip(WORLD, 1.0, separate=True)

    def run(times: list[float], *, resume: bool) -> Simulation:
        found = Simulation(
            strip.problem,
            LoadSteps(times, lambda time: None),
            output=tmp_path,
            reactions={"end": [strip.grip, strip.hot]},
            resume=resume,
            quiet=True,
        )
        found.run()
        return found

    assert strip.problem.fields.names == ("u", "T")
    run([0.0, 1.0], resume=True)
    values = [function.x.array.copy() for function in strip.problem.functions]
    for function in strip.problem.functions:
        function.x.array[:] = 7.0
    run([0.0, 1.0, 2.0], resume=True)
    for function, value in zip(strip.problem.functions, values, strict=True):
        np.testing.assert_allclose(function.x.array, value, atol=1e-9 * np.abs(value).max())
    assert {"end_u_x", "end_u_y", "end_T"} <= read_history(tmp_path).keys()
    written = (tmp_path / "macro" / "step_000002.vtu").read_text(errors="ignore")
    assert 'Name="u"' in written
    assert 'Name="T"' in written


def test_fields_are_split_for_a_preconditioner_by_their_names(mixed):
    """Displacement and temperature do not meet in the matrix: to factorize a block of each is enough."""
    strip = heat_and_strain.strip(WORLD, 1.0, separate=True)
    parts = {
        f"fieldsplit_{name}_{key}": "preonly" if key == "ksp_type" else "lu"
        for name in ("u", "T")
        for key in ("ksp_type", "pc_type")
    }
    options = {"ksp_type": "gmres", "ksp_rtol": 1e-10, "pc_type": "fieldsplit", **parts}
    law = strip.problem.laws
    problem = MacroProblem(
        strip.forms, strip.problem.functions, law, bcs=strip.problem.bcs, petsc_options=options
    )
    assert problem.solve() == mixed["iterations"]
    assert problem.snes.getKSP().getIterationNumber() == 1
    assert problem.reaction(strip.hot) == pytest.approx(mixed["flow"], rel=1e-9)


class Slab:
    """Heat conduction between two ends with a source T³: the law's conductivity is one."""

    def __init__(self, **options) -> None:
        mesh = two_scale.rectangle(WORLD, (8, 1))
        space = fem.functionspace(mesh, ("Lagrange", 1))
        self.T, self.q, self.dT = fem.Function(space), ufl.TestFunction(space), ufl.TrialFunction(space)
        self.law = HomogenizedLaw(ufl.grad(self.T), CONDUCTOR)
        self.F = ufl.dot(self.law.flux, ufl.grad(self.q)) * self.law.dx + self.T**3 * self.q * ufl.dx(
            degree=4
        )
        ends = [
            fem.dirichletbc(value, two_scale.boundary_dofs(space, 0, end), space)
            for end, value in ((0.0, 0.0), (2.0, 1.0))
        ]
        forms = {name: make(self) for name, make in options.items() if callable(make)}
        self.problem = MacroProblem(self.F, self.T, self.law, bcs=ends, **{**options, **forms})

    def solved(self) -> tuple[int, np.ndarray]:
        return self.problem.solve(), self.T.x.array.copy()


def test_given_jacobian_stands_for_the_derivative_at_constant_fluxes():
    """The law's part is added: the derivative of UFL is Newton's method, without the source Picard's."""
    newton, expected = Slab().solved()
    same, found = Slab(J=lambda slab: ufl.derivative(slab.F, slab.T)).solved()
    assert same == newton
    np.testing.assert_allclose(found, expected, atol=1e-12)
    picard, found = Slab(J=lambda slab: [[None]]).solved()
    assert picard > newton
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_preconditioner_is_made_of_the_form_that_is_given():
    """The exact Jacobian as P needs one iteration of the linear solver, conduction alone more than one."""
    options = {"ksp_type": "gmres", "ksp_rtol": 1e-10, "pc_type": "lu"}
    _, expected = Slab().solved()
    counts = {}
    for name, P in {
        "jacobian": lambda slab: (
            ufl.derivative(slab.F, slab.T, slab.dT) + slab.law.derivative(slab.F, slab.T, slab.dT)
        ),
        "conduction": lambda slab: ufl.inner(ufl.grad(slab.dT), ufl.grad(slab.q)) * ufl.dx,
    }.items():
        slab = Slab(P=P, petsc_options=options)
        _, found = slab.solved()
        np.testing.assert_allclose(found, expected, atol=1e-8)
        counts[name] = slab.problem.snes.getKSP().getIterationNumber()
    assert counts["jacobian"] == 1 < counts["conduction"]


def test_problems_have_options_of_their_own():
    database = PETSc.Options()
    database["hot_snes_max_it"] = 11
    try:
        hot, cold = Slab(petsc_options_prefix="hot_"), Slab(petsc_options_prefix="cold_")
        assert [slab.problem.snes.getTolerances()[3] for slab in (hot, cold)] == [11, 25]
        assert hot.problem.snes.getOptionsPrefix() == "hot_"
    finally:
        database.delValue("hot_snes_max_it")
    with pytest.raises(InputError, match="petsc_options_prefix"):
        Slab(petsc_options_prefix="")


def test_step_is_committed_at_its_end_and_rolled_back_by_an_exception():
    """Relaxation by backward Euler; a step that an exception leaves is as if it had never been begun."""
    strip = two_scale.uniaxial_strain(two_scale.rectangle(WORLD), two_scale.Maxwell(np.eye(3), 2.0))
    strip.displacement.value = 0.02
    with strip.problem.step(1.0):
        strip.problem.solve()
    committed, unknown = strip.law.pool.states.copy(), strip.unknown.x.array.copy()
    flux, tangent = strip.law.flux.x.array.copy(), strip.law.tangent.x.array.copy()
    np.testing.assert_allclose(committed[:, 0], 0.01 * (1.0 / 2.0) / (1.0 + 1.0 / 2.0))
    strip.displacement.value = 0.04

    def fail() -> None:
        with strip.problem.step(1.0):
            strip.problem.solve()
            assert strip.unknown.x.array.max() == pytest.approx(0.04)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    np.testing.assert_array_equal(strip.unknown.x.array, unknown)
    np.testing.assert_array_equal(strip.law.flux.x.array, flux)
    np.testing.assert_array_equal(strip.law.tangent.x.array, tangent)
    strip.problem.commit()
    np.testing.assert_array_equal(strip.law.pool.states, committed)
    with (
        strip.problem.step(0.5),
        pytest.raises(InputError, match=r"solve\(dt=1.0\) within a step of the length 0.5"),
    ):
        strip.problem.solve(1.0)


def test_step_within_a_step_is_refused_and_both_are_given_up():
    strip = two_scale.uniaxial_strain(two_scale.rectangle(WORLD), two_scale.Maxwell(np.eye(3), 2.0))
    problem = strip.problem
    with pytest.raises(InputError, match=r"length 0.5 within one of the length 1.0"), problem.step(1.0):  # noqa: SIM117
        with problem.step(0.5):
            pass
    assert problem.time == 0.0
    with problem.step(0.5):
        problem.solve()
    assert problem.time == 0.5


def test_rates_keep_to_the_beginning_of_a_step_in_which_is_solved_twice():
    mesh = two_scale.rectangle(WORLD, (2, 1))
    space = fem.functionspace(mesh, ("Lagrange", 1))
    T, q = fem.Function(space), ufl.TestFunction(space)
    law, rate = HomogenizedLaw(ufl.grad(T), CONDUCTOR), Rate(T)
    F = ufl.dot(law.flux, ufl.grad(q)) * law.dx + (rate(T) - 1.0) * q * ufl.dx
    problem = MacroProblem(F, T, law, rate=rate)
    for _ in range(2):
        with problem.step(0.25):
            problem.solve()
            problem.solve()
    np.testing.assert_allclose(T.x.array, 0.5)


def test_multiplier_on_the_mesh_of_a_boundary_holds_a_temperature():
    """The multiplier's mesh is the boundary at one end; what it exerts is the heat flow through the strip."""
    mesh = two_scale.rectangle(WORLD, (4, 2))
    facets = dmesh.locate_entities_boundary(mesh, 1, lambda x: np.isclose(x[0], 2.0))
    edge, entity_map, *_ = dmesh.create_submesh(mesh, 1, facets)
    spaces = [fem.functionspace(mesh, ("Lagrange", 1)), fem.functionspace(edge, ("Lagrange", 1))]
    T, flow = (fem.Function(space, name=name) for space, name in zip(spaces, ("T", "flow"), strict=True))
    q, m = (ufl.TestFunction(space) for space in spaces)
    law = HomogenizedLaw(ufl.grad(T), LinearModel(diffusion_kinematics(2), 5.0 * np.eye(2)))
    tags = dmesh.meshtags(mesh, 1, facets, np.ones(len(facets), dtype=np.int32))
    ds = ufl.Measure("ds", domain=mesh, subdomain_data=tags)(1)
    forms = [ufl.dot(law.flux, ufl.grad(q)) * law.dx - flow * q * ds, -m * (T - 3.0) * ds]
    cold = fem.dirichletbc(0.0, two_scale.boundary_dofs(spaces[0], 0, 0.0), spaces[0])
    problem = MacroProblem(forms, [T, flow], law, bcs=[cold], entity_maps=[entity_map])
    assert problem.solve() == 1
    np.testing.assert_allclose(flow.x.array, 5.0 * 3.0 / 2.0)


@pytest.mark.parametrize("shape", [dmesh.CellType.triangle, dmesh.CellType.quadrilateral])
@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("kind", ["strain", "value"])
def test_default_quadrature_integrates_the_stiffness_fully(shape, degree, kind):
    """No degree above the default changes the stiffness of straight elements, and the one below does."""
    mesh = dmesh.create_rectangle(WORLD, [(0.0, 0.0), (2.0, 1.0)], (2, 1), shape)
    size, gradient = {"strain": ((2,), mandel_strain), "value": ((), value_and_gradient)}[kind]
    space = fem.functionspace(mesh, ("Lagrange", degree, size))
    u, v, du = fem.Function(space), ufl.TestFunction(space), ufl.TrialFunction(space)
    kinematics = small_strain_kinematics(2) if kind == "strain" else value_diffusion_kinematics(2)

    def stiffness(quadrature_degree: int | None) -> tuple[np.ndarray, int]:
        law = HomogenizedLaw(
            gradient(u), LinearModel(kinematics, np.eye(3)), quadrature_degree=quadrature_degree
        )
        law.evaluate(Step(0.0))
        form = law.derivative(ufl.dot(law.flux, gradient(v)) * law.dx, u, du)
        return fem.assemble_matrix(fem.form(form)).to_dense(), law.points_per_cell

    (default, points), (more, _) = stiffness(None), stiffness(8)
    np.testing.assert_allclose(default, more, atol=1e-12 * np.abs(more).max())
    fewer = [found for found in map(stiffness, range(1, 8)) if found[1] < points]
    assert points == 1 or fewer
    for matrix, _ in fewer:
        assert np.abs(matrix - more).max() > 1e-3 * np.abs(more).max()


def test_unknowns_and_forms_that_do_not_fit_are_refused():
    mesh = two_scale.rectangle(WORLD, (1, 1))
    V, W = (fem.functionspace(mesh, ("Lagrange", 1)) for _ in range(2))
    T = fem.Function(V, name="T")
    law = HomogenizedLaw(ufl.grad(T), CONDUCTOR)
    F, other = (ufl.dot(law.flux, ufl.grad(q)) * law.dx for q in (ufl.TestFunction(V), ufl.TestFunction(W)))
    with pytest.raises(InputError, match="there are 1 forms and 2 unknowns"):
        MacroProblem(F, [T, fem.Function(W)], law)
    with pytest.raises(InputError, match="J needs 2 rows of 2 forms"):
        MacroProblem([F, other], [T, fem.Function(W)], law, J=[[None, None]])
    with pytest.raises(InputError, match="two unknowns share a function space"):
        MacroProblem([F, F], [T, fem.Function(V)], law)
    with pytest.raises(InputError, match="the unknowns need different names, not T, T"):
        MacroProblem([F, other], [T, fem.Function(W, name="T")], law)
    stray = fem.dirichletbc(0.0, two_scale.boundary_dofs(W, 0, 0.0), W)
    with pytest.raises(InputError, match="a boundary condition is of none of the unknowns"):
        MacroProblem(F, T, law, bcs=[stray]).solve()
