"""Cells made of a user's own form, modes and history updates: conduction, bundles of elastoplastic rods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cells import Array, laminate, point_values, random_image, relative_error, two_phases
from own_forms import RODS, conduction, rods

from fe2.errors import InputError
from fe2.micro.boundary import BOUNDARY_CONDITIONS
from fe2.micro.material_test import MaterialPath
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.physics.elasticity import LinearElastic
from fe2.tensors import positions_in_full

ROUND_OFF = 1e-11

CONDUCTIVITIES = {"a": 1.0, "b": 20.0}
ARITHMETIC = 0.4 * CONDUCTIVITIES["a"] + 0.6 * CONDUCTIVITIES["b"]
HARMONIC = 1.0 / (0.4 / CONDUCTIVITIES["a"] + 0.6 / CONDUCTIVITIES["b"])


@pytest.mark.parametrize("own_jacobian", [False, True], ids=["derived jacobian", "own jacobian"])
@pytest.mark.parametrize("shape", ["triangle", "quadrilateral"])
@pytest.mark.parametrize("axis", [0, 1])
def test_laminate_conducts_by_the_harmonic_mean_across_and_the_arithmetic_along(
    axis: int, shape: str, own_jacobian: bool
) -> None:
    rve = conduction(laminate(shape, axis), CONDUCTIVITIES, own_jacobian=own_jacobian)
    exact = np.roll([HARMONIC, ARITHMETIC], axis)
    assert relative_error(rve.homogenize().tangent, np.diag(exact)) < ROUND_OFF


def test_laminate_under_conditions_that_its_solution_fulfils_by_chance() -> None:
    """Across the layers the flux is uniform, along them the temperature is affine; not the reverse."""
    across, along = ({}, {})
    for boundary in BOUNDARY_CONDITIONS:
        rve = conduction(laminate("quadrilateral", 0), CONDUCTIVITIES, boundary=boundary)
        across[boundary], along[boundary] = np.diag(rve.homogenize().tangent)
    assert [across[b] for b in ("uniform_flux", "periodic")] == pytest.approx([HARMONIC] * 2, rel=ROUND_OFF)
    assert [along[b] for b in ("linear", "periodic")] == pytest.approx([ARITHMETIC] * 2, rel=ROUND_OFF)
    assert across["linear"] > 1.1 * HARMONIC
    assert along["uniform_flux"] < 0.9 * ARITHMETIC


def hall(conductivity: float, coefficient: float) -> Array:
    """Conductivity in a magnetic field: not symmetric."""
    return np.array([[conductivity, coefficient], [-coefficient, conductivity]])


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
def test_tangent_that_is_not_symmetric(boundary: str) -> None:
    """Hall effect: the average flux of any image, the formula of a laminate."""
    K = {"a": hall(1.0, 0.5), "b": hall(5.0, -2.0)}
    rve = conduction(random_image(2, 5), K, boundary=boundary)
    tangent, out = rve.homogenize().tangent, np.empty(rve.state_size)
    assert not rve.form.symmetric
    assert abs(tangent[0, 1] - tangent[1, 0]) > 1e-2
    for k, g in enumerate(np.eye(2)):
        rve.solve(g, rve.initial_state(), 0.0, out)
        gradients, fluxes, volumes = point_values(rve, out)
        assert relative_error(volumes @ gradients / rve.cell.volume, g) < ROUND_OFF
        assert relative_error(volumes @ fluxes / rve.cell.volume, tangent[:, k]) < ROUND_OFF
    if boundary == "periodic":
        n = np.array([1.0, 0.0])
        f = {"a": 0.4, "b": 0.6}
        resistance = sum(f[p] / (n @ K[p] @ n) for p in K)
        column = sum(f[p] * K[p] @ n / (n @ K[p] @ n) for p in K)
        row = sum(f[p] * n @ K[p] / (n @ K[p] @ n) for p in K)
        rest = sum(f[p] * (K[p] - np.outer(K[p] @ n, n @ K[p]) / (n @ K[p] @ n)) for p in K)
        tangent = conduction(laminate("quadrilateral", 0), K).homogenize().tangent
        assert relative_error(tangent, rest + np.outer(column, row) / resistance) < ROUND_OFF


def test_reciprocity_of_keller_on_a_chess_like_image() -> None:
    """Keller 1964, for tensors: phases exchanged and the flux turned by a quarter, k' = k₁ k₂ k⁻¹.

    Computed from above on both sides. Where pixels touch at corners the error is h^2λ, as on the
    checkerboard, and the other terms vanish faster.
    """
    pattern = np.array([[0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    largest = []
    for pixels in (4, 8, 16):
        cell = two_phases(np.kron(pattern, np.ones((pixels, pixels), dtype=int)))
        there = conduction(cell, {"a": 1.0, "b": 10.0}).homogenize().tangent
        back = conduction(cell, {"a": 10.0, "b": 1.0}).homogenize().tangent
        excess = np.linalg.eigvalsh(turn.T @ back @ turn - 10.0 * np.linalg.inv(there))
        assert excess[0] > 0.0
        largest.append(excess[1])
    slowest = 2.0 ** (2.0 * 4.0 / np.pi * np.arctan(np.sqrt(1.0 / 10.0)))
    assert largest[0] > slowest * largest[1] > slowest**2 * largest[2]


STRIPES = np.repeat([[0, 0, 1, 1, 1]], 3, axis=0)  # along y, one column of pixels for each fifth


def test_rods_in_parallel_under_a_strain_path() -> None:
    rve = rods(two_phases(STRIPES))
    strain = np.array([0.0, 0.002, 0.006, 0.004, -0.002])
    test = rve.drive(MaterialPath(np.arange(5.0), gradient={"axial": strain}))
    published = [222.181818, 240.622862, -3.377138, -260.191250]
    assert np.max(np.abs(test.flux[1:, 0] - published)) < 0.51e-6  # half a unit of the last digit
    exact = 0.4 * bar(RODS["a"], strain) + 0.6 * bar(RODS["b"], strain)
    assert relative_error(test.flux[:, 0], exact) < ROUND_OFF
    assert np.max(np.abs(test.flux[:, 1])) < ROUND_OFF * 240.0  # no shear between the rods
    in_parts = rve.drive(MaterialPath(np.arange(5.0), gradient={"axial": strain}, increments=7))
    assert relative_error(in_parts.flux[::7, 0], exact) < ROUND_OFF  # linear hardening: steps do not matter


def test_rods_in_series_under_a_stress_path() -> None:
    rve = rods(two_phases(STRIPES.T))
    stress = np.array([0.0, 150.0, 420.0, 0.0, -430.0])
    test = rve.drive(MaterialPath(np.arange(5.0), flux={"axial": stress}))
    published = [0.00587142857, 0.0358685714, 0.0314285714, 0.0240257143]
    assert np.all(np.abs(test.gradient[1:, 0] - published) < [0.51e-11, 0.51e-10, 0.51e-10, 0.51e-10])
    assert np.max(np.abs(test.flux[:, 0] - stress)) < 1e-9 * 430.0  # the tolerance of the control
    # where the soft rods have flowed last the stress strains them by 1/E + 1/H, 600 times more than 1/E
    assert test.iterations.max() < 15


def bar(parameters: tuple[float, float, float], path: Array) -> Array:
    """Stress of a bilinear bar along a strain path."""
    young, yield_stress, hardening = parameters
    plastic, accumulated, stresses = 0.0, 0.0, []
    for strain in path:
        trial = young * (strain - plastic)
        flow = max(abs(trial) - yield_stress - hardening * accumulated, 0.0) / (young + hardening)
        plastic, accumulated = plastic + flow * np.sign(trial), accumulated + flow
        stresses.append(young * (strain - plastic))
    return np.array(stresses)


def test_history_of_rods_is_averaged_and_shown() -> None:
    rve = rods(two_phases(STRIPES))
    state = rve.drive(MaterialPath(np.arange(2.0), gradient={"axial": np.array([0.0, 0.006])})).state
    accumulated = {name: (E * 0.006 - s) / (E + H) for name, (E, s, H) in RODS.items()}
    average = rve.averages(state[None])["accumulated"][0, 0]
    assert average == pytest.approx(0.4 * accumulated["a"] + 0.6 * accumulated["b"], rel=ROUND_OFF)
    fields = rve.fields(state).cell_data
    for index, name in enumerate(("a", "b")):
        shown = fields["accumulated"][fields["phase"] == index]
        assert np.allclose(shown, accumulated[name], rtol=ROUND_OFF)
        young, _, hardening = RODS[name]
        stress = RODS[name][1] + hardening * accumulated[name]
        assert stress == pytest.approx(young * (0.006 - accumulated[name]))
        assert np.allclose(fields["stress"][fields["phase"] == index], [stress, 0.0], atol=1e-8)


def test_form_that_does_not_tell_its_fluxes_is_homogenized_without_bounds() -> None:
    built = small_strain(random_image(2, 5), {n: LinearElastic.isotropic(7.0, 0.2) for n in ("a", "b")})
    bare = RVE(built.cell, replace(built.form, fluxes=()))
    report = bare.homogenize()
    exact = LinearElastic.isotropic(7.0, 0.2).stiffness[np.ix_(*2 * [positions_in_full(3)])]
    assert relative_error(report.tangent, exact) < ROUND_OFF
    assert "bounds" not in report.properties
    assert report.properties["shear_modulus"] == pytest.approx(7.0 / 2.4, rel=ROUND_OFF)


def test_unknown_component_of_an_own_form_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="prescribes 'xx', but the components are axial, shear"):
        rods(two_phases(STRIPES)).drive(MaterialPath(np.arange(2.0), gradient={"xx": np.zeros(2)}))
