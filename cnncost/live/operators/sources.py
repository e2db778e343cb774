"""Tensors out of nothing: constants, ranges, random numbers."""

from __future__ import annotations

from cnncost.live.operators.base import Call, Layer, rule
from cnncost.ops.seen import Seen


@rule(
    "zeros", "ones", "full", "empty", "empty_strided", "arange", "linspace", "logspace", "eye", "scalar_tensor",
    "new_zeros", "new_ones", "new_full", "new_empty", "new_empty_strided", "zeros_like", "ones_like", "full_like",
    "empty_like", "rand", "randn", "rand_like", "randn_like", "randint", "randint_like", "randperm", "tril_indices",
    "triu_indices", "hann_window", "hamming_window", "empty_permuted", "_efficientzerotensor",
    "fft_fftfreq", "fft_rfftfreq",
)  # fmt: skip
def constant(call: Call) -> Layer:
    return Layer(Seen("constant", call.y), ())


@rule("fill", "zero", "bernoulli", "uniform", "normal", "random", "exponential", "multinomial", "poisson")
def filled(call: Call) -> Layer:
    return Layer(Seen("constant" if call.inplace else call.name, call.y), ())
