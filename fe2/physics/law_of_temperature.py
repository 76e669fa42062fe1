"""Laws of mechanics some of whose properties depend on the temperature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fe2.lazy_ufl as ufl
from fe2.physics.checks import Admissible
from fe2.physics.law import ExpressionLaw
from fe2.physics.temperature import Property, at, checked_property
from fe2.stiffness import bulk_modulus, shear_modulus

if TYPE_CHECKING:
    from ufl.core.expr import Expr


@dataclass(frozen=True)
class OfTemperature:
    """Temperature ↦ law of small strain, of an isotropic law and its properties.

    Attributes:
        law: Class of the law, with `young` and `poisson` among its fields.
        properties: Its fields by name: numbers, tables, or functions of the temperature.
    """

    law: type[ExpressionLaw]
    properties: tuple[tuple[str, Any], ...]

    def __call__(self, temperature: Expr) -> ExpressionLaw:
        """The law at a temperature, with UFL scalars for its numbers."""
        law = object.__new__(self.law)  # which would check numbers
        for name, value in self.properties:
            object.__setattr__(law, name, ufl.as_ufl(at(value, temperature)))
        return law

    def elastic(self, temperature: Expr) -> IsotropicElastic:
        """Its elasticity alone."""
        moduli = dict(self.properties)
        return IsotropicElastic(*(ufl.as_ufl(at(moduli[name], temperature)) for name in ("young", "poisson")))

    @property
    def isochoric(self) -> bool:
        """As the law."""
        return object.__new__(self.law).isochoric

    def history(self, size: int) -> dict[str, int]:
        """That of the law."""
        return object.__new__(self.law).history(size)


def law_of_properties(
    owner: str,
    law: type[ExpressionLaw],
    make: Callable[..., ExpressionLaw],
    **given: tuple[Property, Admissible],
) -> ExpressionLaw | OfTemperature:
    """The law of its properties, of the temperature where one of them is.

    Args:
        owner: Name of the material, for messages.
        law: Class of the law, whose fields are the properties.
        make: Makes the law of numbers.
        given: Properties by name, and what their numbers have to be.

    Raises:
        InputError: A property is not admissible.
    """
    found = {name: checked_property(owner, name, value, range) for name, (value, range) in given.items()}
    if any(map(callable, found.values())):
        return OfTemperature(law, tuple(found.items()))
    return make(**found)


@dataclass(frozen=True, eq=False)
class IsotropicElastic(ExpressionLaw):
    """Isotropic elasticity with moduli that are UFL expressions.

    Attributes:
        young: Young's modulus.
        poisson: Poisson's ratio.
    """

    young: Any
    poisson: Any

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        """Stress."""
        bulk, shear = bulk_modulus(self.young, self.poisson), shear_modulus(self.young, self.poisson)
        identity = ufl.as_vector([1.0, 1.0, 1.0] + [0.0] * (gradient.ufl_shape[0] - 3))
        volume = gradient[0] + gradient[1] + gradient[2]
        return (bulk - 2.0 / 3.0 * shear) * volume * identity + 2.0 * shear * gradient

    def admissible(self, gradient: Expr) -> dict[str, Expr]:
        """Positive moduli."""
        moduli = {"Young's modulus": self.young, "1 + poisson": 1.0 + self.poisson}
        moduli["1 - 2 poisson"] = 1.0 - 2.0 * self.poisson
        return {name: ufl.as_ufl(value) for name, value in moduli.items()}
