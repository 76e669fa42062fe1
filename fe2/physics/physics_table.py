"""What a physics registers: its keys in the table of a cell, and what a run has to know of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import fe2.lazy_ufl as ufl
from fe2.arrays import Array
from fe2.physics.law import isochoric_phases
from fe2.registry import Registry
from fe2.table import Table

if TYPE_CHECKING:
    from ufl.core.expr import Expr

    from fe2.physics.kinematics import Kinematics

Key = tuple[str | int, ...]
Kind = Literal["scalar", "vector"]


class Physics(Table):
    """A physics, registered under its name in the entry points `fe2.physics`.

    Its fields are keys of the table of a cell, beside those that say where the geometry comes from; each has
    a default and, as its docstring, a description. Its laws are registered by themselves, in `fe2.laws`.

    Attributes:
        factory: Makes an RVE of a cell and a law for each phase, with the keywords `boundary`, `degree`,
            `options` and those of :meth:`keywords`; the function, or its path "package.module:name", so that
            DOLFINx is not loaded to check a file.
        effective: What the effective tangent is called.
        default_law: Law of phases that name none.
        empty: What stands in the table of a phase that carries nothing, e.g. 'law = "void"'.
    """

    factory: ClassVar[str | Callable[..., Any]]
    effective: ClassVar[str] = "tangent"
    default_law: ClassVar[str | None] = None
    empty: ClassVar[str] = ""

    @property
    def unknowns(self) -> dict[str, Kind]:
        """The macroscopic fields by name, and what they are."""
        shapes = self.kinematics(2).fields
        return {name: "vector" if shape else "scalar" for name, shape in shapes.items()}

    @property
    def values(self) -> dict[str, float]:
        """Fields whose value cells receive, and their values in a virgin cell."""
        blocks = self.kinematics(2).blocks
        return {block.field: float(block.initial[0]) for block in blocks if block.kind == "value"}

    @property
    def title(self) -> str:
        """Name of the physics."""
        return self.kinematics(2).name

    def kinematics(self, dim: int) -> Kinematics:
        """What goes between the scales, for the keys as they are."""
        raise NotImplementedError

    def balances(
        self, kinematics: Kinematics, law: Any, fields: Mapping[str, Expr], tests: Mapping[str, Expr]
    ) -> dict[str, Expr]:
        r"""Integrands of the macroscopic weak form by the field in whose equation they stand.

        By default what is :meth:`stored` works on the test function of its field, and all other duals on
        their blocks of the test functions, :math:`\sum_b s_b\cdot b(v)`.

        Args:
            kinematics: The blocks.
            law: The homogenized law: `law["stress"]` is a dual, a UFL vector or a scalar, and
                `law.rate("entropy")` what it changes in a unit of time.
            fields: The unknowns by name.
            tests: Their test functions.
        """
        found = {name: rate * tests[name] for name, rate in self.stored(kinematics, law, fields).items()}
        for block in kinematics.blocks:
            if block.kind != "value":
                work = ufl.inner(law[block.dual], block.operator(tests[block.field]))
                found[block.field] = found[block.field] + work if block.field in found else work
        return found

    def stored(self, kinematics: Kinematics, law: Any, fields: Mapping[str, Expr]) -> dict[str, Expr]:
        """What cells store of fields in a unit of time, in a unit of volume: by default duals of values.

        Args:
            kinematics: The blocks.
            law: As in :meth:`balances`.
            fields: The unknowns by name.
        """
        return {block.field: law[block.dual] for block in kinematics.blocks if block.kind == "value"}

    def diffusivity(self, kinematics: Kinematics, tangent: Array) -> float | None:
        """How fast a scalar that is held at a boundary evens out: a length squared in a unit of time.

        A run warns of steps that are too short for its elements. None where no step can be.

        Args:
            kinematics: The blocks.
            tangent: Effective tangent of a virgin cell, shape (m, m).
        """
        return None

    def rve(self, cell: Any, laws: Mapping[str, Any], **options: Any) -> Any:
        """What the factory makes of a cell and a law for each of its phases.

        Args:
            cell: The geometry.
            laws: The laws by phase.
            options: `boundary`, `degree`, `options`.
        """
        factory = type(self).factory
        make = resolve_name(factory) if isinstance(factory, str) else factory
        return make(cell, laws, **options, **self.keywords(cell.names))

    def keywords(self, phases: Collection[str]) -> dict[str, Any]:
        """Keywords of the factory for a cell of these phases: by default the keys themselves.

        Args:
            phases: Phases that the cell has: what is said of others is left out.
        """
        return {name: getattr(self, name) for name in own_keys(type(self))}

    def named_phases(self) -> dict[Key, str]:
        """Names of phases that stand in the keys, by their place."""
        return {}

    def keeps_volume(self, phases: Mapping[str, Any]) -> tuple[str, ...]:
        """Phases, by name with their laws, for which linear simplices lock."""
        return isochoric_phases(phases)

    def seen(self, law: Any) -> Any:
        """A phase's law as a function of all that a point is handed, for checks."""
        return law

    def history(self, law: Any, size: int) -> dict[str, int]:
        """History variables of a cell with a law in a phase, and their numbers of components.

        Args:
            law: The law.
            size: Number of components that the law sees.
        """
        found: dict[str, int] = law.history(size) if hasattr(law, "history") else {}
        return found


def own_keys(physics: type[Physics]) -> list[str]:
    """Keys that a physics has besides: those of the class itself, where it is joined with a geometry."""
    owner = next(base for base in physics.__mro__ if issubclass(base, Physics) and "factory" in vars(base))
    return [name for name in owner.model_fields if name not in Physics.model_fields]


def _misfit(found: Any) -> str | None:
    """What keeps something from being a physics."""
    if not (isinstance(found, type) and issubclass(found, Physics)):
        return f"a class derived from {Physics.__module__}.Physics is expected, and {found!r} came"
    if not hasattr(found, "factory"):
        return f"{found.__name__}.factory is missing: (cell, laws, ...) ↦ RVE, or its path"
    if found.kinematics is Physics.kinematics:
        return f"{found.__name__}.kinematics is missing: dimension ↦ Kinematics"
    if required := [name for name, info in found.model_fields.items() if info.is_required()]:
        return f"{found.__name__}.{required[0]} has no default, which every key of a physics needs"
    return None


def _no_law(found: Any) -> str | None:
    return (
        None if callable(found) else f"a class or function that makes a law is expected, and {found!r} came"
    )


PHYSICS: Registry[type[Physics]] = Registry("fe2.physics", "the physics", _misfit)
"""Physics by name."""

LAWS: Registry[Callable[..., Any]] = Registry("fe2.laws", "the law", _no_law)
"""Laws by the name of their physics, a point, and their own: `small.linear` is `law = "linear"` there."""


def laws_of(physics: str) -> list[str]:
    """Names of the laws of a physics."""
    return [law for owner, _, law in (name.partition(".") for name in LAWS) if owner == physics]
