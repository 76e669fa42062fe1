"""Non-linear image cells on their grid: the same answers as with mesh and matrix, which is factorized."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from case_files import RUN, changed, write
from mpi4py import MPI

import fe2
from fe2.cli.main import run
from fe2.errors import InputError, MicroSolveError
from fe2.io.history import read_history
from fe2.micro.array_law import ArrayLaw
from fe2.micro.grid_table import OnGrid
from fe2.micro.image_rve import ImageRVE
from fe2.micro.model_table import Setting
from fe2.testing import check_micro_model

Array = npt.NDArray[np.float64]

SIZES = (1.0, 0.5, 2.0)
TIGHT = fe2.NewtonOptions(tolerance=1e-10)
PLASTIC = fe2.J2Plasticity(70e3, 0.3, 100.0, hardening=700.0, kinematic_hardening=300.0)
NORTON = fe2.NortonPerzyna(70e3, 0.3, 100.0, reference_rate=1e-3, exponent=4.0, hardening=700.0)
SOFT, HARD = fe2.NeoHookean(1.0, 0.3), fe2.NeoHookean(10.0, 0.2)
STIFF = fe2.LinearElastic.isotropic(400e3, 0.2)


def image(dim: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(3).choice(2, (5, 4, 3)[:dim], p=[0.7, 0.3])


def rve(
    dim: int, a: fe2.PhaseLaw, b: fe2.PhaseLaw, make: Callable[..., fe2.RVE] = fe2.small_strain
) -> ImageRVE:
    cell = fe2.image_cell(image(dim), {"a": 0, "b": 1}, voxel_size=SIZES[:dim])
    made = make(cell, {"a": a, "b": b}, options=TIGHT)
    assert isinstance(made, ImageRVE)
    return made


CASES = {
    "J2 in the plane": (2, PLASTIC, STIFF, fe2.small_strain, 4e-3),
    "J2 in space": (3, PLASTIC, STIFF, fe2.small_strain, 4e-3),
    "J2 in both phases": (2, PLASTIC, replace(PLASTIC, yield_stress=50.0), fe2.small_strain, 4e-3),
    "Voce, a point law": (2, fe2.VocePlasticity(70e3, 0.3, 100.0, 50.0, 30.0), STIFF, fe2.small_strain, 4e-3),
    "rate-dependent": (2, NORTON, STIFF, fe2.small_strain, 4e-3),
    "voids": (2, PLASTIC, fe2.Void(), fe2.small_strain, 1e-3),
    "finite strain": (2, SOFT, HARD, fe2.finite_strain, 0.1),
    "finite strain in space": (3, SOFT, HARD, fe2.finite_strain, 0.1),
}


@pytest.mark.parametrize("case", CASES)
def test_flux_tangent_and_history_are_those_of_the_mesh(case: str) -> None:
    """Loading, more of it, unloading."""
    *made, amplitude = CASES[case]
    mesh = rve(*made)
    grid = mesh.on_grid()
    gradient = np.random.default_rng(1).normal(size=mesh.kinematics.size)
    gradient *= amplitude / np.linalg.norm(gradient)
    states = [mesh.initial_state(), grid.initial_state()]
    for part in (0.4, 1.0, 0.3):
        answers = []
        for k, model in enumerate((mesh, grid)):
            new = states[k].copy()
            answers.append(model.solve(part * gradient, states[k], 1.0, new))
            states[k] = new
        expected, found = answers
        scale = np.abs(expected.tangent).max()
        np.testing.assert_allclose(
            found.flux, expected.flux, rtol=0.0, atol=1e-8 * np.abs(expected.flux).max()
        )
        np.testing.assert_allclose(found.tangent, expected.tangent, rtol=0.0, atol=1e-7 * scale)
        averages = mesh.averages(states[0][None])
        for name, values in grid.averages(states[1][None]).items():
            np.testing.assert_allclose(values, averages[name], rtol=1e-6, atol=1e-12)
    assert grid.unknowns == mesh.unknowns or case == "voids"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_layers_in_parallel_flow_each_by_itself(axis: int) -> None:
    """Strain along layers whose faces may move across: with one law everywhere the flux is the law's own."""
    cell = fe2.image_cell(np.arange(27).reshape(3, 3, 3) % 2, {"a": 0, "b": 1})
    model = fe2.small_strain(cell, {"a": PLASTIC, "b": PLASTIC}, options=TIGHT)
    assert isinstance(model, ImageRVE)
    grid = model.on_grid()
    strain = np.zeros(6)
    strain[axis] = 4e-3
    found = grid.solve(strain, grid.initial_state(), 1.0, grid.initial_state())
    shear = 70e3 / 2.6
    increment = (2.0 * shear * 4e-3 - 100.0) / (3.0 * shear + 1000.0)
    stress = 70e3 / 1.2 * 4e-3 + (2.0 * shear * 4e-3 - 3.0 * shear * increment) * 2.0 / 3.0
    assert found.flux[axis] == pytest.approx(stress, rel=1e-12)
    assert found.iterations == 1


def test_it_keeps_the_contract_of_micro_models() -> None:
    check_micro_model(rve(2, PLASTIC, STIFF).on_grid(), amplitude=4e-3)


def test_units_change_nothing() -> None:
    small = rve(2, PLASTIC, STIFF).on_grid()
    large = rve(2, fe2.J2Plasticity(70e9, 0.3, 100e6, 700e6, 300e6), fe2.LinearElastic.isotropic(400e9, 0.2))
    gradient = np.array([3e-3, -1e-3, 1e-3])
    found = [m.solve(gradient, m.initial_state(), 1.0, m.initial_state()) for m in (small, large.on_grid())]
    assert found[0].iterations == found[1].iterations
    np.testing.assert_allclose(1e6 * found[0].flux, found[1].flux, rtol=1e-9)


def test_states_take_half_a_kilobyte_a_voxel() -> None:
    """A fluctuation, and at eight points a plastic strain and its equivalent where there is plasticity."""
    model = rve(3, PLASTIC, STIFF).on_grid()
    plastic = int(np.sum(image(3) == 0))
    assert model.state_size == 6 + 60 * 3 + plastic * 8 * 7
    assert 8 * model.state_size / 60 < 500


def test_what_has_no_equilibrium_is_a_failure_of_the_point() -> None:
    model = rve(2, SOFT, HARD, fe2.finite_strain).on_grid()
    with pytest.raises(MicroSolveError, match="is not positive somewhere"):
        model.solve(np.array([-1.5, 0.0, 0.0, 0.0]), model.initial_state(), 1.0, model.initial_state())


def test_laws_that_the_grid_cannot_take_are_named() -> None:
    steel = {"young": [1.0], "poisson": [0.3], "yield_stress": [1.0], "hardening": [0.1]}
    field = fe2.MaterialField(fe2.J2Plasticity, [0], **steel)
    with pytest.raises(
        InputError, match=r"phase 'a': a field of materials is not evaluated .* take the mesh"
    ):
        rve(2, field, STIFF).on_grid()


@pytest.mark.unit
def test_law_in_ufl_on_arrays_is_linear_where_it_is() -> None:
    law = ArrayLaw(fe2.LinearElastic.cubic(3.0, 1.0, 2.0), 6)
    np.testing.assert_allclose(law.linear, fe2.LinearElastic.cubic(3.0, 1.0, 2.0).stiffness, rtol=1e-14)
    assert ArrayLaw(PLASTIC, 6).linear is None


@pytest.mark.unit
def test_tangent_of_a_law_on_arrays_is_its_derivative() -> None:
    random, law = np.random.default_rng(0), ArrayLaw(PLASTIC, 6)
    strains = 3e-3 * random.normal(size=(6, 20))
    history = {
        "plastic_strain": 1e-4 * random.normal(size=(6, 20)),
        "equivalent_plastic_strain": np.full((1, 20), 1e-3),
    }
    upper = law(np, strains, history, 1.0)[1]
    rows, columns = np.triu_indices(6)
    for k, (i, j) in enumerate(zip(rows, columns, strict=True)):
        step = np.zeros((6, 1))
        step[j] = 1e-8
        plus, minus = (np.broadcast_to(law(np, strains + s * step, history, 1.0)[0][i], 20) for s in (1, -1))
        np.testing.assert_allclose(np.broadcast_to(upper[k], 20), (plus - minus) / 2e-8, rtol=0.0, atol=1.0)


def test_run_file_with_cells_on_their_grid(tmp_path: Path) -> None:
    """Reactions of a strip that is pulled and let back are those of the cells with a mesh."""
    steel = {"law": "j2_plasticity", "young": 200.0, "poisson": 0.3, "yield_stress": 0.2, "hardening": 2.0}
    cell = {
        "cell": {"image": "labels.npy", "voxel_size": 0.25, "physics": "small_strain"},
        "phases": {
            "matrix": {"label": 0, **steel},
            "fibre": {"label": 1, "law": "linear_elastic", "young": 400.0, "poisson": 0.2},
        },
    }
    write(tmp_path, cell, "cell.toml")
    boundary = [
        {"on": "left", "fixed": ["x", "y"]},
        {"on": "right", "name": "grip", "prescribed": {"x": [[0, 0], [1, 0.01], [2, 0]]}},
    ]
    reactions = {}
    for model in ("rve", "grid"):
        output = {"folder": model, "reactions": ["grip"]}
        law = {"steel": {"cell": "cell.toml", "model": model}}
        case = changed(RUN, laws=law, boundary=boundary, body=[], output=output, solver={})
        assert run(["run", str(write(tmp_path, case, f"{model}.toml")), "-q"]) == 0
        reactions[model] = read_history(tmp_path / model)["grip_x"]
    np.testing.assert_allclose(reactions["grid"], reactions["rve"], rtol=1e-6)


def test_cell_that_has_no_grid_is_refused() -> None:
    cell = fe2.image_cell(image(2), {"a": 0, "b": 1})
    made = fe2.small_strain(cell, {"a": PLASTIC, "b": STIFF}, boundary="linear")
    setting = Setting(made.kinematics, Path(), MPI.COMM_SELF, made)
    with pytest.raises(InputError, match=r'"grid" is for periodic images of degree 1.*this cell takes "rve"'):
        OnGrid(cell="cell.toml").build(setting)
