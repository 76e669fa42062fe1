r"""Slip systems of crystals: planes and directions, Schmid tensors, and how systems hinder each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from typing import Any

import numpy as np

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.tensors import from_matrix

type Vector = tuple[int, ...]

CUBIC = {
    "fcc": (((1, 1, 1), (1, 1, 0)),),
    "bcc12": (((1, 1, 0), (1, 1, 1)),),
    "bcc24": (((1, 1, 0), (1, 1, 1)), ((1, 1, 2), (1, 1, 1))),
    "bcc48": (((1, 1, 0), (1, 1, 1)), ((1, 1, 2), (1, 1, 1)), ((1, 2, 3), (1, 1, 1))),
}
"""Planes {hkl} and directions <uvw> of the modes of cubic crystals."""

HEXAGONAL = {
    "hcp_basal": (0,),
    "hcp_prismatic": (1,),
    "hcp": (0, 1, 2),
}
"""Modes of hexagonal crystals: basal, prismatic, first-order pyramidal <c + a>."""

FAMILIES = (*CUBIC, *HEXAGONAL)
"""Names of the families of slip systems."""

INTERACTIONS = ("self", "coplanar", "collinear", "hirth", "glissile", "lomer")
"""What the Burgers vectors of two systems of the face-centred cubic lattice may be to each other."""


@dataclass(frozen=True)
class SlipSystems:
    r"""Slip systems in the axes of the crystal; of hexagonal ones the third is c, the first along a₁.

    Attributes:
        family: "fcc": 12 systems {111}<110>. "bcc12", "bcc24", "bcc48": {110}, with {112}, with {123},
            along <111>. "hcp_basal": 3 systems {0001}<11-20>; "hcp_prismatic": 3 systems {10-10}<11-20>;
            "hcp": these with 12 first-order pyramidal ones {10-11}<11-23>.
        axis_ratio: c/a of hexagonal crystals, positive.

    Raises:
        InputError: The family is not known.
    """

    family: str = "fcc"
    axis_ratio: float = 1.633

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise InputError(f"SlipSystems: family = {self.family!r} is not known; it is one of {FAMILIES}")
        if not (np.isfinite(self.axis_ratio) and self.axis_ratio > 0.0):
            raise InputError(
                f"SlipSystems: axis_ratio = {self.axis_ratio} is not admissible; it must be positive"
            )

    @property
    def count(self) -> int:
        """Number S of systems."""
        return len(self.mode)

    @cached_property
    def mode(self) -> Ints:
        """Number of the mode of each system, e.g. 0 of basal ones, shape (S,)."""
        return np.array([mode for mode, _, _ in self._systems], dtype=np.int64)

    @cached_property
    def normals(self) -> Array:
        """Unit normals of the planes, shape (S, 3)."""
        return np.array([_unit(plane) for _, plane, _ in self._systems])

    @cached_property
    def directions(self) -> Array:
        """Unit directions of slip, shape (S, 3)."""
        return np.array([_unit(direction) for _, _, direction in self._systems])

    @cached_property
    def schmid(self) -> Array:
        r"""Schmid tensors :math:`\operatorname{sym}(s \otimes n)`, Mandel components, shape (S, 6)."""
        return from_matrix(np.einsum("ai,aj->aij", self.directions, self.normals), 6)

    @cached_property
    def squares(self) -> Array:
        """Schmid tensors times themselves, flattened, shape (S, 36)."""
        return np.einsum("ai,aj->aij", self.schmid, self.schmid).reshape(self.count, 36)

    @cached_property
    def kinds(self) -> Ints:
        """For each pair of systems the number of its interaction, shape (S, S).

        In "fcc" a number in :data:`INTERACTIONS`; otherwise 0: the system itself, 1: in the same plane,
        2: in another one.
        """
        n, s = self.normals, self.directions
        same_plane, across = np.abs(n @ n.T) > 1.0 - 1e-9, np.abs(s @ s.T)
        kinds = np.where(same_plane, 1, 2)
        if self.family == "fcc":
            kinds = np.where(same_plane, 1, np.where(across > 1.0 - 1e-9, 2, np.where(across < 1e-9, 3, 4)))
            for i, j in np.argwhere(kinds == 4):
                # Burgers vectors add up to a third one, which glides where it lies in one of the planes
                sign = -1.0 if s[i] @ s[j] > 0.0 else 1.0
                third = s[i] + sign * s[j]
                kinds[i, j] = 4 if min(abs(third @ n[i]), abs(third @ n[j])) < 1e-9 else 5
        np.fill_diagonal(kinds, 0)
        return kinds

    @cached_property
    def _systems(self) -> list[tuple[int, Array, Array]]:
        if self.family in CUBIC:
            modes = enumerate(CUBIC[self.family])
            return [
                (k, np.array(p), np.array(d)) for k, (planes, ways) in modes for p, d in _pairs(planes, ways)
            ]
        return [
            (mode, *system) for mode in HEXAGONAL[self.family] for system in _hexagonal(mode, self.axis_ratio)
        ]


def _pairs(plane: Vector, direction: Vector) -> Iterator[tuple[Any, Any]]:
    """All planes and directions of these kinds that lie in each other, each up to its sign."""
    for p, d in product(_alike(plane), _alike(direction)):
        if np.dot(p, d) == 0:
            yield p, d


def _alike(vector: Vector) -> list[Vector]:
    """The vectors that the symmetry of the cube makes of one, each up to its sign."""
    signed = product(*[(v, -v) if v else (v,) for v in vector])
    every = {order for signs in signed for order in permutations(signs)}
    return sorted((v for v in every if next(x for x in v if x) > 0), reverse=True)


def _hexagonal(mode: int, ratio: float) -> list[tuple[Array, Array]]:
    """Planes and directions of a mode, in Cartesian axes with a = 1."""
    angle = np.radians([0.0, 120.0, 240.0])
    a = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(3)])
    c = np.array([0.0, 0.0, ratio])
    if mode == 0:
        return [(c, way) for way in a]
    if mode == 1:
        return [(np.cross(c, way), way) for way in a]
    found = []
    for k in range(6):
        # the pyramidal plane that holds a first a-direction and c + a of the two directions next to it
        turn = np.radians(60.0 * k)
        edge = np.array([np.cos(turn), np.sin(turn), 0.0])
        tops = [
            c + np.array([np.cos(t), np.sin(t), 0.0]) for t in (turn + np.pi / 3.0, turn + 2.0 * np.pi / 3.0)
        ]
        normal = np.cross(edge, tops[0])
        found += [(normal, top) for top in tops]
    return found


def _unit(vector: Array) -> Array:
    unit: Array = vector / np.linalg.norm(vector)
    return unit
