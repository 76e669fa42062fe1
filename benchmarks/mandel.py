"""Mandel's problem as FE²: 400 quadrature points with a cell of porous rock, 100 steps, on one core.

    OMP_NUM_THREADS=1 python benchmarks/mandel.py

A plate of porous rock between rigid plates without friction, drained at its side; the upper plate sinks as in
the closed solution would the isotropic one. The cell is linear: one solve in all, and products at each point.
"""

from __future__ import annotations

import time

import fe2  # isort: skip  # before DOLFINx: it orders the libraries that both load

import numpy as np
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI

PIXELS = np.zeros((12, 12), dtype=int)
PIXELS[3:9, 3:9] = 1
WIDTH, COUNT, STEPS, SINKS = 5.0, 50, 100, 1e-3


def plate() -> tuple[fe2.MacroProblem, fem.Constant, fe2.RVE]:
    """The problem, its prescribed settlement, and the cell."""
    rock = fe2.poroelastic(14.4e3, 0.2, 0.79, 12.6e3, 1.9e-7, 1e-9)
    rve = fe2.poroelasticity(
        fe2.image_cell(PIXELS, {"rock": 0, "pore": 1}), {"rock": rock, "pore": fe2.Pore(2.25e3)}
    )
    domain = mesh.create_rectangle(
        MPI.COMM_SELF, [[0.0, 0.0], [WIDTH, 1.0]], [COUNT, 2], mesh.CellType.quadrilateral
    )
    V, W = fem.functionspace(domain, ("Lagrange", 2, (2,))), fem.functionspace(domain, ("Lagrange", 1))
    u, p = fem.Function(V, name="u"), fem.Function(W, name="p")
    v, q = ufl.TestFunction(V), ufl.TestFunction(W)
    law = fe2.HomogenizedLaw(
        {"strain": fe2.strain(u), "pressure": p, "pressure_gradient": ufl.grad(p)}, rve, quadrature_degree=3
    )
    F_u = ufl.dot(law["stress"], fe2.strain(v)) * law.dx
    F_p = (law.rate("fluid_content") * q + ufl.dot(law["seepage"], ufl.grad(q))) * law.dx
    sinks, zero = fem.Constant(domain, 0.0), fem.Constant(domain, 0.0)

    def held(space: fem.FunctionSpace, axis: int, place: float, value: fem.Constant) -> fem.DirichletBC:
        facets = mesh.locate_entities_boundary(domain, 1, lambda x: np.isclose(x[axis], place))
        return fem.dirichletbc(value, fem.locate_dofs_topological(space, 1, facets), space)

    bcs = [
        held(V.sub(0), 0, 0.0, zero),
        held(V.sub(1), 1, 0.0, zero),
        held(V.sub(1), 1, 1.0, sinks),
        held(W, 0, WIDTH, zero),
    ]
    return fe2.MacroProblem([F_u, F_p], [u, p], law, bcs=bcs), sinks, rve


if __name__ == "__main__":
    problem, sinks, rve = plate()
    found = rve.homogenize().properties
    c = found["permeability"][0, 0] / 1e-9
    c /= 1.0 / found["biot_modulus"] + found["biot"][0] ** 2 / found["drained"][0, 0]
    times = np.linspace(0.0, 1.0, STEPS + 1) * WIDTH**2 / c
    steps = fe2.LoadSteps(times, lambda time: np.copyto(sinks.value, -SINKS))
    start = time.perf_counter()
    summary = fe2.Simulation(problem, steps, quiet=True).run()
    seconds = time.perf_counter() - start
    print(f"{summary.points} points, {STEPS} steps, a cell of {rve.unknowns} unknowns: {seconds:.1f} s")
