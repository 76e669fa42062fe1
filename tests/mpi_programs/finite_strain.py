"""A strip of a soft composite with a nearly incompressible phase, compressed and sheared at finite strain."""

from __future__ import annotations

import sys

import fe2  # isort: skip
import numpy as np
import two_scale
import ufl
from dolfinx import fem
from mpi4py import MPI

WORLD = MPI.COMM_WORLD


def main(path: str) -> None:
    cell = two_scale.fibre_cell()
    laws = {"matrix": fe2.NeoHookean(2.994, 0.497), "fibre": fe2.NeoHookean(24.0, 0.2)}
    rve = fe2.finite_strain(
        cell, laws, incompressible=("matrix",), options=fe2.NewtonOptions(tolerance=1e-11)
    )
    space = fem.functionspace(two_scale.distorted(WORLD, (3, 2), (2.0, 1.0)), ("Lagrange", 2, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = fe2.HomogenizedLaw(fe2.displacement_gradient(u), rve, quadrature_degree=2)
    grip = fem.Constant(space.mesh, (0.0, 0.0))
    bcs = [
        fem.dirichletbc(np.zeros(2), two_scale.boundary_dofs(space, 0, 0.0), space),
        fem.dirichletbc(grip, two_scale.boundary_dofs(space, 0, 2.0), space),
    ]
    form = ufl.dot(law.flux, fe2.displacement_gradient(v)) * law.dx
    problem = fe2.MacroProblem(form, u, law, bcs=bcs, petsc_options={"snes_rtol": 1e-10})
    iterations = []
    for displacement in ((-0.1, 0.05), (-0.15, 0.2)):
        grip.value = displacement
        iterations.append(problem.solve())
        problem.commit()
    smallest = law.indicators()["acoustic_determinant"].min(initial=np.inf)
    nodal = two_scale.nodal_values(u)
    determinant = WORLD.allreduce(smallest, op=MPI.MIN)
    if WORLD.rank == 0:
        np.savez(path, iterations=iterations, displacement=nodal, determinant=determinant)


if __name__ == "__main__":
    main(sys.argv[1])
