"""The laws that every op obeys, as checks against expected values. Needs no PyTorch: that is asked beforehand.

Each `check_` raises AssertionError where a law is broken. Tests run them over the cases; the
mutation run does the same on a package with a planted fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from cases import REUSED, Case

from cnncost.dims import Refusals, is_array, refusing
from cnncost.errors import SpecError
from cnncost.ops import MENU, find
from cnncost.ops.tape import one, stretched

Extent = tuple[tuple[int, int], ...]


class Facts(NamedTuple):
    """What running a case on PyTorch's meta device shows.

    read, written: elements of the tensors that go into and come out of the operators that run.
    aliases: the output is the input's storage.
    """

    shape: tuple[int, ...]
    weights: int
    biases: int
    other_params: int
    buffers: int
    macs: int
    read: int
    written: int
    operators: tuple[str, ...]
    aliases: bool


class Seen(NamedTuple):
    """The inputs that an output position depends on: for each input, first and last index an axis; None for none.

    whole: all channels of the position together, not only the one.
    """

    output: tuple[int, ...]
    whole: bool
    inputs: tuple[Extent | None, ...]


class Expected(NamedTuple):
    facts: Facts
    operations: dict[str, int]
    seen: tuple[Seen, ...]


# ---- counts -----------------------------------------------------------------------------------

WEIGHTED = {"conv", "depthwise_conv", "transposed_conv", "local_conv", "partial_conv", "linear"}
"""Ops whose outputs are weighted sums over learned weights: these are the neurons."""

ARITY = {
    "add": (2, None),
    "subtract": (2, 2),
    "multiply": (2, None),
    "maximum": (2, None),
    "concat": (1, None),
    "matmul": (2, 2),
}
"""The least and the most inputs of the ops that take more than one."""

COMPOSED = {
    "local_conv": "windows are unfolded into a matrix, one product a place",
    "partial_conv": "one convolution an output channel, each of its own selection of the input",
    "l2_pool": "powers, an average pool, signs and roots apart",
    "lrn": "squares, an average over channels, power and quotient apart",
    "instance_norm": "scale, shift and statistics are repeated for every image",
    "roi_pool": "regions are cut out and pooled one by one",
    "l2_norm": "length, limit, quotient and scale apart",
    "scale": "scale and shift apart",
    "scaled_tanh": "two products and a tanh apart",
    "softsign": "absolute value, sum and quotient apart",
    "avg_pool": "with uneven padding that is not counted, two pools and a quotient",
}
"""Ops that PyTorch makes of several operators, whose intermediate results then move as well.

What is counted is each input, parameter and output moving once, as in one operator.
"""
PADS = {"constant_pad_nd", "reflection_pad2d", "replication_pad2d", "copy_"}
"""Operators of a padding that PyTorch does as a layer of its own, because it is uneven or not of zeros."""


def moves_once(case: Case, facts: Facts) -> tuple[int, int]:
    """(elements read, written) if every tensor moves once."""
    if facts.aliases and not facts.operators:
        return 0, 0
    params = facts.weights + facts.biases + facts.other_params + facts.buffers
    return sum(map(math.prod, case.shapes)) + params, math.prod(facts.shape)


def composed(case: Case, facts: Facts) -> bool:
    """True where PyTorch runs several operators and a reason is stated above."""
    several = len(facts.operators) > 1
    return several and (case.key in COMPOSED or bool(PADS & set(facts.operators)) or len(case.shapes) > 2)


def check_counts(case: Case, expected: Expected) -> None:
    """Shape, parameters, MACs, operations and elements moved are PyTorch's and the textbook's, as Python ints."""
    op, facts = case.op(), expected.facts
    y = op.shape(*case.shapes)
    assert y == facts.shape
    assert all(type(n) is int for n in y)
    cost = op.cost(y, *case.shapes)
    read, written = (facts.read, facts.written) if not composed(case, facts) else moves_once(case, facts)
    outputs = math.prod(facts.shape)
    want = {
        "weights": facts.weights,
        "biases": facts.biases,
        "other_params": facts.other_params,
        "buffers": facts.buffers,
        "macs": facts.macs,
        **expected.operations,
        "read": read,
        "written": written,
        "activations": 0 if facts.aliases else outputs,
        "neurons": outputs if case.key in WEIGHTED else 0,
    }
    assert cost._asdict() == want, f"{case}: " + str(
        {k: (v, want[k]) for k, v in cost._asdict().items() if v != want[k]}
    )
    assert all(type(n) is int for n in cost)
    assert op.arity == ARITY.get(case.key, (1, 1))
    assert op.gates == (case.key == "multiply"), "only a factor of a product can be a gate"
    check_windows(case, y)
    assert cost.params == facts.weights + facts.biases + facts.other_params
    assert cost.flops == 2 * facts.macs + sum(expected.operations.values())


def check_windows(case: Case, y: tuple[int, ...]) -> None:
    """The windows that slide over the input, one an axis, have as many places as the output; other ops have none."""
    op = case.op()
    still = ("transposed", "adaptive", "global", "roi")
    slides = case.key.endswith(("conv", "_pool")) and not case.key.startswith(still)
    ceil_mode = bool(case.options.get("ceil_mode"))
    assert tuple(w.places("", ceil_mode) for w in op.windows(*case.shapes)) == (y[2:] if slides else ())


def check_refused(case: Case) -> None:
    """The op or its shape raises a SpecError, and no other."""
    try:
        case.op().shape(*case.shapes)
    except SpecError:
        return
    raise AssertionError(f"{case} is accepted")


# ---- what an output sees ----------------------------------------------------------------------

BOUNDS = {
    "matmul": "every row meets every column, so rows and columns are not followed",
    "concat": "which input an element of the joined axis is from is not followed",
    "roi_pool": "where a region lies is not known beforehand",
    "glu": "the halves of the axis are not told apart",
    "maxout": "nor are the pieces of the channels, where these are all there is",
    "flatten": "places in merged axes are not followed",
    "reshape": "places in merged axes are not followed",
    "group_norm": "groups are not told apart, where channels are all there is",
}
"""Ops for which `sight` is an upper bound on the last axes; for all others it is exact there."""


def predicted(case: Case, y: tuple[int, ...], position: tuple[int, ...]) -> list[Extent | None]:
    """For each input, first and last index an axis (without the batch) that output `position` may depend on.

    None where the whole interval falls outside of the input: on padding.
    """
    sight = case.op().sight(y, *case.shapes)
    assert len(sight) == len(y) - 1
    return [_of_input(sight, x, position) for x in case.shapes]


def _of_input(sight: Any, x: tuple[int, ...], position: tuple[int, ...]) -> Extent | None:
    looks = {along.axis: (along, o) for along, o in zip(sight, position) if along is not None}
    extent = []
    for axis, n in list(enumerate(x))[1:]:
        low, high = 0, n - 1
        if axis in looks and n > 1:
            along, o = looks[axis]
            first = o * along.stride - along.before
            low, high = max(low, math.ceil(first)), min(high, math.floor(first + along.reach - 1))
        if low > high:
            return None
        extent.append((low, high))
    return tuple(extent)


def mirrored(case: Case) -> bool:
    """True where padding holds elements of the input: outputs at the border see those, wherever they are from."""
    return bool(case.options.get("padding_mode")) or case.options.get("mode") in ("reflect", "replicate", "circular")


def gaps(case: Case) -> bool:
    """True where elements inside the window have no weight: between dilated taps, under zeros of a cubic."""
    return case.options.get("dilation", 1) != 1 or case.options.get("mode") == "bicubic"


def check_sight(case: Case, expected: Expected) -> None:
    """No output sees more than its sight; and it is exact, but for the ops in BOUNDS.

    Channels are exact too where the sight follows them. Where windows have gaps, or padding mirrors
    the input, a border cuts them differently: then what is seen away from it is exact.
    """
    exact = 0
    channel = case.op().sight(expected.facts.shape, *case.shapes)[0]
    followed = channel is not None
    for position, whole, inputs in expected.seen:
        if whole and followed and (channel.axis != 1 or channel.before > 0):
            continue  # the position's own channel may be another, or none
        for prediction, inner in zip(predicted(case, expected.facts.shape, position), inputs):
            outer, found = prediction, inner
            if (whole or not followed) and outer is not None and inner is not None:
                outer, found = outer[1:], inner[1:]  # only places: the channel is another, or not followed
            if not mirrored(case):
                assert inside(prediction if not whole else outer, inner if not whole else found)
            same = outer == found
            exact += same
            loose = case.key in BOUNDS or gaps(case) or mirrored(case) or (not whole and not followed)
            assert same or loose, f"{case} at {position}: sees {found}, predicted {outer}"
    assert exact or case.key in BOUNDS, f"{case}: no position sees what is predicted"


def inside(outer: Extent | None, inner: Extent | None) -> bool:
    """True where `outer` contains `inner`."""
    if inner is None:
        return True
    return outer is not None and all(a <= c and d <= b for (a, b), (c, d) in zip(outer, inner))


# ---- what training keeps ----------------------------------------------------------------------

Held = dict[tuple[str, int, int], int]
"""Elements by what they are of ("input", "output", "extra"), which input, and bytes an element."""

FLOAT32 = 4


def check_keeps(case: Case, held: Held, aliases: bool) -> None:
    """What training keeps is what PyTorch's autograd holds on to, by elements and by bytes.

    aliases: the output is the first input's storage. Then what is said to be the output's is found
    as the input's. An input or output is kept once or not at all.
    """
    op = case.op()
    y = op.shape(*case.shapes)
    found: Held = {}
    for what, elements, index, itemsize in op.keeps(y, *case.shapes):
        assert type(elements) is int
        if elements:
            key = ("input" if what == "output" and aliases else what, index, FLOAT32 if itemsize is None else itemsize)
            found[key] = found.get(key, 0) + elements
    assert found == held, f"{case}: PyTorch keeps {held}, not {found}"
    assert op.shares_in_training == aliases


# ---- what inference takes ---------------------------------------------------------------------


class Taken(NamedTuple):
    """What running a case at inference takes, in bytes, and its int64 counters.

    within: at the highest point, beside the inputs and the output. output: its storage, 0 where that is
    an input's. left: once it has run, beside both.
    """

    within: int
    output: int
    left: int
    counters: int


def check_temporaries(case: Case, taken: Taken) -> None:
    """What a layer takes for itself at inference is what PyTorch allocates in it; only the output remains."""
    op = case.op()
    y = op.shape(*case.shapes)
    temporaries = op.temporaries(y, *case.shapes)
    assert all(type(elements) is int and elements >= 0 for elements, _ in temporaries)
    within = sum(elements * (FLOAT32 if itemsize is None else itemsize) for elements, itemsize in temporaries)
    output = 0 if op.shares_storage else math.prod(y) * FLOAT32
    assert Taken(within, output, 0, op.counters(*case.shapes)) == taken, case


# ---- ints and arrays --------------------------------------------------------------------------

POINTS = 3
SWEPT = {
    "Size", "Sizes", "Counts", "OptionalSize", "OptionalSizes", "SizesOrNone",
    "Pads", "Amounts", "Sides", "Target", "Range", "Parts",
}  # fmt: skip
"""Kinds of option that may be an array with one entry a design point.

All others are structure: they choose among formulas, and are the same at all points. Which axis,
which part, how many axes, flags, words, factors, and which channels are connected.
"""


def swept(value: Any, change: Any) -> Any:
    """`value` with every size in it changed; words, flags, nothing and the -1 of a reshape stay."""
    if isinstance(value, tuple):
        return tuple(swept(v, change) for v in value)
    return change(value) if type(value) is int and value != -1 else value


def stacked(values: list[Any], along: int) -> Any:
    """Values of each design point as one value of arrays; the points lie along an axis of two."""
    if isinstance(values[0], tuple):
        return tuple(stacked(list(v), along) for v in zip(*values))
    if type(values[0]) is not int or len(set(values)) == 1:
        return values[0]
    return np.array(values, np.int64).reshape((-1, 1) if along == 0 else (1, -1))


CHANGES: tuple[Callable[[int], Callable[[int], int]], ...] = (
    lambda point: lambda n: n * (1 + point),
    lambda point: lambda n: n + point,
    lambda point: lambda n: n if point == 1 else 1,
)


def shape_sweeps(case: Case) -> list[list[tuple[tuple[int, ...], ...]]]:
    """Input shapes at each point: all sizes above 1 grow together, or those of the last axes, or the batch alone."""

    def grown(first: int, last: int) -> list[tuple[tuple[int, ...], ...]]:
        def grow(x: tuple[int, ...], point: int) -> tuple[int, ...]:
            return tuple(n * (1 + point) if n > 1 and first <= a < last else n for a, n in enumerate(x))

        return [tuple(grow(x, point) for x in case.shapes) for point in range(POINTS)]

    return [grown(0, 9), grown(1, 9), grown(2, 9), grown(3, 9), grown(1, 2), grown(0, 1)]


def option_sweeps(case: Case) -> dict[str, list[list[Any]]]:
    """Values at each point for every option of a size kind that the case sets."""
    kinds = {name: field.type for name, field in find(case.key).options.items()}
    return {
        name: [[swept(value, change(point)) for point in range(POINTS)] for change in CHANGES]
        for name, value in case.options.items()
        if kinds[name] in SWEPT and swept(value, lambda n: -9) != value
    }


def accepted(case: Case) -> Any:
    """(shape, all counts) of a case, or None where it is refused."""
    try:
        op = case.op()
        y = op.shape(*case.shapes)
        memory = (*op.keeps(y, *case.shapes), *op.temporaries(y, *case.shapes))
        return y, (*op.cost(y, *case.shapes), *(m.elements for m in memory), op.counters(*case.shapes))
    except SpecError:
        return None


def check_arrays(case: Case) -> set[str]:
    """Shape and cost of arrays are those of each design point; returns the names of the options that were swept.

    Sizes vary along one axis of the design points and options along another, so that all pairs are
    there; sweeps that make a layer that cannot be are left out, but one of shapes must remain.
    """
    tried = 0
    done: set[str] = set()
    still: list[dict[str, Any]] = [{}] * POINTS
    named = [(name, [{name: v} for v in values]) for name, sweeps in option_sweeps(case).items() for values in sweeps]
    for shapes in shape_sweeps(case):
        for name, options in [("", still), *named]:
            cells = [
                (i, j, accepted(Case(case.key, x, {**case.options, **o})))
                for (i, x), (j, o) in product(enumerate(shapes), enumerate(options))
            ]
            if any(answer is None for _, _, answer in cells):
                continue
            arrays = stacked([tuple(o.values()) for o in options], 1)
            together = Case(case.key, stacked(shapes, 0), {**case.options, **dict(zip(options[0], arrays))})
            answer = accepted(together)
            assert answer is not None, f"{together} is refused, but not one by one"
            for i, j, (y, cost) in cells:
                assert (at(answer[0], i, j), at(answer[1], i, j)) == (y, tuple(cost)), (case, name, i, j)
            tried += not name
            done.add(name)
    assert tried, f"{case}: no sweep of its shapes"
    return done - {""}


def at(values: Any, i: int, j: int) -> tuple[int, ...]:
    """The entries of one design point; every array is of int64, everything else a Python int."""
    for v in values:
        assert v.dtype == np.int64 if is_array(v) else type(v) is int
    return tuple(int(np.broadcast_to(v, (POINTS, POINTS))[i, j]) for v in values)


def check_points_alike(case: Case) -> None:
    """Where all design points are the same, what they choose is what one network chooses: which calls there are, what
    is kept and taken. Refusals are noted, as in a sweep. An op at a point has the options that it has there.
    """
    op = case.op()
    assert vars(op.at(lambda value: value)) == vars(op), f"{case}: the op at a point is another one"
    x = tuple(tuple(np.array([n, n]) for n in shape) for shape in case.shapes)
    with refusing(Refusals((2,))) as found:
        y = op.shape(*x)
        several = op.tape(y, *x), op.temporaries(y, *x), op.keeps(y, *x)
    assert not found.reasons, case
    y = op.shape(*case.shapes)
    single = op.tape(y, *case.shapes), op.temporaries(y, *case.shapes), op.keeps(y, *case.shapes)
    assert alike(several, single), f"{case}: {several} where one network has {single}"


def check_choices() -> None:
    """What sizes choose is the same for ints and for arrays of them, wherever 1 stands."""
    for m, n in product((1, 2, 3), repeat=2):
        x, y = (np.array([m, m]), 4), (np.array([n, n]), 4)
        with refusing(Refusals((2,))):
            assert one(x[0]) == one(m) == (m == 1)
            if m in (1, n):
                assert stretched(x, y) == stretched((m, 4), (n, 4)) == (m != n)
                assert stretched((m, 4), y) == (m != n)


def alike(several: Any, single: Any) -> bool:
    """Whether values over arrays are those of one network, part by part; what has no elements may be left out."""
    if isinstance(single, tuple):
        several, single = (tuple(part for part in parts if not empty(part)) for parts in (several, single))
        return len(several) == len(single) and all(map(alike, several, single))
    return bool(np.all(several == single))


def empty(part: Any) -> bool:
    """Whether a part of what is kept or taken has no elements."""
    return hasattr(part, "elements") and bool(np.all(part.elements == 0))


def check_refused_arrays(case: Case) -> None:
    """What is refused alone is refused as a design point too."""
    shapes = tuple(tuple(np.array([n, n]) for n in x) for x in case.shapes)
    check_refused(Case(case.key, shapes, case.options))


def check_options() -> None:
    """Options are given by place or by name; more than there are, or unknown ones, are the caller's mistake."""
    relu = find("relu")
    assert relu(True) == relu(inplace=True) != relu()
    assert not any(find(key).options["inplace"].default for key in MENU if "inplace" in find(key).options)
    for values, named in (((True, True), {}), ((), {"slope": 1}), ((False,), {"inplaced": True})):
        try:
            relu(*values, **named)
        except TypeError:
            continue
        raise AssertionError(f"relu takes {values} {named}")


def check_reused() -> None:
    """Parameters fit another input where all that they depend on is the same."""
    for case, other, fits in REUSED:
        op = case.op()
        assert (op.fitted_to(*case.shapes) == op.fitted_to(other)) is fits, f"{case} on {other}"


def check_places_kept() -> None:
    """A reshape in the middle leaves the axes before and after it where they were: an exact sight, not just a bound."""
    reshape, x = find("reshape")(to=(3, 2, 2, 11, 8)), (2, 3, 4, 11, 8)
    places = [along and along.axis for along in reshape.sight(reshape.shape(x), x)]
    assert places == [1, None, None, 3, 4]


def check_beside(case: Case) -> None:
    """Layers to compare with have the same output; unshared kernels are one a place, groups part the channels."""
    op, (x, *_) = case.op(), case.shapes
    y = op.shape(*case.shapes)
    weights, macs = op.weights(*case.shapes), op.macs(y, *case.shapes)
    places, groups = math.prod(y[2:]), case.options.get("groups", x[1] if case.key == "depthwise_conv" else 1)
    taps = math.prod(np.broadcast_to(case.options.get("kernel", 1), len(y) - 2).tolist())
    want = {
        "not grouped": (weights * groups, macs * groups),
        "locally connected": (weights * places, macs),
        "convolution": (weights // places, macs),
        "all channels": (y[1] * x[1] * taps, math.prod(y) * x[1] * taps) if len(x) > 2 else (0, 0),
    }
    named = {"not grouped"} if "conv" in case.key and groups != 1 and case.key != "local_conv" else set()
    named |= {"locally connected"} if case.key in ("conv", "depthwise_conv") else set()
    named |= {"convolution"} if case.key == "local_conv" else set()
    named |= {"all channels"} if case.key == "partial_conv" else set()
    others = op.beside(*case.shapes)
    assert set(others) == named, case
    for name, other in others.items():
        assert other.shape(x) == y, f"{case}: {name}"
        assert (other.weights(x), other.macs(y, x)) == want[name], f"{case}: {name}"
        assert other.bias is op.bias


def check_traced(case: Case) -> None:
    """Sizes that remember how they were computed are the same sizes."""
    from cnncost.analysis.traced_op import trace

    op = case.op()
    y, traced = op.shape(*case.shapes), trace(op, case.shapes)
    assert traced.shape == y
    assert traced.cost == op.cost(y, *case.shapes)
    assert [tuple(map(int, w)) for w in traced.windows] == [tuple(w) for w in op.windows(*case.shapes)]
