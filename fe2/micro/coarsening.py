"""Coarser label images: the most frequent label of each block; ties keep the shares of the labels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from fe2.arrays import Array, Ints, Labels
from fe2.errors import Fe2Warning
from fe2.micro.image_grid import check_coarsening

_CHANGED = 0.01
"""Relative change of a phase's fraction from which on it is worth a warning."""

_SWEEPS = 100
"""Of the iterative proportional fitting; the shares have long converged."""

_SMALLEST = 1e-12
"""Weight of a label that has its share already, relative to the one that lacks most."""


def coarsen_image(labels: Labels, factor: int) -> Labels:
    """Most frequent label of each block of `factor` voxels a side.

    Where several labels of a block are equally frequent, they take turns over all such blocks so that the
    labels keep their shares of the image as far as these blocks can help it. Which of the blocks gets which
    is a fixed shuffle: no label, no axis and no corner of the image is preferred, and the same image gives
    the same blocks everywhere.

    Args:
        labels: One integer a voxel, shape (nx, ny) or (nx, ny, nz).
        factor: Edge of a block in voxels, which divides the image's shape.

    Raises:
        InputError: The factor is not a positive whole number, or does not divide the shape.
    """
    if factor == 1:
        return labels
    check_coarsening(factor, labels.shape)
    values, numbers = _in_order_of_appearance(labels)
    blocks = _blocks(numbers, factor)
    block, label = _most_frequent(blocks)
    winner = np.zeros(len(blocks), dtype=np.int64)
    winner[block] = label
    tied = np.bincount(block, minlength=len(blocks)) > 1
    if tied.any():
        sure = np.bincount(winner[~tied], minlength=len(values))
        wanted = np.bincount(numbers.reshape(-1)) / blocks.shape[1]
        among = tied[block]
        winner[tied] = _turns(_table(block[among], label[among]), wanted - sure)
    coarse: Labels = values[winner].reshape([n // factor for n in labels.shape])
    return coarse


def fractions_of_labels(labels: Labels, phases: Mapping[str, int | list[int]]) -> dict[str, float]:
    """Share of each phase, by name, in an image; `phases` has the label or the labels of each."""
    return {name: float(np.mean(np.isin(labels, own))) for name, own in phases.items()}


def warn_of_changed_fractions(before: Mapping[str, float], after: Mapping[str, float], factor: int) -> None:
    """Warn where coarsening has changed the fraction of a phase by more than a hundredth of it."""
    changed = [
        f"{name} from {before[name]:.4g} to {after[name]:.4g}"
        for name in before
        if abs(after[name] - before[name]) > _CHANGED * before[name]
    ]
    if changed:
        warnings.warn(
            f"coarsen = {factor} changes volume fractions by more than 1 %: {', '.join(changed)}; "
            "structures that are finer than a block get lost",
            Fe2Warning,
            stacklevel=3,
        )


def _blocks(labels: Ints, factor: int) -> Ints:
    """Labels of the voxels of each block, shape (blocks, voxels of a block)."""
    dim = labels.ndim
    split = labels.reshape([n for length in labels.shape for n in (length // factor, factor)])
    outer, inner = range(0, 2 * dim, 2), range(1, 2 * dim, 2)
    return split.transpose(*outer, *inner).reshape(-1, factor**dim)


def _in_order_of_appearance(labels: Labels) -> tuple[Labels, Ints]:
    """The labels in an order that does not depend on their numbers, and the place of each voxel's in it."""
    values, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return values[order], np.argsort(order)[inverse].reshape(labels.shape)


def _most_frequent(blocks: Ints) -> tuple[Ints, Ints]:
    """The most frequent labels of all blocks: pairs of a block and a label, in order; several where tied."""
    ordered = np.sort(blocks, axis=1)
    begins = np.ones(ordered.shape, dtype=bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    start = np.flatnonzero(begins)
    votes, block = np.diff(start, append=ordered.size), start // ordered.shape[1]
    most = np.maximum.reduceat(votes, np.flatnonzero(np.diff(block, prepend=-1)))
    chosen = votes == most[block]
    return block[chosen], ordered.reshape(-1)[start[chosen]]


def _table(block: Ints, label: Ints) -> Ints:
    """The labels of each block in a row, filled up with -1, from pairs in order."""
    _, row, counts = np.unique(block, return_inverse=True, return_counts=True)
    column = np.arange(len(block)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.full((len(counts), counts.max()), -1, dtype=np.int64)
    table[row, column] = label
    return table


def _turns(candidates: Ints, missing: Array) -> Ints:
    """One candidate for each tied block, so that label k gets as near to missing[k] blocks as it can.

    Args:
        candidates: The most frequent labels of each block in a row, filled up with -1.
        missing: Blocks that each label still lacks of its share, of any sign, shape (labels,).
    """
    kinds, kind, counts = np.unique(candidates, axis=0, return_inverse=True, return_counts=True)
    shares = _fitted_shares(kinds, counts, missing)
    chosen = np.zeros(len(candidates), dtype=np.int64)
    shuffled = np.random.RandomState(0).permutation(len(candidates))  # the same in all versions
    order = shuffled[np.argsort(kind.reshape(-1)[shuffled], kind="stable")]
    owed = np.zeros(len(missing))  # what rounding has kept from each label so far
    for row, share, places in zip(kinds, shares, np.split(order, np.cumsum(counts)[:-1]), strict=True):
        own = row[row >= 0]
        owed[own] += share[row >= 0]
        numbers = _rounded(owed[own], len(places))
        owed[own] -= numbers
        chosen[places] = np.repeat(own, numbers)
    return chosen


def _fitted_shares(kinds: Ints, counts: Ints, missing: Array) -> Array:
    """Blocks of each kind of tie for each of its labels, by iterative proportional fitting."""
    wanted = np.maximum(missing, 1e-9 * counts.sum())
    weights, real = np.ones(len(missing)), kinds >= 0
    for _ in range(_SWEEPS):
        shares = np.where(real, weights[kinds], 0.0)
        shares *= (counts / shares.sum(axis=1))[:, None]
        given = np.bincount(kinds[real], shares[real], minlength=len(missing))
        weights = np.where(given > 0.0, weights * wanted / np.where(given > 0.0, given, 1.0), weights)
        weights = np.maximum(weights / weights.max(), _SMALLEST)
    return shares


def _rounded(wanted: Array, total: int) -> Ints:
    """Whole numbers, not negative and `total` in sum, near to what is wanted."""
    numbers: Ints = np.maximum(np.floor(wanted), 0.0).astype(np.int64)
    while (excess := int(numbers.sum()) - total) != 0:
        rest = wanted - numbers
        if excess < 0:
            numbers[np.argmax(rest)] += 1
        else:
            numbers[np.argmin(np.where(numbers > 0, rest, np.inf))] -= 1
    return numbers
