"""Poroelastic cells: exact relations of composites and of cells with pores, tangents, units, bad numbers."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import ufl
from case_files import write
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI
from reduced_cells import reduced_as_whole

import fe2
from fe2.case.build_cell import build_rve
from fe2.case.cell_case import read_cell_case
from fe2.errors import InputError
from fe2.hierarchical.paths import Path
from fe2.identity import facts
from fe2.micro.newton import NewtonOptions
from fe2.micro.poroelasticity import poroelasticity
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.physics.elasticity import LinearElastic
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.poroelasticity import (
    Pore,
    Poroelastic,
    poroelastic,
    poroelastic_kozeny_carman,
    poroelastic_orthotropic,
    poroelastic_shale,
    solid,
)
from fe2.physics.void import Void
from fe2.tensors import shear_factors

Array = npt.NDArray[np.float64]

pytestmark = pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="serial")

# Berea sandstone and a soft mudstone: MPa, mm, s
ROCK = {
    "young": 14.4e3,
    "poisson": 0.2,
    "biot": 0.79,
    "biot_modulus": 12.6e3,
    "permeability": 1.9e-7,
    "viscosity": 1e-9,
}
MUD = {
    "young": 2.4e3,
    "poisson": 0.15,
    "biot": 0.95,
    "biot_modulus": 9.0e3,
    "permeability": 1e-10,
    "viscosity": 1e-9,
}
MINERAL = {"young": 76e3, "poisson": 0.25}
BULK = MINERAL["young"] / (3.0 * (1.0 - 2.0 * MINERAL["poisson"]))
WATER = 2.25e3
UNIT = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])


def image(*shape: int, seed: int = 3) -> fe2.Cell:
    labels = np.random.default_rng(seed).integers(0, 2, size=shape)
    return fe2.image_cell(labels, {"rock": 0, "mud": 1})


def mixture(cell: fe2.Cell, **options: Any) -> RVE:
    return poroelasticity(cell, {"rock": poroelastic(**ROCK), "mud": poroelastic(**MUD)}, **options)


def with_hole(*place: slice, edge: int = 5) -> fe2.Cell:
    labels = np.zeros((edge, edge, edge), dtype=int)
    labels[place] = 1
    return fe2.image_cell(labels, {"mineral": 0, "pore": 1})


INSIDE, TUNNEL = (slice(1, 4), slice(2, 4), slice(1, 2)), (slice(1, 4), slice(None), slice(2, 4))
AT_A_CORNER = (slice(0, 2), slice(0, 3), slice(0, 2))
"""Pores: one inside, one through the cell, and one at a corner, at whose face the mesh has no partner."""


def test_homogeneous_body_has_the_numbers_of_its_material() -> None:
    """K_u = K + b² M and B = b M / K_u (Detournay & Cheng 1993)."""
    cell = fe2.image_cell(np.zeros((3, 3, 3), dtype=int), {"rock": 0})
    found = poroelasticity(cell, {"rock": poroelastic(**ROCK)}).homogenize().properties
    drained = LinearElastic.isotropic(ROCK["young"], ROCK["poisson"]).stiffness
    bulk, b, M = 8e3, ROCK["biot"], ROCK["biot_modulus"]
    np.testing.assert_allclose(found["biot"], b * UNIT, rtol=1e-12, atol=1e-14)
    assert found["biot_modulus"] == pytest.approx(M, rel=1e-12)
    undrained = drained + b**2 * M * np.outer(UNIT, UNIT)
    factors = np.outer(shear_factors(6), shear_factors(6))
    np.testing.assert_allclose(found["drained"], drained / factors, rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(found["undrained"], undrained / factors, rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(undrained, poroelastic(**ROCK).undrained().stiffness, rtol=1e-12, atol=1e-9)
    assert found["skempton"] == pytest.approx(b * M / (bulk + b**2 * M), rel=1e-12)
    np.testing.assert_allclose(found["skempton_tensor"], found["skempton"] * UNIT, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        found["permeability"], ROCK["permeability"] * np.eye(3), rtol=1e-10, atol=1e-20
    )


def test_pressure_of_a_body_in_plane_strain_that_keeps_its_fluid() -> None:
    """p = -B (1 + ν_u) / 3 · (σ_xx + σ_yy) (Rice & Cleary 1976): of an all-round stress in the plane."""
    cell = fe2.image_cell(np.zeros((3, 3), dtype=int), {"rock": 0})
    found = poroelasticity(cell, {"rock": poroelastic(**ROCK)}).homogenize().properties
    bulk, b, M, shear = 8e3, ROCK["biot"], ROCK["biot_modulus"], 6e3
    undrained = bulk + b**2 * M
    poisson = (3.0 * undrained - 2.0 * shear) / (2.0 * (3.0 * undrained + shear))
    assert found["skempton"] == pytest.approx(b * M / undrained * (1.0 + poisson) * 2.0 / 3.0, rel=1e-12)
    assert len(found["biot"]) == 3


@pytest.mark.parametrize("anisotropic", [False, True])
def test_biot_numbers_of_two_phases_follow_from_the_stiffness(anisotropic: bool) -> None:
    """As Levin's of heat, with α = C⁻¹ : b, exact for every geometry of two phases (Berryman & Milton 1991).

    α = ⟨α⟩ + (α₁ - α₂) : (S₁ - S₂)⁻¹ : (S - ⟨S⟩), and so 1/M + b : S : b, what is stored free of stress.
    """
    rock = poroelastic(**ROCK | ({"biot": [0.9, 0.7, 0.6]} if anisotropic else {}))
    laws = {"rock": rock, "mud": poroelastic(**MUD)}
    cell = image(4, 4, 4)
    found = poroelasticity(cell, laws).homogenize()
    shares = np.array([cell.volume_fractions[name] for name in laws])
    S = np.array([np.linalg.inv(law.mechanics.stiffness) for law in laws.values()])
    b = np.array([np.diag(np.broadcast_to(np.ravel(law.biot)[:3], 3)).diagonal() for law in laws.values()])
    b = np.hstack([b, np.zeros((2, 3))])
    alpha = np.einsum("pij,pj->pi", S, b)
    stored = [1.0 / law.biot_modulus + a @ c for law, a, c in zip(laws.values(), alpha, b, strict=True)]
    way = np.linalg.solve(S[0] - S[1], alpha[0] - alpha[1])
    effective = np.linalg.inv(found.tangent[:6, :6])
    expected = shares @ alpha + way @ (effective - np.einsum("p,pij->ij", shares, S))
    biot = np.array(found.properties["biot"]) * shear_factors(6)
    np.testing.assert_allclose(biot, np.linalg.solve(effective, expected), rtol=1e-8, atol=1e-9)
    free = shares @ stored + way @ (expected - shares @ alpha)
    own = 1.0 / found.properties["biot_modulus"] + biot @ effective @ biot
    assert own == pytest.approx(free, rel=1e-8)


def test_connected_and_sealed_layers_are_laminates() -> None:
    """Across layers of P = λ + 2μ: the fluid of connected ones has one pressure, of sealed ones it stays.

    1/P* = ⟨1/P⟩, b*/P* = ⟨b/P⟩, 1/M* = ⟨1/M + b²/P⟩ - P* ⟨b/P⟩²; sealed P_u = P + b² M, 1/P_u* = ⟨1/P_u⟩.
    """
    labels = np.arange(4)[:, None].repeat(3, 1) // 2
    cell = fe2.image_cell(labels, {"rock": 0, "mud": 1})
    laws = {"rock": poroelastic(**ROCK), "mud": poroelastic(**MUD)}
    found = poroelasticity(cell, laws).homogenize().properties
    P = np.array([law.mechanics.stiffness[0, 0] for law in laws.values()])
    la = np.array([law.mechanics.stiffness[0, 1] for law in laws.values()])
    b, M = (np.array([m[name] for m in (ROCK, MUD)]) for name in ("biot", "biot_modulus"))
    across = 1.0 / np.mean(1.0 / P)
    normal = across * np.mean(b / P)
    along = np.mean(b * (1.0 - la / P)) + normal * np.mean(la / P)
    inverse = np.mean(1.0 / M + b**2 / P) - across * np.mean(b / P) ** 2
    np.testing.assert_allclose(found["biot"], [normal, along, 0.0], rtol=1e-10, atol=1e-13)
    assert found["biot_modulus"] == pytest.approx(1.0 / inverse, rel=1e-10)
    assert found["undrained"][0, 0] == pytest.approx(across + normal**2 / inverse, rel=1e-10)
    sealed = small_strain(cell, {name: law.undrained() for name, law in laws.items()}).homogenize()
    assert sealed.effective[0, 0] == pytest.approx(1.0 / np.mean(1.0 / (P + b**2 * M)), rel=1e-7)
    assert sealed.effective[0, 0] > found["undrained"][0, 0] * 1.01
    k, mu = np.array([m["permeability"] for m in (ROCK, MUD)]), ROCK["viscosity"]
    mobility = np.diag([1.0 / np.mean(1.0 / k), np.mean(k)]) / mu
    np.testing.assert_allclose(found["permeability"], mu * mobility, rtol=1e-10, atol=1e-22)


def biot_of_one_solid(stiffness: Array, porosity: float) -> tuple[Array, float]:
    """B = I - C : S_s : I and 1/N = (tr B / 3 - φ) / K_s of a porous body of one isotropic solid."""
    biot = UNIT - stiffness @ UNIT / (3.0 * BULK)
    return biot, (biot[:3].sum() / 3.0 - porosity) / BULK


@pytest.mark.parametrize("boundary", ["periodic", "linear", "uniform_flux"])
@pytest.mark.parametrize("place", [INSIDE, TUNNEL, AT_A_CORNER])
def test_pores_full_of_fluid_have_the_numbers_of_one_solid(place: Any, boundary: str) -> None:
    """Exact for every shape of the pores; K_u is Gassmann's."""
    if place is AT_A_CORNER and boundary != "periodic":
        pytest.skip("loads on faces see holes in them")
    cell = with_hole(*place)
    laws = {"mineral": solid(**MINERAL), "pore": Pore(WATER)}
    found = poroelasticity(cell, laws, boundary=boundary).homogenize()
    porosity, C = cell.volume_fractions["pore"], found.tangent[:6, :6]
    biot, inverse = biot_of_one_solid(C, porosity)
    own = np.array(found.properties["biot"]) * shear_factors(6)
    np.testing.assert_allclose(own, biot, rtol=0.0, atol=1e-10)
    modulus = 1.0 / (inverse + porosity / WATER)
    assert found.properties["biot_modulus"] == pytest.approx(modulus, rel=1e-8)
    # Gassmann's for the pressure that an all-round strain makes
    gassmann = C + modulus * np.outer(biot, biot)
    factors = np.outer(shear_factors(6), shear_factors(6))
    np.testing.assert_allclose(found.properties["undrained"] * factors, gassmann, rtol=1e-9, atol=1e-6)


def walls(cell: fe2.Cell) -> Array:
    """Facets between solid and pores, also across the period: those of the surface without a partner."""
    mesh, dim = cell.mesh, cell.dim
    mesh.topology.create_connectivity(dim - 1, dim)
    facets = dmesh.exterior_facet_indices(mesh.topology)
    middles = dmesh.compute_midpoints(mesh, dim - 1, facets)[:, :dim]
    keys = [tuple(key) for key in np.rint(1e6 * np.mod(middles / cell.period + 0.5, 1.0 - 1e-9)).astype(int)]
    return np.array([facet for facet, key in zip(facets, keys, strict=True) if keys.count(key) == 1])


@pytest.mark.parametrize("place", [INSIDE, TUNNEL, AT_A_CORNER])
def test_pressure_on_the_walls_gives_biots_numbers(place: Any) -> None:
    """Loads -p n on the walls of an elastic cell: its mean stress, and what room the walls make."""
    cell = with_hole(*place)
    empty = small_strain(cell, {"mineral": LinearElastic.isotropic(**MINERAL), "pore": Void()})
    found = poroelasticity(cell, {"mineral": solid(**MINERAL), "pore": Pore(WATER)}).homogenize()
    problem, solver = empty.problem, empty._newton.linear_solver
    problem.set_field(np.zeros(6), np.zeros(empty.unknowns))
    problem.assemble_residual()
    empty._newton.linearize()
    mesh = empty.cell.mesh
    facets = walls(empty.cell)
    tags = dmesh.meshtags(mesh, 2, np.sort(facets), np.ones(len(facets), dtype=np.int32))
    ds = ufl.Measure("ds", domain=mesh, subdomain_data=tags, subdomain_id=1)
    v, n = ufl.TestFunction(empty.form.unknown.function_space), ufl.FacetNormal(mesh)
    load = fem.assemble_vector(fem.form(-ufl.inner(n, v) * ds)).array
    displacement = problem.prolong(solver.solve(problem.restrict(load)))
    porosity, volume = cell.volume_fractions["pore"], cell.volume
    # mean of the solid's stress by its nodal forces, and the fluid's
    inner = problem.stiffness @ displacement - load
    stress = empty.form.modes.T @ (inner + load) / volume - porosity * UNIT
    np.testing.assert_allclose(np.array(found.properties["biot"]) * shear_factors(6), -stress, atol=1e-9)
    room = load @ displacement / volume
    content = room + porosity / WATER
    assert 1.0 / found.properties["biot_modulus"] == pytest.approx(content, rel=1e-8)


def test_grain_that_floats_in_the_fluid_is_pressed_by_it() -> None:
    """It carries nothing, and 1/N stays that of all the solid: (tr B / 3 - φ) / K_s."""
    labels = np.zeros((7, 7, 7), dtype=int)
    labels[1:6, 1:6, 1:6] = 1
    labels[2:4, 3:5, 3:5] = 0
    cell = fe2.image_cell(labels, {"mineral": 0, "pore": 1})
    with pytest.warns(fe2.Fe2Warning, match="mineral"):
        found = poroelasticity(cell, {"mineral": solid(**MINERAL), "pore": Pore(WATER)}).homogenize()
    porosity = cell.volume_fractions["pore"]
    _, inverse = biot_of_one_solid(found.tangent[:6, :6], porosity)
    expected = 1.0 / (inverse + porosity / WATER)
    assert found.properties["biot_modulus"] == pytest.approx(expected, rel=1e-8)


def test_solid_between_pores_of_two_scales_has_the_numbers_of_both() -> None:
    """Pores inside of a porous solid: (1 - B) = C : C_s⁻¹ : (1 - b_s), and what is stored by reciprocity."""
    cell = with_hole(*TUNNEL)
    rock = poroelastic(**ROCK)
    found = poroelasticity(cell, {"mineral": rock, "pore": Pore(WATER)}).homogenize()
    porosity, C = cell.volume_fractions["pore"], found.tangent[:6, :6]
    rest = np.linalg.solve(rock.mechanics.stiffness, (1.0 - ROCK["biot"]) * UNIT)
    biot = UNIT - C @ rest
    np.testing.assert_allclose(np.array(found.properties["biot"]) * shear_factors(6), biot, atol=1e-10)
    own = (1.0 - porosity) / ROCK["biot_modulus"] + porosity / WATER
    # a solid under p from all sides strains by -rest: ζ of it, and of its pores, is known without solving
    room = (1.0 - porosity) * (1.0 - ROCK["biot"]) * rest[:3].sum() - rest @ C @ rest
    assert 1.0 / found.properties["biot_modulus"] == pytest.approx(own + room, rel=1e-8)


def test_holes_that_the_mesh_leaves_out_are_full_where_a_fluid_is_named() -> None:
    labels = np.zeros((5, 5), dtype=int)
    labels[1:3, 1:4] = 1
    cell = fe2.image_cell(labels, {"mineral": 0, "pore": 1})
    expected = poroelasticity(cell, {"mineral": solid(**MINERAL), "pore": Pore(WATER)}).homogenize()
    part = small_strain(cell, {"mineral": LinearElastic.isotropic(**MINERAL), "pore": Void()}).cell
    found = poroelasticity(part, {"mineral": solid(**MINERAL)}, fluid_modulus=WATER).homogenize()
    np.testing.assert_allclose(found.tangent, expected.tangent, rtol=1e-10, atol=1e-12)
    drained = poroelasticity(part, {"mineral": solid(**MINERAL)}).homogenize()
    assert not np.any(drained.properties["biot"])
    assert drained.properties["biot_modulus"] is None


def test_pores_conduct_what_they_are_given() -> None:
    """The permeability of connected pores, as pore flow finds it, beside what seeps through the solid."""
    cell = with_hole(*TUNNEL)
    rock = poroelastic(**ROCK)
    sealed = poroelasticity(cell, {"mineral": rock, "pore": Pore(WATER)}).homogenize().properties
    pore = Pore(WATER, [0.0, 0.02, 0.0], ROCK["viscosity"])
    found = poroelasticity(cell, {"mineral": rock, "pore": pore}).homogenize().properties
    difference = found["permeability"] - sealed["permeability"]
    np.testing.assert_allclose(difference, np.diag([0.0, 0.02, 0.0]), rtol=1e-10, atol=1e-18)


@pytest.mark.parametrize("boundary", ["periodic", "linear", "uniform_flux"])
def test_fluid_seeps_around_grains_without_pores(boundary: str) -> None:
    """As conduction around insulators, and layers that are sealed by them conduct along themselves alone."""
    labels = np.zeros((6, 6), dtype=int)
    labels[1:4, 2:4] = 1
    cell = fe2.image_cell(labels, {"rock": 0, "grain": 1})
    found = poroelasticity(cell, {"rock": poroelastic(**ROCK), "grain": solid(**MINERAL)}, boundary=boundary)
    k = ROCK["permeability"]
    laws = {"rock": fe2.LinearConduction(k), "grain": fe2.LinearConduction(0.0)}
    expected = fe2.diffusion(cell, laws, boundary=boundary).homogenize().effective
    np.testing.assert_allclose(
        found.homogenize().properties["permeability"], expected, rtol=1e-8, atol=1e-10 * k
    )
    layers = fe2.image_cell(np.array([[0, 1, 0, 1]] * 4), {"rock": 0, "grain": 1})
    sealed = poroelasticity(layers, {"rock": poroelastic(**ROCK), "grain": solid(**MINERAL)})
    permeability = np.diag(sealed.homogenize().properties["permeability"]).copy()
    np.testing.assert_allclose(permeability, [k / 2.0, 0.0], rtol=1e-10, atol=1e-12 * k)


def opens(volume: Any, pressure: Any) -> Any:
    return 1e-9 * ufl.exp(0.01 * pressure) * (1.0 + 50.0 * volume)


NONLINEAR = {
    "plastic": Poroelastic(J2Plasticity(2.4e3, 0.15, 4.0, 30.0), 1e-9, 1e-9, 0.95, 9e3),
    "grains": poroelastic_kozeny_carman(2.4e3, 0.15, 0.95, 9e3, 1e-9, 1e-9, 0.3),
    "shale": poroelastic_shale(2.4e3, 0.15, 0.95, 9e3, 1e-9, 1e-9, 0.02),
    "own formula": Poroelastic(LinearElastic.isotropic(2.4e3, 0.15), opens, 1e-9, 0.95, 9e3),
    "pores": Pore(WATER),
}


@pytest.mark.parametrize("name", NONLINEAR)
@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("boundary", ["periodic", "uniform_flux"])
def test_tangent_is_the_derivative_with_all_its_cross_terms(name: str, parts: int, boundary: str) -> None:
    """Also where an increment is taken in parts, and of a plastic cell around pores."""
    options = NewtonOptions(tolerance=1e-12, strategy="newton")
    rock = NONLINEAR["plastic"] if name == "pores" else poroelastic(**ROCK)
    labels = np.zeros((4, 4), dtype=int)
    labels[1:3, 2] = labels[2, 1] = 1
    cell = fe2.image_cell(labels, {"rock": 0, "mud": 1})
    rve = poroelasticity(cell, {"rock": rock, "mud": NONLINEAR[name]}, boundary=boundary, options=options)
    state, step = rve.initial_state(), np.array([3e-3, -1e-3, 1e-3, 8.0, 0.3, -0.2])

    def solve(gradient: Array, out: Array) -> Any:
        if parts > 1:
            return rve._increments._parts(parts, gradient, state, 1.0, out)
        return rve.solve(gradient, state, 1.0, out)

    def flux(gradient: Array) -> Array:
        found: Array = solve(gradient, np.empty_like(state)).flux
        return found

    widths = 1e-5 * np.array([1e-2, 1e-2, 1e-2, 1e2, 1e1, 1e1])
    columns = [(flux(step + h) - flux(step - h)) / (2.0 * h.sum()) for h in np.diag(widths)]
    tangent, numerical = solve(step, np.empty_like(state)).tangent, np.transpose(columns)
    scales = np.sqrt(np.abs(np.diag(tangent)))
    assert np.max(np.abs(tangent - numerical) / np.outer(scales, scales)) < 5e-8
    if name in ("grains", "own formula"):  # seepage follows the strain
        assert np.max(np.abs(tangent[4:, :3])) > 1e-3 * tangent[4, 4] * np.abs(step[4])


@pytest.mark.parametrize("strategy", ["newton", "adaptive"])
def test_strategies_agree_where_pores_have_no_elements(strategy: Any) -> None:
    """Along a path, against one that is solved in full to the last digit."""
    labels = np.zeros((4, 4), dtype=int)
    labels[1:3, 2] = 1
    cell = fe2.image_cell(labels, {"rock": 0, "pore": 1})
    laws = {"rock": NONLINEAR["plastic"], "pore": Pore(WATER)}
    fluxes = []
    for options in (NewtonOptions(tolerance=1e-12, strategy="newton"), NewtonOptions(strategy=strategy)):
        rve = poroelasticity(cell, laws, options=options)
        state, flux = rve.initial_state(), []
        for factor in (0.3, 0.7, 1.0, 0.4):
            out = np.empty_like(state)
            flux.append(
                rve.solve(factor * np.array([3e-3, -1e-3, 1e-3, 8.0, 0.3, -0.2]), state, 1.0, out).flux
            )
            state = out
        fluxes.append(np.array(flux))
    np.testing.assert_allclose(fluxes[1], fluxes[0], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(("stress", "length", "time"), [(1e6, 1e-3, 1.0), (1e-3, 1e3, 1e-6), (1.0, 1.0, 1e9)])
def test_answers_do_not_depend_on_units(stress: float, length: float, time: float) -> None:
    """The same strains, fluid contents and iterations in all units of stress, length and time."""

    def solved(s: float, l: float, t: float) -> tuple[Array, int, Array]:
        laws = {
            "rock": Poroelastic(
                J2Plasticity(2.4e3 * s, 0.15, 4.0 * s, 30.0 * s), 1e-9 * l**2, 1e-9 * s * t, 0.95, 9e3 * s
            ),
            "mud": poroelastic_kozeny_carman(
                14e3 * s, 0.2, 0.79, 12.6e3 * s, 1.9e-7 * l**2, 1e-9 * s * t, 0.19
            ),
        }
        rve = poroelasticity(image(4, 4), laws)
        scales = np.array([1.0, 1.0, 1.0, s, s / l, s / l])
        duals = np.array([1 / s, 1 / s, 1 / s, 1.0, t / l, t / l])
        state = rve.initial_state()
        gradient = scales * [3e-3, -1e-3, 1e-3, 8.0, 0.3, -0.2]
        response = rve.solve(gradient, state, 1.0, np.empty_like(state))
        return response.flux * duals, response.iterations, response.tangent * np.outer(duals, scales)

    flux, iterations, tangent = solved(1.0, 1.0, 1.0)
    other, others, its_tangent = solved(stress, length, time)
    np.testing.assert_allclose(other, flux, rtol=1e-9)
    np.testing.assert_allclose(its_tangent, tangent, rtol=1e-6, atol=1e-9 * np.abs(tangent).max())
    assert others == iterations


def test_permeability_of_grains_follows_their_porosity() -> None:
    """Kozeny–Carman at the porosity n₀ + (b - n₀)(ε_v + (1 - b) p / K), where all swells alike."""
    law = poroelastic_kozeny_carman(2.4e3, 0.15, 0.8, 9e3, 1e-9, 1e-9, 0.3)
    rve = poroelasticity(fe2.image_cell(np.zeros((3, 3), dtype=int), {"rock": 0}), {"rock": law})
    state, gradient = rve.initial_state(), np.array([0.01, 0.02, 0.0, 5.0, 0.5, 0.0])
    flux = rve.solve(gradient, state, 1.0, np.empty_like(state)).flux
    n = 0.3 + 0.5 * (0.03 + 0.2 * 5.0 / (2.4e3 / (3.0 * 0.7)))
    k = 1e-9 * (n / 0.3) ** 3 * (0.7 / (1.0 - n)) ** 2
    np.testing.assert_allclose(flux[4], k / 1e-9 * 0.5, rtol=1e-10)
    assert k > 1.2e-9


@pytest.mark.unit
def test_numbers_of_permeabilities_that_follow_something_belong_to_the_description() -> None:
    """Paths that were recorded with other numbers are not taken for those of this material."""
    for make, change in ((poroelastic_kozeny_carman, "porosity"), (poroelastic_shale, "sensitivity")):
        one, other, again = (
            facts(make(2.4e3, 0.15, 0.5, 9e3, 1e-9, 1e-9, **{change: value})) for value in (0.1, 0.2, 0.1)
        )
        assert one == again
        assert one != other


def test_reduced_cell_answers_as_the_whole_one_with_pores() -> None:
    """With all fluctuations of the training as modes, on the training's own path, and in its tangent."""
    labels = np.zeros((4, 4), dtype=int)
    labels[1:3, 2] = 1
    cell = fe2.image_cell(labels, {"rock": 0, "pore": 1})
    laws = {"rock": NONLINEAR["plastic"], "pore": Pore(WATER)}
    rve = poroelasticity(cell, laws, options=NewtonOptions(tolerance=1e-11))
    goal = np.array([4e-3, -1e-3, 1e-3, 8.0, 0.3, -0.2])
    path = Path(np.arange(1.0, 6.0), np.outer(np.linspace(0.2, 1.0, 5), goal))
    reduced_as_whole(rve, path, 1e-5 * np.array([1e-2, 1e-2, 1e-2, 1e2, 1e1, 1e1]))


def test_linearized_cell_keeps_what_pores_answer() -> None:
    labels = np.zeros((4, 4), dtype=int)
    labels[1:3, 2] = 1
    cell = fe2.image_cell(labels, {"rock": 0, "pore": 1})
    rve = poroelasticity(cell, {"rock": poroelastic(**ROCK), "pore": Pore(WATER)})
    gradient, state = np.array([1e-3, 0.0, 0.0, 3.0, 0.1, 0.0]), rve.initial_state()
    expected = rve.solve(gradient, state, 1.0, np.empty_like(state)).flux
    model = rve.linearized()
    found = model.solve(gradient, model.initial_state(), 1.0, model.initial_state()).flux
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_fluid_in_pores_belongs_to_the_description_of_a_cell() -> None:
    cell = with_hole(*INSIDE)
    one, other = (
        poroelasticity(cell, {"mineral": solid(**MINERAL), "pore": Pore(modulus)}).description
        for modulus in (WATER, 2.0 * WATER)
    )
    assert one != other


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"biot": 1.2}, r"biot = 1\.2 is not admissible; it must be between 0, without pores, and 1"),
        ({"biot": [0.5, -0.1, 0.5]}, r"whose principal value -0\.1 is not; it must be between 0"),
        ({"biot": [0.5, 0.6]}, r"biot has shape \(2,\)"),
        ({"biot_modulus": -1.0}, r"biot_modulus = -1\.0 is not admissible; it must be positive.*indefinite"),
        ({"biot_modulus": 0.0}, r"biot_modulus = 0\.0"),
        ({"biot_modulus": np.nan}, "biot_modulus = nan"),
        ({"permeability": 0.0}, r"permeability = 0\.0 is not admissible; it must be positive, or zero of"),
        ({"permeability": -1e-9}, r"permeability = -1e-09"),
        ({"viscosity": 0.0}, r"viscosity = 0\.0 is not admissible; it must be positive"),
        ({"poisson": 0.5}, r"poisson = 0\.5"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        poroelastic(**(ROCK | change))


@pytest.mark.parametrize("labels", [(0, 7), (7, 0)])
def test_dry_and_porous_materials_in_one_field_are_refused_by_label(labels: tuple[int, int]) -> None:
    materials = {0: solid(**MINERAL), 7: poroelastic(**ROCK)}
    field = fe2.MaterialField.of({label: materials[label] for label in labels})
    cell = fe2.image_cell(np.tile([0, 7], (4, 2)), {"grains": [0, 7]})
    with pytest.raises(InputError, match="phase 'grains': label 0 conducts nothing and others do"):
        poroelasticity(cell, {"grains": field})


def test_other_laws_refuse_by_name_too() -> None:
    with pytest.raises(
        InputError, match=r"biot = 0\.2 is not admissible; it must be between the porosity, 0\.3"
    ):
        poroelastic_kozeny_carman(2.4e3, 0.15, 0.2, 9e3, 1e-9, 1e-9, 0.3)
    with pytest.raises(InputError, match=r"porosity = 1\.0 is not admissible"):
        poroelastic_kozeny_carman(2.4e3, 0.15, 1.0, 9e3, 1e-9, 1e-9, 1.0)
    with pytest.raises(InputError, match=r"fluid_modulus = -1\.0"):
        Pore(-1.0)
    with pytest.raises(InputError, match="shear_12"):
        poroelastic_orthotropic(1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.0, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0)
    cell = fe2.image_cell(np.arange(3)[:, None].repeat(3, 1), {"mineral": 0, "pore": 1, "gap": 2})
    with pytest.raises(InputError, match=r"are full of fluid \(pore\) and others are empty \(gap\)"):
        poroelasticity(cell, {"mineral": solid(**MINERAL), "pore": Pore(WATER), "gap": Void()})
    with pytest.raises(InputError, match="'rock' is a LinearElastic; here it is Poroelastic or Void"):
        poroelasticity(image(3, 3), {"rock": LinearElastic.isotropic(1.0, 0.3), "mud": Void()})


def test_case_file_has_pores_full_of_what_is_not_compressible(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "grains.npy", np.arange(3)[:, None].repeat(3, 1) // 2)
    pore = {"label": 1, "law": "pore", "fluid_modulus": np.inf}
    phases = {"mineral": {"label": 0, "law": "solid", **MINERAL}, "pore": pore}
    content = {"cell": {"image": "grains.npy", "physics": "poroelasticity"}, "phases": phases}
    found = build_rve(read_cell_case(write(tmp_path, content, "cell.toml"))).homogenize().properties
    cell = fe2.image_cell(np.load(tmp_path / "grains.npy"), {"mineral": 0, "pore": 1})
    rve = poroelasticity(cell, {"mineral": solid(**MINERAL), "pore": Pore(1e20)})
    assert found["biot_modulus"] == pytest.approx(rve.homogenize().properties["biot_modulus"], rel=1e-9)


def test_incompressible_constituents_have_no_modulus_and_transfer_all_of_the_load() -> None:
    """b = 1, 1/M = 0: Skempton's coefficient is 1, the undrained body keeps its volume."""
    law = poroelastic(**ROCK | {"biot": 1.0, "biot_modulus": np.inf})
    cell = fe2.image_cell(np.zeros((3, 3, 3), dtype=int), {"rock": 0})
    found = poroelasticity(cell, {"rock": law}).homogenize().properties
    assert found["biot_modulus"] is None
    assert found["undrained"] is None
    assert found["skempton"] == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("opening", [0.02, -0.03])
def test_slit_that_opens_is_solved_again_as_the_cube_of_its_width(opening: float) -> None:
    """k = h³ / (12 L) of a slit between stiff layers, which open by all of the strain, and swell under p."""
    length, width = 8.0, 2.0
    labels = np.zeros((4, 8), dtype=int)
    labels[:, 3:5] = 1
    cell = fe2.image_cell(labels, {"mineral": 0, "pore": 1})
    rve = poroelasticity(cell, {"mineral": solid(**MINERAL), "pore": Pore(WATER)})
    pressure, state = 700.0, rve.initial_state()
    deformed_state = np.empty_like(state)
    gradient = np.array([0.0, opening, 0.0, pressure, 0.0, 0.0])
    rve.solve(gradient, state, 1.0, deformed_state)
    new = fe2.deformed_cell(cell, rve, deformed_state)
    found = fe2.pore_flow(new, {"pore": fe2.NewtonianFluid(), "mineral": fe2.Solid()}).homogenize()
    oedometer = LinearElastic.isotropic(**MINERAL).stiffness[1, 1]
    h = width + length * opening + (length - width) * pressure / oedometer
    expected = h**3 / (12.0 * length * (1.0 + opening))
    assert found.effective[0, 0] == pytest.approx(expected, rel=1e-8)
    rve.solve(np.array([0.0, 0.0, 1e-3, 0.0, 0.0, 0.0]), state, 1.0, deformed_state)
    with pytest.raises(InputError, match="it is sheared"):
        fe2.deformed_cell(cell, rve, deformed_state)
    rve.solve(np.array([0.0, -0.3, 0.0, 0.0, 0.0, 0.0]), state, 1.0, deformed_state)
    with pytest.raises(InputError, match="8 elements of the deformed cell are turned inside out"):
        fe2.deformed_cell(cell, rve, deformed_state)
