r"""What laws of von Mises type with a nonlinear local equation share: the radial return and its tangent.

Backward Euler of any isotropic law with the flow direction of von Mises leaves the direction of the
trial stress as it is, so a scalar is all that has to be solved for at a point: the increment
:math:`\Delta p` of the equivalent plastic strain (Simo & Hughes 1998, ch. 3). A law hands it over as a
function of the trial overstress; stress, tangent and new history follow here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fe2.errors import LocalSolveError
from fe2.physics.checks import NOT_NEGATIVE, POISSON, POSITIVE, check_fields
from fe2.physics.law import ON_YIELD_SURFACE, Array, PointLaw, PointResponse
from fe2.stiffness import (
    bulk_modulus,
    deviatoric_projector,
    isotropic_eigenvalues,
    shear_modulus,
    volumetric_projector,
)


@dataclass(frozen=True)
class RadialReturnLaw(PointLaw):
    r"""An isotropic law with von Mises flow and linear kinematic (Prager) hardening.

    Its parameters may be arrays with a row for each point, of the shape (n,) of the scalars of points.

    Attributes:
        young: Young's modulus E.
        poisson: Poisson's ratio.
        kinematic_hardening: :math:`H_k` of the back stress :math:`X = \frac23 H_k \varepsilon_p`.
    """

    broadcasts: ClassVar[bool] = True

    young: float
    poisson: float
    kinematic_hardening: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, young=POSITIVE, poisson=POISSON, kinematic_hardening=NOT_NEGATIVE)

    def moduli(self) -> tuple[float, ...]:
        """Twice the shear modulus, three times the bulk modulus."""
        return isotropic_eigenvalues(self.young, self.poisson)

    @abstractmethod
    def strength(self, accumulated: Array) -> Array:
        """Equivalent stress up to which nothing flows, at the accumulated plastic strain p, shape (n,)."""

    @abstractmethod
    def increment(self, overstress: Array, accumulated: Array, dt: float) -> tuple[Array, Array]:
        r"""Increment of the equivalent plastic strain at points that flow, and its derivative.

        In the step the equivalent stress falls by `self.return_modulus` times the increment.

        Args:
            overstress: Equivalent trial stress less `strength` at the beginning of the step, positive,
                shape (n,).
            accumulated: Accumulated plastic strain at the beginning of the step, shape (n,).
            dt: Time step.

        Returns:
            :math:`\Delta p` and its derivative with respect to the overstress, each of shape (n,).

        Raises:
            LocalSolveError: The local equation was not solved at some of these points.
        """

    @property
    def return_modulus(self) -> float:
        r"""Fall of the equivalent stress for each unit of :math:`\Delta p`: :math:`3G + H_k`."""
        return 3.0 * shear_modulus(self.young, self.poisson) + self.kinematic_hardening

    @property
    def isochoric(self) -> bool:
        """Plastic flow keeps the volume."""
        return True

    def history(self, size: int) -> dict[str, int]:
        """Plastic strain in Mandel components, and its accumulated equivalent p."""
        return {"plastic_strain": size, "equivalent_plastic_strain": 1}

    def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> PointResponse:
        r"""Stress, consistent tangent and new history.

        With the trial direction :math:`N = \xi / q`, :math:`q = \sqrt{\frac32 \xi : \xi}`, of the relative
        trial stress :math:`\xi = \mathrm{dev}\,\sigma^{trial} - X_n`:

        .. math::

            \sigma = \sigma^{trial} - 3G\,\Delta p\,N, \qquad
            A = C - 6G^2 \frac{\Delta p}{q} P_{dev}
                - 9G^2 \left(\frac{d\Delta p}{dq} - \frac{\Delta p}{q}\right) N \otimes N

        See `PointLaw.respond` for arguments and errors.
        """
        size = gradient.shape[1]
        bulk, shear = (_column(f(self.young, self.poisson)) for f in (bulk_modulus, shear_modulus))
        volumetric, deviatoric = volumetric_projector(size), deviatoric_projector(size)
        plastic_strain, accumulated = history["plastic_strain"], history["equivalent_plastic_strain"]
        elastic_strain = gradient - plastic_strain
        back_stress = 2.0 / 3.0 * _column(self.kinematic_hardening) * plastic_strain
        relative = 2.0 * shear * (elastic_strain @ deviatoric) - back_stress
        with np.errstate(over="ignore"):  # an infinite stress is refused below
            equivalent = np.sqrt(1.5 * np.sum(relative**2, axis=1))
        increment, slope = self._flow(equivalent, accumulated[:, 0], dt)

        scale = np.where(equivalent > 0.0, equivalent, 1.0)
        direction = relative / scale[:, None]
        ratio = increment / scale
        plastic_increment = 1.5 * increment[:, None] * direction
        along = 9.0 * shear**2 * (slope - ratio)[:, None]
        across = 6.0 * shear**2 * ratio[:, None]
        elastic = (3.0 * bulk)[..., None] * volumetric + (2.0 * shear - across)[..., None] * deviatoric
        return PointResponse(
            flux=3.0 * bulk * (elastic_strain @ volumetric)
            + 2.0 * shear * (elastic_strain @ deviatoric - plastic_increment),
            tangent=elastic - (along * direction)[:, :, None] * direction[:, None, :],
            history={
                "plastic_strain": plastic_strain + plastic_increment,
                "equivalent_plastic_strain": accumulated + increment[:, None],
            },
        )

    def _flow(self, equivalent: Array, accumulated: Array, dt: float) -> tuple[Array, Array]:
        """Increment and its derivative at all points, zero where nothing flows."""
        invalid = np.flatnonzero(~np.isfinite(equivalent))
        if invalid.size:
            raise LocalSolveError(
                f"{type(self).__name__}: the strain is not finite or too large", tuple(invalid.tolist())
            )
        increment, slope = np.zeros_like(equivalent), np.zeros_like(equivalent)
        strength = self.strength(accumulated)
        overstress = equivalent - strength
        active = np.flatnonzero(overstress > ON_YIELD_SURFACE * strength)
        try:
            law = self.with_constants(lambda value: value[active] if isinstance(value, np.ndarray) else value)
            increment[active], slope[active] = law.increment(overstress[active], accumulated[active], dt)
        except LocalSolveError as error:
            failed = tuple(active[list(error.points)].tolist())
            raise LocalSolveError(f"{type(self).__name__}: {error}", failed) from error
        return increment, slope


def _column(values: float | Array) -> Array:
    """Scalars of points as a factor of their vectors: shape (n, 1), or (1,) for a number."""
    return np.asarray(values)[..., None]


def newton(correction: Callable[[Array], Array], start: Array) -> Array:
    """Newton's method for independent scalar equations, until no correction exceeds 1e-14 of its unknown.

    There is no safeguard: a law chooses an unknown in which its equation is monotone and convex or
    concave, and a start on the side from which Newton's method then converges without overshooting.

    Args:
        correction: Newton's correction at the unknowns, both of shape (n,).
        start: Starting values, shape (n,), none of them zero unless it is the solution.

    Raises:
        LocalSolveError: Not converged in 50 iterations.
    """
    unknown = start
    for _ in range(50):
        step = correction(unknown)
        unknown = unknown + step
        moving = ~(np.abs(step) <= 1e-14 * np.abs(unknown))
        if not moving.any():
            return unknown
    raise LocalSolveError(
        f"local Newton not converged in 50 iterations at {np.count_nonzero(moving)} of {moving.size} points",
        tuple(np.flatnonzero(moving).tolist()),
    )
