"""The spec that is swept, at any sizes: arrays of them, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnncost.analysis.sweep.axes import BATCH, INPUT, SIDES, Axis, is_input
from cnncost.dims import DiffersError, Refusals, Shape, refusing
from cnncost.errors import CnncostError, ShapeError, UsageError
from cnncost.graph import Graph
from cnncost.spec import document_of, expanded
from cnncost.spec.document import Document
from cnncost.spec.expand import name_of
from cnncost.spec.names import Names, input_shapes, parameter_values


class Source:
    """A spec, read once. fixed, input, batch: what does not vary. document: the spec, where it has been read.

    Raises CnncostError for a spec with faults.
    """

    def __init__(self, spec: Any, fixed: Mapping[str, Any] | None = None, input: Any = None, batch: int = 1,
                 document: Document | None = None) -> None:  # fmt: skip
        self.spec, self.fixed, self.given, self.batch = spec, dict(fixed or {}), input, batch
        self.document = document_of(spec) if document is None else document
        self.name = name_of(self.document)
        names = Names(parameter_values(self.document, self.fixed), {}, {})
        self.inputs: dict[str, Shape] = input_shapes(self.document, input, names)
        """Inputs where nothing varies, without the batch."""

    def __reduce__(self) -> Any:
        """Other processes take what has been read: standard input is read once, and a file may change."""
        return Source, (self.spec, self.fixed, self.given, self.batch, self.document)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the spec declares, by name."""
        found: Mapping[str, Any] = self.document.parameters
        return found

    def graph(self, batch: Any = None, input: Any = None, set: Mapping[str, Any] | None = None) -> Graph:
        """The graph at some sizes. Raises CnncostError."""
        return expanded(
            lambda: self.document,
            self.given if input is None else input,
            self.batch if batch is None else batch,
            {**self.fixed, **(set or {})},
        )

    def input(self, values: Mapping[str, Any]) -> Any:
        """The input where it, or a side of it, varies; None where nothing of it does.

        A number is the height and the width of images, a shape all of it.
        """
        own = {name: value for name, value in values.items() if is_input(name)}
        if not own:
            return None
        if len(self.inputs) > 1:
            raise UsageError(f"{self.name} has several inputs", hint="vary its parameters, or the batch")
        shape = list(next(iter(self.inputs.values())))
        for name, value in own.items():
            if isinstance(value, tuple):
                shape = list(value)
            elif name == INPUT:
                shape[1:] = [value] * (len(shape) - 1)
            else:
                shape[_place(name, len(shape))] = value
        return tuple(shape)

    def require_sound(self, axes: tuple[Axis, ...]) -> None:
        """Raise CnncostError for a spec with faults: neither where nothing varies nor at the first or last values of
        all axes is there a network, nor is it only that sizes do not suit.
        """
        first: CnncostError | None = None
        for number in (None, 0, -1):
            values = {} if number is None else {axis.name: axis.values[number] for axis in axes}
            try:
                self.at(values)
            except ShapeError:
                return
            except CnncostError as e:
                first = first or e
            else:
                return
        assert first is not None
        raise first

    def at(self, values: Mapping[str, Any]) -> Graph:
        """The graph at some values of axes. Raises CnncostError."""
        given = {name: value for name, value in values.items() if name != BATCH and not is_input(name)}
        return self.graph(values.get(BATCH), self.input(values), given)

    def structural(self, axes: tuple[Axis, ...]) -> tuple[str, ...]:
        """The axes whose values make other layers, so that each takes a walk of its own: depths, words, switches."""
        for axis in axes:
            self._fits(axis)
        self.require_sound(axes)
        return tuple(axis.name for axis in axes if axis.name != BATCH and not self._together(axis))

    def _fits(self, axis: Axis) -> None:
        """Raise UsageError for an axis that nothing of the spec can have, whatever else varies."""
        if is_input(axis.name):
            self.input({axis.name: axis.values[0]})
        elif axis.name != BATCH:
            for value in axis.values[:1] if axis.numeric else axis.values:
                parameter_values(self.document, {**self.fixed, axis.name: value})

    def _together(self, axis: Axis) -> bool:
        """Whether all values of an axis go through one walk."""
        import numpy as np

        if not axis.numeric:
            return is_input(axis.name) and len({len(shape) for shape in axis.values}) == 1
        values = np.array(axis.values)
        given = {} if is_input(axis.name) else {axis.name: values}
        with refusing(Refusals(values.shape)), np.errstate(all="ignore"):
            try:
                self.graph(input=self.input({axis.name: values}), set=given)
            except DiffersError:  # few values differ, and stand in runs that are walked apart
                return True
            except CnncostError:
                return False
        return True


def _place(name: str, sizes: int) -> int:
    """Where a named side stands in an input's shape. Raises UsageError where it has none."""
    place = SIDES.index(name.split(".", 1)[1])
    if place >= sizes:
        raise UsageError(f"{name}: the input has no {name.split('.', 1)[1]}", hint=f"it has {sizes} sizes")
    return place
