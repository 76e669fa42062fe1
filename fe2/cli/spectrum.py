"""`fe2 spectrum`: complex effective properties of a cell over the frequency."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fe2.cli.options import FILE, POSITIVE, as_json, file_argument, speaking, world

if TYPE_CHECKING:
    from fe2.cli.output import Voice

_EPILOG = """\b
Examples:
  fe2 spectrum layers.toml --from 0.1 --to 1e4 --count 50
  fe2 spectrum layers.toml --from 0.1 --to 1e4 --count 50 --json | jq '.attenuation[0].stress[0]'

Frequencies are cycles in the file's unit of time, evenly spaced in their logarithm. In the JSON, effective
and attenuation have an entry for each of them; numbers of effective are pairs of real and imaginary part."""


@click.command("spectrum", short_help="Complex properties of a cell over the frequency.", epilog=_EPILOG)
@file_argument("file", "CELL.toml")
@click.option("--from", "lowest", required=True, type=POSITIVE, metavar="HZ", help="Lowest frequency.")
@click.option("--to", "highest", required=True, type=POSITIVE, metavar="HZ", help="Highest frequency.")
@click.option(
    "--count", default=50, show_default=True, type=click.IntRange(1, 100_000), help="Number of frequencies."
)
@click.option(
    "--held",
    is_flag=True,
    help="Prescribe the mean of the scalar; by default nothing enters or leaves the cell.",
)
@click.option("-o", "--output", type=FILE, help="Write the JSON to a file as well.")
@as_json
@speaking
def command(
    file: Path, lowest: float, highest: float, count: int, held: bool, output: Path | None, voice: Voice
) -> None:
    """Complex tangents of a linear cell that stores heat, a fluid or a solute, and its attenuation 1/Q."""
    from fe2.case.cell_case import read_cell_case
    from fe2.cli.output import write_json
    from fe2.errors import InputError

    if not lowest <= highest < inf:
        raise InputError(f"--to = {highest:g}: it must be finite and at least --from = {lowest:g}")
    case = read_cell_case(file)
    comm = world()
    import numpy as np

    import fe2.case.build_cell  # noqa: F401  # on all ranks: PETSc starts on all of them
    from fe2.parallel import on_root

    def work() -> None:
        result = spectrum(case, np.geomspace(lowest, highest, count), held, voice)
        if output is not None:
            write_json(output, result)
        voice.tell(result, lambda: show(result), always=output is None)

    on_root(comm, work)


def spectrum(case: Any, frequencies: Any, held: bool, voice: Voice) -> dict[str, Any]:
    """What is printed as JSON."""
    from fe2.case.build_cell import build_rve
    from fe2.case.located import located
    from fe2.cli.output import plain
    from fe2.cli.warned import told_warnings

    with told_warnings(lambda text: click.echo(f"fe2: {text}", err=True)) as warnings:
        with voice.stage("making the cell"):
            rve = build_rve(case)
        with voice.stage(f"{len(frequencies)} frequencies"), located(case):
            found = rve.spectrum(frequencies, held=held)
    result = {"physics": rve.kinematics.name, **found.as_dict(), "units": case.units, "warnings": warnings}
    plain_result: dict[str, Any] = plain(result)
    return plain_result


def show(result: dict[str, Any]) -> None:
    """Print the diagonal over the frequency, and where the cell relaxes."""
    from fe2.cli.output import console, number, table

    out, units = console(), f"  (units: {result['units']})" if result["units"] else ""
    for title, components, diagonal, attenuation in _diagonals(result):
        columns = ["frequency", *components, *(f"1/Q {name}" for name in components)]
        rows = [
            [number(f), *(number(pair[0]) for pair in values), *map(number, losses)]
            for f, values, losses in zip(result["frequency"], diagonal, attenuation, strict=True)
        ]
        out.print(table(f"{title}, real part of the diagonal, and attenuation{units}", columns, rows))
    for time, part in result["relaxation_times"][:5]:
        out.print(
            f"relaxation time {number(time)}, at the frequency {number(1.0 / (6.283185307 * time))}: "
            f"{part:.2%} of the tangent"
        )
    if not result["peaks"]:
        out.print("nothing is lost: the tangent is real at these frequencies")
    for name, frequency, loss in result["peaks"]:
        out.print(f"largest attenuation of {name}: {number(loss)} at the frequency {number(frequency)}")


def _diagonals(result: dict[str, Any]) -> Any:
    """Title, components, diagonal and attenuation of each block that loses anything; of all if none does."""
    components, effective, losses = result["components"], result["effective"], result["attenuation"]
    if not isinstance(components, dict):
        yield "effective tangent", components, [_diagonal(A) for A in effective], losses
        return
    for dual, block in zip(losses[0], components, strict=True):
        own = [row[dual] for row in losses]
        if any(map(any, own)) or not result["peaks"]:
            diagonal = [_diagonal(A[dual][block]) for A in effective]
            yield f"{dual} by {block}".replace("_", " "), components[block], diagonal, own


def _diagonal(matrix: Any) -> list[Any]:
    return [row[k] for k, row in enumerate(matrix)]
