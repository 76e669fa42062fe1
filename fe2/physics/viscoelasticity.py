"""Linear viscoelasticity: a generalized Maxwell body in the terms of a Prony series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

import fe2.lazy_ufl as ufl
from fe2.arrays import Array, Complex
from fe2.errors import InputError
from fe2.physics.checks import FINITE, NOT_NEGATIVE, POISSON, POSITIVE, check_fields, checked, checked_array
from fe2.physics.law import ExpressionLaw
from fe2.stiffness import bulk_modulus, isotropic_eigenvalues, shear_modulus

if TYPE_CHECKING:
    from ufl.core.expr import Expr

_SHORT = 1e-3
"""Length of a step, relative to a relaxation time, below which its series is exact to round-off."""


@dataclass(frozen=True, eq=False)
class Viscoelastic(ExpressionLaw):
    r"""Isotropic linear viscoelasticity.

    .. math::

        G(t) = G_0 \Big(1 - \sum_i g_i (1 - e^{-t/\tau_i})\Big), \qquad
        K(t) = K_0 \Big(1 - \sum_i k_i (1 - e^{-t/\tau_i})\Big)

    are the moduli of relaxation, :math:`G_0, K_0` those of a sudden strain. Each term is a spring and a
    dashpot in series. The elastic strain a of a spring is exact for a strain of constant rate in the step
    (Taylor, Pister & Goudreau, Int. J. Numer. Methods Eng. 2 (1970) 45),

    .. math:: a_{n+1} = e^{-x} a_n + \frac{1 - e^{-x}}{x}\,(\varepsilon_{n+1} - \varepsilon_n), \qquad
        x = \Delta t/\tau.

    Attributes:
        young: Young's modulus of a sudden strain, positive.
        poisson: Poisson's ratio of a sudden strain.
        times: Relaxation times :math:`\tau_i`, positive.
        shear: Shares :math:`g_i` of the shear modulus that relax, not negative, below 1 in sum.
        bulk: Shares :math:`k_i` of the bulk modulus, likewise.

    Raises:
        InputError: A parameter is not admissible, or not one for each time.
    """

    internal: ClassVar[tuple[str, ...]] = ("last_strain",)

    young: float
    poisson: float
    times: Array
    shear: Array
    bulk: Array

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_fields(self, young=POSITIVE, poisson=POISSON)
        shape = np.atleast_1d(self.times).shape
        for name in ("times", "shear", "bulk"):
            kind = POSITIVE if name == "times" else NOT_NEGATIVE
            array = checked_array(owner, name, np.atleast_1d(getattr(self, name)), shape)
            for value in array.tolist():
                checked(owner, name, value, kind)
            if name != "times" and not array.sum() < 1.0:
                raise InputError(
                    f"{owner}: {name} = {array.tolist()} is not admissible; the sum must be less than 1: "
                    "nothing would be left of the modulus in the end"
                )
            object.__setattr__(self, name, array)

    def moduli(self) -> tuple[float, ...]:
        """Those of a sudden strain: twice the shear modulus, three times the bulk modulus."""
        return isotropic_eigenvalues(self.young, self.poisson)

    def history(self, size: int) -> dict[str, int]:
        """The strain, and the elastic strain of each spring, in Mandel components."""
        return {"last_strain": size, **dict.fromkeys(self._springs(), size)}

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        """Stress."""
        bulk, shear = bulk_modulus(self.young, self.poisson), shear_modulus(self.young, self.poisson)
        new, terms = self.update(gradient, history, dt), range(len(self.times))
        # the spring beside the terms holds what is left of the moduli
        stress = self._stress(
            bulk * (1.0 - sum(self.bulk[i] for i in terms)),
            shear * (1.0 - sum(self.shear[i] for i in terms)),
            gradient,
        )
        for i, name in enumerate(self._springs()):
            stress += self._stress(bulk * self.bulk[i], shear * self.shear[i], new[name])
        return stress

    def update(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> dict[str, Expr]:
        """Strain, and elastic strains of the springs, at the end of the step."""
        found: dict[str, Expr] = {"last_strain": gradient}
        change = gradient - history["last_strain"]
        for i, name in enumerate(self._springs()):
            x = dt / self.times[i]
            long = (1.0 - ufl.exp(-x)) / ufl.conditional(ufl.gt(x, _SHORT), x, 1.0)
            series = 1.0 - x / 2.0 + x**2 / 6.0 - x**3 / 24.0 + x**4 / 120.0
            found[name] = (
                ufl.exp(-x) * history[name] + ufl.conditional(ufl.gt(x, _SHORT), long, series) * change
            )
        return found

    def complex_moduli(self, frequency: float) -> tuple[complex, complex]:
        r"""Bulk and shear modulus of a vibration :math:`e^{i\omega t}`.

        .. math:: G^*(\omega) = G_0 \Big(1 - \sum_i g_i \frac{1}{1 + i\omega\tau_i}\Big)

        Args:
            frequency: :math:`\omega/2\pi`, one over the units of time.
        """
        relaxed = 1.0 / (1.0 + 2j * np.pi * frequency * self.times)
        bulk, shear = bulk_modulus(self.young, self.poisson), shear_modulus(self.young, self.poisson)
        return bulk * complex(1.0 - self.bulk @ relaxed), shear * complex(1.0 - self.shear @ relaxed)

    def relaxed_tangent(self, frequency: float, size: int) -> Complex:
        """What of the stiffness has relaxed; see `PhaseLaw.relaxed_tangent`."""
        sudden = bulk_modulus(self.young, self.poisson), shear_modulus(self.young, self.poisson)
        bulk, shear = (at - of for at, of in zip(self.complex_moduli(frequency), sudden, strict=True))
        identity = np.array([1.0, 1.0, 1.0] + [0.0] * (size - 3))
        return (bulk - 2.0 / 3.0 * shear) * np.outer(identity, identity) + 2.0 * shear * np.eye(size)

    def _springs(self) -> list[str]:
        return [f"elastic_strain_{i + 1}" for i in range(len(self.times))]

    @staticmethod
    def _stress(bulk: Expr, shear: Expr, strain: Expr) -> Expr:
        identity = ufl.as_vector([1.0, 1.0, 1.0] + [0.0] * (strain.ufl_shape[0] - 3))
        volume = strain[0] + strain[1] + strain[2]
        return (bulk - 2.0 / 3.0 * shear) * volume * identity + 2.0 * shear * strain


def viscoelastic(
    young: float,
    poisson: float,
    times: npt.ArrayLike,
    shear: npt.ArrayLike,
    bulk: npt.ArrayLike | None = None,
    temperature: float | None = None,
    reference_temperature: float | None = None,
    shift: npt.ArrayLike | None = None,
) -> Viscoelastic:
    r"""Isotropic linear viscoelasticity by a Prony series, at a temperature.

    Times at a temperature T are those at the reference temperature times
    :math:`10^{-C_1 (T - T_r)/(C_2 + T - T_r)}` (Williams, Landel & Ferry, J. Am. Chem. Soc. 77 (1955) 3701).

    Args:
        young: Young's modulus of a sudden strain, positive.
        poisson: Poisson's ratio of a sudden strain, between -1 and 0.5.
        times: Relaxation times, positive: a number or a list.
        shear: Shares of the shear modulus that relax, one for each time, not negative, below 1 in sum.
        bulk: Shares of the bulk modulus, likewise; none relaxes where they are left out.
        temperature: The temperature, where times shift.
        reference_temperature: The temperature of `times`.
        shift: Constants C₁ and C₂ (a difference of temperatures) of Williams, Landel and Ferry.

    Raises:
        InputError: A parameter is not admissible, or some of those of the shift are missing.
    """
    given = {"temperature": temperature, "reference_temperature": reference_temperature, "shift": shift}
    missing = [name for name, value in given.items() if value is None]
    factor = 1.0
    if missing and len(missing) < len(given):
        raise InputError(
            f"viscoelastic: {missing[0]} is missing beside {', '.join(n for n in given if n not in missing)}"
        )
    if not missing:
        difference = checked("viscoelastic", "temperature", temperature, FINITE) - checked(
            "viscoelastic", "reference_temperature", reference_temperature, FINITE
        )
        assert shift is not None
        first, second = checked_array("viscoelastic", "shift", shift, (2,)).tolist()
        if not second + difference > 0.0:
            raise InputError(
                f"viscoelastic: temperature = {temperature} is not admissible; it must be above "
                f"reference_temperature - C₂ = {reference_temperature} - {second}"
            )
        factor = 10.0 ** (-first * difference / (second + difference))
    series = np.atleast_1d(np.asarray(times, dtype=np.float64))
    none = np.zeros(series.shape) if bulk is None else np.asarray(bulk)
    return Viscoelastic(young, poisson, factor * series, np.asarray(shear), none)
