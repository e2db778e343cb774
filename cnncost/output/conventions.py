"""A network as another tool counts it, as a block under a report's totals: for terminals, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cnncost.analysis.columns import Column
from cnncost.analysis.conventions import Convention, Counted
from cnncost.analysis.report import LayerReport
from cnncost.output.training import Block, markdown, renderables
from cnncost.output.units import percent


class AsCounted(NamedTuple):
    """What a report shows of a convention beside its own figures."""

    counts: Counted

    @property
    def renderables(self) -> list[Any]:
        return renderables([convention_block(self.counts)])

    @property
    def markdown(self) -> list[str]:
        return markdown([convention_block(self.counts)])

    def record(self, rows: Sequence[LayerReport]) -> dict[str, Any]:
        """Keys of the JSON report. rows: its layers, folded or not."""
        return {"convention": {**counted_record(self.counts), "layers": {row.name: row.counted for row in rows}}}

    def columns(self, shown: Sequence[Column]) -> list[Column]:
        """The report's columns with the tool's behind the MACs."""
        name = self.counts.convention.name
        own = Column("counted", name, "count", f"what {name} counts", lambda row: row.counted)
        at = next((i for i, column in enumerate(shown, 1) if column.name == "macs"), len(shown))
        return [*shown[:at], own, *shown[at:]]


def convention_block(counts: Counted) -> Block:
    """From the MACs to the tool's number, by kind of layer."""
    rows = [("MACs", f"{counts.macs:,}", "")]
    for cause, amount in counts.added.items():
        rows.append((cause, f"{amount:+,}", percent(amount, counts.macs, 2)))
    rows.append((counts.convention.name, f"{counts.total:,}", percent(counts.total, counts.macs, 2)))
    return Block(counted_title(counts.convention), ("count", "of MACs"), rows, explanations(counts))


def counted_title(convention: Convention) -> str:
    """Whose count it is, of which version, and what the tool calls it."""
    return f"as {convention.name} counts ({convention.version}; it says {convention.calls})"


def explanations(counts: Counted) -> list[str]:
    """What was added, in words; what the tool's number is; what could not be said."""
    lines = [f"{cause}: {'; '.join(texts)}." for cause, texts in counts.texts.items()]
    if counts.convention.note:
        lines.append(counts.convention.note)
    if counts.unruled:
        lines.append(f"No rule for traced {', '.join(counts.unruled)}: by their MACs here.")
    return lines


def counted_record(counts: Counted) -> dict[str, Any]:
    """The count with its parts, for JSON."""
    return {
        "tool": counts.convention.name,
        "version": counts.convention.version,
        "calls_it": counts.convention.calls,
        "macs": counts.macs,
        "added": dict(counts.added),
        "total": counts.total,
        "rules": {cause: list(texts) for cause, texts in counts.texts.items()},
        "note": counts.convention.note,
        "unruled": list(counts.unruled),
    }
