"""`fe2 sample`: a cell solved along many paths beforehand, in one HDF5 file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fe2.cli.options import FILE, Numbers, as_json, file_argument, speaking, world

if TYPE_CHECKING:
    from fe2.cli.output import Voice

_EPILOG = """\b
Examples:
  fe2 sample cell.toml -o cell.h5 --amplitude 0.01 --count 20
  mpirun -n 4 fe2 sample cell.toml -o cell.h5 --amplitude 0.01 --kind cyclic --count 40 --steps 20
  fe2 sample cell.toml -o cell.h5 --recorded results --count 50

Paths start from the virgin cell, along low-discrepancy directions. Every solved path is on the disk at once:
called again after a kill, on any number of ranks, the command solves what is missing; called with other paths
it extends the file. A file that was made with another cell, other laws or another version is refused."""


@click.command("sample", short_help="Solve a cell along many paths beforehand.", epilog=_EPILOG)
@file_argument("file", "CELL.toml")
@click.option("-o", "--output", metavar="OUT.h5", required=True, type=FILE, help="The database.")
@click.option(
    "--kind",
    default="monotonic",
    type=click.Choice(["monotonic", "cyclic", "random"]),
    help="Straight, back and forth, or random walks.",
)
@click.option(
    "--amplitude",
    metavar="G[,G,...]",
    type=Numbers(),
    help="Largest change of the gradient, one or for each.",
)
@click.option("--count", default=20, type=click.IntRange(1), help="Number of paths.")
@click.option("--steps", default=10, type=click.IntRange(1), help="Steps an amplitude.")
@click.option("--duration", default=1.0, help="Time over an amplitude.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Seed of the directions.")
@click.option(
    "--recorded",
    metavar="RESULTS",
    type=FILE,
    help="Paths of a run that recorded its gradients (output.gradients = true) instead.",
)
@click.option("--no-states", is_flag=True, help="Leave out fluctuation and history, most of the file.")
@as_json
@speaking
def command(
    file: Path,
    output: Path,
    kind: str,
    amplitude: tuple[float, ...] | None,
    count: int,
    steps: int,
    duration: float,
    seed: int,
    recorded: Path | None,
    no_states: bool,
    voice: Voice,
) -> None:
    """Solve a cell along many paths of the gradient, and keep what it answered and its states."""
    if (amplitude is None) == (recorded is None):
        raise click.UsageError("one of --amplitude and --recorded is needed")
    comm = world()
    from fe2.case.build_cell import build_rve
    from fe2.case.cell_case import read_cell_case
    from fe2.hierarchical import paths
    from fe2.hierarchical.recorded import recorded_paths
    from fe2.hierarchical.sampling import sample
    from fe2.parallel import on_every_rank, on_root

    case = on_every_rank(comm, lambda: read_cell_case(file))
    with voice.stage("making the cell"):
        rve = on_every_rank(comm, lambda: build_rve(case))

    def choose() -> list[paths.Path]:
        if amplitude is None:
            return recorded_paths(recorded or "", rve.kinematics, count=count, seed=seed)
        generator = {"monotonic": paths.monotonic, "cyclic": paths.cyclic, "random": paths.random_walks}[kind]
        scale = amplitude if len(amplitude) > 1 else amplitude[0]
        return generator(rve.kinematics, scale, count=count, steps=steps, duration=duration, seed=seed)

    chosen, states = on_every_rank(comm, choose), not no_states
    source = f"{len(chosen)} recorded in {recorded}"
    if amplitude is not None:
        sizes = ",".join(f"{size:g}" for size in amplitude)
        source = f"{count} {kind}, amplitude {sizes}, {steps} steps in {duration:g}"
    with voice.stage(f"solving along {len(chosen)} paths"):
        comment = f"{source}, seed {seed}"
        found = sample(rve, chosen, output, states=states, units=case.units, comment=comment, comm=comm)
    facts = {
        "file": str(output),
        "paths": len(found.paths),
        "solves": sum(len(solved.steps) for solved in found.paths),
        "failed": [solved.failure for solved in found.paths if solved.failure],
        "comment": found.comment,
        "units": found.units,
    }
    on_root(comm, lambda: voice.tell(facts, lambda: _show(facts)))


def _show(facts: dict[str, Any]) -> None:
    click.echo(f"{facts['file']}: {facts['paths']} paths, {facts['solves']} solves of the cell")
    for failure in facts["failed"]:
        click.echo(f"a path ended early: {failure}", err=True)
