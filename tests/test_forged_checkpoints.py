"""A forged checkpoint is an error that names the file, or the run goes on as if it had not been forged.

``FE2_FORGED=N pytest -s tests/test_forged_checkpoints.py`` tries another number of them.
"""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import two_scale
from checkpoint_forgery import forge
from mpi4py import MPI

from fe2.errors import InputError
from fe2.io.checkpoint_schedule import Checkpoints
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

pytestmark = pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="one forger is enough")
FORGED = int(os.environ.get("FE2_FORGED", "40"))


def run_of(folder: Path, *, resume: bool) -> Simulation:
    """A strip that creeps: a closed formula with memory in each of its points."""
    strip = two_scale.clamped(
        two_scale.rectangle(MPI.COMM_SELF, (2, 1)), two_scale.Maxwell(np.diag([3.0, 2.0, 1.0]))
    )

    def apply(time: float) -> None:
        strip.displacement.value = 0.01 * time, 0.005 * time

    steps = LoadSteps((0.0, 1.0, 2.0) if not resume else (0.0, 1.0, 2.0, 3.0), apply)
    return Simulation(
        strip.problem,
        steps,
        output=folder,
        reactions={"grip": strip.right},
        quiet=True,
        checkpoint=Checkpoints(every=1),
        resume=resume,
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "run"
    run_of(folder, resume=False).run()
    return folder


def outcome(folder: Path) -> tuple[str, float]:
    """The message of the error, or the reaction at the end."""
    try:
        simulation = run_of(folder, resume=True)
        simulation.run()
    except InputError as error:
        return str(error), 0.0
    assert [record.time for record in simulation.records] == [1.0, 2.0, 3.0]
    return "", float(simulation.records[-1].reactions["grip"][0])


def test_forged_checkpoint_is_refused_or_makes_no_difference(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original, tmp_path / "right")
    _, expected = outcome(tmp_path / "right")
    refused = 0
    for seed in range(FORGED):
        folder = tmp_path / "forged"
        shutil.copytree(original, folder)
        what, _ = forge(folder / "checkpoint", np.random.default_rng(seed))
        message, found = outcome(folder)
        if message:
            assert str(folder) in message or "recorded other" in message or "planned time" in message, what
            refused += 1
        else:
            assert found == pytest.approx(expected, rel=1e-10), f"{seed}: {what}"
        shutil.rmtree(folder)
        if seed % 20 == 0:
            gc.collect()  # of communicators MPI has two thousand
    print(f"{FORGED} forged checkpoints: {refused} refused, no other error, no wrong answer")
    assert refused > FORGED // 2
