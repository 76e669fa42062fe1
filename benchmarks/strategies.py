"""Strategies of cells against the textbook: seconds, counts, units, and the same reactions.

    python benchmarks/strategies.py --repeat 5 --output benchmarks/strategies.json
    python benchmarks/strategies.py --case "2D 4.6k, localized" --repeat 1

Seconds are those of the processor, which other work on the machine disturbs little; forms are compiled
before. Ratios are taken within one round, and their median is given. A unit is one assembly, one
factorization and m + 1 right-hand sides of this cell, measured in the same run. The time of a run is given in
units for each non-linear point, one that flows in some step, and macroscopic iteration.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import fe2  # isort: skip  # before DOLFINx

import numpy as np
from specimens import CASES, STEPS, TOLERANCE, Case, rve, specimen
from textbook import Textbook

from fe2 import profile
from fe2.micro.model import MicroModel

STRATEGIES = ("textbook", "newton", "adaptive")
AGREEMENT = 1e-6


def micro_model(case: Case, strategy: str) -> MicroModel:
    """The cell of a case with one of the strategies."""
    if strategy == "textbook":
        return Textbook(rve(case, "newton"), TOLERANCE)
    return rve(case, strategy)


def measured(case: Case, model: MicroModel, steps: int = len(STEPS)) -> dict[str, Any]:
    """Seconds, counts, shares of the phases and reactions of one run."""
    body = specimen(case, model)
    model.initial_state()
    before, start = profile.snapshot(), time.process_time()
    reactions, iterations = body.run(STEPS[:steps])
    seconds = time.process_time() - start
    work = profile.snapshot().since(before)
    return {
        "seconds": seconds,
        "iterations": iterations,
        "flowed": body.flowed,
        "reactions": reactions.tolist(),
        "counts": {name: number for name, number in work.counts.items() if number},
        "phases": {name: value / seconds for name, value in work.seconds.items()},
    }


def unit(model: fe2.RVE, repeat: int = 7) -> float:
    """Seconds of a unit: assembly, factorization and m + 1 right-hand sides."""
    newton, m = model._newton, model.kinematics.size
    model._problem.load(model.initial_state(), 1.0)
    newton.start(1e-3 * np.ones(m), np.zeros(model.unknowns))
    right = np.random.default_rng(0).normal(size=(model.unknowns, m + 1))
    times = []
    for _ in range(repeat):
        start = time.process_time()
        newton.linearize()
        newton.linear_solver.solve_many(right)
        times.append(time.process_time() - start)
    return float(np.median(times))


def compare(name: str, case: Case, repeat: int, steps: int) -> dict[str, Any]:
    """All strategies on one case, in turn, `repeat` times."""
    models = {strategy: micro_model(case, strategy) for strategy in STRATEGIES}
    rounds = [
        {strategy: measured(case, model, steps) for strategy, model in models.items()} for _ in range(repeat)
    ]
    last = rounds[-1]
    reference = np.array(last["textbook"]["reactions"])
    result: dict[str, Any] = {"unit": unit(models["adaptive"])}  # type: ignore[arg-type]
    for strategy in STRATEGIES:
        difference = np.abs(np.array(last[strategy]["reactions"]) - reference).max() / np.abs(reference).max()
        if difference > AGREEMENT:
            raise SystemExit(
                f"{name}: reactions of {strategy} differ from the textbook's by {difference:.1e}"
            )
        result[strategy] = {
            **last[strategy],
            "seconds": float(np.median([r[strategy]["seconds"] for r in rounds])),
            "speedup": float(np.median([r["textbook"]["seconds"] / r[strategy]["seconds"] for r in rounds])),
            "difference": difference,
        }
        solves = last[strategy]["flowed"] * sum(last[strategy]["iterations"])
        result[strategy]["units"] = result[strategy]["seconds"] / (result["unit"] * max(1, solves))
    return result


def table(results: dict[str, Any]) -> str:
    """The results as a table in Markdown."""
    lines = [
        "| case | strategy | seconds | faster | units | factorizations | residuals | Newton | difference |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, result in results.items():
        for strategy in STRATEGIES:
            row = result[strategy]
            counts = row["counts"]
            lines.append(
                f"| {name} | {strategy} | {row['seconds']:.1f} | {row['speedup']:.1f} | "
                f"{row['units']:.2f} | {counts['factorizations']} | {counts['residuals']} | "
                f"{sum(row['iterations'])} | {row['difference']:.0e} |"
            )
    return "\n".join(lines)


def shares(row: dict[str, Any]) -> str:
    """Where the time of a run went, in percent."""
    phases = {profile.PHASES[name]: share for name, share in row["phases"].items() if share >= 5e-4}
    return ", ".join(f"{name} {100.0 * share:.1f} %" for name, share in phases.items())


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--case", action="append", choices=list(CASES), help="one of the cases; all by default"
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--steps", type=int, default=len(STEPS), help="only the first of the load steps")
    parser.add_argument("--divisions", type=int, help="coarser cells, for a trial")
    parser.add_argument("--output", type=Path, help="JSON file")
    arguments = parser.parse_args()
    results = {}
    for name in arguments.case or CASES:
        case = CASES[name]
        if arguments.divisions:
            case = Case(case.dim, arguments.divisions, case.load, case.points)
        results[name] = compare(name, case, arguments.repeat, arguments.steps)
        print(table({name: results[name]}), flush=True)
        print(shares(results[name]["adaptive"]), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
