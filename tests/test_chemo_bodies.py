"""Bodies that swell with a solute: spheres and cylinders, a bent beam, a hole, a surface that reacts."""

from __future__ import annotations

from typing import Any

import fe2  # isort: skip  # before dolfinx

import basix.ufl
import numpy as np
import numpy.typing as npt
import pytest
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI
from scipy.integrate import quad
from scipy.optimize import brentq, fsolve
from test_consolidation import octant
from ufl.core.expr import Expr

from fe2.physics.free_energy import GAS_CONSTANT

Array = npt.NDArray[np.float64]

pytestmark = pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="serial")

RT = GAS_CONSTANT * 300.0
E, NU, D, OMEGA, C0 = 90e9, 0.28, 1e-16, 8.2e-6, 5e4  # SI units
THETA = 2.0 * OMEGA**2 * E / (9.0 * RT * (1.0 - NU))
TIGHT = {"snes_rtol": 1e-9}


class Body:
    """A body of a homogeneous cell, of quadratic displacements."""

    def __init__(
        self, domain: dmesh.Mesh, *, degree: int = 1, linearized: bool = False, **law: float
    ) -> None:
        self.domain, self.dim = domain, domain.topology.dim
        cell = fe2.image_cell(np.zeros((3,) * self.dim, dtype=int), {"solid": 0})
        given = {"molar_volume": OMEGA, "reference_concentration": C0} | law
        self.rve = fe2.chemomechanics(cell, {"solid": fe2.Chemoelastic(E, NU, D, temperature=300.0, **given)})
        micro = self.rve.linearized() if linearized else self.rve
        self.V = fem.functionspace(domain, ("Lagrange", 2, (self.dim,)))
        self.W = fem.functionspace(domain, ("Lagrange", degree))
        self.u, self.mu = fem.Function(self.V, name="u"), fem.Function(self.W, name="mu")
        self.v, self.q = ufl.TestFunction(self.V), ufl.TestFunction(self.W)
        self.blocks = {
            "strain": fe2.strain(self.u),
            "chemical_potential": self.mu,
            "chemical_potential_gradient": ufl.grad(self.mu),
        }
        self.law = fe2.HomogenizedLaw(self.blocks, micro, quadrature_degree=4)
        self.bcs: list[fem.DirichletBC] = []

    def hold(self, where: Any, component: int, value: fem.Function | None = None) -> None:
        """Prescribe a component of the displacement on facets, zero where no function is given."""
        facets = dmesh.locate_entities_boundary(self.domain, self.dim - 1, where)
        part = self.V.sub(component)
        zero = fem.Function(self.V) if value is None else value
        split, _ = part.collapse()
        own = fem.Function(split)
        own.interpolate(zero.sub(component).collapse())
        dofs = fem.locate_dofs_topological((part, split), self.dim - 1, facets)
        self.bcs.append(fem.dirichletbc(own, dofs, part))

    def potential(self, where: Any, value: float) -> None:
        facets = dmesh.locate_entities_boundary(self.domain, self.dim - 1, where)
        dofs = fem.locate_dofs_topological(self.W, self.dim - 1, facets)
        self.bcs.append(fem.dirichletbc(value, dofs, self.W))

    def problem(
        self, F_u: Expr | int = 0, F_mu: Expr | int = 0, *laws: fe2.HomogenizedLaw
    ) -> fe2.MacroProblem:
        """With further terms of both balances, and the laws in them."""
        law = self.law
        F_u += ufl.dot(law["stress"], fe2.strain(self.v)) * law.dx
        F_mu += law.rate("concentration") * self.q * law.dx
        F_mu += ufl.dot(law["solute_flux"], ufl.grad(self.q)) * law.dx
        return fe2.MacroProblem(
            [F_u, F_mu], [self.u, self.mu], [law, *laws], bcs=self.bcs, petsc_options=TIGHT
        )

    def advance(self, problem: fe2.MacroProblem, dt: float) -> None:
        with problem.step(dt):
            problem.solve()

    def integral(self, expression: Expr) -> float:
        return float(fem.assemble_scalar(fem.form(expression)))


def ring(inner: float, outer: float, along: int, around: int) -> dmesh.Mesh:
    """A quarter of a ring of curved quadrilaterals, whose lengths grow with the radius."""
    radii = np.geomspace(inner, outer, along + 1)
    radii = np.sort(np.append(radii, 0.5 * (radii[1:] + radii[:-1])))
    r, t = np.meshgrid(radii, np.linspace(0.0, np.pi / 2.0, 2 * around + 1), indexing="ij")
    x = np.column_stack([(r * np.cos(t)).ravel(), (r * np.sin(t)).ravel()])
    number = np.arange(r.size).reshape(r.shape)
    # vertices, edges and the middle, as basix numbers them
    places = [(0, 0), (2, 0), (0, 2), (2, 2), (1, 0), (0, 1), (2, 1), (1, 2), (1, 1)]
    cells = np.stack(
        [number[i : i + 2 * along - 1 : 2, j : j + 2 * around - 1 : 2].ravel() for i, j in places], axis=1
    )
    element = basix.ufl.element("Lagrange", "quadrilateral", 2, shape=(2,))
    return dmesh.create_mesh(MPI.COMM_WORLD, cells, element, x)


def at_radius(radius: float) -> Any:
    return lambda x: np.isclose(np.hypot(x[0], x[1]), radius, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("coupled", [True, False])
def test_solute_passes_a_hollow_cylinder_with_the_diffusivity_that_stress_makes(coupled: bool) -> None:
    """Steady, long, free of stress at both surfaces: r D (1 + θ c) ∂c/∂r is one number, and so c + θ c²/2 is
    linear in ln r. There σ_r + σ_θ = E Ω/(3 (1 - ν)) (c̄ - c) with the mean c̄ of the section (Timoshenko), so
    that c at the surfaces follows from the potentials."""
    inner, outer, volume = 1e-6, 3e-6, OMEGA if coupled else 0.0
    theta, potential = THETA if coupled else 0.0, np.array([0.0, 0.4])
    body = Body(ring(inner, outer, 6, 2), degree=2, molar_volume=volume)
    for axis in range(2):
        body.hold(lambda x, axis=axis: np.isclose(x[axis], 0.0, atol=1e-6 * inner), axis)
    for radius, value in zip((inner, outer), potential * RT, strict=True):
        body.potential(at_radius(radius), value)
    body.advance(body.problem(), 1e12)
    x = ufl.SpatialCoordinate(body.domain)
    radial = ufl.dot(body.law["solute_flux"], x) / ufl.dot(x, x)
    flow = 4.0 * body.integral(radial * body.law.dx) / np.log(outer / inner)

    def profile(ends: Array, r: float) -> float:
        low, high = ends + 0.5 * theta * ends**2
        level = low + (high - low) * np.log(r / inner) / np.log(outer / inner)
        return float(2.0 * level / (1.0 + np.sqrt(1.0 + 2.0 * theta * level)))

    def equations(scaled: Array) -> Array:
        ends = scaled * C0
        content = quad(lambda r: 2.0 * r * profile(ends, r), inner, outer, epsrel=1e-12)[0]
        mean = content / (outer**2 - inner**2)
        strength = E * volume / 3.0
        stress = ((1.0 + NU) / (1.0 - NU) * strength * (mean - ends) - strength * (ends - C0)) / 3.0
        found: Array = np.log(scaled) - volume * stress / RT - potential
        return found

    ends = C0 * fsolve(equations, [1.0, 1.2], xtol=1e-13)
    difference = float(np.diff(ends + 0.5 * theta * ends**2)[0])
    assert flow == pytest.approx(2.0 * np.pi * D * difference / np.log(outer / inner), rel=1e-4)
    if coupled:
        assert difference / np.diff(ends)[0] > 5.0


@pytest.mark.parametrize("coupled", [True, False])
def test_sphere_is_charged_as_evenly_as_stress_makes_it(coupled: bool) -> None:
    """Free of stress at its surface, which lets J through: in the end c rises everywhere as fast, by 3 J/R,
    and c(r) - c(0) = J r²/(2 R D (1 + θ c₀)), for small changes of c."""
    data = octant(0.4)
    volume, flow = OMEGA if coupled else 0.0, 1e-3 * D * C0
    body = Body(data.mesh, degree=2, linearized=True, molar_volume=volume)
    for axis in range(3):
        body.hold(lambda x, axis=axis: np.isclose(x[axis], 0.0, atol=1e-8), axis)
    surface = ufl.Measure("ds", domain=data.mesh, subdomain_data=data.facet_tags)(14)
    problem = body.problem(0, -flow * body.q * surface)
    for _ in range(4):
        body.advance(problem, 30.0 / D)
    c = body.law.flux.x.array.reshape(-1, 10)[body.law.rows, 6]
    curvature = np.polyfit(np.sum(body.law.coordinates() ** 2, axis=1), c, 1)[0]
    effective = D * (1.0 + (THETA * C0 if coupled else 0.0))
    assert curvature == pytest.approx(flow / (2.0 * effective), rel=0.01)


def test_bent_beam_relaxes_to_gorskys_moment() -> None:
    """At once E I κ; when solute has moved to the side that is pulled, E I κ / (1 + (Ω/3)² E c₀/RT)."""
    size, bending = 1e-6, 1.0  # strains of 1e-6
    domain = dmesh.create_box(
        MPI.COMM_WORLD, [[0.0, -size / 2, -size / 2], [size, size / 2, size / 2]], [1, 1, 1],
        dmesh.CellType.hexahedron,
    )  # fmt: skip
    body = Body(domain)
    bent = fem.Function(body.V)
    bent.interpolate(lambda x: np.stack([bending * x[0] * x[1], 0.0 * x[1], 0.0 * x[2]]))
    for end in (0.0, size):
        body.hold(lambda x, end=end: np.isclose(x[0], end, atol=1e-6 * size), 0, bent)
    corners = {1: [(0.0, 0.0, 0.0)], 2: [(0.0, 0.0, 0.0), (0.0, 0.5 * size, 0.0)]}
    for component, places in corners.items():
        for place in places:
            part = body.V.sub(component)
            split, _ = part.collapse()
            at = fem.locate_dofs_geometrical(
                (part, split), lambda x, p=place: np.linalg.norm(x.T - p, axis=1) < 1e-6 * size
            )
            assert len(at[0]) == 1
            body.bcs.append(fem.dirichletbc(fem.Function(split), at, part))
    problem = body.problem()
    y = ufl.SpatialCoordinate(domain)[1]
    elastic = E * size**4 / 12.0 * bending
    shares = []
    for dt in (1e-9 * size**2 / D, 1e9 * size**2 / D):
        body.advance(problem, dt)
        shares.append(body.integral(body.law["stress"][0] * y * body.law.dx) / size / elastic)
    assert shares[0] == pytest.approx(1.0, rel=1e-5)
    assert shares[1] == pytest.approx(1.0 / (1.0 + (OMEGA / 3.0) ** 2 * E * C0 / RT), rel=1e-5)
    assert shares[1] < 0.1


def test_solute_gathers_around_a_hole_as_kirsch_pulls_it() -> None:
    """c = c₀ exp(Ω σ_h/RT), σ_h = S (1 + ν)/3 (1 - 2 (a/r)² cos 2θ), where little solute strains little.

    Stresses of quadratic elements are wrong by a part that falls with the square of their size.
    """
    errors = [hole_error(along, around) for along, around in ((5, 4), (10, 8))]
    assert errors[1] < 0.02
    assert errors[0] / errors[1] > 3.0


def hole_error(along: int, around: int) -> float:
    """Largest error of ln(c/c₀) relative to its largest value."""
    hole, edge, pull = 1.0, 4.0, 0.2 * RT / OMEGA
    body = Body(ring(hole, edge, along, around), reference_concentration=1e-2)
    exact, shear, k = fem.Function(body.V), E / (2.0 * (1.0 + NU)), 3.0 - 4.0 * NU

    def kirsch(x: Array) -> Array:
        r, t = np.hypot(x[0], x[1]) / hole, np.arctan2(x[1], x[0])
        outward = r * (k + 1.0) * np.cos(t) + 2.0 / r * ((1.0 + k) * np.cos(t) + np.cos(3.0 * t))
        across = r * (k - 3.0) * np.sin(t) + 2.0 / r * ((1.0 - k) * np.sin(t) + np.sin(3.0 * t))
        near = 2.0 / r**3 * np.stack([np.cos(3.0 * t), np.sin(3.0 * t)])
        found: Array = pull * hole / (8.0 * shear) * (np.stack([outward, across]) - near)
        return found

    exact.interpolate(kirsch)
    for axis in range(2):
        body.hold(at_radius(edge), axis, exact)
        body.hold(lambda x, axis=axis: np.isclose(x[axis], 0.0, atol=1e-6), axis)
    body.potential(at_radius(edge), 0.0)
    body.advance(body.problem(), 1e30)
    x, y = body.law.coordinates().T
    c = body.law.flux.x.array.reshape(-1, 6)[body.law.rows, 3]
    twice = 2.0 * hole**2 * (x**2 - y**2) / (x**2 + y**2) ** 2
    expected = OMEGA / RT * pull * (1.0 + NU) / 3.0 * (1.0 - twice)
    return float(np.abs(np.log(c / 1e-2) - expected).max() / expected.max())


def test_reaction_at_a_surface_is_faster_where_it_is_pulled() -> None:
    r"""A grain within which solute spreads at once, pulled along x by S and held along z, and

    .. math:: L \dot c = k\,e^{-(E_a - \Omega\sigma_h)/RT}\,(e^{\mu_{out}/RT} - e^{\mu/RT}), \qquad
        e^{\mu/RT} = \frac{c}{c_{ref}}\,e^{-\Omega\sigma_h/RT}, \qquad
        3\sigma_h = (1 + \nu) S - \tfrac13 E \Omega (c - c_{ref}).

    The stress at the surface is not known beforehand: the cells there answer with their concentration.
    """
    size, pull, outside, barrier, rate = 1e-9, 3e8, 0.2 * RT, 0.7 * RT, 1e-9
    domain = dmesh.create_rectangle(
        MPI.COMM_WORLD, [[0.0] * 2, [size] * 2], [1, 1], dmesh.CellType.quadrilateral
    )
    body = Body(domain)
    for axis in range(2):
        body.hold(lambda x, axis=axis: np.isclose(x[axis], 0.0, atol=1e-6 * size), axis)
    right = dmesh.locate_entities_boundary(domain, 1, lambda x: np.isclose(x[0], size, rtol=1e-6, atol=0.0))
    tags = dmesh.meshtags(domain, 1, right, np.full(len(right), 1, dtype=np.int32))
    skin = fe2.HomogenizedLaw(body.blocks, body.rve, quadrature_degree=4, subdomains=tags, subdomain=1)
    work = RT * ufl.ln(skin["concentration"] / C0) - body.mu
    inflow = fe2.surface_reaction(body.mu, outside, rate=rate, thermal=RT, barrier=barrier, work=work)
    problem = body.problem(-pull * body.v[0] * skin.ds, -inflow * body.q * skin.ds, skin)
    slowness = size * C0 / (rate * np.exp(-barrier / RT))
    expected, step = C0, 0.3
    for _ in range(3):
        body.advance(problem, step * slowness)

        def excess(c: float, before: float = expected) -> float:
            work = OMEGA / 3.0 * ((1.0 + NU) * pull - E * OMEGA / 3.0 * (c - C0))
            return c - before - step * (C0 * np.exp((outside + work) / RT) - c)

        expected = brentq(excess, 0.5 * C0, 2.0 * C0, rtol=1e-14)
        found = body.integral(body.law["concentration"] * body.law.dx) / size**2
        assert found == pytest.approx(expected, rel=1e-8)
