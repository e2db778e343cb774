"""An op and its input with names for all sizes, so that its formulas tell what they compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from cnncost.analysis.trace import Name, Number, Traced, named, names_in, text, told
from cnncost.cost import Cost
from cnncost.dims import AXES, Shape, Size, Window
from cnncost.graph import Graph
from cnncost.ops import Op
from cnncost.ops.base import Sight

SIZES = {
    *("Size", "Sizes", "Counts", "Pads", "SizesOrNone", "OptionalSizes", "OptionalSize"),
    *("Amounts", "Sides", "Target", "Parts", "Range"),
}
"""Kinds of option that are sizes; others (axes, flags, words) choose among formulas."""
ALWAYS = ("kernel", "stride")
"""Options that are shown in formulas at a value of 1, too."""
UNKNOWN = {"channels": "out", "connections": "connections"}
"""Methods of ops that may count what has no formula, as the entries of a list, and what that is then called."""

Axes = tuple[tuple[Optional[tuple[str, ...]], ...], Optional[tuple[str, ...]]]
"""Names of the axes of inputs and output."""


@dataclass(frozen=True)
class TracedOp:
    """An op on named sizes: what its methods say of them.

    inputs: shapes in names. shape: the output's, with names for computed sizes; these are in `sizes`
    with how they were computed. padding: that of windows, where it has a formula of its own.
    """

    op: Op
    inputs: tuple[Shape, ...]
    shape: Shape
    sizes: dict[str, Size]
    padding: dict[str, Size]
    windows: tuple[Window, ...]
    cost: Cost
    sight: Sight


def trace(op: Op, x: tuple[Shape, ...], axes: Axes | None = None) -> TracedOp:
    """Run the op's methods on names for its options and for the sizes of its inputs.

    axes: names of the axes of each input and of the output, where they are not as usual.
    """
    of_inputs, of_output = axes or ((None,) * len(x), None)
    inputs = tuple(
        _input(op, shape, f"_{i}" if len(x) > 1 else "", shape[:1] == x[0][:1], names)
        for i, (shape, names) in enumerate(zip(x, of_inputs), 1)
    )
    taken = {name for shape in inputs for size in shape for name in names_in(told(size))}
    copy = _copy(op, taken)
    padding: dict[str, Size] = {}
    if op.windows(*x):
        copy.__dict__["windows"] = lambda *shapes: _padded(type(op).windows(copy, *shapes), padding)
    for method, name in UNKNOWN.items():
        if callable(getattr(type(op), method, None)):
            copy.__dict__[method] = _naming(getattr(type(op), method), copy, name)
    computed = copy.shape(*inputs)
    primed = [f"{name}'" for name in _axes(op, len(computed), of_output)]
    sizes = {name: size for name, size in zip(primed, computed) if not isinstance(told(size), (Name, Number))}
    shape = tuple(named(name, size) if name in sizes else size for name, size in zip(primed, computed))
    windows = copy.windows(*inputs)
    return TracedOp(op, inputs, shape, sizes, padding, windows, copy.cost(shape, *inputs), copy.sight(shape, *inputs))


def usual_axes(rank: int) -> tuple[str, ...]:
    """Names of the axes of a tensor, the batch first."""
    spatial = AXES.get(rank - 2)
    if rank == 2:
        return ("batch", "features")
    return ("batch", *(("channels", *spatial) if spatial else (f"size_{i}" for i in range(1, rank))))


def axis_names(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Names of the axes of every input and layer: of those that permute has moved, where they were."""
    shapes = graph.shapes
    names = {name: usual_axes(len(shape)) for name, shape in graph.inputs.items()}
    for node in graph.nodes:
        rank = len(node.shape)
        before = names[node.inputs[0]] if node.inputs else ()
        if len(before) != rank:
            names[node.name] = usual_axes(rank)
            continue
        sight = node.op.sight(node.shape, *(shapes[i] for i in node.inputs))
        names[node.name] = ("batch", *(before[axis if s is None else s.axis] for axis, s in enumerate(sight, 1)))
    return names


def _axes(op: Op, rank: int, known: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Names of the axes of a tensor; an op may have its own."""
    names = list(known or usual_axes(rank))
    for axis, name in op.axes_named:
        if -rank < axis < rank:
            names[axis] = name
    return tuple(names)


def _input(op: Op, shape: Shape, suffix: str, same_batch: Any, known: tuple[str, ...] | None) -> Shape:
    """An input's shape in names; all of one batch but where they are joined to one of a single image."""
    if not shape:
        return ()
    batch, *sizes = zip(_axes(op, len(shape), known), shape)
    return (
        named("batch" if same_batch else f"batch{suffix}", batch[1], quiet=True),
        *(named(name + suffix, n) for name, n in sizes),
    )


def _copy(op: Op, taken: set[str]) -> Any:
    """The op with names in its options."""
    copy = object.__new__(type(op))
    copy.__dict__.update(op.__dict__)  # some hold what is no option
    for option, field in op.options.items():
        value = getattr(op, option)
        if str(field.type) in SIZES:
            default = field.default if option not in ALWAYS else None
            value = _named(f"{op.key}_{option}" if option in taken else option, value, default, str(field.type))
        copy.__dict__[option] = value
    return copy


def _named(name: str, value: Any, default: Any, kind: str) -> Any:
    """An option's value in names: one a size, the same for equal sizes of all axes."""
    if isinstance(value, bool) or not isinstance(value, (int, tuple)) or (kind == "Target" and value == -1):
        return value
    if isinstance(value, int):
        return named(name, value, quiet=value == 0 or value == default == 1)
    within = "pair" if isinstance(value[0], tuple) else kind
    if len(set(value)) == 1 and kind not in ("Target", "Parts", "Range"):
        return (_named(name, value[0], default, within),) * len(value)
    return tuple(_named(f"{name}_{end}", v, default, within) for end, v in zip(_ends(value, kind), value))


def _ends(values: tuple[Any, ...], kind: str) -> tuple[str, ...]:
    """What tells the entries of an option apart: axes, before and after, or numbers."""
    if kind == "Range":
        return ("start", "stop")
    if kind in ("Target", "Parts"):
        return tuple(str(i) for i in range(1, len(values) + 1))
    if kind in ("Sides", "pair"):
        return ("before", "after")
    return AXES.get(len(values), tuple(str(i) for i in range(1, len(values) + 1)))


def _padded(windows: tuple[Window, ...], padding: dict[str, Size]) -> tuple[Window, ...]:
    """Windows with names for padding that was computed; how, goes to `padding`."""
    result = []
    alike = len({tuple(text(told(side), numbers=True) for side in (w.before, w.after)) for w in windows}) == 1
    for w, axis in zip(windows, AXES[len(windows)]):
        end = "" if alike else f"_{axis}"
        if isinstance(told(w.after), (Name, Number)):
            result.append(w)
        elif w.before == w.after:
            padding.setdefault(f"padding{end}", w.before)
            side = named(f"padding{end}", w.before, quiet=w.before == 0)
            result.append(w._replace(before=side, after=side))
        else:
            both = {f"padding{end}": w.before + w.after, f"before{end}": w.before, f"after{end}": w.after}
            padding.update((name, size) for name, size in both.items() if name not in padding)
            before, after = (named(f"{name}{end}", side, quiet=side == 0) for name, side in w._asdict().items()
                             if name in ("before", "after"))  # fmt: skip
            result.append(w._replace(before=before, after=after))
    return tuple(result)


def _naming(method: Any, copy: Any, name: str) -> Any:
    """A method whose plain numbers get a name."""

    def counted(*x: Any) -> Any:
        value = method(copy, *x)
        return value if isinstance(value, Traced) else named(name, value)

    return counted
