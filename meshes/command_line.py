"""A command line for any generator, derived from the signature and the docstring of its function."""

from __future__ import annotations

import argparse
import inspect
import re
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Generator = Callable[..., Path]


def summary(function: Generator) -> str:
    """First line of the function's docstring."""
    return inspect.getdoc(function).splitlines()[0]  # type: ignore[union-attr]


def argument_descriptions(function: Generator) -> dict[str, str]:
    """Texts of the `Args:` section of a Google-style docstring, by parameter."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", inspect.getdoc(function) or "", re.MULTILINE | re.DOTALL)
    entries = re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", section[1] if section else "", re.M | re.S)
    return {name: " ".join(text.split()).replace("%", "%%") for name, text in entries}


def option_type(annotation: Any) -> dict[str, Any]:
    """Arguments of `add_argument` that parse values of an annotated type."""
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = (member for member in get_args(annotation) if member is not type(None))
    if annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return {"choices": choices, "type": type(choices[0])}
    if get_origin(annotation) is Sequence:
        (entry,) = get_args(annotation)
        return {"nargs": "+", "type": entry, "metavar": entry.__name__.upper()}
    return {"type": annotation, "metavar": annotation.__name__.upper()}


def build_parser(function: Generator) -> argparse.ArgumentParser:
    """Parser with the output file as argument and an option for every keyword of the generator."""
    module = Path(inspect.getfile(function)).stem
    parser = argparse.ArgumentParser(prog=f"python -m fe2_meshes.{module}", description=summary(function))
    descriptions, hints = argument_descriptions(function), get_type_hints(function)
    for name, parameter in inspect.signature(function).parameters.items():
        text = descriptions[name]
        if name == "path":
            parser.add_argument(name, type=Path, help=text)
            continue
        required = parameter.default is parameter.empty
        default = None if required else parameter.default
        text += "" if default is None else f" [{default}]"
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, required=required, default=default, help=text, **option_type(hints[name]))
    return parser


def run(function: Generator, arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, call the generator, and end with its message where it refuses."""
    parser = build_parser(function)
    options = vars(parser.parse_args(arguments))
    try:
        path = function(options.pop("path"), **options)
    except (ValueError, RuntimeError) as error:
        parser.error(str(error))
    print(path)
