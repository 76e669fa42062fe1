"""Small cells for the tests: images, laminates, distorted meshes, porous plates, fibre arrays."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import basix.ufl
import dolfinx.fem
import dolfinx.mesh
import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.micro.cell import Cell, make_cell
from fe2.micro.image_cell import image_cell
from fe2.micro.mesh_cell import read_cell
from fe2.micro.rve import RVE
from fe2.quadrature import PointEvaluator, point_weights

Array = npt.NDArray[np.float64]

SHAPES = ("triangle", "quadrilateral", "tetrahedron", "hexahedron")


def dimension(shape: str) -> int:
    return 2 if shape in ("triangle", "quadrilateral") else 3


def two_phases(labels: npt.ArrayLike, voxel_size: float = 1.0) -> Cell:
    """Cell of an image of zeros and ones: phases "a" and "b"."""
    return image_cell(np.asarray(labels, dtype=np.int64), {"a": 0, "b": 1}, voxel_size=voxel_size)


@cache
def random_image(dim: int, size: int, seed: int = 1) -> Cell:
    """Image whose pixels belong to one of two phases at random."""
    return two_phases(np.random.default_rng(seed).integers(0, 2, size=(size,) * dim))


def box_mesh(shape: str, counts: Sequence[int]) -> dolfinx.mesh.Mesh:
    """The unit square or cube in so many elements, or pairs or sixes of simplices, along each axis."""
    kind, dim = dolfinx.mesh.CellType[shape], len(counts)
    create = dolfinx.mesh.create_rectangle if dim == 2 else dolfinx.mesh.create_box
    return create(MPI.COMM_SELF, [[0.0] * dim, [1.0] * dim], list(counts), cell_type=kind)


def midpoints(mesh: dolfinx.mesh.Mesh) -> Array:
    dim = mesh.topology.dim
    count = mesh.topology.index_map(dim).size_local
    return dolfinx.mesh.compute_midpoints(mesh, dim, np.arange(count, dtype=np.int32))[:, :dim]


@cache
def laminate(shape: str, axis: int, layers: tuple[int, ...] = (0, 0, 1, 1, 1)) -> Cell:
    """Layers of equal thickness across an axis, of phases "a" (0) and "b" (1); one element for each layer."""
    counts = [3] * dimension(shape)
    counts[axis] = len(layers)
    mesh = box_mesh(shape, counts)
    layer = np.floor(midpoints(mesh)[:, axis] * len(layers)).astype(int)
    return make_cell(mesh, np.array(layers)[layer], ("a", "b"))


@cache
def distorted(shape: str, phases: tuple[str, ...] = ("a",), order: int = 1) -> Cell:
    """Mesh of random phases whose inner nodes are moved at random, up to a quarter of an edge.

    Elements of second order have nodes on their edges, too, which become curved, by a quarter of that.
    """
    dim, count, rng = dimension(shape), 3, np.random.default_rng(2)
    grid = box_mesh(shape, [count] * dim)
    nodes = dolfinx.fem.functionspace(grid, ("Lagrange", order))
    x = nodes.tabulate_dof_coordinates()[:, :dim].copy()
    inner = np.all((x > 1e-8) & (x < 1.0 - 1e-8), axis=1)
    x[inner] += rng.uniform(-0.25, 0.25, size=(inner.sum(), dim)) / (count * order**2)
    mesh = _mesh_of_nodes(nodes, x)
    return make_cell(mesh, rng.permutation(np.arange(len(midpoints(mesh))) % len(phases)), phases)


def _mesh_of_nodes(nodes: dolfinx.fem.FunctionSpace, x: Array) -> dolfinx.mesh.Mesh:
    """Mesh whose nodes are those of a Lagrange space, at other places."""
    shape, degree = nodes.mesh.topology.cell_name(), nodes.element.basix_element.degree
    element = basix.ufl.element("Lagrange", shape, degree, shape=(x.shape[1],))
    return dolfinx.mesh.create_mesh(MPI.COMM_SELF, nodes.dofmap.list.astype(np.int64), element, x)


@cache
def perforated_plate(count: int = 6) -> Cell:
    """Square plate of phase "a" with a square hole that has no elements, off the centre."""
    grid = np.arange((count + 1) ** 2).reshape(count + 1, count + 1)
    x = np.stack(np.meshgrid(*2 * [np.linspace(0.0, 1.0, count + 1)], indexing="ij"), axis=-1).reshape(-1, 2)
    corners = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, :-1], grid[1:, 1:]], axis=-1)
    cells = corners[hole_image(count) == 0]
    used, numbers = np.unique(cells, return_inverse=True)
    element = basix.ufl.element("Lagrange", "quadrilateral", 1, shape=(2,))
    mesh = dolfinx.mesh.create_mesh(MPI.COMM_SELF, numbers.reshape(-1, 4), element, x[used])
    return make_cell(mesh, np.zeros(len(cells)), ("a",))


def hole_image(count: int) -> npt.NDArray[np.int64]:
    """Ones where the perforated plate has its hole."""
    image = np.zeros((count, count), dtype=np.int64)
    image[1:3, 2:5] = 1
    return image


@cache
def fitted_fibre(fraction: float, count: int, order: int) -> Cell:
    """A circular fibre in a square, count (a multiple of 8) elements along an edge; "matrix" and "fibre".

    The meshes of one order are refinements of each other, so that rates of convergence do not scatter.
    """
    grid = dolfinx.mesh.create_rectangle(
        MPI.COMM_SELF, [[-1.0, -1.0], [1.0, 1.0]], [count, count], diagonal=dolfinx.mesh.DiagonalType.crossed
    )
    inside = np.max(np.abs(midpoints(grid)), axis=1) < 0.5
    nodes = dolfinx.fem.functionspace(grid, ("Lagrange", order))
    x = _square_to_fibre(nodes.tabulate_dof_coordinates()[:, :2], np.sqrt(fraction / np.pi))
    mesh = _mesh_of_nodes(nodes, x)
    return make_cell(mesh, inside[mesh.topology.original_cell_index], ("matrix", "fibre"))


def _square_to_fibre(q: Array, radius: float) -> Array:
    """Map of the square |q| < 1 on the cell; the square |q| = 1/2 becomes the circle."""
    level = np.max(np.abs(q), axis=1, keepdims=True)
    square = q / np.where(level > 0.0, level, 1.0)
    circle = square / np.where(level > 0.0, np.linalg.norm(square, axis=1, keepdims=True), 1.0)
    rings = [0.0 * square, radius / 2 * square, radius * circle, square / 2]
    weights = [
        np.clip(1.0 - np.abs(level - at) / width, 0.0, 1.0) for at, width in ((0.0, 0.25), (0.25, 0.25))
    ]
    beyond = np.clip((level - 0.5) / 0.5, 0.0, 1.0)
    weights.append(np.where(level < 0.5, np.clip((level - 0.25) / 0.25, 0.0, 1.0), 1.0 - beyond))
    return np.sum([weight * ring for weight, ring in zip([*weights, beyond], rings, strict=True)], axis=0)


@cache
def fibres(arrangement: str, fraction: float, size: float, order: int) -> Cell:
    """Square or hexagonal array of circular fibres; phases "matrix" and "fibre"."""
    from fe2_meshes.hexagonal_array import hexagonal_array
    from fe2_meshes.square_array import square_array

    generate = {"square": square_array, "hexagonal": hexagonal_array}[arrangement]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.msh"
        generate(path, fraction=fraction, size=size, order=order)
        return read_cell(path)


@cache
def spheres(fraction: float, size: float, order: int) -> Cell:
    """Simple cubic array of spheres; phases "matrix" and "sphere"."""
    from fe2_meshes.simple_cubic import simple_cubic

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.msh"
        simple_cubic(path, fraction=fraction, size=size, order=order)
        return read_cell(path)


def point_values(rve: RVE, state: Array) -> tuple[Array, Array, Array]:
    """Local gradients (q, k), fluxes (q, k) and volumes (q,) at all quadrature points of a state.

    They are evaluated from the fields, without the residual whose algebra gives the flux of the cell.
    """
    rve.fields(state)  # puts the state into the form's functions
    mesh, degree = rve.cell.mesh, rve.form.quadrature_degree
    gradients, fluxes, volumes = [], [], []
    for term in rve.form.fluxes:
        gradients.append(PointEvaluator(term.gradient, mesh, degree, term.cells)())
        fluxes.append(PointEvaluator(term.flux, mesh, degree, term.cells)())
        volumes.append(point_weights(mesh, degree, term.cells))
    return np.concatenate(gradients), np.concatenate(fluxes), np.concatenate(volumes)


def fluctuation(rve: RVE, state: Array) -> Array:
    """Nodal values of the fluctuation, shape (nodes, components)."""
    return rve.fields(state).point_data["fluctuation"]


def relative_error(value: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Largest difference over the reference's largest component."""
    difference = np.asarray(value, dtype=np.float64) - np.asarray(reference, dtype=np.float64)
    return float(np.max(np.abs(difference)) / np.max(np.abs(reference)))


def cut_out(mask: npt.ArrayLike, shape: str = "quadrilateral", size: float = 1.0, phases: int = 1) -> Cell:
    """Cell of the voxels of a mask, the others having no elements; phases "a", "b", ... by turns."""
    mask = np.asarray(mask, dtype=bool)
    mesh = box_mesh(shape, mask.shape)
    voxel = np.floor(midpoints(mesh) * mask.shape).astype(int)
    kept = np.flatnonzero(mask[tuple(voxel.T)]).astype(np.int32)
    part, parents, _, _ = dolfinx.mesh.create_submesh(mesh, mesh.topology.dim, kept)
    part.geometry.x[:] *= size
    of_part = parents.sub_topology_to_topology(np.arange(len(kept), dtype=np.int32), inverse=False)
    return make_cell(part, voxel[of_part].sum(axis=1) % phases, "abc"[:phases], periodic=False)
