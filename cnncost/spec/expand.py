"""A document becomes a graph: parameters get values, blocks and repeats become layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Optional

from cnncost.dims import Shape, is_array, noted, placed_since, refused, reworded, shown
from cnncost.errors import SpecError, counted, did_you_mean
from cnncost.graph import LAYERS_AT_MOST, Graph, GraphBuilder, Node
from cnncost.ops import MENU, find, unknown_op_hint
from cnncost.options import spelled
from cnncost.spec.document import Document, fail, kind_of_value, placed
from cnncost.spec.expr import holds
from cnncost.spec.lines import Block, Line, OpCall, layer_line
from cnncost.spec.marks import Item, plain
from cnncost.spec.names import Names, all_used, input_shapes, parameter_values
from cnncost.spec.spans import Span, Spans

NESTED_AT_MOST = 40
PATH_AT_MOST = 300
STEPS_AT_MOST = 2 * LAYERS_AT_MOST
"""Lines expanded in all: blocks and repeats cost time even where every `if` in them is false."""

REPEAT_HINT = "look for a repeat that is too large, or blocks that multiply each other"

Inputs = tuple[str, ...]
Add = Callable[[Node, str, Inputs, Optional[str]], object]
"""Adds a node like an earlier one: under a name, on inputs, with the parameters of a layer or its own."""


class _Level(NamedTuple):
    """Where lines are expanded: their siblings by name, the path of the block around them, what names mean."""

    lines: dict[str, Line]
    prefix: str
    names: Names


def name_of(doc: Document) -> str:
    """What a network is called."""
    return str(doc.about.get("name") or doc.source.file.rsplit("/", 1)[-1].rsplit(".", 1)[0])


def expand(doc: Document, input: Any = None, batch: Any = 1, set: Mapping[str, Any] | None = None) -> Graph:
    """The graph of a document at the given input, batch and parameters. Raises SpecError, UsageError."""
    builder = GraphBuilder()
    values = parameter_values(doc, {} if set is None else set)
    names = Names(values, {}, builder.shapes)
    for name, shape in input_shapes(doc, input, names).items():
        try:
            builder.add_input(name, (batch, *shape))
        except SpecError as e:
            e.where = doc.input.at if doc.input is not None and input is None else None
            raise
        names.layers[name] = name
        if name in doc.layers:
            fail(f"layer {name} has the name of an input", doc.layers[name].key_or_value_at, "rename the layer")
    blocks = {name: Block(name, item) for name, item in doc.blocks.items()}
    lines = {name: layer_line(name, item, blocks) for name, item in doc.layers.items()}
    _Expansion(blocks, builder, values).lines(_Level(lines, "", names), next(iter(builder.inputs)))
    if not builder.nodes:
        fail("the network has no layers left", doc.layers_at, "every `if` is false or every repeat is 0")
    all_used(values)
    about = {**doc.about, "bundled": doc.source.bundled, "parameters": values}
    return Graph(name_of(doc), builder.inputs, tuple(builder.nodes), doc.source.file, about, doc.facts)


class _Expansion:
    """Walks the lines in order and grows the graph. A path is a layer's name behind those of its blocks."""

    def __init__(self, blocks: dict[str, Block], builder: GraphBuilder, values: dict[str, Any]) -> None:
        self.builder = builder
        self.values = values  # parameters of the network, seen everywhere
        self.blocks = blocks
        self.inner = {  # a slip in a block that is never used is a slip too, so all are read
            name: {line: layer_line(line, item, blocks, name) for line, item in block.layers.items()}
            for name, block in blocks.items()
        }
        self.bound: dict[tuple[int, str], dict[str, Any]] = {}  # arguments by line and block
        self.calls: dict[tuple[Any, ...] | None, str] = {}  # path of the first of all equal block calls
        self.spans = Spans()
        self.open: list[str] = []  # blocks being expanded
        self.steps = 0

    def lines(self, level: _Level, above: str) -> str:
        """Expand lines in order; returns the node that the last of them ends in."""
        lines, prefix, names = level
        for line in lines.values():
            path = prefix + line.name
            self.step(line, path)
            inputs = (above,) if line.sources is None else self.inputs(line, level, above)
            if line.condition is not None and not self.truth(line.condition, names, path):
                start, above = len(self.builder.nodes), inputs[0]
                self.spans[path] = Span(start, start, above, inputs)
            elif line.repeat is not None:
                above = self.repeat(line, path, level, inputs)
            else:
                above = self.once(line, path, level, inputs)
            names.layers[line.name] = above
        return above

    def step(self, line: Line, path: str) -> None:
        """Count a line that is expanded."""
        self.steps += 1
        if self.steps > STEPS_AT_MOST:
            fail(f"blocks and repeats expand to more than {STEPS_AT_MOST:,} lines", line.at, REPEAT_HINT, path)

    def once(self, line: Line, path: str, level: _Level, inputs: Inputs) -> str:
        """Expand one layer, block or reuse a single time; returns the node of its output."""
        start = len(self.builder.nodes)
        if line.reuse is not None:
            out = self.again(line, path, level, inputs)
        else:
            call = line.op or self.called(line, level.names, path)
            if isinstance(call, Block):
                out = self.block(line, call, path, level.names, inputs)
            else:
                op = call.op or call.at_layer(level.names.evaluate, path)
                out = self.builder.add(path, op, inputs, where=line.at).name
        self.spans[path] = Span(start, len(self.builder.nodes), out, inputs)
        return out

    def repeat(self, line: Line, path: str, level: _Level, inputs: Inputs) -> str:
        """Expand a line several times in a chain; `i` counts them in the line's own expressions."""
        assert line.repeat is not None
        names = level.names
        times = self.times(line.repeat, names, path)
        start, given = len(self.builder.nodes), inputs
        for i in range(times):
            self.step(line, path)
            inner = Names({**names.values, "i": i}, names.layers, names.shapes)
            inputs = (self.once(line, f"{path}.{i}", level._replace(names=inner), inputs), *inputs[1:])
            made = len(self.builder.nodes) - start
            if i == 0 and start + made * times > LAYERS_AT_MOST:
                message = f"repeat {times} makes more than {LAYERS_AT_MOST:,} layers"
                fail(message, line.repeat.at, f"it repeats {counted(made, 'layer')}", path)
        self.spans[path] = Span(start, len(self.builder.nodes), inputs[0], given)
        return inputs[0]

    def times(self, item: Item, names: Names, path: str) -> int:
        raw = plain(item)
        try:
            value = names.evaluate(raw) if isinstance(raw, str) else raw
        except SpecError as e:
            placed(e, item.at, path)
        if isinstance(raw, str) and isinstance(value, float) and value.is_integer():
            value = int(value)
        if is_array(value):
            hint = "vary the number of layers one value at a time"
            fail("repeat differs between design points", item.at, hint, path)
        if type(value) is not int or value < 0:
            message = f"repeat must be a whole number of at least 0, got {kind_of_value(value)}"
            fail(message, item.at, "write `repeat: 3`, or an expression over parameters", path)
        if value > LAYERS_AT_MOST:
            fail(f"repeat {spelled(value)} makes more than {LAYERS_AT_MOST:,} layers", item.at, REPEAT_HINT, path)
        return value

    def truth(self, item: Item, names: Names, path: str) -> bool:
        raw = plain(item)
        try:
            value = holds(raw, names) if isinstance(raw, str) else raw
        except SpecError as e:
            placed(e, item.at, path)
        if not isinstance(value, bool):
            fail(f"if must be a condition, got {kind_of_value(value)}", item.at, "write `if: stride != 1`", path)
        return value

    def inputs(self, line: Line, level: _Level, above: str) -> Inputs:
        """Nodes that a line takes: the one above, or those that it names.

        A join that names one layer takes the one above too: `add: input` adds the two.
        """
        item = line.sources
        if item is None or item.value is None:
            return (above,)
        if not isinstance(item.value, list):
            found = self.source(item, line, level)
            joins = line.op is not None and line.op.cls.arity != (1, 1)
            if joins and found == above:
                hint = f"one name means the layer above and that one; name two: {{{line.call}: [a, b]}}"
                fail(f"{line.call} of {spelled(item.value)} with itself", item.at, hint, level.prefix + line.name)
            return (above, found) if joins else (found,)
        if not item.value:
            hint = "name layers, or leave it out for the layer above"
            fail("names no inputs", item.at, hint, level.prefix + line.name)
        return tuple(self.source(entry, line, level) for entry in item.value)

    def source(self, item: Item, line: Line, level: _Level) -> str:
        """The node of a layer that a line names."""
        _, prefix, names = level
        path = prefix + line.name
        if not isinstance(item.value, (str, int)) or isinstance(item.value, bool):
            hint = "write names of earlier layers, in quotes where YAML reads them otherwise"
            fail(f"takes layers by name, got {kind_of_value(item.value)}", item.at, hint, path)
        name = str(item.value)
        if name in names.layers:
            return names.layers[name]
        span = self.spans.get(prefix + name)
        if span is not None:
            return span.output
        self.unknown("takes", name, item, line, level)
        inside = [p[len(prefix) :] for p in self.spans.beside(prefix + name)] if "." in name else []
        known = inside or names.layers
        fail(f"takes unknown layer {spelled(name)}", item.at, did_you_mean(name, known), path)

    def unknown(self, verb: str, name: str, item: Item, line: Line, level: _Level) -> None:
        """Raise SpecError where a name that is not known yet is the line's own, or of a later one."""
        path = level.prefix + line.name
        if name == line.name:
            fail(f"{verb} itself: {name}", item.at, "name an earlier layer", path)
        if name in level.lines:
            later = level.lines[name].at
            message = f"{verb} {name}, which comes later, at line {later.line}"
            fail(message, item.at, "layers run in file order: move one of the two", path)

    def called(self, line: Line, names: Names, path: str) -> OpCall | Block:
        """The block that a line names, or the op or block that a parameter names: `op: act`."""
        if line.call != "op":
            return self.blocks[line.call]
        option = line.arguments[""]
        try:
            call = names.argument(option.raw)
        except SpecError as e:
            placed(e, option.at, path)
        if isinstance(call, str) and call in self.blocks:
            return self.blocks[call]
        if not isinstance(call, str) or call not in MENU:
            near = did_you_mean(str(call), names.values)
            hint = near if near.startswith("did") else unknown_op_hint(str(call), self.blocks)
            fail(f"op {spelled(call)} is neither an op nor a block", option.at, hint, path)
        if call not in line.chosen:
            options = {key: value for key, value in line.arguments.items() if key}
            line.chosen[call] = OpCall(find(call), options, line.at, path)
        return line.chosen[call]

    def block(self, line: Line, block: Block, path: str, names: Names, inputs: Inputs) -> str:
        if block.name in self.open:
            circle = " -> ".join([*self.open[self.open.index(block.name) :], block.name])
            fail(f"block {block.name} contains itself: {circle}", line.at, "for a chain of blocks use repeat", path)
        if len(self.open) >= NESTED_AT_MOST:
            fail(f"blocks nested more than {NESTED_AT_MOST} deep", line.at, "for a chain of blocks use repeat", path)
        if len(path) > PATH_AT_MOST:
            fail(f"a path of more than {PATH_AT_MOST} characters", line.at, "use shorter names, or fewer blocks", path)
        if len(inputs) != len(block.inputs):
            wants = f"{counted(len(block.inputs), 'input')} ({', '.join(block.inputs)})"
            hint = f"name them in order, from: [{', '.join(block.inputs)}]"
            at = line.sources.at if line.sources else line.at
            fail(f"block {block.name} takes {wants}, got {len(inputs)}", at, hint, path)
        inside = dict(zip(block.inputs, inputs))
        local = Names(self.arguments(line, block, names, inside, path), inside, names.shapes)
        same = self.same_call(block, local.values, inputs)
        if same in self.calls:
            return self.replay(self.calls[same], path, inputs, self.builder.add_copy)
        self.open.append(block.name)
        out = self.lines(_Level(self.inner[block.name], path + ".", local), inputs[0])
        self.open.pop()
        if same is not None:
            self.calls[same] = path
        return out

    def same_call(self, block: Block, values: dict[str, Any], inputs: Inputs) -> tuple[Any, ...] | None:
        """All that the expansion of a block depends on: calls that agree in it give the same layers."""
        arguments = tuple([(type(values[name]), values[name]) for name in block.parameters])
        taken = tuple([(self.builder.shapes[name], inputs.index(name)) for name in inputs])
        try:
            hash(key := (block.name, arguments, taken))
        except TypeError:  # lists and arrays have no hash
            return None
        return key

    def arguments(self, line: Line, block: Block, names: Names, inside: dict[str, str], path: str) -> dict[str, Any]:
        """Values of a block's parameters for one call; the network's own parameters are seen as well."""
        bound = self.bound.get((id(line), block.name))
        if bound is None:
            bound = self.bound[id(line), block.name] = block.bind(line, path)
        at, before = line.at, noted()
        try:
            given = {}
            for name, option in bound.items():
                at = option.at
                given[name] = names.argument(option.raw)
            values = {**self.values, **given}
            local = Names(values, inside, names.shapes)
            for name, default in block.parameters.items():
                if default is not None and name not in given:
                    at = default.at
                    values[name] = local.argument(plain(default))
        except SpecError as e:
            placed(e, at, path)
        placed_since(before, line.at, path)
        return values

    def again(self, line: Line, path: str, level: _Level, inputs: Inputs) -> str:
        """Earlier layers a second time, on other inputs, with the same parameters."""
        item, prefix = line.reuse, level.prefix
        assert item is not None
        if not isinstance(item.value, (str, int)) or isinstance(item.value, bool):
            message = f"reuse takes a layer's name, got {kind_of_value(item.value)}"
            fail(message, item.at, "name one earlier layer", path)
        name = str(item.value)
        whole = prefix + name
        span = self.spans.get(whole)
        if span is None:
            self.unknown("reuses", name, item, line, level)
            inside = [p[len(prefix) :] for p in self.spans.beside(whole)] if "." in name else []
            known = inside or [n for n in level.lines if n in level.names.layers]
            fail(f"reuses unknown layer {spelled(name)}", item.at, did_you_mean(name, known), path)
        before = span.inputs
        if len(before) != len(inputs):
            hint = f"it took {', '.join(before)} before"
            fail(f"{name} takes {counted(len(before), 'input')}, got {len(inputs)}", line.at, hint, path)
        if list(map(before.index, before)) != list(map(inputs.index, inputs)) and len(set(before)) < len(before):
            fail(f"cannot reuse {name}: it took one layer as several inputs", line.at, "give it one layer too", path)

        def add(node: Node, new: str, taken: Inputs, _: str | None) -> None:
            again = self.builder.add(new, node.op, taken, where=line.at, shares=node.shares or node.name)
            self.same_parameters(node, again, name, item)

        return self.replay(whole, path, inputs, add)

    def replay(self, source: str, path: str, inputs: Inputs, add: Add) -> str:
        """The layers under one path once more under another, on other inputs; returns the node of the output."""
        span, cut = self.spans.get(source), len(source)
        assert span is not None
        renamed: dict[str, str] = dict(zip(span.inputs, inputs))
        for node in self.builder.nodes[span.start : span.end]:
            new = path + node.name[cut:]
            shares = renamed.get(node.shares, node.shares) if node.shares else None
            add(node, new, tuple([renamed.get(n, n) for n in node.inputs]), shares)
            renamed[node.name] = new
        self.spans.copied(source, path)
        return renamed.get(span.output, span.output)

    def same_parameters(self, first: Node, second: Node, name: str, item: Item) -> None:
        """Raise SpecError where parameters made for one input do not fit another."""
        was, now = (tuple(self.builder.shapes[n] for n in node.inputs) for node in (first, second))
        op = first.op

        def misfit(*inputs: tuple[Shape, ...]) -> None:
            shapes = (" and ".join(str(shown(shape)) for shape in each) for each in inputs)
            message = "cannot reuse {}: the parameters of {} are for an input of {}, not {}"
            hint = "what its parameters depend on must be the same: channels, for most layers"
            fail(message.format(name, first.name, *shapes), item.at, hint, second.name)

        for made, given in zip(op.fitted_to(*was), op.fitted_to(*now)):
            fits: Any = made == given
            if not (fits.all() if is_array(fits) else fits):
                before = noted()
                if not refused(fits, SpecError("")):
                    misfit(was, now)
                reworded(before, lambda at: misfit(at(was), at(now)))
