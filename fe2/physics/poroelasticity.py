r"""Poroelasticity: strain, fluid pressure and its gradient; stress, fluid content and seepage.

A solid with pores that are small against it, full of one fluid at the pressure p (Biot, J. Appl. Phys. 12
(1941), 155–164; Coussy, Poromechanics, 2004, ch. 4):

.. math::

    \sigma = \sigma'(\varepsilon) - b\,p, \qquad
    \zeta = b : \varepsilon + p/M, \qquad
    j = \frac{k}{\mu}\,\nabla p,

with the stress σ' of the drained solid, Biot's tensor b and modulus M, permeability k and viscosity μ. The
fluid content ζ is the volume of fluid that a unit of volume has gained, measured at the pressure zero; the
seepage j is the *opposite* of the physical one, as all fluxes of fe2. p is what the pressure exceeds that of
the virgin state.

A :class:`Pore` is a hole of the cell with the fluid in it: it presses on its walls with p and stores p/K_f.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import fe2.lazy_ufl as ufl
from fe2.arrays import Array
from fe2.errors import InputError
from fe2.physics.checks import FINITE, POSITIVE, Admissible, checked
from fe2.physics.conduction import checked_conductivity
from fe2.physics.diffusion import slope
from fe2.physics.elasticity import LinearElastic
from fe2.physics.kinematics import Kinematics, scalar_value
from fe2.physics.law import ExpressionLaw, PhaseLaw, PointLaw
from fe2.physics.poroelastic_properties import characterize
from fe2.physics.small_strain import small_strain_kinematics
from fe2.physics.symmetric_tensor import checked_tensor
from fe2.physics.void import Void
from fe2.stiffness import bulk_modulus
from fe2.table import Unbounded
from fe2.tensors import component_indices, to_matrix

if TYPE_CHECKING:
    from ufl.core.expr import Expr


type Number = float | npt.ArrayLike

STRAIN, PRESSURE, SLOPE = "strain", "pressure", "pressure_gradient"
STRESS, CONTENT, SEEPAGE = "stress", "fluid_content", "seepage"

_POROSITY = Admissible("between 0 and 1, both excluded", lambda value: 0.0 < value < 1.0)
_MODULUS = "positive, or inf where nothing is compressible: otherwise the energy is indefinite"


def poroelastic_kinematics(dim: int) -> Kinematics:
    """The cell receives strain, pressure and pressure gradient; plane strain in two dimensions."""
    mechanics = small_strain_kinematics(dim)
    return Kinematics(
        name="poroelasticity",
        dim=dim,
        fields={"displacement": (dim,), "pressure": ()},
        blocks=(
            mechanics.block(),
            scalar_value(PRESSURE, CONTENT, "pressure"),
            slope(SLOPE, SEEPAGE, "pressure", dim),
        ),
        characterize=partial(characterize, dim=dim),
    )


@dataclass(frozen=True, eq=False)
class Poroelastic(PhaseLaw):
    """A solid with pores much smaller than the cell, or without any, in which a fluid is stored and seeps.

    .. code-block:: python

        Poroelastic(LinearElastic.isotropic(14.4e3, 0.2), 0.19, 1e-3, 0.79, 12.6e3)
        Poroelastic(J2Plasticity(14.4e3, 0.2, 20.0), 0.19, 1e-3, 0.79, 12.6e3)
        Poroelastic(LinearElastic.isotropic(14e3, 0.2), lambda v, p: 0.2 * ufl.exp(p / 50), 1e-3, 0.79, 12e3)

    Attributes:
        mechanics: Law of the drained solid, of small strain.
        permeability: k, a length squared: a number, principal values along the axes or a symmetric matrix;
            or (change of volume tr ε, pressure) ↦ UFL scalar or matrix, which has to stay positive. Zero
            without pores alone.
        viscosity: Dynamic viscosity μ of the fluid, positive.
        biot: Biot's tensor b: a number, three principal values along the axes, or a symmetric matrix of shape
            (3, 3); its principal values lie between 0, without pores, and 1.
        biot_modulus: Biot's modulus M, positive; inf where neither fluid nor solid are compressible.

    Raises:
        InputError: The mechanics is no law, or a number is not admissible.
    """

    mechanics: PhaseLaw
    permeability: Number | Callable[[Expr, Expr], Expr]
    viscosity: float
    biot: Number
    biot_modulus: float

    def __post_init__(self) -> None:
        owner = type(self).__name__
        if not isinstance(self.mechanics, ExpressionLaw | PointLaw):
            raise InputError(
                f"{owner}: mechanics is a {type(self.mechanics).__name__}, no law of small strain"
            )
        biot = _checked_biot(owner, self.biot)
        modulus = float("inf") if self.biot_modulus == np.inf else self.biot_modulus
        if modulus != np.inf:
            modulus = checked(owner, "biot_modulus", modulus, Admissible(_MODULUS, lambda value: value > 0.0))
        found = {
            "biot": biot,
            "biot_modulus": modulus,
            "viscosity": checked(owner, "viscosity", self.viscosity, POSITIVE),
        }
        if not callable(self.permeability):
            dry = not np.any(biot) and modulus == np.inf
            found["permeability"] = _checked_permeability(owner, self.permeability, dry)
        for name, value in found.items():
            object.__setattr__(self, name, value)

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Whether the tangents of stress and seepage by their own gradients are symmetric."""
        return bool(getattr(self.mechanics, "symmetric", True)) and not callable(self.permeability)

    @property
    def isochoric(self) -> bool:
        """As the drained solid."""
        return self.mechanics.isochoric

    @property
    def insulates(self) -> bool:
        """Whether nothing seeps."""
        return not callable(self.permeability) and not np.any(self.permeability)

    def moduli(self) -> tuple[float, ...]:
        """Those of the drained solid."""
        return self.mechanics.moduli()

    def history(self, size: int) -> dict[str, int]:
        """That of the drained solid."""
        return self.mechanics.history(size)

    def undrained(self) -> LinearElastic:
        r"""The solid from which no fluid escapes, :math:`C + M\,b \otimes b`: a law of small strain.

        Raises:
            InputError: It is not linear elastic, or keeps its volume.
        """
        if not isinstance(self.mechanics, LinearElastic) or not np.isfinite(self.biot_modulus):
            raise InputError(
                f"a Poroelastic of {type(self.mechanics).__name__} with biot_modulus = {self.biot_modulus} "
                "has no undrained stiffness: linear elasticity and a finite modulus are needed"
            )
        b = biot_in_mandel(self.biot)
        return LinearElastic(self.mechanics.stiffness + self.biot_modulus * np.outer(b, b))


@dataclass(frozen=True)
class Pore(Void):
    """A hole of the cell full of fluid, which has the pressure of the macroscopic point.

    Attributes:
        fluid_modulus: Bulk modulus K_f of the fluid, positive; inf where it is not compressible.
        permeability: What the pores of this phase, as they are connected, add to the permeability of the
            cell: a number, principal values or a matrix, as `pore_flow` finds it. Zero of sealed ones.
        viscosity: Dynamic viscosity of the fluid, positive; it counts together with the permeability.

    Raises:
        InputError: A number is not admissible.
    """

    fluid_modulus: Unbounded
    permeability: Number = 0.0
    viscosity: float = 1.0

    def __post_init__(self) -> None:
        owner = type(self).__name__
        if self.fluid_modulus != np.inf:
            checked(owner, "fluid_modulus", self.fluid_modulus, POSITIVE)
        checked(owner, "viscosity", self.viscosity, POSITIVE)
        object.__setattr__(
            self, "permeability", checked_conductivity(owner, "permeability", self.permeability)
        )

    def mobility(self, dim: int) -> Array:
        """What the pores add to the mobility of the cell, k/μ of shape (dim, dim).

        Raises:
            InputError: The permeability is of another dimension.
        """
        k = np.asarray(self.permeability, dtype=np.float64)
        matrix = k * np.eye(dim) if k.ndim == 0 else np.diag(k) if k.ndim == 1 else k
        if len(matrix) < dim:
            raise InputError(f"Pore: permeability has shape {k.shape}, but the cell is {dim}-dimensional")
        return matrix[:dim, :dim] / self.viscosity


@dataclass(frozen=True)
class KozenyCarman:
    """Change of volume and pressure ↦ permeability, see :func:`poroelastic_kozeny_carman`.

    Attributes:
        permeability: k₀.
        porosity: n₀.
        biot: b.
        compliance: (1 - b)/K.
    """

    permeability: float
    porosity: float
    biot: float
    compliance: float

    def __call__(self, volume: Expr, pressure: Expr) -> Expr:
        """The permeability, a UFL scalar."""
        n0 = self.porosity
        n = n0 + (self.biot - n0) * (volume + self.compliance * pressure)
        return self.permeability * (n / n0) ** 3 * ((1.0 - n0) / (1.0 - n)) ** 2


@dataclass(frozen=True)
class OfPressure:
    """Change of volume and pressure ↦ permeability, see :func:`poroelastic_shale`.

    Attributes:
        permeability: k₀.
        sensitivity: γ.
    """

    permeability: float
    sensitivity: float

    def __call__(self, volume: Expr, pressure: Expr) -> Expr:
        """The permeability, a UFL scalar."""
        return self.permeability * ufl.exp(self.sensitivity * pressure)


def poroelastic(
    young: float,
    poisson: float,
    biot: Number,
    biot_modulus: Unbounded,
    permeability: Number,
    viscosity: float,
) -> Poroelastic:
    """Isotropic drained elasticity with storage and seepage of a fluid.

    Args:
        young: Young's modulus of the drained solid, positive.
        poisson: Poisson's ratio of the drained solid, between -1 and 0.5.
        biot: Biot's coefficient, between 0 and 1: a number, three principal values along the axes, or a
            symmetric matrix of shape (3, 3). Zero of a solid without pores.
        biot_modulus: Biot's modulus M, positive; inf where neither fluid nor solid are compressible.
        permeability: Permeability, a length squared: a number, principal values along the axes, or a
            symmetric matrix. Positive, but of a solid without pores: biot = 0 and biot_modulus = inf.
        viscosity: Dynamic viscosity of the fluid, pressure times time, positive.
    """
    mechanics = LinearElastic.isotropic(young, poisson)
    return Poroelastic(mechanics, permeability, viscosity, biot, biot_modulus)


def solid(young: float, poisson: float) -> Poroelastic:
    """Isotropic elasticity without pores, such as mineral grains: stores no fluid, and none seeps.

    Args:
        young: Young's modulus, positive.
        poisson: Poisson's ratio, between -1 and 0.5.
    """
    return poroelastic(young, poisson, 0.0, np.inf, 0.0, 1.0)


def poroelastic_orthotropic(
    young_1: float,
    young_2: float,
    young_3: float,
    poisson_12: float,
    poisson_13: float,
    poisson_23: float,
    shear_12: float,
    shear_13: float,
    shear_23: float,
    biot: Number,
    biot_modulus: Unbounded,
    permeability: Number,
    viscosity: float,
) -> Poroelastic:
    """Orthotropic drained elasticity along the axes with storage and seepage of a fluid.

    Args:
        young_1: Young's modulus along the first axis; likewise `young_2`, `young_3`; positive.
        young_2: See `young_1`.
        young_3: See `young_1`.
        poisson_12: Contraction of axis 2 under tension along axis 1; likewise `poisson_13`, `poisson_23`.
        poisson_13: See `poisson_12`.
        poisson_23: See `poisson_12`.
        shear_12: Shear modulus of the plane of axes 1 and 2; likewise `shear_13`, `shear_23`; positive.
        shear_13: See `shear_12`.
        shear_23: See `shear_12`.
        biot: Biot's coefficients along the axes, between 0 and 1, a number where they are equal, or a
            symmetric matrix of shape (3, 3).
        biot_modulus: Biot's modulus M, positive; inf where neither fluid nor solid are compressible.
        permeability: Permeabilities along the axes, a number, or a symmetric matrix; lengths squared.
        viscosity: Dynamic viscosity of the fluid, pressure times time, positive.
    """
    mechanics = LinearElastic.orthotropic(
        young_1, young_2, young_3, poisson_12, poisson_13, poisson_23, shear_12, shear_13, shear_23
    )
    return Poroelastic(mechanics, permeability, viscosity, biot, biot_modulus)


def poroelastic_kozeny_carman(
    young: float,
    poisson: float,
    biot: float,
    biot_modulus: Unbounded,
    permeability: float,
    viscosity: float,
    porosity: float,
) -> Poroelastic:
    r"""Isotropic poroelasticity whose permeability follows the porosity n, as of grains (Kozeny, Carman).

    .. math:: k = k_0\,\frac{n^3}{(1 - n)^2}\,\frac{(1 - n_0)^2}{n_0^3}, \qquad
        n - n_0 = (b - n_0)\,\Big(\varepsilon_v + \frac{1 - b}{K}\,p\Big)

    with the porosity of the deformed volume to first order (Coussy 2004, sec. 4.1.2), K of the drained solid.

    Args:
        young: Young's modulus of the drained solid, positive.
        poisson: Poisson's ratio of the drained solid, between -1 and 0.5.
        biot: Biot's coefficient, between the porosity and 1.
        biot_modulus: Biot's modulus M, positive; inf where neither fluid nor solid are compressible.
        permeability: Permeability k₀ of the virgin solid, a length squared, positive.
        viscosity: Dynamic viscosity of the fluid, pressure times time, positive.
        porosity: Porosity n₀ of the virgin solid, between 0 and 1.
    """
    made, n0 = _with_scalars(young, poisson, biot, biot_modulus, permeability, viscosity, porosity)
    follows = KozenyCarman(permeability, n0, biot, (1.0 - biot) / bulk_modulus(young, poisson))
    return Poroelastic(made.mechanics, follows, viscosity, biot, biot_modulus)


def poroelastic_shale(
    young: float,
    poisson: float,
    biot: float,
    biot_modulus: Unbounded,
    permeability: float,
    viscosity: float,
    sensitivity: float,
) -> Poroelastic:
    r"""Isotropic poroelasticity whose permeability follows the pressure, :math:`k_0\,e^{\gamma p}`: shale.

    Args:
        young: Young's modulus of the drained solid, positive.
        poisson: Poisson's ratio of the drained solid, between -1 and 0.5.
        biot: Biot's coefficient, between 0 and 1.
        biot_modulus: Biot's modulus M, positive; inf where neither fluid nor solid are compressible.
        permeability: Permeability k₀ of the virgin solid, a length squared, positive.
        viscosity: Dynamic viscosity of the fluid, pressure times time, positive.
        sensitivity: γ, the inverse of a pressure; positive where pressure opens the pores.
    """
    made, _ = _with_scalars(young, poisson, biot, biot_modulus, permeability, viscosity, None)
    checked("Poroelastic", "sensitivity", sensitivity, FINITE)
    follows = OfPressure(permeability, sensitivity)
    return Poroelastic(made.mechanics, follows, viscosity, biot, biot_modulus)


def biot_in_mandel(biot: Number) -> Array:
    """Biot's tensor in six Mandel components."""
    value: Array = np.asarray(biot, dtype=np.float64)
    unit = np.array([float(i == j) for i, j in component_indices(6)])
    return value * unit if value.ndim == 0 else value


def _checked_biot(owner: str, value: Number) -> float | Array:
    """A number, or six Mandel components.

    Raises:
        InputError: It is no symmetric tensor, or a principal value is not between 0 and 1.
    """
    biot = checked_tensor(owner, "biot", value)
    principal = np.linalg.eigvalsh(to_matrix(biot_in_mandel(biot)))
    if not (principal[0] >= -1e-12 and principal[-1] <= 1.0 + 1e-12):
        worst = principal[0] if principal[0] < 0.0 else principal[-1]
        which = "" if np.ndim(value) == 0 else f", whose principal value {worst:.6g} is not"
        raise InputError(
            f"{owner}: biot = {value!r} is not admissible{which}; it must be between 0, without pores, and 1"
        )
    return biot


def _checked_permeability(owner: str, value: Number, dry: bool) -> float | Array:
    """A number, or a matrix where there are three principal values.

    Raises:
        InputError: It is negative, or zero of what stores a fluid.
    """
    found = checked_conductivity(owner, "permeability", value)
    matrix = np.diag(found) if np.ndim(found) == 1 else np.atleast_2d(found)
    least = float(np.linalg.eigvalsh(matrix)[0])
    if least <= 0.0 and not (dry and not np.any(found)):
        raise InputError(
            f"{owner}: permeability = {value!r} is not admissible; it must be positive, or zero of a solid "
            "without pores, with biot = 0 and biot_modulus = inf"
        )
    return matrix if np.ndim(found) == 1 else found


def _with_scalars(
    young: float,
    poisson: float,
    biot: float,
    biot_modulus: Unbounded,
    permeability: float,
    viscosity: float,
    porosity: float | None,
) -> tuple[Poroelastic, float]:
    """What numbers make at rest, checked, and the porosity.

    Raises:
        InputError: A number is not admissible.
    """
    for name, value in {"biot": biot, "permeability": permeability}.items():
        checked("Poroelastic", name, value, FINITE)
    made, n0 = poroelastic(young, poisson, biot, biot_modulus, permeability, viscosity), 0.0
    if porosity is not None:
        n0 = checked("Poroelastic", "porosity", porosity, _POROSITY)
        if biot < n0:
            raise InputError(
                f"Poroelastic: biot = {biot} is not admissible; it must be between the porosity, {n0}, and 1"
            )
    return made, n0
