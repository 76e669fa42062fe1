"""From a run file to a simulation: mesh, unknown, laws, conditions, steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import ufl
from dolfinx import fem
from mpi4py import MPI

from fe2.case.build_conditions import Conditions, ConditionsBuilder
from fe2.case.build_fields import Unknown, build_unknowns, residuals, starts_elsewhere
from fe2.case.build_laws import (
    Subdomain,
    build_subdomains,
    formula_work,
    groups_of_laws,
    homogenized_law,
    homogenized_work,
)
from fe2.case.build_mesh import build_mesh
from fe2.case.build_storage import Storage, balance_columns, measure
from fe2.case.problems import Problems
from fe2.case.run_case import RunCase
from fe2.case.run_checks import planned_times
from fe2.case.run_memory import check_run_memory
from fe2.case.run_tables import StepsTable
from fe2.case.solver_check import check_solver
from fe2.case.time_step_check import warn_of_short_steps
from fe2.case.understood import decisive, understood
from fe2.code_cache import check_cache
from fe2.dispatch.options import Parallel
from fe2.errors import InputError
from fe2.hierarchical.recorded import GradientRecorder
from fe2.io.checkpoint_schedule import Checkpoints
from fe2.io.costs import CostRecorder
from fe2.io.gmsh_mesh import MarkedMesh
from fe2.io.observer import Observer
from fe2.io.results import Results
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.parallel import on_every_rank
from fe2.physics.kinematics import Kinematics
from fe2.quadrature import full_degree
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps


@dataclass(frozen=True, eq=False)
class Model:
    """A run file on its mesh: everything but states of quadrature points.

    Attributes:
        case: The run file.
        marked: The mesh.
        kinematics: Names and sizes of gradient and flux of the first law, that with a cell where one has.
        unknowns: The macroscopic unknowns.
        subdomains: The laws.
        conditions: Boundary conditions and loads.
        storage: What laws store beside what their cells do.
        quadrature_degree: Degree of the quadrature rule.
        steps: The plan of load steps.
    """

    case: RunCase
    marked: MarkedMesh
    kinematics: Kinematics
    unknowns: list[Unknown]
    subdomains: list[Subdomain]
    conditions: Conditions
    storage: Storage
    quadrature_degree: int
    steps: LoadSteps

    @property
    def functions(self) -> list[fem.Function]:
        """The unknowns as DOLFINx has them."""
        return [unknown.function for unknown in self.unknowns]


def build_model(case: RunCase, comm: MPI.Comm) -> Model:
    """Mesh, unknown, cells and conditions of a run file; collective.

    Raises:
        CaseFileError: On all ranks: something does not fit together; the message names file and key.
        InputError: On all ranks: there is no place for compiled code, or PETSc lacks what options name.
    """
    on_every_rank(comm, check_cache)
    check_solver(case, comm)
    problems = Problems(case.file)
    marked = build_mesh(case, comm)
    table = case.tables.field
    groups = groups_of_laws(case, marked, problems)
    on_every_rank(comm, problems.raise_if_any)
    unknowns = build_unknowns(case, marked, groups)
    conditions = ConditionsBuilder(case, marked, unknowns, problems).build()
    _check_watched(case, marked, problems)
    on_every_rank(comm, problems.raise_if_any)
    degree = table.quadrature_degree
    quadrature = (
        full_degree(marked.mesh, max(field.degree for field in case.fields)) if degree is None else degree
    )
    subdomains = build_subdomains(case, marked, groups, quadrature, problems)
    _check_dimensions(subdomains, marked.mesh.geometry.dim, problems)
    on_every_rank(comm, problems.raise_if_any)
    return Model(
        case=case,
        marked=marked,
        kinematics=min(subdomains, key=lambda subdomain: subdomain.rve is None).kinematics,
        unknowns=unknowns,
        subdomains=subdomains,
        conditions=conditions,
        storage=Storage(subdomains, unknowns, marked, quadrature),
        quadrature_degree=quadrature,
        steps=load_steps(case.tables.steps, conditions),
    )


def load_steps(table: StepsTable, conditions: Conditions) -> LoadSteps:
    """The plan of load steps."""
    return LoadSteps(
        planned_times(table), _naming_time(conditions.apply), table.smallest, table.tolerance, table.largest
    )


def _in_turn(*actions: Callable[[float], None]) -> Callable[[float], None]:
    def all_of_them(time: float) -> None:
        for action in actions:
            action(time)

    return all_of_them


def _before_steps(model: Model, problem: MacroProblem) -> list[Callable[[float], None]]:
    """What micro models want to be done before every step."""
    tables = [sub.law.model for sub in model.subdomains if sub.law.model is not None]
    wanted = [table.before_steps(law, problem.comm) for table, law in zip(tables, problem.laws, strict=True)]
    return [action for action in wanted if action is not None]


def _naming_time(apply: Callable[[float], None]) -> Callable[[float], None]:
    def checked(time: float) -> None:
        try:
            apply(time)
        except ValueError as error:
            refusal = InputError(f"a function of time cannot be evaluated: {error}")
            refusal.collective = True
            raise refusal from error

    return checked


def build_problem(model: Model) -> MacroProblem:
    """The macroscopic problem, with a state for each quadrature point that has a cell; collective.

    Raises:
        CaseFileError: On all ranks: no law has a cell, or a law cannot stand at the macroscopic scale.
        InputError: On all ranks: states and cells do not fit into the memory.
    """
    case, unknowns = model.case, model.unknowns
    check_run_memory(model.subdomains, model.marked, model.quadrature_degree)
    problems = Problems(case.file)
    laws: list[HomogenizedLaw] = []
    terms: list[tuple[str, ufl.Form]] = []
    for subdomain in model.subdomains:
        if subdomain.law.model is None:
            dx = measure(subdomain, model.marked, model.quadrature_degree)
            terms += formula_work(subdomain, dx, unknowns, problems)
            continue
        laws.append(
            homogenized_law(subdomain, model.marked, unknowns, model.quadrature_degree, _parallel(case))
        )
        terms += homogenized_work(subdomain, laws[-1], unknowns)
    on_every_rank(model.marked.mesh.comm, problems.raise_if_any)
    terms += model.storage.work
    terms += [term for unknown in unknowns for term in unknown.no_work(model.marked)]
    terms += [(meaning, -power) for meaning, power in model.conditions.power]
    held = [bc for unknown in unknowns if (bc := unknown.held(model.marked)) is not None]
    forms = residuals(terms, unknowns)
    several = len(unknowns) > 1
    problem = MacroProblem(
        forms if several else forms[0],
        model.functions if several else model.functions[0],
        laws,
        bcs=[*model.conditions.supports.values(), *held],
        rate=list(model.storage.rates.values()),
        scheme=case.tables.steps.scheme,
        preconditioner=case.tables.solver.preconditioner,
        petsc_options=case.tables.solver.macro.options(),
    )
    if starts_elsewhere(case):
        problem.initialize()
    return problem


def build_simulation(
    model: Model,
    problem: MacroProblem,
    *,
    overwrite: bool,
    resume: bool = False,
    observers: Sequence[Observer] = (),
) -> Simulation:
    """The simulation, with its folder of results; collective.

    Args:
        model: The run file on its mesh.
        problem: The macroscopic problem.
        overwrite: Replace results that exist.
        resume: Go on from a checkpoint.
        observers: Who looks at the run besides.

    Raises:
        InputError: The folder holds results and `overwrite` is not set.
    """
    case, output = model.case, model.case.tables.output
    warn_of_short_steps(case.file, model.steps, model.unknowns, model.subdomains, model.conditions)
    constants = {name: constant for name, (constant, _) in model.conditions.constants.items()}
    balance = balance_columns(
        case, model.subdomains, model.unknowns, model.storage, model.conditions, problem
    )
    folder = case.path(output.folder)
    results = Results(
        folder, watch=output.watch, overwrite=overwrite, units=case.tables.units, case=understood(case)
    )
    recorders = [*[GradientRecorder(folder)] * output.gradients, *[CostRecorder(folder)] * output.costs]
    return Simulation(
        problem,
        replace(model.steps, apply=_in_turn(*_before_steps(model, problem), model.steps.apply)),
        output=results,
        loads={**constants, **_reactions(model, problem), **balance},
        observers=[*recorders, *observers],
        checkpoint=Checkpoints(output.checkpoint_every, output.checkpoint_seconds, case=decisive(case)),
        resume=resume,
    )


def _parallel(case: RunCase) -> Parallel:
    table = case.tables.parallel
    return Parallel(table.ranks_per_rve, table.balance)


def _reactions(model: Model, problem: MacroProblem) -> Mapping[str, Callable[[], float]]:
    """A column for each constrained component of the boundaries whose reactions are wanted."""
    wanted = model.case.tables.output.reactions
    vectors = {field.name for field in model.case.fields if field.vector}
    columns: dict[str, Callable[[], float]] = {}
    for (name, component), bc in model.conditions.supports.items():
        if name in wanted:
            vector = model.conditions.fields[name] in vectors
            column = f"{name}_{'xyz'[component]}" if vector else name
            columns[column] = lambda bc=bc, k=component: float(problem.reaction(bc)[k])  # type: ignore[misc]
    return columns


def _check_watched(case: RunCase, marked: MarkedMesh, problems: Problems) -> None:
    dim = marked.mesh.geometry.dim
    for number, place in enumerate(case.tables.output.watch):
        if len(place) != dim:
            problems.add(("output", "watch", number), f"{dim} coordinates are needed on this mesh", place)


def _check_dimensions(subdomains: list[Subdomain], dim: int, problems: Problems) -> None:
    for subdomain in subdomains:
        if subdomain.rve is not None and subdomain.rve.kinematics.dim != dim:
            text = f"the cell has {subdomain.rve.kinematics.dim} dimensions, but the mesh has {dim}"
            problems.add(("laws", subdomain.name, "cell"), text)
