"""Pictures of pages for the documents, and the page that the README links: made anew by

python tests/screenshots.py
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from browser import opened, running
from documents import ROOT
from PIL import Image

DOCS = ROOT / "docs"
COLOURS = 160
"""Of a picture: pages have few, and files are small so."""
Acts = Callable[[Any], None]


def choose(layer: str) -> Acts:
    """Choose a layer, as from the table."""
    return lambda shown: shown.evaluate("name => { location.hash = `layer=${encodeURIComponent(name)}`; }", layer)


def go(section: str) -> Acts:
    """Scroll to a section."""
    return lambda shown: shown.evaluate("id => document.getElementById(id).scrollIntoView()", section)


def nothing(shown: Any) -> None:
    """As it opens."""


def choose_point(number: int) -> Acts:
    """Choose a design point, as from the table."""
    return lambda shown: shown.evaluate("n => document.querySelectorAll('#point-table tbody tr')[n].click()", number)


SPACE = (
    "sweep resnet50 --vary width=16:128:4 --vary input=96:512:16 --where macs<16G --top 60 --sort -macs --device h100"
)
PICTURES: dict[str, tuple[str, dict[str, Any], Acts]] = {
    "html-alexnet": ("report alexnet", {}, choose("conv2")),
    "html-alexnet-charts": ("report alexnet", {}, go("memory")),
    "html-googlenet": ("report googlenet", {}, choose("3a.5x5.conv")),
    "html-resnet152": ("report resnet152 --batch 32 --dtype bf16", {"color_scheme": "dark"}, nothing),
    "html-densenet201": ("report densenet201", {"viewport": {"width": 390, "height": 844}}, nothing),
    "html-timm": ("report timm:mobilenetv3_small_100", {}, choose("blocks.1.0.conv_pw")),
    "html-space": (SPACE, {"viewport": {"width": 1280, "height": 1000}}, choose_point(40)),
    "html-zoo": ("compare all", {"viewport": {"width": 1280, "height": 780}}, nothing),
}
PAGE = "alexnet.html"


def written(command: str, path: Path) -> None:
    """Write the page of a command."""
    subprocess.run(
        [sys.executable, "-m", "cnncost", *command.split(), "--html", str(path), "--force"],
        capture_output=True, check=True, cwd=ROOT,
    )  # fmt: skip


def picture(browser: Any, path: Path, options: dict[str, Any], act: Acts) -> bytes:
    """A page as a small PNG."""
    with opened(browser, path, **{"viewport": {"width": 1280, "height": 860}, **options}) as shown:
        act(shown)
        shown.wait_for_timeout(300)
        whole = Image.open(io.BytesIO(shown.screenshot()))
    small = io.BytesIO()
    whole.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        small, "PNG", optimize=True
    )
    return small.getvalue()


if __name__ == "__main__":
    wanted = sys.argv[1:] or [*PICTURES, PAGE]
    with tempfile.TemporaryDirectory() as name, running() as browser:
        for which in wanted:
            if which == PAGE:
                written("report alexnet", DOCS / PAGE)
                continue
            command, options, act = PICTURES[which]
            path = Path(name) / f"{which}.html"
            written(command, path)
            (DOCS / f"{which}.png").write_bytes(picture(browser, path, options, act))
