"""The tables of a cell file, as models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from fe2.case.generators import CELLS
from fe2.errors import InputError
from fe2.msh.file import ENDINGS
from fe2.physics.physics_table import PHYSICS
from fe2.table import Floats, IntegerInterval, Integers, Lengths, Numbers, Table

IMAGE_ENDINGS = (".raw", ".npy", ".tif", ".tiff")


def _physics(name: str) -> str:
    if name not in PHYSICS:
        raise ValueError(f"this physics is not installed; {PHYSICS.meant(name)}")
    try:
        PHYSICS[name]
    except InputError as error:
        raise ValueError(str(error)) from error
    return name


def _image(name: str) -> str:
    if Path(name).suffix.lower() not in IMAGE_ENDINGS:
        raise ValueError(f"an image ends in {', '.join(IMAGE_ENDINGS)}")
    return name


def _mesh(name: str) -> str:
    if Path(name).suffix.lower() not in ENDINGS:
        raise ValueError(f"a mesh ends in {', '.join(ENDINGS)}; meshio converts other formats")
    return name


def _csv(name: str) -> str:
    if Path(name).suffix.lower() != ".csv":
        raise ValueError("a table of materials ends in .csv")
    return name


def _integer_type(name: str) -> str:
    if not re.fullmatch(r"[<>]?(u?int(8|16|32|64)|[ui][1248])", name):
        raise ValueError("an integer type is needed, such as uint8, uint16 or >u2")
    return name


def _label(value: Any) -> Any:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    raise ValueError("a whole number is needed, or the name of a physical group in quotes")


PhysicsName = Annotated[
    str, AfterValidator(_physics), WithJsonSchema({"type": "string", "enum": list(PHYSICS)})
]
MeshFile = Annotated[str, AfterValidator(_mesh)]
Label = Annotated[
    Any, PlainValidator(_label), WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string"}]})
]


class CellTable(Table):
    """What all cells have in common."""

    physics: PhysicsName
    """Physics of the cell."""
    boundary: Literal["periodic", "linear", "uniform_flux"] = "periodic"
    """Boundary condition; in mechanics uniform_flux is uniform traction."""
    degree: Annotated[int, Field(ge=1, le=8)] | None = None
    """Degree of the Lagrange element of the micro field; that of the mesh by default, 1 for images."""


class ImageCell(CellTable):
    """A cell of pixels or voxels."""

    image: Annotated[str, AfterValidator(_image)]
    """Label image, relative to this file: .tif, .tiff (pages along z, rows along y, columns along x), .npy
    (indexed [x, y, z]; a stack [z, y, x] is saved as stack.T) or .raw (x fastest). A single slice is an image
    in the plane."""
    shape: Annotated[Integers, Field(min_length=2, max_length=3)] | None = None
    """Numbers of voxels nx, ny, nz, x fastest; needed for .raw."""
    dtype: Annotated[str, AfterValidator(_integer_type)] | None = None
    """Integer type of the labels; needed for .raw."""
    voxel_size: Lengths = 1.0
    """Edge length of a voxel, or one for each axis x, y, z; what a TIFF file says is only compared."""
    coarsen: int = Field(1, ge=1)
    """Edge length in voxels of the blocks that become one element each."""
    crop: Annotated[tuple[IntegerInterval, ...], Field(min_length=2, max_length=3, strict=False)] | None = (
        None
    )
    """First and last-plus-one voxel along each axis, [[low, high], ...]."""


class MeshCell(CellTable):
    """A cell from a mesh file."""

    mesh: MeshFile
    """Mesh, relative to this file: gmsh's .msh, MEDIT's .mesh, Abaqus's .inp, VTK's .vtk or .vtu."""
    labels: str | None = None
    """Cell data of a .vtk or .vtu file that are the labels; not needed where only one is of whole numbers."""
    merge: bool | None = None
    """What becomes of nodes that coincide: true joins them, false keeps them apart, as in a crack; refused by
    default."""
    period: Annotated[Floats, Field(min_length=2, max_length=3)] | None = None
    """Edge lengths of the cell, where nothing lies between the mesh and the next period; by default those of
    the box around the mesh."""
    tolerance: float = Field(1e-8, gt=0.0, le=0.01)
    """Distance, relative to the period, below which nodes near a face are moved onto it."""


class GeneratorCell(CellTable):
    """A cell from a generator, whose parameters stand beside."""

    generator: Annotated[str, WithJsonSchema({"type": "string", "enum": list(CELLS)})]
    """Name of the generator."""


class PhaseTable(Table):
    """What all phases have in common."""

    label: Label = None
    """Label in an image or a mesh; physical group or element set of a mesh, by name or number: by default the
    phase's own name."""


class MaterialsTable(Table):
    """A phase whose parameters differ from label to label, such as the grains of a polycrystal."""

    table: Annotated[str, AfterValidator(_csv)]
    """Table of materials, .csv, relative to this file. Its first column is label, in an image or a mesh
    (number or name of a group); the others are parameters of the law, in the place of keys here, which hold
    for all labels. Components of a parameter are columns such as axis_x, axis_y, axis_z; an orientation is
    given by Bunge's Euler angles phi1, Phi, phi2 in degrees or by a quaternion qw, qx, qy, qz."""


class FinerCell(PhaseTable):
    """A phase that is itself made of cells."""

    law: Literal["cell"]
    """Each point of the phase is a finer cell."""
    cell: Annotated[Any, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]})]
    """Cell file of the finer cell, relative to this file, or its table; of the same physics and dimension."""
    phases: dict[str, Any] | None = None
    """Phases of the finer cell, where its table stands here."""
    period: float | None = Field(None, gt=0.0)
    """True period of the finer cell in this cell's unit of length, the longest one: it is compared with the
    thickness of the phase, and has no other effect. By default that of the finer cell's geometry."""
    angle: float | None = None
    """Angle by which the finer cell is turned in the plane, in radians, counterclockwise."""
    rotation: Numbers | None = None
    """Rotation matrix whose columns are the axes of the finer cell in space."""


class CellFile(Table):
    """A cell file."""

    units: str = ""
    """Units of all numbers, in words, e.g. "mm, N, s"; repeated in the results."""
    cell: dict[str, Any]
    """Table of the cell: where its geometry comes from, and its physics."""
    phases: dict[str, Any] = Field(min_length=1)
    """Table of the phases by name."""
