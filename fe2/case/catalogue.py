"""What a case file can name: physics, their laws, micro models, as installed packages have registered them.

Reading a case file imports only what the file uses, and never DOLFINx. The keys of a law are the parameters
of its callable, with types, defaults and descriptions from signature and docstring.
"""

from __future__ import annotations

import difflib
from functools import cache
from typing import Any, Literal

from pydantic import create_model

from fe2.case.cell_tables import CellTable
from fe2.case.signatures import table_model
from fe2.errors import InputError
from fe2.physics.law import PhaseLaw
from fe2.physics.physics_table import LAWS, PHYSICS, Physics, laws_of
from fe2.registry import Registry
from fe2.table import Table


def meant_name(name: object, registry: Registry[Any]) -> str | None:
    """The registered name or the nearest one, with which the rest is checked; None where it is broken."""
    near = difflib.get_close_matches(name, list(registry), n=1) if isinstance(name, str) else []
    try:
        return next((found for found in near if registry[found] is not None), None)
    except InputError:
        return None


def meant_physics(name: object) -> str | None:
    """The physics of a name, or the nearest one."""
    return meant_name(name, PHYSICS)


@cache
def cell_model(geometry: type[CellTable], physics: type[Physics]) -> type[CellTable]:
    """Model of a cell: the keys of its geometry and those of its physics."""
    name = f"{geometry.__name__}_{physics.__name__}"
    bases: Any = (geometry, physics)
    return create_model(name, __base__=bases, __doc__=geometry.__doc__)


@cache
def law_model(physics: str, law: str) -> type[Table]:
    """Model of the parameters of a law, with the key `law`.

    Raises:
        InputError: The law does not load, or its parameters cannot be keys.
    """
    required = law != PHYSICS[physics].default_law
    key = (Literal[law], ...) if required else (Literal[law], law)
    made = LAWS[f"{physics}.{law}"]
    try:
        return table_model(law, made, law=key)
    except (TypeError, ValueError, NameError) as error:
        raise InputError(
            f"the parameters of the law {physics}.{law}, {made!r}, cannot be read: {error}"
        ) from error


def make_law(physics: str, law: str, parameters: dict[str, Any]) -> PhaseLaw:
    """A law of its parameters.

    Raises:
        InputError: The law refuses its parameters, or what is made is no law.
    """
    made = LAWS[f"{physics}.{law}"](**parameters)
    if not isinstance(made, PhaseLaw):
        raise InputError(
            f"the law {physics}.{law} does not fit: it made {made!r}, and a PhaseLaw is expected"
        )
    return made


def sound_laws(physics: str) -> dict[str, type[Table]]:
    """Models of all laws of a physics that load, by name."""
    broken = LAWS.broken()
    return {law: law_model(physics, law) for law in laws_of(physics) if f"{physics}.{law}" not in broken}
