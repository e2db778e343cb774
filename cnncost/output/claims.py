"""Verdicts on published figures: for a terminal, and as JSON (a public format), CSV and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Any

from rich.text import Text

from cnncost.analysis.claims import (
    DIFFERS,
    EXACT,
    OPEN,
    ROUNDED,
    STALE,
    VERDICTS,
    WRONG,
    Verdict,
    Verification,
    counted,
)
from cnncost.output.formats import csv_text, json_text, table_row
from cnncost.output.schema import NAMES, document, object_
from cnncost.output.tables import Paper
from cnncost.output.units import plural, printable, shape
from cnncost.spec.claims import Claim

SCHEMA_VERSION = 1
"""Of the JSON of verify; grows when a key changes its meaning or goes."""
STYLES = {EXACT: "green", ROUNDED: "green", DIFFERS: "yellow", OPEN: "yellow", WRONG: "bold red", STALE: "bold red"}
HEADERS = ("figure", "printed", "derived", "verdict")
PROSE_WIDTH = 110
"""Characters of a line of prose at most, and where there is no terminal to ask."""
GAP, INDENT, FIGURE_AT_LEAST, VERDICT_AT_LEAST = 2, "  ", 20, 8
NAMED_AT_MOST = 4


def verify_text(verifications: Sequence[Verification], paper: Paper, only: Iterable[str] = ()) -> str:
    """Every network with its claims under their sources and its measured facts; last, how many claims hold.

    only: show just the claims with these verdicts; the counts stay those of all.
    """
    wanted = tuple(only)
    parts: list[Text | str] = []
    for verification in verifications:
        verdicts = [v for v in verification.verdicts if not wanted or v.verdict in wanted]
        if verdicts or (not wanted and (verification.facts or len(verifications) == 1)):
            facts = () if wanted else verification.facts
            parts += [_heading(verification), *_claims(verdicts, paper), *_facts(facts, paper), ""]
    return paper.print(*parts, *_summary(verifications, paper))


def _summary(verifications: Sequence[Verification], paper: Paper) -> list[Text]:
    """What else there is, and last how the claims stand."""
    bare = [v.name for v in verifications if not v.verdicts]
    facts = sum(len(v.facts) for v in verifications)
    lines = []
    if facts:
        lines += _prose(
            f"{plural(facts, 'fact')} beside the claims: measured errors and times, not derived.", 0, "", paper
        )
    if bare:
        more = f" and {len(bare) - NAMED_AT_MOST} more" if len(bare) > NAMED_AT_MOST else ""
        lines += _prose(f"Without claims: {', '.join(bare[:NAMED_AT_MOST])}{more}.", 0, "dim", paper)
    if not all(v.holds for v in verifications):
        hint = "A claim at fault needs another quantity or rounding, or a reason under `differs:` or `open:`; or none."
        lines += _prose(hint, 0, "", paper)
    head, *rows = standing(verifications)
    width = max(len(f"{n:,}") for _, n in rows)
    return [*lines, Text(head[0], style="bold"), *(Text(f"  {n:>{width},}  {label}") for label, n in rows)]


def standing(verifications: Sequence[Verification]) -> list[tuple[str, int]]:
    """How many claims there are, and how many stand how."""
    counts = counted(verifications)
    claims = sum(counts.values())
    networks = plural(sum(bool(v.verdicts) for v in verifications), "network")
    return [
        (f"{plural(claims, 'claim')} on {networks}", claims),
        ("exact", counts[EXACT]),
        ("within rounding", counts[ROUNDED]),
        ("off, and the cause is known", counts[DIFFERS]),
        ("not reproduced, and what was tried is on file", counts[OPEN]),
        ("at fault", counts[WRONG] + counts[STALE]),
    ]


def _heading(verification: Verification) -> Text:
    year = f" ({verification.about['year']})" if verification.about.get("year") else ""
    text = Text(f"{printable(verification.name)}{year}", style="bold")
    return text.append(f"  {printable(verification.source)}", style="not bold dim")


def _claims(verdicts: list[Verdict], paper: Paper) -> list[Text]:
    """A line a claim under its source, and below it what the figure counts, or why another one is derived."""
    rows = [cells(verdict) for verdict in verdicts]
    widths = [max(map(len, column)) for column in zip(HEADERS, *rows)]
    at_most = paper.width or PROSE_WIDTH
    room = at_most - len(INDENT) - sum(widths[1:]) - GAP * (len(widths) - 1)
    widths[0] = min(widths[0], max(FIGURE_AT_LEAST, room))
    start = len(INDENT) + sum(widths[:-1]) + GAP * (len(widths) - 1)
    parts = [Text(INDENT + _line(HEADERS, widths), style="dim")] if rows else []
    for source, group in groupby(zip(verdicts, rows), key=lambda pair: source_of(pair[0].claim)):
        parts += _prose(source, 1, "dim", paper)
        for verdict, row in group:
            *above, first = wrap(row[0], widths[0]) or [""]  # a long figure takes several lines, and so does a verdict
            ruling, *below = wrap(row[-1], max(VERDICT_AT_LEAST, at_most - start))
            line = Text(INDENT + _line((first, *row[1:-1], ruling), widths))
            line.stylize(STYLES[verdict.verdict], start)
            parts += [
                *(Text(INDENT + text) for text in above),
                line,
                *(Text(" " * start + text, style=STYLES[verdict.verdict]) for text in below),
                *(part for text in remarks(verdict.claim) for part in _prose(text, 3, "italic", paper)),
            ]
    return parts


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    """Cells side by side, numbers to the right."""
    first, *middle, last = row
    numbers = (number.rjust(width) for number, width in zip(middle, widths[1:]))
    return (" " * GAP).join([first.ljust(widths[0]), *numbers, last])


def _prose(text: str, level: int, style: str, paper: Paper) -> list[Text]:
    """Wrapped text, indented."""
    width = min(paper.width or PROSE_WIDTH, PROSE_WIDTH) - len(INDENT) * level
    return [Text(INDENT * level + line, style=style) for line in wrap(printable(text, 5_000), max(20, width))]


def cells(verdict: Verdict) -> tuple[str, str, str, str]:
    """Figure, printed, derived, verdict as text."""
    claim = verdict.claim
    printed = f"{int(claim.printed):,}" if claim.printed.isdecimal() else printable(claim.printed)
    share = printed.endswith("%") and not isinstance(verdict.derived, str)
    derived = f"{100 * verdict.derived:,.4g}%" if share else number(verdict.derived)
    return printable(figure_text(claim)), printed, derived, verdict_text(verdict)


def figure_text(claim: Claim) -> str:
    """What is counted, of which layers, at which point: weights of conv2, macs at width=0.5."""
    text = "output shape" if claim.quantity == "output" else claim.quantity
    if claim.of:
        text += f" of {', '.join(claim.of)}"
    if claim.without:
        text += f" without {', '.join(claim.without)}"
    point = [f"{name}={value}" for name, value in claim.set.items()]
    point += [f"input {_input(claim.input)}"] if claim.input is not None else []
    point += [f"batch {claim.batch}"] if claim.batch != 1 else []
    point += [claim.dtype] if claim.dtype != "fp32" else []
    point += [plural(n, noun) for noun, n in (("model", claim.models), ("crop", claim.crops)) if n is not None]
    return f"{text} at {', '.join(point)}" if point else text


def _input(shapes: Any) -> str:
    """An input as the command line takes it: 3x224x224, or left=3x64x64, right=3x64x64."""
    if isinstance(shapes, dict):
        return ", ".join(f"{name}={_input(each)}" for name, each in shapes.items())
    return shape(shapes) if isinstance(shapes, list) else str(shapes)


def verdict_text(verdict: Verdict) -> str:
    """The verdict with the rounding or the difference that belongs to it."""
    if verdict.verdict == ROUNDED and verdict.claim.rounding != "nearest":
        return f"{ROUNDED}: {verdict.claim.rounding}"
    if verdict.verdict in (DIFFERS, OPEN, WRONG) and verdict.off is not None:
        by = "by " if verdict.verdict == DIFFERS else ""
        return f"{verdict.verdict}{', ' if not by else ' '}{by}{percent_off(verdict.off)}"
    return verdict.verdict


def percent_off(off: float) -> str:
    """A difference in percent of the printed figure, with sign and three digits: -12.9 %, +0.0412 %."""
    if abs(off) >= 10:
        return f"{off:+,.0f} times"
    return f"{100 * off:+#.3g} %".replace(". %", " %")


def number(value: Any) -> str:
    """A derived figure: whole numbers with commas, others with four decimals or one, shapes as they are."""
    if isinstance(value, (str, int)):
        return value if isinstance(value, str) else f"{value:,}"
    return f"{value:,.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def source_of(claim: Claim) -> str:
    """Where a claim is printed: the source, and the place in it."""
    return f"{claim.source}, {claim.place}" if claim.place else claim.source


def remarks(claim: Claim) -> list[str]:
    """What a claim counts, and why another figure is derived."""
    tried = f"tried: {claim.open}" if claim.open else claim.differs
    return [text for text in (claim.note, tried) if text]


def _facts(facts: Sequence[dict[str, Any]], paper: Paper) -> list[Text]:
    """Measured figures, one a paragraph."""
    if not facts:
        return []
    lines = [line for fact in facts for line in _prose(fact_text(fact), 2, "", paper)]
    return [Text(INDENT + "measured, not derived", style="dim"), *lines]


def fact_text(fact: dict[str, Any]) -> str:
    """A fact as a sentence: top-1 error 40.7 %, top-5 error 18.2 % (ILSVRC-2012 validation); source."""
    names = {
        "top1_error": "top-1 error",
        "top5_error": "top-5 error",
        "error": "error",
        "map": "mean average precision",
        "miou": "mean IoU",
    }
    measured = [f"{name} {fact[key]} %" for key, name in names.items() if key in fact]
    measured += [f"trained in {fact['training_time']}"] if "training_time" in fact else []
    terms = [str(fact[key]) for key in ("dataset", "devices") if key in fact]
    terms += [plural(fact[key], key[:-1]) for key in ("models", "crops", "epochs") if key in fact]
    terms += [f"{fact['images']} images"] if "images" in fact else []
    terms += [f"crops of {fact['crop_size']} px"] if "crop_size" in fact else []
    terms += [f"batch {fact['batch']}"] if "batch" in fact else []
    inside = f" ({', '.join(terms)})" if terms else ""
    place = ", ".join(str(fact[key]) for key in ("source", "place") if key in fact)
    note = f"; {fact['note']}" if "note" in fact else ""
    return f"{', '.join(measured)}{inside}: {place}{note}"


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """One claim of the JSON."""
    claim = verdict.claim
    return {
        "printed": claim.printed,
        "quantity": claim.quantity,
        "of": list(claim.of) or None,
        "except": list(claim.without) or None,
        "set": claim.set or None,
        "input": None if claim.input is None else _input(claim.input),
        "batch": claim.batch,
        "dtype": claim.dtype,
        "crops": claim.crops,
        "models": claim.models,
        "rounding": claim.rounding,
        "derived": verdict.derived,
        "off": verdict.off,
        "verdict": verdict.verdict,
        "holds": verdict.holds,
        "source": claim.source,
        "place": claim.place,
        "note": claim.note,
        "differs": claim.differs,
        "open": claim.open,
        "where": str(claim.at),
    }


def verify_record(verifications: Sequence[Verification]) -> dict[str, Any]:
    """The JSON of `cnncost verify` as Python values."""
    from cnncost import __version__

    return {
        "schema": SCHEMA_VERSION,
        "cnncost": __version__,
        "holds": all(v.holds for v in verifications),
        "counts": counted(verifications),
        "verdicts": VERDICTS,
        "networks": [
            {
                "name": v.name,
                "source": v.source,
                "year": v.about.get("year"),
                "claims": [verdict_record(verdict) for verdict in v.verdicts],
                "facts": [dict(fact) for fact in v.facts],
            }
            for v in verifications
        ],
    }


def verify_json(verifications: Sequence[Verification]) -> str:
    """The JSON of `cnncost verify`."""
    return json_text(verify_record(verifications))


def verify_csv(verifications: Sequence[Verification]) -> str:
    """One line a claim, with the keys of the JSON."""
    rows = [{"network": v.source, **verdict_record(verdict)} for v in verifications for verdict in v.verdicts]
    keys = ("network", "printed", "quantity", "derived", "off", "verdict", "rounding", "of", "source", "place", "where")
    return csv_text([keys, *([_csv_cell(row[key]) for key in keys] for row in rows)])


def _csv_cell(value: Any) -> Any:
    return " ".join(value) if isinstance(value, list) else value


def verify_markdown(verifications: Sequence[Verification]) -> str:
    """A table a network."""
    lines = []
    for verification in verifications:
        if not verification.verdicts:
            continue
        lines += [f"**{verification.name}**", "", table_row((*HEADERS, "source")), "|---|---:|---:|---|---|"]
        for verdict in verification.verdicts:
            lines.append(table_row(map(printable, (*cells(verdict), source_of(verdict.claim)))))
        lines.append("")
    (head, _), *rows = standing(verifications)
    return "\n".join([*lines, f"{head}: {', '.join(f'{n:,} {label}' for label, n in rows)}.", ""])


def verify_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost verify --format json` writes."""
    text, number_, whole = ({"type": [kind, "null"]} for kind in ("string", "number", "integer"))
    names = {"anyOf": [NAMES, {"type": "null"}]}
    claim: dict[str, Any] = {
        "printed": {"type": "string", "description": "the figure as printed"},
        "quantity": {"type": "string", "description": "what it counts, an expression of docs/claims.md"},
        "of": {**names, "description": "the layers it counts; null for the whole network"},
        "except": {**names, "description": "layers left out"},
        "set": {"type": ["object", "null"], "description": "parameters at which it is derived"},
        "input": {**text, "description": "input at which it is derived; null for the spec's"},
        "batch": {"type": "integer"},
        "dtype": {"type": "string"},
        "crops": whole,
        "models": whole,
        "rounding": {"type": "string", "description": "how it was rounded or cut"},
        "derived": {"type": ["number", "string"], "description": "what is derived; a shape is text"},
        "off": {**number_, "description": "(derived - printed) / printed; null for shapes"},
        "verdict": {"enum": list(VERDICTS)},
        "holds": {"type": "boolean", "description": "false where the check fails"},
        "source": {"type": "string"},
        **dict.fromkeys(("place", "note", "differs", "open"), text),
        "where": {"type": "string", "description": "file, line and column of the claim"},
    }
    network: dict[str, Any] = {
        "name": {"type": "string"},
        "source": {"type": "string", "description": "file"},
        "year": whole,
        "claims": {"type": "array", "items": object_(claim)},
        "facts": {"type": "array", "items": {"type": "object"}, "description": "measured, not derived"},
    }
    keys: dict[str, Any] = {
        "schema": {"const": SCHEMA_VERSION},
        "cnncost": {"type": "string"},
        "holds": {"type": "boolean", "description": "whether no claim is at fault; exit code 0 or 1"},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}, "description": "claims by verdict"},
        "verdicts": {"type": "object", "description": "what the verdicts mean"},
        "networks": {"type": "array", "items": object_(network)},
    }
    return document("cnncost verify", keys)
