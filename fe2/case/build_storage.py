"""From a run file to storage at the macroscopic scale, and the balance in the history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ufl
from dolfinx import fem
from ufl.core.expr import Expr

from fe2.case.build_conditions import Conditions
from fe2.case.build_fields import Unknown, by_meaning
from fe2.case.build_laws import Subdomain, physics_of
from fe2.case.fields import flow_prefix
from fe2.case.run_case import RunCase
from fe2.io.gmsh_mesh import MarkedMesh
from fe2.macro.balance import Balance
from fe2.macro.problem import MacroProblem
from fe2.macro.rate import Rate


class Storage:
    """What the laws of a run store of its scalar unknown beside what their cells do.

    Attributes:
        rate: The rate of the unknown, or None where nothing is stored.
    """

    def __init__(
        self,
        subdomains: list[Subdomain],
        unknowns: Sequence[Unknown],
        marked: MarkedMesh,
        quadrature_degree: int,
    ) -> None:
        """Set up the rate where a law has a storage."""
        storing = [sub for sub in subdomains if sub.law.storage]
        scalars = [unknown for unknown in unknowns if not unknown.field.vector]
        self._unknown = scalars[0] if storing else None
        self._densities: list[tuple[Expr, ufl.Measure]] = []
        self.rate = rate = Rate(scalars[0].function) if storing else None
        if rate is not None:
            self._densities = [
                (
                    fem.Constant(marked.mesh, sub.law.storage) * rate(scalars[0].function),
                    measure(sub, marked, quadrature_degree),
                )
                for sub in storing
            ]

    @property
    def work(self) -> list[tuple[str, ufl.Form]]:
        """Terms of the weak form, with the field in whose equation they stand."""
        if self._unknown is None:
            return []
        unknown = self._unknown
        return [(unknown.field.meaning, density * unknown.test * dx) for density, dx in self._densities]

    def integrals(self, meaning: str) -> list[ufl.Form]:
        """What is stored of an unknown in a unit of time."""
        if self._unknown is None or self._unknown.field.meaning != meaning:
            return []
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
        (law, physics_of(sub.law, case).stored(law.micro.kinematics, law, by_meaning(unknowns)[0]))
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
