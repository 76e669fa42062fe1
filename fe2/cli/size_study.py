"""`fe2 size-study`: is there a representative volume, and how large is it?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fe2.cli.options import FILE, SHARE, Numbers, as_json, file_argument, speaking, world

if TYPE_CHECKING:
    from fe2.cli.output import Voice

_EPILOG = """\b
Examples:
  fe2 size-study iron.toml --sizes 8,16,32
  mpirun -n 4 fe2 size-study fibres.toml --sizes 5,10,20,40 --samples 30 -o study.json --plot study.png

\b
An image gives disjoint windows of so many voxels a side (after coarsening); a generator with a seed
(random_fibres, random_spheres) cells of so many inclusions. The property is the mean of the tangent's
diagonal; its variance is fitted by V^-b. With b = 1 correlations have a finite reach and there are
representative volumes; b < 1 is a warning that there are none."""


@click.command("size-study", short_help="Effective property against the size of the cell.", epilog=_EPILOG)
@file_argument("file", "CELL.toml")
@click.option(
    "--sizes",
    required=True,
    type=Numbers(int),
    metavar="N,N,...",
    help="Voxels a side, or numbers of inclusions.",
)
@click.option("--samples", default=20, type=click.IntRange(3), help="Cells of each size.")
@click.option("--seed", default=1, type=click.IntRange(0), help="Seed of the choice of cells.")
@click.option("--error", default=0.05, type=SHARE, help="Relative error for which a volume is told.")
@click.option("-o", "--output", metavar="OUT.json", type=FILE, help="Write the JSON.")
@click.option("--csv", "table", metavar="OUT.csv", type=FILE, help="Write all samples.")
@click.option("--plot", metavar="OUT.png", type=FILE, help="Draw values and variances.")
@as_json
@speaking
def command(
    file: Path,
    sizes: tuple[int, ...],
    samples: int,
    seed: int,
    error: float,
    output: Path | None,
    table: Path | None,
    plot: Path | None,
    voice: Voice,
) -> None:
    """Effective property of many cells of several sizes, its variance and whether it falls like 1/volume."""
    comm = world()
    from fe2.case.build_samples import build_samples
    from fe2.case.cell_case import read_cell_case
    from fe2.cli.output import write_json, write_text
    from fe2.hierarchical.size_study import size_study
    from fe2.parallel import on_every_rank, on_root

    case = on_every_rank(comm, lambda: read_cell_case(file))
    found = on_every_rank(comm, lambda: build_samples(case, list(sizes), samples, seed))
    with voice.stage("solving cells"):
        study = size_study(found.build, sizes, samples=found.counts, volumes=found.volumes, comm=comm)
    more = {"units": case.units, "volume_for": _volumes(study, error)}
    result = {"sizes_in": found.unit, **study.as_dict(), **more}

    def report() -> None:
        if output is not None:
            write_json(output, result)
        if table is not None:
            write_text(table, _table(study))
        voice.tell(result, lambda: _show(result))
        if plot is not None:  # what is known is told before anything can go wrong with the picture
            from fe2.cli.size_study_plot import draw

            draw(study, plot, found.unit, case.units)

    on_root(comm, report)


def _volumes(study: Any, error: float) -> dict[str, float]:
    """Volume for a relative error with one sample and with ten, where there is one."""
    if study.exponent is not None and (study.exponent <= 0.0 or study.representative is False):
        return {}
    volumes = {
        f"{count} samples" if count > 1 else "1 sample": study.volume_for(error, count) for count in (1, 10)
    }
    return {"relative_error": error, **volumes}


def _table(study: Any) -> str:
    from fe2.io.history import csv_text

    samples = zip(study.sizes, study.volumes, study.values, strict=True)
    rows = ([size, float(v), k, float(x)] for size, v, values in samples for k, x in enumerate(values))
    return csv_text([["size", "volume", "sample", "value"]], rows)


def _show(result: dict[str, Any]) -> None:
    from fe2.cli.output import console, number, table

    units = f"  (units: {result['units']})" if result["units"] else ""
    names = f"size, {result['sizes_in']}", "volume", "samples", "mean", "standard deviation", "of the mean"
    rows = []
    columns = (result[key] for key in ("sizes", "volumes", "samples", "means", "variances"))
    for size, space, count, mean, variance in zip(*columns, strict=True):
        deviation = float(variance) ** 0.5
        relative = f"{100.0 * deviation / abs(mean):.3g} %" if mean else ""
        rows.append((f"{size:g}", number(space), str(count), number(mean), number(deviation), relative))
    out = console()
    out.print(table(f"{result['quantity']}{units}", names, rows))
    out.print(result["verdict"])
    if wanted := result["volume_for"]:
        volumes = ", ".join(f"{number(v)} with {k}" for k, v in wanted.items() if k != "relative_error")
        out.print(f"volume for an error of {100.0 * wanted['relative_error']:g} %: {volumes}")
