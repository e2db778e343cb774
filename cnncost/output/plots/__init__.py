"""Figures for papers, by matplotlib: their style, sizes and files. Each figure is a module here.

A figure is of a page's width or a column's, and stands alone: above it are the network and the conditions, below it
what is counted and what is not drawn. Only a figure that is asked for imports matplotlib.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, NamedTuple

from cnncost.dims import Shape
from cnncost.errors import UsageError
from cnncost.output.tables import shortened
from cnncost.output.units import percent, printable, shape

SUFFIXES = ("png", "svg", "pdf")
COLUMN, PAGE = 3.5, 7.16
"""Inches of a column and of a page of two columns."""
TALLEST = 9.2
"""Inches: what a page has room for."""
DOTS = 300
"""An inch of a PNG has so many."""
NAME_AT_MOST = 30
"""Characters of a name in a figure; its middle is left out where it is longer."""
TITLE_AT_MOST = 60
SMALL = 6.0
"""Points of the smallest letters."""
GREY, LIGHT, INK = "#6b6b6b", "#d9d9d9", "#222222"
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
"""Told apart by those who do not see all colours, too. (Okabe & Ito 2008: Color universal design)"""
HATCHES = ("", "////", "\\\\\\\\", "xxxx", "----", "||||")
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Beside colours, so that grey print tells kinds apart."""
OTHER_COLOUR, OTHER_HATCH, OTHER_MARKER = "#b5b5b5", "", "X"
LETTERS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans", "Arial Unicode MS", "Hiragino Sans",
           "Microsoft YaHei", "MS Gothic", "WenQuanYi Zen Hei")  # fmt: skip
"""Fonts in which a letter is looked for; matplotlib brings the first, others count where they are installed."""
STYLE: dict[str, Any] = {
    "font.size": 7.0,
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # as wide, for those who see an SVG without the first
    "axes.titlesize": 7.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 7.0,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.0,
    "hatch.linewidth": 0.4,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.columnspacing": 1.4,
    "figure.facecolor": "white",
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "text.hinting": "none",  # letters are as wide in every format
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "cnncost",  # the same figure is the same file
    "pdf.fonttype": 42,
}


class Look(NamedTuple):
    """How a kind is drawn."""

    colour: str
    hatch: str
    marker: str


OTHER = "other"
OTHER_LOOK = Look(OTHER_COLOUR, OTHER_HATCH, OTHER_MARKER)


def format_of(path: str) -> str:
    """What a file's suffix asks for. Raises UsageError for one that is no picture's."""
    suffix = os.path.splitext(path)[1].lower().lstrip(".")
    if suffix not in SUFFIXES:
        what = f"no picture has the suffix .{printable(suffix)}" if suffix else "the name has no suffix"
        raise UsageError(f"--plot {printable(path) or repr('')}: {what}", hint="write FILE.png, FILE.svg or FILE.pdf")
    return suffix


def require_matplotlib() -> None:
    """Raise UsageError where it is not installed. Does not import it."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        message = "matplotlib draws figures, and is not installed"
        raise UsageError(message, hint="pip install 'cnncost[plot]'")


def style() -> AbstractContextManager[None]:
    """The style of all figures, for as long as one is drawn: the settings of the program stay as they are.

    Raises UsageError where matplotlib is not installed.
    """
    require_matplotlib()
    import matplotlib

    settings: Any = {**STYLE, "font.family": [*_fonts(), "sans-serif"]}
    return matplotlib.rc_context(settings)


def new(width: float, height: float) -> Any:
    """An empty Figure of so many inches, whose parts find their own room."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, min(height, TALLEST)), dpi=DOTS, layout="constrained")
    FigureCanvasAgg(figure)  # measures letters
    return figure


def to_bytes(figure: Any, format_: str) -> bytes:
    """A figure as a file: png, svg or pdf. The same figure is the same bytes, without the day or the program's place.

    Raises UsageError for another format.
    """
    about = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    if format_ not in about:
        raise UsageError(f"a figure is no {printable(format_)}", hint=f"choose {', '.join(SUFFIXES)}")
    file = io.BytesIO()
    with style():
        figure.savefig(file, format=format_, dpi=DOTS, metadata=about[format_])
    return file.getvalue()


def save(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure to a file, whose suffix says as what. Raises UsageError for a suffix that is no picture's."""
    data = to_bytes(figure, format_of(os.fspath(path)))
    with open(path, "wb") as f:
        f.write(data)


# ---- letters --------------------------------------------------------------------------------------


@cache
def _fonts() -> dict[str, Any]:
    """The fonts of LETTERS that are installed, each with what letters it has."""
    from matplotlib import font_manager

    known = {font.name for font in font_manager.fontManager.ttflist}
    found = {}
    for name in LETTERS:
        if name in known:
            font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties(family=name)))
            found[name] = frozenset(font.get_charmap())
    return found


def word(text: str, most: int = NAME_AT_MOST) -> str:
    """Text from a spec as a figure shows it: printable, short, letters that no font has escaped, and no formula."""
    text = shortened(printable(text), most)
    fonts = _fonts().values()
    seen = "".join(c if any(ord(c) in has for has in fonts) else c.encode("unicode_escape").decode() for c in text)
    return seen.replace("$", r"\$")


def label(text: str, most: int = NAME_AT_MOST) -> str:
    """The same for a legend, which leaves out what begins with an underscore."""
    shown = word(text, most)
    return f" {shown}" if shown.startswith("_") else shown


def share(part: float, whole: float) -> str:
    """A share, with one decimal; only nothing is 0.0%."""
    return "<0.1%" if 0 < part < whole / 1000 else percent(part, whole)


# ---- what stands around a figure ------------------------------------------------------------------


def title(figure: Any, name: str, conditions: str, handles: Sequence[Any] = (), labels: Sequence[str] = ()) -> None:
    """The network and the conditions, above all axes; below them what looks mean."""
    lines = _lines(figure, [f"{word(name, TITLE_AT_MOST)}: {word(conditions, 400)}"], 7)
    text = "\n".join(lines)
    if not handles:
        figure.suptitle(text, x=0.008, ha="left", fontsize=7)
        return
    across = figure.get_figwidth() * 72
    one_row = sum(3.7 * len(each) + 32 for each in labels) <= across
    columns = len(handles) if one_row else max(1, int(across / (3.7 * max(map(len, labels)) + 32)))
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, borderaxespad=0.3, borderpad=0,
                  title=text, title_fontsize=7, alignment="left")  # fmt: skip


def notes(figure: Any, lines: Iterable[str]) -> None:
    """What is counted, and what is not drawn, below all axes."""
    text = "\n".join(_lines(figure, [" ".join(lines)], SMALL))
    if text:
        figure.supxlabel(text, x=0.008, ha="left", fontsize=SMALL, color=GREY)


def _lines(figure: Any, lines: Iterable[str], size: float) -> list[str]:
    """Lines broken between words where the figure ends."""
    from matplotlib.font_manager import FontProperties

    renderer, font = figure.canvas.get_renderer(), FontProperties(size=size)
    across = figure.bbox.width * 0.985
    found: list[str] = []
    for line in lines:
        found.append("")
        for each in line.split():
            longer = f"{found[-1]} {each}".lstrip()
            if found[-1] and renderer.get_text_width_height_descent(longer, font, ismath=False)[0] > across:
                found.append(each)
            else:
                found[-1] = longer
    return [line for line in found if line]


def sizes(inputs: dict[str, Shape], batch: Any, dtype: str) -> str:
    """Input, batch and dtype in words."""
    told = ", ".join(shape(s[1:]) if len(inputs) == 1 else f"{name} {shape(s[1:])}" for name, s in inputs.items())
    return f"input {told}, batch {batch:,}, {dtype}"


# ---- kinds ----------------------------------------------------------------------------------------


def looks(kinds: Sequence[str], most: int = len(COLOURS)) -> dict[str, Look]:
    """A look for each of the first kinds, convolutions' always the same; those behind share OTHER_LOOK."""
    alone = sorted(kinds if len(kinds) <= most else kinds[: most - 1], key=lambda kind: kind != "conv")
    return {kind: Look(COLOURS[i], HATCHES[i], MARKERS[i]) for i, kind in enumerate(alone)}
