"""The catalogue of what a case file can name: physics and their laws.

A physics joins with an entry in `PHYSICS`: its factory, its laws by the names they have in case files,
and the name of its unknown. The keys of a law are the parameters of its callable, with types,
defaults and descriptions from signature and docstring. Everything is named by its path, so that
reading a case file imports only what the file uses, and never DOLFINx.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from fe2.case.signatures import table_model
from fe2.case.table import Table


@dataclass(frozen=True)
class Physics:
    """What a case file needs to know of a physics.

    Attributes:
        factory: Path of the function that makes an RVE of a cell and a law for each phase, with the
            keywords `boundary`, `degree` and `options`.
        kinematics: Path of the function dimension ↦ kinematics.
        value_kinematics: The same where cells see the field's value too, or None where they cannot.
        laws: Path of the callable of each law, by the law's name in case files.
        field: Name of the macroscopic unknown.
        vector: True where the unknown is a vector.
        effective: What the effective tangent is called.
        default_law: Law of phases that name none.
        options: Keys of a cell's table that this physics has besides: keywords of the factory.
    """

    factory: str
    kinematics: str
    laws: Mapping[str, str]
    field: str
    vector: bool
    effective: str
    value_kinematics: str | None = None
    default_law: str | None = None
    options: tuple[str, ...] = ()


_VOID = "fe2.physics.void:Void"
_ELASTIC = "fe2.physics.elasticity:LinearElastic"

PHYSICS: dict[str, Physics] = {
    "small_strain": Physics(
        factory="fe2.micro.small_strain:small_strain",
        kinematics="fe2.physics.small_strain:small_strain_kinematics",
        laws={
            "linear_elastic": f"{_ELASTIC}.isotropic",
            "cubic_elastic": f"{_ELASTIC}.cubic",
            "transversely_isotropic_elastic": f"{_ELASTIC}.transversely_isotropic",
            "orthotropic_elastic": f"{_ELASTIC}.orthotropic",
            "j2_plasticity": "fe2.physics.plasticity:J2Plasticity",
            "voce_plasticity": "fe2.physics.voce:VocePlasticity",
            "norton_perzyna": "fe2.physics.viscoplasticity:NortonPerzyna",
            "void": _VOID,
        },
        field="displacement",
        vector=True,
        effective="stiffness",
    ),
    "finite_strain": Physics(
        factory="fe2.micro.finite_strain:finite_strain",
        kinematics="fe2.physics.finite_strain:finite_strain_kinematics",
        laws={
            "neo_hookean": "fe2.physics.neo_hookean:NeoHookean",
            "mooney_rivlin": "fe2.physics.mooney_rivlin:MooneyRivlin",
            "holzapfel_gasser_ogden": "fe2.physics.holzapfel_gasser_ogden:HolzapfelGasserOgden",
            "void": _VOID,
        },
        field="displacement",
        vector=True,
        effective="tangent",
        options=("incompressible",),
    ),
    "diffusion": Physics(
        factory="fe2.micro.diffusion:diffusion",
        kinematics="fe2.physics.diffusion:diffusion_kinematics",
        value_kinematics="fe2.physics.diffusion:value_diffusion_kinematics",
        laws={
            "linear_conduction": "fe2.physics.conduction:LinearConduction",
            "melting_conduction": "fe2.physics.melting:MeltingConduction",
        },
        field="temperature",
        vector=False,
        effective="conductivity",
        default_law="linear_conduction",
        options=("value", "initial_value", "contact", "connection"),
    ),
    "pore_flow": Physics(
        factory="fe2.micro.pore_flow:pore_flow",
        kinematics="fe2.physics.pore_flow:pore_flow_kinematics",
        value_kinematics="fe2.physics.pore_flow:value_pore_flow_kinematics",
        laws={"newtonian_fluid": "fe2.physics.pore_flow:newtonian_fluid"},
        field="pressure",
        vector=False,
        effective="permeability",
        default_law="newtonian_fluid",
        options=("value", "initial_value"),
    ),
}
"""Physics by name."""


def meant_physics(name: object) -> str | None:
    """The physics of a name, or the nearest one, with which the rest of a file can be checked."""
    if not isinstance(name, str):
        return None
    return next(iter(difflib.get_close_matches(name, PHYSICS, n=1)), None)


@cache
def resolve(path: str) -> Callable[..., Any]:
    """What a path such as ``package.module:Class.method`` names."""
    module, _, names = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return found


@cache
def law_model(physics: str, law: str) -> type[Table]:
    """Model of the parameters of a law, with the key `law`."""
    entry = PHYSICS[physics]
    required = law != entry.default_law
    key = (Literal[law], ...) if required else (Literal[law], law)
    return table_model(law, resolve(entry.laws[law]), law=key)
