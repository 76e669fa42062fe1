"""`fe2 new`: a folder with a case that runs as it is, with comments to change it by."""

from __future__ import annotations

from pathlib import Path

import click

_EPILOG = """\b
Example:
  fe2 new plate
  fe2 run plate/case.toml --dry-run
  fe2 run plate/case.toml
  fe2 homogenize plate/cell.toml
  fe2 material plate/cell.toml --path plate/pull.csv --increments 10 --plot pull.png"""


_START = Path(__file__).parent / "start"
FILES = ("case.toml", "cell.toml", "pull.csv")


@click.command("new", short_help="Write a case to start from.", epilog=_EPILOG)
@click.argument("folder", metavar="NAME", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Write a folder with a two-scale case to start from: a run file, a cell file and a material test."""
    from fe2.cli.output import write_text
    from fe2.cli.ranks import first_rank
    from fe2.errors import Fe2Error, InputError

    if not first_rank():
        return
    if present := [name for name in FILES if (folder / name).exists()]:
        raise InputError(f"{folder / present[0]} exists and is not replaced: choose another name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Fe2Error(f"cannot make the folder {folder}: {error.strerror or error}") from error
    for name in FILES:
        write_text(folder / name, (_START / name).read_text(encoding="utf-8"))
    click.echo(f"{folder}: {', '.join(FILES)}")
    click.echo(f"next: fe2 run {folder / 'case.toml'}")
