"""Devices as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cnncost.devices import Device
from cnncost.output.tables import Paper
from cnncost.output.units import in_unit, printable, rate, unit_for

LISTED = ("fp32", "tf32", "fp16", "int8")
FIGURES = (
    "gpus",
    "units",
    "base_clock",
    "boost_clock",
    "l2",
    "l3",
    "memory",
    "memory_kind",
    "bus",
    "pin_rate",
    "bandwidth",
    "tdp",
)
"""Fields of a device's page, in its order."""
LARGE = {"base_clock": "Hz", "boost_clock": "Hz", "pin_rate": "bit/s", "bandwidth": "B/s"}
SMALL = {"bus": " bit", "tdp": " W"}
LABELS = {"gpus": "GPUs", "l2": "L2", "l3": "L3", "tdp": "TDP"}
NOTE = "Rates are dense, without sparsity; a fused multiply-add is two operations."


def devices_table(devices: Sequence[Device], paper: Paper) -> str:
    """Devices, one a line, with the rates that frameworks can use."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", style="cyan", no_wrap=True)
    table.add_column("year", no_wrap=True)
    for dtype in LISTED:
        table.add_column(f"{dtype}\n{'TOP/s' if dtype.startswith('int') else 'TFLOP/s'}", justify="right", no_wrap=True)
    for head in ("memory\nGiB", "bandwidth\nGB/s", "TDP\nW"):
        table.add_column(head, justify="right", no_wrap=True)
    for device in devices:
        rates = (_in(device.peak(dtype).rate if dtype in device.dtypes else None, 10**12) for dtype in LISTED)
        rest = (_in(device.memory, 2**30), _in(device.bandwidth, 10**9), _in(device.tdp, 1))
        table.add_row(device.key, str(device.year), *rates, *rest)
    return paper.print(table, "", f"{len(devices)} devices. {NOTE} cnncost devices NAME shows a sheet.")


def _in(value: float | None, unit: int) -> str:
    return "-" if value is None else f"{value / unit:,.4g}"


def _shown(device: Device, name: str) -> str | None:
    """A figure of the sheet in its unit; None where it has none."""
    value = getattr(device, name)
    if value is None or (name == "gpus" and value == 1):
        return None
    if name in ("l2", "l3", "memory"):
        unit = unit_for([value], True, "auto")
        return f"{value / unit.worth:,g} {unit.name}"
    if name in LARGE:
        return f"{in_unit(value)}{LARGE[name]}"
    return f"{value:,g}{SMALL.get(name, '')}" if isinstance(value, (int, float)) else printable(str(value))


def device_page(device: Device, paper: Paper) -> str:
    """A sheet: figures with their sources, peak rates with how they follow."""
    documents = list(dict.fromkeys((*device.sources.values(), *(p.source for p in device.peaks if p.source))))
    number = {source: f"[{n}]" for n, source in enumerate(documents, 1)}
    figures = Table(box=None, pad_edge=False, show_header=False)
    for name in FIGURES:
        text = _shown(device, name)
        if text is not None:
            label = LABELS.get(name, name.replace("_", " "))
            label = ("SMs" if device.kind == "gpu" else "cores") if name == "units" else label
            source = device.sources.get(name)
            figures.add_row(label, text, number[source] if source else "")
    rates = Table(box=None, pad_edge=False, header_style="bold")
    for head, right in (("dtype", 0), ("on", 0), ("sums in", 0), ("peak", 1), ("FMAs", 1), ("GHz", 1), ("", 0)):
        rates.add_column(head, justify="right" if right else "left", no_wrap=True)
    for p in device.peaks:
        fmas, clock = "-" if p.fmas is None else f"{p.fmas:,}", _in(p.clock, 10**9)
        origin = (number[p.source] if p.source else "") + ("" if p.printed else " derived")
        rates.add_row(p.dtype, p.unit, p.accumulate or "-", rate(p.rate, p.dtype), fmas, clock, origin)
    title = Text(printable(f"{device.maker} {device.name} ({device.year}), {device.kind}"), style="bold")
    about = [printable(device.about)] if device.about else []
    sources: list[Text] = []
    for source in documents:
        sources.append(Text(printable(f"{number[source]} {source}"), style="dim"))
        if source.url:  # an address is not broken, so that it can be copied
            sources.append(Text(f"    {printable(source.url)}", style="dim", no_wrap=True, overflow="ignore"))
    rule = f"peak = {'SMs' if device.kind == 'gpu' else 'cores'} x FMAs x 2 x clock."
    return paper.print(title, *about, "", figures, "", rates, "", rule, NOTE, *sources)


def device_record(device: Device) -> dict[str, Any]:
    """A sheet as JSON; what it does not say is left out."""
    figures = {name: getattr(device, name) for name in FIGURES}
    return {
        "key": device.key,
        "name": device.name,
        "maker": device.maker,
        "year": device.year,
        "kind": device.kind,
        **({"about": device.about} if device.about else {}),
        "aliases": list(device.aliases),
        **{name: value for name, value in figures.items() if value is not None},
        "peaks": [
            {
                **{k: v for k, v in peak._asdict().items() if v is not None and k != "source"},
                **({"source": peak.source.title} if peak.source else {}),
            }
            for peak in device.peaks
        ],
        "sources": {
            name: {k: v for k, v in source._asdict().items() if v is not None}
            for name, source in device.sources.items()
        },
    }
