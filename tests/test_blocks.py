"""Laws of several blocks: fluxes by name, all cross tangents, rates of what is stored, output by block."""

from __future__ import annotations

import re
from pathlib import Path

import coupled
import numpy as np
import pytest
import pyvista as pv
import two_scale
import ufl
from dolfinx import fem
from mpi import mpiexec, succeeded
from mpi4py import MPI

from fe2.errors import InputError, MicroSolveError
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.linear_model import LinearModel
from fe2.micro.points import Step
from fe2.physics.diffusion import diffusion_kinematics
from fe2.physics.small_strain import mandel_strain

WORLD = MPI.COMM_WORLD


@pytest.fixture
def body() -> coupled.Body:
    return coupled.body(WORLD)


def integral(expression: ufl.core.expr.Expr, law: HomogenizedLaw) -> float:
    return float(fem.assemble_scalar(fem.form(expression * law.dx)))


def test_insulated_body_is_heated_by_its_source_and_cooled_by_its_expansion(body):
    """The problem is linear: one iteration, with all cross tangents in the Jacobian, solves it."""
    start = 0.0
    for time, strain in ((0.5, 0.001), (0.75, 0.004), (2.0, -0.002)):
        body.stretch.value = 2.0 * strain
        with body.problem.step(time - start):
            assert body.problem.solve() == 1
        start = time
        np.testing.assert_allclose(body.T.x.array, coupled.temperature(strain, time), rtol=1e-9)
    stress = integral(body.law["stress"][0], body.law) / 2.0
    thermal = coupled.thermal_stress()[0] * coupled.temperature(strain, time)
    assert stress == pytest.approx(coupled.stiffness()[0, 0] * strain - thermal, rel=1e-9)


def test_fluxes_have_the_names_and_shapes_of_their_blocks(body):
    assert body.law["entropy"].ufl_shape == ()
    assert body.law["stress"].ufl_shape == (3,)
    assert body.law["flux"].ufl_shape == (2,)
    with pytest.raises(InputError, match="the law has no flux 'heat', but stress, entropy, flux"):
        body.law["heat"]


def test_one_block_may_come_without_its_name():
    mesh = two_scale.rectangle(WORLD, (2, 1))
    u = fem.Function(fem.functionspace(mesh, ("Lagrange", 1, (2,))))
    u.interpolate(lambda x: np.vstack([1e-3 * x[0], 0.0 * x[1]]))
    found = []
    for gradient in (mandel_strain(u), {"strain": mandel_strain(u)}):
        law = HomogenizedLaw(gradient, two_scale.elastic_rve().linearized())
        law.evaluate(Step(0.0))
        found.append(integral(law["stress"][0], law))
        assert found[-1] == integral(law.flux[0], law)
    assert found[0] == found[1] != 0.0


def test_blocks_that_are_missing_unknown_or_of_another_size_are_refused(body):
    name = diffusion_kinematics(2).blocks[0].name
    right = {"strain": mandel_strain(body.u), "temperature": body.T, name: ufl.grad(body.T)}
    for wrong, message in (
        ({"strain": right["strain"], name: right[name]}, "temperature is missing"),
        ({**right, "pressure": body.T}, "pressure is none of them"),
        ({**right, "strain": body.u}, r"strain has the shape \(2,\)"),
        ({**right, "temperature": ufl.grad(body.T)}, r"temperature has the shape \(2,\)"),
    ):
        blocks = rf"needs the blocks strain \(xx, yy, xy\), temperature \(a scalar\), {name} \(x, y\): "
        with pytest.raises(InputError, match=blocks + message):
            HomogenizedLaw(wrong, body.law.micro)


def test_rate_is_the_change_since_the_last_commit_in_a_unit_of_time(body):
    entropy = coupled.CAPACITY / coupled.REFERENCE
    rate = body.law.rate("entropy")
    for value, dt, expected in ((3.0, 0.5, 6.0), (3.0, 0.0, 0.0), (5.0, 0.25, 20.0)):
        body.T.x.array[:] = value
        body.law.evaluate(Step(dt))
        assert integral(rate, body.law) / 2.0 == pytest.approx(expected * entropy)
    body.law.commit()
    body.T.x.array[:] = 9.0
    body.law.evaluate(Step(1.0))
    body.law.rollback()
    body.law.commit()  # of nothing: what was rolled back is not what was committed
    body.T.x.array[:] = 6.0
    body.law.evaluate(Step(0.5))
    assert integral(rate, body.law) / 2.0 == pytest.approx(2.0 * entropy)


def test_rate_begins_with_the_virgin_cell_or_with_the_initial_state():
    """A cell that stores something before anything happens has no rate where nothing changes."""
    mesh = two_scale.rectangle(WORLD, (2, 1))
    T = fem.Function(fem.functionspace(mesh, ("Lagrange", 1)), name="T")
    micro = LinearModel(diffusion_kinematics(2), np.eye(2), offset=np.array([7.0, 0.0]))
    law = HomogenizedLaw(ufl.grad(T), micro)
    rate = law.rate("flux")[0]
    law.evaluate(Step(1.0))
    assert integral(rate, law) == pytest.approx(0.0, abs=1e-12)
    T.interpolate(lambda x: 2.0 * x[0])
    law.evaluate(Step(1.0))
    assert integral(rate, law) == pytest.approx(2.0 * 2.0)
    problem = MacroProblem(ufl.dot(law.flux, ufl.grad(ufl.TestFunction(T.function_space))) * law.dx, T, law)
    problem.initialize()
    law.evaluate(Step(1.0))
    assert integral(rate, law) == pytest.approx(0.0, abs=1e-12)


def test_rate_that_is_asked_for_after_a_commit_is_refused():
    """The flux that was committed is gone; that of the virgin cell would be another."""
    mesh = two_scale.rectangle(WORLD, (2, 1))
    T = fem.Function(fem.functionspace(mesh, ("Lagrange", 1)), name="T")
    law = HomogenizedLaw(ufl.grad(T), LinearModel(diffusion_kinematics(2), np.eye(2)))
    law.evaluate(Step(1.0))
    law.rollback()
    law.commit()  # of nothing
    law.evaluate(Step(1.0))
    law.commit()
    with pytest.raises(InputError, match=r"rate of flux .* before the first step"):
        law.rate("flux")


@pytest.mark.mpi
def test_resumed_run_with_rates_is_the_uninterrupted_one_on_any_number_of_ranks(tmp_path):
    """What was stored at the last commit is a part of checkpoints, or the first rate would be wrong."""
    program = str(Path(coupled.__file__))
    for ranks, steps in ((1, 1), (3, 2), (2, 4)):
        succeeded(mpiexec(ranks, [program, str(tmp_path), str(steps)]))


def test_results_are_named_by_block(tmp_path):
    body, _ = coupled.run(WORLD, tmp_path, 1)
    reader = pv.get_reader(tmp_path / "macro.pvd")
    reader.set_active_time_point(1)
    grid = reader.read()[0]
    name = diffusion_kinematics(2).blocks[0].name
    names = {"strain_xx", "temperature", "stress_xy", "entropy", f"{name}_x", "flux_y"}
    assert names <= set(grid.cell_data.keys())
    assert {"u", "T"} <= set(grid.point_data.keys())
    np.testing.assert_allclose(grid.cell_data["temperature"], body.T.x.array.mean())
    np.testing.assert_allclose(
        grid.cell_data["entropy"], coupled.SOURCE * coupled.PLAN[1] / coupled.REFERENCE
    )


class Brittle(LinearModel):
    """Fails where it becomes too hot."""

    def evaluate(self, gradients, committed, trial, points, step, answers):
        super().evaluate(gradients, committed, trial, points, step, answers)
        answers.fail(gradients[:, 3] > 1.0, MicroSolveError("it melts"))


def test_failures_name_the_gradient_by_block(body):
    whole = body.law.micro
    gradient = diffusion_kinematics(2).blocks[0].name
    blocks = {"strain": mandel_strain(body.u), "temperature": body.T, gradient: ufl.grad(body.T)}
    law = HomogenizedLaw(blocks, Brittle(whole.kinematics, whole.tangent))
    body.T.x.array[:] = 2.0
    expected = rf"strain (xx, yy, xy) = (0, 0, 0), temperature = 2, {gradient} (x, y) = ("
    with pytest.raises(MicroSolveError, match=re.escape(expected)):
        law.evaluate(Step(1.0))
