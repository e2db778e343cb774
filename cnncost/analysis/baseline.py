"""What networks cost before: reports and budgets in JSON, read back."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from cnncost.analysis.compare import short_name
from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.report import LayerReport, Report
from cnncost.cost import Cost
from cnncost.errors import UsageError
from cnncost.options import spelled

COUNT_AT_MOST = 2**200
SCHEMA = 1
"""Of both formats: output.records and output.budget."""
WRITE_IT = "write one with: cnncost budget SPEC --format json -o FILE"
_FOLDED = re.compile(r"\d+ layers")
"""The kind of a row that stands for several layers, as analysis.fold writes it."""
TOTALS = ("params", "macs", "flops", "layers", "activation_bytes", "peak_bytes")


class Past(NamedTuple):
    """A network as it was, at one batch and dtype.

    name: for people. source: path of its file. called: the name of that. totals: figures by the names
    of the JSON report. seconds: least times by the device's key. set: parameters that were given; None
    where that is not told. layers: None where the file has them folded or sorted.
    """

    name: str
    source: str | None
    called: str
    batch: int
    dtype: str
    inputs: dict[str, tuple[int, ...]]
    totals: Mapping[str, int | None]
    seconds: Mapping[str, float]
    set: Mapping[str, Any] | None
    layers: tuple[LayerReport, ...] | None


class Baseline(NamedTuple):
    """A file of networks as they were."""

    file: str
    networks: tuple[Past, ...]

    def of(self, report: Report, set: Mapping[str, Any] | None = None) -> Past | None:
        """The same network, batch and dtype; None where the file does not have the network.

        It is the same where its file is, or where a file of the same name is elsewhere. Raises UsageError
        where it is there at another batch or dtype only.
        """
        mine = called(report.name, report.source)
        same = [past for past in self.networks if past.source is not None and past.source == report.source]
        same = same or [past for past in self.networks if past.called == mine]
        if not same:
            return None
        found = [past for past in same if (past.batch, past.dtype) == (report.batch, report.dtype)]
        if not found:
            there = " and ".join(dict.fromkeys(f"batch {past.batch:,}, {past.dtype}" for past in same))
            message = f"{self.file} has {mine} at {there}, not at batch {report.batch:,}, {report.dtype}"
            raise UsageError(message, hint=f"take the same sizes, or {WRITE_IT}")
        # Of several, as at two inputs, the one that is most like it.
        inputs = {name: tuple(shape) for name, shape in report.inputs.items()}
        return max(found, key=lambda past: ((past.set or {}) == (set or {}), past.inputs == inputs))

    def foreign(self, names: Sequence[str]) -> UsageError:
        """Why networks cannot be held against it when it has none of them."""
        mine = ", ".join(dict.fromkeys(past.called for past in self.networks)) or "no network"
        return UsageError(f"{self.file} is of {mine}, and not of {', '.join(names)}", hint=WRITE_IT)


def called(name: str, source: str | None) -> str:
    """What a network is called: its file, or without one its name for people."""
    return name if source == "<stdin>" else short_name(name, source)


def read_baseline(path: Any) -> Baseline:
    """Read what `cnncost report` or `cnncost budget` wrote as JSON; - is standard input. Raises UsageError."""
    import json

    path = os.fsdecode(path)
    file = "<stdin>" if path == "-" else spelled(path) or repr("")
    try:
        value = json.loads(_bytes(path).decode("utf-8-sig"))
    except OSError as e:
        reason = "no such file" if isinstance(e, FileNotFoundError) else e.strerror or str(e)
        raise UsageError(f"{file}: {reason}", hint=WRITE_IT) from None
    except (ValueError, RecursionError) as e:
        place = f": line {e.lineno}, column {e.colno}" if isinstance(e, json.JSONDecodeError) else ""
        raise UsageError(f"{file} is no JSON{place}", hint=WRITE_IT) from None
    foreign = UsageError(f"{file} is no report and no budget of cnncost", hint=WRITE_IT)
    if not isinstance(value, dict) or "schema" not in value or "cnncost" not in value:
        raise foreign
    if value["schema"] != SCHEMA:
        message = f"{file} has schema {spelled(value['schema'])}, and this version of cnncost reads {SCHEMA}"
        raise UsageError(message, hint=WRITE_IT)
    entries = value.get("networks") if "holds" in value else [value]
    try:
        return Baseline(file, tuple(_past(entry) for entry in entries or ()))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise foreign from None


def _bytes(path: str) -> bytes:
    if path != "-":
        with open(path, "rb") as f:
            return f.read()
    if sys.stdin is None:
        raise UsageError("standard input is closed", hint="give the baseline as a file")
    return sys.stdin.buffer.read()


def _past(entry: dict[str, Any]) -> Past:
    """A network of the JSON. Raises KeyError, TypeError, ValueError and the like for what is none."""
    totals = entry["totals"]
    numbers = {name: _count(totals[name]) for name in TOTALS}
    training = totals.get("training_peak_bytes")
    seconds = {str(device): float(time) for device, time in entry.get("seconds", {}).items()}
    if not all(isfinite(time) and time >= 0 for time in seconds.values()):
        raise ValueError("seconds")
    batch, dtype, source = _count(entry["batch"]), entry["dtype"], entry["source"]
    layers = tuple(_layer(layer, DTYPES[dtype], batch) for layer in entry["layers"])
    return Past(
        str(entry["name"]),
        None if source is None else str(source),
        called(str(entry["name"]), source),
        batch,
        dtype,
        {name: tuple(_count(n) for n in shape) for name, shape in entry["inputs"].items()},
        {**numbers, "training_peak_bytes": None if training is None else _count(training)},
        seconds,
        entry.get("set"),
        layers if _in_order(layers) else None,
    )


def _in_order(layers: Sequence[LayerReport]) -> bool:
    """Whether these are layers one by one, as they run: nothing folded, and inputs before those that take them."""
    place = {layer.name: n for n, layer in enumerate(layers)}
    ordered = all(place.get(name, -1) < n for n, layer in enumerate(layers) for name in layer.inputs)
    return ordered and not any(_FOLDED.fullmatch(layer.kind) for layer in layers)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < COUNT_AT_MOST:
        raise TypeError("a count")
    return value


def _layer(layer: dict[str, Any], size: int, batch: int) -> LayerReport:
    """A layer of the JSON, as far as layers are compared. size: bytes of an element."""
    renamed = {"read": "elements_read", "written": "elements_written"}
    counts = {name: _count(layer[renamed.get(name, name)]) for name in Cost._fields if name != "activations"}
    cost = Cost(**counts, activations=_count(layer["activation_bytes"]) // size)
    shape = tuple(_count(n) for n in layer["output_shape"] or ())
    names = tuple(map(str, layer["inputs"]))
    return LayerReport(
        str(layer["name"]),
        str(layer["op"]),
        str(layer["kind"]),
        names,
        shape,
        cost,
        (),
        (),
        None,
        None,
        None,
        size,
        batch,
    )
