"""From a run file to storage at the macroscopic scale, the initial value, and the balance in the history."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ufl
from dolfinx import fem
from ufl.core.expr import Expr

from fe2.case.build_conditions import Conditions
from fe2.case.build_laws import Subdomain
from fe2.case.run_case import RunCase
from fe2.io.gmsh_mesh import MarkedMesh
from fe2.macro.balance import Balance
from fe2.macro.problem import MacroProblem
from fe2.macro.rate import Rate


class Storage:
    """What the laws of a run store beside what their cells do.

    Attributes:
        rate: The rate of the unknown, or None where nothing is stored.
    """

    def __init__(
        self, subdomains: list[Subdomain], unknown: fem.Function, marked: MarkedMesh, quadrature_degree: int
    ) -> None:
        """Set up the rate where a law has a storage."""
        rate = Rate(unknown)
        self._densities: list[tuple[Expr, ufl.Measure]] = [
            (
                fem.Constant(marked.mesh, sub.law.storage) * rate(unknown),
                measure(sub, marked, quadrature_degree),
            )
            for sub in subdomains
            if sub.law.storage
        ]
        self.rate = rate if self._densities else None
        self._test = ufl.TestFunction(unknown.function_space)

    @property
    def work(self) -> list[ufl.Form]:
        """Terms of the weak form."""
        return [density * self._test * dx for density, dx in self._densities]

    @property
    def integrals(self) -> list[ufl.Form]:
        """What is stored in a unit of time."""
        return [density * dx for density, dx in self._densities]


def measure(subdomain: Subdomain, marked: MarkedMesh, quadrature_degree: int) -> ufl.Measure:
    """Integration over the subdomain of a law, with the quadrature rule of the laws."""
    dx = ufl.Measure(
        "dx",
        domain=marked.mesh,
        subdomain_data=marked.cell_tags,
        metadata={"quadrature_degree": quadrature_degree, "quadrature_rule": "default"},
    )
    return dx if subdomain.group is None else dx(subdomain.group)


def initial_value(case: RunCase) -> float:
    """Initial value of a scalar unknown: what the file says, or that of the cells that receive it."""
    if case.tables.field.initial is not None:
        return case.tables.field.initial
    return next(iter(_initial_values(case)), 0.0)


def starts_elsewhere(case: RunCase) -> bool:
    """Whether cells that remember the value have to learn that the run starts from another one."""
    return any(value != initial_value(case) for value in _initial_values(case))


def _initial_values(case: RunCase) -> list[float]:
    """Values in the virgin cells that receive one."""
    cells = [law.cell for law in case.laws.values() if law.cell is not None]
    return [value for cell in cells for value in cell.physics.values.values()]


def balance_columns(
    case: RunCase, storage: Storage, conditions: Conditions, problem: MacroProblem
) -> Mapping[str, Callable[[], float]]:
    """Columns of the balance, where it is wanted; collective."""
    if not case.tables.output.balance:
        return {}
    by_cells = [
        law.flux[law.micro.kinematics.slices[block.name].start] * law.dx
        for law in problem.laws
        for block in law.micro.kinematics.blocks
        if block.kind == "value"
    ]
    stored = [*storage.integrals, *by_cells]
    supports = {name: bc for (name, _), bc in conditions.supports.items()}
    whole = sum(stored[1:], stored[0]) if stored else None
    return Balance(problem, {**supports, **conditions.inflows}, whole).columns("flow_")
