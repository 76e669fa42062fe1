r"""Answers that cost no more than the macroscopic iteration needs: the default strategy of cells.

A residual costs a small part of a factorization. So the answer of the last evaluation, with flux s,
tangent A and sensitivity S at the gradient :math:`g_0`, is extrapolated, and residuals decide whether
anything more has to be done. For a new gradient g, from a row (g₀, w, s, A, S),

1. predict: :math:`w \leftarrow w + S\,\Delta g`, residual r, flux :math:`s^* = X^T r_f/|Y|`;
2. accept, where the cell is in equilibrium and the flux is the one that A predicts: A and S still hold;
3. otherwise Newton's iteration with a line search, to the accuracy that the macroscopic residual
   warrants. The tangent comes from its last factorization where that still contracted well;
4. the flux is corrected to first order for the equilibrium that was not reached, so that its error is
   of second order: :math:`s = s^* + S^T r/|Y|`.

Before a commit every cell is polished: it iterates to its full tolerance, and its history is computed.
No answer rests on an extrapolation that was not verified; a tangent may be an old one, which costs
iterations and never accuracy. `docs/speed.md` has the measurements.
"""

from __future__ import annotations

from operator import le, lt

import numpy as np

from fe2.arrays import Array
from fe2.errors import MicroSolveError
from fe2.micro.cell_state import Linearization
from fe2.micro.flux_norms import FluxNorms
from fe2.micro.homogenize import condensed_tangent, flux_correction, homogenized_flux
from fe2.micro.newton import Equilibrium, WholeCellNewton
from fe2.profile import count

_LINEAR = 1e-6
"""Difference of a flux from its prediction that counts as none, relative to the flux."""
_CONTRACTION = 0.5
"""Ratio of residual norms up to which the factorization of an iteration gives the tangent after it."""
_PROBE = 1e-2
"""Part of the way on which a cell is asked whether it unloads."""
_UNLOADING = 0.1
"""Error of the elastic prediction, relative to its distance from the inelastic one, where a cell unloads."""


class AdaptiveIteration:
    """Iterates cells from the rows of their last evaluations.

    Rows are changed once the new answer is there, not before.
    """

    def __init__(self, newton: WholeCellNewton, tail: Linearization, virgin: Array) -> None:
        """Keep the solver and the linearization of the virgin cell.

        Args:
            newton: Solver of the cell.
            tail: Where the linearization stands in a row.
            virgin: Row of the virgin cell.
        """
        self._newton, self._problem, self._tail = newton, newton.problem, tail
        self._virgin = virgin
        self._flux_norms = FluxNorms(newton, tail.tangent(virgin))

    def approach(self, gradient: Array, state: Array, dt: float, out: Array, accuracy: float) -> int:
        """Bring the row `out` to a new gradient; the number of linear systems solved.

        Raises:
            MicroSolveError: The iteration did not converge, or a phase law failed.
        """
        layout, tail, newton = self._problem.layout, self._tail, self._newton
        self._problem.load(state, dt)
        change = gradient - out[layout.gradient]
        sensitivity = tail.sensitivity(out)
        point = newton.start(gradient, out[layout.fluctuation] + sensitivity @ change)
        is_current = out[tail.dt] == dt or not self._problem.depends_on_dt
        if is_current and point.error <= newton.options.tolerance:
            flux = homogenized_flux(newton, point.nodal)
            if self._as_predicted(flux, out[tail.flux], tail.tangent(out) @ change):
                count("accepted")
                self._write(gradient, state, point, flux, out)
                return 0
        count("solved")
        point = self._iterate(gradient, point, max(accuracy, newton.options.tolerance))
        condensed = condensed_tangent(newton, sensitivity)
        flux = homogenized_flux(newton, point.nodal)
        flux += flux_correction(newton, point.residual, condensed.sensitivity)
        self._write(gradient, state, point, flux, out)
        tail.write_tangent(out, condensed.tangent, condensed.sensitivity, dt)
        return point.iterations + 1

    def anticipate(self, gradient: Array, state: Array, dt: float, out: Array) -> None:
        """Give the row `out` the elastic linearization where the cell unloads on the way to a gradient.

        The tangent of a cell that flows sends the macroscopic iteration far away when the load turns
        round. A cell whose gradient turns back is asked: is its response a little further elastic?
        """
        layout, tail, newton = self._problem.layout, self._tail, self._newton
        change = _PROBE * (gradient - out[layout.gradient])
        elastic, present = tail.tangent(self._virgin), tail.tangent(out)
        if (
            not self._problem.form.history
            or self._problem.depends_on_dt
            or min(self._flux_norms.works(out[tail.increment], change)) >= 0.0
        ):
            return
        self._problem.load(state, dt)
        sensitivity = tail.sensitivity(self._virgin)
        try:
            point = newton.start(
                out[layout.gradient] + change, out[layout.fluctuation] + sensitivity @ change
            )
        except MicroSolveError:
            return
        miss = homogenized_flux(newton, point.nodal) - out[tail.flux] - elastic @ change
        if self._unloads(miss, (elastic - present) @ change):
            count("reversals")
            tail.write_tangent(out, elastic, sensitivity, dt)

    def polish(self, state: Array, dt: float, out: Array) -> int:
        """Bring the row `out` to the full tolerance and compute its history; linear systems solved.

        Raises:
            MicroSolveError: The iteration did not converge.
        """
        layout, tail, newton = self._problem.layout, self._tail, self._newton
        if not out[tail.history_due]:
            return 0
        self._problem.load(state, dt)
        gradient, iterations = out[layout.gradient].copy(), 0
        if out[tail.residual] > newton.options.tolerance:
            count("polished")
            point = newton.start(gradient, out[layout.fluctuation])
            point = self._iterate(gradient, point, newton.options.tolerance)
            iterations = point.iterations
            self._write(gradient, state, point, homogenized_flux(newton, point.nodal), out)
        elif self._problem.form.point_laws:
            newton.start(gradient, out[layout.fluctuation])
        else:
            self._problem.set_field(gradient, out[layout.fluctuation])
        self._problem.new_history(out)
        out[tail.history_due] = 0.0
        return iterations

    def _iterate(self, gradient: Array, point: Equilibrium, accuracy: float) -> Equilibrium:
        """Iterate to an accuracy; the last factorization is afterwards good enough for the tangent."""
        newton = self._newton
        while True:
            newton.linearize(loosely=True)
            if point.error <= newton.options.tolerance or (point.iterations and point.error <= accuracy):
                return point
            point = newton.step(gradient, point)
            if point.error <= accuracy and point.norms[-1] <= _CONTRACTION * point.norms[-2]:
                return point

    def _write(self, gradient: Array, state: Array, point: Equilibrium, flux: Array, out: Array) -> None:
        layout, tail = self._problem.layout, self._tail
        if not (np.isfinite(flux).all() and np.isfinite(point.fluctuation).all()):
            raise MicroSolveError("the cell problem gave a flux or a fluctuation that is not finite")
        out[layout.gradient], out[layout.fluctuation] = gradient, point.fluctuation
        tail.write(out, flux, point.error, history_due=True)
        tail.write_increment(out, gradient - state[layout.gradient], state)

    def _as_predicted(self, flux: Array, before: Array, change: Array) -> bool:
        """Whether a flux is the one before and a change, in each field; round-off aside."""
        sizes = self._flux_norms.sizes
        scales = map(max, sizes(flux), sizes(before), sizes(change))
        parts = zip(sizes(flux - before - change), scales, self._flux_norms.round_off(), strict=True)
        return all(miss <= max(_LINEAR * scale, round_off) for miss, scale, round_off in parts)

    def _unloads(self, miss: Array, distance: Array) -> bool:
        """Whether an elastic prediction misses by less than a part of its distance from the inelastic one."""
        misses = self._flux_norms.sizes(miss)
        limits = tuple(_UNLOADING * size for size in self._flux_norms.sizes(distance))
        allowed = map(max, limits, self._flux_norms.round_off())
        return all(map(le, misses, allowed)) and any(map(lt, misses, limits))
