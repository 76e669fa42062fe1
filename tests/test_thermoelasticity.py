"""Thermoelasticity on both scales: exact relations of two-phase composites, tangents, units."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI
from reduced_cells import reduced_as_whole

import fe2
from fe2.errors import InputError, MicroSolveError
from fe2.hierarchical.indicator import along
from fe2.hierarchical.interpolation import InterpolatedModel
from fe2.hierarchical.paths import Path, monotonic
from fe2.hierarchical.reduction import Reduction, reduce
from fe2.hierarchical.sampling import sample
from fe2.hierarchical.solved_path import solve_path
from fe2.hierarchical.trained_range import trained_range
from fe2.micro.newton import NewtonOptions
from fe2.micro.points import Step
from fe2.micro.rve import RVE
from fe2.micro.thermoelasticity import thermoelasticity
from fe2.physics.thermoelastic_materials import thermoelastic, thermoplastic
from fe2.physics.thermoelasticity import ROOM_TEMPERATURE, Thermoelastic
from fe2.physics.void import Void
from fe2.tensors import shear_factors

Array = npt.NDArray[np.float64]

pytestmark = pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="serial")

METAL = {"young": 70e3, "poisson": 0.33, "expansion": 23e-6, "conductivity": 237.0, "heat_capacity": 2.4}
CERAMIC = {"young": 380e3, "poisson": 0.22, "expansion": 8e-6, "conductivity": 30.0, "heat_capacity": 3.2}
T0 = ROOM_TEMPERATURE


def image(*shape: int, seed: int = 3) -> fe2.Cell:
    labels = np.random.default_rng(seed).integers(0, 2, size=shape)
    return fe2.image_cell(labels, {"metal": 0, "ceramic": 1})


def elastic(cell: fe2.Cell, **options: Any) -> RVE:
    return thermoelasticity(
        cell, {"metal": thermoelastic(**METAL), "ceramic": thermoelastic(**CERAMIC)}, **options
    )


def compliance(young: float, poisson: float) -> Array:
    return np.linalg.inv(fe2.LinearElastic.isotropic(young, poisson).stiffness)


def test_homogeneous_body_has_the_numbers_of_its_material() -> None:
    """Linear thermoelasticity: α, and c_σ = c + 9 K α² T₀."""
    cell = fe2.image_cell(np.zeros((3, 3, 3), dtype=int), {"metal": 0})
    found = thermoelasticity(cell, {"metal": thermoelastic(**METAL)}).homogenize()
    bulk = METAL["young"] / (3.0 * (1.0 - 2.0 * METAL["poisson"]))
    assert found.properties["expansion"] == pytest.approx([23e-6] * 3 + [0.0] * 3, rel=1e-12, abs=1e-18)
    assert found.properties["heat_capacity_constant_strain"] == pytest.approx(2.4, rel=1e-12)
    free = 2.4 + 9.0 * bulk * 23e-6**2 * T0
    assert found.properties["heat_capacity_constant_stress"] == pytest.approx(free, rel=1e-12)


def test_expansion_and_heat_capacity_of_two_phases_follow_from_the_stiffness() -> None:
    """Levin (1967) and Rosen & Hashin (1970): exact for every geometry of two phases.

    α = ⟨α⟩ + (α₁ - α₂) : (S₁ - S₂)⁻¹ : (S - ⟨S⟩), c_σ = ⟨c_σ⟩ + T₀ (α₁ - α₂) : (S₁ - S₂)⁻¹ : (α - ⟨α⟩).
    """
    cell = image(4, 4, 4)
    found = elastic(cell).homogenize()
    shares = np.array([cell.volume_fractions[name] for name in ("metal", "ceramic")])
    unit = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    S = np.array([compliance(m["young"], m["poisson"]) for m in (METAL, CERAMIC)])
    alpha = np.array([m["expansion"] * unit for m in (METAL, CERAMIC)])
    capacity = [
        m["heat_capacity"] + T0 * a @ np.linalg.solve(s, a)
        for m, a, s in zip((METAL, CERAMIC), alpha, S, strict=True)
    ]
    way = np.linalg.solve(S[0] - S[1], alpha[0] - alpha[1])
    effective = np.linalg.inv(found.tangent[:6, :6])
    expected = shares @ alpha + way @ (effective - np.einsum("p,pij->ij", shares, S))
    reported = np.array(found.properties["expansion"]) / shear_factors(6)
    np.testing.assert_allclose(reported, expected, rtol=1e-8, atol=1e-8 * 23e-6)
    free = shares @ capacity + T0 * way @ (expected - shares @ alpha)
    assert found.properties["heat_capacity_constant_stress"] == pytest.approx(free, rel=1e-8)


def test_layers_have_the_means_of_laminates() -> None:
    """Heat across layers flows in series, along them in parallel; Maxwell's relation ∂σ/∂T = -∂η/∂ε."""
    cell = fe2.image_cell(np.arange(4)[:, None].repeat(4, 1) // 2, {"metal": 0, "ceramic": 1})
    found = elastic(cell).homogenize()
    blocks = thermoelasticity(
        cell, {"metal": thermoelastic(**METAL), "ceramic": thermoelastic(**CERAMIC)}
    ).kinematics.by_block(found.effective)
    flux = blocks["heat_flux"]["temperature_gradient"]
    np.testing.assert_allclose(np.diag(flux), [2.0 / (1 / 237.0 + 1 / 30.0), 133.5], rtol=1e-10)
    np.testing.assert_allclose(
        blocks["stress"]["temperature"], -blocks["entropy"]["strain"].T, rtol=1e-10, atol=1e-12
    )
    assert not np.any(blocks["stress"]["temperature_gradient"])


@pytest.mark.parametrize("boundary", ["periodic", "linear", "uniform_flux"])
def test_layers_that_insulate_expand_and_store_and_leave_the_conduction_to_the_others(boundary: str) -> None:
    cell = fe2.image_cell(np.repeat([0, 1], 2)[:, None].repeat(4, 1), {"metal": 0, "foam": 1})
    laws = {
        "metal": thermoelastic(10.0, 0.2, 1e-5, 3.0, 2.0),
        "foam": thermoelastic(10.0, 0.2, 1e-5, 0.0, 4.0),
    }
    found = thermoelasticity(cell, laws, boundary=boundary).homogenize()
    assert found.properties["heat_capacity_constant_strain"] == pytest.approx(3.0, rel=1e-12)
    assert found.properties["expansion"][:2] == pytest.approx([1.2e-5, 1.2e-5], rel=1e-12)
    if boundary == "periodic":
        assert found.properties["conduction"]["principal_values"] == pytest.approx([0.0, 1.5], abs=1e-12)


def test_materials_of_a_field_that_insulate_beside_others_are_refused_by_label() -> None:
    materials = {0: thermoelastic(1.0, 0.2, 1e-5, 1.0, 1.0), 7: thermoelastic(1.0, 0.2, 1e-5, 0.0, 1.0)}
    cell = fe2.image_cell(np.tile([0, 7], (4, 2)), {"grains": [0, 7]})
    with pytest.raises(InputError, match="phase 'grains': label 7 conducts nothing and others do"):
        thermoelasticity(cell, {"grains": fe2.MaterialField.of(materials)})


def test_crystal_whose_resistance_is_not_zero_in_the_beginning_has_its_elastic_constants() -> None:
    crystal = fe2.crystal_plasticity(168e3, 121e3, 75e3, 50.0, 1e-3, 20.0)
    law = Thermoelastic(crystal, fe2.LinearConduction(1.0), 1e-5, 2.0)
    cell = fe2.image_cell(np.zeros((3, 3), dtype=int), {"crystal": 0})
    found = thermoelasticity(cell, {"crystal": law}).homogenize().properties
    isothermal = [[168e3, 121e3, 0.0], [121e3, 168e3, 0.0], [0.0, 0.0, 75e3]]
    np.testing.assert_allclose(found["isothermal"], isothermal, atol=1e-12 * 168e3)
    assert found["heat_capacity_constant_strain"] == pytest.approx(2.0, rel=1e-12)


def test_adiabatic_stiffness_is_kelvins() -> None:
    """Without exchange of heat C + T₀ β ⊗ β / c, with β = -∂σ/∂T."""
    rve = elastic(image(4, 4))
    tangent = rve.homogenize().tangent
    beta, capacity = -tangent[:3, 3], T0 * tangent[3, 3]
    expected = tangent[:3, :3] + T0 * np.outer(beta, beta) / capacity
    times, strain = np.array([0.0, 1.0]), np.array([0.0, 1e-4])
    held = {
        "strain_yy": 0 * times,
        "strain_xy": 0 * times,
        "temperature_gradient_x": 0 * times,
        "temperature_gradient_y": 0 * times,
    }
    test = rve.drive(fe2.MaterialPath(times, {"strain_xx": strain, **held}, {"temperature": 0 * times}))
    np.testing.assert_allclose(test.flux[-1, :2], expected[:2, 0] * 1e-4, rtol=1e-8)
    assert test.gradient[-1, 3] - T0 == pytest.approx(-T0 * beta[0] * 1e-4 / capacity, rel=1e-8)


def softening(temperature: Any) -> Any:
    return 210e3 - 60.0 * (temperature - T0)


NONLINEAR = {
    "plastic": thermoplastic(200e3, 0.3, 300.0, 12e-6, 50.0, 3.6, hardening=1e3),
    "depends on temperature": Thermoelastic.isotropic(
        softening, 0.3, lambda T: 12e-6 + 5e-9 * (T - T0), lambda T: 50.0 - 0.02 * (T - T0), 3.6
    ),
    "orthotropic": thermoelastic(70e3, 0.3, [1e-5, 2e-5, 3e-5], [10.0, 20.0], 2.4),
}


@pytest.mark.parametrize("name", NONLINEAR)
@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("boundary", ["periodic", "uniform_flux"])
def test_tangent_is_the_derivative_with_all_its_cross_terms(name: str, parts: int, boundary: str) -> None:
    """Also where an increment is taken in parts."""
    options = NewtonOptions(tolerance=1e-12, strategy="newton")
    laws = {"metal": thermoelastic(**METAL), "ceramic": NONLINEAR[name]}
    rve = thermoelasticity(image(4, 4), laws, boundary=boundary, options=options)
    state, step = rve.initial_state(), np.array([2e-3, -1e-3, 1e-3, 40.0, 3.0, -2.0])
    solve = _in_parts(rve, parts) if parts > 1 else rve.solve
    if parts > 1 and rve.problem.is_linear:
        pytest.skip("a linear cell has no parts")

    def flux(gradient: Array) -> Array:
        found: Array = solve(gradient, state, 1.0, np.empty_like(state)).flux
        return found

    gradient = rve.kinematics.origin + step
    widths = 1e-5 * np.array([1e-2, 1e-2, 1e-2, 1e3, 1e2, 1e2])
    columns = [(flux(gradient + h) - flux(gradient - h)) / (2.0 * h.sum()) for h in np.diag(widths)]
    tangent, numerical = solve(gradient, state, 1.0, np.empty_like(state)).tangent, np.transpose(columns)
    scales = np.sqrt(np.abs(np.diag(tangent)))
    assert np.max(np.abs(tangent - numerical) / np.outer(scales, scales)) < 2e-8


def _in_parts(rve: RVE, parts: int) -> Any:
    def solve(gradient: Array, state: Array, dt: float, out: Array) -> Any:
        return rve._increments._parts(parts, gradient, state, dt, out)

    return solve


@pytest.mark.parametrize(("stress", "temperature"), [(1e6, 1.0), (1e-3, 1e3), (1.0, 1e-3)])
def test_answers_do_not_depend_on_units(stress: float, temperature: float) -> None:
    """Units of stress, in so many MPa's parts, and of temperature: the same strains, the same iterations."""

    def solved(s: float, t: float) -> tuple[Array, int, Array]:
        laws = {
            "metal": thermoelastic(70e3 * s, 0.33, 23e-6 / t, 237.0 * s / t, 2.4 * s / t),
            "ceramic": thermoplastic(
                200e3 * s, 0.3, 300.0 * s, 12e-6 / t, 50.0 * s / t, 3.6 * s / t, hardening=1e3 * s
            ),
        }
        rve = thermoelasticity(image(4, 4), laws, reference_temperature=T0 * t)
        scales, duals = np.array([1.0, 1.0, 1.0, t, t, t]), np.array([1.0, 1.0, 1.0, t, 1.0, 1.0]) / s
        state = rve.initial_state()
        gradient = rve.kinematics.origin + scales * [3e-3, -1e-3, 1e-3, 40.0, 3.0, -2.0]
        response = rve.solve(gradient, state, 1.0, np.empty_like(state))
        return response.flux * duals, response.iterations, response.tangent * np.outer(duals, scales)

    flux, iterations, tangent = solved(1.0, 1.0)
    other, others, its_tangent = solved(stress, temperature)
    np.testing.assert_allclose(other, flux, rtol=1e-9)
    np.testing.assert_allclose(its_tangent, tangent, rtol=1e-7, atol=1e-9 * np.abs(tangent).max())
    assert others == iterations


def test_held_body_that_cools_is_in_tension() -> None:
    """σ = -3 K α ΔT in all directions, whatever cools with it."""
    cell = fe2.image_cell(np.zeros((3, 3), dtype=int), {"metal": 0})
    rve = thermoelasticity(cell, {"metal": thermoelastic(**METAL)}, reference_temperature=600.0)
    state = rve.initial_state()
    response = rve.solve(np.array([0.0, 0.0, 0.0, 300.0, 0.0, 0.0]), state, 1.0, np.empty_like(state))
    bulk = METAL["young"] / (3.0 * (1.0 - 2.0 * METAL["poisson"]))
    np.testing.assert_allclose(response.flux[:2], 3.0 * bulk * 23e-6 * 300.0, rtol=1e-12)


def test_strips_that_do_not_touch_conduct_along_themselves() -> None:
    labels = np.array([[0, 1, 0, 1]] * 4)
    cell = fe2.image_cell(labels, {"metal": 0, "gap": 1})
    rve = thermoelasticity(cell, {"metal": thermoelastic(**METAL), "gap": Void()})
    blocks = rve.kinematics.by_block(rve.homogenize().effective)
    conductivity = np.sort(np.linalg.eigvalsh(blocks["heat_flux"]["temperature_gradient"]))
    np.testing.assert_allclose(conductivity, [0.0, 118.5], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expansion": [1e-5, 2e-5]}, r"expansion has shape \(2,\)"),
        ({"heat_capacity": 0.0}, r"heat_capacity = 0\.0 is not admissible"),
        ({"expansion": np.nan}, "expansion = nan"),
        ({"conductivity": -1.0}, "conductivity"),
        ({"poisson": 0.5}, "poisson = 0.5"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        thermoelastic(**(METAL | change))


def test_laws_of_another_physics_are_refused() -> None:
    with pytest.raises(InputError, match="'metal' is a LinearElastic; here it is Thermoelastic or Void"):
        thermoelasticity(image(3, 3), {"metal": fe2.LinearElastic.isotropic(1.0, 0.3), "ceramic": Void()})
    with pytest.raises(InputError, match=r"reference_temperature = 0\.0"):
        elastic(image(3, 3), reference_temperature=0.0)


def test_reduced_cell_answers_as_the_whole_one() -> None:
    """With all fluctuations of the training as modes, on the training's own path."""
    laws = {
        "metal": thermoelastic(**METAL),
        "ceramic": thermoplastic(200e3, 0.3, 300.0, 12e-6, 50.0, 3.6, hardening=1e3),
    }
    rve = thermoelasticity(image(4, 4), laws, options=NewtonOptions(tolerance=1e-11))
    goal = np.array([4e-3, -1e-3, 1e-3, 60.0, 3.0, -2.0])
    path = Path(np.arange(1.0, 6.0), rve.kinematics.origin + np.outer(np.linspace(0.2, 1.0, 5), goal))
    reduced_as_whole(rve, path, 1e-5 * np.array([1e-2, 1e-2, 1e-2, 1e3, 1e2, 1e2]))


def test_description_of_a_cell_does_not_depend_on_where_it_was_asked_last() -> None:
    """Databases and checkpoints compare it."""
    rve, fresh = elastic(image(4, 4)), elastic(image(4, 4))
    state = rve.initial_state()
    rve.solve(np.array([1e-3, 0.0, 0.0, 350.0, 1.0, 0.0]), state, 1.0, np.empty_like(state))
    assert rve.description == fresh.description


@pytest.mark.parametrize("factor", [1.0, 1e6, 1e-6])
def test_what_resists_little_beside_something_else_is_not_singular(factor: float) -> None:
    """Stiffnesses in Pa beside conductivities in kW: no unit is common to both."""
    laws = {
        "metal": thermoelastic(70e9 * factor, 0.33, 23e-6, 0.24 / factor, 2.4e6),
        "ceramic": thermoelastic(380e9 * factor, 0.22, 8e-6, 0.03 / factor, 3.2e6),
    }
    assert thermoelasticity(image(4, 4), laws).homogenize().singular == ()


def test_conductivity_that_is_not_symmetric_is_solved() -> None:
    """A Hall effect turns the heat flux; stress and entropy know nothing of it."""
    turned = fe2.NonlinearConduction(lambda T: ufl.as_matrix([[2.0, 1.0], [-1.0, 2.0]]))
    law = Thermoelastic(fe2.LinearElastic.isotropic(70e3, 0.33), turned, 23e-6, 2.4)
    rve = thermoelasticity(image(4, 4), {"metal": law, "ceramic": thermoelastic(**CERAMIC)})
    other = fe2.diffusion(image(4, 4), {"metal": turned, "ceramic": fe2.LinearConduction(30.0)}, value=True)
    gradient = rve.kinematics.by_block(rve.homogenize().tangent)["heat_flux"]["temperature_gradient"]
    expected = other.kinematics.by_block(other.homogenize().tangent)["flux"]["gradient"]
    np.testing.assert_allclose(gradient, expected, rtol=1e-8)


def test_interpolation_of_a_potential_is_refused(tmp_path: pathlib.Path) -> None:
    """The entropy is -∂ψ/∂T and the stress +∂ψ/∂ε: no potential has both as its gradient."""
    rve = elastic(image(3, 3))
    database = sample(rve, monotonic(rve.kinematics, 1e-3, count=1, steps=1), tmp_path / "cell.h5")
    with pytest.raises(InputError, match=r"thermoelasticity of this cell receives values \(temperature\)"):
        InterpolatedModel.of(database, rve)


@pytest.mark.parametrize("temperature", [1e-6, 1.0, 1e6])
def test_trained_range_compares_strains_with_strains_alone(temperature: float) -> None:
    """Changes of 100 units of temperature say nothing of strains, nor of temperature gradients."""
    rve = elastic(image(3, 3))
    units = np.array([1.0, 1.0, 1.0, 1.0, temperature, temperature])
    changes = np.array([[1e-3, 0.0, 0.0, 100.0, 0.0, 0.0], [0.0, 0.0, 0.0, 100.0, 3.0, 0.0]]) * units
    origin = rve.kinematics.origin
    paths = [solve_path(rve, Path(np.array([1.0]), origin + change[None])) for change in changes]
    everything, strains = (trained_range(rve.form, part) for part in (paths, paths[:1]))

    def inside(trained: Any, *change: float) -> bool:
        found: bool = trained.contains(origin + units * change, 1.0)
        return found

    assert inside(everything, 5e-4, 0.0, 0.0, 50.0, 1.0, 0.0)
    assert not inside(everything, 5e-2, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert not inside(everything, 0.0, 1e-8, 0.0, 0.0, 0.0, 0.0)
    assert not inside(everything, 0.0, 0.0, 0.0, 0.0, 0.0, 1e-5)
    assert not inside(strains, 0.0, 0.0, 0.0, 0.0, 1e-9, 0.0)


def thermoplastic_reduction(stress: float, temperature: float, heat: float) -> Reduction:
    """A cell in units of stress, temperature and heat: strains, heating and heat flows, last all together."""
    s, t, k = stress, temperature, heat
    laws = {
        "metal": thermoelastic(70e3 * s, 0.33, 23e-6 / t, 237.0 * k / t, 2.4 * s / t),
        "ceramic": thermoplastic(
            200e3 * s, 0.3, 300.0 * s, 12e-6 / t, 50.0 * k / t, 3.6 * s / t, hardening=1e3 * s
        ),
    }
    options = NewtonOptions(tolerance=1e-11)
    rve = thermoelasticity(image(4, 4), laws, reference_temperature=T0 * t, options=options)
    goals = np.diag([4e-3, -4e-3, 3e-3, 60.0 * t, 3.0 * t, -2.0 * t])
    ways = [*goals, goals.sum(axis=0)]
    # there and back to the virgin gradient
    paths = [
        Path(np.arange(1.0, 4.0), rve.kinematics.origin + np.outer([0.5, 1.0, 0.0], way)) for way in ways
    ]
    return reduce(rve, paths[:-1], tolerance=0.02, held_out=paths[-1:])


@pytest.mark.parametrize(
    ("stress", "temperature", "heat"), [(1e6, 1.0, 1.0), (1.0, 1.0, 1e-9), (1e-3, 1e3, 1e6)]
)
def test_reduction_does_not_depend_on_units(stress: float, temperature: float, heat: float) -> None:
    """The same modes, mesh cells and errors; those of a heat flux in megawatts are no smaller."""
    expected, found = (
        thermoplastic_reduction(1.0, 1.0, 1.0),
        thermoplastic_reduction(stress, temperature, heat),
    )
    for name in ("modes", "cells", "all_cells"):
        assert getattr(found.report, name) == getattr(expected.report, name)
    for name in ("training_error", "held_out_error"):
        assert getattr(found.report, name) == pytest.approx(getattr(expected.report, name), rel=1e-4)
    assert found.fine.basis.left_out == pytest.approx(expected.fine.basis.left_out, rel=1e-6)
    assert found.indicator is not None
    assert expected.indicator is not None
    assert found.indicator.factor == pytest.approx(expected.indicator.factor, rel=1e-4)
    factors = np.array([stress, stress / temperature, heat])
    np.testing.assert_allclose(found.flux_scale, factors * expected.flux_scale, rtol=1e-8)


def test_each_block_of_a_reduced_flux_is_as_right_as_the_report_says() -> None:
    reduction = thermoplastic_reduction(1.0, 1.0, 1e-9)
    model, rve = reduction.model(), reduction.rve
    for taken in reduction.paths[:-1]:
        exact = solve_path(rve, taken)
        errors = along(model, exact) - exact.fluxes
        for size, block in zip(reduction.flux_scale, rve.kinematics.slices.values(), strict=True):
            error = np.linalg.norm(errors[:, block], axis=1).max() / size
            assert error <= reduction.report.training_error * (1.0 + 1e-6)
    assert reduction.report.training_error < 0.1
    assert reduction.fine.basis.left_out <= 0.02


def test_no_body_is_colder_than_absolute_zero():
    rve = fe2.thermoelasticity(
        fe2.image_cell(np.zeros((3, 3), dtype=np.int32), {"a": 0}),
        {"a": fe2.thermoelastic(70e3, 0.3, 2e-5, 100.0, 2.4)},
    )
    square = mesh.create_unit_square(MPI.COMM_WORLD, 1, 1)
    V, Q = (fem.functionspace(square, ("Lagrange", 1, shape)) for shape in ((2,), ()))
    u, T = fem.Function(V, name="u"), fem.Function(Q, name="T")
    blocks = {"strain": fe2.strain(u), "temperature": T, "temperature_gradient": ufl.grad(T)}
    law = fe2.HomogenizedLaw(blocks, rve, quadrature_degree=2)
    T.x.array[:] = 1.0
    law.evaluate(Step(1.0, 1.0))
    T.x.array[:] = -100.0
    with pytest.raises(MicroSolveError, match="temperature = -100 is not admissible; it must be positive"):
        law.evaluate(Step(1.0, 1.0))
