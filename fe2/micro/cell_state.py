"""What one quadrature point with a cell remembers: what lasts, and the tail that only saves work.

.. code-block:: text

    gradient | fluctuation | history ‖ flux | tangent | sensitivity | increment | dt | residual | due

The part before the double bar is the state. A checkpoint stores it, a picture shows it. The tail is the
linearization of the last evaluation, from which the next one starts; a restored row takes its tail
from the virgin state.
"""

from __future__ import annotations

from collections.abc import Mapping

from fe2.arrays import Array
from fe2.micro.state import StateField, StateLayout


class Linearization:
    """Where the linearization of the last evaluation stands in a row, m gradient components, n fluctuations.

    Attributes:
        flux: Flux s of shape (m,), corrected for the equilibrium that was not reached.
        increment: Last change of the gradient since a commit that was not zero, shape (m,).
        dt: Time step of the tangent.
        residual: Norm of the residual, relative to the forces in the cell.
        history_due: One where the history is still that of the start of the step.
    """

    def __init__(self, layout: StateLayout, gradient: int) -> None:
        """Find its parts."""
        names = ("flux", "tangent", "sensitivity", "increment", "dt", "residual", "history due")
        parts = [layout.part(f"last {name}") for name in names]
        self.flux, self._tangent, self._sensitivity, self.increment = parts[:4]
        self.dt, self.residual, self.history_due = (part.start for part in parts[4:])
        self._m = gradient

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


class CellState(StateLayout):
    """The state of a cell.

    Attributes:
        gradient: Where the macroscopic gradient stands.
        fluctuation: The free fluctuations.
        history: The history variables.
        tail: The linearization, or None where the model keeps none.
    """

    def __init__(
        self, gradient: int, fluctuation: int, history: Mapping[str, Array], *, linearization: bool = False
    ) -> None:
        """Lay out a state with that many gradient components and fluctuations, and the virgin history."""
        m, n = gradient, fluctuation
        fields = [StateField("gradient", (m,)), StateField("fluctuation", (n,))]
        fields += [StateField(name, values.shape, initial=values) for name, values in history.items()]
        tail = {"flux": m, "tangent": m * m, "sensitivity": n * m, "increment": m}
        tail |= {"dt": 1, "residual": 1, "history due": 1}
        if linearization:
            fields += [StateField(f"last {name}", (size,), lasts=False) for name, size in tail.items()]
        super().__init__(*fields)
        self.gradient, self.fluctuation = self.part("gradient"), self.part("fluctuation")
        self.history = [self.part(name) for name in history]
        self.tail = Linearization(self, m) if linearization else None
