"""Flow of one fluid through the pores of a cell."""

from __future__ import annotations

from collections.abc import Mapping

from fe2.errors import InputError
from fe2.micro.cell import Cell
from fe2.micro.image_cell import ImageCell
from fe2.micro.newton import NewtonOptions
from fe2.micro.periodicity import node_representatives
from fe2.micro.phases import default_quadrature_degree, element_degree
from fe2.micro.pore_form import PoreForm
from fe2.micro.rve import RVE
from fe2.micro.subcell import flowing_part
from fe2.micro.voxel_memory import VoxelField, check_voxel_memory
from fe2.physics.checks import FINITE, POSITIVE, checked
from fe2.physics.law import PhaseLaw
from fe2.physics.pore_flow import (
    NewtonianFluid,
    Solid,
    pore_flow_kinematics,
    value_pore_flow_kinematics,
    with_pore_space,
)


def pore_flow(
    cell: Cell,
    laws: Mapping[str, PhaseLaw | None],
    *,
    value: bool = False,
    initial_value: float = 0.0,
    boundary: str = "periodic",
    degree: int | None = None,
    quadrature_degree: int | None = None,
    options: NewtonOptions | None = None,
) -> RVE:
    r"""Representative volume element for the flow of a fluid through a pore space.

    The flux is :math:`s = -\langle v\rangle`, the opposite of the seepage velocity, so that the macroscopic
    form is ``dot(law.flux, gradient(q))``; with the value it is ``dot(law.flux, value_and_gradient(q))``,
    where the first component is zero. Slow flow has :math:`s = (k/\mu)\,\nabla p`, and
    ``rve.homogenize().effective`` is the permeability k; with inertia that is k at rest, and the tangent of a
    flowing cell is not symmetric. A gas that slips has k at the ``initial_value`` of the pressure.

    Facets of the pores that are not joined to other pores, directly or through the period, are walls.
    Pores that are not connected with their own periodic images are left out:
    ``rve.homogenize().properties["isolated"]`` says how much that was, and ``["percolates"]`` along which
    axes something flows.

    Args:
        cell: The geometry.
        laws: :class:`NewtonianFluid` for phases that are pore, the same in all of them; phases with
            :class:`Solid`, with None or without a law are grains.
        value: Whether the cell receives the pressure besides its gradient, as a gas that slips needs it.
        initial_value: The pressure in a virgin cell; positive for a gas that slips.
        boundary: "periodic", the only boundary condition of pore flow.
        degree: Degree of the velocity, 2 or more; that of the mesh, but at least 2, by default.
        quadrature_degree: Degree of the quadrature rule, chosen from the element by default.
        options: When the cell counts as solved.

    Raises:
        InputError: Laws and phases do not match, nothing flows in any direction, or an option is not
            admissible.
    """
    degree = max(2, element_degree(cell, None)) if degree is None else degree
    _check(cell, boundary, degree)
    pores, fluid = _fluid(cell, laws)
    _check_value(fluid, value, initial_value)
    if isinstance(cell, ImageCell):
        symmetric = not (fluid.density or fluid.slips)
        field = VoxelField(pores, cell.dim, degree, pressure=True, symmetric=symmetric)
        check_voxel_memory(cell, field, boundary)
    part = flowing_part(cell, pores, through_facets=True)
    kinematics = with_pore_space(
        value_pore_flow_kinematics(cell.dim, initial_value) if value else pore_flow_kinematics(cell.dim),
        viscosity=fluid.viscosity,
        porosity=sum(cell.volume_fractions[name] for name in pores),
        isolated=part.isolated,
        percolates=part.percolates,
    )
    default = default_quadrature_degree(cell, degree)
    if fluid.density:
        default = max(default, 3 * degree - 1)
    quadrature = quadrature_degree or default
    form = PoreForm(part, fluid, kinematics, degree, quadrature, cell.grid).form()
    return RVE(part.cell, form, boundary=boundary, options=options)


def _check(cell: Cell, boundary: str, degree: int) -> None:
    if boundary != "periodic":
        raise InputError(f"boundary = {boundary!r} is not admissible in pore flow; it must be periodic")
    least = max(2, element_degree(cell, None))
    if degree < least:
        raise InputError(f"degree = {degree} is not admissible in pore flow; here it must be {least} or more")
    if degree > 2 and cell.mesh.topology.cell_name() == "hexahedron":
        raise InputError(f"degree = {degree} is not admissible in pore flow on hexahedra; it must be 2")
    if cell.whole and cell.grid is None:  # faces that do not match would count as walls
        node_representatives(cell.mesh.geometry.x, cell.period)


def _check_value(fluid: NewtonianFluid, value: bool, initial_value: float) -> None:
    if fluid.slips and not value:
        raise InputError(
            f"the mean free path {fluid.mean_free_path:g} of the fluid depends on the pressure, but the cell "
            "receives the gradient alone: set value=True"
        )
    checked("pore_flow", "initial_value", initial_value, POSITIVE if fluid.slips else FINITE)


def _fluid(cell: Cell, laws: Mapping[str, PhaseLaw | None]) -> tuple[list[str], NewtonianFluid]:
    """Phases in which a fluid flows, and the fluid."""
    if unknown := [name for name in laws if name not in cell.names]:
        raise InputError(f"a law is given for {unknown[0]!r}, but the cell's phases are {sorted(cell.names)}")
    fluids: dict[str, NewtonianFluid] = {}
    for name in cell.names:
        law = laws.get(name)
        if isinstance(law, NewtonianFluid):
            fluids[name] = law
        elif not (law is None or isinstance(law, Solid)):
            raise InputError(
                f"the law of phase {name!r} is a {type(law).__name__}; in pore flow it is NewtonianFluid or "
                "Solid"
            )
    if not fluids:
        raise InputError("nothing flows in the cell: all of its phases are solid")
    (first, fluid), *others = fluids.items()
    for name, other in others:
        if other != fluid:
            raise InputError(
                f"one fluid fills the pores, but those of the phases {first!r} and {name!r} differ: "
                f"{fluid} and {other}"
            )
    return list(fluids), fluid
