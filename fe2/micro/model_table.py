"""What a micro model registers: its keys in the table of a law of a run file, and how it is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from fe2.errors import InputError, MicroSolveError
from fe2.registry import Registry
from fe2.table import Table

if TYPE_CHECKING:
    from mpi4py import MPI

    from fe2.micro.model import MicroModel
    from fe2.micro.rve import RVE
    from fe2.physics.kinematics import Kinematics


@dataclass(frozen=True)
class Setting:
    """What a run hands to a micro model beside its table.

    Attributes:
        kinematics: What the macroscopic problem hands down and expects back: that of the run's physics in the
            dimension of the mesh, or that of the cell.
        folder: Folder of the run file: paths in the table are relative to it.
        comm: Ranks of the run.
        rve: The representative volume element of the law's cell, where the model has one.
    """

    kinematics: Kinematics
    folder: Path
    comm: MPI.Comm
    rve: RVE | None = None


class ModelTable(Table):
    """A micro model, registered under its name in the entry points `fe2.models`.

    Its fields are keys of `[laws.NAME]` beside `model`; each has a type and, as its docstring, a description.
    Names of files are in fields of the type :data:`File`, so that they are looked for before long work.

    Attributes:
        looked_into: Whether a state is that of a whole cell, whose local fields can be drawn.
        linear: Whether the flux is linear in the gradient.
        writes: Further macroscopic fields that the model writes, beside gradient, flux and history.
        asks_for: Parameters of points that the model asks for: keys of `[laws.NAME.parameters]`.
    """

    looked_into: ClassVar[bool] = False
    linear: ClassVar[bool] = False
    writes: ClassVar[tuple[str, ...]] = ()
    asks_for: ClassVar[tuple[str, ...]] = ()

    @property
    def solves_cells(self) -> bool:
        """Whether a rank needs memory for whole cells while the run goes on."""
        return False

    def build(self, setting: Setting) -> MicroModel:
        """The micro model of all points of the law, on every rank; may be collective.

        Raises:
            InputError: Something does not fit; a message that begins with a key and a colon is told there.
        """
        raise NotImplementedError

    def before_steps(self, law: Any, comm: MPI.Comm) -> Callable[[float], None] | None:
        """What is done before each step, of the time at its end; collective.

        Args:
            law: The homogenized law with the model at its points.
            comm: Communicator of the macroscopic mesh.
        """
        return None


class CellModel(ModelTable):
    """A micro model that is a cell, or is made of one: its law has a cell."""

    cell: Any
    """Cell file, relative to this file; or the table [cell] itself, with the phases beside it."""
    phases: dict[str, Any] | None = None
    """Phases, where the cell's table stands here."""


def file_field(description: str) -> Any:
    """A field that names a file, relative to the case file, which is looked for when the case is checked."""
    return Field(description=description, json_schema_extra={"format": "path"})


def _misfit(found: Any) -> str | None:
    if not (isinstance(found, type) and issubclass(found, ModelTable)):
        return f"a class derived from {ModelTable.__module__}.ModelTable is expected, and {found!r} came"
    if found.build is ModelTable.build:
        return f"{found.__name__}.build is missing: Setting ↦ micro model"
    return None


MODELS: Registry[type[ModelTable]] = Registry("fe2.models", "the micro model", _misfit)
"""Micro models by name."""

DEFAULT_MODEL = "rve"
"""The model of a law that has a cell and names none."""


def check_answers(micro: Any, kinematics: Kinematics, name: str) -> None:
    """Refuse what a model has made where it is no micro model, is one of something else, or does not answer.

    Raises:
        InputError: Names the member, what came, and what is expected.
    """
    from fe2.micro.model import MicroModel

    text = f"the micro model {name!r} does not fit: "
    if not isinstance(micro, MicroModel):
        raise InputError(f"{text}build returned {micro!r}, and an fe2.MicroModel is expected")
    found = getattr(micro, "kinematics", None)
    for member in ("dim", "components", "gradient_name", "flux_name"):
        came, expected = getattr(found, member, None), getattr(kinematics, member)
        if came != expected:
            raise InputError(f"{text}kinematics.{member} is {came!r}, and the run expects {expected!r}")
    if micro.parameters:
        return  # it needs those of a point
    try:
        virgin = micro.initial_state()
        micro.solve(kinematics.origin, virgin, 0.0, virgin.copy())
    except MicroSolveError:
        return  # the first load shows what is wrong
    except Exception as error:  # whatever a foreign method raises
        raise InputError(f"{text}solve raises {type(error).__name__}: {error}") from error
