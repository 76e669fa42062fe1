"""The macroscopic residual and its derivatives as PETSc has them: compiled forms, vectors, matrices."""

from __future__ import annotations

from collections.abc import Sequence

import dolfinx.fem.petsc as fem_petsc
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from petsc4py import PETSc

from fe2.errors import InputError
from fe2.jit import compile_form
from fe2.macro.law import HomogenizedLaw

type Unknown = fem.Function | Sequence[fem.Function]
type Residual = ufl.Form | Sequence[ufl.Form]
type Jacobian = ufl.Form | Sequence[Sequence[ufl.Form | None]]


class System:
    """F, J and P for one unknown, or for several with a form for each as DOLFINx has them.

    Attributes:
        functions: The unknowns.
        residual: Vector of the residual, with boundary conditions.
        internal: Vector of the residual without them: its constrained entries are the reactions.
        matrix: The Jacobian.
        preconditioner: What preconditioners are made of: P, or the Jacobian.
    """

    def __init__(
        self,
        F: Residual,
        unknown: Unknown,
        laws: Sequence[HomogenizedLaw],
        bcs: list[fem.DirichletBC],
        J: Jacobian | None,
        P: Jacobian | None,
        entity_maps: Sequence[dmesh.EntityMap] | None,
    ) -> None:
        """Derive the Jacobian, and compile; collective.

        Raises:
            InputError: There is not one form for each unknown.
        """
        self.functions = (unknown,) if isinstance(unknown, fem.Function) else tuple(unknown)
        self._is_single, self.bcs = isinstance(unknown, fem.Function), bcs
        forms = [F] if isinstance(F, ufl.Form) else list(F)
        if len(forms) != len(self.functions) or isinstance(F, ufl.Form) != self._is_single:
            raise InputError(
                f"one unknown takes one form, a list of unknowns a list of as many: there are {len(forms)} "
                f"forms and {len(self.functions)} unknowns"
            )
        self._directions = [ufl.TrialFunction(function.function_space) for function in self.functions]
        comm = self.functions[0].function_space.mesh.comm
        entity_maps = [*(entity_maps or ()), *(found for law in laws for found in law.entity_maps)]
        parts = self._without_laws(forms) if J is None else self._blocks("J", J, forms)
        jacobian = self._with_laws(parts, forms, laws)
        self._F = compile_form(self._as_given(forms), comm, entity_maps)
        self._J = compile_form(self._as_given([self._as_given(row) for row in jacobian]), comm, entity_maps)
        self._P = None
        if P is not None:
            rows = [self._as_given(row) for row in self._blocks("P", P, forms)]
            self._P = compile_form(self._as_given(rows), comm, entity_maps)
        self.residual, self.internal = self.create_vector(), self.create_vector()
        self.matrix = fem_petsc.create_matrix(self._J)
        self.preconditioner = self.matrix if self._P is None else fem_petsc.create_matrix(self._P)

    def create_vector(self) -> PETSc.Vec:
        """A vector of all unknowns; collective."""
        return fem_petsc.create_vector([function.function_space for function in self.functions])

    def take(self, x: PETSc.Vec) -> None:
        """Set the unknowns from a vector; collective."""
        x.ghostUpdate(addv=PETSc.InsertMode.INSERT, mode=PETSc.ScatterMode.FORWARD)
        fem_petsc.assign(x, self.functions)

    def give(self, x: PETSc.Vec) -> None:
        """Set a vector from the unknowns."""
        fem_petsc.assign(self.functions, x)

    def assemble_residual(self, snes: PETSc.SNES, x: PETSc.Vec, b: PETSc.Vec) -> None:
        """Residual and internal forces for present fluxes and tangents; collective.

        Lifting uses the tangents where x violates the boundary conditions.
        """
        blocks = {} if self._is_single else {"_blocks": self.residual.getAttr("_blocks")}
        functions = self._as_given(self.functions)
        fem_petsc.assemble_residual(snes, x, b, functions, self._F, self._J, self.bcs, **blocks)
        self.assemble_forces(self.internal)

    def assemble_forces(self, forces: PETSc.Vec) -> None:
        """Residual without boundary conditions, for unknowns, fluxes and rates as they are; collective."""
        with forces.localForm() as local:
            local.set(0.0)
        fem_petsc.assemble_vector(forces, self._F)
        forces.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)

    def assemble_jacobian(self) -> None:
        """Jacobian, and the matrix of the preconditioner where it has one of its own; collective."""
        for matrix, form in ((self.matrix, self._J), (self.preconditioner, self._P)):
            if form is not None:
                matrix.zeroEntries()
                fem_petsc.assemble_matrix(matrix, form, bcs=self.bcs)
                matrix.assemble()

    def _as_given[T](self, entries: Sequence[T]) -> T | Sequence[T]:
        """The only entry of a single unknown, or all of them."""
        return entries[0] if self._is_single else entries

    def _blocks(self, name: str, form: Jacobian, residual: Sequence[ufl.Form]) -> list[list[ufl.Form]]:
        """Rows of a user's J or P."""
        rows = [[form]] if isinstance(form, ufl.Form) else [list(row) for row in form]
        n = len(self.functions)
        if [len(row) for row in rows] != [n] * n:
            raise InputError(f"{name} needs {n} rows of {n} forms, one for each pair of unknowns")
        return [
            [
                ufl.ZeroBaseForm((F.arguments()[0], direction)) if block is None else block
                for block, direction in zip(row, self._directions, strict=True)
            ]
            for row, F in zip(rows, residual, strict=True)
        ]

    def _without_laws(self, residual: Sequence[ufl.Form]) -> list[list[ufl.Form]]:
        """Derivatives of the residual at constant fluxes."""
        pairs = list(zip(self.functions, self._directions, strict=True))
        return [[ufl.derivative(F, unknown, direction) for unknown, direction in pairs] for F in residual]

    def _with_laws(
        self, blocks: list[list[ufl.Form]], residual: Sequence[ufl.Form], laws: Sequence[HomogenizedLaw]
    ) -> list[list[ufl.Form]]:
        """Add what the laws' fluxes contribute."""
        pairs = list(zip(self.functions, self._directions, strict=True))
        return [
            [
                sum((law.derivative(F, unknown, direction) for law in laws), block)
                for block, (unknown, direction) in zip(row, pairs, strict=True)
            ]
            for row, F in zip(blocks, residual, strict=True)
        ]
