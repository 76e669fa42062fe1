"""Laws written in UFL, evaluated on arrays: a list of scalar operations, each on all points at once.

The expression is taken apart into its scalar components, equal ones are computed once, and what is needed no
longer is let go. Nothing is compiled and no mesh is needed, so the same list runs on NumPy and on CuPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import basix.ufl
import numpy as np
import ufl
from ufl import classes
from ufl.algorithms import expand_derivatives

from fe2.arrays import Array
from fe2.errors import InputError, LocalSolveError, MicroSolveError
from fe2.physics.law import ExpressionLaw, PointLaw

_BINARY: dict[type, str] = {
    classes.Sum: "add",
    classes.Product: "multiply",
    classes.Division: "divide",
    classes.Power: "power",
    classes.MinValue: "minimum",
    classes.MaxValue: "maximum",
    classes.LT: "less",
    classes.LE: "less_equal",
    classes.GT: "greater",
    classes.GE: "greater_equal",
    classes.EQ: "equal",
    classes.NE: "not_equal",
    classes.AndCondition: "logical_and",
    classes.OrCondition: "logical_or",
}
_UNARY: dict[type, str] = {
    classes.Abs: "abs",
    classes.Sqrt: "sqrt",
    classes.Exp: "exp",
    classes.Ln: "log",
    classes.Cos: "cos",
    classes.Sin: "sin",
    classes.Tan: "tan",
    classes.Cosh: "cosh",
    classes.Sinh: "sinh",
    classes.Tanh: "tanh",
    classes.Acos: "arccos",
    classes.Asin: "arcsin",
    classes.Atan: "arctan",
    classes.NotCondition: "logical_not",
}


class Operations:
    """Scalar operations that compute the components of some expressions, equal ones once."""

    def __init__(self, inputs: Mapping[Any, str]) -> None:
        """Begin without any.

        Args:
            inputs: Names of the UFL constants that are given as arrays.
        """
        self._inputs = dict(inputs)
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._steps: list[tuple[Any, ...]] = []
        self._known: dict[tuple[Any, ...], int] = {}
        self._wanted: list[list[int]] = []

    def add(self, expression: Any) -> list[float | None]:
        """Compute an expression too; its components that are numbers whatever the inputs are."""
        expression = expand_derivatives(ufl.as_ufl(expression))
        found = [self._scalar(expression, i, {}) for i in np.ndindex(expression.ufl_shape)]
        self._wanted.append(found)
        return [self._steps[k][1] if self._steps[k][0] == "number" else None for k in found]

    def program(self) -> Callable[[Any, Mapping[str, Any]], list[list[Any]]]:
        """What maps an array namespace and the inputs, of shapes (components, ...), to all that was added."""
        wanted = [tuple(group) for group in self._wanted]
        kept = {k for group in wanted for k in group}
        needed = self._needed(kept)
        last = {k: step for step in needed for k in self._operands(step)}
        gone: dict[int, list[int]] = {}
        for k, step in last.items():
            if k not in kept:
                gone.setdefault(step, []).append(k)
        steps = self._steps

        def run(xp: Any, given: Mapping[str, Any]) -> list[list[Any]]:
            values: list[Any] = [None] * len(steps)
            for step in needed:
                name, *operands = steps[step]
                if name == "number":
                    values[step] = operands[0]
                elif name == "input":
                    values[step] = given[operands[0]][operands[1]]
                else:
                    values[step] = getattr(xp, name)(*(values[k] for k in operands))
                for k in gone.get(step, ()):
                    values[k] = None
            return [[values[k] for k in group] for group in wanted]

        return run

    def _operands(self, step: int) -> Sequence[int]:
        name, *operands = self._steps[step]
        return () if name in ("number", "input") else operands

    def _needed(self, kept: set[int]) -> list[int]:
        needed, left = set(), list(kept)
        while left:
            if (step := left.pop()) not in needed:
                needed.add(step)
                left.extend(self._operands(step))
        return sorted(needed)

    def _step(self, name: str, *operands: Any) -> int:
        """Number of an operation, of an equal one where there is one, or of what it comes to."""
        values = [self._steps[k][1] if self._steps[k][0] == "number" else None for k in operands]
        if values and None not in values:
            return self._number(float(getattr(np, name)(*values)))
        if name == "multiply" and 0.0 in values:
            return self._number(0.0)
        for neutral, names in ((0.0, ("add",)), (1.0, ("multiply",))):
            if name in names and neutral in values:
                return operands[1 - values.index(neutral)]
        if name == "divide" and (values[0] == 0.0 or values[1] == 1.0):
            return operands[0]
        if name == "power" and values[1] in (1.0, 2.0, 0.5):
            if values[1] == 1.0:
                return operands[0]
            return (
                self._step("sqrt", operands[0])
                if values[1] == 0.5
                else self._step("multiply", operands[0], operands[0])
            )
        if name == "where" and operands[1] == operands[2]:
            return operands[1]
        if name in ("add", "multiply"):
            operands = tuple(sorted(operands))
        return self._new(name, *operands)

    def _number(self, value: float) -> int:
        return self._new("number", value)

    def _new(self, *step: Any) -> int:
        if step not in self._numbers:
            self._numbers[step] = len(self._steps)
            self._steps.append(step)
        return self._numbers[step]

    def _scalar(self, e: Any, component: tuple[int, ...], bound: Mapping[int, int]) -> int:
        key = (e, component, tuple(bound[i] for i in e.ufl_free_indices))
        if key not in self._known:
            self._known[key] = self._taken_apart(e, component, bound)
        return self._known[key]

    def _taken_apart(self, e: Any, component: tuple[int, ...], bound: Mapping[int, int]) -> int:
        kind = type(e)
        if e in self._inputs:
            place = int(np.ravel_multi_index(component, e.ufl_shape)) if component else 0
            return self._new("input", self._inputs[e], place)
        if isinstance(e, classes.Zero):
            return self._number(0.0)
        if isinstance(e, classes.ScalarValue):
            return self._number(float(e))
        if isinstance(e, classes.Identity):
            return self._number(float(component[0] == component[1]))
        operands = e.ufl_operands
        if isinstance(e, classes.Variable | classes.Conj | classes.Real):  # numbers are real
            return self._scalar(operands[0], component, bound)
        if isinstance(e, classes.Indexed):
            indices = [bound[i.count()] if isinstance(i, classes.Index) else int(i) for i in operands[1]]
            return self._scalar(operands[0], tuple(indices), bound)
        if isinstance(e, classes.ComponentTensor):
            inner = {**bound, **{i.count(): n for i, n in zip(operands[1], component, strict=True)}}
            return self._scalar(operands[0], (), inner)
        if isinstance(e, classes.ListTensor):
            return self._scalar(operands[component[0]], component[1:], bound)
        if isinstance(e, classes.IndexSum):
            index, terms = operands[1][0].count(), range(e.dimension())
            parts = [self._scalar(operands[0], component, {**bound, index: n}) for n in terms]
            return self._sum(parts)
        if isinstance(e, classes.Conditional):
            condition = self._scalar(operands[0], (), bound)
            return self._step("where", condition, *(self._scalar(o, component, bound) for o in operands[1:]))
        if kind in _BINARY or kind in _UNARY:
            name = _BINARY.get(kind) or _UNARY[kind]
            if isinstance(e, classes.Sum):
                return self._sum([self._scalar(o, component, bound) for o in operands])
            inner_component = component if len(operands[0].ufl_shape) == len(component) else ()
            parts = [self._scalar(o, inner_component if o.ufl_shape else (), bound) for o in operands]
            return self._step(name, *parts)
        raise InputError(f"{kind.__name__} is not evaluated on arrays")

    def _sum(self, parts: Sequence[int]) -> int:
        total = parts[0]
        for part in parts[1:]:
            total = self._step("add", total, part)
        return total


class ArrayLaw:
    """A law in UFL on arrays.

    Attributes:
        linear: Its constant tangent, shape (k, k), where it is linear and without history, else None.
        names: Names of its history variables.
    """

    def __init__(self, law: ExpressionLaw, size: int) -> None:
        """Take the law apart.

        Args:
            law: The law, with numbers as parameters.
            size: Components k of the local gradient.

        Raises:
            InputError: Something in it is not evaluated on arrays.
        """
        domain = ufl.Mesh(basix.ufl.element("Lagrange", "interval", 1, shape=(1,)))
        gradient, dt = ufl.Constant(domain, shape=(size,)), ufl.Constant(domain)
        shapes = {name: (c,) if c > 1 else () for name, c in law.history(size).items()}
        history = {name: ufl.Constant(domain, shape=shape) for name, shape in shapes.items()}
        inputs = {gradient: "gradient", dt: "dt", **{value: name for name, value in history.items()}}
        slope = ufl.variable(gradient)
        flux = law.flux(slope, history, dt)
        upper = [(i, j) for i in range(size) for j in range(i, size)]
        derivative = expand_derivatives(ufl.diff(flux, slope))
        whole = Operations(inputs)
        whole.add(flux)
        numbers = whole.add(ufl.as_vector([derivative[i, j] for i, j in upper]))
        updates = law.update(gradient, history, dt)
        for name in history:
            whole.add(updates[name])
        conditions = law.admissible(gradient)
        self.names, self.conditions = tuple(history), tuple(conditions)
        for condition in conditions.values():
            whole.add(condition)
        self._program = whole.program()
        self.linear: Array | None = None
        if not history and not conditions and None not in numbers and not np.any(self._at_rest(size)):
            self.linear = np.zeros((size, size))
            for (i, j), number in zip(upper, numbers, strict=True):
                self.linear[i, j] = self.linear[j, i] = number

    def _at_rest(self, size: int) -> list[float]:
        """Flux without a gradient."""
        return [float(value) for value in self._program(np, {"gradient": np.zeros(size), "dt": [0.0]})[0]]

    def __call__(
        self, xp: Any, gradient: Any, history: Mapping[str, Any], dt: float
    ) -> tuple[list[Any], list[Any], dict[str, list[Any]]]:
        """Flux, upper triangle of the tangent, and new history, each a list of scalars at n points.

        Args:
            xp: The array namespace.
            gradient: Local gradients, shape (k, n).
            history: History variables at the beginning of the step, each of shape (c, n).
            dt: Time step.

        Raises:
            MicroSolveError: What has to be positive is not.
        """
        given = {**history, "gradient": gradient, "dt": [dt]}
        with np.errstate(all="ignore"):  # what is not finite, or has to be positive, is looked at
            flux, tangent, *rest = self._program(xp, given)
        for name, (value,) in zip(self.conditions, rest[len(self.names) :], strict=True):
            if not bool(xp.min(xp.asarray(value)) > 0.0):  # a NaN is not positive
                raise MicroSolveError(f"{name} is not positive somewhere")
        return flux, tangent, dict(zip(self.names, rest, strict=False))


class ArrayPointLaw:
    """A point law on arrays of NumPy, with the interface of an :class:`ArrayLaw`."""

    linear: Array | None = None

    def __init__(self, law: PointLaw, size: int) -> None:
        """Take the law as it is, for a local gradient of `size` components."""
        self._law, self.names = law, tuple(law.history(size))
        self._rows, self._columns = np.triu_indices(size)

    def __call__(
        self, xp: Any, gradient: Any, history: Mapping[str, Any], dt: float
    ) -> tuple[Any, Any, dict[str, Any]]:
        """As :meth:`ArrayLaw.__call__`.

        Raises:
            MicroSolveError: The local equation was not solved at some points.
        """
        rows = {name: np.ascontiguousarray(values.T) for name, values in history.items()}
        try:
            answer = self._law.respond(np.ascontiguousarray(gradient.T), rows, dt)
        except LocalSolveError as error:
            raise MicroSolveError(str(error)) from error
        new = {name: values.T for name, values in answer.history.items()}
        return answer.flux.T, answer.tangent[:, self._rows, self._columns].T, new
