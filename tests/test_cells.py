"""Cells from meshes: what they hold, which are refused, and how the message names the place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import ufl
from dolfinx import fem, mesh
from mpi import python, succeeded
from mpi4py import MPI
from msh_writer import BOXES, DIMS, Block, Msh, box, grid

from fe2.errors import InputError
from fe2.identity import mesh_facts
from fe2.micro.cell import make_cell
from fe2.micro.mesh_cell import read_cell
from fe2.micro.periodicity import node_representatives


def bend(msh: Msh, kind: str) -> None:
    """Move the nodes within the box and within its quarter, so that edges become curved."""
    shape, lower, size = BOXES[DIMS[kind]]
    dim = len(shape)
    unit = (msh.points[:, :dim] - lower) / size
    bump = np.prod(np.sin(np.pi * unit), axis=1) * np.sin(4 * np.pi * unit[:, 0])
    msh.points[:, :dim] += 0.03 * bump[:, None]
    msh.points[:, 0] -= 0.03 * bump  # keeps the plane between the phases


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", DIMS)
def test_geometry_of_every_element_type_is_integrated_exactly(kind: str, order: int, tmp_path: Path) -> None:
    msh = box(kind, order)
    bend(msh, kind)
    cell = read_cell(msh.write(tmp_path / "cell.msh"))
    _, _, size = BOXES[DIMS[kind]]
    assert cell.mesh.geometry.cmaps[0].degree == order
    assert cell.period == pytest.approx(size, rel=1e-14)
    assert cell.volume == pytest.approx(np.prod(size), rel=1e-14)
    assert cell.volume_fractions == pytest.approx({"matrix": 0.75, "fibre": 0.25}, rel=1e-13)
    x = ufl.SpatialCoordinate(cell.mesh)
    dx = ufl.Measure("dx", cell.mesh, subdomain_data=cell.phases, metadata={"quadrature_degree": 12})
    fibre, matrix = (dx(cell.names.index(name)) for name in ("fibre", "matrix"))
    length, V = size[0], cell.volume
    exact = [
        (1 * fibre, V / 4),
        (x[0] * fibre, -0.375 * length * V / 4),
        (x[0] * matrix, 0.125 * length * V * 3 / 4),
        (x[0] ** 2 * dx, length**2 / 12 * V),
        (x[1] ** 2 * dx, size[1] ** 2 / 12 * V),
    ]
    for integrand, value in exact:
        form = fem.form(integrand, jit_options={"cffi_extra_compile_args": ["-O0"]})
        assert fem.assemble_scalar(form) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("version", "binary"), [("2.2", True), ("4.1", False), ("4.1", True)])
def test_formats_of_the_file_give_the_same_cell(version: str, binary: bool, tmp_path: Path) -> None:
    msh = box("triangle", 2)
    first = read_cell(msh.write(tmp_path / "a.msh"))
    second = read_cell(msh.write(tmp_path / "b.msh", version, binary))
    assert mesh_facts(first.mesh, first.phases) == mesh_facts(second.mesh, second.phases)


def test_reading_does_not_need_gmsh(tmp_path: Path) -> None:
    path = box("triangle", 1).write(tmp_path / "cell.msh")
    code = f"import fe2, sys; fe2.read_cell({str(path)!r}); print('gmsh' in sys.modules)"
    assert succeeded(python(code)).strip() == "False"


def test_phases_are_groups_in_the_order_of_their_numbers_or_as_wanted(tmp_path: Path) -> None:
    path = box("quadrilateral", 1).write(tmp_path / "cell.msh")
    assert read_cell(path).names == ("matrix", "fibre")
    cell = read_cell(path, phases={"carbon": "fibre", "epoxy": 3})
    assert cell.names == ("carbon", "epoxy")
    assert len(cell.cells_of("carbon")) == 3
    assert set(cell.phases.values[cell.cells_of("epoxy")].tolist()) == {1}
    with pytest.raises(InputError, match="'steel' is not in the cell; its phases are carbon, epoxy"):
        cell.cells_of("steel")


def test_coordinates_are_centred_and_unused_nodes_dropped(tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.points = np.concatenate([msh.points, [[100.0, 100.0, 0.0]]])
    cell = read_cell(msh.write(tmp_path / "cell.msh"))
    assert cell.mesh.geometry.x[:, :2].max(axis=0) == pytest.approx(cell.period / 2, rel=1e-14)
    assert cell.mesh.geometry.x[:, :2].min(axis=0) == pytest.approx(-cell.period / 2, rel=1e-14)
    assert cell.period == pytest.approx([2.0, 1.0])


def test_pores_need_no_elements(tmp_path: Path) -> None:
    points, elements = grid("quadrilateral", 1, (6, 6), (0, 0), (1, 1))
    middle = points[elements].mean(axis=1)
    pore = (np.abs(middle[:, 0] - 0.5) < 1 / 6) & (np.abs(middle[:, 1] - 0.5) < 1 / 6)
    pore |= (np.abs(middle[:, 0] - 0.5) > 1 / 3) & (np.abs(middle[:, 1] - 0.25) < 0.1)  # across the face
    msh = Msh(points, [Block(3, elements[~pore], 1)], [(2, 1, "solid")])
    cell = read_cell(msh.write(tmp_path / "cell.msh"))
    assert cell.volume == pytest.approx(1.0)
    assert cell.volume_fractions["solid"] == pytest.approx(1 - pore.mean(), rel=1e-13)


@pytest.mark.parametrize("clockwise", [(True, True), (True, False)])
def test_surfaces_may_be_oriented_either_way(clockwise: tuple[bool, bool], tmp_path: Path) -> None:
    msh = box("triangle", 1)
    for block, turn in zip(msh.blocks, clockwise, strict=True):
        if turn:
            block.nodes = block.nodes[:, ::-1]
    assert sum(read_cell(msh.write(tmp_path / "cell.msh")).volume_fractions.values()) == pytest.approx(1.0)


def test_any_dolfinx_mesh_makes_a_cell() -> None:
    box_mesh = mesh.create_unit_cube(MPI.COMM_SELF, 3, 4, 5, mesh.CellType.tetrahedron)
    count = box_mesh.topology.index_map(3).size_local
    upper = mesh.compute_midpoints(box_mesh, 3, np.arange(count, dtype=np.int32))[:, 0] > 1 / 3
    cell = make_cell(box_mesh, upper.astype(np.int32), ["a", "b"])
    assert cell.volume_fractions == pytest.approx({"a": 1 / 3, "b": 2 / 3})
    assert cell.dim == 3
    assert cell.grid is None


def test_wrong_phases_of_a_mesh_are_refused() -> None:
    square = mesh.create_unit_square(MPI.COMM_SELF, 3, 3)
    zeros = np.zeros(18, dtype=np.int32)
    with pytest.raises(InputError, match="phase 'b' has no elements"):
        make_cell(square, zeros, ["a", "b"])
    with pytest.raises(InputError, match="phases are 18 indices below 1, one for each cell"):
        make_cell(square, zeros[:5], ["a"])
    with pytest.raises(InputError, match="phase 'a' is named more than once"):
        make_cell(square, zeros, ["a", "a"])


# Faces and period


def test_corners_and_edges_have_one_master() -> None:
    points, _ = grid("hexahedron", 1, (3, 3, 3), (-1, -1, -1), (2, 2, 2))
    masters = node_representatives(points, [2, 2, 2])
    assert len(np.unique(masters)) == 27
    corners = np.abs(points).min(axis=1) == 1
    assert np.unique(points[masters[corners]], axis=0).tolist() == [[-1, -1, -1]]
    shift = (points - points[masters]) / 2
    assert np.abs(shift - np.rint(shift)).max() == 0


def test_masters_do_not_depend_on_where_the_cell_lies() -> None:
    points, _ = grid("triangle", 2, (3, 4), (5, 7), (1, 2))
    masters = node_representatives(points, [1, 2], lower=[5, 7])
    assert (masters == node_representatives(points - [5.5, 8, 0], [1, 2])).all()


@pytest.mark.parametrize("order", [1, 2])
def test_faces_that_do_not_match_are_refused(order: int, tmp_path: Path) -> None:
    msh = box("triangle", order)
    moved = np.flatnonzero((msh.points[:, 0] == 5.0) & (np.abs(msh.points[:, 1] + 1.5) < 0.2))[0]
    msh.points[moved, 1] += 0.01
    path = msh.write(tmp_path / "cell.msh")
    where = f"at \\(5, {msh.points[moved, 1]:.8g}\\), is 0.01 away"
    with pytest.raises(InputError, match=f"cell.msh: .*face x = 5 have no partner on .*x = 3.*{where}"):
        read_cell(path)
    assert read_cell(path, periodic=False).volume == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("shape", "axis", "count"), [((2, 3), "x", "2 elements"), ((4, 1), "y", "1 element ")]
)
def test_fewer_than_three_elements_in_a_period_are_refused(
    shape: tuple[int, int], axis: str, count: str, tmp_path: Path
) -> None:
    points, elements = grid("quadrilateral", 1, shape, (0, 0), (1, 1))
    msh = Msh(points, [Block(3, elements, 1)], [(2, 1, "all")])
    with pytest.raises(InputError, match=f"{count}.*in the period along {axis}: at least 3"):
        read_cell(msh.write(tmp_path / "cell.msh"))


def test_a_mesh_that_is_no_box_is_refused(tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.points[:, 0] += 0.5 * msh.points[:, 1]
    with pytest.raises(
        InputError, match="no element has a side on the face x = 2 of the box from \\(2, -2\\)"
    ):
        read_cell(msh.write(tmp_path / "skewed.msh"))


# Elements


def test_an_inverted_element_is_refused(tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.blocks[1].nodes[4] = msh.blocks[1].nodes[4][::-1]
    number = len(msh.blocks[0].nodes) + 5
    at = ", ".join(f"{x:.6g}" for x in msh.points[msh.blocks[1].nodes[4]].mean(axis=0)[:2])
    with pytest.raises(InputError, match=f"triangle {number} of surface 2 at \\({at}\\) is inverted"):
        read_cell(msh.write(tmp_path / "cell.msh"))


def test_a_degenerate_element_is_refused(tmp_path: Path) -> None:
    msh = box("quadrilateral", 1)
    msh.points[msh.blocks[0].nodes[1, 2]] = msh.points[msh.blocks[0].nodes[1, [1, 3]]].mean(axis=0)
    with pytest.raises(InputError, match=r"quadrilateral 2 of surface 1 at .* is degenerate"):
        read_cell(msh.write(tmp_path / "cell.msh"))


@pytest.mark.parametrize("kind", DIMS)
def test_a_curved_element_that_turns_inside_out_is_refused(kind: str, tmp_path: Path) -> None:
    msh = box(kind, 2)
    corners = {"triangle": 3, "quadrilateral": 4, "tetrahedron": 4, "hexahedron": 8}[kind]
    inside = np.setdiff1d(msh.blocks[1].nodes[:, corners:], boundary_nodes(msh))
    msh.points[inside[0], 0] += 0.45
    with pytest.raises(InputError, match=f"{kind} \\d+ of .* at .* is inverted in part"):
        read_cell(msh.write(tmp_path / "cell.msh"))


def boundary_nodes(msh: Msh) -> np.ndarray:
    on_face = np.zeros(len(msh.points), dtype=bool)
    for axis in range(msh.blocks[0].dim):
        on_face |= np.isin(msh.points[:, axis], [msh.points[:, axis].min(), msh.points[:, axis].max()])
    return np.flatnonzero(on_face)


def test_overlapping_elements_are_refused(tmp_path: Path) -> None:
    msh = box("triangle", 1)
    extra = msh.points[msh.blocks[0].nodes[0]]
    msh.points = np.concatenate([msh.points, extra])
    msh.blocks[0].nodes = np.concatenate([msh.blocks[0].nodes, [len(msh.points) - np.arange(3, 0, -1)]])
    with pytest.raises(
        InputError, match=r"volumes sum to .*, more than the 2 of the box.*overlap.*fragmented"
    ):
        read_cell(msh.write(tmp_path / "cell.msh"), merge=False, periodic=False)


def test_several_types_of_elements_are_refused(tmp_path: Path) -> None:
    msh = box("quadrilateral", 1)
    corner = msh.blocks[0].nodes[0]
    msh.blocks[0].nodes = msh.blocks[0].nodes[1:]
    msh.blocks.append(Block(2, corner[[[0, 1, 2], [0, 2, 3]]], 7))
    with pytest.raises(InputError, match=r"11 of type quad and 2 of type triangle.*triangle 12 .*at"):
        read_cell(msh.write(tmp_path / "cell.msh"))


@pytest.mark.parametrize(
    ("type_", "nodes", "named"),
    [
        (16, 8, "quad8 1 of surface 1 at .*not supported.*SecondOrderIncomplete"),
        (17, 20, "hexahedron20 1 of volume 1 at .*not supported.*SecondOrderIncomplete"),
        (6, 6, "wedge 1 of volume 1 at .*not supported"),
        (21, 10, "triangle10 1 of surface 1 at .*not supported"),
    ],
)
def test_other_types_of_elements_are_refused(type_: int, nodes: int, named: str, tmp_path: Path) -> None:
    points, _ = grid("hexahedron", 1, (2, 2, 2), (0, 0, 0), (1, 1, 1))
    dim = 3 if type_ in (6, 17) else 2
    msh = Msh(points, [Block(type_, np.arange(nodes)[None], 1, dim=dim)], [(dim, 1, "all")])
    with pytest.raises(InputError, match=named):
        read_cell(msh.write(tmp_path / "cell.msh"))


def test_a_surface_that_leaves_its_plane_is_refused(tmp_path: Path) -> None:
    msh = box("triangle", 1)
    msh.points[7, 2] = 0.25
    with pytest.raises(InputError, match=r"node at \(.*, 0.25\) lies off the plane z = 0"):
        read_cell(msh.write(tmp_path / "cell.msh"))
