"""The range of a constant tangent: exact yield points, blocks of several units, and leaving it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import two_scale
from case_files import RUN, changed, write
from mpi import mpiexec, succeeded
from mpi4py import MPI

from fe2.cli.main import run
from fe2.errors import InputError, MicroSolveError, OutsideRangeError, StepSizeError
from fe2.hierarchical.hull import Hull
from fe2.hierarchical.linear_range import LinearRange, linear_range
from fe2.hierarchical.ranged_model import USED, RangedModel
from fe2.micro.diffusion import diffusion
from fe2.micro.points import Step
from fe2.micro.rve import RVE
from fe2.physics.conduction import NonlinearConduction
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

RESOLUTION = 0.01
ALUMINIUM = two_scale.ALUMINIUM


def deviation(found: LinearRange, rve: RVE, gradient) -> float:
    state = rve.initial_state()
    flux = rve.solve(gradient, state, 1.0, np.empty_like(state)).flux
    linear = found.model.tangent @ gradient
    return float(np.abs(flux - linear).max() / np.abs(linear).max())


def test_range_of_a_uniform_elastoplastic_cell_ends_where_it_yields():
    r"""Uniaxial strain yields at σ_y/2μ, shear at an engineering strain of σ_y/√3 μ."""
    found = linear_range(two_scale.uniform_plastic_rve(), 0.01, tolerance=1e-6)
    shear_modulus = ALUMINIUM.young / (2.0 * (1.0 + ALUMINIUM.poisson))
    axial, shear = (
        ALUMINIUM.yield_stress / (2.0 * shear_modulus),
        ALUMINIUM.yield_stress / shear_modulus / 3**0.5,
    )
    for name, exact in {"xx": axial, "yy": axial, "xy": shear}.items():
        low, high = found.components()[name]
        assert high == pytest.approx(exact, rel=RESOLUTION)
        assert low == pytest.approx(-exact, rel=RESOLUTION)
    assert found.convex  # the elastic domain is


def test_everything_inside_the_range_is_within_the_tolerance():
    rve = two_scale.plastic_rve()
    found = linear_range(rve, 0.01, tolerance=0.02)
    directions = np.random.default_rng(3).normal(size=(25, 3))
    inside = directions / found.hull.gauge(directions)[:, None]
    assert max(deviation(found, rve, gradient) for gradient in inside) <= 0.02
    assert min(deviation(found, rve, 4.0 * gradient) for gradient in inside) > 0.02


def test_range_of_a_linear_cell_is_all_that_was_looked_at():
    found = linear_range(two_scale.elastic_rve(), [0.1, 0.2, 0.3])
    assert not found.limited.any()
    np.testing.assert_allclose(found.hull.gauge(np.diag([0.1, 0.2, -0.3])), 1.0, rtol=1e-12)


def conducting_laminate(**options) -> RVE:
    laws = {
        "matrix": NonlinearConduction(lambda T: 1.0 + 0.1 * T, **options),
        "fibre": NonlinearConduction(lambda T: 4.0 - 0.2 * T, **options),
    }
    return diffusion(two_scale.laminate_cell(), laws, value=True, initial_value=1.0)


def test_linearized_laminate_has_exact_blocks():
    """Across layers s = H(T) g with the harmonic mean H, so ∂s/∂T = H'(T) g; along, the arithmetic mean."""
    rve = conducting_laminate()
    value, g = 2.0, np.array([0.3, -0.5])
    state = np.empty(rve.state_size)
    rve.solve(np.array([value, *g]), rve.initial_state(), 0.0, state)
    model = rve.linearized(state)
    K, slope, f = (
        np.array([1.0 + 0.1 * value, 4.0 - 0.2 * value]),
        np.array([0.1, -0.2]),
        np.array([0.6, 0.4]),
    )
    across, along = 1.0 / (f / K).sum(), f @ K
    exact = np.zeros((3, 3))
    exact[1, 1], exact[2, 2] = across, along
    exact[1, 0], exact[2, 0] = across**2 * (f * slope / K**2).sum() * g[0], f @ slope * g[1]
    np.testing.assert_allclose(model.tangent, exact, atol=1e-10)
    flux = model.solve(np.array([value, *g]), model.initial_state(), 0.0, np.empty(3)).flux
    np.testing.assert_allclose(flux, [0.0, across * g[0], along * g[1]], atol=1e-10)


def test_range_of_value_and_gradient_together():
    """Neither alone shows that the flux is their product: the hull of the axes would be wrong."""
    rve = conducting_laminate()
    found = linear_range(rve, [1.0, 1.0, 1.0], tolerance=0.01)
    assert not found.convex
    rng = np.random.default_rng(0)
    changes = rng.normal(size=(20, 3))
    changes /= found.hull.gauge(rve.kinematics.origin + changes)[:, None]
    for change in changes:
        gradient = rve.kinematics.origin + change
        state = rve.initial_state()
        flux = rve.solve(gradient, state, 1.0, np.empty_like(state)).flux
        linear = found.model.tangent @ change
        # relative to the flux, or to a tenth of what as large a change brings elsewhere
        reference = max(np.abs(linear).max(), 0.1 * found.model.tangent.max() * np.abs(change).max())
        assert np.abs(flux - linear).max() <= 1.1 * found.tolerance * reference


def test_a_cell_that_stores_has_no_linear_range():
    rve = conducting_laminate(enthalpy=lambda T: 2.0 * T)
    with pytest.raises(InputError, match=r"value_and_gradient .* has no linear range"):
        linear_range(rve, 1.0)


def test_hull_gauge_is_a_norm_of_the_octahedron():
    """|x| + |y| / 2 + |z| / 3 about an origin."""
    axes = np.diag([1.0, 2.0, 3.0])
    hull = Hull(np.ones(3), np.concatenate([axes, -axes]))
    x = np.random.default_rng(0).normal(size=(10, 3))
    np.testing.assert_allclose(hull.gauge(1.0 + x), np.abs(x) @ [1.0, 1.0 / 2.0, 1.0 / 3.0], rtol=1e-12)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.diag([1.0, 1.0, 0.0]), "component 2 of the points is zero"),
        (np.eye(3)[[0, 1, 2]] + 1.0, "do not surround"),
        (np.concatenate([np.eye(3), 2.0 * np.eye(3)]), "do not surround the origin"),
    ],
)
def test_points_that_surround_nothing_are_refused(points, message):
    with pytest.raises(InputError, match=message):
        Hull(np.zeros(3), points)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"largest": -1.0}, "largest = -1.0"),
        ({"largest": [1.0, 1.0]}, "one for each of the 3"),
        ({"largest": 0.1, "tolerance": 0.0}, "between 0 and 1"),
    ],
)
def test_searches_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        linear_range(two_scale.elastic_rve(), **arguments)


# ---- the model with a range


def ranged(outside: str, size: float = 1e-3) -> RangedModel:
    axes = size * np.eye(3)
    hull = Hull(np.zeros(3), np.concatenate([axes, -axes]))
    return RangedModel(two_scale.elastic_rve().linearized(), hull, outside=outside)


def test_evaluations_outside_of_the_range_are_counted():
    model = ranged("count")
    out = np.empty(model.state_size)
    for part in (0.5, 1.0, 3.0, 2.0):
        response = model.solve(part * 1e-3 * np.eye(3)[0], model.initial_state(), 1.0, out)
        np.testing.assert_allclose(response.flux, model.model.tangent[:, 0] * part * 1e-3, rtol=1e-14)
    assert model.report() == {
        "evaluations of models with a range": 4,
        "evaluations outside the range": 2,
        "largest use of the range": pytest.approx(3.0),
    }
    np.testing.assert_allclose(model.averages(out[None, :])[USED], [[2.0]])


def test_evaluations_outside_of_the_range_are_refused():
    model = ranged("raise")
    with pytest.raises(OutsideRangeError, match=r"strain \(0.002, 0, 0\) is at 2 of the range"):
        model.solve(np.array([2e-3, 0.0, 0.0]), model.initial_state(), 1.0, model.initial_state())


def test_a_law_tells_gradients_outside_of_the_range_from_other_failures():
    """On all ranks, also on those whose points are inside."""
    mesh = two_scale.distorted(MPI.COMM_WORLD, (3, 1), (2.0, 1.0))
    for model, kind in (
        (ranged("raise"), OutsideRangeError),
        (two_scale.Locking(limit=1e-3), MicroSolveError),
    ):
        strip = two_scale.clamped(mesh, model)
        strip.unknown.interpolate(lambda x: np.vstack([np.maximum(0.0, x[0] - 1.5), 0.0 * x[0]]))
        with pytest.raises(MicroSolveError, match=r"macroscopic cell .*, quadrature point ") as caught:
            strip.law.evaluate(Step(1.0))
        assert type(caught.value) is kind
        assert caught.value.collective


def test_an_unknown_policy_is_refused():
    with pytest.raises(InputError, match="outside = 'ignore'"):
        ranged("ignore")


def pulled(model: RangedModel, folder: Path) -> Simulation:
    """A strip stretched to a strain of 8e-4 and then to twice that."""
    strip = two_scale.uniaxial_strain(two_scale.rectangle(MPI.COMM_SELF, (2, 1), (2.0, 1.0)), model)
    steps = LoadSteps(
        [0.0, 1.0, 2.0], lambda t: np.put(strip.displacement.value, 0, 1.6e-3 * t), smallest=0.5
    )
    return Simulation(strip.problem, steps, output=folder / "results", quiet=True)


def test_summary_of_a_run_tells_evaluations_outside_of_the_range(tmp_path: Path):
    summary = pulled(ranged("count"), tmp_path).run()
    assert summary.models["largest use of the range"] == pytest.approx(1.6)
    assert summary.models["evaluations outside the range"] >= 8  # two elements of four points
    text = (tmp_path / "results" / "summary.txt").read_text()
    assert "evaluations outside the range:" in text


def test_run_that_leaves_the_range_ends_where_that_is_refused(tmp_path: Path):
    simulation = pulled(ranged("raise"), tmp_path)
    with pytest.raises(StepSizeError, match="of the range in which this model holds"):
        simulation.run()
    assert simulation.records[-1].time >= 1.0


CASE = changed(
    RUN,
    laws__composite__model="linearized",
    laws__composite__largest=0.01,
    laws__composite__directions=2,
    output={"folder": "results"},
)


@pytest.mark.mpi
@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest")
def test_case_file_with_a_range_gives_the_same_lines_on_any_number_of_ranks(tmp_path: Path):
    found = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        folder.mkdir()
        file = write(folder, CASE)
        if ranks == 1:
            assert run(["run", str(file), "-q"]) == 0
        else:
            succeeded(mpiexec(ranks, ["-m", "fe2", "run", str(file), "-q"]))
        summary = next(folder.rglob("summary.json"))
        found.append(json.loads(summary.read_text())["models"])
        assert "evaluations outside the range:" in summary.with_suffix(".txt").read_text()
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    assert found[0]["evaluations outside the range"] > 0
    assert found[0]["largest use of the range"] > 1.0


def test_a_range_is_for_linearized_cells_only(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    case = changed(RUN, laws__composite__largest=0.01)
    assert run(["check", str(write(tmp_path, case))]) == 1
    assert 'model = "rve" has no such key; it belongs to model = "linearized"' in capfd.readouterr().err


def test_command_tells_the_range_of_each_component(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    table = {name: CASE["laws"]["composite"][name] for name in ("cell", "phases")}
    file = write(tmp_path, table)
    assert run(["linear-range", str(file), "--largest", "0.01", "--directions", "0", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    low, high = found["components"]["yy"]
    assert low == pytest.approx(-high, rel=2.0 * RESOLUTION)
    assert 0.0 < high < 0.01
