"""`fe2 umat`: registers shared objects with a UMAT, or lists those that are."""

from __future__ import annotations

from pathlib import Path

import click

from fe2.cli.ranks import first_rank

_EPILOG = """\b
Examples:
  fe2 umat steel libsteel.so     case files may say law = "umat", library = "steel"
  fe2 umat                       which libraries are registered

A library runs with all your rights: register only what you trust. A case file alone never loads one."""


@click.command("umat", short_help="Register a library with a UMAT.", epilog=_EPILOG)
@click.argument("name", required=False)
@click.argument("library", required=False, type=click.Path(path_type=Path))
@click.option("--symbol", default="umat", show_default=True, help="Name of the subroutine.")
def command(name: str | None, library: Path | None, symbol: str) -> None:
    """Register a shared object with Abaqus's UMAT under a NAME, or list those that are."""
    from fe2.umat_libraries import register, registered
    from fe2.umat_routine import routine

    if not first_rank():
        return
    if name is None:
        for key, entry in registered().items():
            click.echo(f"{key}  {entry.file}  {entry.symbol}")
        return
    if library is None:
        raise click.UsageError("LIBRARY is missing: the shared object that NAME is to stand for.")
    if library.is_file():
        routine(library.resolve(), symbol)
    click.echo(f"{name} is {register(name, library, symbol)}")
