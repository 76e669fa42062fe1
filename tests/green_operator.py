r"""Periodic stiffness of a label image, by a program that shares nothing with fe2 but the discretization.

Trilinear hexahedra on a regular grid; conjugate gradients, preconditioned with the inverse of the
same elements of one material, which the discrete Fourier transform makes diagonal (Ladecký et al.,
Appl. Math. Comput. 446 (2023) 127835). The number of iterations depends on the contrast only, so
it also affords images that a factorization does not:

    python tests/green_operator.py ../shared/data/cast_iron_ggg40_100.raw 1

prints the moduli of the cast-iron image for blocks of so many voxels an edge.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import fft, stats

Array = npt.NDArray[np.float64]

CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))
PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
AXES = (1, 2, 3)


def isotropic(young: float, poisson: float) -> Array:
    """Mandel stiffness, shape (6, 6)."""
    shear = young / (1 + poisson)
    C = shear * np.eye(6)
    C[:3, :3] += shear * poisson / (1 - 2 * poisson)
    return C


def element_stiffness(C: Array) -> Array:
    """Stiffness of a unit cube, shape (24, 24), by two Gauss points along each edge."""
    points = itertools.product(0.5 + np.array([-1, 1]) / np.sqrt(12), repeat=3)
    return sum(B.T @ C @ B / 8 for B in map(strain_of_nodes, points))


def strain_of_nodes(point: tuple[float, ...]) -> Array:
    """Mandel strain at a point from the displacements of the corners, shape (6, 24)."""
    x = np.where(CORNERS == 1, point, 1 - np.array(point))
    slope = np.where(CORNERS == 1, 1.0, -1.0)
    gradients = np.array([[slope[a, i] * np.prod(np.delete(x[a], i)) for i in range(3)] for a in range(8)])
    B = np.zeros((6, 8, 3))
    for row, (i, j) in enumerate(PAIRS):
        weight = 0.5 if i == j else np.sqrt(0.5)
        B[row, :, i] += weight * gradients[:, j]
        B[row, :, j] += weight * gradients[:, i]
    return B.reshape(6, 24)


def effective_stiffness(
    image: npt.NDArray[np.integer], phases: dict[int, Array], tolerance: float = 1e-8
) -> Array:
    """Mandel stiffness of the periodic image, shape (6, 6).

    Args:
        image: Labels, indexed [x, y, z].
        phases: Mandel stiffness of each label.
        tolerance: Of the residual in the preconditioner's norm, relative to that without fluctuations.
    """
    elements = {label: element_stiffness(C) for label, C in phases.items()}
    precondition = green_operator(image.shape, max(elements.values(), key=np.trace))

    def forces(u: Array) -> Array:
        result = np.zeros_like(u)
        for label, K in elements.items():
            result += np.where(image == label, np.tensordot(K, u, 1), 0.0)
        return result

    fields = []
    for i, j in PAIRS:
        weight = 0.5 if i == j else np.sqrt(0.5)
        affine = np.zeros((8, 3))
        affine[:, i] += weight * CORNERS[:, j]
        affine[:, j] += weight * CORNERS[:, i]
        imposed = np.broadcast_to(affine.reshape(24, 1, 1, 1), (24, *image.shape))
        fluctuation = conjugate_gradients(
            lambda w: scatter(forces(gather(w))), precondition, -scatter(forces(imposed)), tolerance
        )
        fields.append(imposed + gather(fluctuation))
    return np.array([[np.vdot(u, f) for u in fields] for f in map(forces, fields)]) / image.size


def gather(nodal: Array) -> Array:
    """Displacements of the corners of all elements, shape (24, nx, ny, nz)."""
    return np.concatenate([np.roll(nodal, tuple(-corner), AXES) for corner in CORNERS])


def scatter(local: Array) -> Array:
    """Sum of the corners' forces at the nodes, shape (3, nx, ny, nz)."""
    return sum(
        np.roll(part, tuple(corner), AXES) for part, corner in zip(np.split(local, 8), CORNERS, strict=True)
    )


def green_operator(shape: tuple[int, ...], K: Array):
    """The inverse of the stiffness of a homogeneous image, as a function."""
    waves = [*(np.fft.fftfreq(n) for n in shape[:2]), np.fft.rfftfreq(shape[2])]
    phase = 2 * np.pi * np.array(np.meshgrid(*waves, indexing="ij"))
    shifts = np.exp(1j * np.tensordot(CORNERS, phase, 1))
    blocks = np.einsum("axyz,aibj,bxyz->xyzij", shifts.conj(), K.reshape(8, 3, 8, 3), shifts, optimize=True)
    blocks[0, 0, 0] = np.eye(3)
    inverse = np.linalg.inv(blocks)
    inverse[0, 0, 0] = 0.0  # rigid translations
    return lambda r: fft.irfftn(
        np.einsum("xyzij,jxyz->ixyz", inverse, fft.rfftn(r, axes=AXES)), s=shape, axes=AXES
    )


def conjugate_gradients(operator, precondition, right: Array, tolerance: float) -> Array:
    """Solution of a singular but consistent system."""
    solution, residual = np.zeros_like(right), right
    direction = preconditioned = precondition(residual)
    start = product = np.vdot(residual, preconditioned)
    for _ in range(1000):
        if product <= tolerance**2 * start:
            return solution
        image = operator(direction)
        length = product / np.vdot(direction, image)
        solution, residual = solution + length * direction, residual - length * image
        preconditioned = precondition(residual)
        previous, product = product, np.vdot(residual, preconditioned)
        direction = preconditioned + product / previous * direction
    raise AssertionError("conjugate gradients did not converge")


def majority(image: npt.NDArray[np.integer], factor: int) -> npt.NDArray[np.integer]:
    """Most frequent label of each block of voxels."""
    split = [n for length in image.shape for n in (length // factor, factor)]
    blocks = image.reshape(split).transpose(0, 2, 4, 1, 3, 5).reshape(*split[::2], -1)
    return stats.mode(blocks, axis=-1).mode


def cast_iron(path: Path, factor: int) -> Array:
    """Stiffness of the cast-iron image in GPa."""
    image = np.fromfile(path, np.uint8).reshape((100, 100, 100), order="F")
    return effective_stiffness(
        majority(image, factor), {87: isotropic(39.7, 0.2225), 182: isotropic(210.0, 0.3)}
    )


if __name__ == "__main__":
    C = cast_iron(Path(sys.argv[1]), int(sys.argv[2]))
    K = C[:3, :3].sum() / 9
    print(f"K = {K:.9f} GPa, G = {(np.trace(C) - 3 * K) / 10:.9f} GPa")
