"""Options of `cnncost report` for what training and testing cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from cnncost.cli.common import DeviceParam
from cnncost.errors import UsageError

if TYPE_CHECKING:
    from cnncost.graph import Graph
    from cnncost.output.training import Extra

F = TypeVar("F", bound=Callable[..., Any])


def cost_options(command: F) -> F:
    """--train-run, --crops, --models and --device."""
    options = (
        click.option(
            "--train-run",
            metavar="TEXT",
            help="Price training: devices, epochs, images and, for utilisation, the time; "
            "or published: the runs among the spec's facts.",
        ),
        click.option("--crops", type=click.IntRange(1), metavar="N", help="Price testing: crops of an image.  [1]"),
        click.option(
            "--models", type=click.IntRange(1), metavar="N", help="Price testing: networks that are averaged.  [1]"
        ),
        click.option(
            "--device",
            type=DeviceParam(),
            metavar="NAME",
            help="Price testing: time at this device's peak. With --html: whose roofline is shown at first.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


class Costs(NamedTuple):
    """The options as given."""

    train_run: str | None
    crops: int | None
    models: int | None
    device: str | None

    def check(self, format_: str, paged: bool = False) -> None:
        """Raise UsageError for an option that would have no effect. paged: a page is written, which takes a device."""
        given = [name for name, value in self._asdict().items() if value is not None]
        if paged and given == ["device"]:
            return
        if given and format_ == "csv":
            option = given[0].replace("_", "-")
            raise UsageError(f"--{option} has no effect on csv", hint="csv has layers alone; choose another --format")
        if self.device is not None and self.crops is None and self.models is None:
            raise UsageError("--device has no effect here", hint="it goes with --crops, --models or --html")

    def of(self, graph: Graph, dtype: str) -> Extra | None:
        """What was asked for, priced. Raises UsageError."""
        if all(value is None for value in self[:-1]):
            return None
        from cnncost.analysis.training import evaluation_cost, training_cost
        from cnncost.output.training import Extra

        tested = self.crops is not None or self.models is not None
        return Extra(
            None if self.train_run is None else training_cost(graph, self.train_run, dtype),
            evaluation_cost(graph, self.crops or 1, self.models or 1, self.device, dtype) if tested else None,
        )
