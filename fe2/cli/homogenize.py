"""`fe2 homogenize`: effective properties of one cell."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fe2.cli.options import FILE, as_json, file_argument, speaking, world

if TYPE_CHECKING:
    from fe2.cli.output import Voice

_EPILOG = """\b
Examples:
  fe2 homogenize iron.toml
  fe2 homogenize iron.toml --json | jq '.effective[0][0]'
  fe2 homogenize iron.toml -q -o iron.json

A cell file to start from is written by `fe2 new`; all of its keys are in the output of
`fe2 schema --markdown`."""


@click.command("homogenize", short_help="Effective properties of one cell.", epilog=_EPILOG)
@file_argument("file", "CELL.toml")
@click.option("-o", "--output", type=FILE, help="Write the JSON to a file as well.")
@as_json
@click.option(
    "--tolerance",
    type=float,
    help="Relative error of what is solved on the grid of an image: by default 1e-6, and all digits of "
    "images of at most 32³ voxels.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where that is done.",
)
@click.option("--threads", type=int, help="Threads of the CPU for it; OMP_NUM_THREADS by default.")
@speaking
def command(
    file: Path, output: Path | None, tolerance: float | None, device: str, threads: int | None, voice: Voice
) -> None:
    """Effective properties of one cell: stiffness, conductivity or permeability, with bounds."""
    from fe2.case.cell_case import read_cell_case
    from fe2.cli.output import write_json
    from fe2.grid.options import GridOptions

    grid = GridOptions(tolerance, device, threads, resolution_bounds=True)
    case = read_cell_case(file)
    comm = world()
    import fe2.case.build_cell  # noqa: F401  # on all ranks: PETSc starts on all of them
    from fe2.parallel import on_root

    def work() -> None:
        result = effective(case, voice, grid)
        if output is not None:
            write_json(output, result)
        voice.tell(result, lambda: show(result, case.physics.effective), always=output is None)

    on_root(comm, work)


def effective(case: Any, voice: Voice, grid: Any = None) -> dict[str, Any]:
    """What is printed as JSON; `grid` are the options of what needs no mesh."""
    from fe2.case.build_cell import build_cell_and_rve
    from fe2.case.located import located
    from fe2.cli.output import plain
    from fe2.cli.warned import told_warnings

    start = time.perf_counter()
    with told_warnings(lambda text: click.echo(f"fe2: {text}", err=True)) as warnings:
        with voice.stage("making the cell"):
            cell, rve = build_cell_and_rve(case)
        with voice.stage(f"solving for {rve.unknowns} unknowns") as rve.progress, located(case):
            found = rve.homogenize(grid)
    if voice.verbose and not voice.silent:
        click.echo(f"{found.solver.name}: {found.solver.reason}", err=True)
    properties = dict(found.properties)
    result = {
        "physics": found.physics,
        # the stiffness of the undeformed cell, where there is one, between the components of its bounds
        "components": properties.pop("stiffness_components", found.components),
        "effective": properties.pop("stiffness", found.effective),
        **_by_block(rve.kinematics, found),
        "volume_fractions": cell.volume_fractions,
        "bounds": properties.pop("bounds", {}),
        "unknowns": found.unknowns,
        "seconds": time.perf_counter() - start,
        "period": cell.period.tolist(),
        **_of_image(case, cell),
        **properties,
        "singular": found.singular,
        "boundary": found.boundary,
        "solver": {
            "name": found.solver.name,
            "reason": found.solver.reason,
            "iterations": found.iterations,
            "error_estimate": found.error_estimate,
        },
        "units": case.units,
        "warnings": warnings,
    }
    plain_result: dict[str, Any] = plain(result)
    return plain_result


def _by_block(kinematics: Any, found: Any) -> dict[str, Any]:
    """Components by block, and the tangent by dual and block, where there are several blocks."""
    if len(kinematics.blocks) == 1:
        return {}
    components = {block.name: block.components for block in kinematics.blocks}
    effective = kinematics.by_block(found.effective)
    return {"components": components, "effective": effective, "properties": dict(found.properties)}


def _of_image(case: Any, cell: Any) -> dict[str, Any]:
    """Size of an image as it was understood, and what it was before it was coarsened."""
    from fe2.case.cell_tables import ImageCell
    from fe2.case.image_size import image_size

    if not isinstance(case.cell, ImageCell):
        return {}
    before = dict(cell.fractions_before)
    size = image_size(case.cell, case.file.parent).as_dict()
    return {"volume_fractions_before_coarsening": before, "image": size}


_STRUCTURE = {
    "percolates": "connected along",
    "tortuosity": "tortuosity along",
    "relative_conductivity": "relative conductivity along",
    "percolates_by_faces": "connected by faces along",
    "connected_by_faces": "connected by faces, share of the cell, of",
    "isolated": "isolated, share of the cell, of",
}
"""What a transport physics says of the structure by axis or phase, and the words for it."""


def _in_words(value: bool | float | None, number: Callable[[float], str]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "infinite" if value is None else number(value)


def show(result: dict[str, Any], name: str) -> None:
    """Print the result as tables."""
    from rich.table import Table

    from fe2.case.image_size import size_in_words, times
    from fe2.cli.output import console, matrix_table, number

    out = console()
    units = f"  (units: {result['units']})" if result["units"] else ""
    components, effective = result["components"], result["effective"]
    if isinstance(effective, dict):
        for (dual, by), rows in zip(effective.items(), components.values(), strict=True):
            for block, matrix in by.items():
                title = f"effective {dual} by {block}".replace("_", " ")
                if not any(map(any, matrix)):
                    out.print(f"{title}: zero", style="bold")
                    continue
                out.print(title + units, style="bold")
                out.print(matrix_table("", components[block], matrix, rows))
    else:
        out.print(matrix_table(f"effective {name}{units}", components, effective, components))
    for bound, value in result["bounds"].items():
        if isinstance(value, list):
            diagonal = [row[k] if isinstance(row, list) else row for k, row in enumerate(value)]
            out.print(f"{bound.capitalize()} bound, diagonal: " + "  ".join(map(number, diagonal)))
        else:
            parts = [f"{key} {number(low)} to {number(high)}" for key, (low, high) in value.items()]
            out.print(f"{bound.replace('_', '–').title()} bounds: " + ", ".join(parts))
    table = Table.grid(padding=(0, 2))
    for key in [key for key, value in result.items() if isinstance(value, float) and key != "seconds"]:
        table.add_row(key.replace("_", " ") + ":", number(result[key]))
    for key, value in result.get("properties", {}).items():
        if isinstance(value, list) and isinstance(value[0], list):
            names = next(names for names in components.values() if len(names) == len(value))
            out.print(matrix_table(key.replace("_", " ") + units, names, value, names))
        elif isinstance(value, list):
            table.add_row(key.replace("_", " ") + ":", "  ".join(map(number, value)))
        for name, part in value.items() if isinstance(value, dict) else ():
            if isinstance(part, float):
                table.add_row(f"{key} {name}:".replace("_", " "), number(part))
    before = result.get("volume_fractions_before_coarsening", {})
    for phase, fraction in result["volume_fractions"].items():
        changed = before.get(phase, fraction) != fraction
        told = f" ({number(before[phase])} before coarsening)" if changed else ""
        table.add_row(f"volume fraction of {phase}:", number(fraction) + told)
    for bound, matrix in result.get("resolution_bounds", {}).items():
        along = "  ".join(number(row[k]) for k, row in enumerate(matrix))
        table.add_row(f"{bound} at the resolution of the image, diagonal:", along)
    if "corner_contacts" in result:
        table.add_row("nodes at which elements touch without faces:", str(result["corner_contacts"]))
    for key, text in _STRUCTURE.items():
        for part, value in result.get(key, {}).items():
            table.add_row(f"{text} {part}:", _in_words(value, number))
    if "image" in result:
        table.add_row("image:", size_in_words(result["image"]))
    if result["singular"]:
        table.add_row("nothing resists:", ", ".join(result["singular"]))
    table.add_row("period, x × y" + " × z" * (len(result["period"]) == 3) + ":", times(result["period"]))
    table.add_row("boundary condition:", result["boundary"])
    table.add_row("unknowns:", str(result["unknowns"]))
    table.add_row("solver:", result["solver"]["name"])
    table.add_row("because:", result["solver"]["reason"])
    if result["solver"]["iterations"]:
        table.add_row("iterations:", " ".join(map(str, result["solver"]["iterations"])))
    if result["solver"]["error_estimate"]:
        table.add_row("error of the solver, relative, estimated:", number(result["solver"]["error_estimate"]))
    table.add_row("seconds:", f"{result['seconds']:.2f}")
    out.print(table)
