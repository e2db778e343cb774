"""Rules: every op of the language, built and traced, costs what the op says; in place, and on tensors of any shape."""

from __future__ import annotations

from typing import Any

import laws
import oracle
import pytest
import torch
from applied import Applied, arithmetic
from cases import CASES, Case

from cnncost import Graph, analyze
from cnncost.cost import Operations
from cnncost.live.operators.base import RULES, Call, Layer, rule
from cnncost.live.recorder import TraceError
from cnncost.live.trace import trace
from cnncost.ops.seen import Fed, Seen

SIZES = {"weights", "biases", "other_params", "macs"}
"""Counts that stay the same also where PyTorch makes an op of several operators."""


def traced(case: Case) -> Graph:
    return trace(oracle.module_of(case.op(), case.shapes), [tuple(shape) for shape in case.shapes])


def in_parts(case: Case, graph: Graph) -> bool:
    """Whether PyTorch makes several operators of it, whose intermediate results move too."""
    several = case.key in laws.COMPOSED or len(case.shapes) > 2
    return several or (len(graph) > 1 and graph.nodes[0].op.key == "pad")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_built_and_traced_costs_the_same(case: Case) -> None:
    op, graph = case.op(), traced(case)
    total = analyze(graph).total
    expected = op.cost(op.shape(*case.shapes), *case.shapes)
    if not in_parts(case, graph):
        assert total == expected
        return
    assert total.macs == expected.macs
    assert total.params == expected.params


def test_most_ops_come_back_as_themselves() -> None:
    """One node, and not one of the kind that only knows what it saw."""
    changed = {"identity", "dropout", "stochastic_depth", "maxout", "split", "space_to_depth", "depth_to_space"}
    for key in {case.key for case in CASES} - set(laws.COMPOSED) - changed:
        graphs = [traced(case) for case in CASES if case.key == key]
        same = [
            g for g in graphs if [node.op.key for node in g] == [key] and not isinstance(g.nodes[0].op, (Seen, Fed))
        ]
        assert same, f"{key} never comes back as itself"


def test_rules_are_of_operators_that_there_are() -> None:
    for name in RULES:
        namespace, _, operator = name.rpartition("::")
        if namespace != "torchvision":  # whose operators may not load: test_trace_regions.py
            assert hasattr(getattr(torch.ops, namespace or "aten"), operator), f"{name}: PyTorch has no such operator"


def test_an_operator_has_one_rule_for_every_call() -> None:
    for name, rules in RULES.items():
        always = [when for when, _ in rules if when is None]
        assert len(always) <= 1, name
        assert not always or rules[-1][0] is None, f"{name}: a rule after the one for all calls is never asked"


# ---- in place ---

MATRICES = {"addmm", "addmv", "addr", "addbmm", "baddbmm", "cumsum", "cumprod", "polygamma", "scatter"}
"""Operators that take other shapes, an axis, or a whole number."""
OTHERS = {"fill", "zero", "unsqueeze", "bernoulli", "exponential", "normal", "random", "uniform"}
"""Operators that do not look at what was there, or take an axis alone."""
INPLACE = sorted(name for name in RULES if "_" not in name and hasattr(torch.Tensor, f"{name}_") and name not in OTHERS)


@pytest.mark.parametrize("name", INPLACE)
def test_what_is_done_in_place_takes_no_storage(name: str) -> None:
    """Called on one tensor, or two, or a tensor and a number, whichever the operator takes."""
    tried = 0
    for others in ([], [0.5], ["x"], ["x", "x"], [0, 1], [1, 0.5]):
        try:
            graph = trace(Applied(lambda x, others=others: in_place(name, x, others)), [(3, 4)])
        except TraceError:
            continue
        tried += 1
        copied, *others_done = analyze(graph).layers
        assert copied.op == "copy"
        assert [row.cost.activations for row in others_done] == [0] * len(others_done)
    assert tried or name in MATRICES


def test_matrices_are_added_up_in_place() -> None:
    graph = trace(Applied(lambda a, b, c: a.clone().addmm_(b, c)), [(3, 4), (3, 5), (5, 4)])
    assert [row.cost.activations for row in analyze(graph).layers] == [3 * 4, 0]
    assert analyze(graph).total.macs == 3 * 5 * 4


def test_a_tensor_that_gets_another_shape_in_place() -> None:
    graph = trace(Applied(lambda x: x.clone().unsqueeze_(1).transpose_(0, 2).squeeze_().relu()), [(3, 4)])
    assert graph.nodes[-1].shape == (4, 3)


def in_place(name: str, x: torch.Tensor, others: list[Any]) -> torch.Tensor:
    """The operator on a copy of x; "x" among the others is x itself."""
    result: torch.Tensor = getattr(x.clone(), f"{name}_")(*(x if other == "x" else other for other in others))
    return result


# ---- any shape -------------------------------------------------------------------------------------

f = torch.nn.functional
SHAPES = [(1,), (6,), (3, 4), (2, 3, 4), (2, 4, 6, 5), (1, 1, 1, 1), (1, 2, 4, 4, 4), (1, 2, 3, 2, 2, 4)]
ANYWHERE: dict[str, Any] = {
    "softmax": lambda x: x.softmax(0),
    "cumsum": lambda x: x.cumsum(-1),
    "mean": lambda x: x.mean(-1, True),
    "max": lambda x: x.max(0),
    "layer_norm": lambda x: f.layer_norm(x, x.shape),
    "group_norm": lambda x: f.group_norm(x, 1),
    "batch_norm": lambda x: f.batch_norm(x, None, None, training=True),
    "instance_norm": f.instance_norm,
    "glu": lambda x: f.glu(x, 0),
    "prelu": lambda x: f.prelu(x, torch.ones(1)),
    "dropout": lambda x: f.dropout2d(x, training=True),
    "relu": lambda x: f.relu(x.clone(), inplace=True),
    "max_pool": lambda x: f.max_pool2d(x, 2, 1, 1),
    "avg_pool": lambda x: f.avg_pool1d(x, 2),
    "adaptive_pool": lambda x: f.adaptive_avg_pool3d(x, 2),
    "interpolate": lambda x: f.interpolate(x, scale_factor=2),
    "pad": lambda x: f.pad(x, (1, 1) * x.dim()),
    "crop": lambda x: f.pad(x, (-1, 0)),
    "circular": lambda x: f.pad(x, (1, 1, 1, 1), mode="circular"),
    "index": lambda x: x[torch.tensor([0])],
    "select": lambda x: x[..., -1],
    "slice": lambda x: x[::2],
    "split": lambda x: x.split(2, -1),
    "chunk": lambda x: x.chunk(4),
    "unbind": lambda x: x.unbind(-1),
    "cat": lambda x: torch.cat([x, x]),
    "stack": lambda x: torch.stack([x, x], -1),
    "reverse": lambda x: x.permute(*range(x.dim())[::-1]).reshape(-1),
    "expand": lambda x: x.expand(3, *x.shape),
    "spread": lambda x: x + torch.ones(2, 1, 1, 1, 1, 1, 1),
    "assign": lambda x: x.clone().index_fill_(0, torch.tensor([0]), 1.0),
    "matmul": lambda x: x @ x.mT,
    "vector": lambda x: x @ torch.ones(x.shape[-1]),
    "linear": lambda x: f.linear(x, torch.ones(3, x.shape[-1]), torch.ones(3)),
    "attention": lambda x: f.scaled_dot_product_attention(x, x, x),
    "conv1d": lambda x: f.conv1d(x, torch.ones(2, x.shape[-2], 1)),
    "conv2d": lambda x: f.conv2d(x, torch.ones(2, x.shape[-3], 1, 1)),
    "transposed": lambda x: f.conv_transpose2d(x, torch.ones(x.shape[-3], 2, 2, 2), stride=2),
    "pixel_shuffle": lambda x: f.pixel_shuffle(x, 2),
}
"""Functions that PyTorch lets loose on tensors of many kinds; some of the language's ops take fewer."""


@pytest.mark.parametrize("name", ANYWHERE)
def test_shapes_are_pytorchs_whatever_the_number_of_axes(name: str) -> None:
    """The recorder compares every node's shape with PyTorch's; what PyTorch refuses is an error of the model."""
    traced = 0
    for shape in SHAPES:
        try:
            report = analyze(trace(Applied(ANYWHERE[name]), [shape]))
        except TraceError as e:
            assert e.message.startswith("forward raises")
            continue
        traced += 1
        assert str(report)
    assert traced


# ---- rules from elsewhere --------------------------------------------------------------------------


def test_an_operator_of_ones_own_gets_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    @torch.library.custom_op("cnncost_tests::cube", mutates_args=())
    def cube(x: torch.Tensor) -> torch.Tensor:
        return x * x * x

    @cube.register_fake
    def _(x: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(x)

    monkeypatch.setitem(RULES, "cnncost_tests::cube", [])

    @rule("cnncost_tests::cube")
    def cubed(call: Call) -> Layer:
        return Layer(Seen("cube", call.y, done=Operations(multiplications=2 * call.n)), (call["x"],))

    assert arithmetic(cube, [(3, 4)]) == arithmetic(lambda x: x * x * x, [(3, 4)])
