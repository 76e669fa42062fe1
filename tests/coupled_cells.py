"""A strip of cells of each coupled physics: stretched into flow, insulated or sealed, and supplied.

coupled_cells.py PHYSICS SCHEME FOLDER STEPS takes it so many steps, from where it stands in a folder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import fe2  # isort: skip  # before dolfinx, also where there is no conftest

import two_scale
import ufl
from dolfinx import fem
from mpi4py import MPI

from fe2.io.checkpoint_schedule import Checkpoints
from fe2.io.results import Results
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.macro.rate import Scheme
from fe2.micro.model import MicroModel
from fe2.micro.newton import NewtonOptions
from fe2.micro.rve import RVE
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

LENGTH, STRETCH = 2.0, 8e-3
PLAN = (0.0, 0.1, 0.25, 0.4, 0.6)
TIGHT = NewtonOptions(tolerance=1e-11)


def plastic_heating() -> RVE:
    """A metal whose flow heats it, with fibres; K is 50 W/(m K), heat evens out in a time of 0.3."""
    metal = fe2.thermoplastic(200e3, 0.3, 300.0, 12e-6, 50.0, 3.6, hardening=1e3, taylor_quinney=0.9)
    fibre = fe2.thermoelastic(380e3, 0.22, 8e-6, 30.0, 3.2)
    return fe2.thermoelasticity(two_scale.fibre_cell(), {"matrix": metal, "fibre": fibre}, options=TIGHT)


def plastic_pores() -> RVE:
    """A mud that flows, around holes full of water; a permeability of 1e-6 mm² and water of 1 MPa s."""
    mud = fe2.Poroelastic(fe2.J2Plasticity(2.4e3, 0.15, 4.0, 30.0), 4e-5, 1.0, 0.95, 9e3)
    return fe2.poroelasticity(
        two_scale.fibre_cell(), {"matrix": mud, "fibre": fe2.Pore(2.25e3)}, options=TIGHT
    )


def swelling() -> RVE:
    """Particles that a dilute solution swells, in units in which RT = 2.5."""
    given = {"temperature": 300.0, "gas_constant": 2.5 / 300.0}
    particle = fe2.Chemoelastic(15.0, 0.3, 0.4, 0.04, reference_concentration=1.0, **given)
    binder = fe2.Chemoelastic(2.0, 0.35, 0.4, 0.01, reference_concentration=1.0, **given)
    return fe2.chemomechanics(two_scale.fibre_cell(), {"matrix": binder, "fibre": particle}, options=TIGHT)


CELLS: dict[str, tuple[Callable[[], RVE], float]] = {
    "plastic heating": (plastic_heating, 240.0),
    "plastic pores": (plastic_pores, 4e-3),
    "swelling": (swelling, 0.3),
}
"""Cells, and what is supplied to a unit of volume in a unit of time, times the time."""


def strip(
    comm: MPI.Comm,
    micro: MicroModel,
    supply: float,
    folder: Path,
    *,
    scheme: Scheme,
    steps: int,
    uneven: float,
) -> Simulation:
    """The run of a strip on rollers; in uneven ones one end is supplied more than the other."""
    strain, value, gradient = micro.kinematics.blocks
    mesh = two_scale.distorted(comm, (2, 1), (LENGTH, 1.0))
    V, W = fem.functionspace(mesh, ("Lagrange", 1, (2,))), fem.functionspace(mesh, ("Lagrange", 1))
    u, p = fem.Function(V, name="u"), fem.Function(W, name="p")
    v, q = ufl.TestFunction(V), ufl.TestFunction(W)
    p.x.array[:] = 0.0 if value.initial is None else value.initial[0]
    law = HomogenizedLaw({strain.name: fe2.strain(u), value.name: p, gradient.name: ufl.grad(p)}, micro)
    source, stretch = fem.Constant(mesh, 0.0), fem.Constant(mesh, 0.0)
    spread = 1.0 + uneven * (2.0 * ufl.SpatialCoordinate(mesh)[0] / LENGTH - 1.0)
    F_u = ufl.dot(law[strain.dual], fe2.strain(v)) * law.dx
    F_p = (value.balance * law.rate(value.dual) - spread * source) * q * law.dx
    F_p += ufl.dot(law[gradient.dual], ufl.grad(q)) * law.dx
    zero = fem.Constant(mesh, 0.0)
    places = [(0, 0.0, zero), (1, 0.0, zero), (1, 1.0, zero), (0, LENGTH, stretch)]
    bcs = [
        fem.dirichletbc(held, two_scale.boundary_dofs(V, axis, at, axis), V.sub(axis))
        for axis, at, held in places
    ]
    problem = MacroProblem(
        [F_u, F_p], [u, p], law, bcs=bcs, scheme=scheme, petsc_options={"snes_rtol": 1e-11}
    )

    problem.initialize()

    def load(time: float) -> None:
        source.value, stretch.value = supply * time, STRETCH * LENGTH * time / PLAN[-1]

    return Simulation(
        problem,
        LoadSteps(PLAN[: steps + 1], load),
        output=Results(folder, watch=[(0.1, 0.1), (LENGTH, 1.0)]),
        reactions={"right": bcs[-1]},
        checkpoint=Checkpoints(every=1),
        resume=True,
        quiet=True,
    )


if __name__ == "__main__":
    physics, chosen, folder, steps = sys.argv[1:]
    cell, supply = CELLS[physics]
    strip(MPI.COMM_WORLD, cell(), supply, Path(folder), scheme=chosen, steps=int(steps), uneven=0.8).run()
