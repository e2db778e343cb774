"""Devices as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cnncost.devices import Device
from cnncost.output.formats import json_text
from cnncost.output.tables import Paper
from cnncost.output.units import digits, in_unit, printable, rate, rate_unit, short_bytes

SCHEMA_VERSION = 1
"""Grows when a key changes its meaning or goes; new keys do not change it."""
LISTED = ("fp32", "tf32", "fp16", "int8")
FIGURES = (
    "gpus",
    "units",
    "threads",
    "base_clock",
    "boost_clock",
    "l1",
    "l2",
    "l3",
    "memory",
    "memory_kind",
    "bus",
    "pin_rate",
    "bandwidth",
    "read_bandwidth",
    "copy_bandwidth",
    "launch_overhead",
    "shortest_kernel",
    "tdp",
)
"""Fields of a device's page, in its order."""
BASE = {
    "count": "a number",
    "clock": "in Hz",
    "bytes": "in bytes",
    "bus": "in bits",
    "pin_rate": "in bits a second",
    "bandwidth": "in bytes a second",
    "power": "in watts",
    "time": "in seconds",
}
"""The unit of each dimension for programs."""
KINDS_OF = dict.fromkeys(("count", "bytes", "bus"), "integer")
LARGE = {"base_clock": "Hz", "boost_clock": "Hz", "pin_rate": "bit/s"}
LARGE |= dict.fromkeys(("bandwidth", "read_bandwidth", "copy_bandwidth"), "B/s")
TIMES = ("launch_overhead", "shortest_kernel")
SMALL = {"bus": " bit", "tdp": " W"}
LABELS = {"gpus": "GPUs", "l1": "L1", "l2": "L2", "l3": "L3", "tdp": "TDP"}
NOTE = "Rates are dense, without sparsity; a fused multiply-add is two operations."


def devices_table(devices: Sequence[Device], paper: Paper) -> str:
    """Devices, one a line, with the rates that frameworks can use."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", style="cyan", no_wrap=True)
    table.add_column("year", no_wrap=True)
    for dtype in LISTED:
        table.add_column(f"{dtype}\nT{rate_unit(dtype)}", justify="right", no_wrap=True)
    for head in ("memory\nGiB", "bandwidth\nGB/s", "TDP\nW"):
        table.add_column(head, justify="right", no_wrap=True)
    for device in devices:
        rates = (digits(device.peak(dtype).rate if dtype in device.dtypes else None, 10**12) for dtype in LISTED)
        rest = (digits(device.memory, 2**30), digits(device.bandwidth, 10**9), digits(device.tdp))
        table.add_row(device.key, str(device.year), *rates, *rest)
    return paper.print(table, "", f"{len(devices)} devices. {NOTE} cnncost devices NAME shows a sheet.")


def _shown(device: Device, name: str) -> str | None:
    """A figure of the sheet in its unit; None where it has none."""
    value = getattr(device, name)
    if value is None or (name == "gpus" and value == 1):
        return None
    if name in TIMES:
        return f"{digits(1e6 * value)} us"
    if name in ("l1", "l2", "l3", "memory"):
        return short_bytes(value)
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
        fmas, clock = "-" if p.fmas is None else f"{p.fmas:,}", digits(p.clock, 10**9)
        origin = (number[p.source] if p.source else "") + ("" if p.printed else " derived")
        rates.add_row(p.dtype, p.unit, p.accumulate or "-", rate(p.rate, p.dtype), fmas, clock, origin)
    title = Text(printable(f"{device.maker} {device.name} ({device.year}), {device.kind}"), style="bold")
    about = [printable(device.about)] if device.about else []
    sources: list[Text] = []
    for source in documents:
        sources.append(Text(printable(f"{number[source]} {source}"), style="dim"))
        if source.url:  # an address is not broken, so that it can be copied
            sources.append(Text(f"    {printable(source.url)}", style="dim", no_wrap=True, overflow="ignore"))
    rule = [f"peak = {'SMs' if device.kind == 'gpu' else 'cores'} x FMAs x 2 x clock."]
    if not any(p.fmas for p in device.peaks):
        rule = []
    return paper.print(title, *about, "", figures, "", rates, "", *_curve(device), *rule, NOTE, *sources)


def _curve(device: Device) -> list[Any]:
    """Bandwidth by the size of the data, where the sheet has it."""
    if not device.working_sets:
        return []
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("data", "read\nGB/s", "copy\nGB/s"):
        table.add_column(head, justify="right", no_wrap=True)
    for each in device.working_sets:
        table.add_row(short_bytes(each.size), digits(each.read, 10**9), digits(each.copy, 10**9))
    return [table, ""]


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
        **({"working_sets": [_without_none(each) for each in device.working_sets]} if device.working_sets else {}),
        "sources": {name: _without_none(source) for name, source in device.sources.items()},
    }


def _without_none(value: Any) -> dict[str, Any]:
    return {k: v for k, v in value._asdict().items() if v is not None}


def devices_json(devices: Sequence[Device]) -> str:
    """Sheets as JSON, a public format: `cnncost schema devices`."""
    from cnncost import __version__

    records = [device_record(device) for device in devices]
    return json_text({"schema": SCHEMA_VERSION, "cnncost": __version__, "devices": records})


def devices_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost devices --format json` writes."""
    from cnncost.devices.sheet import DTYPES, KINDS, WORKING_SET
    from cnncost.devices.sheet import FIGURES as SHEET
    from cnncost.output.schema import NAMES, document, version_parts

    text = {"type": "string"}
    source = {"title": {**text, "description": "name of the document"}, "place": text, "url": text}
    peak = {
        "dtype": {"enum": list(DTYPES), "description": "what is multiplied"},
        "unit": {**text, "description": "what computes it: cores, tensor cores, vector units"},
        "accumulate": {**text, "description": "dtype of the sums, where it makes a difference"},
        "rate": {"type": "number", "description": "operations a second, dense; a fused multiply-add is two"},
        "how": {**text, "description": "units x FMAs x 2 x clock"},
        "printed": {"type": "boolean", "description": "whether the maker prints the rate"},
        "fmas": {"type": "integer", "minimum": 1, "description": "fused multiply-adds a unit and clock"},
        "clock": {"type": "number", "description": "in Hz"},
        "source": {**text, "description": "title of a document"},
    }
    figures = {
        name: {"type": KINDS_OF.get(dimension, "number"), "description": f"{about}; {BASE[dimension]}"}
        for name, (dimension, about) in SHEET.items()
    }
    sets = {name: {"type": "number", "description": about} for name, about in WORKING_SET.items()}
    device = {
        "key": {**text, "description": "the sheet's name"},
        "name": {**text, "description": "what the maker calls it"},
        "maker": text,
        "year": {"type": "integer"},
        "kind": {"enum": list(KINDS)},
        "about": text,
        "aliases": {**NAMES, "description": "other names, as drivers report it"},
        **figures,
        "memory_kind": text,
        "peaks": {"type": "array", "items": _known(peak, "dtype", "unit", "rate", "printed")},
        "working_sets": {"type": "array", "items": _known(sets, "size")},
        "sources": {"type": "object", "additionalProperties": _known(source, "title"), "description": "by figure"},
    }
    devices = _known(device, "key", "name", "maker", "year", "kind", "aliases", "gpus", "peaks", "sources")
    parts = {**version_parts(SCHEMA_VERSION), "devices": {"type": "array", "items": devices}}
    return document("cnncost devices", parts)


def _known(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """An object that leaves out what is not known."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
