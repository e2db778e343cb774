"""From the records of a forward pass to a graph: what is needed, whose parameters, which names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch

from cnncost.errors import counted
from cnncost.graph import Called, Graph, GraphBuilder, Unused
from cnncost.live.recorder import Record
from cnncost.ops.base import Free, Op
from cnncost.ops.keeping import INDICES
from cnncost.ops.seen import OPAQUE, Fed, Seen

NAMED_AT_MOST = 4


def assemble(
    model: torch.nn.Module, records: list[Record], results: list[Record], name: str, source: str | None
) -> Graph:
    """The graph of what was recorded. results: the records of what the model returned."""
    needed = live(records, results)
    builder = _Assembler(model, [record for record in records if id(record) in needed])
    for record in records:
        if record.name is not None:
            builder.graph.add_input(record.name, record.shape)
            builder.names[id(record)] = builder.unique(record.name)
        elif id(record) in needed:
            builder.add(record)
    graph = builder.graph
    notes = (*opaque_note(builder), *unused_note(model, builder.owners))
    nodes, held = tuple(graph.nodes), lifetimes(records, builder.names)
    sizes = {builder.names[id(r)]: r.itemsize for r in records if r.itemsize is not None and id(r) in builder.names}
    copied = {builder.names[id(r)]: r.copied for r in records if r.copied and id(r) in builder.names}
    facts: Any = {"held": held, "unused": unused(model, graph), "called": builder.called, "itemsizes": sizes}
    return Graph(name, graph.inputs, nodes, source, notes=notes, copied=copied, **facts)


def live(records: list[Record], results: Iterable[Record]) -> set[int]:
    """The records that do some work, or that a result or such a record takes."""
    needed = {id(record) for record in results}
    for record in reversed(records):
        if id(record) in needed or not (record.for_later or idle(record.op)):
            needed.add(id(record))
            needed.update(id(i) for i in record.inputs)
    return needed


def idle(op: Op) -> bool:
    """Whether an op does nothing by itself: a view, a tensor that the model holds, a copy."""
    if isinstance(op, Seen):
        return op.key != OPAQUE and (op.source or not (any(op.done) or op.known_macs or any(op.params)))
    return isinstance(op, Free)


def held_by_model(op: Op) -> bool:
    """Whether this is no operator but a tensor: a parameter, a buffer, a constant."""
    return isinstance(op, Seen) and op.source


class _Assembler:
    """Grows the graph record by record. owners: the layer of each parameter, by the parameter's id."""

    def __init__(self, model: torch.nn.Module, records: list[Record]) -> None:
        self.graph = GraphBuilder()
        self.names: dict[int, str] = {}
        self.owners: dict[int, str] = {}
        self.called: dict[str, Called] = {}
        self.taken: Counter[str] = Counter()
        self.tensors = {id(t): n for n, t in [*model.named_parameters(), *model.named_buffers()]}
        own = [r for r in records if not held_by_model(r.op)]
        self.in_call = Counter(r.place.call for r in own)
        self.main: dict[int, int] = {}  # of each call of a module, the first record with parameters
        for record in own:
            if record.params or isinstance(record.op, Fed):
                self.main.setdefault(record.place.call, id(record))

    def add(self, record: Record) -> None:
        """Append the node of a record."""
        op, inputs, shares = record.op, record.inputs, None
        is_parameter = isinstance(op, Seen) and op.key == "parameter"
        learned = [p.learned for p in ([record] if is_parameter else record.params) if p.learned is not None]
        owners = [self.owners.get(id(p)) for p in learned]
        if record.params and (len(set(map(bool, owners))) > 1 or not self._fits(record, learned)):
            op, inputs, owners = Fed(op, len(inputs)), (*inputs, *record.params), []
            for p in record.params:
                self._source(p)
            learned = []
        name = self.names[id(record)] = self._name(record)
        if any(owners):
            shares = owners[0]
        for parameter in learned:
            self.owners.setdefault(id(parameter), name)
        self.called[name] = Called(record.operator, record.place.by, record.place.path)
        self.graph.add(name, op, tuple(self.names[id(i)] for i in inputs), where=record.place.where, shares=shares)

    @staticmethod
    def _fits(record: Record, learned: list[torch.nn.Parameter]) -> bool:
        """Whether the op counts as many parameters as it has."""
        x = [i.shape for i in record.inputs]
        op = record.op
        return bool(op.weights(*x) + op.biases(*x) + op.other_params(*x) == sum(p.numel() for p in learned))

    def _source(self, record: Record) -> None:
        """Append the nodes of a parameter that turned out to be an input, with the views on the way to it."""
        if id(record) not in self.names:
            for i in record.inputs:
                self._source(i)
            self.add(record)

    def _name(self, record: Record) -> str:
        """A path of modules: the module's own for its only operator, or that with its parameters."""
        place = record.place
        if held_by_model(record.op) and id(record.tensor) in self.tensors:
            return self.unique(self.tensors[id(record.tensor)])
        if place.leaf and place.path and self._is_main(record):
            return self.unique(place.path)
        return self.unique(f"{place.path}.{record.op.key}" if place.path else record.op.key)

    def _is_main(self, record: Record) -> bool:
        """Whether it is what its module is there for: the only operator of the call, or the first with parameters."""
        if self.in_call[record.place.call] == 1:
            return not held_by_model(record.op)
        return self.main.get(record.place.call) == id(record)

    def unique(self, name: str) -> str:
        """The name, or the name and a number where it is taken."""
        self.taken[name] += 1
        return name if self.taken[name] == 1 else self.unique(f"{name}_{self.taken[name]}")


def lifetimes(records: list[Record], names: dict[int, str]) -> dict[str, str | None]:
    """For each layer that made a storage, the last layer that ran while the model held it; None for what it left."""
    ran: list[str] = []  # for each record, the last layer up to it
    for record in records:
        ran.append(names.get(id(record), ran[-1] if ran else ""))
    held: dict[str, str | None] = {}
    for record in records:
        if record.until is not None and record.name is None and id(record) in names:
            held[names[id(record)]] = ran[record.until] if record.until < len(records) else None
    return held


def unused(model: torch.nn.Module, builder: GraphBuilder) -> Unused:
    """What the model holds beyond what its layers count."""
    parameters: Any = sum(p.numel() for p in model.parameters())
    buffers: Any = sum(b.numel() for b in model.buffers() if b.is_floating_point())
    others: Any = sum(b.numel() * b.element_size() for b in model.buffers() if not b.is_floating_point())
    for node in builder.nodes:
        if node.shares is None:
            op, x = node.op, [builder.shapes[i] for i in node.inputs]
            parameters -= op.weights(*x) + op.biases(*x) + op.other_params(*x)
            buffers -= op.buffers(*x)
            others -= op.counters(*x) * INDICES
    return Unused(parameters, buffers, others)


def opaque_note(builder: _Assembler) -> list[str]:
    """What a reader must know of operators that count as nothing."""
    found = [node for node in builder.graph.nodes if node.op.key == OPAQUE]
    if not found:
        return []
    kinds = ", ".join(sorted({node.op.describe().removeprefix(f"{OPAQUE} ") for node in found}))
    count = "counts" if len(found) == 1 else "count"
    return [f"{counted(len(found), 'operator')} without a rule ({kinds}) {count} as nothing: the totals are too small."]


def unused_note(model: torch.nn.Module, used: dict[int, str]) -> list[str]:
    """What a reader must know of parameters that the forward pass did not use."""
    unused = {name: p for name, p in model.named_parameters() if id(p) not in used}
    if not unused:
        return []
    where = list(dict.fromkeys(name.split(".")[0] for name in unused))
    more = f" and {len(where) - NAMED_AT_MOST} more" if len(where) > NAMED_AT_MOST else ""
    total = sum(p.numel() for p in unused.values())
    return [
        f"{total:,} parameters of the model are not used, and not counted: {', '.join(where[:NAMED_AT_MOST])}{more}."
    ]
