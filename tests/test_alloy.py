"""Solids of several components: an alloy of five elements whose strain and stiffness follow Vegard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from case_files import Table, write
from mpi4py import MPI

import fe2
from fe2.case.build_cell import build_rve
from fe2.case.build_run import build_model, build_problem, build_simulation
from fe2.case.cell_case import read_cell_case
from fe2.case.problems import CaseFileError
from fe2.case.run_case import read_run_case
from fe2.errors import InputError
from fe2.io.history import read_history
from fe2.micro.newton import NewtonOptions
from fe2.physics.free_energy import GAS_CONSTANT

Array = npt.NDArray[np.float64]

RT, SITES = GAS_CONSTANT * 1200.0, 1.4e5
"""At 1200 K, with 1.4e5 mol of sites in a cubic metre."""


def five_elements(scale: float = 1.0, **more: Any) -> fe2.Alloy:
    """Four components and the host, of different size, stiffness and liking for each other."""
    pairs = np.random.default_rng(2).uniform(-0.5, 0.5, (5, 5)) * RT
    pairs = 0.5 * (pairs + pairs.T) * (1.0 - np.eye(5))
    reference = SITES * np.array([0.15, 0.2, 0.25, 0.2])
    base = fe2.LinearElastic.cubic(210e9, 140e9, 110e9).stiffness
    change = np.array([0.3, -0.2, 0.1, 0.25])[:, None, None] * base / SITES * scale
    energy = fe2.RegularSolution(RT, SITES, tuple(reference.tolist()), tuple(map(tuple, pairs.tolist())))
    return fe2.Alloy(
        base, np.array([4e-7, -3e-7, 6e-7, 1e-7]), energy, reference, np.full(4, 1e-18), change, **more
    )


def gradients(count: int) -> Array:
    generator = np.random.default_rng(5)
    return np.concatenate(
        [4e-3 * generator.normal(size=(count, 6)), RT * generator.normal(size=(count, 4))], axis=1
    )


def answered(law: fe2.Alloy, gradient: Array) -> Any:
    return law.respond(gradient, {"local_concentration": np.tile(law.reference, (len(gradient), 1))}, 1.0)


def energy(law: fe2.Alloy, strain: Array, c: Array) -> float:
    """ψ by its definition: the integral of the chemical potentials, and the elastic energy."""
    solid, points = law.solid, np.polynomial.legendre.leggauss(40)
    way = c - law.reference
    steps = law.reference + 0.5 * (1.0 + points[0])[:, None] * way
    chemical = 0.5 * np.dot(points[1], law.energy.potential(steps) @ way)
    elastic = strain - way @ solid.swelling
    stiffness = law.stiffness + np.einsum("n,nij->ij", way, law.stiffening)
    return float(chemical + 0.5 * elastic @ stiffness @ elastic)


@pytest.mark.unit
def test_concentrations_minimize_the_energy_less_the_work_of_the_potentials() -> None:
    """ψ(ε, c) - μ c is flat in c and has the stress as its slope in ε: by differences of the energy alone."""
    law, gradient = five_elements(), gradients(6)
    answer = answered(law, gradient)
    for g, flux in zip(gradient, answer.flux, strict=True):
        strain, potential, stress, c = g[:6], g[6:], flux[:6], flux[6:]
        assert np.all(law.energy.room(c[None, :]) > 0.0)
        for h in np.eye(4) * SITES * 1e-5:
            slope = (energy(law, strain, c + h) - energy(law, strain, c - h)) / (2.0 * h.sum())
            assert slope == pytest.approx(potential @ h / h.sum(), abs=2e-6 * RT)
        for h in np.eye(6) * 1e-6:
            slope = (energy(law, strain + h, c) - energy(law, strain - h, c)) / 2e-6
            assert slope == pytest.approx(stress @ h / 1e-6, abs=1e-6 * np.abs(stress).max() + 10.0)


@pytest.mark.unit
def test_tangent_is_that_of_the_grand_potential() -> None:
    law, gradient = five_elements(), gradients(6)
    tangent = answered(law, gradient).tangent
    for k, width in enumerate([1e-7] * 6 + [1e-5 * RT] * 4):
        h = width * np.eye(10)[k]
        column = (answered(law, gradient + h).flux - answered(law, gradient - h).flux) / (2.0 * width)
        np.testing.assert_allclose(
            tangent[:, :, k] / np.abs(column).max(0), column / np.abs(column).max(0), atol=1e-5
        )
    np.testing.assert_allclose(tangent[:, :6, 6:], -tangent[:, 6:, :6].transpose(0, 2, 1), rtol=1e-10)
    np.testing.assert_allclose(
        tangent[:, 6:, 6:], tangent[:, 6:, 6:].transpose(0, 2, 1), rtol=1e-8, atol=1e-8
    )


@pytest.mark.unit
def test_components_without_interaction_are_shared_as_boltzmann_says() -> None:
    """Without strain x_i/x_0 grows by exp(μ_i/RT)."""
    reference = (0.2 * SITES, 0.3 * SITES)
    ideal = fe2.RegularSolution(RT, SITES, reference)
    stiffness = fe2.LinearElastic.isotropic(200e9, 0.3).stiffness
    law = fe2.Alloy(stiffness, np.zeros(2), ideal, np.array(reference), np.ones(2))
    c = answered(law, np.array([[0.0] * 6 + [RT, -2.0 * RT]])).flux[0, 6:] / SITES
    weights = np.array([0.2 * np.e, 0.3 * np.exp(-2.0), 0.5])
    np.testing.assert_allclose(c, (weights / weights.sum())[:2], rtol=1e-10)


@pytest.mark.unit
def test_what_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="Alloy: mobilities"):
        fe2.Alloy(np.eye(6), np.zeros(2), fe2.DiluteSolution(1.0, (1.0, 1.0)), np.ones(2), np.ones(3))
    crowded = fe2.RegularSolution(1.0, 1.0, (0.6, 0.6))
    with pytest.raises(InputError, match="is out of the range of the free energy"):
        fe2.Alloy(np.eye(6), np.zeros(2), crowded, np.array([0.6, 0.6]), np.ones(2))


def test_cell_of_two_alloys_has_a_consistent_tangent() -> None:
    """Of two components: eleven blocks of cross terms in the plane."""
    stiffness = fe2.LinearElastic.isotropic(200e9, 0.3).stiffness
    reference = np.array([2e4, 4e4])
    laws = {}
    for name, volumes in (("a", [3e-6, -2e-6]), ("b", [1e-6, 4e-6])):
        ideal = fe2.RegularSolution(RT, SITES, tuple(reference.tolist()))
        laws[name] = fe2.Alloy(stiffness, np.array(volumes), ideal, reference, np.array([1e-18, 3e-18]))
    cell = fe2.image_cell(np.random.default_rng(3).integers(0, 2, size=(3, 3)), {"a": 0, "b": 1})
    rve = fe2.alloy(cell, laws, options=NewtonOptions(tolerance=1e-13, strategy="newton"))
    state = rve.initial_state()
    step = np.array([2e-3, -1e-3, 1e-3, 0.5 * RT, RT, 0.0, -0.3 * RT, 0.0, 2.0 * RT])

    def solve(gradient: Array) -> Any:
        return rve.solve(gradient, state, 1.0, np.empty_like(state))

    widths = np.array([3e-6] * 3 + 2 * [3e-4 * RT, RT, RT])
    columns = [(solve(step + h).flux - solve(step - h).flux) / (2.0 * h.sum()) for h in np.diag(widths)]
    tangent = solve(step).tangent
    scales = np.sqrt(np.abs(np.diag(tangent)))
    assert np.max(np.abs(tangent - np.transpose(columns)) / np.outer(scales, scales)) < 1e-7


SOLUTION: dict[str, Any] = {
    "law": "alloy",
    "young": [200e9, 150e9, 300e9],
    "poisson": 0.3,
    "molar_volumes": [1e-6, -5e-7],
    "diffusivities": [1e-18, 3e-18],
    "temperature": 1200.0,
    "saturation_concentration": SITES,
    "reference_fractions": [0.2, 0.3],
    "interactions": [[0.0, 1e3, -2e3], [1e3, 0.0, 500.0], [-2e3, 500.0, 0.0]],
}


def cell_tables(folder: Path, components: int, **change: Any) -> Table:
    np.save(folder / "cell.npy", np.zeros((3, 3), dtype=np.uint8))
    cell = {"image": "cell.npy", "physics": "alloy", "components": components}
    return {"cell": cell, "phases": {"solid": {"label": 0, **SOLUTION, **change}}}


def cell_file(folder: Path, *, components: int = 2, **change: Any) -> Path:
    return write(folder, cell_tables(folder, components, **change))


def test_homogeneous_cell_of_a_file_has_the_numbers_of_its_keys(tmp_path: Path) -> None:
    """Moduli by Vegard; each component swells by Ω/3, and x₀, x₁, x₂ have the curvature of the energy."""
    found = build_rve(read_cell_case(cell_file(tmp_path))).homogenize().properties
    x = np.array([0.2, 0.3])
    by_pairs = np.array([[-2e3, 500.0 - 1e3 + 2e3], [500.0 - 1e3 + 2e3, 4e3]])
    curvature = (RT * (np.diag(1.0 / x) + 1.0 / 0.5) + by_pairs) / SITES
    for k in range(2):
        own, free = found[f"swelling_{k + 1}"], found[f"capacity_constant_stress_{k + 1}"]
        # in plane strain what swells along z is held: by 1 + ν more in the plane
        np.testing.assert_allclose(own, [1.3 * SOLUTION["molar_volumes"][k] / 3.0] * 2 + [0.0], atol=1e-16)
        mobility = SOLUTION["diffusivities"][k] * x[k] * SITES / RT
        np.testing.assert_allclose(found[f"mobility_{k + 1}"], mobility * np.eye(2), rtol=1e-9, atol=1e-30)
        assert len(free) == 2
    young = 0.5 * 200e9 + 0.2 * 150e9 + 0.3 * 300e9
    lame, shear = young * 0.3 / (1.3 * 0.4), young / 2.6
    closed = np.array([[lame + 2.0 * shear, lame, 0.0], [lame, lame + 2.0 * shear, 0.0], [0.0, 0.0, shear]])
    np.testing.assert_allclose(found["closed"], closed, rtol=1e-9, atol=1e-3)
    # the potentials of a body at constant strain: those of the energy, and Ω K Ω of its stress
    bulk = young / (3.0 * 0.4)
    volumes = np.array(SOLUTION["molar_volumes"])
    held = [found[f"capacity_constant_strain_{k}"] for k in (1, 2)]
    np.testing.assert_allclose(np.linalg.inv(held), curvature + bulk * np.outer(volumes, volumes), rtol=1e-8)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference_fractions": [0.5, 0.6]}, r"their sum, 1\.1, below 1"),
        ({"reference_fractions": [0.5]}, r"reference_fractions = .*has shape \(1,\); it must"),
        ({"young": [200e9, 150e9]}, r"young = .*has shape \(2,\); it must have shape \(3,\)"),
        ({"interactions": [[0.0, 1.0, 2.0], [3.0, 0.0, 0.0], [2.0, 0.0, 0.0]]}, "it must be symmetric"),
        ({"interactions": [[0.0, 1e5, 0.0], [1e5, 0.0, 0.0], [0.0, 0.0, 0.0]]}, "would fall apart"),
        ({"free_energy": "dilute"}, "they belong to a regular solution"),
        ({"poisson": 0.5}, r"poisson = 0\.5"),
        ({"diffusivities": [1.0, -1.0]}, r"diffusivities = .*zero or positive"),
    ],
)
def test_keys_that_cannot_be_are_refused_by_name(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(CaseFileError, match=message) as caught:
        read_cell_case(cell_file(tmp_path, **change))
    assert "phases.solid" in str(caught.value)


def test_cell_with_another_number_of_components_than_its_laws_is_refused(tmp_path: Path) -> None:
    case = read_cell_case(cell_file(tmp_path, components=3))
    with pytest.raises(InputError, match="'solid' has 2 components, and the cell has 3"):
        build_rve(case)


@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="serial")
def test_three_components_and_their_host_pass_through_a_plate(tmp_path: Path) -> None:
    r"""Steady, of one D and without swelling: the host's share is exponential, and with y_i = x_i/x_0

    .. math:: J L = D c_{max} \ln\frac{x_0(0)}{x_0(L)}, \qquad
        J_i = J\,\frac{\Delta y_i}{\Delta(1/x_0)}.
    """
    length, diffusivity, potentials = 1e-6, 1e-18, np.array([0.6, -0.4, 0.2])
    fractions = np.array([0.2, 0.3, 0.1])
    law = cell_tables(
        tmp_path,
        3,
        young=200e9,
        molar_volumes=[0.0] * 3,
        diffusivities=[diffusivity] * 3,
        reference_fractions=fractions.tolist(),
        interactions=[[0.0] * 4] * 4,
    )
    names = [f"mu_{k}" for k in (1, 2, 3)]
    ends = [
        {"on": side, "field": name, "prescribed": RT * float(value) * there}
        for name, value in zip(names, potentials, strict=True)
        for side, there in (("left", 1.0), ("right", 0.0))
    ]
    walls = [("left", "x"), ("bottom", "y"), ("top", "y")]
    table = {
        "mesh": {"box": [[0.0, length], [0.0, 0.1 * length]], "cells": [12, 1]},
        "fields": [{"name": "u", "kind": "vector"}, *({"name": name, "kind": "scalar"} for name in names)],
        "laws": {"solid": law},
        "boundary": [*({"on": side, "field": "u", "fixed": [axis]} for side, axis in walls), *ends],
        "steps": {"times": [0.0, 1e12]},
        "output": {"balance": True},
    }
    model = build_model(read_run_case(write(tmp_path, table)), MPI.COMM_WORLD)
    build_simulation(model, build_problem(model), overwrite=True).run()
    history = read_history(tmp_path / "results")
    right = fractions / 0.4
    left = right * np.exp(potentials)
    host = 1.0 / (1.0 + left.sum()), 0.4
    whole = diffusivity * SITES / length * np.log(host[1] / host[0])
    expected = whole * (left - right) / (1.0 / host[0] - 1.0 / host[1])
    found = [history[f"flow_{name}_left_{name}"][-1] / (0.1 * length) for name in names]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
