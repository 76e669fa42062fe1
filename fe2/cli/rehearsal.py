"""`fe2 run --dry-run`: how large a run is, and roughly how long it takes."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import numpy as np
from mpi4py import MPI

from fe2.case.build_laws import Subdomain
from fe2.case.build_run import Model
from fe2.case.run_memory import check_run_memory, state_memory
from fe2.errors import MicroSolveError
from fe2.micro.points import Point

ITERATIONS = 4
"""Macroscopic iterations of a step that are assumed, each of which solves every cell."""

_PROBE = 1e-3  # size of the gradient with which a cell is tried


def rehearsal(model: Model) -> dict[str, Any]:
    """Sizes of a run, and an estimate of its time from one measured solve of each cell; collective.

    Args:
        model: Mesh, unknown, cells and conditions.
    """
    comm = model.marked.mesh.comm
    memory = check_run_memory(model.subdomains, model.marked, model.quadrature_degree)
    mesh = model.marked.mesh
    spaces = [function.function_space for function in model.functions]
    laws = {sub.name: _law(model, sub) for sub in model.subdomains}
    steps = len(model.steps.times) - 1
    seconds = sum(law["points"] * law["seconds_per_solve"] for law in laws.values()) / comm.size
    return {
        "file": str(model.case.file),
        "ranks": comm.size,
        "macro_cells": int(mesh.topology.index_map(mesh.topology.dim).size_global),
        "unknowns": sum(int(s.dofmap.index_map.size_global * s.dofmap.index_map_bs) for s in spaces),
        "quadrature_degree": model.quadrature_degree,
        "points": sum(law["points"] for law in laws.values()),
        "bytes_of_states": sum(law["bytes_of_states"] for law in laws.values()),
        "bytes_of_rank": int(memory.rank),
        "steps": steps,
        "laws": laws,
        "micro_solves": steps * (ITERATIONS + 1) * sum(law["points"] for law in laws.values()),
        "seconds": steps * (ITERATIONS + 1) * seconds,
    }


def _law(model: Model, subdomain: Subdomain) -> dict[str, Any]:
    micro = subdomain.micro
    if micro is None:
        return {"kind": "formula", "points": 0, "bytes_of_states": 0, "seconds_per_solve": 0.0}
    points = subdomain.points(model.marked, model.quadrature_degree)
    return {
        "kind": subdomain.law.kind,
        "points": points,
        "unknowns_of_cell": 0 if subdomain.rve is None else subdomain.rve.unknowns,
        "bytes_of_states": int(state_memory(micro.state_size, points)),
        "seconds_per_solve": _seconds(micro, _first_point(subdomain), model.marked.mesh.comm),
    }


def _first_point(subdomain: Subdomain) -> Point:
    """A point with the parameters of the first one that any rank has; collective."""
    own = {name: values[0] for name, values in subdomain.parameters.items() if len(values)}
    return Point(parameters=next((found for found in subdomain.comm.allgather(own) if found), {}))


def _seconds(micro: Any, point: Point, comm: MPI.Comm) -> float:
    """Time of one solve, after a first one that compiles and allocates; the slowest rank's."""
    gradient = _PROBE * np.cos(np.arange(micro.kinematics.size))
    virgin = micro.initial_state()
    state = np.empty_like(virgin)
    elapsed = 0.0
    for _ in range(2):
        start = time.perf_counter()
        try:
            micro.solve(gradient, virgin, 1.0, state, point=point)
        except MicroSolveError:
            gradient = np.zeros_like(gradient)
            micro.solve(gradient, virgin, 1.0, state, point=point)
        elapsed = time.perf_counter() - start
    return comm.allreduce(elapsed, op=MPI.MAX)


def rehearsal_text(facts: dict[str, Any]) -> str:
    """The sizes as lines for people."""
    lines = [
        f"{facts['file']} is right",
        f"  macroscopic mesh        {facts['macro_cells']} cells, {facts['unknowns']} unknowns, "
        f"quadrature degree {facts['quadrature_degree']}",
        f"  quadrature points       {facts['points']} with a cell each",
    ]
    for name, law in facts["laws"].items():
        if law["kind"] == "formula":
            lines.append(f"  law {name:<20}a formula, no cells")
            continue
        lines.append(
            f"  law {name:<20}{law['points']} points, {law['kind']}; {law['unknowns_of_cell']} unknowns, "
            f"{1e3 * law['seconds_per_solve']:.3g} ms a solve"
        )
    lines += [
        f"  states                  {_size(facts['bytes_of_states'])} on {_ranks(facts)}",
        f"  memory of a rank        {_size(facts['bytes_of_rank'])}, for its states, checkpoints and cells",
        f"  load steps              {facts['steps']}",
        f"  time, roughly           {timedelta(seconds=round(facts['seconds']))} for "
        f"{facts['micro_solves']} solves, with {ITERATIONS} iterations a step on {_ranks(facts)}",
    ]
    return "\n".join(lines)


def _ranks(facts: dict[str, Any]) -> str:
    return "1 rank" if facts["ranks"] == 1 else f"{facts['ranks']} ranks"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000.0:
            return f"{count:.3g} {unit}"
        count /= 1000.0
    return f"{count:.3g} TB"
