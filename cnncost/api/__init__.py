"""The calls that most programs need: load a spec, analyze it, compare several, verify its claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from cnncost.analysis.report import Report
from cnncost.analysis.report import analyze as analyze_graph
from cnncost.api.networks import Model, Spec, asked_of, graph_for, graph_of, is_module, trace
from cnncost.errors import CnncostError, UsageError
from cnncost.graph import Graph
from cnncost.spec import document_of, load
from cnncost.spec.models import is_model
from cnncost.spec.several import Meant, meant, name_it, only

if TYPE_CHECKING:
    from cnncost.analysis.align import Alignment
    from cnncost.analysis.checks import Checked
    from cnncost.analysis.claims import Verification
    from cnncost.analysis.compare import Comparison
    from cnncost.analysis.explain import Explanation
    from cnncost.devices import Device
    from cnncost.live.check import Checker


def analyze(
    network: Graph | Spec | Model,
    inputs: Any = None,
    *,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    strict: bool = False,
) -> Report:
    """What a network costs, layer by layer and in total.

    network: a path, a bundled name, a graph from load(); a torch.nn.Module, or the name of one
    ("torchvision:resnet50"). inputs: what a module is called with, as in trace(). input, batch, set:
    as in load(), for paths and names. dtype: fp32, fp16, bf16, int8 ...; it sets the bytes. strict:
    windows that do not fit evenly are errors. Raises SpecError, ShapeError, UsageError.
    """
    return analyze_graph(graph_for(network, inputs, input, batch, set), dtype, strict)


def compare(
    networks: Graph | Spec | Iterable[Graph | Spec],
    *,
    relative_to: Graph | Spec | None = None,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    training: bool = False,
    devices: Iterable[str | Device] = (),
    watch: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Networks side by side: totals, published errors, ratios to one of them.

    networks: paths, bundled names, globs over both, "family:resnet", "all", or graphs from load();
    each counts once. relative_to: the one that ratios are to, which is added where it is not among
    them. input, batch, set, dtype: as in analyze(), for all of them; of networks that only a pattern
    stands for, those that cannot take them are left out. training: the memory that a step of training
    takes, too. devices: the least times by their rooflines, too; names, or sheets. watch: called with the
    number of networks done and of all, before each. Raises SpecError, ShapeError, UsageError at the first
    other network that cannot be priced, and names it.
    """
    from cnncost.analysis.compare import LeftOut, comparison, network_row
    from cnncost.analysis.roofline import ceilings, roofline
    from cnncost.devices import load as load_device

    sheets = [load_device(each) if isinstance(each, str) else each for each in devices]
    for sheet in sheets:
        ceilings(sheet, dtype)  # an error of its own, and of no network
    chosen = meant([networks] if isinstance(networks, (str, PathLike, Graph)) else networks)
    base = None
    if relative_to is not None:
        reference = only(relative_to, "ratios are to one network")
        ((place, _),) = meant([relative_to]).items()
        chosen = {**chosen, place: reference} if place in chosen else {place: reference, **chosen}
        base = place
    if not chosen:
        raise UsageError("no network to compare", hint="cnncost list shows the bundled architectures")
    rows, batches, left_out = {}, [], []
    for done, (place, one) in enumerate(chosen.items()):
        if watch is not None:
            watch(done, len(chosen))
        try:
            graph = graph_of(one.network, input, batch, set)
            row = network_row(analyze_graph(graph, dtype, fields=False), graph.facts, training)
            least = ((sheet.name, roofline(graph, sheet, dtype).total.seconds) for sheet in sheets)
            rows[place] = row._replace(least_seconds=tuple(least))
        except CnncostError as e:
            if one.named or (input is None and not set) or not _can_be_priced(one):
                name_it(e, one)
                raise
            left_out.append((one, e))
            continue
        batches.append(graph.batch)
    if not rows:
        one, error = left_out[0]
        name_it(error, one)
        raise error
    if min(batches) < max(batches):
        raise UsageError(f"graphs of batch {min(batches):,} and {max(batches):,}", hint="load all with one batch")
    without = [LeftOut(one.name, e.message) for one, e in left_out]
    return comparison(rows.values(), batches[0], dtype, None if base is None else list(rows).index(base), without)


def _can_be_priced(one: Meant) -> bool:
    """Whether a network is sound at its own sizes, so that it is those given that do not suit it."""
    try:
        analyze_graph(graph_of(one.network), fields=False)
    except CnncostError:
        return False
    return True


def align(
    a: Graph | Spec,
    b: Graph | Spec,
    *,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
) -> Alignment:
    """Two networks layer by layer: which stands for which, and what differs.

    a, b: paths, bundled names, or graphs from load(). input, batch, set, dtype: as in analyze(),
    for both. Raises SpecError, ShapeError, UsageError.
    """
    from cnncost.analysis.align import align as align_reports

    reports = []
    for given in (a, b):
        one = only(given, "layers are compared with those of one network")
        try:
            reports.append(analyze_graph(graph_of(one.network, input, batch, set), dtype, fields=False))
        except CnncostError as e:
            name_it(e, one)
            raise
    return align_reports(*reports)


def explain(
    network: Graph | Spec,
    layer: Any = None,
    *,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    **options: Any,
) -> Explanation:
    """The formulas of layers with their numbers in them.

    network: a path, a bundled name, a graph from load(); or the key of an op, for a single layer
    with its options as keywords and its input's shape (a list of shapes where it joins several):
    explain("conv", out=10, kernel=5, input="3x32x32"). layer: a path, the end of one, a block or a
    glob; of an op its main option. The others as in analyze(). Raises SpecError, ShapeError,
    UsageError.
    """
    from cnncost.analysis.explain import explain as explain_layers
    from cnncost.analysis.select import select
    from cnncost.spec.single import is_op, several, single

    if not isinstance(network, Graph) and is_op(network):
        if set:
            raise UsageError("an op has no parameters to set", hint="give its options by name: kernel=3")
        graph = single(str(network), layer, options, several(input), 1 if batch is None else batch)
        report = analyze_graph(graph, dtype)
        return explain_layers(graph, report, report.layers)
    if options:
        hint = "options go with an op, as in explain('conv', out=10, input='3x32x32')"
        raise UsageError(f"a network takes no {next(iter(options))}", hint=hint)
    graph = graph_of(network, input, batch, set)
    report = analyze_graph(graph, dtype)
    return explain_layers(graph, report, select(report, layer))


def verify(spec: Spec) -> Verification:
    """The verdicts on the published figures that a spec carries.

    spec: a path or a bundled name. Raises SpecError for claims that cannot be read or derived,
    UsageError for a bad argument.
    """
    from cnncost.analysis.claims import verify as verify_document

    return verify_document(document_of(spec))


def check(
    network: Graph | Spec | Model,
    inputs: Any = None,
    *,
    against: str | Iterable[str] = (),
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
) -> Checked:
    """Every layer against PyTorch's module, torch's flop counter and fvcore.

    against: further tools, of analysis.checks.FURTHER, or one. The others as in analyze(); of a PyTorch
    model every module is checked, as the model itself runs it. Raises SpecError, ShapeError;
    UsageError also where PyTorch or one of the tools is not installed.
    """
    from cnncost.live.check import Checker

    checker = Checker(against)
    if checker.missing:
        raise next(iter(checker.missing.values()))
    if is_module(network):
        model: Any = network
        return checker.check_model(model, inputs)
    return check_by_name(checker, network, input, batch, set)


def check_by_name(
    checker: Checker, network: Graph | Spec, input: Any = None, batch: Any = None, set: Mapping[str, Any] | None = None
) -> Checked:
    """The same with a checker that has seen other networks."""
    if not is_model(network):
        return checker.check(graph_of(network, input, batch, set))
    batch = 1 if batch is None else batch
    asked, shapes = asked_of(network, input, batch, set)
    return checker.check_named(str(asked), shapes, batch, asked.arguments)


__all__ = [
    "align",
    "analyze",
    "check",
    "compare",
    "explain",
    "load",
    "trace",
    "verify",
]
