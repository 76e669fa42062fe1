"""Meshes that do not hold together, faces that are not plane, periods longer than the mesh, far origins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mpi import mpiexec, succeeded
from mpi4py import MPI
from msh_writer import DIMS, Block, Msh, box, grid, halves

import fe2
from fe2.io.gmsh_mesh import read_mesh
from fe2.micro.mesh_cell import read_cell


def apart(kind: str, order: int = 1, scale: float = 1.0, count: int = 4) -> Msh:
    """The unit box in two halves along x which share no nodes: 'a' with the label 1 and 'b' with 2."""
    dim = DIMS[kind]
    msh = halves(kind, order, (count,) + (3,) * (dim - 1), (0.0,) * dim, (scale,) * dim)
    a, b = msh.blocks
    used, inverse = np.unique(b.nodes, return_inverse=True)
    b.nodes = len(msh.points) + inverse.reshape(b.nodes.shape)
    msh.points = np.concatenate((msh.points, msh.points[used]))
    a.group, b.group, msh.names = 1, 2, [(dim, 1, "a"), (dim, 2, "b")]
    return msh


def laws(**values: float) -> dict[str, fe2.LinearConduction]:
    return {name: fe2.LinearConduction(value) for name, value in values.items()}


def conductivity(cell: fe2.Cell, **values: float) -> np.ndarray:
    return fe2.diffusion(cell, laws(**values)).homogenize().effective


LAYERS = [1 / (0.25 / 1 + 0.75 / 10), 0.25 * 1 + 0.75 * 10]
"""Conductivities of the laminate across and along its layers."""


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize(("kind", "order"), [("triangle", 1), ("quadrilateral", 2), ("tetrahedron", 1)])
def test_nodes_that_coincide_are_refused_or_joined(
    kind: str, order: int, scale: float, tmp_path: Path
) -> None:
    path = apart(kind, order, scale).write(tmp_path / "cell.msh")
    count = {("triangle", 1): 4, ("quadrilateral", 2): 7, ("tetrahedron", 1): 16}[kind, order]
    with pytest.raises(fe2.InputError, match=rf"cell\.msh: {count} nodes coincide with .*, between .*merge"):
        read_cell(path)
    with pytest.warns(fe2.Fe2Warning, match=rf"{count} nodes that coincided with others were joined"):
        cell = read_cell(path, merge=True)
    assert cell.volume_fractions == pytest.approx({"a": 0.25, "b": 0.75})
    if scale == 1.0 and kind == "triangle":
        assert np.diag(conductivity(cell, a=1.0, b=10.0)) == pytest.approx(LAYERS, rel=1e-10)


def test_nodes_that_nearly_coincide_are_joined_too(tmp_path: Path) -> None:
    msh = apart("triangle")
    msh.points[msh.blocks[1].nodes[:, 0]] += 1e-7  # single precision
    with pytest.raises(fe2.InputError, match=r"nodes coincide with others, up to 1\.7e-07 apart"):
        read_cell(msh.write(tmp_path / "cell.msh"), periodic=False)


def test_a_crack_that_is_meant_is_kept(tmp_path: Path) -> None:
    """A crack across the flux in the middle of a plate, between nodes 0.25 apart: it hinders the flux."""
    msh = halves("quadrilateral", 1, (8, 8))
    crack = np.flatnonzero((msh.points[:, 0] == 0.5) & (np.abs(msh.points[:, 1] - 0.5) < 0.3))
    assert len(crack) == 5
    inner = crack[1:-1]
    for block in msh.blocks:
        right = msh.points[block.nodes].mean(axis=1)[:, 0] > 0.5
        for number, node in enumerate(inner):
            block.nodes[right] = np.where(
                block.nodes[right] == node, len(msh.points) + number, block.nodes[right]
            )
    msh.points = np.concatenate((msh.points, msh.points[inner]))
    path = msh.write(tmp_path / "cell.msh")
    with pytest.raises(fe2.InputError, match="3 nodes coincide with others"):
        read_cell(path)
    cracked = conductivity(read_cell(path, merge=False), fibre=1.0, matrix=1.0)
    assert cracked[1, 1] == pytest.approx(1.0, abs=1e-10)
    assert 0.6 < cracked[0, 0] < 0.9


def test_a_crack_that_reaches_a_face_is_refused_where_the_face_is_periodic(tmp_path: Path) -> None:
    path = apart("triangle").write(tmp_path / "cell.msh")
    with pytest.raises(fe2.InputError, match=r"crack reaches the faces .* at \(0\.25, 0, 0\)"):
        read_cell(path, merge=False)
    cell = read_cell(path, merge=False, periodic=False)
    assert cell.mesh.geometry.x.shape[0] == 24


def test_an_interface_whose_nodes_do_not_match_is_refused(tmp_path: Path) -> None:
    """Both halves are meshed apart, with 3 and 4 elements along the interface."""
    parts = [grid("triangle", 1, (3, n), (x, 0.0), (0.5, 1.0)) for n, x in ((3, 0.0), (4, 0.5))]
    (one, first), (two, second) = parts
    msh = Msh(
        np.concatenate((one, two)),
        [Block(2, first, 1, 1), Block(2, second + len(one), 2, 2)],
        [(2, 1, "a"), (2, 2, "b")],
    )
    path = msh.write(tmp_path / "cell.msh")
    with pytest.raises(fe2.InputError, match=r"2 nodes coincide with others"):
        read_cell(path, periodic=False)
    with (
        pytest.warns(fe2.Fe2Warning, match="2 nodes"),
        pytest.raises(fe2.InputError, match=r"node \d+ at \(0\.5, .* on a side of triangle .*\(5 such"),
    ):
        read_cell(path, periodic=False, merge=True)


@pytest.mark.parametrize("kind", ["tetrahedron", "hexahedron"])
def test_a_node_inside_of_a_face_in_space_is_refused(kind: str, tmp_path: Path) -> None:
    parts = [grid(kind, 1, (3, n, n), (x, 0.0, 0.0), (0.5, 1.0, 1.0)) for n, x in ((3, 0.0), (4, 0.5))]
    (one, first), (two, second) = parts
    type_ = {"tetrahedron": 4, "hexahedron": 5}[kind]
    msh = Msh(
        np.concatenate((one, two)),
        [Block(type_, first, 1, 1, 3), Block(type_, second + len(one), 2, 2, 3)],
        [(3, 1, "a"), (3, 2, "b")],
    )
    with (
        pytest.warns(fe2.Fe2Warning, match="4 nodes"),
        pytest.raises(fe2.InputError, match=rf"lies on a side of {kind} .* without belonging to it"),
    ):
        read_cell(msh.write(tmp_path / "cell.msh"), periodic=False, merge=True)


def test_macroscopic_meshes_are_joined_with_their_boundaries(tmp_path: Path) -> None:
    msh = apart("triangle")
    for block, number in ((msh.blocks[0], 7), (msh.blocks[1], 7)):  # the interface, once from each side
        nodes = np.unique(block.nodes[np.isclose(msh.points[block.nodes][:, :, 0], 0.25)])
        nodes = nodes[np.argsort(msh.points[nodes, 1])]
        msh.blocks.insert(0, Block(1, np.stack((nodes[:-1], nodes[1:]), axis=1), number, number, 1))
    msh.names.append((1, 7, "interface"))
    path = msh.write(tmp_path / "macro.msh")
    with pytest.raises(fe2.InputError, match=r"macro\.msh: 4 nodes coincide"):
        read_mesh(path, MPI.COMM_SELF)
    with pytest.warns(fe2.Fe2Warning, match="4 nodes"):
        marked = read_mesh(path, MPI.COMM_SELF, merge=True)
    assert marked.mesh.geometry.x.shape[0] == 20
    assert len(marked.facets("interface")) == 3
    assert read_mesh(path, MPI.COMM_SELF, merge=False).mesh.geometry.x.shape[0] == 24


# Curved interfaces whose nodes do not match, and free sides that are meant


def rings(
    kind: str,
    order: int,
    around: tuple[int, int],
    radii: tuple[float, float],
    scale: float = 1.0,
    turned: float = 0.0,
) -> Msh:
    """A ring from radius 0.1 to radii[0] in one from radii[1] to 0.6, with so many elements around each.

    The inner one is turned by an angle, and in space somewhat shorter.
    """
    dim, parts, count = DIMS[kind], [], 0
    blocks = []
    for group, (n, low, high) in enumerate(((around[0], 0.1, radii[0]), (around[1], radii[1], 0.6)), 1):
        points, nodes = grid(
            kind, order, (n, 2, 2)[:dim], (0.0, low, 0.0)[:dim], (1.0, high - low, 0.3)[:dim]
        )
        angle = 2 * np.pi * points[:, 0] + turned * (group == 1)
        if group == 1:
            points[:, 2] = 0.9 * points[:, 2] + 0.015 * (dim == 3)
        points = np.column_stack((points[:, 1] * np.cos(angle), points[:, 1] * np.sin(angle), points[:, 2]))
        _, first, which = np.unique(points.round(9), axis=0, return_index=True, return_inverse=True)
        parts.append(points[first])
        type_ = {"triangle": (2, 9), "quadrilateral": (3, 10), "tetrahedron": (4, 11), "hexahedron": (5, 12)}
        blocks.append(Block(type_[kind][order - 1], which.ravel()[nodes] + count, group, group, dim))
        count += len(first)
    return Msh(scale * np.concatenate(parts), blocks, [(dim, 1, "inner"), (dim, 2, "outer")])


@pytest.mark.parametrize("scale", [1e-6, 1e3])
@pytest.mark.parametrize(
    ("kind", "order"),
    [("triangle", 1), ("quadrilateral", 1), ("triangle", 2), ("tetrahedron", 1), ("hexahedron", 1)],
)
def test_a_curved_interface_with_other_nodes_is_refused(
    kind: str, order: int, scale: float, tmp_path: Path
) -> None:
    """19 and 24 sides of one circle without common nodes: the elements overlap by small heights."""
    path = rings(kind, order, (19, 24), (0.3, 0.3), scale, turned=0.02).write(tmp_path / "cell.msh")
    reason = r"does not match: \d+ nodes of free sides face .*, node \d+ at .*fragmenting.*merge = false"
    with pytest.raises(fe2.InputError, match=reason):
        read_mesh(path, MPI.COMM_SELF)
    with (
        pytest.warns(fe2.Fe2Warning, match="merge = true joined nothing"),
        pytest.raises(fe2.InputError, match=reason),
    ):
        read_mesh(path, MPI.COMM_SELF, merge=True)
    read_mesh(path, MPI.COMM_SELF, merge=False)


def test_merging_few_of_the_nodes_of_an_interface_is_refused(tmp_path: Path) -> None:
    """19 and 24 sides of one circle meet in one node, and near it in no other."""
    path = rings("quadrilateral", 1, (19, 24), (0.3, 0.3)).write(tmp_path / "cell.msh")
    with pytest.raises(fe2.InputError, match=r"nodes coincide .* leave it open: fragment the volumes"):
        read_mesh(path, MPI.COMM_SELF)
    with (
        pytest.warns(fe2.Fe2Warning, match=r"1 nodes that coincided with others were joined"),
        pytest.raises(
            fe2.InputError, match=r"4\d nodes of free sides, beside 1 places that were joined, face"
        ),
    ):
        read_mesh(path, MPI.COMM_SELF, merge=True)


def test_nothing_to_join_is_told(tmp_path: Path) -> None:
    path = box("triangle", 1).write(tmp_path / "cell.msh")
    with pytest.warns(fe2.Fe2Warning, match="joined nothing"):
        read_mesh(path, MPI.COMM_SELF, merge=True)


def test_an_interface_joined_in_its_corners_only_is_told(tmp_path: Path) -> None:
    """Every other node of the outer side meets one of the inner: 12 of 24 are joined."""
    path = rings("quadrilateral", 1, (12, 24), (0.3, 0.3)).write(tmp_path / "cell.msh")
    with pytest.raises(fe2.InputError, match=r"12 nodes coincide .* leave it open"):
        read_mesh(path, MPI.COMM_SELF)
    with pytest.warns(fe2.Fe2Warning) as told:
        read_mesh(path, MPI.COMM_SELF, merge=True)
    assert "12 nodes that coincided" in str(told[0].message)
    assert "12 nodes of free sides, beside 12 places that were joined" in str(told[1].message)


def test_a_slot_far_narrower_than_its_sides_is_told(tmp_path: Path) -> None:
    path = rings("quadrilateral", 1, (24, 24), (0.29, 0.3)).write(tmp_path / "cell.msh")
    with pytest.warns(fe2.Fe2Warning, match="interface does not match: 24 nodes"):
        read_mesh(path, MPI.COMM_SELF)


@pytest.mark.parametrize("kind", ["triangle", "quadrilateral", "tetrahedron", "hexahedron"])
def test_holes_and_thin_ligaments_are_no_interfaces(
    kind: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """A gap as wide as its sides are long; the inner ring thinner than a twentieth of these."""
    path = rings(kind, 1, (24, 24), (0.104, 0.2)).write(tmp_path / "cell.msh")
    read_mesh(path, MPI.COMM_SELF)
    assert not [warning for warning in recwarn if issubclass(warning.category, fe2.Fe2Warning)]


def test_a_sharp_notch_is_no_interface(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """A notch of 11 degrees from the middle of a plate to its side."""
    msh = halves("quadrilateral", 1, (8, 8))
    line = np.flatnonzero((msh.points[:, 1] == 0.5) & (msh.points[:, 0] > 0.5))
    twin = np.arange(len(msh.points))
    twin[line] = len(msh.points) + np.arange(len(line))
    for block in msh.blocks:
        above = msh.points[block.nodes].mean(axis=1)[:, 1] > 0.5
        block.nodes[above] = twin[block.nodes[above]]
    msh.points = np.concatenate((msh.points, msh.points[line]))
    opening = 0.1 * (msh.points[line, 0] - 0.5)
    msh.points[line, 1] -= opening
    msh.points[twin[line], 1] += opening
    read_mesh(msh.write(tmp_path / "plate.msh"), MPI.COMM_SELF)
    assert not [warning for warning in recwarn if issubclass(warning.category, fe2.Fe2Warning)]


def island() -> Msh:
    """A block of 2 × 2 elements in the middle of 6 × 6 that shares no nodes with the others."""
    msh = box("quadrilateral", 1)
    points, nodes = grid("quadrilateral", 1, (6, 6), (0.0, 0.0), (1.0, 1.0))
    within = (np.abs(points[nodes].mean(axis=1)[:, :2] - 0.5) < 1 / 6).all(axis=1)
    used, inverse = np.unique(nodes[within], return_inverse=True)
    own = len(points) + inverse.reshape(-1, 4)
    msh.points, msh.blocks = (
        np.concatenate((points, points[used])),
        [Block(3, nodes[~within], 1, 1), Block(3, own, 2, 2)],
    )
    msh.names = [(2, 1, "matrix"), (2, 2, "fibre")]
    return msh


def test_a_part_of_a_mesh_that_is_left_out_is_told(tmp_path: Path) -> None:
    cell = read_cell(island().write(tmp_path / "cell.msh"), merge=False)
    text = r"100 % of the phase 'fibre' \(0\.111 of the cell\) is isolated.*Fragment"
    with pytest.warns(fe2.Fe2Warning, match=text):
        fe2.diffusion(cell, laws(matrix=1.0, fibre=10.0))
    solid = {name: fe2.LinearElastic.isotropic(1.0, 0.3) for name in cell.names}
    with pytest.warns(fe2.Fe2Warning, match=text):
        fe2.small_strain(cell, solid)


# Faces


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_a_face_that_is_not_plane_is_refused_or_made_plane(scale: float, tmp_path: Path) -> None:
    msh = halves("quadrilateral", 1, (4, 4), size=(scale, scale))
    bumps = np.flatnonzero(
        np.isclose(msh.points[:, 0], scale) & (np.abs(msh.points[:, 1] / scale - 0.375) < 0.2)
    )
    msh.points[bumps, 0] += 1e-7 * scale
    path = msh.write(tmp_path / "cell.msh")
    reason = r"the face x = .* is not plane: 3 nodes are up to [\d.e-]+ off it.*tolerance = 1\.5e-07"
    for periodic in (True, False):
        with pytest.raises(fe2.InputError, match=reason):
            read_cell(path, periodic=periodic)
        cell = read_cell(path, periodic=periodic, tolerance=2e-7)
        x = cell.mesh.geometry.x[:, 0]
        assert np.count_nonzero(np.abs(x) == cell.period[0] / 2) == 10
    cell = read_cell(path, tolerance=2e-7)
    assert np.diag(conductivity(cell, fibre=1.0, matrix=10.0)) == pytest.approx(LAYERS, rel=1e-6)


def test_bumps_on_both_faces_are_refused_too(tmp_path: Path) -> None:
    """Nodes that match, off both faces, would be a crack across the period."""
    msh = halves("triangle", 1, (4, 4))
    for position, step in ((0.0, -1e-6), (1.0, 1e-6)):
        inner = (msh.points[:, 0] == position) & (np.abs(msh.points[:, 1] - 0.5) < 0.3)
        msh.points[inner, 0] += step
    with pytest.raises(fe2.InputError, match=r"the face x = -1e-06 is not plane"):
        read_cell(msh.write(tmp_path / "cell.msh"))


def test_a_tolerance_that_reaches_elements_is_refused(tmp_path: Path) -> None:
    path = box("triangle", 1).write(tmp_path / "cell.msh")
    with pytest.raises(fe2.InputError, match=r"tolerance = 0\.05: .* the shortest edge is 0\.333 long"):
        read_cell(path, tolerance=0.05)


# Period


def test_strips_with_a_gap_conduct_along_themselves_only(tmp_path: Path) -> None:
    """A strip that fills two thirds of its period; without one, the strips of neighbouring cells touch."""
    path = halves("quadrilateral", 1, (4, 3), (0.3, -0.2), (1.0, 2 / 3)).write(tmp_path / "cell.msh")
    touching = read_cell(path)
    assert touching.period.tolist() == pytest.approx([1.0, 2 / 3])
    cell = read_cell(path, period=[1.0, 1.0])
    assert cell.period.tolist() == [1.0, 1.0]
    assert cell.volume_fractions == pytest.approx({"fibre": 1 / 6, "matrix": 0.5})
    assert conductivity(cell, fibre=1.0, matrix=1.0) == pytest.approx(np.diag([2 / 3, 0.0]), abs=1e-10)


@pytest.mark.parametrize(
    ("period", "reason"),
    [
        ([1.0, 0.9], r"period = \[1\.0, 0\.9\]: the mesh is 1 long along y"),
        ([1.0], r"period = \[1\.0\]: 2 positive lengths are needed"),
        ([1.0, -1.0], "2 positive lengths are needed"),
        ([np.nan, 1.0], "2 positive lengths are needed"),
    ],
)
def test_a_period_that_does_not_fit_is_refused(period: list[float], reason: str, tmp_path: Path) -> None:
    path = halves("triangle").write(tmp_path / "cell.msh")
    with pytest.raises(fe2.InputError, match=reason):
        read_cell(path, period=period)


def test_a_longer_period_needs_periodic_conditions(tmp_path: Path) -> None:
    path = halves("triangle").write(tmp_path / "cell.msh")
    with pytest.raises(fe2.InputError, match=r"the period is longer than the mesh along y, which needs"):
        read_cell(path, period=[1.0, 1.5], periodic=False)


# Far from the origin


@pytest.mark.parametrize("far", [1e4, 1e7, 1e9])
def test_a_cell_far_away_has_the_answer_of_one_at_the_origin(far: float, tmp_path: Path) -> None:
    path = halves("triangle", 2, (4, 4), (far, -far)).write(tmp_path / "cell.msh", binary=True)
    # binary: every coordinate is the nearest number in double precision
    if far > 1e7:
        with pytest.warns(fe2.Fe2Warning, match=r"cell\.msh|6 digits are left of its shortest edge, 0\.25"):
            cell = read_cell(path)
    else:
        cell = read_cell(path)
    exact = [LAYERS[0], LAYERS[1]]
    assert np.diag(conductivity(cell, fibre=1.0, matrix=10.0)) == pytest.approx(exact, rel=1e-14 * far + 1e-9)


def test_coordinates_that_do_not_resolve_the_elements_are_refused(tmp_path: Path) -> None:
    for far in (1e12, 1e14):
        path = halves("triangle", 1, (4, 4), (far, 0.0)).write(tmp_path / "cell.msh", binary=True)
        for read in (read_cell, read_mesh):
            with pytest.raises(fe2.InputError, match=r"cell\.msh: .*(digits are left|wide and lies)"):
                read(path)


@pytest.mark.mpi
def test_several_ranks_join_nodes_and_move_them_onto_faces(tmp_path: Path) -> None:
    msh = apart("triangle", 2, count=8)
    face = np.flatnonzero(np.isclose(msh.points[:, 0], 1.0))
    msh.points[face, 0] += 1e-7 * np.cos(np.arange(len(face)))
    path = msh.write(tmp_path / "cell.msh")
    code = f"""
import warnings
import numpy as np
from mpi4py import MPI
import fe2
comm = MPI.COMM_WORLD
try:
    fe2.read_cell({str(path)!r}, comm=comm)
except fe2.InputError as error:
    assert error.collective and "nodes coincide" in str(error), error
    print("refused")
warnings.simplefilter("ignore", fe2.Fe2Warning)
try:
    fe2.read_cell({str(path)!r}, comm=comm, merge=True)
except fe2.InputError as error:
    assert error.collective and "not plane" in str(error), error
    print("refused")
cell = fe2.read_cell({str(path)!r}, comm=comm, merge=True, tolerance=1e-6)
x = cell.mesh.geometry.x[:, 0]
near = np.abs(np.abs(x) - cell.period[0] / 2) < 1e-5
assert (np.abs(x[near]) == cell.period[0] / 2).all()
"""
    assert succeeded(mpiexec(3, ["-c", code])).count("refused") == 6
