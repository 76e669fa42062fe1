"""Periodic, linear and uniform-flux conditions: averages, Hill–Mandel, what each prescribes, their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import ufl
from cells import (
    Array,
    distorted,
    hole_image,
    perforated_plate,
    point_values,
    random_image,
    relative_error,
    two_phases,
)
from dolfinx import fem

from fe2.errors import InputError
from fe2.grid.options import GridOptions
from fe2.micro.boundary import BOUNDARY_CONDITIONS, Admissible, BoundaryCondition, CellField
from fe2.micro.cell import Cell
from fe2.micro.form import CellForm
from fe2.micro.newton import NewtonOptions
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.physics.elasticity import LinearElastic
from fe2.physics.law import PhaseLaw
from fe2.physics.plasticity import J2Plasticity
from fe2.tensors import to_matrix

EXACT = GridOptions(tolerance=1e-12)
ELASTIC: dict[str, PhaseLaw] = {
    "a": LinearElastic.isotropic(200e3, 0.3),
    "b": LinearElastic.isotropic(70e3, 0.2),
}
PLASTIC: dict[str, PhaseLaw] = {
    "a": J2Plasticity(200e3, 0.3, 400.0, hardening=2e3, kinematic_hardening=5e3),
    "b": LinearElastic.isotropic(70e3, 0.2),
}
ORDERED = ("uniform_flux", "periodic", "linear")  # softest first
STRAIN = 1e-3 * np.array([4.0, -2.0, 1.0, 1.5, 0.0, 3.0])
TIGHT = NewtonOptions(tolerance=1e-12)
ROUND_OFF = 1e-10
"""Relative: the residual's tolerance of 1e-12 times the number of degrees of freedom."""


def cell_of(dim: int) -> Cell:
    return random_image(2, 5) if dim == 2 else distorted("tetrahedron", ("a", "b"))


def loaded(dim: int, laws: dict[str, PhaseLaw], boundary: str) -> tuple[RVE, Array, Array, Array]:
    """An RVE after loading and partial unloading: it, the last gradient, flux and state."""
    rve = small_strain(cell_of(dim), laws, boundary=boundary, options=TIGHT)
    strain = STRAIN[[0, 1, 5]] if dim == 2 else STRAIN
    state = rve.initial_state()
    for factor in (1.0, 1.5, 1.2):
        out = np.empty_like(state)
        response = rve.solve(factor * strain, state, 1.0, out)
        state = out
    return rve, 1.2 * strain, response.flux, state


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
@pytest.mark.parametrize("laws", [ELASTIC, PLASTIC], ids=["elastic", "plastic"])
@pytest.mark.parametrize("dim", [2, 3])
def test_averages_of_local_fields_and_of_their_work(
    dim: int, laws: dict[str, PhaseLaw], boundary: str
) -> None:
    """Averages are macroscopic quantities, and Hill–Mandel: the average work is the work of the averages."""
    rve, gradient, flux, state = loaded(dim, laws, boundary)
    strain, stress, volumes = point_values(rve, state)
    embedding, size = rve.kinematics.block().embedding, rve.cell.volume
    work = np.einsum("q,qk,qk->", volumes, stress, strain) / size
    assert np.sum(volumes) == pytest.approx(size, rel=1e-12)
    assert relative_error(volumes @ strain / size, embedding @ gradient) < ROUND_OFF
    assert relative_error(embedding.T @ (volumes @ stress) / size, flux) < ROUND_OFF
    assert work == pytest.approx(flux @ gradient, rel=ROUND_OFF)
    # the fields are not uniform: the relation is not trivial
    assert np.std(strain[:, 0]) > 1e-2 * np.linalg.norm(gradient)
    if laws is PLASTIC:
        assert rve.averages(state[None])["equivalent_plastic_strain"][0, 0] > 1e-4


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
def test_cell_data_for_output_have_the_averages_of_the_state(boundary: str) -> None:
    rve, gradient, flux, state = loaded(2, PLASTIC, boundary)
    fields = rve.fields(state)
    means = {name: fields.volumes @ data / rve.cell.volume for name, data in fields.cell_data.items()}
    assert relative_error(means["strain"], rve.kinematics.block().embedding @ gradient) < ROUND_OFF
    assert relative_error(rve.kinematics.block().embedding.T @ means["stress"], flux) < ROUND_OFF
    for name, average in rve.averages(state[None]).items():
        assert relative_error(means[name], average[0]) < 1e-12
    affine = fields.points[:, :2] @ to_matrix(gradient)
    assert relative_error(fields.point_data["u"], affine + fields.point_data["fluctuation"]) < 1e-12


def on_face(x: Array, period: Array, axis: int, side: int) -> Array:
    """Rows of the nodes on a face of the cell, sorted so that partners on opposite faces correspond."""
    rows = np.flatnonzero(np.abs(x[:, axis] - (side - 0.5) * period[axis]) < 1e-9)
    across = np.round(np.delete(x[rows], axis, axis=1), 9)
    return rows[np.lexsort(across.T)]


@pytest.mark.parametrize("dim", [2, 3])
def test_periodic_and_linear_fluctuations_on_the_faces(dim: int) -> None:
    for boundary in ("periodic", "linear"):
        rve, gradient, _, state = loaded(dim, PLASTIC, boundary)
        fields = rve.fields(state)
        x, w = fields.points[:, :dim], fields.point_data["fluctuation"]
        for axis in range(dim):
            lower, upper = (on_face(x, rve.cell.period, axis, side) for side in (0, 1))
            assert np.array_equal(w[lower], w[upper])
            largest = np.max(np.abs(w[lower]))
            assert largest == 0.0 if boundary == "linear" else largest > 1e-2 * np.linalg.norm(gradient)


@pytest.mark.parametrize("laws", [ELASTIC, PLASTIC], ids=["elastic", "plastic"])
@pytest.mark.parametrize("dim", [2, 3])
def test_traction_of_uniform_flux_condition_is_uniform(dim: int, laws: dict[str, PhaseLaw]) -> None:
    r"""The nodal forces are those of the average stress on the faces, :math:`\int (s\,n)\cdot v\,da`."""
    rve, _, flux, state = loaded(dim, laws, "uniform_flux")
    rve.fields(state)
    v, mesh = ufl.TestFunction(rve.form.unknown.function_space), rve.cell.mesh
    traction = ufl.dot(fem.Constant(mesh, to_matrix(flux)), ufl.FacetNormal(mesh))
    exact = fem.assemble_vector(fem.form(ufl.dot(traction, v) * ufl.ds)).array
    forces = fem.assemble_vector(fem.form(rve.form.residual)).array
    assert relative_error(forces, exact) < ROUND_OFF
    # with the other conditions it is not
    rve, _, flux, state = loaded(dim, laws, "periodic")
    rve.fields(state)
    assert relative_error(fem.assemble_vector(fem.form(rve.form.residual)).array, exact) > 1e-2


@pytest.mark.parametrize("dim", [2, 3])
def test_stiffness_is_ordered_by_condition_between_reuss_and_voigt(dim: int) -> None:
    """Each set of admissible fields holds the next: the energies are ordered for every strain."""
    cell = cell_of(dim)
    stiffness = {b: small_strain(cell, ELASTIC, boundary=b).homogenize(EXACT).tangent for b in ORDERED}
    fractions = cell.volume_fractions
    embedding = small_strain(cell, ELASTIC).kinematics.block().embedding
    rows = np.flatnonzero(embedding.any(axis=1))
    phases = {}
    for name, law in ELASTIC.items():
        assert isinstance(law, LinearElastic)
        full = law.stiffness if dim == 3 else law.stiffness[np.ix_([0, 1, 2, 5], [0, 1, 2, 5])]
        phases[name] = full[np.ix_(rows, rows)]
    voigt = sum(fractions[n] * phases[n] for n in phases)
    reuss = np.linalg.inv(sum(fractions[n] * np.linalg.inv(phases[n]) for n in phases))
    chain = [reuss, *(stiffness[b] for b in ORDERED), voigt]
    for softer, stiffer in pairwise(chain):
        differences = np.linalg.eigvalsh(stiffer - softer)
        assert differences[0] > 0.0
        assert differences[-1] > 1e-3 * np.linalg.eigvalsh(stiffer)[-1]


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
def test_hole_without_elements_is_the_limit_of_a_soft_inclusion(boundary: str) -> None:
    """A contrast of 1e-9 changes the stiffness by as much, relatively."""
    matrix = LinearElastic.isotropic(200e3, 0.3)
    plate = small_strain(perforated_plate(), {"a": matrix}, boundary=boundary)
    soft: dict[str, PhaseLaw] = {"a": matrix, "b": LinearElastic.isotropic(200e3 * 1e-9, 0.3)}
    image = small_strain(two_phases(hole_image(6), voxel_size=1 / 6), soft, boundary=boundary)
    properties = plate.homogenize()
    assert properties.volume_fractions["a"] == pytest.approx(30 / 36, rel=1e-12)
    assert not properties.properties["bounds"]["reuss"].any()
    assert relative_error(properties.tangent, image.homogenize(EXACT).tangent) < 1e-7


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
def test_flux_and_work_of_plate_with_a_hole_are_averages_over_the_whole_cell(boundary: str) -> None:
    plate = small_strain(perforated_plate(), {"a": PLASTIC["a"]}, boundary=boundary, options=TIGHT)
    gradient, out = STRAIN[[0, 1, 5]], np.empty(plate.state_size)
    flux = plate.solve(gradient, plate.initial_state(), 1.0, out).flux
    strain, stress, volumes = point_values(plate, out)
    assert np.sum(volumes) == pytest.approx(30 / 36 * plate.cell.volume, rel=1e-12)
    assert relative_error((volumes @ stress)[[0, 1, 3]] / plate.cell.volume, flux) < ROUND_OFF
    work = np.einsum("q,qk,qk->", volumes, stress, strain) / plate.cell.volume
    assert work == pytest.approx(flux @ gradient, rel=ROUND_OFF)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-8, 1e-12])
def test_forces_inside_the_cell_vanish_to_the_tolerance(tolerance: float) -> None:
    """Relative to the forces on the faces or those of an elastic cell without fluctuation."""
    options = NewtonOptions(tolerance=tolerance)
    rve = small_strain(cell_of(2), PLASTIC, boundary="linear", options=options)
    out, gradient = np.empty(rve.state_size), STRAIN[[0, 1, 5]]
    rve.solve(gradient, rve.initial_state(), 1.0, out)
    x = np.abs(rve.fields(out).points[:, :2])
    forces = fem.assemble_vector(fem.form(rve.form.residual)).array.reshape(-1, 2)
    inside = np.all(x < rve.cell.period / 2 - 1e-9, axis=1)
    elastic = small_strain(rve.cell, ELASTIC).form
    elastic.unknown.x.array[:] = elastic.modes @ gradient
    scale = np.linalg.norm(fem.assemble_vector(fem.form(elastic.residual)).array)
    assert np.linalg.norm(forces[inside]) <= tolerance * max(scale, np.linalg.norm(forces))


def test_unknown_boundary_condition_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'dirichlet' is not known.*periodic, linear, uniform_flux"):
        small_strain(random_image(2, 5), ELASTIC, boundary="dirichlet")


# ---- conditions of one's own


def faces(cell: Cell, nodes: Array, axis: int) -> npt.NDArray[np.bool_]:
    return np.abs(np.abs(nodes[:, axis]) - cell.period[axis] / 2) < 1e-8 * cell.period[axis]


def sheet(cell: Cell, form: CellForm, fields: Sequence[CellField]) -> Admissible:
    """Periodic along x, clamped to the mean deformation on the faces across y."""
    masters, fixed = np.arange(len(form.modes)), np.zeros(len(form.modes), dtype=bool)
    for field in fields:
        right = np.flatnonzero(field.nodes[:, 0] > cell.period[0] / 2 * (1.0 - 1e-8))
        for node in right:
            image = field.nodes[node] - [cell.period[0], 0.0]
            masters[field.dofs[node]] = field.dofs[np.argmin(np.linalg.norm(field.nodes - image, axis=1))]
        fixed[field.dofs[faces(cell, field.nodes, 1)]] = True
    return Admissible(masters, fixed)


def clamped(cell: Cell, form: CellForm, fields: Sequence[CellField]) -> Admissible:
    fixed = np.zeros(len(form.modes), dtype=bool)
    for field in fields:
        fixed[field.dofs[faces(cell, field.nodes, 0) | faces(cell, field.nodes, 1)]] = True
    return Admissible(np.arange(len(form.modes)), fixed)


PHASES = {"a": LinearElastic.isotropic(1.0, 0.3), "b": LinearElastic.isotropic(20.0, 0.2)}
PATTERN = [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_condition_of_ones_own_is_what_it_says() -> None:
    """Clamped on all faces it is the linear one; clamped on two, between that and the periodic one."""
    cell = two_phases(PATTERN)
    tangents = {
        str(boundary): small_strain(cell, PHASES, boundary=boundary).homogenize().tangent
        for boundary in (
            "periodic",
            "linear",
            BoundaryCondition("clamped", clamped),
            BoundaryCondition("sheet", sheet),
        )
    }
    np.testing.assert_allclose(tangents["clamped"], tangents["linear"], rtol=1e-12, atol=1e-12)
    for softer, stiffer in (("periodic", "sheet"), ("sheet", "linear")):
        eigenvalues = np.linalg.eigvalsh(tangents[stiffer] - tangents[softer])
        assert eigenvalues.min() > -1e-12
        assert eigenvalues.max() > 1e-3


def test_rows_of_a_form_hold() -> None:
    """The fluctuation of a cell whose form forbids it a first moment has none, and it is stiffer."""
    cell = two_phases(PATTERN)
    plain = small_strain(cell, PHASES)
    x, v = ufl.SpatialCoordinate(cell.mesh), ufl.TestFunction(plain.form.unknown.function_space)
    row = x[0] * v[1] * ufl.dx(cell.mesh)
    held = RVE(cell, replace(plain.form, rows=(row,)))
    gradient = np.array([0.0, 0.0, 1e-3])
    moments = []
    for rve in (plain, held):
        state = rve.initial_state()
        out = np.empty_like(state)
        response = rve.solve(gradient, state, 0.0, out)
        fluctuation = rve.problem.prolong(out[rve.problem.layout.fluctuation])
        moments.append(fem.assemble_vector(fem.form(row)).array @ fluctuation)
        np.testing.assert_allclose(response.tangent @ gradient, response.flux, rtol=1e-9, atol=1e-15)
    assert abs(moments[0]) > 1e-6
    assert abs(moments[1]) < 1e-15
    stiffer = held.homogenize(EXACT).tangent - plain.homogenize(EXACT).tangent
    assert np.linalg.eigvalsh(0.5 * (stiffer + stiffer.T)).min() > -1e-12


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda n: Admissible(np.arange(n - 1), np.zeros(n, dtype=bool)), "masters of shape"),
        (lambda n: Admissible(np.arange(n), np.zeros(n)), "fixed is a mask"),
        (lambda n: Admissible(np.arange(n) + 1, np.zeros(n, dtype=bool)), "they are numbers of degrees of"),
        (lambda n: Admissible(np.roll(np.arange(n), 1), np.zeros(n, dtype=bool)), "a master copies itself"),
    ],
)
def test_condition_that_does_not_fit_is_refused(answer, message) -> None:
    condition = BoundaryCondition("mine", lambda cell, form, fields: answer(len(form.modes)))
    with pytest.raises(InputError, match=f"'mine'.*{message}"):
        small_strain(two_phases(PATTERN), PHASES, boundary=condition)
