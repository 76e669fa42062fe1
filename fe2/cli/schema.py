"""`fe2 schema`: the JSON Schema of case files, for editors, or the reference of all keys as text."""

from __future__ import annotations

import json
from typing import Literal

import click

_EPILOG = """\b
Editors with a TOML language server (Even Better TOML, taplo) check and complete a file that begins with
  #:schema ./cell.schema.json
\b
Examples:
  fe2 schema cell > cell.schema.json
  fe2 schema run > run.schema.json
  fe2 schema --markdown > case_files.md"""


@click.command("schema", short_help="Print the JSON Schema of case files.", epilog=_EPILOG)
@click.argument("kind", type=click.Choice(["cell", "run"]), default="cell")
@click.option(
    "--markdown", is_flag=True, help="Print the reference of both kinds of files as Markdown instead."
)
def command(kind: Literal["cell", "run"], markdown: bool) -> None:
    """Print the JSON Schema of cell files or run files."""
    if markdown:
        from fe2.case.reference import reference

        click.echo(reference(), nl=False)
        return
    from fe2.case.json_schema import json_schema

    click.echo(json.dumps(json_schema(kind), indent=2, ensure_ascii=False))
