r"""Which group of ranks solves which points: pure functions of measured costs, the same on every rank.

Points are bins' items: the time of an evaluation is that of the group with the most work. Longest
processing time first (Graham, SIAM J. Appl. Math. 17 (1969)) comes within 4/3 - 1/(3 G) of the best
assignment to G groups. Moving a point costs time as well, so an assignment is only changed where what
it saves in the next load step exceeds what the move costs.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array, Ints

LEAST_GAIN = 0.05
"""Share of a load step that a new assignment has to save: measured costs scatter by a few per cent."""


@dataclass(frozen=True)
class Plan:
    """An assignment of points to groups.

    Attributes:
        groups: Group of each point, shape (n,).
        seconds: Predicted time of the next load step with it, the time of the move included.
        moved: Number of points that change their group.
    """

    groups: Ints
    seconds: float
    moved: int


def loads(costs: Array, groups: Ints, count: int) -> Array:
    """Work of each of `count` groups, shape (count,), for costs and groups of shape (n,)."""
    return np.bincount(groups, weights=costs, minlength=count).astype(np.float64)


def longest_first(costs: Array, count: int, start: Array | None = None) -> Ints:
    """Give every point, the most expensive first, to the group with the least work so far.

    Args:
        costs: Cost of each point, shape (n,), not negative.
        count: Number of groups.
        start: Work that the groups have already, shape (count,), none by default.

    Returns:
        Group of each point, shape (n,). Equal costs and loads are decided by the lowest number.
    """
    work = np.zeros(count) if start is None else start
    heap = list(zip(work.tolist(), range(count), strict=True))
    heapq.heapify(heap)
    order = np.argsort(-costs, kind="stable")
    chosen = np.empty(len(costs), dtype=np.int64)
    for position, cost in enumerate(costs[order].tolist()):
        least, group = heap[0]
        chosen[position] = group
        heapq.heapreplace(heap, (least + cost, group))
    groups = np.empty_like(chosen)
    groups[order] = chosen
    return groups


def relieved(costs: Array, groups: Ints, count: int) -> Ints:
    """Take from groups with too much work what is over the target, and give it to the others.

    The target is the larger of the mean work and the largest cost, below which no assignment can
    come. Every group keeps its most expensive points up to it; the rest is given away, longest first.

    Args:
        costs: Cost of each point, shape (n,).
        groups: Present group of each point, shape (n,).
        count: Number of groups.
    """
    if not len(costs):
        return groups.copy()
    target = max(float(costs.sum()) / count, float(costs.max())) * (1.0 + 1e-12)
    order = np.lexsort((-costs, groups))
    sums = np.cumsum(costs[order])
    first = np.searchsorted(groups[order], groups[order])  # where the points of the same group begin
    within = sums - np.concatenate([[0.0], sums])[first]
    released = order[within > target + 1e-12 * sums[-1]]
    result = groups.copy()
    kept = np.ones(len(costs), dtype=bool)
    kept[released] = False
    result[released] = longest_first(costs[released], count, loads(costs[kept], groups[kept], count))
    return result


def finish_time(costs: Array, groups: Ints, shared: Ints) -> float:
    """Time in which all points are solved.

    Args:
        costs: Cost of each point, shape (n,).
        groups: Group of each point, shape (n,).
        shared: For each group the number of its pool of work, shape (count,): groups of one number
            take waiting points from each other, as they do within a node. All different where
            every group works for itself.
    """
    if not len(costs):
        return 0.0
    sizes = np.bincount(shared)
    work = loads(costs, shared[groups], len(sizes))
    alone = np.divide(work, sizes, out=np.zeros_like(work), where=sizes > 0)
    return max(float(alone.max()), float(costs.max()))


def best_plan(costs: Array, groups: Ints, shared: Ints, seconds_per_point: float) -> Plan:
    """The assignment for the next load step, which is the present one where no move pays.

    Args:
        costs: Cost of each point in the last load step, seconds, shape (n,).
        groups: Present group of each point, shape (n,).
        shared: Number of the pool of work of each group; see `finish_time`.
        seconds_per_point: Time in which a group sends or receives one state row.
    """
    count = len(shared)

    def plan(proposed: Ints) -> Plan:
        moved = proposed != groups
        out, into = np.bincount(groups[moved], minlength=count), np.bincount(proposed[moved], minlength=count)
        busiest = int((out + into).max(initial=0))
        seconds = finish_time(costs, proposed, shared) + busiest * seconds_per_point
        return Plan(proposed, seconds, int(np.count_nonzero(moved)))

    stay = plan(groups)
    if finish_time(costs, groups, shared) <= _least_time(costs, count) * (1.0 + 1e-9):
        return stay
    candidates = [stay, plan(relieved(costs, groups, count)), plan(longest_first(costs, count))]
    best = min(candidates, key=lambda candidate: candidate.seconds)
    return best if best.seconds < (1.0 - LEAST_GAIN) * stay.seconds else stay


def everything_moved(groups: Ints, count: int) -> Ints:
    """Every point goes to the next group: what a test of the independence of the place asks for."""
    return (groups + 1) % count


def _least_time(costs: Array, count: int) -> float:
    """What no assignment can fall below."""
    return max(float(costs.sum()) / count, float(costs.max(initial=0.0)))
