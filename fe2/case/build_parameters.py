"""From a run file to the parameters of its quadrature points, on the mesh and before any cell is made."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fe2.arrays import Array
from fe2.case.build_mesh import group_number
from fe2.case.material_table import MaterialTable
from fe2.case.point_fields import PointField, read_values
from fe2.case.problems import Key, Problems
from fe2.case.run_case import Law, asked_for
from fe2.errors import InputError
from fe2.io.gmsh_mesh import MarkedMesh
from fe2.macro.domain import CellDomain
from fe2.micro.points import TURNED_BY
from fe2.parallel import on_every_rank
from fe2.tensors import rotation_from_bunge


def build_parameters(
    law: Law, marked: MarkedMesh, group: int | None, quadrature_degree: int, problems: Problems, key: Key
) -> dict[str, Array]:
    """Parameters of the points of a law on this rank, cell by cell; collective.

    Args:
        law: The law, which has a micro model.
        marked: The mesh.
        group: Number of its subdomain, or None for the whole mesh.
        quadrature_degree: Degree of its quadrature rule.
        problems: Receives what is wrong.
        key: Where the parameters stand.

    Raises:
        CaseFileError: On all ranks: a parameter does not fit the mesh, or has no finite value at a point.
    """
    if not law.parameters:
        return {}
    mesh = marked.mesh
    domain = CellDomain(mesh, quadrature_degree, None if group is None else marked.cell_tags, group)
    coordinates, found = domain.coordinates(), {}
    for name, field in law.parameters.items():
        try:
            found[name] = _values(name, field, law, marked, domain, coordinates, problems, (*key, name))
        except (InputError, ValueError) as error:
            problems.add((*key, name), str(error), field.source)
    on_every_rank(mesh.comm, problems.raise_if_any)
    return found


def _values(
    name: str,
    field: PointField,
    law: Law,
    marked: MarkedMesh,
    domain: CellDomain,
    coordinates: Array,
    problems: Problems,
    key: Key,
) -> Array:
    dim = coordinates.shape[1]
    if field.file is None:
        field.check(dim)
        values = field.values(coordinates)
    else:
        given = read_values(problems.file.parent, field.file, name, asked_for(law.place, dim))
        of_cells = (
            _by_label(given, name, marked, domain, problems, key)
            if isinstance(given, MaterialTable)
            else _by_element(given, field.file, marked, domain)
        )
        values = np.repeat(of_cells, domain.points_per_cell, axis=0)
    if law.rotated and name == TURNED_BY[3] and values.shape[1:] == (3,):
        values = np.asarray(rotation_from_bunge(*values.T)).reshape(-1, 3, 3)
    return values


def _by_element(values: Array, file: str, marked: MarkedMesh, domain: CellDomain) -> Array:
    count = marked.mesh.topology.index_map(marked.mesh.topology.dim).size_global
    if len(values) != count:
        raise InputError(f"{file} has {len(values)} rows, and the mesh has {count} elements")
    return values[domain.numbers()]


def _by_label(
    table: MaterialTable, name: str, marked: MarkedMesh, domain: CellDomain, problems: Problems, key: Key
) -> Array:
    numbers = [group_number(label, marked.cell_names, problems, key, "subdomain") for label in table.labels]
    rows: Mapping[int, int] = {number: row for row, number in enumerate(numbers) if number is not None}
    labels = marked.cell_tags.values[domain.cells]
    for number in np.unique(labels).tolist():
        if number not in rows:
            names = [label for label, found in marked.cell_names.items() if found == number]
            raise InputError(f"{table.file}: there is no row for the subdomain {(names or [number])[0]!r}")
    values = np.asarray(table.parameters()[name], dtype=np.float64)
    return values[[rows[number] for number in labels.tolist()]] if len(labels) else values[:0]
