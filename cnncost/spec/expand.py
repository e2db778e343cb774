"""A document becomes a graph: parameters get values, blocks and repeats become layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from cnncost.dims import LARGEST, Shape, is_array
from cnncost.errors import OptionError, SpecError, UsageError, Where, did_you_mean
from cnncost.graph import LAYERS_AT_MOST, Graph, GraphBuilder
from cnncost.ops import MENU, find
from cnncost.options import kind_of, spelled
from cnncost.spec.document import INPUT, Block, Document, LayerLine, fail, kind_of_value, layer_line
from cnncost.spec.expr import evaluate, holds
from cnncost.spec.marks import Item, plain

NESTED_AT_MOST = 40
STEPS_AT_MOST = 20 * LAYERS_AT_MOST


class Names:
    """What names mean at one place of a spec: parameters by value, earlier layers by shape."""

    def __init__(self, values: dict[str, Any], layers: dict[str, str], shapes: Mapping[str, Shape]) -> None:
        self.values, self.layers, self.shapes = values, layers, shapes

    def value(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        if name in self.layers:
            raise SpecError(f"{name} is a layer, not a number", hint=f"take one of its sizes: {name}.channels")
        raise SpecError(f"unknown name {name}", hint=did_you_mean(name, self.values))

    def shape(self, name: str) -> Shape:
        if name not in self.layers:
            raise SpecError(f"unknown layer {name}", hint=did_you_mean(name, self.layers))
        return self.shapes[self.layers[name]]

    def argument(self, raw: Any) -> Any:
        """The value of a parameter: strings are expressions, but a word that names nothing is itself."""
        if isinstance(raw, list):
            return [self.argument(item) for item in raw]
        if isinstance(raw, dict):
            raise SpecError("a parameter cannot be a mapping", hint="parameters are numbers, words, or lists of them")
        if not isinstance(raw, str):
            return raw
        if raw.isidentifier():
            return self.values.get(raw, raw)
        return evaluate(raw, self)


def expand(doc: Document, input: Any = None, batch: Any = 1, set: Mapping[str, Any] | None = None) -> Graph:
    """The graph of a document at the given input, batch and parameters. Raises SpecError, UsageError."""
    builder = GraphBuilder()
    values = parameter_values(doc, set or {})
    names = Names(values, {}, builder.shapes)
    for name, shape in input_shapes(doc, input, names).items():
        builder.add_input(name, (batch, *shape))
        names.layers[name] = name
    _Expansion(doc, builder, values).layers(doc.layers, "", names, next(iter(builder.inputs)))
    if not builder.nodes:
        fail("the network has no layers left", doc.layers_at, "every `if` is false or every repeat is 0")
    name = str(doc.about.get("name") or doc.source.file.rsplit("/", 1)[-1].rsplit(".", 1)[0])
    about = {**doc.about, "bundled": doc.source.bundled, "parameters": values}
    return Graph(name, builder.inputs, tuple(builder.nodes), doc.source.file, about)


def parameter_values(doc: Document, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the declared parameters, in order; overrides by name, or name.index for one entry of a list."""
    whole = {key: value for key, value in overrides.items() if "." not in key}
    parts = [(*key.split(".", 1), value) for key, value in overrides.items() if "." in key]
    for name in [*whole, *(name for name, _, _ in parts)]:
        if name not in doc.parameters:
            hint = did_you_mean(name, doc.parameters) if doc.parameters else f"{doc.source.file} declares none"
            raise UsageError(f"no parameter {name} to set", hint=hint)
    values: dict[str, Any] = {}
    names = Names(values, {}, {})
    for name, item in doc.parameters.items():
        if not name.isidentifier() or name in ("i", INPUT, "op"):
            fail(f"{name} cannot be a parameter's name", item.key_or_value_at, "use a word that expressions can name")
        try:
            default = names.argument(plain(item))
        except SpecError as e:
            e.where = e.where or item.at
            raise
        values[name] = _like(default, whole[name], name) if name in whole else default
    for name, index, value in parts:
        values[name] = _entry_set(values[name], index.split("."), value, name)
    return values


def _like(default: Any, value: Any, name: str) -> Any:
    """An override, if it is the same kind of thing as the default."""
    number = (int, float)
    same = (
        isinstance(value, bool) == isinstance(default, bool)
        and isinstance(value, str) == isinstance(default, str)
        and isinstance(value, (list, tuple)) == isinstance(default, (list, tuple))
        and value is not None
    )
    if is_array(value) and isinstance(default, number) and not isinstance(default, bool):
        return value
    if default is not None and not same:
        raise UsageError(f"cannot set {name} to {spelled(value)}: it is {spelled(default)} in the spec")
    return value


def _entry_set(values: Any, path: list[str], value: Any, name: str) -> Any:
    if not isinstance(values, list):
        raise UsageError(f"cannot set entry {path[0]} of {name}: it is {spelled(values)}, not a list")
    if not path[0].isdigit() or int(path[0]) >= len(values):
        raise UsageError(f"no entry {path[0]} of {name}", hint=f"its entries are 0 to {len(values) - 1}")
    i = int(path[0])
    new = _entry_set(values[i], path[1:], value, f"{name}.{i}") if path[1:] else _like(values[i], value, f"{name}.{i}")
    return [*values[:i], new, *values[i + 1 :]]


def input_shapes(doc: Document, given: Any, names: Names) -> dict[str, Shape]:
    """Shapes of the inputs without the batch: from `given` where there is one, else from the spec."""
    if doc.input is None and given is None:
        fail("no input", doc.layers_at, "add `input: 3x224x224`: channels x height x width, without the batch")
    declared = doc.input.value if doc.input is not None else None
    if given is None:
        assert doc.input is not None
        items = declared if isinstance(declared, dict) else {INPUT: doc.input}
        return {name: _declared_shape(item, names) for name, item in items.items()}
    several = list(declared) if isinstance(declared, dict) else [INPUT]
    given = given if isinstance(given, dict) else {several[0]: given}
    if sorted(given) != sorted(several):
        hint = f"give each by name: {' '.join(f'--input {n}=3x224x224' for n in several)}"
        raise UsageError(f"inputs {', '.join(given)} given, and the spec has {', '.join(several)}", hint=hint)
    return {name: parse_shape(given[name]) for name in several}


def parse_shape(value: Any) -> Shape:
    """3x224x224, or a sequence of sizes, as a shape without the batch. Raises UsageError."""
    sizes = value.lower().split("x") if isinstance(value, str) else value
    try:
        shape = tuple(int(n) if isinstance(n, str) else n for n in sizes)
        if not shape or any(not is_array(n) and (type(n) is not int or not 1 <= n <= LARGEST) for n in shape):
            raise ValueError
    except (TypeError, ValueError):
        raise UsageError(
            f"input {spelled(value)} is no shape",
            hint="write channels x height x width, without the batch: 3x224x224",
        ) from None
    return shape


def _declared_shape(item: Item, names: Names) -> Shape:
    value = plain(item)
    try:
        if isinstance(value, list):
            value = [names.argument(n) for n in value]
            return parse_shape([int(n) if isinstance(n, float) and n.is_integer() else n for n in value])
        if isinstance(value, int):
            value = str(value)
        return parse_shape(value)
    except UsageError as e:
        raise SpecError(e.message, hint=e.hint, where=item.at) from None
    except SpecError as e:
        e.where = e.where or item.at
        raise


class _Expansion:
    def __init__(self, doc: Document, builder: GraphBuilder, values: dict[str, Any]) -> None:
        self.builder = builder
        self.values = values  # parameters of the network, seen everywhere
        self.block_items = doc.blocks
        self.blocks: dict[str, Block] = {}
        self.lines: dict[int, dict[str, LayerLine]] = {}
        self.outputs: dict[str, str] = {}  # path of a layer or block -> node of its output
        self.spans: dict[str, tuple[int, int, tuple[str, ...]]] = {}  # path -> its nodes and inputs
        self.open: list[str] = []  # blocks being expanded
        self.steps = 0
        for name, item in doc.blocks.items():
            if name in MENU or name in ("op", "from", "if", "repeat", "reuse"):
                fail(f"block {name} has the name of an op", item.key_or_value_at, "choose another name")
            self.blocks[name] = Block(name, item)
        self.line_of(doc.layers)
        for block in self.blocks.values():
            self.line_of(block.layers)  # a slip in a block that is never used is a slip too

    def line_of(self, layers: dict[str, Item]) -> dict[str, LayerLine]:
        """The layers of the network or a block, read once."""
        lines = self.lines.get(id(layers))
        if lines is None:
            lines = {name: layer_line(name, item, self.blocks) for name, item in layers.items()}
            self.lines[id(layers)] = lines
        return lines

    def layers(self, layers: dict[str, Item], prefix: str, names: Names, above: str) -> str:
        """Expand layers in order under a path; returns the node that the last of them ends in."""
        for line in self.line_of(layers).values():
            above = self.layer(line, layers, prefix, names, above)
            names.layers[line.name] = self.outputs[prefix + line.name] = above
        return above

    def layer(self, line: LayerLine, siblings: dict[str, Item], prefix: str, names: Names, above: str) -> str:
        path = prefix + line.name
        inputs = self.inputs(line, siblings, prefix, names, above)
        if line.condition is not None and not self.truth(line.condition, names, path):
            return inputs[0]
        if line.repeat is None:
            return self.once(line, prefix, path, names, inputs)
        times = self.times(line.repeat, names, path)
        before, given, values = len(self.builder.nodes), inputs, names.values
        for i in range(times):
            # `i` is only seen by this layer's own expressions.
            inner = Names({**values, "i": i}, names.layers, names.shapes)
            out = self.once(line, prefix, f"{path}.{i}", inner, inputs)
            self.outputs[f"{path}.{i}"] = out
            inputs = (out, *inputs[1:])
            made = len(self.builder.nodes) - before
            if i == 0 and before + made * times > LAYERS_AT_MOST:
                fail(
                    f"repeat {times} makes more than {LAYERS_AT_MOST:,} layers",
                    line.repeat.at,
                    f"it repeats {made} layer{'s' * (made != 1)}",
                    path,
                )
        self.spans[path] = (before, len(self.builder.nodes), given)
        return inputs[0]

    def times(self, item: Item, names: Names, path: str) -> int:
        try:
            raw = plain(item)
            value = evaluate(raw, names) if isinstance(raw, str) else raw
        except SpecError as e:
            self.placed(e, item.at, path)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or value < 0:
            fail(f"repeat must be a whole number of at least 0, got {spelled(value)}", item.at, None, path)
        if value > LAYERS_AT_MOST:
            fail(f"repeat {value} makes more than {LAYERS_AT_MOST:,} layers", item.at, "is it a slip?", path)
        return value

    def truth(self, item: Item, names: Names, path: str) -> bool:
        raw = plain(item)
        try:
            value = holds(raw, names) if isinstance(raw, str) else raw
        except SpecError as e:
            self.placed(e, item.at, path)
        if not isinstance(value, bool):
            fail(f"if must be a condition, got {spelled(value)}", item.at, "write `if: stride != 1`", path)
        return value

    def placed(self, error: SpecError, at: Where, path: str) -> NoReturn:
        """Raise an error again with the place and the layer."""
        error.where, error.layer = error.where or at, error.layer or path
        raise error

    def inputs(
        self, line: LayerLine, siblings: dict[str, Item], prefix: str, names: Names, above: str
    ) -> tuple[str, ...]:
        """Nodes that a layer takes: the one above, or those that it names.

        A join that names one layer takes the one above too: `add: input` adds the two.
        """
        item = line.sources
        if item is None or item.value is None:
            return (above,)
        entries = item.value if isinstance(item.value, list) else [item]
        if not entries:
            fail("names no inputs", item.at, "name layers, or leave it out for the layer above", prefix + line.name)
        found = tuple(self.source(entry, line, siblings, prefix, names) for entry in entries)
        joins = line.cls is not None and line.cls.arity != (1, 1)
        return (above, *found) if joins and not isinstance(item.value, list) else found

    def source(self, item: Item, line: LayerLine, siblings: dict[str, Item], prefix: str, names: Names) -> str:
        if not isinstance(item.value, (str, int)) or isinstance(item.value, bool):
            fail(f"takes layers by name, got {kind_of_value(item.value)}", item.at, None, prefix + line.name)
        name = str(item.value)
        if name in names.layers:
            return names.layers[name]
        first = name.split(".", 1)[0]
        if "." in name and first in names.layers and prefix + name in self.outputs:
            return self.outputs[prefix + name]
        path = prefix + line.name
        if name == line.name:
            fail(f"takes itself as input: {name}", item.at, "an input is an earlier layer", path)
        if name in siblings:
            at = siblings[name].key_or_value_at
            fail(f"takes {name}, which comes later (line {at.line})", item.at, "layers run in file order", path)
        inside = [n[len(prefix) :] for n in self.outputs if n.startswith(prefix + first + ".")] if "." in name else []
        fail(f"takes unknown layer {name}", item.at, did_you_mean(name, inside or names.layers), path)

    def once(self, line: LayerLine, prefix: str, path: str, names: Names, inputs: tuple[str, ...]) -> str:
        """Expand one layer, block or reuse a single time; returns the node of its output."""
        self.steps += 1
        if self.steps > STEPS_AT_MOST:
            fail(f"expands to more than {STEPS_AT_MOST:,} steps", line.at, "blocks multiply what they hold", path)
        before = len(self.builder.nodes)
        if line.reuse is not None:
            out = self.again(line, prefix, path, inputs)
        else:
            call, cls = line.call, line.cls
            if call == "op":
                call = self.chosen(line, names, path)
                cls = find(call) if call in MENU else None
            if cls is None:
                out = self.block(line, self.blocks[call], path, names, inputs)
            else:
                out = self.builder.add(path, self.op(line, cls, names, path), inputs, line.at).name
        self.spans[path] = (before, len(self.builder.nodes), inputs)
        return out

    def chosen(self, line: LayerLine, names: Names, path: str) -> str:
        """The op or block that a parameter names: `op: act`."""
        option = line.options[""]
        try:
            call = names.argument(option.raw)
        except SpecError as e:
            self.placed(e, option.at, path)
        if call not in MENU and call not in self.blocks:
            hint = did_you_mean(str(call), [*self.blocks, *MENU])
            fail(f"op {spelled(call)} is neither an op nor a block", option.at, hint, path)
        return str(call)

    def op(self, line: LayerLine, cls: Any, names: Names, path: str) -> Any:
        """The op of a layer with its options computed; equal options give the same object."""
        values = {}
        for key, option in line.options.items():
            if line.call == "op" and key == "":
                continue
            if option.constant and line.ops:
                values[key] = line.ops["constants"][key]
                continue
            if key not in cls.options:
                fail(f"{cls.key} has no option {key}", option.at, did_you_mean(key, cls.options), path)
            kind = kind_of(cls.options[key].type, cls.__module__)
            try:
                values[key] = kind.read(option.raw, lambda text: evaluate(text, names))
            except SpecError as e:
                self.placed(e, option.at, path)
        if not line.ops:
            line.ops["constants"] = values
        key_of = (cls, *values.values())
        try:
            if key_of in line.ops:
                return line.ops[key_of]
        except TypeError:  # arrays have no hash
            key_of = None  # type: ignore[assignment]
        try:
            op = cls(**values)
        except OptionError as e:
            at = line.options[e.option].at if e.option in line.options else line.at
            self.placed(e, at, path)
        if key_of is not None:
            line.ops[key_of] = op
        return op

    def block(self, line: LayerLine, block: Block, path: str, names: Names, inputs: tuple[str, ...]) -> str:
        if block.name in self.open:
            circle = " -> ".join([*self.open[self.open.index(block.name) :], block.name])
            fail(f"block {block.name} contains itself: {circle}", line.at, "use repeat for a chain of blocks", path)
        if len(self.open) >= NESTED_AT_MOST:
            fail(f"blocks nested more than {NESTED_AT_MOST} deep", line.at, None, path)
        if len(inputs) != len(block.inputs):
            fail(
                f"block {block.name} takes {len(block.inputs)} inputs ({', '.join(block.inputs)}), got {len(inputs)}",
                line.sources.at if line.sources else line.at,
                f"name them: from: [{', '.join(block.inputs)}]",
                path,
            )
        inside = dict(zip(block.inputs, inputs))
        local = Names(self.arguments(line, block, names, inside, path), inside, names.shapes)
        self.open.append(block.name)
        out = self.layers(block.layers, path + ".", local, inputs[0])
        self.open.pop()
        return out

    def arguments(
        self, line: LayerLine, block: Block, names: Names, inside: dict[str, str], path: str
    ) -> dict[str, Any]:
        """Values of a block's parameters for one call; the network's own parameters are seen as well."""
        options = dict(line.options)
        positional = options.pop("", None)
        order = list(block.parameters)
        given: dict[str, Any] = {}
        try:
            if positional is not None and line.call != "op":
                at = positional.at
                raws = positional.raw if isinstance(positional.raw, list) else [positional.raw]
                if len(raws) > len(order):
                    fail(f"{block.name} takes {len(order)} values, got {len(raws)}", at, signature(block), path)
                given = {name: names.argument(raw) for name, raw in zip(order, raws)}
            for key, option in options.items():
                at = option.at
                if key not in block.parameters:
                    fail(f"{block.name} has no parameter {key}", at, signature(block), path)
                if key in given:
                    fail(f"{key} is given twice", at, signature(block), path)
                given[key] = names.argument(option.raw)
        except SpecError as e:
            self.placed(e, at, path)
        values = {**self.values, **given}
        local = Names(values, inside, names.shapes)
        for name, default in block.parameters.items():
            if name in given:
                continue
            if default is None:
                fail(f"{block.name} needs {name}", line.at, signature(block), path)
            try:
                values[name] = local.argument(plain(default))
            except SpecError as e:
                self.placed(e, default.at, path)
        return values

    def again(self, line: LayerLine, prefix: str, path: str, inputs: tuple[str, ...]) -> str:
        """Earlier layers a second time, on other inputs, with the same parameters."""
        assert line.reuse is not None
        name = str(line.reuse.value)
        whole = prefix + name
        if whole not in self.spans:
            known = [p[len(prefix) :] for p in self.spans if p.startswith(prefix)]
            fail(f"reuses unknown layer {name}", line.reuse.at, did_you_mean(name, known), path)
        start, end, outer = self.spans[whole]
        renamed = dict(zip(outer, inputs))
        if len(outer) != len(inputs):
            fail(f"{name} takes {len(outer)} inputs, got {len(inputs)}", line.at, None, path)
        for node in self.builder.nodes[start:end]:
            taken = tuple(renamed.get(n, n) for n in node.inputs)
            new = self.builder.add(
                path + node.name[len(whole) :], node.op, taken, line.at, shares=node.shares or node.name
            )
            renamed[node.name] = new.name
            was, now = ([self.builder.shapes[n] for n in names] for names in (node.inputs, taken))
            if (node.op.weights(*was), node.op.other_params(*was)) != (
                node.op.weights(*now),
                node.op.other_params(*now),
            ):
                fail(
                    f"cannot reuse {name}: its parameters do not fit this input",
                    line.at,
                    "give it equal channels",
                    path,
                )
        return renamed[self.outputs[whole]]


def signature(block: Block) -> str:
    """How a block is called, for hints."""
    parts = [
        name if default is None else f"{name}: {spelled(plain(default))}" for name, default in block.parameters.items()
    ]
    return f"{block.name} takes {', '.join(parts) or 'no parameters'}"
