"""What .msh files hold: damaged files, physical groups, macroscopic meshes with their boundaries."""

from __future__ import annotations

import re
from pathlib import Path

import gmsh
import numpy as np
import pytest
from dolfinx import mesh
from mpi import mpiexec, succeeded
from mpi4py import MPI
from msh_writer import BOXES, DIMS, GMSH_TYPES, Block, Msh, box, grid

from fe2.errors import InputError
from fe2.identity import mesh_facts
from fe2.io.gmsh_mesh import read_mesh
from fe2.micro.mesh_cell import read_cell

# Physical groups


def test_an_element_without_a_group_is_refused(tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.blocks.append(Block(2, msh.blocks[1].nodes[-2:], 0, 9))
    msh.blocks[1].nodes = msh.blocks[1].nodes[:-2]
    with pytest.raises(InputError, match=r"triangle 23 of surface 9 at .* no physical group, as do 1 more"):
        read_cell(msh.write(tmp_path / "cell.msh"))
    with pytest.raises(InputError, match=r"triangle 23 of surface 9 .* no physical .*Mesh\.SaveAll = 0"):
        read_cell(msh.write(tmp_path / "cell.msh", "4.1"))
    with pytest.raises(InputError, match=r"triangle 1 of .* none of the wanted groups \['matrix'\]"):
        read_cell(msh.write(tmp_path / "cell.msh"), phases={"matrix": 3})


@pytest.mark.parametrize("version", ["2.2", "4.1"])
def test_entities_stand_for_groups_where_there_are_none(version: str, tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.names = []
    for block in msh.blocks:
        block.group = 0
    cell = read_cell(msh.write(tmp_path / "cell.msh", version), phases={"m": 2, "f": "1"})
    assert cell.volume_fractions == pytest.approx({"m": 0.75, "f": 0.25})


@pytest.mark.parametrize("version", ["2.2", "4.1"])
def test_an_element_of_two_groups_is_refused(version: str, tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.blocks.append(Block(2, msh.blocks[0].nodes, 3))
    reason = r"triangle 1 of surface 1 .* in the physical group 'fibre' and again in 'matrix' \(6 such"
    with pytest.raises(InputError, match=reason):
        read_cell(msh.write(tmp_path / "cell.msh", version))


@pytest.mark.parametrize("version", ["2.2", "4.1"])
def test_one_of_several_groups_can_be_chosen(version: str, tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.blocks += [Block(2, block.nodes, 9, block.entity) for block in msh.blocks[:2]]
    msh.names.append((2, 9, "all"))
    cell = read_cell(msh.write(tmp_path / "cell.msh", version), phases={"solid": "all"})
    assert cell.volume_fractions == pytest.approx({"solid": 1.0})


@pytest.mark.parametrize("version", ["2.2", "4.1"])
def test_groups_may_have_no_name_or_be_reversed(version: str, tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.names = []
    msh.blocks[0].group *= -1
    cell = read_cell(msh.write(tmp_path / "cell.msh", version))
    assert cell.volume_fractions == pytest.approx({"3": 0.75, "7": 0.25})


def test_an_empty_group_is_refused(tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.names.append((2, 11, "void"))
    path = msh.write(tmp_path / "cell.msh")
    with pytest.raises(
        InputError, match=r"physical surface 'void' \(11\) is declared, but holds no elements"
    ):
        read_cell(path)
    assert read_cell(path, phases={"m": "matrix", "f": "fibre"}).names == ("m", "f")


def test_a_volume_that_was_not_meshed_is_refused(tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.names.append((3, 1, "steel"))
    with pytest.raises(
        InputError, match="physical volume 'steel' is declared, but the mesh has no 3D elements"
    ):
        read_cell(msh.write(tmp_path / "cell.msh"))


def test_an_unknown_group_is_refused(tmp_path: Path) -> None:
    path = box("triangle", 1).write(tmp_path / "cell.msh")
    with pytest.raises(
        InputError, match=r"physical surface 'fiber' for 'f'; the file has 'matrix' \(3\), 'fibre'"
    ):
        read_cell(path, phases={"f": "fiber", "m": "matrix"})


# Files


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.msh: the mesh cannot be read: No such file"):
        read_cell(tmp_path / "nothing.msh")


@pytest.mark.parametrize(
    ("version", "binary"), [("2.2", False), ("2.2", True), ("4.1", False), ("4.1", True)]
)
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 0.995])
def test_a_truncated_file_is_refused(share: float, version: str, binary: bool, tmp_path: Path) -> None:
    path = box("triangle", 1).write(tmp_path / "cell.msh", version, binary)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"cell\.msh: .*(truncated|not a \.msh file)"):
        read_cell(path)


@pytest.mark.parametrize("version", ["2.2", "4.1"])
def test_a_file_that_ends_between_sections_is_refused(version: str, tmp_path: Path) -> None:
    path = box("triangle", 1).write(tmp_path / "cell.msh", version)
    path.write_bytes(path.read_bytes().partition(b"$Elements")[0])
    with pytest.raises(InputError, match=r"cell\.msh: section \$Elements is missing: the file is truncated"):
        read_cell(path)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"2.2 0 8", b"4.0 0 8", r"version 4\.0 of the format is not read"),
        (b"2.2 0 8", b"2.2 1 8", "section .MeshFormat has no byte order"),
        (b'2 3 "matrix"', b'2 x "matrix"', "PhysicalNames holds the line .2 x"),
        (b'"matrix"', b'"matrix', "PhysicalNames holds the line .2 3"),
        (b"$MeshFormat", b"$MeshFormats", "truncated"),
        (b"\n24\n1 2", b"\n25\n1 2", r"section \$Elements promises 25 elements"),
        (b"$EndElements", b"$EndElements.", r"section \$Elements has no \$EndElements"),
        (b"\n24 2 2 3 2 ", b"\n24 2 2 3 2 9", r"element 24 uses node 9\d+, which \$Nodes"),
        (b"\n20 5.0 ", b"\n99 5.0 ", r"element 23 uses node 20, which \$Nodes"),
        (b"\n2 3.0 ", b"\n2 nan ", "node 2 has the coordinates .nan"),
        (b"\n2 3.0 ", b"\n2 three ", r"section \$Nodes holds something that is no number"),
        (b"\n24 2 2", b"\n24 33 2", "elements of gmsh's type 33 are not known"),
        (b"$MeshFormat", b"%MeshFormat", "it does not begin with"),
    ],
)
def test_a_damaged_file_is_refused_and_nothing_printed(
    old: bytes, new: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = box("triangle", 1).write(tmp_path / "cell.msh")
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(InputError, match=rf"cell\.msh: .*({reason})"):
        read_cell(path)
    assert capsys.readouterr() == ("", "")


def test_partitions_are_ignored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = box("triangle", 1).write(tmp_path / "cell.msh")
    whole = read_cell(path)
    with_partition = re.sub(rb"(\n\d+ 2) 2 (\d \d) ", rb"\1 4 \2 1 1 ", path.read_bytes())
    assert with_partition.count(b" 4 3 2 1 1 ") == 18
    path.write_bytes(with_partition)
    cell = read_cell(path)
    assert mesh_facts(cell.mesh, cell.phases) == mesh_facts(whole.mesh, whole.phases)
    assert capsys.readouterr() == ("", "")


# Macroscopic meshes


def with_sides(kind: str, order: int) -> Msh:
    """The box with the group 'clamp' of sides on its lower face along x, numbered like a phase."""
    msh = box(kind, order)
    shape, lower, size = BOXES[DIMS[kind]]
    side = {"triangle": "interval", "quadrilateral": "interval", "hexahedron": "quadrilateral"}.get(
        kind, "triangle"
    )
    if side == "interval":
        nodes = np.flatnonzero(msh.points[:, 0] == lower[0])
        nodes = nodes[np.argsort(msh.points[nodes, 1])]
        rows = np.stack(
            [nodes[i : len(nodes) - order + i : order] for i in (0, order, *([1] * (order == 2)))], 1
        )
        type_ = {1: 1, 2: 8}[order]
    else:
        points, elements = grid(side, order, shape[1:], lower[1:], size[1:])
        face = np.flatnonzero(msh.points[:, 0] == lower[0])
        lookup = {tuple(np.round(msh.points[n, 1:], 9).tolist()): n for n in face}
        rows = np.array(
            [[lookup[tuple(np.round(points[n, :2], 9).tolist())] for n in row] for row in elements]
        )
        type_ = GMSH_TYPES[side, order]
    msh.blocks.insert(0, Block(type_, rows, 3, 5, DIMS[kind] - 1))
    msh.names.append((DIMS[kind] - 1, 3, "clamp"))
    return msh


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", DIMS)
def test_a_macroscopic_mesh_has_its_materials_and_boundaries(kind: str, order: int, tmp_path: Path) -> None:
    path = with_sides(kind, order).write(tmp_path / "macro.msh", "4.1")
    domain, cells, facets, cell_names, facet_names = read_mesh(path, MPI.COMM_SELF)
    assert cell_names == {"matrix": 3, "fibre": 7}
    assert facet_names == {"clamp": 3}
    dim = DIMS[kind]
    assert len(cells.values) == domain.topology.index_map(dim).size_local
    fibre = mesh.compute_midpoints(domain, dim, cells.find(7))
    assert (fibre[:, 0] < 3.5).all()
    assert len(fibre) == len(cells.values) // 4
    clamp = mesh.compute_midpoints(domain, dim - 1, facets.find(3))
    assert np.unique(clamp[:, 0]).tolist() == [3.0]
    assert len(clamp) == np.prod(BOXES[dim][0][1:]) * (2 if kind == "tetrahedron" else 1)


@pytest.mark.parametrize("version", ["2.2", "4.1"])
@pytest.mark.parametrize("sides_first", [True, False])
def test_a_boundary_may_have_the_name_of_a_material(sides_first: bool, version: str, tmp_path: Path) -> None:
    msh = with_sides("triangle", 1)
    msh.names[-1] = (1, 3, "fibre")
    msh.names.sort(reverse=not sides_first)
    marked = read_mesh(msh.write(tmp_path / "macro.msh", version), MPI.COMM_SELF)
    assert marked.cell_names == {"matrix": 3, "fibre": 7}
    assert marked.facet_names == {"fibre": 3}
    assert len(marked.facet_tags.find(3)) == 3
    assert len(marked.cell_tags.find(7)) == 6


def test_a_side_of_no_element_is_refused(tmp_path: Path) -> None:
    msh = with_sides("triangle", 1)
    msh.blocks[0].nodes[1] = [0, len(msh.points) - 1]
    with pytest.raises(InputError, match=r"interval 2 of curve 5 at .* is not a side of any triangle"):
        read_mesh(msh.write(tmp_path / "macro.msh"), MPI.COMM_SELF)


def test_an_inverted_macroscopic_element_is_refused(tmp_path: Path) -> None:
    msh = with_sides("triangle", 1)
    msh.blocks[2].nodes[0] = msh.blocks[2].nodes[0][::-1]
    with pytest.raises(InputError, match=r"macro\.msh: triangle \d+ of surface 2 at .* is inverted"):
        read_mesh(msh.write(tmp_path / "macro.msh"), MPI.COMM_SELF)


@pytest.mark.mpi
def test_a_mesh_is_distributed_and_its_errors_reach_all_ranks(tmp_path: Path) -> None:
    good = with_sides("triangle", 2).write(tmp_path / "macro.msh")
    bad = tmp_path / "bad.msh"
    bad.write_bytes(good.read_bytes()[:-20])
    code = f"""
import fe2
from mpi4py import MPI
from fe2.io.gmsh_mesh import read_mesh
comm = MPI.COMM_WORLD
for read in (lambda p: read_mesh(p, comm), lambda p: fe2.read_cell(p, comm=comm)):
    try:
        read({str(bad)!r})
    except fe2.InputError as error:
        assert error.collective and "truncated" in str(error)
        print("refused")
mesh, cells, facets, _, _ = read_mesh({str(good)!r}, comm)
facet_map = mesh.topology.index_map(1)
assert comm.allreduce(int((facets.find(3) < facet_map.size_local).sum())) == 3
assert len(cells.values) == mesh.topology.index_map(2).size_local + mesh.topology.index_map(2).num_ghosts
few = read_mesh({str(good)!r}, comm, ranks=1)
assert comm.allgather(few.mesh.topology.index_map(2).size_local)[1] == 0
assert len(few.facet_tags.find(3)) == (3 if comm.rank == 0 else 0)
cell = fe2.read_cell({str(good)!r}, comm=comm)
assert abs(cell.volume_fractions["fibre"] - 0.25) < 1e-13
"""
    assert succeeded(mpiexec(2, ["-c", code])).count("refused") == 4


# Nodes and elements that do not fit together


@pytest.mark.parametrize("kind", DIMS)
def test_a_vertex_that_is_a_mid_side_node_is_refused(kind: str, tmp_path: Path) -> None:
    msh = box(kind, 2)
    middle = msh.blocks[0].nodes[0, -1]
    msh.blocks[1].nodes[-1, 0] = middle
    reason = rf"node {middle + 1} is a vertex of {kind} \d+ of .* and a mid-side node of {kind} \d+"
    for read in (read_cell, read_mesh):
        with pytest.raises(InputError, match=rf"cell\.msh: {reason}"):
            read(msh.write(tmp_path / "cell.msh", "4.1", binary=True))


def test_a_mid_side_node_of_another_edge_is_refused(tmp_path: Path) -> None:
    msh = box("triangle", 2)
    msh.blocks[1].nodes[2, 3] = msh.blocks[0].nodes[0, 4]
    with pytest.raises(InputError, match=r"(share an edge or a face|is the mid-side node of two edges)"):
        read_cell(msh.write(tmp_path / "cell.msh"))


@pytest.mark.parametrize(("kind", "order"), [("triangle", 1), ("quadrilateral", 1), ("tetrahedron", 2)])
def test_a_node_twice_in_an_element_is_refused(kind: str, order: int, tmp_path: Path) -> None:
    msh = box(kind, order)
    msh.blocks[0].nodes[1, 1] = msh.blocks[0].nodes[1, 0]
    reason = rf"{kind} 2 of .* uses node {msh.blocks[0].nodes[1, 0] + 1} twice \(1 such"
    with pytest.raises(InputError, match=reason):
        read_cell(msh.write(tmp_path / "cell.msh"))


def test_an_element_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.blocks[0].nodes[1] = msh.blocks[0].nodes[0]
    with pytest.raises(InputError, match=r"triangle 2 of surface 1 at .* is listed twice in 'fibre'"):
        read_cell(msh.write(tmp_path / "cell.msh"))
    msh.blocks[0].nodes[1] = msh.blocks[0].nodes[0][[1, 2, 0]]
    with pytest.raises(InputError, match=r"triangle 2 of surface 1 at .* is listed twice in 'fibre'"):
        read_cell(msh.write(tmp_path / "cell.msh"))


def test_a_side_of_three_elements_is_refused(tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.points = np.vstack((msh.points, [3.9, -1.1, 0.0]))
    first, second = msh.blocks[0].nodes[0, [0, 2]]  # a diagonal
    extra = np.array([[first, second, len(msh.points) - 1]])
    msh.blocks[0].nodes = np.vstack((msh.blocks[0].nodes, extra))
    with pytest.raises(
        InputError, match=r"the side between the nodes \d+, \d+ belongs to 3 elements, triangle"
    ):
        read_cell(msh.write(tmp_path / "cell.msh"))


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("version", [2.2, 4.1])
def test_nodes_with_parameters_are_read(version: float, binary: bool, tmp_path: Path) -> None:
    """Mesh.SaveParametric = 1, on curves, surfaces and volumes, as gmsh itself writes it."""
    path = tmp_path / "cell.msh"
    gmsh.initialize(interruptible=False, readConfigFiles=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.model.occ.addBox(0.0, 0.0, 0.0, 1.0, 2.0, 3.0)
        gmsh.model.occ.synchronize()
        gmsh.model.addPhysicalGroup(3, [1], 5, "matrix")
        for name, value in {"SaveParametric": 1, "MshFileVersion": version, "Binary": binary}.items():
            gmsh.option.setNumber(f"Mesh.{name}", value)
        gmsh.option.setNumber("Mesh.MeshSizeMin", 0.5)
        gmsh.model.mesh.generate(3)
        gmsh.write(str(path))
    finally:
        gmsh.finalize()
    assert (b"$ParametricNodes" in path.read_bytes()) == (version == 2.2)
    cell = read_cell(path, periodic=False)
    assert cell.period.tolist() == pytest.approx([1.0, 2.0, 3.0])
    assert cell.volume_fractions == pytest.approx({"matrix": 1.0})


@pytest.mark.parametrize("binary", [False, True])
def test_sizes_are_looked_at_before_memory_is_taken(binary: bool, tmp_path: Path) -> None:
    for version, old in {"2.2": (b"$Nodes\n20\n", b"$Nodes\n1000000000000000\n")}.items():
        path = box("triangle", 1).write(tmp_path / "cell.msh", version, binary)
        assert old[0] in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(*old))
        with pytest.raises(InputError, match=r"section \$Nodes promises 10{15} "):
            read_cell(path)


def test_numbers_of_nodes_and_elements_are_those_of_the_file(tmp_path: Path) -> None:
    path = box("triangle", 1).write(tmp_path / "cell.msh")
    text = path.read_text().replace("\n20 5.0 ", "\n4321 5.0 ").replace(" 20", " 4321")
    path.write_text(text.replace("\n24 2 2 3 2 ", "\n987 2 2 3 2 "))
    assert read_cell(path).volume_fractions == pytest.approx({"matrix": 0.75, "fibre": 0.25})
    path.write_text(path.read_text().replace(" 4321", " 77"))
    with pytest.raises(InputError, match=r"element \d+ uses node 77, which \$Nodes does not define"):
        read_cell(path)
