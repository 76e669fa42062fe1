"""fe2: concurrent and hierarchical FE² on FEniCSx.

A macroscopic DOLFINx problem whose material law is another finite element problem: at every
quadrature point a representative volume element receives the macroscopic gradient and answers
with its volume-averaged flux and its consistent tangent. The workflow in twenty lines::

    import fe2
    import numpy as np
    import ufl
    from dolfinx import fem, mesh
    from mpi4py import MPI

    cell = fe2.image_cell(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]]), {"matrix": 0, "fibre": 1})
    matrix = fe2.J2Plasticity(young=70e3, poisson=0.3, yield_stress=100.0, hardening=700.0)
    fibre = fe2.LinearElastic.isotropic(young=400e3, poisson=0.2)
    rve = fe2.small_strain(cell, {"matrix": matrix, "fibre": fibre})

    domain = mesh.create_rectangle(MPI.COMM_WORLD, [[0.0, 0.0], [2.0, 1.0]], [4, 2])
    V = fem.functionspace(domain, ("Lagrange", 2, (2,)))
    u, v = fem.Function(V, name="u"), ufl.TestFunction(V)
    law = fe2.HomogenizedLaw(fe2.strain(u), rve, quadrature_degree=2)
    F = ufl.dot(law.flux, fe2.strain(v)) * law.dx

    pull = fem.Constant(domain, (0.0, 0.0))
    left, right = (fem.locate_dofs_geometrical(V, lambda x, a=a: np.isclose(x[0], a)) for a in (0, 2))
    clamp = fem.dirichletbc(np.zeros(2), left, V)
    grip = fem.dirichletbc(pull, right, V)
    problem = fe2.MacroProblem(F, u, law, bcs=[clamp, grip])

    steps = fe2.LoadSteps(np.linspace(0.0, 1.0, 5), lambda t: np.put(pull.value, 0, 0.02 * t))
    simulation = fe2.Simulation(problem, steps, output="results", overwrite=True)
    summary = simulation.run()

Replace `rve` by `rve.linearized()` and the same script is a hierarchical computation.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from fe2 import _import_order

if TYPE_CHECKING:
    from fe2.public import *  # noqa: F403

__version__ = "0.1.0"

_import_order.install()


def __getattr__(name: str) -> Any:
    """Load all public names at the first use of one: the command line's help does without DOLFINx."""
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module 'fe2' has no attribute {name!r}")
    public = vars(importlib.import_module("fe2.public"))
    names = sorted(found for found in public if not found.startswith("_"))
    everything = vars(sys.modules[__name__])
    everything |= {"__all__": names, **{found: public[found] for found in names}}
    if name not in everything:
        raise AttributeError(f"module 'fe2' has no attribute {name!r}; see dir(fe2)")
    return everything[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
