r"""Laws of conduction and diffusion: flux :math:`s = K(T)\,\nabla T`, and what is stored, an enthalpy h(T).

A :class:`DiffusionLaw` gives flux and enthalpy as formulas of the value and its gradient. A cell that
receives the gradient alone asks for the flux only.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

import fe2.lazy_ufl as ufl
from fe2.arrays import Array
from fe2.errors import InputError
from fe2.physics.checks import NOT_NEGATIVE, check_fields, checked, checked_array, checked_rotation
from fe2.physics.law import ExpressionLaw

if TYPE_CHECKING:
    from ufl.core.expr import Expr

type Number = float | npt.ArrayLike


class DiffusionLaw(ExpressionLaw):
    """A law of conduction or diffusion, by its formulas; a law of one's own derives from it.

    Attributes:
        needs_value: True where the conductivity depends on the value.
        stores: True where there is an enthalpy.
        insulates: True where nothing is conducted.
    """

    needs_value: bool = False
    stores: bool = False
    insulates: bool = False

    @abstractmethod
    def conducted(self, value: Expr, gradient: Expr) -> Expr:
        r"""Flux :math:`K(T)\,\nabla T`, a UFL vector."""

    def stored(self, value: Expr) -> Expr:
        """Enthalpy: what a unit of volume holds, h(T)."""
        return ufl.as_ufl(0.0)

    def stored_rate(self, value: Expr, before: Expr, dt: Expr) -> Expr:
        r"""What is stored in a unit of time, :math:`(h(T) - h_n)/\Delta t`; nothing in a step without length.

        Args:
            value: The value T at the end of the step.
            before: Enthalpy at its beginning.
            dt: Length of the step; nothing is divided by zero where it has none.
        """
        passes = ufl.gt(dt, 0.0)
        inverse = ufl.conditional(passes, 1.0, 0.0) / ufl.conditional(passes, dt, 1.0)
        return (self.stored(value) - before) * inverse

    def admissible_value(self, value: Expr) -> dict[str, Expr]:
        """What has to be positive, by name; see `ExpressionLaw.admissible`."""
        return {}

    def observed(self, value: Expr) -> dict[str, Expr]:
        """What else is kept and averaged for the results, by name: scalars, e.g. the share that is liquid."""
        return {}

    def kept(self) -> tuple[str, ...]:
        """Names of the scalars that a cell with value keeps: the enthalpy, and what is observed."""
        return (*(("enthalpy",) if self.stores else ()), *self.observed(ufl.as_ufl(0.0)))

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        """Flux, where the law does not depend on the value."""
        return self.conducted(ufl.as_ufl(0.0), gradient)


@dataclass(frozen=True, eq=False)
class LinearConduction(DiffusionLaw):
    r"""Fourier's, Ohm's and Fick's law :math:`s = K\,\nabla T`.

    Attributes:
        conductivity: K: a number, the list of the principal values along the axes, or a symmetric matrix,
            none of them negative. Zero insulates: the phase is left out of the cell. In the plane, where
            nothing changes across it, the rows and columns x and y of a (3, 3) matrix count.
        capacity: Heat capacity of a unit of volume, c in h = c T; 1 for a concentration.

    Raises:
        InputError: The conductivity is negative or no number, vector or symmetric matrix.
    """

    conductivity: Number
    capacity: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, capacity=NOT_NEGATIVE)
        checked_K = checked_conductivity(type(self).__name__, "conductivity", self.conductivity)
        object.__setattr__(self, "conductivity", checked_K)
        object.__setattr__(self, "insulates", not np.any(self.conductivity))
        object.__setattr__(self, "stores", self.capacity > 0.0)

    @classmethod
    def oriented(
        cls, conductivity: npt.ArrayLike, orientation: npt.ArrayLike, capacity: float = 0.0
    ) -> LinearConduction:
        r"""Anisotropic material, such as a crystal, by the principal values along its axes.

        .. math:: K = R\,\mathrm{diag}(k)\,R^T

        Args:
            conductivity: Principal values k along the material's axes, shape (3,), none of them negative.
            orientation: Rotation matrix R whose columns are the material's axes, shape (3, 3);
                `fe2.rotation_from_bunge` makes one from Euler angles.
            capacity: Heat capacity of a unit of volume.
        """
        owner = f"{cls.__name__}.oriented"
        principal = np.diag(checked_array(owner, "conductivity", conductivity, (3,)))
        rotation = checked_rotation(owner, "orientation", orientation)
        matrix = rotation @ principal @ rotation.T
        return cls(0.5 * (matrix + matrix.T), capacity)

    def moduli(self) -> tuple[float, ...]:
        """Principal conductivities."""
        matrix = np.atleast_1d(self.conductivity)
        return tuple((matrix if matrix.ndim == 1 else np.linalg.eigvalsh(matrix)).tolist())

    def conducted(self, value: Expr, gradient: Expr) -> Expr:
        """Flux."""
        return conducted_by(self.conductivity, gradient, "LinearConduction: conductivity")

    def stored(self, value: Expr) -> Expr:
        """Heat c T."""
        return self.capacity * value


@dataclass(frozen=True, eq=False)
class NonlinearConduction(DiffusionLaw):
    r"""Flux :math:`s = K(T)\,\nabla T` and enthalpy h(T) by formulas of one's own.

    .. code-block:: python

        NonlinearConduction(lambda T: 1.0 + 0.1 * T, enthalpy=lambda T: 2.0 * T)

    Attributes:
        conductivity: T ↦ K, a UFL scalar or matrix of the UFL scalar T. A scalar has to stay positive.
        enthalpy: T ↦ h, what a unit of volume holds, or None where nothing is stored.
    """

    conductivity: Callable[[Expr], Expr]
    enthalpy: Callable[[Expr], Expr] | None = None

    symmetric: ClassVar[bool] = False  # the flux depends on the value, the storage not on the gradient
    needs_value: ClassVar[bool] = True  # type: ignore[misc]

    def __post_init__(self) -> None:
        formulas = [self.conductivity] if self.enthalpy is None else [self.conductivity, self.enthalpy]
        if not all(map(callable, formulas)):
            raise InputError(
                "NonlinearConduction: conductivity and enthalpy are functions of the value, such as "
                "lambda T: 1 + 0.1 * T; numbers are for LinearConduction"
            )
        object.__setattr__(self, "stores", self.enthalpy is not None)

    def conducted(self, value: Expr, gradient: Expr) -> Expr:
        """Flux."""
        K = ufl.as_ufl(self.conductivity(value))
        return ufl.dot(K, gradient) if K.ufl_shape else K * gradient

    def stored(self, value: Expr) -> Expr:
        """The enthalpy that was given."""
        return ufl.as_ufl(self.enthalpy(value) if self.enthalpy else 0.0)

    def admissible_value(self, value: Expr) -> dict[str, Expr]:
        """A conductivity that is a scalar is positive."""
        K = ufl.as_ufl(self.conductivity(value))
        return {} if K.ufl_shape else {"conductivity": K}


@dataclass(frozen=True)
class WithValue(ExpressionLaw):
    r"""A law as a function of value and gradient at once, with what is stored in a unit of time, for checks.

    .. math:: \Big(\frac{h(T) - h_n}{\Delta t},\ s(T, \nabla T)\Big)

    by backward Euler, with the enthalpy :math:`h_n` at the beginning of the step as history. A step
    without length stores nothing: it gives the steady flux, and the enthalpy of an initial value.

    Attributes:
        law: The law of a phase.
    """

    law: DiffusionLaw

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """True where the law's own tangent is symmetric."""
        return self.law.symmetric

    def history(self, size: int) -> dict[str, int]:
        """Enthalpy, where there is one, and what the law wants to be observed."""
        return dict.fromkeys(self.law.kept(), 1)

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        """Storage in a unit of time, and flux."""
        value, *slope = (gradient[i] for i in range(gradient.ufl_shape[0]))
        flux, stored = self.law.conducted(value, ufl.as_vector(slope)), ufl.as_ufl(0.0)
        if self.law.stores:
            stored = self.law.stored_rate(value, history["enthalpy"], dt)
        return ufl.as_vector([stored, *(flux[i] for i in range(flux.ufl_shape[0]))])

    def update(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> dict[str, Expr]:
        """Enthalpy at the end of the time step, and what is observed."""
        kept = {"enthalpy": self.law.stored(gradient[0])} if self.law.stores else {}
        return {**kept, **self.law.observed(gradient[0])}

    def admissible(self, gradient: Expr) -> dict[str, Expr]:
        """What the law demands of the value."""
        return self.law.admissible_value(gradient[0])


def conducted_by(K: Any, gradient: Expr, what: str) -> Expr:
    r"""Flux :math:`K\,\nabla T`, a UFL vector.

    Args:
        K: A scalar, principal values or a matrix: numbers, arrays or UFL. In the plane the rows and columns
            x and y of a (3, 3) matrix count.
        gradient: Gradient, a UFL vector.
        what: What K is, for the message.

    Raises:
        InputError: K is of another dimension.
    """
    dim = gradient.ufl_shape[0]
    shape = K.ufl_shape if hasattr(K, "ufl_shape") else np.shape(K)
    if not shape:
        return K * gradient
    if shape == (3, 3) and dim == 2:
        return ufl.as_vector([K[i, 0] * gradient[0] + K[i, 1] * gradient[1] for i in range(2)])
    if shape[0] != dim:
        raise InputError(f"{what} has shape {shape}, but the cell is {dim}-dimensional")
    if len(shape) == 1:
        return ufl.as_vector([K[i] * gradient[i] for i in range(dim)])
    return ufl.dot(K, gradient)


def checked_conductivity(owner: str, name: str, value: Number) -> float | Array:
    """A conductivity as a float, an array of principal values or a symmetric matrix.

    Args:
        owner: Name of the law, for the message.
        name: Name of the parameter.
        value: What was given.

    Raises:
        InputError: It is none of them, or negative.
    """
    if np.ndim(value) == 0:
        return checked(owner, name, value, NOT_NEGATIVE)
    shape = np.shape(value)
    if shape not in ((2,), (3,), (2, 2), (3, 3)):
        raise InputError(
            f"{owner}: {name} has shape {shape}; it must be a number, 2 or 3 principal values, or a "
            "symmetric matrix of shape (2, 2) or (3, 3)"
        )
    K = checked_array(owner, name, value, shape)
    matrix = np.diag(K) if K.ndim == 1 else K
    if np.max(np.abs(matrix - matrix.T)) > 1e-8 * np.max(np.abs(matrix)):
        raise InputError(f"{owner}: {name} is not symmetric: {K.tolist()}")
    smallest = float(np.linalg.eigvalsh(0.5 * (matrix + matrix.T))[0])
    if smallest < -1e-14 * np.max(np.abs(matrix)):
        raise InputError(
            f"{owner}: {name} = {K.tolist()} is not admissible; no principal value may be "
            f"negative, and one is {smallest:.6g}"
        )
    symmetric: Array = K if K.ndim == 1 else 0.5 * (K + K.T)
    symmetric.flags.writeable = False
    return symmetric
