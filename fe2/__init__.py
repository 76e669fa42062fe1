'''fe2: concurrent and hierarchical FE² on FEniCSx.

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
    V = fem.functionspace(domain, ("Lagrange", 1, (2,)))
    u, v = fem.Function(V), ufl.TestFunction(V)
    law = fe2.HomogenizedLaw(fe2.strain(u), rve, quadrature_degree=2)
    F = ufl.dot(law.flux, fe2.strain(v)) * law.dx

    pull = fem.Constant(domain, (0.0, 0.0))
    left, right = (fem.locate_dofs_geometrical(V, lambda x, a=a: np.isclose(x[0], a)) for a in (0, 2))
    clamp = fem.dirichletbc(np.zeros(2), left, V)
    grip = fem.dirichletbc(pull, right, V)
    problem = fe2.MacroProblem(F, u, law, bcs=[clamp, grip])

    steps = fe2.LoadSteps(np.linspace(0.0, 1.0, 5), lambda t: np.put(pull.value, 0, 0.02 * t))
    simulation = fe2.Simulation(problem, steps, output="results", reactions={"grip": grip})
    summary = simulation.run()

Replace `rve` by `rve.linearized()` and the same script is a hierarchical computation.
'''

from fe2 import _dependencies as _dependencies  # isort: skip  # first: orders HDF5, MPI and DOLFINx

from fe2.errors import (
    Fe2Error,
    InputError,
    LocalSolveError,
    MacroSolveError,
    MicroSolveError,
    MissingDependencyError,
    StepSizeError,
)
from fe2.io.images import read_image
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.cell import Cell
from fe2.micro.effective import EffectiveProperties
from fe2.micro.form import CellForm
from fe2.micro.image_cell import image_cell
from fe2.micro.linear_model import LinearModel
from fe2.micro.material_test import MaterialPath, MaterialTest
from fe2.micro.mesh_cell import read_cell
from fe2.micro.model import MicroModel
from fe2.micro.newton import NewtonOptions
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.parallel import end_all_ranks_on_error
from fe2.physics.elasticity import LinearElastic
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import ExpressionLaw, PhaseLaw, PointLaw, PointResponse
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.small_strain import mandel_strain as strain
from fe2.physics.viscoplasticity import NortonPerzyna
from fe2.physics.voce import VocePlasticity
from fe2.response import Response, Responses
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps, ramp

__version__ = "0.1.0"

__all__ = [
    "RVE",
    "Cell",
    "CellForm",
    "EffectiveProperties",
    "ExpressionLaw",
    "Fe2Error",
    "HomogenizedLaw",
    "InputError",
    "J2Plasticity",
    "Kinematics",
    "LinearElastic",
    "LinearModel",
    "LoadSteps",
    "LocalSolveError",
    "MacroProblem",
    "MacroSolveError",
    "MaterialPath",
    "MaterialTest",
    "MicroModel",
    "MicroSolveError",
    "MissingDependencyError",
    "NewtonOptions",
    "NortonPerzyna",
    "PhaseLaw",
    "PointLaw",
    "PointResponse",
    "Response",
    "Responses",
    "Simulation",
    "StepSizeError",
    "VocePlasticity",
    "image_cell",
    "ramp",
    "read_cell",
    "read_image",
    "small_strain",
    "strain",
]

end_all_ranks_on_error()
