"""The kit's checks of phase laws: all of fe2's pass, and each way to be wrong fails with its message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest
import ufl
from initial_history import Fading, PointwiseFading
from ufl.core.expr import Expr

import fe2
from fe2.errors import InputError
from fe2.physics.law import Array
from fe2.tensors import rotation_from_bunge
from fe2.testing import check_phase_law

STEEL = {"young": 200e3, "poisson": 0.3, "yield_stress": 400.0}  # MPa
PASCAL = {"young": 200e9, "poisson": 0.3, "yield_stress": 400e6}
SATURATING = {"saturation_stress": 150.0, "saturation_rate": 80.0}
CREEP = {"reference_rate": 1e-3, "exponent": 5.0}
CYCLIC = {"back_stress": [80e3, 8e3], "recovery": [600.0, 40.0], "viscosity": 40.0, "exponent": 5.0}
CONE = {"young": 30e3, "poisson": 0.2, "friction": 1.2, "dilation": 0.4, "strength": 10.0, "hardening": 1e3}
CONE_IN_PASCAL = {**CONE, "young": 30e9, "strength": 10e6, "hardening": 1e9}
PRONY = {"times": [0.5, 20.0], "shear": [0.3, 0.4], "bulk": [0.1, 0.0]}
CRYSTAL = {
    **{"c11": 168.4e3, "c12": 121.4e3, "c44": 75.4e3, "resistance": 60.0, "reference_rate": 1e-2},
    **{"exponent": 10.0, "hardening": 250.0, "saturation": 150.0, "kinematic_hardening": 1e3},
}
STRESSES = ("c11", "c12", "c44", "resistance", "hardening", "saturation", "kinematic_hardening")
CRYSTAL_IN_PASCAL = {name: value * (1e6 if name in STRESSES else 1.0) for name, value in CRYSTAL.items()}
LAWS: dict[str, tuple[Any, float, Any]] = {
    "isotropic": (fe2.LinearElastic.isotropic(200e3, 0.3), 1e-3, fe2.LinearElastic.isotropic(200e9, 0.3)),
    "cubic": (
        fe2.LinearElastic.cubic(168.4, 121.4, 75.4, rotation_from_bunge(30.0, 50.0, -20.0)),
        1e-3,
        None,
    ),
    "J2": (fe2.J2Plasticity(**STEEL, hardening=2e3), 8e-3, fe2.J2Plasticity(**PASCAL, hardening=2e9)),
    "Voce": (
        fe2.VocePlasticity(**STEEL, **SATURATING),
        8e-3,
        fe2.VocePlasticity(**PASCAL, saturation_stress=150e6, saturation_rate=80.0),
    ),
    "cyclic": (
        fe2.Chaboche(**STEEL, **CYCLIC),
        8e-3,
        fe2.Chaboche(**PASCAL, **{**CYCLIC, "back_stress": [80e9, 8e9], "viscosity": 40e6}),
    ),
    "cone": (fe2.DruckerPrager(**CONE), 8e-3, fe2.DruckerPrager(**CONE_IN_PASCAL)),
    "polymer": (fe2.viscoelastic(3e3, 0.4, **PRONY), 1e-2, fe2.viscoelastic(3e9, 0.4, **PRONY)),
    "crystal": (fe2.crystal_plasticity(**CRYSTAL), 8e-3, fe2.crystal_plasticity(**CRYSTAL_IN_PASCAL)),
    "crystals": (
        fe2.MaterialField(
            partial(fe2.crystal_plasticity, **CRYSTAL),
            [1, 2],
            orientation=rotation_from_bunge([10.0, 70.0], 40.0, 5.0),
        ),
        8e-3,
        None,
    ),
    "Norton": (fe2.NortonPerzyna(**STEEL, **CREEP), 8e-3, fe2.NortonPerzyna(**PASCAL, **CREEP)),
    "neo-Hooke": (fe2.NeoHookean(1.0, 0.4), 0.2, fe2.NeoHookean(1e6, 0.4)),
    "Mooney": (fe2.MooneyRivlin(0.5, 0.1, 10.0), 0.2, fe2.MooneyRivlin(0.5e6, 0.1e6, 10e6)),
    "Holzapfel": (fe2.HolzapfelGasserOgden(1.0, 2.0, 3.0, 50.0, [[1.0, 0.0], [1.0, 1.0]], 0.1), 0.2, None),
    "own energy": (fe2.Hyperelastic(lambda F, p: p["c"] * ufl.inner(F, F), {"c": 1.0}, 5.0), 0.2, None),
    "conduction": (fe2.LinearConduction(3.0), 1.0, fe2.LinearConduction(3e6)),
    "storage": (fe2.LinearConduction(1.0, capacity=2.0), 1.0, None),
    "formulas": (fe2.NonlinearConduction(lambda T: 2.0 + T, lambda T: T + T**2), 0.5, None),
    "melting": (fe2.MeltingConduction(1.0, 2.0, 3.0, -0.2, 0.3, 2.0, 1.0), 0.5, None),
    "grains": (
        fe2.MaterialField(fe2.VocePlasticity, [1, 2, 3], **{**STEEL, "young": [1e5, 2e5, 3e5]}, **SATURATING),
        8e-3,
        None,
    ),
    "resistance that fades": (Fading(2.0), 1.0, Fading(2e6)),
    "the same point by point": (PointwiseFading(2.0), 1.0, PointwiseFading(2e6)),
}
PHYSICS = {
    **dict.fromkeys(("neo-Hooke", "Mooney", "Holzapfel", "own energy"), ("finite_strain",)),
    "conduction": ("diffusion",),
    **dict.fromkeys(("storage", "formulas", "melting"), ("diffusion", "value")),
}


@pytest.mark.parametrize("name", LAWS)
def test_laws_of_fe2_pass(name):
    law, amplitude, rescaled = LAWS[name]
    physics, *keys = PHYSICS.get(name, ("small_strain",))
    twin = None if rescaled is None else (rescaled, 1e6)
    check_phase_law(law, physics, amplitude=amplitude, rescaled=twin, **dict.fromkeys(keys, True))


@dataclass(frozen=True)
class Right(fe2.PointLaw):
    """Flux m |g|² g, with the largest |g| so far as history."""

    rate_independent: ClassVar[bool] = True

    modulus: float = 2.0

    def history(self, size: int) -> dict[str, int]:
        return {"largest": 1}

    def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> fe2.PointResponse:
        square = np.sum(gradient**2, axis=1)
        outer = gradient[:, :, None] * gradient[:, None, :]
        return fe2.PointResponse(
            self.modulus * square[:, None] * gradient,
            self.modulus * (square[:, None, None] * np.eye(gradient.shape[1]) + 2.0 * outer),
            {"largest": np.maximum(history["largest"], np.sqrt(square)[:, None])},
        )


def changed(**parts: Any) -> type[Right]:
    """The law with other parts of its answer: functions of the right answer and of what was given."""

    class Wrong(Right):
        def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> fe2.PointResponse:
            right = super().respond(gradient, history, dt)
            values = {"flux": right.flux, "tangent": right.tangent, "history": right.history}
            values |= {name: part(right, gradient, history, dt) for name, part in parts.items()}
            return fe2.PointResponse(**values)

    return Wrong


class Broadcasts(Right):
    broadcasts: ClassVar[bool] = True


class Begins(Right):
    def initial_history(self, size: int) -> dict[str, float | Array]:
        return {"strength": 1.0}


class Infinite(Right):
    def initial_history(self, size: int) -> dict[str, float | Array]:
        return {"largest": np.inf}


@dataclass(frozen=True)
class Branching(fe2.ExpressionLaw):
    """A Python condition on a parameter, which is a UFL constant in a cell."""

    modulus: float = 2.0

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        return self.modulus * gradient if self.modulus > 1.0 else gradient


@dataclass(frozen=True)
class Explicit(fe2.ExpressionLaw):
    """The flux is that of the history at the beginning of the step."""

    modulus: float = 2.0

    def history(self, size: int) -> dict[str, int]:
        return {"resistance": 1}

    def initial_history(self, size: int) -> dict[str, float | Array]:
        return {"resistance": 1.0}

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        return self.modulus * history["resistance"] * gradient

    def update(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> dict[str, Expr]:
        return {"resistance": history["resistance"] / (1.0 + dt)}


@dataclass(frozen=True)
class Twisted(fe2.ExpressionLaw):
    """A tangent that is not symmetric, though nothing says so."""

    modulus: float = 2.0

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        return self.modulus * ufl.as_vector(
            [gradient[1], *(0.0 * gradient[k] for k in range(1, len(gradient)))]
        )


DRAWS = np.random.default_rng(0)


def in_place(right: Any, gradient: Array, history: Any, dt: float) -> Any:
    history["largest"][:] = right.history["largest"]
    return right.history


WRONG = {
    "tangent": (
        changed(tangent=lambda right, *_: 1.001 * right.tangent),
        r"Wrong with 4 components, at the gradient .*: tangent\[\d, \d\] = .* central differences of the",
    ),
    "history changed in place": (changed(history=in_place), "respond changes the largest that it is given"),
    "gradient changed in place": (
        changed(flux=lambda right, gradient, *_: (right.flux, gradient.fill(0.0))[0]),
        "respond changes the gradient that it is given",
    ),
    "points that know of each other": (
        changed(history=lambda right, *_: {"largest": np.full_like(h := right.history["largest"], h.max())}),
        "largest when a point is asked alone differs by",
    ),
    "rate": (
        changed(history=lambda right, gradient, history, dt: {"largest": history["largest"] + dt}),
        "largest in a step of another length differs by",
    ),
    "chance": (
        changed(history=lambda right, *_: {"largest": right.history["largest"] + DRAWS.random()}),
        "largest when asked again differs by",
    ),
    "shape": (
        changed(history=lambda right, *_: {"largest": right.history["largest"][:, 0]}),
        r"largest has shape \(6,\); it must have \(6, 1\)",
    ),
    "missing": (changed(history=lambda *_: {}), "the new history has no 'largest'"),
    "no number": (changed(flux=lambda right, *_: right.flux * np.nan), "flux is not finite"),
    "broadcasting": (Broadcasts, "since it says broadcasts = True: ValueError: operands could not"),
    "unknown initial value": (Begins, "initial_history has 'strength', which history does not have"),
    "infinite initial value": (Infinite, "initial_history has largest = inf; it must be a finite number"),
    "condition": (Branching, "Branching with 4 components: UFLValueError|UFL conditions cannot be evaluated"),
    "explicit": (Explicit, "the flux in a step of length zero after the step, at the same gradient"),
    "twisted": (Twisted, "the tangent is not symmetric, though the law says symmetric = True"),
}  # fmt: skip


def test_law_that_the_wrong_ones_come_from_is_right():
    check_phase_law(Right(), "small_strain", amplitude=1.0, rescaled=(Right(2e6), 1e6))


@pytest.mark.parametrize("name", WRONG)
def test_law_that_is_wrong_in_one_way_fails_with_its_message(name):
    law, message = WRONG[name]
    with pytest.raises(AssertionError, match=message):
        check_phase_law(law(), "small_strain", amplitude=1.0)


def test_number_with_a_unit_that_is_no_parameter_is_found():
    hidden = changed(
        flux=lambda right, gradient, *_: right.flux + gradient,
        tangent=lambda right, *_: right.tangent + np.eye(right.tangent.shape[1]),
    )
    check_phase_law(hidden(), "small_strain", amplitude=1.0)
    with pytest.raises(AssertionError, match="the flux in other units, over the factor, differs by"):
        check_phase_law(hidden(), "small_strain", amplitude=1.0, rescaled=(hidden(2e6), 1e6))


def test_history_that_has_the_name_of_a_result_is_refused():
    class Forgetful(fe2.J2Plasticity):
        def history(self, size: int) -> dict[str, int]:
            return {**super().history(size), "stress": size}

    cell = fe2.image_cell(np.zeros((3, 3), dtype=np.int32), {"a": 0})
    with pytest.raises(
        InputError, match="phase 'a': Forgetful remembers 'stress', which results have already"
    ):
        fe2.small_strain(cell, {"a": Forgetful(**STEEL)})
