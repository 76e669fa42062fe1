"""Cost against points, unknowns of the cell, and ranks.

    python benchmarks/scaling.py --output benchmarks/scaling.json
    python benchmarks/scaling.py --only-ranks --divisions 16
    mpiexec -n 2 python benchmarks/scaling.py --measure "2D 4.6k, localized" --points 72

The first command runs the second for one and two ranks: strong scaling with 72 points, weak scaling with 72
points for each rank, with a load at which all points flow or only those at the hole do; then it varies points
and unknowns in its own process and fits exponents. Seconds are wall time without compilation.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fe2  # noqa: F401  # isort: skip  # before DOLFINx

import numpy as np
from mpi4py import MPI
from specimens import CASES, Case, rve, specimen

MPIEXEC = Path(sys.executable).with_name("mpiexec")
TIMEOUT = 3600.0
PARALLEL = ("2D 4.6k, all plastic", "2D 4.6k, localized")


def seconds(case: Case, repeat: int = 3) -> float:
    """Median wall time of a run of the case on all ranks of the world; collective."""
    model, times = rve(case), []
    for _ in range(repeat + 1):
        body = specimen(case, model)
        MPI.COMM_WORLD.Barrier()
        start = time.perf_counter()
        body.run()
        MPI.COMM_WORLD.Barrier()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))  # the first one compiles and allocates


def on_ranks(ranks: int, name: str, points: int, divisions: int) -> float:
    """Seconds of a case on so many ranks, in processes of their own."""
    program = [sys.executable, __file__, "--measure", name, "--points", str(points)]
    command = [str(MPIEXEC), "-n", str(ranks), *program, "--divisions", str(divisions)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT)
    return float(json.loads(result.stdout.strip().splitlines()[-1]))


def parallel(points: int, divisions: int) -> dict[str, Any]:
    """Strong and weak scaling on two ranks, as speed and as efficiency."""
    result = {}
    for name in PARALLEL:
        one, two = (on_ranks(ranks, name, points, divisions) for ranks in (1, 2))
        weak = on_ranks(2, name, 2 * points, divisions)
        result[name] = {
            "one": one,
            "two": two,
            "strong": one / two,
            "weak": weak,
            "weak efficiency": one / weak,
        }
    return result


def exponent(sizes: list[float], times: list[float]) -> float:
    """Slope of log time against log size."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def costs(divisions: int) -> dict[str, Any]:
    """Seconds against points and against unknowns, each with its exponent."""
    load = CASES["2D 4.6k, all plastic"].load
    points = [18, 32, 72, 128]
    by_points = [seconds(Case(2, divisions, load, n)) for n in points]
    result = {"points": {"sizes": points, "seconds": by_points, "exponent": exponent(points, by_points)}}
    for dim, sizes in (
        (2, [divisions // 2, divisions, 2 * divisions]),
        (3, [divisions // 4, divisions // 2]),
    ):
        cases = [Case(dim, n, load, 18) for n in sizes]
        unknowns = [rve(case).unknowns for case in cases]
        times = [seconds(case) for case in cases]
        result[f"unknowns, {dim}D"] = {
            "sizes": unknowns,
            "seconds": times,
            "exponent": exponent(unknowns, times),
        }
    return result


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", choices=list(CASES), help="one case on the ranks of this program")
    parser.add_argument("--points", type=int, default=72)
    parser.add_argument("--divisions", type=int, default=24, help="of the cell")
    parser.add_argument("--only-ranks", action="store_true", help="leave out points and unknowns")
    parser.add_argument("--output", type=Path, help="JSON file")
    arguments = parser.parse_args()
    if arguments.measure:
        case = CASES[arguments.measure]
        found = seconds(Case(case.dim, arguments.divisions, case.load, arguments.points))
        if MPI.COMM_WORLD.rank == 0:
            print(json.dumps(found))
        return
    results = {"ranks": parallel(arguments.points, arguments.divisions)}
    if not arguments.only_ranks:
        results |= costs(arguments.divisions)
    print(json.dumps(results, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
