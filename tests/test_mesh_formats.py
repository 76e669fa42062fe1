"""Meshes of other programs: the same cell as from gmsh's file; damaged and dangerous ones are refused."""

from __future__ import annotations

import re
from pathlib import Path

import meshio
import numpy as np
import pytest
from click.testing import CliRunner
from mesh_formats import ENDINGS, write
from mpi4py import MPI
from msh_writer import DIMS

import fe2
from fe2.cli.check import command
from fe2.io.gmsh_mesh import read_mesh
from fe2.micro.mesh_cell import read_cell


@pytest.mark.parametrize("kind", DIMS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_cells_are_read_from_every_format(ending: str, kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"cell.{ending}", kind)
    phases = {"f": "fibre", "m": "matrix"} if ending == "inp" else {"f": 1, "m": 2}
    cell = read_cell(path, phases=phases)
    assert cell.volume_fractions == pytest.approx({"f": 0.25, "m": 0.75})
    assert cell.period.tolist() == pytest.approx([1.0] * DIMS[kind])
    marked = read_mesh(path, MPI.COMM_SELF)
    assert set(marked.cell_names) == ({"fibre", "matrix"} if ending == "inp" else {"1", "2"})


@pytest.mark.parametrize("ending", ["mesh", "vtk", "vtu"])
def test_zero_is_a_label(ending: str, tmp_path: Path) -> None:
    cell = read_cell(write(tmp_path / f"cell.{ending}", "triangle", (0, 7)), phases={"f": 0, "m": 7})
    assert cell.volume_fractions == pytest.approx({"f": 0.25, "m": 0.75})


def test_effective_properties_are_those_of_the_laminate(tmp_path: Path) -> None:
    cell = read_cell(write(tmp_path / "cell.mesh", "quadrilateral"))
    found = fe2.diffusion(
        cell, {"1": fe2.LinearConduction(1.0), "2": fe2.LinearConduction(10.0)}
    ).homogenize()
    exact = [1 / (0.25 / 1 + 0.75 / 10), 0.25 * 1 + 0.75 * 10]
    assert np.diag(found.effective) == pytest.approx(exact, rel=1e-10)


def test_cell_data_are_chosen_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "cell.vtu", "triangle")
    mesh = meshio.read(path)
    mesh.cell_data |= {"grain": [np.arange(24)], "stress": [np.linspace(0.5, 1.0, 24)]}
    meshio.write(path, mesh)
    with pytest.raises(fe2.InputError, match=r"cell\.vtu: labels is needed: .* has 'mat_id', 'grain'"):
        read_cell(path)
    with pytest.raises(fe2.InputError, match=r"labels = 'stress': the name of cell data, whole numbers"):
        read_cell(path, labels="stress")
    assert read_cell(path, labels="mat_id").names == ("1", "2")


def test_boundaries_of_medit_are_named_by_their_references(tmp_path: Path) -> None:
    path = write(tmp_path / "macro.mesh", "quadrilateral")
    text = path.read_text().replace("End", "Edges\n2\n1 2 5\n2 3 0\nEnd")
    path.write_text(text)
    marked = read_mesh(path, MPI.COMM_SELF)
    assert marked.facet_names == {"5": 5}
    assert len(marked.facets("5")) == 1


@pytest.mark.parametrize("quoted", ['"', ""])
def test_abaqus_reads_no_other_file(quoted: str, tmp_path: Path) -> None:
    other = write(tmp_path / "other.inp", "triangle")
    path = tmp_path / "cell.inp"
    for line in (
        f"*INCLUDE, INPUT={quoted}{other}{quoted}",
        f"*Node, input={other}",
        f"*include,\ninput={other}",
    ):
        path.write_text(f"{line}\n" + other.read_text())
        with pytest.raises(fe2.InputError, match=r"cell\.inp: \*(INCLUDE|NODE) reads another file"):
            read_cell(path)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (r"CPE3", "B31", "elements of type 'B31' are not read"),
        (r"\*Part.*", "*Ngen\n1, 5, 1", r"\*NGEN makes or moves nodes"),
        (r"\n10, 0\.0", "\nten, 0.0", r"(?<=inp: )\*NODE holds something that is no number"),
        (r"\*Step", "*Instance, name=a, part=cell\n1.0, 0.0", r"\*INSTANCE moves its part"),
        (r"\n10, 0\.0", "\n20, 0.0", "node 20 is defined twice"),
        (r"\n101, 10, ", "\n101, 15, ", r"element 101 uses node 15, which \*NODE does not define"),
        (r"\n20, 0\.0, ", "\n20, 0.0, 1.0, ", r"\*NODE needs a number and 2 or 3 coordinates"),
        (r"elset=fibre", "elset=other", "no single physical surface 'fibre' .* 'other'"),
        (r", 1\n\*End", ", 0\n*End", r"\*ELSET with GENERATE needs first, last"),
    ],
)
def test_damaged_abaqus_files_are_refused(old: str, new: str, reason: str, tmp_path: Path) -> None:
    path = write(tmp_path / "cell.inp", "triangle")
    text, count = re.subn(old, new, path.read_text(), count=1)
    assert count == 1
    path.write_text(text)
    with pytest.raises(fe2.InputError, match=rf"cell\.inp: .*{reason}"):
        read_cell(path, phases={"f": "fibre", "m": "matrix"})


def test_files_that_promise_or_unpack_too_much_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "cell.mesh", "triangle")
    path.write_text(re.sub(r"Vertices\n\d+", "Vertices\n1000000000000000", path.read_text()))
    with pytest.raises(fe2.InputError, match=r"Vertices promises 1e\+15 entries"):
        read_cell(path)
    path = write(tmp_path / "cell.ascii.vtu", "triangle")
    path.write_text(path.read_text().replace("<VTKFile", '<!DOCTYPE a [<!ENTITY b "c">]><VTKFile'))
    with pytest.raises(fe2.InputError, match="declares entities"):
        read_cell(path)
    path = write(tmp_path / "cell.vtk", "triangle")
    path.write_bytes(re.sub(rb"POINTS \d+", b"POINTS 1000000000000", path.read_bytes()))
    with pytest.raises(fe2.InputError, match=r"cell\.vtk: meshio cannot read it"):
        read_cell(path)


def test_case_files_name_formats_and_labels(tmp_path: Path) -> None:
    from fe2.case.build_cell import build_cell
    from fe2.case.cell_case import read_cell_case

    write(tmp_path / "cell.vtu", "triangle")
    file = tmp_path / "cell.toml"
    laws = "[phases.a]\nlabel = 1\nconductivity = 1.0\n[phases.b]\nlabel = 2\nconductivity = 2.0\n"
    head = '[cell]\nphysics = "diffusion"\nmesh = "cell.vtu"\n'
    file.write_text(head + 'labels = "mat_id"\nperiod = [1.0, 1.0]\nmerge = false\ntolerance = 1e-7\n' + laws)
    assert build_cell(read_cell_case(file)).volume_fractions == pytest.approx({"a": 0.25, "b": 0.75})
    file.write_text(head.replace("vtu", "xdmf") + laws)
    with pytest.raises(fe2.InputError, match=r"cell\.mesh = .*: a mesh ends in \.msh, \.mesh, \.inp"):
        read_cell_case(file)


def test_check_tells_the_box_and_the_period(tmp_path: Path) -> None:
    write(tmp_path / "cell.mesh", "triangle")
    file = tmp_path / "cell.toml"
    laws = "[phases.a]\nlabel = 1\nconductivity = 1.0\n[phases.b]\nlabel = 2\nconductivity = 2.0\n"
    file.write_text('[cell]\nphysics = "diffusion"\nmesh = "cell.mesh"\nperiod = [1.0, 1.5]\n' + laws)
    told = CliRunner().invoke(command, [str(file)], catch_exceptions=False).output
    assert "the mesh measures 1 × 1 (x × y), from (0, 0) on; the period is 1 × 1.5" in told
    (tmp_path / "cell.mesh").write_text("MeshVersionFormatted 2\n")
    with pytest.raises(fe2.InputError, match=r"cell\.mesh: Dimension 2 or 3 and Vertices are needed"):
        CliRunner().invoke(command, [str(file)], catch_exceptions=False)


def test_labels_that_do_not_fit_into_four_bytes_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "cell.mesh", "triangle", (1, 2**33))
    with pytest.raises(fe2.InputError, match=r"cell\.mesh: the group or label 8589934592 is too large"):
        read_cell(path)
