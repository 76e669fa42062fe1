"""gmsh as a context: a model and options of its own, meshing, checks of the result, and the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gmsh
import numpy as np
import numpy.typing as npt

from .msh_scaling import scaled_lines

FloatArray = npt.NDArray[np.float64]

OPTIONS = {
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


@contextmanager
def gmsh_model(name: str) -> Iterator[None]:
    """A new gmsh model with fixed options, removed afterwards; a session of the caller's is left as it was.

    Raises:
        RuntimeError: gmsh failed; its message is passed on.
    """
    owner = not gmsh.isInitialized()
    if owner:
        gmsh.initialize(argv=[], readConfigFiles=False, run=False, interruptible=False)
    previous_model = gmsh.model.getCurrent()
    previous_options = {option: gmsh.option.getNumber(option) for option in OPTIONS}
    try:
        for option, value in OPTIONS.items():
            gmsh.option.setNumber(option, value)
        gmsh.model.add(name)
        try:
            yield
        except Exception as error:
            if type(error) is Exception:  # the only type gmsh raises
                raise RuntimeError(f"gmsh could not mesh {name}: {error}") from error
            raise
        finally:
            gmsh.model.remove()
    finally:
        if owner:
            gmsh.finalize()
        else:
            gmsh.model.setCurrent(previous_model)
            for option, value in previous_options.items():
                gmsh.option.setNumber(option, value)


def generate(dim: int, size: float, order: int) -> None:
    """Mesh the current model with elements of at most the given size and of the given order."""
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    gmsh.option.setNumber("Mesh.ElementOrder", order)
    gmsh.model.mesh.generate(dim)


def inverted_elements(dim: int) -> tuple[FloatArray, FloatArray]:
    """Centres and shortest edges of the elements whose Jacobian determinant is not positive everywhere.

    Returns:
        Centres, shape (n, 3), and edge lengths, shape (n,).
    """
    _, tags, _ = gmsh.model.mesh.getElements(dim)
    elements = np.concatenate(tags)
    determinants = np.array(gmsh.model.mesh.getElementQualities(elements, "minDetJac"))
    inverted = elements[determinants <= 0.0]
    centres = np.empty((len(inverted), 3))
    for k, element in enumerate(inverted):
        _, nodes, _, _ = gmsh.model.mesh.getElement(element)
        centres[k] = np.mean([gmsh.model.mesh.getNode(node)[0] for node in nodes], axis=0)
    return centres, np.array(gmsh.model.mesh.getElementQualities(inverted, "minEdge"))


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
        gmsh.clear()
        gmsh.merge(str(path))
        gmsh.option.setNumber("Mesh.Binary", 1)
        gmsh.write(str(path))
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
