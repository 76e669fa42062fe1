"""Random periodic packings of equal circles or spheres at a prescribed least distance of the centres."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from .periodic_images import nearest_images

FloatArray = npt.NDArray[np.float64]

TRIALS = 2000  # positions tried for one ball before sequential addition gives up
RESTARTS = 6  # random starts of the relaxation
ORIGINS = 2000  # random origins among which the cell's is chosen


def packed_centres(
    count: int, radius: float, period: FloatArray, *, fraction: float, gap: float, seed: int, balls: str
) -> FloatArray:
    """Centres of `count` balls whose surfaces are at least `gap` radii apart and nearly touch no face.

    Args:
        count: Number of balls.
        radius: Their radius.
        period: Edge lengths of the cell, shape (dim,).
        fraction: Their volume fraction, for the message.
        gap: Least distance of two surfaces, in radii.
        seed: Seed of the random positions.
        balls: What messages call them.

    Returns:
        Shape (count, dim) in the box from 0 to `period`.

    Raises:
        ValueError: So many balls at such a distance find no place.
    """
    centres = random_packing(count, (2.0 + gap) * radius, period, seed)
    if centres is None:
        raise ValueError(
            f"fraction = {fraction}: {count} {balls} find no place with gap = {gap} radii; choose one lower"
        )
    return away_from_faces(centres, radius, period, seed)


def random_packing(count: int, distance: float, period: FloatArray, seed: int) -> FloatArray | None:
    """Centres of `count` balls, none closer to another or to its images than `distance`.

    Random sequential addition (Widom 1966), which keeps the statistics of independent positions, as far as it
    reaches (54 % of the area, 38 % of the volume for touching balls); above, relaxation of overlapping balls.

    Returns:
        Shape (count, dim) in the box from 0 to `period`, or None where no packing was found.
    """
    if distance > min(period):
        return None
    rng = np.random.default_rng(seed)
    centres = add_sequentially(count, distance, period, rng)
    for _ in range(RESTARTS):
        if centres is not None:
            break
        centres = relax_overlaps(rng.uniform(0.0, period, (count, len(period))), distance, period)
    return centres


def add_sequentially(
    count: int, distance: float, period: FloatArray, rng: np.random.Generator
) -> FloatArray | None:
    """Place one ball after another at random, rejecting overlaps."""
    centres = np.empty((0, len(period)))
    for _ in range(count):
        trials = rng.uniform(0.0, period, (TRIALS, len(period)))
        free = np.ones(TRIALS, dtype=bool)
        if len(centres) > 0:
            free = cKDTree(centres, boxsize=period).query(trials)[0] >= distance
        if not np.any(free):
            return None
        centres = np.vstack([centres, trials[np.argmax(free)]])
    return centres


def relax_overlaps(start: FloatArray, distance: float, period: FloatArray) -> FloatArray | None:
    """Push overlapping balls apart: minimize the sum of (target − d)² over the pairs with d < target."""
    target = 1.001 * distance

    def energy(flat: FloatArray) -> tuple[float, FloatArray]:
        centres = np.mod(flat.reshape(start.shape), period)
        pairs = cKDTree(centres, boxsize=period).query_pairs(target, output_type="ndarray")
        difference = nearest_images(centres[pairs[:, 0]] - centres[pairs[:, 1]], period)
        norm = np.linalg.norm(difference, axis=1)
        force = -2.0 * ((target - norm) / norm)[:, None] * difference
        gradient = np.zeros_like(centres)
        np.add.at(gradient, pairs[:, 0], force)
        np.add.at(gradient, pairs[:, 1], -force)
        return float(np.sum((target - norm) ** 2)), gradient.ravel()

    scale = {"maxiter": 500, "ftol": 1e-16, "gtol": 1e-10 * distance}
    result = minimize(energy, start.ravel(), jac=True, method="L-BFGS-B", options=scale)
    centres = np.mod(result.x.reshape(start.shape), period)
    pairs = cKDTree(centres, boxsize=period).query_pairs(distance)
    return None if pairs else centres


def away_from_faces(centres: FloatArray, radius: float, period: FloatArray, seed: int) -> FloatArray:
    """Translate a periodic packing so that no ball nearly touches a face, an edge or a corner of the cell.

    A periodic medium has no origin, so this changes nothing but the mesh, which is spared slivers. Centres
    keep away from the faces too, for gmsh's circles begin beside the centre and spheres have a seam there.
    """
    dim = len(period)
    origins = np.random.default_rng(seed).uniform(0.0, period, (ORIGINS, dim))
    offsets = np.abs(nearest_images(centres[None, :, :] - origins[:, None, :], period))
    clearance = offsets.min(axis=(1, 2))
    for count in range(1, dim + 1):
        for axes in itertools.combinations(range(dim), count):
            gap = np.abs(np.linalg.norm(offsets[:, :, axes], axis=2) - radius)
            clearance = np.minimum(clearance, gap.min(axis=1))
    moved: FloatArray = np.mod(centres - origins[np.argmax(clearance)], period)
    return moved
