"""Micro models around others lose nothing of them: work, reports, fields, the ranks that solve them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import two_scale  # isort: skip  # before dolfinx

import numpy as np
import pytest
import reduced_cells
from mpi import PROGRAMS, mpiexec, succeeded
from mpi4py import MPI

from fe2 import profile
from fe2.errors import InputError, MicroSolveError
from fe2.hierarchical.error_control import error_controlled
from fe2.hierarchical.hull import Hull
from fe2.hierarchical.ranged_model import USED, RangedModel
from fe2.macro.law import Array
from fe2.micro.last_good import KeepsLastGood
from fe2.micro.model import MicroModel
from fe2.micro.points import NOWHERE, Point, Step
from fe2.micro.rve import RVE
from fe2.micro.wrapper import Wrapper
from fe2.response import Response

WORLD = MPI.COMM_WORLD
GRADIENT = 1e-3 * np.array([4.0, -1.0, 2.0])
STEPS = ((0.006, 0.0), (0.012, 0.004), (0.010, 0.003), (-0.008, 0.0))


def hull(size: float = 2e-3) -> Hull:
    axes = size * np.eye(3)
    return Hull(np.zeros(3), np.concatenate([axes, -axes]))


WRAPPERS: dict[str, Callable[[MicroModel], Wrapper]] = {
    "keeps last good": KeepsLastGood,
    "range": lambda model: RangedModel(model, hull()),
    "both": lambda model: KeepsLastGood(RangedModel(model, hull())),
}


class Failing(RVE):
    """A cell that fails where it is told to, with the error that it is told to raise."""

    error: Exception | None = None

    @classmethod
    def new(cls) -> Failing:
        whole = two_scale.plastic_rve()
        return cls(whole.cell, whole.form)

    def respond(self, gradient: Array, committed: Array, trial: Array, point: Point, step: Step) -> Response:
        if self.error is not None and step.wanted != "polish":
            raise self.error
        return super().respond(gradient, committed, trial, point, step)


def work(micro: MicroModel) -> tuple[dict[str, int], Array]:
    strip = two_scale.clamped(two_scale.rectangle(WORLD), micro, {"snes_rtol": 1e-10})
    start = profile.snapshot()
    for step in STEPS:
        strip.step(step)
    return dict(profile.snapshot().since(start).counts), strip.unknown.x.array.copy()


@pytest.fixture(scope="module")
def plain() -> tuple[dict[str, int], Array]:
    return work(two_scale.plastic_rve())


@pytest.mark.parametrize("name", ["keeps last good", "range"])
def test_a_wrapped_cell_costs_no_more_work_and_gives_the_same_answers(
    name: str, plain: tuple[dict[str, int], Array]
) -> None:
    counts, displacements = work(WRAPPERS[name](two_scale.plastic_rve()))
    assert counts == plain[0]
    np.testing.assert_array_equal(displacements, plain[1])


@pytest.mark.parametrize("name", WRAPPERS)
def test_requests_states_averages_and_fields_are_those_of_the_cell(name: str) -> None:
    rve = two_scale.plastic_rve()
    model = WRAPPERS[name](rve)
    assert model.adaptive
    state, inner = model.initial_state(), rve.initial_state()
    out, row = state.copy(), inner.copy()
    for step in (
        Step(1.0, 0.0, "approach", 1e-3),
        Step(1.0, 0.0, "anticipate"),
        Step(1.0, 0.0, "approach"),
        Step(1.0, 0.0, "polish"),
    ):
        found = model.respond(GRADIENT, state, out, NOWHERE, step)
        expected = rve.respond(GRADIENT, inner, row, NOWHERE, step)
        np.testing.assert_array_equal(found.flux, expected.flux)
        np.testing.assert_array_equal(found.tangent, expected.tangent)
    np.testing.assert_array_equal(out[: rve.state_size], row)
    for variable, average in rve.averages(row[None]).items():
        np.testing.assert_array_equal(model.averages(out[None])[variable], average)
    stored = model.state.stored(out[None])[0]
    np.testing.assert_array_equal(
        model.fields(stored).cell_data["strain"], rve.fields(row).cell_data["strain"]
    )
    assert model.choices() == rve.choices()
    assert model.report().keys() >= rve.report().keys()
    assert model.description.items() >= rve.description.items()
    assert model.unknowns == rve.unknowns
    assert model.divisible


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_mistake_in_the_program_is_raised_and_an_unknown_attribute_is_one(name: str) -> None:
    rve = Failing.new()
    model = WRAPPERS[name](rve)
    state, out = model.initial_state(), model.initial_state()
    model.solve(0.1 * GRADIENT, state, 1.0, out)
    for error in (AttributeError("'RVE' object has no attribute 'gradeint'"), TypeError("no such argument")):
        rve.error = error
        for step in (Step(1.0), Step(1.0, 0.0, "approach", 1e-3)):
            with pytest.raises(type(error)):
                model.respond(GRADIENT, out.copy(), out, NOWHERE, step)
    with pytest.raises(AttributeError):
        getattr(model, "gradeint")  # noqa: B009


def test_kept_answers_follow_one_straight_line_through_all_requests() -> None:
    """The step is accepted on the line, its state stays, and the cell goes on from there once it can."""
    rve = Failing.new()
    model = KeepsLastGood(rve)
    state = model.initial_state()
    good = model.solve(0.5 * GRADIENT, model.initial_state(), 1.0, state)
    rve.error, out = MicroSolveError("it fails"), state.copy()
    line = good.flux + good.tangent @ (0.5 * GRADIENT)
    requests = (
        Step(1.0, 0.0, "approach", 1e-3),
        Step(1.0, 0.0, "anticipate"),
        Step(1.0, 0.0, "approach"),
        Step(1.0, 0.0, "polish"),
    )
    for step in requests:
        handed = 2.0 * GRADIENT if step.wanted == "anticipate" else GRADIENT
        np.testing.assert_allclose(model.respond(handed, state, out, NOWHERE, step).flux, line, rtol=1e-12)
    np.testing.assert_array_equal(out, state)
    assert model.kept == 2
    rve.error = None
    inner = rve.initial_state()
    rve.solve(0.5 * GRADIENT, rve.initial_state(), 1.0, inner)
    expected = rve.solve(GRADIENT, inner, 1.0, inner.copy())
    np.testing.assert_array_equal(model.solve(GRADIENT, state, 1.0, out).flux, expected.flux)


def in_range(model: MicroModel) -> None:
    """At zero gradient none of the range is used, at a gradient what the hull says."""
    ranged = RangedModel(model, hull(5e-3))
    state = ranged.initial_state()
    assert ranged.averages(state[None])[USED] == 0.0
    out = state.copy()
    for scale in (0.25, 0.5, 1.0):
        ranged.solve(scale * GRADIENT, state, 1.0, out)
        assert ranged.averages(out[None])[USED] == pytest.approx(
            scale * hull(5e-3).gauge(GRADIENT), rel=1e-12
        )
        state[:] = out
    assert ranged.report()["evaluations of models with a range"] == 3


@pytest.mark.parametrize("strategy", ["adaptive", "newton"])
def test_use_of_the_range_by_a_cell(strategy: str) -> None:
    in_range(two_scale.plastic_rve(strategy))


def test_use_of_the_range_by_formulas() -> None:
    in_range(two_scale.elastic_rve().linearized())
    in_range(two_scale.Maxwell(1e3 * np.eye(3)))


@pytest.mark.slow
def test_use_of_the_range_by_reduced_cells() -> None:
    reduction = reduced_cells.plastic_reduction()
    in_range(reduction.model())
    controlled = error_controlled(reduction)
    in_range(controlled)
    assert RangedModel(controlled, hull()).fields(RangedModel(controlled, hull()).initial_state())
    assert controlled.report().keys() >= two_scale.plastic_rve().report().keys()


def test_what_has_no_cell_behind_it_has_no_local_fields() -> None:
    model = RangedModel(two_scale.elastic_rve().linearized(), hull())
    with pytest.raises(InputError, match="a LinearModel has no local fields: there is no cell behind it"):
        model.fields(model.initial_state())
    assert not model.divisible
    assert model.unknowns == 0


@pytest.mark.mpi
@pytest.mark.parametrize("strategy", ["adaptive", "newton"])
def test_ranks_that_solve_wrapped_cells_together_agree_with_one(tmp_path: Path, strategy: str) -> None:
    """Failures too are those of all ranks, and each counts once."""
    found = []
    for ranks in (1, 2):
        file = tmp_path / f"{ranks}.json"
        succeeded(mpiexec(ranks, [str(PROGRAMS / "wrapped.py"), str(file), strategy]))
        found.append(json.loads(file.read_text()))
    one, two = found
    assert one["reports"]["answers kept where cells failed"] > 0
    assert one["reports"] == pytest.approx(two["reports"], rel=1e-6)
    np.testing.assert_allclose(two["values"], one["values"], atol=1e-7 * np.abs(one["values"]).max())
    np.testing.assert_allclose(two["used"], one["used"], atol=1e-7)
