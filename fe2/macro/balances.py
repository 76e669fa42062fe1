r"""Balances of every field over time: what was supplied and stored, and the work that was done.

With the test function one in the equation of a scalar, and with the change :math:`\delta u` of a displacement
in that of its equilibrium, the weak form says up to the residual that Newton's iteration leaves

.. math:: \int (\text{supports} + \text{loads})\,\mathrm dt = \int \text{stored rate}\;\mathrm dt, \qquad
    \sum (\bar R + \bar l)\cdot\delta u = \sum \int \bar s : \delta g\,\mathrm dx

with reactions R, loads l and fluxes s at the middle of each step, the means of its ends. On the right stands
the work of the mean fluxes, by Hill and Mandel the mean work in the cells; it is stored or dissipated there.

Rates q of a scalar are integrated by the scheme that made them of what is stored, see `rate.py`: a step adds

.. math:: I = \frac{q + \beta\, I_n}{\alpha},

with what the step before has added, so that the sum of stored increments is the change of what is stored.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
from dolfinx import fem

from fe2.arrays import Array
from fe2.errors import Fe2Warning
from fe2.macro.fields import own, set_own
from fe2.macro.problem import MacroProblem
from fe2.records import balance_columns

_MISSING, _ROUND_OFF = 1e-6, 1e-10
"""What may be missing, relative to what comes in and goes out, and to the terms of the residual's sums."""


class _Step(NamedTuple):
    """Of a field and a step: what came in, what was stored or done inside, how much of both passed in all.

    The reach times a force that is not in balance is what that force brings at most.
    """

    supplied: float
    stored: float
    size: float
    reach: float


class Balances:
    """Sums over the accepted steps of a problem.

    Scalar fields of which something is stored have the columns ``T_supplied``, ``T_stored``, ``T_missing``,
    vectors ``u_work``, ``u_internal_work``, ``u_missing_work``: what came in through supports and loads, what
    was stored or done inside, and the difference. A problem begins without forces.

    Attributes:
        totals: The sums so far, by the name of their column.
        remembered: Functions and constants that they need to go on, by name.
    """

    def __init__(self, problem: MacroProblem) -> None:
        """Sums of nothing, at the present values of the unknowns."""
        self._problem, self._fields = problem, problem.fields
        self._forces, self._outer, self._before = (
            [fem.Function(u.function_space, name=f"{name} of {u.name}") for u in problem.functions]
            for name in ("forces", "outer forces", "value")
        )
        sizes = self._fields.sizes
        self._vectors = [k for k, size in enumerate(sizes) if size > 1]
        self._scalars = [k for k in problem.storing if sizes[k] == 1]
        functions = [*self._forces, *self._outer] if self._vectors else []
        self.remembered: dict[str, fem.Function | fem.Constant] = {f.name: f for f in functions}
        mesh = problem.functions[0].function_space.mesh
        self._last = {k: fem.Constant(mesh, np.zeros(2)) for k in self._scalars if k in problem.rated}
        if problem.scheme != "backward_euler":
            names = self._fields.names
            self.remembered |= {f"increments of {names[k]}": last for k, last in self._last.items()}
        self._columns = {
            k: balance_columns(self._fields.names[k], vector=sizes[k] > 1)
            for k in [*self._scalars, *self._vectors]
        }
        self._scratch, self._has_warned = problem.system.create_vector(), False
        self.begin({})

    def begin(self, totals: Mapping[str, float]) -> None:
        """The run begins, or goes on with these sums, at the present values of the unknowns."""
        names = [name for columns in self._columns.values() for name in columns]
        self.totals = {name: totals.get(name, 0.0) for name in names}
        self._is_new = not totals
        set_own(self._before, own(self._problem.functions))

    def add(self, dt: float) -> dict[str, float]:
        """Add the step that was just committed, of that length; the sums; collective."""
        if self._columns:
            forces, outer = self._problem.system.internal.array.copy(), self._outer_forces()
            if self._is_new:
                self._look_back()
            for field, step in (self._flows(dt, forces, outer) | self._works(forces, outer)).items():
                self._check(field, step)
                supplied, stored = self._increments(field, dt, np.array([step.supplied, step.stored]))
                found = supplied, stored, supplied - stored
                for name, value in zip(self._columns[field], found, strict=True):
                    self.totals[name] += float(value)
            set_own(self._before, own(self._problem.functions))
        return dict(self.totals)

    def _increments(self, field: int, dt: float, flows: Array) -> Array:
        """What the step adds, of the length of the step times rates, or of works."""
        if field not in self._last or dt <= 0.0:
            return flows
        (alpha, beta), last = self._problem.rates[0].weights, self._last[field]
        last.value = (flows / dt + beta * last.value) / alpha
        found: Array = last.value.copy()
        return found

    def _flows(self, dt: float, forces: Array, outer: Array) -> dict[int, _Step]:
        """What came into each storing scalar in the step, and what is stored; collective."""
        held, totals = self._held(forces), self._fields.totals
        supplied, stored = totals(held - outer), totals(forces - outer)
        sizes = totals(np.abs(held) + np.abs(forces - outer))
        reach = dt * np.sqrt(totals(np.ones_like(forces)))
        return {k: _Step(dt * supplied[k], dt * stored[k], dt * sizes[k], reach[k]) for k in self._scalars}

    def _works(self, forces: Array, outer: Array) -> dict[int, _Step]:
        """The work of supports and loads on each vector in the step, and that of the fluxes; collective."""
        changes = own(self._problem.functions) - own(self._before)
        done, loads = 0.5 * (forces + own(self._forces)) * changes, 0.5 * (outer + own(self._outer)) * changes
        set_own(self._forces, forces)
        set_own(self._outer, outer)
        held, totals = self._held(done), self._fields.totals
        work, inside = totals(held - loads), totals(done - loads)
        sizes, reach = totals(np.abs(held) + np.abs(done - loads)), self._fields.norms(changes)
        return {k: _Step(work[k], inside[k], sizes[k], reach[k]) for k in self._vectors}

    def _outer_forces(self) -> Array:
        """Forces without rates, fluxes and displacements: loads on the other side; collective."""
        problem, values = self._problem, own(self._problem.functions)
        fluxes = [law.flux.x.array.copy() for law in problem.laws]
        set_own(
            problem.functions,
            values - sum((self._fields.only(values, k) for k in self._vectors), 0.0 * values),
        )
        for law in problem.laws:
            law.flux.x.array[:] = 0.0
        found = self._weighed(0.0, 0.0)
        for law, flux in zip(problem.laws, fluxes, strict=True):
            law.flux.x.array[:] = flux
        set_own(problem.functions, values)
        return found

    def _weighed(self, alpha: float, beta: float) -> Array:
        """Forces where rates have these weights; collective."""
        with ExitStack() as weighing:
            for rate in self._problem.rates:
                weighing.enter_context(rate.weighing(alpha, beta))
            self._problem.system.assemble_forces(self._scratch)
        found: Array = self._scratch.array.copy()
        return found

    def _look_back(self) -> None:
        """Take what was stored in the step before the first one, which may be another run's; collective."""
        self._is_new = False
        if self._last and self._problem.rates[0].weights[1] > 0.0:
            stored = self._fields.totals(self._weighed(0.0, -1.0) - self._weighed(0.0, 0.0))
        else:
            stored = np.zeros(len(self._fields))
        for field, last in self._last.items():
            last.value = np.full(2, stored[field])

    def _held(self, values: Array) -> Array:
        """The entries of constrained degrees of freedom, with zeros elsewhere."""
        found, constrained = np.zeros_like(values), self._fields.constrained(self._problem.bcs)
        found[constrained] = values[constrained]
        return found

    def _check(self, field: int, step: _Step) -> None:
        """Warn, once, where more is missing than a small share and more than round-off; collective."""
        missing = abs(step.supplied - step.stored)
        if missing <= _MISSING * step.size or missing <= _ROUND_OFF * step.reach * self._terms()[field]:
            return
        if not self._has_warned and self._problem.comm.rank == 0:
            text = (
                f"the balance of {self._fields.names[field]} lacks {missing / step.size:.1e} of what "
                "passes in a step: the macroscopic iteration was ended early (snes_rtol, snes_atol)"
            )
            warnings.warn(text, Fe2Warning, stacklevel=2)
        self._has_warned = True

    def _terms(self) -> Array:
        """Norms of the terms of which the forces on each field are sums; collective."""
        solution = self._problem.system.create_vector()
        self._problem.system.give(solution)
        _, terms = self._fields.actions(self._problem.system.matrix, solution)
        solution.destroy()
        return terms.sum(axis=1)
