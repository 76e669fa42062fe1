"""Coarser label images: the most frequent label of each block; ties keep the shares of the labels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fe2.errors import Fe2Warning
from fe2.micro.image_grid import check_coarsening

Labels = npt.NDArray[np.integer[Any]]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

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
    blocks = _blocks(labels, factor)
    values = _in_order_of_appearance(labels)
    most, winner, tied = _majority(blocks, values)
    places = np.flatnonzero(tied)
    if len(places):
        candidates = np.array([_votes(blocks[places], value) == most[places] for value in values]).T
        sure = np.array([np.count_nonzero(winner[~tied] == value) for value in values])
        wanted = np.array([np.count_nonzero(labels == value) for value in values]) / blocks.shape[1]
        winner[places] = values[_turns(candidates, wanted - sure)]
    return winner.reshape([n // factor for n in labels.shape])


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


def _blocks(labels: Labels, factor: int) -> Labels:
    """Labels of the voxels of each block, shape (blocks, voxels of a block)."""
    dim = labels.ndim
    split = labels.reshape([n for length in labels.shape for n in (length // factor, factor)])
    outer, inner = range(0, 2 * dim, 2), range(1, 2 * dim, 2)
    return split.transpose(*outer, *inner).reshape(-1, factor**dim)


def _in_order_of_appearance(labels: Labels) -> Labels:
    """The labels in an order that does not depend on their numbers."""
    values, first = np.unique(labels, return_index=True)
    ordered: Labels = values[np.argsort(first)]
    return ordered


def _majority(blocks: Labels, values: Labels) -> tuple[Ints, Labels, Mask]:
    """For each block the votes of its most frequent label, that label, and whether another has as many."""
    most = np.zeros(len(blocks), dtype=np.int64)
    winner, tied = np.zeros(len(blocks), dtype=blocks.dtype), np.zeros(len(blocks), dtype=bool)
    for value in values:
        votes = _votes(blocks, value)
        tied = np.where(votes > most, False, tied | (votes == most))
        winner[votes > most] = value
        most = np.maximum(votes, most)
    return most, winner, tied


def _votes(blocks: Labels, value: np.integer[Any]) -> Ints:
    return np.count_nonzero(blocks == value, axis=1)


def _turns(candidates: Mask, missing: Floats) -> Ints:
    """One candidate for each tied block, so that label k gets as near to missing[k] blocks as it can.

    Args:
        candidates: Whether a label is among the most frequent ones of a block, shape (blocks, labels).
        missing: Blocks that each label still lacks of its share, of any sign, shape (labels,).
    """
    kinds, kind, counts = np.unique(candidates, axis=0, return_inverse=True, return_counts=True)
    shares = _fitted_shares(kinds, counts, missing)
    chosen = np.zeros(len(candidates), dtype=np.int64)
    shuffled = np.random.RandomState(0).permutation(len(candidates))  # the same in all versions
    order = shuffled[np.argsort(kind.reshape(-1)[shuffled], kind="stable")]
    owed = np.zeros(len(missing))  # what rounding has kept from each label so far
    for share, places in zip(shares, np.split(order, np.cumsum(counts)[:-1]), strict=True):
        owed += share
        numbers = _rounded(owed, share > 0.0, len(places))
        owed -= numbers
        chosen[places] = np.repeat(np.arange(len(numbers)), numbers)
    return chosen


def _fitted_shares(kinds: Mask, counts: Ints, missing: Floats) -> Floats:
    """Blocks of each kind of tie for each label, shape (kinds, labels), by iterative proportional fitting."""
    wanted = np.maximum(missing, 1e-9 * counts.sum())
    weights = np.ones(len(missing))
    for _ in range(_SWEEPS):
        shares = kinds * weights
        shares = shares * (counts / shares.sum(axis=1))[:, None]
        given = shares.sum(axis=0)
        weights = np.where(given > 0.0, weights * wanted / np.where(given > 0.0, given, 1.0), weights)
        weights = np.maximum(weights / weights.max(), _SMALLEST)
    return shares


def _rounded(wanted: Floats, possible: Mask, total: int) -> Ints:
    """Whole numbers, not negative and `total` in sum, near to what is wanted, zero where impossible."""
    numbers: Ints = np.where(possible, np.maximum(np.floor(wanted), 0.0), 0.0).astype(np.int64)
    while (excess := int(numbers.sum()) - total) != 0:
        rest = wanted - numbers
        if excess < 0:
            numbers[np.argmax(np.where(possible, rest, -np.inf))] += 1
        else:
            numbers[np.argmin(np.where(numbers > 0, rest, np.inf))] -= 1
    return numbers
