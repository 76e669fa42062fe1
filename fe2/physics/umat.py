r"""Abaqus's UMAT as a phase law: a subroutine of a shared object, in Fortran or C."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fe2.arrays import Array
from fe2.errors import InputError, LocalSolveError, MicroSolveError
from fe2.physics.checks import FINITE, POSITIVE, check_fields, checked_array
from fe2.physics.law import PointLaw, PointResponse
from fe2.tensors import shear_factors
from fe2.umat_libraries import library_file, registered_library
from fe2.umat_routine import Calls, Process, call, routine

_ORDER = {4: [0, 1, 2, 3], 6: [0, 1, 2, 5, 4, 3]}
"""Where Abaqus's components 11, 22, 33, 12, 13, 23 stand in a Mandel vector."""

_MOST_STATES = 10_000


@dataclass(frozen=True, eq=False)
class Umat(PointLaw):
    r"""A law of small strain that a subroutine UMAT computes.

    Abaqus has engineering shear strains, plain stresses and the order 11, 22, 33, 12, 13, 23; with
    :math:`f = \sqrt2` for shears

    .. math:: \sigma_{Mandel} = f\,\sigma, \qquad \varepsilon_{Mandel} = \varepsilon/f, \qquad
        A_{ij} = f_i\,\mathrm{DDSDDE}_{ij}\,f_j.

    A step in which PNEWDT comes back below 1 has failed at that point, and is cut. The routine gets zero for
    what a cell has not: coordinates and predefined fields; DROT and the deformation gradients are the
    identity, NOEL is 1, NPT counts the points of a call.

    Attributes:
        library: The shared object, or the name under which it was registered.
        props: PROPS.
        statev: Number of state variables, zero in the beginning where `initial_state` says nothing.
        initial_state: Their values in the beginning, shape (statev,).
        symbol: Name of the subroutine; that with an underscore, as of Fortran, is found too.
        material: CMNAME.
        temperature: TEMP, constant.
        element_length: CELENT, positive.
        is_symmetric: Whether DDSDDE is symmetric for every state.
        is_isolated: Run the routine in a process of its own, so that a crash is a failed point and no more.

    Raises:
        InputError: The library is not there, is not registered, cannot be loaded, has no such symbol, or a
            number is not admissible.
    """

    internal: ClassVar[tuple[str, ...]] = ("umat_strain", "umat_stress", "umat_time")

    library: str
    props: Array
    statev: int = 0
    initial_state: Array | None = None
    symbol: str = "umat"
    material: str = "FE2"
    temperature: float = field(default=0.0, kw_only=True)
    element_length: float = field(default=1.0, kw_only=True)
    is_symmetric: bool = field(default=False, kw_only=True)
    is_isolated: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_fields(self, temperature=FINITE, element_length=POSITIVE)
        props = np.atleast_1d(self.props)
        object.__setattr__(self, "props", checked_array(owner, "props", props, (len(props),)))
        if isinstance(self.statev, bool) or not 0 <= self.statev <= _MOST_STATES:
            raise InputError(
                f"{owner}: statev = {self.statev} is not admissible; it must be from 0 to {_MOST_STATES}"
            )
        if self.initial_state is not None:
            initial = checked_array(owner, "initial_state", self.initial_state, (self.statev,))
            object.__setattr__(self, "initial_state", initial)
        if self.is_isolated:
            self._process.check()
        else:
            routine(self.path, self.symbol)

    @cached_property
    def path(self) -> Path:
        """The shared object."""
        return library_file(self.library)

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Whether the tangent is symmetric for every state."""
        return self.is_symmetric

    def history(self, size: int) -> dict[str, int]:
        """Strain and stress in Mandel components, the time, and the state variables."""
        sizes = {"umat_strain": size, "umat_stress": size, "umat_time": 1}
        return {**sizes, "statev": self.statev} if self.statev else sizes

    def initial_history(self, size: int) -> dict[str, float | Array]:
        """Values of the state variables in the beginning."""
        return {} if self.initial_state is None else {"statev": self.initial_state}

    def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> PointResponse:
        """Stress, tangent and new history; see `PointLaw.respond` for arguments and errors."""
        (n, size), order = gradient.shape, _ORDER[gradient.shape[1]]
        factors = shear_factors(size)[order]
        # of all points that begin alike, as in the steps of a run, the time is one
        start = float(history["umat_time"][0, 0]) if n else 0.0
        old = history["umat_strain"][:, order] * factors
        calls = Calls(
            stress=np.ascontiguousarray(history["umat_stress"][:, order] / factors),
            state=np.array(history["statev"]) if self.statev else np.zeros((n, 0)),
            strain=np.ascontiguousarray(old),
            change=np.ascontiguousarray(gradient[:, order] * factors - old),
            tangent=np.zeros((n, size, size)),
            ratio=np.ones(n),
            properties=self.props,
            numbers=np.array([start, dt, self.temperature, 0.0, self.element_length]),
        )
        self._call(calls)
        answers = (calls.stress, calls.state, calls.tangent.reshape(n, size * size))
        sound = np.logical_and.reduce([np.isfinite(answer).all(axis=1) for answer in answers])
        refused = ~(sound & (calls.ratio >= 1.0))
        if refused.any():
            points = np.flatnonzero(refused)
            raise LocalSolveError(
                f"UMAT {self.library}: PNEWDT = {calls.ratio[points[0]]:.3g} or values that are not finite "
                f"at {len(points)} of {n} points",
                tuple(points.tolist()),
            )
        back = np.argsort(order)
        tangent = np.swapaxes(calls.tangent, 1, 2) * np.outer(factors, factors)
        stress = (calls.stress * factors)[:, back]
        new = {"umat_strain": gradient.copy(), "umat_stress": stress, "umat_time": history["umat_time"] + dt}
        if self.statev:
            new["statev"] = calls.state
        return PointResponse(stress, tangent[:, back][:, :, back], new)

    def _call(self, calls: Calls) -> None:
        if not self.is_isolated:
            call(routine(self.path, self.symbol), calls, self.material)
            return
        try:
            self._process.call(calls, self.material)
        except MicroSolveError as error:
            raise LocalSolveError(f"UMAT: {error}", tuple(range(len(calls.stress)))) from error

    @cached_property
    def _process(self) -> Process:
        return Process(self.path, self.symbol)


def umat(
    library: str,
    props: npt.ArrayLike,
    statev: int = 0,
    initial_state: npt.ArrayLike | None = None,
    material: str = "FE2",
    temperature: float = 0.0,
    element_length: float = 1.0,
    symmetric: bool = False,
    isolated: bool = False,
) -> Umat:
    """A law of small strain that Abaqus's UMAT of a registered library computes.

    Args:
        library: Name under which the shared object was registered by `fe2 umat NAME FILE`, never a path; its
            subroutine is the one that was registered.
        props: Constants PROPS: a number or a list.
        statev: Number of state variables.
        initial_state: Their values in the beginning, zeros where they are left out.
        material: Name of the material CMNAME.
        temperature: TEMP, constant.
        element_length: CELENT, positive.
        symmetric: Whether DDSDDE is symmetric for every state.
        isolated: Run the subroutine in a process of its own, so that a crash is a failed point and no more.
    """
    symbol = registered_library(library).symbol
    start: Any = initial_state
    return Umat(
        library,
        np.atleast_1d(np.asarray(props, dtype=np.float64)),
        statev,
        start,
        symbol,
        material,
        temperature=temperature,
        element_length=element_length,
        is_symmetric=symmetric,
        is_isolated=isolated,
    )
