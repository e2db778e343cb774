"""Receptive fields of whole networks: what gradients show is never outside of them, and exact where strides agree."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import cnncost
from cnncost.analysis.receptive import ReceptiveField, receptive_fields
from cnncost.graph import Graph, GraphBuilder
from cnncost.ops import find

Place = tuple[int, ...]
Span = tuple[int, int]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors are tiny: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Graph]:
    def from_text(text: str) -> Graph:
        path = tmp_path / "net.yaml"
        path.write_text(text)
        return cnncost.load(str(path))

    return from_text


def an_image(graph: Graph) -> torch.Tensor:
    (shape,) = graph.inputs.values()
    return torch.rand(shape, dtype=torch.float64, requires_grad=True)


def run_positive(graph: Graph, image: torch.Tensor) -> dict[str, torch.Tensor]:
    """Outputs of all layers with all parameters above zero, so that no gradient cancels.

    Weights are small enough for outputs near 1, where no sigmoid is flat.
    """
    values = dict.fromkeys(graph.inputs, image)
    for node in graph:
        module = node.op.module(torch, *(graph.shapes[i] for i in node.inputs)).eval().double()
        for parameter in module.parameters():
            torch.nn.init.uniform_(parameter, 0.5, 1.0)
            if parameter.ndim > 1:
                parameter.data /= parameter[0].numel()
        values[node.name] = module(*(values[i] for i in node.inputs))
    return values


def seen(output: torch.Tensor, image: torch.Tensor, place: Place) -> list[Span]:
    """First and last input position along each axis with a gradient from an output at a place; [] if there is none."""
    (gradient,) = torch.autograd.grad(output[(0, slice(None), *place)].sum(), image, retain_graph=True)
    used = gradient[0].sum(0) != 0
    return [(int(i.min()), int(i.max())) for i in used.nonzero(as_tuple=True)] if used.any() else []


def check(field: ReceptiveField, axis: int, place: int, span: Span, n: int, exact: bool = True) -> None:
    """The pixels that the output at a place was seen to depend on are within its field.

    exact: they are all of it, if it is within the image; at a border taps fall on the padding of
    some layer between. Not so after layers that enlarge: there fields end between pixels.
    """
    first, last = span
    size, stride, centre = field.size[axis], field.stride[axis], field.centre[axis]
    assert last - first < size
    if stride is None:
        assert centre is None
        return
    middle = centre + place * stride
    assert middle - size / 2 < first
    assert last < middle + size / 2
    if exact:
        lo, hi = middle - (size - 1) / 2, middle + (size - 1) / 2
        assert lo <= first
        assert last <= hi
        assert (first, last) == (lo, hi) or lo < 0 or hi > n - 1


# ---- chains -----------------------------------------------------------------------------------

# Every op between image and output is linear or an average here, so gradients show all that is seen.
LAYERS = (
    "{conv: 2, kernel: 3}",
    "{conv: 2, kernel: [3, 2], stride: 2, padding: [1, 0]}",
    "{conv: 2, kernel: 2, dilation: 3, padding: 2}",
    "{conv: 2, kernel: 3, padding: same}",
    "{depthwise_conv: 3, stride: [1, 2], padding: same_tf}",
    "{avg_pool: 2}",
    "{avg_pool: 3, stride: 2, padding: 1, ceil_mode: true}",
    "{scale: 0.5}",
    "{pad: [[1, 2], [0, 3]]}",
    "batch_norm",
    "{space_to_depth: 2, if: input.height % 2 == 0 and input.width % 2 == 0}",
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(LAYERS), min_size=1, max_size=5), st.integers(0, 2**32))
def test_random_chains_see_what_gradients_show(tmp_path_factory, layers, seed) -> None:
    lines = [f"  l{i}: {layer.replace('input.', f'l{i - 1}.' if i else 'start.')}" for i, layer in enumerate(layers)]
    height, width = 47, 61
    path = tmp_path_factory.mktemp("chain") / "net.yaml"
    path.write_text(f"input: 2x{height}x{width}\nlayers:\n  start: {{scale: 2}}\n" + "\n".join(lines))
    graph = cnncost.load(str(path))
    image = an_image(graph)
    fields, outputs = receptive_fields(graph), run_positive(graph, image)
    chance = random.Random(seed)
    for node in graph:
        field, places = fields[node.name], node.shape[2:]
        assert field is not None
        place = tuple(chance.randrange(min(4, n // 2), max(n - 4, n // 2 + 1)) for n in places)
        for axis, span in enumerate(seen(outputs[node.name], image, place)):
            check(field, axis, place[axis], span, (height, width)[axis])


# ---- joins ------------------------------------------------------------------------------------


def test_the_field_of_a_branching_network_is_the_union(load) -> None:
    graph = load("""
input: 2x33x41
layers:
  stem: {conv: 4, kernel: 3, stride: 2, padding: 1}
  short: {conv: 4, kernel: 1, from: stem}
  long: {conv: 4, kernel: 5, padding: 2, from: stem}
  longer: {conv: 4, kernel: 3, dilation: 2, padding: 2}
  join: {add: [short, longer]}
  stack: {concat: [join, short]}
  last: {conv: 1, kernel: 2}
""")
    image = an_image(graph)
    fields, outputs = receptive_fields(graph), run_positive(graph, image)
    for name in ("short", "longer", "join", "stack", "last"):
        field = fields[name]
        place = (7, 9)
        for axis, (first, last) in enumerate(seen(outputs[name], image, place)):
            assert last - first + 1 == field.size[axis]
            assert (first + last) / 2 == field.centre[axis] + place[axis] * field.stride[axis]


def test_branches_to_either_side_are_joined_from_the_first_pixel_to_the_last(load) -> None:
    graph = load("""
input: 1x16x16
layers:
  left: {conv: 1, kernel: 3, padding: [[2, 0], [2, 0]]}
  right: {conv: 1, kernel: 4, padding: [[0, 3], [0, 3]], from: input}
  join: {add: [left, right]}
""")
    assert receptive_fields(graph)["join"] == ReceptiveField((6, 6), (1, 1), (0.5, 0.5))


PYRAMID = """
input: 1x{size}x{size}
layers:
  c1: {{conv: 2, kernel: 3, padding: 1}}
  c2: {{conv: 2, kernel: 3, stride: 2, padding: 1}}
  up: {{upsample: null, size: [c1.height, c1.width], mode: {mode}}}
  join: {{add: [c1, up]}}
  p1: {{conv: 2, kernel: 3, padding: 1}}
  p2: {{conv: 2, kernel: 5, padding: 2}}
  both: {{add: [p1, p2]}}
  p3: {{conv: 2, kernel: 3, padding: 1, stride: 2}}
  p4: {{conv: 2, kernel: 3, padding: 1}}
"""


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [96, 97, 98, 99])
def test_the_field_grows_after_a_join_with_what_was_enlarged_to_an_odd_size(load, size, mode) -> None:
    graph = load(PYRAMID.format(size=size, mode=mode))
    image = an_image(graph)
    fields, outputs = receptive_fields(graph), run_positive(graph, image)
    for name in ("up", "join", "p1", "p2", "both", "p3", "p4"):
        field = fields[name]
        places = outputs[name].shape[2]
        spans = [seen(outputs[name], image, (j, j))[0] for j in range(places)]
        most = max(last - first + 1 for first, last in spans)
        # Enlarged windows end between pixels, and branches drift apart by what the strides differ by.
        assert most <= field.size[0] <= most + 3
        assert (field.stride[0] is None) == (size % 2 == 1 and name != "up")
        assert (field.centre[0] is None) == (field.stride[0] is None)
        for j, span in enumerate(spans):
            check(field, 0, j, span, size, exact=False)


@pytest.mark.parametrize("gate", ["global_avg_pool", "{avg_pool: [9, 13]}", "{conv: 6, kernel: [9, 13], groups: 6}"])
def test_after_a_gate_over_all_of_the_image_every_output_sees_all(load, gate) -> None:
    graph = load(f"""
input: 4x9x13
layers:
  conv: {{conv: 6, kernel: 3, padding: 1}}
  squeeze: {gate}
  small: {{conv: 6}}
  open: sigmoid
  scaled: {{multiply: [conv, open]}}
  after: {{conv: 6, kernel: 3, padding: 1}}
  pool: {{avg_pool: 3, stride: 2}}
  side: {{conv: 6, kernel: 3, stride: 2, from: scaled}}
  join: {{add: [pool, side]}}
  flat: flatten
  out: {{linear: 2}}
""")
    image = an_image(graph)
    fields, outputs = receptive_fields(graph), run_positive(graph, image)
    assert fields["conv"].size == (3, 3)
    for name in ("scaled", "after", "pool", "side", "join", "flat", "out"):
        assert fields[name] == ReceptiveField((9, 13), (None, None), (None, None))
    for name in ("scaled", "after", "pool", "join"):
        assert seen(outputs[name], image, (1, 2)) == [(0, 8), (0, 12)]


def test_one_axis_may_be_seen_whole_and_the_other_not(load) -> None:
    graph = load("""
input: 2x9x13
layers:
  conv: {conv: 2, kernel: 3, padding: 1}
  rows: {avg_pool: [1, 13], stride: 1}
  join: {add: [conv, rows]}
  after: {conv: 2, kernel: 3, padding: 1}
""")
    assert receptive_fields(graph)["after"] == ReceptiveField((5, 13), (1, None), (0.0, None))
    image = an_image(graph)
    assert seen(run_positive(graph, image)["after"], image, (4, 0)) == [(2, 6), (0, 12)]


def test_an_image_joined_with_itself_turned_sees_rows_and_columns(load) -> None:
    graph = load("""
input: 1x7x7
layers:
  conv: {conv: 1, kernel: 3, padding: 1}
  turned: {permute: [0, 1, 3, 2]}
  join: {add: [conv, turned]}
""")
    fields = receptive_fields(graph)
    assert fields["turned"] == fields["conv"]
    assert fields["join"] == ReceptiveField((7, 7), (None, None), (None, None))


def test_a_layer_on_one_place_still_grows_by_its_padding(load) -> None:
    graph = load(
        "input: 1x8x8\nlayers: {a: {conv: 1, kernel: 8, stride: 4}, b: {conv: 1, kernel: 3, padding: 1}, c: relu}"
    )
    fields = receptive_fields(graph)
    assert fields["b"] == fields["c"] == ReceptiveField((8 + 2 * 4,) * 2, (4, 4), (3.5, 3.5))


def test_one_op_on_inputs_of_two_sizes_moves_by_what_each_needs() -> None:
    builder, op = GraphBuilder(), find("upsample")(size=24)
    builder.add_input("image", (1, 1, 12, 12))
    builder.add("pool", find("avg_pool")(kernel=2), ("image",))
    builder.add("large", op, ("image",))
    builder.add("small", op, ("pool",))
    fields = receptive_fields(Graph("two", builder.inputs, tuple(builder.nodes)))
    assert fields["large"].stride == (12 / 24, 12 / 24)
    assert fields["small"].stride == (2 * 6 / 24, 2 * 6 / 24)
    assert fields["large"].size < fields["small"].size
    assert type(fields["large"].stride[0]) is float


# ---- random networks --------------------------------------------------------------------------

SHRINKING = (
    ("conv", {"out": 2, "kernel": 3, "stride": 2, "padding": 1}),
    ("conv", {"out": 2, "kernel": (2, 3), "stride": (2, 1)}),
    ("avg_pool", {"kernel": 2}),
    ("avg_pool", {"kernel": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
)
KEEPING = (
    ("conv", {"out": 2, "kernel": 3, "padding": 1}),
    ("conv", {"out": 2, "kernel": 3, "padding": 2, "dilation": 2}),
    ("conv", {"out": 2}),
    ("conv", {"out": 2, "kernel": (5, 2), "padding": "same"}),
)
ENLARGING = (
    ("upsample", {"factor": 2}),
    ("upsample", {"factor": 2, "mode": "bilinear"}),
    ("transposed_conv", {"out": 2, "kernel": 3, "stride": 2, "padding": 1}),
)
MODES = ("nearest", "bilinear")


class Net:
    """A random network, grown layer by layer, each of two channels; `far` are those after an enlarging one."""

    def __init__(self, draw: Callable, size: Place) -> None:
        self.draw, self.builder = draw, GraphBuilder()
        self.builder.add_input("image", (1, 2, *size))
        self.maps, self.gated, self.far = ["image"], set(), set()

    def add(self, key: str, inputs: tuple[str, ...], **options) -> str:
        name = f"{key}{len(self.builder.nodes)}"
        self.builder.add(name, find(key)(**options), inputs)
        for marked in (self.gated, self.far):
            if marked & {*inputs}:
                marked.add(name)
        return name

    def size(self, name: str) -> Place:
        return self.builder.shapes[name][2:]

    def grow(self) -> None:
        one = self.draw(st.sampled_from(self.maps))
        kind = self.draw(st.sampled_from(["shrink", "keep", "enlarge", "join", "join", "gate"]))
        if kind == "gate":
            gate = self.add("sigmoid", (self.add("conv", (self.add("global_avg_pool", (one,)),), out=2),))
            self.maps.append(self.add("multiply", (one, gate)))
            self.gated.add(self.maps[-1])
        elif kind == "join":
            other = self.draw(st.sampled_from(self.maps))
            if self.size(other) != self.size(one):
                mode = self.draw(st.sampled_from(MODES))
                other = self.add("upsample", (other,), size=self.size(one), mode=mode)
                self.far.add(other)
            elif other == one:
                other = self.add("conv", (one,), out=2, kernel=3, padding=1)
            self.maps.append(self.add("add", (one, other)))
        else:
            choices = {"shrink": SHRINKING, "keep": KEEPING, "enlarge": ENLARGING}[kind]
            key, options = self.draw(st.sampled_from(choices))
            least, most = min(self.size(one)), max(self.size(one))
            if (kind == "shrink" and least < 5) or (kind == "enlarge" and most > 30):
                key, options = KEEPING[0]
            self.maps.append(self.add(key, (one,), **options))
            if kind == "enlarge":
                self.far.add(self.maps[-1])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_random_networks_see_no_more_than_their_fields(data) -> None:
    size = data.draw(st.tuples(st.integers(19, 33), st.integers(19, 33)))
    net = Net(data.draw, size)
    for _ in range(data.draw(st.integers(2, 8))):
        net.grow()
    graph = Graph("random", net.builder.inputs, tuple(net.builder.nodes))
    image = an_image(graph)
    fields, outputs = receptive_fields(graph), run_positive(graph, image)
    for name in net.maps[1:]:
        field, places = fields[name], net.size(name)
        middle = [n // 2 for n in places]
        corners = [tuple(data.draw(st.sampled_from([0, n // 4, n - 1])) for n in places) for _ in range(2)]
        for place in (tuple(middle), *corners):
            for axis, span in enumerate(seen(outputs[name], image, place)):
                check(field, axis, place[axis], span, size[axis], exact=name not in net.far)
        if name in net.gated:
            assert field == ReceptiveField(size, (None, None), (None, None))


# ---- axes that are renamed --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "size", "stride"),
    [
        ("[2, 3, 9, 13]", (3, 3), (1, 1)),  # the channels split, as for groups of a shuffle
        ("[-1, 13]", (9, 3), (None, 1)),
        ("[6, 9, 13, 1]", (3, 3), (1, 1)),
        ("[6, 117]", (9, 13), (None, None)),
        ("[6, 3, 3, 13]", (9, 3), (None, 1)),
        ("[6, 13, 9]", (9, 13), (None, None)),
        ("[1, 6, 9, 13]", (3, 3), (1, 1)),
        ("[54, 13]", (9, 3), (None, 1)),
    ],
)
def test_axes_before_and_after_those_that_a_reshape_merges_or_splits_keep_their_places(load, to, size, stride) -> None:
    graph = load(f"input: 2x9x13\nlayers: {{conv: {{conv: 6, kernel: 3, padding: 1}}, turn: {{reshape: {to}}}}}")
    field = receptive_fields(graph)["turn"]
    assert field.size == size
    assert field.stride == stride


@pytest.mark.parametrize(
    ("x", "to", "looks_at"),
    [
        ((1, 1, 11), (1, 11), [1, 3]),  # the middle axis is dropped, and the first not matched twice
        ((6, 9, 13), (2, 3, 9, 13), [None, None, 2, 3]),
        ((6, 9, 13), (6, 3, 3, 13), [1, None, None, 3]),
        ((6, 9, 13), (6, 9, 13), [1, 2, 3]),
    ],
)
def test_each_axis_of_a_reshape_looks_at_the_one_it_was(x, to, looks_at) -> None:
    sight = find("reshape")(to=to).sight((2, *to), (2, *x))
    assert [along and along.axis for along in sight] == looks_at


# ---- several inputs ---------------------------------------------------------------------------


def test_networks_without_an_image_have_no_receptive_field(load) -> None:
    graph = load("input: 12\nlayers: {a: {linear: 3}, b: relu, c: {add: [a, b]}}")
    assert set(receptive_fields(graph).values()) == {None}


def test_images_of_different_sizes_do_not_mix(load) -> None:
    graph = load("""
input: {large: 3x16x16, small: 3x8x8}
layers:
  a: {conv: 3, kernel: 2, stride: 2, from: large}
  b: {conv: 3, kernel: 3, padding: 1, from: small}
  join: {add: [a, b]}
  after: {conv: 3, kernel: 3, padding: 1}
  again: {add: [after, a]}
  pool: global_avg_pool
  own: {conv: 3, kernel: 3, from: b}
""")
    fields = receptive_fields(graph)
    assert fields["a"].size == (2, 2)
    assert fields["own"].size == (5, 5)
    assert [fields[name] for name in ("join", "after", "again", "pool")] == [None] * 4


def test_images_of_one_size_and_vectors_do(load) -> None:
    graph = load("""
input: {left: 3x16x12, right: 3x16x12, style: 4}
layers:
  a: {conv: 4, kernel: 3, padding: 1, from: left}
  b: {conv: 4, kernel: 5, padding: 2, from: right}
  join: {add: [a, b]}
  vector: {linear: 4, from: style}
  channels: {reshape: [4, 1, 1]}
  styled: {multiply: [join, channels]}
  swapped: {multiply: [channels, join]}
""")
    fields = receptive_fields(graph)
    assert fields["vector"] is fields["channels"] is None
    assert fields["join"] == fields["styled"] == fields["swapped"] == ReceptiveField((5, 5), (1, 1), (0.0, 0.0))
