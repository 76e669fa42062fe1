"""From a run file to the laws of the macroscopic problem: cells at quadrature points, or formulas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import ufl
from dolfinx import fem
from mpi4py import MPI
from ufl.core.expr import Expr

from fe2.arrays import Array
from fe2.case.build_cell import build_rve
from fe2.case.build_fields import Unknown, by_meaning, components_of
from fe2.case.build_mesh import group_number
from fe2.case.build_parameters import build_parameters
from fe2.case.located import located
from fe2.case.problems import Problems
from fe2.case.run_case import Law, RunCase
from fe2.dispatch.options import Parallel
from fe2.errors import InputError
from fe2.io.gmsh_mesh import MarkedMesh
from fe2.macro.law import HomogenizedLaw
from fe2.macro.resistance import check_closed
from fe2.micro.model import MicroModel
from fe2.micro.model_table import CellModel, ModelTable, Setting, check_answers
from fe2.micro.newton import NewtonOptions
from fe2.micro.rotated import rotated
from fe2.micro.rve import RVE
from fe2.parallel import on_every_rank
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import ExpressionLaw, isochoric_phases
from fe2.quadrature import quadrature_points
from fe2.volumetric_locking import warn_of_locking


@dataclass(frozen=True)
class Subdomain:
    """A law with the part of the mesh in which it holds.

    Attributes:
        name: Name of the law.
        law: The law, as the file has it.
        group: Number of the physical group, or None for the whole mesh.
        rve: The representative volume element, where the law has a cell.
        kinematics: What the macroscopic problem hands down.
        comm: Ranks of the run.
        file: The run file, for messages.
        parameters: Parameters of its points on this rank, cell by cell.
    """

    name: str
    law: Law
    group: int | None
    rve: RVE | None
    kinematics: Kinematics
    comm: MPI.Comm
    file: Path
    parameters: Mapping[str, Array] = field(default_factory=dict)

    @cached_property
    def micro(self) -> MicroModel | None:
        """The micro model of all points of the subdomain; collective.

        Raises:
            CaseFileError: On all ranks: the model cannot be made, or does not fit; the message names the key.
        """
        if self.law.model is None:
            return None
        return on_every_rank(self.comm, partial(self._made, self.law.model))

    def _made(self, model: ModelTable) -> MicroModel:
        kinematics = self.kinematics if self.rve is None else self.rve.kinematics
        problems = Problems(self.file)
        try:
            made = model.build(Setting(kinematics, self.file.parent, self.comm, self.rve))
            if not isinstance(model, CellModel):
                check_answers(made, kinematics, self.law.kind)
            made = rotated(made) if self.law.rotated else made
        except InputError as error:
            key = ("laws", self.name)
            problems.add_refused(key, error, type(model).model_fields, model.model_dump())
            problems.raise_if_any()
            raise
        return made

    def points(self, marked: MarkedMesh, quadrature_degree: int) -> int:
        """Number of its quadrature points on all ranks; collective."""
        mesh = marked.mesh
        owned = mesh.topology.index_map(mesh.topology.dim).size_local
        cells = owned if self.group is None else np.count_nonzero(marked.cell_tags.find(self.group) < owned)
        points, _ = quadrature_points(mesh, quadrature_degree)
        return mesh.comm.allreduce(int(cells)) * len(points)


def groups_of_laws(case: RunCase, marked: MarkedMesh, problems: Problems) -> dict[str, int | None]:
    """Number of the subdomain of each law, None for the whole mesh; `problems` receives what does not fit."""
    groups = {
        name: None
        if law.subdomain is None
        else group_number(
            law.subdomain, marked.cell_names, problems, ("laws", name, "subdomain"), "subdomain"
        )
        for name, law in case.laws.items()
    }
    _check_cover(case, marked, groups, problems)
    return groups


def build_subdomains(
    case: RunCase,
    marked: MarkedMesh,
    groups: Mapping[str, int | None],
    quadrature_degree: int,
    problems: Problems,
) -> list[Subdomain]:
    """The laws with their subdomains and their cells; collective.

    Args:
        case: The run file.
        marked: The mesh.
        groups: Number of the subdomain of each law, or None for the whole mesh.
        quadrature_degree: Degree of the quadrature rule.
        problems: Receives what is wrong.

    Raises:
        CaseFileError: On all ranks: a cell cannot be made; the message names file and key.
    """
    solver = case.tables.solver.micro
    options = NewtonOptions(**solver.model_dump())
    comm = marked.mesh.comm
    parameters = {
        name: build_parameters(
            law, marked, groups[name], quadrature_degree, problems, ("laws", name, "parameters")
        )
        for name, law in case.laws.items()
    }
    return [
        Subdomain(
            name,
            law,
            groups[name],
            on_every_rank(comm, partial(_rve, law, options)),
            law.physics.kinematics(marked.mesh.geometry.dim),
            comm,
            case.file,
            parameters[name],
        )
        for name, law in case.laws.items()
    ]


def _rve(law: Law, options: NewtonOptions) -> RVE | None:
    if law.cell is None:
        return None
    rve = build_rve(law.cell, options)
    with located(law.cell):
        check_closed(rve, law.closed)
    return rve


def _check_cover(
    case: RunCase, marked: MarkedMesh, groups: dict[str, int | None], problems: Problems
) -> None:
    """Every part of the mesh has one law."""
    for name, law in case.laws.items():
        if law.subdomain is None and len(case.laws) > 1:
            problems.add(("laws", name, "subdomain"), "is missing; it is needed where there are several laws")
    owners: dict[int, str] = {}
    for name, group in groups.items():
        if group is not None and group in owners:
            text = f"the law {owners[group]} holds there already"
            problems.add(("laws", name, "subdomain"), text, case.laws[name].subdomain)
        if group is not None:
            owners[group] = name
    if all(law.subdomain is not None for law in case.laws.values()):
        for name, number in marked.cell_names.items():
            if number not in owners:
                problems.add(("laws",), f"no law holds in the subdomain {name!r} of the mesh")


def formula_work(
    subdomain: Subdomain, measure: ufl.Measure, unknowns: Sequence[Unknown], problems: Problems
) -> list[tuple[str, ufl.Form]]:
    """Virtual work of a law that is a formula of the local gradient, without history, by field."""
    material, kinematics = subdomain.law.material, subdomain.kinematics
    assert material is not None
    law = material.make(subdomain.law.physics_name)
    if getattr(law, "stores", False) or getattr(law, "needs_value", False):
        text = "this law needs a cell with value = true; storage beside it stores a constant capacity"
        problems.add(("laws", subdomain.name, "law"), text, material.law)
        return []
    size = sum(block.local_size for block in kinematics.blocks)
    if not isinstance(law, ExpressionLaw) or law.history(size):
        what = "a law with history" if law.history(size) else "this law"
        text = f"{what} needs a cell: a cell file with this law in all of its phases"
        problems.add(("laws", subdomain.name, "law"), text, material.law)
        return []
    functions, tests = by_meaning(unknowns)
    (mesh, *_) = {function.function_space.mesh for function in functions.values()}
    degree = max(function.ufl_element().embedded_superdegree for function in functions.values())
    isochoric = isochoric_phases({subdomain.name: law})
    if mesh.comm.rank == 0:
        warn_of_locking("the macroscopic mesh", mesh.topology.cell_name(), degree, isochoric)
    symbolic = law.with_constants(lambda value: _constant(mesh, value))
    local = [block.local(functions[block.field]) for block in kinematics.blocks]
    gradient = (
        local[0] if len(local) == 1 else ufl.as_vector([c for part in local for c in components_of(part)])
    )
    flux = components_of(symbolic.flux(gradient, {}, fem.Constant(mesh, 0.0)))
    terms, start = [], 0
    for block in kinematics.blocks:
        own = ufl.as_vector(flux[start : start + block.local_size])
        terms.append((block.field, ufl.dot(own, block.local(tests[block.field])) * measure))
        start += block.local_size
    return terms


def _constant(mesh: object, value: object) -> Expr:
    return fem.Constant(mesh, np.asarray(value, dtype=np.float64))


def homogenized_law(
    subdomain: Subdomain,
    marked: MarkedMesh,
    unknowns: Sequence[Unknown],
    quadrature_degree: int,
    parallel: Parallel,
) -> HomogenizedLaw:
    """The law of a subdomain whose points have a micro model; collective."""
    micro = subdomain.micro
    assert micro is not None
    functions, _ = by_meaning(unknowns)
    of_cell = located(subdomain.law.cell) if subdomain.law.cell is not None else nullcontext()
    with of_cell, _parameters_located(subdomain):
        law = HomogenizedLaw(
            {block.name: block.operator(functions[block.field]) for block in micro.kinematics.blocks},
            micro,
            quadrature_degree=quadrature_degree,
            subdomains=None if subdomain.group is None else marked.cell_tags,
            subdomain=subdomain.group,
            parallel=parallel,
            closed=subdomain.law.closed,
            parameters=subdomain.parameters,
        )
    if subdomain.group is None:  # DOLFINx wants the same tags in all integrals of a form
        law.dx = law.dx(subdomain_data=marked.cell_tags)
    return law


@contextmanager
def _parameters_located(subdomain: Subdomain) -> Iterator[None]:
    """Name file and key where parameters of the points do not suit the micro model."""
    try:
        yield
    except InputError as error:
        problems = Problems(subdomain.file)
        text = str(error).removeprefix("parameters: ")
        if text == str(error):
            raise
        key = ("laws", subdomain.name, "parameters")
        problems.add_refused(key, InputError(text), subdomain.parameters, {})
        problems.raise_if_any()


def homogenized_work(
    subdomain: Subdomain, law: HomogenizedLaw, unknowns: Sequence[Unknown]
) -> list[tuple[str, ufl.Form]]:
    """Terms of the weak form in which a homogenized law stands, by field, as its physics has them."""
    functions, tests = by_meaning(unknowns)
    densities = subdomain.law.physics.balances(law.micro.kinematics, law, functions, tests)
    return [(field, density * law.dx) for field, density in densities.items()]
