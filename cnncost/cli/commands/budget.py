"""cnncost budget."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from cnncost.analysis.dtypes import DTYPES
from cnncost.cli.common import DeviceParam, SpecParam, deliver, paper, parse_inputs, parse_settings
from cnncost.cli.options import INPUT, LEGEND, MODEL, SET, format_of, no_effect, output_options
from cnncost.cli.progress import Progress
from cnncost.errors import UsageError

if TYPE_CHECKING:
    from cnncost.analysis.budget import BudgetCheck
    from cnncost.spec.budget import Budget

EXAMPLES = """\b
Examples:
  cnncost budget my_net.yaml --max-macs 600M --max-params 5M --max-peak 100MB
  cnncost budget mobilenet_v2 --max-time 5ms --device jetson-agx-orin --dtype int8
  cnncost budget 'models/*.yaml' --budget budgets.yaml
  cnncost budget my_net.yaml --format json -o before.json
  cnncost budget my_net.yaml --baseline before.json --growth 2%
"""
LIMITS = {
    "params": ("COUNT", "Parameters: 5M."),
    "macs": ("COUNT", "MACs: 600M (K is 10^3, M 10^6, G 10^9)."),
    "flops": ("COUNT", "FLOPs, 2 x MACs + all other operations."),
    "layers": ("COUNT", "Layers with weights on the longest path."),
    "activations": ("BYTES", "All outputs together: 80MB (10^6 bytes), 80MiB (2^20)."),
    "peak": ("BYTES", "The most that is alive at once at inference."),
    "training_peak": ("BYTES", "The same in a step of training by SGD with momentum."),
    "time": ("TIME", "Least time by the roofline of --device: 5ms, 250us."),
}
"""Options that limit a quantity, --max-NAME each."""


def _limits(command: click.decorators.FC) -> click.decorators.FC:
    """--max-params, --max-macs and the others."""
    for name, (metavar, text) in reversed(LIMITS.items()):
        option = f"--max-{name.replace('_', '-')}"
        command = click.option(option, f"max_{name}", metavar=metavar, help=text)(command)
    return command


@click.command("budget", epilog=EXAMPLES)
@click.argument("specs", nargs=-1, type=SpecParam())
@_limits
@click.option("--device", type=DeviceParam(), metavar="NAME", help="Whose time --max-time limits.")
@click.option("--budget", "file", metavar="FILE", help="Budgets of many networks, a YAML file.")
@click.option("--baseline", metavar="FILE", help="JSON that budget or report wrote: no figure may have grown since.")
@click.option("--growth", metavar="PERCENT", help="With --baseline: by how much it may.  [0%]")
@INPUT
@click.option("--batch", "-b", type=int, help="Images in a batch.  [the budget's, else 1]")
@click.option("--dtype", type=click.Choice(tuple(DTYPES)), help="What an element takes.  [the budget's, else fp32]")
@SET
@MODEL[0]
@MODEL[1]
@MODEL[2]
@LEGEND
@output_options()
def command(
    specs: tuple[str, ...],
    device: str | None,
    file: str | None,
    baseline: str | None,
    growth: str | None,
    inputs: tuple[str, ...],
    batch: int | None,
    dtype: str | None,
    settings: tuple[str, ...],
    no_legend: bool,
    format_: str | None,
    output: str | None,
    force: bool,
    **limits: str | None,
) -> int:
    """Hold networks against budgets: what they use of each limit, and what has grown.

    SPECS are files, names of bundled architectures, globs over both, or family:NAME; those of --budget
    if left out. Limits come from these options, from the file of --budget, or from a spec's own
    `budget:`; the first are the strongest. Exit code 1 where a limit is exceeded, or a figure has
    grown by more than --growth.
    """
    chosen_format = format_ or format_of(output)
    no_effect(None, None, chosen_format, output, force, no_legend)
    if growth is not None and baseline is None:
        raise UsageError("--growth has no effect here", hint="it goes with --baseline")
    if (
        output
        and baseline
        and os.path.exists(output)
        and os.path.exists(baseline)
        and os.path.samefile(output, baseline)
    ):
        raise UsageError(f"{output} is the baseline, and would be lost", hint="write a new one without --baseline")
    given = _given(limits, device)
    from cnncost.api import budgets

    with Progress() as watch:
        check = budgets.budget(
            specs,
            given,
            file=file,
            baseline=baseline,
            growth=growth or 0,
            input=parse_inputs(inputs),
            batch=batch,
            set=parse_settings(settings),
            dtype=dtype,
            watch=watch,
        )
    deliver(_text(check, chosen_format, output, not no_legend), output, force, *specs, *([file] if file else []))
    return 0 if check.holds else 1


def _given(limits: dict[str, str | None], device: str | None) -> Budget:
    """The limits that were given as options. Raises UsageError."""
    from cnncost.spec.budget import TIME, Budget, limit

    time = limits.get("max_time")
    if (time is None) != (device is None):
        without, needed = ("--device", "--max-time 5ms") if time is None else ("--max-time", "--device rtx-4090")
        raise UsageError(f"{without} has no effect alone", hint=f"give {needed} too")
    return Budget(
        tuple(
            limit(name, value, device if name == TIME else None, f"--max-{name.replace('_', '-')}")
            for name in LIMITS
            if (value := limits[f"max_{name}"]) is not None
        )
    )


def _text(check: BudgetCheck, format_: str, output: str | None, legend: bool) -> str:
    """The check in a format."""
    from cnncost.output import budget as write

    if format_ == "table":
        return write.budget_table(check, paper(output, legend))
    if format_ == "markdown":
        return write.budget_markdown(check, legend)
    return {"json": write.budget_json, "csv": write.budget_csv}[format_](check)
