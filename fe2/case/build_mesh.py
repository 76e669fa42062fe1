"""From a run file to the macroscopic mesh, with the names of its subdomains and boundaries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from dolfinx import mesh as dmesh
from mpi4py import MPI

from fe2.case.generated_mesh import generated_mesh
from fe2.case.generators import generator_parameters
from fe2.case.problems import Key, Problems
from fe2.case.run_case import RunCase
from fe2.case.run_tables import SIDES, BoxMesh, FileMesh, GeneratorMesh
from fe2.errors import InputError
from fe2.io.gmsh_mesh import MarkedMesh, read_mesh
from fe2.msh.partition import cells_on_first_ranks
from fe2.parallel import on_every_rank
from fe2.registry import suggestion


def build_mesh(case: RunCase, comm: MPI.Comm) -> MarkedMesh:
    """The mesh of a run file, distributed over the ranks; collective.

    Raises:
        CaseFileError: On all ranks: the mesh cannot be read or made; the message names file and key.
    """
    table, ranks = case.mesh, case.tables.parallel.macro_ranks
    if isinstance(table, BoxMesh):
        return box_mesh(table, comm, ranks)
    try:
        if isinstance(table, FileMesh):
            return read_mesh(case.path(table.file), comm, ranks, merge=table.merge, labels=table.labels)
        assert isinstance(table, GeneratorMesh)
        with generated_mesh(table.generator, generator_parameters(table.generator, table), comm) as path:
            return read_mesh(path, comm, ranks)
    except InputError as error:
        problems = Problems(case.file)
        problems.add_refused(("mesh",), error, type(table).model_fields, table.model_dump())
        on_every_rank(comm, problems.raise_if_any)
        raise


def box_mesh(table: BoxMesh, comm: MPI.Comm, ranks: int | None) -> MarkedMesh:
    """A rectangle or a box whose sides are named; all of its cells are the group "box"; collective."""
    lower, upper = np.array(table.box).T
    shape = table.element or ("quadrilateral" if len(lower) == 2 else "hexahedron")
    create = dmesh.create_rectangle if len(lower) == 2 else dmesh.create_box
    partitioner = cells_on_first_ranks(ranks or comm.size) if comm.size > 1 else None
    mesh = create(comm, [lower, upper], table.cells, dmesh.CellType[shape], partitioner=partitioner)
    dim, sides = mesh.topology.dim, SIDES[: 2 * len(lower)]
    cells = mesh.topology.index_map(dim)
    every = np.arange(cells.size_local + cells.num_ghosts, dtype=np.int32)
    cell_tags = dmesh.meshtags(mesh, dim, every, np.ones_like(every))
    facets = [_side(mesh, number // 2, end, upper - lower) for number, end in enumerate(_ends(lower, upper))]
    numbers = np.repeat(np.arange(1, len(sides) + 1, dtype=np.int32), [len(side) for side in facets])
    found = np.concatenate(facets)
    order = np.argsort(found)
    facet_tags = dmesh.meshtags(mesh, dim - 1, found[order], numbers[order])
    names = {name: number for number, name in enumerate(sides, start=1)}
    return MarkedMesh(mesh, cell_tags, facet_tags, {"box": 1}, names)


def group_number(
    group: int | str, names: dict[str, int], problems: Problems, key: Key, kind: str
) -> int | None:
    """Number of a physical group that a file names, or None where there is no such group.

    Args:
        group: Name or number.
        names: Numbers by name.
        problems: Receives what is wrong.
        key: Where the name stands.
        kind: What the groups are, for messages.
    """
    if group in names:
        return names[str(group)]
    if group in names.values():
        return int(group)
    problems.add(key, f"the mesh has no {kind} of this name; {suggestion(str(group), list(names))}", group)
    return None


def _ends(lower: npt.NDArray[np.float64], upper: npt.NDArray[np.float64]) -> list[float]:
    return [end for pair in zip(lower.tolist(), upper.tolist(), strict=True) for end in pair]


def _side(
    mesh: dmesh.Mesh[np.float64], axis: int, position: float, extent: npt.NDArray[np.float64]
) -> npt.NDArray[np.int32]:
    """Facets on one side of the box."""
    near = 1e-8 * float(extent.max())
    return dmesh.locate_entities_boundary(
        mesh, mesh.topology.dim - 1, lambda x: np.abs(x[axis] - position) < near
    )
