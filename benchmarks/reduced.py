"""Reduced cells against whole ones: a solve, unseen paths, a refined mesh, and a whole run.

    OMP_NUM_THREADS=1 python benchmarks/reduced.py --case "2D 4.6k, localized" --refined --run --points 288
    OMP_NUM_THREADS=1 python benchmarks/reduced.py --case "3D 15k, localized" --paths 8

The cells and specimens are those of `specimens.py`. A cell is trained on cycles and random walks. Then the
whole cell, by full Newton iterations, and the reduced one are taken along the same cycles that were not
trained on. With --refined the same is done with elements of half the size. With --run the specimen is
solved with whole cells, by the strategies given, and with the reduced cell under error control. All times are
those of the processor, of one process.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fe2  # isort: skip  # before DOLFINx

import numpy as np
from specimens import CASES, Case, rve, specimen

from fe2.hierarchical.paths import Path as GradientPath
from fe2.hierarchical.paths import cyclic, random_walks
from fe2.hierarchical.reduction import Reduction
from fe2.micro.model import MicroModel
from fe2.micro.newton import STRATEGIES

TOLERANCE = 0.01
"""Error of the flux beyond which a run solves a point in full, relative to the largest of the training."""


def seconds_of[T](work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of the processor, and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def trained(cell: fe2.RVE, arguments: argparse.Namespace) -> tuple[float, Reduction]:
    """A reduction, with the seconds of solving and of reducing."""
    count, amplitude = arguments.paths, arguments.amplitude
    paths = cyclic(cell.kinematics, amplitude, count=count, steps=5, turns=(1.0, -1.0))
    paths += random_walks(cell.kinematics, amplitude, count=count // 2, corners=3, steps=4)
    return seconds_of(lambda: fe2.reduce(cell, paths, tolerance=arguments.tolerance))


class Walker:
    """A micro model on its way along a path."""

    def __init__(self, model: MicroModel) -> None:
        self._model = model
        self._row, self._trial = model.initial_state(), model.initial_state()
        self.seconds: list[float] = []
        self.fluxes: list[np.ndarray] = []

    def step(self, gradient: np.ndarray, dt: float) -> None:
        seconds, response = seconds_of(lambda: self._model.solve(gradient, self._row, dt, self._trial))
        self._row[:] = self._trial
        self.seconds.append(seconds)
        self.fluxes.append(response.flux)


def along(model: MicroModel, path: GradientPath) -> Walker:
    """A model along a path."""
    walker = Walker(model)
    for dt, gradient in zip(path.steps, path.gradients, strict=True):
        walker.step(gradient, float(dt))
    return walker


def solves(case: Case, arguments: argparse.Namespace) -> tuple[dict[str, Any], Reduction, float]:
    """Time and error of single solves, the reduction, and what it took."""
    cell = rve(case)
    seconds, reduction = trained(cell, arguments)
    controlled = fe2.error_controlled(reduction, tolerance=1e9)
    models = {"full": rve(case, "newton"), "reduced": reduction.model(), "controlled": controlled}
    turns = (1.0, -0.8, 0.6)
    unseen = cyclic(cell.kinematics, 0.9 * arguments.amplitude, count=2, steps=5, turns=turns, seed=9)
    times: dict[str, list[float]] = {name: [] for name in models}
    errors = []
    for path in unseen:
        # one after the other, as in a run: steps in turn would meet caches full of the other's matrices
        walkers = {name: along(model, path) for name, model in models.items()}
        for name, walker in walkers.items():
            times[name] += walker.seconds
        truth = np.array(walkers["full"].fluxes)
        error = np.linalg.norm(np.array(walkers["reduced"].fluxes) - truth, axis=1).max()
        errors.append(error / np.linalg.norm(truth, axis=1).max())
    mean = {name: float(np.mean(values)) for name, values in times.items()}
    report = reduction.report
    facts = {
        "unknowns": cell.unknowns,
        "mesh_cells": report.all_cells,
        "modes": report.modes,
        "cubature_cells": report.cells,
        "training_solves": report.solves,
        "training_seconds": seconds,
        "held_out_error": report.held_out_error,
        **{f"ms_{name}": 1e3 * value for name, value in mean.items()},
        "ratio": mean["full"] / mean["reduced"],
        "ratio_controlled": mean["full"] / mean["controlled"],
        "largest_error": max(errors),
    }
    return facts, reduction, seconds


def runs(case: Case, reduction: Reduction, training: float, strategies: Sequence[str]) -> dict[str, Any]:
    """The specimen with whole cells and with the reduced one; ratios count the training, used twice."""
    controlled = fe2.error_controlled(reduction, tolerance=TOLERANCE)
    models = {"reduced": controlled, **{strategy: rve(case, strategy) for strategy in strategies}}
    seconds, reactions = {}, {}
    for name, model in models.items():
        body = specimen(case, model)
        seconds[name], (reactions[name], _) = seconds_of(body.run)
    reference = reactions[strategies[-1]]
    result: dict[str, Any] = {
        "points": case.points,
        "seconds": seconds,
        "error_of_reactions": float(np.abs(reactions["reduced"] - reference).max() / np.abs(reference).max()),
        **controlled.report(),
    }
    for name in strategies:
        result[f"ratio_{name}"] = seconds[name] / seconds["reduced"]
        result[f"ratio_{name}_with_training"] = 2 * seconds[name] / (training + 2 * seconds["reduced"])
    return result


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=list(CASES), default="2D 4.6k, localized")
    parser.add_argument("--divisions", type=int, help="other elements along an edge of the cell")
    parser.add_argument("--points", type=int, help="another number of points of the specimen")
    parser.add_argument("--amplitude", type=float, default=5e-3, help="largest strain of the training")
    parser.add_argument("--paths", type=int, default=16, help="cycles of the training; half as many walks")
    parser.add_argument("--tolerance", type=float, default=0.05, help="part of fluctuations left out")
    parser.add_argument("--refined", action="store_true", help="again with elements of half the size")
    parser.add_argument("--run", action="store_true", help="the whole specimen too")
    parser.add_argument(
        "--strategies", nargs="+", default=STRATEGIES, choices=STRATEGIES, help="of whole cells in --run"
    )
    parser.add_argument("--output", type=Path, help="JSON file")
    arguments = parser.parse_args()
    case = CASES[arguments.case]
    case = replace(
        case, divisions=arguments.divisions or case.divisions, points=arguments.points or case.points
    )
    results, reduction, training = solves(case, arguments)
    print(json.dumps(results, indent=1), flush=True)
    if arguments.run:
        results["run"] = runs(case, reduction, training, arguments.strategies)
        print(json.dumps(results["run"], indent=1), flush=True)
    if arguments.refined:
        fine, _, _ = solves(replace(case, divisions=2 * case.divisions), arguments)
        results["refined"] = fine
        results["refinement"] = fine["ms_reduced"] / results["ms_reduced"]
        print(json.dumps({"refined": fine, "refinement": results["refinement"]}, indent=1), flush=True)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
