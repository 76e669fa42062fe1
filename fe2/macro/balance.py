r"""The balance of a conserved quantity: what comes in through each part, what is stored, and what is missing.

With the test function one the weak form says

.. math:: \text{stored rate} = \sum \text{inflows}

up to the residual that Newton's iteration leaves: round-off in a linear problem, whatever the meshes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ufl
from dolfinx import fem

from fe2.errors import InputError
from fe2.jit import compile_form
from fe2.macro.problem import MacroProblem

type Inflow = ufl.Form | fem.DirichletBC | Sequence[fem.DirichletBC]


def _nothing() -> float:
    return 0.0


class Balance:
    """Balance of mass, heat or charge: of a scalar unknown, or of one scalar field of a mixed unknown.

    .. code-block:: python

        inflows = {"inlet": inlet, "well": well * ufl.dx(1)}
        balance = fe2.Balance(problem, inflows, stored=S * rate(p) * ufl.dx)
        fe2.Simulation(problem, steps, loads=balance.columns(), output="results")
    """

    def __init__(
        self,
        problem: MacroProblem,
        inflows: Mapping[str, Inflow],
        stored: ufl.Form | None = None,
        *,
        field: str | int = 0,
    ) -> None:
        """Prepare the balance; collective.

        Args:
            problem: The macroscopic problem.
            inflows: What comes in in a unit of time, by name: boundary conditions, whose reactions count,
                and integrals without test function of the sources and fluxes in the form, with the same
                quadrature rule.
            stored: Integral of what is stored in a unit of time, or None.
            field: Name or number of the field whose quantity it is, where the unknown has several.

        Raises:
            InputError: The field is no scalar, an inflow holds another field, a name is taken, or a form
                has a test function.
        """
        self._field = problem.fields.number(field)
        if problem.fields.sizes[self._field] > 1:
            name = problem.fields.names[self._field]
            raise InputError(
                f"a balance is of a scalar field; {name} is a vector, choose another with field = ..."
            )
        if taken := {"stored", "imbalance"} & inflows.keys():
            raise InputError(
                f"balance: {taken.pop()!r} names a column already; the inflow needs another name"
            )
        self._problem = problem
        self._inflows = {name: self._rate(name, inflow) for name, inflow in inflows.items()}
        self._sources = [self._inflows[name] for name in inflows if isinstance(inflows[name], ufl.Form)]
        self._stored: Callable[[], float] = _nothing if stored is None else self._rate("stored", stored)

    def columns(self, prefix: str = "") -> dict[str, Callable[[], float]]:
        """Columns of a history: each inflow, "stored" and "imbalance", inflows less stored; collective."""
        found = {**self._inflows, "stored": self._stored, "imbalance": self.imbalance}
        return {prefix + name: column for name, column in found.items()}

    def imbalance(self) -> float:
        """What came in through all supports and sources and was not stored, by unit of time; collective."""
        supports = float(self._problem.reaction(self._problem.bcs, self._field)[0])
        return supports + sum(source() for source in self._sources) - self._stored()

    def _rate(self, name: str, inflow: Inflow) -> Callable[[], float]:
        problem = self._problem
        if not isinstance(inflow, ufl.Form):
            held = problem.reactions(inflow)
            if (own := problem.fields.names[self._field]) not in held:
                raise InputError(f"balance: {name!r} holds {', '.join(held)}, but the balance is of {own}")
            return lambda: float(problem.reaction(inflow, self._field)[0])
        if inflow.arguments():
            raise InputError(f"balance: {name!r} has a test function; an integral without one is needed")
        form = compile_form(inflow, problem.comm)
        return lambda: float(problem.comm.allreduce(fem.assemble_scalar(form)))
