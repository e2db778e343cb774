"""--plot: a figure beside what a command prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from cnncost.cli.common import NetworkColumnParam, deliver, may_write
from cnncost.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnncost.analysis.compare import Comparison, NetworkRow
    from cnncost.analysis.sweep.space import Space

F = TypeVar("F", bound=Callable[..., Any])


def plot_option(shown: str) -> Callable[[F], F]:
    """--plot: a figure is drawn too, of what is `shown`."""
    return click.option("--plot", metavar="FILE", help=f"Draw a figure too, .png, .svg or .pdf: {shown}.")


def map_options(command: F) -> F:
    """--plot of networks side by side, and --x, --y and --area."""
    column: dict[str, Any] = {"type": NetworkColumnParam(), "metavar": "COLUMN"}
    options = (
        plot_option("error against MACs, params as area, the front of those that none beats"),
        click.option("--x", **column, help="With --plot: what goes to the right.  [macs]"),
        click.option("--y", **column, help="With --plot: what goes up.  [top1_error]"),
        click.option("--area", **column, help="With --plot: what areas are.  [params]"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def space_options(command: F) -> F:
    """--plot of a design space, and --quantity."""
    drawn = plot_option("a line, a map, or several of them, of one quantity")
    named = click.option("--quantity", metavar="NAME", help="With --plot: what is drawn.  [the first that varies]")
    return drawn(named(command))


class Plotted(NamedTuple):
    """--plot as given. specs: what is read, and must not be lost."""

    plot: str | None
    force: bool
    specs: tuple[str, ...]

    def check(self, *others: str | None) -> None:
        """Raise UsageError for a figure that could not be written, before any work. others: written besides."""
        if self.plot is None:
            return
        from cnncost.output.plots import format_of, require_matplotlib

        format_of(self.plot)
        may_write(self.plot, self.force, *self.specs, others=others)
        require_matplotlib()

    def write(self, draw: Callable[[], Any]) -> None:
        """Draw and write the figure, where one is asked for, and say so. Raises UsageError."""
        if self.plot is None:
            return
        from cnncost.output.plots import format_of, to_bytes

        figure = draw()
        deliver(to_bytes(figure, format_of(self.plot)), self.plot, self.force, *self.specs)
        width, height = figure.get_size_inches()
        click.echo(f"wrote {self.plot}: {width:.2f} x {height:.2f} inches", err=True)


class MapPlotted(NamedTuple):
    """--plot of networks side by side, and its columns."""

    plotted: Plotted
    columns: dict[str, str | None]

    def check(self, layers: bool, *others: str | None) -> None:
        """Raise UsageError for columns that are none, options without effect, and what cannot be written."""
        if layers and self.plotted.plot is not None:
            raise UsageError("--plot has no effect with --layers", hint="it goes with a table of networks")
        for name, column in self.columns.items():
            if column is not None and self.plotted.plot is None:
                raise UsageError(f"--{name} has no effect here", hint="it goes with --plot FILE")
            if column is not None:
                from cnncost.output.plots.compare import column_of

                column_of(column, f"--{name}")
        self.plotted.check(*others)

    def asks(self, column: str) -> bool:
        """Whether a column is drawn."""
        return column in self.columns.values()

    def write(self, comparison: Comparison, rows: Sequence[NetworkRow]) -> None:
        """Draw and write the map, where one is asked for, and name the networks that are not on it."""
        if self.plotted.plot is None:
            return
        from cnncost.output.plots.compare import compare_figure, network_map

        found = network_map(comparison, rows, **self.columns)
        self.plotted.write(lambda: compare_figure(comparison, found))
        for line in found.said:
            click.echo(line, err=True)


class SweepPlotted(NamedTuple):
    """--plot of a design space, and its quantity."""

    plotted: Plotted
    quantity: str | None

    @classmethod
    def of(cls, plot: str | None, quantity: str | None, force: bool, spec: str) -> SweepPlotted:
        """The options as given. Raises UsageError for one that has no effect."""
        if quantity is not None and plot is None:
            raise UsageError("--quantity has no effect here", hint="it goes with --plot FILE; --quantities are priced")
        return cls(Plotted(plot, force, (spec,)), quantity)

    def check(self, *others: str | None) -> None:
        """Raise UsageError for a figure that could not be written."""
        self.plotted.check(*others)

    def require_drawable(self, space: Space) -> None:
        """Raise UsageError, before any point is priced, for a space or a quantity that is no picture."""
        if self.plotted.plot is not None:
            from cnncost.output.plots.sweep import chart_of, quantity_of

            chart_of(space)
            quantity_of(space, self.quantity, {})

    def write(self, space: Space, chosen: Mapping[str, Any] | None = None, told: str = "") -> None:
        """Draw and write the figure, where one is asked for. chosen: points that are marked; told: which these are."""
        if self.plotted.plot is not None:
            from cnncost.output.plots.sweep import sweep_figure

            self.plotted.write(lambda: sweep_figure(space, self.quantity, chosen, told))
