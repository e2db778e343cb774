"""Training runs as people tell them: "2x gtx-580, 90 epochs, 1.2M images, 5 to 6 days"."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, NoReturn

from cnncost.analysis.dtypes import DTYPES
from cnncost.devices import Device
from cnncost.devices import load as load_device
from cnncost.errors import UsageError, did_you_mean
from cnncost.graph import Graph
from cnncost.options import spelled
from cnncost.spec.printed import figure

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 7 * 86_400}
EXAMPLE = '"2x gtx-580, 90 epochs, 1.2M images, 5 to 6 days"'
PUBLISHED = ("published", "paper")
"""Words that stand for the runs that a spec's facts tell of."""
COUNT_AT_MOST = 10**15
_DEVICES = re.compile(r"(?:(\d{1,3}(?:,\d{3})+|\d{1,9})\s*[x×]\s*)?(\S.*)", re.IGNORECASE)
_TIME = re.compile(r"([\d.,]+)(?:\s*(?:to|-|–)\s*([\d.,]+))?\s*([A-Za-z]+)")
_COUNTED = re.compile(r"([\d.,]+\s*(?:[KMGBkTx]|thousand|million|billion)?)\s*([A-Za-z]+)")


class Run(NamedTuple):
    """A training run: `number` devices, so many epochs of so many images.

    dtype: what the arithmetic is done in. seconds: (least, most) that it took, and time: the same in
    words, where known. source: where it is told, for runs from a spec's facts.
    """

    number: int
    device: Device
    epochs: int
    images: int
    dtype: str
    seconds: tuple[float, float] | None = None
    time: str | None = None
    source: str | None = None


def parse_run(text: str, dtype: str = "fp32") -> Run:
    """Read a run. dtype: where the text names none. Raises UsageError, once, for the first slip."""
    if not isinstance(text, str):
        raise UsageError(f"a training run is text, got {spelled(text)}", hint=f"write {EXAMPLE}")
    told: dict[str, Any] = {}
    for part in _parts(text):
        what, value = _part(part, text)
        if what in told:
            _fail(text, f"{what} given twice", f"write {EXAMPLE}")
        told[what] = value
    for what in ("devices", "epochs", "images"):
        if what not in told:
            _fail(text, f"no {what}", f"write {EXAMPLE}")
    count, device = told["devices"]
    time, seconds = told.get("training time", (None, None))
    return Run(count, device, told["epochs"], told["images"], told.get("dtype", dtype), seconds, time)


def published_runs(graph: Graph) -> tuple[Run, ...]:
    """The runs that the spec's facts tell of in full. Raises UsageError where there is none."""
    told = [fact for fact in graph.facts if "training_time" in fact]
    needed = ("devices", "epochs", "images")
    runs = tuple(_from_fact(fact) for fact in told if all(key in fact for key in needed))
    if not runs:
        lacks = ", ".join(key for key in needed if told and key not in told[0])
        what = f"the one in its facts has no {lacks}" if told else "its facts have none"
        raise UsageError(f"{graph.name}: no training run to price: {what}", hint=f"write it: {EXAMPLE}")
    return runs


def _from_fact(fact: dict[str, Any]) -> Run:
    parts = (fact["devices"], f"{fact['epochs']} epochs", f"{fact['images']} images", fact["training_time"])
    run = parse_run(", ".join(parts), fact.get("dtype", "fp32"))
    return run._replace(source=", ".join(filter(None, (fact["source"], fact.get("place")))))


def _parts(text: str) -> list[str]:
    """The text at its commas, but not at those inside 1,281,167."""
    parts: list[str] = []
    for part in text.split(","):
        if parts and re.fullmatch(r"\s*\d{1,3}(,\d{3})*", parts[-1]) and re.match(r"\d{3}(?!\d)", part):
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return [part.strip() for part in parts]


def _fail(text: str, message: str, hint: str) -> NoReturn:
    raise UsageError(f'training run "{spelled(text)}": {message}', hint=hint)


def _part(part: str, text: str) -> tuple[str, Any]:
    """What one part tells, and its value."""
    if not part:
        _fail(text, "nothing between two commas" if text.strip() else "it is empty", f"write {EXAMPLE}")
    if part.lower() in DTYPES:
        return "dtype", part.lower()
    counted, time = _COUNTED.fullmatch(part), _TIME.fullmatch(part)
    if time and _singular(time[3]) in SECONDS:
        return "training time", (part, _seconds(time, part, text))
    if counted and _singular(counted[2]) in ("epoch", "image"):
        return _singular(counted[2]) + "s", _whole(counted[1], part, text)
    if time and not re.match(r"[\d.,]+\s*x", part, re.IGNORECASE):
        known = [f"{word}s" for word in ("epoch", "image", *SECONDS)]
        _fail(text, f"{spelled(part)} is not understood", did_you_mean(time[3], known))
    return "devices", _devices(part, text)


def _singular(word: str) -> str:
    return word.lower().removesuffix("s")


def _whole(number: str, part: str, text: str) -> int:
    """A count as people write it: 90, 1.2M, 1,281,167."""
    printed = figure(number)
    if printed is None or printed.value.denominator != 1 or not 1 <= printed.value <= COUNT_AT_MOST:
        _fail(text, f"{spelled(part)}: not a whole number of at least 1", "write 90, 1.2M or 1,281,167")
    return int(printed.value)


def _seconds(time: re.Match[str], part: str, text: str) -> tuple[float, float]:
    """The least and the most seconds of `5 days` or `5 to 6 days`."""
    least, most = figure(time[1]), figure(time[2] or time[1])
    if least is None or most is None or least.value == 0:
        _fail(text, f"{spelled(part)}: not a time", "write 224 seconds, 3 weeks, or 5 to 6 days")
    if least.value > most.value:
        _fail(text, f"{spelled(part)}: the longer time comes first", "write 5 to 6 days")
    unit = SECONDS[_singular(time[3])]
    return float(least.value * unit), float(most.value * unit)


def _devices(part: str, text: str) -> tuple[int, Device]:
    """How many of which device."""
    found = _DEVICES.fullmatch(part)
    count = int((found[1] or "1").replace(",", "")) if found else 0
    if found is None or not 1 <= count <= COUNT_AT_MOST:
        _fail(text, f"{spelled(part)}: not a number of devices", "write 2x gtx-580")
    try:
        return count, load_device(found[2])
    except UsageError as e:
        hint = e.hint or "cnncost devices lists them"
        if e.message.startswith("unknown device") and not hint.startswith("did"):
            what = f"{spelled(part)} is no known device, nor epochs, images, a time or a dtype"
            _fail(text, what, f"write {EXAMPLE}")
        _fail(text, e.message, hint)
