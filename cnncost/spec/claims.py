"""Figures that a spec carries: `claims:`, published and to be re-derived, and `facts:`, measured.

Here they are read and their keys are checked; spec.printed reads the numbers as they are printed, and
analysis.claims derives and judges them. Every report reads this, so it must stay cheap.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cnncost.errors import SpecError, Where, did_you_mean
from cnncost.options import spelled
from cnncost.spec.marks import Item, plain

CLAIM = {
    "printed": "the figure as printed: 60M, 34848, 11.3 billion, 4.8MB, 94.86%, 10x32x32, 319 x 280 x 3",
    "quantity": "what it counts, an expression: macs, params - biases, macs + add.additions",
    "of": "the layers it counts, by name, block or glob; the whole network if left out",
    "except": "layers left out of these",
    "set": "values of parameters at which it is derived",
    "input": "the input at which it is derived",
    "batch": "the batch at which it is derived, 1 if left out",
    "dtype": "the dtype for bytes, fp32 if left out",
    "crops": "crops of an image, for expressions",
    "models": "networks that are averaged, for expressions",
    "rounding": "how it was rounded: nearest, cut, up, cut to 10K, each layer cut to 1M",
    "source": "where it is printed; the spec's `paper` if left out",
    "place": "where in the source: table 2, section 5",
    "note": "what it counts, in words",
    "differs": "why the derived figure is another, where that is known",
    "open": "what was tried, where the figure is not reproduced",
}
"""Keys of a claim."""
FACT = {
    "top1_error": "top-1 error in percent",
    "top5_error": "top-5 error in percent",
    "error": "error in percent, where classes are few",
    "map": "mean average precision in percent",
    "miou": "mean intersection over union in percent",
    "dataset": "what it was tested on: ILSVRC-2012 validation",
    "models": "networks that were averaged",
    "crops": "crops of an image that were averaged",
    "crop_size": "pixels of a crop's side",
    "training_time": "how long training took: 5 to 6 days",
    "devices": "what it ran on: 2x gtx-580",
    "dtype": "what it was computed in, fp32 if left out",
    "epochs": "passes over the images",
    "images": "images of an epoch: 1.2M",
    "batch": "images of a step",
    "source": "where it is printed; the spec's `paper` if left out",
    "place": "where in the source: table 2, section 5",
    "note": "what else matters, in words",
}
"""Keys of a fact."""
LISTS = ("of", "except")
WHOLE = ("batch", "crops", "models", "crop_size", "epochs")
PERCENT = ("top1_error", "top5_error", "error", "map", "miou")
_MEASURED = (*PERCENT, "training_time")


class Percent(float):
    """A percentage that keeps its digits as they were printed: 16.0."""

    text: str

    def __new__(cls, value: float, text: str) -> Percent:
        self = super().__new__(cls, value)
        self.text = text
        return self

    def __getnewargs__(self) -> tuple[float, str]:  # type: ignore[override]  # copies and pickles keep the text
        return float(self), self.text


class Claim(NamedTuple):
    """A published figure, and how to derive it. See CLAIM for the fields."""

    printed: str
    quantity: str
    of: tuple[str, ...]
    without: tuple[str, ...]
    set: dict[str, Any]
    input: Any
    batch: int
    dtype: str
    crops: int | None
    models: int | None
    rounding: str
    source: str
    place: str | None
    note: str | None
    differs: str | None
    open: str | None
    at: Where

    @property
    def reason(self) -> str | None:
        """Why it need not hold."""
        return self.differs or self.open


def read_claims(item: Item | None, paper: str | None) -> tuple[Claim, ...]:
    """The claims of a spec. Raises SpecError at what is not understood."""
    return tuple(_claim(entry, paper) for entry in _entries(item, "claims", "printed: 60M, quantity: params"))


def read_facts(item: Item | None, paper: str | None) -> tuple[dict[str, Any], ...]:
    """The facts of a spec as plain dicts. Raises SpecError at what is not understood."""
    return tuple(_fact(entry, paper) for entry in _entries(item, "facts", "top5_error: 18.2, source: table 2"))


def _fail(message: str, at: Where, hint: str) -> SpecError:
    return SpecError(message, where=at, hint=hint)


def _entries(item: Item | None, what: str, example: str) -> list[Item]:
    if item is None:
        return []
    hint = f"write {what} as a list: `- {{{example}}}`"
    if not isinstance(item.value, list) or not item.value:
        raise _fail(f"{what} must be a list that is not empty", item.key_or_value_at, hint)
    for entry in item.value:
        if not isinstance(entry.value, dict):
            raise _fail(f"an entry of {what} must be a mapping, got {spelled(plain(entry))}", entry.at, hint)
    return item.value


def _known(entry: dict[str, Item], known: dict[str, str], what: str) -> None:
    for key, item in entry.items():
        if key not in known:
            bare = item.value is None and " " in key
            hint = "text with a comma goes in quotes" if bare else did_you_mean(key, known)
            raise _fail(f"a {what} has no key {spelled(key)}", item.key_or_value_at, hint)


def _text(entry: dict[str, Item], key: str, about: dict[str, str]) -> str | None:
    """A text that is not empty, or None where the key is absent; numbers are texts too, with all of their digits."""
    if key not in entry:
        return None
    value = entry[key].value
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or not str(value).strip():
        got = spelled(plain(entry[key])) or "nothing"
        raise _fail(f"{key} must be text, got {got}", entry[key].at, about[key])
    return entry[key].text or str(value).strip()


def _whole(entry: dict[str, Item], key: str, about: dict[str, str]) -> int | None:
    if key not in entry:
        return None
    value = entry[key].value
    if type(value) is not int or value < 1:
        message = f"{key} must be a whole number of at least 1, got {spelled(plain(entry[key]))}"
        raise _fail(message, entry[key].at, about[key])
    return value


def _names(entry: dict[str, Item], key: str) -> tuple[str, ...]:
    """One name or a list of them."""
    if key not in entry:
        return ()
    items = entry[key].value if isinstance(entry[key].value, list) else [entry[key]]
    for item in items:
        if isinstance(item.value, bool) or not isinstance(item.value, (str, int)):
            raise _fail(f"{key} takes names of layers, got {spelled(plain(item))}", item.at, CLAIM[key])
    if not items:
        raise _fail(f"{key} is empty", entry[key].at, CLAIM[key])
    return tuple(str(item.value) for item in items)


def _claim(item: Item, paper: str | None) -> Claim:
    entry: dict[str, Item] = item.value
    _known(entry, CLAIM, "claim")
    for key in ("printed", "quantity"):
        if key not in entry:
            raise _fail(f"a claim without {key}", item.at, CLAIM[key])
    settings = plain(entry["set"]) if "set" in entry else {}
    if not isinstance(settings, dict):
        raise _fail(f"set must be a mapping, got {spelled(settings)}", entry["set"].at, "write set: {width: 0.5}")
    if "differs" in entry and "open" in entry:
        hint = "differs: the reason is known; open: it is not, and this was tried"
        raise _fail("a claim with both differs and open", entry["open"].key_or_value_at, hint)

    def text(key: str) -> str | None:
        return _text(entry, key, CLAIM)

    return Claim(
        printed=text("printed") or "",
        quantity=text("quantity") or "",
        of=_names(entry, "of"),
        without=_names(entry, "except"),
        set=settings,
        input=plain(entry["input"]) if "input" in entry else None,
        batch=_whole(entry, "batch", CLAIM) or 1,
        dtype=text("dtype") or "fp32",
        crops=_whole(entry, "crops", CLAIM),
        models=_whole(entry, "models", CLAIM),
        rounding=text("rounding") or "nearest",
        source=_source(entry, CLAIM, paper, item),
        place=text("place"),
        note=text("note"),
        differs=text("differs"),
        open=text("open"),
        at=item.at,
    )


def _source(entry: dict[str, Item], about: dict[str, str], paper: str | None, item: Item) -> str:
    source = _text(entry, "source", about) or paper
    if source is None:
        raise _fail("a figure without a source", item.at, "write source: ..., or the spec's paper: ... for all of them")
    return source


def _fact(item: Item, paper: str | None) -> dict[str, Any]:
    entry: dict[str, Item] = item.value
    _known(entry, FACT, "fact")
    if not any(key in entry for key in _MEASURED):
        raise _fail("a fact without a measured figure", item.at, f"one of {', '.join(_MEASURED)}")
    fact: dict[str, Any] = {}
    for key, about in FACT.items():
        if key in PERCENT and key in entry:
            value = entry[key].value
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
                message = f"{key} must be a number of percent, got {spelled(plain(entry[key]))}"
                raise _fail(message, entry[key].at, f"{about}: 18.2")
            text = entry[key].text
            fact[key] = value if text is None else Percent(value, text)
        elif key in entry:
            fact[key] = (_whole if key in WHOLE else _text)(entry, key, FACT)
    return {**fact, "source": _source(entry, FACT, paper, item)}
