"""A machine that was measured, as a device sheet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from math import floor, log10

from cnncost.analysis.ceilings import Machine
from cnncost.devices import Device
from cnncost.devices.quantities import UNITS
from cnncost.output.units import plural

MAKERS = ("AMD", "Intel", "NVIDIA", "Apple", "Qualcomm", "Ampere", "IBM")
UNKNOWN_MAKER = "unknown maker"
FILE = "machine.yaml"


def figure(value: float, dimension: str) -> str:
    """A figure as sheets have it, in the largest unit that leaves at least 1; four digits, bytes exactly."""
    units = UNITS[dimension]
    fitting = [name for name, worth in units.items() if value >= worth]
    if dimension == "bytes":
        fitting = [name for name in fitting if value % units[name] == 0] or ["KiB"]
    name = fitting[-1] if fitting else next(iter(units))
    amount = float(value / units[name])
    decimals = 0 if dimension == "bytes" or amount <= 0 else max(0, 3 - floor(log10(amount)))
    text = f"{amount:.{min(decimals, 9)}f}"
    return f"{text} {name}".strip()


def named(machine: Machine) -> tuple[str, str]:
    """Maker and name, without what drivers and systems add to them."""
    plain = re.sub(r"\((R|TM|tm)\)|\bCPU\b|@.*|\bw/.*|\b\d+-Core\b|\bProcessor\b", " ", machine.name)
    words = plain.split()
    for maker in MAKERS:
        if words and words[0].lower() == maker.lower():
            return maker, " ".join(words[1:]) or machine.name
    return UNKNOWN_MAKER, " ".join(words) or machine.name


def sheet(machine: Machine) -> str:
    """The device sheet: every figure that the measurement has, and where it is from."""
    return "\n".join((*_heading(machine), "", *_figures(machine), *_peaks(machine), *_working_sets(machine), ""))


def _heading(machine: Machine) -> Iterator[str]:
    maker, name = named(machine)
    threads = [] if machine.threads is None else [plural(machine.threads, "thread")]
    about = "what PyTorch's operators attain on this machine"
    if machine.doubts:
        about += f"; measured under doubt: {', '.join(machine.doubts)}"
    yield f"name: {_text(name)}"
    yield f"maker: {_text(maker)}"
    yield f"year: {machine.date[:4]}"
    yield f"kind: {machine.kind}"
    yield f"about: {_text(about)}"
    yield f"aliases: [{_text(machine.name)}]"
    yield "sources:"
    place = _text(", ".join((machine.date, *machine.told, *threads)))
    yield f"  measured: {{title: measured by cnncost machine, place: {place}}}"
    if _told_by_system(machine):
        yield "  system: {title: what the system tells of itself}"


def _told_by_system(machine: Machine) -> dict[str, str]:
    values = {
        "units": None if machine.units is None else str(machine.units),
        **{
            name: figure(value, "bytes")
            for name in ("l1", "l2", "l3", "memory")
            if (value := getattr(machine, name)) is not None
        },
    }
    return {name: value for name, value in values.items() if value is not None}


def _figures(machine: Machine) -> Iterator[str]:
    for name, value in _told_by_system(machine).items():
        yield f"{name}: {{is: {value}, source: system}}"
    if machine.threads is not None:
        yield f"threads: {machine.threads}"
    for name, dimension in (
        ("bandwidth", "bandwidth"),
        ("read_bandwidth", "bandwidth"),
        ("copy_bandwidth", "bandwidth"),
        ("launch_overhead", "time"),
        ("shortest_kernel", "time"),
    ):
        value = getattr(machine, name)
        if value is not None:
            yield f"{name}: {figure(value, dimension)}"


def _peaks(machine: Machine) -> Iterator[str]:
    yield "peaks:"
    for rate in machine.rates:
        yield f"  - {{dtype: {rate.dtype}, unit: {rate.unit}, rate: {figure(rate.rate, 'rate')}}}  # {rate.of}"


def _working_sets(machine: Machine) -> Iterator[str]:
    yield "working_sets:"
    for each in machine.curve:
        parts = [f"size: {figure(each.size, 'bytes')}"]
        parts += [
            f"{name}: {figure(value, 'bandwidth')}"
            for name, value in (("read", each.read), ("copy", each.copy))
            if value is not None
        ]
        yield f"  - {{{', '.join(parts)}}}"


def _text(text: str) -> str:
    """Text in quotes, as YAML and JSON have it alike."""
    return json.dumps(text, ensure_ascii=False)


def device(machine: Machine) -> Device:
    """The device of the sheet."""
    from cnncost.devices.sheet import device as read

    return read(sheet(machine), FILE, "machine", "")


__all__: Sequence[str] = ["device", "figure", "named", "sheet"]
