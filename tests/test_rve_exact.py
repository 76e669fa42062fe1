"""Cells whose answer is known exactly: homogeneous cells, patches, laminates, Levin's relation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import ufl
from cells import (
    SHAPES,
    Array,
    dimension,
    distorted,
    fitted_fibre,
    fluctuation,
    laminate,
    point_values,
    random_image,
    relative_error,
    two_phases,
)
from conftest import Verify
from ufl.core.expr import Expr

from fe2.grid.options import GridOptions
from fe2.micro.boundary import BOUNDARY_CONDITIONS
from fe2.micro.cell import Cell
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.physics.elasticity import LinearElastic
from fe2.physics.law import ExpressionLaw, PhaseLaw
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.viscoplasticity import NortonPerzyna
from fe2.physics.voce import VocePlasticity
from fe2.tensors import component_indices, from_matrix, positions_in_full
from fe2.testing import material_point as point

ROUND_OFF = 1e-11
"""Relative: condition numbers of these cells are below 1e4, so a direct solve is good to 1e-12."""


def anisotropic(seed: int) -> LinearElastic:
    """A stiffness without any symmetry, eigenvalues of some tens."""
    root = np.random.default_rng(seed).normal(size=(6, 6))
    return LinearElastic(10.0 * root @ root.T + 20.0 * np.eye(6))


LAWS: dict[str, PhaseLaw] = {
    "elastic": anisotropic(0),
    "j2": J2Plasticity(200e3, 0.3, 400.0, hardening=2e3, kinematic_hardening=5e3),
    "voce": VocePlasticity(200e3, 0.3, 400.0, saturation_stress=150.0, saturation_rate=80.0),
    "perzyna": NortonPerzyna(200e3, 0.3, 400.0, reference_rate=1e-3, exponent=5.0),
}
# Plastic loading, unloading, reverse loading; in the plane without the components beyond it.
PATH = 1e-3 * np.array(
    [[4.0, -2.0, 1.0, 1.5, 0.0, 3.0], [3.5, -1.8, 0.8, 1.2, 0.0, 2.7], [-3.0, 2.0, 0.0, 1.0, 2.0, -4.0]]
)


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
@pytest.mark.parametrize("shape", ["quadrilateral", "tetrahedron"])
@pytest.mark.parametrize("name", LAWS)
def test_homogeneous_cell_is_its_material(name: str, shape: str, boundary: str) -> None:
    law, dt = LAWS[name], 0.5
    rve = small_strain(distorted(shape), {"a": law}, boundary=boundary)
    embedding = rve.kinematics.block().embedding
    path = PATH[:, positions_in_full(rve.kinematics.size)]
    state = rve.initial_state()
    for gradient, exact in zip(path, point.drive(law, list(path @ embedding.T), dt), strict=True):
        out = np.empty_like(state)
        response = rve.solve(gradient, state, dt, out)
        assert relative_error(response.flux, exact.flux[0] @ embedding) < ROUND_OFF
        assert relative_error(response.tangent, embedding.T @ exact.tangent[0] @ embedding) < ROUND_OFF
        assert np.max(np.abs(fluctuation(rve, out))) < ROUND_OFF * np.max(np.abs(gradient))
        for variable, values in exact.history.items():
            average = rve.averages(out[None])[variable]
            assert np.allclose(average, values, rtol=0.0, atol=ROUND_OFF * np.max(np.abs(gradient)))
        state = out


def test_fluctuation_of_homogeneous_cell_vanishes_from_any_first_guess() -> None:
    """The state holds the first guess of Newton's method: a wrong one must not show in the answer."""
    rve = small_strain(distorted("quadrilateral"), {"a": LAWS["j2"]})
    gradient, size = PATH[0, [0, 1, 5]], rve.kinematics.size
    spoilt, out = rve.initial_state(), rve.initial_state()
    spoilt[size : size + rve.unknowns] = np.random.default_rng(3).normal(scale=1e-3, size=rve.unknowns)
    exact = rve.solve(gradient, rve.initial_state(), 1.0, np.empty_like(out))
    response = rve.solve(gradient, spoilt, 1.0, out)
    assert response.iterations > exact.iterations == 1
    # the default tolerance of the residual, 1e-8, with the quadratic decrease of the last step
    assert relative_error(response.flux, exact.flux) < 1e-8
    assert np.max(np.abs(fluctuation(rve, out))) < 1e-8 * np.max(np.abs(gradient))


# Hexahedra of third degree take long to compile and say what quadrilaterals say.
PATCHES = [
    (shape, degree) for shape in SHAPES for degree in (1, 2, 3) if (shape, degree) != ("hexahedron", 3)
]


@pytest.mark.parametrize(("shape", "degree"), PATCHES)
def test_patch_of_distorted_elements_has_uniform_strain(shape: str, degree: int) -> None:
    rve = small_strain(distorted(shape), {"a": LAWS["elastic"]}, degree=degree)
    assert_uniform(rve, LAWS["elastic"])


@pytest.mark.parametrize("shape", ["triangle", "quadrilateral", "tetrahedron"])
def test_patch_of_curved_elements_has_uniform_strain(shape: str) -> None:
    """Second-order geometry: the quadrature rule has to integrate a uniform stress exactly."""
    rve = small_strain(distorted(shape, order=2), {"a": LAWS["elastic"]}, degree=2)
    assert_uniform(rve, LAWS["elastic"])


def assert_uniform(rve: RVE, law: PhaseLaw) -> None:
    assert isinstance(law, LinearElastic)
    size = rve.kinematics.size
    rows = positions_in_full(len(rve.kinematics.local_components))
    stiffness = law.stiffness[np.ix_(rows, rows)] @ rve.kinematics.block().embedding
    out = np.empty(rve.state_size)
    for k, gradient in enumerate(np.eye(size)):
        response = rve.solve(gradient, rve.initial_state(), 0.0, out)
        strain, stress, _ = point_values(rve, out)
        assert np.max(np.abs(strain - rve.kinematics.block().embedding[:, k])) < ROUND_OFF
        assert relative_error(stress, np.broadcast_to(stiffness[:, k], stress.shape)) < ROUND_OFF
        assert relative_error(response.flux, rve.kinematics.block().embedding.T @ stiffness[:, k]) < ROUND_OFF


def laminate_stiffness(stiffnesses: list[Array], fractions: list[float], axis: int) -> Array:
    r"""Effective stiffness of layers across an axis, in Mandel components of any dimension.

    .. math:: C^* = \langle C\rangle - \langle C n K^{-1} n C\rangle
        + \langle C n K^{-1}\rangle \langle K^{-1}\rangle^{-1} \langle K^{-1} n C\rangle,\quad K = n C n
    """
    size = len(stiffnesses[0])
    dim = 2 if size == 3 else 3
    jumps = np.array([from_matrix(np.outer(e, np.eye(dim)[axis]), size) for e in np.eye(dim)]).T
    means = [np.zeros((size, size)), np.zeros((size, dim)), np.zeros((dim, dim))]
    for C, fraction in zip(stiffnesses, fractions, strict=True):
        inverse = np.linalg.inv(jumps.T @ C @ jumps)
        parts = C - C @ jumps @ inverse @ jumps.T @ C, C @ jumps @ inverse, inverse
        means = [mean + fraction * part for mean, part in zip(means, parts, strict=True)]
    return means[0] + means[1] @ np.linalg.solve(means[2], means[1].T)


@pytest.mark.parametrize(
    ("shape", "axis"), [(shape, axis) for shape in SHAPES for axis in range(dimension(shape))]
)
def test_laminate_stiffness_is_exact(shape: str, axis: int) -> None:
    check_laminate(laminate(shape, axis), axis)


@pytest.mark.parametrize(("dim", "axis"), [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)])
def test_laminate_stiffness_of_image_is_exact(dim: int, axis: int) -> None:
    labels = np.zeros((5,) * dim, dtype=int)
    np.moveaxis(labels, axis, 0)[2:] = 1
    check_laminate(two_phases(labels, voxel_size=0.3), axis)


def check_laminate(cell: Cell, axis: int) -> None:
    laws = {"a": anisotropic(1), "b": anisotropic(2)}
    rows = np.ix_(*2 * [positions_in_full(3 if cell.dim == 2 else 6)])
    exact = laminate_stiffness([law.stiffness[rows] for law in laws.values()], [0.4, 0.6], axis)
    assert (
        relative_error(small_strain(cell, laws).homogenize(GridOptions(tolerance=1e-12)).tangent, exact)
        < 1e-10
    )


# C11, C12, C22, C23, C44, C55 = C66 of E = 210/70, ν = 0.3/0.2, fractions 0.4/0.6, normal along axis 1
PUBLISHED = (109.538002981, 35.208643815, 147.374756391, 47.759371776, 49.807692308, 39.179104478)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_isotropic_laminate_has_the_published_stiffness(axis: int, verify: Verify) -> None:
    c11, c12, c22, c23, c44, c55 = PUBLISHED
    turned = np.roll(
        np.arange(3), axis
    )  # turned[i] is the part that axis i plays where the normal is the first
    normal = np.array([[c11, c12, c12], [c12, c22, c23], [c12, c23, c22]])[np.ix_(turned, turned)]
    shears = np.array([c44, c55, c55])[turned]
    exact = np.block([[normal, np.zeros((3, 3))], [np.zeros((3, 3)), np.diag(shears)]])
    laws = {"a": LinearElastic.isotropic(210.0, 0.3), "b": LinearElastic.isotropic(70.0, 0.2)}
    effective = small_strain(laminate("hexahedron", axis), laws).homogenize().effective
    assert np.max(np.abs(effective - exact)) < 0.51e-9  # half a unit of the last digit given
    if axis == 0:
        for name, (i, j) in {
            "C11": (0, 0),
            "C12": (0, 1),
            "C22": (1, 1),
            "C44": (3, 3),
            "C55": (4, 4),
        }.items():
            case = f"laminate of E = 210/70, ν = 0.3/0.2: {name}"
            verify(case, effective[i, j], exact[i, j], tolerance=0.51e-9, source="exact: layers in series")
    if axis < 2:
        rows = np.ix_(*2 * [positions_in_full(3)])
        plane = small_strain(laminate("triangle", axis), laws).homogenize().effective
        assert np.max(np.abs(plane - exact[rows])) < 0.51e-9


@dataclass(frozen=True, eq=False)
class Thermoelastic(ExpressionLaw):
    r"""A user's own law: :math:`\sigma = C : (\varepsilon - \alpha\,\Delta T)` at a fixed temperature."""

    stiffness: Array
    expansion: float
    temperature: float

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        size = gradient.ufl_shape[0]
        rows = positions_in_full(size)
        thermal = self.expansion * self.temperature
        identity = [float(i == j) for i, j in component_indices(size)]
        elastic = ufl.as_vector([gradient[k] - thermal * identity[k] for k in range(size)])
        stiffness = ufl.as_matrix([[self.stiffness[i, j] for j in rows] for i in rows])
        return ufl.dot(stiffness, elastic)


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
@pytest.mark.parametrize("microstructure", ["random voxels", "curved fibres"])
def test_thermal_expansion_follows_levin_from_the_stiffness(microstructure: str, boundary: str) -> None:
    """Exact in the discrete problem too: there is a temperature and strain at which the stress is uniform.

    In the plane the expansion is what is seen at no expansion across it, (1 + ν) α.
    """
    moduli, expansions, temperature = ((210.0, 0.3), (70.0, 0.2)), (1.2e-5, 2.3e-5), 50.0
    cell = random_image(3, 4) if microstructure == "random voxels" else fitted_fibre(0.3, 8, 2)
    elastic = [LinearElastic.isotropic(*pair) for pair in moduli]
    laws = {
        name: Thermoelastic(law.stiffness, alpha, temperature)
        for name, law, alpha in zip(cell.names, elastic, expansions, strict=True)
    }
    rve = small_strain(cell, laws, boundary=boundary, degree=cell.mesh.geometry.cmaps[0].degree)
    m = rve.kinematics.size
    out = np.empty(rve.state_size)
    stress_free = rve.solve(np.zeros(m), rve.initial_state(), 0.0, out)
    compliance = np.linalg.inv(stress_free.tangent)
    from_eigenstrain = -compliance @ stress_free.flux / temperature

    identity = np.array([float(i == j) for i, j in component_indices(m)])
    rows = np.ix_(*2 * [positions_in_full(m)])
    S = [np.linalg.inv(law.stiffness[rows]) for law in elastic]
    factors = [1.0 if cell.dim == 3 else 1.0 + poisson for _, poisson in moduli]
    alpha = [factor * value * identity for factor, value in zip(factors, expansions, strict=True)]
    f = list(cell.volume_fractions.values())
    mean_alpha, mean_S = f[0] * alpha[0] + f[1] * alpha[1], f[0] * S[0] + f[1] * S[1]
    levin = mean_alpha + (compliance - mean_S) @ np.linalg.solve(S[0] - S[1], alpha[0] - alpha[1])
    assert relative_error(from_eigenstrain, levin) < 1e-9
    assert relative_error(mean_alpha, levin) > 1e-2  # the rule of mixtures would fail
