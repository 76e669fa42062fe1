"""What every micro model has to fulfil, by itself, around others, in checkpoints and on several ranks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.arrays import Array, Ints
from fe2.dispatch.opaque import packed, unpacked
from fe2.dispatch.options import Parallel
from fe2.dispatch.pool import Pool
from fe2.errors import Fe2Error, InputError
from fe2.micro.model import MicroModel
from fe2.micro.points import Points, Step
from fe2.micro.state import StateField
from fe2.micro.wrapper import Wrapper
from fe2.parallel import together
from fe2.response import FAILED, OUTSIDE, SOLVED, Answers
from fe2.unchanged import read_only, unchanged

_POINTS = 5
"""Points whose gradients are drawn at random."""

_PATH = (0.4, 1.0, 0.7, -0.2)
"""Loading, more of it, unloading and loading the other way, in units of the amplitude."""

_SAME = 1e-10
"""Relative difference of two numbers that come about in the same way."""

_SOLVED_TWICE = 1e-6
"""The same, of numbers that are solved from other first guesses."""

_OF_DIFFERENCES = 1e-4
"""Relative difference of a tangent from central differences that is theirs."""

_OWN = "own field of a wrapper"

_WIDTH = 1e-5
"""Width of central differences, in units of the amplitude."""


def check_micro_model(
    model: MicroModel,
    *,
    amplitude: float | Mapping[str, float],
    dt: float = 1.0,
    parameters: Mapping[str, npt.ArrayLike] | None = None,
    failing: npt.ArrayLike | None = None,
    rescaled: tuple[MicroModel, float] | None = None,
    comm: MPI.Comm = MPI.COMM_SELF,
) -> None:
    """Check a micro model of one's own where it can be wrong without a message; collective.

    Points are led along random gradients, loaded, loaded further, unloaded and loaded the other way. At each
    of the steps

    - fluxes, tangents and states are filled and finite; gradients and committed states stay as they are;
    - the model answers twice alike, and alike whether points come together, in parts or alone, in any order:
      nothing is remembered outside of the states;
    - the tangent is the derivative of the flux, by central differences;
    - a state that is restored from what of it lasts goes on to the same answers;
    - an adaptive model, asked loosely and then polished, comes to its exact answer;
    - what is worth drawing has a row for each point, and the description can be stored;
    - under a wrapper it answers as it does alone, and loses nothing.

    Then the path is taken on the ranks of a communicator, where points move to another rank after every step
    and a step is taken back.

    Args:
        model: The micro model; the answers of an iteration should have ten digits.
        amplitude: Size of the gradients, or that of each block by its name: a strain at which the model
            flows, for example.
        dt: Length of the steps.
        parameters: Parameters of a point by name, where the model takes any.
        failing: A gradient at which the model has no answer: it has to say so for this point alone.
        rescaled: The same model in other units, and the factor of its flux.
        comm: Ranks over which the points are split, the same call on all of them.

    Raises:
        AssertionError: The model is wrong; the message says in what, and by how much.
    """
    with together(comm):
        check = _Check(model, amplitude, dt, parameters or {})
        check.facts()
        check.along_the_path(check.everything)
        if failing is not None:
            check.failing(np.asarray(failing, dtype=np.float64))
        if rescaled is not None:
            check.in_other_units(*rescaled)
    check.on_ranks(comm)


class _Around(Wrapper):
    """A wrapper that changes nothing."""

    def __init__(self, model: MicroModel) -> None:
        super().__init__(model, [StateField(_OWN, (2,), dtype="int64", initial=7)])

    def around(self, *models: MicroModel) -> _Around:
        """The same around another model."""
        return _Around(models[0])


class _Check:
    """A micro model and the points at which it is asked."""

    def __init__(
        self,
        model: MicroModel,
        amplitude: float | Mapping[str, float],
        dt: float,
        parameters: Mapping[str, npt.ArrayLike],
    ) -> None:
        self.model, self.step, self._name = model, Step(dt, dt), type(model).__name__
        if not isinstance(model, MicroModel):
            self._fail("it is no fe2.MicroModel: inherit that, fe2.Pointwise or fe2.Wrapper")
        kinematics = model.kinematics
        if missing := [name for name in model.parameters if name not in parameters]:
            self._fail(f"it takes the parameters {', '.join(missing)}: hand them over as `parameters`")
        values = {
            name: np.tile(np.asarray(v, dtype=np.float64), (_POINTS, *[1] * np.ndim(v)))
            for name, v in parameters.items()
        }
        values = {name: v.reshape(_POINTS, *np.shape(parameters[name])) for name, v in values.items()}
        rng = np.random.default_rng(0)
        self.points = Points(np.arange(_POINTS), rng.random((_POINTS, kinematics.dim)), values)
        of_block = (
            amplitude if isinstance(amplitude, Mapping) else dict.fromkeys(kinematics.slices, amplitude)
        )
        self._blocks = np.repeat(np.arange(len(kinematics.blocks)), [b.size for b in kinematics.blocks])
        self._scale = np.array([float(of_block[kinematics.blocks[k].name]) for k in self._blocks])
        directions = rng.normal(size=(_POINTS, kinematics.size))
        lengths = np.linalg.norm(directions, axis=1) / np.linspace(0.5, 1.0, _POINTS)
        self._directions = directions / lengths[:, None] * self._scale

    def facts(self) -> None:
        """What the model says of itself."""
        model, virgin = self.model, self.model.initial_state()
        if np.shape(virgin) != (model.state_size,):
            self._fail(
                f"initial_state() has the shape {np.shape(virgin)}, and the state {model.state_size} words"
            )
        self._same(model.initial_state(), virgin, "the virgin state, asked for twice")
        try:
            model.check_points(self.points)
            text = json.dumps(model.describe())
        except (InputError, TypeError) as error:
            raise AssertionError(f"{self._name}: {error}") from error
        if text != json.dumps(model.describe()):
            self._fail("describe() says something else when it is asked twice")

    def along_the_path(self, look: Callable[[Array, Array, Array, Answers], None]) -> None:
        """Take all points along the path from committed state to committed state."""
        committed = self._virgin(self.model)
        for gradients in self._gradients():
            answers, trial = self._ask(gradients, committed)
            look(gradients, committed, trial, answers)
            committed = trial

    def everything(self, gradients: Array, committed: Array, trial: Array, answers: Answers) -> None:
        """All that concerns one step."""
        again, states = self._ask(gradients, committed)
        self._alike(again, answers, "when asked again")
        self._same_states(states, trial, "the new state, when asked again,")
        self._in_parts(gradients, committed, trial, answers)
        self._tangent(gradients, committed, answers)
        self._restored(gradients, committed, answers)
        self._loosely(gradients, committed, answers)
        self._averages(trial)
        self._wrapped(gradients, committed, trial, answers)

    def failing(self, gradient: Array) -> None:
        """A point without an answer beside others that have one."""
        gradients, committed = next(self._gradients()), self._virgin(self.model)
        good, _ = self._ask(gradients, committed)
        gradients[2] = gradient
        found = Answers.empty(_POINTS, len(gradient))
        self._evaluate(gradients, committed, committed.copy(), found)
        found.check()
        if found.status[2] not in (FAILED, OUTSIDE):
            self._fail(f"the gradient {gradient.tolist()} was to have no answer, and has one")
        others = np.delete(np.arange(_POINTS), 2)
        if np.any(found.status[others] != SOLVED):
            self._fail("a point that fails takes the answers of others with it")
        self._same(found.flux[others], good.flux[others], "the flux beside a point that fails")

    def in_other_units(self, twin: MicroModel, factor: float) -> None:
        """Fluxes of the same model in other units."""
        other = self._virgin(twin)

        def look(gradients: Array, committed: Array, trial: Array, answers: Answers) -> None:
            nonlocal other
            found, new = Answers.empty(_POINTS, gradients.shape[1]), other.copy()
            twin.evaluate(gradients, other, new, self.points, self.step, found)
            self._same(found.flux / factor, answers.flux, "the flux in other units", _SOLVED_TWICE)
            other = new

        self.along_the_path(look)

    def on_ranks(self, comm: MPI.Comm) -> None:
        """The path on several ranks, whose points move, with a step that is taken back."""
        own = slice(*(np.array([comm.rank, comm.rank + 1]) * _POINTS // comm.size))
        expected: list[tuple[Array, Answers, Array]] = []
        with together(comm):
            self.along_the_path(
                lambda g, _, trial, answers: expected.append((g, answers, self._stored(trial)))
            )
        pool = Pool(self.model, self.points[own], comm, Parallel(balance="always"))
        for gradients, answers, stored in expected:
            for asked in (self._origin + 0.3 * self._directions, gradients):
                found = pool.evaluate(asked[own], self.step)
                with together(comm):
                    if pool.failure is not None:
                        self._fail(f"on {comm.size} ranks: {pool.failure.message}")
                if asked is not gradients:
                    pool.rollback()
            with together(comm):
                what = f"on {comm.size} ranks, after a step that was taken back,"
                self._alike(found, _some(answers, own), what)
            pool.commit()
            states = pool.states if self.model.dump_size is None else pool.stored()
            with together(comm):
                self._same(states, stored[own], "the committed state in a pool")

    @property
    def _origin(self) -> Array:
        return self.model.kinematics.origin

    def _gradients(self) -> Iterator[Array]:
        return (self._origin + part * self._directions for part in _PATH)

    def _virgin(self, model: MicroModel) -> Array:
        return np.tile(model.initial_state(), (_POINTS, 1))

    def _evaluate(
        self,
        gradients: Array,
        committed: Array,
        trial: Array,
        answers: Answers,
        chosen: slice | Ints = slice(None),
        step: Step | None = None,
    ) -> None:
        """Ask the model, which must not change what it is given, nor raise anything."""
        given = read_only(gradients), read_only(committed)
        try:
            with unchanged(self._name, "the gradient or its committed state"):
                self.model.evaluate(*given, trial, self.points[chosen], step or self.step, answers)
        except InputError as error:
            raise AssertionError(str(error)) from error
        except Exception as error:
            what = (
                "is the failure of a point: answers.fail tells it"
                if isinstance(error, Fe2Error)
                else "ends a run"
            )
            raise AssertionError(
                f"{self._name}: {type(error).__name__}: {error}; such an error {what}"
            ) from error

    def _ask(
        self, gradients: Array, committed: Array, chosen: slice | Ints = slice(None)
    ) -> tuple[Answers, Array]:
        """Answers and new states, all of which are filled and finite."""
        n, m = gradients.shape
        answers, trial = Answers.empty(n, m), committed.copy()
        answers.flux[:], answers.tangent[:] = np.nan, np.nan
        self._evaluate(gradients, committed, trial, answers, chosen)
        for name in ("flux", "tangent"):
            if not np.isfinite(getattr(answers, name)).all() and np.all(answers.status == SOLVED):
                self._fail(f"the {name} of answers is not filled, or not finite")
        if np.any(answers.status != SOLVED):
            first = int(np.argmax(answers.status != SOLVED))
            error = answers.errors.get(first, "status was set, and no error: use answers.fail")
            self._fail(
                f"the gradient {gradients[first].tolist()} has no answer: {error}; take a smaller amplitude"
            )
        for name, field in self.model.state.fields.items():
            values = self.model.state.of(trial, name)
            if field.lasts and values.dtype.kind == "f" and np.any(np.isnan(values)):
                self._fail(f"the state field {name!r} is not a number after a step")
        return answers, trial

    def _in_parts(self, gradients: Array, committed: Array, trial: Array, answers: Answers) -> None:
        backwards = np.arange(_POINTS)[::-1]
        for split in (
            [backwards],
            [backwards[:2], backwards[2:]],
            [backwards[k : k + 1] for k in range(_POINTS)],
        ):
            for rows in split:
                found, states = self._ask(gradients[rows], committed[rows], rows)
                what = f"with {len(rows)} of {_POINTS} points in one call, in another order,"
                self._alike(found, _some(answers, rows), what)
                self._same_states(states, trial[rows], f"the new state, {what}")

    def _tangent(self, gradients: Array, committed: Array, answers: Answers) -> None:
        for j, scale in enumerate(self._scale):
            change = np.zeros(len(self._scale))
            change[j] = _WIDTH * scale
            above, below = (self._ask(gradients + s * change, committed)[0].flux for s in (1.0, -1.0))
            expected, found = (above - below) / (2.0 * _WIDTH), answers.tangent[:, :, j] * scale
            size = np.abs(answers.tangent * self._scale).max(axis=2)
            largest = np.array([[row[self._blocks == k].max() for k in self._blocks] for row in size])
            wrong = np.abs(found - expected) > _OF_DIFFERENCES * largest
            if np.any(wrong):
                point, i = np.argwhere(wrong)[0]
                names = self.model.kinematics
                self._fail(
                    f"the tangent d {names.flux_names[i]} / d {names.gradient_names[j]} is "
                    f"{answers.tangent[point, i, j]:.6g} and the differences of the flux say "
                    f"{expected[point, i] / scale:.6g}, at the gradient {gradients[point].tolist()}"
                )

    def _restored(self, gradients: Array, committed: Array, answers: Answers) -> None:
        state, model = self.model.state, self.model
        if model.dump_size is None:
            rows = state.restored(state.stored(committed), model.initial_state())
        else:
            rows = model.load(unpacked(packed(model.dump(committed), model)))
        found, _ = self._ask(gradients, rows)
        self._alike(found, answers, "from a state restored from a checkpoint", _SOLVED_TWICE)

    def _loosely(self, gradients: Array, committed: Array, answers: Answers) -> None:
        if not self.model.adaptive:
            return
        trial, dt = committed.copy(), self.step.dt
        for wanted in ("approach", "polish"):
            found = Answers.empty(*gradients.shape)
            self._evaluate(gradients, committed, trial, found, step=Step(dt, dt, wanted, 1e-2))
        self._same(found.flux, answers.flux, "the flux, asked for loosely and polished,", _SOLVED_TWICE)

    def _averages(self, trial: Array) -> None:
        for name, values in self.model.averages(trial).items():
            if np.ndim(values) != 2 or len(values) != _POINTS:
                self._fail(
                    f"averages: {name!r} has the shape {np.shape(values)}; a row for each of {_POINTS} states"
                )

    def _wrapped(self, gradients: Array, committed: Array, trial: Array, answers: Answers) -> None:
        wrapper, model = _Around(self.model), self.model
        rows = self._virgin(wrapper)
        wrapper.inner(rows)[:] = committed
        found, states = Answers.empty(*gradients.shape), rows.copy()
        wrapper.evaluate(gradients, rows, states, self.points, self.step, found)
        self._alike(found, answers, "under a wrapper")
        self._same_states(wrapper.inner(states), trial, "the new state under a wrapper")
        if np.any(wrapper.state.of(states, _OWN) != 7):
            self._fail("the new state of the model reaches into the fields of a wrapper around it")
        for member in ("adaptive", "unknowns", "divisible", "parameters", "batch", "solver"):
            if getattr(wrapper, member) != getattr(model, member):
                self._fail(f"a wrapper loses {member}")
        if wrapper.averages(states).keys() != model.averages(trial).keys():
            self._fail("a wrapper loses averages")

    def _alike(self, found: Answers, expected: Answers, what: str, tolerance: float = _SAME) -> None:
        self._same(found.flux, expected.flux, f"the flux {what}", tolerance)
        self._same(found.tangent, expected.tangent, f"the tangent {what}", max(tolerance, 10.0 * _SAME))

    def _same(self, found: Array, expected: Array, what: str, tolerance: float = _SAME) -> None:
        size = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
        if np.allclose(found, expected, rtol=tolerance, atol=tolerance * size, equal_nan=True):
            return
        error = np.nanmax(np.abs(found - expected))
        self._fail(f"{what} differs by {error:.3g}, of {size:.3g}")

    def _stored(self, states: Array) -> Array:
        """States, or as rows what a model makes of those that are none."""
        return states if self.model.dump_size is None else packed(self.model.dump(states), self.model)

    def _same_states(self, found: Array, expected: Array, what: str) -> None:
        self._same(self._stored(found), self._stored(expected), what)

    def _fail(self, text: str) -> NoReturn:
        raise AssertionError(f"{self._name}: {text}")


def _some(answers: Answers, rows: slice | Ints) -> Answers:
    """The answers of some points."""
    names = ("flux", "tangent", "status", "iterations", "cost")
    return Answers(*(getattr(answers, name)[rows] for name in names))
