"""The summary of a run, for people and for programs."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import dolfinx
from mpi4py import MPI
from petsc4py import PETSc

from fe2 import __version__
from fe2.io.vtu import write_whole
from fe2.profile import COUNTS, PHASES
from fe2.records import Summary

JSON, TEXT = "summary.json", "summary.txt"


def write_summary_files(folder: Path, summary: Summary) -> None:
    """Write ``summary.json`` and ``summary.txt``.

    Raises:
        Fe2Error: A file could not be written.
    """
    content = {**asdict(summary), **rates(summary), "versions": versions()}
    write_whole(folder / JSON, json.dumps(content, indent=2) + "\n")
    write_whole(folder / TEXT, summary_text(summary))


def rates(summary: Summary) -> dict[str, float]:
    """Micro problems solved per second of wall time, by all ranks and by each."""
    rate = summary.micro_solves / summary.seconds if summary.seconds > 0.0 else 0.0
    return {"solves_per_second": rate, "solves_per_second_and_rank": rate / summary.ranks}


def versions() -> dict[str, str]:
    """Versions of what the results depend on."""
    vendor, numbers = MPI.get_vendor()
    return {
        "fe2": __version__,
        "dolfinx": dolfinx.__version__,
        "petsc": ".".join(str(number) for number in PETSc.Sys.getVersion()),
        "mpi": f"{vendor} {'.'.join(str(number) for number in numbers)}",
        "python": platform.python_version(),
    }


def summary_text(summary: Summary) -> str:
    """What ``summary.txt`` says."""
    ending = "finished" if summary.finished else f"NOT finished: ended at time {summary.time:g}"
    rate = rates(summary)
    rows: dict[str, Any] = {
        "run": ending,
        **({"units": summary.units} if summary.units else {}),
        "time reached": f"{summary.time:g}",
        "steps accepted": summary.steps,
        "steps given up": summary.rejected,
        "macro unknowns": summary.unknowns,
        "macro Newton iterations": summary.iterations,
        "quadrature points": summary.points,
        "micro solves": summary.micro_solves,
        "linear systems in them": summary.micro_iterations,
        "seconds in them, all ranks": f"{summary.micro_seconds:.1f}",
        **{COUNTS[name]: number for name, number in summary.work.items() if number},
        **{name.replace("_", " "): f"{value:.6g}" for name, value in summary.balances.items()},
        **summary.choices,
        **{name: f"{value:.6g}" for name, value in summary.models.items()},
        "ranks": summary.ranks,
        **{name.replace("_", " "): f"{value:.6g}" for name, value in summary.exchange.items()},
        "wall time": f"{timedelta(seconds=round(summary.seconds))} ({summary.seconds:.1f} s)",
        "micro solves per second": f"{rate['solves_per_second']:.1f}",
        "  and per rank": f"{rate['solves_per_second_and_rank']:.1f}",
        **{f"version of {name}": version for name, version in versions().items()},
    }
    width = max(28, *(len(name) + 2 for name in rows))
    return "".join(f"{name + ':':{width}}{value}\n" for name, value in rows.items())


def profile_text(summary: Summary) -> str:
    """Where the time went up to the last accepted step: seconds by phase, summed over the ranks."""
    total = summary.seconds * summary.ranks
    rows = {PHASES[name]: seconds for name, seconds in summary.phases.items()}
    rows["the rest"] = total - sum(rows.values())
    lines = [f"{'phase':34}{'seconds':>10}{'share':>8}"]
    for name, seconds in sorted(rows.items(), key=lambda row: -row[1]):
        lines.append(f"{name:34}{seconds:10.2f}{seconds / total if total else 0.0:8.1%}")
    return "\n".join(lines) + "\n"
