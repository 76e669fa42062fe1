"""Models of tables and texts of help, derived from the signature and the docstring of a callable.

Parameters, types, defaults and descriptions are so stated once, where the callable is.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints

from pydantic import Field, create_model

from fe2.table import Dependent, DependentTensor, Floats, Integers, Numbers, Table, Unbounded


def summary(function: Callable[..., Any]) -> str:
    """First line of the docstring."""
    return readable((inspect.getdoc(function) or "").partition("\n")[0])


def descriptions(function: Callable[..., Any]) -> dict[str, str]:
    """Texts of the sections ``Args:`` and ``Attributes:`` of a Google-style docstring, by name."""
    found: dict[str, str] = {}
    sections = re.findall(
        r"^(?:Args|Attributes):\n(.*?)(?=^\S|\Z)", inspect.getdoc(function) or "", re.MULTILINE | re.DOTALL
    )
    for section in sections:
        for name, text in re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", section, re.M | re.S):
            found[name] = readable(" ".join(text.split()))
    return found


def readable(text: str) -> str:
    """Text without the marks of reStructuredText."""
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", text).replace("`", "")
    text = text.replace(r"\varepsilon", "ε").replace(r"\sigma", "σ").replace(r"\dot", "d/dt ")
    return re.sub(r"\s+", " ", text).replace("\\", "")


def parameters(function: Callable[..., Any], leave_out: Collection[str] = ()) -> dict[str, tuple[Any, Any]]:
    """Annotation and default (`Parameter.empty` where there is none) of each parameter by name."""
    hints = get_type_hints(function, include_extras=True)
    return {
        name: (hints.get(name, Any), parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in leave_out
    }


def table_model(
    name: str,
    function: Callable[..., Any],
    *,
    base: type[Table] = Table,
    leave_out: Collection[str] = (),
    **more: Any,
) -> type[Table]:
    """Model of a table whose keys are the parameters of a callable.

    Args:
        name: Name of the model.
        function: A function, a class method, or a dataclass.
        base: Table whose keys are added.
        leave_out: Parameters that are no keys.
        more: Further keys, as pydantic's `create_model` takes them.
    """
    texts = descriptions(function)
    fields: dict[str, Any] = dict(more)
    for key, (annotation, default) in parameters(function, leave_out).items():
        given = ... if default is inspect.Parameter.empty else default
        fields[key] = (value_type(annotation), Field(given, description=texts.get(key)))
    return create_model(name, __base__=base, __doc__=summary(function), **fields)


def value_type(annotation: Any) -> Any:
    """Type of the value in a file for an annotation in a signature; arrays are numbers, lists or matrices."""
    if isinstance(annotation, TypeAliasType):
        kinds = [get_origin(part) for part in get_args(annotation.__value__)]
        beyond = [value_type(part) for part in get_args(annotation.__value__)]
        if Mapping in kinds:
            return Dependent
        return DependentTensor if Dependent in beyond else Numbers
    if annotation in (float, int, bool, str, Unbounded) or get_origin(annotation) is Literal:
        return annotation
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [member for member in get_args(annotation) if member is not type(None)]
        if len(inner) < len(get_args(annotation)) and len(inner) == 1:
            return value_type(inner[0]) | None
    if get_origin(annotation) is Sequence:
        return Integers if get_args(annotation) == (int,) else Floats
    return Numbers
