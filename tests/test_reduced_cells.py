"""Reduced cells: exact where they have to be, positive weights, consistent tangents, no extrapolation."""

from __future__ import annotations

import json

import fe2  # noqa: F401  # isort: skip  # before dolfinx

import h5py
import numpy as np
import pytest
import two_scale
import ufl
from cells import laminate, random_image, two_phases
from reduced_cells import AMPLITUDE, last_state, plastic_reduction, plastic_training, straight, unseen

from fe2.errors import InputError, MicroSolveError, OutsideRangeError
from fe2.hierarchical.basis import proper_orthogonal_decomposition, virgin_stiffness
from fe2.hierarchical.cubature import all_cells
from fe2.hierarchical.indicator import along
from fe2.hierarchical.paths import Path, directions, random_walks
from fe2.hierarchical.reduced_rve import ReducedRVE
from fe2.hierarchical.reduction import reduce
from fe2.hierarchical.solved_path import solve_path
from fe2.hierarchical.storage import load, save
from fe2.hierarchical.trained_range import trained_range
from fe2.hierarchical.training import train
from fe2.micro.boundary import BOUNDARY_CONDITIONS
from fe2.micro.diffusion import diffusion
from fe2.micro.finite_strain import finite_strain
from fe2.micro.newton import NewtonOptions
from fe2.micro.pore_flow import pore_flow
from fe2.micro.small_strain import small_strain
from fe2.physics.conduction import LinearConduction, NonlinearConduction
from fe2.physics.elasticity import LinearElastic
from fe2.physics.neo_hookean import NeoHookean
from fe2.physics.pore_flow import NewtonianFluid
from fe2.physics.viscoplasticity import NortonPerzyna

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

TIGHT = NewtonOptions(tolerance=1e-12)


def answer(model, gradient, state=None, dt=1.0):
    state = model.initial_state() if state is None else state
    out = state.copy()
    return model.solve(np.asarray(gradient, dtype=float), state, dt, out), out


# ---- exactness


@pytest.mark.parametrize("boundary", BOUNDARY_CONDITIONS)
def test_linear_cell_is_exact_with_as_many_modes_as_components(boundary):
    """The fluctuations of a linear cell are combinations of m fields; so are its forces."""
    laws = {"a": two_scale.SOFT, "b": two_scale.STIFF}
    rve = small_strain(random_image(2, 5), laws, boundary=boundary, options=TIGHT)
    reduction = reduce(rve, straight(rve, 1e-3, 1), tolerance=1e-9, cubature_tolerance=1e-9, held_out=[])
    assert reduction.report.modes == 3
    assert reduction.report.cells < 25
    reduced = reduction.model()
    gradient = 1e-4 * np.array([1.0, -3.0, 2.0])
    found, expected = answer(reduced, gradient)[0], answer(rve, gradient)[0]
    # round-off in the singular vectors of the forces, 1e-9 of which were left out at most
    np.testing.assert_allclose(found.flux, expected.flux, rtol=0.0, atol=1e-8 * np.abs(expected.flux).max())
    scale = np.abs(expected.tangent).max()
    np.testing.assert_allclose(found.tangent, expected.tangent, rtol=0.0, atol=1e-8 * scale)


def test_all_modes_and_all_mesh_cells_are_the_full_cell():
    """Nothing is left out: both solve the same equations, each to its tolerance."""
    rve = two_scale.plastic_rve()
    virgin = virgin_stiffness(rve.problem, rve.initial_state())
    basis = proper_orthogonal_decomposition(np.eye(rve.unknowns), virgin, tolerance=0.0)
    assert basis.size == rve.unknowns
    np.testing.assert_allclose(basis.modes.T @ basis.dual, np.eye(basis.size), atol=1e-10)
    count = rve.cell.mesh.topology.index_map(2).size_local
    trained = trained_range(rve.form, unseen())
    reduced = ReducedRVE(rve, basis, all_cells(count), trained, NewtonOptions(tolerance=1e-12))
    for path in unseen()[:1]:
        scale = np.abs(path.fluxes).max()
        # the full cell is solved to 1e-10 of the forces
        np.testing.assert_allclose(along(reduced, path), path.fluxes, rtol=0.0, atol=1e-7 * scale)
        full, few = last_state(rve, path), last_state(reduced, path)
        for name, expected in rve.averages(full[None]).items():
            error = np.abs(reduced.averages(few[None])[name] - expected).max()
            assert error < 1e-7 * np.abs(expected).max()


@pytest.mark.parametrize("tolerance", [0.1, 0.03, 0.003])
def test_training_paths_are_reproduced_to_the_tolerance_of_the_modes(tolerance):
    """The error of the stress is one of energy: it falls with the square of the fluctuations' error, and
    stays below the error itself where a cell hardens."""
    reduction = reduce(
        two_scale.plastic_rve(),
        plastic_training(),
        tolerance=tolerance,
        cubature_tolerance=0.0,
        held_out=[],
    )
    assert reduction.fine.basis.left_out <= tolerance
    assert reduction.report.training_error < tolerance


def test_cells_chosen_by_the_cubature_reproduce_paths_that_were_not_trained():
    reduction = plastic_reduction()
    assert reduction.report.cells < reduction.report.all_cells
    for path in unseen():
        errors = np.linalg.norm(along(reduction.model(), path) - path.fluxes, axis=1)
        assert errors.max() < 0.02 * reduction.flux_scale


# ---- the cubature


@pytest.mark.parametrize("tolerance", [0.1, 0.02])
def test_weights_are_positive_and_add_up_to_the_volume_of_each_phase(tolerance):
    rve, cubature = two_scale.plastic_rve(), plastic_reduction(tolerance).fine.cubature
    assert np.all(cubature.weights > 0.0)
    assert np.all(np.diff(cubature.cells) > 0)
    volumes = np.full(16, rve.cell.volume / 16)  # four by four equal elements
    phases = rve.cell.phases.values[cubature.cells]
    for number, name in enumerate(rve.cell.names):
        chosen = phases == number
        volume = np.sum(cubature.weights[chosen] * volumes[cubature.cells[chosen]])
        np.testing.assert_allclose(volume, rve.cell.volume_fractions[name] * rve.cell.volume, rtol=1e-10)


def test_more_conditions_leave_less_out():
    errors = [plastic_reduction(tolerance).fine.cubature.error for tolerance in (0.1, 0.02)]
    assert errors[1] <= errors[0]
    assert plastic_reduction(0.02).fine.cubature.residual < 1e-10


# ---- tangents and states


@pytest.mark.parametrize("steps", [3, 9])
def test_tangent_is_symmetric_and_consistent(steps):
    """Against central differences, loading and after a reversal."""
    model, path = plastic_reduction().model(), unseen()[0]
    state = last_state(model, path, steps)
    gradient, dt = path.gradients[steps], float(path.steps[steps])
    tangent = answer(model, gradient, state, dt)[0].tangent
    np.testing.assert_allclose(tangent, tangent.T, atol=1e-10 * np.abs(tangent).max())
    width = 1e-7
    columns = [
        (answer(model, gradient + h, state, dt)[0].flux - answer(model, gradient - h, state, dt)[0].flux)
        / (2 * width)
        for h in width * np.eye(3)
    ]
    np.testing.assert_allclose(tangent, np.transpose(columns), atol=1e-5 * np.abs(tangent).max())


def test_a_full_state_is_handed_over_with_its_history():
    """The history at the chosen mesh cells is that of the whole cell; the next step continues from it."""
    rve, model, path = two_scale.plastic_rve(), plastic_reduction().model(), unseen()[0]
    full = last_state(rve, path, 7)
    handed = model.from_full(full)
    mesh_cells = model.cubature.cells
    for (variable, values), (twin, few) in zip(
        rve.problem.history_of(full[None]), model.history_of(handed[None]), strict=True
    ):
        kept = np.isin(variable.cells, mesh_cells)
        expected = values[0].reshape(len(variable.cells), -1, variable.components)[kept]
        np.testing.assert_array_equal(few[0].reshape(expected.shape), expected)
        assert twin.name == variable.name
    flux = answer(model, path.gradients[7], handed, float(path.steps[7]))[0].flux
    assert np.linalg.norm(flux - path.fluxes[7]) < 0.02 * plastic_reduction().flux_scale


def test_what_a_state_needs_to_continue_lasts():
    """The tail only saves work: a row whose tail is the virgin one gives the same answer."""
    model, path = plastic_reduction().model(), unseen()[0]
    row = last_state(model, path, 5)
    restored = model.initial_state()
    restored[: model.lasting_size] = row[: model.lasting_size]
    a, b = (answer(model, path.gradients[5], r, float(path.steps[5]))[0].flux for r in (row, restored))
    np.testing.assert_allclose(a, b, rtol=0.0, atol=1e-6 * plastic_reduction().flux_scale[0])


def test_increment_that_fails_as_a_whole_is_taken_in_parts():
    """As whole cells do, with the derivative through the history of all parts."""
    whole, path = plastic_reduction(0.02).model(), unseen()[0]
    few = NewtonOptions(max_iterations=5)
    model = ReducedRVE(whole.rve, whole.basis, whole.cubature, whole.trained, few)
    gradient, width = 1.4 * path.gradients[4], 1e-8
    assert answer(whole, gradient)[0].iterations > few.max_iterations + 1
    found = answer(model, gradient)[0]
    columns = [
        (answer(model, gradient + h)[0].flux - answer(model, gradient - h)[0].flux) / (2 * width)
        for h in width * np.eye(3)
    ]
    np.testing.assert_allclose(found.tangent, np.transpose(columns), atol=1e-6 * np.abs(found.tangent).max())


# ---- other physics, and where there is none


def test_finite_strain():
    laws = {"a": NeoHookean(2.6, 0.3), "b": NeoHookean(24.0, 0.2)}
    rve = finite_strain(random_image(2, 4), laws)
    reduction = reduce(rve, straight(rve, 0.1), tolerance=1e-3)
    assert reduction.report.held_out_error < 0.01
    tangent = answer(reduction.model(), 0.05 * np.array([1.0, 0.4, -0.3, 0.2]))[0].tangent
    np.testing.assert_allclose(tangent, tangent.T, atol=1e-10 * np.abs(tangent).max())


def test_conduction_that_stores_and_depends_on_the_value():
    law = NonlinearConduction(lambda T: 1.0 + 0.3 * T**2, enthalpy=lambda T: 2.0 * T + ufl.exp(0.5 * T))
    rve = diffusion(random_image(2, 4), {"a": law, "b": LinearConduction(20.0, capacity=3.0)}, value=True)
    reduction = reduce(rve, random_walks(rve.kinematics, 1.0, count=8, corners=2, steps=4), tolerance=1e-3)
    assert reduction.report.held_out_error < 0.01
    assert reduction.trained.longest_step == np.inf  # the rate of what is stored is the macroscopic scale's


def test_point_laws():
    law = NortonPerzyna(70e3, 0.3, 100.0, 1e-3, 3.0)
    rve = small_strain(two_scale.fibre_cell(), {"matrix": law, "fibre": two_scale.STIFF})
    reduction = reduce(rve, straight(rve, AMPLITUDE), tolerance=0.01, held_out=[])
    assert reduction.report.cells < reduction.report.all_cells
    assert reduction.report.training_error < 0.01
    longest = reduction.trained.longest_step
    with pytest.raises(OutsideRangeError, match=f"a time step of {2.0 * longest:g} is longer"):
        answer(reduction.model(), [0.0, 0.0, 0.0], dt=2.0 * longest)


def test_pore_flow_is_refused():
    image = np.zeros((6, 6), dtype=int)
    image[1:3, 1:3] = 1
    rve = pore_flow(two_phases(image), {"a": NewtonianFluid(1.0)})
    with pytest.raises(InputError, match="cannot be reduced"):
        reduce(rve, straight(rve, 1.0))


def test_contact_resistance_is_refused():
    laws = {"a": LinearConduction(1.0), "b": LinearConduction(3.0)}
    rve = diffusion(laminate("triangle", 0), laws, contact={("a", "b"): 0.5})
    with pytest.raises(InputError, match="integrals over facets"):
        reduce(rve, straight(rve, 1.0))


def test_a_homogeneous_cell_has_no_modes():
    rve = small_strain(two_scale.fibre_cell(), dict.fromkeys(("matrix", "fibre"), two_scale.SOFT))
    with pytest.raises(InputError, match="a basis of zero modes"):
        reduce(rve, straight(rve, 1e-3))


# ---- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 1.0}, "tolerance = 1.0"),
        ({"cubature_tolerance": -0.1}, "cubature_tolerance = -0.1"),
        ({"modes": 0}, "modes = 0"),
    ],
)
def test_options_that_cannot_be_are_refused_before_any_work(options, message):
    with pytest.raises(InputError, match=message):
        reduce(two_scale.elastic_rve(), [], **options)


def test_training_needs_a_path_that_fits():
    with pytest.raises(InputError, match="one path at least"):
        reduce(two_scale.elastic_rve(), [])
    with pytest.raises(InputError, match="takes 3: xx, yy, xy"):
        solve_path(two_scale.elastic_rve(), Path(np.ones(1), np.zeros((1, 2))))
    with pytest.raises(InputError, match="have to be positive and to increase"):
        Path(np.array([1.0, 1.0]), np.zeros((2, 3)))


def test_paths_that_were_solved_before_need_their_states():
    rve, paths = two_scale.plastic_rve(), straight(two_scale.plastic_rve(), AMPLITUDE)
    solved = [solve_path(rve, path, tangents=False) for path in paths]
    once, again = (reduce(rve, given, held_out=[]) for given in (paths, solved))
    np.testing.assert_array_equal(again.fine.cubature.cells, once.fine.cubature.cells)
    np.testing.assert_allclose(again.fine.basis.modes, once.fine.basis.modes, rtol=1e-12)
    with pytest.raises(InputError, match="sample it with states"):
        reduce(rve, [solve_path(rve, paths[0], states=False)])


def test_nothing_is_extrapolated():
    model = plastic_reduction().model()
    gradient = 1.2 * plastic_reduction().trained.scale * np.array([1.0, 1.0, 1.0])
    with pytest.raises(OutsideRangeError, match="outside of the trained range, at"):
        answer(model, gradient)
    with pytest.raises(MicroSolveError):
        answer(model, np.full(3, np.nan))


def test_components_that_were_not_trained_are_outside():
    rve = two_scale.elastic_rve()
    path = Path(np.array([1.0, 2.0]), np.array([[1e-3, 0.0, 0.0], [1e-3, 1e-3, 0.0]]))
    trained = reduce(rve, [path], held_out=[], tolerance=1e-6).trained
    assert trained.contains(np.array([1e-3, 0.5e-3, 0.0]), 1.0)
    assert not trained.contains(np.array([0.0, 0.0, 1e-5]), 1.0)


def test_a_step_that_fails_is_cut_and_recorded():
    law = LinearElastic.isotropic(1.0, 0.3)
    rve = small_strain(two_scale.fibre_cell(), {"matrix": law, "fibre": two_scale.STIFF})
    failing = rve.solve

    def solve(gradient, state, dt, out):
        if dt > 0.3:
            raise MicroSolveError("too long")
        return failing(gradient, state, dt, out)

    rve.solve = solve  # type: ignore[method-assign]
    solved = train(rve, [Path(np.ones(1), np.array([[1e-3, 0.0, 0.0]]))])[0]
    np.testing.assert_allclose(solved.steps, 0.25)
    np.testing.assert_allclose(solved.gradients[:, 0], [0.25e-3, 0.5e-3, 0.75e-3, 1e-3])


@pytest.mark.parametrize("size", [2, 6])
def test_directions_cover_the_sphere_evenly(size):
    """Their mean square is 1/m in every direction, to the discrepancy of the sequence."""
    unit = directions(size, 256)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1.0)
    np.testing.assert_allclose(unit.T @ unit / 256, np.eye(size) / size, atol=0.05)
    np.testing.assert_array_equal(unit, directions(size, 256))
    assert not np.array_equal(unit, directions(size, 256, seed=1))


# ---- files


def test_a_file_holds_all_of_a_reduction(tmp_path):
    reduction, path = plastic_reduction(), unseen()[0]
    save(reduction, tmp_path / "cell.h5")
    again = load(tmp_path / "cell.h5", two_scale.plastic_rve())
    for model in ("model", "coarse_model"):
        first, second = (getattr(one, model) for one in (reduction, again))
        first, second = (one() if callable(one) else one for one in (first, second))
        np.testing.assert_array_equal(along(first, path), along(second, path))
    for name in ("factor", "floor"):
        assert getattr(again.indicator, name) == getattr(reduction.indicator, name)
    assert again.options == reduction.options
    assert again.flux_scale == reduction.flux_scale
    assert len(again.paths) == len(reduction.paths)
    assert again.report.held_out_error == reduction.report.held_out_error


def test_weights_that_are_not_found_are_an_error(monkeypatch):
    """SciPy's non-negative least squares end in a RuntimeError where they run out of iterations."""

    def out_of_iterations(*arguments, **options):
        raise RuntimeError("Maximum number of iterations reached.")

    monkeypatch.setattr("scipy.optimize.nnls", out_of_iterations)
    with pytest.raises(
        InputError, match=r"no positive weights were found for .* cubature_tolerance of 0.005"
    ):
        reduce(two_scale.plastic_rve(), plastic_training(), tolerance=0.01, held_out=[])


def test_a_file_of_another_cell_or_other_laws_is_refused(tmp_path):
    save(plastic_reduction(), tmp_path / "cell.h5")
    for other in (two_scale.uniform_plastic_rve(), two_scale.elastic_rve()):
        with pytest.raises(InputError, match=r"cell.h5: the reduction was made of another"):
            load(tmp_path / "cell.h5", other)
    with h5py.File(tmp_path / "cell.h5", "r+") as file:
        file.attrs["identity"] = json.dumps({**json.loads(file.attrs["identity"]), "fe2": "0.0.1"})
    with pytest.raises(InputError, match=r"fe2 was .?0.0.1"):
        load(tmp_path / "cell.h5", two_scale.plastic_rve())


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "cell.h5").write_text("nothing")
    with pytest.raises(InputError, match=r"cell.h5 cannot be read as a reduction"):
        load(tmp_path / "cell.h5", two_scale.plastic_rve())
    with pytest.raises(InputError, match=r"missing.h5"):
        load(tmp_path / "missing.h5", two_scale.plastic_rve())
    with pytest.raises(InputError, match=r"has to end in .h5"):
        save(plastic_reduction(), tmp_path / "cell.txt")
