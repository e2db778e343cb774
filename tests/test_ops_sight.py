"""Sights in a row: the receptive field of a chain of layers is what the gradient of one output reaches."""

from __future__ import annotations

from typing import Any

import oracle
import pytest
import torch
from cases import Case, case

from cnncost.analysis.receptive import ReceptiveField, receptive_fields
from cnncost.graph import Graph, GraphBuilder

Layer = tuple[str, dict[str, Any]]


def layer(key: str, **options: Any) -> Layer:
    return key, options


CHAINS: list[list[Layer]] = [
    [layer("conv", out=2, kernel=3, stride=2), layer("max_pool", kernel=3, stride=2), layer("conv", out=2, kernel=3)],
    [layer("conv", out=2, kernel=(5, 3), stride=(1, 2), padding=1), layer("conv", out=2, kernel=3, dilation=(2, 1))],
    [layer("avg_pool", kernel=2), layer("upsample", factor=2), layer("conv", out=2, kernel=3)],
    [layer("avg_pool", kernel=2), layer("upsample", factor=3, mode="bilinear"), layer("conv", out=2, kernel=2)],
    [layer("conv", out=2, kernel=2), layer("upsample", size=(11, 40), mode="nearest"), layer("conv", out=1, kernel=3)],
    [layer("transposed_conv", out=2, kernel=4, stride=2, padding=1), layer("conv", out=2, kernel=3)],
    [layer("transposed_conv", out=2, kernel=2, stride=2), layer("conv", out=2, kernel=3), layer("max_pool", kernel=2)],
    [layer("transposed_conv", out=2, kernel=3, stride=3), layer("conv", out=2, kernel=(3, 4))],
    [layer("conv", out=4, kernel=3), layer("depth_to_space", block=2), layer("conv", out=2, kernel=3)],
    [layer("space_to_depth", block=2), layer("conv", out=8, kernel=3, groups=4)],
    [layer("adaptive_avg_pool", size=(8, 6)), layer("conv", out=2, kernel=3)],
    [layer("adaptive_avg_pool", size=(10, 7)), layer("conv", out=2, kernel=(2, 1))],
    [layer("slice", range=(1, None), axis=2, step=2), layer("conv", out=2, kernel=3)],
    [layer("permute", order=(0, 1, 3, 2)), layer("conv", out=2, kernel=(3, 5))],
    [layer("conv", out=2, kernel=(3, 5)), layer("reshape", to=(2, 22, 20, 1)), layer("conv", out=2, kernel=(2, 3, 1))],
    [layer("conv", out=2, kernel=3), layer("global_avg_pool"), layer("conv", out=2)],
]

INPUT = (2, 4, 24, 24)


def built(chain: list[Layer]) -> tuple[Graph, list[Case]]:
    builder, cases, above = GraphBuilder(), [], "image"
    builder.add_input(above, INPUT)
    for key, options in chain:
        one = case(key, builder.shapes[above], **options)
        node = builder.add(f"{len(cases)}", one.op(), (above,))
        cases.append(one)
        above = node.name
    return Graph("chain", builder.inputs, tuple(builder.nodes)), cases


def reached(cases: list[Case]) -> tuple[int, ...]:
    """The most pixels along each axis that one output depends on, over outputs in the middle of the other axes."""
    torch.manual_seed(0)
    modules = [oracle.module_of(c.op(), c.shapes, "cpu").double() for c in cases]
    for p in (p for m in modules for p in m.parameters()):
        torch.nn.init.uniform_(p, 0.5, 1.5)
    most = [0, 0]
    for values in (oracle.rising, oracle.falling):
        image = values(INPUT).requires_grad_()
        out = image
        for module in modules:
            out = module(out)
        middle = [n // 2 for n in out.shape[2:]]
        for place in ((*middle[:a], i, *middle[a + 1 :]) for a, n in enumerate(out.shape[2:]) for i in range(n)):
            (grad,) = torch.autograd.grad(out[(slice(None), slice(None), *place)].sum(), image, retain_graph=True)
            extent = oracle.extent(grad)
            if extent:
                most = [max(m, last - first + 1) for m, (first, last) in zip(most, extent[1:])]
    return tuple(most)


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: "-".join(key for key, _ in chain))
def test_receptive_fields_of_chains(chain: list[Layer]) -> None:
    graph, cases = built(chain)
    field = receptive_fields(graph)[graph.nodes[-1].name]
    assert isinstance(field, ReceptiveField)
    found = reached(cases)
    # A maximum has its gradient in one element at a time. Of what is enlarged after it was made
    # smaller, windows end on a coarser grid than pixels: there the field is an upper bound.
    if any(key in ("max_pool", "upsample") for key, _ in chain):
        assert all(a <= b for a, b in zip(found, field.size))
    else:
        assert field.size == found
