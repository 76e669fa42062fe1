"""What every phase law has to fulfil, at single material points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fe2.physics.kinematics import Kinematics
from fe2.physics.law import Array, PhaseLaw, PointLaw, PointResponse
from fe2.physics.material_field import MaterialField
from fe2.physics.physics_table import PHYSICS, Physics
from fe2.testing.material_point import difference_tangent, respond, virgin

_POINTS = 6
"""Points whose gradients are drawn at random."""

_PATH = (0.4, 1.0, 0.7, -0.2)
"""Loading, more of it, unloading and loading the other way, in units of the amplitude."""

_ROUND_OFF = 1e-11
"""Relative difference of two numbers that are the same."""

_OF_ITERATIONS = 1e-9
"""The same, of numbers at the ends of two steps."""

_OF_DIFFERENCES = 1e-5
"""Relative difference of a tangent from central differences that is theirs."""


def check_phase_law(
    law: PhaseLaw,
    physics: str,
    *,
    amplitude: float | Mapping[str, float],
    dt: float = 1.0,
    rescaled: tuple[PhaseLaw, float] | None = None,
    **keys: Any,
) -> None:
    r"""Check a phase law of one's own where it can be wrong without a message.

    Points are led along random gradients, loaded, loaded further, unloaded and loaded the other way. At each
    of them

    - flux, tangent and history have their shapes and are finite, and the law answers twice alike;
    - the tangent is the derivative of the flux at the end of the step, by central differences, and symmetric
      where the law says that it is;
    - a step of length zero at the same gradient changes neither flux nor history: the flux is that of the
      history at the end of the step, so that a state can be looked at later;
    - a point law leaves what it is given as it is, answers many points as it answers each, and answers alike
      in other lengths of the step where it calls itself rate-independent; with parameters by point it answers
      as with those of each, if it `broadcasts`;
    - in other units the law gives the same flux times a factor.

    Args:
        law: The law, or a field of materials.
        physics: Name of the physics in which it is used, in the plane and in space.
        amplitude: Size of the gradients, or that of each block of the physics by its name: a strain at which
            the law flows, for example.
        dt: Length of the steps.
        rescaled: The law of the same material in other units, and the factor of its flux.
        keys: Keys that the physics has in the table of a cell.

    Raises:
        AssertionError: The law is wrong; the message says in what, at which gradient, and by how much.
    """
    table = PHYSICS[physics](**keys)
    seen = {_size(kinematics): kinematics for kinematics in (table.kinematics(2), table.kinematics(3))}
    for kinematics in seen.values():
        materials = dict.fromkeys((law.materials[0], law.materials[-1]))
        for material in materials:
            check = _Check(table, material, kinematics, amplitude, dt)
            check.everything()
            if rescaled is not None:
                check.in_other_units(table.seen(rescaled[0]), rescaled[1])
        if isinstance(law.materials[0], PointLaw) and (len(materials) > 1 or law.materials[0].broadcasts):
            field = law if isinstance(law, MaterialField) else MaterialField.of({0: law, 1: law})
            check.by_point(field)


def _size(kinematics: Kinematics) -> int:
    return sum(block.local_size for block in kinematics.blocks)


class _Check:
    """A law at points with gradients of one physics in one dimension."""

    def __init__(
        self,
        table: Physics,
        law: PhaseLaw,
        kinematics: Kinematics,
        amplitude: float | Mapping[str, float],
        dt: float,
    ) -> None:
        self.law, self.dt, self.size = table.seen(law), dt, _size(kinematics)
        self._owner = f"{type(law).__name__} with {self.size} components"
        blocks = kinematics.blocks
        sizes = [block.local_size for block in blocks]
        of_block = (
            amplitude if isinstance(amplitude, Mapping) else dict.fromkeys(kinematics.slices, amplitude)
        )
        self._scale = np.repeat([float(of_block[block.name]) for block in blocks], sizes)
        self._block = np.repeat(np.arange(len(blocks)), sizes)
        # what is conjugate to a value may be stored in a unit of time, and nothing is in no time
        self._lasting = np.repeat([block.kind != "value" for block in blocks], sizes)
        self._origin = np.concatenate([block.embedding @ block.initial for block in blocks])
        directions = np.random.default_rng(0).normal(size=(_POINTS, self.size))
        lengths = np.linalg.norm(directions, axis=1) / np.linspace(0.5, 1.0, _POINTS)
        self._directions = directions / lengths[:, None] * self._scale

    def everything(self) -> None:
        """All that concerns the law by itself."""
        self._initial()
        history = virgin(self.law, _POINTS, self.size)
        for gradients in self._path():
            answer = self._answer(gradients, history)
            self._same(respond(self.law, gradients, history, self.dt), answer, "when asked again")
            self._tangent(gradients, history, answer)
            self._zero_step(gradients, answer)
            if isinstance(self.law, PointLaw):
                self._one_by_one(gradients, history, answer)
                if self.law.rate_independent:
                    other = respond(self.law, gradients, history, 1e3 * self.dt)
                    self._same(other, answer, "in a step of another length")
            history = answer.history

    def in_other_units(self, law: PhaseLaw, factor: float) -> None:
        """The flux of the same material in other units."""
        own, other = virgin(self.law, _POINTS, self.size), virgin(law, _POINTS, self.size)
        for gradients in self._path():
            answer = respond(self.law, gradients, own, self.dt)
            twin = respond(law, gradients, other, self.dt)
            self._close_flux(twin.flux / factor, answer.flux, "in other units, over the factor,")
            own, other = answer.history, twin.history

    def by_point(self, field: MaterialField) -> None:
        """A field of point laws answers each point as the law of its material does."""
        rows = np.arange(_POINTS) % len(field.labels)
        gradients, history = self._origin + self._directions, virgin(field, _POINTS, self.size, rows)
        try:
            together = field.at(rows).respond(gradients, history, self.dt)
        except Exception as error:
            text = (
                f"with arrays of parameters, since it says broadcasts = True: {type(error).__name__}: {error}"
            )
            raise AssertionError(f"{self._owner} {text}") from error
        for point, row in enumerate(rows):
            alone = respond(field.materials[row], *_at(point, gradients, history), self.dt)
            self._same(_part(together, point), alone, "with parameters by point")

    def _path(self) -> Iterator[Array]:
        return (self._origin + part * self._directions for part in _PATH)

    def _initial(self) -> None:
        sizes, initial = self.law.history(self.size), self.law.initial_history(self.size)
        if unknown := [name for name in initial if name not in sizes]:
            self._fail(f"initial_history has {unknown[0]!r}, which history does not have: {list(sizes)}")
        for name, value in initial.items():
            if np.shape(value) not in ((), (sizes[name],)) or not np.all(np.isfinite(value)):
                right = f"it must be a finite number, or {sizes[name]} of them"
                self._fail(f"initial_history has {name} = {value}; {right}")

    def _answer(self, gradients: Array, history: Mapping[str, Array]) -> PointResponse:
        """What the law answers, of the right shapes and finite; what it was given stays as it was."""
        given = {name: values.copy() for name, values in {**history, "gradient": gradients}.items()}
        gradient = given.pop("gradient")
        try:
            answer = respond(self.law, gradient, given, self.dt)
        except Exception as error:
            raise AssertionError(f"{self._owner}: {type(error).__name__}: {error}") from error
        for name, values in {**given, "gradient": gradient}.items():
            if not np.array_equal(values, gradients if name == "gradient" else history[name]):
                self._fail(f"respond changes the {name} that it is given; it has to leave it as it is")
        n, k = gradients.shape
        wanted = {"flux": (n, k), "tangent": (n, k, k)}
        wanted |= {name: (n, count) for name, count in self.law.history(self.size).items()}
        found = {"flux": answer.flux, "tangent": answer.tangent, **answer.history}
        if lacking := [name for name in wanted if name not in found]:
            self._fail(f"the new history has no {lacking[0]!r}; history names {list(wanted)[2:]}")
        for name, values in found.items():
            if np.shape(values) != wanted.get(name):
                self._fail(
                    f"{name} has shape {np.shape(values)}; it must have {wanted.get(name, 'no place')}"
                )
            if not np.all(np.isfinite(values)):
                self._fail(f"{name} is not finite")
        return answer

    def _tangent(self, gradients: Array, history: Mapping[str, Array], answer: PointResponse) -> None:
        for point, gradient in enumerate(gradients):
            found, (_, there) = answer.tangent[point], _at(point, gradients, history)
            directions = np.diag(self._scale)
            expected = difference_tangent(self.law, gradient, there, self.dt, directions, 1e-6)
            changes = found * self._scale  # of the flux, for gradients of the amplitude
            wrong = np.abs(changes - expected) / self._largest(expected)
            if wrong.max() > _OF_DIFFERENCES:
                i, j = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
                self._fail(
                    f"tangent[{i}, {j}] = {found[i, j]:.8g} and central differences of the flux give "
                    f"{expected[i, j] / self._scale[j]:.8g}; it must be the derivative of the flux at the "
                    "end of the step",
                    gradient,
                )
            work = self._scale[:, None] * changes
            skew = np.abs(work - work.T)
            if self.law.symmetric and skew.max() > _ROUND_OFF * np.abs(work).max():
                i, j = np.unravel_index(int(np.argmax(skew)), skew.shape)
                self._fail(
                    "the tangent is not symmetric, though the law says symmetric = True: "
                    f"tangent[{i}, {j}] = {found[i, j]:.8g}, tangent[{j}, {i}] = {found[j, i]:.8g}",
                    gradient,
                )

    def _zero_step(self, gradients: Array, answer: PointResponse) -> None:
        later = respond(self.law, gradients, answer.history, 0.0)
        when = "in a step of length zero after the step, at the same gradient,"
        found, expected = (np.where(self._lasting, flux, 0.0) for flux in (later.flux, answer.flux))
        self._close_flux(found, expected, when, _OF_ITERATIONS)
        for name, values in answer.history.items():
            self._close(later.history[name], values, f"{name} {when}", _OF_ITERATIONS)

    def _one_by_one(self, gradients: Array, history: Mapping[str, Array], answer: PointResponse) -> None:
        for point in range(len(gradients)):
            alone = respond(self.law, *_at(point, gradients, history), self.dt)
            self._same(alone, _part(answer, point), "when a point is asked alone")

    def _same(self, found: PointResponse, expected: PointResponse, when: str) -> None:
        self._close_flux(found.flux, expected.flux, when)
        scaled = [tangent * self._scale for tangent in (found.tangent, expected.tangent)]
        self._close(scaled[0], scaled[1], f"the tangent {when}", each=self._largest(scaled[1]))
        for name, values in expected.history.items():
            self._close(found.history[name], values, f"{name} {when}")

    def _largest(self, changes: Array) -> Array:
        """Largest change of the flux in each block, as a column for its rows, of tangents (..., k, k)."""
        rows = np.abs(changes).max(axis=-1)
        return self._of_blocks(rows)[..., None]

    def _of_blocks(self, flux: Array) -> Array:
        """Largest component of the block to which each component belongs, one where all are zero."""
        found = np.ones_like(flux)
        for block in range(int(self._block.max()) + 1):
            mine = self._block == block
            largest = np.abs(flux[..., mine]).max()
            found[..., mine] = largest if largest > 0.0 else 1.0
        return found

    def _close_flux(self, found: Array, expected: Array, when: str, tolerance: float = _ROUND_OFF) -> None:
        self._close(found, expected, f"the flux {when}", tolerance, self._of_blocks(expected))

    def _close(
        self,
        found: Array,
        expected: Array,
        what: str,
        tolerance: float = _ROUND_OFF,
        each: Array | None = None,
    ) -> None:
        scale = np.abs(expected).max(initial=0.0) if each is None else each
        wrong = np.abs(found - expected)
        if np.any(wrong > tolerance * scale):
            self._fail(f"{what} differs by {wrong.max():.3g}; it must be the same")

    def _fail(self, text: str, gradient: Array | None = None) -> None:
        at = "" if gradient is None else f", at the gradient {np.array2string(gradient, precision=4)}"
        raise AssertionError(f"{self._owner}{at}: {text}")


def _at(point: int, gradients: Array, history: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
    """Gradient and history of one point, as those of points."""
    one = slice(point, point + 1)
    return gradients[one], {name: values[one] for name, values in history.items()}


def _part(answer: PointResponse, point: int) -> PointResponse:
    flux, history = _at(point, answer.flux, answer.history)
    return PointResponse(flux, answer.tangent[point : point + 1], history)
