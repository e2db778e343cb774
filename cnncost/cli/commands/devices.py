"""cnncost devices."""

from __future__ import annotations

import click

from cnncost.cli.common import DeviceParam, deliver, paper

EXAMPLES = """\b
Examples:
  cnncost devices
  cnncost devices rtx-4090
  cnncost devices my_gpu.yaml --format json
"""


@click.command("devices", epilog=EXAMPLES)
@click.argument("name", type=DeviceParam(), required=False)
@click.option("--format", "format_", type=click.Choice(("table", "json")), default="table", help="[table]")
def command(name: str | None, format_: str) -> None:
    """Data sheets of known devices, or one of them: peak rates by dtype, memory, bandwidth, sources.

    NAME is a device of the list, whatever its case and dashes ("RTX 4090"), or the path of a sheet.
    """
    from cnncost.devices import all_devices, load

    found = list(all_devices()) if name is None else [load(name)]
    if format_ == "json":
        from cnncost.output.devices import devices_json

        deliver(devices_json(found), None, False)
        return
    from cnncost.output.devices import device_page, devices_table

    deliver(devices_table(found, paper()) if name is None else device_page(found[0], paper()), None, False)
