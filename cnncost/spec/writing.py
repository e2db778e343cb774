"""A graph as a spec of the language: what `load` makes of the text has the same layers, sizes and costs.

The layers are those of the graph at its own input sizes, in the same order and on the same wires;
names are kept where the language takes them. Groups of layers that are alike are written once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from cnncost.errors import UsageError
from cnncost.graph import Graph, Node
from cnncost.ops import MENU, find
from cnncost.options import spelled
from cnncost.spec import flow
from cnncost.spec.document import ABOUT, INPUT
from cnncost.spec.folding import Address, Body, Column, Folding, found
from cnncost.spec.lines import RESERVED
from cnncost.spec.naming import NAME_AT_MOST, Unique, block_name, legal, line_names
from cnncost.spec.outline import Unit, is_number, outline, settings

CHANNELS = "channels"
"""The kind of all options that count channels."""
COUNTING_CHANNELS = ("out", "groups")
COUNT = "n"
"""What the parameter for a number of repeats is called."""


def to_yaml(graph: Graph) -> str:
    """The text of a spec for a graph.

    Raises UsageError for what the language cannot say: sizes that are arrays, inputs of different
    batches, operators that the language has no layer for, a layer that has another one's parameters
    but other options.
    """
    _check(graph)
    return _Writer(graph).document()


def _check(graph: Graph) -> None:
    if any(type(n) is not int for shape in graph.shapes.values() for n in shape):
        raise UsageError("a graph over arrays is no one network", hint="load it at one design point")
    batches = {shape[0] for shape in graph.inputs.values()}
    if len(batches) > 1 or any(len(shape) < 2 for shape in graph.inputs.values()):
        shapes = ", ".join("x".join(map(str, shape)) for shape in graph.inputs.values())
        raise UsageError(
            f"inputs of {shapes}: a spec's inputs have one batch, and sizes after it",
            hint="give every input the same first size",
        )
    nodes = {node.name: node for node in graph}
    for node in graph:
        if node.op.key not in MENU or find(node.op.key) is not type(node.op):
            raise UsageError(
                f"layer {spelled(node.name)}: the language has no layer for this {spelled(node.op.key)}",
                hint="cnncost report prices the model as it is",
            )
        if node.shares is not None and nodes[node.shares].op != node.op:
            raise UsageError(
                f"layer {spelled(node.name)} has the parameters of {spelled(node.shares)}, but is another layer: "
                f"{nodes[node.shares].op!r} and {node.op!r}",
                hint="a spec reuses whole layers",
            )


class Parameter(NamedTuple):
    """A parameter of a block: its name, the first column that it stands for, its default."""

    name: str
    column: Column
    default: Any = None


class _Writer:
    """Blocks, then the network, from the folded graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.folding = Folding(outline(graph))
        names = Unique([])
        several = len(graph.inputs) > 1
        self.inputs = [names.new(legal(name)) for name in graph.inputs] if several else [INPUT]
        self.block_names: dict[int, str] = {}
        self.parameters: dict[int, list[Parameter]] = {}
        self.said: dict[tuple[int, Column], str] = {}
        self.line_names: dict[int, dict[Address, str]] = {}
        self.sources: dict[int, list[str]] = {}
        taken = Unique([*MENU, *RESERVED])
        for key, body in self.folding.bodies.items():
            self.name_lines(key, body)
            if key != self.folding.root.key:
                self.block_names[key] = taken.new(block_name(body.units))
            self.parametrise(key, body)

    # ---- names --------------------------------------------------------------------------------

    def name_lines(self, key: int, body: Body) -> None:
        """Names of a body's lines, and of its inputs."""
        names = Unique(self.inputs if key == self.folding.root.key else [INPUT])
        self.line_names[key] = line_names(body.paths, names)
        if key == self.folding.root.key:
            self.sources[key] = self.inputs
        else:
            several = len(body.unit.inputs) > 1
            self.sources[key] = [names.new(f"x{i}") for i, _ in enumerate(body.unit.inputs, 1)] if several else [INPUT]

    def source(self, key: int, unit: Unit, i: int) -> str:
        """What layer i is called in the body that `unit` is written as."""
        if not unit.start <= i < unit.end:
            return self.sources[key][-1 - i if key == self.folding.root.key else unit.inputs.index(i)]
        line: Address = ()
        inner = unit
        while True:
            n, k = found(inner, i)
            line, run = (*line, n), inner.lines[n]
            inner = run[k]
            if line in self.line_names[key]:
                break
        name = self.line_names[key][line]
        if i == run[-1].output:
            return name
        if self.folding.bodies[key].repeated(line):
            name = f"{name}.{k}"
        return name if i == inner.output else f"{name}.{self.source(inner.key, inner, i)}"

    # ---- parameters ---------------------------------------------------------------------------

    def parametrise(self, key: int, body: Body) -> None:
        """Find a body's parameters, and what each of its columns says: a number, a parameter, an expression."""
        known: dict[tuple[str, tuple[Any, ...]], str] = {}
        made: list[tuple[Column, tuple[Any, ...], str]] = []
        columns = list(self.columns(body))
        table = {column: tuple(unit.values[column.place] for unit in body.units) for column in columns}
        names = self.parameter_names(key, [c for c in columns if len(set(table[c])) > 1], table)
        for column in columns:
            values = table[column]
            if len(set(values)) == 1:
                said = flow.value(values[0])
            elif column.kind == CHANNELS and values == tuple(self.channels(unit) for unit in body.units):
                said = f"{self.sources[key][0]}.channels"
            elif (column.kind, values) in known:
                said = known[column.kind, values]
            else:
                half = self.half_kernel(key, column, columns, table)
                said = half or names[column]
                if half is None:
                    made.append((column, values, said))
                known[column.kind, values] = said
            self.said[key, column] = said
        self.parameters[key] = _with_defaults(made)

    def columns(self, body: Body) -> Iterable[Column]:
        """The numbers that a body's lines are written with."""
        for line, run in body.lines.items():
            first = body.first_value(line)
            unit = run[0]
            if unit.node is not None and unit.owner is None:
                numbers = [name for name, v in settings(unit.node).items() if is_number(v)]
                for i, name in enumerate(numbers):
                    yield Column(line, name, first + i, CHANNELS if name in COUNTING_CHANNELS else name)
            for parameter in self.parameters.get(unit.key, ()):
                yield Column(line, parameter.name, first + parameter.column.place, parameter.column.kind)
            if unit.parts and body.repeated(line):
                yield Column(line, COUNT, first + len(unit.values), COUNT)

    def parameter_names(
        self, key: int, columns: list[Column], table: dict[Column, tuple[Any, ...]]
    ) -> dict[Column, str]:
        """A name for each column, should it become a parameter: what it sets, with the line where several do."""
        distinct: dict[str, set[tuple[Any, ...]]] = {}
        for column in columns:
            distinct.setdefault(column.sets, set()).add(table[column])
        names, result = Unique(RESERVED), {}
        first: dict[tuple[str, tuple[Any, ...]], str] = {}
        for column in columns:
            if (column.sets, table[column]) not in first:
                line = re.sub(r"\W", "_", self.line_names[key][column.line], flags=re.ASCII)
                alone = len(distinct[column.sets]) == 1
                wish = column.sets if alone else f"{column.sets}_{line}"
                first[column.sets, table[column]] = names.new(wish[:NAME_AT_MOST])
            result[column] = first[column.sets, table[column]]
        return result

    def channels(self, unit: Unit) -> int | None:
        """Channels of what a unit takes first."""
        i = unit.inputs[0]
        shape = self.graph.nodes[i].shape if i >= 0 else list(self.graph.inputs.values())[-1 - i]
        return int(shape[1]) if len(shape) > 1 else None

    def half_kernel(
        self, key: int, column: Column, columns: list[Column], table: dict[Column, tuple[Any, ...]]
    ) -> str | None:
        """`kernel // 2` for a padding that always is that."""
        if column.sets != "padding":
            return None
        kernel = next((c for c in columns if (c.line, c.sets) == (column.line, "kernel")), None)
        if kernel is None or (key, kernel) not in self.said:
            return None
        pairs = list(zip(table[kernel], table[column]))
        half = all(type(k) is int and type(p) is int and k // 2 == p for k, p in pairs)
        return f"{self.said[key, kernel]} // 2" if half else None

    # ---- text ---------------------------------------------------------------------------------

    def document(self) -> str:
        """The whole spec."""
        about = {"name": self.graph.name, **self.graph.about}
        header = [
            flow.line(0, key, str(about[key]) if key == "year" else flow.text(str(about[key]), len(key) + 2))
            for key in ABOUT
            if about.get(key) is not None
        ]
        shapes = ["x".join(map(str, shape[1:])) for shape in self.graph.inputs.values()]
        several = flow.mapping(f"{flow.name(name)}: {shape}" for name, shape in zip(self.inputs, shapes))
        given = shapes[0] if self.inputs == [INPUT] else several
        parts = ["\n".join(header), flow.line(0, "input", given)]
        root = self.folding.root.key
        blocks = [row for key in self.folding.blocks for row in self.block(key)]
        if blocks:
            parts.append("\n".join(["blocks:", *blocks]))
        parts.append("\n".join(["layers:", *self.lines(root, 2)]))
        return "\n\n".join(parts) + "\n"

    def block(self, key: int) -> list[str]:
        rows = [f"  {flow.name(self.block_names[key])}:"]
        if len(self.sources[key]) > 1:
            rows.append(flow.line(4, "inputs", flow.sequence(map(flow.name, self.sources[key]))))
        if self.parameters[key]:
            listed = (p.name if p.default is None else f"{p.name}: {flow.value(p.default)}"
                      for p in self.parameters[key])  # fmt: skip
            rows.append(flow.line(4, "parameters", flow.sequence(listed)))
        return [*rows, "    layers:", *self.lines(key, 6)]

    def lines(self, key: int, indent: int) -> Iterable[str]:
        """A body's layers, one a line."""
        body = self.folding.bodies[key]
        columns: dict[Address, dict[str, str]] = {}
        for column in self.columns(body):
            columns.setdefault(column.line, {})[column.sets] = self.said[key, column]
        above = body.unit.inputs[0] if key != self.folding.root.key else -1
        for line, run in body.lines.items():
            unit = run[0]
            said = columns.get(line, {})
            inputs = [flow.name(self.source(key, body.unit, i)) for i in unit.inputs]
            alone = unit.inputs == (above,)
            call = self.call(key, body, unit, said, [] if alone else inputs)
            if body.repeated(line):
                call.append(f"repeat: {said[COUNT]}")
            text = call[0] if len(call) == 1 and ":" not in call[0] else flow.mapping(call)
            yield flow.line(indent, flow.name(self.line_names[key][line]), text)
            above = run[-1].output

    def call(self, key: int, body: Body, unit: Unit, said: dict[str, str], inputs: list[str]) -> list[str]:
        """What stands in a line's braces: the op or block, options, and inputs where they are not the line above."""
        named = [f"from: {inputs[0] if len(inputs) == 1 else flow.sequence(inputs)}"] if inputs else []
        if unit.owner is not None:
            return [f"reuse: {flow.name(self.source(key, body.unit, unit.owner))}", *named]
        if unit.parts:
            return [*self.block_call(unit.key, said), *named]
        assert unit.node is not None
        op, options = unit.node.op, _options(unit.node, said)
        if op.main is None and op.arity != (1, 1):
            inputs = inputs or [flow.name(self.source(key, body.unit, i)) for i in unit.inputs]
            return [f"{op.key}: {flow.sequence(inputs)}", *(f"{k}: {v}" for k, v in options.items())]
        main = options.pop(op.main, None) if op.main else None
        first = op.key if main is None else f"{op.key}: {main}"
        return [first, *(f"{k}: {v}" for k, v in options.items()), *named]

    def block_call(self, key: int, said: dict[str, str]) -> list[str]:
        """A block with its arguments: in order those that it needs, by name those that are not its defaults."""
        name = flow.name(self.block_names[key])
        needed = [said[p.name] for p in self.parameters[key] if p.default is None]
        named = [f"{p.name}: {said[p.name]}" for p in self.parameters[key]
                 if p.default is not None and said[p.name] != flow.value(p.default)]  # fmt: skip
        if not needed:
            return [name, *named]
        bare = len(needed) == 1 and not needed[0].startswith("[")
        return [f"{name}: {needed[0] if bare else flow.sequence(needed)}", *named]


def _options(node: Node, said: dict[str, str]) -> dict[str, str]:
    """The options of a layer that are not the default, in the order of the op."""
    result = {}
    for name, value in settings(node).items():
        default = node.op.options[name].default
        text = said.get(name, flow.value(value))
        if text != flow.value(value) or value != default:
            result[name] = text
    return result


def _with_defaults(made: list[tuple[Column, tuple[Any, ...], str]]) -> list[Parameter]:
    """Parameters in the order of the lines; last those that mostly have one value, which is their default."""
    needed, optional = [], []
    for column, values, name in made:
        value, times = Counter(values).most_common(1)[0]
        common = 2 * times > len(values) and not isinstance(value, tuple)
        if common and column.kind not in (CHANNELS, COUNT):
            optional.append(Parameter(name, column, value))
        else:
            needed.append(Parameter(name, column))
    return [*needed, *optional]
