"""How the micro models of a run are spread over its ranks: what a user may choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from fe2.errors import InputError
from fe2.micro.model import MicroModel

Balance = Literal["off", "steps", "on", "always"]

UNKNOWNS_PER_RANK = 50_000
"""Free fluctuations of a cell for each rank of its group, where the number of ranks is chosen by size.

Up to there one factorization fits the memory of a rank and takes seconds.
"""


@dataclass(frozen=True)
class Parallel:
    """How micro models are spread over the ranks.

    Attributes:
        ranks_per_rve: Ranks of a group, which solves each of its cells distributed over them; a divisor
            of the number of ranks. "auto" chooses from the size of the cell.
        balance: "off" leaves every point with the group that it began with. "steps" moves points between
            load steps where measured solve times say that it pays. "on" also lets idle groups take waiting
            points from busy ones of the same node. "always" moves every point after every step, to show
            that results do not depend on the place.
    """

    ranks_per_rve: int | Literal["auto"] = 1
    balance: Balance = "on"

    def __post_init__(self) -> None:
        wanted = self.ranks_per_rve
        if wanted != "auto" and not (type(wanted) is int and wanted >= 1):
            raise InputError(
                f"ranks_per_rve = {wanted!r} is not admissible; it is a number from 1, or 'auto'"
            )
        if self.balance not in get_args(Balance):
            known = ", ".join(get_args(Balance))
            raise InputError(f"balance = {self.balance!r} is not known; it is one of {known}")

    def group_size(self, model: MicroModel, ranks: int) -> int:
        """Ranks of a group, for a micro model and a number of ranks.

        Raises:
            InputError: The number of ranks is no multiple of it, or the model lives on one rank only.
        """
        if self.ranks_per_rve == "auto":
            wanted = model.unknowns / UNKNOWNS_PER_RANK if model.divisible else 1
            fitting = [k for k in range(1, ranks + 1) if ranks % k == 0]
            return next((k for k in fitting if k >= wanted), ranks)
        if ranks % self.ranks_per_rve:
            raise InputError(
                f"ranks_per_rve = {self.ranks_per_rve} does not divide the number of ranks, {ranks}: "
                "start another number of ranks, or choose a divisor"
            )
        if self.ranks_per_rve > 1 and not model.divisible:
            raise InputError(
                f"ranks_per_rve = {self.ranks_per_rve} needs a cell that is solved by several ranks; "
                f"a {type(model).__name__} lives on one: it must be 1"
            )
        return self.ranks_per_rve
