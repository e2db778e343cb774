"""One walk over a graph: what every layer costs, and all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cnncost.analysis.dtypes import DTYPES, dtype_name
from cnncost.analysis.memory import Memory, inference_memory
from cnncost.analysis.receptive import ReceptiveField, receptive_fields
from cnncost.cost import Cost, total
from cnncost.dims import AXES, Shape, Size, is_array, numel, require
from cnncost.errors import ShapeError, UsageError, Where
from cnncost.graph import Graph, Node

BYTES_AT_MOST = 64
"""More than what an element of a tensor takes in training, with all that is computed from it."""
LARGEST_COUNT = 2.0**62
"""Counts over arrays end here: int64 with a bit to spare for what floating point rounds."""
CONVENTIONS = (
    "MACs: multiply-accumulates of convolutions, linear layers and matrix products; taps on padding count.",
    "FLOPs: 2 x MACs + additions (biases too) + multiplications + comparisons + divisions + exponentials.",
    "params: weights (in MACs) + biases + other (scales and shifts of norms, slopes); statistics are not learned.",
    "layers: layers with weights on the longest path. neurons: their outputs. Inference; dropout costs nothing.",
    "bytes: elements x bytes of the dtype; views and in-place layers take no activation bytes.",
    "peak: the most bytes alive at once at inference: parameters, buffers, inputs, activations, temporaries.",
)
"""What the numbers mean, in the words of every output. docs/conventions.md has them op by op."""


def figures(cost: Cost, element_bytes: int) -> dict[str, Any]:
    """A cost by the names of the JSON report, with its sums and bytes."""
    counts = cost._asdict()
    read, written, activations, neurons = (counts.pop(name) for name in ("read", "written", "activations", "neurons"))
    macs = {"macs": counts.pop("macs"), "flops": cost.flops}
    params = {name: counts.pop(name) for name in ("weights", "biases", "other_params", "buffers")}
    return {
        "params": cost.params,
        **params,
        **macs,
        **counts,  # other operations by kind
        "neurons": neurons,
        "elements_read": read,
        "elements_written": written,
        "activation_bytes": activations * element_bytes,
        "weight_bytes": cost.params * element_bytes,
    }


class LayerReport(NamedTuple):
    """One layer's cost. Counts are for the whole batch.

    name: its path in the spec. op: key in the language. kind: op and telling options. inputs:
    names. cost: counts. dropped: input pixels at the far border that a stride leaves unseen, an
    axis each. uneven: axes on which the window does not fit evenly. shares: whose parameters it
    uses, if not its own. where: file, line, column. batch: images in the network's input.
    peak_bytes: the most that is alive at once in the whole network while this layer runs.
    counted: what another tool counts, where that was asked for (cnncost.analysis.conventions).
    """

    name: str
    op: str
    kind: str
    inputs: tuple[str, ...]
    output_shape: Shape
    cost: Cost
    dropped: tuple[Size, ...]
    uneven: tuple[str, ...]
    receptive_field: ReceptiveField | None
    shares: str | None
    where: Where | None
    element_bytes: int
    batch: Size = 1
    peak_bytes: Size = 0
    counted: Size | None = None

    @property
    def output(self) -> Shape:
        """The output shape without the batch; whole where its first axis is no batch, as of windows or regions."""
        first = self.output_shape[:1]
        batched = not first or is_array(first[0]) or is_array(self.batch) or first[0] == self.batch
        return self.output_shape[1:] if batched else self.output_shape

    @property
    def params(self) -> Size:
        return self.cost.params

    @property
    def macs(self) -> Size:
        return self.cost.macs

    @property
    def flops(self) -> Size:
        return self.cost.flops

    @property
    def activation_bytes(self) -> Size:
        return self.cost.activations * self.element_bytes

    @property
    def weight_bytes(self) -> Size:
        return self.cost.params * self.element_bytes

    @property
    def moved_bytes(self) -> Size:
        return (self.cost.read + self.cost.written) * self.element_bytes

    @property
    def intensity(self) -> Any:
        """FLOPs per byte moved; None where nothing moves."""
        moved = self.moved_bytes
        return None if not is_array(moved) and moved == 0 else self.flops / moved


@dataclass(frozen=True, repr=False)
class Report:
    """The cost of a network at one input, batch and dtype: layers in execution order, and totals.

    inputs: shapes by name, batch first. depth: layers with weights on the longest path. notes: what a
    reader of the counts must know. memory: what is alive while it runs, layer by layer. graph: what
    was priced.
    """

    name: str
    source: str | None
    about: dict[str, Any]
    inputs: dict[str, Shape]
    outputs: tuple[str, ...]
    batch: int
    dtype: str
    layers: tuple[LayerReport, ...]
    total: Cost
    depth: int
    memory: Memory
    graph: Graph = field(compare=False)
    notes: tuple[str, ...] = ()

    @property
    def element_bytes(self) -> int:
        return DTYPES[self.dtype]

    def __repr__(self) -> str:
        figures = f"params={self.total.params}, macs={self.total.macs}, flops={self.total.flops}"
        return f"<Report of {self.name}: {len(self.layers)} layers, batch={self.batch}, {figures}>"

    def __str__(self) -> str:
        """The report as `cnncost report` prints it into a pipe; over arrays, repr()."""
        if self.swept:
            return repr(self)
        from cnncost.analysis.columns import chosen
        from cnncost.output.tables import report_table

        return report_table(self, self.layers, chosen(None))

    def __getitem__(self, name: str) -> LayerReport:
        """A layer by name. Raises KeyError."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    @property
    def swept(self) -> bool:
        """Whether counts are arrays, with an entry a design point."""
        return any(map(is_array, self.total))

    @property
    def per_image(self) -> dict[str, Any]:
        """The figures that grow with the batch, for one image; rounded down where some work is done once a batch."""
        totals = self.totals
        grows = ("macs", "flops", "neurons", "elements_written", "activation_bytes")
        return {name: totals[name] // self.batch for name in grows}

    @property
    def totals(self) -> dict[str, Any]:
        """The figures of the whole network for the whole batch, by the names of the JSON report."""
        return {**figures(self.total, self.element_bytes), "peak_bytes": self.peak_bytes, "layers": self.depth}

    @property
    def peak_bytes(self) -> Size:
        """The most bytes alive at once at inference: parameters, buffers, inputs, activations, temporaries."""
        return self.memory.peak

    @property
    def training_peak_bytes(self) -> Size | None:
        """The most bytes alive at once in a step of training by SGD with momentum, all in this dtype.

        None where it cannot be trained so: in int8, or with operators whose gradients are not known.
        """
        from cnncost.analysis.training_memory import training_memory
        from cnncost.analysis.training_step import TRAINABLE

        if self.dtype not in TRAINABLE:
            return None
        try:
            return training_memory(self.graph, precision=self.dtype).peak
        except UsageError:
            return None

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict a layer, ready for pandas.DataFrame."""
        from cnncost.analysis.columns import row

        return [row(layer) for layer in self.layers]

    def to_json(self) -> str:
        """The JSON report, a public format: `cnncost schema report`. Raises UsageError over arrays."""
        from cnncost.output.records import to_json

        return to_json(self)

    def to_markdown(self) -> str:
        """The report's usual columns for a document. Raises UsageError over arrays."""
        from cnncost.analysis.columns import chosen
        from cnncost.output.records import to_markdown

        return to_markdown(self, self.layers, chosen(None))

    def _repr_html_(self) -> str | None:
        """The table for a notebook; over arrays nothing, and the notebook shows repr()."""
        from cnncost.output.notebook import html_table

        return None if self.swept else html_table(self)


def analyze(graph: Graph, dtype: str = "fp32", strict: bool = False, fields: bool = True) -> Report:
    """Price a graph.

    dtype: what one element takes, for bytes. strict: a window that does not fit evenly is an error
    (ShapeError). fields: receptive fields too; they are a third of the work. Raises UsageError for
    an unknown dtype.

    A graph whose sizes are arrays gives arrays of counts; receptive fields and borders are those of
    one network, and left out then.
    """
    dtype = dtype_name(dtype)
    swept = any(is_array(n) for shape in graph.shapes.values() for n in shape)
    seen = receptive_fields(graph) if fields and not swept else {}
    if swept:
        countable(graph)
    memory = inference_memory(graph, dtype)
    layers = tuple(_layers(graph, memory, seen, DTYPES[dtype], strict, swept))
    return Report(
        graph.name,
        graph.source,
        graph.about,
        graph.inputs,
        graph.outputs,
        graph.batch,
        dtype,
        layers,
        total(layer.cost for layer in layers),
        depth(graph.nodes),
        memory,
        graph,
        graph.notes,
    )


def _layers(
    graph: Graph, memory: Memory, seen: Mapping[str, ReceptiveField | None], size: int, strict: bool, swept: bool
) -> Iterator[LayerReport]:
    """The layers of a graph, priced. size: bytes of an element."""
    shapes = graph.shapes
    known: dict[Any, tuple[Any, ...]] = {}  # equal layers are priced once; arrays have no hash
    for node, step in zip(graph.nodes, memory.steps):
        x = tuple(shapes[i] for i in node.inputs)
        key = (id(node.op), id(node) if swept else x)
        if key not in known:
            borders = _borders(node, x)
            known[key] = (node.op.cost(node.shape, *x), node.op.describe(*x), *borders)
        cost, kind, dropped, uneven = known[key]
        if strict:
            for axis in uneven:
                _fits(node, x, axis)
        if node.shares:
            cost = cost._replace(weights=0, biases=0, other_params=0, buffers=0)
        yield LayerReport(
            node.name,
            node.op.key,
            kind,
            node.inputs,
            node.shape,
            cost,
            dropped,
            uneven,
            seen.get(node.name),
            node.shares,
            node.where,
            size,
            graph.batch,
            step.alive,
        )


def depth(nodes: Iterable[Node], among: Collection[str] | None = None) -> int:
    """Layers with weights on the longest path: 8 for AlexNet, 22 for GoogLeNet, 152 for ResNet-152.

    The path does not run through gates, inputs that a product stretches over its output, as in
    squeeze-and-excitation: SE-ResNet-152 has 152 layers too. among: the layers that count, all if
    left out; the path leads through the others as well.
    """
    longest: dict[str, int] = {}
    shapes: dict[str, Shape] = {}
    used: set[str] = set()
    for node in nodes:
        inputs = _ungated(node, shapes) if node.op.gates else node.inputs
        counts = among is None or node.name in among
        longest[node.name] = max((longest.get(i, 0) for i in inputs), default=0) + (counts and node.op.weighted)
        shapes[node.name] = node.shape
        used.update(node.inputs)
    ends = max((n for name, n in longest.items() if name not in used), default=0)
    return ends if ends or among is None else max(longest.values())  # layers of gates alone have a depth, too


def _ungated(node: Node, shapes: dict[str, Shape]) -> tuple[str, ...]:
    """Inputs of a product that have the shape of its output; all of them where none has it."""

    def stretched(shape: Shape) -> bool:
        return any(not is_array(n) and n == 1 and (is_array(m) or m != 1) for n, m in zip(shape, node.shape))

    return tuple(i for i in node.inputs if i not in shapes or not stretched(shapes[i])) or node.inputs


def _borders(node: Node, x: tuple[Shape, ...]) -> tuple[tuple[Size, ...], tuple[str, ...]]:
    """(pixels dropped an axis, axes on which the window does not fit evenly)."""
    windows = node.op.windows(*x)
    if not windows:
        return (), ()
    dropped = tuple(w.dropped(places) for w, places in zip(windows, node.shape[2:]))
    left: Any = ((axis, w.leftover()) for axis, w in zip(AXES[len(windows)], windows))
    return dropped, tuple(axis for axis, n in left if bool(n.any() if is_array(n) else n))


def _fits(node: Node, x: tuple[Shape, ...], axis: str) -> None:
    """Raise ShapeError unless the window fits evenly along an axis, at every design point."""
    windows = node.op.windows(*x)
    w = windows[AXES[len(windows)].index(axis)]
    try:
        require(
            w.leftover() == 0,
            "({n} + {before} + {after} - {reach}) / {stride} + 1 is not whole ({axis}): the window does not fit evenly",
            hint="{left} of the padded input is left over; without --strict it is dropped, as PyTorch does",
            reach=w.reach,
            left=w.leftover(),
            axis=axis,
            **{name: getattr(w, name) for name in ("n", "before", "after", "stride")},
        )
    except ShapeError as e:
        e.where, e.layer = node.where, node.name
        raise


class UncountableError(UsageError):
    """Counts that int64 does not hold."""


def countable(graph: Graph, among: Any = True, at: int | None = None) -> None:
    """Raise UncountableError where a count passes 2^63 at some design point: int64 would wrap without a word.

    The counts are taken once more in floating point, where they only lose digits. among: the points that count. at:
    of arrays the index along the first axis that is looked at, where the others are known to be smaller.
    """
    import numpy as np

    def at_largest(size: Any) -> Any:
        size = np.asarray(size, float)
        return size if at is None or size.ndim == 0 or size.shape[0] == 1 else size[at : at + 1]

    shapes = {name: tuple(map(at_largest, shape)) for name, shape in graph.shapes.items()}
    among = among if at is None else among[at : at + 1]
    flops = sum(node.op.cost(shapes[node.name], *(shapes[i] for i in node.inputs)).flops for node in graph.nodes)
    hint = "analyze such points one by one: single numbers have no limit"
    most = np.max(np.where(among, flops, 0))
    if most >= LARGEST_COUNT:
        raise UncountableError(f"a count passes 2^63 at the largest design point ({most:.2g} FLOPs)", hint=hint)
    elements = np.max(np.where(among, sum(numel(shape) for shape in shapes.values()), 0))
    if elements * BYTES_AT_MOST >= LARGEST_COUNT:
        raise UncountableError(f"bytes may pass 2^63 at the largest design point ({elements:.2g} elements)", hint=hint)
