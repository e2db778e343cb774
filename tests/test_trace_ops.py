"""Rules: every op of the language, built and traced, costs what the op says; other operators what their parts cost."""

from __future__ import annotations

from typing import Any

import laws
import oracle
import pytest
import torch
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
        assert hasattr(getattr(torch.ops, namespace or "aten"), operator), f"{name}: PyTorch has no such operator"


def test_an_operator_has_one_rule_for_every_call() -> None:
    for name, rules in RULES.items():
        always = [when for when, _ in rules if when is None]
        assert len(always) <= 1, name
        assert not always or rules[-1][0] is None, f"{name}: a rule after the one for all calls is never asked"


# ---- arithmetic, against the same written out ------------------------------------------------------

f = torch.nn.functional
X, ROWS = (3, 4), (3, 5, 4)


def lstm_step(x: Any, h: Any, c: Any, w: Any, u: Any, a: Any, b: Any) -> Any:
    i, forget, g, o = ((x @ w + a) + (h @ u + b)).chunk(4, -1)
    c = torch.sigmoid(forget) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c)


def gru_step(x: Any, h: Any, w: Any, u: Any, a: Any, b: Any) -> Any:
    (r, z, n), (rh, zh, nh) = (x @ w + a).chunk(3, -1), (h @ u + b).chunk(3, -1)
    n = torch.tanh(n + torch.sigmoid(r + rh) * nh)
    z = torch.sigmoid(z + zh)
    return (1 - z) * n + z * h


def rnn_step(activation: Any) -> Any:
    return lambda x, h, w, u, a, b: activation((x @ w + a) + (h @ u + b))


SAME: dict[str, tuple[Any, Any, list[tuple[int, ...]]]] = {
    "rsqrt": (torch.rsqrt, lambda x: x.sqrt().reciprocal(), [X]),
    "expm1": (torch.expm1, lambda x: x.exp() - 1, [X]),
    "log1p": (torch.log1p, lambda x: (x + 1).log(), [X]),
    "hypot": (torch.hypot, lambda a, b: (a * a + b * b).sqrt(), [X, X]),
    "lerp": (torch.lerp, lambda a, b, w: a + w * (b - a), [X, X, X]),
    "addcmul": (torch.addcmul, lambda a, b, c: a + b * c, [X, X, X]),
    "addcmul, scaled": (lambda a, b, c: torch.addcmul(a, b, c, value=3), lambda a, b, c: a + b * c * 3, [X, X, X]),
    "addcdiv": (torch.addcdiv, lambda a, b, c: a + b / c, [X, X, X]),
    "add, scaled": (lambda a, b: torch.add(a, b, alpha=3), lambda a, b: a + b * 3, [X, X]),
    "clamp": (lambda x: x.clamp(1, 2), lambda x: x.clamp_min(1).clamp_max(2), [X]),
    "relu6": (f.relu6, lambda x: x.clamp_min(0).clamp_max(6), [X]),
    "reverse subtraction": (lambda x: 1 - x, lambda x: -x + 1, [X]),
    "pow 2": (lambda x: x**2, lambda x: x * x, [X]),
    "pow": (lambda x: x**1.5, torch.exp, [X]),
    "mean": (lambda x: x.mean(1), lambda x: x.sum(1) / 5, [ROWS]),
    "variance": (lambda x: x.var(1), lambda x: (x - x.mean(1, True)).square().mean(1), [ROWS]),
    "deviation": (lambda x: x.std(1), lambda x: x.var(1).sqrt(), [ROWS]),
    "norm": (lambda x: torch.linalg.vector_norm(x, dim=1), lambda x: x.square().sum(1).sqrt(), [ROWS]),
    "norm of 1": (lambda x: x.norm(1, 1), lambda x: x.abs().sum(1), [ROWS]),
    "norm of 3": (lambda x: x.norm(3, 1), lambda x: (x**3).sum(1) ** (1 / 3), [ROWS]),
    "norm without end": (lambda x: x.norm(float("inf"), 1), lambda x: x.abs().amax(1), [ROWS]),
    "logsumexp": (
        lambda x: x.logsumexp(1), lambda x: (x - x.amax(1, True)).exp().sum(1).log() + x[:, 0], [ROWS],
    ),
    "rms norm": (
        lambda x: f.rms_norm(x, (4,)), lambda x: x * ((x * x).mean(-1, True) + 1e-6).rsqrt(), [ROWS],
    ),
    "attention": (
        f.scaled_dot_product_attention,
        lambda q, k, v: torch.softmax((q * 0.5) @ k.transpose(-1, -2), -1) @ v,
        [(2, 3, 7, 4), (2, 3, 9, 4), (2, 3, 9, 5)],
    ),
    "attention, masked": (
        f.scaled_dot_product_attention,
        lambda q, k, v, m: torch.softmax((q * 0.5) @ k.transpose(-1, -2) + m, -1) @ v,
        [(2, 3, 7, 4), (2, 3, 9, 4), (2, 3, 9, 5), (7, 9)],
    ),
}  # fmt: skip
"""An operator; the same in smaller ones; what it is called with."""


class Applied(torch.nn.Module):
    """A function as a model."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


def arithmetic(function: Any, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """(MACs, operations by kind)."""
    total = analyze(trace(Applied(function), shapes)).total
    return (total.macs, *Operations(*(getattr(total, kind) for kind in Operations._fields)))


@pytest.mark.parametrize("name", SAME)
def test_an_operator_costs_what_it_costs_written_out(name: str) -> None:
    whole, parts, shapes = SAME[name]
    assert arithmetic(whole, shapes) == arithmetic(parts, shapes)


def test_recurrent_cells_cost_what_they_cost_written_out() -> None:
    x, h, vector = (2, 5), (2, 6), (24,)
    lstm = arithmetic(lstm_step, [x, h, h, (5, 24), (6, 24), vector, vector])
    assert arithmetic(torch.nn.LSTM(5, 6), [(1, *x)]) == lstm
    assert arithmetic(torch.nn.LSTM(5, 6), [(7, *x)]) == tuple(7 * n for n in lstm)
    gru = arithmetic(gru_step, [x, h, (5, 18), (6, 18), (18,), (18,)])
    assert arithmetic(torch.nn.GRU(5, 6), [(1, *x)]) == gru
    for kind in ("tanh", "relu"):
        step = arithmetic(rnn_step(getattr(torch, kind)), [x, h, (5, 6), (6, 6), (6,), (6,)])
        assert arithmetic(torch.nn.RNN(5, 6, nonlinearity=kind), [(1, *x)]) == step


def test_sorting_takes_n_log_n_comparisons() -> None:
    assert arithmetic(lambda x: x.sort(1), [(3, 8)]) == (0, 0, 0, 3 * 8 * 3, 0, 0)


# ---- in place ---

MATRICES = {"addmm", "addmv", "addr", "addbmm", "baddbmm", "cumsum", "cumprod", "scatter"}
"""Operators that take other shapes, or an axis."""
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
