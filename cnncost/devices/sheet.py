"""Data sheets of devices: YAML to a Device, with the place of every fault.

Rates follow from units x FMAs a unit and clock x 2 x clock, bandwidth from bus x rate of a pin; where
the maker prints the product too, a sheet in which the two disagree is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any, NoReturn

from cnncost.devices import SUFFIXES, Device, Peak, Source, WorkingSet, text_of
from cnncost.devices.quantities import Quantity, quantity
from cnncost.errors import OptionError, SpecError, UsageError, Where, did_you_mean
from cnncost.options import quoted, spelled
from cnncost.spec.marks import Item, plain, read

DTYPES = ("fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "int8")
KINDS = ("gpu", "cpu")
WORDS = {
    "name": "what the maker calls it, without the maker",
    "maker": "who makes it",
    "about": "one line on what the sheet is for: a variant, one half of a board",
    "memory_kind": "GDDR6X, HBM3, DDR4-3200",
}
"""Keys that hold text."""
FIGURES = {
    "gpus": ("count", "GPUs on the board; all figures are for the board"),
    "units": ("count", "streaming multiprocessors of a GPU, cores of a CPU"),
    "base_clock": ("clock", "clock that is guaranteed"),
    "threads": ("count", "threads of a CPU that figures were measured with"),
    "boost_clock": ("clock", "highest clock that the maker names"),
    "l1": ("bytes", "L1 data cache, all of it"),
    "l2": ("bytes", "L2 cache, all of it"),
    "l3": ("bytes", "L3 cache, all of it"),
    "memory": ("bytes", "memory; makers' GB are GiB"),
    "bus": ("bus", "width of the memory bus"),
    "pin_rate": ("pin_rate", "data rate of one pin of the bus"),
    "bandwidth": ("bandwidth", "memory bandwidth"),
    "read_bandwidth": ("bandwidth", "bandwidth of reading alone"),
    "copy_bandwidth": ("bandwidth", "bandwidth of copying: what is read and what is written"),
    "launch_overhead": ("time", "what the host takes to launch an operator"),
    "shortest_kernel": ("time", "what a GPU takes for an operator that does next to nothing"),
    "tdp": ("power", "power that the device may draw for long"),
}
"""Keys that hold a figure, with its dimension."""
OTHERS = {
    "extends": "another sheet to start from",
    "year": "year in which it came out; of what was measured, when that was",
    "kind": "gpu or cpu",
    "aliases": "other names, as drivers report it",
    "sources": "where figures are from; the first is meant where a figure names none",
    "peaks": "peak rates: dense, without sparsity; a fused multiply-add is two operations",
    "working_sets": "bandwidth by the size of the data that is gone over again and again: caches show",
}
TOP = {**WORDS, **OTHERS, **{key: about for key, (_, about) in FIGURES.items()}}
PEAK = {
    "dtype": "what is multiplied: " + ", ".join(DTYPES),
    "unit": "what computes it: cores, tensor cores, vector units",
    "accumulate": "dtype of the sums, where it makes a difference",
    "fmas": "fused multiply-adds a unit and clock",
    "clock": "the clock, where it is not the boost clock: base_clock, or a figure",
    "rate": "the rate as the maker prints it",
    "source": "a key of `sources`",
}
SOURCE = {"title": "name of the document", "place": "page or table", "url": "where it is found"}
WORKING_SET = {
    "size": "bytes of the data",
    "read": "bandwidth of reading it",
    "copy": "bandwidth of copying one half of it to the other, what is read and what is written",
}
FIGURE = {"is": "the figure", "source": "a key of `sources`"}
NEEDED = ("name", "maker", "year", "kind", "sources")
EXTENDS_AT_MOST = 5


@dataclass
class _Sheet:
    """What a sheet says, those that it extends included; nothing is checked across keys yet."""

    values: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Quantity] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    documents: dict[str, Source] = field(default_factory=dict)
    peaks: list[tuple[dict[str, Item], Source]] = field(default_factory=list)
    working_sets: tuple[WorkingSet, ...] = ()
    places: dict[str, Where] = field(default_factory=dict)


def device(text: str, file: str, key: str, folder: str) -> Device:
    """The device of a sheet; `folder` is where it looks for what it extends. Raises SpecError."""
    root, sheet = _document(text, file), _Sheet()
    _merge(sheet, root, folder, (file,))
    for needed in NEEDED:
        if needed not in sheet.values and not (needed == "sources" and sheet.documents):
            _fail(f"a device sheet without {needed}", root.at, TOP[needed])
    _check_bandwidth(sheet)
    fields: dict[str, Any] = {key: _number(key, q.value) for key, q in sheet.figures.items()}
    fields |= sheet.values
    fields["peaks"] = tuple(_peak(entry, source, sheet) for entry, source in sheet.peaks)
    return Device(key=key, file=file, sources=sheet.sources, working_sets=sheet.working_sets, **fields)


def _fail(message: str, at: Where, hint: str | None = None) -> NoReturn:
    raise SpecError(message, hint=hint, where=at)


def _document(text: str, file: str) -> Item:
    if not text.strip():
        _fail("the file is empty", Where(file, 1, 1), "a device sheet has name, maker, year, kind, sources and figures")
    root = read(text, file)
    _mapping(root, "a device sheet", "it starts with `name:` and `maker:`")
    return root


def _mapping(item: Item, what: str, hint: str) -> dict[str, Item]:
    if not isinstance(item.value, dict) or not item.value:
        _fail(f"{what} must be a mapping, got {spelled(plain(item)) or 'nothing'}", item.at, hint)
    return item.value


def _known(entries: dict[str, Item], known: dict[str, str], what: str) -> None:
    for key, item in entries.items():
        if key not in known:
            _fail(f"{what} has no key {spelled(key)}", item.key_or_value_at, did_you_mean(key, known))


def _text(item: Item, key: str, about: str) -> str:
    if not isinstance(item.value, str) or not item.value.strip():
        _fail(f"{key} must be text, got {spelled(plain(item)) or 'nothing'}", item.at, about)
    return item.value.strip()


def _choice(item: Item, key: str, known: tuple[str, ...]) -> str:
    if item.value not in known:
        hint = did_you_mean(item.value, known) if isinstance(item.value, str) else None
        _fail(f"{key} must be one of {', '.join(known)}, got {quoted(plain(item))}", item.at, hint)
    return str(item.value)


def _merge(sheet: _Sheet, root: Item, folder: str, chain: tuple[str, ...]) -> None:
    """Read one document into the sheet, over what it extends."""
    top: dict[str, Item] = root.value
    _known(top, TOP, "a device sheet")
    if "extends" in top:
        _extend(sheet, top["extends"], folder, chain)
    if "sources" in top:
        sheet.documents = _documents(top["sources"])
    for key, about in WORDS.items():
        if key in top:
            sheet.values[key] = _text(top[key], key, about)
    _others(sheet, top)
    for key in FIGURES:
        if key in top:
            _figure(sheet, key, top[key])
    if "peaks" in top:
        sheet.peaks = _peaks(sheet, top["peaks"])
    if "working_sets" in top:
        sheet.working_sets = _working_sets(top["working_sets"])
        sheet.sources["working_sets"] = _source(sheet, None, top["working_sets"].at)


def _extend(sheet: _Sheet, item: Item, folder: str, chain: tuple[str, ...]) -> None:
    """Read the sheet that this one extends; it stands beside it."""
    name = _text(item, "extends", TOP["extends"])
    file = name if name.endswith(SUFFIXES) else f"{name}.yaml"
    if file in chain or len(chain) >= EXTENDS_AT_MOST:
        _fail(f"extends in a circle: {' -> '.join((*chain, file))}", item.at, "extend another sheet")
    try:
        text = text_of(os.path.join(folder, file), file)
    except UsageError as e:
        _fail(f"extends {e.message}", item.at, "name a sheet in the same folder")
    _merge(sheet, _document(text, file), folder, (*chain, file))
    for key in ("aliases", "about"):  # what tells this device from that one
        sheet.values.pop(key, None)


def _documents(item: Item) -> dict[str, Source]:
    documents = {}
    for key, entry in _mapping(item, "sources", "write sources: {sheet: {title: ..., url: ...}}").items():
        fields = _mapping(entry, f"source {key}", "write {title: ..., place: ..., url: ...}")
        _known(fields, SOURCE, "a source")
        if "title" not in fields:
            _fail(f"source {key} without title", entry.at, SOURCE["title"])
        documents[key] = Source(**{name: _text(value, name, SOURCE[name]) for name, value in fields.items()})
    return documents


def _others(sheet: _Sheet, top: dict[str, Item]) -> None:
    if "kind" in top:
        sheet.values["kind"] = _choice(top["kind"], "kind", KINDS)
    if "year" in top:
        year = top["year"].value
        if type(year) is not int or not 1940 <= year <= 2100:
            _fail(f"year must be a year, like 2022, got {quoted(plain(top['year']))}", top["year"].at, TOP["year"])
        sheet.values["year"] = year
    if "aliases" in top:
        aliases = top["aliases"]
        if not isinstance(aliases.value, list):
            _fail("aliases must be a list", aliases.at, "write aliases: [NVIDIA GeForce RTX 4090]")
        sheet.values["aliases"] = tuple(_text(alias, "an alias", TOP["aliases"]) for alias in aliases.value)


def _source(sheet: _Sheet, item: Item | None, at: Where) -> Source:
    """The source that a figure names, else the sheet's first. Raises SpecError where there is none."""
    if not sheet.documents:
        _fail("a figure without a source", at, "write sources: {sheet: {title: ...}} on top")
    if item is None:
        return next(iter(sheet.documents.values()))
    return sheet.documents[_choice(item, "source", tuple(sheet.documents))]


def _placed(read_it: Callable[[], Quantity], key: str, at: Where) -> Quantity:
    try:
        return read_it()
    except OptionError as e:
        _fail(f"{key} {e.message}", at, e.hint)


def _figure(sheet: _Sheet, key: str, item: Item) -> None:
    """One figure: as it is, or as {is: figure, source: key}."""
    value, source = item, None
    if isinstance(item.value, dict):
        _known(item.value, FIGURE, f"{key}")
        if "is" not in item.value:
            _fail(f"{key} without `is`", item.at, "write {is: figure, source: key}")
        value, source = item.value["is"], item.value.get("source")
    sheet.figures[key] = _placed(lambda: quantity(plain(value), FIGURES[key][0]), key, value.at)
    sheet.sources[key] = _source(sheet, source, item.at)
    sheet.places[key] = value.at


def _number(key: str, value: Fraction) -> int | float:
    """A figure as Python has it: whole where it counts something."""
    return int(value) if FIGURES[key][0] in ("count", "bytes", "bus") else float(value)


def _check_bandwidth(sheet: _Sheet) -> None:
    """Derive the bandwidth from bus and pins, or hold the printed one against it."""
    if "bus" not in sheet.figures or "pin_rate" not in sheet.figures:
        return
    bus, pin_rate = sheet.figures["bus"].value, sheet.figures["pin_rate"].value
    derived = bus * pin_rate / 8
    printed = sheet.figures.setdefault("bandwidth", Quantity(derived, Fraction(1)))
    sheet.sources.setdefault("bandwidth", sheet.sources["bus"])
    if not printed.agrees(derived):
        _fail(
            f"bandwidth {float(printed.value) / 1e9:g} GB/s is not bus x pin_rate: "
            f"{int(bus)} bit x {float(pin_rate) / 1e9:g} Gbit/s / 8 = {float(derived) / 1e9:g} GB/s",
            sheet.places["bandwidth"],
            "correct one of the three, or leave bus and pin_rate out",
        )


def _working_sets(item: Item) -> tuple[WorkingSet, ...]:
    hint = "write working_sets as a list: `- {size: 32 KiB, read: 200 GB/s, copy: 150 GB/s}`"
    if not isinstance(item.value, list) or not item.value:
        _fail("working_sets must be a list that is not empty", item.at, hint)
    found: list[WorkingSet] = []
    for each in item.value:
        entry = _mapping(each, "a working set", hint)
        _known(entry, WORKING_SET, "a working set")
        if "size" not in entry or len(entry) < 2:
            _fail("a working set without size and bandwidth", each.at, hint)
        values = {key: _working_set_figure(key, value) for key, value in entry.items()}
        found.append(WorkingSet(int(values.pop("size")), **values))
    if any(a.size >= b.size for a, b in pairwise(found)):
        _fail("working_sets must go from small to large", item.at, "sort them by size")
    return tuple(found)


def _working_set_figure(key: str, item: Item) -> float:
    dimension = "bytes" if key == "size" else "bandwidth"
    return float(_placed(lambda: quantity(plain(item), dimension), key, item.at).value)


def _peaks(sheet: _Sheet, item: Item) -> list[tuple[dict[str, Item], Source]]:
    if not isinstance(item.value, list) or not item.value:
        hint = "write peaks as a list: `- {dtype: fp32, unit: cores, fmas: 128, rate: 82.6 TFLOP/s}`"
        _fail("peaks must be a list that is not empty", item.at, hint)
    entries = []
    for each in item.value:
        entry = _mapping(each, "a peak", "write {dtype: fp32, unit: cores, fmas: 128, rate: 82.6 TFLOP/s}")
        _known(entry, PEAK, "a peak")
        for needed in ("dtype", "unit"):
            if needed not in entry:
                _fail(f"a peak without {needed}", each.at, PEAK[needed])
        if "rate" not in entry and "fmas" not in entry:
            _fail(
                "a peak with neither rate nor fmas", each.at, "give the rate as printed, or the FMAs a unit and clock"
            )
        entries.append((entry, _source(sheet, entry.get("source"), each.at)))
    return entries


def _peak(entry: dict[str, Item], source: Source, sheet: _Sheet) -> Peak:
    """One ceiling, its printed and its derived rate held against each other."""
    dtype = _choice(entry["dtype"], "dtype", DTYPES)
    dimension = "int_rate" if dtype.startswith("int") else "rate"
    printed = fmas = clock = derived = how = None
    if "rate" in entry:
        rate = entry["rate"]
        printed = _placed(lambda: quantity(plain(rate), dimension), "rate", rate.at)
    if "fmas" in entry:
        item = entry["fmas"]
        fmas = int(_placed(lambda: quantity(plain(item), "count"), "fmas", item.at).value)
        units, clock = _needed(sheet, "units", item.at), _clock(entry, sheet)
        derived = units * fmas * 2 * clock
        noun = "cores" if sheet.values.get("kind") == "cpu" else "SMs"
        how = f"{int(units)} {noun} x {fmas} FMA x 2 x {float(clock) / 1e9:g} GHz"
        if printed and not printed.agrees(derived):
            unit = "TOP/s" if dimension == "int_rate" else "TFLOP/s"
            message = f"rate {spelled(plain(entry['rate']))} is not {how} = {float(derived) / 1e12:.5g} {unit}"
            _fail(message, entry["rate"].at, "correct rate, fmas, units or clock; or leave fmas out")
    known = printed.value if printed else derived
    assert known is not None  # _peaks() refuses an entry with neither
    return Peak(
        dtype,
        _text(entry["unit"], "unit", PEAK["unit"]),
        _text(entry["accumulate"], "accumulate", PEAK["accumulate"]) if "accumulate" in entry else None,
        float(known),
        how,
        printed is not None,
        fmas,
        None if clock is None else float(clock),
        source,
    )


def _needed(sheet: _Sheet, key: str, at: Where) -> Fraction:
    if key not in sheet.figures:
        _fail(f"fmas without {key}", at, f"{key}: {FIGURES[key][1]}")
    return sheet.figures[key].value


def _clock(entry: dict[str, Item], sheet: _Sheet) -> Fraction:
    """The clock of a peak: the boost clock, another one of the sheet's, or a figure of its own."""
    if "clock" not in entry:
        return _needed(sheet, "boost_clock", entry["fmas"].at)
    item = entry["clock"]
    if item.value in ("base_clock", "boost_clock"):
        return _needed(sheet, item.value, item.at)
    return _placed(lambda: quantity(plain(item), "clock"), "clock", item.at).value
