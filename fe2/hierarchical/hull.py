"""How far a gradient is out of a convex region that is known by points of it."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from fe2.arrays import Array
from fe2.errors import InputError

ROUND_OFF = 1e-9
"""Part by which a region may be exceeded without being left."""

_DISTANCES = 1_000_000
"""Distances of gradients from facets that are looked at together."""


class Hull:
    r"""The convex hull of points around an origin, by its gauge.

    .. math:: \gamma(g) = \max_f \frac{n_f\cdot(g - g_0)}{b_f}

    with normals :math:`n_f` and distances :math:`b_f` of the facets from the origin :math:`g_0`: zero at the
    origin, one at the boundary, and growing in proportion to the distance along each ray.

    Attributes:
        origin: Shape (m,).
        points: Points relative to the origin, shape (k, m).
        centroids: Centres of the facets relative to the origin, the largest facets first, shape (f, m).
    """

    def __init__(self, origin: Array, points: Array) -> None:
        """Find the facets.

        Raises:
            InputError: The points lie in a plane, or do not surround the origin.
        """
        self.origin, self.points = np.array(origin), np.array(points)
        scale = np.abs(points).max(axis=0, initial=0.0)
        if not np.all(scale > 0.0):
            raise InputError(f"component {int(np.argmin(scale))} of the points is zero everywhere")
        try:
            found = ConvexHull(points / scale)
        except (QhullError, ValueError) as error:
            raise InputError(
                f"{len(points)} points do not surround a region: {str(error).splitlines()[0]}"
            ) from error
        normals, distances = found.equations[:, :-1], -found.equations[:, -1]
        if not np.all(distances > 0.0):
            raise InputError("the points do not surround the origin")
        # facets are split into simplices of the same normal and distance
        self._facets = np.unique(np.round(normals / distances[:, None], 12), axis=0) / scale
        corners = found.points[found.simplices]
        centres = corners.mean(axis=1)
        order = np.argsort(-np.linalg.norm(corners - centres[:, None], axis=2).max(axis=1), kind="stable")
        self.centroids = centres[order] * scale

    def scaled(self, factor: float) -> Hull:
        """The same region, smaller or larger around the origin."""
        return Hull(self.origin, factor * self.points)

    def gauge(self, gradients: Array) -> Array:
        """γ of gradients (..., m), shape (...): at most one inside."""
        rows = np.reshape(gradients, (-1, len(self.origin))) - self.origin
        # of many rows at once, the distances from all facets would not fit the memory
        parts = np.array_split(rows, 1 + len(rows) * len(self._facets) // _DISTANCES)
        found = np.concatenate([np.max(part @ self._facets.T, axis=1) for part in parts])
        return found.reshape(np.shape(gradients)[:-1])

    def contains(self, gradient: Array) -> bool:
        """Whether a gradient is inside, up to round-off."""
        return bool(self.gauge(gradient) <= 1.0 + ROUND_OFF)
