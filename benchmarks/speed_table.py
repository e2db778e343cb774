"""Results of speed.py as Markdown: nothing here is measured, and no number is typed by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cnncost.analysis.samples import quartiles
from cnncost.errors import UsageError

Sample = dict[str, Any]
HERE = Path(__file__).parent
BLOCK = re.compile(r"(<!-- speed\.py: ([a-z,]+) of (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""Where fill() puts tables: <!-- speed.py: startup,sweep of results/NAME.jsonl --> ... <!-- end -->."""
OTHERS_AT_MOST = 0.05
"""Part of the processors that other programs may take before a table says so."""


class Results(NamedTuple):
    """What a file has. head: machine, versions, date. samples: in the order in which they were taken."""

    head: dict[str, Any]
    samples: list[Sample]

    def of(self, part: str) -> dict[str, list[Sample]]:
        """Samples of a part by task, each in the order of rounds."""
        found: dict[str, list[Sample]] = {}
        for sample in sorted((s for s in self.samples if s["part"] == part), key=lambda s: int(s["round"])):
            found.setdefault(sample["task"], []).append(sample)
        return found


def read(path: Path) -> Results:
    """A file of results, but for a last line that was cut off. Raises UsageError for one that is none."""
    try:
        head, *samples = [json.loads(line) for line in path.read_text().rpartition("\n")[0].splitlines()]
        head["machine"], head["versions"], [sample["part"] for sample in samples]
    except OSError as e:
        raise UsageError(f"{path}: {e.strerror}", hint="give a file that --out has written") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path} has no results of speed.py", hint="give a file that --out has written") from None
    return Results(head, samples)


def fill(page: str) -> str:
    """A page with its tables made anew. Raises UsageError for a file that is not there."""

    def made(found: re.Match[str]) -> str:
        return f"{found[1]}\n{tables(read(HERE / found[3]), found[2].split(','))}\n\n{found[4]}"

    return BLOCK.sub(made, page)


def tables(results: Results, parts: Iterable[str], headed: bool = False) -> str:
    """The tables of some parts, those that have samples, and below each what is to be doubted of it.

    headed: each under its name, which a page says in words of its own.
    """
    shown = []
    for name in parts:
        if tasks := results.of(name):
            blocks = [f"### {name}" if headed else "", SHOWN[name](tasks), doubt(results, name)]
            shown.append("\n\n".join(block for block in blocks if block))
    return "\n\n".join(shown or ["No samples."])


def doubt(results: Results, part: str) -> str:
    """A line where sizes were small, or other programs took more of the processors than they should."""
    if results.head.get("quick"):
        return "A quick run: sizes are small, figures mean nothing."
    taken = [s for s in results.samples if s["part"] == part and "others_s" in s and "seconds" in s]
    others = sum(s["others_s"] for s in taken) / (sum(s["processors_s"] for s in taken) or 1)
    if others <= OTHERS_AT_MOST:
        return ""
    return f"**Other programs took {others:.0%} of the processors meanwhile: to be measured again.**"


# ---- cells ----------------------------------------------------------------------------------------


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; columns but the first are numbers."""
    lines = [headers, ["---", *["--:"] * (len(headers) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def seconds(samples: Sequence[Sample], each: int = 1) -> tuple[float, float, float]:
    """Quartiles of the seconds, or of a point's among `each`."""
    low, middle, high = quartiles([sample["seconds"] / each for sample in samples])
    return low, middle, high


def duration(value: float) -> str:
    """Seconds with three digits and a unit that fits."""
    unit, size = next(((u, s) for u, s in (("s", 1.0), ("ms", 1e-3)) if value >= 0.9995 * s), ("µs", 1e-6))
    return f"{digits(value / size)} {unit}"


def digits(value: float) -> str:
    """Three digits that count, no exponent: 0.0123, 1.23, 12.3, 123, 12,300."""
    if not value:
        return "0"
    whole = float(f"{value:.2e}")
    places = max(0, 2 - int(f"{whole:e}".split("e")[1]))
    return f"{whole:,.{places}f}"


def median_of(tasks: dict[str, list[Sample]]) -> str:
    """A header: of how many rounds medians are, at the least."""
    return f"median of {min(map(len, tasks.values()))}"


def timed(samples: Sequence[Sample]) -> list[str]:
    """Cells: the median, and the quartiles."""
    low, middle, high = seconds(samples)
    return [duration(middle), f"{duration(low)} to {duration(high)}"]


def ratio(samples: Sequence[Sample], base: Sequence[Sample], points: bool = False) -> tuple[float, float, float]:
    """Quartiles of ratios to a baseline, each within one round. points: seconds are those of one point."""

    def value(sample: Sample) -> float:
        return float(sample["seconds"]) / (sample["points"] if points else 1)

    known = {sample["round"]: value(sample) for sample in base}
    low, middle, high = quartiles([value(s) / known[s["round"]] for s in samples if s["round"] in known] or [0.0])
    return low, middle, high


def times(samples: Sequence[Sample], base: Sequence[Sample], points: bool = False) -> str:
    """A cell: how many times the baseline, and the quartiles of that."""
    low, middle, high = ratio(samples, base, points)
    return f"{digits(middle)} ({digits(low)} to {digits(high)})"


def mebibytes(samples: Sequence[Sample]) -> str:
    """A cell: the largest peak of memory."""
    return f"{max(sample['peak_bytes'] for sample in samples) / 2**20:,.0f} MiB"


# ---- parts ----------------------------------------------------------------------------------------


def startup(tasks: dict[str, list[Sample]]) -> str:
    """Processes beside the baseline, which is the first of them."""
    base = next(iter(tasks.values()))
    rows = [[f"`{name}`" if " on " not in name else name, *timed(s), times(s, base)] for name, s in tasks.items()]
    shown = table(["whole process", median_of(tasks), "quartiles", "to the baseline"], rows)
    peer, ours = (tasks.get(name) for name in ("torchinfo on the same AlexNet, same columns", "cnncost report alexnet"))
    return shown + (f"\n\ntorchinfo / cnncost: {times(peer, ours)}." if peer and ours else "")


def layers(tasks: dict[str, list[Sample]]) -> str:
    """Networks by their layers: whole processes beyond the baseline, and calls."""
    base = next(iter(tasks.values()))
    rows = []
    for name, samples in tasks.items():
        count = samples[0].get("layers")
        if count is None:
            continue
        low, middle, high = seconds(samples)
        less = seconds(base)[1] if name.startswith("cnncost ") else 0.0
        each = duration(max(middle - less, 0.0) * 1000 / count)
        rows.append([name, f"{count:,}", duration(middle), f"{duration(low)} to {duration(high)}", each])
    shown = table(["task", "layers", median_of(tasks), "quartiles", "per 1,000 layers *"], rows)
    return f"{shown}\n\n\\* of processes, beyond the baseline of {duration(seconds(base)[1])}."


def tracing(tasks: dict[str, list[Sample]]) -> str:
    """A model traced, beside its forward pass."""
    rows = []
    for name, samples in tasks.items():
        if name.startswith("trace and analyze "):
            model = name.removeprefix("trace and analyze ")
            peer = tasks.get(f"forward pass of {model}", [])
            if peer:
                rows.append([model, duration(seconds(samples)[1]), duration(seconds(peer)[1]), times(samples, peer)])
    return table(
        ["model", f"traced and analysed, {median_of(tasks)}", "forward pass under torch's counter", "ratio"], rows
    )


def sweep(tasks: dict[str, list[Sample]]) -> str:
    """Grids from the smallest to the largest, beside single points; and whole processes."""
    alone = tasks.get("one point by itself")
    rows, processes = [], []
    for name, samples in tasks.items():
        count = samples[0]["points"]
        low, middle, high = seconds(samples)
        if "peak_bytes" in samples[0]:
            processes.append([f"`{name}`", f"{count:,}", *timed(samples), mebibytes(samples)])
            continue
        axes = " x ".join(map(str, samples[0].get("axes", ())))
        what = f"{count:,}" + (", params and MACs alone" if name.endswith("params and MACs") else "")
        gain = ratio(alone, samples, points=True) if alone and alone is not samples else None
        shown = f"{digits(gain[1])} ({digits(gain[0])} to {digits(gain[2])})" if gain else "1"
        rows.append([what, axes, duration(middle), f"{duration(low)} to {duration(high)}", digits(count / middle),
                     duration(middle / count), shown])  # fmt: skip
    headers = ["points", "batch x input x width", median_of(tasks), "quartiles", "points a second", "a point"]
    shown = table([*headers, "one by itself / a point"], rows)
    if processes:
        shown += "\n\n" + table(["whole process", "points", median_of(tasks), "quartiles", "peak memory"], processes)
    return shown


def workers(tasks: dict[str, list[Sample]]) -> str:
    """The same sweep with more workers: how many times the rate of one."""
    one = next((s for s in tasks.values() if s[0]["workers"] == 1), [])
    rows = []
    for samples in tasks.values():
        low, middle, high = ratio(one, samples) if one else (0.0, 0.0, 0.0)
        count = samples[0]["points"]
        rate = digits(count / seconds(samples)[1])
        rows.append([str(samples[0]["workers"]), f"{count:,}", *timed(samples), rate, mebibytes(samples),
                     f"{middle:.2f} ({low:.2f} to {high:.2f})"])  # fmt: skip
    headers = ["workers", "points", median_of(tasks), "quartiles", "points a second", "peak memory of a process"]
    return table([*headers, "rate to one worker's"], rows)


def peers(tasks: dict[str, list[Sample]]) -> str:
    """What each tool takes for a point, and how many points a sweep prices meanwhile."""
    ours = {name.rpartition(", ")[2]: s for name, s in tasks.items() if name.startswith("cnncost ")}
    rows, medians = [], {}
    for name, samples in tasks.items():
        count = samples[0]["points"]
        low, middle, high = seconds(samples, count)
        row = [name if count == 1 else f"**{name}**, {count:,} points", duration(middle),
               f"{duration(low)} to {duration(high)}"]  # fmt: skip
        rows.append([*row, *(times(samples, own, points=True) if count == 1 else "" for own in ours.values())])
        if count == 1:
            medians[name] = middle
    shown = table(
        ["tool", f"a point, {median_of(tasks)}", "quartiles", *(f"to a point's, {what}" for what in ours)], rows
    )
    if not (medians and ours):
        return shown
    fastest = min(medians, key=lambda name: medians[name])
    told = "; ".join(f"{what}: {times(tasks[fastest], own, points=True)}" for what, own in ours.items())
    return f"{shown}\n\nThe fastest of them ({fastest}) takes this many times as long as a point of a sweep: {told}."


def equal(tasks: dict[str, list[Sample]]) -> str:
    """How many points are the same."""
    ((sample, *_),) = tasks.values()
    return (
        f"{sample['equal']} of {sample['compared']} points, drawn from the {sample['points']:,}, equal "
        f"`cnncost.analyze` and `cnncost.memory` of that network by itself to the last digit."
    )


SHOWN: dict[str, Callable[[dict[str, list[Sample]]], str]] = {
    "startup": startup, "layers": layers, "tracing": tracing, "sweep": sweep, "workers": workers, "peers": peers,
    "equal": equal,
}  # fmt: skip
