"""What training and testing cost, as blocks under a report's totals: for terminals, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from cnncost.analysis.training import EvaluationCost, RunCost, TrainingCost
from cnncost.devices import Peak
from cnncost.output.formats import table_row
from cnncost.output.units import duration, percent, plural, printable, rate, span, unit_for

BEYOND_PEAK = (
    "More than 100%: the run computed less than is counted here, or in another dtype, or a figure of it is wrong."
)


class Extra(NamedTuple):
    """What a report shows beside its own figures."""

    training: TrainingCost | None
    testing: EvaluationCost | None

    @property
    def blocks(self) -> list[Block]:
        testing = [evaluation_block(self.testing)] if self.testing else []
        return [*(training_blocks(self.training) if self.training else []), *testing]

    @property
    def renderables(self) -> list[Any]:
        return renderables(self.blocks)

    @property
    def markdown(self) -> list[str]:
        return markdown(self.blocks)

    @property
    def record(self) -> dict[str, Any]:
        """Keys of the JSON report."""
        training = {"training": training_record(self.training)} if self.training else {}
        return {**training, **({"testing": evaluation_record(self.testing)} if self.testing else {})}


class Block(NamedTuple):
    """A heading, rows of a label and its cells under column heads, and notes."""

    title: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: Sequence[str]


def training_blocks(cost: TrainingCost) -> list[Block]:
    """A block a run."""
    return [_run_block(cost, run) for run in cost.runs]


def _run_block(cost: TrainingCost, priced: RunCost) -> Block:
    run = priced.run
    devices = f"{run.number:,} x {run.device.name}" if run.number > 1 else run.device.name
    title = f"training on {devices}: {plural(run.epochs, 'epoch')} of {plural(run.images, 'image')}, {run.dtype}"
    if run.source:
        title += f" ({run.source})"
    ideal = [duration(2 * macs / priced.peak_rate) for macs in (priced.macs, priced.simple_macs)]
    rows: list[tuple[str, ...]] = [
        ("MACs an image", f"{cost.macs:,}", f"{cost.simple_macs:,}"),
        ("MACs in all", *_in_one_unit(priced.macs, priced.simple_macs)),
        ("FLOPs in all", *_in_one_unit(2 * priced.macs, 2 * priced.simple_macs)),
        ("time at peak", *ideal),
    ]
    if priced.utilisation and priced.simple_utilisation:
        shares = (span(percent(s, 1) for s in each) for each in (priced.utilisation, priced.simple_utilisation))
        rows.append((f"utilisation in {run.time}", *shares))
    beyond = [BEYOND_PEAK] if priced.utilisation and priced.utilisation[0] > 1 else []
    return Block(
        printable(title),
        ("exact", "3 x forward"),
        rows,
        [
            f"exact: forward {cost.forward:,} + weight gradients {cost.weight_gradients:,} + data gradients "
            f"{cost.data_gradients:,}; layers that take only the network's input need no data gradient.",
            _peak_note(priced.peak, priced.peak_rate if run.number > 1 else None),
            *beyond,
        ],
    )


def _in_one_unit(*counts: int) -> list[str]:
    unit = unit_for(counts, False, "auto")
    return [f"{unit.show(count)} {unit.name}".rstrip() for count in counts]


def evaluation_block(cost: EvaluationCost) -> Block:
    """The cost of one test image."""
    rows = [
        ("forward passes", f"{cost.passes:,}"),
        ("MACs a pass", f"{cost.forward:,}"),
        ("MACs", f"{cost.macs:,}"),
        ("FLOPs", f"{cost.flops:,}"),
    ]
    title = f"testing an image: {plural(cost.crops, 'crop')} x {plural(cost.models, 'model')}"
    if cost.device is None or cost.peak is None or cost.ideal_seconds is None:
        return Block(title, (), rows, ["2 FLOPs a MAC; other operations do not count here."])
    rows.append(("time at peak", duration(cost.ideal_seconds)))
    return Block(printable(f"{title}, on {cost.device.name}"), (), rows, [_peak_note(cost.peak, None)])


def _peak_note(peak: Peak, together: float | None) -> str:
    """What the peak is, and what the FLOPs leave out."""
    sums = f", sums in {peak.accumulate}" if peak.accumulate else ""
    whole = f", {rate(together, peak.dtype)} together" if together else ""
    return (
        f"peak: {rate(peak.rate, peak.dtype)} in {peak.dtype} on {peak.unit}{sums}{whole}. "
        "2 FLOPs a MAC; other operations do not count here."
    )


def renderables(blocks: list[Block]) -> list[Any]:
    """Blocks for a terminal or a pipe."""
    parts: list[Any] = []
    for block in blocks:
        table = Table(box=None, pad_edge=False, show_header=bool(block.heads), header_style="bold")
        table.add_column("", no_wrap=True)
        for head in block.heads or ("",):
            table.add_column(head, justify="right", no_wrap=True)
        for row in block.rows:
            table.add_row(*row)
        parts += [Text(block.title, style="bold"), table, *(Text(note, style="dim") for note in block.notes), ""]
    return parts


def markdown(blocks: list[Block]) -> list[str]:
    """Blocks as lines of Markdown."""
    lines: list[str] = []
    for block in blocks:
        heads = ("", *(block.heads or ("",)))
        cells = [heads, ("---", *("---:" for _ in heads[1:])), *block.rows]
        lines += [f"**{block.title}**", "", *map(table_row, cells), "", *(f"- {note}" for note in block.notes), ""]
    return lines


def training_record(cost: TrainingCost) -> dict[str, Any]:
    """The JSON report's `training`."""
    return {
        "macs_per_image": cost.macs,
        "forward_macs_per_image": cost.forward,
        "weight_gradient_macs_per_image": cost.weight_gradients,
        "data_gradient_macs_per_image": cost.data_gradients,
        "three_times_forward_macs_per_image": cost.simple_macs,
        "runs": [_run_record(run) for run in cost.runs],
    }


def _run_record(priced: RunCost) -> dict[str, Any]:
    run = priced.run

    def pair(values: tuple[float, float] | None) -> list[float] | None:
        return list(values) if values else None

    return {
        "devices": run.number,
        "device": run.device.key,
        "dtype": run.dtype,
        "epochs": run.epochs,
        "images": run.images,
        "source": run.source,
        "macs": priced.macs,
        "flops": priced.flops,
        "three_times_forward_macs": priced.simple_macs,
        "peak_flops_per_second": priced.peak_rate,
        "seconds_at_peak": priced.ideal_seconds,
        "seconds": pair(run.seconds),
        "utilisation": pair(priced.utilisation),
        "three_times_forward_utilisation": pair(priced.simple_utilisation),
    }


def evaluation_record(cost: EvaluationCost) -> dict[str, Any]:
    """The JSON report's `testing`."""
    return {
        "crops": cost.crops,
        "models": cost.models,
        "passes": cost.passes,
        "macs": cost.macs,
        "flops": cost.flops,
        "device": cost.device.key if cost.device else None,
        "dtype": cost.peak.dtype if cost.peak else None,
        "peak_flops_per_second": cost.peak.rate if cost.peak else None,
        "seconds_at_peak": cost.ideal_seconds,
    }
