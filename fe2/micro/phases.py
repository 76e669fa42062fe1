r"""The cell form of a kinematics and one law for each phase.

.. math:: r(u; v) = \sum_p \int_{Y_p} t_p(\nabla u, \mathrm{history}, \Delta t)\cdot\nabla v\,\mathrm{d}x
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from ufl.core.expr import Expr

from fe2.errors import InputError
from fe2.micro.cell import Cell
from fe2.micro.cell_law import beyond_plane, check_finer_cell, finer_cell, is_plane
from fe2.micro.form import CellForm, Condition, HistoryVariable, MacroValue, PhaseFlux, PointLawTerm
from fe2.micro.scale_overlap import warn_of_overlap
from fe2.physics.contrast import moduli_of, warn_of_contrast
from fe2.physics.kinematics import Block, Kinematics
from fe2.physics.law import ExpressionLaw, PhaseLaw, PointLaw
from fe2.physics.material_field import MaterialField, initial_values
from fe2.quadrature import quadrature_function


def phase_form(
    cell: Cell,
    kinematics: Kinematics,
    laws: Mapping[str, PhaseLaw],
    *,
    degree: int | None = None,
    quadrature_degree: int | None = None,
) -> CellForm:
    """Form of a cell whose phases follow the given laws.

    Args:
        cell: The geometry.
        kinematics: The operator field ↦ gradient.
        laws: A law for each phase of the cell, by the phase's name.
        degree: Degree of the Lagrange element of the unknown, the degree of the geometry by default.
        quadrature_degree: Degree of the quadrature rule; the default integrates the stiffness of
            straight-sided simplices and a constant flux on curved ones exactly.

    Raises:
        InputError: A phase without a law, a law without a phase, or a degree that cannot be.
    """
    degree = element_degree(cell, degree)
    check_phases(cell, kinematics, laws, degree)
    space = fem.functionspace(cell.mesh, ("Lagrange", degree, kinematics.field_shape))
    unknown = fem.Function(space, name="u")
    block, test = kinematics.block(), ufl.TestFunction(space)
    quadrature = quadrature_degree or default_quadrature_degree(cell, degree)
    terms = PhaseTerms(cell, kinematics, block, unknown, block.local(unknown), block.local(test), quadrature)
    for phase in cell.names:
        terms.add(phase, laws[phase])
    nodes = space.tabulate_dof_coordinates()[:, : cell.dim]
    return terms.form(kinematics.modes(nodes).reshape(-1, kinematics.size))


def default_quadrature_degree(cell: Cell, degree: int) -> int:
    """Lowest degree that keeps the patch test: a constant flux is integrated exactly.

    On simplices the stiffness of a degree p element needs 2(p - 1) where the geometry is straight;
    a constant flux on a geometry of degree q needs (p - 1) + (d - 1)(q - 1). Quadrilaterals and
    hexahedra take p + 1 points in each direction.
    """
    order = cell.geometry_degree
    if cell.mesh.topology.cell_name() in ("triangle", "tetrahedron"):
        return max(1, 2 * (degree - 1), degree - 1 + (cell.dim - 1) * (order - 1))
    return 2 * degree + (order - 1)


def element_degree(cell: Cell, degree: int | None) -> int:
    """The degree that is asked for, or that of the cell's geometry, the lowest with affine fields."""
    return cell.geometry_degree if degree is None else degree


def check_phases(
    cell: Cell,
    kinematics: Kinematics,
    laws: Mapping[str, PhaseLaw],
    degree: int,
    beside: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Refuse laws, kinematics or a degree that do not fit the cell.

    Args:
        cell: The geometry.
        kinematics: Kinematics of the cell problem.
        laws: The laws by phase.
        degree: Degree of the element.
        beside: Moduli of what else the cell has, interfaces for instance, by name.

    Raises:
        InputError: Something does not fit; the message names it.

    Warns:
        Fe2Warning: The phases differ by too many orders of magnitude for double precision.
    """
    if missing := [name for name in cell.names if name not in laws]:
        raise InputError(f"phase {missing[0]!r} of the cell has no law; laws are given for {sorted(laws)}")
    if unknown := [name for name in laws if name not in cell.names]:
        raise InputError(f"a law is given for {unknown[0]!r}, but the cell's phases are {sorted(cell.names)}")
    if kinematics.dim != cell.dim:
        raise InputError(
            f"the kinematics is {kinematics.dim}-dimensional and the cell {cell.dim}-dimensional"
        )
    for name, law in laws.items():
        if (finer := finer_cell(law)) is not None:
            check_finer_cell(name, finer, kinematics)
            if finer.period:
                warn_of_overlap(cell, name, max(finer.period))
        else:
            _check_history(name, law, kinematics)
    order = cell.geometry_degree
    if degree < order:
        raise InputError(
            f"degree = {degree} is not admissible on a mesh whose geometry has degree {order}: affine fields "
            f"would not be in the element's space; it must be {order} or more"
        )
    warn_of_contrast({**moduli_of(laws), **(beside or {})})


def _check_history(phase: str, law: object, kinematics: Kinematics) -> None:
    """Refuse history variables that would stand in the columns of something else.

    Raises:
        InputError: One has the name of a block, of its dual, or of the time.
    """
    if not isinstance(law, PhaseLaw):
        return
    taken = {name for block in kinematics.blocks for name in (block.name, block.dual)} | {"time", "step"}
    if wrong := sorted(taken & set(law.history(kinematics.blocks[0].local_size))):
        raise InputError(
            f"phase {phase!r}: {type(law).__name__} remembers {wrong[0]!r}, which results have already: "
            "a history variable needs a name of its own"
        )


def rows_of(
    phase: str, law: PhaseLaw, labels: npt.NDArray[Any], names: Mapping[str, int]
) -> npt.NDArray[np.int64]:
    """Numbers of the materials of elements of a phase with these labels, zeros where it has one material.

    Raises:
        InputError: A field of materials does not have a label.
    """
    if not isinstance(law, MaterialField):
        return np.zeros(len(labels), dtype=np.int64)
    try:
        return law.rows_of(labels, names)
    except InputError as error:
        raise InputError(f"phase {phase!r}: {error}") from error


def conducts(phase: str, law: PhaseLaw) -> bool:
    """Whether a phase conducts.

    Raises:
        InputError: Some of the materials of a field do and others do not.
    """
    found = [not getattr(material, "insulates", False) for material in law.materials]
    if any(found) and not all(found):
        assert isinstance(law, MaterialField)
        raise InputError(
            f"phase {phase!r}: label {law.labels[found.index(False)]!r} conducts nothing and others "
            "do; what insulates is a phase of its own"
        )
    return all(found)


@dataclass(eq=False)
class PhaseTerms:
    """Collects the terms of a form, one for each phase, and the quadrature functions that they need.

    Attributes:
        cell: The geometry.
        kinematics: Blocks of gradient and flux.
        block: The block whose laws are added.
        unknown: The unknown of the cell problem.
        gradient: Local gradient, as the phase laws see it.
        test_gradient: Local gradient of the test function.
        quadrature: Degree of the quadrature rule.
        dt: Time step.
        is_symmetric: Whether the tangents of all laws so far are.
    """

    cell: Cell
    kinematics: Kinematics
    block: Block
    unknown: fem.Function
    gradient: Expr
    test_gradient: Expr
    quadrature: int

    def __post_init__(self) -> None:
        mesh = self.cell.mesh
        self.dt = fem.Constant(mesh, 0.0)
        self._terms: list[ufl.Form] = []
        self._history: list[HistoryVariable] = []
        self._point_laws: list[PointLawTerm] = []
        self._fluxes: list[PhaseFlux] = []
        self._conditions: list[Condition] = []
        self._parameters: list[fem.Function] = []
        self._stored: dict[str, list[ufl.Form]] = {}
        self.is_symmetric = True
        self._laws: dict[str, object] = {}
        self._dx = ufl.Measure(
            "dx",
            domain=mesh,
            subdomain_data=self.cell.phases,
            metadata={"quadrature_degree": self.quadrature, "quadrature_rule": "default"},
        )

    def add(self, phase: str, law: PhaseLaw, gradient: Expr | None = None) -> Expr:
        """Add the virtual work of one phase; its flux.

        Args:
            phase: Name of the phase.
            law: Its law.
            gradient: What the law sees, the local gradient by default.
        """
        if gradient is not None and finer_cell(law) is not None and is_plane(self.kinematics):
            raise InputError(f"phase {phase!r}: {beyond_plane(self.kinematics)}")
        flux, tangent = self.evaluated(phase, law, self.gradient if gradient is None else gradient)
        self.add_work(phase, ufl.dot(flux, self.test_gradient), flux, tangent)
        return flux

    def add_blocks(
        self, phase: str, law: PhaseLaw, fields: Mapping[str, Expr], tests: Mapping[str, Expr]
    ) -> None:
        """Add a law of the gradients of all blocks: their fluxes work, and the duals of values are stored.

        Args:
            phase: Name of the phase.
            law: Its law.
            fields: The unknown fields by name.
            tests: Their test functions.
        """
        blocks = self.kinematics.blocks
        seen = [b.local(self.values[b.name] if b.kind == "value" else fields[b.field]) for b in blocks]
        flux, tangent = self.evaluated(phase, law, ufl.as_vector([c for part in seen for c in part]))
        start = 0
        for block, part in zip(blocks, seen, strict=True):
            rows = range(start, start := start + block.local_size)
            own = ufl.as_vector([flux[i] for i in rows])
            if block.kind == "value":
                self.store(phase, block.name, own[0])
                continue
            of_block = ufl.as_matrix([[tangent[i, j] for j in rows] for i in rows])
            self.add_work(phase, ufl.dot(own, block.local(tests[block.field])), own, of_block, block, part)

    def evaluated(self, phase: str, law: PhaseLaw, gradient: Expr) -> tuple[Expr, Expr]:
        """Flux and tangent of a law, without any work; see :meth:`add` for the arguments."""
        cells, kind = self.cell.cells_of(phase), law.law if isinstance(law, MaterialField) else law
        self._laws[phase] = law
        if isinstance(kind, ExpressionLaw):
            found = self._expression_law(phase, law, cells, gradient)
        elif isinstance(kind, PointLaw):
            found = self._point_law(phase, law, cells, gradient)
        else:
            raise InputError(f"the law of phase {phase!r} is a {type(law).__name__}, not a phase law")
        self.is_symmetric = self.is_symmetric and law.symmetric
        return found

    def add_work(
        self,
        phase: str,
        work: Expr,
        flux: Expr,
        tangent: Expr | None,
        block: Block | None = None,
        gradient: Expr | None = None,
    ) -> None:
        """Add a virtual work by hand, linear in the test function.

        Args:
            phase: Name of the phase.
            work: The work.
            flux: The local flux.
            tangent: Its derivative, or None where it is no function of the local gradient.
            block: The block of this flux, where it is another one.
            gradient: The local gradient of that block.
        """
        seen = self.gradient if gradient is None else gradient
        name = (block or self.block).name
        law = self._laws.get(phase)
        rows = self._rows(phase, law) if isinstance(law, MaterialField) else None
        self._terms.append(work * self._over(phase))
        self._fluxes.append(PhaseFlux(phase, self.cell.cells_of(phase), seen, flux, tangent, name, rows))

    def add_load(self, phase: str, work: Expr) -> None:
        """Add a virtual work, linear in the test function, that is of no law's flux."""
        self._terms.append(work * self._over(phase))

    def store(self, phase: str, value: str, density: Expr) -> None:
        """Add what a unit of volume of one phase holds that is conjugate to the value of a block."""
        self._stored.setdefault(value, []).append(density * self._over(phase))

    @cached_property
    def values(self) -> dict[str, fem.Constant]:
        """The values of the kinematics as they appear in the form, by block; in the virgin cell at first."""
        blocks = [block for block in self.kinematics.blocks if block.kind == "value"]
        return {block.name: self.constant(float(block.initial[0])) for block in blocks}

    def remember(self, phase: str, name: str, update: Expr) -> Expr:
        """A scalar history variable of a phase as it was at the beginning of the step.

        Args:
            phase: Name of the phase.
            name: Name of the variable.
            update: What it is at the end.
        """
        old = self._quadrature_function(1, name)
        self._history.append(HistoryVariable(name, phase, old, self.cell.cells_of(phase), update))
        return old

    def accumulate(self, phase: str, name: str, increment: Expr) -> Expr:
        """A scalar history variable of a phase at the end of a step in which it grows by an increment."""
        old = self._quadrature_function(1, name)
        new = old + increment
        self._history.append(HistoryVariable(name, phase, old, self.cell.cells_of(phase), new))
        return new

    def variable(self, phase: str, name: str) -> HistoryVariable:
        """A history variable of a phase whose law was added."""
        return next(found for found in self._history if (found.phase, found.name) == (phase, name))

    def _over(self, phase: str) -> ufl.Measure:
        return self._dx(self.cell.names.index(phase))

    def form(self, modes: npt.NDArray[np.float64], fixed: npt.NDArray[np.bool_] | None = None) -> CellForm:
        """The form of what was added; see `CellForm` for the arguments."""
        return CellForm(
            kinematics=self.kinematics,
            unknown=self.unknown,
            residual=sum(self._terms[1:], self._terms[0]),
            modes=modes,
            dt=self.dt,
            values=tuple(
                MacroValue(self.kinematics.slices[name].start, constant, self._conjugate(name))
                for name, constant in self.values.items()
            ),
            history=tuple(self._history),
            point_laws=tuple(self._point_laws),
            fluxes=tuple(self._fluxes),
            conditions=tuple(self._conditions),
            fixed=fixed,
            symmetric=self.is_symmetric,
            quadrature_degree=self.quadrature,
            laws=self._laws,
            parameters=tuple(self._parameters),
        )

    def _conjugate(self, value: str) -> ufl.Form:
        stored = self._stored.get(value, [])
        return sum(stored[1:], stored[0]) if stored else ufl.Form([])

    def demand(self, phase: str, conditions: Mapping[str, Expr]) -> None:
        """Scalars by name that have to be positive in a phase wherever the residual is evaluated."""
        if conditions:
            values = ufl.as_vector(list(conditions.values()))
            self._conditions.append(Condition(phase, self.cell.cells_of(phase), tuple(conditions), values))

    def symbolic(self, phase: str, law: PhaseLaw, gradient: Expr | None = None) -> Any:
        """The law with constants for its numbers, or functions of the element; its conditions are added."""
        self._laws[phase] = law
        symbolic = self.with_parameters(phase, law)
        self.demand(phase, symbolic.admissible(self.gradient if gradient is None else gradient))
        return symbolic

    def with_parameters(self, phase: str, law: PhaseLaw) -> Any:
        """The law with constants for its numbers, or functions of the element."""
        if isinstance(law, MaterialField):
            return law.with_values(self._by_element(self._rows(phase, law)))
        return law.with_constants(self.constant)

    def of_materials(self, phase: str, law: PhaseLaw, number: Callable[[Any], Any]) -> Expr:
        """A number or array of each material of a law, as a constant or a function of the element."""
        if isinstance(law, MaterialField):
            values = np.array([number(material) for material in law.materials])
            return self._by_element(self._rows(phase, law))(values)
        return self.constant(number(law))

    def _expression_law(
        self, phase: str, law: PhaseLaw, cells: npt.NDArray[np.int32], gradient: Expr
    ) -> tuple[Expr, Expr]:
        size = gradient.ufl_shape[0]
        symbolic, initial = self.symbolic(phase, law, gradient), self._initial(phase, law, size)
        values = {name: self._quadrature_function(c, name) for name, c in law.history(size).items()}
        updates = symbolic.update(gradient, values, self.dt)
        for name, value in values.items():
            internal = name in law.materials[0].internal
            self._history.append(
                HistoryVariable(name, phase, value, cells, updates[name], initial[name], internal)
            )
        variable = ufl.variable(gradient)
        tangent = ufl.diff(symbolic.flux(variable, values, self.dt), variable)
        return symbolic.flux(gradient, values, self.dt), tangent

    def _point_law(
        self, phase: str, law: Any, cells: npt.NDArray[np.int32], gradient: Expr
    ) -> tuple[Expr, Expr]:
        k = gradient.ufl_shape[0]
        initial = self._initial(phase, law, k)
        flux, tangent = self._quadrature_function(k, "flux"), self._quadrature_function((k, k), "tangent")
        history = {
            name: HistoryVariable(
                name,
                phase,
                self._quadrature_function(size, name),
                cells,
                initial=initial[name],
                internal=name in law.materials[0].internal,
            )
            for name, size in law.history(k).items()
        }
        self._history.extend(history.values())
        rows = self._rows(phase, law) if isinstance(law, MaterialField) else None
        self._point_laws.append(PointLawTerm(law, cells, gradient, flux, tangent, history, rows))
        return flux, tangent

    def _initial(self, phase: str, law: PhaseLaw, size: int) -> dict[str, npt.NDArray[np.float64]]:
        """Initial values of the history, with one row, or with one for each element of the mesh."""
        values = initial_values(law, size)
        if not isinstance(law, MaterialField):
            return values
        rows = self._rows(phase, law)
        return {name: found[rows] for name, found in values.items()}

    def _rows(self, phase: str, field: MaterialField) -> npt.NDArray[np.int64]:
        """Rows of the materials of the elements of the mesh, the first one for those of other phases."""
        cells, labels = self.cell.cells_of(phase), self.cell.element_labels
        rows = np.zeros(len(self.cell.phases.values), dtype=np.int64)
        if labels is None:
            raise InputError(
                f"phase {phase!r} has a field of materials, but the elements of the cell have no labels; "
                "make_cell takes them as element_labels"
            )
        rows[cells] = rows_of(phase, field, labels[cells], self.cell.label_names)
        return rows

    def _by_element(self, rows: npt.NDArray[np.int64]) -> Callable[[npt.NDArray[np.float64]], fem.Function]:
        """Values for each material, a row for each, ↦ a function that is constant in each element."""
        spaces: dict[tuple[int, ...], fem.FunctionSpace] = {}

        def function(values: npt.NDArray[np.float64]) -> fem.Function:
            shape = values.shape[1:]
            if shape not in spaces:
                spaces[shape] = fem.functionspace(self.cell.mesh, ("DG", 0, shape))
            found = fem.Function(spaces[shape])
            places = spaces[shape].dofmap.list[:, 0]
            found.x.array.reshape(len(rows), -1)[places] = values[rows].reshape(len(rows), -1)
            self._parameters.append(found)
            return found

        return function

    def constant(self, value: float | npt.NDArray[np.float64]) -> fem.Constant:
        """A number or an array as it may appear in the form, which is compiled once for all values."""
        return fem.Constant(self.cell.mesh, value)

    def _quadrature_function(self, size: int | tuple[int, int], name: str) -> fem.Function:
        shape = size if isinstance(size, tuple) else (size,) if size > 1 else ()
        return quadrature_function(self.cell.mesh, self.quadrature, shape, name)
