"""Layers explained: every formula of the op with this layer's numbers in it.

No formula stands here. The op's own methods run on sizes that remember how they were computed
(see trace.py), and what they tell is shown: a fault in a formula shows as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnncost.analysis.receptive import ReceptiveField
from cnncost.analysis.report import LayerReport, Report, figures
from cnncost.analysis.trace import Expr, Name, Number, Traced, exactly, flat, named, names_in, text, told, using
from cnncost.analysis.traced_op import TracedOp, axis_names, trace
from cnncost.cost import Cost, Operations
from cnncost.dims import AXES, LARGEST, Shape, numel
from cnncost.errors import UsageError, counted
from cnncost.graph import Graph, Node
from cnncost.ops import find

OPERATIONS = Operations._fields
COUNTED = {
    **{"weights": "weights", "biases": "biases", "other_params": "other params", "buffers": "statistics"},
    **{"macs": "MACs", **{name: name for name in OPERATIONS}},
}
"""Counts of a cost that have a formula of the op's own, and what they are called here."""
BORDER = {1: ("elements",), 2: ("rows", "columns"), 3: ("slices", "rows", "columns")}
SUMMANDS_AT_MOST = 6
PLAIN_SUMS = "plain sums"
"""What a sum of k products takes if it starts with the first: k multiplications, k - 1 additions."""


class Equation(NamedTuple):
    """One line: quantity = symbols = numbers = value, all equal.

    symbols: the formula in names, empty where there is none to show. numbers: the same with this
    layer's numbers. a/b is exact; where a division is rounded, floor(a/b) or ceil(a/b). note: a few
    words, or nothing.
    """

    quantity: str
    symbols: str
    numbers: str
    value: int
    note: str = ""


class Beside(NamedTuple):
    """A layer of other connections with the same input and output."""

    name: str
    kind: str
    weights: int
    macs: int


@dataclass(frozen=True, repr=False)
class LayerExplanation:
    """One layer: its figures, its formulas, what it is beside others, and what to note.

    about: what the op does. names: what the names in the formulas stand for. beside: first the layer
    itself; empty where there is nothing to compare.
    """

    layer: LayerReport
    about: str
    input_shapes: tuple[Shape, ...]
    names: dict[str, int]
    equations: tuple[Equation, ...]
    beside: tuple[Beside, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        formulas = "; ".join(f"{e.quantity} = {e.numbers} = {e.value:,}" for e in self.equations)
        return f"<LayerExplanation of {self.layer.name}: {formulas}>"


@dataclass(frozen=True, repr=False)
class Explanation:
    """Layers of a network explained, in execution order, and what they cost together."""

    report: Report
    layers: tuple[LayerExplanation, ...]

    @property
    def sums(self) -> tuple[Equation, ...]:
        """What the layers cost together, with the summands where they are few."""
        size = self.report.element_bytes
        return tuple(
            _sum(name, [figures(e.layer.cost, size)[key] for e in self.layers])
            for key, name in (("params", "params"), ("macs", "MACs"), ("flops", "FLOPs"),
                              ("activation_bytes", "activation bytes"), ("weight_bytes", "parameter bytes"))
        )  # fmt: skip

    def __iter__(self) -> Iterator[LayerExplanation]:
        return iter(self.layers)

    def __getitem__(self, name: str) -> LayerExplanation:
        """A layer by name. Raises KeyError."""
        for explained in self.layers:
            if explained.layer.name == name:
                return explained
        raise KeyError(name)

    def __repr__(self) -> str:
        return f"<Explanation of {', '.join(e.layer.name for e in self.layers)} of {self.report.name}>"

    def __str__(self) -> str:
        """What `cnncost explain` prints into a pipe."""
        from cnncost.output.explain import explanation_text

        return explanation_text(self)

    def to_json(self) -> str:
        """The JSON explanation, a public format: `cnncost schema explain`."""
        from cnncost.output.explain import to_json

        return to_json(self)

    def _repr_html_(self) -> str:
        from cnncost.output.explain import html

        return html(self)


def _sum(quantity: str, values: Sequence[int]) -> Equation:
    """A sum of what layers cost, zeros left out."""
    shown = [f"{value:,}" for value in values if value]
    return Equation(quantity, "", " + ".join(shown) if len(shown) <= SUMMANDS_AT_MOST else "", sum(values))


def explain(graph: Graph, report: Report, layers: Sequence[LayerReport]) -> Explanation:
    """Explain some layers of an analyzed graph. Raises UsageError over arrays."""
    if report.swept:
        raise UsageError("a layer over arrays has no one number to show", hint="explain one design point")
    nodes, shapes = {node.name: node for node in graph.nodes}, graph.shapes
    fields: dict[str, ReceptiveField | None] = {name: _of_input(shape) for name, shape in graph.inputs.items()}
    fields.update((layer.name, layer.receptive_field) for layer in report.layers)
    names = axis_names(graph)
    explained = tuple(_explained(nodes[layer.name], layer, shapes, fields, names) for layer in layers)
    return Explanation(report, explained)


def _of_input(shape: Shape) -> ReceptiveField | None:
    """The receptive field of a network's input: each pixel sees itself."""
    rank = len(shape) - 2
    return ReceptiveField((1,) * rank, (1,) * rank, (0.0,) * rank) if rank > 0 else None


# ---- one layer --------------------------------------------------------------------------------


class _Lines:
    """Equations as they are found; earlier results by name in later ones."""

    def __init__(self) -> None:
        self.known: list[tuple[Name, Expr]] = []
        self.names: dict[str, int] = {}
        self.lines: list[Equation] = []

    def add(self, quantity: str, value: Any, *, known: Name | None = None, note: str = "") -> None:
        """A line for a size that was traced; from now on it may be known by a name."""
        expr = using(told(value), self.known)
        symbols = "" if isinstance(expr, Number) else text(expr, numbers=False)
        self.lines.append(Equation(quantity, symbols, text(expr, numbers=True), int(value), note))
        self.names.update(names_in(expr))
        if known is not None:
            self.known.append((known, expr))


def _explained(
    node: Node,
    layer: LayerReport,
    shapes: Mapping[str, Shape],
    fields: Mapping[str, ReceptiveField | None],
    axes: Mapping[str, tuple[str, ...]],
) -> LayerExplanation:
    x = tuple(shapes[i] for i in node.inputs)
    traced = trace(node.op, x, (tuple(axes[i] for i in node.inputs), axes[node.name]))
    lines = _Lines()
    for name, size in traced.padding.items():
        lines.add(name, size, known=Name(name, int(size)))
    lines.known.clear()  # windows call their padding by its name already
    for names, size in _alike(traced.sizes):
        lines.add(", ".join(names), size)
    lines.known += [(Name(name, int(size)), told(size)) for name, size in traced.sizes.items()]
    _counts(traced, lines)
    _bytes(traced, layer, lines)
    _unseen(traced, lines)
    _field(traced, node, fields, lines)
    return LayerExplanation(
        layer,
        _summary(node),
        x,
        lines.names,
        tuple(lines.lines),
        _beside(node, layer, x),
        _notes(traced, node, layer, x),
    )


def _alike(sizes: Mapping[str, Any]) -> list[tuple[list[str], Any]]:
    """Sizes of one computation in numbers, such as height and width of a square image, as one."""
    groups: dict[str, tuple[list[str], Any]] = {}
    for name, size in sizes.items():
        groups.setdefault(text(told(size), numbers=True), ([], size))[0].append(name)
    return list(groups.values())


def _counts(traced: TracedOp, lines: _Lines) -> None:
    """Parameters, outputs, MACs and other operations, with their sums."""
    cost, values = traced.cost, traced.cost._asdict()
    for field in ("weights", "biases", "other_params", "buffers"):
        if values[field]:
            known = Name(field, int(values[field])) if field == "weights" else None
            lines.add(COUNTED[field], values[field], known=known)
    names: dict[str, Any] = {
        field: named("MACs" if field == "macs" else field, n) if n else 0 for field, n in values.items()
    }
    if len(_parts(cost)) > 1:
        lines.add("params", Cost(**names).params)
    size: Any = numel(traced.shape)
    outputs = Name("neurons" if traced.op.weighted else "outputs", int(size))
    lines.add(outputs.text, size, known=outputs)
    inputs: Any = sum(map(numel, traced.inputs))
    lines.known.append((Name("inputs", int(inputs)), told(inputs)))
    for field in ("macs", *OPERATIONS):
        if values[field]:
            biases = field == "additions" and values["biases"] and int(values[field]) == int(size)
            lines.add(COUNTED[field], values[field], note="a bias to each" if biases else "")
    operations = sum(bool(values[field]) for field in OPERATIONS)
    if values["macs"] or operations > 1:
        lines.add("FLOPs", Cost(**names).flops)
    sums = names_in(using(told(values["macs"]), [(outputs, told(size))]))
    if values["macs"] and not operations and outputs.text in sums:
        plain = 2 * names["macs"] - named(outputs.text, size)
        lines.add(PLAIN_SUMS, plain)


def _parts(cost: Cost) -> dict[str, Any]:
    """The kinds of parameter that there are."""
    return {name: n for name, n in cost._asdict().items() if name in ("weights", "biases", "other_params") and n}


def _bytes(traced: TracedOp, layer: LayerReport, lines: _Lines) -> None:
    """Storage of the output and of the parameters."""
    each, cost = named("bytes", layer.element_bytes), traced.cost
    if cost.activations:
        lines.add("activation bytes", cost.activations * each)
    parts = [*_parts(cost)]
    if parts:
        lines.add("parameter bytes", named("params" if len(parts) > 1 else parts[0], cost.params) * each)


def _unseen(traced: TracedOp, lines: _Lines) -> None:
    """Input elements at the far border that no window reaches."""
    nouns = BORDER.get(len(traced.windows), ())
    dropped: dict[str, Any] = {
        noun: w.dropped(m) for noun, w, m in zip(nouns, traced.windows, traced.shape[2:])
    }  # fmt: skip
    for names, unseen in _alike({noun: n for noun, n in dropped.items() if n}):
        lines.add(f"unseen {', '.join(names)}", unseen)


def _field(traced: TracedOp, node: Node, fields: Mapping[str, ReceptiveField | None], lines: _Lines) -> None:
    """How the receptive field grew: previous + (kernel - 1) x jump."""
    own = fields[node.name]
    if own is None:
        return
    axes = AXES.get(len(own.size), ())
    before = fields[node.inputs[0]] if len(node.inputs) == 1 else None
    grown = [_grown(traced, before, axis) for axis in range(len(axes))]
    sizes = {axis: new if new == size else size for axis, size, (new, _) in zip(axes, own.size, grown)}
    for names, size in _alike(sizes):
        note = "" if isinstance(size, Traced) else _why(node, own, before) or _between(traced, own, before)
        lines.add("receptive field" if len(names) == len(axes) else f"field {', '.join(names)}", size, note=note)
    jumps = {axis: jump for axis, step, (_, jump) in zip(axes, own.stride, grown) if jump and jump == step}
    for names, jump in _alike({axis: jump for axis, jump in jumps.items() if len(flat(told(jump))) > 1}):
        lines.add("jump'" if len(names) == len(axes) else f"jump' {', '.join(names)}", jump)


def _why(node: Node, own: ReceptiveField, before: ReceptiveField | None) -> str:
    """What to say of a receptive field without a formula."""
    if len(node.inputs) > 1:
        return "the union of the fields of its inputs"
    if own == before:
        return "as before"
    return "all of the image" if all(stride is None for stride in own.stride) else ""


def _between(traced: TracedOp, own: ReceptiveField, before: ReceptiveField | None) -> str:
    """How a field grew by a window between the input's places, as that of a transposed convolution; on all axes alike.

    The op says how far its window reaches as a fraction, which keeps no names.
    """
    reaches = [along and along.reach - 1 for along in traced.sight[1:]]
    if before is None or len({*zip(own.size, before.size, before.stride, reaches)}) != 1:
        return ""
    size, jump, reach = before.size[0], before.stride[0], reaches[0]
    if reach is None or jump is None or int(size + reach * jump) != own.size[0]:
        return ""
    return f"{size} + {reach} x {jump:g}{', rounded down' if reach * jump % 1 else ''}"


def _grown(traced: TracedOp, before: ReceptiveField | None, axis: int) -> tuple[Any, Any]:
    """(receptive field, jump) along an image axis as the op's sight extends it; None where that is not so simple."""
    at = axis + 1
    if before is None or at >= len(traced.sight) or traced.sight[at] is None:
        return None, None
    along, jump = traced.sight[at], before.stride[axis]
    if along.axis != axis + 2 or type(jump) is not int or not isinstance(along.reach, int):
        return None, None
    own = "" if len(set(before.size)) == len(set(before.stride)) == 1 else f"_{AXES[len(before.size)][axis]}"
    step = named(f"jump{own}", jump)
    new = step if along.stride == 1 else step * along.stride
    return named(f"previous{own}", before.size[axis]) + (along.reach - 1) * step, new


# ---- beside others ----------------------------------------------------------------------------


def _beside(node: Node, layer: LayerReport, x: tuple[Shape, ...]) -> tuple[Beside, ...]:
    """The layer, its like with other connections, and the dense layer of the same input and output."""
    op, y = node.op, node.shape
    if not op.weighted or len(x) != 1:
        return ()
    rows = [Beside(name, other.describe(*x), int(other.weights(*x)), int(other.macs(y, *x)))
            for name, other in op.beside(*x).items()]  # fmt: skip
    inputs, outputs = (x[0][0], numel(x[0][1:])), (y[0], numel(y[1:]))
    if len(x[0]) > 2 and outputs[1] <= LARGEST:
        dense = find("linear")(out=outputs[1], bias=False)
        rows.append(Beside("dense", dense.key, int(dense.weights(inputs)), int(dense.macs(outputs, inputs))))
    own = Beside("this layer", layer.kind, int(op.weights(*x)), int(op.macs(y, *x)))
    return (own, *rows) if rows else ()


# ---- in words ---------------------------------------------------------------------------------


def _summary(node: Node) -> str:
    """What the op does: the first line of its documentation."""
    from inspect import getdoc

    return (getdoc(type(node.op)) or "").split("\n")[0]


def _notes(traced: TracedOp, node: Node, layer: LayerReport, x: tuple[Shape, ...]) -> tuple[str, ...]:
    notes = [*_uneven(traced, layer)]
    macs = int(traced.cost.macs)
    if "locally connected" in node.op.beside(*x) and macs % numel(node.shape) == 0:
        notes += _connections(macs, node.shape, x[0])
    if node.op.view:
        notes.append("The output is the input's storage, seen differently: nothing is computed, nothing moves.")
    elif node.op.shares_storage:
        notes.append("In place: the output overwrites the input and takes no storage of its own.")
    if layer.shares:
        notes.append(f"The parameters are those of {layer.shares} and are counted there.")
    return tuple(notes)


def _connections(macs: int, y: Shape, x: Shape) -> Iterable[str]:
    """What sparse connections and shared weights come to, where there are any."""
    each, inputs, places = macs // numel(y), numel(x[1:]), numel(y[2:])
    found = []
    if each < inputs:  # taps on padding make more connections than there are inputs
        found.append(f"an output is connected to {each:,} of {inputs:,} inputs (sparse connections)")
    if places > 1:
        found.append(f"{places:,} places have one kernel (shared weights)")
    if found:
        text_ = ", and ".join(found)
        yield f"{text_[0].upper()}{text_[1:]}."


def _uneven(traced: TracedOp, layer: LayerReport) -> Iterable[str]:
    """Where a window does not fit evenly: the division that is rounded, and what becomes of the rest."""
    axes, nouns = AXES.get(len(traced.windows), ()), BORDER.get(len(traced.windows), ())
    found: dict[str, list[tuple[str, str, str]]] = {}
    for axis, noun, window, lost, m in zip(axes, nouns, traced.windows, layer.dropped, layer.output_shape[2:]):
        if axis in layer.uneven:
            places: Any = window.room // window.stride + 1
            value, formula = exactly(told(places)), text(told(places), numbers=True, rounding=False)
            unseen = counted(int(lost), noun[:-1]) if lost else ""
            other = "" if lost else "the last window reaching over the end" if m > places else "only padding left over"
            words = f"{formula} = {value}, about {float(value):.2f}, is not whole"
            found.setdefault(words, []).append((axis, unseen, other))
    for words, group in found.items():
        along, lost_, others = ([*dict.fromkeys(filter(None, column))] for column in zip(*group))
        rest = [f"{' and '.join(lost_)} at the far border unseen"] * bool(lost_) + others
        yield f"{words}: along {' and '.join(along)} the window does not fit evenly, with {' and '.join(rest)}."
