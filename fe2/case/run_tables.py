"""The tables of a run file, as models."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, PlainValidator, Tag, WithJsonSchema

from fe2.case.cell_tables import MeshFile, PhysicsName
from fe2.case.generators import MESH_GENERATORS
from fe2.case.petsc_table import MacroSolver
from fe2.case.point_fields import PointValue
from fe2.case.problems import HIDDEN
from fe2.case.time_functions import Function
from fe2.micro.model_table import DEFAULT_MODEL
from fe2.table import Floats, Integers, Interval, Table, is_number

AXES = ("x", "y", "z")

Axis = Literal["x", "y", "z"]

SIDES = ("left", "right", "bottom", "top", "back", "front")
"""Sides of a box: lower and upper end along x, y and z."""


def _fixed(value: Any) -> Any:
    if value is True:
        return True
    if isinstance(value, list) and value and all(entry in AXES for entry in value):
        return tuple(dict.fromkeys(value))
    raise ValueError('a list of components is needed, such as ["x", "y"], or true for all')


def _group(value: Any) -> Any:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    raise ValueError("the name or the number of a physical group is needed, or a side of the box")


def _spring(value: Any) -> Any:
    given = value if isinstance(value, dict) else dict.fromkeys(AXES, value)
    if given and all(axis in AXES and is_number(k) and k > 0 for axis, k in given.items()):
        return value
    raise ValueError("a positive stiffness is needed, or one for components by name, { x = 1e3 }")


def _picture_name(name: str) -> str:
    if re.fullmatch(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]*\.(png|pdf|svg)", name) and len(name) <= _LONGEST_NAME:
        return name
    raise ValueError(
        "the name of a file that ends in .png, .pdf or .svg is needed, without a folder before it"
    )


def _folder_name(name: str) -> str:
    if (
        name
        and not re.search(r"[\x00-\x1f]", name)
        and all(len(part) <= _LONGEST_NAME for part in name.split("/"))
    ):
        return name
    raise ValueError("the name of a folder is needed")


_LONGEST_NAME = 200

PictureName = Annotated[
    str,
    AfterValidator(_picture_name),
    WithJsonSchema({"type": "string", "pattern": r"^[^/\\.][^/\\]*\.(png|pdf|svg)$"}),
]
"""Name of a picture in the folder of results."""

FolderName = Annotated[str, AfterValidator(_folder_name), WithJsonSchema({"type": "string", "minLength": 1})]
"""A folder."""

Fixed = Annotated[
    Any,
    PlainValidator(_fixed),
    WithJsonSchema({"anyOf": [{"const": True}, {"type": "array", "items": {"enum": list(AXES)}}]}),
]
"""Components that are zero: a list of names, or true for all."""

Spring = Annotated[
    Any,
    PlainValidator(_spring),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {axis: {"type": "number"} for axis in AXES},
                },
            ]
        }
    ),
]
"""Stiffness of springs, the same along all axes or by component."""

Group = Annotated[
    Any, PlainValidator(_group), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]})
]
"""A physical group, by name or number."""

Values = Annotated[
    Annotated[dict[Axis, Function], Field(min_length=1), Tag(HIDDEN + "table")]
    | Annotated[Function, Tag(HIDDEN + "function")],
    Discriminator(lambda value: HIDDEN + ("table" if isinstance(value, dict) else "function")),
]
"""Functions of time for components of a vector by name, or one function for a scalar."""


class BoxMesh(Table):
    """A rectangle or a box, evenly divided; its sides are left, right, bottom, top, back and front."""

    box: Annotated[tuple[Interval, ...], Field(min_length=2, max_length=3, strict=False)]
    """Lower and upper end along each axis, [[low, high], ...]."""
    cells: Annotated[Integers, Field(min_length=2, max_length=3)]
    """Numbers of elements along each axis."""
    element: Literal["triangle", "quadrilateral", "tetrahedron", "hexahedron"] | None = None
    """Shape of the elements; quadrilateral or hexahedron by default."""


class FileMesh(Table):
    """A mesh from a file; subdomains and boundaries are its physical groups."""

    file: MeshFile
    """Mesh, relative to this file: gmsh's .msh, MEDIT's .mesh, Abaqus's .inp, VTK's .vtk or .vtu."""
    labels: str | None = None
    """Cell data of a .vtk or .vtu file that are the labels; not needed where only one is of whole numbers."""
    merge: bool | None = None
    """What becomes of nodes that coincide: true joins them, false keeps them apart, as in a crack; refused by
    default."""


class GeneratorMesh(Table):
    """A mesh from a generator, whose parameters stand beside."""

    generator: Literal[MESH_GENERATORS]  # type: ignore[valid-type]  # a tuple of names
    """Name of the generator."""


Degree = Annotated[int, Field(ge=1, le=8)]

FieldName = Annotated[str, Field(pattern=r"^[A-Za-z]\w*$")]


class CommonFieldTable(Table):
    """What holds for all macroscopic unknowns; where there is one, all that is to be said of it."""

    degree: Degree = 1
    """Degree of their Lagrange elements."""
    quadrature_degree: int | None = Field(None, ge=0, le=20)
    """Degree of the quadrature rule, whose points have a cell each; chosen from the element by default."""
    initial: float | None = None
    """Initial value of a scalar unknown; that of the cells by default, and needed where they have none and
    something is stored."""


class FieldTable(Table):
    """One of several macroscopic unknowns, or the only one under a name of its own."""

    name: FieldName
    """Name in this file and in the results: that which the physics has for it, or one of your own."""
    kind: Literal["scalar", "vector"] | None = None
    """What it is; needed where its name is not that of the physics and there are both."""
    degree: Degree | None = None
    """Degree of its Lagrange element; that of [field] by default."""
    initial: float | None = None
    """Initial value of a scalar; that of the cells by default, and needed where they have none, or several,
    and something is stored."""


class LawPlace(Table):
    """Where a law holds, of which physics, and what is stored there besides."""

    subdomain: Group = None
    """Physical group of the mesh in which the law holds; the whole mesh by default."""
    physics: PhysicsName | None = None
    """Physics of a law without a cell; that of the run by default. Laws of several physics have unknowns in
    common. One that some laws do not have keeps its initial value where they alone hold, and nothing of it
    passes to them."""
    storage: float = Field(0.0, ge=0.0)
    """What a unit of volume stores where a scalar unknown rises by one: porosity times compressibility, or a
    heat capacity, of a law that does not store by itself."""


class ModelPlace(LawPlace):
    """Which micro model stands at every quadrature point; its own keys stand beside."""

    model: str = DEFAULT_MODEL
    """A micro model of an installed package, by name; by default the cell, solved while the run goes on."""
    closed: Annotated[
        tuple[Literal["x", "y", "z", "xx", "yy", "zz", "yz", "xz", "xy"], ...], Field(strict=False)
    ] = ()
    """Components of the gradient that need no resistance: axes along which pores or conductors may be closed,
    strains that nothing needs to hold."""
    rotated: bool = False
    """Whether the axes of the cell are turned at each point: in the plane by the parameter angle, in radians,
    counterclockwise; in space by rotation, a matrix whose columns are the axes, or Bunge's Euler angles
    [phi1, Phi, phi2] in degrees."""
    parameters: dict[str, PointValue] = Field(default_factory=dict)
    """Parameters of the points by name, such as angle: a number, an expression in x, y and z, a list or a
    matrix of these; a .csv file with a column label, of the mesh's subdomains, and one for each parameter; or
    a .npy file with a row for each element of the mesh, in its order."""


class ExchangeTable(Table):
    """Exchange with the surroundings, coefficient * (ambient - unknown): heat transfer, a leak, a well."""

    coefficient: float = Field(gt=0.0)
    """Inflow for a difference of one, through a unit of area or into a unit of volume."""
    ambient: Function
    """The unknown's value in the surroundings, as a function of time."""


class BoundaryTable(Table):
    """Conditions on a part of the boundary, or at a point."""

    on: Group = None
    """Part of the boundary: a physical group by name or number, or a side of the box."""
    at: Annotated[Floats, Field(min_length=2, max_length=3)] | None = None
    """Coordinates of a node, instead of a part of the boundary."""
    field: str | None = None
    """Name of the unknown; needed where there are several."""
    name: FieldName | None = None
    """Name in the results; by default that of the part, with that of `field` behind it where it is given."""
    fixed: Fixed = None
    """Components of the unknown that are zero: a list such as ["x", "y"], or true for all."""
    prescribed: Values | None = None
    """Components of the unknown as functions of time, { x = "0.01 * t" }; of a scalar the function alone."""
    load: Values | None = None
    """Flux through the boundary: components of the traction in mechanics, inflow otherwise."""
    exchange: ExchangeTable | None = None
    """Exchange of a scalar with the surroundings through this part."""
    spring: Spring = None
    """Springs that hold a vector, traction -k u: the stiffness k of a unit of area, along all axes or by
    component, { x = 1e3 }."""


class BodyTable(Table):
    """A load in the volume."""

    on: Group = None
    """Physical group of the mesh on which it acts; the whole mesh by default."""
    field: str | None = None
    """Name of the unknown; needed where there are several."""
    load: Values | None = None
    """Load for each volume: components of a body force in mechanics, a source otherwise."""
    exchange: ExchangeTable | None = None
    """Exchange of a scalar with something that passes through the volume, e.g. a well."""
    spring: Spring = None
    """Springs that hold a vector, force -k u of a unit of volume: k along all axes or by component."""


class StepsTable(Table):
    """The load steps, as times or as equal increments up to an end."""

    start: float = 0.0
    """Time of the start."""
    end: float | None = None
    """Time of the end."""
    increments: int | None = Field(None, ge=1, le=1_000_000)
    """Number of equal increments up to the end; 1 by default."""
    times: Annotated[Floats, Field(min_length=2)] | None = None
    """Start and end of each increment, instead of start, end and increments."""
    smallest: float | None = Field(None, gt=0.0, le=1.0)
    """Smallest part of an increment that is tried before the run ends; 2⁻⁶ by default, 2⁻¹² with a
    tolerance."""
    tolerance: float | None = Field(None, gt=0.0, lt=1.0)
    """Local error in time of a step, relative to the largest change of its field; steps are chosen by it."""
    largest: float = Field(1.0, gt=0.0, le=1.0)
    """Largest part of an increment that is taken as one step; less than 1 only with a tolerance."""
    scheme: Literal["backward_euler", "bdf2"] = "backward_euler"
    """How what is stored follows in time: by backward Euler, of first order, or by BDF2, of second order."""


class PictureTable(Table):
    """A picture that is drawn when the run has finished."""

    file: PictureName
    """File in the folder of results: .png, .pdf or .svg."""
    field: str | None = None
    """Macroscopic field, e.g. "stress_xx", or an unknown by its name, of a vector its length or a component
    such as "displacement_x"; the first flux component by default."""
    step: int = -1
    """Number of the stored step, the start being 0; -1 is the last."""
    warp: float | None = None
    """Factor on displacements; chosen for each panel by default."""
    watch: int | None = Field(None, ge=0)
    """Number of the watched point, from 0, whose cell is drawn beside where it is solved concurrently."""
    local_field: str | None = None
    """Field in that cell; the von Mises stress or the first flux component by default."""
    history: Annotated[tuple[str, str], Field(strict=False)] | None = None
    """Two columns of the history, drawn as a curve."""
    labels: dict[str, str] = Field(default_factory=dict)
    """What to write for a field or a column, e.g. with its unit."""
    title: str | None = None
    """Title."""


class OutputTable(Table):
    """What is written."""

    folder: FolderName = "results"
    """Folder of results, relative to this file."""
    watch: Annotated[tuple[Floats, ...], Field(strict=False)] = ()
    """Coordinates; the cell of the quadrature point nearest to each is stored at every step."""
    gradients: bool = False
    """Whether the gradients of all points are stored at every step, for `fe2 sample --recorded`."""
    reactions: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Names of boundaries whose reactions become columns of the history."""
    balance: bool = False
    """Whether the history tells the balance of a scalar: columns flow_NAME for what comes in through each
    boundary and body in a unit of time, flow_stored, and flow_imbalance, which is zero."""
    pictures: Annotated[tuple[PictureTable, ...], Field(strict=False)] = ()
    """Pictures that are drawn at the end."""
    checkpoint_every: int | None = Field(None, ge=1)
    """Accepted steps between two checkpoints, beside those by the clock and the one at the end."""
    checkpoint_seconds: float = Field(900.0, gt=0.0)
    """Seconds after which the next accepted step is followed by a checkpoint."""
    costs: bool = False
    """Whether the measured cost of every point in every step is written, to costs.csv."""


class MicroSolver(Table):
    """When a cell counts as solved."""

    tolerance: float = Field(1e-8, gt=0.0, lt=1.0)
    """Norm of the residual relative to the forces in the cell."""
    max_iterations: int = Field(30, ge=1)
    """Linear systems after which the iteration is given up."""
    strategy: Literal["adaptive", "newton"] = "adaptive"
    """How cells are solved: no better than the macroscopic iteration needs, or fully at every evaluation."""
    parts: int = Field(8, ge=1, le=1024)
    """Most parts into which a cell splits an increment that fails as a whole; 1 for never."""


class SolverTable(Table):
    """Options of the solvers."""

    preconditioner: Literal["direct", "blocks"] = "direct"
    """How macroscopic linear systems are solved: by a factorization, or by iterations with multigrid on each
    field, for many unknowns; options in `macro` win."""
    macro: MacroSolver = MacroSolver()
    """PETSc options of the macroscopic problem without their prefix, e.g. { snes_rtol = 1e-8 }."""
    micro: MicroSolver = MicroSolver()
    """When a cell counts as solved."""


class ParallelTable(Table):
    """How the cells are spread over the ranks."""

    ranks_per_rve: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    """Ranks that solve each cell together, a divisor of their number; "auto" chooses from the cell's size."""
    balance: Literal["off", "steps", "on", "always"] = "on"
    """Whether points move between ranks by measured cost: at steps; also to idle ranks of the node."""
    macro_ranks: Annotated[int, Field(ge=1)] | None = None
    """Ranks, at most, that share the macroscopic mesh, the first ones; all by default. Cells live on all."""


class RunFile(Table):
    """A run file."""

    units: str = ""
    """Units of all numbers, in words, e.g. "mm, N, s"; repeated in the results."""
    physics: PhysicsName | None = None
    """Physics of laws without a cell; that of the cells by default."""
    mesh: dict[str, Any]
    """The macroscopic mesh: a box, a file or a generator."""
    field: CommonFieldTable = CommonFieldTable()
    """What holds for all macroscopic unknowns."""
    fields: Annotated[tuple[FieldTable, ...], Field(strict=False)] = ()
    """The macroscopic unknowns; those of the physics by default, under its names."""
    laws: dict[str, Any] = Field(min_length=1)
    """Laws by name: each a micro model, as a cell is, or a law of the physics with its parameters."""
    boundary: Annotated[tuple[BoundaryTable, ...], Field(strict=False)] = ()
    """Conditions on the boundary."""
    body: Annotated[tuple[BodyTable, ...], Field(strict=False)] = ()
    """Loads in the volume."""
    steps: StepsTable
    """The load steps."""
    output: OutputTable = OutputTable()
    """What is written."""
    solver: SolverTable = SolverTable()
    """Options of the solvers."""
    parallel: ParallelTable = ParallelTable()
    """How the cells are spread over the ranks."""
