"""Local fields of an RVE as named scalars, for pictures and for ParaView."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fe2.arrays import Array
from fe2.history_names import history_columns
from fe2.io.vtu import Grid, write_vtu
from fe2.micro.fields import LocalFields
from fe2.tensors import component_names, shear_factors


def von_mises(stress: Array) -> Array:
    r"""Equivalent stress after von Mises.

    .. math:: \sigma_v = \sqrt{\tfrac32\, s : s}, \qquad s = \sigma - \tfrac13 \mathrm{tr}(\sigma)\, 1

    Args:
        stress: Mandel components, shape (n, 4) in plane strain or (n, 6).

    Returns:
        Shape (n,).
    """
    deviator = stress.copy()
    deviator[:, :3] -= stress[:, :3].mean(axis=1, keepdims=True)
    equivalent: Array = np.sqrt(1.5 * np.sum(deviator**2, axis=1))
    return equivalent


def reported_fields(fields: LocalFields) -> dict[str, Array]:
    """Means over the mesh cells as scalars by name, each of shape (cells,).

    Gradient and flux are in reported components, ``strain_xy`` and so on: engineering shear strains
    and plain shear stresses in mechanics, where the von Mises stress ``stress_von_mises`` is added.
    Of history variables see :func:`~fe2.history_names.history_names`.
    """
    values = dict(fields.cell_data)
    result = {"phase": values.pop("phase").reshape(-1)}
    for block in fields.blocks:
        factors = _shear_factors(block.local_components)
        gradient, flux = values.pop(block.name), values.pop(block.dual)
        result |= dict(zip(block.local_names, (gradient * factors).T, strict=True))
        result |= dict(zip(block.local_dual_names, (flux / factors).T, strict=True))
        if block.is_mandel:
            result[f"{block.dual}_von_mises"] = von_mises(flux)
    components = fields.blocks[0].local_components if fields.blocks else ()
    return result | history_columns(values, components)


def write_local_fields(fields: LocalFields, path: str | Path) -> Path:
    """Write local fields for ParaView: the micro field and its fluctuation, and :func:`reported_fields`.

    Args:
        fields: Local fields of a state, from ``rve.fields(state)``.
        path: File name, ending in ``.vtu``.

    Returns:
        The path.

    Raises:
        Fe2Error: The file could not be written.
    """
    nodes = fields.connectivity.reshape(len(fields.cell_types), -1)[:, 1:]
    write_vtu(
        Path(path), Grid(fields.points, nodes, fields.cell_types), fields.point_data, reported_fields(fields)
    )
    return Path(path)


def _shear_factors(components: tuple[str, ...]) -> Array:
    """Mandel's factors where the components are those of a symmetric tensor, ones otherwise."""
    size = len(components)
    if size in (3, 4, 6) and components == component_names(size):
        return shear_factors(size)
    return np.ones(size)
