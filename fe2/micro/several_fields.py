"""A cell problem of several fields: the unknown, the terms of its form, and the modes of all blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import basix.ufl
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem

from fe2.micro.cell import Cell
from fe2.micro.form import CellForm
from fe2.micro.phases import PhaseTerms, default_quadrature_degree, element_degree
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import PhaseLaw
from fe2.subspaces import subspaces


class SeveralFields:
    """The fields of a kinematics as one mixed unknown, each with Lagrange elements of the same degree.

    Attributes:
        fields: The unknown fields by name, as they stand in a form.
        tests: Their test functions.
        terms: Collects the terms of the form; its block is the first one.
        spaces: For each field by name its space, and where its degrees of freedom stand among all.
    """

    def __init__(
        self,
        cell: Cell,
        kinematics: Kinematics,
        *,
        degree: int | None = None,
        quadrature_degree: int | None = None,
    ) -> None:
        """Make the unknown.

        Args:
            cell: The geometry.
            kinematics: Names and shapes of the fields, and the blocks that are made of them.
            degree: Degree of the elements, that of the mesh by default.
            quadrature_degree: Degree of the quadrature rule, chosen from the element by default.
        """
        degree, shape = element_degree(cell, degree), cell.mesh.basix_cell()
        names = list(kinematics.fields)
        elements = [basix.ufl.element("Lagrange", shape, degree, shape=s) for s in kinematics.fields.values()]
        space = fem.functionspace(cell.mesh, basix.ufl.mixed_element(elements))
        unknown, block = fem.Function(space, name="u"), kinematics.blocks[0]
        self.fields = dict(zip(names, ufl.split(unknown), strict=True))
        self.tests = dict(zip(names, ufl.TestFunctions(space), strict=True))
        self.spaces = dict(zip(names, subspaces(space), strict=True))
        self.terms = PhaseTerms(
            cell=cell,
            kinematics=kinematics,
            block=block,
            unknown=unknown,
            gradient=block.local(self.fields[block.field]),
            test_gradient=block.local(self.tests[block.field]),
            quadrature=quadrature_degree or default_quadrature_degree(cell, degree),
        )

    def form(self, laws: Mapping[str, PhaseLaw], fixed: npt.NDArray[np.int64] | None = None) -> CellForm:
        """The form of what the terms collected, with the modes of all blocks that move a field.

        Args:
            laws: The laws by phase.
            fixed: Degrees of freedom whose fluctuation is zero whatever the boundary condition.
        """
        terms = self.terms
        kinematics, size = terms.kinematics, len(terms.unknown.x.array)
        modes = np.zeros((size, kinematics.size))
        for block in kinematics.blocks:
            if block.modes is not None:
                space, dofs = self.spaces[block.field]
                nodes = space.tabulate_dof_coordinates()[:, : kinematics.dim]
                modes[dofs, kinematics.slices[block.name]] = block.modes(nodes).reshape(len(dofs), -1)
        mask = np.zeros(size, dtype=bool)
        if fixed is not None:
            mask[fixed] = True
        return replace(terms.form(modes, mask), laws=laws)
