"""How long the page of a network takes: to be made, beside the JSON report; and to open and unfold, in a browser.

    python benchmarks/pages.py --out benchmarks/results/NAME.jsonl
    python benchmarks/pages.py --table benchmarks/results/NAME.jsonl

Opened: from the moment at which the browser is sent to the file until all is drawn, tables, graph and charts, and
it answers. A click on a block: until the frame in which it is open is on the screen. benchmarks/README.md has the
figures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import machine

import cnncost
from cnncost.errors import UsageError

NETWORKS = ("alexnet", "googlenet", "resnet152", "densenet201", "timm:dm_nfnet_f4")
MADE = ("alexnet", "resnet152")
"""Networks for which making the page is timed: traced ones take seconds to be traced, which is not the page's."""
REPEATS = 15
OPENED_BY = ("chromium", "chromium-browser", "google-chrome")
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"


def made(name: str, folder: Path) -> dict[str, Any]:
    """Seconds of the whole process: the JSON report alone, and with the page, in turns."""
    command = [sys.executable, "-m", "cnncost", "report", name, "--format", "json"]
    page = [*command, "--html", str(folder / "made.html"), "--force"]
    samples: dict[str, list[float]] = {"json": [], "page": []}
    for turn in range(REPEATS + 1):
        for key, arguments in (("json", command), ("page", page)):
            begun = time.perf_counter()
            subprocess.run(arguments, capture_output=True, check=True)
            if turn:
                samples[key].append(time.perf_counter() - begun)
    return {"network": name, "what": "made", "seconds": samples}


def opened(name: str, folder: Path, browser: Any) -> dict[str, Any]:
    """Seconds until the page is ready, until a block is open, and until all are; each time in a window of its own."""
    path = folder / "opened.html"
    path.write_text(cnncost.page(name), encoding="utf-8")
    samples: dict[str, list[float]] = {"opened": [], "block": [], "unfolded": []}
    nodes = 0
    for _ in range(REPEATS):
        window = browser.new_context(viewport={"width": 1400, "height": 1000})
        shown = window.new_page()
        begun = time.perf_counter()
        shown.goto(path.as_uri())
        shown.wait_for_selector("body[data-ready]", state="attached")
        shown.evaluate(DRAWN)
        samples["opened"].append(time.perf_counter() - begun)
        for key, target in (("block", "#graph .node.block"), ("unfolded", "#unfold")):
            if shown.locator(target).count():
                begun = time.perf_counter()
                shown.locator(target).first.dispatch_event("click")
                shown.evaluate(DRAWN)
                samples[key].append(time.perf_counter() - begun)
        nodes = shown.locator("#graph .node").count()
        window.close()
    return {"network": name, "what": "opened", "nodes": nodes, "bytes": path.stat().st_size, "seconds": samples}


def measured(out: Path) -> None:
    """Measure all, a line of the file each."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, OPENED_BY)), None)
    if found is None:
        raise UsageError("no Chromium is installed", hint="apt-get install chromium")
    with (
        tempfile.TemporaryDirectory() as name,
        out.open("x", encoding="utf-8") as file,
        sync_playwright() as playwright,
    ):
        folder = Path(name)
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        head = {"cnncost": cnncost.__version__, "machine": machine(), "browser": browser.version, "repeats": REPEATS}
        print(json.dumps(head), file=file)
        for network in MADE:
            print(json.dumps(made(network, folder)), file=file, flush=True)
        for network in NETWORKS:
            print(json.dumps(opened(network, folder, browser)), file=file, flush=True)
        browser.close()


def _time(samples: list[float]) -> str:
    """Median and range of the middle half."""
    if not samples:
        return "-"
    low, middle, high = statistics.quantiles(samples, n=4)
    return f"{1e3 * middle:,.0f} ms ({1e3 * low:,.0f} to {1e3 * high:,.0f})"


def table(path: Path) -> str:
    """The figures of a file, in Markdown."""
    _, *records = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    lines = [
        "| network | JSON report, whole process | with the page | difference of medians |",
        "| --- | --: | --: | --: |",
    ]
    for record in (r for r in records if r["what"] == "made"):
        plain, page = record["seconds"]["json"], record["seconds"]["page"]
        more = statistics.median(page) - statistics.median(plain)
        lines.append(f"| {record['network']} | {_time(plain)} | {_time(page)} | {1e3 * more:,.0f} ms |")
    lines += [
        "",
        "| network | nodes | file | opened | a block opened | all unfolded |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for r in (r for r in records if r["what"] == "opened"):
        times = " | ".join(_time(r["seconds"][key]) for key in ("opened", "block", "unfolded"))
        lines.append(f"| {r['network']} | {r['nodes']:,} | {r['bytes'] / 2**20:,.2f} MiB | {times} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="measure, and write a new file of results")
    what.add_argument("--table", type=Path, help="the figures of such a file")
    chosen = parser.parse_args()
    if chosen.table:
        print(table(chosen.table), end="")
        return
    try:
        measured(chosen.out)
    except FileExistsError:
        parser.error(f"{chosen.out}: exists already")
    except UsageError as e:
        parser.error(f"{e.message}: {e.hint}")
    print(table(chosen.out), end="")


if __name__ == "__main__":
    main()
