"""What the ranks of a run exchange for its micro models, counted."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np
from mpi4py import MPI


@dataclass(frozen=True)
class Traffic:
    """Volumes and times, of one rank or summed over all.

    Attributes:
        evaluations: Points evaluated.
        message_bytes: Bytes of gradients, fluxes and tangents sent to other ranks.
        moved: Points moved to another group between load steps.
        row_bytes: Bytes of state rows sent on their way.
        taken: Points that an idle group took from a busy one of its node.
        busy: Seconds in which points were solved.
        elapsed: Seconds of the evaluations, waiting and messages included.
    """

    evaluations: float = 0.0
    message_bytes: float = 0.0
    moved: float = 0.0
    row_bytes: float = 0.0
    taken: float = 0.0
    busy: float = 0.0
    elapsed: float = 0.0

    def __add__(self, other: Traffic) -> Traffic:
        """Both together."""
        return Traffic(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def over_all(self, comm: MPI.Comm) -> Traffic:
        """Sum over the ranks of a communicator; collective."""
        own = np.array(astuple(self))
        total = np.empty(len(fields(self)))
        comm.Allreduce(own, total)
        return Traffic(*total.tolist())

    @property
    def efficiency(self) -> float:
        """Share of the ranks' time in evaluations in which they solved points."""
        return self.busy / self.elapsed if self.elapsed > 0.0 else 1.0

    @property
    def bytes_per_point(self) -> float:
        """Bytes sent to other ranks for each evaluation of a point."""
        return self.message_bytes / self.evaluations if self.evaluations else 0.0

    def named(self) -> dict[str, float]:
        """The volumes and times by name, with what follows from them."""
        return {
            "message_bytes": self.message_bytes,
            "bytes_per_point_and_iteration": self.bytes_per_point,
            "points_moved": self.moved,
            "row_bytes": self.row_bytes,
            "points_taken_by_neighbours": self.taken,
            "share_of_time_solving": self.efficiency,
        }
