"""The kit for physics: fe2's own pass, and a wrong one of each kind fails with its message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import ufl
from mpi4py import MPI

import fe2
from fe2.physics.diffusion_table import Diffusion
from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import PHYSICS
from fe2.testing import check_physics

pytestmark = pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="serial")


def bed(dim: int) -> fe2.Cell:
    """A grain in a pore space."""
    labels = np.zeros(dim * (6,), dtype=int)
    labels[dim * (slice(1, 4),)] = 1
    return fe2.image_cell(labels, {"a": 0, "b": 1})


THERMAL = {"strain": 2e-3, "temperature": 20.0, "temperature_gradient": 10.0}
PHYSICS_OF_FE2: dict[str, tuple[str, list[Any], Any, dict[str, Any]]] = {
    "small strain": (
        "small_strain",
        [fe2.J2Plasticity(200e3, 0.3, 300.0, hardening=2e3), fe2.LinearElastic.isotropic(70e3, 0.2)],
        3e-3,
        {},
    ),
    "finite strain": ("finite_strain", [fe2.NeoHookean(1.0, 0.3), fe2.NeoHookean(5.0, 0.2)], 0.05, {}),
    "diffusion": ("diffusion", [fe2.LinearConduction(1.0), fe2.LinearConduction(20.0)], 1.0, {}),
    "diffusion with value": (
        "diffusion",
        [
            fe2.NonlinearConduction(lambda T: 1.0 + 0.1 * T, enthalpy=lambda T: 2.0 * T),
            fe2.LinearConduction(20.0, capacity=1.0),
        ],
        1.0,
        {"value": True},
    ),
    "thermoelasticity": (
        "thermoelasticity",
        [
            fe2.thermoplastic(200e3, 0.3, 300.0, 12e-6, 50.0, 3.6, hardening=2e3, taylor_quinney=0.9),
            fe2.thermoelastic(70e3, 0.33, 23e-6, 237.0, 2.4),
        ],
        THERMAL,
        {},
    ),
    "poroelasticity": (
        "poroelasticity",
        [
            fe2.Poroelastic(fe2.J2Plasticity(2.4e3, 0.15, 4.0, 30.0), 1e-9, 1e-9, 0.95, 9e3),
            fe2.poroelastic(14.4e3, 0.2, 0.79, 12.6e3, 1.9e-7, 1e-9),
        ],
        {"strain": 2e-3, "pressure": 5.0, "pressure_gradient": 1.0},
        {},
    ),
    "chemomechanics": (
        "chemomechanics",
        [
            fe2.Chemoelastic(90e9, 0.28, 1e-16, 8.2e-6, 300.0, 5e4),
            fe2.Chemoelastic(
                3e9, 0.35, 1e-14, 1e-6, 300.0, 1e3, saturation_concentration=1e4, interaction=2e3
            ),
        ],
        {"strain": 2e-3, "chemical_potential": 1e3, "chemical_potential_gradient": 1e3},
        {},
    ),
    "pore flow": (
        "pore_flow",
        [fe2.NewtonianFluid(2.0), fe2.Solid()],
        1.0,
        {"boundaries": ("periodic",), "cell": bed, "dims": (2,)},
    ),
}


@pytest.mark.parametrize("name", PHYSICS_OF_FE2)
def test_physics_of_fe2_pass(name: str) -> None:
    physics, laws, amplitude, keys = PHYSICS_OF_FE2[name]
    check_physics(physics, laws, amplitude=amplitude, **({"dims": (2,)} | keys))


def changed(**changes: Any) -> Callable[[Kinematics], Kinematics]:
    """A change of the only block."""
    return lambda found: replace(found, blocks=(replace(found.blocks[0], **changes),))


WRONG: dict[str, tuple[Callable[[Kinematics], Kinematics], str]] = {
    "modes of twice the size": (changed(modes=lambda x: 2.0 * x[:, None, :]), "and not the identity"),
    "operator with the other sign": (changed(operator=lambda T: -ufl.grad(T)), "and not the identity"),
    "field that there is not": (changed(field="heat"), "is of the field 'heat'; there are"),
    "gradient without modes": (changed(modes=None), "only values have no modes"),
    "scale of another size": (changed(scale=np.ones(7)), "2 components; so many are scale and initial"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_physics_fails_with_what_is_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, message = WRONG[name]

    class Wrong(Diffusion):
        def kinematics(self, dim: int) -> Kinematics:
            return change(super().kinematics(dim))

    found: Mapping[str, Any] = {"wrong": Wrong}
    monkeypatch.setattr(type(PHYSICS), "__getitem__", lambda self, key: found[key])
    with pytest.raises(AssertionError, match=message):
        check_physics(
            "wrong", [fe2.LinearConduction(1.0), fe2.LinearConduction(2.0)], amplitude=1.0, dims=(2,)
        )
