r"""Conduction and diffusion: a scalar field with its gradient, and with its value where that matters.

The flux is :math:`s = K\,\nabla T`, the *opposite* of the physical flux :math:`-K\,\nabla T`, so that
the weak form is :math:`\int s\cdot\nabla v` as in mechanics and K is the tangent. Temperature stands
for any potential: electric potential, concentration, pressure in a Darcy medium.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import fe2.lazy_ufl as ufl
from fe2.arrays import Array
from fe2.physics.bounds import (
    hashin_shtrikman_conductivity,
    reuss_bound,
    voigt_bound,
    warn_outside_of_bounds,
    warn_outside_of_means,
)
from fe2.physics.kinematics import Block, Kinematics, closed_axes, scalar_value

if TYPE_CHECKING:
    from ufl.core.expr import Expr


VALUE = "value"
"""Name of the block that is the field itself."""
_FIELD = "temperature"


def gradient(field: Expr) -> Expr:
    """Gradient of a scalar field, a UFL vector."""
    return ufl.grad(field)


def value_and_gradient(field: Expr) -> Expr:
    """A scalar field and its gradient in one UFL vector: value, x, y (, z)."""
    slope = ufl.grad(field)
    return ufl.as_vector([field, *(slope[i] for i in range(slope.ufl_shape[0]))])


def slope(name: str, dual: str, field: str, dim: int) -> Block:
    """The block that is the gradient of a scalar field.

    Args:
        name: What the gradient is called.
        dual: What is conjugate to it.
        field: Name of the field.
        dim: Geometric dimension.
    """
    return Block(
        name=name,
        dual=dual,
        components=tuple("xyz"[:dim]),
        field=field,
        operator=gradient,
        modes=lambda x: x[:, None, :],
    )


def diffusion_kinematics(dim: int) -> Kinematics:
    """The cell receives the gradient of the field."""
    return Kinematics(
        name="diffusion",
        dim=dim,
        fields={_FIELD: ()},
        blocks=(slope("gradient", "flux", _FIELD, dim),),
        characterize=characterize_diffusion,
    )


def value_diffusion_kinematics(dim: int, initial_value: float = 0.0) -> Kinematics:
    """The cell receives the field itself and its gradient.

    The conjugate of the value is what is stored in each unit of time.

    Args:
        dim: Geometric dimension.
        initial_value: Value of the field in a virgin cell.
    """
    return Kinematics(
        name="diffusion_with_value",
        dim=dim,
        fields={_FIELD: ()},
        blocks=(
            scalar_value(VALUE, "storage", _FIELD, initial_value),
            slope("gradient", "flux", _FIELD, dim),
        ),
        characterize=_characterize_gradient_part,
    )


def with_structure(
    kinematics: Kinematics,
    *,
    isolated: dict[str, float] | None = None,
    percolates: tuple[bool, ...] | None = None,
    resistance: bool = False,
) -> Kinematics:
    """The same kinematics, which knows what is to be said of the cell's structure besides.

    Args:
        kinematics: Kinematics of diffusion, with or without value.
        isolated: Share of the cell's volume, by phase, that was left out because nothing flows there.
        percolates: For each axis, whether what conducts is connected from face to face.
        resistance: Whether interfaces resist: there is no lower bound then.
    """
    structure = {"isolated": isolated or {}, "percolates": percolates, "resistance": resistance}
    return replace(
        kinematics,
        characterize=partial(kinematics.characterize, **structure),
        closed=closed_axes(percolates or ()),
    )


def characterize_diffusion(
    effective: Array,
    phases: list[Array],
    fractions: list[float],
    boundary: str,
    *,
    isolated: dict[str, float] | None = None,
    percolates: tuple[bool, ...] | None = None,
    resistance: bool = False,
) -> dict[str, Any]:
    r"""Principal values, anisotropy and bounds of a conductivity; tortuosity where one phase conducts.

    .. math:: \tau_i = \varepsilon\,D_{ii} / D^*_{ii}

    with the volume fraction :math:`\varepsilon` of the conducting phase, isolated parts included. What
    the fractions lack to one insulates. The anisotropy is the ratio of the largest to the smallest
    principal value. Numbers that would be infinite are None.
    """
    axes, isolated = "xyz"[: len(effective)], isolated or {}
    principal = np.linalg.eigvalsh(0.5 * (effective + effective.T))
    round_off = 1e-12 * max(abs(principal))
    result: dict[str, Any] = {
        "principal_values": principal.tolist(),
        "anisotropy": float(principal[-1] / principal[0]) if principal[0] > round_off else None,
    }
    if isolated:
        result["isolated"] = isolated
    if percolates is not None:
        result["percolates"] = dict(zip(axes, percolates, strict=True))
    if not phases:
        return result
    result["bounds"] = bounds = _bounds(phases, fractions, resistance)
    warn_outside_of_means(
        "conductivity", effective, bounds.get("reuss", np.zeros_like(effective)), bounds["voigt"]
    )
    if "hashin_shtrikman" in bounds:
        mean = float(np.trace(effective)) / len(effective)
        warn_outside_of_bounds("conductivity", mean, bounds["hashin_shtrikman"], boundary)
    if len(phases) == 1:
        open_axes = percolates or len(axes) * (True,)
        porosity = min(fractions[0] + sum(isolated.values()), 1.0)
        own, whole = np.diag(phases[0]), np.diag(effective)
        result["conducting_fraction"] = porosity
        result["relative_conductivity"] = {
            axis: float(whole[i] / own[i]) if open_axes[i] else 0.0 for i, axis in enumerate(axes)
        }
        result["tortuosity"] = {
            axis: float(porosity * own[i] / whole[i]) if open_axes[i] else None for i, axis in enumerate(axes)
        }
    return result


def _characterize_gradient_part(
    effective: Array, phases: list[Array], fractions: list[float], boundary: str, **structure: Any
) -> dict[str, Any]:
    return characterize_diffusion(
        effective[1:, 1:], [phase[1:, 1:] for phase in phases], fractions, boundary, **structure
    )


def _bounds(phases: list[Array], fractions: list[float], resistance: bool) -> dict[str, Any]:
    """Bounds on the conductivity, with the insulating rest as a phase of its own."""
    dim, rest = len(phases[0]), 1.0 - sum(fractions)
    if rest > 1e-9:
        phases, fractions = [*phases, np.zeros((dim, dim))], [*fractions, rest]
    bounds: dict[str, Any] = {"voigt": voigt_bound(phases, fractions)}
    if resistance:
        return bounds
    bounds["reuss"] = reuss_bound(phases, fractions)
    values = [float(np.trace(phase)) / dim for phase in phases]
    if all(
        np.allclose(phase, value * np.eye(dim), rtol=0.0, atol=1e-9 * max(values))
        for phase, value in zip(phases, values, strict=True)
    ):
        bounds["hashin_shtrikman"] = hashin_shtrikman_conductivity(values, fractions, dim)
    return bounds
