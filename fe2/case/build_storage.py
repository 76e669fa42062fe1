"""From a run file to storage at the macroscopic scale, and the balance in the history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ufl
from dolfinx import fem
from ufl.core.expr import Expr

from fe2.case.build_conditions import Conditions
from fe2.case.build_fields import Unknown, by_meaning
from fe2.case.build_laws import Subdomain
from fe2.case.fields import flow_prefix
from fe2.case.run_case import RunCase
from fe2.io.gmsh_mesh import MarkedMesh
from fe2.macro.balance import Balance
from fe2.macro.problem import MacroProblem
from fe2.macro.rate import Rate


class Storage:
    """What the laws of a run store of their scalar unknowns beside what their cells do.

    Attributes:
        rates: The rate of each unknown of which something is stored, by its name in the physics.
    """

    def __init__(
        self,
        subdomains: list[Subdomain],
        unknowns: Sequence[Unknown],
        marked: MarkedMesh,
        quadrature_degree: int,
    ) -> None:
        """Set up the rates where laws have a storage."""
        self._unknowns = {unknown.field.meaning: unknown for unknown in unknowns}
        self.rates: dict[str, Rate] = {}
        self._stored: dict[str, list[tuple[Expr, ufl.Measure]]] = {}
        for subdomain in subdomains:
            if subdomain.law.storage:
                meaning = next(n for n, kind in subdomain.law.physics.unknowns.items() if kind == "scalar")
                function = self._unknowns[meaning].function
                rate = self.rates.setdefault(meaning, Rate(function))
                density = fem.Constant(marked.mesh, subdomain.law.storage) * rate(function)
                dx = measure(subdomain, marked, quadrature_degree)
                self._stored.setdefault(meaning, []).append((density, dx))

    @property
    def work(self) -> list[tuple[str, ufl.Form]]:
        """Terms of the weak form, with the field in whose equation they stand."""
        return [
            (meaning, density * self._unknowns[meaning].test * dx)
            for meaning, found in self._stored.items()
            for density, dx in found
        ]

    def integrals(self, meaning: str) -> list[ufl.Form]:
        """What is stored of an unknown in a unit of time."""
        return [density * dx for density, dx in self._stored.get(meaning, ())]


def measure(subdomain: Subdomain, marked: MarkedMesh, quadrature_degree: int) -> ufl.Measure:
    """Integration over the subdomain of a law, with the quadrature rule of the laws."""
    dx = ufl.Measure(
        "dx",
        domain=marked.mesh,
        subdomain_data=marked.cell_tags,
        metadata={"quadrature_degree": quadrature_degree, "quadrature_rule": "default"},
    )
    return dx if subdomain.group is None else dx(subdomain.group)


def balance_columns(
    case: RunCase,
    subdomains: Sequence[Subdomain],
    unknowns: Sequence[Unknown],
    storage: Storage,
    conditions: Conditions,
    problem: MacroProblem,
) -> Mapping[str, Callable[[], float]]:
    """Columns of the balance of each scalar unknown, where it is wanted; collective."""
    scalars = [field for field in case.fields if not field.vector] if case.tables.output.balance else []
    models = [sub for sub in subdomains if sub.law.model is not None]
    stored_by = [
        (law, sub.law.physics.stored(law.micro.kinematics, law, by_meaning(unknowns)[0]))
        for sub, law in zip(models, problem.laws, strict=True)
    ]
    found: dict[str, Callable[[], float]] = {}
    for field in scalars:
        by_cells = [found[field.meaning] * law.dx for law, found in stored_by if field.meaning in found]
        stored = [*storage.integrals(field.meaning), *by_cells]
        supports = {name: bc for (name, _), bc in conditions.supports_of(field.name).items()}
        whole = sum(stored[1:], stored[0]) if stored else None
        inflows = {**supports, **conditions.inflows.get(field.name, {})}
        balance = Balance(problem, inflows, whole, field=field.name)
        found |= balance.columns(flow_prefix(field, scalars))
    return found
