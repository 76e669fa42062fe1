"""Cells whose axes are turned at each point: exact tangents of turned materials, and fields of angles."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import two_scale
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI

from fe2.errors import InputError, MicroSolveError
from fe2.io.checkpoint import CheckpointFolder
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.last_good import KeepsLastGood
from fe2.micro.linear_model import LinearModel
from fe2.micro.points import Point, Step
from fe2.micro.rotated import rotated
from fe2.physics.diffusion import diffusion_kinematics, value_diffusion_kinematics
from fe2.physics.finite_strain import finite_strain_kinematics
from fe2.physics.small_strain import mandel_strain, small_strain_kinematics
from fe2.tensors import component_indices, mandel_rotation, rotation_from_bunge, shear_factors

ANGLE, BUNGE = 0.4, (37.0, 21.0, 64.0)


def plane(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def parameter(dim: int) -> tuple[str, Any, np.ndarray]:
    """Name and value of the parameter, and the rotation that it stands for."""
    if dim == 2:
        return "angle", np.array(ANGLE), plane(ANGLE)
    Q = np.asarray(rotation_from_bunge(*BUNGE))
    return "rotation", Q, Q


def second_order(Q: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """A displacement gradient, row by row, in axes that are turned by Q: Qᵀ H Q."""
    return (Q.T @ gradient.reshape(Q.shape) @ Q).reshape(-1)


def mandel(Q: np.ndarray, strain: np.ndarray) -> np.ndarray:
    pairs, factors = component_indices(len(strain)), shear_factors(len(strain))
    full = np.zeros(Q.shape)
    for (i, j), value, factor in zip(pairs, strain, factors, strict=True):
        full[i, j] = full[j, i] = value / factor
    turned = Q.T @ full @ Q
    return np.array([f * turned[i, j] for (i, j), f in zip(pairs, factors, strict=True)])


KINEMATICS = {
    "small strain": (small_strain_kinematics, mandel),
    "finite strain": (finite_strain_kinematics, second_order),
    "diffusion": (diffusion_kinematics, lambda Q, g: Q.T @ g),
    "diffusion of a value": (value_diffusion_kinematics, lambda Q, g: np.append(g[:1], Q.T @ g[1:])),
}


@pytest.mark.unit
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("name", KINEMATICS)
def test_flux_and_tangent_are_those_of_the_turned_material(name: str, dim: int) -> None:
    """The gradient in the cell's axes by hand; flux and tangent by the equality of work."""
    make, turn = KINEMATICS[name]
    kinematics, rng = make(dim), np.random.default_rng(3)
    m = kinematics.size
    material = LinearModel(kinematics, rng.standard_normal((m, m)), rng.standard_normal(m))
    parameter_name, value, Q = parameter(dim)
    point = Point(0, np.zeros(dim), {parameter_name: value})
    T = np.array([turn(Q, e) for e in np.eye(m)]).T
    gradient, model = rng.standard_normal(m), rotated(material)
    state = model.initial_state()
    found = model.solve(gradient, state, 1.0, state.copy(), point=point)
    expected = material.solve(T @ gradient, state, 1.0, state.copy())
    np.testing.assert_allclose(found.flux, T.T @ expected.flux, atol=1e-12)
    np.testing.assert_allclose(found.tangent, T.T @ material.tangent @ T, atol=1e-12)
    np.testing.assert_allclose(model.virgin_tangent(point), found.tangent, atol=1e-12)


@pytest.mark.unit
def test_stiffness_of_a_turned_crystal_is_the_rotated_stiffness() -> None:
    kinematics = small_strain_kinematics(3)
    stiffness = np.diag([4.0, 2.0, 1.0, 0.5, 0.7, 0.9])
    _, Q, _ = parameter(3)
    R = mandel_rotation(Q)
    tangent = rotated(LinearModel(kinematics, stiffness)).virgin_tangent(Point(parameters={"rotation": Q}))
    np.testing.assert_allclose(tangent, R @ stiffness @ R.T, atol=1e-13)


def law(angle: Any, model: Any, cells: int = 2) -> tuple[HomogenizedLaw, fem.Function]:
    mesh = two_scale.rectangle(MPI.COMM_SELF, (cells, cells), (1.0, 1.0))
    u = fem.Function(fem.functionspace(mesh, ("Lagrange", 1, (2,))))
    value = angle(mesh) if inspect.isfunction(angle) else angle
    parameters = {} if value is None else {"angle": value}
    return HomogenizedLaw(mandel_strain(u), model, quadrature_degree=2, parameters=parameters), u


def discontinuous(mesh: dmesh.Mesh) -> fem.Function:
    function = fem.Function(fem.functionspace(mesh, ("DG", 0)))
    function.interpolate(lambda x: np.where(x[0] < 0.5, 0.2, -0.6))
    return function


@pytest.mark.parametrize("kind", ["number", "expression", "function", "array"])
def test_angles_of_a_law_reach_its_points(kind: str) -> None:
    """An anisotropic plate under uniform strain: the stress at each point is that of its own angle."""
    material = LinearModel(
        small_strain_kinematics(2), np.array([[9.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.5]])
    )
    given = {
        "number": 0.3,
        "expression": lambda mesh: ufl.SpatialCoordinate(mesh)[1],
        "function": discontinuous,
        "array": np.linspace(0.0, 1.0, 16),
    }[kind]
    found, u = law(given, rotated(material))
    u.interpolate(lambda x: (2e-3 * x[0], 1e-3 * x[0]))
    found.evaluate(Step(1.0))
    x = found.coordinates()
    angles = {
        "number": np.full(16, 0.3),
        "expression": x[:, 1],
        "function": np.where(x[:, 0] < 0.5, 0.2, -0.6),
        "array": np.linspace(0.0, 1.0, 16),
    }[kind]
    np.testing.assert_allclose(found.points.parameters["angle"], angles, atol=1e-14)
    for flux, tangent, angle, strain in zip(
        found.flux.x.array.reshape(-1, 3)[found.rows],
        found.tangents(),
        angles,
        found.gradients(),
        strict=True,
    ):
        T = np.array([mandel(plane(angle), e) for e in np.eye(3)]).T
        np.testing.assert_allclose(tangent, T.T @ material.tangent @ T, atol=1e-13)
        np.testing.assert_allclose(flux, tangent @ strain, atol=1e-15)


def test_a_problem_of_turned_plastic_cells_is_that_of_the_turned_load() -> None:
    """A plate of turned cells, turned with them: the unknown turns, at every step of a plastic path."""
    results = []
    for angle in (0.0, 0.5):
        Q = plane(angle)
        mesh = two_scale.rectangle(MPI.COMM_SELF, (1, 1), (1.0, 1.0))
        mesh.geometry.x[:, :2] = mesh.geometry.x[:, :2] @ Q.T
        space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
        u, v = fem.Function(space), ufl.TestFunction(space)
        model = KeepsLastGood(rotated(two_scale.plastic_rve()))
        found = HomogenizedLaw(mandel_strain(u), model, quadrature_degree=2, parameters={"angle": angle})
        mesh.topology.create_connectivity(1, 2)
        facets = dmesh.locate_entities_boundary(
            mesh, 1, lambda x, Q=Q: np.isclose(Q.T[0] @ x[:2], 0.0, atol=1e-9)
        )
        clamped = fem.dirichletbc(np.zeros(2), fem.locate_dofs_topological(space, 1, facets), space)
        load = fem.Constant(mesh, np.zeros(2))
        form = ufl.dot(found.flux, mandel_strain(v)) * found.dx - ufl.dot(load, v) * ufl.dx
        problem = MacroProblem(form, u, found, bcs=[clamped], petsc_options={"snes_rtol": 1e-10})
        for force in (np.array([150.0, 40.0]), np.array([300.0, -60.0])):
            load.value = Q @ force
            with problem.step():
                problem.solve()
        results.append(u.x.array.reshape(-1, 2) @ Q)
    np.testing.assert_allclose(results[1], results[0], atol=1e-7 * np.abs(results[0]).max())
    assert found.pool.averages()["equivalent_plastic_strain"].max() > 1e-4


def test_parameters_that_cannot_be_are_refused_by_name() -> None:
    model = two_scale.elastic_rve().linearized()
    with pytest.raises(InputError, match="the micro model Rotated needs angle at each point"):
        law(None, rotated(model))
    with pytest.raises(InputError, match="the micro model LinearModel does not take angle; it takes none"):
        law(0.1, model)
    with pytest.raises(InputError, match=r"angle is nan at .*, one of 16 points"):
        law(np.nan, rotated(model))
    with pytest.raises(InputError, match="angle has 3 rows, and this rank has 16 points"):
        law(np.zeros(3), rotated(model))
    with pytest.raises(InputError, match=r"angle has the shape \(2,\) and not \(\)"):
        law(np.zeros((16, 2)), rotated(model))
    with pytest.raises(InputError, match="angle is an expression on another mesh"):
        law(ufl.SpatialCoordinate(two_scale.rectangle(MPI.COMM_SELF))[0], rotated(model))
    with pytest.raises(InputError, match="the axes of a Rotated are turned by angle already"):
        rotated(rotated(model))
    spatial = LinearModel(small_strain_kinematics(3), np.eye(6))
    mesh = dmesh.create_unit_cube(MPI.COMM_SELF, 1, 1, 1)
    u = fem.Function(fem.functionspace(mesh, ("Lagrange", 1, (3,))))
    with pytest.raises(InputError, match=r"is no rotation: .* right-handed"):
        HomogenizedLaw(mandel_strain(u), rotated(spatial), parameters={"rotation": ufl.as_matrix(-np.eye(3))})


def test_the_cell_behind_a_turned_one_gets_the_gradient_in_its_axes() -> None:
    rve = two_scale.plastic_rve()
    model, point = rotated(rve), Point(parameters={"angle": np.array(ANGLE)})
    gradient, state = np.array([4e-3, -1e-3, 2e-3]), rve.initial_state()
    cell, row, turned = model.behind(state, gradient, point)
    assert cell is rve
    found = model.solve(gradient, state, 1.0, state.copy(), point=point)
    inner = cell.solve(turned, row, 1.0, row.copy())
    assert found.flux @ gradient == pytest.approx(inner.flux @ turned, rel=1e-12)


def test_points_of_a_vectorized_model_that_fail_are_named() -> None:
    class Brittle(LinearModel):
        def evaluate(self, gradients, committed, trial, points, step, answers) -> None:
            super().evaluate(gradients, committed, trial, points, step, answers)
            answers.fail(gradients[:, 0] > 1e-3, MicroSolveError("it broke"))

    found, u = law(0.0, rotated(Brittle(small_strain_kinematics(2), np.eye(3))))
    u.interpolate(lambda x: (2e-3 * x[0] ** 2, 0.0 * x[0]))
    with pytest.raises(MicroSolveError, match=r"macroscopic cell \d, quadrature point \d.*it broke"):
        found.evaluate(Step(1.0))


def test_checkpoint_of_other_parameters_is_refused(tmp_path: Path) -> None:
    def checkpoint(angle: float) -> CheckpointFolder:
        found, u = law(angle, rotated(LinearModel(small_strain_kinematics(2), np.eye(3))))
        v = ufl.TestFunction(u.function_space)
        problem = MacroProblem(ufl.inner(found.flux, mandel_strain(v)) * found.dx, u, found)
        return CheckpointFolder(tmp_path, problem, {}, {})

    control = {"times": [0.0, 1.0], "done": 0.0, "part": 1.0, "length": 0.0, "taken": 0.0, "rejected": 0}
    position = {"control": control, "records": [], "seconds": 0.0, "models": {}}
    checkpoint(0.3).write(position)
    assert checkpoint(0.3).look() == position
    with pytest.raises(InputError, match=r"checkpoint of another run: laws\[0\].parameters.angle"):
        checkpoint(1.2).look()
