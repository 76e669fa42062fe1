r"""The error that a step adds: the solution against the polynomial through the last values before it.

A polynomial through the last k values is a predictor of the order of a scheme, k = 2 for backward Euler and
k = 3 for BDF2. Of values that the scheme itself has found, the local error is

.. math:: e = \frac{1}{k}\,(u - u_\text{predicted}),

for backward Euler with steps of any lengths, as the predictor has the slope of the last step, and for BDF2
where their ratio is constant (predictor and corrector, Milne's device; Hairer, Nørsett & Wanner, Solving
Ordinary Differential Equations I, 2nd ed. 1993, III.1 and III.5). With fewer values at the beginning it is
that of a lower order, which is larger. Norms are taken by field, without what is prescribed, and relative to
the largest change of the field since the beginning of the run, so that neither units nor the zero of a scale
count.
"""

from __future__ import annotations

import warnings

import numpy as np
from dolfinx import fem

from fe2.arrays import Array
from fe2.errors import Fe2Warning, MacroSolveError
from fe2.macro.fields import own, set_own
from fe2.macro.problem import MacroProblem

_COUNT = {"backward_euler": 2, "bdf2": 3}
"""Values in the polynomial of a scheme."""
_LEAST = 1e-6
"""Change of a field, relative to the field, below which its error is compared with that change."""
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 2.0
_TINY = np.finfo(np.float64).tiny


class StepTooLongError(MacroSolveError):
    """The local error of a step is above the tolerance.

    Attributes:
        factor: What the step is to be multiplied by.
    """

    collective = True

    def __init__(self, message: str, factor: float) -> None:
        super().__init__(message)
        self.factor = factor


class TimeError:
    """Local errors of the steps of a problem.

    Attributes:
        remembered: Functions and constants that it needs to go on, by name.
        factor: By which the next step may be multiplied, as the last measured error has it.
    """

    def __init__(self, problem: MacroProblem, tolerance: float) -> None:
        """Measure against a tolerance, from the present values of the unknowns on."""
        self._problem, self._tolerance, self.factor = problem, tolerance, _GROW
        self._has_warned = False
        functions, mesh = problem.functions, problem.functions[0].function_space.mesh
        self._values = [[u.copy() for u in functions] for _ in range(_COUNT[problem.scheme])]
        self._start = [u.copy() for u in functions]
        self._times = fem.Constant(mesh, np.zeros(len(self._values)))
        self._known = fem.Constant(mesh, 0.0)
        self._largest = fem.Constant(mesh, np.zeros(len(problem.fields)))
        self.remembered: dict[str, fem.Function | fem.Constant] = {
            "times of values": self._times,
            "known values": self._known,
            "largest changes": self._largest,
        }
        for name, values in (
            ("start", self._start),
            *((f"value {k}", v) for k, v in enumerate(self._values)),
        ):
            self.remembered |= {f"{name} of {u.name}": own for u, own in zip(functions, values, strict=True)}

    def begin(self, time: float) -> None:
        """The run begins, at this time, with the present values of the unknowns."""
        set_own(self._start, own(self._problem.functions))
        self._append(time)

    def accept(self, time: float) -> None:
        """The values at this time are those of an accepted step; collective."""
        self._largest.value = self._changes()
        self._append(time)

    def measure(self, time: float, *, refuse: bool) -> float:
        """Local error of the step to this time in its worst field, or NaN in the first step; collective.

        Args:
            time: The end of the step, at which the unknowns are.
            refuse: Refuse a step whose error is above the tolerance; otherwise the first one is told.

        Raises:
            StepTooLongError: On all ranks, where it is.
        """
        known = int(self._known.value)
        if known < 2:
            self.factor = _GROW
            return float("nan")
        errors = self._errors(time - self._times.value[:known])
        counted = self._problem.storing or range(len(errors))
        worst = max(counted, key=lambda field: float(errors[field]))
        error = float(errors[worst])
        wanted = _SAFETY * (self._tolerance / max(error, _TINY)) ** (1.0 / known)
        # rounded: ranks add up in different orders, and are to take the same steps
        self.factor = round(min(max(wanted, _SHRINK), _GROW), 2)
        if error > self._tolerance:
            text = f"the local error in time of {self._problem.fields.names[worst]}, {error:.2e}, is above"
            self._exceed(f"{text} the tolerance {self._tolerance:g}", refuse=refuse)
        return error

    def _exceed(self, text: str, *, refuse: bool) -> None:
        if refuse:
            raise StepTooLongError(text, self.factor)
        if not self._has_warned and self._problem.comm.rank == 0:
            text += " in a step that cannot be shorter; the history tells of others"
            warnings.warn(text, Fe2Warning, stacklevel=2)
        self._has_warned = True

    def _errors(self, ages: Array) -> Array:
        """Relative local errors of all fields, where the last values have these ages; collective."""
        fields, present = self._problem.fields, own(self._problem.functions)
        past = [own(values) for values in self._values[: len(ages)]]
        missed = present - _extrapolation(ages) @ past
        missed[fields.constrained(self._problem.bcs)] = 0.0
        scales = np.maximum(self._changes(), np.maximum(_LEAST * fields.norms(present), _TINY))
        relative: Array = fields.norms(missed) / len(ages) / scales
        return relative

    def _changes(self) -> Array:
        """Norms of the largest changes of all fields since the beginning; collective."""
        changes = own(self._problem.functions) - own(self._start)
        return np.maximum(self._largest.value, self._problem.fields.norms(changes))

    def _append(self, time: float) -> None:
        """Keep the present values as the last ones, and forget the first."""
        for later, values in zip(
            [self._problem.functions, *self._values][-2::-1], self._values[::-1], strict=True
        ):
            for source, target in zip(later, values, strict=True):
                target.x.array[:] = source.x.array
        self._times.value = [time, *self._times.value[:-1]]
        self._known.value = min(self._known.value + 1, len(self._values))


def _extrapolation(ages: Array) -> Array:
    """Weights of values of these ages, which extrapolate them to the present."""
    return np.array([np.prod(np.delete(ages, k) / (np.delete(ages, k) - age)) for k, age in enumerate(ages)])
