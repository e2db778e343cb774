"""--html: the pages of a network with what was measured of it, of several, of a design space, and of timings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from cnncost.cli.common import deliver, may_write
from cnncost.cli.options import html_option
from cnncost.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from cnncost.analysis.align import Alignment
    from cnncost.analysis.bench import BenchTable
    from cnncost.analysis.columns import Column
    from cnncost.analysis.compare import Comparison, NetworkRow
    from cnncost.analysis.report import Report
    from cnncost.analysis.sweep.space import Space
    from cnncost.graph import Graph
    from cnncost.output.sweep import Swept
    from cnncost.spec.document import Document

F = TypeVar("F", bound=Callable[..., Any])


def _write(page: str, html: str, force: bool, *specs: str) -> None:
    """Write a page, and say so. Raises UsageError."""
    deliver(page, html, force, *specs)
    click.echo(f"wrote {html}", err=True)


def page_options(command: F) -> F:
    """--html, --results and --where."""
    options = (
        html_option("graph, layers, memory, roofline and claims in one file"),
        click.option("--results", metavar="FILE", help="With --html: what cnncost bench measured, on it too."),
        click.option(
            "--where", multiple=True, metavar="NAME=VALUE", help="With --results: which setting, like layout=nhwc."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


class Paged(NamedTuple):
    """The options as given."""

    html: str | None
    results: str | None
    where: tuple[str, ...]

    def check(self, force: bool, spec: str, output: str | None) -> None:
        """Raise UsageError where the page could not be written, and for an option that would have no effect."""
        if self.results is not None and self.html is None:
            raise UsageError("--results has no effect here", hint="it goes with --html FILE")
        if self.where and self.results is None:
            raise UsageError("--where has no effect here", hint="it goes with --results")
        if self.html is not None:
            may_write(self.html, force, spec, others=[output])

    def write(self, report: Report, document: Document | None, device: str | None, force: bool, spec: str) -> None:
        """Write the page, where one is asked for. Raises UsageError."""
        if self.html is None:
            return
        from cnncost.api.pages import page_of

        measured = measured_seconds(report.graph, self.results, report.dtype, "forward", self.where)
        _write(page_of(report, document, device, measured), self.html, force, spec)


def measured_seconds(
    graph: Graph, results: str | None, dtype: str, passes: str, where: tuple[str, ...]
) -> dict[str, float] | None:
    """Seconds by layer from a file of results, where one is given. Raises UsageError."""
    if results is None:
        if where:
            raise UsageError("--where has no effect here", hint="it goes with --results")
        return None
    from cnncost.analysis.bench import seconds_by_layer
    from cnncost.analysis.measurements import Setting, read

    known = Setting("").record()
    chosen = dict(pair.partition("=")[::2] for pair in where)
    for name in chosen:
        if name not in known:
            raise UsageError(f"--where: a setting has no {name or 'name'}", hint=did_you_mean(name, known))
    return seconds_by_layer(graph, read(results), dtype, passes, chosen)


class ZooPage(NamedTuple):
    """--html of `cnncost compare`, and what goes with it. specs: as given. sizes: --input, --batch, --dtype, --set."""

    html: str | None
    devices: tuple[str, ...]
    units: str | None
    force: bool
    specs: tuple[str, ...]
    sizes: tuple[tuple[str, ...], int, str, tuple[str, ...]]

    def check(self, layers: bool, output: str | None) -> None:
        """Raise UsageError where the page could not be written, and for an option that would have no effect."""
        if layers and self.devices:
            raise UsageError("--device has no effect with --layers", hint="it goes with a table of networks")
        if self.devices and self.html is None:
            raise UsageError("--device has no effect here", hint="it goes with --html FILE")
        if self.html is not None:
            may_write(self.html, self.force, *self.specs, others=[output])

    def write(self, comparison: Comparison, rows: Sequence[NetworkRow], columns: Sequence[Column] | None) -> None:
        """Write the page, where one is asked for. Raises UsageError."""
        if self.html is None:
            return
        from cnncost.output.page.compare import Zoo, compare_page

        shown = Zoo(comparison, rows, columns, self.units or "auto", self.given)
        _write(compare_page(shown), self.html, self.force, *self.specs)

    def write_layers(self, alignment: Alignment) -> None:
        """Write the page of two networks layer by layer, where one is asked for. Raises UsageError."""
        if self.html is None:
            return
        from cnncost.output.page.layers import layers_page

        _write(layers_page(alignment, self.units or "exact"), self.html, self.force, *self.specs)

    @property
    def given(self) -> tuple[str, ...]:
        """The sizes as options of another command."""
        inputs, batch, dtype, settings = self.sizes
        pairs = [*(("--input", each) for each in inputs), *(("--set", each) for each in settings)]
        pairs += [("--batch", str(batch))] if batch != 1 else []
        pairs += [("--dtype", dtype)] if dtype != "fp32" else []
        return tuple(word for pair in pairs for word in pair)


class SweepHtml(NamedTuple):
    """--html of `cnncost sweep`, and what goes with it. spec: as given. workers: processes that price."""

    html: str | None
    force: bool
    spec: str
    workers: int
    units: str

    def check(self, output: str | None) -> None:
        """Raise UsageError where the page could not be written."""
        if self.html is not None:
            may_write(self.html, self.force, self.spec, others=[output])

    def require_few(self, space: Space) -> None:
        """Raise UsageError for more points than a page holds."""
        if self.html is not None:
            from cnncost.output.page.sweep import require_few

            require_few(space)

    def write(self, swept: Swept, pareto: str | None) -> None:
        """Write the page, where one is asked for. Raises UsageError."""
        if self.html is None:
            return
        from cnncost.analysis.choice import parse_pareto
        from cnncost.analysis.sweep.points import every_point
        from cnncost.cli.progress import Progress
        from cnncost.output.page.sweep import SweepPage, sweep_page

        with Progress("design points for the page") as watch:
            points = every_point(swept.space, self.workers, watch)
        aims = parse_pareto(pareto, swept.space.names) if pareto else ()
        told = tuple((aim.column, aim.largest) for aim in aims)
        _write(sweep_page(SweepPage(swept, points, told, self.units)), self.html, self.force, self.spec)


class BenchHtml(NamedTuple):
    """--html of `cnncost bench`. specs: what may not be lost."""

    html: str | None
    force: bool
    specs: tuple[str, ...]

    def check(self, comparing: bool, *others: str | None) -> None:
        """Raise UsageError where the page could not be written, or would have no effect. others: written besides."""
        if self.html is None:
            return
        if comparing:
            raise UsageError("--html has no effect with --compare", hint="write a page of each run by itself")
        may_write(self.html, self.force, *self.specs, others=others)

    def write(self, tables: Sequence[BenchTable], graphs: Sequence[Graph], machine: dict[str, str]) -> None:
        """Write the page, where one is asked for. Raises UsageError."""
        if self.html is None:
            return
        from cnncost.output.page.bench import BenchPage, bench_page

        _write(bench_page(BenchPage(tables, graphs, machine)), self.html, self.force, *self.specs)
