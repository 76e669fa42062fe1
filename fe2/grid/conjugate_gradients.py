"""Preconditioned conjugate gradients for some right-hand sides, stopped by the energy that they leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fe2.arrays import Array
from fe2.errors import MicroSolveError, counted
from fe2.grid.device import Device
from fe2.grid.energy_error import EnergyError


def conjugate_gradients(
    right: Any,
    product: Callable[[Any, Any], Any],
    precondition: Callable[[Any], Any],
    energies: EnergyError,
    where: Device,
    *,
    max_iterations: int,
    tell: Callable[[int], None],
) -> tuple[Any, Any]:
    r"""Solutions and residuals of :math:`K w = b`.

    Args:
        right: Right-hand sides, shape (B, c, n).
        product: K times directions, from these and their product with :math:`K_0`, in a new array.
        precondition: :math:`K_0^{-1}` times residuals.
        energies: When each of them is done; remembers errors and iterations.
        where: Where the arrays live.
        max_iterations: Iterations after which it is given up.
        tell: Receives the number of each iteration.

    Raises:
        MicroSolveError: They did not converge.
    """
    xp = where.xp

    def each(numbers: Array) -> Any:
        return xp.asarray(numbers)[:, None, None]

    def products(one: Any, other: Any) -> Array:
        return np.array([float(xp.vdot(x, y)) for x, y in zip(one, other, strict=True)])

    fields, residuals = xp.zeros_like(right), right.copy()
    directions = precondition(residuals)
    reference_forces = residuals.copy()  # K₀ times the directions
    energies.start(products(residuals, directions))
    while energies.go_on.any():
        if energies.steps == max_iterations:
            count = counted(max_iterations, "iteration")
            raise MicroSolveError(
                f"conjugate gradients on the image did not converge in {count}: the "
                f"error of the effective property is {energies.excess:.2g} times what it has to be"
            )
        tell(energies.steps + 1)
        forces = product(directions, reference_forces)
        lengths = energies.lengths(products(directions, forces))
        fields += each(lengths) * directions
        forces *= each(lengths)
        residuals -= forces
        preconditioned = precondition(residuals)
        ratios = energies.advance(products(residuals, preconditioned))
        directions *= each(ratios)
        directions += preconditioned
        reference_forces *= each(ratios)
        reference_forces += residuals
    return fields, residuals
