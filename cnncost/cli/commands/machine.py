"""cnncost machine."""

from __future__ import annotations

import os

import click

from cnncost.cli.common import deliver, paper
from cnncost.cli.progress import Progress
from cnncost.errors import UsageError

EXAMPLES = """\b
Examples:
  cnncost machine
  cnncost machine --threads 1 -o my-machine.yaml
  cnncost machine --device cuda -o gpu.yaml
  cnncost devices my-machine.yaml
"""


@click.command("machine", epilog=EXAMPLES)
@click.option("--device", default="cpu", metavar="NAME", help="cpu, cuda or cuda:1.  [cpu]")
@click.option("--threads", type=click.IntRange(1), help="Of the CPU.  [PyTorch's own]")
@click.option("--output", "-o", metavar="FILE", help="Write the device sheet to a file; - for standard output.")
@click.option("--force", is_flag=True, help="Replace a file that is there already.")
def command(device: str, threads: int | None, output: str | None, force: bool) -> None:
    """Measure what this machine can do at the most, in under a minute, as a device sheet.

    Products of matrices by dtype, bandwidth of memory and caches, what launching an operator takes.
    The sheet goes wherever a device is named: docs/devices.md.
    """
    _check(output, force)
    from cnncost.live import machine

    where = machine.device(device)
    if where.type == "cuda" and threads is not None:
        raise UsageError("--threads has no effect on a GPU", hint="leave it out")
    from cnncost.live.ceilings import ceilings
    from cnncost.output.devices import device_page
    from cnncost.output.machine import device as device_of
    from cnncost.output.machine import sheet

    with Progress("measurements") as watch:
        found = ceilings(where, threads, watch)
    if output is not None:
        deliver(sheet(found), output, force, is_spec=True)
    if output != "-":
        deliver(device_page(device_of(found), paper()), None, False)


def _check(output: str | None, force: bool) -> None:
    """Raise UsageError for what would fail after a minute of work."""
    if force and output is None:
        raise UsageError("--force has no effect here", hint="it goes with -o FILE")
    if output is None or output == "-":
        return
    if not output.lower().endswith((".yaml", ".yml")):
        raise UsageError(f"-o {output}: a device sheet is a YAML file", hint="give another name: my-machine.yaml")
    if os.path.lexists(output) and not force:
        raise UsageError(f"{output}: exists already", hint="--force replaces it")
    if not os.path.isdir(os.path.dirname(os.path.abspath(output))):
        raise UsageError(f"{output}: No such file or directory", hint="nothing was written")
