"""One walk over a graph: what every layer costs, and all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnncost.analysis.receptive import ReceptiveField, receptive_fields
from cnncost.cost import Cost, total
from cnncost.dims import AXES, Shape, Size, is_array
from cnncost.errors import ShapeError, UsageError, Where, did_you_mean
from cnncost.graph import Graph, Node

DTYPES = {"fp64": 8, "fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "fp8": 1, "int8": 1}
"""Bytes of one element."""

CONVENTIONS = (
    "MACs: multiply-accumulates of convolutions, linear layers and matrix products; taps on padding count.",
    "FLOPs: 2 x MACs + additions (biases too) + multiplications + comparisons + divisions + exponentials.",
    "params: weights (in MACs) + biases + other (scales and shifts of norms, slopes); statistics are not learned.",
    "layers: layers with weights on the longest path. neurons: their outputs. Inference; dropout costs nothing.",
    "bytes: elements x bytes of the dtype; views and in-place layers take no activation bytes.",
)
"""What the numbers mean, in the words of every output. docs/conventions.md has them op by op."""


class LayerReport(NamedTuple):
    """One layer's cost. Counts are for the whole batch.

    name: its path in the spec. op: key in the language. kind: op and telling options. inputs:
    names. cost: counts. dropped: input pixels at the far border that a stride leaves unseen, an
    axis each. uneven: axes on which the window does not fit evenly. shares: whose parameters it
    uses, if not its own. where: file, line, column.
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
        return self.flops / self.moved_bytes if self.moved_bytes else None


@dataclass(frozen=True, repr=False)
class Report:
    """The cost of a network at one input, batch and dtype: layers in execution order, and totals.

    inputs: shapes by name, batch first. depth: layers with weights on the longest path.
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

    @property
    def element_bytes(self) -> int:
        return DTYPES[self.dtype]

    def __repr__(self) -> str:
        figures = f"params={self.total.params}, macs={self.total.macs}, flops={self.total.flops}"
        return f"<Report of {self.name}: {len(self.layers)} layers, batch={self.batch}, {figures}>"

    @property
    def per_image(self) -> dict[str, Any]:
        """The figures that grow with the batch, for one image."""
        grows = ("macs", "flops", "neurons", "elements_written", "activation_bytes")
        return {name: self.totals[name] // self.batch for name in grows}

    @property
    def totals(self) -> dict[str, Any]:
        """The figures of the whole network for the whole batch, by the names of the JSON report."""
        t, size = self.total, self.element_bytes
        return {
            "params": t.params,
            "weights": t.weights,
            "biases": t.biases,
            "other_params": t.other_params,
            "buffers": t.buffers,
            "macs": t.macs,
            "flops": t.flops,
            "additions": t.additions,
            "multiplications": t.multiplications,
            "comparisons": t.comparisons,
            "divisions": t.divisions,
            "exponentials": t.exponentials,
            "neurons": t.neurons,
            "elements_read": t.read,
            "elements_written": t.written,
            "activation_bytes": t.activations * size,
            "weight_bytes": t.params * size,
            "layers": self.depth,
        }

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict a layer, ready for pandas.DataFrame."""
        from cnncost.analysis.columns import row

        return [row(layer) for layer in self.layers]

    def _repr_html_(self) -> str:
        from cnncost.output.notebook import html_table

        return html_table(self)


def analyze(graph: Graph, dtype: str = "fp32", strict: bool = False) -> Report:
    """Price a graph.

    dtype: what one element takes, for bytes. strict: a window that does not fit evenly is an error
    (ShapeError). Raises UsageError for an unknown dtype.

    A graph whose sizes are arrays gives arrays of counts; receptive fields and borders are those of
    one network, and left out then.
    """
    if dtype not in DTYPES:
        raise UsageError(f"unknown dtype {dtype}", hint=did_you_mean(dtype, DTYPES))
    shapes, size = graph.shapes, DTYPES[dtype]
    swept = any(is_array(n) for shape in shapes.values() for n in shape)
    fields = {} if swept else receptive_fields(graph)
    known: dict[Any, tuple[Any, ...]] = {}  # equal layers are priced once; arrays have no hash
    layers = []
    for node in graph.nodes:
        x = tuple(shapes[i] for i in node.inputs)
        key = (id(node.op), id(node) if swept else x)
        if key not in known:
            borders = ((), ()) if swept else _borders(node, x)
            known[key] = (node.op.cost(node.shape, *x), node.op.describe(*x), *borders)
        cost, kind, dropped, uneven = known[key]
        if strict and uneven:
            raise _uneven(node, x, uneven[0])
        if node.shares:
            cost = cost._replace(weights=0, biases=0, other_params=0, buffers=0)
        layers.append(
            LayerReport(
                node.name,
                node.op.key,
                kind,
                node.inputs,
                node.shape,
                cost,
                dropped,
                uneven,
                fields.get(node.name),
                node.shares,
                node.where,
                size,
            )
        )
    return Report(
        graph.name,
        graph.source,
        graph.about,
        graph.inputs,
        graph.outputs,
        graph.batch,
        dtype,
        tuple(layers),
        total(layer.cost for layer in layers),
        depth(graph.nodes),
    )


def depth(nodes: Iterable[Node]) -> int:
    """Layers with weights on the longest path: 8 for AlexNet, 22 for GoogLeNet, 152 for ResNet-152."""
    longest: dict[str, int] = {}
    for node in nodes:
        longest[node.name] = max((longest.get(i, 0) for i in node.inputs), default=0) + node.op.weighted
    return max(longest.values(), default=0)


def _borders(node: Node, x: tuple[Shape, ...]) -> tuple[tuple[Size, ...], tuple[str, ...]]:
    """(pixels dropped an axis, axes on which the window does not fit evenly)."""
    windows = node.op.windows(*x)
    if not windows:
        return (), ()
    dropped = tuple(w.dropped(places) for w, places in zip(windows, node.shape[2:]))
    uneven = tuple(axis for axis, w in zip(AXES[len(windows)], windows) if w.leftover())
    return dropped, uneven


def _uneven(node: Node, x: tuple[Shape, ...], axis: str) -> ShapeError:
    windows = node.op.windows(*x)
    w = windows[AXES[len(windows)].index(axis)]
    return ShapeError(
        f"({w.n} + {w.before} + {w.after} - {w.reach}) / {w.stride} + 1 is not whole ({axis}): "
        "the window does not fit evenly",
        hint=f"{w.leftover()} of the padded input is left over; without --strict it is dropped, as PyTorch does",
        where=node.where,
        layer=node.name,
    )
