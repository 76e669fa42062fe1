r"""Kinematics: what goes from scale to scale, in named blocks, and the operator field ↦ gradient.

A macroscopic point hands a cell a vector g of m components: a strain, a temperature and its gradient, ...
The cell answers with as many components of what is conjugate to them: a stress, an entropy, a heat flux.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import fe2.lazy_ufl as ufl
from fe2.arrays import Array, Ints, Mask
from fe2.errors import place
from fe2.singular import named_direction, null_directions
from fe2.tensors import component_names

if TYPE_CHECKING:
    from ufl.core.expr import Expr

type Kind = Literal["gradient", "value", "second gradient", "jump"]


def _nothing(effective: Array, phases: list[Array], fractions: list[float], boundary: str) -> dict[str, Any]:
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """One quantity that the macroscopic scale hands down, and what is conjugate to it.

    Attributes:
        name: What it is, e.g. "strain".
        dual: What comes back for it, e.g. "stress".
        components: Names of its components; a single one is not named in results.
        field: Name of the field of which it is made, e.g. "displacement".
        operator: Field ↦ its components, a UFL vector, or a scalar where there is one. It serves both
            scales: the macroscopic unknown, and the fields of a cell.
        modes: Coordinates (n, dim) ↦ fields (n, field size, size) for which one component is one and all
            others are zero; None of a value, which moves no field of a cell.
        kind: "gradient": it moves the fields of a cell. "value": a parameter of the cell, uniform in it,
            such as a temperature. "second gradient", "jump": as a gradient, of other orders.
        scale: What is reported to people is a component times this, and a component of the dual divided by
            it: engineering shear strains and plain shear stresses where the internal ones are Mandel's.
            Ones where it is None.
        initial: Components in a virgin cell, zeros where it is None.
        embedding: Matrix E of shape (k, size): phase laws see k components E g, and return a flux t, of which
            :math:`E^T t` works on the field; so in plane strain, with xx, yy, zz, xy. The identity where it
            is None.
        local_components: Names of the k components that the phase laws see; those above where none are given.
        balance: Of a value: what a unit of its dual weighs in the balance of the flux by which it changes;
            one of a mass or a heat, the reference temperature of an entropy.
        is_positive: Whether its components have to be positive, as an absolute temperature.
    """

    name: str
    dual: str
    components: tuple[str, ...]
    field: str
    operator: Callable[[Expr], Expr]
    modes: Callable[[Array], Array] | None = None
    kind: Kind = "gradient"
    scale: Array = None  # type: ignore[assignment]  # filled in
    initial: Array = None  # type: ignore[assignment]  # filled in
    embedding: Array = None  # type: ignore[assignment]  # filled in
    local_components: tuple[str, ...] = ()
    balance: float = 1.0
    is_positive: bool = False

    def __post_init__(self) -> None:
        defaults = {
            "scale": np.ones(self.size),
            "initial": np.zeros(self.size),
            "embedding": np.eye(self.size),
        }
        for name, default in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
        if not self.local_components:
            object.__setattr__(self, "local_components", self.components)

    @property
    def size(self) -> int:
        """Number of components."""
        return len(self.components)

    @property
    def local_size(self) -> int:
        """Number k of components that the phase laws see."""
        return len(self.local_components)

    def local(self, field: Expr) -> Expr:
        """What the phase laws see of a field, a UFL vector of k components."""
        gradient = ufl.as_vector(_parts(self.operator(field)))
        return ufl.as_vector([_combine(row, gradient) for row in self.embedding])

    @property
    def local_names(self) -> tuple[str, ...]:
        """What those that phase laws see are called in local fields."""
        return tuple(f"{self.name}_{component}" for component in self.local_components)

    @property
    def local_dual_names(self) -> tuple[str, ...]:
        """What those of the local dual are called."""
        return tuple(f"{self.dual}_{component}" for component in self.local_components)

    @property
    def is_mandel(self) -> bool:
        """Whether phase laws see a symmetric tensor in Mandel components, with its three normal ones."""
        return self.local_size in (4, 6) and self.local_components == component_names(self.local_size)

    @property
    def names(self) -> tuple[str, ...]:
        """What the components are called in results: "strain_xx", or "temperature" of a scalar."""
        return _columns(self.name, self.components)

    @property
    def dual_names(self) -> tuple[str, ...]:
        """What those of the dual are called: "stress_xx", or "entropy"."""
        return _columns(self.dual, self.components)


def scalar_value(
    name: str,
    dual: str,
    field: str,
    initial: float = 0.0,
    balance: float = 1.0,
    *,
    is_positive: bool = False,
) -> Block:
    """A block that is the value of a scalar field, e.g. "temperature" with "entropy".

    Args:
        name: What it is.
        dual: What is conjugate to it.
        field: Name of the field.
        initial: Value in a virgin cell.
        balance: Weight of the dual in the balance of its flux, see `Block`.
        is_positive: Whether it has to be positive, as an absolute temperature.
    """
    return Block(
        name=name,
        dual=dual,
        components=(name,),
        field=field,
        operator=lambda value: value,
        kind="value",
        initial=np.array([initial]),
        balance=balance,
        is_positive=is_positive,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Kinematics:
    r"""What the macroscopic scale hands down and gets back: blocks, whose components stand in one vector.

    Attributes:
        name: Name of the physics.
        dim: Geometric dimension.
        fields: Shapes of the macroscopic fields by name: () for a scalar, (dim,) for a vector.
        blocks: The blocks, in the order in which they stand in a gradient of m components.
        characterize: (effective tangent, tangents of the phases, volume fractions, boundary condition), in
            internal components, ↦ bounds and other numbers by name that describe the effective tangent.
        indicators: Tangents of points, shape (n, m, m) ↦ what they announce, by name, each of shape
            (n,): small values are the critical ones. Written with the macroscopic fields.
        origin_size: Size of what the phase laws add to the gradient, 1 where they see F = 1 + H. The
            round-off of their flux is relative to it, however small the gradient is.
        tangent_factor: The effective tangent is reported times this: in pore flow the viscosity, so
            that it is the permeability.
        closed: Names of components of the flux that vanish whatever the gradient: what conducts is not
            connected along these axes.
        resisted: Gradients that a flux has to resist, or a macroscopic problem is singular: not rotations;
            all components but those of values where it is None.
        isochoric: Phases of a cell that keep their volume or nearly so, see
            :attr:`~fe2.physics.law.PhaseLaw.isochoric`.
    """

    name: str
    dim: int
    fields: Mapping[str, tuple[int, ...]]
    blocks: tuple[Block, ...]
    characterize: Callable[[Array, list[Array], list[float], str], dict[str, Any]] = _nothing
    indicators: Callable[[Array], dict[str, Array]] = _no_indicators
    origin_size: float = 0.0
    tangent_factor: float = 1.0
    closed: tuple[str, ...] = ()
    resisted: Directions | None = None
    isochoric: tuple[str, ...] = ()

    @cached_property
    def size(self) -> int:
        """Number m of components of all blocks together."""
        return sum(block.size for block in self.blocks)

    @cached_property
    def components(self) -> tuple[str, ...]:
        """Names of all components; those of several blocks have the name of their block before them."""
        if len(self.blocks) == 1:
            return self.blocks[0].components
        return self.gradient_names

    @cached_property
    def gradient_names(self) -> tuple[str, ...]:
        """What the components are called in results, e.g. "strain_xx"."""
        return tuple(name for block in self.blocks for name in block.names)

    @cached_property
    def flux_names(self) -> tuple[str, ...]:
        """What the components of the flux are called in results, e.g. "stress_xx"."""
        return tuple(name for block in self.blocks for name in block.dual_names)

    @property
    def gradient_name(self) -> str:
        """What the gradient is called, e.g. "strain"."""
        return "_and_".join(block.name for block in self.blocks)

    @property
    def flux_name(self) -> str:
        """What the flux is called, e.g. "stress"."""
        return "_and_".join(block.dual for block in self.blocks)

    @cached_property
    def scale(self) -> Array:
        """What is reported to people is g · scale and s / scale, shape (m,)."""
        return np.concatenate([block.scale for block in self.blocks])

    @cached_property
    def origin(self) -> Array:
        """Gradient of a virgin cell, shape (m,)."""
        return np.concatenate([block.initial for block in self.blocks])

    def block(self, name: str = "") -> Block:
        """The block of a name, or the only one."""
        if not name:
            (only,) = self.blocks
            return only
        return next(block for block in self.blocks if block.name == name)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each block stands in a gradient, by its name."""
        ends = np.cumsum([0, *(block.size for block in self.blocks)]).tolist()
        return {block.name: slice(a, b) for block, a, b in zip(self.blocks, ends, ends[1:], strict=False)}

    @cached_property
    def positive(self) -> Ints:
        """Numbers of the components that have to be positive."""
        return np.flatnonzero([block.is_positive for block in self.blocks for _ in block.components])

    @cached_property
    def values(self) -> Ints:
        """Numbers of the components that are values."""
        kinds = [block.kind for block in self.blocks for _ in block.components]
        return np.array([k for k, kind in enumerate(kinds) if kind == "value"], dtype=np.int64)

    @property
    def directions(self) -> Directions:
        """Gradients that a flux has to resist."""
        if self.resisted is not None:
            return self.resisted
        kept = np.setdiff1d(np.arange(self.size), self.values)
        gradients = [block for block in self.blocks if block.kind != "value"]
        several = len(gradients) > 1
        names = tuple(n for block in gradients for n in (block.names if several else block.components))
        return Directions(names, np.eye(self.size)[:, kept], self.scale[kept])

    def singular_directions(self, tangent: Array) -> tuple[tuple[str, ...], Mask]:
        """Names of the directions that nothing resists, e.g. "yy" or "xx - yy", and the components of each.

        Args:
            tangent: Effective tangent, internal components, shape (m, m).

        Returns:
            Names in reported components, and a mask (d, k) over :attr:`directions`.
        """
        resisted = self.directions
        # of several blocks each is measured by itself: stiffnesses and conductivities have no common unit
        sizes = np.ones(self.size)
        if len(self.blocks) > 1:
            for part in self.slices.values():
                sizes[part] = np.sqrt(np.abs(np.diag(tangent)[part]).max()) or 1.0
        own = np.abs(resisted.basis).T @ sizes
        null = null_directions(resisted.basis.T @ tangent @ resisted.basis / np.outer(own, own)) / own
        return tuple(named_direction(row * resisted.scale, resisted.names) for row in null), null != 0.0

    def reported_tangent(self, tangent: Array) -> Array:
        """Tangent between reported components, e.g. a stiffness with engineering shear strains."""
        return self.tangent_factor * tangent / np.outer(self.scale, self.scale)

    @property
    def field_shape(self) -> tuple[int, ...]:
        """Shape of the field, where there is only one."""
        (shape,) = self.fields.values()
        return shape

    @property
    def local_components(self) -> tuple[str, ...]:
        """Names of the components that laws of the first gradient see, for tensors of the history."""
        return next(block for block in self.blocks if block.kind != "value").local_components

    def gradient(self, field: Expr) -> Expr:
        """Gradient that is made of one field, a UFL vector of m components."""
        if len(self.blocks) == 1:
            return self.blocks[0].operator(field)
        return ufl.as_vector([part for block in self.blocks for part in _parts(block.operator(field))])

    def modes(self, x: Array) -> Array:
        """Macroscopic modes of the one field at coordinates (n, dim), shape (n, field size, m)."""
        size = int(np.prod(self.field_shape))
        parts = [b.modes(x) if b.modes else np.zeros((len(x), size, b.size)) for b in self.blocks]
        return np.concatenate(parts, axis=2)

    def described(self, gradient: Array) -> str:
        """A gradient, shape (m,), in words and reported components: "strain (xx, yy, xy) = (...), ..."."""
        values = gradient * self.scale
        return ", ".join(
            f"{block.name} = {values[part][0]:.6g}"
            if block.size == 1
            else f"{block.name} ({', '.join(block.components)}) = {place(values[part])}"
            for block, part in zip(self.blocks, self.slices.values(), strict=True)
        )

    def by_block(self, matrix: Array) -> dict[str, dict[str, Array]]:
        """The parts of a tangent (m, m): by the dual of their rows and the block of their columns."""
        return {
            block.dual: {name: matrix[self.slices[block.name], part] for name, part in self.slices.items()}
            for block in self.blocks
        }


def reporting[K: Kinematics](kinematics: K, **facts: Any) -> K:
    """The same kinematics, which says these facts, by name, of every cell that it describes."""
    describe = kinematics.characterize

    def characterize(
        effective: Array, phases: list[Array], fractions: list[float], boundary: str
    ) -> dict[str, Any]:
        return {**describe(effective, phases, fractions, boundary), **facts}

    return replace(kinematics, characterize=characterize)


def closed_axes(percolates: Sequence[bool]) -> tuple[str, ...]:
    """Names of the axes along which what conducts is not connected."""
    return tuple(axis for axis, is_open in zip("xyz", percolates, strict=False) if not is_open)


def _combine(row: Array, vector: Expr) -> Expr:
    terms = [float(weight) * vector[j] for j, weight in enumerate(row) if weight != 0.0]
    return sum(terms[1:], terms[0]) if terms else ufl.as_ufl(0.0)


def _columns(name: str, components: tuple[str, ...]) -> tuple[str, ...]:
    return (name,) if len(components) == 1 else tuple(f"{name}_{component}" for component in components)


def _parts(expression: Expr) -> list[Expr]:
    """Components of a UFL vector, or a scalar alone."""
    return [expression[i] for i in range(expression.ufl_shape[0])] if expression.ufl_shape else [expression]
