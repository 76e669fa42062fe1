"""What one quadrature point remembers, as a flat array: what lasts, and the tail that only saves work.

.. code-block:: text

    gradient | fluctuation | history ‖ flux | tangent | sensitivity | increment | dt | residual | due

The part before the double bar is the state. A checkpoint stores it, a picture shows it. The tail is the
linearization of the last evaluation, from which the next one starts; a restored row takes its tail
from the virgin state.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Linearization:
    """Where the linearization of the last evaluation stands in a row, m gradient components, n fluctuations.

    Attributes:
        flux: Flux s of shape (m,), corrected for the equilibrium that was not reached.
        increment: Last change of the gradient since a commit that was not zero, shape (m,).
        dt: Time step of the tangent.
        residual: Norm of the residual, relative to the forces in the cell.
        history_due: One where the history is still that of the start of the step.
        size: Numbers in the tail.
    """

    def __init__(self, start: int, gradient: int, fluctuation: int) -> None:
        """Lay out a tail that begins at `start`."""
        m, n = gradient, fluctuation
        ends = np.cumsum([start, m, m * m, n * m, m, 1, 1, 1]).tolist()
        parts = [slice(a, b) for a, b in pairwise(ends)]
        self.flux, self._tangent, self._sensitivity, self.increment = parts[:4]
        self.dt, self.residual, self.history_due = (part.start for part in parts[4:])
        self.size = int(ends[-1]) - start
        self._m = m

    def write(self, row: Array, flux: Array, residual: float, *, history_due: bool) -> None:
        """Write what the next evaluation has to know of this one, tangent and sensitivity aside."""
        row[self.flux], row[self.residual], row[self.history_due] = flux, residual, float(history_due)

    def write_tangent(self, row: Array, tangent: Array, sensitivity: Array, dt: float) -> None:
        """Write tangent (m, m) and sensitivity (n, m) for a time step dt."""
        row[self.dt] = dt
        self.tangent(row)[:], self.sensitivity(row)[:] = tangent, sensitivity

    def write_increment(self, row: Array, increment: Array, before: Array) -> None:
        """Write the change of the gradient since the row `before`, whose own is kept where there is none."""
        row[self.increment] = increment if increment.any() else before[self.increment]

    def tangent(self, row: Array) -> Array:
        """View of the tangent A, shape (m, m)."""
        return row[self._tangent].reshape(self._m, self._m)

    def sensitivity(self, row: Array) -> Array:
        """View of the sensitivity S = ∂w/∂g, shape (n, m)."""
        return row[self._sensitivity].reshape(-1, self._m)


class StateLayout:
    """Where the parts of a state stand in its flat array.

    Attributes:
        gradient: Macroscopic gradient.
        fluctuation: Free fluctuations.
        history: History variables.
        tail: The linearization, or None where the model keeps none.
        lasting_size: Numbers before the tail.
        size: All numbers.
    """

    def __init__(
        self, gradient: int, fluctuation: int, history: list[int], *, linearization: bool = False
    ) -> None:
        """Lay out a state with that many gradient components, fluctuations, and numbers of each variable."""
        ends = np.cumsum([gradient, fluctuation, *history]).tolist()
        self.gradient = slice(0, gradient)
        self.fluctuation = slice(gradient, ends[1])
        self.history = [slice(a, b) for a, b in pairwise(ends[1:])]
        self.lasting_size = int(ends[-1])
        self.tail = Linearization(self.lasting_size, gradient, fluctuation) if linearization else None
        self.size = self.lasting_size + (self.tail.size if self.tail else 0)
