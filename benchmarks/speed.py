"""How long cnncost takes, as ratios against a baseline or a peer in one run.

    python benchmarks/speed.py --out benchmarks/results/NAME.jsonl    (a run that was cut off goes on where it stopped)
    python benchmarks/speed.py --only sweep,peers --quick
    python benchmarks/speed.py --table benchmarks/results/NAME.jsonl
    python benchmarks/speed.py --fill README.md benchmarks/README.md

benchmarks/README.md says how it is measured and what the figures are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from machine import busy, machine
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from speed_parts import FULL, PARTS, QUICK, Part, Setting
from speed_table import Results, fill, read, tables

import cnncost
from cnncost.errors import UsageError, did_you_mean

LIBRARIES = ("numpy", "torch", "torchvision", "torchinfo", "fvcore", "ptflops", "thop")
DIFFERS = {"machine": "machine", "versions": "version of a library", "source": "state of the code", "quick": "size"}


def versions() -> dict[str, str | None]:
    """Of cnncost, and of what it is compared with; None where that is not installed."""
    found: dict[str, str | None] = {"cnncost": cnncost.__version__}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def source() -> str:
    """Tells states of the code apart: what was measured before a change is not gone on with after it."""
    found = hashlib.sha256()
    folder = Path(cnncost.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()[:12]


class Log:
    """A file of results: who measured and where, then a line a sample, written as soon as it is there.

    Raises UsageError for a file of another machine, of other versions or other code, or of another size of run.
    """

    def __init__(self, path: Path, quick: bool) -> None:
        head = {"machine": machine(), "versions": versions(), "source": source(), "quick": quick}
        path.parent.mkdir(parents=True, exist_ok=True)
        known = read(path) if path.exists() and path.stat().st_size else None
        if known and {key: known.head.get(key) for key in head} != head:
            which = next(key for key, value in head.items() if known.head.get(key) != value)
            raise UsageError(f"{path}: begun with another {DIFFERS[which]}", hint="begin a new file")
        if known:  # a line that was cut off is measured again
            path.write_text(path.read_text().rpartition("\n")[0] + "\n")
        self.results = known or Results({**head, "date": time.strftime("%Y-%m-%d")}, [])
        self.file = path.open("a")
        if not known:
            self.write(self.results.head)

    def has(self, part: str, number: int, task: str) -> bool:
        """Whether a sample has been taken."""
        return any((s["part"], s["round"], s["task"]) == (part, number, task) for s in self.results.samples)

    def add(self, sample: dict[str, Any]) -> None:
        self.results.samples.append(sample)
        self.write(sample)

    def write(self, line: dict[str, Any]) -> None:
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()


def sampled(task: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A task's sample, and the processor time that other programs took meanwhile, of how much there was."""
    begun, working, own = time.perf_counter(), busy(), sum(os.times()[:4])
    sample = task()
    wall, worked = time.perf_counter() - begun, busy()
    if working is None or worked is None:
        return sample
    others = worked - working - (sum(os.times()[:4]) - own)
    return {**sample, "others_s": round(others, 3), "processors_s": round(wall * (os.cpu_count() or 1), 3)}


def measure(part: Part, setting: Setting, rounds: int, log: Log) -> None:
    """All rounds of a part, its tasks in turns, so that a slow spell of the machine meets them all alike."""
    tasks = part.tasks(setting)
    missing = [n for n in range(rounds) if any(not log.has(part.name, n, task.name) for task in tasks)]
    columns = (TextColumn("{task.description:40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = bar.add_task(part.name, total=rounds * len(tasks))
        if missing and part.warm_up and not setting.quick:
            for task in tasks:
                bar.update(shown, description=f"{part.name}, warming up: {task.name}")
                task.run()  # the first run writes byte code and fills the page cache
        for number in range(rounds):
            for task in tasks:
                bar.update(shown, description=f"{part.name}: {task.name}")
                if not log.has(part.name, number, task.name):
                    log.add({"part": part.name, "round": number, "task": task.name, **sampled(task.run)})
                bar.advance(shown)


def chosen(only: str | None) -> list[Part]:
    """The parts that are named, in their order. Raises UsageError."""
    names = [name.strip() for name in only.split(",")] if only else list(PARTS)
    for name in names:
        if name not in PARTS:
            raise UsageError(f"unknown part {name}", hint=did_you_mean(name, PARTS))
    return [part for name, part in PARTS.items() if name in names]


def run(arguments: argparse.Namespace) -> Results:
    """Measure what the file does not have yet. Raises UsageError, KeyboardInterrupt."""
    size = QUICK if arguments.quick else FULL
    parts = chosen(arguments.only)
    missing = [name for name, found in versions().items() if found is None]
    if missing and not arguments.without_peers and any(part.peers for part in parts):
        hint = f"pip install {' '.join(missing)}, or --without-peers"
        raise UsageError(f"not installed: {', '.join(missing)}", hint=hint)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        # Byte code in a folder of this run's own: a checkout may be read-only or someone else's.
        os.environ["PYTHONPYCACHEPREFIX"] = os.path.join(folder, "bytecode")
        log = Log(arguments.out or Path(folder, "results.jsonl"), arguments.quick)
        setting = Setting(Path(folder), size, arguments.quick, not arguments.without_peers)
        for part in parts:
            rounds = arguments.runs or (1 if arguments.quick else part.rounds)
            measure(part, setting, rounds if part.repeated else 1, log)
        return log.results


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, metavar="FILE", help="where samples are appended; what it has is not redone")
    made.add_argument("--only", metavar="PARTS", help=f"comma-separated: {', '.join(PARTS)}")
    made.add_argument("--quick", action="store_true", help="small sizes, one round: whether it works, not how long")
    made.add_argument("--runs", type=int, metavar="N", help="rounds of every part")
    made.add_argument("--without-peers", action="store_true", help="leave out what needs torch")
    made.add_argument("--table", type=Path, metavar="FILE", help="measure nothing, show what a file has, as Markdown")
    made.add_argument("--fill", type=Path, nargs="+", metavar="FILE", help="renew the tables in Markdown files")
    return made


def main() -> int:
    arguments = parser().parse_args()
    warnings.simplefilter("ignore")
    try:
        if arguments.fill:
            for path in arguments.fill:
                path.write_text(fill(path.read_text()))
            return 0
        results = read(arguments.table) if arguments.table else run(arguments)
        print(tables(results, [part.name for part in chosen(arguments.only)], headed=True))
    except UsageError as e:
        print(f"{e.message} ({e.hint})", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as e:
        print(f"exit code {e.returncode} of {shlex.join(e.cmd)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cut off; with --out, the same command goes on from here", file=sys.stderr)
        return 130
    return int(any(sample.get("equal", 0) < sample.get("compared", 0) for sample in results.samples))


if __name__ == "__main__":
    sys.exit(main())
