"""Cells at finite strain: exact solutions, frame indifference, tangents, pressures, failures, whole runs."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import two_scale
import ufl
from cells import Array, distorted, fitted_fibre, laminate, random_image, relative_error
from conftest import Verify
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi import PROGRAMS, mpiexec, succeeded
from mpi4py import MPI
from scipy.optimize import brentq, root
from scipy.spatial.transform import Rotation

from fe2.errors import InputError, MicroSolveError
from fe2.io.results import read_history
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.boundary import BOUNDARY_CONDITIONS
from fe2.micro.finite_strain import finite_strain
from fe2.micro.material_test import MaterialPath
from fe2.micro.newton import NewtonOptions
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.physics.elasticity import LinearElastic
from fe2.physics.ellipticity import smallest_acoustic_determinant
from fe2.physics.finite_strain import deformation_gradient, displacement_gradient, small_strain_stiffness
from fe2.physics.holzapfel_gasser_ogden import HolzapfelGasserOgden
from fe2.physics.hyperelasticity import Hyperelastic, HyperelasticLaw
from fe2.physics.mooney_rivlin import MooneyRivlin
from fe2.physics.neo_hookean import NeoHookean
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

TIGHT = NewtonOptions(tolerance=1e-12)
SOFT, STIFF = NeoHookean(2.6, 0.3), NeoHookean(24.0, 0.2)  # shear moduli 1 and 10
LAWS: dict[str, HyperelasticLaw] = {
    "neo-Hookean": SOFT,
    "Mooney-Rivlin": MooneyRivlin(0.4, 0.1, 5.0),
    "Holzapfel-Gasser-Ogden": HolzapfelGasserOgden(1.0, 2.0, 1.5, 5.0, [[1.0, 0.5]], 0.1),
    "formula": Hyperelastic(lambda F, p: p["c"] * (ufl.tr(F.T * F) - 3 - 2 * ufl.ln(ufl.det(F))), {"c": 0.5}),
}
GRADIENT = {
    2: np.array([0.12, 0.2, -0.05, -0.1]),
    3: np.array([0.12, 0.2, 0.03, -0.05, -0.1, 0.08, 0.04, -0.06, 0.05]),
}


@cache
def composite(name: str, dim: int, boundary: str, pressure: bool = False) -> RVE:
    cell = random_image(2, 4) if dim == 2 else distorted("tetrahedron", ("a", "b"))
    phases = {"a": LAWS[name], "b": STIFF}
    incompressible = ("a",) if pressure else ()
    return finite_strain(cell, phases, boundary=boundary, incompressible=incompressible, options=TIGHT)


def respond(rve: RVE, gradient: Array, steps: int = 1):
    """Response to a gradient that is reached in equal steps, and the state there."""
    state = rve.initial_state()
    for step in range(1, steps + 1):
        out = np.empty_like(state)
        response = rve.solve(np.ravel(gradient) * step / steps, state, 0.0, out)
        state = out
    return response, state


CASES = [
    *((name, dim, "periodic", False) for name in LAWS for dim in (2, 3)),
    *(
        ("neo-Hookean", 2, boundary, pressure)
        for boundary in BOUNDARY_CONDITIONS
        for pressure in (False, True)
    ),
    ("neo-Hookean", 3, "periodic", True),
]


@pytest.mark.parametrize(("name", "dim", "boundary", "pressure"), CASES)
def test_tangent_is_symmetric_and_agrees_with_central_differences(
    name: str, dim: int, boundary: str, pressure: bool
) -> None:
    rve, width = composite(name, dim, boundary, pressure), 1e-6
    response, state = respond(rve, GRADIENT[dim], 2)
    out = np.empty_like(state)
    differences = np.array(
        [
            rve.solve(GRADIENT[dim] + change, state, 0.0, out).flux
            - rve.solve(GRADIENT[dim] - change, state, 0.0, out).flux
            for change in width * np.eye(dim**2)
        ]
    ).T / (2.0 * width)
    assert relative_error(response.tangent, differences) < 1e-6
    assert relative_error(response.tangent, response.tangent.T) < 1e-11


@pytest.mark.parametrize(("name", "dim", "boundary", "pressure"), CASES)
def test_homogenized_stress_turns_with_the_cell(name: str, dim: int, boundary: str, pressure: bool) -> None:
    rve = composite(name, dim, boundary, pressure)
    F = np.eye(dim) + GRADIENT[dim].reshape(dim, dim)
    Q = Rotation.from_rotvec([0.2, -0.3, 0.5] if dim == 3 else [0.0, 0.0, 0.5]).as_matrix()[:dim, :dim]
    P = respond(rve, F - np.eye(dim), 2)[0].flux.reshape(dim, dim)
    turned = respond(rve, Q @ F - np.eye(dim), 4)[0].flux.reshape(dim, dim)
    assert relative_error(turned, Q @ P) < 1e-9
    cauchy = P @ F.T
    assert relative_error(cauchy, cauchy.T) < 1e-9
    rigid = respond(rve, Q - np.eye(dim), 4)[0]
    assert np.abs(rigid.flux).max() < 1e-9 * np.abs(rigid.tangent).max()


@pytest.mark.parametrize("dim", [2, 3])
def test_small_gradients_give_the_homogenized_stiffness_of_small_strain(dim: int) -> None:
    rve = composite("neo-Hookean", dim, "periodic")
    elastic = {"a": LinearElastic.isotropic(2.6, 0.3), "b": LinearElastic.isotropic(24.0, 0.2)}
    linear = small_strain(rve.cell, elastic).homogenize()
    properties = rve.homogenize()
    assert relative_error(small_strain_stiffness(properties.tangent), linear.tangent) < 1e-11
    assert np.isclose(properties.properties["bulk_modulus"], linear.properties["bulk_modulus"])
    symmetric = 0.5 * (GRADIENT[dim].reshape(dim, dim) + GRADIENT[dim].reshape(dim, dim).T)
    small = [respond(rve, size * symmetric)[0] for size in (2e-3, 1e-3)]
    errors = [np.abs(small_strain_stiffness(response.tangent) - linear.tangent).max() for response in small]
    assert 1.9 < errors[0] / errors[1] < 2.1


def neo_hookean(law: NeoHookean, F: Array) -> Array:
    shear = law.young / (2.0 * (1.0 + law.poisson))
    inverse = np.linalg.inv(F).T
    return shear * (F - inverse) + law.volumetric_modulus * np.log(np.linalg.det(F)) * inverse


@pytest.mark.parametrize("shape", ["triangle", "hexahedron"])
@pytest.mark.parametrize("axis", [0, 1])
def test_laminate_has_the_stress_of_the_jump_conditions(shape: str, axis: int) -> None:
    """Layers deform homogeneously: F + a_r ⊗ N, with no jump of P N across the layers."""
    cell, fractions = laminate(shape, axis), np.array([0.4, 0.6])
    dim, normal = cell.dim, np.eye(cell.dim)[axis]
    rve = finite_strain(cell, {"a": SOFT, "b": STIFF}, options=TIGHT)
    F = np.eye(dim) + GRADIENT[dim].reshape(dim, dim)

    def layers(a: Array) -> list[Array]:
        stresses = []
        for law, share in ((SOFT, fractions[1]), (STIFF, -fractions[0])):
            full = np.eye(3)
            full[:dim, :dim] = F + share * np.outer(a, normal)
            stresses.append(neo_hookean(law, full)[:dim, :dim])
        return stresses

    def jump(a: Array) -> Array:
        soft, stiff = layers(a)
        return (soft - stiff) @ normal

    solution = root(jump, np.zeros(dim), tol=1e-14)
    assert np.abs(solution.fun).max() < 1e-12
    exact = fractions @ np.array([P.ravel() for P in layers(solution.x)])
    assert relative_error(respond(rve, F - np.eye(dim), 2)[0].flux, exact) < 1e-9


def test_layers_buckle_at_the_critical_compression_of_triantafyllidis_and_maker(verify: Verify) -> None:
    r"""Incompressible neo-Hookean layers, compressed along them: :math:`\lambda_c^4 = 1 - \mu_R/\mu_V`.

    (Triantafyllidis & Maker 1985), with the harmonic and arithmetic means of the shear moduli. With a finite
    bulk modulus K the error is of the order of μ/K.
    """
    cell, (soft, stiff) = laminate("quadrilateral", 0), (1.0, 20.0)
    voigt, reuss = 0.4 * soft + 0.6 * stiff, 1.0 / (0.4 / soft + 0.6 / stiff)
    exact = (1.0 - reuss / voigt) ** 0.25
    errors = []
    for bulk in (1e4, 2e4):
        laws = {
            "a": MooneyRivlin(soft / 2, 0.0, soft * bulk),
            "b": MooneyRivlin(stiff / 2, 0.0, stiff * bulk),
        }
        rve = finite_strain(cell, laws, incompressible=("a", "b"), options=TIGHT)

        def smallest(stretch: float, rve: RVE = rve) -> float:
            gradient = np.array([1.0 / stretch - 1.0, 0.0, 0.0, stretch - 1.0])
            tangent = rve.solve(gradient, rve.initial_state(), 0.0, np.empty(rve.state_size)).tangent
            return float(smallest_acoustic_determinant(tangent[None])[0][0])

        assert smallest(1.0) > 0.0
        errors.append(brentq(smallest, exact - 0.01, exact + 0.01, xtol=1e-13) / exact - 1.0)
        case = f"layers, contrast 20, K/μ = {bulk:g}: critical stretch"
        found, source = exact * (1.0 + errors[-1]), "Triantafyllidis & Maker 1985"
        verify(case, found, exact, tolerance=1.0 / bulk, source=source)
    assert 1.9 < errors[0] / errors[1] < 2.1


def test_bar_of_rubber_approaches_incompressible_tension(verify: Verify) -> None:
    """Free sides, material test in three dimensions: P → 2 (λ - λ⁻²)(c₁₀ + c₀₁/λ) as μ/K."""
    stretch = np.array([1.0, 1.3])
    exact = 2.0 * (stretch - stretch**-2) * (0.4 + 0.15 / stretch)
    off_diagonal = {name: np.zeros(2) for name in ("xy", "xz", "yx", "yz", "zx", "zy")}
    errors = []
    for bulk in (1e3, 2e3):
        rubber = MooneyRivlin(0.4, 0.15, bulk)
        rve = finite_strain(random_image(3, 3), {"a": rubber, "b": rubber}, incompressible=("a", "b"))
        path = MaterialPath(np.arange(2.0), {"xx": stretch - 1.0, **off_diagonal}, increments=2)
        errors.append(rve.drive(path).flux[-1, 0] / exact[-1] - 1.0)
        case, found = f"bar of rubber, λ = 1.3, K/μ = {bulk / 1.1:.0f}: P", (1.0 + errors[-1]) * exact[-1]
        source = "exact for K → ∞: Mooney–Rivlin"
        verify(case, found, exact[-1], tolerance=1.1 / bulk * exact[-1], source=source)
    assert np.isclose(errors[0] / errors[1], 2.0, atol=0.02)


def sheared(poisson: float, degree: int, incompressible: tuple[str, ...], count: int = 8) -> float:
    """Shear stress of a matrix of shear modulus 1 with a circular fibre, small enough to be nearly linear."""
    laws = {"matrix": NeoHookean(2.0 * (1.0 + poisson), poisson), "fibre": NeoHookean(250.0, 0.25)}
    rve = finite_strain(
        fitted_fibre(0.3, count, 1), laws, degree=degree, incompressible=incompressible, options=TIGHT
    )
    return float(respond(rve, np.array([0.0, 0.002, 0.0, 0.0]))[0].flux[1] / 0.002)


def test_nearly_incompressible_matrix_does_not_lock_with_a_pressure() -> None:
    # where nothing locks, both formulations tell the same
    fine = sheared(0.3, 4, ())
    assert np.isclose(sheared(0.3, 3, ("matrix",)), fine, rtol=1e-3)
    reference = sheared(0.4999, 4, ("matrix",))
    mixed = {nu: sheared(nu, 2, ("matrix",)) for nu in (0.49, 0.499, 0.4999, 0.49999)}
    assert np.isclose(mixed[0.4999], reference, rtol=1e-3)
    assert np.isclose(sheared(0.3, 2, ()), fine, rtol=2e-3)  # the error of the mesh is no smaller at ν = 0.3
    # towards incompressibility the stress approaches a limit, with an error of μ/K
    assert 5.0 < (mixed[0.49] - mixed[0.4999]) / (mixed[0.499] - mixed[0.4999]) < 15.0
    assert np.isclose(mixed[0.49999], mixed[0.4999], rtol=1e-3)
    # linear elements with displacements alone lock
    assert sheared(0.4999, 1, ()) > 1.5 * reference


def test_pressure_of_each_phase_is_its_own() -> None:
    """Two phases of a laminate, both nearly incompressible: their pressures jump, and the stress is exact."""
    laws = {"a": NeoHookean(2.9998, 0.4999), "b": NeoHookean(29.99, 0.4995)}
    cell = laminate("triangle", 1)
    stresses = [
        respond(
            finite_strain(cell, laws, degree=2, incompressible=names, options=TIGHT),
            [0.01, 0.03, 0.0, -0.0099],
        )[0]
        for names in (("a", "b"), ())
    ]
    # fields are homogeneous in the layers: displacements alone are exact here
    assert relative_error(stresses[0].flux, stresses[1].flux) < 1e-8
    assert relative_error(stresses[0].tangent, stresses[1].tangent) < 1e-8


def test_local_fields_of_a_mixed_problem() -> None:
    rve = composite("neo-Hookean", 2, "periodic", True)
    response, state = respond(rve, GRADIENT[2], 2)
    fields = rve.fields(state)
    assert fields.point_data["u"].shape == (len(fields.points), 2)
    assert fields.point_data["u_1"].shape == (len(fields.points), 1)
    share = fields.volumes / fields.volumes.sum()
    mean = share @ fields.cell_data["first_piola_kirchhoff_stress"]
    assert relative_error(mean[[0, 1, 3, 4]], response.flux) < 1e-9


def test_homogeneous_cell_is_the_single_scale_problem() -> None:
    mesh = two_scale.distorted(MPI.COMM_SELF, (3, 2), (2.0, 1.0))
    rve = finite_strain(random_image(2, 3), {"a": SOFT, "b": SOFT}, options=TIGHT)
    histories = []
    for micro in (rve, None):
        space = fem.functionspace(mesh, ("Lagrange", 2, (2,)))
        u, v = fem.Function(space), ufl.TestFunction(space)
        laws = [] if micro is None else [HomogenizedLaw(displacement_gradient(u), micro, quadrature_degree=4)]
        if micro is None:
            full = ufl.as_vector(
                [displacement_gradient(u)[k] if k >= 0 else 0.0 for k in (0, 1, -1, 2, 3, -1, -1, -1, -1)]
            )
            P = SOFT.flux(full, {}, 0.0)
            stress, dx = (
                ufl.as_vector([P[k] for k in (0, 1, 3, 4)]),
                ufl.dx(metadata={"quadrature_degree": 4}),
            )
        else:
            stress, dx = laws[0].flux, laws[0].dx
        pull = fem.Constant(mesh, (0.0, 0.0))
        bcs = [
            fem.dirichletbc(np.zeros(2), two_scale.boundary_dofs(space, 0, 0.0), space),
            fem.dirichletbc(pull, two_scale.boundary_dofs(space, 0, 2.0), space),
        ]
        form = ufl.dot(stress, displacement_gradient(v)) * dx
        problem = MacroProblem(form, u, laws, bcs=bcs, petsc_options={"snes_rtol": 1e-9})
        history = []
        for step in ((0.5, 0.1), (1.0, 0.4), (0.2, 0.4)):
            pull.value = step
            history.append((problem.solve(), problem.reaction(bcs[1])))
            problem.commit()
        histories.append((history, u.x.array.copy()))
    (two, u_two), (one, u_one) = histories
    assert [iterations for iterations, _ in two] == [iterations for iterations, _ in one]
    assert relative_error(u_two, u_one) < 1e-10
    assert relative_error([r for _, r in two], [r for _, r in one]) < 1e-10


def test_pressure_that_follows_the_surface_is_exact_and_converges_quadratically(verify: Verify) -> None:
    r"""A block under the pressure q on its deformed surface, :math:`-q\,J F^{-T} N` on the undeformed one.

    In plane strain it shrinks by the factor s, with :math:`\mu (s^2 - 1) + 2 \lambda \ln s = -q s^2`.
    """
    q, mesh = 1.2, two_scale.rectangle(MPI.COMM_SELF, (2, 2), (1.0, 1.0))
    space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    rve = finite_strain(random_image(2, 3), {"a": SOFT, "b": SOFT}, options=TIGHT)
    law = HomogenizedLaw(displacement_gradient(u), rve, quadrature_degree=2)
    loaded = dmesh.locate_entities_boundary(mesh, 1, lambda x: np.isclose(x[0], 1.0) | np.isclose(x[1], 1.0))
    tags = dmesh.meshtags(mesh, 1, np.sort(loaded), np.ones(len(loaded), dtype=np.int32))
    F = deformation_gradient(u)
    follower = q * ufl.det(F) * ufl.dot(ufl.inv(F).T * ufl.FacetNormal(mesh), v)
    form = ufl.dot(law.flux, displacement_gradient(v)) * law.dx
    form += follower * ufl.Measure("ds", domain=mesh, subdomain_data=tags)(1)
    bcs = [
        fem.dirichletbc(0.0, two_scale.boundary_dofs(space, axis, 0.0, axis), space.sub(axis))
        for axis in (0, 1)
    ]
    problem = MacroProblem(form, u, law, bcs=bcs, petsc_options={"snes_rtol": 1e-12})
    problem.solve()
    mu, lame = 1.0, SOFT.volumetric_modulus
    exact = brentq(lambda s: mu * (s**2 - 1.0) + 2.0 * lame * np.log(s) + q * s**2, 0.3, 1.0, xtol=1e-15)
    expected = (exact - 1.0) * space.tabulate_dof_coordinates()[:, :2].ravel()
    assert np.abs(u.x.array - expected).max() < 1e-11
    case, source = "block under a pressure that follows its surface: stretch", "exact: Nanson"
    verify(case, 1.0 + u.x.array.min(), exact, tolerance=1e-11, source=source)
    norms = np.array(problem.norms) / problem.norms[0]
    quadratic = norms[(norms < 0.1) & (norms > 1e-13)]
    assert len(quadratic) >= 2
    assert np.all(quadratic[1:] < 20.0 * quadratic[:-1] ** 2)


def test_determinant_that_is_not_positive_is_a_failed_micro_solve() -> None:
    for pressure in (False, True):
        rve = composite("neo-Hookean", 2, "periodic", pressure)
        out = rve.initial_state()
        with pytest.raises(
            MicroSolveError, match=r"det F = -0.2\d* is not positive in phase '[ab]', mesh cell \d+"
        ):
            rve.solve(np.array([-1.2, 0.0, 0.0, 0.0]), rve.initial_state(), 0.0, out)
        # the solver is as it was
        assert np.all(np.isfinite(respond(rve, GRADIENT[2], 2)[0].flux))


def test_energy_that_does_not_notice_inversion_is_refused_as_well() -> None:
    """Its stress is a finite number at det F < 0 too, so that nothing else would notice."""
    law = Hyperelastic(lambda F, p: ufl.inner(F - ufl.Identity(3), F - ufl.Identity(3)))
    rve = finite_strain(random_image(2, 3), {"a": law, "b": law})
    with pytest.raises(MicroSolveError, match=r"det F = -0\.5 is not positive"):
        respond(rve, np.array([0.0, 0.0, 0.0, -1.5]))


def test_run_into_an_inverted_determinant_is_cut(tmp_path) -> None:
    """The mean of det F over a cell without holes is the macroscopic one: nothing is left beyond zero."""
    rve = finite_strain(random_image(2, 4), {"a": SOFT, "b": STIFF})
    space = fem.functionspace(two_scale.rectangle(MPI.COMM_SELF, (2, 1)), ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(displacement_gradient(u), rve, quadrature_degree=2)
    press = fem.Constant(space.mesh, (0.0, 0.0))
    left = fem.dirichletbc(np.zeros(2), two_scale.boundary_dofs(space, 0, 0.0), space)
    right = fem.dirichletbc(press, two_scale.boundary_dofs(space, 0, 2.0), space)
    problem = MacroProblem(ufl.dot(law.flux, displacement_gradient(v)) * law.dx, u, law, bcs=[left, right])
    steps = LoadSteps((0.0, 1.0), lambda t: np.put(press.value, 0, -2.4 * t), 2.0**-3)
    run = Simulation(problem, steps, output=tmp_path, reactions={"right": right}, quiet=True)
    with pytest.raises(Exception, match=r"det F|line search|did not converge"):
        run.run()
    assert run.records  # it went some of the way
    assert all(np.all(np.isfinite(values)) for values in read_history(tmp_path).values())


def test_indicators_are_a_macroscopic_output(tmp_path) -> None:
    import pyvista

    rve = finite_strain(random_image(2, 4), {"a": SOFT, "b": STIFF})
    space = fem.functionspace(two_scale.rectangle(MPI.COMM_SELF, (2, 1)), ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(displacement_gradient(u), rve, quadrature_degree=2)
    press = fem.Constant(space.mesh, (0.0, 0.0))
    bcs = [
        fem.dirichletbc(np.zeros(2), two_scale.boundary_dofs(space, 0, 0.0), space),
        fem.dirichletbc(press, two_scale.boundary_dofs(space, 0, 2.0), space),
    ]
    problem = MacroProblem(ufl.dot(law.flux, displacement_gradient(v)) * law.dx, u, law, bcs=bcs)
    steps = LoadSteps((0.0, 1.0), lambda t: np.put(press.value, 0, -0.2 * t))
    Simulation(problem, steps, output=tmp_path, quiet=True).run()
    reader = pyvista.get_reader(tmp_path / "macro.pvd")
    written = []
    for number in (0, 1):
        reader.set_active_time_point(number)
        written.append(reader.read().combine().cell_data["acoustic_determinant"])
    virgin = smallest_acoustic_determinant(rve.homogenize().tangent[None])[0][0]
    assert np.allclose(written[0], virgin)
    points = law.indicators()
    assert set(points) == {"acoustic_determinant", "acoustic_eigenvalue"}
    assert np.allclose(written[1], points["acoustic_determinant"].reshape(2, -1).min(axis=1))
    assert np.all(written[1] < virgin)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"incompressible": ("c",)}, "phase 'c' is said to be incompressible; the cell's phases are"),
        ({"incompressible": ("b",)}, "phase 'b' .* StVenant, has no energy of the volume apart"),
        ({"incompressible": ("a",), "degree": 1}, "degree = 1 is not stable beside a pressure in a"),
        ({"degree": 0}, "degree = 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message: str) -> None:
    class StVenant(HyperelasticLaw):
        def energy(self, F):
            return ufl.inner(F.T * F - ufl.Identity(3), F.T * F - ufl.Identity(3))

    with pytest.raises(InputError, match=message):
        finite_strain(random_image(2, 3), {"a": SOFT, "b": StVenant()}, **options)
    with pytest.raises(InputError, match=r"volumetric modulus of its law is -\d"):
        finite_strain(random_image(2, 3), {"a": NeoHookean(1.0, -0.2), "b": SOFT}, incompressible=("a",))


@pytest.mark.mpi
def test_ranks_agree(tmp_path) -> None:
    results = []
    for ranks in (1, 2, 3):
        path = tmp_path / f"{ranks}.npz"
        succeeded(mpiexec(ranks, [str(PROGRAMS / "finite_strain.py"), str(path)]))
        results.append(dict(np.load(path)))
    for result in results[1:]:
        assert np.array_equal(result["iterations"], results[0]["iterations"])
        assert relative_error(result["displacement"], results[0]["displacement"]) < 1e-9
        assert relative_error(result["determinant"], results[0]["determinant"]) < 1e-9
