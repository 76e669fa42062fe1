"""Material tests on one cell: paths of prescribed gradient components and prescribed flux components."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fe2.arrays import Array, Ints
from fe2.errors import Fe2Warning, InputError, MicroSolveError, place
from fe2.history_names import history_columns, plain_history
from fe2.micro.flux_control import FluxControl
from fe2.micro.model import MicroModel
from fe2.physics.kinematics import Kinematics
from fe2.response import Response

_SMALLEST_PART = 2.0**-10
_MAX_ITERATIONS = 25
_ROUND_OFF = 1e-12
"""Part of the largest prescribed flux below which messages leave another one out."""
_NOT_REACHED = "the prescribed fluxes were not reached"


@dataclass(frozen=True)
class MaterialPath:
    """A path of reported components (engineering shear strains) over time.

    Each component is prescribed either as gradient or as flux; one that is named in neither is
    free of flux, as the sides of a specimen are, and exchanges nothing: heat where a temperature is not
    named, solute where a chemical potential is not. A value that is not a number hands the component
    to the other kind for that point of the path, so control may change from one point to the next.

    Attributes:
        times: Times of the points of the path, increasing; the first is the start of the test, the
            virgin cell, at which all prescribed values are zero, or the values of a virgin cell.
        gradient: Prescribed gradient components by name, e.g. {"xx": ...}, each of shape (len(times),).
        flux: Prescribed flux components by name, likewise; by their names in results, "stress_xx", too.
        increments: Equal increments between two points of the path.
    """

    times: Array
    gradient: Mapping[str, Array] = field(default_factory=dict)
    flux: Mapping[str, Array] = field(default_factory=dict)
    increments: int = 1


@dataclass(frozen=True)
class MaterialTest:
    """Response to a path, one row for each increment, the start included.

    Attributes:
        components: Names of the components.
        times: Shape (rows,).
        gradient: Reported gradients, shape (rows, m).
        flux: Reported fluxes, shape (rows, m).
        averages: Volume averages of the history variables by name, shape (rows, components), tensors in plain
            components.
        history: The same columns by their own names, ``plastic_strain_xy``, each of shape (rows,).
        iterations: Linear systems solved for each row.
        state: State of the cell at the end.
        unheld: Components in which the virgin cell has no stiffness, so that no flux tells their gradient.
    """

    components: tuple[str, ...]
    times: Array
    gradient: Array
    flux: Array
    averages: dict[str, Array]
    history: dict[str, Array]
    iterations: Ints
    state: Array
    unheld: tuple[str, ...] = ()


class MaterialTestError(MicroSolveError):
    """A material test found no equilibrium on its way, beyond a limit load for instance.

    Attributes:
        test: The rows up to there; the last one is the last equilibrium that was found.
    """

    test: MaterialTest


def material_test(model: MicroModel, path: MaterialPath, *, tolerance: float = 1e-9) -> MaterialTest:
    """Drive a micro model along a path; an increment that fails is halved.

    Args:
        model: The micro model, a cell for instance.
        path: The path.
        tolerance: Error in the prescribed fluxes, each component relative to the largest that was prescribed
            or reached, and to what the others bring along; see :mod:`fe2.micro.flux_control`.

    Raises:
        InputError: The path does not fit the cell.
        MaterialTestError: An increment failed at 1/1024 of its length; it holds the test up to there.
    """
    driver = _Driver(model, tolerance)
    table = _tabulated(path, model.kinematics, driver.stored / driver.scale)
    driver.record(float(path.times[0]))
    for start, end, (gradient, flux) in zip(path.times[:-1], path.times[1:], table[1:], strict=True):
        for k in range(path.increments):
            # the remaining way to the point of the path is cut into equal parts
            fraction = 1.0 / (path.increments - k)
            length = (end - start) / path.increments
            driver.advance(float(start + k * length), length, *driver.towards(gradient, flux, fraction))
    return driver.result()


def _tabulated(path: MaterialPath, kinematics: Kinematics, stored: Array) -> list[tuple[Array, Array]]:
    """Prescribed gradient and flux at each point of the path, not a number where the other rules.

    Args:
        path: The path.
        kinematics: Names of the components.
        stored: Reported flux of a virgin cell where it is that of a value, zero elsewhere, shape (m,).
    """
    times = np.asarray(path.times, dtype=np.float64)
    if times.ndim != 1 or len(times) < 2 or np.any(np.diff(times) <= 0):
        raise InputError(
            f"the times of a path must increase from its start to its end, at least two of them: {times}"
        )
    if path.increments < 1:
        raise InputError(f"increments = {path.increments} is not admissible; it must be 1 or more")
    components = kinematics.components
    columns = {"gradient": path.gradient, "flux": path.flux}
    virgin = {"gradient": kinematics.origin * kinematics.scale, "flux": stored}
    values = {kind: np.full((len(times), len(components)), np.nan) for kind in columns}
    reported = {"gradient": kinematics.gradient_names, "flux": kinematics.flux_names}
    for kind, named in columns.items():
        for name, column in named.items():
            if name not in (*components, *reported[kind]):
                raise InputError(
                    f"the path prescribes {name!r}, but the components are {', '.join(components)}"
                )
            if np.shape(column) != times.shape:
                raise InputError(f"{kind} {name!r} has {np.size(column)} values for {len(times)} times")
            number = (components if name in components else reported[kind]).index(name)
            values[kind][:, number] = column
            first = virgin[kind][number]
            if np.isfinite(column[0]) and not np.isclose(column[0], first, rtol=1e-9, atol=0.0):
                raise InputError(
                    f"{kind} {name!r} starts at {column[0]}; a path starts from the virgin cell, at {first:g}"
                )
    both = np.isfinite(values["gradient"]) & np.isfinite(values["flux"])
    both[0] = False
    if np.any(both):
        point, component = np.argwhere(both)[0]
        raise InputError(
            f"point {point} of the path prescribes gradient and flux of {components[component]!r}; "
            "only one can be"
        )
    neither = np.isnan(values["gradient"]) & np.isnan(values["flux"])
    values["flux"] = np.where(neither, stored, values["flux"])
    return list(zip(values["gradient"], values["flux"], strict=True))


class _Driver:
    """Advances one cell; holds its committed state and response."""

    def __init__(self, model: MicroModel, tolerance: float) -> None:
        self.model, self.tolerance = model, tolerance
        self.scale = model.kinematics.scale
        self.state = model.initial_state()
        self.gradient = model.kinematics.origin.copy()
        self.response = model.solve(self.gradient, self.state, 0.0, np.empty_like(self.state))
        self.elastic = self.response.tangent
        self.stored = self._stored()
        self.control = FluxControl(model.kinematics, self.response)
        self.rows: list[tuple[float, Array, Array, int]] = []
        self.states: list[Array] = []
        self.iterations = 0

    def _stored(self) -> Array:
        """What the virgin cell stores: duals of values, zero but for round-off of what they are made of."""
        kinematics, stored = self.model.kinematics, np.zeros_like(self.response.flux)
        for k in kinematics.values:
            round_off = 1e-12 * abs(self.elastic[k, k] * kinematics.origin[k])
            stored[k] = self.response.flux[k] if abs(self.response.flux[k]) > round_off else 0.0
        return stored

    def towards(self, gradient: Array, flux: Array, fraction: float) -> tuple[Array, Array]:
        """Targets a fraction of the way from here to a point of the path, in internal components."""
        here_gradient, here_flux = self.gradient, self.response.flux
        goal_gradient, goal_flux = gradient / self.scale, flux * self.scale
        return (
            here_gradient + fraction * (goal_gradient - here_gradient),
            here_flux + fraction * (goal_flux - here_flux),
        )

    def advance(self, time: float, dt: float, gradient: Array, flux: Array) -> None:
        """Reach the targets within a time dt, in parts where the whole fails, and record the end."""
        done, part = 0.0, 1.0
        while done < 1.0:
            part = min(part, 1.0 - done)
            fraction = part / (1.0 - done)
            aim_gradient = self.gradient + fraction * (gradient - self.gradient)
            aim_flux = self.response.flux + fraction * (flux - self.response.flux)
            try:
                self._solve(part * dt, aim_gradient, aim_flux)
            except MicroSolveError as error:
                part /= 2.0
                if part < _SMALLEST_PART:
                    if done > 0.0:
                        self.record(time + done * dt)
                    failure = MaterialTestError(self._failure(flux, error))
                    failure.test = self.result()
                    raise failure from error
                continue
            done += part
        self.record(time + dt)

    def _failure(self, flux: Array, error: MicroSolveError) -> str:
        """What was reached, what was asked for, and why it was not found."""
        kinematics, text = self.model.kinematics, str(error)
        prescribed = np.nan_to_num(flux / self.scale)
        wanted = ", ".join(
            f"{kinematics.flux_name} {name} = {value:.6g}"
            for name, value in zip(kinematics.components, prescribed, strict=True)
            if abs(value) > _ROUND_OFF * np.abs(prescribed).max()
        )
        if wanted:
            cause = text.removeprefix(f"{_NOT_REACHED} ").rstrip(".")
            text = (
                f"{_NOT_REACHED}, {wanted}: {cause}. Beyond a limit load no {kinematics.gradient_name} "
                f"brings it: prescribe the {kinematics.gradient_name} instead"
            )
        return (
            f"the material test failed at gradient {place(self.gradient * self.scale)} and flux "
            f"{place(self.response.flux / self.scale)} (components {', '.join(kinematics.components)}), "
            f"at time {self.rows[-1][0]:.6g}: {text}"
        )

    def _solve(self, dt: float, gradient: Array, flux: Array) -> None:
        """Newton's method on the gradient components whose flux is prescribed.

        It starts from the elastic tangent, which unloading follows, and where that fails from the
        consistent one: where the material flows, the tangent of the last step sends unloading far into
        reverse loading.
        """
        try:
            self._newton(dt, gradient, flux, self.elastic)
        except MicroSolveError:
            self._newton(dt, gradient, flux, self.response.tangent)

    def _newton(self, dt: float, gradient: Array, flux: Array, predictor: Array) -> None:
        free, control, before = np.isnan(gradient), self.control, self.response.flux
        trial = np.where(free, self.gradient, gradient)
        residual = np.where(free, flux - before - predictor @ (trial - self.gradient), 0.0)
        trial += control.correction(predictor, residual, free)
        expected = before + self.elastic @ (trial - self.gradient)
        state, error = np.empty_like(self.state), np.inf
        for _ in range(_MAX_ITERATIONS):
            response = self.model.solve(trial, self.state, dt, state)
            self.iterations += response.iterations
            residual = np.where(free, flux - response.flux, 0.0)
            # of a flux that is not prescribed what was expected counts, where it was not found to be smaller
            follows = np.minimum(np.abs(expected), np.abs(response.flux))
            scale = control.scale(np.where(free, flux, follows), self.gradient)
            last, error = error, control.error(residual, scale)
            if error <= self.tolerance:
                return self._accept(trial, response, state)
            change = control.correction(response.tangent, residual, free)
            if error > last / 2.0 and control.is_negligible(change, trial, self.tolerance):
                return self._accept(trial, response, state)  # the accuracy of the cell allows no better
            trial = trial + change
        raise MicroSolveError(f"{_NOT_REACHED} in {_MAX_ITERATIONS} iterations")

    def _accept(self, gradient: Array, response: Response, state: Array) -> None:
        self.gradient, self.response, self.state = gradient, response, state
        self.control.reached(response.flux)

    def record(self, time: float) -> None:
        """Add a row with the present gradient and flux."""
        self.rows.append((time, self.gradient * self.scale, self.response.flux / self.scale, self.iterations))
        self.states.append(self.state)
        self.iterations = 0

    def result(self) -> MaterialTest:
        times, gradients, fluxes, iterations = zip(*self.rows, strict=True)
        kinematics, averages = self.model.kinematics, self.model.averages(np.array(self.states))
        local = kinematics.local_components
        unheld = zip(kinematics.components, self.control.unheld, strict=True)
        if names := tuple(name for name, is_unheld in unheld if is_unheld):
            self._warn(names)
        return MaterialTest(
            components=kinematics.components,
            times=np.array(times),
            gradient=np.array(gradients),
            flux=np.array(fluxes),
            averages=plain_history(averages, local),
            history=history_columns(averages, local),
            iterations=np.array(iterations, dtype=np.int64),
            state=self.state,
            unheld=names,
        )

    def _warn(self, unheld: tuple[str, ...]) -> None:
        kinematics = self.model.kinematics
        warnings.warn(
            f"nothing holds the cell in {', '.join(unheld)}: it has no stiffness there, and where the "
            f"{kinematics.flux_name} of these components is prescribed, their {kinematics.gradient_name} is "
            "left as it was",
            Fe2Warning,
            stacklevel=2,
        )
