"""The macroscopic problem: single-scale and exact solutions, Newton's iteration, failures, options."""

from __future__ import annotations

import contextlib
import gc
import re
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import two_scale
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI
from petsc4py import PETSc
from single_scale import SingleScale
from two_scale import ALUMINIUM, SOFT, STIFF, Locking

from fe2.errors import InputError, MacroSolveError, MicroSolveError
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.image_cell import image_cell
from fe2.micro.linear_model import LinearModel
from fe2.micro.small_strain import small_strain
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.small_strain import mandel_strain, small_strain_kinematics
from fe2.stiffness import bulk_modulus, isotropic_stiffness, shear_modulus

WORLD = MPI.COMM_WORLD
# loading, more loading with bending, unloading, reverse loading into compression
CYCLE = ((0.003, 0.0), (0.012, 0.004), (0.006, 0.0), (-0.008, 0.0))
TOLERANCE = 1e-9


@pytest.fixture
def options() -> Iterator[PETSc.Options]:
    """PETSc's options database; what a test sets under fe2's prefixes is taken out again."""
    database = PETSc.Options()
    yield database
    for name in database.getAll():
        if name.startswith("fe2_"):
            database.delValue(name)


# ---- against single-scale problems


def test_homogeneous_elastic_cell_equals_the_single_scale_problem():
    mesh = two_scale.rectangle(WORLD)
    strip = two_scale.clamped(mesh, two_scale.rve(two_scale.fibre_cell(), SOFT, SOFT))
    reference = SingleScale(mesh, SOFT, TOLERANCE)
    strip.step((0.01, 0.02))
    reference.step((0.01, 0.02))
    difference = strip.unknown.x.array - reference.u.x.array
    assert np.abs(difference).max() <= 1e-10 * np.abs(reference.u.x.array).max()


@pytest.fixture(scope="module")
def plastic_cycles() -> list[dict[str, object]]:
    """Steps of a load cycle in two scales with a homogeneous cell, and in one scale."""
    return plastic_cycle("newton", TOLERANCE)


def plastic_cycle(strategy: str, tolerance: float) -> list[dict[str, object]]:
    mesh = two_scale.rectangle(WORLD)
    strip = two_scale.clamped(mesh, two_scale.uniform_plastic_rve(strategy), {"snes_rtol": tolerance})
    reference = SingleScale(mesh, ALUMINIUM, tolerance)
    steps = []
    for displacement in CYCLE:
        steps.append(
            {
                "iterations": (strip.step(displacement), reference.step(displacement)),
                "norms": (np.array(strip.problem.norms), np.array(reference.norms)),
                "displacement": (strip.unknown.x.array.copy(), reference.u.x.array.copy()),
                "reactions": (
                    [strip.problem.reaction(bc) for bc in strip.problem.bcs],
                    reference.reactions(),
                ),
                "plastic": reference.history["equivalent_plastic_strain"].x.array.copy(),
                "averages": strip.law.micro.averages(strip.law.pool.states)["equivalent_plastic_strain"],
            }
        )
    return steps


def test_plastic_cycle_yields_and_unloads(plastic_cycles):
    """The cycle is worth its name: most points yield, some stop in the third step, and yield again."""
    plastic = np.array([step["plastic"] for step in plastic_cycles])
    flowing = np.diff(plastic, axis=0) > 1e-12
    assert np.mean(plastic[1] > 0.0) > 0.5
    assert np.mean(~flowing[1]) > 0.2
    assert np.mean(flowing[2]) > 0.5


@pytest.mark.parametrize("step", range(len(CYCLE)))
def test_homogeneous_plastic_cell_takes_the_newton_steps_of_the_single_scale_problem(plastic_cycles, step):
    two, one = plastic_cycles[step]["norms"]
    iterations = plastic_cycles[step]["iterations"]
    assert iterations[0] == iterations[1]
    assert iterations[0] >= 3
    # norms down to the error that the micro tolerance leaves in them
    np.testing.assert_allclose(two, one, rtol=1e-6, atol=10.0 * two_scale.MICRO_TOLERANCE * one[0])


@pytest.mark.parametrize("strategy", ["newton", "adaptive"])
def test_homogeneous_plastic_cell_equals_the_single_scale_problem(plastic_cycles, strategy):
    # the last iteration of the adaptive strategy is not one of Newton's, which overshoots the tolerance
    steps = plastic_cycles if strategy == "newton" else plastic_cycle(strategy, 1e-11)
    for number, step in enumerate(steps):
        for name in ("displacement", "reactions"):
            two, one = (np.array(values) for values in step[name])
            np.testing.assert_allclose(
                two, one, rtol=0.0, atol=1e-10 * np.abs(one).max(), err_msg=f"{name}, step {number}"
            )
        one, two = np.sort(step["plastic"]), np.sort(step["averages"][:, 0])
        np.testing.assert_allclose(two, one, rtol=0.0, atol=1e-10)


def test_linearized_cell_agrees_with_the_cell_in_its_elastic_range():
    mesh = two_scale.rectangle(WORLD)
    displacements = []
    for micro in (two_scale.plastic_rve(), two_scale.plastic_rve().linearized()):
        strip = two_scale.clamped(mesh, micro)
        strip.step((1e-4, 5e-5))
        displacements.append(strip.unknown.x.array.copy())
    cell, linearized = displacements
    np.testing.assert_allclose(linearized, cell, rtol=0.0, atol=1e-10 * np.abs(cell).max())


def test_linearized_cell_agrees_with_the_elastic_cell():
    mesh = two_scale.rectangle(WORLD)
    strips = [
        two_scale.clamped(mesh, micro)
        for micro in (two_scale.elastic_rve(), two_scale.elastic_rve().linearized())
    ]
    for strip in strips:
        strip.step((0.01, 0.02))
    cell, linearized = (strip.unknown.x.array for strip in strips)
    np.testing.assert_allclose(linearized, cell, rtol=0.0, atol=1e-10 * np.abs(cell).max())


# ---- Newton's iteration


def test_macroscopic_newton_converges_quadratically_on_a_heterogeneous_plastic_cell():
    newton = two_scale.plastic_rve("newton")
    strip = two_scale.clamped(two_scale.rectangle(WORLD), newton, {"snes_rtol": 1e-11})
    strip.step((0.004, 0.001))
    strip.step((0.012, 0.004))
    strip.step((0.006, 0.0))
    norms = np.array(strip.problem.norms)
    floor = 10.0 * two_scale.MICRO_TOLERANCE * norms[0]
    above = norms[norms > floor]
    # the last iteration that starts above the floor: its order, and its constant against the one before
    orders = np.log(norms[2:] / norms[1:-1]) / np.log(norms[1:-1] / norms[:-2])
    assert orders[len(above) - 2] > 1.8
    constants = norms[1:] / norms[:-1] ** 2
    last = len(above) - 1
    assert constants[last] <= 10.0 * constants[last - 1]
    assert norms[last] > 1e3 * norms[last + 1]


def test_reactions_are_in_balance_and_equal_the_stress_in_uniform_strain():
    strip = two_scale.uniaxial_strain(two_scale.rectangle(WORLD), two_scale.elastic_rve())
    strip.displacement.value = 0.01
    strip.problem.solve()
    stiffness = two_scale.elastic_rve().linearized().tangent
    force = stiffness[0, 0] * 0.01 / 2.0  # on a unit cross-section
    np.testing.assert_allclose(strip.problem.reaction(strip.right), [force, 0.0], atol=1e-10 * force)
    np.testing.assert_allclose(strip.problem.reaction(strip.left), [-force, 0.0], atol=1e-10 * force)


# ---- exact solutions


@pytest.mark.parametrize("micro", [two_scale.elastic_rve, two_scale.plastic_rve])
def test_patch_of_distorted_elements_has_a_uniform_gradient(micro):
    """Affine displacements on the boundary: the same gradient everywhere, whatever the law."""
    mesh = two_scale.distorted(WORLD, (3, 3), (1.0, 1.0))
    space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(mandel_strain(u), micro(), quadrature_degree=2)
    slopes = 1e-3 * np.array([[4.0, 2.0], [-1.0, 3.0]])
    affine = fem.Function(space)
    affine.interpolate(lambda y: slopes @ y[:2])
    facets = dmesh.locate_entities_boundary(mesh, 1, lambda y: np.full(y.shape[1], True))
    edge = fem.dirichletbc(affine, fem.locate_dofs_topological(space, 1, facets))
    problem = MacroProblem(ufl.dot(law.flux, mandel_strain(v)) * law.dx, u, law, bcs=[edge])
    problem.solve()

    strain = np.array([slopes[0, 0], slopes[1, 1], (slopes[0, 1] + slopes[1, 0]) / np.sqrt(2.0)])
    np.testing.assert_allclose(u.x.array, affine.x.array, rtol=0.0, atol=1e-10 * np.abs(slopes).max())
    np.testing.assert_allclose(
        law.gradients(), np.tile(strain, (36, 1)), rtol=0.0, atol=1e-10 * np.abs(strain).max()
    )
    model = law.micro
    expected = model.solve(strain, model.initial_state(), 1.0, model.initial_state())
    stresses = law.flux.x.array.reshape(-1, 3)
    np.testing.assert_allclose(
        stresses, np.tile(expected.flux, (36, 1)), atol=1e-9 * np.abs(expected.flux).max(), rtol=0
    )


def uniaxial_modulus(young: float, poisson: float) -> float:
    """Stress over strain where the other strains are zero."""
    return bulk_modulus(young, poisson) + 4.0 / 3.0 * shear_modulus(young, poisson)


class SeriesOfBars:
    """Three bars in series in uniaxial strain: elastic laminate, elastoplastic cell, ordinary elastic law.

    With normal x the laminate is itself a series, so its modulus is the harmonic mean. The
    elastoplastic bar has a bilinear law: the deviatoric stress q = 2 G e until it yields, then
    q = 2 G e - 3 G (2 G e - s_y) / (3 G + H), and the axial stress is K e + 2/3 q.
    """

    lengths = (1.0, 2.0, 0.5)
    lamina = 2 / 5
    bar = (40e3, 0.1)

    def __init__(self) -> None:
        moduli = uniaxial_modulus(210e3, 0.3), uniaxial_modulus(70e3, 0.2)
        laminate = 1.0 / (self.lamina / moduli[0] + (1.0 - self.lamina) / moduli[1])
        self.elastic_compliance = self.lengths[0] / laminate + self.lengths[2] / uniaxial_modulus(*self.bar)
        self.bulk = bulk_modulus(ALUMINIUM.young, ALUMINIUM.poisson)
        self.shear = shear_modulus(ALUMINIUM.young, ALUMINIUM.poisson)

    def loading(self, displacement: float) -> float:
        """Stress on first loading beyond yield."""
        ratio = 3.0 * self.shear / (3.0 * self.shear + ALUMINIUM.hardening)
        slope = self.bulk + 4.0 / 3.0 * self.shear * (1.0 - ratio)
        offset = 2.0 / 3.0 * ratio * ALUMINIUM.yield_stress
        strain = (displacement - self.elastic_compliance * offset) / (
            self.lengths[1] + self.elastic_compliance * slope
        )
        assert 2.0 * self.shear * strain > ALUMINIUM.yield_stress
        return slope * strain + offset

    def unloading(self, stress: float, change: float) -> float:
        """Stress after an elastic change of the displacement."""
        plastic_bar = self.lengths[1] / (self.bulk + 4.0 / 3.0 * self.shear)
        return stress + change / (self.elastic_compliance + plastic_bar)

    def problem(self) -> tuple[MacroProblem, fem.Constant, fem.DirichletBC, list[HomogenizedLaw]]:
        mesh = two_scale.rectangle(WORLD, (7, 1), (sum(self.lengths), 1.0))
        count = mesh.topology.index_map(2).size_local + mesh.topology.index_map(2).num_ghosts
        cells = np.arange(count, dtype=np.int32)
        x = dmesh.compute_midpoints(mesh, 2, cells)[:, 0]
        tags = dmesh.meshtags(mesh, 2, cells, (1 + (x > 1.0) + (x > 3.0)).astype(np.int32))
        space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
        u, v = fem.Function(space), ufl.TestFunction(space)
        strain, virtual = mandel_strain(u), mandel_strain(v)
        micros = [two_scale.rve(two_scale.laminate_cell(), SOFT, STIFF), two_scale.uniform_plastic_rve()]
        laws = [
            HomogenizedLaw(strain, micro, quadrature_degree=2, subdomains=tags, subdomain=tag)
            for tag, micro in enumerate(micros, start=1)
        ]
        bar = ufl.as_matrix(isotropic_stiffness(*self.bar)[np.ix_([0, 1, 5], [0, 1, 5])].tolist())
        form = sum(ufl.dot(law.flux, virtual) * law.dx for law in laws)
        form += ufl.dot(ufl.dot(bar, strain), virtual) * ufl.Measure("dx", domain=mesh, subdomain_data=tags)(
            3
        )
        pull = fem.Constant(mesh, 0.0)
        right = fem.dirichletbc(pull, two_scale.boundary_dofs(space, 0, sum(self.lengths), 0), space.sub(0))
        left = fem.dirichletbc(0.0, two_scale.boundary_dofs(space, 0, 0.0, 0), space.sub(0))
        bcs = [two_scale.no_transverse_displacement(space), left, right]
        return MacroProblem(form, u, laws, bcs=bcs), pull, right, laws


def test_bars_of_two_rves_and_an_ordinary_law_in_series_match_the_exact_solution(verify):
    exact = SeriesOfBars()
    problem, pull, right, laws = exact.problem()
    assert [len(law.cells) for law in laws] == [2, 4]
    assert problem.points == 24
    pull.value = 0.02
    problem.solve()
    problem.commit()
    loaded = exact.loading(0.02)
    bars, source = "elastoplastic bars in series, two of them with cells: force", "exact: piecewise linear"
    force = problem.reaction(right)[0]
    verify(f"{bars}, loaded", force, loaded, tolerance=1e-9 * loaded, source=source)
    pull.value = 0.018
    problem.solve()
    problem.commit()
    force, unloaded = problem.reaction(right)[0], exact.unloading(loaded, -0.002)
    verify(f"{bars}, unloaded", force, unloaded, tolerance=1e-9 * abs(unloaded), source=source)


# ---- failures


def traction_problem(micro: Locking, traction: float) -> tuple[MacroProblem, fem.Function]:
    """Two elements in uniaxial strain, pulled by a traction."""
    mesh = two_scale.rectangle(WORLD, (2, 1))
    space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=2)
    left = fem.dirichletbc(0.0, two_scale.boundary_dofs(space, 0, 0.0, 0), space.sub(0))
    end = ufl.conditional(ufl.gt(ufl.SpatialCoordinate(mesh)[0], 2.0 - 1e-6), traction, 0.0)
    form = ufl.dot(law.flux, mandel_strain(v)) * law.dx - end * v[0] * ufl.ds
    return MacroProblem(form, u, law, bcs=[two_scale.no_transverse_displacement(space), left]), u


@pytest.mark.parametrize("failure", ["error", "not a number"])
def test_line_search_backs_off_where_micro_models_fail(failure):
    """A full Newton step from rest would stretch the material to five times its limit."""
    micro = Locking(young=2.0, limit=0.1, failure=failure)
    traction = 5.0 * micro.young * micro.limit
    problem, u = traction_problem(micro, traction)
    problem.solve()
    assert micro.failures > 0
    # s = E g / (1 - g²/L²)  ⇔  g² + (E L²/s) g - L² = 0
    half = micro.young * micro.limit**2 / traction / 2.0
    strain = -half + np.sqrt(half**2 + micro.limit**2)
    assert u.x.array.max() == pytest.approx(2.0 * strain, rel=1e-8)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_singular_macroscopic_matrix_is_named_and_the_step_can_be_given_up(unit):
    """Nothing resists the strain yy of the cells, and the traction asks for it."""
    mesh = two_scale.rectangle(WORLD, (2, 1))
    space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    kinematics = two_scale.elastic_rve().kinematics
    micro = LinearModel(kinematics, unit * np.diag([3.8385, 0.0, 0.0]))
    law = HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=2, closed=["yy", "xy"])
    clamped = fem.dirichletbc(np.zeros(2), two_scale.boundary_dofs(space, 0, 0.0), space)
    traction = fem.Constant(mesh, (0.0, unit))
    form = ufl.dot(law.flux, mandel_strain(v)) * law.dx - ufl.dot(traction, v) * ufl.ds
    problem = MacroProblem(form, u, law, bcs=[clamped])
    for _ in range(2):
        with pytest.raises(MacroSolveError, match="the macroscopic matrix is singular to round-off"):
            problem.solve()
        assert not u.x.array.any()
    traction.value = (unit, 0.0)
    held = [clamped, two_scale.no_transverse_displacement(space)]
    problem = MacroProblem(form, u, law, bcs=held)
    problem.solve()


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_limit_load_is_named(unit):
    """A perfectly plastic bar in the plane yields everywhere at 2/√3 times its yield stress."""
    mesh = two_scale.rectangle(WORLD, (2, 1))
    space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    steel = J2Plasticity(200e3 * unit, 0.3, 250.0 * unit)
    micro = small_strain(image_cell(np.zeros((3, 3), dtype=int), {"steel": 0}), {"steel": steel})
    law = HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=2)
    sides = [
        fem.dirichletbc(0.0, two_scale.boundary_dofs(space, axis, 0.0, axis), space.sub(axis))
        for axis in (0, 1)
    ]
    pull = fem.Constant(mesh, 0.0)
    end = ufl.conditional(ufl.gt(ufl.SpatialCoordinate(mesh)[0], 2.0 - 1e-6), pull, 0.0)
    form = ufl.dot(law.flux, mandel_strain(v)) * law.dx - end * v[0] * ufl.ds
    problem = MacroProblem(form, u, law, bcs=sides)
    limit = 250.0 * 2.0 / np.sqrt(3.0)
    for stress in (0.5, 0.95):
        pull.value = stress * limit * unit
        problem.solve()
        problem.commit()
    pull.value = 1.02 * limit * unit
    with pytest.raises(MacroSolveError, match="singular to round-off: a limit load is reached"):
        problem.solve()
    problem.rollback()
    pull.value = 0.96 * limit * unit
    problem.solve()


@pytest.mark.parametrize("sides", [(0,), (1,)])
@pytest.mark.parametrize("unit", [1.0, 1e-9])
def test_free_motion_is_named_though_the_load_does_not_excite_it(sides, unit):
    """Forces along an axis leave the body at an arbitrary place across it, with no error in any force."""
    mesh = two_scale.rectangle(WORLD)
    space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(
        mandel_strain(u), LinearModel(small_strain_kinematics(2), unit * np.eye(3)), quadrature_degree=2
    )
    rollers = [fem.dirichletbc(0.0, two_scale.boundary_dofs(space, k, 0.0, k), space.sub(k)) for k in sides]
    form = (
        ufl.dot(law.flux, mandel_strain(v)) * law.dx
        - 1e-3 * unit * ufl.FacetNormal(mesh)[1 - sides[0]] * v[sides[0]] * ufl.ds
    )
    with pytest.raises(MacroSolveError, match="supports are missing"):
        MacroProblem(form, u, law, bcs=rollers).solve()


def test_slender_body_is_not_taken_for_a_mechanism():
    """A cantilever a thousand times as long as high bends by q L⁴ / 8 E I, its condition number is 1e13."""
    mesh = two_scale.rectangle(WORLD, (500, 1), (1000.0, 1.0))
    space = fem.functionspace(mesh, ("Lagrange", 2, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(
        mandel_strain(u), LinearModel(small_strain_kinematics(2), np.eye(3)), quadrature_degree=3
    )
    clamp = fem.dirichletbc(np.zeros(2), two_scale.boundary_dofs(space, 0, 0.0), space)
    form = ufl.dot(law.flux, mandel_strain(v)) * law.dx - 1e-12 * v[1] * ufl.dx
    MacroProblem(form, u, law, bcs=[clamp]).solve()
    assert u.x.array.max() == pytest.approx(1e-12 * 1000.0**4 / 8.0 * 12.0, rel=1e-3)


def test_failure_names_cell_point_coordinates_and_gradient():
    mesh = two_scale.distorted(WORLD, (4, 2), (2.0, 1.0))  # so that one point strains most
    strip = two_scale.clamped(mesh, two_scale.plastic_rve())
    strip.step((0.002, -0.001))
    strains = strip.law.gradients()
    worst = int(np.argmax(strains[:, 0]))
    assert worst % 4 > 0
    assert worst // 4 > 0
    place = strip.law.coordinates()[worst]
    cell = mesh.topology.original_cell_index[strip.law.cells[worst // 4]]
    limit = 0.5 * (strains[worst, 0] + np.sort(strains[:, 0])[-2])
    guarded = two_scale.clamped(mesh, two_scale.Guarded(two_scale.plastic_rve(), largest_strain=limit))
    guarded.displacement.value = (0.002, -0.001)
    with pytest.raises(MicroSolveError) as caught:
        guarded.problem.solve()
    pattern = (
        r"macroscopic cell (\d+), quadrature point (\d), coordinates \((.*)\), "
        r"strain \(xx, yy, xy\) = \((.*)\): a strain of .* is too large"
    )
    found = re.search(pattern, str(caught.value))
    assert found, str(caught.value)
    assert (int(found[1]), int(found[2])) == (cell, worst % 4)
    np.testing.assert_allclose([float(x) for x in found[3].split(",")], place, rtol=1e-5)
    reported = strains[worst] * [1.0, 1.0, np.sqrt(2.0)]  # shear strain of engineers
    np.testing.assert_allclose([float(g) for g in found[4].split(",")], reported, rtol=0.05)


def test_step_that_cannot_succeed_is_given_up_soon():
    """The line search does not crawl towards the point at which the micro models fail."""
    strip = two_scale.clamped(
        two_scale.rectangle(WORLD, (3, 1)), two_scale.Guarded(two_scale.plastic_rve(), largest_strain=0.006)
    )
    evaluations = []
    evaluate = strip.law.pool.evaluate
    strip.law.pool.evaluate = lambda *given: evaluations.append(given) or evaluate(*given)
    strip.displacement.value = (0.03, 0.01)
    with pytest.raises(MicroSolveError, match="too large"):
        strip.problem.solve()
    assert len(evaluations) <= 50


def test_failed_step_leaves_no_trace():
    mesh = two_scale.rectangle(WORLD)
    straight = two_scale.clamped(mesh, two_scale.Guarded(two_scale.plastic_rve()))
    detour = two_scale.clamped(mesh, two_scale.Guarded(two_scale.plastic_rve(), largest_strain=0.02))
    for strip in (straight, detour):
        strip.step((0.006, 0.0))
    before, states = detour.unknown.x.array.copy(), detour.law.pool.states.copy()
    detour.displacement.value = (0.2, 0.0)
    with pytest.raises(MicroSolveError):
        detour.problem.solve()
    detour.problem.rollback()
    np.testing.assert_array_equal(detour.unknown.x.array, before)
    np.testing.assert_array_equal(detour.law.pool.states, states)
    for strip in (straight, detour):
        strip.step((0.010, 0.002))
    np.testing.assert_allclose(detour.unknown.x.array, straight.unknown.x.array, rtol=0.0, atol=1e-14)
    np.testing.assert_allclose(detour.law.pool.states, straight.law.pool.states, rtol=0.0, atol=1e-14)
    assert detour.problem.norms == pytest.approx(straight.problem.norms, abs=1e-9)


def test_macroscopic_divergence_is_reported_with_its_residuals():
    strip = two_scale.clamped(two_scale.rectangle(WORLD), two_scale.plastic_rve(), {"snes_max_it": 2})
    strip.displacement.value = (0.02, 0.0)
    with pytest.raises(MacroSolveError, match=r"did not converge .* residuals \d"):
        strip.problem.solve()
    assert np.all(strip.unknown.x.array == 0.0)


@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt])
def test_other_exceptions_within_the_solver_come_out_as_they_are(kind):
    """Not as PETSc's error 101, nor as a step to be halved; the problem can be solved afterwards."""
    strip = two_scale.clamped(two_scale.rectangle(WORLD), two_scale.elastic_rve())
    evaluate = strip.law.pool.evaluate

    def broken(*given):
        raise kind("a table without this entry")

    strip.law.pool.evaluate = broken
    strip.displacement.value = (0.01, 0.0)
    with pytest.raises(kind, match="a table without this entry"):
        strip.problem.solve()
    assert np.all(strip.unknown.x.array == 0.0)
    strip.law.pool.evaluate = evaluate
    assert strip.step((0.01, 0.0)) == 1


def test_problem_that_nobody_holds_goes_and_its_communicators_with_it():
    """MPICH has two thousand in a process; where they run out, DOLFINx ends the process."""
    strip = two_scale.clamped(two_scale.rectangle(WORLD), two_scale.elastic_rve())
    strip.step((0.001, 0.0))
    problem = weakref.ref(strip.problem)
    del strip
    gc.collect()
    assert problem() is None
    before = free_communicators()
    two_scale.clamped(two_scale.rectangle(WORLD), two_scale.elastic_rve()).step((0.001, 0.0))
    gc.collect()
    assert free_communicators() == before


def free_communicators() -> int:
    made = []
    with contextlib.suppress(MPI.Exception):
        while True:
            made.append(MPI.COMM_SELF.Dup())
    for comm in made:
        comm.Free()
    return len(made)


def test_load_that_is_not_a_number_is_a_failure_of_the_macroscopic_problem():
    strip = two_scale.clamped(two_scale.rectangle(WORLD), two_scale.elastic_rve())
    strip.displacement.value = (np.nan, 0.0)
    with pytest.raises((MacroSolveError, MicroSolveError)):
        strip.problem.solve()
    assert np.all(strip.unknown.x.array == 0.0)
    strip.step((0.01, 0.0))
    assert np.isfinite(strip.unknown.x.array).all()


def test_hold_needs_no_iteration():
    strip = two_scale.clamped(two_scale.rectangle(WORLD), two_scale.plastic_rve())
    assert strip.step((0.006, 0.0)) > 1
    assert strip.step((0.006, 0.0)) == 0


# ---- refused input


def test_gradient_that_does_not_fit_the_micro_model_is_refused():
    mesh = two_scale.rectangle(WORLD)
    u = fem.Function(fem.functionspace(mesh, ("Lagrange", 1, (2,))))
    with pytest.raises(InputError, match=r"shape \(2, 2\).*3 components: xx, yy, xy"):
        HomogenizedLaw(ufl.sym(ufl.grad(u)), two_scale.elastic_rve(), quadrature_degree=2)


def test_gradient_of_no_function_is_refused():
    mesh = two_scale.rectangle(WORLD)
    x = ufl.SpatialCoordinate(mesh)
    with pytest.raises(InputError, match="of a DOLFINx function"):
        HomogenizedLaw(mandel_strain(x), two_scale.elastic_rve(), quadrature_degree=2)


def test_subdomain_without_cells_is_refused():
    mesh = two_scale.rectangle(WORLD)
    u = fem.Function(fem.functionspace(mesh, ("Lagrange", 1, (2,))))
    cells = np.arange(mesh.topology.index_map(2).size_local, dtype=np.int32)
    tags = dmesh.meshtags(mesh, 2, cells, np.full(len(cells), 3, dtype=np.int32))
    where = {"quadrature_degree": 2, "subdomains": tags}
    with pytest.raises(InputError, match=r"subdomain 7 .* tags .* \[3\]"):
        HomogenizedLaw(mandel_strain(u), two_scale.elastic_rve(), subdomain=7, **where)
    with pytest.raises(InputError, match="needs the tag"):
        HomogenizedLaw(mandel_strain(u), two_scale.elastic_rve(), **where)


# ---- PETSc's options


def test_macro_option_of_the_database_wins_over_the_argument(options):
    options["fe2_macro_snes_max_it"] = 1
    strip = two_scale.clamped(two_scale.rectangle(WORLD), two_scale.plastic_rve(), {"snes_max_it": 50})
    strip.displacement.value = (0.02, 0.0)
    with pytest.raises(MacroSolveError):
        strip.problem.solve()
    assert len(strip.problem.norms) == 2


def test_macro_options_choose_the_linear_solver(options):
    mesh = two_scale.rectangle(WORLD)
    direct = two_scale.clamped(mesh, two_scale.elastic_rve())
    direct.step((0.01, 0.02))
    assert direct.problem.snes.getLinearSolveIterations() == 1
    for name, value in {"ksp_type": "cg", "pc_type": "jacobi", "ksp_rtol": 1e-13}.items():
        options["fe2_macro_" + name] = value
    iterative = two_scale.clamped(mesh, two_scale.elastic_rve())
    iterative.step((0.01, 0.02))
    assert iterative.problem.snes.getLinearSolveIterations() > 5
    # 1e-13 in the residual, times the condition of a small system
    np.testing.assert_allclose(iterative.unknown.x.array, direct.unknown.x.array, rtol=0.0, atol=1e-10 * 0.02)


def test_macro_defaults_do_not_stay_in_the_database(options):
    before = options.getAll()
    two_scale.clamped(two_scale.rectangle(WORLD), two_scale.elastic_rve())
    assert options.getAll() == before


def strained(tolerance: float = 1e-10):
    model = two_scale.rve(two_scale.fibre_cell(), ALUMINIUM, two_scale.STEEL, tolerance)
    return model.solve(np.array([4e-3, -1e-3, 2e-3]), model.initial_state(), 1.0, model.initial_state())


def test_micro_options_choose_the_linear_solver(options, tmp_path):
    direct = strained()
    log = tmp_path / "iterations"
    wanted = {"ksp_type": "cg", "pc_type": "gamg", "ksp_rtol": 1e-12, "ksp_converged_reason": f"ascii:{log}"}
    for name, value in wanted.items():
        options["fe2_micro_" + name] = value
    iterative = strained()
    counts = [int(count) for count in re.findall(r"iterations (\d+)", log.read_text())]
    assert max(counts) > 1
    np.testing.assert_allclose(iterative.flux, direct.flux, atol=1e-9 * np.abs(direct.flux).max(), rtol=0.0)
    np.testing.assert_allclose(
        iterative.tangent, direct.tangent, atol=1e-9 * np.abs(direct.tangent).max(), rtol=0
    )


def test_micro_option_chooses_the_factorization(options, tmp_path):
    log = tmp_path / "view"
    default = strained()
    for package in ("mumps", "petsc"):
        options["fe2_micro_pc_factor_mat_solver_type"] = package
        options["fe2_micro_ksp_view"] = f"ascii:{log}"
        response = strained()
        assert f"package used to perform factorization: {package}" in log.read_text()
        np.testing.assert_allclose(response.flux, default.flux, rtol=1e-9)


def test_linear_solver_of_a_cell_that_does_not_converge_is_a_failed_micro_solve(options):
    for name, value in {"ksp_type": "cg", "pc_type": "none", "ksp_rtol": 1e-12, "ksp_max_it": 2}.items():
        options["fe2_micro_" + name] = value
    with pytest.raises(MicroSolveError, match="KSP"):
        strained()
