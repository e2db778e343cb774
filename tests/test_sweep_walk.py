"""Tiles priced by walks over arrays: every point is what the walk of one network says, to the last digit."""

from __future__ import annotations

import json
import re
from itertools import pairwise, product
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from laws import SWEPT
from swept import Swept, answer, check, sweep, written
from test_graph import networks

import cnncost
from cnncost.analysis.report import UncountableError
from cnncost.analysis.sweep import walk as under_test
from cnncost.analysis.sweep.source import Source
from cnncost.analysis.sweep.walk import PROBES, IrregularError, Line, highest_of, outermost
from cnncost.devices import load as device
from cnncost.dims import Refusals, numel, refusing
from cnncost.errors import SpecError, UsageError
from cnncost.ops import find
from cnncost.ops.keeping import Temporary
from cnncost.spec.files import bundled_names

DEVICES = (device("h100"), device("ryzen-9-7950x"))
MANY = [3, 1, 20, 4, 8, 6, 5]
"""More batches than are walked, unsorted, 1 among them."""
PLAIN = """\
input: 3x17x23
parameters: {out: 4, kernel: 3, dilation: 1, stride: 1, groups: 1, act: relu, bias: true, width: 1.0, depths: [1, 2]}
layers:
  stem: {conv: "round_to(8 * width, 4)", kernel: 3, stride: 2, padding: 1}
  norm: {batch_norm: , if: bias}
  act: {op: act}
  body: {conv: out, kernel: kernel, dilation: dilation, stride: stride, groups: groups, bias: bias}
  more: {conv: out, kernel: 1, repeat: "depths[1]"}
  pool: {max_pool: 2, stride: 1}
  skip: {add: [pool, pool], if: depths.0 == 1}
  fc: {linear: 5}
"""


@pytest.fixture
def plain(tmp_path: Path) -> str:
    return written(tmp_path, PLAIN)


# ---- bundled networks ---------------------------------------------------------------------------


def smaller_inputs(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The input, one with odd sides that are not equal, and one that may be too small."""
    sides = shape[1:]
    odd = (shape[0], *(max(1, n - 17 - 2 * i) for i, n in enumerate(sides)))
    return list(dict.fromkeys([shape, odd, (shape[0], *(n // 3 + i for i, n in enumerate(sides)))]))


@pytest.mark.parametrize("part", range(6))
def test_bundled_networks(part: int) -> None:
    names = bundled_names()
    assert len(names) > 170
    for name in names[part::6]:
        source = Source(name)
        inputs = source.graph().inputs
        shape = next(iter(inputs.values()))[1:]
        long = len(source.graph()) > 1500
        axes: dict[str, Any] = {"batch": [2, 1] if long else [7, 1, 2, 3, 9, 12]}
        if len(inputs) == 1 and not long:
            axes["input"] = smaller_inputs(shape)
        check(name, axes, count=1 if len(source.graph()) > 300 else 2, seed=len(name))


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("resnet50", ["width=16:112:24,0", "batch=1:9", "input=200:232:8"]),
        ("resnet50", ["depths.2=4,1", "batch=8,1", "width=32,64"]),
        ("mobilenet_v2", ["width=0.25:2:0.35", "input.height=31:300:90", "input.width=16,99,256", "batch=5,6"]),
        ("mobilenet_v1", ["width=0.1:1.5:0.2,0", "batch=1:20:3"]),
        ("squeezenet1_1", ["classes=0:1200:300", "batch=1,2"]),
        ("alexnet", ["input=11:300:31", "batch=1:12"]),
        ("googlenet", ["input=1:256:17", "batch=1,3,5,7,8,9"]),
        ("densenet121", ["growth=0,1,7,32", "batch=3,1", "input=3x64x96,3x97x65"]),
        ("shufflenet_v2_x0_5", ["input=30:66:4", "batch=1:6"]),
        ("regnet_x_400mf", ["group_width=8,16,24", "wa=20.5,24.48", "batch=1,2"]),
        ("efficientnet_b0", ["width=0.5:1.5:0.25", "input=1,2,32,33", "batch=2"]),
        ("efficientnet_b0", ["depth=0.5,1.0,1.2", "batch=1:6"]),
        ("lenet5", ["input=1x28x28,1x32x40,1x5x5,3x32x32", "batch=1"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else value,
)
def test_bundled_networks_and_their_parameters(name: str, axes: list[str]) -> None:
    devices = DEVICES if name in ("alexnet", "mobilenet_v2") else ()
    check(name, axes, count=6, seed=3, devices=devices)


# ---- ops ------------------------------------------------------------------------------------------


def spec_of(case: Case, options: dict[str, Any], parameters: dict[str, Any]) -> str:
    """A network of a case between other layers, with inputs for each of its own."""
    names = [f"x{i}" for i in range(len(case.shapes))]
    inputs = {name: "x".join(map(str, shape[1:])) for name, shape in zip(names, case.shapes)}
    layers: dict[str, Any] = {f"{name}_relu": {"relu": None, "from": name} for name in names}
    layers["op"] = {case.key: None, "from": [f"{name}_relu" for name in names], **options}
    layers["last"] = "relu"
    given = {"parameters": parameters} if parameters else {}
    return json.dumps({"input": inputs, **given, "layers": layers})


def nearby(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Inputs around a shape, each axis alone, and small ones."""
    moved = [
        tuple(n + step if axis == moves else n for axis, n in enumerate(shape))
        for moves, step in product(range(len(shape)), (-2, -1, 1, 2))
    ]
    small = [(shape[0], *(size for _ in shape[1:])) for size in (1, 2, 4)]
    return [s for s in dict.fromkeys([shape, *moved, *small]) if min(s) > 0]


@pytest.mark.parametrize("part", range(4))
def test_every_op_at_other_batches_and_inputs(tmp_path: Path, part: int) -> None:
    for case in CASES[part::4]:
        if "mean of one element" in str(_fault(case)):
            continue  # nothing at a batch of 1
        path = written(tmp_path, spec_of(case, case.options, {}))
        axes: dict[str, Any] = {"batch": MANY}
        if len(case.shapes) == 1:
            axes["input"] = nearby(case.shapes[0][1:])
        check(path, axes, count=12, devices=DEVICES[:1])


def _fault(case: Case) -> str | None:
    try:
        case.op().shape(*[(1, *shape[1:]) for shape in case.shapes])
    except SpecError as e:
        return e.message
    return None


def test_every_size_that_is_an_option(tmp_path: Path) -> None:
    swept = set()
    for case in CASES:
        kinds = {name: field.type for name, field in find(case.key).options.items()}
        for name, value in case.options.items():
            if kinds[name] not in SWEPT or type(value) is not int or (case.key, name) in swept:
                continue
            swept.add((case.key, name))
            path = written(tmp_path, spec_of(case, {**case.options, name: "p"}, {"p": value}))
            check(path, {"p": list(range(max(0, value - 3), value + 4)), "batch": [2, 1, 5]}, count=14)
    assert len(swept) > 40


# ---- random networks --------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.randoms(use_true_random=False), st.sampled_from([1, 3, 7, 4096]))
def test_random_networks(tmp_path: Path, text: str, random: Random, tile: int) -> None:
    found = re.match(r"input: (\S+)", text)
    assert found is not None
    shape = [int(n) for n in found[1].split("x")]
    inputs = [tuple(max(1, n + random.randint(-3, 3)) for n in shape) for _ in range(5)]
    axes = {"input": list(dict.fromkeys(inputs)), "batch": random.sample(range(1, 12), random.randint(1, 8))}
    names = random.sample(sorted(axes), 2)
    check(written(tmp_path, text), {name: axes[name] for name in names}, count=8, tile=tile)


# ---- axes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "batches",
    [
        [1],
        [7],
        [2, 1],
        [1, 2, 3, 4],
        [4, 3, 2, 1],
        [1, 2, 3, 4, 5],
        MANY,
        [5, 9, 6, 8, 7],
        [1000, 1],
        [64, 1, 2, 4, 8, 16],
    ],
    ids=str,
)
def test_batches(plain: str, batches: list[int]) -> None:
    check(plain, {"batch": batches, "input.height": [9, 17, 30]}, devices=DEVICES)
    check(plain, {"batch": batches})
    assert PROBES == 4


@pytest.mark.parametrize(
    "axes",
    [
        ["out=1:9"],
        ["kernel=1:9", "dilation=1:3", "batch=1,2"],
        ["stride=0:4", "kernel=3,4"],
        ["groups=1:8", "out=4:8:2"],
        ["width=0:2:0.25,-1", "batch=1:7"],
        ["act=relu,gelu,softmax,nothing", "out=2,4"],
        ["bias=true,false", "batch=1:6"],
        ["depths.1=0:3", "depths.0=0,1,2", "out=4,6"],
        ["input=3x17x23,3x9x40,1x17x23,2x2x2"],
        ["input.channels=1,3", "input.width=1:40:7", "input.height=8,17"],
        ["input=1:40:3", "batch=2,3"],
        ["out=0,1.5,2,-3,4.0"],
    ],
    ids="-".join,
)
def test_kinds_of_axes(plain: str, axes: list[str]) -> None:
    check(plain, axes)


def test_what_does_not_vary_is_kept(plain: str) -> None:
    check(plain, ["out=2,4"], fixed={"kernel": 5, "act": "gelu"}, input="3x40x41", batch=6)
    check(plain, ["batch=2,4"], fixed={"kernel": 5}, input=(3, 40, 41), dtype="fp16")
    check(plain, ["out=2,4,6"], fixed={"kernel": 30}, batch=1, input=(3, 70, 70), tile=2)


def test_structural_axes_are_those_that_make_other_layers(plain: str) -> None:
    swept = sweep(plain, ["depths.1=1,2", "out=2,4", "act=relu,gelu", "depths.0=1,2", "batch=1,2"])
    assert [axis.name for axis in swept.grid.structural] == ["depths.1", "act"]
    assert len(swept.tiles) == 2 * 2
    assert sweep("mobilenet_v2", ["width=0.5:1.5:0.5"]).grid.structural == ()


def test_an_option_that_is_structure_only_where_another_axis_says_so(tmp_path: Path) -> None:
    """`of` is no choice among formulas at the spec's own size, and one where there are more layers."""
    text = """\
input: 6x8x8
parameters: {of: 1, more: 0}
layers:
  a: {conv: 6, kernel: of, padding: same}
  b: {split: 2, part: of - 1, if: more > 0}
  c: {conv: 4}
"""
    swept = check(written(tmp_path, text), ["more=0,1", "of=1:3", "batch=1:6"])
    assert swept.reasons.count(None) == 6 * (3 + 2)
    assert {r for r in swept.reasons if r} == {"layer b: part 2 of 2: 6 elements in 2 parts"}


def test_where_two_axes_decide_together(tmp_path: Path) -> None:
    text = (
        "input: 8x6x6\nparameters: {a: 1, b: 5}\nlayers:\n  x: {conv: a}\n  y: {conv: 2, if: a > b}\n  z: {conv: b}\n"
    )
    swept = check(written(tmp_path, text), ["a=1:4", "b=2:6", "batch=1:5"])
    assert len(swept.tiles) == 1
    params = {(a, b): swept.at(a=a, b=b, batch=1)["params"] for a in (1, 3, 4) for b in (2, 3)}  # type: ignore[index]
    assert params[3, 3] == 8 * 3 + 3 + 3 * 3 + 3
    assert params[4, 3] == 8 * 4 + 4 + 4 * 2 + 2 + 2 * 3 + 3


def test_powers_are_pythons(tmp_path: Path) -> None:
    """NumPy's differ from these in the last digit, and a channel more or less may hang on that."""
    text = "input: 3x4x4\nparameters: {a: 1.1, b: 2}\nlayers: {x: {conv: 'ceil(1000 * a ** b)'}}\n"
    check(written(tmp_path, text), {"a": [n / 10 for n in range(1, 40)], "b": [0, 1, 2, 3, 0.5, 2.7, -1]})
    from cnncost.spec.expr import evaluate

    class Given:
        def value(self, name: str) -> Any:
            return {"a": bases, "b": exponents}[name]

        def size(self, owner: str, name: str) -> Any:
            raise AssertionError

    chance = np.random.default_rng(1)
    bases, exponents = chance.uniform(0.1, 50, 500), chance.uniform(-3, 9, 500)
    want = [x**y for x, y in zip(bases.tolist(), exponents.tolist())]
    assert evaluate("a ** b", Given()).tolist() == want


# ---- choices that sizes make ------------------------------------------------------------------------

CHOICES = {
    "stretched": ("input: 4x5x5\nparameters: {k: 3}\nlayers:\n  a: {conv: 4, kernel: k}\n  p: {global_avg_pool, "
                  "keep: true}\n  m: {multiply: [a, p]}\n  l: relu\n", {"k": [1, 2, 3, 4, 5], "batch": MANY}),
    "padded unevenly": ("input: 4x9x9\nlayers:\n  a: {conv: 4, kernel: 3, stride: 2, padding: same_tf}\n"
                        "  l: {max_pool: 3, stride: 2, padding: same_tf}\n",
                        {"input.height": range(1, 20), "input.width": range(3, 12), "batch": MANY}),
    "regions": ("input: 4x9x9\nparameters: {n: 3}\nlayers: {a: relu, p: {roi_pool: 2, rois: n, region: 5}}\n",
                {"n": [1, 2, 3, 5], "input": [5, 6, 9], "batch": MANY}),
    "groups": ("input: 4x9x9\nparameters: {g: 2}\nlayers: {a: {local_conv: 4, kernel: 3, groups: g}}\n",
               {"g": [1, 2, 3, 4], "batch": MANY}),
    "dilation": ("input: 4x9x9\nparameters: {d: 2}\nlayers: {a: {local_conv: 4, kernel: 3, dilation: d}}\n",
                 {"d": [1, 2, 3, 4], "batch": MANY}),
    "copied": ("input: 6x4x5\nparameters: {c: 6}\nlayers:\n  a: {conv: c}\n  p: {permute: [0, 2, 3, 1]}\n"
               "  r: flatten\n  f: {linear: 3}\n", {"c": [2, 1, 3], "input": [3, 1, 5], "batch": MANY}),
    "a whole part": ("input: 6x4x5\nparameters: {n: 2}\nlayers:\n  a: relu\n  s: {split: n}\n  r: {flatten: }\n",
                     {"n": [1, 2, 3, 6, 7], "batch": MANY}),
    "steps": ("input: 6x4x9\nparameters: {n: 2}\nlayers:\n  a: relu\n  s: {slice: [null, null], axis: 3, step: n}\n"
              "  g: gelu\n  r: {flatten: }\n", {"n": [1, 2, 3, 9], "batch": MANY}),
    "nothing to learn": ("input: 6x4x9\nlayers: {a: {conv: 4}, n: instance_norm, b: {batch_norm: , affine: false}}\n",
                         {"input": [(6, 4, 9), (6, 5, 5), (6, 1, 2)], "batch": MANY}),
}  # fmt: skip
"""Networks in which sizes choose what runs: whether something is copied, padded, cut off, how many parts there are."""


@pytest.mark.parametrize("name", CHOICES)
def test_choices_that_sizes_make(tmp_path: Path, name: str) -> None:
    text, axes = CHOICES[name]
    check(written(tmp_path, text), axes, count=80)


def test_a_batch_of_one_is_walked_by_itself(tmp_path: Path) -> None:
    """A grouped local convolution does without a copy there."""
    path = written(tmp_path, "input: 4x9x9\nlayers: {a: relu, l: {local_conv: 64, groups: 2, bias: false}, b: relu}\n")
    swept = check(path, {"batch": [1, 2, 3, 4, 5, 6, 7]})
    peaks = [swept.at(batch=n)["peak_bytes"] for n in (1, 2, 3)]  # type: ignore[index]
    assert peaks[1] - peaks[0] != peaks[2] - peaks[1]
    for batches in ([1, 2], [2, 1, 3], [1]):
        check(path, {"batch": batches})


# ---- impossible points --------------------------------------------------------------------------------


def reasons(swept: Swept) -> list[str]:
    """All of them, each once, in order."""
    return list(dict.fromkeys(reason for reason in swept.reasons if reason is not None))


@pytest.mark.parametrize(
    ("layers", "axes", "wanted"),
    [
        ("x: {conv: p, kernel: 3}", {"p": [4, 0, -1]},
         ["layer x: out must be a whole number of at least 1, got 0"]),
        ("x: {conv: p, kernel: 3}", {"p": [4, 2.5]},
         ["layer x: out must be a whole number of at least 1, got 2.5"]),
        ("x: {conv: p * 4000000000}", {"p": [0.5, 1]},
         ["layer x: out must be at most 2147483647, got 4000000000"]),
        ("x: {conv: 4, kernel: p}", {"p": [3, 0]},
         ["layer x: kernel must be a whole number of at least 1, or a list with one an axis, got 0"]),
        ("x: {conv: 4, kernel: [p, 1]}", {"p": [3, 0]},
         ["layer x: kernel must be a whole number of at least 1, got 0"]),
        ("x: {conv: 4, kernel: 3, padding: [[p, 1], [0, 0]]}", {"p": [3, -1]},
         ["layer x: padding must be a number of at least 0, one an axis, [before, after] for each axis, or same, "
          "same_tf, valid, got [[-1, 1], [0, 0]]"]),
        ("x: {conv: 4, kernel: p}", {"p": [3, 8, 9]},
         ["layer x: a window of 8 is larger than its input of 7 (height)"]),
        ("x: {conv: 4, kernel: 3}", {"input.height": [3, 2], "input.width": [9, 1]},
         ["layer x: a window of 3 is larger than its input of 2 (height)",
          "layer x: a window of 3 is larger than its input of 1 (width)"]),
        ("x: {conv: 4, groups: p}", {"p": [2, 4]}, ["layer x: groups 4 does not divide the input channels, 6"]),
        ("x: {conv: 6}\n  y: {conv: p}\n  z: {add: [x, y]}", {"p": [6, 4, 1], "batch": MANY},
         ["layer z: shapes 1x6x7x7 and 1x4x7x7 do not join"]),
        ("x: {conv: 4}\n  y: {conv: p}\n  z: {reuse: x}", {"p": [6, 5, 4], "batch": [2]},
         ["layer z: cannot reuse x: the parameters of x are for an input of 2x6x7x7, not 2x5x7x7"]),
        ("x: {reshape: [p, -1]}", {"p": [6, 5]},
         ["layer x: reshape of 6x7x7 to [5, -1]: 5 does not divide 294 elements"]),
        ("x: {conv: 'round_to(p, 8)'}", {"p": [6, 0, -1]}, ["layer x: round_to of 0, which is not above 0"]),
        ("x: {conv: '12 // p'}", {"p": [6, 0, 5]}, ["layer x: 12 // p divides by zero"]),
        ("x: {split: 2, part: p}", {"p": [0, 1, 2]}, ["layer x: part 2 of 2: 6 elements in 2 parts"]),
        ("x: {conv: 4, kernel: 3}\n  y: {conv: 0 * p + 4, kernel: 6}", {"p": [1, 2], "input": [8, 7, 2]},
         ["layer y: a window of 6 is larger than its input of 5 (height)",
          "layer x: a window of 3 is larger than its input of 2 (height)"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_reasons_are_those_of_one_network(tmp_path: Path, layers: str, axes: dict[str, Any], wanted: list[str]) -> None:
    size, p = axes.get("input", [7])[0], axes.get("p", [1])[0]
    path = written(tmp_path, f"input: 6x{size}x{size}\nparameters: {{p: {p}}}\nlayers:\n  {layers}\n")
    assert sorted(reasons(check(path, axes))) == sorted(wanted)


def test_a_parameter_that_is_refused_has_no_layer(tmp_path: Path) -> None:
    text = "input: 3x7x7\nparameters: {w: 1, out: 'round_to(8 * w, 8)'}\nlayers: {x: {conv: out}}\n"
    assert reasons(check(written(tmp_path, text), {"w": [0.5, -1, 0]})) == ["round_to of -8.0, which is not above 0"]
    text = "input: [3, s, s]\nparameters: {s: 8}\nlayers: {x: {conv: 4}}\n"
    assert reasons(check(written(tmp_path, text), {"s": [8, 0, -2]})) == [
        "each size of an input must be a whole number of at least 1, got 0"
    ]


def test_arguments_of_blocks_are_at_their_layer(tmp_path: Path) -> None:
    text = """\
input: 3x7x7
parameters: {w: 8}
blocks:
  unit:
    parameters: [out, size: 1]
    layers:
      conv: {conv: out, kernel: size}
layers:
  a: {unit: 'round_to(w, 4)'}
  b: {unit: 4, size: w - 6}
"""
    assert reasons(check(written(tmp_path, text), {"w": [8, 0, 6, 20], "batch": [1, 2]})) == [
        "layer a: round_to of 0, which is not above 0",
        "layer b.conv: kernel must be a whole number of at least 1, or a list with one an axis, got 0",
        "layer b.conv: a window of 14 is larger than its input of 7 (height)",
    ]


def test_the_first_reason_counts(tmp_path: Path) -> None:
    layers = "{a: {conv: p + 2}, b: {conv: p + 1, kernel: 8 - p}, c: {conv: 2 - p}}"
    text = f"input: 3x9x9\nparameters: {{p: 0}}\nlayers: {layers}\n"
    swept = check(written(tmp_path, text), {"p": [-2, -1, 0, 1, 2, 3]})
    assert [reason and reason.split(":")[0] for reason in swept.reasons] == [
        "layer a", "layer b", None, None, "layer c", "layer c",
    ]  # fmt: skip


@pytest.mark.parametrize("batches", [[4], [1, 2], MANY])
def test_all_points_or_one_of_them_impossible(plain: str, batches: list[int]) -> None:
    none = check(plain, {"kernel": [40, 50], "dilation": [1, 2], "batch": batches})
    assert None not in none.reasons
    one = check(plain, {"kernel": [1, 40], "dilation": [1, 2], "batch": batches})
    assert one.reasons.count(None) == 2 * len(batches)
    single = check(plain, {"kernel": [40], "batch": batches})
    assert single.reasons == ["layer body: a window of 40 is larger than its input of 9 (height)"] * len(batches)


def test_quantities_of_impossible_points_are_numbers(plain: str) -> None:
    swept = sweep(plain, {"kernel": [40, 50], "batch": [1, 2]}, devices=DEVICES)
    assert set(swept.tiles[0].columns) == set(swept.wanted.columns)
    assert all(len(column) == 4 for column in swept.tiles[0].columns.values())


def test_what_no_point_can_be_takes_few_walks(plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    walks: list[Any] = []
    graph = Source.graph
    monkeypatch.setattr(Source, "graph", lambda self, *given, **more: walks.append(more) or graph(self, *given, **more))
    swept = sweep(plain, {"act": ["relu", "nothing"], "out": range(1, 21), "input.width": range(1, 30), "batch": MANY})
    assert len(walks) < 30
    reasons = [reason for (point, _, _), reason in zip(swept.rows, swept.reasons) if point["act"] == "nothing"]
    assert len(reasons) == 20 * 29 * len(MANY)
    assert set(reasons) == {"layer act: op nothing is neither an op nor a block"}


def test_what_is_wrong_at_all_points_that_are_left(tmp_path: Path) -> None:
    text = "input: 3x9x9\nparameters: {act: relu}\nlayers: {a: {conv: 4, kernel: 3}, b: {op: act}}\n"
    swept = check(written(tmp_path, text), {"act": ["relu", "nothing"], "input": [5, 2, 9, 1], "batch": MANY})
    small, unknown = "layer a: a window of 3 is larger than", "layer b: op nothing is neither an op nor a block"
    found = [str(reason).split(" its")[0] for reason in swept.reasons[:: len(MANY)]]
    assert found == ["None", small, "None", small, unknown, small, unknown, small]


def test_arithmetic_that_fails_at_both_ends_only(tmp_path: Path) -> None:
    text = "input: 3x9x9\nparameters: {p: 30, q: 60}\nlayers: {a: {conv: '40 // (p - q) + 50'}}\n"
    swept = check(written(tmp_path, text), {"p": [1, 5, 3], "q": [1, 7, 3], "batch": MANY})
    assert swept.grid.structural == ()
    assert swept.reasons.count(None) == 7 * len(MANY)
    text = "input: 3x9x9\nparameters: {p: 2}\nlayers: {a: {conv: 40}, b: {conv: 4, kernel: 10 - p, stride: p}}\n"
    check(written(tmp_path, text), {"p": range(0, 11), "input": [1, 5, 9], "batch": [2, 1]})


def test_some_batches_impossible(tmp_path: Path) -> None:
    """The mean of one element is one of a batch of 1 only."""
    text = "input: 8x1x1\nlayers: {a: {batch_norm: , track_running_stats: false}, b: relu}\n"
    path = written(tmp_path, text)
    with pytest.raises(SpecError, match="the mean of one element"):
        Source(path).graph()
    found = check(path, {"batch": [2, 1, 3, 4, 5, 6, 8]}, batch=2)
    assert [reason is not None for reason in found.reasons] == [False, True, False, False, False, False, False]
    more = "parameters: {p: 1}\n" + text.replace("b: relu", "b: {conv: 4, kernel: p}")
    found = check(written(tmp_path, more), {"p": [1, 2], "batch": [1, 2, 3, 4, 5, 6, 7, 8]}, batch=2)
    mean = "layer a: batch_norm normalises by the mean of one element, which leaves nothing but 0"
    assert found.reasons[0] == found.reasons[8] == mean
    assert found.reasons[9:] == ["layer b: a window of 2 is larger than its input of 1 (height)"] * 7


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"depths.7": [1, 2]}, "depths has no entry 7"),
        ({"act": ["relu", "nothing", 3][:2], "out.1": [1]}, "cannot set entry 1 of out: it is 4, not a list"),
        ({"out": ["many"]}, "cannot set out to many: it is 4 in the spec"),
        ({"bias": [1, 2]}, "cannot set bias to 1: it is true in the spec"),
        ({"input": [(3, 4, 5), (3, 4)]}, None),
    ],
)
def test_axes_that_the_spec_cannot_have(plain: str, axes: dict[str, Any], message: str | None) -> None:
    if message is None:
        swept = check(plain, axes)
        assert check(plain, {"input": [(3, 20, 23), (3, 20, 23, 4)]}).reasons.count(None) == 1
        assert swept.reasons[1] == "input 3x4 has 2 sizes, and the spec's input 3x17x23 has 3"
        return
    with pytest.raises(UsageError) as e:
        sweep(plain, axes)
    assert e.value.message == message


def test_inputs_that_are_several_cannot_vary(tmp_path: Path) -> None:
    path = written(tmp_path, "input: {a: 3x4x4, b: 3x4x4}\nlayers: {x: {add: [a, b]}}\n")
    check(path, {"batch": [1, 2]})
    for axes in ({"input": [4, 5]}, {"input": [(3, 4, 4)]}, {"input.height": [3]}):
        with pytest.raises(UsageError, match="net has several inputs"):
            sweep(path, axes)
    flat = written(tmp_path, "input: [12]\nlayers: {x: {linear: 3}}\n")
    with pytest.raises(UsageError, match="the input has no height"):
        sweep(flat, {"input.height": [3, 4]})


# ---- growth ---------------------------------------------------------------------------------------


def uneven(y: Any, x: Any) -> tuple[Temporary, ...]:
    """What grows by steps: every third image takes as much again."""
    return (Temporary(numel(y[1:]) * (y[0] // 3) * 5),)


def test_irregular_growth_is_walked_at_every_batch(plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find("max_pool"), "temporaries", lambda self, y, x: uneven(y, x))
    swept = check(plain, {"batch": range(1, 30), "out": [4, 60]})
    peaks = [swept.at(batch=n, out=60)["peak_bytes"] for n in range(20, 27)]  # type: ignore[index]
    steps = {b - a for a, b in pairwise(peaks)}
    assert len(steps) > 1
    monkeypatch.setattr(find("max_pool"), "operations", lambda self, y, x: find("relu")().operations(y, x)._replace(
        comparisons=y[0] * y[0]))  # fmt: skip
    check(plain, {"batch": range(1, 30), "out": [4, 60]})


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(0, 1000), min_size=3, max_size=3), min_size=1, max_size=6), st.integers(1, 9))
def test_the_highest_of_lines_is_found_from_the_outermost(values: list[list[int]], last: int) -> None:
    """Lines over three points, from a start each by a slope each."""
    batches = np.arange(2, 3 + last)
    lines = []
    for n, starts in enumerate(values):
        slopes = np.roll(values[n - 1], 1)[:, None]
        lines.append(Line.through(np.array(starts)[:, None] + slopes * (batches - batches[0]), batches))
    steps = batches - batches[0]
    every = np.max([line.start[:, None] + line.slope[:, None] * steps for line in lines], axis=0)
    assert (highest_of(outermost(lines), steps) == every).all()


def test_what_is_no_line_is_not_taken_for_one() -> None:
    batches = np.array([2, 3, 9, 12])
    line = Line.through(np.array([[7, 9, 21, 27], [1, 1, 1, 1]]), batches)
    assert (line.start.tolist(), line.slope.tolist(), line.end.tolist()) == ([7, 1], [2, 0], [27, 1])
    for wrong in ([8, 9, 21, 27], [7, 10, 21, 27], [7, 9, 22, 27], [7, 9, 21, 28]):
        with pytest.raises(IrregularError):
            Line.through(np.array([[1, 1, 1, 1], wrong]), batches)


# ---- planted faults -----------------------------------------------------------------------------------


def test_lines_that_are_not_checked_are_found_out(plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unchecked(values: Any, batches: Any) -> Line:
        start, end = values[:, 0], values[:, -1]
        return Line(start, (end - start) // (batches[-1] - batches[0]), end)

    monkeypatch.setattr(find("max_pool"), "temporaries", lambda self, y, x: uneven(y, x))
    monkeypatch.setattr(Line, "through", staticmethod(unchecked))
    with pytest.raises(AssertionError):
        check(plain, {"batch": range(1, 30), "out": [4, 60]})


@pytest.mark.parametrize("kept", [slice(1), slice(1, None)])
def test_a_line_that_is_missing_is_found_out(monkeypatch: pytest.MonkeyPatch, kept: slice) -> None:
    """Without one peaks are wrong at some batch: with few images weights are the most, later activations."""
    monkeypatch.setattr(under_test, "outermost", lambda lines: outermost(lines)[kept] or outermost(lines))
    with pytest.raises(AssertionError):
        check("nin", {"batch": [1, 2, 3, 5, 9, 30, 90, 250]})


def test_counts_that_wrap_would_be_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "countable", lambda *given, **more: None)
    path = written(tmp_path, HUGE)
    with pytest.raises(AssertionError):
        check(path, {"p": [1, 2**20 + 1]})


# ---- counts that int64 does not hold --------------------------------------------------------------------

HUGE = "input: 1024x1024x1024\nparameters: {p: 1}\nlayers: {a: {conv: 1048576, kernel: p, padding: same}}\n"


def test_counts_beyond_int64_are_an_error_and_not_impossible(tmp_path: Path) -> None:
    path = written(tmp_path, HUGE)
    for axes in ({"p": [1, 1001]}, {"p": [1001]}, {"p": [1, 1001], "batch": MANY}, {"batch": [1, 2**20]}):
        with pytest.raises(UncountableError, match=r"passes 2\^63 at the largest design point \(.* FLOPs\)"):
            sweep(path, axes)
    check(path, {"p": [1, 2]})


def test_points_that_cannot_be_may_be_as_large_as_they_like(tmp_path: Path) -> None:
    text = "input: 4x64x64\nparameters: {p: 1}\nlayers: {a: {conv: 2000000000, kernel: p}, b: {conv: 4}}\n"
    swept = check(written(tmp_path, text), {"p": [1, 100, 2000000000], "batch": [1, 2]})
    assert [reason is None for reason in swept.reasons] == [True, True, False, False, False, False]


def test_bytes_beyond_int64_are_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, "input: 4x64x64\nparameters: {p: 1}\nlayers: {a: {upsample: , size: p}}\n")
    with pytest.raises(UncountableError, match=r"bytes may pass 2\^63 at the largest design point"):
        sweep(path, {"p": [64, 2**31 - 1]})


# ---- noted refusals -----------------------------------------------------------------------------------


def test_refusals_are_raised_where_nobody_notes_them() -> None:
    with pytest.raises(SpecError, match="out must be a whole number of at least 1, got 0"):
        find("conv")(np.array([4, 0]))
    with refusing(Refusals((2,))) as found:
        find("conv")(np.array([4, 0]))
    assert [reason.message for reason in found.reasons] == ["must be a whole number of at least 1, got 0"]
    assert found.first.tolist() == [-1, 0]
    with pytest.raises(SpecError):
        find("conv")(np.array([4, 0]))


def test_a_tile_is_one_walk_and_its_rows_are_points(plain: str) -> None:
    swept = sweep(plain, {"out": [2, 4], "batch": [1, 2], "kernel": [1, 3]})
    (tile,) = swept.tiles
    one = cnncost.analyze(plain, batch=2, set={"out": 4, "kernel": 1}).totals
    found = answer(tile, [(o, k, b) for o in (2, 4) for k in (1, 3) for b in (1, 2)].index((4, 1, 2)))
    assert isinstance(found, dict)
    assert {name: one[name] for name in ("params", "macs", "flops")} == {
        name: found[name] for name in ("params", "macs", "flops")
    }
