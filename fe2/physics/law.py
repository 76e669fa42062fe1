r"""What a phase law is: the flux of one constituent from its local gradient, history and time step.

Two kinds stand behind one interface. An :class:`ExpressionLaw` is a closed UFL expression: it is
differentiated by UFL and compiled into the cell's form. A :class:`PointLaw` is a vectorized NumPy
function for laws in which an equation has to be solved at every quadrature point; its flux and
tangent enter the form as quadrature functions.

A law is a frozen dataclass. Its numbers are fields; a law never sees a mesh, a solver or MPI.
In mechanics the gradient is the strain in Mandel components with the normal components first:
``xx, yy, zz, yz, xz, xy`` in three dimensions (size 6) and ``xx, yy, zz, xy`` in plane strain
(size 4), shear components times :math:`\sqrt2`, so that :math:`\sigma:\varepsilon` is a dot product.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fe2.arrays import Array as Array
from fe2.arrays import Complex

if TYPE_CHECKING:
    from ufl.core.expr import Expr


ON_YIELD_SURFACE = 1e-12
"""Relative overstress up to which a point does not flow.

A point that flowed in the last step stands on its yield surface, to round-off, when the next step
begins: what it answers there, and with it the path of Newton's method, must not be left to chance.
"""


class PhaseLaw(ABC):  # noqa: B024  # the two kinds of law share no abstract method
    """The flux of one constituent.

    Attributes:
        symmetric: True where the consistent tangent is symmetric for every state.
        internal: History variables whose numbers say nothing by themselves: they are not averaged or drawn.
    """

    symmetric: ClassVar[bool] = True
    internal: ClassVar[tuple[str, ...]] = ()

    @property
    def isochoric(self) -> bool:
        """Whether it flows without change of volume, or resists a change of volume far more than others.

        Linear triangles and tetrahedra lock then, about which fe2 warns.
        """
        return False

    def history(self, size: int) -> dict[str, int]:
        """Names and numbers of components of the history variables.

        Args:
            size: Number of components of the local gradient.
        """
        return {}

    def initial_history(self, size: int) -> dict[str, float | Array]:
        """Values of history variables in the virgin state, by name: those that are missing are zero.

        A number holds for all components of its variable, an array of shape (c,) has one for each.

        Args:
            size: Number of components of the local gradient.
        """
        return {}

    def moduli(self) -> tuple[float, ...]:
        """Smallest and largest modulus of the virgin material where the parameters tell, else nothing."""
        return ()

    def relaxed_tangent(self, frequency: float, size: int) -> Complex | None:
        r"""What a vibration :math:`e^{i\omega t}` of a linear law changes of the tangent of a sudden one.

        None where the tangent is the same at all frequencies.

        Args:
            frequency: :math:`\omega/2\pi`, one over the units of time.
            size: Number k of components of the local gradient.

        Returns:
            Shape (k, k), complex.
        """
        return None

    @property
    def materials(self) -> tuple[PhaseLaw, ...]:
        """The law of each material that it stands for: itself, or those of a field of materials."""
        return (self,)

    def with_constants(self, constant: Callable[[float | Array], Any]) -> Self:
        """The same law with all numbers and arrays of its fields, and of laws among them, through `constant`.

        The cell problem turns material parameters into UFL constants this way, so that forms are compiled
        once for a law and not once for each value of its parameters; where they differ from element to
        element, into functions, and those of point laws into arrays with a row for each point.
        """
        twin = copy.copy(self)
        for field in fields(self):  # type: ignore[arg-type]  # every law is a dataclass
            value = getattr(self, field.name)
            if isinstance(value, float | np.ndarray):
                object.__setattr__(twin, field.name, constant(value))
            elif isinstance(value, PhaseLaw):
                object.__setattr__(twin, field.name, value.with_constants(constant))
        return twin


class ExpressionLaw(PhaseLaw):
    """A law that is a closed UFL expression, of any number of history variables."""

    @abstractmethod
    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        """Flux, a UFL vector of the gradient's size, at the end of the time step.

        Args:
            gradient: Local gradient at the end of the step, a UFL vector.
            history: History variables at the beginning of the step: scalars where they have one
                component, vectors otherwise.
            dt: Time step.
        """

    def update(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> dict[str, Expr]:
        """History variables at the end of the time step, by name."""
        return {}

    def admissible(self, gradient: Expr) -> dict[str, Expr]:
        """What has to be positive for the flux to have a meaning, by name: scalars, e.g. det F.

        It is looked at wherever the flux is evaluated. Where one is not positive, the cell problem has
        failed there: the line search takes a shorter step, or the step is cut.
        """
        return {}


@dataclass(frozen=True)
class PointResponse:
    """What a point law returns for n points.

    Attributes:
        flux: Shape (n, k).
        tangent: Shape (n, k, k).
        history: History variables at the end of the step by name, each of shape (n, c).
    """

    flux: Array
    tangent: Array
    history: dict[str, Array]


class PointLaw(PhaseLaw):
    """A law that is evaluated by NumPy for many quadrature points at once.

    Attributes:
        rate_independent: True where the answer does not depend on the length of the time step.
        broadcasts: True where `respond` also holds with arrays of parameters, a row for each point: numbers
            are of shape (n,) then. A field of materials is answered by one call in that case, and otherwise
            by one call for each material.
    """

    rate_independent: ClassVar[bool] = False
    broadcasts: ClassVar[bool] = False

    @abstractmethod
    def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> PointResponse:
        """Flux, consistent tangent and new history of n points.

        Args:
            gradient: Local gradients at the end of the step, shape (n, k).
            history: History variables at the beginning of the step, each of shape (n, c); not modified.
            dt: Time step.

        Raises:
            LocalSolveError: The local equation was not solved at some points.
        """


def isochoric_phases(laws: Mapping[str, object]) -> tuple[str, ...]:
    """Phases whose laws keep the volume or nearly so, see :attr:`PhaseLaw.isochoric`."""
    return tuple(name for name, law in laws.items() if isinstance(law, PhaseLaw) and law.isochoric)
