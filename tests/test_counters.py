"""What other tools count of the modules that cnncost builds is what their rules say, to the last digit.

The tools themselves run here. calflops does so where it is installed: it imports transformers,
which it does not declare, and that is no price for a test; its rules are held by arithmetic besides
(test_conventions.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest
import torch
from cases import CASES, TRAINING, Case
from packaging.version import Version
from specs import net
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import cnncost
from cnncost.analysis.conventions import CONVENTIONS, counted
from cnncost.errors import UsageError
from cnncost.graph import Graph, GraphBuilder
from cnncost.live import counters
from cnncost.live.build import build
from cnncost.live.models import find
from cnncost.live.trace import trace

OPTIONAL = ("calflops",)

NETWORKS = {
    "alexnet": "3x67x131",
    "convnext_tiny": "3x64x65",
    "dcgan": None,
    "densenet121": "3x64x65",
    "efficientnet_b0": "3x65x73",
    "googlenet": "3x64x96",
    "highway10": None,
    "mobilenet_v3_small": "3x65x73",
    "se_resnet50": "3x65x73",
    "shufflenet_v2_x1_0": "3x65x73",
    "unet": "1x188x204",
}
"""Networks, at sizes that run fast: every kind of layer that a rule is about, and many that none is."""


def by_fvcore(graph: Graph) -> int:
    traced = counters.by_fvcore(build(graph).eval(), tuple(graph.inputs.values()))
    return traced.macs + sum(traced.others.values())


def by_torch(graph: Graph) -> int:
    _, macs = counters.by_torch(build(graph, device="meta").eval(), tuple(graph.inputs.values()))
    return macs


def by(name: str) -> Callable[[Graph], int]:
    return lambda graph: counters.by_tool(name, graph)


COUNT: dict[str, Callable[[Graph], int]] = {
    "fvcore": by_fvcore,
    "torch": by_torch,
    **{name: by(name) for name in counters.TOOLS},
}


@pytest.fixture(params=COUNT)
def tool(request: pytest.FixtureRequest) -> str:
    return present(request.param)


@pytest.fixture(params=counters.TOOLS)
def further(request: pytest.FixtureRequest) -> str:
    return present(request.param)


def present(name: str) -> str:
    """The name of a tool; the test is skipped where the tool is optional and not there."""
    if name in counters.TOOLS:
        try:
            counters.installed(name)
        except UsageError as e:
            if name not in OPTIONAL:
                raise
            pytest.skip(e.message)
    return name


def one_layer(case: Case) -> Graph:
    builder = GraphBuilder()
    names = tuple(f"x{i}" for i in range(len(case.shapes)))
    for name, shape in zip(names, case.shapes):
        builder.add_input(name, shape)
    builder.add("layer", case.op(), names)
    return Graph("one layer", builder.inputs, tuple(builder.nodes))


def test_every_tool_has_rules_and_the_versions_are_those_tested() -> None:
    assert set(COUNT) == set(CONVENTIONS) - {"netscope", "torchvision"}  # one a web page, the other a table
    for name in counters.TOOLS:
        try:
            found = counters.installed(name)
        except UsageError:
            assert name in OPTIONAL
        else:
            assert Version(found) == Version(CONVENTIONS[name].version)


def test_a_layer_by_the_tool_and_by_its_rules(tool: str) -> None:
    """Every layer of the language, in a batch; no tool fails on any."""
    graphs = {str(case): one_layer(case) for case in [*CASES, *TRAINING]}
    found = {case: COUNT[tool](graph) for case, graph in graphs.items()}
    assert found == {case: counted(graph, tool).total for case, graph in graphs.items()}
    assert found != {case: counted(graph, tool).macs for case, graph in graphs.items()} or tool == "torch"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_by_the_tool_and_by_its_rules(name: str, tool: str) -> None:
    graph = cnncost.load(name, input=NETWORKS[name], batch=2)
    counts = counted(graph, tool)
    assert COUNT[tool](graph) == counts.total == sum(counts.layers.values())
    assert not counts.unruled


def test_every_rule_is_met() -> None:
    """A rule that no layer and no model here sets off would be untested."""
    met: dict[str, set[str]] = {name: set() for name in CONVENTIONS}
    for graph in [*map(one_layer, [*CASES, *TRAINING]), *(trace(*model()) for model in MODELS.values())]:
        for name in CONVENTIONS:
            met[name] |= {text for texts in counted(graph, name).texts.values() for text in texts}
    assert met == {name: {rule.text for rule in convention.all_rules} for name, convention in CONVENTIONS.items()}


def test_reused_parameters_count_each_time(tool: str) -> None:
    twins = "input: {left: 3x9x9, right: 3x9x9}\nlayers:\n  a: {conv: 4, kernel: 3, from: left}\n"
    twins += "  b: {reuse: a, from: right}\n  c: {concat: [a, b]}\n"
    graph = net(twins)
    counts = counted(graph, tool)
    assert COUNT[tool](graph) == counts.total
    assert counts.layers["a"] == counts.layers["b"] >= 4 * 7 * 7 * (3 * 3 * 3)


# ---- models that call functions -------------------------------------------------------------------


class Calls(torch.nn.Module):
    """A model that calls a function, of an input and the model; it has parts, and parameters."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function, self.part = function, torch.nn.Identity()
        self.filters = torch.nn.Parameter(torch.zeros(4, 3, 3, 3))
        self.matrix = torch.nn.Parameter(torch.zeros(5, 8))
        self.slope = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Call the function."""
        return self.function(x, self)


class OwnNorm(torch.nn.LayerNorm):
    """A module of another maker."""


Model = tuple[torch.nn.Module, tuple[int, ...]]
IMAGES = (2, 3, 8, 6)


def calling(function: Callable[..., torch.Tensor]) -> Callable[[], Model]:
    return lambda: (Calls(function), (2, 3, 6, 8))


def containing(make: Callable[[], torch.nn.Module], shape: tuple[int, ...] = IMAGES) -> Callable[[], Model]:
    return lambda: (torch.nn.Sequential(make()), shape)


MODELS: dict[str, Callable[[], Model]] = {
    "conv2d": calling(lambda x, own: functional.conv2d(x, own.filters)),
    "conv_transpose2d": calling(lambda x, own: functional.conv_transpose2d(x[:, :1].expand(2, 4, 6, 8), own.filters)),
    "linear": calling(lambda x, own: functional.linear(x, own.matrix)),
    "@": calling(lambda x, own: x @ x.transpose(2, 3)),
    "relu": calling(lambda x, own: functional.relu(x)),
    "relu6": calling(lambda x, own: functional.relu6(x)),
    "elu": calling(lambda x, own: functional.elu(x)),
    "gelu": calling(lambda x, own: functional.gelu(x)),
    "silu": calling(lambda x, own: functional.silu(x)),
    "prelu": calling(lambda x, own: functional.prelu(x, own.slope)),
    "leaky_relu": calling(lambda x, own: functional.leaky_relu(x)),
    "softmax": calling(lambda x, own: functional.softmax(x, 1)),
    "max_pool2d": calling(lambda x, own: functional.max_pool2d(x, 2)),
    "avg_pool2d": calling(lambda x, own: functional.avg_pool2d(x, 2)),
    "adaptive_avg_pool2d": calling(lambda x, own: functional.adaptive_avg_pool2d(x, 2)),
    "adaptive_max_pool2d": calling(lambda x, own: functional.adaptive_max_pool2d(x, 2)),
    "global average": calling(lambda x, own: functional.adaptive_avg_pool2d(x, 1)),
    "mean": calling(lambda x, own: x.mean((2, 3))),
    "amax": calling(lambda x, own: x.amax((2, 3))),
    "layer_norm": calling(lambda x, own: functional.layer_norm(x, (8,))),
    "group_norm": calling(lambda x, own: functional.group_norm(x, 1)),
    "interpolate": calling(lambda x, own: functional.interpolate(x, scale_factor=2.0, mode="bilinear")),
    "interpolate to a size": calling(lambda x, own: functional.interpolate(x, size=(5, 7))),
    "own norm": containing(lambda: OwnNorm(6)),
    "padding same": containing(lambda: torch.nn.Conv2d(3, 4, 3, padding="same")),
    "depthwise padding valid": containing(lambda: torch.nn.Conv2d(3, 3, 3, padding="valid", groups=3)),
    "Softmax2d": containing(torch.nn.Softmax2d),
    "nearest": containing(lambda: torch.nn.Upsample(scale_factor=2)),
    "linear upsampling": containing(lambda: torch.nn.Upsample(scale_factor=2, mode="linear"), (2, 3, 6)),
    "bilinear": containing(lambda: torch.nn.Upsample(scale_factor=2, mode="bilinear")),
    "bicubic": containing(lambda: torch.nn.Upsample(size=(5, 9), mode="bicubic")),
    "trilinear": containing(lambda: torch.nn.Upsample(scale_factor=2, mode="trilinear"), (2, 3, 4, 5, 6)),
}
"""Models that go another way than the modules that cnncost builds, and inputs for them."""

TORCHVISION = {
    "convnext_tiny": (64, 72),
    "densenet121": (64, 72),
    "googlenet": (64, 72),
    "inception_v3": (96, 104),
    "shufflenet_v2_x0_5": (64, 72),
}
"""torchvision's networks that call functions, or have modules of their own."""


def of_model(tool: str, model: torch.nn.Module, shape: tuple[int, ...]) -> int:
    model = model.eval().requires_grad_(False)
    if tool == "torch":
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(shape))
        return counter.get_total_flops() // 2
    if tool == "fvcore":
        traced = counters.by_fvcore(model, [shape])
        return traced.macs + sum(traced.others.values())
    return counters.of_module(tool, model, [torch.zeros(shape)])


def test_what_ran_each_layer() -> None:
    parts = (torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), OwnNorm(6), Calls(lambda x, own: x.mean((2, 3))))
    graph = trace(torch.nn.Sequential(*parts), (1, 3, 8, 8))
    assert [graph.called[node.name] for node in graph] == [
        ("conv2d", "torch.nn.Conv2d", "0"),
        ("relu", "torch.nn.ReLU", "1"),
        ("layer_norm", "module", "2"),
        ("mean", "model", "3"),
    ]


def test_functions_and_modules_by_the_tool_and_by_its_rules(tool: str) -> None:
    found, ruled = {}, {}
    for name, model in MODELS.items():
        ruled[name] = counted(trace(*model()), tool).total
        found[name] = of_model(tool, *model())
    assert found == ruled


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_model_by_the_tool_and_by_its_rules(name: str, tool: str) -> None:
    model, shape = find(f"torchvision:{name}", {}).module, (2, 3, *TORCHVISION[name])
    counts = counted(trace(model, shape), tool)
    assert of_model(tool, model.to_empty(device="cpu"), shape) == counts.total
    assert not counts.unruled


# ---- batches --------------------------------------------------------------------------------------


def test_tools_count_the_whole_batch(tool: str) -> None:
    single, triple = (cnncost.load("lenet5", batch=n) for n in (1, 3))
    assert COUNT[tool](triple) == 3 * COUNT[tool](single)


def test_ptflops_divides_by_the_batch_what_modules_do() -> None:
    """Called as its users call it. A pool is seen as a module, divided by the batch, and as a function, not divided."""
    counters.installed("ptflops")  # with torchvision, which it imports
    import ptflops

    x = torch.zeros(4, 3, 8, 8)

    def number(module: torch.nn.Module) -> Any:
        options: Any = {"as_strings": False, "print_per_layer_stat": False, "backend": "pytorch"}
        return ptflops.get_model_complexity_info(module, (1,), input_constructor=lambda _: x, **options)[0]

    with counters._put_back():
        assert number(torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, bias=False))) == 5 * 6 * 6 * (3 * 3 * 3)
        assert number(torch.nn.Sequential(torch.nn.MaxPool2d(2))) == 3 * 8 * 8 + 4 * 3 * 8 * 8


# ---- what is left behind --------------------------------------------------------------------------


def spaces() -> list[dict[str, Any]]:
    return [dict(vars(space)) for space in (torch, functional, torch.Tensor)]


def test_a_tool_leaves_nothing_behind_and_prints_nothing(tool: str, capfd: pytest.CaptureFixture[str]) -> None:
    graph = cnncost.load("lenet5")
    COUNT[tool](graph)  # what it imports stays
    before = spaces()
    assert COUNT[tool](graph) == counted(graph, tool).total
    assert spaces() == before
    assert capfd.readouterr() == ("", "")


class Broken(torch.nn.Module):
    """Fails in the middle of its work."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run a layer, then fail."""
        self.layer(x)
        raise ValueError("no such luck\nnor any other")


def test_a_tool_that_fails_says_so_and_the_next_counts_right(further: str) -> None:
    graph = cnncost.load("lenet5")
    before = spaces()
    device = counters.TOOLS[further].device
    with pytest.raises(UsageError, match=f"^{further} fails on this network: .*no such luck"):
        counters.of_module(further, Broken().to(device), [torch.zeros(2, 3, device=device)])
    assert spaces() == before
    assert COUNT[further](graph) == counted(graph, further).total


# ---- tools that are not there ---------------------------------------------------------------------


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(counters, "version", version)
    yield


@pytest.mark.parametrize("name", counters.TOOLS)
@pytest.mark.usefixtures("missing")
def test_a_tool_that_is_not_installed(name: str) -> None:
    with pytest.raises(UsageError, match=f"^{name} is not installed") as e:
        counters.installed(name)
    assert e.value.hint == f"pip install {counters.TOOLS[name].package}"


def test_a_tool_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise error

    monkeypatch.setattr(counters, "version", lambda package: "1.0")
    monkeypatch.setattr(counters, "import_module", broken)
    error: Exception = ModuleNotFoundError("No module named 'transformers'", name="transformers")
    with pytest.raises(UsageError, match="thop cannot be imported: ModuleNotFoundError: No module named 'tr") as e:
        counters.installed("thop")
    assert e.value.hint == "pip install transformers"
    error = OSError("a library is missing")
    with pytest.raises(UsageError, match="thop cannot be imported: OSError: a library is missing") as e:
        counters.installed("thop")
    assert e.value.hint == "python -c 'import thop' shows where"
