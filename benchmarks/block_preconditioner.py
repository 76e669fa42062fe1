"""Iterations of the block preconditioner for a consolidating block: they must hardly grow with the mesh.

A cube of a saturated porous material is loaded on its top, through which the water leaves: displacement and
pressure, linear hexahedra. Prints unknowns, iterations of the linear solver and seconds of one step.

    mpiexec -n 2 python benchmarks/block_preconditioner.py --divisions 10 20 30
"""

from __future__ import annotations

import argparse
import time

import fe2  # isort: skip  # before dolfinx

import numpy as np
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI

from fe2.physics.diffusion import slope
from fe2.physics.kinematics import Kinematics
from fe2.physics.small_strain import small_strain_kinematics
from fe2.stiffness import isotropic_stiffness

YOUNG, POISSON, BIOT, MODULUS, MOBILITY = 1e9, 0.2, 0.9, 1e10, 1e-13  # Pa, Pa, m²/(Pa s)


def porous() -> fe2.LinearModel:
    r"""Stress :math:`C\varepsilon - b p`, content :math:`b\,\mathrm{tr}\,\varepsilon + p/M`, flow k ∇p."""
    (strain,) = small_strain_kinematics(3).blocks
    pressure = fe2.scalar_value("pressure", "content", "pressure")
    blocks = strain, pressure, slope("slope", "flow", "pressure", 3)
    kinematics = Kinematics(
        name="poroelasticity", dim=3, fields={"displacement": (3,), "pressure": ()}, blocks=blocks
    )
    tangent = np.zeros((10, 10))
    tangent[:6, :6] = isotropic_stiffness(YOUNG, POISSON, 6)
    tangent[:3, 6], tangent[6, :3], tangent[6, 6] = -BIOT, BIOT, 1.0 / MODULUS
    tangent[7:, 7:] = MOBILITY * np.eye(3)
    return fe2.LinearModel(kinematics, tangent)


def consolidation(divisions: int, **options: object) -> fe2.MacroProblem:
    """A cube of 1 m under 1 MPa, of so many elements along each edge."""
    mesh = dmesh.create_unit_cube(MPI.COMM_WORLD, *[divisions] * 3, dmesh.CellType.hexahedron)
    V, W = fem.functionspace(mesh, ("Lagrange", 1, (3,))), fem.functionspace(mesh, ("Lagrange", 1))
    u, p = fem.Function(V, name="u"), fem.Function(W, name="p")
    v, q = ufl.TestFunction(V), ufl.TestFunction(W)
    law = fe2.HomogenizedLaw({"strain": fe2.strain(u), "pressure": p, "slope": ufl.grad(p)}, porous())
    top = dmesh.locate_entities_boundary(mesh, 2, lambda x: np.isclose(x[2], 1.0))
    tags = dmesh.meshtags(mesh, 2, np.sort(top), np.ones(len(top), dtype=np.int32))
    ds = ufl.Measure("ds", domain=mesh, subdomain_data=tags)(1)
    F_u = ufl.dot(law["stress"], fe2.strain(v)) * law.dx + 1e6 * v[2] * ds
    F_p = (law.rate("content") * q + ufl.dot(law["flow"], ufl.grad(q))) * law.dx
    bottom = fem.locate_dofs_geometrical(V, lambda x: np.isclose(x[2], 0.0))
    drained = fem.locate_dofs_geometrical(W, lambda x: np.isclose(x[2], 1.0))
    bcs = [fem.dirichletbc(np.zeros(3), bottom, V), fem.dirichletbc(0.0, drained, W)]
    return fe2.MacroProblem([F_u, F_p], [u, p], law, bcs=bcs, **options)


def measure(divisions: int, dt: float) -> None:
    """Print what one step takes."""
    problem = consolidation(divisions, preconditioner="blocks")
    start = time.perf_counter()
    with problem.step(dt):
        newton = problem.solve()
    seconds = problem.comm.allreduce(time.perf_counter() - start, MPI.MAX)
    iterations = problem.snes.getLinearSolveIterations()
    if problem.comm.rank == 0:
        counts = f"{newton} iterations of Newton, {iterations} of the linear solver"
        print(f"{problem.unknowns:7d} unknowns: {counts}, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--divisions", type=int, nargs="*", default=[10, 20, 30])
    parser.add_argument("--dt", type=float, default=1.0, help="length of the step, in s")
    arguments = parser.parse_args()
    for divisions in arguments.divisions:
        measure(divisions, arguments.dt)
