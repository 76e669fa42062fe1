"""Cells and macroscopic meshes of `fe2_meshes`: periodicity, measures, fractions, refusals."""

from __future__ import annotations

import itertools
import math
import shlex
from importlib import import_module
from pathlib import Path

import gmsh
import meshio
import numpy as np
import pytest
from fe2_meshes.cook_membrane import cook_membrane
from fe2_meshes.cook_membrane_resolved import cook_membrane_resolved
from fe2_meshes.hexagonal_array import hexagonal_array
from fe2_meshes.laminate import laminate
from fe2_meshes.packing import random_packing
from fe2_meshes.perforated_plate import perforated_plate
from fe2_meshes.periodic_images import images, nearest_images
from fe2_meshes.polycrystal import polycrystal
from fe2_meshes.random_fibres import random_fibres
from fe2_meshes.random_spheres import random_spheres
from fe2_meshes.simple_cubic import simple_cubic
from fe2_meshes.size_field import SizeField
from fe2_meshes.square_array import square_array
from fe2_meshes.tapered_bar import tapered_bar
from fe2_meshes.voronoi import relax_seeds, tessellate

from fe2.cli.main import run
from fe2.micro.mesh_cell import read_cell

FOLDER = Path(__file__).parent.parent / "meshes"

# Reference nodes, in meshio's order, and exponents of the monomials of each element type.
SIMPLEX_EDGES = {2: [(0, 1), (1, 2), (2, 0)], 3: [(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)]}
QUAD = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
HEXAHEDRON = np.vstack([np.c_[QUAD, np.zeros(4)], np.c_[QUAD, np.ones(4)]])


def simplex(dim, order):
    corners = np.vstack([np.zeros(dim), np.eye(dim)])
    middles = [(corners[i] + corners[j]) / 2 for i, j in SIMPLEX_EDGES[dim]]
    nodes = corners if order == 1 else np.vstack([corners, middles])
    return nodes, [e for e in itertools.product(range(order + 1), repeat=dim) if sum(e) <= order]


ELEMENTS = {
    "triangle": simplex(2, 1),
    "triangle6": simplex(2, 2),
    "tetra": simplex(3, 1),
    "tetra10": simplex(3, 2),
    "quad": (QUAD, list(itertools.product(range(2), repeat=2))),
    "hexahedron": (HEXAHEDRON, list(itertools.product(range(2), repeat=3))),
}


def quadrature(kind, dim):
    """Gauss points of the unit cube, collapsed onto the simplex where the element is one."""
    points, weights = np.polynomial.legendre.leggauss(4)
    x = np.array(list(itertools.product((points + 1) / 2, repeat=dim)))
    w = np.prod(list(itertools.product(weights / 2, repeat=dim)), axis=1)
    if kind.startswith("t"):
        for k in range(dim - 1, 0, -1):
            scale = np.prod(1 - x[:, :k], axis=1)
            w *= scale
            x[:, k] *= scale
    return x, w


def gradients(exponents, points):
    """Derivatives of monomials, shape (points, monomials, dim)."""
    values = np.zeros((len(points), len(exponents), points.shape[1]))
    for m, exponent in enumerate(exponents):
        for k in range(points.shape[1]):
            lower = np.array(exponent) - (np.arange(len(exponent)) == k)
            if lower[k] >= 0:
                values[:, m, k] = exponent[k] * np.prod(points**lower, axis=1)
    return values


def measures(points, block):
    """Areas or volumes of the elements of a block, curved ones included."""
    nodes, exponents = ELEMENTS[block.type]
    dim = nodes.shape[1]
    x, w = quadrature(block.type, dim)
    vandermonde = np.array([[np.prod(node ** np.array(e)) for e in exponents] for node in nodes])
    shape_gradients = np.einsum("qmk,ma->qak", gradients(exponents, x), np.linalg.inv(vandermonde))
    jacobians = np.einsum("eai,qak->eqik", points[block.data][:, :, :dim], shape_gradients)
    determinants = np.linalg.det(jacobians)
    assert np.min(determinants) > 0.0
    return determinants @ w


def group_measures(path):
    """Area or volume of every physical group of the highest dimension."""
    mesh = meshio.read(path)
    dim = max(block.dim for block in mesh.cells)
    names = {int(tag): name for name, (tag, d) in mesh.field_data.items() if d == dim}
    totals = dict.fromkeys(names.values(), 0.0)
    for block, tags in zip(mesh.cells, mesh.cell_data["gmsh:physical"], strict=True):
        if block.dim == dim:
            totals[names[tags[0]]] += measures(mesh.points, block).sum()
    return totals


def side(mesh, axis, position):
    """Sorted nodes on a face of the cell, and centroids of the element faces on it."""
    size = mesh.points.max()
    on_face = np.abs(mesh.points[:, axis] - position) < 1e-9 * size
    centroids = []
    for block in mesh.cells:
        corners = block.data[:, : {"t": block.dim + 1, "q": 4, "h": 8}[block.type[0]]]
        selected = on_face[corners]
        least = block.dim if block.type.startswith("t") else 2 ** (block.dim - 1)
        for nodes, inside in zip(corners, selected, strict=True):
            if inside.sum() >= least:
                centroids.append(mesh.points[nodes[inside]].mean(axis=0))
    across = [k for k in range(3) if k != axis]
    faces = [np.array(array)[:, across] for array in (mesh.points[on_face], centroids)]
    return [array[np.lexsort(np.round(array / size, 8).T)] for array in faces], mesh.points[on_face, axis]


CELLS = {
    "laminate": (laminate, {"fractions": (0.3, 0.7), "size": 0.2}, (1, 1)),
    "laminate of one layer": (laminate, {"fractions": (1.0,), "size": 1 / 3}, (1, 1)),
    "laminate normal 2": (laminate, {"fractions": (0.1, 0.2, 0.7), "normal": 2, "lengths": (2, 1)}, (2, 1)),
    "laminate quads": (laminate, {"elements": "tensor", "size": 0.2}, (1, 1)),
    "laminate tets": (laminate, {"lengths": (1, 1, 2), "normal": 3, "size": 0.25}, (1, 1, 2)),
    "laminate tets 2": (laminate, {"lengths": (1, 1, 1), "order": 2, "size": 0.3}, (1, 1, 1)),
    "laminate hexes": (laminate, {"lengths": (1, 1, 1), "elements": "tensor", "size": 0.3}, (1, 1, 1)),
    "square": (square_array, {"size": 0.15, "fraction": 0.75}, (1, 1)),
    "square 3D": (square_array, {"size": 0.2, "dim": 3}, (1, 1, 0.6)),
    "square of 5 micrometres": (square_array, {"length": 5e-6, "size": 1e-6}, (5e-6, 5e-6)),
    "hexagonal": (hexagonal_array, {"fraction": 0.6}, (1, math.sqrt(3))),
    "hexagonal 3D": (hexagonal_array, {"size": 0.2, "dim": 3, "depth": 0.7}, (1, math.sqrt(3), 0.7)),
    "random fibres": (random_fibres, {"fraction": 0.5, "count": 8, "lengths": (1, 2)}, (1, 2)),
    "simple cubic": (simple_cubic, {"size": 0.25}, (1, 1, 1)),
    "simple cubic straight": (simple_cubic, {"size": 0.25, "order": 1}, (1, 1, 1)),
    "random spheres": (random_spheres, {"count": 3, "size": 0.2}, (1, 1, 1)),
    "polycrystal": (polycrystal, {"grains": 6}, (1, 1)),
    "polycrystal 3D": (polycrystal, {"grains": 4, "lengths": (1, 1, 1), "relax": 0}, (1, 1, 1)),
    "polycrystal of 300": (
        polycrystal,
        {"grains": 3, "lengths": (300, 200, 200), "size": 50},
        (300, 200, 200),
    ),
    "polycrystal 3D 2": (
        polycrystal,
        {"grains": 4, "lengths": (1, 2, 1), "order": 2, "size": 0.3},
        (1, 2, 1),
    ),
}


EXTRUDED = ("square 3D", "hexagonal 3D")


@pytest.fixture(scope="module", params=CELLS)
def cell(request, tmp_path_factory):
    function, parameters, period = CELLS[request.param]
    path = function(tmp_path_factory.mktemp("cell") / "cell.msh", **parameters)
    return path, np.array(period, float)


def assert_periodic(mesh, period):
    """Nodes and element faces of opposite sides coincide after translation by the period."""
    tolerance = 1e-12 * max(period)
    for axis, length in enumerate(period):
        (near, near_faces), low = side(mesh, axis, 0.0)
        (far, far_faces), high = side(mesh, axis, length)
        np.testing.assert_allclose(low, 0.0, atol=tolerance)
        np.testing.assert_allclose(high, length, rtol=0.0, atol=tolerance)
        np.testing.assert_allclose(far, near, rtol=0.0, atol=tolerance)
        np.testing.assert_allclose(far_faces, near_faces, rtol=0.0, atol=tolerance)


def test_opposite_faces_match(cell):
    path, period = cell
    assert_periodic(meshio.read(path), period)


def test_cell_fills_the_box(cell):
    path, period = cell
    assert sum(group_measures(path).values()) == pytest.approx(np.prod(period), rel=1e-10)
    np.testing.assert_allclose(meshio.read(path).points[:, : len(period)].max(axis=0), period, rtol=1e-12)


def test_three_elements_in_a_period(cell):
    path, period = cell
    mesh = meshio.read(path)
    order = 2 if mesh.cells[0].type in ("triangle6", "tetra10") else 1
    for axis in range(len(period)):
        on_edge = np.all(np.delete(mesh.points, axis, axis=1) == 0.0, axis=1)
        assert (on_edge.sum() - 1) // order >= 3


@pytest.mark.parametrize("cell", [name for name in CELLS if name not in EXTRUDED], indirect=True)
def test_periodic_section_is_readable(cell):
    path, period = cell
    mesh = meshio.read(path)
    translations = np.array([affine.reshape(4, 4)[:3, 3] for _, _, affine, _ in mesh.gmsh_periodic])
    for (*_, pairs), translation in zip(mesh.gmsh_periodic, translations, strict=True):
        copies, originals = mesh.points[pairs.T.astype(int)]
        np.testing.assert_allclose(copies, originals + translation, rtol=0.0, atol=1e-12 * max(period))
    steps = np.pad(np.diag(period), ((0, 0), (0, 3 - len(period))))
    for step in steps:
        assert np.any(np.all(np.isclose(translations, step, rtol=0.0, atol=1e-12 * max(period)), axis=1))


def test_laminate_fractions_are_exact(tmp_path):
    fractions = (0.123, 0.3, 0.577)
    path = laminate(tmp_path / "laminate.msh", fractions=fractions, lengths=(2.0, 0.5), normal=1)
    expected = {f"layer_{k + 1}": fraction for k, fraction in enumerate(fractions)}
    assert group_measures(path) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("function", "phase", "parameters"),
    [
        (square_array, "fibre", {"fraction": 0.3, "size": 0.2}),
        (square_array, "fibre", {"fraction": 0.75, "size": 0.1}),
        (square_array, "fibre", {"fraction": 0.3, "size": 1e-6, "dim": 3, "length": 5e-6}),
        (hexagonal_array, "fibre", {"fraction": 0.85, "size": 0.1}),
        (random_fibres, "fibre", {"fraction": 0.55, "size": 0.15, "count": 5}),
        (simple_cubic, "sphere", {"fraction": 0.3, "size": 0.3}),
        (random_spheres, "sphere", {"fraction": 0.25, "size": 0.3, "count": 2}),
    ],
)
def test_fraction_of_the_mesh_is_the_one_asked_for(function, phase, parameters, order, tmp_path):
    totals = group_measures(function(tmp_path / "cell.msh", order=order, **parameters))
    assert set(totals) == {"matrix", phase}
    assert totals[phase] / sum(totals.values()) == pytest.approx(parameters["fraction"], rel=1e-9)


@pytest.mark.parametrize("order", [1, 2])
def test_interface_converges_to_the_circle_at_twice_the_order(order, tmp_path):
    sizes = np.array([0.16, 0.08, 0.04])
    radius = math.sqrt(0.3 / math.pi)
    errors = []
    for size in sizes:
        mesh = meshio.read(square_array(tmp_path / "cell.msh", fraction=0.3, size=size, order=order))
        fibre = [block.data[rows] for block, rows in zip(mesh.cells, mesh.cell_sets["fibre"], strict=True)]
        nodes = mesh.points[np.unique(np.concatenate([rows.ravel() for rows in fibre if len(rows)]))]
        errors.append(np.linalg.norm(nodes[:, :2] - 0.5, axis=1).max() / radius - 1.0)
    rate = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert rate == pytest.approx(2 * order, abs=0.4)


RANGE = {
    "square_array": [
        {"dim": 3},
        {"dim": 3, "depth": 0.02, "order": 1},
        {"dim": 3, "depth": 2.0, "size": 0.3},
        {"fraction": 4e-6, "size": 1 / 3},
        {"fraction": 0.78, "size": 1 / 3, "order": 1},
        {"fraction": 0.78, "size": 300.0, "length": 3e3},
    ],
    "hexagonal_array": [
        {"dim": 3, "size": 0.2},
        {"fraction": 4e-6, "size": 1 / 3, "order": 1},
        {"fraction": 0.9, "size": 1 / 3, "dim": 3},
        {"fraction": 0.9, "size": 0.1, "order": 1},
    ],
    "random_fibres": [
        {"fraction": 1e-4, "count": 3},
        {"fraction": 0.6, "count": 4, "size": 1 / 3, "order": 1},
        {"count": 3, "lengths": (1.0, 4.0), "seed": 7},
    ],
    "simple_cubic": [
        {"size": 1 / 3},
        {"size": 1 / 3, "order": 1},
        {"fraction": 1e-7, "size": 1 / 3},
        {"fraction": 0.42, "size": 3e-4, "length": 1e-3},
    ],
    "random_spheres": [
        {"count": 1, "size": 1 / 3},
        {"count": 2, "size": 1 / 3, "order": 1, "fraction": 0.3},
        {"fraction": 1e-5, "count": 2, "size": 1 / 3},
    ],
    "laminate": [
        {"fractions": fractions, "elements": elements, "lengths": lengths, "order": order, "size": 1 / 3}
        for fractions in ((1.0,), (0.001, 0.999))
        for elements in ("simplex", "tensor")
        for lengths, order in (((1.0, 2.0), 2), ((1.0, 1.0, 1.0), 1))
    ],
    "polycrystal": [
        {"grains": 2, "relax": 0, "size": 1 / 3},
        {"grains": 2, "lengths": (1.0, 1.0, 1.0), "size": 1 / 3},
        {"grains": 30, "lengths": (1.0, 3.0), "order": 2},
    ],
}


@pytest.mark.parametrize("name", RANGE)
def test_every_cell_is_accepted_over_the_range_of_its_parameters(name, tmp_path):
    function = getattr(import_module(f"fe2_meshes.{name}"), name)
    for parameters in RANGE[name]:
        cell = read_cell(function(tmp_path / "cell.msh", binary=True, **parameters))
        assert cell.volume == pytest.approx(np.prod(cell.period), rel=1e-9), parameters


def test_fibres_in_space_are_layers_of_the_cross_section(tmp_path):
    parameters = {"fraction": 0.4, "size": 0.3}
    plane = read_cell(hexagonal_array(tmp_path / "plane.msh", **parameters))
    space = read_cell(hexagonal_array(tmp_path / "space.msh", dim=3, depth=0.8, **parameters))
    assert space.mesh.topology.index_map(3).size_local == 9 * plane.mesh.topology.index_map(2).size_local
    assert space.period == pytest.approx([1.0, math.sqrt(3.0), 0.8], rel=1e-14)
    assert space.volume_fractions == pytest.approx(plane.volume_fractions, rel=1e-13)


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (random_fibres, {"count": 3, "size": 0.2}),
        (random_spheres, {"count": 1, "size": 0.3}),
        (polycrystal, {"grains": 5}),
        (polycrystal, {"grains": 2, "lengths": (1, 1, 1)}),
    ],
)
def test_seed_determines_the_mesh(function, parameters, tmp_path):
    first, again, other = (
        function(tmp_path / f"{name}.msh", seed=seed, **parameters).read_bytes()
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(("dim", "fraction"), [(2, 0.3), (2, 0.6), (3, 0.2), (3, 0.45)])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_packing_keeps_the_distance(dim, fraction, count):
    period = np.array([1.0, 1.2, 0.9][:dim])
    ball = {2: math.pi, 3: 4.0 * math.pi / 3.0}[dim]
    distance = 2.05 * (fraction * period.prod() / count / ball) ** (1.0 / dim)
    if distance > min(period):
        assert random_packing(count, distance, period, 0) is None
        return
    centres = random_packing(count, distance, period, 0)
    assert np.all((centres >= 0.0) & (centres <= period))
    first, second = np.triu_indices(count, 1)
    separations = np.linalg.norm(nearest_images(centres[first] - centres[second], period), axis=1)
    assert np.all(separations >= distance)


@pytest.mark.parametrize(
    ("dim", "count", "relax"), [(2, 2, 0), (2, 15, 0), (2, 15, 5), (3, 2, 0), (3, 12, 3)]
)
def test_grains_are_the_points_nearest_to_their_seed(dim, count, relax):
    period = np.array([1.0, 1.3, 0.8][:dim])
    rng = np.random.default_rng(5)
    seeds = relax_seeds(rng.uniform(0.0, period, (count, dim)), period, relax)
    tessellation = tessellate(seeds, period)
    for facets, owner in zip(tessellation.pieces, tessellation.seeds, strict=True):
        vertices = tessellation.vertices[sorted({v for facet in facets for v in tessellation.facets[facet]})]
        inside = rng.dirichlet(np.ones(len(vertices)), 20) @ vertices
        distances = np.linalg.norm(nearest_images(inside[:, None] - seeds[None], period), axis=2)
        np.testing.assert_array_equal(np.argmin(distances, axis=1), owner)


def test_size_field_is_periodic_and_grows_linearly():
    field = SizeField(np.array([1.0, 1.0]), np.empty((0, 2)), np.empty(0))
    assert field(2, 1, 0.5, 0.5, 0.0, 0.3) == 0.3
    field.refine(np.array([[0.1, 0.5, 0.0]]), np.array([0.01]))
    assert field(2, 1, 0.2, 0.5, 0.0, 0.3) == pytest.approx(0.06)
    assert field(2, 1, 1.0, 0.5, 0.0, 0.3) == pytest.approx(0.06)
    assert len(images(2)) == 9


@pytest.mark.parametrize("length", [1.0, 3e-6])
def test_binary_file_holds_the_same_mesh(length, tmp_path):
    text = meshio.read(square_array(tmp_path / "text.msh", length=length))
    binary = meshio.read(square_array(tmp_path / "binary.msh", length=length, binary=True))
    np.testing.assert_allclose(binary.points, text.points, rtol=0.0, atol=1e-15 * length)
    for (_, _, first, _), (_, _, second, _) in zip(text.gmsh_periodic, binary.gmsh_periodic, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-15)
    assert binary.field_data.keys() == text.field_data.keys()
    for first, second in zip(text.cells, binary.cells, strict=True):
        np.testing.assert_array_equal(first.data, second.data)


SMALL = {
    "square_array": {"size": 0.25},
    "hexagonal_array": {"size": 0.3, "dim": 3},
    "random_fibres": {"size": 0.3, "count": 2},
    "simple_cubic": {"size": 0.3},
    "random_spheres": {"size": 0.3, "count": 1},
    "laminate": {"size": 0.3, "lengths": (1.0, 1.0, 1.0), "elements": "tensor"},
    "polycrystal": {"grains": 3},
    "perforated_plate": {"size": 0.3},
    "cook_membrane": {"nx": 3},
    "cook_membrane_resolved": {"spacing": 24.0, "size": 8.0, "order": 1},
    "tapered_bar": {"elements": "simplex"},
}
UNUSUAL = {
    "Mesh.Algorithm": 8,
    "Mesh.Algorithm3D": 1,
    "Mesh.MeshSizeFactor": 0.5,
    "Mesh.MeshSizeMin": 0.2,
    "Mesh.MeshSizeMax": 0.123,
    "Mesh.MeshSizeFromCurvature": 20,
    "Mesh.RecombineAll": 1,
    "Mesh.SubdivisionAlgorithm": 1,
    "Mesh.SecondOrderIncomplete": 1,
    "Mesh.Optimize": 0,
    "Mesh.ScalingFactor": 2.0,
    "Mesh.RandomFactor": 1e-3,
    "Mesh.SaveGroupsOfNodes": 1,
    "Geometry.Tolerance": 1e-3,
    "Geometry.OCCScaling": 3.0,
    "General.AbortOnError": 0,
}


@pytest.fixture
def caller():
    """A session of gmsh with unusual options, with a model and its mesh."""
    gmsh.initialize(interruptible=False, readConfigFiles=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.model.add("other")
        gmsh.model.add("mine")
        gmsh.model.occ.addBox(0, 0, 0, 1, 1, 1)
        gmsh.model.occ.synchronize()
        gmsh.model.mesh.generate(3)
        for option, value in UNUSUAL.items():
            gmsh.option.setNumber(option, value)
        gmsh.model.mesh.setSizeCallback(lambda *_: 0.01)
        yield gmsh.model.mesh.getNodes()[1].tolist()
    finally:
        gmsh.finalize()


@pytest.mark.parametrize("name", SMALL)
def test_mesh_does_not_depend_on_a_session_of_gmsh_and_leaves_it_alone(name, request, tmp_path):
    function = getattr(import_module(f"fe2_meshes.{name}"), name)
    alone = function(tmp_path / "alone.msh", **SMALL[name]).read_bytes()
    nodes = request.getfixturevalue("caller")
    for binary in (True, False):
        inside = function(tmp_path / "inside.msh", binary=binary, **SMALL[name])
    with pytest.raises(ValueError, match="order"):
        function(tmp_path / "wrong.msh", order=7)
    assert inside.read_bytes() == alone
    assert gmsh.model.getCurrent() == "mine"
    assert set(gmsh.model.list()) - {""} == {"other", "mine"}
    assert {option: gmsh.option.getNumber(option) for option in UNUSUAL} == UNUSUAL
    assert gmsh.model.mesh.getNodes()[1].tolist() == nodes
    gmsh.model.setCurrent("other")
    assert function(tmp_path / "again.msh", **SMALL[name]).read_bytes() == alone


def test_gmsh_is_finalized(tmp_path):
    laminate(tmp_path / "cell.msh", size=0.3)
    assert not gmsh.isInitialized()


@pytest.mark.parametrize(
    ("function", "parameters", "message"),
    [
        (square_array, {"fraction": 0.8}, r"fraction = 0\.8: .* 0\.783828"),
        (square_array, {"fraction": 0.0}, "fraction"),
        (square_array, {"fraction": math.nan}, "fraction = nan"),
        (square_array, {"length": -1.0}, r"length = -1\.0: must be a positive number"),
        (square_array, {"size": -0.1}, "size"),
        (square_array, {"size": 0.34}, "size = 0.34: .* a third of the period"),
        (square_array, {"order": 3}, "order = 3"),
        (square_array, {"dim": 1}, "dim"),
        (square_array, {"depth": 1.0}, "depth"),
        (square_array, {"dim": 3, "depth": 1e-4, "size": 0.1}, r"depth = 0\.0001: must lie between 0\.003"),
        (square_array, {"fraction": 1e-9}, r"fraction = 1e-09: must lie between 3\.14e-06"),
        (square_array, {"fraction": 0.785}, r"fraction = 0\.785: .* and 0\.783828, where they touch"),
        (square_array, {"order": 7, "length": 0.0}, r"length = 0\.0: .*\norder = 7: must be 1 or 2"),
        (random_fibres, {"lengths": (1.0, 1e9)}, "lengths = .*: leaves no size"),
        (random_fibres, {"seed": -1}, "seed = -1: must be an integer of at least 0"),
        (hexagonal_array, {"fraction": 0.91}, "fraction"),
        (simple_cubic, {"fraction": 0.53}, "fraction"),
        (laminate, {"fractions": (0.4, 0.5)}, "sum to 1"),
        (laminate, {"fractions": (1.2, -0.2)}, "fractions"),
        (laminate, {"fractions": ()}, "fractions"),
        (laminate, {"normal": 3}, "normal = 3: must be one of the axes 1 to 2"),
        (laminate, {"lengths": (1.0,)}, "lengths"),
        (laminate, {"elements": "quads"}, "elements"),
        (random_fibres, {"count": 0}, "count"),
        (random_fibres, {"gap": 0.0}, "gap"),
        (random_fibres, {"fraction": 0.8, "gap": 0.2}, "find no place"),
        (random_fibres, {"lengths": (1.0, 1.0, 1.0)}, "lengths"),
        (random_spheres, {"fraction": 0.75}, "fraction"),
        (random_spheres, {"fraction": 0.6, "gap": 2.0}, "find no place"),
        (polycrystal, {"grains": 1}, "grains"),
        (polycrystal, {"relax": -1}, "relax"),
        (polycrystal, {"lengths": (1.0, 0.0)}, "lengths"),
        (perforated_plate, {"radius": 1.0}, "radius"),
        (perforated_plate, {"hole_size": 0.5, "size": 0.1}, "hole_size"),
        (cook_membrane, {"nx": 0}, "nx"),
        (cook_membrane, {"width": 0.0}, "width"),
        (cook_membrane_resolved, {"spacing": 50.0}, r"spacing = 50\.0: must be at most the width 48"),
        (cook_membrane_resolved, {"spacing": 8.0, "fraction": 0.8}, "fraction"),
        (cook_membrane_resolved, {"spacing": 8.0, "size": 3.0}, "size"),
        (tapered_bar, {"end": math.inf}, "end"),
        (tapered_bar, {"elements": "hexes"}, "elements"),
    ],
)
def test_bad_parameters_are_refused(function, parameters, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        function(tmp_path / "cell.msh", **parameters)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["cell.vtk", "nowhere/cell.msh"])
def test_bad_paths_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="path"):
        square_array(tmp_path / name)


@pytest.mark.parametrize("quarter", [True, False])
def test_perforated_plate(quarter, tmp_path):
    path = perforated_plate(tmp_path / "plate.msh", width=3.0, radius=0.5, quarter=quarter, order=2)
    area = (6.0 - 0.25 * math.pi) / (4 if quarter else 1)
    assert group_measures(path) == pytest.approx({"plate": area}, rel=1e-6)
    low = 0.0 if quarter else -1.5
    assert_boundary_lies(path, "left", lambda x: x[:, 0] - low)
    assert_boundary_lies(path, "right", lambda x: x[:, 0] - 1.5)
    assert_boundary_lies(path, "bottom", lambda x: x[:, 1] - (0.0 if quarter else -1.0))
    assert_boundary_lies(path, "top", lambda x: x[:, 1] - 1.0)
    assert_boundary_lies(path, "hole", lambda x: np.hypot(x[:, 0], x[:, 1]) - 0.5)


@pytest.mark.parametrize(("elements", "kind"), [("tensor", "quad"), ("simplex", "triangle")])
def test_cook_membrane(elements, kind, tmp_path):
    path = cook_membrane(tmp_path / "cook.msh", nx=6, ny=4, elements=elements)
    assert group_measures(path) == pytest.approx({"membrane": 1440.0}, rel=1e-12)
    assert (
        sum(len(b.data) for b in meshio.read(path).cells if b.type == kind)
        == {"quad": 24, "triangle": 48}[kind]
    )
    assert_boundary_lies(path, "left", lambda x: x[:, 0])
    assert_boundary_lies(path, "right", lambda x: x[:, 0] - 48.0)
    assert_boundary_lies(path, "bottom", lambda x: x[:, 1] - 44.0 / 48.0 * x[:, 0])
    assert_boundary_lies(path, "top", lambda x: x[:, 1] - 44.0 - 16.0 / 48.0 * x[:, 0])


SIDES_OF_COOK = {
    "bottom": ((0, 0), (48, 44)),
    "right": ((48, 44), (48, 60)),
    "top": ((48, 60), (0, 44)),
    "left": ((0, 44), (0, 0)),
}


@pytest.mark.parametrize("spacing", [4.0, 5.0])
def test_resolved_cook_membrane_has_every_fibre(spacing, tmp_path):
    """With 5 some fibres hold a corner of the membrane, with 4 none does."""
    path = cook_membrane_resolved(tmp_path / "cook.msh", spacing=spacing, fraction=0.42, size=spacing / 5)
    areas = group_measures(path)
    assert areas.keys() == {"matrix", "fibre"}
    assert sum(areas.values()) == pytest.approx(1440.0, rel=1e-10)
    assert areas["fibre"] == pytest.approx(area_of_fibres_in_cook_membrane(spacing, 0.42), rel=1e-3)


@pytest.mark.parametrize("order", [1, 2])
def test_whole_fibres_of_cook_membrane_have_the_fraction_of_their_cell(order, tmp_path):
    """What stands for a cell has to be made of the material of the cell, by `square_array`."""
    path = cook_membrane_resolved(tmp_path / "cook.msh", spacing=8.0, fraction=0.42, size=2.0, order=order)
    mesh = meshio.read(path)
    inside = np.max(np.abs(mesh.points[:, :2] - (20.0, 28.0)), axis=1) < 4.0  # of a cell in the middle
    area = 0.0
    for block, rows in zip(mesh.cells, mesh.cell_sets["fibre"], strict=True):
        block.data = block.data[rows.astype(int)]
        block.data = block.data[inside[block.data].all(axis=1)]
        if len(block.data):
            area += measures(mesh.points, block).sum()
    assert area / 64.0 == pytest.approx(0.42, rel=1e-12)


def area_of_fibres_in_cook_membrane(spacing, fraction):
    """Midpoint rule across the columns of fibres; exact in y."""
    radius = spacing * math.sqrt(fraction / math.pi)
    x = (np.arange(48000) + 0.5) / 1000
    bottom, top = 44.0 / 48.0 * x, 44.0 + 16.0 / 48.0 * x
    half = np.sqrt(np.maximum(radius**2 - (x % spacing - spacing / 2) ** 2, 0.0))
    rows = spacing * (np.arange(int(60 / spacing) + 1) + 0.5)[:, None]
    return np.maximum(np.minimum(rows + half, top) - np.maximum(rows - half, bottom), 0.0).sum() / 1000


def test_resolved_cook_membrane_has_whole_sides(tmp_path):
    path = cook_membrane_resolved(tmp_path / "cook.msh", spacing=0.004, width=0.048, left=0.044, right=0.016)
    mesh = meshio.read(path)
    for name, (start, end) in SIDES_OF_COOK.items():
        start, end = np.array(start) / 1e3, np.array(end) / 1e3
        length = np.linalg.norm(end - start)
        normal = np.array([start[1] - end[1], end[0] - start[0]]) / length
        assert_boundary_lies(path, name, lambda x, start=start, normal=normal: (x[:, :2] - start) @ normal)
        segments = [
            block.data[rows][:, :2]
            for block, rows in zip(mesh.cells, mesh.cell_sets[name], strict=True)
            if len(rows)
        ]
        ends = mesh.points[np.concatenate(segments)]
        assert np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).sum() == pytest.approx(length, rel=1e-9)


@pytest.mark.parametrize("elements", ["tensor", "simplex"])
def test_tapered_bar(elements, tmp_path):
    path = tapered_bar(tmp_path / "bar.msh", length=3.0, start=1.0, end=0.4, elements=elements)
    assert group_measures(path) == pytest.approx({"bar": 1.0 + 0.4 + 0.16}, rel=1e-12)
    assert_boundary_lies(path, "left", lambda x: x[:, 0])
    assert_boundary_lies(path, "right", lambda x: x[:, 0] - 3.0)
    assert_boundary_lies(path, "side", lambda x: np.abs(x[:, 1:]).max(axis=1) - 0.5 + 0.1 * x[:, 0])


def assert_boundary_lies(path, name, distance):
    """All nodes of a named boundary, of which there are some, satisfy an equation."""
    mesh = meshio.read(path)
    nodes = np.concatenate(
        [block.data[index].ravel() for block, index in zip(mesh.cells, mesh.cell_sets[name], strict=True)]
    )
    assert len(nodes) > 1
    np.testing.assert_allclose(distance(mesh.points[nodes]), 0.0, atol=1e-12 * mesh.points.max())


def test_command_line_refuses_with_the_message(tmp_path, capsys):
    assert run(["mesh", "square_array", str(tmp_path / "cell.msh"), "--fraction", "0.9"]) == 1
    assert "fraction = 0.9" in capsys.readouterr().err


def readme_commands():
    lines = (FOLDER / "README.md").read_text().splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("fe2 mesh ") and ".msh" in line]
    return {command[3]: command for command in commands if (FOLDER / command[3]).exists()}


def test_readme_tells_how_every_file_was_made():
    assert set(readme_commands()) == {path.name for path in FOLDER.glob("*.msh")}


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.msh")))
def test_committed_file_is_what_its_command_makes(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(readme_commands()[name][1:]) == 0
    assert group_measures(FOLDER / name) == pytest.approx(group_measures(name), rel=1e-3)
    mesh = meshio.read(FOLDER / name)
    assert_periodic(mesh, [1.0] * mesh.cells[0].dim)
