"""A run into which faults are injected at random, to be started again until it has finished.

faults.py FOLDER NUMBER: number of the attempt, which decides on what goes wrong; every fault is a line of
FOLDER/faults.txt before it happens. Soft faults fail one evaluation of a point; a hard one ends the attempt.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import two_scale
from mpi4py import MPI
from petsc4py import PETSc

from fe2.errors import MicroSolveError, RunInterruptedError
from fe2.io import checkpoint
from fe2.io.checkpoint_schedule import Checkpoints
from fe2.response import Response
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps, ramp

WORLD = MPI.COMM_WORLD
SOFT = ("micro error", "exception", "petsc error", "memory", "not a number")
HARD = ("SIGKILL", "SIGUSR1", "killed while writing", "SIGTERM", "SIGINT", "sys.exit", "started twice")
"""What ends an attempt, on one rank alone; before the last, a second start at the same time is refused."""
HARD_FAULTS = int(os.environ.get("FE2_FAULTS", "400")) // 16
"""Attempts that end before their time; soft faults are some fifteen times as many."""
STEPS = 20 * HARD_FAULTS
LOAD = ramp([(0.0, 0.0), (1.0, 0.012), (1.5, 0.012), (2.0, 0.009), (3.0, -0.006)])


class Faulty(two_scale.Guarded):
    """Fails now and then."""

    def prepare(self, folder: Path, attempt: int) -> None:
        """Decide on what will happen in this attempt."""
        common = np.random.default_rng(attempt)
        self.hard, self.victim = HARD[attempt % len(HARD)], int(common.integers(WORLD.size))
        self.countdown = int(common.integers(30, 300)) if attempt <= HARD_FAULTS else -1
        self.own = np.random.default_rng((attempt, WORLD.rank))
        self.log = folder / "faults.txt"

    def note(self, kind: str) -> None:
        with self.log.open("a") as file:
            file.write(f"{kind}\n")

    def respond(self, gradient: Any, committed: Any, trial: Any, point: Any, step: Any) -> Response:
        self.countdown -= 1
        if self.countdown == 0 and WORLD.rank == self.victim:
            self.note(self.hard)
            self.strike()
        if self.own.random() < 0.03:
            return self.fail(str(self.own.choice(SOFT)))
        return super().respond(gradient, committed, trial, point, step)

    def strike(self) -> None:
        """What this attempt does not survive, or in which another one does not."""
        if self.hard == "killed while writing":
            checkpoint.CheckpointFolder._write_part = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        elif self.hard == "sys.exit":
            sys.exit("this rank has had enough")
        elif self.hard == "started twice":
            second = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:]],
                env={name: value for name, value in os.environ.items() if not name.startswith("PMI")},
                capture_output=True,
                text=True,
                timeout=150.0,
            )
            if second.returncode != 1 or "is in use by another run (process" not in second.stderr:
                self.note(f"a second start was not refused: {second!r}")
            os.kill(os.getpid(), signal.SIGUSR1)
        else:
            os.kill(os.getpid(), getattr(signal, self.hard))

    def fail(self, kind: str) -> Response:
        self.note(kind)
        if kind == "micro error":
            raise MicroSolveError("injected")
        if kind == "exception":
            raise ZeroDivisionError("injected")
        if kind == "petsc error":
            raise PETSc.Error(76)
        if kind == "memory":
            np.empty(2**55)
        return Response(np.full(3, np.nan), np.eye(3), 1, 0.0)


def main(folder: Path, attempt: int) -> int:
    micro = Faulty(two_scale.uniform_plastic_rve())
    micro.prepare(folder, attempt)
    strip = two_scale.uniaxial_strain(two_scale.rectangle(WORLD, (2, 1)), micro)

    def apply(time: float) -> None:
        strip.displacement.value = LOAD(time)

    steps = LoadSteps(np.linspace(0.0, 3.0, STEPS + 1), apply)
    simulation = Simulation(
        strip.problem,
        steps,
        output=folder / "run",
        reactions={"grip": strip.right},
        checkpoint=Checkpoints(every=2),
        resume=True,
        overwrite=True,
        quiet=True,
    )
    try:
        simulation.run()
    except RunInterruptedError:
        return 75
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
