"""One law whose parameters differ from element to element: grains of a polycrystal, graded materials.

A phase for each grain would be an integral for each, and compiled code for each. A field of materials is one
phase with one law, and one integral: where the law has a number, the form has a function that is constant in
each element.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fe2.arrays import Ints
from fe2.errors import InputError, LocalSolveError
from fe2.physics.law import Array, PhaseLaw, PointLaw, PointResponse

type Label = int | str


@dataclass(frozen=True, eq=False, init=False)
class MaterialField(PhaseLaw):
    """A law with parameters for each label of a phase's elements.

    .. code-block:: python

        cell = fe2.image_cell(image, {"grains": range(1, 1001)})
        law = fe2.MaterialField(
            fe2.LinearElastic.cubic,
            range(1, 1001),
            c11=168.4, c12=121.4, c44=75.4,                              # of all grains
            orientation=fe2.rotation_from_bunge(phi1, capital_phi, phi2),  # of each, shape (1000, 3, 3)
        )
        rve = fe2.small_strain(cell, {"grains": law})

    An element's label is that of its voxel in an image, the number or the name of its physical group in a
    mesh file, and what `make_cell` was given otherwise: an element's own number, for example.

    Attributes:
        labels: Labels in the order of the rows of all parameters.
        law: The law of the first label.
        parameters: What the law's numbers and arrays are, each with a row for each label.
    """

    labels: tuple[Label, ...]
    law: PhaseLaw
    parameters: tuple[Array, ...]

    def __init__(
        self, law: Callable[..., PhaseLaw], labels: Sequence[Label] | npt.ArrayLike, /, **parameters: Any
    ) -> None:
        """Make the law of each label, which checks its parameters.

        Args:
            law: A law's class, or what makes a law of parameters, such as `LinearElastic.cubic`;
                `functools.partial` holds an array that is that of all labels.
            labels: Different whole numbers or names, shape (n,).
            parameters: Parameters of the law by name: numbers and texts hold for all labels, arrays and lists
                have n rows, one for each label.

        Raises:
            InputError: A parameter is not admissible, with its label; or does not have n rows.
        """
        names = _checked_labels(labels)
        columns = {name: list(_column(name, value, len(names))) for name, value in parameters.items()}
        made = {}
        for row, label in enumerate(names):
            try:
                made[label] = law(**{name: column[row] for name, column in columns.items()})
            except InputError as error:
                raise InputError(f"label {label!r}: {error}") from error
        self._fill(made)

    @classmethod
    def of(cls, laws: Mapping[Label, PhaseLaw]) -> Self:
        """The field of laws of one class that differ in numbers only, by their labels.

        Raises:
            InputError: They differ in something else.
        """
        field = cls.__new__(cls)
        field._fill(laws)
        return field

    def _fill(self, laws: Mapping[Label, PhaseLaw]) -> None:
        labels, materials = _checked_labels(list(laws)), tuple(laws.values())
        first = materials[0]
        for label, law in laws.items():
            if isinstance(law, MaterialField) or not hasattr(law, "with_constants"):
                raise InputError(f"label {label!r}: a {type(law).__name__} is no law of a single material")
        structure, numbers = _structure(first), [_numbers(law) for law in materials]
        shapes = [[values.shape for values in found] for found in numbers]
        for (label, law), own in zip(laws.items(), shapes, strict=True):
            if _structure(law) != structure or own != shapes[0]:
                raise InputError(
                    f"label {label!r}: {_difference(first, law)}; the laws of a field may differ in numbers "
                    f"only from that of label {labels[0]!r}"
                )
        if not numbers[0]:
            raise InputError(f"a {type(first).__name__} has no numbers that could differ from label to label")
        stacked = tuple(np.array(values) for values in zip(*numbers, strict=True))
        for values in stacked:
            values.flags.writeable = False
        for name, value in (("labels", labels), ("law", first), ("parameters", stacked)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_materials", materials)

    @property
    def materials(self) -> tuple[PhaseLaw, ...]:
        """The law of each label."""
        found: tuple[PhaseLaw, ...] = vars(self)["_materials"]
        return found

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """True where the tangents of all materials are symmetric."""
        return all(law.symmetric for law in self.materials)

    @property
    def rate_independent(self) -> bool:
        """True where no answer depends on the length of the time step."""
        return all(getattr(law, "rate_independent", False) for law in self.materials)

    @property
    def isochoric(self) -> bool:
        """Whether one of the materials is."""
        return any(law.isochoric for law in self.materials)

    def history(self, size: int) -> dict[str, int]:
        """The history of the law."""
        return self.law.history(size)

    def moduli(self) -> tuple[float, ...]:
        """Smallest and largest modulus of all materials, where they tell."""
        found = [modulus for law in self.materials for modulus in law.moduli()]
        return (min(found), max(found)) if found else ()

    def map(self, change: Callable[[Any], PhaseLaw]) -> MaterialField:
        """The field of other laws, made of these one by one."""
        return MaterialField.of(dict(zip(self.labels, map(change, self.materials), strict=True)))

    def numbered(self) -> MaterialField:
        """The field whose labels are the numbers of its rows."""
        twin = copy.copy(self)
        object.__setattr__(twin, "labels", tuple(range(len(self.labels))))
        return twin

    def with_values(self, function: Callable[[Array], Any]) -> PhaseLaw:
        """The law with what a function makes of the values of each parameter, which have a row a label."""
        values = iter(self.parameters)
        return self.law.with_constants(lambda _: function(next(values)))

    def at(self, rows: Ints) -> PointLaw:
        """The point law whose points have the materials of these rows, shape (points,)."""
        if getattr(self.law, "broadcasts", False):
            law = self.with_values(lambda values: values[rows])
            assert isinstance(law, PointLaw)
            return law
        return _OneByOne(self.materials, rows)

    def initial_values(self, size: int) -> dict[str, Array]:
        """Initial values of the history variables, each of shape (labels, components)."""
        return {
            name: np.array(
                [_components(law.initial_history(size).get(name, 0.0), c) for law in self.materials]
            )
            for name, c in self.history(size).items()
        }

    def rows_of(self, labels: Ints, names: Mapping[str, int]) -> Ints:
        """Rows of the materials of elements.

        Args:
            labels: Labels of the elements, shape (n,).
            names: Numbers of labels that have names.

        Raises:
            InputError: A label of an element, or a name, is not known.
        """
        numbers = np.array([_number(label, names) for label in self.labels], dtype=np.int64)
        order = np.argsort(numbers)
        places = np.minimum(np.searchsorted(numbers, labels, sorter=order), len(order) - 1)
        rows: Ints = order[places]
        wrong = numbers[rows] != labels
        if wrong.any():
            label, count = labels[wrong][0], len(np.unique(labels[wrong]))
            name = next((repr(name) for name, number in names.items() if number == label), str(label))
            known = ", ".join(map(repr, self.labels[:5])) + (", …" if len(self.labels) > 5 else "")
            others = f" or {count - 1} others" if count > 1 else ""
            raise InputError(
                f"{int(wrong.sum())} elements have the label {name}{others}, which the field of materials "
                f"does not have; its {len(self.labels)} labels are {known}"
            )
        return rows


@dataclass(frozen=True, eq=False)
class _OneByOne(PointLaw):
    """Points of several materials whose law takes one set of parameters at a time."""

    laws: tuple[PhaseLaw, ...]
    rows: Ints

    def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> PointResponse:
        """See `PointLaw.respond`."""
        n, k = gradient.shape
        answer = PointResponse(
            np.empty((n, k)), np.empty((n, k, k)), {name: np.empty_like(h) for name, h in history.items()}
        )
        for row in np.unique(self.rows):
            points, law = np.flatnonzero(self.rows == row), self.laws[row]
            assert isinstance(law, PointLaw)
            try:
                part = law.respond(gradient[points], {name: h[points] for name, h in history.items()}, dt)
            except LocalSolveError as error:
                raise LocalSolveError(str(error), tuple(points[list(error.points)].tolist())) from error
            answer.flux[points], answer.tangent[points] = part.flux, part.tangent
            for name, values in part.history.items():
                answer.history[name][points] = values
        return answer


def initial_values(law: PhaseLaw, size: int) -> dict[str, Array]:
    """Initial values of the history variables of a law, a row for each of its materials."""
    if isinstance(law, MaterialField):
        return law.initial_values(size)
    given = law.initial_history(size)
    return {name: _components(given.get(name, 0.0), c)[None, :] for name, c in law.history(size).items()}


def _components(value: float | Array, count: int) -> Array:
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (count,))


def _checked_labels(labels: Any) -> tuple[Label, ...]:
    """Different whole numbers or names, as a tuple.

    Raises:
        InputError: They are none, or one stands twice.
    """
    found = [label.item() if isinstance(label, np.generic) else label for label in labels]
    wrong = [label for label in found if isinstance(label, bool) or not isinstance(label, int | str)]
    if wrong or not found:
        what = repr(wrong[0]) if wrong else "an empty list"
        raise InputError(f"labels hold {what}; they must be whole numbers or names, one at least")
    if len(set(found)) < len(found):
        twice = Counter(found).most_common(1)[0][0]
        raise InputError(f"label {twice!r} stands more than once; each label has one row of parameters")
    return tuple(found)


def _column(name: str, value: Any, count: int) -> Iterator[Any]:
    """The value of each row."""
    if np.ndim(value) == 0:
        return iter([value] * count)
    if len(value) != count:
        raise InputError(
            f"{name} has {len(value)} rows and there are {count} labels; a parameter is a number, or has a "
            "row for each label"
        )
    return iter(value)


def _number(label: Label, names: Mapping[str, int]) -> int:
    if isinstance(label, int):
        return label
    if label not in names:
        known = f"they are {', '.join(names)}" if names else "they have numbers only"
        raise InputError(f"the labels of the cell's elements have no name {label!r}; {known}")
    return names[label]


def _numbers(law: PhaseLaw) -> list[Array]:
    """The law's numbers and arrays in the order in which it passes them on."""
    found: list[Array] = []

    def note(value: float | Array) -> float | Array:
        found.append(np.asarray(value, dtype=np.float64))
        return value

    law.with_constants(note)
    return found


def structure_of(law: PhaseLaw) -> tuple[Any, ...]:
    """What laws share that differ in numbers only: class, other fields, and shapes of the numbers in use."""
    return _structure(law), tuple(numbers.shape for numbers in _numbers(law))


def _structure(value: Any) -> Any:
    if isinstance(value, float):
        return ()
    if isinstance(value, np.ndarray):
        return value.shape
    if isinstance(value, Mapping):
        return tuple((name, _structure(entry)) for name, entry in value.items())
    if isinstance(value, PhaseLaw) and is_dataclass(value):
        return type(value), *(_structure(getattr(value, field.name)) for field in fields(value))
    return value


def _difference(one: PhaseLaw, other: PhaseLaw) -> str:
    """What other than numbers distinguishes two laws, in words."""
    if type(one) is not type(other) or not is_dataclass(one):
        return f"its law is a {type(other).__name__}, not a {type(one).__name__}"
    for field in fields(one):
        pair = [getattr(law, field.name) for law in (other, one)]
        if _structure(pair[0]) != _structure(pair[1]):
            shown = [f"of shape {v.shape}" if isinstance(v, np.ndarray) else repr(v) for v in pair]
            return f"{field.name} is {shown[0]} there and {shown[1]} elsewhere"
    return "its law uses other numbers"
