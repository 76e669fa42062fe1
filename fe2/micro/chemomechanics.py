"""Chemo-mechanics in a cell: each point holds what its strain and its chemical potential let in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import ufl
from ufl.core.expr import Expr

from fe2.micro.boundary import BoundaryCondition
from fe2.micro.cell import Cell
from fe2.micro.displacement_scalar import displacement_scalar_rve
from fe2.micro.newton import NewtonOptions
from fe2.micro.phases import PhaseTerms
from fe2.micro.rve import RVE
from fe2.physics.checks import FINITE, checked
from fe2.physics.chemomechanics import Chemoelastic, chemomechanical_kinematics
from fe2.physics.law import PhaseLaw


def chemomechanics(
    cell: Cell,
    laws: Mapping[str, PhaseLaw],
    *,
    reference_potential: float = 0.0,
    boundary: str | BoundaryCondition = "periodic",
    degree: int | None = None,
    quadrature_degree: int | None = None,
    options: NewtonOptions | None = None,
) -> RVE:
    r"""Representative volume element that deforms, swells, holds and conducts a solute.

    With the chemical potential :math:`\mu` of the macroscopic point, uniform in the cell, and the
    concentration :math:`c(\varepsilon, \mu)` that is in equilibrium with it at each point,

    .. math::

        \int_Y \sigma(\varepsilon(u), \mu) : \varepsilon(v)\,\mathrm{d}x = 0, \qquad
        \int_Y \frac{D c}{R T}\,\nabla\mu\cdot\nabla q\,\mathrm{d}x = 0, \qquad
        \bar c = \frac{1}{|Y|}\int_Y c(\varepsilon(u), \mu)\,\mathrm{d}x.

    The solute flux is the opposite of the physical one, as in :func:`~fe2.diffusion`.

    Args:
        cell: The geometry.
        laws: A :class:`~fe2.Chemoelastic` or a :class:`~fe2.Void` for each phase, by name.
        reference_potential: Chemical potential μ₀ of a virgin cell: all phases hold their reference
            concentrations at it, free of stress.
        boundary: "periodic", "linear" or "uniform_flux", for both fields, or a BoundaryCondition.
        degree: Degree of the Lagrange elements of both fields, that of the mesh by default.
        quadrature_degree: Degree of the quadrature rule, chosen from the element by default.
        options: When the cell counts as solved.

    Raises:
        InputError: Laws and phases do not match, or an option is not admissible.
    """
    checked("chemomechanics", "reference_potential", reference_potential, FINITE)
    return displacement_scalar_rve(
        cell,
        chemomechanical_kinematics(cell.dim, reference_potential),
        laws,
        Chemoelastic,
        partial(_add_phase, reference=reference_potential),
        boundary=boundary,
        degree=degree,
        quadrature_degree=quadrature_degree,
        options=options,
    )


def _add_phase(
    terms: PhaseTerms, phase: str, law: PhaseLaw, potential: Expr, gradient: Expr, reference: float
) -> tuple[Expr, Expr]:
    """Add the work of the stress of a phase; its concentration and solute flux."""
    size = terms.block.local_size
    seen = [*(terms.gradient[i] for i in range(size)), potential - terms.constant(reference)]
    answer, tangent = terms.evaluated(phase, law, ufl.as_vector(seen))
    stress = ufl.as_vector([answer[i] for i in range(size)])
    stiffness = ufl.as_matrix([[tangent[i, j] for j in range(size)] for i in range(size)])
    terms.add_work(phase, ufl.dot(stress, terms.test_gradient), stress, stiffness)
    return answer[size], terms.with_parameters(phase, law).conducted(answer[size], gradient)
