"""Tables of materials in case files: what they mean, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from case_files import write

import fe2
from fe2.case.build_cell import build_cell_and_rve, build_rve
from fe2.case.cell_case import read_cell_case
from fe2.case.problems import CaseFileError
from fe2.case.run_case import read_run_case
from fe2.case.understood import decisive, understood
from fe2.cli.main import run
from fe2.tensors import rotation_from_bunge

IMAGE = np.arange(64).reshape(4, 4, 4) % 4
COPPER = {"law": "cubic_elastic", "c11": 168.4, "c44": 75.4}
TABLE = """# grains of copper, angles in degrees
label, c12, phi1, Phi, phi2
0, 121.4, 10, 20, 30

1, 121.4, 40, 50, 60
2, 120.0, 70, 80, 90
3, 119.0, 15, 25, 35
"""


def cell_file(
    folder: Path, text: str = TABLE, others: dict[str, object] | None = None, **grains: object
) -> Path:
    np.save(folder / "grains.npy", IMAGE)
    (folder / "grains.csv").write_text(text, encoding="utf-8")
    phase = {key: v for key, v in {**COPPER, "table": "grains.csv", **grains}.items() if v is not None}
    cell = {"image": "grains.npy", "physics": "small_strain"}
    content = {"cell": cell, "phases": {"grains": phase, **(others or {})}}
    return write(folder, content, "cell.toml")


def test_table_of_grains_is_the_field_of_materials(tmp_path):
    found = build_rve(read_cell_case(cell_file(tmp_path))).homogenize()
    field = fe2.MaterialField(
        fe2.LinearElastic.cubic,
        range(4),
        c11=168.4,
        c12=[121.4, 121.4, 120.0, 119.0],
        c44=75.4,
        orientation=rotation_from_bunge([10, 40, 70, 15], [20, 50, 80, 25], [30, 60, 90, 35]),
    )
    expected = fe2.small_strain(fe2.image_cell(IMAGE, {"grains": range(4)}), {"grains": field}).homogenize()
    np.testing.assert_array_equal(found.tangent, expected.tangent)


def test_quaternions_and_components_of_directions_are_columns(tmp_path):
    quaternions = "label,qw,qx,qy,qz\n" + "".join(f"{k},1,0,0,{k}\n" for k in range(4))
    law = read_cell_case(cell_file(tmp_path, quaternions, c12=121.4)).phases["grains"].material
    turn = rotation_from_bunge(2 * np.degrees(np.arctan(3.0)), 0.0, 0.0)
    expected = fe2.LinearElastic.cubic(168.4, 121.4, 75.4, turn).stiffness
    assert law.make("small_strain").materials[3].stiffness == pytest.approx(expected)
    axes = "label,axis_x,axis_y,axis_z\n" + "".join(f"{k},{k},1,0\n" for k in range(4))
    names = ("young_axial", "young_transverse", "poisson_axial", "poisson_transverse", "shear_axial")
    fibre = dict(zip(names, (230.0, 15.0, 0.2, 0.25, 24.0), strict=True))
    np.save(tmp_path / "grains.npy", IMAGE)
    (tmp_path / "axes.csv").write_text(axes)
    content = {
        "cell": {"image": "grains.npy", "physics": "small_strain"},
        "phases": {"fibres": {"law": "transversely_isotropic_elastic", "table": "axes.csv", **fibre}},
    }
    law = read_cell_case(write(tmp_path, content, "fibres.toml")).phases["fibres"].material
    expected = fe2.LinearElastic.transversely_isotropic(*fibre.values(), axis=(2.0, 1.0, 0.0)).stiffness
    assert law.make("small_strain").materials[2].stiffness == pytest.approx(expected)


def test_grains_of_a_generator_are_known_by_their_names(tmp_path):
    names = [f"grain_{k}" for k in range(1, 5)]
    (tmp_path / "grains.csv").write_text(
        "label,conductivity\n" + "".join(f"{n},{2 + k}\n" for k, n in enumerate(names))
    )
    content = {
        "cell": {"generator": "polycrystal", "grains": 4, "size": 0.3, "physics": "diffusion"},
        "phases": {"grains": {"table": "grains.csv"}},
    }
    _, rve = build_cell_and_rve(read_cell_case(write(tmp_path, content, "cell.toml")))
    bounds = rve.homogenize().properties["bounds"]
    assert bounds["reuss"][0, 0] < bounds["voigt"][0, 0] < 5.0
    (tmp_path / "grains.csv").write_text("label,conductivity\ngrain_1,1\ngrain_2,1\ngrain_5,1\n")
    with pytest.raises(CaseFileError) as refused:
        read_cell_case(tmp_path / "cell.toml")
    assert "polycrystal makes no phase 'grain_5'; did you mean" in str(refused.value)
    assert "phases.grain_3: is missing: polycrystal makes this phase" in str(refused.value)


def test_case_as_it_was_understood_names_the_table(tmp_path):
    cell = cell_file(tmp_path)
    run = {
        "mesh": {"box": [[0, 1], [0, 1], [0, 1]], "cells": [1, 1, 1]},
        "laws": {"copper": {"cell": cell.name}},
        "boundary": [{"on": "left", "fixed": ["x", "y", "z"]}],
        "steps": {"times": [0.0, 1.0]},
    }
    case = read_run_case(write(tmp_path, run, "run.toml"))
    assert understood(case)["laws"]["copper"]["phases"]["grains"]["table"] == str(tmp_path / "grains.csv")
    assert decisive(case)["laws"]["copper"]["phases"]["grains"]["table"] == "grains.csv"


FILE = r'phases\.grains\.table = "grains\.csv": .*grains\.csv'
REFUSED = {
    "value": (
        TABLE.replace("2, 120.0", "2, 300.0"),
        {},
        rf"{FILE}, line 6 \(label 2\): c12 = 300, .*: LinearElastic: stiffness is not positive definite",
    ),
    "parameter": (
        "label,c11\n0,100\n1,-4\n2,100\n3,0\n",
        {"c12": 10.0, "c11": None},
        rf"{FILE}, line 3 \(label 1\): c11 = -4: LinearElastic.cubic: c11 = -4.0 is not admissible; "
        r"it must be positive",
    ),
    "number": (TABLE.replace("119.0", "soft"), {}, rf"{FILE}, line 7 \(label 3\): c12 = 'soft': a finite"),
    "infinite": (TABLE.replace("119.0", "inf"), {}, r"c12 = 'inf': a finite number is needed"),
    "entries": (TABLE.replace(", 35", ""), {}, r"line 7: 4 entries, and there are 5 columns"),
    "twice": (TABLE.replace("3, 119", "2, 119"), {}, r"line 7: label = '2': line 6 has it already"),
    "column": (TABLE.replace("c12", "c13"), {}, r"column 'c13' is no parameter of the law; did you mean c12"),
    "half an orientation": (TABLE.replace("phi2", "orientation"), {}, "column 'phi2' is missing beside"),
    "first column": (TABLE.replace("label", "grain"), {}, "the first column is 'grain'; it must be label"),
    "same columns": (TABLE.replace("phi2", "Phi"), {}, "column 'Phi' stands more than once"),
    "no rows": ("label,c12\n", {}, "a line with the names of the columns is needed, and a row at least"),
    "nothing": ("", {}, "a line with the names of the columns is needed"),
    "bytes": ("label,c12\n\0,1\n", {}, r"label|NUL|labels of an image are whole numbers"),
    "names in an image": (TABLE.replace("3, 119", "last, 119"), {}, "label 'last': labels of an image are"),
    "both": (TABLE, {"c12": 121.4}, r"phases\.grains\.c12 = 121\.4: the table has it too, as c12"),
    "missing": (TABLE, {"c44": None}, r"phases\.grains\.c44: is missing"),
    "label": (TABLE, {"label": 1}, r"phases\.grains\.label = 1: the labels of the phase stand in its table"),
    "kind of file": (TABLE, {"table": "grains.txt"}, r"a table of materials ends in \.csv"),
    "no file": (TABLE, {"table": "other.csv"}, r"other\.csv: the file cannot be read: No such file"),
    "unknown law": (TABLE, {"law": "cubic"}, r"small_strain has no such law; there are .*cubic_elastic"),
    "zero quaternion": (
        "label,qw,qx,qy,qz\n7,0,0,0,0\n",
        {"c12": 1.0},
        r"line 2 \(label 7\): qw, qx, qy, qz are all zero",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_table_is_refused_with_file_line_column_and_value(tmp_path, name):
    table, changes, message = REFUSED[name]
    file = cell_file(tmp_path, table, **changes)
    with pytest.raises(CaseFileError, match=message):
        read_cell_case(file)


def test_mistakes_beside_a_table_and_in_its_rows_are_told_together_and_without_consequences(tmp_path):
    file = cell_file(tmp_path, TABLE.replace("120.0", "-1e3"), c4=1.0, cell="laminate")
    with pytest.raises(CaseFileError) as caught:
        read_cell_case(file)
    lines = str(caught.value).splitlines()
    for told in ("c4 = 1.0: unknown key", "cell = ", "line 6 (label 2)"):
        assert any(told in line for line in lines), lines
    assert len(lines) == 3, lines


def test_labels_of_a_table_are_not_those_of_another_phase(tmp_path):
    other = {"law": "linear_elastic", "young": 1.0, "poisson": 0.3, "label": 3}
    with pytest.raises(CaseFileError, match=r"phases\.other\.label = 3: phase 'grains' has the same label"):
        read_cell_case(cell_file(tmp_path, others={"other": other}))


@pytest.mark.parametrize(
    ("label", "message"),
    [("3", None), ("7", r"cell: label 3 has no phase: 16 voxels have it, the first is [0, 0, 3]")],
)
def test_check_compares_the_labels_of_the_image_with_the_rows(tmp_path, capsys, label, message):
    text = TABLE.replace("3, 119.0", f"{label}, 119.0")
    assert run(["check", str(cell_file(tmp_path, text))]) == (0 if message is None else 1)
    told = capsys.readouterr()
    assert "is right" in told.out if message is None else message in told.err


def test_table_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("fe2.case.material_table._LARGEST", 50)
    with pytest.raises(CaseFileError, match="more than 50 bytes: it is no table of materials"):
        read_cell_case(cell_file(tmp_path))
