"""gmsh as a context: a model and options of its own, meshing, nodes, checks of the result, and the file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gmsh
import numpy as np
import numpy.typing as npt

from .msh_scaling import scaled_lines

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MODEL = "fe2_meshes"
OPTIONS = {
    "General.AbortOnError": 2,
    "General.Terminal": 0,
    "General.NumThreads": 1,
    "Mesh.RandomSeed": 1,
    "Mesh.MshFileVersion": 4.1,
    "Mesh.SaveAll": 0,
    "Mesh.SaveParametric": 0,
    "Mesh.MeshSizeFromPoints": 0,
    "Mesh.Algorithm3D": 10,  # HXT: far fewer flat tetrahedra, which second order would invert
    "Mesh.SecondOrderLinear": 0,
    "Mesh.MeshSizeMax": 1e22,
    "Mesh.Binary": 0,
    "Mesh.ElementOrder": 1,
}

# Vertices that edges join to the first one, by dimension and number of vertices of the element.
NEIGHBOURS = {(2, 3): [1, 2], (2, 4): [1, 3], (3, 4): [1, 2, 3], (3, 8): [1, 3, 4]}


@contextmanager
def gmsh_model(name: str) -> Iterator[None]:
    """A new gmsh model, removed afterwards, with gmsh's defaults but for some options.

    A session of the caller's neither matters nor is changed: its options are put aside, its current model
    is current again.

    Raises:
        RuntimeError: gmsh failed; its message is passed on.
    """
    with _session():
        for option, value in OPTIONS.items():
            gmsh.option.setNumber(option, value)
        gmsh.model.add(MODEL)
        try:
            yield
        except Exception as error:
            if type(error) is Exception:  # the only type gmsh raises
                raise RuntimeError(f"gmsh could not mesh {name}: {error}") from error
            raise
        finally:
            gmsh.model.remove()


@contextmanager
def _session() -> Iterator[None]:
    """A session of gmsh with its default options: an own one, or the caller's with its options put aside."""
    if not gmsh.isInitialized():
        gmsh.initialize(argv=[], readConfigFiles=False, run=False, interruptible=False)
        try:
            yield
        finally:
            gmsh.finalize()
        return
    model = gmsh.model.getCurrent()
    with tempfile.TemporaryDirectory(prefix="fe2-") as folder:
        options = str(Path(folder, "caller.opt"))
        gmsh.write(options)
        on_error = gmsh.option.getNumber("General.AbortOnError")
        gmsh.option.restoreDefaults()
        try:
            yield
        finally:
            gmsh.option.restoreDefaults()
            gmsh.model.setCurrent(model)
            gmsh.option.setNumber("General.AbortOnError", on_error)
            gmsh.merge(options)


def generate(dim: int, size: float, order: int) -> None:
    """Mesh the current model with elements of at most the given size and of the given order."""
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    gmsh.option.setNumber("Mesh.ElementOrder", order)
    gmsh.model.mesh.generate(dim)


def mesh_nodes() -> tuple[IntArray, FloatArray]:
    """Tags of the nodes of the current model, shape (n,), and coordinates, shape (n, 3)."""
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    return np.array(tags, dtype=np.int64), np.array(coordinates).reshape(-1, 3)


def move_nodes(tags: IntArray, before: FloatArray, after: FloatArray) -> None:
    """Give the nodes that differ their new coordinates."""
    for index in np.flatnonzero(np.any(before != after, axis=1)):
        gmsh.model.mesh.setNode(int(tags[index]), after[index].tolist(), [])


def element_nodes(tags: IntArray, dim: int, entity: int = -1) -> tuple[int, IntArray]:
    """Type of the elements of an entity (of all by default), and their rows of nodes in `tags`."""
    (kind,), _, (nodes,) = gmsh.model.mesh.getElements(dim, entity)
    rows = np.zeros(int(tags.max()) + 1, dtype=np.int64)
    rows[tags] = np.arange(len(tags))
    count = gmsh.model.mesh.getElementProperties(kind)[3]
    return int(kind), rows[np.array(nodes, dtype=np.int64)].reshape(-1, count)


def inverted_elements(dim: int) -> tuple[FloatArray, FloatArray]:
    """Centres and shortest edges of the elements whose Jacobian determinant changes sign or is turned round.

    The quality is that of an element by itself: one that lies the other way round than its neighbours
    counts as well.

    Returns:
        Centres, shape (n, 3), and edge lengths, shape (n,).
    """
    _, tags, _ = gmsh.model.mesh.getElements(dim)
    elements = np.concatenate(tags)
    determinants = np.array(gmsh.model.mesh.getElementQualities(elements, "minDetJac"))
    inverted = elements[(determinants <= 0.0) | turned_elements(dim)]
    centres = np.empty((len(inverted), 3))
    for k, element in enumerate(inverted):
        _, nodes, _, _ = gmsh.model.mesh.getElement(element)
        centres[k] = np.mean([gmsh.model.mesh.getNode(node)[0] for node in nodes], axis=0)
    return centres, np.array(gmsh.model.mesh.getElementQualities(inverted, "minEdge"))


def turned_elements(dim: int) -> npt.NDArray[np.bool_]:
    """Elements that lie the other way round than most of their surface or volume."""
    tags, nodes = mesh_nodes()
    turned = []
    for _, entity in gmsh.model.getEntities(dim):
        kind, elements = element_nodes(tags, dim, entity)
        ends = NEIGHBOURS[dim, gmsh.model.mesh.getElementProperties(kind)[5]]
        edges = (nodes[elements[:, ends]] - nodes[elements[:, :1]])[:, :, :dim]
        signs = np.sign(np.linalg.det(edges))
        turned.append(signs * signs.sum() <= 0.0)
    return np.concatenate(turned)


def inversion_error(centres: FloatArray) -> RuntimeError:
    """The error that names how many elements are inverted, and the place of one."""
    place = np.round(centres[0], 6).tolist()
    return RuntimeError(f"{len(centres)} inverted elements, one at {place}: choose a smaller size")


def write_model(path: Path, binary: bool, scale: float) -> Path:
    """Write the current mesh as MSH 4.1, in ASCII or binary, its coordinates multiplied by `scale`."""
    gmsh.option.setNumber("Mesh.Binary", int(binary and scale == 1.0))
    gmsh.write(str(path))
    if scale != 1.0:
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(scaled_lines(lines, scale)))
    if binary and scale != 1.0:
        gmsh.model.add(f"{MODEL}, scaled")  # gmsh.clear() would remove the models of a caller
        gmsh.merge(str(path))
        gmsh.option.setNumber("Mesh.Binary", 1)
        gmsh.write(str(path))
        gmsh.model.remove()
        gmsh.model.setCurrent(MODEL)
    return path


def add_group(dim: int, entities: list[int], name: str) -> None:
    """Add a named physical group."""
    gmsh.model.addPhysicalGroup(dim, entities, name=name)


def faces_in_plane(dim: int, axis: int, position: float, margin: float) -> list[int]:
    """Tags of the model's faces (curves where dim = 2) that lie in a plane normal to an axis."""
    tags = []
    for _, tag in gmsh.model.getEntities(dim - 1):
        box = gmsh.model.getBoundingBox(dim - 1, tag)
        if max(abs(box[axis] - position), abs(box[axis + 3] - position)) < margin:
            tags.append(tag)
    return tags
