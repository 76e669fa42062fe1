"""Replays the costs of a recorded run on 2 to 131,072 ranks, with the assignment that the engine uses.

    python benchmarks/scaling_simulator.py results/costs.csv --json scaling.json --plot scaling.png
    python benchmarks/scaling_simulator.py --example skewed

A recorded run (`costs = true` in the table [output], or a fe2.CostRecorder) has too few points
for large machines: every rank is given some of them, drawn at random, each with its whole history. Step by
step, points are assigned by the costs of the step before, as in a run, and the step takes as long as the
group with the most work by the costs of the step itself. The first step, before which nothing is known,
does not count. Messages, rows that move, and the gathering of
costs take the time of a network of the given latency and bandwidth.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fe2.dispatch.assignment import best_plan, finish_time
from fe2.io.costs import read_costs

Array = npt.NDArray[np.float64]

RANKS = (2, 8, 64, 1024, 4096, 16384, 131072)


def example(name: str, steps: int = 4, points: int = 2000, seed: int = 1) -> Array:
    """Costs without a run: alike up to 5 %; a zone of 5 % fifty times as expensive; or a zone that moves."""
    rng = np.random.default_rng(seed)
    costs = rng.normal(1.0, 0.05, size=(steps, points)).clip(0.5) * 0.02
    if name != "uniform":
        for step in range(steps):
            first = step * points // 100 if name == "moving" else 0
            costs[step, first : first + points // 20] *= 50.0
    return costs


def simulate(costs: Array, ranks: int, balance: str, options: argparse.Namespace) -> dict[str, float]:
    """Efficiency and traffic of a run on so many ranks, each of them a group."""
    columns = np.random.default_rng(ranks).integers(costs.shape[1], size=ranks * options.points)
    if not options.scattered:
        columns.sort()  # expensive points lie beside each other, as on a macroscopic mesh
    shares = np.arange(ranks) // options.node if balance == "on" else np.arange(ranks)
    home = np.arange(len(columns)) // options.points
    where, moved, elapsed, sent = home, 0, 0.0, 0
    message = 8 * (2 * options.gradient + options.gradient**2 + 2)
    row_seconds = options.latency + options.row_bytes / options.bandwidth
    for before, step in itertools.pairwise(costs):
        if balance != "off":
            plan = best_plan(before[columns], where, shares, row_seconds)
            out = np.bincount(where[plan.groups != where], minlength=ranks)
            elapsed += out.max() * row_seconds + options.latency * np.log2(ranks)
            elapsed += 8 * len(columns) / options.bandwidth
            where, moved = plan.groups, moved + plan.moved
        away = np.bincount(home[where != home], minlength=ranks)
        elapsed += finish_time(step[columns], where, shares)
        elapsed += options.evaluations * away.max() * (2 * options.latency + message / options.bandwidth)
        sent += int(away.sum()) * message
    steps, efficiency = len(costs) - 1, float(costs[1:, columns].sum() / (ranks * elapsed))
    return {
        "ranks": ranks,
        "points": len(columns),
        "efficiency": efficiency,
        "idle_share": 1.0 - efficiency,
        "points_moved_per_step": moved / steps,
        "row_bytes_per_step": moved * options.row_bytes / steps,
        "bytes_per_point_and_iteration": sent / (steps * len(columns)),
    }


def plot(results: dict[str, list[dict[str, float]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for balance, rows in results.items():
        axes.plot([row["ranks"] for row in rows], [row["efficiency"] for row in rows], "o-", label=balance)
    axes.set_xscale("log", base=2)
    axes.set(xlabel="ranks", ylabel="efficiency", ylim=(0.0, 1.05))
    axes.grid(alpha=0.3)
    axes.legend(title="balance")
    figure.savefig(path, dpi=160)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Replays recorded costs on 2 to 131,072 ranks.")
    parser.add_argument("costs", nargs="?", type=Path, help="costs.csv of a run")
    parser.add_argument("--example", choices=("uniform", "skewed", "moving"), help="costs without a run")
    parser.add_argument("--points", type=int, default=8, help="points for each rank")
    parser.add_argument("--node", type=int, default=64, help="ranks of a node, which share their work")
    parser.add_argument("--gradient", type=int, default=6, help="components of the gradient")
    parser.add_argument("--evaluations", type=int, default=5, help="evaluations of a step")
    parser.add_argument("--row-bytes", type=float, default=1e6, help="bytes of a state row")
    parser.add_argument("--latency", type=float, default=2e-6, help="seconds of a message")
    parser.add_argument("--bandwidth", type=float, default=1e9, help="bytes a second of a rank")
    parser.add_argument("--scattered", action="store_true", help="expensive points lie anywhere")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if (options.costs is None) == (options.example is None):
        parser.error("give a file of costs, or --example")
    return options


def main() -> None:
    options = arguments()
    costs = example(options.example) if options.example else read_costs(options.costs)
    results: dict[str, list[dict[str, float]]] = {"off": [], "steps": [], "on": []}
    for balance, rows in results.items():
        for ranks in RANKS:
            start = time.perf_counter()
            row = simulate(costs, ranks, balance, options)
            rows.append(row)
            print(
                f"{balance:6} {ranks:7d} ranks  efficiency {row['efficiency']:6.1%}  "
                f"{row['points_moved_per_step']:9.0f} points moved a step  "
                f"{row['bytes_per_point_and_iteration']:6.0f} B a point and iteration  "
                f"({time.perf_counter() - start:.1f} s)"
            )
    if options.json:
        options.json.write_text(json.dumps({"costs": list(costs.shape), "results": results}, indent=2) + "\n")
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
