"""All micro models of fe2 keep their contract, and models that break it are told in what.

The module runs on one rank and under mpiexec, see test_groups.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reduced_cells
import two_scale
from mpi4py import MPI

from fe2.dispatch.pool import Pool
from fe2.errors import InputError, MicroSolveError
from fe2.hierarchical.error_control import error_controlled
from fe2.hierarchical.hull import Hull
from fe2.hierarchical.interpolation import InterpolatedModel
from fe2.hierarchical.ranged_model import RangedModel
from fe2.io.failure_file import read_failure, write_failure
from fe2.micro.diffusion import diffusion
from fe2.micro.finite_strain import finite_strain
from fe2.micro.last_good import KeepsLastGood
from fe2.micro.linear_model import LinearModel
from fe2.micro.model import MicroModel, Pointwise
from fe2.micro.newton import NewtonOptions
from fe2.micro.points import Step
from fe2.micro.rotated import rotated
from fe2.micro.state import StateField, StateLayout
from fe2.micro.thermoelasticity import thermoelasticity
from fe2.physics.conduction import LinearConduction, NonlinearConduction
from fe2.physics.neo_hookean import NeoHookean
from fe2.physics.small_strain import small_strain_kinematics
from fe2.physics.thermoelastic_materials import thermoelastic
from fe2.response import Response
from fe2.testing import check_micro_model

WORLD = MPI.COMM_WORLD
TIGHT = NewtonOptions(tolerance=1e-11)
STIFFNESS = np.array([[3.0, 1.0, 0.2], [1.0, 2.0, 0.0], [0.2, 0.0, 1.0]])


def hull(size: float) -> Hull:
    axes = size * np.eye(3)
    return Hull(np.zeros(3), np.concatenate([axes, -axes]))


def interpolated() -> InterpolatedModel:
    gradients = np.vstack([np.zeros(3), *(s * np.eye(3) for s in (1.0, -1.0, 0.5, -0.6))])
    fluxes = gradients @ STIFFNESS * (1.0 + np.sum(gradients**2, axis=1, keepdims=True))
    return InterpolatedModel(small_strain_kinematics(2), gradients, fluxes)


def hyperelastic() -> MicroModel:
    laws = {"matrix": NeoHookean(1.0, 0.3), "fibre": NeoHookean(5.0, 0.3)}
    return finite_strain(two_scale.fibre_cell(), laws, options=TIGHT)


def melting_flow() -> MicroModel:
    law = NonlinearConduction(lambda T: 1.0 + 0.3 * T**2, enthalpy=lambda T: 2.0 * T + T**3)
    return diffusion(
        two_scale.fibre_cell(), {"matrix": law, "fibre": LinearConduction(3.0)}, value=True, options=TIGHT
    )


def thermoelastic_cell() -> MicroModel:
    metal, ceramic = thermoelastic(70e3, 0.33, 23e-6, 237.0, 2.4), thermoelastic(380e3, 0.22, 8e-6, 30.0, 3.2)
    return thermoelasticity(two_scale.fibre_cell(), {"matrix": metal, "fibre": ceramic}, options=TIGHT)


class Recording(Pointwise):
    """A code with states of its own: the path of a point, as a list that no row could hold."""

    kinematics, dump_size = small_strain_kinematics(2), 8 * 3 * 10
    state = StateLayout(StateField("key", dtype="int64"))

    def __init__(self) -> None:
        self.paths: dict[int, list[np.ndarray]] = {0: []}
        self.next = 1

    def respond(self, gradient, committed, trial, point, step) -> Response:
        path = self.paths[int(self.state.of(committed, "key"))]
        key, self.next = self.next, self.next + 1
        self.paths[key] = [*path, gradient.copy()]
        self.state.of(trial, "key")[...] = key
        return Response(STIFFNESS @ gradient + 0.1 * len(path), STIFFNESS)

    def dump(self, states):
        return [b"".join(g.tobytes() for g in self.paths[int(k)]) for k in self.state.of(states, "key")]

    def load(self, contents):
        rows = np.tile(self.initial_state(), (len(contents), 1))
        for row, content in zip(rows, contents, strict=True):
            self.paths[self.next] = list(np.frombuffer(content).reshape(-1, 3))
            self.state.of(row, "key")[...] = self.next
            self.next += 1
        return rows

    def keep(self, states):
        used = {0, *self.state.of(states, "key").tolist()}
        self.paths = {key: path for key, path in self.paths.items() if key in used}


PLASTIC = 4e-3
MODELS: dict[str, tuple[Callable[[], MicroModel], Any, dict[str, Any]]] = {
    "constant tangent": (lambda: LinearModel(small_strain_kinematics(2), STIFFNESS), 1.0, {}),
    "closed formula": (lambda: two_scale.Maxwell(STIFFNESS), 1.0, {}),
    "interpolation": (interpolated, 0.5, {}),
    "states of its own": (Recording, 1.0, {}),
    "states of its own, wrapped": (lambda: KeepsLastGood(Recording()), 1.0, {}),
    "linear cell": (two_scale.elastic_rve, 1e-3, {}),
    "plastic cell": (two_scale.plastic_rve, PLASTIC, {}),
    "plastic cell, newton": (lambda: two_scale.plastic_rve("newton"), PLASTIC, {}),
    "finite strain": (hyperelastic, 0.05, {}),
    "conduction that depends on the temperature": (melting_flow, 0.3, {}),
    "thermoelastic cell": (
        thermoelastic_cell,
        {"strain": 1e-3, "temperature": 10.0, "temperature_gradient": 100.0},
        {},
    ),
    "range, counted": (lambda: RangedModel(interpolated(), hull(0.3)), 0.5, {}),
    "range around a plastic cell": (lambda: RangedModel(two_scale.plastic_rve(), hull(1.0)), PLASTIC, {}),
    "whole cell outside": (
        lambda: RangedModel(
            two_scale.elastic_rve().linearized(), hull(5e-4), outside="full", full=two_scale.elastic_rve()
        ),
        1e-3,
        {},
    ),
    "last good": (lambda: KeepsLastGood(two_scale.plastic_rve()), PLASTIC, {}),
    "turned": (lambda: rotated(two_scale.plastic_rve()), PLASTIC, {"parameters": {"angle": 0.4}}),
}


@pytest.mark.parametrize("name", MODELS)
def test_micro_models_keep_their_contract(name: str) -> None:
    make, amplitude, keys = MODELS[name]
    check_micro_model(make(), amplitude=amplitude, comm=WORLD, **keys)


@pytest.mark.slow
def test_reduced_cells_keep_the_contract() -> None:
    reduction = reduced_cells.plastic_reduction()
    check_micro_model(reduction.model(), amplitude=2e-3)
    check_micro_model(error_controlled(reduction), amplitude=2e-3)


def test_state_that_is_no_row_stands_in_the_file_of_a_failure(tmp_path: Path) -> None:
    class Breaking(Recording):
        def respond(self, gradient, *others) -> Response:
            if gradient[0] > 1.0:
                raise MicroSolveError("it broke")
            return super().respond(gradient, *others)

    strip = two_scale.uniaxial_strain(two_scale.rectangle(MPI.COMM_SELF), Breaking())
    law, u = strip.law, strip.unknown
    u.interpolate(lambda x: (0.5 * x[0], 0.0 * x[0]))
    law.evaluate(Step(1.0))
    law.commit()
    u.interpolate(lambda x: (2.0 * x[0], 0.0 * x[0]))
    with pytest.raises(MicroSolveError, match="it broke") as caught:
        law.evaluate(Step(1.0))
    write_failure(tmp_path / "failure.h5", strip.problem, str(caught.value), 1, 0.0, None)
    fresh = Breaking()
    state = read_failure(tmp_path / "failure.h5").state_of(fresh)
    (gradient,) = fresh.paths[int(fresh.state.of(state, "key"))]
    np.testing.assert_allclose(gradient, [0.5, 0.0, 0.0], atol=1e-14)


def test_states_that_are_no_rows_go_on_in_another_pool_and_leave_nothing_behind() -> None:
    own = (3, 1, 2)[WORLD.rank % 3]
    first, second = Pool(Recording(), own, WORLD), Pool(Recording(), own, WORLD)
    strains = np.arange(3.0 * own).reshape(own, 3)
    for scale in (1.0, 2.0):
        first.evaluate(scale * strains, Step(1.0))
        first.rollback()
        first.evaluate(scale * strains, Step(1.0))
        first.commit()
    held = len(first.reporting.paths) - 1  # beside the virgin one
    assert WORLD.allreduce(held) == WORLD.allreduce(own)
    second.restore(first.stored())
    found, expected = (pool.evaluate(strains, Step(1.0)).flux for pool in (second, first))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found, strains @ STIFFNESS + 0.2, rtol=1e-14)


def test_a_state_of_more_bytes_than_promised_is_refused() -> None:
    class Long(Recording):
        dump_size = 8

    pool = Pool(Long(), 1, MPI.COMM_SELF)
    pool.evaluate(np.ones((1, 3)), Step(1.0))
    pool.commit()
    with pytest.raises(InputError, match=r"Long.dump makes 24 bytes of a state, and dump_size is 8"):
        pool.stored()


def test_a_failing_point_and_other_units() -> None:
    pascals = LinearModel(small_strain_kinematics(2), 1e6 * STIFFNESS)
    model = LinearModel(small_strain_kinematics(2), STIFFNESS)
    check_micro_model(model, amplitude=1.0, rescaled=(pascals, 1e6))
    check_micro_model(two_scale.Locking(), amplitude=0.5, failing=[0.8, 0.8, 0.0])
    with pytest.raises(AssertionError, match="the flux in other units differs by"):
        check_micro_model(model, amplitude=1.0, rescaled=(pascals, 1e3))


class Right(MicroModel):
    """A stiffness that is damaged by the largest gradient so far."""

    kinematics = small_strain_kinematics(2)
    state = StateLayout(StateField("largest"))

    def evaluate(self, gradients, committed, trial, points, step, answers) -> None:
        norms = np.linalg.norm(gradients, axis=1)
        grows = norms > committed[:, 0]
        trial[:, 0] = np.maximum(norms, committed[:, 0])
        left = np.exp(-trial[:, 0])
        effective = gradients @ STIFFNESS
        answers.flux[:], answers.tangent[:] = left[:, None] * effective, left[:, None, None] * STIFFNESS
        slope = effective[:, :, None] * (left / norms)[:, None, None] * gradients[:, None, :]
        answers.tangent[grows] -= slope[grows]


class Secant(Right):
    def evaluate(self, gradients, committed, trial, points, step, answers) -> None:
        super().evaluate(gradients, committed, trial, points, step, answers)
        answers.tangent[:] = np.exp(-trial[:, 0])[:, None, None] * STIFFNESS


class Careless(Right):
    def evaluate(self, gradients, committed, trial, points, step, answers) -> None:
        super().evaluate(gradients, committed, trial, points, step, answers)
        committed[:] = trial


class Remembers(Right):
    calls = 0

    def evaluate(self, gradients, committed, trial, points, step, answers) -> None:
        super().evaluate(gradients, committed, trial, points, step, answers)
        self.calls += 1
        answers.flux[:] *= 1.0 + 1e-3 * self.calls


class Mixes(Right):
    def evaluate(self, gradients, committed, trial, points, step, answers) -> None:
        super().evaluate(gradients, committed, trial, points, step, answers)
        answers.flux[:] += 0.01 * answers.flux.mean(axis=0)


class Forgets(Right):
    state = StateLayout(StateField("largest", lasts=False))


class Fills(Right):
    def evaluate(self, gradients, committed, trial, points, step, answers) -> None:
        super().evaluate(gradients, committed, trial, points, step, answers)
        answers.tangent[0] = np.nan


class Raises(Right):
    def evaluate(self, gradients, committed, trial, points, step, answers) -> None:
        raise MicroSolveError("no answer")


class Spreads(two_scale.Locking):
    def evaluate(self, gradients, committed, trial, points, step, answers) -> None:
        super().evaluate(gradients, committed, trial, points, step, answers)
        if np.any(answers.status):
            answers.fail(np.arange(len(gradients)), MicroSolveError("one failed, all fail"))


class Draws(Right):
    def averages(self, states):
        return {"damage": states[:, 0]}


class Describes(Right):
    @property
    def description(self):
        return {"stiffness": STIFFNESS}


class Virgin(Right):
    def initial_state(self):
        return np.zeros(2)


class Asks(Pointwise):
    kinematics, parameters = small_strain_kinematics(2), ("angle",)

    def respond(self, gradient, committed, trial, point, step) -> Response:
        return Response(gradient, np.eye(3))


WRONG = {
    Secant: "the tangent d stress_xx / d strain_xx is",
    Careless: "Careless changes the gradient or its committed state in place",
    Remembers: "the flux when asked again differs by",
    Mixes: "the flux with 2 of 5 points in one call, in another order, differs by",
    Forgets: "the flux from a state restored from a checkpoint differs by",
    Fills: "the tangent of answers is not filled, or not finite",
    Raises: "MicroSolveError: no answer; such an error is the failure of a point: answers.fail tells it",
    Draws: "averages: 'damage' has the shape (5,)",
    Describes: "not JSON serializable",
    Virgin: "initial_state() has the shape (2,), and the state 1 words",
    Asks: "it takes the parameters angle: hand them over as `parameters`",
}


@pytest.mark.unit
def test_a_right_model_passes() -> None:
    check_micro_model(Right(), amplitude=0.5)


@pytest.mark.unit
@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.__name__)
def test_a_wrong_model_is_told_in_what(kind: type[MicroModel]) -> None:
    with pytest.raises(AssertionError, match=re.escape(WRONG[kind])):
        check_micro_model(kind(), amplitude=0.5)


@pytest.mark.unit
def test_a_failure_that_spreads_is_told() -> None:
    with pytest.raises(AssertionError, match="a point that fails takes the answers of others with it"):
        check_micro_model(Spreads(), amplitude=0.5, failing=[0.8, 0.8, 0.0])
