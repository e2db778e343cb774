"""Verdicts of other counters on a network: for a terminal, and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.text import Text

from cnncost.analysis.checks import DIFFERS, EXACT, UNCOUNTED, Against, Checked, LayerCheck
from cnncost.output.conventions import explanations
from cnncost.output.drawn import column, columns, tables
from cnncost.output.grid import Drawn
from cnncost.output.records import pipe_table
from cnncost.output.tables import Paper
from cnncost.output.units import percent, plural, printable, shape, unit_for

SAME = "="
LEGEND = (
    "Whole batch, inference. torch: output and params of its module, MACs by its flop counter. fvcore: MACs, and what "
    "else it counts. = is the same number as here.",
    "unknown: operators that a counter has no rule for and takes for nothing; here they are named, and are no zeros.",
)
NOT_EXPLAINED = (
    "Not explained: rules tell of layers as torch.nn has them. A model that calls functions, or operators that a tool "
    "does not know, is counted by that tool in part."
)
FAULTS_AT_MOST = 20


class Checks(NamedTuple):
    """What one command checked. missing: tools that were asked for and are not here, with the reason and its remedy."""

    networks: Sequence[Checked]
    missing: Mapping[str, str]

    @property
    def holds(self) -> bool:
        return all(network.holds for network in self.networks)


# ---- for people -----------------------------------------------------------------------------------


def check_table(checks: Checks, units: str = "exact", paper: Paper | None = None) -> str:
    """Of one network its layers and the reconciliation of all counters; of several a row each."""
    paper = paper or Paper()
    if len(checks.networks) == 1:
        (checked,) = checks.networks
        title = [*heading(checked), ""]
        body = [*tables(layer_columns(checked.layers), paper), *_total(checked), *_reconciled(checked, units, paper)]
    else:
        title = []
        body = [*tables(network_columns(checks.networks), paper), *_legend_of_networks(checks)]
    lines = [Text(line, style="bold red") for line in fault_lines(checks)]
    lines += [Text(reason, style="yellow") for reason in checks.missing.values()]
    verdict = Text(summary(checks), style="bold green" if checks.holds else "bold red")
    return paper.print(*title, *body, *lines, verdict)


def heading(checked: Checked) -> list[Text]:
    """Name and input."""
    inputs = ", ".join(shape(sizes) for sizes in checked.inputs.values())
    first = Text(printable(checked.name), style="bold")
    if checked.about.get("about"):
        first.append(f": {printable(str(checked.about['about']))}", style="not bold")
    source = f"; from {printable(checked.source)}" if checked.source else ""
    return [first, Text(f"input {inputs}{source}", style="dim")]


def layer_columns(layers: Sequence[LayerCheck]) -> list[Drawn]:
    """A row a layer: its figures, and what torch and fvcore make of them."""
    return columns(
        layers,
        (
            ("name", "layer", "text", lambda row: printable(row.name)),
            ("kind", "kind", "text", lambda row: printable(row.kind)),
            ("output", "output", "shape", lambda row: shape(row.output_shape[1:])),
            ("params", "params", "count", lambda row: f"{row.params:,}"),
            ("macs", "MACs", "count", lambda row: f"{row.macs:,}"),
            ("torch", "torch", "text", by_torch),
            ("verdict", "verdict", "text", lambda row: row.verdict),
            ("fvcore", "fvcore", "text", by_fvcore),
        ),
    )


def by_torch(layer: LayerCheck) -> str:
    """What torch says: the same, or its figures; operators that its counter does not know."""
    figures = (
        ("output", layer.output_shape, layer.torch_shape, lambda sizes: shape(sizes[1:])),
        ("params", layer.params, layer.torch_params, "{:,}".format),
        ("MACs", layer.macs, layer.torch_macs, "{:,}".format),
    )
    unknown = [f"unknown: {', '.join(layer.torch_unknown)}"] if layer.torch_unknown else []
    compared = figures[:2] if unknown else figures
    others = [f"{what} {show(there)}" for what, here, there, show in compared if here != there]
    return ", ".join([*others, *unknown]) or SAME


def by_fvcore(layer: LayerCheck) -> str:
    """What fvcore says: its MACs, what it counts besides by operator, or what it does not know."""
    if layer.unknown:
        return f"unknown: {', '.join(layer.unknown)}"
    macs = SAME if layer.fvcore_macs == layer.macs else f"MACs {layer.fvcore_macs:,}"
    return ", ".join([macs, *(f"{name} +{n:,}" for name, n in layer.fvcore_others.items())])


def _total(checked: Checked) -> list[Text]:
    """The totals by both counters, and how many layers each of them saw whole."""
    here = f"params {checked.params:,}, torch {checked.torch_params:,}"
    unknown = ", ".join(f"{name} ({n:,})" for name, n in checked.unknown.items())
    seen = f"fvcore knows all operators of {checked.by_fvcore:,} of {plural(len(checked.layers), 'layer')}"
    lines = [f"{here}; MACs {checked.macs:,}, torch {checked.torch_macs:,}.", f"{seen}."]
    if unknown:
        lines[1] = f"{seen}; it has no rule for {unknown}."
    lines += checked.notes
    return [*(Text(line) for line in lines), *(Text(line, style="dim") for line in LEGEND), Text("")]


def _reconciled(checked: Checked, units: str, paper: Paper) -> list[Any]:
    """How every counter comes from the MACs to its number."""
    texts = [Text(_rules(tool), style="dim") for tool in checked.against]
    failed = [Text(f"{t.name} failed: {t.failure}", style="red") for t in checked.against if t.failure]
    failed += [Text(NOT_EXPLAINED, style="yellow")] if any(t.rest for t in checked.against) else []
    title = Text("From the MACs to what each tool prints, by kind of layer", style="bold")
    return [title, *tables(reconciliation(checked.against, units), paper), *texts, *failed, Text("")]


def _rules(tool: Against) -> str:
    """What a tool adds and leaves out, in words."""
    convention = tool.counts.convention
    here, tried = (text.replace("-", ".post").removesuffix("+cpu") for text in (tool.version, convention.version))
    version = tool.version if here.startswith(tried) else f"{tool.version} (by the rules of {convention.version})"
    return " ".join([f"{tool.name} {version} calls it {convention.calls}.", *explanations(tool.counts)])


def reconciliation(against: Sequence[Against], units: str) -> list[Drawn]:
    """A row a cause, a column a tool: MACs + what its rules add = its rules; the tool's own number; what is left."""
    causes = list(dict.fromkeys(cause for tool in against for cause in tool.counts.added))
    amounts = [abs(n) for tool in against for n in (tool.counts.macs, tool.counts.total, *tool.counts.added.values())]
    unit = unit_for(amounts, False, units)
    labels = ["MACs", *causes, "by its rules", "the tool itself", "not explained"]
    drawn = [column("name", unit.name, "text", labels)]
    for tool in against:
        added = [tool.counts.added.get(cause) for cause in causes]
        lines = [
            unit.show(tool.counts.macs),
            *("" if n is None else ("+" if n > 0 else "-") + unit.show(abs(n)) for n in added),
            unit.show(tool.counts.total),
            "failed" if tool.number is None else unit.show(tool.number),
            "" if tool.rest is None else unit.show(tool.rest) if tool.rest >= 0 else f"-{unit.show(-tool.rest)}",
        ]
        drawn.append(column(tool.name, tool.name, "count", lines))
    return drawn


def network_columns(networks: Sequence[Checked]) -> list[Drawn]:
    """A row a network; a column a further tool, with its number over the MACs."""
    tools = [tool.name for tool in networks[0].against if tool.name != "torch"]

    def of(at: int) -> Callable[[Checked], str]:
        return lambda row: _beside(row.against[at + 1], row.macs)

    return columns(
        networks,
        (
            ("name", "network", "text", lambda row: printable(row.name)),
            ("layers", "layers", "count", lambda row: f"{len(row.layers):,}"),
            ("exact", "exact", "count", lambda row: f"{row.exact:,}"),
            ("params", "params", "count", lambda row: f"{row.params:,}"),
            ("macs", "MACs", "count", lambda row: f"{row.macs:,}"),
            ("torch", "torch", "text", lambda row: "differs" if row.faults else SAME),
            *((name, name, "count", of(at)) for at, name in enumerate(tools)),
        ),
    )


def _beside(tool: Against, macs: int) -> str:
    """A tool's number as a difference to the MACs; with a mark where its rules do not explain it."""
    if tool.number is None:
        return "failed"
    more = tool.number - macs
    text = percent(more, macs, 2)
    if more == 0:
        text = SAME
    elif text in ("0.00%", "-0.00%"):
        text = "<+0.01%" if more > 0 else ">-0.01%"
    elif more > 0:
        text = f"+{text}"
    return f"{text} ?" if tool.rest else text


def _legend_of_networks(checks: Checks) -> list[Text]:
    """What the columns mean."""
    lines = [
        "exact: layers whose output, params and MACs are those of torch's module and counter, and MACs those of fvcore "
        "where it knows all operators. torch: params and MACs of the whole.",
        "fvcore and others: their number against the MACs; = is the same, ? one that the rules do not explain.",
    ]
    failed = [f"{c.name}: {t.name} failed: {t.failure}" for c in checks.networks for t in c.against if t.failure]
    return [*(Text(line, style="dim") for line in lines), *(Text(line, style="yellow") for line in failed), Text("")]


def fault_lines(checks: Checks) -> list[str]:
    """What differs, a line each, as far as one reads."""
    several = len(checks.networks) > 1
    lines = []
    for checked in checks.networks:
        before = f"{printable(checked.name)}: " if several else ""
        lines += [f"{before}{printable(layer.name)}: {fault}" for layer in checked.layers for fault in layer.faults]
        lines += [f"{before}in all: {fault}" for fault in checked.faults]
    more = len(lines) - FAULTS_AT_MOST
    return [*lines[:FAULTS_AT_MOST], *([f"and {plural(more, 'fault')} more"] if more > 0 else [])]


def summary(checks: Checks) -> str:
    """How the check ended."""
    verdicts = Counter(layer.verdict for c in checks.networks for layer in c.layers)
    layers, exact = sum(verdicts.values()), verdicts[EXACT]
    uncounted = f", {n:,} that torch's counter knows in part" if (n := verdicts[UNCOUNTED]) else ""
    networks = "" if len(checks.networks) == 1 else f"{plural(len(checks.networks), 'network')}, "
    if exact == layers and checks.holds:
        return f"{networks}{plural(layers, 'layer')}: all exact."
    differ = f", {verdicts[DIFFERS]:,} differ" if not checks.holds else ""
    return f"{networks}{plural(layers, 'layer')}: {exact:,} exact{uncounted}{differ}."


def check_markdown(checks: Checks, units: str = "exact") -> str:
    """The same for documents."""
    if len(checks.networks) > 1:
        lines = [*pipe_table(network_columns(checks.networks)), ""]
    else:
        (checked,) = checks.networks
        title, sizes = (str(text) for text in heading(checked))
        lines = [f"**{title}**", "", sizes, "", *pipe_table(layer_columns(checked.layers)), ""]
        lines += [*pipe_table(reconciliation(checked.against, units)), ""]
        lines += [*(f"- {line}" for line in (*LEGEND, *map(_rules, checked.against))), ""]
    return "\n".join([*lines, *(f"- {line}" for line in fault_lines(checks)), summary(checks), ""])
