"""Which points of a cell are the same point of the periodic medium."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from fe2.arrays import Array, Ints
from fe2.errors import InputError

TOLERANCE = 1e-8
"""Distance below which two points are one, relative to the period."""


def node_representatives(
    x: Array,
    period: npt.ArrayLike,
    lower: npt.ArrayLike | None = None,
    tol: float = TOLERANCE,
    *,
    partners: bool = True,
) -> Ints:
    """Master of each point: one of the points that lie whole numbers of periods away from it.

    A point on an upper face is the copy of one on the opposite lower face. All corners of the cell
    have one master, as have the four parallel edges of a three-dimensional cell.

    Args:
        x: Points of the cell, shape (n, d) or wider; only the first d columns count.
        period: Edge lengths of the cell, shape (d,).
        lower: Its lower corner, shape (d,); −period/2 where it is None, as in a centred cell.
        tol: Distance below which points are taken to be the same, relative to the period.
        partners: Whether each point of a face needs a partner on the opposite face; a part of a cell
            may have some that do not.

    Returns:
        Row of the master of each point, shape (n,); points that are no copies have their own row.

    Raises:
        InputError: A point of a face has no partner on the opposite face and needs one.
    """
    period = np.asarray(period, dtype=np.float64)
    points = np.asarray(x, dtype=np.float64)[:, : len(period)]
    corner = -period / 2 if lower is None else np.asarray(lower, dtype=np.float64)
    if partners:
        for axis in range(len(period)):
            _match_faces(points, axis, corner[axis], period, tol)
    upper = np.abs(points - (corner + period)) < tol * period
    wrapped = np.where(upper, corner, points)
    near = np.abs(wrapped - corner) < tol * period
    on_faces = np.flatnonzero(near.any(axis=1))
    representatives = np.arange(len(points), dtype=np.int64)
    if len(on_faces):
        pairs = cKDTree(wrapped[on_faces]).query_pairs(tol * period.max(), output_type="ndarray")
        same = sp.coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(on_faces),) * 2)
        _, group = connected_components(same, directed=False)
        # the master is the point on the most lower faces
        order = np.lexsort((upper[on_faces].sum(axis=1), group))
        _, first = np.unique(group[order], return_index=True)
        representatives[on_faces] = on_faces[order[first]][group]
    return representatives


def _match_faces(points: Array, axis: int, corner: float, period: Array, tol: float) -> None:
    """Refuse points of the two faces normal to an axis that have no partner on the other face."""
    positions = corner, corner + period[axis]
    faces = [points[np.abs(points[:, axis] - at) < tol * period[axis]] for at in positions]
    along = [np.delete(face, axis, axis=1) for face in faces]
    for here, there in ((1, 0), (0, 1)):
        if not len(along[here]):
            continue
        distance = np.full(len(along[here]), np.inf)
        if len(along[there]):
            distance, _ = cKDTree(along[there]).query(along[here])
        lonely = distance > tol * period.max()
        if lonely.any():
            worst = int(np.argmax(distance))
            name = "xyz"[axis]
            at = ", ".join(f"{value:.8g}" for value in faces[here][worst])
            raise InputError(
                f"{lonely.sum()} of {len(distance)} nodes of the face {name} = {positions[here]:.6g} have no "
                f"partner on the opposite face {name} = {positions[there]:.6g}: the farthest, at ({at}), is "
                f"{distance[worst]:.3g} away from the nearest one there (tolerance "
                f"{tol * period.max():.1g}). Opposite faces of a periodic cell need matching nodes"
            )
