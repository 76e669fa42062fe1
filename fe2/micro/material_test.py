"""Material tests on one cell: paths of prescribed gradient components and prescribed flux components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fe2.errors import InputError, MicroSolveError
from fe2.physics.kinematics import Kinematics
from fe2.response import Response

if TYPE_CHECKING:
    from fe2.micro.rve import RVE

Array = npt.NDArray[np.float64]

_SMALLEST_PART = 2.0**-10
_MAX_ITERATIONS = 25


@dataclass(frozen=True)
class MaterialPath:
    """A path of reported components (engineering shear strains) over time.

    Each component is prescribed either as gradient or as flux; one that is named in neither is
    free of flux, as the sides of a specimen are. A value that is not a number hands the component
    to the other kind for that point of the path, so control may change from one point to the next.

    Attributes:
        times: Times of the points of the path, increasing; the first is the start of the test, the
            virgin cell, at which all prescribed values are zero.
        gradient: Prescribed gradient components by name, e.g. {"xx": ...}, each of shape (len(times),).
        flux: Prescribed flux components by name, likewise.
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
        averages: Volume averages of the history variables by name, shape (rows, components).
        iterations: Linear systems solved for each row.
        state: State of the cell at the end.
    """

    components: tuple[str, ...]
    times: Array
    gradient: Array
    flux: Array
    averages: dict[str, Array]
    iterations: npt.NDArray[np.int64]
    state: Array


def material_test(rve: RVE, path: MaterialPath, *, tolerance: float = 1e-9) -> MaterialTest:
    """Drive a cell along a path; an increment that fails is halved.

    Args:
        rve: The cell.
        path: The path.
        tolerance: Error in the prescribed fluxes relative to the flux of an elastic response.

    Raises:
        InputError: The path does not fit the cell.
        MicroSolveError: An increment failed at 1/1024 of its length.
    """
    table = _tabulated(path, rve.kinematics)
    driver = _Driver(rve, tolerance)
    driver.record(float(path.times[0]))
    for start, end, (gradient, flux) in zip(path.times[:-1], path.times[1:], table[1:], strict=True):
        for k in range(path.increments):
            # the remaining way to the point of the path is cut into equal parts
            fraction = 1.0 / (path.increments - k)
            length = (end - start) / path.increments
            driver.advance(length, *driver.towards(gradient, flux, fraction))
            driver.record(float(start + (k + 1) * length))
    return driver.result()


def _tabulated(path: MaterialPath, kinematics: Kinematics) -> list[tuple[Array, Array]]:
    """Prescribed gradient and flux at each point of the path, not a number where the other rules."""
    times = np.asarray(path.times, dtype=np.float64)
    if times.ndim != 1 or len(times) < 2 or np.any(np.diff(times) <= 0):
        raise InputError(
            f"the times of a path must increase from its start to its end, at least two of them: {times}"
        )
    if path.increments < 1:
        raise InputError(f"increments = {path.increments} is not admissible; it must be 1 or more")
    components = kinematics.components
    columns = {"gradient": path.gradient, "flux": path.flux}
    virgin = {"gradient": kinematics.origin * kinematics.scale, "flux": np.zeros(len(components))}
    values = {kind: np.full((len(times), len(components)), np.nan) for kind in columns}
    for kind, named in columns.items():
        for name, column in named.items():
            if name not in components:
                raise InputError(
                    f"the path prescribes {name!r}, but the components are {', '.join(components)}"
                )
            if np.shape(column) != times.shape:
                raise InputError(f"{kind} {name!r} has {np.size(column)} values for {len(times)} times")
            number = components.index(name)
            values[kind][:, number] = column
            if np.isfinite(column[0]) and column[0] != virgin[kind][number]:
                raise InputError(
                    f"{kind} {name!r} starts at {column[0]}; a path starts from the virgin cell, at "
                    f"{virgin[kind][number]:g}"
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
    values["flux"][neither] = 0.0
    return list(zip(values["gradient"], values["flux"], strict=True))


class _Driver:
    """Advances one cell; holds its committed state and response."""

    def __init__(self, rve: RVE, tolerance: float) -> None:
        self.rve, self.tolerance = rve, tolerance
        self.scale = rve.kinematics.scale
        self.state = rve.initial_state()
        self.gradient = rve.kinematics.origin.copy()
        self.response = rve.solve(self.gradient, self.state, 0.0, np.empty_like(self.state))
        self.elastic = self.response.tangent
        self.stiffness = float(np.linalg.norm(self.elastic))
        self.rows: list[tuple[float, Array, Array, int]] = []
        self.averages: list[dict[str, Array]] = []
        self.iterations = 0

    def towards(self, gradient: Array, flux: Array, fraction: float) -> tuple[Array, Array]:
        """Targets a fraction of the way from here to a point of the path, in internal components."""
        here_gradient, here_flux = self.gradient, self.response.flux
        goal_gradient, goal_flux = gradient / self.scale, flux * self.scale
        return (
            here_gradient + fraction * (goal_gradient - here_gradient),
            here_flux + fraction * (goal_flux - here_flux),
        )

    def advance(self, dt: float, gradient: Array, flux: Array) -> None:
        """Reach the targets within a time dt, in parts where the whole fails."""
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
                    raise MicroSolveError(
                        f"the material test failed at gradient {self.gradient * self.scale} "
                        f"(components {', '.join(self.rve.kinematics.components)}): {error}"
                    ) from error
                continue
            done += part

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
        free = np.isnan(gradient)
        trial = np.where(free, self.gradient, gradient)
        residual = np.where(free, flux - self.response.flux - predictor @ (trial - self.gradient), 0.0)
        trial[free] += self._correction(predictor, residual, free)
        state = np.empty_like(self.state)
        for _ in range(_MAX_ITERATIONS):
            response = self.rve.solve(trial, self.state, dt, state)
            self.iterations += response.iterations
            residual = np.where(free, flux - response.flux, 0.0)
            # an unloaded cell ends at no strain and no stress: the way there has a scale too
            strain = max(np.linalg.norm(trial), np.linalg.norm(self.gradient))
            force = max(self.stiffness * strain, np.linalg.norm(response.flux))
            if np.linalg.norm(residual) <= self.tolerance * force:
                self.state, self.gradient, self.response = state, trial, response
                return
            trial = trial.copy()
            trial[free] += self._correction(response.tangent, residual, free)
        raise MicroSolveError(f"the prescribed fluxes were not reached in {_MAX_ITERATIONS} iterations")

    @staticmethod
    def _correction(tangent: Array, residual: Array, free: npt.NDArray[np.bool_]) -> Array:
        try:
            correction: Array = np.linalg.solve(tangent[np.ix_(free, free)], residual[free])
        except np.linalg.LinAlgError as error:
            raise MicroSolveError("the tangent of the components with prescribed flux is singular") from error
        return correction

    def record(self, time: float) -> None:
        """Add a row with the present gradient and flux."""
        response: Response = self.response
        self.rows.append((time, self.gradient * self.scale, response.flux / self.scale, self.iterations))
        self.averages.append(self.rve.averages(self.state[None, :]))
        self.iterations = 0

    def result(self) -> MaterialTest:
        times, gradients, fluxes, iterations = zip(*self.rows, strict=True)
        names = self.averages[0]
        return MaterialTest(
            components=self.rve.kinematics.components,
            times=np.array(times),
            gradient=np.array(gradients),
            flux=np.array(fluxes),
            averages={name: np.concatenate([row[name] for row in self.averages]) for name in names},
            iterations=np.array(iterations, dtype=np.int64),
            state=self.state,
        )
