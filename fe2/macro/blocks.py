"""A macroscopic gradient from its blocks, by their names, and back."""

from __future__ import annotations

from collections.abc import Mapping

import ufl
from ufl.core.expr import Expr

from fe2.errors import InputError
from fe2.micro.model import MicroModel

type Gradient = Expr | Mapping[str, Expr]


def gathered(gradient: Gradient, micro: MicroModel) -> Expr:
    """The gradient as one UFL vector of m components.

    Args:
        gradient: An expression for each block, by its name; one of all components; or, where there is one
            component, a scalar.
        micro: The micro model that takes them.

    Raises:
        InputError: A block is missing, unknown, or of another size; the message names what came.
    """
    kinematics = micro.kinematics
    m = kinematics.size
    if not isinstance(gradient, Mapping):
        if gradient.ufl_shape not in [(m,), *[()] * (m == 1)]:
            raise InputError(
                f"the gradient of the homogenized law has shape {gradient.ufl_shape}, but the micro model "
                f"takes {m} components: {', '.join(kinematics.components)}"
            )
        return ufl.as_vector([gradient]) if not gradient.ufl_shape else gradient
    sizes = {block.name: block.size for block in kinematics.blocks}
    wrong = [f"{name} is missing" for name in sizes if name not in gradient]
    wrong += [f"{name} is none of them" for name in gradient if name not in sizes]
    for name, size in sizes.items():
        shape = gradient[name].ufl_shape if name in gradient else (size,)
        if shape not in [(size,), *[()] * (size == 1)]:
            wrong.append(f"{name} has the shape {shape}")
    if wrong:
        needed = ", ".join(
            f"{block.name} ({', '.join(block.components) if block.size > 1 else 'a scalar'})"
            for block in kinematics.blocks
        )
        raise InputError(f"the homogenized law needs the blocks {needed}: {'; '.join(wrong)}")
    return ufl.as_vector([part for name in sizes for part in _components(gradient[name])])


def dual(flux: Expr, name: str, micro: MicroModel) -> Expr:
    """The part of a flux that is conjugate to a block: a scalar of one component, otherwise a vector.

    Args:
        flux: UFL vector of m components.
        name: Name of the dual, e.g. "stress".
        micro: The micro model that gives it.

    Raises:
        InputError: There is no such dual.
    """
    kinematics = micro.kinematics
    for block in kinematics.blocks:
        if block.dual == name:
            part = kinematics.slices[block.name]
            found = [flux[k] for k in range(part.start, part.stop)]
            return found[0] if block.size == 1 else ufl.as_vector(found)
    names = ", ".join(block.dual for block in kinematics.blocks)
    raise InputError(f"the law has no flux {name!r}, but {names}")


def _components(expression: Expr) -> list[Expr]:
    return list(expression) if expression.ufl_shape else [expression]
