r"""Kinematics: the operator field ↦ gradient, with the names and sizes of gradient and flux.

The same object serves both scales: on the macroscopic scale it turns the unknown into the
gradient that the cells receive, in the cell it turns the micro field into the gradient that the
phase laws receive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import fe2.lazy_ufl as ufl
from fe2.singular import named_direction, null_directions

if TYPE_CHECKING:
    from ufl.core.expr import Expr

Array = npt.NDArray[np.float64]


def _nothing(effective: Array, phases: list[Array], fractions: list[float]) -> dict[str, Any]:
    return {}


def _no_indicators(tangents: Array) -> dict[str, Array]:
    return {}


@dataclass(frozen=True, eq=False)
class Directions:
    """Some directions in the space of gradients.

    Attributes:
        names: Names of the k directions.
        basis: The directions in its columns, orthonormal, shape (m, k).
        scale: What is reported to people is a coefficient times this, shape (k,).
    """

    names: tuple[str, ...]
    basis: Array
    scale: Array


@dataclass(frozen=True, eq=False)
class Kinematics:
    r"""What the macroscopic scale hands down and gets back.

    Attributes:
        name: Name of the physics.
        dim: Geometric dimension.
        field_shape: Shape of the unknown field: () for a scalar, (dim,) for a vector.
        components: Names of the m components of the macroscopic gradient and flux.
        gradient_name: What the gradient is, e.g. "strain".
        flux_name: What the flux is, e.g. "stress".
        gradient: Field ↦ gradient, a UFL vector of m components.
        modes: Coordinates (n, dim) ↦ macroscopic modes (n, field size, m): the fields whose
            gradient is one in one component and zero in the others.
        embedding: Matrix E of shape (k, m): the phase laws see the gradient E g and return a flux t
            of k components, of which :math:`E^T t` works on the field.
        local_components: Names of the k components that the phase laws see.
        scale: Shape (m,). What is reported to people is g · scale and s / scale: engineering shear
            strains and plain shear stresses where the internal components are Mandel's.
        characterize: (effective tangent, tangents of the phases, volume fractions), all in internal
            components, ↦ bounds and other numbers by name that describe the effective tangent.
        indicators: Tangents of points, shape (n, m, m) ↦ what they announce, by name, each of shape
            (n,): small values are the critical ones. Written with the macroscopic fields.
        origin_size: Size of what the phase laws add to the gradient, 1 where they see F = 1 + H. The
            round-off of their flux is relative to it, however small the gradient is.
        virgin_gradient: Gradient of a virgin cell, shape (m,); zero where it is None.
        tangent_factor: The effective tangent is reported times this: in pore flow the viscosity, so
            that it is the permeability.
        closed: Names of components of the flux that vanish whatever the gradient: what conducts is not
            connected along these axes.
        resisted: Gradients that a flux has to resist, or a macroscopic problem is singular: not rotations,
            nor a value; all of them where it is None.
        isochoric: Phases of a cell that keep their volume or nearly so, see
            :attr:`~fe2.physics.law.PhaseLaw.isochoric`.
    """

    name: str
    dim: int
    field_shape: tuple[int, ...]
    components: tuple[str, ...]
    gradient_name: str
    flux_name: str
    gradient: Callable[[Expr], Expr]
    modes: Callable[[Array], Array]
    embedding: Array
    local_components: tuple[str, ...]
    scale: Array
    characterize: Callable[[Array, list[Array], list[float]], dict[str, Any]] = _nothing
    indicators: Callable[[Array], dict[str, Array]] = _no_indicators
    origin_size: float = 0.0
    virgin_gradient: Array | None = None
    tangent_factor: float = 1.0
    closed: tuple[str, ...] = ()
    resisted: Directions | None = None
    isochoric: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number m of components of the macroscopic gradient."""
        return len(self.components)

    @property
    def origin(self) -> Array:
        """Gradient of a virgin cell, shape (m,)."""
        return np.zeros(self.size) if self.virgin_gradient is None else self.virgin_gradient

    @property
    def local_size(self) -> int:
        """Number k of components that the phase laws see."""
        return len(self.local_components)

    @property
    def directions(self) -> Directions:
        """Gradients that a flux has to resist."""
        return self.resisted or Directions(self.components, np.eye(self.size), self.scale)

    def singular_directions(self, tangent: Array) -> tuple[tuple[str, ...], npt.NDArray[np.bool_]]:
        """Names of the directions that nothing resists, e.g. "yy" or "xx - yy", and the components of each.

        Args:
            tangent: Effective tangent, internal components, shape (m, m).

        Returns:
            Names in reported components, and a mask (d, k) over :attr:`directions`.
        """
        resisted = self.directions
        null = null_directions(resisted.basis.T @ tangent @ resisted.basis)
        return tuple(named_direction(row * resisted.scale, resisted.names) for row in null), null != 0.0

    def local_gradient(self, field: Expr) -> Expr:
        """Gradient of a field as the phase laws see it, a UFL vector of k components."""
        gradient = self.gradient(field)
        return ufl.as_vector([_combine(row, gradient) for row in self.embedding])

    def reported_tangent(self, tangent: Array) -> Array:
        """Tangent between reported components, e.g. a stiffness with engineering shear strains."""
        return self.tangent_factor * tangent / np.outer(self.scale, self.scale)


def reporting(kinematics: Kinematics, **facts: Any) -> Kinematics:
    """The same kinematics, which says these facts, by name, of every cell that it describes."""
    describe = kinematics.characterize

    def characterize(effective: Array, phases: list[Array], fractions: list[float]) -> dict[str, Any]:
        return {**describe(effective, phases, fractions), **facts}

    return replace(kinematics, characterize=characterize)


def closed_axes(percolates: Sequence[bool]) -> tuple[str, ...]:
    """Names of the axes along which what conducts is not connected."""
    return tuple(axis for axis, is_open in zip("xyz", percolates, strict=False) if not is_open)


def _combine(row: Array, vector: Expr) -> Expr:
    terms = [float(weight) * vector[j] for j, weight in enumerate(row) if weight != 0.0]
    return sum(terms[1:], terms[0]) if terms else ufl.as_ufl(0.0)
