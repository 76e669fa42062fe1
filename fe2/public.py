"""The public names of fe2: what `fe2.name` finds. They are loaded at the first use of any of them."""

from fe2 import _dependencies as _dependencies  # isort: skip  # first: orders HDF5, MPI and DOLFINx

from fe2.dispatch.options import Parallel
from fe2.errors import (
    Fe2Error,
    Fe2Warning,
    InputError,
    LocalSolveError,
    MacroSolveError,
    MicroSolveError,
    MissingDependencyError,
    OutsideRangeError,
    PictureError,
    RunInterruptedError,
    StepSizeError,
)
from fe2.hierarchical import paths
from fe2.hierarchical.database import Database, read_database
from fe2.hierarchical.error_control import error_controlled
from fe2.hierarchical.hull import Hull
from fe2.hierarchical.interpolation import InterpolatedModel
from fe2.hierarchical.linear_range import LinearRange, linear_range
from fe2.hierarchical.ranged_model import RangedModel
from fe2.hierarchical.recorded import GradientRecorder, recorded_paths
from fe2.hierarchical.reduction import reduce
from fe2.hierarchical.sampling import sample
from fe2.hierarchical.scales import Relaxation, Scales, gradient_length, relaxation, scales
from fe2.hierarchical.size_study import SizeStudy, mean_tangent, size_study
from fe2.hierarchical.solved_path import SolvedPath, solve_path
from fe2.hierarchical.storage import load as load_reduction
from fe2.hierarchical.storage import save as save_reduction
from fe2.hierarchical.windows import Windows
from fe2.io.checkpoint_schedule import Checkpoints
from fe2.io.costs import CostRecorder
from fe2.io.gmsh_mesh import MarkedMesh, read_mesh
from fe2.io.history import read_history
from fe2.io.images import ImageFacts, image_facts, read_image
from fe2.io.local_fields import write_local_fields
from fe2.io.observer import Observer
from fe2.io.pictures import draw_run
from fe2.io.progress import Progress
from fe2.io.replay import Replay, replay_failure
from fe2.io.results import Results
from fe2.io.watched import read_watched
from fe2.macro.balance import Balance
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.macro.rate import Rate
from fe2.micro.boundary import Admissible, BoundaryCondition, CellField
from fe2.micro.cell import Cell
from fe2.micro.coarsening import coarsen_image
from fe2.micro.diffusion import diffusion
from fe2.micro.effective import EffectiveProperties
from fe2.micro.finite_strain import finite_strain
from fe2.micro.form import CellForm
from fe2.micro.image_cell import image_cell
from fe2.micro.last_good import KeepsLastGood
from fe2.micro.linear_model import LinearModel
from fe2.micro.material_test import MaterialPath, MaterialTest, MaterialTestError
from fe2.micro.mesh_cell import read_cell
from fe2.micro.model import MicroModel, Pointwise
from fe2.micro.newton import NewtonOptions
from fe2.micro.points import Point, Points, Step
from fe2.micro.pore_flow import pore_flow
from fe2.micro.rotated import Rotated, rotated
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.micro.state import StateField, StateLayout
from fe2.micro.thermoelasticity import thermoelasticity
from fe2.micro.wrapper import Wrapper
from fe2.msh.partition import cells_on_first_ranks
from fe2.physics.conduction import DiffusionLaw, LinearConduction, NonlinearConduction
from fe2.physics.diffusion import gradient, value_and_gradient
from fe2.physics.elasticity import LinearElastic
from fe2.physics.ellipticity import smallest_acoustic_determinant, smallest_acoustic_eigenvalue
from fe2.physics.finite_strain import deformation_gradient, displacement_gradient
from fe2.physics.holzapfel_gasser_ogden import HolzapfelGasserOgden
from fe2.physics.hyperelasticity import Hyperelastic, HyperelasticLaw, SplitHyperelasticLaw
from fe2.physics.kinematics import Block, Kinematics, scalar_value
from fe2.physics.law import ExpressionLaw, PhaseLaw, PointLaw, PointResponse
from fe2.physics.material_field import MaterialField
from fe2.physics.melting import MeltingConduction
from fe2.physics.mooney_rivlin import MooneyRivlin
from fe2.physics.neo_hookean import NeoHookean
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.pore_flow import NewtonianFluid, Solid
from fe2.physics.small_strain import mandel_strain as strain
from fe2.physics.thermoelasticity import Thermoelastic, thermoelastic, thermoplastic
from fe2.physics.viscoplasticity import NortonPerzyna
from fe2.physics.voce import VocePlasticity
from fe2.physics.void import Void
from fe2.records import StepRecord, Summary
from fe2.response import Answers, Response
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps, ramp
from fe2.tensors import rotation_from_bunge, rotation_from_quaternion

__all__ = [
    "RVE",
    "Admissible",
    "Answers",
    "Balance",
    "Block",
    "BoundaryCondition",
    "Cell",
    "CellField",
    "CellForm",
    "Checkpoints",
    "CostRecorder",
    "Database",
    "DiffusionLaw",
    "EffectiveProperties",
    "ExpressionLaw",
    "Fe2Error",
    "Fe2Warning",
    "GradientRecorder",
    "HolzapfelGasserOgden",
    "HomogenizedLaw",
    "Hull",
    "Hyperelastic",
    "HyperelasticLaw",
    "ImageFacts",
    "InputError",
    "InterpolatedModel",
    "J2Plasticity",
    "KeepsLastGood",
    "Kinematics",
    "LinearConduction",
    "LinearElastic",
    "LinearModel",
    "LinearRange",
    "LoadSteps",
    "LocalSolveError",
    "MacroProblem",
    "MacroSolveError",
    "MarkedMesh",
    "MaterialField",
    "MaterialPath",
    "MaterialTest",
    "MaterialTestError",
    "MeltingConduction",
    "MicroModel",
    "MicroSolveError",
    "MissingDependencyError",
    "MooneyRivlin",
    "NeoHookean",
    "NewtonOptions",
    "NewtonianFluid",
    "NonlinearConduction",
    "NortonPerzyna",
    "Observer",
    "OutsideRangeError",
    "Parallel",
    "PhaseLaw",
    "PictureError",
    "Point",
    "PointLaw",
    "PointResponse",
    "Points",
    "Pointwise",
    "Progress",
    "RangedModel",
    "Rate",
    "Relaxation",
    "Replay",
    "Response",
    "Results",
    "Rotated",
    "RunInterruptedError",
    "Scales",
    "Simulation",
    "SizeStudy",
    "Solid",
    "SolvedPath",
    "SplitHyperelasticLaw",
    "StateField",
    "StateLayout",
    "Step",
    "StepRecord",
    "StepSizeError",
    "Summary",
    "Thermoelastic",
    "VocePlasticity",
    "Void",
    "Windows",
    "Wrapper",
    "cells_on_first_ranks",
    "coarsen_image",
    "deformation_gradient",
    "diffusion",
    "displacement_gradient",
    "draw_run",
    "error_controlled",
    "finite_strain",
    "gradient",
    "gradient_length",
    "image_cell",
    "image_facts",
    "linear_range",
    "load_reduction",
    "mean_tangent",
    "paths",
    "pore_flow",
    "ramp",
    "read_cell",
    "read_database",
    "read_history",
    "read_image",
    "read_mesh",
    "read_watched",
    "recorded_paths",
    "reduce",
    "relaxation",
    "replay_failure",
    "rotated",
    "rotation_from_bunge",
    "rotation_from_quaternion",
    "sample",
    "save_reduction",
    "scalar_value",
    "scales",
    "size_study",
    "small_strain",
    "smallest_acoustic_determinant",
    "smallest_acoustic_eigenvalue",
    "solve_path",
    "strain",
    "thermoelastic",
    "thermoelasticity",
    "thermoplastic",
    "value_and_gradient",
    "write_local_fields",
]
