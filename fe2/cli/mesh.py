"""`fe2 mesh`: a subcommand for each generator, with options from its signature and its docstring."""

from __future__ import annotations

import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click

from fe2.cli.options import FILE, Numbers
from fe2.cli.ranks import first_rank

_EPILOG = """\b
Examples:
  fe2 mesh square_array cell.msh --fraction 0.3 --size 0.05
  fe2 mesh laminate layers.msh --fractions 0.25,0.75 --elements tensor
  fe2 mesh perforated_plate plate.msh --radius 0.4 --order 2
  fe2 mesh polycrystal --help

A list of numbers is written with commas. Cells reach from 0 to their period and are periodic; their phases
are physical groups with names, which a cell file uses as names of phases."""


class _Generators(click.Group):
    """The generators; each is looked at when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Generators of cells, then of macroscopic meshes."""
        from fe2.case.generators import CELLS, MESH_GENERATORS

        return [*CELLS, *MESH_GENERATORS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a generator."""
        return _generator_command(cmd_name) if cmd_name in self.list_commands(ctx) else None


@click.command("mesh", short_help="Make a mesh with a generator.", cls=_Generators, epilog=_EPILOG)
def command() -> None:
    """Make a mesh: periodic cells (laminates, fibres, spheres, polycrystals) and macroscopic meshes."""


def _generator_command(name: str) -> click.Command:
    from fe2.case.generators import signature_of
    from fe2.case.signatures import descriptions, parameters, summary

    function = signature_of(name)
    texts = descriptions(function)
    options: list[click.Parameter] = [click.Argument(["path"], metavar="FILE.msh", type=FILE)]
    for key, (annotation, default) in parameters(function, leave_out=("path",)).items():
        options.append(_option(key, annotation, default, texts.get(key, "")))

    def run(path: Path, **values: Any) -> None:
        from fe2.case.generators import generate

        if first_rank():
            click.echo(generate(name, path, values))

    text = summary(function)
    return click.Command(
        name,
        params=options,
        callback=run,
        help=text,
        short_help=text.partition(";")[0].rstrip("."),
        epilog=_help(function),
    )


def _help(function: Any) -> str:
    """What the docstring says between its first line and its sections."""
    from fe2.case.signatures import readable

    text = str(function.__doc__ or "").partition("\n")[2].partition("Args:")[0]
    parts = [readable(" ".join(part.split())) for part in text.split("\n\n") if ".. math" not in part]
    return "\n\n".join(part for part in parts if not part.endswith((",", ":")))  # formulas followed


def _option(key: str, annotation: Any, default: Any, text: str) -> click.Option:
    name = "--" + key.replace("_", "-")
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = (member for member in get_args(annotation) if member is not type(None))
    if annotation is bool:
        return click.Option([f"{name}/--no-{name[2:]}"], default=default, help=text, show_default=True)
    kind: Any = annotation
    shown: Any = default is not None
    if get_origin(annotation) is Literal:
        kind = _Choice(get_args(annotation))
    elif get_origin(annotation) is Sequence:
        kind = Numbers(get_args(annotation)[0])
        shown = ",".join(map(str, default))
    return click.Option([name], default=default, type=kind, help=text, show_default=shown)


class _Choice(click.Choice[Any]):
    """One of a few values, numbers or words."""

    def __init__(self, choices: tuple[Any, ...]) -> None:
        super().__init__([str(choice) for choice in choices])
        self.values = {str(choice): choice for choice in choices}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value that was named."""
        return self.values[super().convert(str(value), param, ctx)]
