"""What cannot be traced: one message that names the module, the operator and the shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cnncost import CnncostError, UsageError, analyze
from cnncost.live.trace import trace


class Inner(nn.Module):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


def within(function: Callable[[Any], Any]) -> nn.Module:
    """A model whose part `0.1` runs a function."""
    inner = Inner(function)
    return nn.Sequential(nn.Sequential(nn.Identity(), inner))


def message(model: nn.Module, inputs: Any, **options: Any) -> tuple[str, str | None]:
    with pytest.raises(CnncostError) as e:
        trace(model, inputs, **options)
    return e.value.message, e.value.hint


def test_shapes_that_do_not_meet() -> None:
    text, _ = message(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(4, 8, 3)), (1, 3, 9, 9))
    assert text.endswith("(in 1, Conv2d of 1x8x7x7)")
    assert text.startswith("forward raises RuntimeError: ")


def fails(x: Any) -> Any:
    raise ValueError("no such mode\nand more lines")


def test_a_forward_that_raises() -> None:
    assert message(within(fails), (2, 3)) == (
        "forward raises ValueError: no such mode (in 0.1, Inner of 2x3)", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (lambda x: x[x > 0], "aten.nonzero"),
        (lambda x: x.nonzero(), "aten.nonzero"),
        (lambda x: x if x.sum() > 0 else -x, "aten._local_scalar_dense"),
        (lambda x: x * x.max().item(), "aten._local_scalar_dense"),
        (lambda x: x.unique(), "aten._unique2"),
    ],
)
def test_what_depends_on_the_data(function: Any, operator: str) -> None:
    text, hint = message(within(function), (2, 3))
    assert text.startswith(operator)
    assert text.endswith("depends on the data, and nothing is computed (in 0.1, Inner of 2x3)")
    assert hint == "give the part of the model whose sizes are known"


def unknown(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(x) + 1


def test_an_operator_without_a_rule() -> None:
    assert message(within(unknown), (2, 4, 3)) == (
        "no rule says what aten::_linalg_svd costs, called on 2x4x3 (in 0.1, Inner of 2x4x3)",
        "--allow-unknown counts it as nothing and says so; CONTRIBUTING.md shows how to add a rule",
    )


def test_unknown_operators_can_be_let_through_and_are_told_everywhere() -> None:
    graph = trace(within(unknown), (2, 4, 3), allow_unknown=True)
    note = "1 operator without a rule (_linalg_svd) counts as nothing: the totals are too small."
    report = analyze(graph)
    assert graph.notes == report.notes == (note,)
    assert [layer.op for layer in report.layers] == ["opaque", "output", "add"]
    for text in (str(report), report.to_json(), report.to_markdown(), report._repr_html_() or ""):
        assert note in text


def test_a_model_that_needs_more_inputs() -> None:
    class Two(nn.Module):
        def forward(self, left: Any, right: Any) -> Any:
            return left + right

    assert message(Two(), (1, 3)) == (
        "Two.forward: missing a required argument: 'right'",
        "its inputs are left, right: write --input left=3x224x224 for each",
    )
    assert message(Two(), {"left": (1, 3), "rigth": (1, 3)})[0].startswith("Two.forward: ")


def test_no_model_and_no_tensor() -> None:
    with pytest.raises(UsageError, match=r"a model is a torch\.nn\.Module, got function"):
        trace(fails, (1, 3))  # type: ignore[arg-type]
    assert message(within(lambda x: 3), (1, 3)) == ("the model returns no tensor", None)
    assert message(nn.Module(), (1, 3))[0].startswith("forward raises NotImplementedError: ")


def test_a_number_that_the_model_holds_may_be_looked_at() -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("steps", torch.tensor(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(int(self.steps)):
                x = x + 1
            return x

    assert len(trace(Steps(), (1, 3))) == 3


def test_a_module_whose_error_is_caught_is_left() -> None:
    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.other = Inner(fails), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> Any:
            try:
                return self.inner(x)
            except ValueError:
                return self.other(x).relu()

    assert [node.name for node in trace(Tries(), (1, 3))] == ["other", "relu"]


def test_lazy_modules_run_once_before() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(5))
    assert message(model, (1, 3, 8, 8)) == (
        "0 (LazyConv2d) has parameters without sizes",
        "call the model once, where it is built, on tensors of the right shapes",
    )
    model(torch.zeros(1, 3, 8, 8))
    assert analyze(model, (1, 3, 8, 8)).total.macs == 4 * 27 * 6 * 6 + 4 * 6 * 6 * 5


def test_inputs_by_names_that_forward_has_not() -> None:
    with pytest.raises(UsageError, match="forward raises TypeError") as e:
        trace(nn.Linear(4, 4), {"image": (1, 4)})
    assert e.value.hint == "forward takes input: image went in as one dict"
