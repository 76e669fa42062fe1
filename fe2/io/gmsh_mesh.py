"""Macroscopic meshes from files, distributed over the ranks."""

from __future__ import annotations

from os import PathLike
from typing import Any, NamedTuple

import dolfinx.mesh
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx.graph import adjacencylist
from dolfinx.io.utils import distribute_entity_data
from mpi4py import MPI

from fe2.errors import InputError
from fe2.micro.cell_checks import Geometry, check_elements
from fe2.msh.distribution import distribute
from fe2.msh.mesh_data import MeshData, Part, cells_of_file, facets_of_file
from fe2.msh.read import read_mesh_file
from fe2.parallel import on_root, raise_together


class MarkedMesh(NamedTuple):
    """A mesh with its materials and boundaries.

    Attributes:
        mesh: The mesh.
        cell_tags: Number of the physical group of every cell, ghosts included.
        facet_tags: Number of the physical group of the facets that have one.
        cell_names: Numbers of the physical groups of cells by name.
        facet_names: Numbers of the physical groups of facets by name.
    """

    mesh: dolfinx.mesh.Mesh[np.float64]
    cell_tags: dolfinx.mesh.MeshTags
    facet_tags: dolfinx.mesh.MeshTags
    cell_names: dict[str, int]
    facet_names: dict[str, int]

    def facets(self, boundary: str) -> npt.NDArray[np.int32]:
        """Facets of a boundary, those of this rank.

        Raises:
            InputError: There is no such boundary.
        """
        return self.facet_tags.find(_number(boundary, self.facet_names, "boundary"))

    def ds(self, boundary: str) -> ufl.Measure:
        """Measure of a boundary, for the forms of loads on it.

        Raises:
            InputError: There is no such boundary.
        """
        measure = ufl.Measure("ds", domain=self.mesh, subdomain_data=self.facet_tags)
        return measure(_number(boundary, self.facet_names, "boundary"))

    def dx(self, material: str, **metadata: Any) -> ufl.Measure:
        """Measure of a material; `metadata` is UFL's, e.g. quadrature_degree.

        Raises:
            InputError: There is no such material.
        """
        measure = ufl.Measure("dx", domain=self.mesh, subdomain_data=self.cell_tags, metadata=metadata)
        return measure(_number(material, self.cell_names, "material"))


def _number(name: str, numbers: dict[str, int], kind: str) -> int:
    if name not in numbers:
        raise InputError(f"the mesh has no {kind} {name!r}; it has {', '.join(map(repr, sorted(numbers)))}")
    return numbers[name]


def read_mesh(
    path: str | PathLike[str],
    comm: MPI.Comm = MPI.COMM_WORLD,
    ranks: int | None = None,
    *,
    labels: str | None = None,
    merge: bool | None = None,
) -> MarkedMesh:
    """Read a mesh of triangles, quadrilaterals, tetrahedra or hexahedra of first or second order; collective.

    Rank 0 reads; elements are distributed over the communicator. Every element of the highest dimension
    belongs to one physical group; sides of elements (curves in two dimensions, surfaces in three) may.

    Args:
        path: The file.
        comm: Ranks over which the mesh is distributed.
        ranks: Number of ranks, at most, that own elements, the first ones; all where it is None.
        labels: Cell data of a .vtk or .vtu file that are the labels of its elements.
        merge: What becomes of nodes that coincide: True joins them, False keeps them apart, as in a
            crack; None, the default, refuses them.

    Raises:
        InputError: On all ranks: the file cannot be read; elements without a group or with several;
            groups without elements; elements of several types; degenerate, inverted or overlapping
            elements. The message names file and entity.
    """

    def load() -> tuple[MeshData, Part]:
        file = read_mesh_file(path, labels)
        data = cells_of_file(file, merge=merge)
        return data, facets_of_file(file, data)

    data, facets = on_root(comm, load) or (None, None)
    mesh, tags, entities, cell_names = distribute(comm, data, ranks)
    try:
        check_elements(Geometry.of(mesh, entities))
    except InputError as error:
        raise_together(comm, InputError(f"{path}: {error}"))
    every = np.arange(len(tags), dtype=np.int32)
    cell_tags = dolfinx.mesh.meshtags(mesh, mesh.topology.dim, every, tags)
    cell_tags.name = "cells"
    facet_names = comm.bcast(None if facets is None else facets.names)
    return MarkedMesh(mesh, cell_tags, _facet_tags(mesh, facets), cell_names, facet_names)


def _facet_tags(mesh: dolfinx.mesh.Mesh[np.float64], facets: Part | None) -> dolfinx.mesh.MeshTags:
    dim = mesh.topology.dim - 1
    width = mesh.comm.bcast(None if facets is None else facets.nodes.shape[1])
    nodes = np.empty((0, width), np.int64) if facets is None else facets.nodes
    values = np.empty(0, np.int32) if facets is None else facets.tags
    entities, tags = distribute_entity_data(mesh, dim, nodes, values)
    mesh.topology.create_connectivity(dim, dim + 1)
    found = dolfinx.mesh.meshtags_from_entities(mesh, dim, adjacencylist(entities), tags.astype(np.int32))
    found.name = "facets"
    return found
