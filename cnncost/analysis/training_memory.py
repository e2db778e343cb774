"""How much memory a step of training takes, before it is run: forward, backward, update, and the peak.

A step as they follow one another: the optimizer's state is there from the first on, gradients of the
step before are gone. The loss is the sum of all outputs, each of which goes once it is summed. The
caller holds the inputs. See autograd.py for what eager PyTorch keeps and when it lets go.

Frozen layers learn nothing: they keep what gradients of their inputs need, and before the first
layer that learns nothing at all. Norms are in training mode all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from cnncost.analysis.autograd import Autograd
from cnncost.analysis.books import Books
from cnncost.analysis.checkpoint import Again, Block, segments, taken
from cnncost.analysis.dtypes import DTYPES, dtype_name
from cnncost.analysis.memory import LASTING, Held, Memory, Phase, Step, held_by_layers, highest, summary
from cnncost.analysis.optimizers import optimizer as find_optimizer
from cnncost.analysis.quantities import covers
from cnncost.analysis.recorded import FULL, Layer, Record, StopHereError, Value
from cnncost.dims import Size, is_array, numel
from cnncost.errors import UsageError, did_you_mean
from cnncost.graph import Graph, Node
from cnncost.ops.seen import Seen
from cnncost.ops.tape import Call, one

AUTOCAST = "autocast-"
LOSS, UPDATE = "loss", "optimizer"
"""Steps that are no layers."""


@dataclass(frozen=True)
class TrainingMemory(Memory):
    """The memory of a step of training.

    precision: as it was asked for. kept: what is alive at the end of the forward pass beside
    parameters, buffers, their gradients and the optimizer's state; over arrays of sizes empty.
    kept_bytes: their bytes. peaks: the most bytes alive at once in each phase.
    """

    precision: str
    optimizer: str
    kept: tuple[Held, ...]
    kept_bytes: Size
    peaks: dict[Phase, Size]


def training_memory(
    graph: Graph,
    optimizer: str = "sgd-momentum",
    *,
    precision: str = "fp32",
    master_copies: bool = False,
    accumulate: int = 1,
    checkpoint: Sequence[str] = (),
    frozen: Sequence[str] = (),
    foreach: bool = False,
) -> TrainingMemory:
    """The memory that one step of training takes.

    optimizer: none, sgd, sgd-momentum, adam, adamw. precision: the dtype of everything, or
    autocast-bf16 and autocast-fp16, where parameters are fp32 and torch.autocast chooses the dtype of
    each operator. master_copies: the optimizer has fp32 copies of parameters of another dtype, and
    its state is fp32, too. accumulate: batches whose gradients are added up before an update; above 1
    the step is one of the later ones. checkpoint: blocks, by name or glob, that keep only their
    inputs, and run again before their gradients are computed. frozen: layers, blocks or globs that do
    not learn. foreach: the optimizer updates all parameters at once, PyTorch's default on GPUs; else
    one by one, as on the CPU. Raises UsageError for what there is not.
    """
    return _Step(graph, optimizer, precision, master_copies, accumulate, checkpoint, frozen, foreach).run()


def training_steps(graph: Graph, optimizer: str = "sgd-momentum", precision: str = "fp32") -> list[Step]:
    """The steps of that memory alone, whose highest is the peak."""
    return _Step(graph, optimizer, precision, False, 1, (), (), False).steps()


class _Step:
    """One step of training. learning: for each layer with parameters of its own that learn, the sizes of these."""

    def __init__(
        self,
        graph: Graph,
        optimizer: str,
        precision: str,
        master_copies: bool,
        accumulate: int,
        checkpoint: Sequence[str],
        frozen: Sequence[str],
        foreach: bool,
    ) -> None:
        self.graph, self.precision, self.name = graph, precision, optimizer
        self.optimizer, self.master_copies, self.foreach = find_optimizer(optimizer), master_copies, foreach
        self.dtype, self.autocast = parse_precision(precision)
        self.itemsize = DTYPES[self.dtype]
        self.frozen = chosen(graph, frozen)
        self.shapes = graph.shapes
        self.books = Books()
        self.engine = Autograd(self.books, self.itemsize, autocast=self.autocast, accumulates=accumulate > 1)
        if accumulate < 1:
            raise UsageError(f"accumulate must be at least 1, got {accumulate}")
        self.learning = {
            node.name: node.op.parameter_sizes(*(self.shapes[i] for i in node.inputs))
            for node in graph.nodes
            if node.shares is None and node.name not in self.frozen
        }
        self.accumulate, self.checkpoint = accumulate, checkpoint
        self.turned = turned(graph)
        self.tapes: dict[Any, tuple[Call, ...]] = {}
        self.again_at: dict[int, Again] = {}
        self.done_at: dict[int, Again] = {}

    def steps(self) -> list[Step]:
        """What is alive, step by step."""
        self._lasting()
        self._backward(self._forward())
        self._update()
        return self.books.steps

    def run(self) -> TrainingMemory:
        books = self.books
        self._lasting()
        loss = self._forward()
        kept = tuple(held for held in books.held_now() if held.what not in LASTING)
        kept_bytes = books.alive - books.lasts
        self._backward(loss)
        self._update()
        memory = summary(self.dtype, books.steps, [0] * len(books.steps), lambda i: tuple(books.held_at(i)))
        steps: dict[Phase, list[Size]] = {}
        for step in memory.steps:
            steps.setdefault(step.phase, []).append(step.alive)
        return TrainingMemory(
            **{**vars(memory), "activation_peak": books.activations},
            precision=self.precision,
            optimizer=self.name,
            kept=() if is_array(kept_bytes) else kept,
            kept_bytes=kept_bytes,
            peaks={phase: highest(alive) for phase, alive in steps.items()},
        )

    def _lasting(self) -> None:
        """What is there from step to step."""
        for held in held_by_layers(self.graph, self.itemsize):
            self.books.new(*held)
        state_size = FULL if self.master_copies else self.itemsize
        copies = FULL * (self.master_copies and self.itemsize != FULL)
        for name, tensors in self.learning.items():
            if not tensors:
                continue
            total: Size = sum(tensors)
            if self.accumulate > 1:
                self.books.new(name, "parameter gradient", total * self.itemsize)
            state = self.optimizer.state_bytes(tensors, state_size) + total * copies
            self.books.new(name, "optimizer state", state)

    # ---- forward ----------------------------------------------------------------------------------

    def _forward(self) -> Value | None:
        """Run all layers and the loss; a tensor goes when the last layer that takes it has run."""
        graph, books, engine = self.graph, self.books, self.engine
        values = {name: self._input(name, shape) for name, shape in graph.inputs.items()}
        parts = segments(graph, self.checkpoint) if self.checkpoint else graph.nodes
        last = {name: i for i, part in enumerate(parts) for name in taken(part)}
        held, longer = {*graph.inputs, *graph.outputs}, self._held_longer(parts)
        for i, part in enumerate(parts):
            if isinstance(part, Node):
                values[part.name] = self._node(part, values)
                if (graph.held or {}).get(part.name) is not None:
                    engine.hold(values[part.name])
            else:
                values.update(self._block(part, {name: values[name] for name in part.takes}))
            for name in taken(part):
                if last[name] == i and name not in held:
                    engine.release(values[name])
            for name in longer.get(i, ()):
                engine.release(values[name])
            if isinstance(part, Node):
                books.step(part.name, "forward")
        loss = self._loss([values[name] for name in graph.outputs])
        engine.forward_ends()
        for store in books.stores:
            if store.what == "activation" and store.died is None:
                store.what = "saved"
        books.look()
        books.step(LOSS, "forward")
        return loss

    def _held_longer(self, parts: Sequence[Node | Block]) -> dict[int, list[str]]:
        """What a traced model held in variables of its own, by the part after which it let go; its outputs go later."""
        nodes = [part.nodes if isinstance(part, Block) else (part,) for part in parts]
        at = {node.name: i for i, inside in enumerate(nodes) for node in inside}
        found: dict[int, list[str]] = {}
        for name, until in (self.graph.held or {}).items():
            if until is not None:
                found.setdefault(at[until], []).append(name)
        return found

    def _input(self, name: str, shape: tuple[Size, ...]) -> Value:
        store = self.books.new(name, "input", numel(shape) * self.itemsize)
        return Value(store, numel(shape), self.itemsize)

    def _node(self, node: Node, values: dict[str, Value]) -> Value:
        """Run one layer. Equal layers have one tape; arrays have no hash."""
        owner = node.shares or node.name
        layer = Layer(node.name, owner, owner not in self.frozen, node.name in self.turned)
        if isinstance(node.op, Seen) and node.op.source:
            held = layer._replace(learns=layer.learns and node.op.key == "parameter")
            return self.engine.parameter(held, numel(node.shape))
        x = tuple(self.shapes[name] for name in node.inputs)
        key: Any = (id(node.op), x)
        calls = None
        try:
            calls = self.tapes.get(key)
        except TypeError:
            key = None
        if calls is None:
            calls = node.op.tape(node.shape, *x)
            if key is not None:
                self.tapes[key] = calls
        self.books.look()
        return self.engine.run(layer, calls, [values[name] for name in node.inputs])

    def _block(self, block: Block, inputs: dict[str, Value]) -> dict[str, Value]:
        """Run a block that is checkpointed; returns its outputs."""
        engine, start = self.engine, len(self.engine.records)
        with engine.without_keeping():
            outputs = self._layers(block, inputs, "forward")
        again = Again(block, inputs, engine.records[start:])
        if again.first is not None and again.last is not None:
            self.again_at[id(again.first)] = again
            self.done_at[id(again.last)] = again
            for value in inputs.values():
                engine.hold(value)
        return outputs

    def _layers(self, block: Block, inputs: dict[str, Value], phase: Phase) -> dict[str, Value]:
        """Run the layers of a block; returns its outputs, which the caller holds."""
        values, own = dict(inputs), set[str]()
        last = {name: i for i, node in enumerate(block.nodes) for name in node.inputs}
        try:
            for i, node in enumerate(block.nodes):
                values[node.name] = self._node(node, values)
                own.add(node.name)
                for name in [name for name in own if last.get(name) == i and name not in block.gives]:
                    self.engine.release(values[name])
                    own.remove(name)
                self.books.step(node.name, phase)
        except StopHereError:
            for name in own:
                self.engine.release(values[name])
            raise
        return {name: values[name] for name in block.gives}

    def _run_again(self, again: Again, stop: Record) -> None:
        """Run a block again, which now keeps what its gradients need."""
        with self.engine.again(again.records, stop):
            for value in self._layers(again.block, again.values, "backward").values():
                self.engine.release(value)
        self.engine.forward_ends()

    def _loss(self, outputs: list[Value]) -> Value | None:
        """Sums of the outputs, and the sum of these."""
        engine, layer = self.engine, Layer(LOSS, LOSS)
        total: Value | None = None
        for output in outputs:
            one = engine.run(layer, (Call((0,), 1, ("view",)),), [output])
            engine.release(output)
            if total is not None:
                both = engine.run(layer, (Call((0, 1), 1, ("same", "same")),), [total, one])
                engine.release(total)
                engine.release(one)
                one = both
            total = one
        return total

    # ---- backward and update ----------------------------------------------------------------------

    def _backward(self, loss: Value | None) -> None:
        """The gradients of all calls, the last first."""
        books, engine, layer = self.books, self.engine, LOSS
        if loss is None or loss.record is None:
            return
        seed = engine.seed(loss)
        for record in reversed(engine.records):
            if record.layer.name != layer:
                books.step(layer, "backward")
                layer = record.layer.name
            if id(record) in self.again_at:
                self._run_again(self.again_at[id(record)], record)
            engine.backward(record)
            if id(record) in self.done_at:
                for value in self.done_at[id(record)].values.values():
                    engine.release(value)
        books.drop(seed)
        books.step(layer, "backward")

    def _update(self) -> None:
        """The optimizer's step. With master copies gradients are cast to fp32, one parameter after another or all."""
        tensors = [size for sizes in self.learning.values() for size in sizes]
        size = FULL if self.master_copies else self.itemsize
        taken = self.optimizer.update_bytes(tensors, size, self.foreach)
        if self.master_copies and self.itemsize != FULL:
            taken = taken + FULL * (sum(tensors) if self.foreach else highest(tensors))
        self.books.look(taken)
        self.books.step(UPDATE, "update")


def parse_precision(precision: str) -> tuple[str, bool]:
    """(dtype of the parameters, whether autocast is on). Raises UsageError."""
    if precision in (AUTOCAST + "bf16", AUTOCAST + "fp16"):
        return "fp32", True
    if precision.startswith(AUTOCAST):
        raise UsageError(f"unknown precision {precision}", hint=f"write {AUTOCAST}bf16 or {AUTOCAST}fp16")
    return dtype_name(precision), False


def chosen(graph: Graph, patterns: Sequence[str]) -> set[str]:
    """The layers that names, blocks or globs cover. Raises UsageError for one that covers none."""
    found: set[str] = set()
    for pattern in patterns:
        covered = {node.name for node in graph.nodes if covers(pattern, node.name)}
        if not covered:
            names = {node.name.rsplit(".", n)[0] for node in graph.nodes for n in range(node.name.count(".") + 1)}
            raise UsageError(f"no layer {pattern} in {graph.name}", hint=did_you_mean(pattern, sorted(names)))
        found |= covered
    return found


def turned(graph: Graph) -> set[str]:
    """Convolutions over permuted inputs, of kernels with channels and places that can be in another order."""
    permuted = {node.name: node.shape for node in graph.nodes if node.op.key == "permute"}
    found = set()
    for node in graph.nodes if permuted else ():
        if node.op.key == "conv" and node.inputs[0] in permuted:
            op, x = cast(Any, node.op), permuted[node.inputs[0]]
            if not (one(op.taps(x)) or one(op.fan_in(x) // op.taps(x))):
                found.add(node.name)
    return found
