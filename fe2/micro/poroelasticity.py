r"""Poroelasticity in a cell: displacement and pressure, with the macroscopic pressure a parameter.

The cell is small against the distance over which the pressure evens out in a time step: all phases and all
pores have the macroscopic pressure, and seepage is the steady one of its gradient.

**Pores without elements.** Where the pores of the cell are holes, a fluid of the pressure p presses on their
walls with :math:`-p\,n`, n the normal out of the solid :math:`Y_s`. By the divergence theorem the work of
that, for all fluctuations v that a boundary condition admits, is

.. math:: -\int_\text{walls} p\,n\cdot v\,\mathrm{d}s = -\int_{Y_s} p\,\nabla\cdot v\,\mathrm{d}x,

also where pores cross the faces of the cell. With the porosity φ = 1 - |Y_s|/|Y| the means over the whole
cell are then

.. math::

    \bar\sigma = \frac{1}{|Y|}\int_{Y_s} (\sigma + p\,1)\,\mathrm{d}x - p\,1, \qquad
    \bar\zeta = \operatorname{tr}\bar\varepsilon + \frac{\varphi\,p}{K_f}
        + \frac{1}{|Y|}\int_{Y_s} (\zeta - \nabla\cdot u)\,\mathrm{d}x:

the solids have b - 1 in the place of b, and what stands outside of the integrals is `CellForm.direct`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import ufl
from ufl.core.expr import Expr

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.micro.boundary import BoundaryCondition
from fe2.micro.cell import Cell
from fe2.micro.cell_law import finer_cell
from fe2.micro.displacement_scalar import Filling, displacement_scalar_rve, law_of
from fe2.micro.newton import NewtonOptions
from fe2.micro.phases import PhaseTerms
from fe2.micro.rve import RVE
from fe2.physics.checks import POSITIVE, checked
from fe2.physics.conduction import conducted_by
from fe2.physics.elasticity import LinearElastic
from fe2.physics.law import PhaseLaw
from fe2.physics.material_field import MaterialField
from fe2.physics.poroelastic_properties import characterize
from fe2.physics.poroelasticity import (
    PRESSURE,
    Pore,
    Poroelastic,
    biot_in_mandel,
    poroelastic_kinematics,
)
from fe2.physics.symmetric_tensor import tensor_times, volume_change
from fe2.physics.void import Void
from fe2.tensors import component_indices, positions_in_full


def poroelasticity(
    cell: Cell,
    laws: Mapping[str, PhaseLaw],
    *,
    fluid_modulus: float | None = None,
    boundary: str | BoundaryCondition = "periodic",
    degree: int | None = None,
    quadrature_degree: int | None = None,
    options: NewtonOptions | None = None,
) -> RVE:
    r"""Representative volume element that deforms, and stores and conducts a fluid in its pores.

    With the pressure p of the macroscopic point, uniform in the cell,

    .. math::

        \int_Y \sigma(\varepsilon(u), p) : \varepsilon(v)\,\mathrm{d}x = 0, \qquad
        \int_Y \frac{k}{\mu}\,\nabla P\cdot\nabla q\,\mathrm{d}x = 0, \qquad
        \bar\zeta = \frac{1}{|Y|}\int_Y \zeta(\varepsilon(u), p)\,\mathrm{d}x.

    The seepage is the opposite of the physical one, as the flux in :func:`~fe2.diffusion`.

    Args:
        cell: The geometry.
        laws: For each phase, by name, a :class:`~fe2.Poroelastic`; a :class:`~fe2.Pore`, a hole full of
            fluid; or a :class:`~fe2.Void`, an empty one, drained: nothing presses on its walls.
        fluid_modulus: Bulk modulus of a fluid that fills what the mesh leaves out; it is empty where None.
        boundary: "periodic", "linear" or "uniform_flux", for both fields, or a BoundaryCondition.
        degree: Degree of the Lagrange elements of displacement and pressure, that of the mesh by default.
        quadrature_degree: Degree of the quadrature rule, chosen from the element by default.
        options: When the cell counts as solved.

    Raises:
        InputError: Laws and phases do not match, some holes are empty and others full, or an option is not
            admissible.
    """
    pores = _pores(cell, laws, fluid_modulus)
    solids = [law for law in laws.values() if not isinstance(law, Void)]
    kinematics = replace(
        poroelastic_kinematics(cell.dim),
        characterize=partial(
            characterize,
            dim=cell.dim,
            viscosity=_common_viscosity([*solids, *(law for law, _ in pores)]),
            pores_conduct=any(np.any(law.permeability) for law, _ in pores),
        ),
    )
    return displacement_scalar_rve(
        cell,
        kinematics,
        laws,
        Poroelastic,
        _add_phase,
        filling=Filling(_press, partial(_direct, cell, laws, pores)) if pores else None,
        boundary=boundary,
        degree=degree,
        quadrature_degree=quadrature_degree,
        options=options,
    )


def _pores(cell: Cell, laws: Mapping[str, PhaseLaw], fluid_modulus: float | None) -> list[tuple[Pore, float]]:
    """The holes that are full of fluid, and their shares of the cell.

    Raises:
        InputError: Some holes are empty and others full, or the modulus is not admissible.
    """
    shares = cell.volume_fractions
    found = [(law, shares[n]) for n, law in laws.items() if isinstance(law, Pore) and n in shares]
    left_out = max(1.0 - sum(shares.values()), 0.0)
    if fluid_modulus is not None:
        checked("poroelasticity", "fluid_modulus", fluid_modulus, POSITIVE)
        found.append((Pore(fluid_modulus), left_out))
    empty = [name for name, law in laws.items() if isinstance(law, Void) and not isinstance(law, Pore)]
    if fluid_modulus is None and left_out > _NOTHING:
        empty.append("what the mesh leaves out")
    if found and empty:
        full = [name for name, law in laws.items() if isinstance(law, Pore)] or ["what the mesh leaves out"]
        raise InputError(
            f"some holes of the cell are full of fluid ({', '.join(full)}) and others are empty "
            f'({", ".join(empty)}); all have to be full, by law = "pore", and by fluid_modulus of the cell '
            "for what the mesh leaves out, or all empty"
        )
    return found


_NOTHING = 1e-9
"""Share of a cell that is round-off."""


def _common_viscosity(laws: list[PhaseLaw]) -> float | None:
    """The viscosity of the fluid, where all that conducts has the same, as far as it is known."""
    if any(finer_cell(law) is not None for law in laws):
        return None
    found = {
        material.viscosity
        for law in laws
        for material in law.materials
        if (isinstance(material, Poroelastic) and not material.insulates)
        or (isinstance(material, Pore) and np.any(material.permeability))
    }
    return found.pop() if len(found) == 1 else None


def _add_phase(
    terms: PhaseTerms, phase: str, law: PhaseLaw, pressure: Expr, gradient: Expr
) -> tuple[Expr, Expr]:
    """Add the work of the stress of a phase; its fluid content and seepage."""
    kind: Any = law_of(law)
    symbolic, strain, size = terms.with_parameters(phase, law), terms.gradient, terms.block.local_size
    of_phase = (
        law.map(lambda material: material.mechanics) if isinstance(law, MaterialField) else kind.mechanics
    )
    drained, tangent = terms.evaluated(phase, of_phase, strain)
    stress = drained - tensor_times(symbolic.biot, pressure, size)
    terms.add_work(phase, ufl.dot(stress, terms.test_gradient), stress, tangent)
    content = ufl.dot(tensor_times(symbolic.biot, ufl.as_ufl(1.0), size), strain)
    content += pressure / symbolic.biot_modulus
    if not callable(kind.permeability):
        return content, conducted_by(symbolic.permeability, gradient, "permeability") / symbolic.viscosity
    k = ufl.as_ufl(kind.permeability(volume_change(strain), pressure))
    if not k.ufl_shape:
        terms.demand(phase, {"permeability": k})
    return content, conducted_by(k, gradient, "permeability") / symbolic.viscosity


def _press(terms: PhaseTerms, phase: str) -> None:
    """The pressure on the walls of holes, as work in a phase around them, and the room that they make."""
    terms.add_load(phase, terms.values[PRESSURE] * volume_change(terms.test_gradient))
    terms.store(phase, PRESSURE, -volume_change(terms.gradient))


def _direct(cell: Cell, laws: Mapping[str, PhaseLaw], pores: list[tuple[Pore, float]], part: Cell) -> Array:
    """What the fluid in holes answers without any element; see the top of this module.

    Args:
        cell: The whole cell.
        laws: The laws by phase.
        pores: The pores and their shares.
        part: What of the cell carries a load: grains that float in the fluid do not.
    """
    dim = cell.dim
    size = dim * (dim + 1) // 2
    unit = np.array([float(i == j) for i, j in component_indices(size)])
    direct = np.zeros((size + 1 + dim, size + 1 + dim))
    direct[:size, size], direct[size, :size] = -unit, unit
    for law, share in pores:
        direct[size, size] += share / law.fluid_modulus
        direct[size + 1 :, size + 1 :] += law.mobility(dim)
    for name, share in cell.volume_fractions.items():
        if not isinstance(laws[name], Void):
            floating = share - part.volume_fractions.get(name, 0.0)
            if floating > _NOTHING:
                direct[size, size] += floating * _compressibility(laws[name], dim)
    return direct


def _compressibility(law: PhaseLaw, dim: int) -> float:
    r"""Fluid that a unit of volume of a floating grain makes room for and stores, by pressure.

    :math:`(1 - b) : C^{-1} : (1 - b) + 1/M`: it is pressed by p from all sides. The mean of several
    materials; grains that are not elastic are taken to be rigid.
    """
    found, rows = [], positions_in_full(dim * (dim + 1) // 2)
    for material in law.materials:
        if not isinstance(material, Poroelastic):
            return 0.0
        room = 0.0
        if isinstance(material.mechanics, LinearElastic):
            rest = (biot_in_mandel(1.0) - biot_in_mandel(material.biot))[list(rows)]
            room = float(rest @ np.linalg.solve(material.mechanics.stiffness[np.ix_(rows, rows)], rest))
        found.append(room + 1.0 / material.biot_modulus)
    return float(np.mean(found))
