"""What every phase law has to fulfil at a single point: tangents, sizes, history, refused parameters."""

from __future__ import annotations

import numpy as np
import pytest

import fe2
from fe2.errors import InputError, LocalSolveError
from fe2.physics.elasticity import LinearElastic
from fe2.physics.law import Array, PhaseLaw, PointLaw
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.radial_return import newton
from fe2.physics.viscoplasticity import NortonPerzyna
from fe2.physics.voce import VocePlasticity
from fe2.tensors import positions_in_full, rotation_from_bunge
from fe2.testing.material_point import difference_tangent, drive, respond, virgin

pytestmark = pytest.mark.unit

STEEL = {"young": 200e3, "poisson": 0.3}  # MPa
LAWS: dict[str, PhaseLaw] = {
    "isotropic": LinearElastic.isotropic(**STEEL),
    "cubic": LinearElastic.cubic(168.4e3, 121.4e3, 75.4e3, rotation_from_bunge(30.0, 50.0, -20.0)),
    "j2": J2Plasticity(**STEEL, yield_stress=400.0, hardening=2e3, kinematic_hardening=5e3),
    "j2 perfect": J2Plasticity(**STEEL, yield_stress=400.0),
    "voce": VocePlasticity(**STEEL, yield_stress=400.0, saturation_stress=150.0, saturation_rate=80.0),
    "voce mixed": VocePlasticity(
        **STEEL,
        yield_stress=400.0,
        saturation_stress=150.0,
        saturation_rate=80.0,
        hardening=1e3,
        kinematic_hardening=4e3,
    ),
    "perzyna": NortonPerzyna(
        **STEEL,
        yield_stress=400.0,
        reference_rate=1e-3,
        exponent=5.0,
        hardening=2e3,
        kinematic_hardening=5e3,
    ),
    "norton": NortonPerzyna(
        **STEEL, yield_stress=0.0, reference_rate=1e-3, exponent=12.0, reference_stress=400.0
    ),
}
INELASTIC = [name for name in LAWS if name not in ("isotropic", "cubic")]
PLASTIC = [name for name in INELASTIC if name not in ("perzyna", "norton")]
# Strains in units of 1e-3 without out-of-plane shear, so that both sizes see the same material state.
STATES = {
    "virgin": [[0, 0, 0, 0, 0, 0]],
    "elastic": [[0.4, -0.2, 0.1, 0, 0, 0.3]],
    "loading": [[4, -2, 1, 0, 0, 3], [8, -2, -1, 0, 0, 9]],
    "unloading": [[8, -2, -1, 0, 0, 9], [7.3, -2, -1, 0, 0, 8.6]],
    "reverse loading": [[8, -2, -1, 0, 0, 9], [2, -1, 0, 0, 0, -4]],
    "reloading": [[8, -2, -1, 0, 0, 9], [2, -1, 0, 0, 0, -4], [10, -4, 1, 0, 0, 7]],
}
DT = 0.5
OTHERS: list[tuple[type, dict[str, object]]] = [
    (LinearElastic, {"stiffness": np.eye(6)}),
    (J2Plasticity, {**STEEL, "yield_stress": 400.0, "hardening": 2e3, "kinematic_hardening": 5e3}),
    (VocePlasticity, {**STEEL, "yield_stress": 400.0, "saturation_stress": 150.0, "saturation_rate": 80.0}),
    (NortonPerzyna, {**STEEL, "yield_stress": 400.0, "reference_rate": 1e-3, "exponent": 5.0}),
    (fe2.NeoHookean, STEEL),
    (fe2.MooneyRivlin, {"c10": 0.5, "c01": 0.1, "bulk": 1e3}),
    (
        fe2.HolzapfelGasserOgden,
        {
            "shear": 1.0,
            "fibre_stiffness": 2.0,
            "fibre_exponent": 3.0,
            "bulk": 50.0,
            "directions": [[1.0, 0.0], [1.0, 1.0]],
            "dispersion": 0.1,
        },
    ),
    (fe2.LinearConduction, {"conductivity": 1.0, "capacity": 2.0}),
    (fe2.LinearConduction, {"conductivity": [[1.0, 0.1], [0.1, 2.0]]}),
    (fe2.NewtonianFluid, {"viscosity": 1.0, "density": 1.0}),
]
PARAMETERS = [(law, given, name) for law, given in OTHERS for name in given]


@pytest.fixture(params=LAWS)
def law(request: pytest.FixtureRequest) -> PhaseLaw:
    return LAWS[request.param]


@pytest.fixture(params=[4, 6])
def size(request: pytest.FixtureRequest) -> int:
    return request.param


def path_of(state: str, size: int) -> list[Array]:
    return [1e-3 * np.array(strain, dtype=float)[list(positions_in_full(size))] for strain in STATES[state]]


def history_before(law: PhaseLaw, path: list[Array]) -> dict[str, Array]:
    return drive(law, path[:-1], DT)[-1].history if len(path) > 1 else virgin(law, 1, len(path[0]))


@pytest.mark.parametrize("state", STATES)
def test_tangent_agrees_with_central_differences_and_is_symmetric(law, size, state):
    path = path_of(state, size)
    history = history_before(law, path)
    tangent = respond(law, path[-1][None], history, DT).tangent[0]
    differences = difference_tangent(law, path[-1], history, DT, np.eye(size), width=1e-8)
    scale = np.max(np.abs(tangent))
    assert np.max(np.abs(tangent - differences)) < 1e-6 * scale
    assert law.symmetric
    assert np.max(np.abs(tangent - tangent.T)) < 1e-12 * scale


@pytest.mark.parametrize("name", INELASTIC)
def test_states_are_what_they_are_called(name, size):
    """Guards the test above: the law flows where the state's name says so, and nowhere else."""
    for state in STATES:
        path = path_of(state, size)
        history = history_before(LAWS[name], path)
        after = respond(LAWS[name], path[-1][None], history, DT).history
        flow = after["equivalent_plastic_strain"] - history["equivalent_plastic_strain"]
        if state in ("loading", "reverse loading", "reloading"):
            assert flow > 1e-4
        elif name in PLASTIC:
            assert flow == 0.0


@pytest.mark.parametrize("name", PLASTIC)
def test_neutral_loading_is_elastic_to_first_order(name, size):
    """Along the yield surface the elastic and the plastic tangent agree, and so do differences."""
    law = LAWS[name]
    path = path_of("loading", size)
    state = drive(law, path)[-1]
    stiffness = respond(law, np.zeros((1, size)), virgin(law, 1, size)).tangent[0]
    # The flow direction is that of the plastic strain increment; strains orthogonal to it are neutral.
    flow = state.history["plastic_strain"][0] - drive(law, path[:-1])[-1].history["plastic_strain"][0]
    flow /= np.linalg.norm(flow)
    neutral = np.linalg.svd(flow[None])[2][1:]
    differences = difference_tangent(law, path[-1], state.history, 1.0, neutral, width=1e-9)
    at_surface = respond(law, path[-1][None], state.history).tangent[0]
    assert np.allclose(differences, stiffness @ neutral.T, atol=1e-5 * stiffness.max())
    assert np.allclose(at_surface @ neutral.T, stiffness @ neutral.T, atol=1e-10 * stiffness.max())


@pytest.mark.parametrize("name", ["isotropic", *INELASTIC])
def test_plane_strain_is_the_restriction_of_three_dimensions(name):
    rows = list(positions_in_full(4))
    for plane, full in zip(
        drive(LAWS[name], path_of("reloading", 4), DT),
        drive(LAWS[name], path_of("reloading", 6), DT),
        strict=True,
    ):
        assert np.allclose(plane.flux, full.flux[:, rows], rtol=1e-12, atol=1e-10)
        assert np.allclose(plane.tangent, full.tangent[:, rows][:, :, rows], rtol=1e-11, atol=1e-6)
        assert np.allclose(full.flux[:, [3, 4]], 0.0, atol=1e-10)
        for variable, values in plane.history.items():
            kept = full.history[variable][:, rows] if values.shape[1] == 4 else full.history[variable]
            assert np.allclose(values, kept, rtol=1e-12, atol=1e-16)


def test_many_points_at_once_are_many_single_points(law, size):
    strains = np.concatenate([path_of(state, size) for state in STATES])
    history = {name: np.repeat(values, len(strains), axis=0) for name, values in virgin(law, 1, size).items()}
    together = respond(law, strains, history, DT)
    for i, strain in enumerate(strains):
        alone = drive(law, [strain], DT)[0]
        assert np.allclose(together.flux[i], alone.flux[0], rtol=1e-13, atol=1e-12)
        assert np.allclose(together.tangent[i], alone.tangent[0], rtol=1e-12, atol=1e-8)
        assert all(np.allclose(together.history[n][i], alone.history[n][0], rtol=1e-12) for n in history)


def test_history_is_not_modified_and_no_points_are_no_error(law, size):
    path = path_of("loading", size)
    history = history_before(law, path)
    before = {name: values.copy() for name, values in history.items()}
    respond(law, path[-1][None], history, DT)
    assert all(np.array_equal(history[name], before[name]) for name in history)
    if isinstance(law, PointLaw):
        empty = law.respond(np.zeros((0, size)), virgin(law, 0, size), DT)
        assert empty.flux.shape == (0, size)
        assert empty.tangent.shape == (0, size, size)


@pytest.mark.parametrize("name", ["voce", "perzyna"])
def test_local_equation_without_solution_names_the_points(name):
    strains = np.zeros((4, 6))
    strains[1, 0], strains[3, 5] = np.nan, 1e200
    with pytest.raises(LocalSolveError, match="not finite or too large") as failure:
        LAWS[name].respond(strains, virgin(LAWS[name], 4, 6), DT)
    assert failure.value.points == (1, 3)


def test_local_newton_that_does_not_converge_names_the_points_of_the_law():
    """A time step that is no number lets the local equation of the flowing points have no solution."""
    strains = 1e-3 * np.array(
        [[0, 0, 0, 0, 0, 0], [8, 0, 0, 0, 0, 0], [0.1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 9.0]]
    )
    with pytest.raises(LocalSolveError, match="NortonPerzyna: local Newton not converged") as failure:
        LAWS["perzyna"].respond(strains, virgin(LAWS["perzyna"], 4, 6), np.nan)
    assert failure.value.points == (1, 3)


def test_newton_finds_roots_of_independent_equations_and_gives_up_on_a_cycle():
    squares = np.array([4.0, 2.0, 9.0])
    assert np.allclose(newton(lambda x: (squares - x * x) / (2.0 * x), squares), np.sqrt(squares), rtol=1e-15)
    with pytest.raises(LocalSolveError) as failure:
        newton(lambda x: np.array([0.0, -2.0]) * x, np.ones(2))
    assert failure.value.points == (1,)


def test_whole_numbers_become_floats():
    law = J2Plasticity(young=200, poisson=0, yield_stress=1)
    assert all(isinstance(value, float) for value in vars(law).values())


J2 = {**STEEL, "yield_stress": 400.0}
VOCE = {**J2, "saturation_stress": 100.0, "saturation_rate": 10.0}
PERZYNA = {**J2, "reference_rate": 1e-3, "exponent": 5.0}
INVALID = [
    (J2Plasticity, {**J2, "young": -3.0}, "young = -3.0 is not admissible; it must be positive"),
    (J2Plasticity, {**J2, "poisson": 0.5}, "poisson = 0.5 .* must be greater than -1 and less than 0.5"),
    (J2Plasticity, {**J2, "yield_stress": 0}, "yield_stress = 0 is not admissible"),
    (J2Plasticity, {**J2, "hardening": -1.0}, "hardening = -1.0 .* must be zero or positive"),
    (J2Plasticity, {**J2, "kinematic_hardening": np.inf}, "kinematic_hardening = inf is not admissible"),
    (VocePlasticity, {**VOCE, "young": 0.0}, "young = 0.0 is not admissible; it must be positive"),
    (VocePlasticity, {**VOCE, "saturation_stress": -1.0}, "saturation_stress = -1.0 is not admissible"),
    (VocePlasticity, {**VOCE, "saturation_rate": np.nan}, "saturation_rate = nan is not admissible"),
    (VocePlasticity, {**VOCE, "kinematic_hardening": -1.0}, "kinematic_hardening = -1.0 is not admissible"),
    (NortonPerzyna, {**PERZYNA, "exponent": 0.5}, "exponent = 0.5 is not admissible; it must be at least 1"),
    (NortonPerzyna, {**PERZYNA, "reference_rate": 0.0}, "reference_rate = 0.0 is not admissible"),
    (NortonPerzyna, {**PERZYNA, "reference_stress": -2.0}, "reference_stress = -2.0 is not admissible"),
    (NortonPerzyna, {**PERZYNA, "yield_stress": 0.0}, "reference_stress is missing"),
    (NortonPerzyna, {**PERZYNA, "hardening": None}, "hardening = None is not admissible"),
]


@pytest.mark.parametrize(("kind", "parameters", "message"), INVALID)
def test_invalid_parameters_are_refused_with_name_value_and_range(kind, parameters, message):
    with pytest.raises(InputError, match=f"^{kind.__name__}: {message}"):
        kind(**parameters)


@pytest.mark.parametrize(
    "bad", [np.nan, np.inf, -np.inf, 1e-308, 5e-324, 1e-200, 1e200, pytest.param(10**400, id="huge")]
)
@pytest.mark.parametrize(("law", "given", "name"), PARAMETERS)
def test_numbers_with_which_a_law_cannot_compute_are_refused(law, given, name, bad):
    """Whatever is normalized, squared or divided by would leave the range of double precision."""
    value = given[name]
    wrong = [[bad if x else 0.0 for x in row] for row in value] if np.ndim(value) else bad
    with pytest.raises(InputError, match=f"{law.__name__}: {name}"):
        law(**{**given, name: wrong})


@pytest.mark.parametrize("size", [1e-90, 1e-20, 1e20, 1e90])
def test_length_of_a_direction_does_not_matter(size):
    given = dict(OTHERS[6][1])
    expected = fe2.HolzapfelGasserOgden(**given).directions
    given["directions"] = size * np.array(given["directions"])
    np.testing.assert_allclose(fe2.HolzapfelGasserOgden(**given).directions, expected, rtol=1e-15)
