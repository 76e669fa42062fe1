"""Fields of materials: one law with parameters for each label, against phases and exact solutions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
from cells import box_mesh, laminate, midpoints
from initial_history import Fading, PointwiseFading

import fe2
from fe2.hierarchical.restriction import restrict
from fe2.identity import difference
from fe2.micro.cell import make_cell
from fe2.micro.effective import effective_properties
from fe2.micro.rve import RVE
from fe2.stiffness import bulk_modulus, shear_modulus
from fe2.tensors import rotate_stiffness, rotation_from_bunge

Array = np.ndarray
RNG = np.random.default_rng(4)
ANGLES = RNG.uniform(0.0, 360.0, size=(3, 4))
COPPER = {"c11": 168.4, "c12": 121.4, "c44": 75.4}  # GPa
EXACT = fe2.GridOptions(tolerance=1e-12)
GRADIENT = {"small_strain": 4e-3, "finite_strain": 0.2, "diffusion": 1.0, "thermoelasticity": 4e-3}


@dataclass(frozen=True)
class Case:
    """A law with four sets of parameters, and the factory that takes it."""

    make: Callable[..., Any]
    parameters: Mapping[str, Any]
    physics: str = "small_strain"
    dim: int = 2
    options: Mapping[str, Any] = field(default_factory=dict)

    def laws(self) -> dict[int, Any]:
        """The law of each label, without the field's own way of making them."""
        rows = [
            {name: value if np.ndim(value) == 0 else value[row] for name, value in self.parameters.items()}
            for row in range(4)
        ]
        return {row: self.make(**parameters) for row, parameters in enumerate(rows)}

    def made(self) -> fe2.MaterialField:
        return fe2.MaterialField(self.make, range(4), **self.parameters)

    def rve(self, image: Array, phases: Mapping[str, Any], laws: Mapping[str, Any]) -> RVE:
        return getattr(fe2, self.physics)(fe2.image_cell(image, phases), laws, **self.options)


YOUNG = np.array([200e3, 150e3, 100e3, 70e3])
CASES = {
    "J2": Case(
        fe2.J2Plasticity, {"young": YOUNG, "poisson": 0.3, "yield_stress": YOUNG / 500, "hardening": 2e3}
    ),
    "Voce": Case(
        fe2.VocePlasticity,
        {
            "young": YOUNG,
            "poisson": [0.1, 0.2, 0.3, 0.35],
            "yield_stress": YOUNG / 500,
            "saturation_stress": 100.0,
            "saturation_rate": [10.0, 20.0, 30.0, 40.0],
            "kinematic_hardening": [0.0, 1e3, 0.0, 2e3],
        },
    ),
    "Norton": Case(
        fe2.NortonPerzyna,
        {
            "young": YOUNG,
            "poisson": 0.3,
            "yield_stress": YOUNG / 1000,
            "reference_rate": 1e-3,
            "exponent": [1.0, 2.0, 3.0, 8.0],
        },
    ),
    "cubic crystals": Case(
        fe2.LinearElastic.cubic, {**COPPER, "orientation": rotation_from_bunge(*ANGLES)}, dim=3
    ),
    "neo-Hooke": Case(fe2.NeoHookean, {"young": YOUNG, "poisson": [0.2, 0.3, 0.4, 0.45]}, "finite_strain"),
    "neo-Hooke with a pressure": Case(
        fe2.NeoHookean,
        {"young": YOUNG, "poisson": [0.4, 0.45, 0.49, 0.499]},
        "finite_strain",
        options={"incompressible": ("all",)},
    ),
    "Holzapfel": Case(
        fe2.HolzapfelGasserOgden,
        {
            "shear": [1.0, 2.0, 3.0, 4.0],
            "fibre_stiffness": 2.0,
            "fibre_exponent": 1.5,
            "bulk": 20.0,
            "directions": [
                [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
                *[[[1.0, k, 0.0], [k, -1.0, 0.0]] for k in (1, 2, 3)],
            ],
        },
        "finite_strain",
    ),
    "energy of one's own": Case(
        lambda c, bulk: fe2.Hyperelastic(_energy, {"c": c}, bulk),
        {"c": [1.0, 2.0, 3.0, 4.0], "bulk": [10.0, 11.0, 12.0, 13.0]},
        "finite_strain",
    ),
    "conduction": Case(fe2.LinearConduction, {"conductivity": [1.0, 2.0, 3.0, 4.0]}, "diffusion"),
    "conduction of crystals": Case(
        fe2.LinearConduction.oriented,
        {"conductivity": [[1.0, 2.0, 5.0]] * 4, "orientation": rotation_from_bunge(*ANGLES)},
        "diffusion",
    ),
    "thermoelastic": Case(
        fe2.Thermoelastic.isotropic,
        {
            "young": YOUNG,
            "poisson": 0.3,
            "expansion": [1e-5, 2e-5, 0.0, 3e-5],
            "conductivity": [1.0, 2.0, 3.0, 4.0],
            "heat_capacity": [2.0, 3.0, 4.0, 5.0],
        },
        "thermoelasticity",
    ),
    "thermoviscoplastic": Case(
        lambda young, expansion: fe2.Thermoelastic(
            fe2.NortonPerzyna(young, 0.3, young / 1000, 1e-3, 3.0), fe2.LinearConduction(1.0), expansion, 2.0
        ),
        {"young": YOUNG, "expansion": [1e-5, 2e-5, 0.0, 3e-5]},
        "thermoelasticity",
    ),
    "melting": Case(
        fe2.MeltingConduction,
        {
            "conductivity": [1.0, 2.0, 3.0, 4.0],
            "capacity": 2.0,
            "latent_heat": [0.0, 1.0, 2.0, 3.0],
            "solidus": -0.1,
            "liquidus": [0.1, 0.2, 0.3, 0.4],
        },
        "diffusion",
        options={"value": True},
    ),
}


def _energy(F: Any, parameters: Mapping[str, Any]) -> Any:
    import ufl

    return parameters["c"] * (ufl.det(F) ** (-2.0 / 3.0) * ufl.inner(F, F) - 3.0)


def image(dim: int) -> Array:
    """Four labels at random, in 4 x 4 pixels or 3 x 3 x 3 voxels."""
    shape = (4, 4) if dim == 2 else (3, 3, 3)
    return np.random.default_rng(1).permutation(np.arange(np.prod(shape)) % 4).reshape(shape)


def answers(rve: RVE, size: float) -> list[Array]:
    """Flux and tangent of two steps, and the means of the history behind them."""
    state, found = rve.initial_state(), []
    direction = np.cos(1.0 + np.arange(rve.kinematics.size))
    for part in (0.5, 1.0):
        new = np.empty_like(state)
        answer = rve.solve(rve.kinematics.origin + part * size * direction, state, 0.5, new)
        found += [answer.flux, answer.tangent]
        state = new
    return [*found, *rve.averages(state[None]).values()]


def assert_same(one: list[Array], other: list[Array], tolerance: float) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=0.0, atol=tolerance * max(np.abs(b).max(), 1e-300))


@pytest.mark.parametrize("name", [name for name in CASES if name != "neo-Hooke with a pressure"])
def test_field_of_materials_is_the_same_as_a_phase_for_each(name):
    case, labels = CASES[name], image(CASES[name].dim) % 2
    laws = {label: law for label, law in case.laws().items() if label < 2}
    several = case.rve(labels, {f"p{k}": k for k in laws}, {f"p{k}": law for k, law in laws.items()})
    one = case.rve(labels, {"all": range(4)}, {"all": case.made()})
    size = GRADIENT[case.physics]
    assert_same(answers(one, size), answers(several, size), 1e-13 if one.problem.is_linear else 1e-9)


@pytest.mark.parametrize("name", CASES)
def test_field_of_equal_values_is_the_single_law(name):
    case = CASES[name]
    law, labels = case.laws()[1], image(case.dim)
    field = fe2.MaterialField.of(dict.fromkeys(range(4), law))
    single = case.rve(np.zeros_like(labels), {"all": 0}, {"all": law})
    one = case.rve(labels, {"all": range(4)}, {"all": field})
    size = GRADIENT[case.physics]
    assert_same(answers(one, size), answers(single, size), 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["J2", "Voce"])
def test_sixteen_phases_are_one_law(name):
    case, rows = CASES[name], np.arange(16) % 4
    parameters = {
        key: value if np.ndim(value) == 0 else np.asarray(value)[rows] * (1.0 + 0.01 * np.arange(16))
        for key, value in case.parameters.items()
    }
    labels = RNG.permutation(np.arange(64) % 16).reshape(8, 8)
    field = fe2.MaterialField(case.make, range(16), **parameters)
    one = case.rve(labels, {"all": range(16)}, {"all": field})
    laws = {f"p{k}": law for k, law in enumerate(field.materials)}
    several = case.rve(labels, {f"p{k}": k for k in range(16)}, laws)
    assert_same(answers(one, 4e-3), answers(several, 4e-3), 1e-13)


def laminate_of_many(young: Array, poisson: Array) -> Array:
    """Exact stiffness in Mandel components of equal layers across x, in plane strain (Backus 1962)."""
    bulk, shear = bulk_modulus(young, poisson), shear_modulus(young, poisson)
    lame, wave = bulk - 2.0 / 3.0 * shear, bulk + 4.0 / 3.0 * shear
    across = 1.0 / np.mean(1.0 / wave)
    coupling = across * np.mean(lame / wave)
    along = np.mean(wave - lame**2 / wave) + coupling**2 / across
    return np.array([[across, coupling, 0.0], [coupling, along, 0.0], [0.0, 0.0, 2.0 / np.mean(1.0 / shear)]])


@pytest.mark.parametrize("unit", [1.0, 1e9])
def test_laminate_of_graded_layers_matches_exact_stiffness(unit):
    young, poisson = RNG.uniform(1.0, 50.0, size=9) * unit, RNG.uniform(-0.3, 0.45, size=9)
    labels = np.repeat(np.arange(9)[:, None], 3, axis=1)
    field = fe2.MaterialField(fe2.LinearElastic.isotropic, range(9), young=young, poisson=poisson)
    rve = fe2.small_strain(fe2.image_cell(labels, {"layers": range(9)}), {"layers": field})
    exact = laminate_of_many(young, poisson)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # its bounds are those of the layers
        on_grid, on_mesh = rve.homogenize(EXACT), effective_properties(rve)
    for found in (on_grid, on_mesh):
        np.testing.assert_allclose(found.tangent, exact, rtol=0.0, atol=1e-9 * exact.max())
        bounds = found.properties["bounds"]
        assert bounds["reuss"][0, 0] <= exact[0, 0] * (1 + 1e-12)
        np.testing.assert_allclose(
            bounds["voigt"], on_grid.properties["bounds"]["voigt"], rtol=1e-12, atol=1e-9 * unit
        )
        np.testing.assert_allclose(
            bounds["reuss"], on_grid.properties["bounds"]["reuss"], rtol=1e-12, atol=1e-9 * unit
        )
        assert found.volume_fractions == {"layers": pytest.approx(1.0)}


def test_polycrystal_of_one_orientation_has_the_rotated_stiffness():
    turn = rotation_from_bunge(30.0, 50.0, -20.0)
    field = fe2.MaterialField(
        fe2.LinearElastic.cubic, range(27), **COPPER, orientation=np.broadcast_to(turn, (27, 3, 3))
    )
    labels = RNG.permutation(27).reshape(3, 3, 3)
    effective = fe2.small_strain(
        fe2.image_cell(labels, {"grains": range(27)}), {"grains": field}
    ).homogenize()
    rotated = rotate_stiffness(fe2.LinearElastic.cubic(**COPPER).stiffness, turn)
    np.testing.assert_allclose(effective.tangent, rotated, rtol=0.0, atol=1e-12 * rotated.max())
    assert effective.properties["bounds"]["reuss"] == pytest.approx(effective.properties["bounds"]["voigt"])


def test_thin_film_of_crystals_conducts_as_the_block_of_their_matrix_in_the_plane():
    turn = rotation_from_bunge(30.0, 50.0, -20.0)
    law = fe2.LinearConduction.oriented([1.0, 2.0, 5.0], turn)
    effective = fe2.diffusion(fe2.image_cell(np.zeros((3, 3), int), {"a": 0}), {"a": law}).homogenize()
    exact = (turn @ np.diag([1.0, 2.0, 5.0]) @ turn.T)[:2, :2]
    np.testing.assert_allclose(effective.tangent, exact, atol=1e-12)


def test_grid_and_mesh_agree_for_random_crystals_beside_pores():
    rng = np.random.default_rng(0)
    labels = rng.integers(1, 65, size=(7, 7, 7))
    labels[2:4, 2:5, 1:3] = 0
    field = fe2.MaterialField(
        fe2.LinearElastic.cubic,
        range(1, 101),
        **COPPER,
        orientation=rotation_from_bunge(*rng.uniform(0, 360, (3, 100))),
    )
    rve = fe2.small_strain(
        fe2.image_cell(labels, {"pore": 0, "grains": range(1, 101)}), {"pore": fe2.Void(), "grains": field}
    )
    on_grid, on_mesh = rve.homogenize(EXACT), effective_properties(rve)
    np.testing.assert_allclose(on_grid.tangent, on_mesh.tangent, rtol=0.0, atol=1e-9 * on_mesh.tangent.max())
    assert on_grid.volume_fractions == pytest.approx(on_mesh.volume_fractions)


def test_images_of_too_many_materials_are_meshed(monkeypatch):
    monkeypatch.setattr("fe2.micro.image_rve.MAX_MATERIALS", 3)
    case = CASES["conduction"]
    rve = case.rve(image(2), {"all": range(4)}, {"all": case.made()})
    assert not rve.homogenize().iterations


def test_rescaled_units_rescale_the_answer():
    case, labels = CASES["J2"], image(2)
    scaled = {**case.parameters, "young": YOUNG * 1e6, "yield_stress": YOUNG / 500 * 1e6, "hardening": 2e9}
    small = case.rve(labels, {"all": range(4)}, {"all": case.made()})
    large = case.rve(labels, {"all": range(4)}, {"all": fe2.MaterialField(case.make, range(4), **scaled)})
    found, expected = answers(large, 4e-3), answers(small, 4e-3)
    assert_same([part * 1e-6 for part in found[:4]] + found[4:], expected, 1e-9)


def test_point_laws_that_take_one_set_of_parameters_at_a_time_give_the_same():
    class OneByOne(fe2.VocePlasticity):
        broadcasts = False

    case, labels = CASES["Voce"], image(2)
    one = case.rve(labels, {"all": range(4)}, {"all": case.made()})
    field = fe2.MaterialField(OneByOne, range(4), **case.parameters)
    other = case.rve(labels, {"all": range(4)}, {"all": field})
    assert_same(answers(other, 4e-3), answers(one, 4e-3), 1e-13)


def test_grains_of_a_mesh_are_known_by_their_groups(tmp_path):
    from fe2_meshes.polycrystal import polycrystal

    path = polycrystal(tmp_path / "grains.msh", grains=4, size=0.2)
    names = [f"grain_{k}" for k in (1, 2, 3, 4)]
    conductivity = [1.0, 2.0, 3.0, 4.0]
    laws = dict(zip(names, map(fe2.LinearConduction, conductivity), strict=True))
    each = fe2.diffusion(fe2.read_cell(path), laws)
    field = fe2.MaterialField(fe2.LinearConduction, names, conductivity=conductivity)
    one = fe2.diffusion(fe2.read_cell(path, phases={"grains": names}), {"grains": field})
    found, expected = one.homogenize(EXACT), each.homogenize(EXACT)
    np.testing.assert_allclose(found.tangent, expected.tangent, atol=1e-12)
    assert found.properties["bounds"]["hashin_shtrikman"] == pytest.approx(
        expected.properties["bounds"]["hashin_shtrikman"]
    )


def test_elements_of_a_mesh_of_ones_own_have_labels_of_their_own():
    mesh = box_mesh("triangle", [4, 3])
    height = midpoints(mesh)[:, 0]
    cell = make_cell(mesh, np.zeros(len(height), int), ("all",), element_labels=np.arange(len(height)))
    field = fe2.MaterialField(
        fe2.LinearConduction, range(len(height)), conductivity=1.0 + np.floor(4 * height)
    )
    effective = fe2.diffusion(cell, {"all": field}).homogenize().tangent
    exact = np.diag([1.0 / np.mean(1.0 / np.arange(1.0, 5.0)), 2.5])
    np.testing.assert_allclose(effective, exact, atol=1e-12)


@pytest.mark.parametrize("name", ["J2", "Voce"])
def test_restricted_form_keeps_parameters_and_rows(name):
    case = CASES[name]
    rve = case.rve(image(2), {"all": range(4)}, {"all": case.made()})
    cells = np.array([1, 4, 7, 11], dtype=np.int32)
    part = restrict(rve.cell, rve.form, cells, np.ones(4))
    assert set(part.form.parameters) <= set(part.form.residual.coefficients()) | set(
        part.form.derived_jacobian().coefficients()
    )
    for whole, own in zip(rve.form.parameters, part.form.parameters, strict=True):
        np.testing.assert_array_equal(own.x.array, whole.x.array[part.parents])
    for whole_term, term in zip(rve.form.point_laws, part.form.point_laws, strict=True):
        np.testing.assert_array_equal(term.rows, whole_term.rows[part.parents])


def test_a_material_of_a_field_belongs_to_what_a_cell_is():
    case, labels = CASES["J2"], image(2)
    described = []
    for factor in (1.0, 1.0, 1.001):
        young = YOUNG * [1.0, 1.0, 1.0, factor]
        field = fe2.MaterialField(case.make, range(4), **{**case.parameters, "young": young})
        described.append(case.rve(labels, {"all": range(4)}, {"all": field}).description)
    assert difference(described[0], described[1]) == ""
    assert "laws.all.parameters" in difference(described[0], described[2])


@pytest.mark.parametrize("law", [Fading, PointwiseFading])
def test_history_begins_with_the_values_of_the_law(law):
    """Resistances that fade, in layers: their arithmetic mean, halved after a step of length one."""
    cell = fe2.image_cell(np.repeat(np.arange(4)[:, None], 3, axis=1), {"a": [0, 1], "b": [2, 3]})
    laws = {
        "a": fe2.MaterialField(law, [0, 1], resistance=[1.0, 3.0]),
        "b": fe2.MaterialField(law, [2, 3], resistance=[5.0, 7.0]),
    }
    rve = fe2.small_strain(cell, laws)
    virgin = rve.initial_state()
    assert rve.averages(virgin[None])["resistance"] == pytest.approx(4.0)
    assert rve.averages(virgin[None])["weights"][0] == pytest.approx(np.arange(1.0, 5.0))
    along = 4.0
    effective = rve.homogenize()
    assert effective.tangent[1, 1] == pytest.approx(along)
    state, tangents = virgin, []
    for _ in range(2):
        new = np.empty_like(state)
        tangents.append(rve.solve(np.array([0.0, 1e-3, 0.0]), state, 1.0, new).tangent[1, 1])
        state = new
    assert tangents == pytest.approx([along / 2, along / 4])
    single = fe2.small_strain(laminate("quadrilateral", 0), {"a": law(2.0), "b": law(6.0)})
    assert single.averages(single.initial_state()[None])["resistance"] == pytest.approx(0.4 * 2.0 + 0.6 * 6.0)


REFUSED = {
    "value": (
        lambda: fe2.MaterialField(fe2.J2Plasticity, [3, 5], young=[1.0, -2.0], poisson=0.3, yield_stress=1.0),
        r"label 5: J2Plasticity: young = -2.0 is not admissible; it must be positive",
    ),
    "not finite": (
        lambda: fe2.MaterialField(fe2.LinearConduction, [3, 5], conductivity=[1.0, np.nan]),
        r"label 5: LinearConduction: conductivity = nan is not admissible",
    ),
    "rows": (
        lambda: fe2.MaterialField(fe2.LinearConduction, [3, 5], conductivity=[1.0, 2.0, 3.0]),
        "conductivity has 3 rows and there are 2 labels",
    ),
    "twice": (
        lambda: fe2.MaterialField(fe2.LinearConduction, [3, 3], conductivity=[1.0, 2.0]),
        "label 3 stands more than once",
    ),
    "kind of label": (
        lambda: fe2.MaterialField(fe2.LinearConduction, [3, 3.5], conductivity=[1.0, 2.0]),
        "labels hold 3.5; they must be whole numbers or names",
    ),
    "none": (lambda: fe2.MaterialField(fe2.LinearConduction, [], conductivity=[]), "an empty list"),
    "classes": (
        lambda: fe2.MaterialField.of({1: fe2.LinearConduction(1.0), 2: fe2.Void()}),
        "label 2: its law is a Void, not a LinearConduction",
    ),
    "shapes": (
        lambda: fe2.MaterialField.of({1: fe2.LinearConduction(1.0), 2: fe2.LinearConduction([1.0, 2.0])}),
        r"label 2: conductivity is of shape \(2,\) there and 1.0 elsewhere",
    ),
    "no numbers": (
        lambda: fe2.MaterialField.of({1: fe2.Void(), 2: fe2.Void()}),
        "a Void has no numbers that could differ",
    ),
}  # fmt: skip


@pytest.mark.unit
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_field_is_refused(name):
    make, text = REFUSED[name]
    with pytest.raises(fe2.InputError, match=text):
        make()


def test_labels_that_do_not_fit_the_cell_are_refused():
    field = partial(fe2.MaterialField, fe2.LinearConduction)
    cell = fe2.image_cell(image(2), {"all": range(4)})
    with pytest.raises(fe2.InputError, match=r"phase 'all': 8 elements have the label 2 or 1 others"):
        fe2.diffusion(cell, {"all": field([0, 1], conductivity=1.0)}).solve(
            np.zeros(2), np.zeros(0), 0.0, np.zeros(0)
        )
    with pytest.raises(fe2.InputError, match="label 3 conducts nothing and others do"):
        fe2.diffusion(cell, {"all": field(range(4), conductivity=[1.0, 1.0, 1.0, 0.0])})
    bare = make_cell(box_mesh("triangle", [3, 3]), np.zeros(18, int), ("all",))
    with pytest.raises(fe2.InputError, match="elements of the cell have no labels; make_cell takes them"):
        fe2.diffusion(bare, {"all": field([0], conductivity=1.0)})
    with pytest.raises(fe2.InputError, match=r"element_labels are whole numbers of shape \(18,\)"):
        make_cell(box_mesh("triangle", [3, 3]), np.zeros(18, int), ("all",), element_labels=np.zeros(18))


@pytest.mark.unit
def test_quaternions_and_angles_of_many_grains_are_rotations_of_each():
    from scipy.spatial.transform import Rotation

    quaternions = RNG.normal(size=(5, 4))
    expected = Rotation.from_quat(quaternions, scalar_first=True).as_matrix()
    np.testing.assert_allclose(fe2.rotation_from_quaternion(quaternions), expected, atol=1e-14)
    angles = RNG.uniform(0, 360, size=(3, 5))
    expected = Rotation.from_euler("ZXZ", angles.T, degrees=True).as_matrix()
    np.testing.assert_allclose(fe2.rotation_from_bunge(*angles), expected, atol=1e-14)
    with pytest.raises(fe2.InputError, match="four finite numbers w, x, y, z"):
        fe2.rotation_from_quaternion([0.0, 0.0, 0.0, 0.0])


def test_field_depends_on_the_rate_where_one_of_its_materials_does() -> None:
    still, viscous = (
        fe2.Chaboche(200e3, 0.3, 200.0, np.zeros(1), np.zeros(1), viscosity=k) for k in (0.0, 1.0)
    )
    assert fe2.MaterialField.of({0: still, 1: still}).rate_independent
    assert not fe2.MaterialField.of({0: still, 1: viscous}).rate_independent
