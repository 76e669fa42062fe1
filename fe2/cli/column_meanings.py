"""What the columns of a history mean, a line for each."""

from __future__ import annotations

import re
from collections.abc import Iterable

_KNOWN = {
    "step": "number of the planned step",
    "time": "time at the end of the step",
    "iterations": "Newton iterations of the macroscopic problem",
    "micro_solves": "micro problems solved, in tries that were given up too",
    "micro_iterations": "linear systems solved in them",
    "micro_seconds": "seconds spent in them, summed over the ranks",
    "rejected": "steps given up since the beginning",
    "seconds": "wall time of the accepted try",
    "dt": "length of the step",
    "error": "local error of the step in time, relative, of the worst field",
}

_PATTERNS = {
    r"flow_(?:.*_)?imbalance": "inflow less what is stored in a unit of time: what the iteration leaves",
    r"flow_(?:(.*)_)?stored": "what is stored in the body in a unit of time",
    r"flow_(.+)_exchange": "what comes into the body from the surroundings of {0}, in a unit of time",
    r"flow_(.+)_load": "what the load of {0} brings into the body in a unit of time",
    r"flow_(.+)": "what comes into the body through {0} in a unit of time",
    r"(.+)_internal_work": "internal work, of the macroscopic stresses, since the beginning",
    r"(.+)_missing_work": "work on {0} less the internal work: what the iteration leaves",
    r"(.+)_work": "work of loads and supports on {0} since the beginning",
    r"(.+)_supplied": "heat, fluid or solute that came into the body since the beginning, by {0}",
    r"(.+)_stored": "heat, fluid or solute stored in the body since the beginning, by {0}",
    r"(.+)_missing": "supplied less stored, by {0}: what the iteration leaves",
    r"(.+)_prescribed(?:_([xyz]))?": "value prescribed at {0}{1}",
    r"(.+)_load(?:_([xyz]))?": "load on {0}{1}",
    r"(body_\d+)(?:_([xyz]))?": "load in the volume of {0}{1}",
    r"(.+)_ambient": "value of the surroundings of {0}",
    r"(.+)_([xyz])": "reaction: force of the support {0} on the body{1}",
    r"(.+)": "reaction: flow of heat, fluid or solute, or force, of the support {0} into the body",
}
"""Names that a run file's columns have, and what they mean; the first that fits holds."""


def meanings(names: Iterable[str]) -> dict[str, str]:
    """The meaning of each column of the history of a run, by its name."""
    return {name: _KNOWN.get(name) or _of_pattern(name) for name in names}


def _of_pattern(name: str) -> str:
    for pattern, text in _PATTERNS.items():
        if found := re.fullmatch(pattern, name):
            parts = found.groups(default="")
            along = f" along {parts[1]}" if len(parts) > 1 and parts[1] else ""
            return text.format(parts[0] if parts else "", along)
    return ""
