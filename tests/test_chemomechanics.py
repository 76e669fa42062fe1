"""Chemo-mechanics of cells and bodies: layers in equilibrium, open and closed cells, stress-driven flux."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from case_files import Table, changed, write
from mpi import mpiexec, succeeded
from mpi4py import MPI
from scipy.optimize import brentq, fsolve

import fe2
from fe2.case.build_run import build_model, build_problem, build_simulation
from fe2.case.run_case import read_run_case
from fe2.errors import InputError, MicroSolveError
from fe2.hierarchical.paths import Path as LoadPath
from fe2.hierarchical.reduction import reduce
from fe2.io.history import read_history
from fe2.io.watched import read_watched
from fe2.micro.newton import NewtonOptions
from fe2.physics.free_energy import GAS_CONSTANT

Array = npt.NDArray[np.float64]

pytestmark = pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="serial")

RT = GAS_CONSTANT * 300.0
TIGHT = NewtonOptions(tolerance=1e-12)
# SI units
PARTICLE = {
    "young": 90e9,
    "poisson": 0.28,
    "diffusivity": 1e-16,
    "molar_volume": 8.2e-6,
    "temperature": 300.0,
    "reference_concentration": 5e4,
}
BINDER = {
    "young": 3e9,
    "poisson": 0.35,
    "diffusivity": 1e-14,
    "molar_volume": 1e-6,
    "temperature": 300.0,
    "reference_concentration": 1e3,
}
THETA = 2.0 * 8.2e-6**2 * 90e9 / (9.0 * RT * (1.0 - 0.28))


def single(dim: int = 3, **more: Any) -> fe2.RVE:
    cell = fe2.image_cell(np.zeros((3,) * dim, dtype=int), {"particle": 0})
    return fe2.chemomechanics(cell, {"particle": fe2.Chemoelastic(**(PARTICLE | more))}, options=TIGHT)


def composite(seed: int = 3, **options: Any) -> fe2.RVE:
    labels = np.random.default_rng(seed).integers(0, 2, size=(3, 3))
    cell = fe2.image_cell(labels, {"particle": 0, "binder": 1})
    laws = {"particle": fe2.Chemoelastic(**PARTICLE), "binder": fe2.Chemoelastic(**BINDER)}
    return fe2.chemomechanics(cell, laws, **options)


def test_homogeneous_cell_has_the_numbers_of_its_material() -> None:
    """Closed, it is the solid; open, Larché and Cahn's; swelling Ω/3, capacity c/RT, diffusivity D."""
    found = single().homogenize().properties
    closed = fe2.LinearElastic.isotropic(90e9, 0.28).stiffness / np.outer(
        [1, 1, 1] + 3 * [2**0.5], [1, 1, 1] + 3 * [2**0.5]
    )
    np.testing.assert_allclose(found["closed"], closed, rtol=1e-9, atol=1.0)
    compliance = np.linalg.inv(closed)
    compliance[:3, :3] += (8.2e-6 / 3.0) ** 2 * 5e4 / RT
    np.testing.assert_allclose(np.linalg.inv(found["open"]), compliance, rtol=1e-9, atol=1e-20)
    np.testing.assert_allclose(found["swelling"], [8.2e-6 / 3.0] * 3 + [0.0] * 3, rtol=1e-9, atol=1e-16)
    assert found["capacity_constant_stress"] == pytest.approx(5e4 / RT, rel=1e-10)
    np.testing.assert_allclose(found["diffusivity"], 1e-16 * np.eye(3), rtol=1e-9, atol=1e-24)


def test_coherent_layers_share_a_potential_and_not_their_strains() -> None:
    """Free of stress as a whole, each layer is strained by the other: its solution by hand.

    In each layer σ_x = σ_y = E/(1 - ν) (e - Ω (c - c_ref)/3) and R T ln(c/c_ref) - Ω 2 σ/3 = μ, and the
    stresses average to zero. The strain e is not the mean of what the layers would have by themselves.
    """
    labels = np.broadcast_to(np.array([0, 1, 1]), (3, 3, 3))
    cell = fe2.image_cell(labels, {"particle": 0, "binder": 1})
    both = (PARTICLE, BINDER)
    laws = dict(zip(("particle", "binder"), (fe2.Chemoelastic(**m) for m in both), strict=True))
    rve, potential, times = fe2.chemomechanics(cell, laws, options=TIGHT), 1.5 * RT, np.array([0.0, 1.0])
    held = {f"chemical_potential_gradient_{axis}": 0.0 * times for axis in "xyz"}
    test = rve.drive(fe2.MaterialPath(times, {"chemical_potential": potential * times} | held))

    def equations(x: Array) -> list[float]:
        strain, c = x[0] * 1e-2, x[1:] * 1e5
        stresses = [
            m["young"]
            / (1.0 - m["poisson"])
            * (strain - m["molar_volume"] / 3.0 * (c[i] - m["reference_concentration"]))
            for i, m in enumerate(both)
        ]
        potentials = [
            np.log(c[i] / m["reference_concentration"])
            - m["molar_volume"] * 2.0 / 3.0 * stresses[i] / RT
            - 1.5
            for i, m in enumerate(both)
        ]
        return [(stresses[0] + 2.0 * stresses[1]) / 1e9, *potentials]

    strain, *c = fsolve(equations, [5.0, 2.0, 0.04], xtol=1e-13) * [1e-2, 1e5, 1e5]
    assert test.gradient[-1, 0] == pytest.approx(strain, rel=1e-8)
    assert test.flux[-1, 6] == pytest.approx((c[0] + 2.0 * c[1]) / 3.0, rel=1e-8)
    alone = [m["molar_volume"] / 3.0 * m["reference_concentration"] * (np.exp(1.5) - 1.0) for m in both]
    assert abs(strain / np.dot([1 / 3, 2 / 3], alone) - 1.0) > 0.5


@pytest.mark.parametrize("boundary", ["periodic", "linear", "uniform_flux"])
@pytest.mark.parametrize("strategy", ["newton", "adaptive"])
def test_tangent_is_the_derivative_with_all_its_cross_terms(boundary: str, strategy: Any) -> None:
    rve = composite(boundary=boundary, options=NewtonOptions(tolerance=1e-13, strategy=strategy))
    state, gradient = rve.initial_state(), np.array([4e-3, -1e-3, 2e-3, 0.8 * RT, 3.0 * RT, -2.0 * RT])

    def solve(gradient: Array) -> Any:
        return rve.solve(gradient, state, 1.0, np.empty_like(state))

    widths = np.array([3e-6] * 3 + [3e-4 * RT] + [RT] * 2)
    columns = [
        (solve(gradient + h).flux - solve(gradient - h).flux) / (2.0 * h.sum()) for h in np.diag(widths)
    ]
    tangent = solve(gradient).tangent
    scales = np.sqrt(np.abs(np.diag(tangent)))
    assert np.max(np.abs(tangent - np.transpose(columns)) / np.outer(scales, scales)) < 1e-7
    # the grand potential: what the potential does to the stress is what strain does to the concentration
    np.testing.assert_allclose(tangent[:3, 3], -tangent[3, :3], rtol=1e-7)


def test_answers_do_not_depend_on_units() -> None:
    """Pa, m, mol against N, mm, mmol: the same iterations."""

    def solved(stress: float, length: float, amount: float) -> tuple[Array, int]:
        volume, energy = length**3, stress * length**3
        laws = {
            name: fe2.Chemoelastic(
                m["young"] * stress,
                m["poisson"],
                m["diffusivity"] * length**2,
                m["molar_volume"] * volume / amount,
                300.0,
                m["reference_concentration"] * amount / volume,
                gas_constant=GAS_CONSTANT * energy / amount,
            )
            for name, m in (("particle", PARTICLE), ("binder", BINDER))
        }
        labels = np.random.default_rng(3).integers(0, 2, size=(3, 3))
        cell = fe2.image_cell(labels, {"particle": 0, "binder": 1})
        rve = fe2.chemomechanics(cell, laws)
        molar, state = energy / amount, rve.initial_state()
        gradient = np.array([4e-3, -1e-3, 2e-3, 0.8 * RT * molar, RT * molar / length, 0.0])
        found = rve.solve(gradient, state, 1.0, np.empty_like(state))
        flow = amount / length**2
        return found.flux / np.array([stress] * 3 + [amount / volume] + [flow] * 2), found.iterations

    (expected, iterations), (found, others) = solved(1.0, 1.0, 1.0), solved(1e-6, 1e3, 1e3)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * np.abs(expected[4]))
    assert others == iterations


def test_concentration_that_leaves_its_range_names_phase_and_bound() -> None:
    rve = single(2)
    with pytest.raises(
        MicroSolveError, match=r"concentration = .* leaves its range, it must be positive \(mesh cells"
    ):
        rve.solve(
            np.array([0.0, 0.0, 0.0, -1e3 * RT, 0.0, 0.0]), rve.initial_state(), 1.0, rve.initial_state()
        )


def test_layers_that_let_nothing_through_leave_the_diffusion_to_the_others() -> None:
    numbers = {"young": 10.0, "poisson": 0.2, "molar_volume": 0.0, "temperature": 300.0}
    laws = {
        name: fe2.Chemoelastic(diffusivity=D, reference_concentration=2.0, **numbers)
        for name, D in (("matrix", 3.0), ("oxide", 0.0))
    }
    cell = fe2.image_cell(np.repeat([0, 1], 2)[:, None].repeat(4, 1), {"matrix": 0, "oxide": 1})
    mobility = fe2.chemomechanics(cell, laws).homogenize().tangent[-2:, -2:]
    along = 0.5 * 3.0 * 2.0 / (GAS_CONSTANT * 300.0)
    np.testing.assert_allclose(mobility, np.diag([0.0, along]), atol=1e-12 * along)


def test_laws_of_another_physics_are_refused() -> None:
    cell = fe2.image_cell(np.zeros((3, 3), dtype=int), {"particle": 0})
    with pytest.raises(InputError, match="'particle' is a LinearElastic; here it is Chemoelastic or Void"):
        fe2.chemomechanics(cell, {"particle": fe2.LinearElastic.isotropic(1.0, 0.3)})


def test_closed_cell_keeps_its_concentration_and_is_as_stiff_as_that() -> None:
    """Without a word on the potential nothing comes in, and it rises where the cell is pressed."""
    rve, times = single(2), np.array([0.0, 1.0])
    strains = {"strain_xx": -1e-3 * times, "strain_yy": 0.0 * times, "strain_xy": 0.0 * times}
    held = {f"chemical_potential_gradient_{axis}": 0.0 * times for axis in "xy"}
    test = rve.drive(fe2.MaterialPath(times, strains | held))
    np.testing.assert_allclose(test.flux[:, 3], 5e4, rtol=1e-9)
    closed = fe2.LinearElastic.isotropic(90e9, 0.28).stiffness
    assert test.flux[-1, 0] == pytest.approx(-1e-3 * closed[0, 0], rel=1e-8)
    bulk = 90e9 / (3.0 * (1.0 - 0.56))
    assert test.gradient[-1, 3] == pytest.approx(8.2e-6 * bulk * 1e-3, rel=1e-8)


LENGTH = 1e-6
PLATE: Table = {
    "units": "m, N, s, mol",
    "mesh": {"box": [[0.0, LENGTH], [0.0, 0.1 * LENGTH]], "cells": [16, 1]},
    "fields": [
        {"name": "u", "kind": "vector"},
        {"name": "mu", "kind": "scalar"},
    ],
    "laws": {
        "particle": {
            "cell": {
                "generator": "laminate",
                "fractions": [0.5, 0.5],
                "elements": "tensor",
                "size": 0.25,
                "physics": "chemomechanics",
            },
            "phases": {f"layer_{k}": {"law": "chemoelastic", **PARTICLE} for k in (1, 2)},
        }
    },
    "boundary": [
        {"on": "left", "field": "u", "fixed": ["x"]},
        {"on": "bottom", "field": "u", "fixed": ["y"]},
        {"on": "top", "field": "u", "fixed": ["y"]},
        {"on": "left", "field": "mu", "prescribed": f"{0.3 * RT} * min(t, 1)"},
        {"on": "right", "field": "mu", "prescribed": 0.0},
    ],
    "steps": {"times": [0.0, 1.0, 1e9]},
    "output": {"balance": True, "watch": [[0.0, 0.0], [LENGTH, 0.0]]},
}
"""A plate that is free along x, and between walls across it, with a potential higher at its left side."""


def run(folder: Path, table: Table) -> dict[str, Any]:
    model = build_model(read_run_case(write(folder, table)), MPI.COMM_WORLD)
    build_simulation(model, build_problem(model), overwrite=True).run()
    return read_history(folder / "results")


def test_solute_flows_through_a_plate_as_stress_drives_it(tmp_path: Path) -> None:
    """Steady, between concentrations that the potentials and the stress make: j L = D (Δc + θ Δc²/2).

    Between walls the strains along them are zero, and σ_h = -2 E Ω (c - c_ref) / (9 (1 - ν)).
    """
    history = run(tmp_path, PLATE)

    def concentration(potential: float) -> float:
        return float(brentq(lambda c: np.log(c / 5e4) + THETA * (c - 5e4) - potential, 1e4, 2e5, rtol=1e-14))

    high, low = concentration(0.3), 5e4
    watched = read_watched(tmp_path / "results")
    expected = 1e-16 * (high - low + 0.5 * THETA * (high**2 - low**2)) / LENGTH
    assert watched[0].gradients[-1][3] > 0.25 * RT
    assert history["flow_left_mu"][-1] == pytest.approx(0.1 * LENGTH * expected, rel=2e-3)
    without = 1e-16 * (5e4 * np.exp(0.3) - low) / LENGTH
    assert abs(expected / without - 1.0) > 0.02


def test_solute_that_comes_in_is_what_is_stored(tmp_path: Path) -> None:
    table = changed(PLATE, steps={"times": [0.0, 1.0, 100.0, 1e4]}, solver={"macro": {"snes_rtol": 1e-10}})
    history = run(tmp_path, table)
    inflow = history["flow_left_mu"] + history["flow_right_mu"]
    assert np.all(inflow > 0.0)
    np.testing.assert_allclose(history["flow_stored"], inflow, rtol=1e-8)


def test_linearized_cell_passes_what_the_virgin_mobility_lets_through(tmp_path: Path) -> None:
    """Without a law to solve at the points: j L = D c_ref/(R T) Δμ, and Δc from the open cell's numbers."""
    steady = changed(PLATE, laws__particle__model="linearized", steps={"times": [0.0, 1.0, 1e14]})
    history = run(tmp_path, steady)
    expected = 0.1 * 1e-16 * 5e4 * 0.3
    assert history["flow_left_mu"][-1] == pytest.approx(expected, rel=1e-8)
    assert history["flow_right_mu"][-1] == pytest.approx(-expected, rel=1e-8)


def test_reduced_cell_answers_as_the_whole_one() -> None:
    """With all fluctuations of the training as modes, on the training's own path; its tangent is its own."""
    rve = composite(options=NewtonOptions(tolerance=1e-11))
    goal = np.array([4e-3, -1e-3, 1e-3, 0.8 * RT, 3.0 * RT, -2.0 * RT])
    path = LoadPath(np.arange(1.0, 6.0), np.outer(np.linspace(0.2, 1.0, 5), goal))
    reduced = reduce(rve, [path], tolerance=1e-10, cubature_tolerance=1e-10).model()
    states = [rve.initial_state(), reduced.initial_state()]
    for gradient in path.gradients:
        answers = []
        for k, model in enumerate((rve, reduced)):
            out = np.empty_like(states[k])
            answers.append(model.solve(gradient, states[k], 1.0, out).flux)
            states[k] = out
        np.testing.assert_allclose(answers[1], answers[0], rtol=1e-6)
    start, last = reduced.initial_state(), path.gradients[0]

    def solve(gradient: Array) -> Any:
        return reduced.solve(gradient, start, 1.0, np.empty_like(start))

    widths = np.array([3e-6] * 3 + [3e-4 * RT] + [RT] * 2)
    columns = [(solve(last + h).flux - solve(last - h).flux) / (2.0 * h.sum()) for h in np.diag(widths)]
    tangent = solve(last).tangent
    scales = np.sqrt(np.abs(np.diag(tangent)))
    assert np.max(np.abs(tangent - np.transpose(columns)) / np.outer(scales, scales)) < 1e-6


@pytest.mark.mpi
def test_run_that_is_stopped_on_one_rank_goes_on_on_two_as_if_it_had_not(tmp_path: Path) -> None:
    times = [0.0, 1.0, 100.0, 1e4]
    table = changed(PLATE, mesh__cells=[4, 1], solver={"macro": {"snes_rtol": 1e-10}})

    def ran(folder: str, until: int, ranks: int, *more: str) -> dict[str, Any]:
        (tmp_path / folder).mkdir(exist_ok=True)
        file = write(tmp_path / folder, changed(table, steps={"times": times[: until + 1]}))
        succeeded(mpiexec(ranks, ["-m", "fe2", "run", str(file), "-q", *more], timeout=120.0))
        return read_history(tmp_path / folder / "results")

    whole = ran("whole", 3, 1)
    ran("parts", 2, 1)
    parts = ran("parts", 3, 2, "--resume")
    names = ["time", "flow_left_mu", "flow_right_mu", "flow_stored", "iterations"]
    for name in names:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-7)
