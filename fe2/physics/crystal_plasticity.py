r"""Crystal plasticity in small strain: slip on the systems of a lattice, with a power law of its rate.

.. math::

    \sigma = C : (\varepsilon - \sum_\alpha \gamma_\alpha P_\alpha), \qquad
    \dot\gamma_\alpha = \dot\gamma_0 \left|\frac{\tau_\alpha - x_\alpha}{g_\alpha}\right|^n
        \operatorname{sign}(\tau_\alpha - x_\alpha), \qquad \tau_\alpha = P_\alpha : \sigma

with the symmetric Schmid tensors P (Peirce, Asaro & Needleman, Acta Metall. 31 (1983) 1951).
A step is solved by :mod:`fe2.physics.slip_step`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.physics.checks import (
    AT_LEAST_ONE,
    EXPONENT,
    FINITE,
    NOT_NEGATIVE,
    POSITIVE,
    Admissible,
    checked,
    checked_array,
    checked_positive_definite,
    checked_rotation,
)
from fe2.physics.law import PointLaw, PointResponse
from fe2.physics.slip_step import SlipStep
from fe2.physics.slip_systems import HEXAGONAL, INTERACTIONS, SlipSystems
from fe2.tensors import mandel_rotation, positions_in_full

type Number = float | npt.ArrayLike


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalPlasticity(PointLaw):
    r"""A crystal that deforms elastically and by slip.

    In a time step the resistance grows by what its beginning tells,

    .. math::

        g_\alpha = g_\alpha^n + \sum_\beta q_{\alpha\beta}\,h_\beta\,|\Delta\gamma_\beta|, \qquad
        h_\beta = h_0 \left|1 - \frac{g_\beta^n}{g_\infty}\right|^a
            \operatorname{sign}\left(1 - \frac{g_\beta^n}{g_\infty}\right),

    and the back stress is that of Armstrong and Frederick,
    :math:`\dot x_\alpha = c\,\dot\gamma_\alpha - d\,x_\alpha\,|\dot\gamma_\alpha|`.

    Attributes:
        systems: The slip systems, S of them.
        stiffness: C in the axes of the crystal, Mandel components, shape (6, 6).
        rotation: Mandel rotation from the axes of the crystal to those of the cell, shape (6, 6).
        reference_rate: Rate of slip :math:`\dot\gamma_0` at a stress that is the resistance; positive.
        exponent: n, at least 1.
        resistance: Initial resistance of each system, positive, shape (S,).
        saturation: Resistance :math:`g_\infty` at which hardening ends, shape (S,).
        hardening: Initial hardening modulus :math:`h_0`, shape (S,), not negative.
        hardening_exponent: a, at least 1.
        interaction: Factors q by the kind of a pair of systems, see `SlipSystems.kinds`.
        kinematic_hardening: Modulus c of the back stress, not negative.
        dynamic_recovery: Its recovery d, not negative, dimensionless.
    """

    symmetric: ClassVar[bool] = False
    broadcasts: ClassVar[bool] = True

    systems: SlipSystems
    stiffness: Array
    rotation: Array
    reference_rate: float
    exponent: float
    resistance: Array
    saturation: Array
    hardening: Array
    hardening_exponent: float
    interaction: Array
    kinematic_hardening: float = 0.0
    dynamic_recovery: float = 0.0

    @property
    def isochoric(self) -> bool:
        """Slip keeps the volume."""
        return True

    def moduli(self) -> tuple[float, ...]:
        """Eigenvalues of the stiffness."""
        return tuple(np.linalg.eigvalsh(self.stiffness).tolist())

    def history(self, size: int) -> dict[str, int]:
        """Slip, resistance and back stress of each system; the accumulated slip of all."""
        count = self.systems.count
        return {"slip": count, "slip_resistance": count, "back_stress": count, "accumulated_slip": 1}

    def initial_history(self, size: int) -> dict[str, float | Array]:
        """The initial resistance."""
        return {"slip_resistance": self.resistance}

    def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> PointResponse:
        r"""Stress, consistent tangent and new history.

        With :math:`D = \partial\gamma/\partial\tau` and the derivative N of what resists,

        .. math:: A = (C^{-1} + P^T N^{-1} D P)^{-1}, \qquad
            N_{\alpha\beta} = \delta_{\alpha\beta}(1 + D_\alpha\,\partial_{\gamma}x_\alpha)
            + D_\alpha \frac{\tau_\alpha - x_\alpha}{g_\alpha}\,q_{\alpha\beta} h_\beta
            \operatorname{sign}\gamma_\beta.

        See `PointLaw.respond` for arguments and errors.
        """
        columns = list(positions_in_full(gradient.shape[1]))
        from_crystal = np.swapaxes(self.rotation[..., columns, :], -1, -2)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
            strain = (from_crystal @ gradient[:, :, None])[:, :, 0]
            elastic = strain - history["slip"] @ self.systems.schmid
            step = self._step(elastic, history, dt)
            found = step.solved()
            tangent = step.tangent(found)
        return PointResponse(
            flux=(found.stress[:, None, :] @ from_crystal)[:, 0],
            tangent=np.swapaxes(from_crystal, -1, -2) @ tangent @ from_crystal,
            history={
                "slip": history["slip"] + found.slip,
                "slip_resistance": step.resistance(found.slip),
                "back_stress": step.back_stress(found.slip)[0],
                "accumulated_slip": history["accumulated_slip"] + np.abs(found.slip).sum(axis=1)[:, None],
            },
        )

    def _step(self, elastic: Array, history: Mapping[str, Array], dt: float) -> SlipStep:
        """The step of points from an elastic strain, shape (n, 6)."""
        n, old = len(elastic), history["slip_resistance"]

        def scalar(value: float | Array) -> Array:
            return np.broadcast_to(np.asarray(value, dtype=np.float64)[..., None], (n, 1))

        room = 1.0 - old / self.saturation
        moduli = self.hardening * np.abs(room) ** scalar(self.hardening_exponent) * np.sign(room)
        return SlipStep(
            systems=self.systems,
            compliance=np.broadcast_to(np.linalg.inv(self.stiffness), (n, 6, 6)),
            trial=elastic,
            old=old,
            interaction=np.broadcast_to(
                self.interaction[..., self.systems.kinds], (n, *self.systems.kinds.shape)
            ),
            moduli=moduli,
            before=history["back_stress"],
            kinematic=scalar(self.kinematic_hardening),
            recovery=scalar(self.dynamic_recovery),
            most=scalar(self.reference_rate) * dt,
            exponent=scalar(self.exponent),
        )


def crystal_plasticity(
    c11: float,
    c12: float,
    c44: float,
    resistance: Number,
    reference_rate: float,
    exponent: float,
    family: str = "fcc",
    c13: float | None = None,
    c33: float | None = None,
    axis_ratio: float = 1.633,
    hardening: Number = 0.0,
    saturation: Number | None = None,
    hardening_exponent: float = 1.0,
    latent: float = 1.4,
    interaction: npt.ArrayLike | None = None,
    kinematic_hardening: float = 0.0,
    dynamic_recovery: float = 0.0,
    orientation: npt.ArrayLike | None = None,
) -> CrystalPlasticity:
    """A cubic or hexagonal crystal that slips by a power law of the rate.

    Args:
        c11: Elastic constant in the crystal's axes, positive; likewise `c12`, `c44`.
        c12: See `c11`.
        c44: See `c11`.
        resistance: Initial resistance against slip, positive: of all systems, or a list with one for each
            mode of the family (bcc24: {110} and {112}; hcp: basal, prismatic, pyramidal).
        reference_rate: Rate of slip at a resolved stress that is the resistance, positive, 1 over time.
        exponent: Exponent n of the power law, from 1 to 1000; the inverse of the rate sensitivity.
        family: Slip systems: "fcc", "bcc12", "bcc24", "bcc48", "hcp", "hcp_basal" or "hcp_prismatic".
        c13: Of hexagonal crystals: see `c11`; c66 is (c11 - c12)/2.
        c33: Of hexagonal crystals: see `c11`.
        axis_ratio: Of hexagonal crystals: c/a.
        hardening: Initial hardening modulus, not negative: of all systems, or one for each mode.
        saturation: Resistance at which hardening ends, above `resistance`; needed where something hardens.
        hardening_exponent: Exponent of the approach to the saturation, at least 1.
        latent: Hardening by slip in other planes over that by a system's own; positive. That by slip in its
            own plane is 1.
        interaction: In the place of `latent`, for fcc: six factors for the system itself and for coplanar,
            collinear, Hirth, glissile and Lomer pairs, not negative.
        kinematic_hardening: Modulus of the back stress of a system, not negative.
        dynamic_recovery: Recovery of the back stress, not negative.
        orientation: Rotation matrix whose columns are the crystal's axes, shape (3, 3);
            `fe2.rotation_from_bunge` makes one from Euler angles. Unrotated where None.

    Raises:
        InputError: A parameter is not admissible, or one is missing or does not belong to the family.
    """
    owner = "crystal_plasticity"
    systems = SlipSystems(family, axis_ratio)
    is_hexagonal = family in HEXAGONAL
    for name, value in (("c13", c13), ("c33", c33)):
        if (value is None) == is_hexagonal:
            needed = "is missing" if is_hexagonal else "is of hexagonal crystals only"
            raise InputError(f"{owner}: {name} {needed}: family = {family!r}")
    modes = int(systems.mode.max()) + 1
    start = _by_mode(owner, "resistance", resistance, modes, POSITIVE)
    growth = _by_mode(owner, "hardening", hardening, modes, NOT_NEGATIVE)
    if saturation is None and growth.any():
        raise InputError(
            f"{owner}: saturation is missing: hardening = {hardening!r} needs to know where it ends"
        )
    end = 2.0 * start if saturation is None else _by_mode(owner, "saturation", saturation, modes, POSITIVE)
    if np.any(end <= start):
        raise InputError(
            f"{owner}: saturation = {saturation!r} is not admissible; it must be above "
            f"resistance = {resistance!r}"
        )
    rotation = np.eye(3) if orientation is None else checked_rotation(owner, "orientation", orientation)
    return CrystalPlasticity(
        systems=systems,
        stiffness=_stiffness(owner, c11, c12, c44, c13, c33),
        rotation=mandel_rotation(rotation),
        reference_rate=checked(owner, "reference_rate", reference_rate, POSITIVE),
        exponent=checked(owner, "exponent", exponent, EXPONENT),
        resistance=start[systems.mode],
        saturation=end[systems.mode],
        hardening=growth[systems.mode],
        hardening_exponent=checked(owner, "hardening_exponent", hardening_exponent, AT_LEAST_ONE),
        interaction=_interaction(owner, family, latent, interaction),
        kinematic_hardening=checked(owner, "kinematic_hardening", kinematic_hardening, NOT_NEGATIVE),
        dynamic_recovery=checked(owner, "dynamic_recovery", dynamic_recovery, NOT_NEGATIVE),
    )


def _stiffness(owner: str, c11: float, c12: float, c44: float, c13: float | None, c33: float | None) -> Array:
    given = {"c11": c11, "c12": c12, "c44": c44, "c13": c13, "c33": c33}
    a, b, c, d, e = (checked(owner, n, v, FINITE) if v is not None else 0.0 for n, v in given.items())
    matrix = np.diag([a, a, a, 2.0 * c, 2.0 * c, 2.0 * c])
    matrix[:3, :3] += b * (1.0 - np.eye(3))
    if c33 is not None:
        matrix[:3, 2] = matrix[2, :3] = d
        matrix[2, 2], matrix[5, 5] = e, a - b
    return checked_positive_definite(owner, "the stiffness of c11, c12, c44", matrix)


def _by_mode(owner: str, name: str, value: Number, modes: int, admissible: Admissible) -> Array:
    """A number for each mode of slip."""
    given = np.full(modes, value) if np.ndim(value) == 0 else checked_array(owner, name, value, (modes,))
    return np.array([checked(owner, name, number, admissible) for number in given.tolist()])


def _interaction(owner: str, family: str, latent: float, given: npt.ArrayLike | None) -> Array:
    """Factors by the kind of a pair."""
    other = checked(owner, "latent", latent, POSITIVE)
    if given is None:
        return np.array([1.0, 1.0, *[other] * (4 if family == "fcc" else 1)])
    if family != "fcc":
        raise InputError(f"{owner}: interaction is of family = 'fcc' only, not {family!r}; latent is for all")
    factors = checked_array(owner, "interaction", given, (len(INTERACTIONS),))
    for name, factor in zip(INTERACTIONS, factors.tolist(), strict=True):
        checked(owner, f"interaction, {name}", factor, NOT_NEGATIVE)
    return factors
