"""Rules: operators that the language has no layer for cost what the same costs, written out in smaller ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from applied import Applied, arithmetic

from cnncost.live.trace import trace

f = torch.nn.functional
X, ROWS, Z = (3, 4), (3, 5, 4), (3, 8, 2)
PICKS, BAGS = torch.zeros(3, dtype=torch.long), torch.zeros(3, 5, dtype=torch.long)
FIRST, SECOND = torch.triu_indices(5, 5, 1)


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


def butterflies(x: Any) -> Any:
    """A radix-2 transform of 8 complex numbers: what it computes, not in which order."""
    x = torch.view_as_complex(x)
    for _ in range(3):
        turned = x[..., 1::2] * torch.ones(4, dtype=torch.complex64)
        x = torch.cat([x[..., ::2] + turned, x[..., ::2] - turned], -1)
    return x


def as_complex(function: Any) -> Any:
    return lambda *inputs: function(*map(torch.view_as_complex, inputs))


def complex_product(a: Any, b: Any) -> Any:
    (a, b), (c, d) = a.unbind(-1), b.unbind(-1)
    return a * c - b * d, a * d + b * c


def complex_quotient(a: Any, b: Any) -> Any:
    (a, b), (c, d) = a.unbind(-1), b.unbind(-1)
    length = c * c + d * d
    return (a * c + b * d) / length, (b * c - a * d) / length


def complex_power(x: Any) -> Any:
    a, b = x.unbind(-1)
    size = a.exp()
    return size * b.cos(), size * b.sin()


def as_product(a: Any, b: Any) -> Any:
    squares = a.square().sum(-1, True), b.square().sum(-1, True)
    a = torch.cat([a * -2, squares[0], torch.ones(2, 30, 1)], -1)
    b = torch.cat([b, torch.ones(2, 26, 1), squares[1]], -1)
    return (a @ b.mT).clamp_min(0).sqrt()


def entropy(x: Any, y: Any) -> Any:
    return (y - 1) * torch.log1p(-x).clamp_min(-100) - y * x.log().clamp_min(-100)


def smooth(d: Any) -> Any:
    return torch.where(d < 1, d * 0.5 * d / 2.0, d - 0.5)


def huber(d: Any) -> Any:
    return torch.where(d < 2, d * 0.5 * d, (d - 1.0) * 2.0)


def weighted_likelihood(x: Any, w: Any) -> Any:
    picked = x.log_softmax(1).gather(1, PICKS[:, None])[:, 0]
    return (picked * w[PICKS]).sum() / w[PICKS].sum()


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
    "fft": (as_complex(torch.fft.fft), butterflies, [Z]),
    "ifft": (
        as_complex(torch.fft.ifft), lambda x: torch.view_as_real(butterflies(x)) * 0.125, [Z],
    ),
    "complex sum": (as_complex(torch.add), torch.add, [Z, Z]),
    "complex product": (as_complex(torch.mul), complex_product, [Z, Z]),
    "complex quotient": (as_complex(torch.div), complex_quotient, [Z, Z]),
    "complex exponential": (as_complex(torch.exp), complex_power, [Z]),
    "complex length": (as_complex(torch.abs), lambda x: x.square().sum(-1).sqrt(), [Z]),
    "distances": (torch.cdist, lambda a, b: (a[:, :, None] - b[:, None]).square().sum(-1).sqrt(), [ROWS, (3, 7, 4)]),
    "distances of 1": (
        lambda a, b: torch.cdist(a, b, 1), lambda a, b: (a[:, :, None] - b[:, None]).abs().sum(-1), [ROWS, (3, 7, 4)],
    ),
    "distances without end": (
        lambda a, b: torch.cdist(a, b, float("inf")),
        lambda a, b: (a[:, :, None] - b[:, None]).abs().amax(-1),
        [ROWS, (3, 7, 4)],
    ),
    "distances of 3": (
        lambda a, b: torch.cdist(a, b, 3), lambda a, b: (a[:, :, None] - b[:, None]).norm(3, -1), [ROWS, (3, 7, 4)],
    ),
    "distances as a product": (torch.cdist, as_product, [(2, 30, 4), (2, 26, 4)]),
    "distances of pairs": (f.pdist, lambda x: (x[FIRST] - x[SECOND]).square().sum(-1).sqrt(), [(5, 4)]),
    "distance": (torch.dist, lambda a, b: (a - b).norm(), [X, X]),
    "cross": (torch.linalg.cross, lambda a, b: a.roll(1) * b.roll(2) - a.roll(2) * b.roll(1), [(5, 3), (5, 3)]),
    "trace": (torch.trace, lambda x: x.diagonal().sum(), [(5, 4)]),
    "logaddexp2": (torch.logaddexp2, torch.logaddexp, [X, X]),
    "xlogy": (torch.xlogy, lambda a, b: a * b.log(), [X, X]),
    "random leaky relu": (f.rrelu, f.leaky_relu, [X]),
    "random leaky relu in training": (lambda x: f.rrelu(x, training=True), f.leaky_relu, [X]),
    "degrees": (torch.rad2deg, lambda x: x * 57.3, [X]),
    "fake quantisation": (
        lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 3, 0, 255),
        lambda x: (((x * 10.0).round() + 3).clamp(0, 255) - 3) * 0.1,
        [X],
    ),
    "squared loss": (f.mse_loss, lambda a, b: (a - b).square().mean(), [X, X]),
    "squared loss, summed": (
        lambda a, b: f.mse_loss(a, b, reduction="sum"), lambda a, b: (a - b).square().sum(), [X, X],
    ),
    "squared loss, each": (lambda a, b: f.mse_loss(a, b, reduction="none"), lambda a, b: (a - b).square(), [X, X]),
    "smooth l1": (f.smooth_l1_loss, lambda a, b: smooth((a - b).abs()).mean(), [X, X]),
    "huber": (f.huber_loss, lambda a, b: huber((a - b).abs()).mean(), [X, X]),
    "binary cross entropy": (f.binary_cross_entropy, lambda x, y: entropy(x, y).mean(), [X, X]),
    "binary cross entropy, weighted": (
        f.binary_cross_entropy, lambda x, y, w: (entropy(x, y) * w).mean(), [X, X, X],
    ),
    "binary cross entropy of logits": (
        f.binary_cross_entropy_with_logits, lambda x, y: ((1 - y) * x - f.logsigmoid(x)).mean(), [X, X],
    ),
    "binary cross entropy of logits, weighted": (
        lambda x, y, w: f.binary_cross_entropy_with_logits(x, y, pos_weight=w),
        lambda x, y, w: ((1 - y) * x - ((w - 1) * y + 1.0) * f.logsigmoid(x)).mean(),
        [X, X, X],
    ),
    "soft margin": (f.soft_margin_loss, lambda x, y: torch.log1p((-y * x).exp()).mean(), [X, X]),
    "cross entropy": (
        lambda x: f.cross_entropy(x, PICKS), lambda x: -x.log_softmax(1).gather(1, PICKS[:, None]).mean(), [X],
    ),
    "cross entropy, weighted": (lambda x, w: f.cross_entropy(x, PICKS, w), weighted_likelihood, [X, (4,)]),
    "bags": (lambda w: f.embedding_bag(BAGS, w, mode="sum"), lambda w: f.embedding(BAGS, w).sum(1), [(7, 6)]),
    "mean of bags": (lambda w: f.embedding_bag(BAGS, w), lambda w: f.embedding(BAGS, w).mean(1), [(7, 6)]),
    "largest of bags": (
        lambda w: f.embedding_bag(BAGS, w, mode="max"), lambda w: f.embedding(BAGS, w).amax(1), [(7, 6)],
    ),
    "weighted bags": (
        lambda w, s: f.embedding_bag(BAGS, w, mode="sum", per_sample_weights=s),
        lambda w, s: (f.embedding(BAGS, w) * s[..., None]).sum(1),
        [(7, 6), (3, 5)],
    ),
    "affine grid": (
        lambda t: f.affine_grid(t, [2, 3, 5, 7], align_corners=False),
        lambda t: torch.ones(2, 5 * 7, 3).bmm(t.mT),
        [(2, 2, 3)],
    ),
    "conv, time first": (
        torch.conv_tbc,
        lambda x, w, b: f.conv1d(x.permute(1, 2, 0), w.permute(2, 1, 0), b),
        [(8, 2, 4), (3, 4, 5), (5,)],
    ),
}  # fmt: skip
"""An operator; the same in smaller ones; what it is called with."""


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


def test_a_transform_of_real_numbers_is_half_of_one_of_complex_numbers() -> None:
    whole = arithmetic(as_complex(torch.fft.fft), [Z])
    half = arithmetic(torch.fft.rfft, [(3, 8)])
    assert tuple(2 * n for n in half) == whole
    assert arithmetic(lambda x: torch.fft.irfft(x, norm="forward"), [(3, 5)]) == half
    assert arithmetic(torch.fft.fft, [(3, 8)]) == half  # the other half is the first one's


def test_a_transform_along_several_axes() -> None:
    last, first = 2 * 8 * 4 * 2 / 2, 2 * 8 * (4 // 2 + 1) * 3  # elements x stages
    additions, multiplications = int(3 * (last + first)), int(2 * (last + first))
    assert arithmetic(torch.fft.rfft2, [(2, 8, 4)]) == (0, additions, multiplications, 0, 0, 0)
    scaled = multiplications + 2 * 8 * 4
    assert arithmetic(torch.fft.irfft2, [(2, 8, 3)]) == (0, additions, scaled, 0, 0, 0)


def test_lengths_between_powers_of_2_take_the_stages_of_the_next_one() -> None:
    by_length = {n: arithmetic(torch.fft.rfft, [(1, n)])[2] for n in (1, 2, 5, 8, 9)}
    assert by_length == {1: 0, 2: 2 * 1, 5: 5 * 3, 8: 8 * 3, 9: 9 * 4}


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_noise_that_is_drawn_on_the_way_does_not_put_a_layer_in_place(inplace: bool, training: bool) -> None:
    graph = trace(Applied(lambda x: f.rrelu(x.clone(), training=training, inplace=inplace)), [X])
    assert [node.op.shares_storage for node in graph if node.op.key == "rrelu"] == [inplace]
