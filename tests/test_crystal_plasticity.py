"""Crystals that slip, against closed forms of single crystals and the factors of Taylor and Sachs."""

from __future__ import annotations

import numpy as np
import pytest
from case_files import write

import fe2
from fe2.case.build_cell import build_rve
from fe2.case.cell_case import read_cell_case
from fe2.errors import InputError
from fe2.physics.crystal_plasticity import crystal_plasticity
from fe2.physics.slip_systems import FAMILIES, INTERACTIONS, SlipSystems
from fe2.tensors import mandel_rotation, rotation_from_bunge, rotation_to
from fe2.testing.material_point import difference_tangent, drive, respond, virgin

COPPER = {"c11": 168.4e3, "c12": 121.4e3, "c44": 75.4e3}  # MPa
SLIP = {"resistance": 60.0, "reference_rate": 1e-3, "exponent": 20.0}
HARDENS = {"hardening": 250.0, "saturation": 150.0, "hardening_exponent": 2.0}
SWINGS = {"kinematic_hardening": 5e3, "dynamic_recovery": 40.0}


def uniformly_turned(count):
    """Orientations that fill the space of rotations evenly."""
    # three irrational numbers that no sum of small multiples makes whole: a lattice of Kronecker
    ways = np.arange(1, count + 1)[:, None] * np.sqrt([2.0, 3.0, 5.0]) % 1.0
    phi1, phi2 = 360.0 * ways[:, 0], 360.0 * ways[:, 2]
    return rotation_from_bunge(phi1, np.degrees(np.arccos(1.0 - 2.0 * ways[:, 1])), phi2)


def in_tension(law, rate, time, steps):
    """Stress along x in steady tension, with nothing across."""
    strain, history, way = np.zeros(6), virgin(law, 1, 6), np.zeros(6)
    for _ in range(steps):
        before = strain.copy()
        strain += way  # as in the last step
        strain[0] = before[0] + rate * time / steps
        for _ in range(60):
            answer = respond(law, strain[None], history, time / steps)
            if np.abs(answer.flux[0, 1:]).max() < 1e-10 * np.abs(answer.flux).max():
                break
            change = np.linalg.solve(answer.tangent[0, 1:, 1:], answer.flux[0, 1:])
            strain[1:] -= change * min(1.0, rate * time / steps / np.abs(change).max())
        history, way = answer.history, strain - before
    return answer.flux[0, 0]


@pytest.mark.parametrize("family", FAMILIES)
def test_slip_directions_lie_in_their_planes(family):
    systems = SlipSystems(family, 1.6)
    assert systems.count == {"fcc": 12, "hcp": 18, "hcp_basal": 3, "hcp_prismatic": 3}.get(
        family, systems.count
    )
    assert np.abs(np.sum(systems.normals * systems.directions, axis=1)).max() < 1e-14
    assert np.abs(systems.schmid[:, :3].sum(axis=1)).max() < 1e-14
    assert len(np.unique(np.round(np.abs(systems.schmid @ systems.schmid.T), 9), axis=0)) > 1
    assert np.linalg.matrix_rank(systems.schmid) == {"hcp_basal": 2, "hcp_prismatic": 2}.get(family, 5)


def test_pairs_of_the_cubic_lattice_are_counted_as_in_textbooks():
    counts = [np.bincount(row, minlength=len(INTERACTIONS)).tolist() for row in SlipSystems("fcc").kinds]
    assert counts == [[1, 2, 1, 2, 4, 2]] * 12  # Franciosi & Zaoui, Acta Metall. 30 (1982) 1627


@pytest.mark.parametrize(
    ("axis", "active", "schmid"),
    [
        ((0, 0, 1), 8, 1.0 / np.sqrt(6.0)),
        ((1, 1, 1), 6, 2.0 / (3.0 * np.sqrt(6.0))),
        ((0, 1, 1), 4, 1.0 / np.sqrt(6.0)),
    ],
)
@pytest.mark.parametrize("exponent", [3.0, 20.0, 100.0])
def test_single_crystals_flow_at_the_stress_of_their_active_systems(axis, active, schmid, exponent):
    to_x = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # z to x
    law = crystal_plasticity(
        **COPPER, **{**SLIP, "exponent": exponent}, orientation=to_x @ rotation_to(axis).T
    )
    rate = 2e-4
    slip = rate / (active * schmid)
    expected = SLIP["resistance"] / schmid * (slip / SLIP["reference_rate"]) ** (1.0 / exponent)
    assert in_tension(law, rate, 400.0, 100) == pytest.approx(expected, rel=1e-7)


def test_grains_without_order_have_the_factors_of_taylor_and_sachs():
    rotations = uniformly_turned(4000)
    # tension at constant volume, in the axes of each crystal
    stretch = np.diag([1.0, -0.5, -0.5])
    strains = fe2.tensors.from_matrix(np.swapaxes(rotations, -1, -2) @ stretch @ rotations, 6)
    taylor = {}
    for exponent in (100.0, 200.0):
        law = crystal_plasticity(**COPPER, **{**SLIP, "exponent": exponent, "reference_rate": 0.5})
        history = virgin(law, len(strains), 6)
        for strain in (0.1, 0.2, 0.3):
            answer = law.respond(strain * strains, history, 0.1)
            history = answer.history
        taylor[exponent] = np.mean(np.sum(answer.flux * strains, axis=1)) / SLIP["resistance"]
    # the rate sensitivity is 1/n
    assert 2.0 * taylor[200.0] - taylor[100.0] == pytest.approx(3.0666, abs=0.002)
    along = rotations[:, 0, :]
    systems = SlipSystems("fcc")
    factors = np.abs((along @ systems.normals.T) * (along @ systems.directions.T)).max(axis=1)
    assert np.mean(1.0 / factors) == pytest.approx(2.2325, abs=0.004)


def test_a_turned_crystal_answers_as_the_crystal_that_is_not_turned():
    rotation, rng = rotation_from_bunge(20.0, 35.0, 50.0), np.random.default_rng(0)
    turn = mandel_rotation(rotation)
    laws = [crystal_plasticity(**COPPER, **SLIP, **HARDENS, orientation=r) for r in (None, rotation)]
    strain = 5e-3 * rng.normal(size=(3, 6)).cumsum(axis=0)
    straight, turned = drive(laws[0], list(strain)), drive(laws[1], list(strain @ turn.T))
    for one, other in zip(straight, turned, strict=True):
        assert np.allclose(other.flux, one.flux @ turn.T, rtol=0.0, atol=1e-10 * np.abs(one.flux).max())
        assert np.allclose(other.tangent[0], turn @ one.tangent[0] @ turn.T, rtol=1e-8, atol=1e-3)


def test_slip_in_one_plane_hardens_to_its_saturation():
    law = crystal_plasticity(
        **{**COPPER, "c13": 100e3, "c33": 180e3},
        **{**SLIP, "exponent": 100.0},
        family="hcp_basal",
        hardening=300.0,
        saturation=120.0,
    )
    slip, ends = 0.3, []
    for steps in (50, 100):
        path = [
            np.array([0.0, 0.0, 0.0, 0.0, 1.0, 0.0]) * x / np.sqrt(2.0)
            for x in np.linspace(0.0, slip, steps + 1)
        ]
        last = drive(law, path, 1.0 / steps)[-1].history
        total = np.abs(last["slip"][0, 0])
        ends.append(last["slip_resistance"][0, 0] - (120.0 - 60.0 * np.exp(-300.0 * total / 120.0)))
    assert ends[0] / ends[1] == pytest.approx(2.0, abs=0.05)
    assert abs(ends[1]) < 0.5


@pytest.mark.parametrize("exponent", [1.0, 5.0, 20.0, 100.0])
@pytest.mark.parametrize("more", [{}, HARDENS, SWINGS, {**HARDENS, **SWINGS}], ids=["", "g", "x", "g, x"])
@pytest.mark.parametrize("size", [4, 6])
def test_tangent_is_the_derivative_of_the_stress(exponent, more, size):
    law = crystal_plasticity(
        **COPPER, **{**SLIP, "exponent": exponent}, **more, orientation=rotation_from_bunge(20.0, 35.0, 50.0)
    )
    rng = np.random.default_rng(1)
    history, strain = virgin(law, 1, size), np.zeros(size)
    for way in (1.0, 1.0, -1.0):
        strain = strain + way * 4e-3 * rng.normal(size=size)
        answer = respond(law, strain[None], history, 1.0)
        expected = difference_tangent(law, strain, history, 1.0, np.eye(size), 1e-8)
        assert np.allclose(answer.tangent[0], expected, rtol=0.0, atol=2e-6 * np.abs(expected).max())
        history = answer.history


def test_plane_strain_is_the_strain_of_space_without_its_third_axis():
    law = crystal_plasticity(**COPPER, **SLIP, **HARDENS, orientation=rotation_from_bunge(20.0, 35.0, 50.0))
    path = [5e-3 * np.array([1.0, -0.5, 0.0, 0.8]), 9e-3 * np.array([1.0, -0.5, 0.0, 0.8])]
    for flat, full in zip(
        drive(law, path), drive(law, [np.insert(e, [3, 3], 0.0) for e in path]), strict=True
    ):
        kept = [0, 1, 2, 5]
        assert np.allclose(flat.flux[0], full.flux[0, kept], rtol=1e-12)
        assert np.allclose(flat.tangent[0], full.tangent[0][np.ix_(kept, kept)], rtol=1e-10, atol=1e-6)


def test_any_system_of_units_gives_the_same():
    def law(stress, time):
        moduli = {name: value * stress for name, value in COPPER.items()}
        more = {**HARDENS, "hardening": 250.0 * stress, "saturation": 150.0 * stress}
        slip = {**SLIP, "resistance": 60.0 * stress, "reference_rate": 1e-3 / time}
        return crystal_plasticity(**moduli, **slip, **more)

    path = [np.array([8e-3, -3e-3, 0.0, 1e-3, 0.0, 2e-3]) * k for k in (0.5, 1.0)]
    one = drive(law(1.0, 1.0), path, 1.0)[-1]
    other = drive(law(1e6, 3600.0), path, 3600.0)[-1]
    assert np.allclose(other.flux, 1e6 * one.flux, rtol=1e-11)
    assert np.allclose(other.history["slip"], one.history["slip"], rtol=1e-10, atol=1e-16)


def test_points_of_many_grains_are_solved_in_one_call():
    rotations = uniformly_turned(5)
    field = fe2.MaterialField(
        crystal_plasticity,
        range(5),
        **COPPER,
        **SLIP,
        **HARDENS,
        orientation=rotations,
    )
    strains = 6e-3 * np.random.default_rng(2).normal(size=(20, 6))
    rows = np.arange(20) % 5
    together = field.at(rows).respond(strains, virgin(field, 20, 6, rows), 1.0)
    for k in range(20):
        alone = crystal_plasticity(**COPPER, **SLIP, **HARDENS, orientation=rotations[rows[k]])
        one = respond(alone, strains[k : k + 1], virgin(alone, 1, 6), 1.0)
        assert np.allclose(together.flux[k], one.flux[0], rtol=1e-9)
        assert np.allclose(together.tangent[k], one.tangent[0], rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"exponent": 0.5}, "exponent = 0.5 is not admissible; it must be from 1 to 1000"),
        ({"resistance": [60.0, 70.0]}, r"resistance has shape \(2,\); it must have shape \(1,\)"),
        ({"hardening": 10.0}, "saturation is missing"),
        ({"saturation": 50.0}, "it must be above resistance = 60.0"),
        ({"family": "fcc2"}, "family = 'fcc2' is not known; it is one of"),
        ({"c33": 1e5}, "c33 is of hexagonal crystals only"),
        ({"family": "hcp"}, "c13 is missing"),
        ({"orientation": np.diag([1.0, 1.0, -1.0])}, "orientation is not a rotation"),
        ({"interaction": [1.0, 1.0]}, r"interaction has shape \(2,\); it must have shape \(6,\)"),
        ({"family": "bcc12", "interaction": [1.0] * 6}, "interaction is of family = 'fcc' only"),
        ({"c12": 200e3}, "is not positive definite"),
    ],
)
def test_what_is_not_admissible_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        crystal_plasticity(**{**COPPER, **SLIP, **wrong})


def test_case_file_drives_grains_along_an_axis_of_their_lattice(tmp_path):
    np.save(tmp_path / "grains.npy", np.arange(64).reshape(4, 4, 4) % 2)
    # two orientations along whose x lies an axis of the cube, and which shear alike about it
    (tmp_path / "grains.csv").write_text(
        "label, phi1, Phi, phi2\n0, 0, 0, 0\n1, 0, 90, 0\n", encoding="utf-8"
    )
    grains = {"law": "crystal_plasticity", "table": "grains.csv", **COPPER, **SLIP}
    cell = {"image": "grains.npy", "physics": "small_strain"}
    rve = build_rve(
        read_cell_case(write(tmp_path, {"cell": cell, "phases": {"grains": grains}}, "cell.toml"))
    )
    times = np.linspace(0.0, 100.0, 21)
    test = rve.drive(fe2.MaterialPath(times, gradient={"xx": 2e-4 * times}))
    slip = 2e-4 / (8.0 / np.sqrt(6.0))
    assert test.flux[-1, 0] == pytest.approx(60.0 * np.sqrt(6.0) * (slip / 1e-3) ** 0.05, rel=1e-6)
