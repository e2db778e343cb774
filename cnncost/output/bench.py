"""Timings for people and programs: a table a setting, layers' sum beside the whole, changes between two runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.text import Text

from cnncost.analysis.bench import BenchRow, BenchTable, Difference, Regression, title
from cnncost.analysis.measurements import Setting
from cnncost.analysis.samples import DOUBTS, SLOWER, Timing
from cnncost.analysis.traffic import FORWARD
from cnncost.output import drawn
from cnncost.output.formats import csv_text, json_text
from cnncost.output.grid import Drawn
from cnncost.output.records import pipe_table
from cnncost.output.tables import Paper
from cnncost.output.units import around, in_unit, milliseconds, percent, plural, printable, shape

SCHEMA_VERSION = 1
"""Of the JSON of bench; grows when a key changes its meaning or goes."""
CONVENTIONS = (
    "time: median of one run of one layer. spread: from the repetitions' lowest first to their highest third quartile, "
    "and at least what four in five repetitions of all rows lie from the middle one of theirs.",
    "FLOP/s: 2 x MACs over time, other operations not counted. B/s: what has to move, each tensor once, over time.",
)
BEYOND = "More than 100% of the roofline: the data was in a cache, which is faster than the memory of the sheet."
TELLING = 0.05
"""Kinds of layers with a smaller part of the difference are not named."""
KINDS_AT_MOST = 4
WITHIN_TEXTS = {
    True: "There other layers have used the caches since a layer's code, small weights and memory for its output were "
    "last used; alone, all that is near.",
    False: "There a layer may find its input in a nearer cache, and data that is quicker to work on: max pools take "
    "longer over the random numbers that they get alone.",
}
CACHE_TEXTS = {
    "chain": "weights are not in the caches, the input may be, as in a network",
    "cold": "neither weights nor input are in the caches",
    "warm": "weights and input are in the caches, as far as they fit",
}


def bench_table(tables: Sequence[BenchTable], paper: Paper | None = None, notes: Iterable[str] = ()) -> str:
    """Every setting with its layers, their sum and the whole network."""
    paper = paper or Paper()
    parts: list[Any] = []
    for table in tables:
        parts += [*heading(table), "", *drawn.tables(layer_columns(table), paper), *sums(table), ""]
    doubts = dict.fromkeys(d for table in tables for t in timings(table) for d in t.doubts)
    lines = [Text(line, style="dim") for line in CONVENTIONS]
    lines += [Text(f"{doubt}: {DOUBTS[doubt]}.", style="dim") for doubt in doubts]
    if any((row.efficiency or 0) > 1 for table in tables for row in table.rows):
        lines.append(Text(BEYOND, style="dim"))
    return paper.print(*parts, *(Text(note, style="yellow") for note in notes), *lines)


def timings(table: BenchTable) -> list[Timing]:
    """Of the layers, and of the whole."""
    return [t for t in (*(row.timing for row in table.rows), table.whole) if t is not None]


def heading(table: BenchTable) -> list[Text]:
    """The network and the setting."""
    setting = table.setting
    first = Text(f"{printable(table.name)} on {printable(setting.device)}", style="bold")
    return [first, Text(setting_text(setting, table.batch), style="dim")]


def setting_text(setting: Setting, batch: int | None = None) -> str:
    """A setting in words, with what its caches hold."""
    return f"{setting_words(setting, batch)}; {setting.cache}: {CACHE_TEXTS[setting.cache]}"


def setting_words(setting: Setting, batch: int | None = None) -> str:
    """A setting in words, but for its caches."""
    parts = [f"batch {batch:,}"] if batch is not None else []
    parts += [setting.dtype, setting.layout, setting.direction]
    parts += [plural(setting.threads, "thread")] if setting.threads is not None else []
    parts += ["freed memory returned"] if setting.heap != "kept" else []
    parts += ["compiled"] if setting.compile else []
    parts += ["cuDNN's search for algorithms"] if setting.algorithms != "default" else []
    return ", ".join(parts)


def layer_columns(table: BenchTable) -> list[Drawn]:
    """A row a distinct layer."""
    rows, whole = table.rows, table.sum_seconds or sum(row.seconds for row in table.rows)
    inputs = ("input", "input", "shape", lambda row: ", ".join(map(shape, row.inputs)))
    columns: list[tuple[str, str, str, Callable[[BenchRow], str]]] = [
        ("name", "layer", "text", lambda row: printable(row.names[0])),
        ("kind", "kind", "text", lambda row: printable(row.kind)),
        ("output", "output", "shape", lambda row: shape(row.output[1:])),
        ("instances", "times", "count", lambda row: f"{row.instances:,}"),
        ("time", "time", "count", lambda row: row.failure or milliseconds(row.timing.median if row.timing else 0)),
        ("spread", "spread", "count", lambda row: spread_text(row.timing)),
        ("flops", "FLOP/s", "count", lambda row: rate_text(row.flops_per_second)),
        ("bytes", "B/s", "count", lambda row: rate_text(row.bytes_per_second)),
        ("share", "of sum", "count", lambda row: percent(row.seconds, whole)),
        ("doubts", "doubts", "text", lambda row: ", ".join(row.timing.doubts) if row.timing else ""),
    ]
    if table.batch is None:  # layers of one op, told apart by their inputs
        columns[0:1] = []
        columns.insert(1, inputs)
        columns = [column for column in columns if column[0] not in ("instances", "share")]
    if any(row.attainable for row in rows):
        roofline = (
            "roofline",
            "of roofline",
            "count",
            lambda row: percent(row.efficiency, 1) if row.efficiency else "-",
        )
        columns.insert(-1, roofline)
    if not any(row.timing and row.timing.doubts for row in rows):
        del columns[-1]
    return drawn.columns(rows, columns)


def spread_text(timing: Timing | None) -> str:
    """The stated spread as parts of the median: -1.2 +3.4 %."""
    return "" if timing is None else around(timing.median, timing.low, timing.high, 1)


def rate_text(value: float | None) -> str:
    """A rate in the unit that suits it: 1.234 T."""
    return "-" if value is None else in_unit(value)


def sums(table: BenchTable) -> list[Text]:
    """The layers' sum beside the whole, and what may lie between them."""
    lines = []
    whole, total = table.whole, table.sum_seconds
    layers = plural(sum(row.instances for row in table.rows), "layer")
    if total is not None and table.batch is not None:
        lines.append(f"sum of {layers}, {len(table.rows):,} of them distinct: {milliseconds(total)}")
    if whole is not None:
        doubts = f" ({', '.join(whole.doubts)})" if whole.doubts else ""
        lines.append(f"whole network: {milliseconds(whole.median)}, {spread_text(whole)}{doubts}")
    elif table.failure:
        lines.append(f"whole network: {table.failure}")
    if table.difference is not None and total:
        more = table.difference.total
        word = "longer" if more > 0 else "shorter"
        lines.append(f"The whole takes {milliseconds(abs(more))} ({percent(abs(more), total)}) {word} than the sum.")
        lines += explanations(table.difference, table)
    if table.free:
        lines.append(f"{plural(table.free, 'layer')} do nothing and are not timed: views, dropout at inference.")
    if table.untimed:
        lines.append(f"{plural(len(table.untimed), 'operator')} run only within the model and are not in the sum.")
    return [Text(line) for line in lines]


def explanations(difference: Difference, table: BenchTable) -> list[str]:
    """Where the difference lies, by kind of layer as timed within the network, and what is known to cause it."""
    if not difference.kinds:
        return [] if table.setting.direction == FORWARD else [
            "Layers are not timed within the network in this pass; alone, each has its data and its gradient ready."
        ]  # fmt: skip
    total = sum(seconds for _, seconds in difference.kinds)
    large = [pair for pair in difference.kinds if abs(pair[1]) >= TELLING * abs(difference.total)][:KINDS_AT_MOST]
    parts = [f"{printable(op)} {signed_milliseconds(seconds)}" for op, seconds in large]
    rest = total - sum(seconds for _, seconds in large)
    parts += [f"others {signed_milliseconds(rest)}"] if parts and len(large) < len(difference.kinds) else []
    of_them = f": {', '.join(parts)}" if parts else ""
    lines = [f"Timed within the network, layers take {signed_milliseconds(total)} of that{of_them}."]
    faults, cost = difference.page_faults, difference.page_fault_seconds
    if faults and cost is not None and cost >= TELLING * abs(difference.total):
        lines.append(
            f"A run takes {faults:,.0f} more pages of memory from the system than its layers alone, "
            f"{1e6 * cost / faults:.2f} us each: {milliseconds(cost)}."
        )
    return [*lines, WITHIN_TEXTS[difference.total > 0]]


def signed_milliseconds(seconds: float) -> str:
    """A difference of times: +1.234 ms."""
    return f"{'+' if seconds >= 0 else '-'}{milliseconds(abs(seconds))}"


# ---- for programs ---------------------------------------------------------------------------------


def timing_record(timing: Timing | None) -> dict[str, Any] | None:
    """A timing of the JSON."""
    if timing is None:
        return None
    return {
        "median_seconds": timing.median,
        "low_seconds": timing.low,
        "high_seconds": timing.high,
        "samples": timing.samples,
        "doubts": list(timing.doubts),
    }


def difference_record(difference: Difference) -> dict[str, Any]:
    """What lies between the whole and the sum, for the JSON."""
    return {
        "seconds": difference.total,
        "within_seconds": dict(difference.kinds),
        "page_faults": difference.page_faults,
        "page_fault_seconds": difference.page_fault_seconds,
    }


def bench_record(tables: Sequence[BenchTable]) -> dict[str, Any]:
    """The JSON of `cnncost bench` as Python values."""
    from cnncost import __version__

    return {
        "schema": SCHEMA_VERSION,
        "cnncost": __version__,
        "doubts": DOUBTS,
        "tables": [
            {
                "name": table.name,
                "setting": table.setting.record(),
                "batch": table.batch,
                "whole": timing_record(table.whole),
                "failure": table.failure,
                "sum_seconds": table.sum_seconds,
                "free": table.free,
                "untimed": list(table.untimed),
                "difference": None if table.difference is None else difference_record(table.difference),
                "layers": [
                    {
                        "names": list(row.names),
                        "kind": row.kind,
                        "input_shapes": [list(each) for each in row.inputs],
                        "output_shape": list(row.output),
                        "macs": row.macs,
                        "bytes_moved": row.bytes_moved,
                        "timing": timing_record(row.timing),
                        "failure": row.failure,
                        "attainable_seconds": row.attainable,
                        "efficiency": row.efficiency,
                        "within_seconds": row.within,
                        "page_faults": row.page_faults,
                    }
                    for row in table.rows
                ],
            }
            for table in tables
        ],
    }


def bench_json(tables: Sequence[BenchTable]) -> str:
    """The JSON of `cnncost bench`."""
    return json_text(bench_record(tables))


def bench_csv(tables: Sequence[BenchTable]) -> str:
    """One line a distinct layer and setting, and one for the whole network."""
    head = (*Setting._fields, "batch", "layer", "kind", "output_shape", "instances", "macs", "bytes_moved")
    times = ("median_seconds", "low_seconds", "high_seconds", "samples", "doubts", "failure")
    lines: list[Sequence[Any]] = [(*head, *times, "within_seconds", "page_faults")]
    about: tuple[Any, ...]
    for table in tables:
        start = (*table.setting, table.batch)
        for row in table.rows:
            about = (row.names[0], row.kind, shape(row.output), row.instances, row.macs, row.bytes_moved)
            lines.append((*start, *about, *_timing_cells(row.timing), row.failure, row.within, row.page_faults))
        if table.whole or table.failure:
            about = ("(network)", "", "", 1, sum(row.instances * row.macs for row in table.rows), None)
            lines.append((*start, *about, *_timing_cells(table.whole), table.failure, None, table.page_faults))
    return csv_text(lines)


def _timing_cells(timing: Timing | None) -> tuple[Any, ...]:
    if timing is None:
        return (None,) * 5
    return (timing.median, timing.low, timing.high, timing.samples, " ".join(timing.doubts))


def bench_markdown(tables: Sequence[BenchTable]) -> str:
    """The same for documents."""
    lines = []
    for table in tables:
        title_, sizes = (str(text) for text in heading(table))
        lines += [f"**{title_}**", "", sizes, "", *pipe_table(layer_columns(table)), ""]
        lines += [*(f"- {text}" for text in sums(table)), ""]
    return "\n".join([*lines, *(f"- {line}" for line in CONVENTIONS), ""])


# ---- two runs -------------------------------------------------------------------------------------


def regression_table(found: Regression, tolerance: float, paper: Paper | None = None) -> str:
    """Ratios with verdicts, slower ones first; what only one run has; and how it ended."""
    paper = paper or Paper()
    rows = sorted(found.changes, key=lambda pair: -pair[1].ratio)
    columns: list[tuple[str, str, str, Callable[[Any], str]]] = [
        ("name", "what", "text", lambda pair: printable(title(pair[0]))),
        ("kind", "setting", "text", lambda pair: setting_words(pair[0].setting)),
        ("old", "old", "count", lambda pair: milliseconds(pair[1].old.median)),
        ("new", "new", "count", lambda pair: milliseconds(pair[1].new.median)),
        ("ratio", "new/old", "count", lambda pair: f"{pair[1].ratio:.3f}"),
        ("verdict", "verdict", "text", lambda pair: pair[1].verdict),
    ]
    counts = {verdict: sum(each.verdict == verdict for _, each in rows) for verdict in ("faster", "same", SLOWER)}
    lines = [Text(f"only in the {which} run: {printable(text)}", style="yellow") for which, text in found.alone]
    told = ", ".join(f"{n:,} {verdict}" for verdict, n in counts.items())
    for name, was, now in found.machines:
        what = f"not measured with the same {name.replace('_', ' ')}"
        lines.append(Text(f"{what}: {printable(was)} and {printable(now)}", style="yellow"))
    explained = (
        f"A difference counts where the stated spreads do not overlap and it is more than {percent(tolerance, 1)}."
    )
    end = Text(f"{plural(len(rows), 'measurement')}: {told}.", style="bold red" if found.slower else "bold green")
    table = drawn.tables(drawn.columns(rows, columns), paper)
    return paper.print(*table, *lines, Text(explained, style="dim"), end)


def bench_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost bench --format json` writes."""
    from cnncost.output.schema import COUNT, NAMES, SHAPE, document, object_

    text, number = {"type": "string"}, {"type": "number"}
    some_text, some_number = {"type": ["string", "null"]}, {"type": ["number", "null"]}
    timing = {
        "median_seconds": {**number, "description": "of one run"},
        "low_seconds": {**number, "description": "lowest first quartile of the repetitions"},
        "high_seconds": {**number, "description": "highest third quartile of the repetitions"},
        "samples": {**COUNT, "description": "of all repetitions together"},
        "doubts": {"type": "array", "items": {"enum": list(DOUBTS)}},
    }
    some_timing = {"anyOf": [object_(timing), {"type": "null"}]}
    layer = {
        "names": {**NAMES, "description": "all layers that are this one"},
        "kind": text,
        "input_shapes": {"type": "array", "items": SHAPE},
        "output_shape": SHAPE,
        "macs": {**COUNT, "description": "of one of them, in this pass"},
        "bytes_moved": {**COUNT, "description": "of one of them, in this pass, each tensor once"},
        "timing": some_timing,
        "failure": {**some_text, "description": "why there is no timing"},
        "attainable_seconds": {**some_number, "description": "the least by a device's sheet"},
        "efficiency": {**some_number, "description": "attainable_seconds over the median"},
        "within_seconds": {**some_number, "description": "of one of them within the network, the mean of all"},
        "page_faults": {**some_number, "description": "pages of memory that the system hands out in a run"},
    }
    difference = {
        "seconds": {**number, "description": "the whole less the sum of its layers alone"},
        "within_seconds": {
            "type": "object",
            "additionalProperties": number,
            "description": "by op, what its layers take more within the network than alone",
        },
        "page_faults": {**some_number, "description": "of a run of the whole, beyond those of its layers alone"},
        "page_fault_seconds": {**some_number, "description": "what they cost"},
    }
    setting = {
        "device": text,
        "dtype": text,
        "layout": text,
        "pass": text,
        "cache": text,
        "compile": {"type": "boolean"},
        "algorithms": text,
        "threads": {"type": ["integer", "null"]},
        "heap": text,
    }
    table = {
        "name": text,
        "setting": object_(setting),
        "batch": {"type": ["integer", "null"], "description": "null where rows have their own"},
        "whole": {**some_timing, "description": "of the network in one"},
        "failure": some_text,
        "sum_seconds": {**some_number, "description": "of all layers; null where one is missing"},
        "free": {**COUNT, "description": "layers that do nothing"},
        "untimed": {**NAMES, "description": "operators that run only within the model"},
        "difference": {"anyOf": [object_(difference), {"type": "null"}]},
        "layers": {"type": "array", "items": object_(layer)},
    }
    keys: dict[str, Any] = {
        "schema": {"const": SCHEMA_VERSION},
        "cnncost": text,
        "doubts": {"type": "object", "description": "what the doubts mean"},
        "tables": {"type": "array", "items": object_(table)},
    }
    return document("cnncost bench", keys)
