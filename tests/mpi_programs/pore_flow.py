"""A gas with inertia and slip flows through a bed into a well: rank 0 writes the balance."""

from __future__ import annotations

import two_scale  # isort: skip  # before dolfinx

import sys

import numpy as np
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI

from fe2.macro.balance import Balance
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.macro.rate import Rate
from fe2.micro.image_cell import image_cell
from fe2.micro.pore_flow import pore_flow
from fe2.physics.diffusion import value_and_gradient
from fe2.physics.pore_flow import NewtonianFluid

labels = np.zeros((4, 4), dtype=int)
labels[1:3, 1:3] = 1
gas = NewtonianFluid(0.05, density=1.0, mean_free_path=0.02, reference_pressure=1.0)
cell = image_cell(labels, {"pore": 0, "grain": 1}, voxel_size=0.25)
rve = pore_flow(cell, {"pore": gas}, value=True, initial_value=2.0)

mesh = dmesh.create_rectangle(MPI.COMM_WORLD, [[0.0, 0.0], [2.0, 1.0]], [4, 2])
space = fem.functionspace(mesh, ("Lagrange", 1))
p, q = fem.Function(space), ufl.TestFunction(space)
p.x.array[:] = 2.0
law, rate = HomogenizedLaw(value_and_gradient(p), rve, quadrature_degree=1), Rate(p)
dx = ufl.dx(metadata={"quadrature_degree": 2})
well = -0.3 * p * dx
F = 0.2 * rate(p) * q * dx + ufl.dot(law.flux, value_and_gradient(q)) * law.dx + 0.3 * p * q * dx
inlet = fem.dirichletbc(3.0, two_scale.boundary_dofs(space, 0, 0.0), space)
problem = MacroProblem(F, p, law, bcs=[inlet], rate=rate, petsc_options={"snes_rtol": 1e-12})
balance = Balance(problem, {"inlet": inlet, "well": well}, stored=0.2 * rate(p) * dx).columns()
rows = []
for _ in range(2):
    problem.solve(0.5)
    problem.commit()
    square = mesh.comm.allreduce(fem.assemble_scalar(fem.form(p**2 * dx)))
    rows.append([*(column() for column in balance.values()), square])
if mesh.comm.rank == 0:
    np.save(sys.argv[1], rows)
