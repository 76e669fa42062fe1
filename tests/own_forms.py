"""Cell problems written by hand, as a user would: heat conduction, and bundles of elastoplastic rods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import basix.ufl
import numpy as np
import numpy.typing as npt
import ufl
from cells import box_mesh, midpoints
from dolfinx import fem

from fe2.micro.cell import Cell, make_cell
from fe2.micro.cell_solver import CellSolver
from fe2.micro.form import Bound, CellForm, HistoryVariable, MacroValue, PhaseFlux
from fe2.micro.newton import NewtonOptions
from fe2.micro.rve import RVE
from fe2.physics.kinematics import Block, Kinematics, scalar_value

Array = npt.NDArray[np.float64]


def scalar_kinematics(name: str, components: tuple[str, ...], gradient: str, flux: str) -> Kinematics:
    """A scalar field with its gradient; the modes are affine fields."""
    dim = len(components)
    return Kinematics(
        name=name,
        dim=dim,
        fields={"field": ()},
        blocks=(
            Block(
                name=gradient,
                dual=flux,
                components=components,
                field="field",
                operator=ufl.grad,
                modes=lambda x: x[:, None, :],
            ),
        ),
    )


def conduction(
    cell: Cell,
    conductivity: Mapping[str, npt.ArrayLike],
    *,
    boundary: str = "periodic",
    degree: int = 1,
    quadrature_degree: int = 2,
    own_jacobian: bool = False,
) -> RVE:
    r"""Heat conduction :math:`\int_Y k \nabla T \cdot \nabla v\,dx`, k a number or matrix for each phase."""
    mesh = cell.mesh
    space = fem.functionspace(mesh, ("Lagrange", degree))
    temperature, v = fem.Function(space), ufl.TestFunction(space)
    dx = ufl.Measure(
        "dx", mesh, subdomain_data=cell.phases, metadata={"quadrature_degree": quadrature_degree}
    )
    tensors = {
        name: np.asarray(k) * np.eye(cell.dim) if np.ndim(k) == 0 else k for name, k in conductivity.items()
    }
    constants = [fem.Constant(mesh, np.array(tensors[name], dtype=np.float64)) for name in cell.names]

    def work(field: fem.Function | ufl.Argument) -> ufl.Form:
        terms = [ufl.dot(k * ufl.grad(field), ufl.grad(v)) * dx(i) for i, k in enumerate(constants)]
        return sum(terms[1:], terms[0])

    form = CellForm(
        kinematics=scalar_kinematics(
            "conduction", ("x", "y", "z")[: cell.dim], "temperature_gradient", "heat_flux"
        ),
        unknown=temperature,
        residual=work(temperature),
        modes=space.tabulate_dof_coordinates()[:, : cell.dim],
        dt=fem.Constant(mesh, 0.0),
        jacobian=work(ufl.TrialFunction(space)) if own_jacobian else None,
        fluxes=tuple(
            PhaseFlux(name, cell.cells_of(name), ufl.grad(temperature), k * ufl.grad(temperature), k)
            for name, k in zip(cell.names, constants, strict=True)
        ),
        symmetric=all(np.array_equal(k, np.transpose(k)) for k in tensors.values()),
        quadrature_degree=quadrature_degree,
    )
    return RVE(cell, form, boundary=boundary)


def floating_strips(shape: str) -> RVE:
    """Strips that conduct, between layers of one element that do not: all but the pinned one float."""
    mesh = box_mesh(shape, [8, 8])
    layers = np.floor(8 * midpoints(mesh)[:, 1]).astype(int)
    cell = make_cell(mesh, np.isin(layers, (3, 7)).astype(np.int32), ["strip", "gap"])
    return conduction(cell, {"strip": [[1 / 3, 0.1], [0.1, 0.7]], "gap": 0.0})


RODS = {"a": (200e3, 400.0, 2e3), "b": (70e3, 100.0, 7e3)}
"""Young's modulus, yield stress and hardening modulus of each phase, in MPa."""


def rods(cell: Cell) -> RVE:
    r"""Rods along x, bonded to each other, that move along x only (shear lag).

    .. math:: \int_Y \sigma(\partial_x u)\,\partial_x v + G\,\partial_y u\,\partial_y v\,dx, \qquad
        \sigma = E (\varepsilon - \varepsilon_p), \quad |\sigma| \le \sigma_y + H p

    The material is a field of its own, and the rods' history has names and updates of its own.
    """
    mesh, degree, everywhere = cell.mesh, 2, np.arange(len(cell.phases.values), dtype=np.int32)
    space = fem.functionspace(mesh, ("Lagrange", 1))
    u, v = fem.Function(space), ufl.TestFunction(space)
    young, yield_stress, hardening = (
        _by_phase(cell, [RODS[name][k] for name in cell.names]) for k in range(3)
    )
    element = basix.ufl.quadrature_element(mesh.basix_cell(), degree=degree, scheme="default")
    plastic, accumulated = (fem.Function(fem.functionspace(mesh, element)) for _ in range(2))

    gradient = ufl.variable(ufl.grad(u))
    strain, shear = gradient[0], gradient[1]
    trial = young * (strain - plastic)
    overstress = abs(trial) - yield_stress - hardening * accumulated
    flow = ufl.max_value(overstress, 0.0) / (young + hardening)
    new_plastic = plastic + flow * ufl.sign(trial)
    flux = ufl.as_vector([young * (strain - new_plastic), 0.4 * young * shear])
    dx = ufl.Measure("dx", mesh, metadata={"quadrature_degree": degree, "quadrature_rule": "default"})
    form = CellForm(
        kinematics=scalar_kinematics("rods", ("axial", "shear"), "strain", "stress"),
        unknown=u,
        residual=ufl.dot(flux, ufl.grad(v)) * dx,
        modes=space.tabulate_dof_coordinates()[:, :2],
        dt=fem.Constant(mesh, 0.0),
        history=(
            HistoryVariable("plastic", "rods", plastic, everywhere, new_plastic),
            HistoryVariable("accumulated", "rods", accumulated, everywhere, accumulated + flow),
        ),
        fluxes=(PhaseFlux("rods", everywhere, ufl.grad(u), flux, ufl.diff(flux, gradient)),),
        symmetric=True,
        quadrature_degree=degree,
    )
    return RVE(cell, form, options=NewtonOptions(tolerance=1e-12))


def heated_rods(
    cell: Cell,
    stress: float = 1.0,
    temperature: float = 1.0,
    *,
    coupling: float = 0.0,
    drift: float = 0.0,
    options: NewtonOptions | None = None,
) -> RVE:
    r"""Rods that conduct heat, in units of so many MPa and K: displacement and temperature in one unknown.

    .. math:: \int_Y \sigma\,\partial_x v + G\,\partial_y u\,\partial_y v
        + k\,(1 + |\nabla T|^2/T_0'^2)\,\nabla T\cdot\nabla q\,dx, \qquad
        \sigma = E (\varepsilon - \varepsilon_p - \alpha\,\partial_x T)

    Without the coupling :math:`\alpha`, in 1/K of a gradient, each field is what it would be by itself. The
    drift adds :math:`k c\,\varepsilon^2` to the heat flux along the rods, no force in the virgin cell.
    :math:`T_0' = 10^5` K.
    """
    mesh, degree, everywhere = cell.mesh, 2, np.arange(len(cell.phases.values), dtype=np.int32)
    line = basix.ufl.element("Lagrange", mesh.basix_cell(), 1)
    space = fem.functionspace(mesh, basix.ufl.mixed_element([line, line]))
    unknown = fem.Function(space)
    (u, t), (v, q) = ufl.split(unknown), ufl.TestFunctions(space)
    young, yield_stress, hardening = (
        _by_phase(cell, [RODS[name][k] / stress for name in cell.names]) for k in range(3)
    )
    conductivity = _by_phase(
        cell, [20.0 * temperature if name == "a" else temperature for name in cell.names]
    )
    element = basix.ufl.quadrature_element(mesh.basix_cell(), degree=degree, scheme="default")
    plastic, accumulated = (fem.Function(fem.functionspace(mesh, element)) for _ in range(2))

    heat = ufl.grad(t)
    strain = ufl.grad(u)[0] - coupling * temperature * heat[0]
    trial = young * (strain - plastic)
    flow = ufl.max_value(abs(trial) - yield_stress - hardening * accumulated, 0.0) / (young + hardening)
    new_plastic = plastic + flow * ufl.sign(trial)
    flux = ufl.as_vector([young * (strain - new_plastic), 0.4 * young * ufl.grad(u)[1]])
    heat_flux = conductivity * (1.0 + ufl.inner(heat, heat) * (temperature / 1e5) ** 2) * heat
    heat_flux += conductivity * ufl.as_vector([drift / temperature * ufl.grad(u)[0] ** 2, 0.0])
    dx = ufl.Measure("dx", mesh, metadata={"quadrature_degree": degree, "quadrature_rule": "default"})
    modes = np.zeros((len(unknown.x.array), 4))
    for field, columns in ((0, slice(0, 2)), (1, slice(2, 4))):
        nodes, dofs = space.sub(field).collapse()
        modes[np.asarray(dofs).reshape(-1), columns] = nodes.tabulate_dof_coordinates()[:, :2]
    form = CellForm(
        kinematics=replace(
            scalar_kinematics("heated rods", ("axial", "shear", "x", "y"), "gradient", "flux"), dim=2
        ),
        unknown=unknown,
        residual=(ufl.dot(flux, ufl.grad(v)) + ufl.dot(heat_flux, ufl.grad(q))) * dx,
        modes=modes,
        dt=fem.Constant(mesh, 0.0),
        history=(
            HistoryVariable("plastic", "rods", plastic, everywhere, new_plastic),
            HistoryVariable("accumulated", "rods", accumulated, everywhere, accumulated + flow),
        ),
        symmetric=coupling == drift == 0.0,
        quadrature_degree=degree,
    )
    return RVE(cell, form, options=options)


def _by_phase(cell: Cell, values: list[float]) -> fem.Function:
    function = fem.Function(fem.functionspace(cell.mesh, ("DG", 0)))
    function.x.array[:] = np.array(values)[cell.phases.values]
    return function


def membrane(
    cell: Cell,
    *bounds: Bound,
    conductivity: float = 1.0,
    solver: CellSolver | None = None,
    options: NewtonOptions | None = None,
) -> RVE:
    r"""A membrane across a cell, held at its two faces across x and pressed down by a macroscopic load c.

    .. math:: \int_Y k\,\nabla u\cdot\nabla v + c\,v\,dx = 0, \qquad \bar q = \frac1{|Y|}\int_Y u\,dx.
    """
    space = fem.functionspace(cell.mesh, ("Lagrange", 1))
    u, v = fem.Function(space), ufl.TestFunction(space)
    load, dt = (fem.Constant(cell.mesh, 0.0) for _ in range(2))
    x = space.tabulate_dof_coordinates()[:, 0]
    form = CellForm(
        kinematics=Kinematics(
            name="membrane",
            dim=2,
            fields={"deflection": ()},
            blocks=(scalar_value("load", "mean deflection", "deflection"),),
        ),
        unknown=u,
        residual=(conductivity * ufl.dot(ufl.grad(u), ufl.grad(v)) + load * v) * ufl.dx,
        modes=np.zeros((len(x), 1)),
        dt=dt,
        values=(MacroValue(0, load, u * ufl.dx),),
        fixed=np.isclose(x, x.min()) | np.isclose(x, x.max()),
        symmetric=True,
        bounds=bounds,
        solver=solver,
    )
    return RVE(cell, form, options=options)
