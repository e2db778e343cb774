"""Options of `cnncost memory` and `cnncost fit`: at which sizes a network runs, and what a step of training is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.storage import out_of_place
from cnncost.analysis.training_step import AUTOCAST, WORDS, TrainingStep, memory_of
from cnncost.cli.common import among, parse_inputs, parse_settings
from cnncost.cli.options import BATCH, INPUT, MODEL, SET
from cnncost.errors import UsageError
from cnncost.spec.models import ModelName, is_model

if TYPE_CHECKING:
    from cnncost.analysis.memory import Memory
    from cnncost.graph import Graph

F = TypeVar("F", bound=Callable[..., Any])
OPTIONS = (
    INPUT,
    BATCH,
    click.option("--dtype", type=click.Choice(tuple(DTYPES)), default="fp32", help="What an element takes.  [fp32]"),
    SET,
    click.option("--out-of-place", is_flag=True, help="As if no layer worked in place."),
    click.option("--train", is_flag=True, help="A step of training: forward, backward and the optimizer's update."),
    click.option("--optimizer", metavar="NAME", shell_complete=among(lambda: WORDS), help="none, sgd, sgd-momentum, "
                 "adam or adamw.  [sgd-momentum]"),
    click.option("--autocast", type=click.Choice(AUTOCAST), help="Mixed precision: parameters stay in fp32."),
    click.option("--master-copies", is_flag=True, help="fp32 copies of parameters of another --dtype."),
    click.option("--accumulate", type=click.IntRange(1), metavar="N", help="Batches whose gradients are added up for "
                 "one update.  [1]"),
    click.option("--checkpoint", multiple=True, metavar="BLOCKS", help="Blocks that run again for their backward pass, "
                 "comma-separated."),
    click.option("--freeze", multiple=True, metavar="LAYERS", help="Layers, blocks or globs that do not learn, "
                 "comma-separated."),
    click.option("--foreach", is_flag=True, help="The optimizer updates all parameters at once, PyTorch's default on "
                 "GPUs."),
    MODEL[0],
    MODEL[2],
)  # fmt: skip


def memory_options(command: F) -> F:
    """--input, --batch, --dtype, --set, those of PyTorch models; --train and what goes with it."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Asked:
    """What is asked of a network: the sizes, the step of training (None for inference), in place or not."""

    inputs: Any
    batch: int
    dtype: str
    settings: dict[str, Any]
    step: TrainingStep | None
    out_of_place: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Asked:
        """The options as given. Raises UsageError for those that have no effect."""
        given = dict(options)
        inputs, settings = parse_inputs(given.pop("inputs")), parse_settings(given.pop("settings"))
        batch, dtype, train = given.pop("batch"), given.pop("dtype"), given.pop("train")
        apart = given.pop("out_of_place", False)
        for name in ("checkpoint", "freeze"):
            given[name] = tuple(part.strip() for value in given[name] for part in value.split(","))
            if "" in given[name]:
                raise UsageError(f"--{name}: a name is empty", hint="write stage1,stage2")
        step = {name: value for name, value in given.items() if value}
        if step and not train:
            raise UsageError(f"--{next(iter(step)).replace('_', '-')} has no effect here", hint="it goes with --train")
        return cls(inputs, batch, dtype, settings, TrainingStep.of(**step) if train else None, apart)

    def graph(self, spec: str) -> Graph:
        """The network at these sizes."""
        return self.graphs(spec)(self.inputs, self.batch)

    def graphs(self, spec: str) -> Callable[[Any, Any], Graph]:
        """The network at an input and a batch; a model of PyTorch that is to be trained as in training.

        Raises UsageError for a model out of place.
        """
        from cnncost.api.networks import resizable

        if self.out_of_place and is_model(spec):
            raise UsageError("--out-of-place is for specs", hint="a model says itself which layers work in place")
        if self.step is not None and is_model(spec):
            asked = vars(spec) if isinstance(spec, ModelName) else {}
            spec = ModelName(spec, **{**asked, "train": True})
        graph_at = resizable(spec, self.settings)
        return (lambda inputs, batch: out_of_place(graph_at(inputs, batch))) if self.out_of_place else graph_at

    def memory(self, graph: Graph) -> Memory:
        """What it takes."""
        return memory_of(graph, self.dtype, self.step)

    def on(self, device: str) -> Asked:
        """The same as it runs on a device: on GPUs the optimizer updates all parameters at once."""
        if self.step is None or device == "cpu":
            return self
        return replace(self, step=replace(self.step, foreach=True))
