"""A graph of a network as a picture: one SVG file that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

from cnncost.analysis.folded import Folded, Item
from cnncost.output.graph_labels import EDGE, FILLS, GROUP, LINE, TEXT, Label, Words, group_name
from cnncost.output.graph_layout import Box, Curve, Layout, Point, laid_out
from cnncost.output.units import printable

FONT, SMALL, STEP = 12, 11, 15
"""Sizes of names and of all other text, and from line to line, in pixels."""
PAD_X, PAD_Y, MARGIN, ROUND = 12, 6, 16, 5
HEAD = 3 * STEP + 8
"""Pixels above the graph for what stands over it."""
ARROW = 3.2
WIDTHS = {0.3: "iljtfrI.,:;'|!()[]/ ", 0.9: "mwMW@%→+<>=~", 0.72: "ABCDEFGHKLNOPQRSTUVXYZ&_"}
WIDTH = {character: width for width, characters in WIDTHS.items() for character in characters}
"""Characters by their width, in font sizes: those of Helvetica or more, so that text fits with other fonts too."""
NOT_XML = re.compile("[\ufffe\uffff\ud800-\udfff]")


def to_svg(graph: Folded, words: Words) -> str:
    """The picture. Raises UsageError without Graphviz, and for more nodes than it places in reasonable time."""
    titles = [group_name(group) for group in list(graph.top.groups())[1:]]
    layout = laid_out(
        graph,
        _sizes(graph, words),
        [(text_width(title, SMALL, bold=True) + 4, STEP) for title in titles],
        [(text_width(text, SMALL) + 6, STEP) if text else None for text in words.edges],
    )
    captions = (words.title, words.about, words.key)
    widths = (text_width(words.title, FONT + 2, bold=True), *(text_width(line, SMALL) for line in captions[1:]))
    width = max(layout.width, *widths) + 2 * MARGIN
    height = layout.height + HEAD + 2 * MARGIN
    shift = (width - layout.width) / 2
    description = "\n".join((words.about, words.key, *words.conventions))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" font-family="Helvetica, Arial, sans-serif" font-size="{SMALL}" '
        f'fill="{TEXT}">',
        f"<title>{_x(words.title)}</title>",
        f"<desc>{_x(description)}</desc>",
        f'<rect width="{_n(width)}" height="{_n(height)}" fill="#ffffff"/>',
        *_captions(captions, width),
        f'<g transform="translate({_n(shift)} {_n(HEAD + MARGIN)})">',
        *_groups(titles, layout),
        *_edges(words, layout),
        *(_node(*node) for node in zip(graph.items, words.labels, layout.nodes)),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a text is, in pixels, rather too wide than too narrow."""
    widths = (WIDTH.get(c) or (1.0 if east_asian_width(c) in "WF" else 0.57 if c < "\x7f" else 0.75) for c in text)
    return sum(widths) * size * (1.07 if bold else 1)


def _sizes(graph: Folded, words: Words) -> list[tuple[float, float]]:
    """Of the nodes' boxes; those of a group are equally wide."""
    widths = [
        max(text_width(first, FONT, bold=True), *(text_width(line, SMALL) for line in rest))
        for (first, *rest), _ in words.labels
    ]
    widest: dict[tuple[object, bool], float] = {}
    for item, width in zip(graph.items, widths):
        kind = (item.group, item.row is None)
        widest[kind] = max(width, widest.get(kind, 0))
    return [
        (widest[item.group, item.row is None] + (2 if item.row else 3) * PAD_X, len(label.lines) * STEP + 2 * PAD_Y)
        for item, label in zip(graph.items, words.labels)
    ]


def _captions(lines: tuple[str, ...], width: float) -> Iterator[str]:
    """What stands over the graph."""
    for i, line in enumerate(lines):
        style = f' font-size="{FONT + 2}" font-weight="bold"' if i == 0 else ""
        yield _text(line, (width / 2, MARGIN + STEP * (i + 0.7)), style)


def _groups(titles: list[str], layout: Layout) -> Iterator[str]:
    """Open blocks, the outer ones first, that those in them are over them."""
    for title, box in zip(titles, layout.groups):
        yield _rect(box, f'rx="{2 * ROUND}" fill="#8a98a8" fill-opacity="0.07" stroke="{GROUP}"')
        place = f'x="{_n(box.left + PAD_X)}" y="{_n(box.top + STEP + 1)}"'
        yield f'<text {place} font-weight="bold">{_x(title)}</text>'


def _edges(words: Words, layout: Layout) -> Iterator[str]:
    """Curves with arrowheads; labels over all of them."""
    yield f'<g fill="none" stroke="{EDGE}">'
    for curve in layout.edges:
        (x, y), *rest = curve.points
        yield f'<path d="M{_n(x)} {_n(y)}C{" ".join(f"{_n(x)} {_n(y)}" for x, y in rest)}"/>'
    yield f'</g><g fill="{EDGE}">'
    for curve in layout.edges:
        yield f'<path d="{_head(curve)}"/>'
    yield "</g>"
    for text, curve in zip(words.edges, layout.edges):
        if text and curve.label:
            x, y = curve.label
            yield _text(text, (x, y + 4), f' font-size="{SMALL - 1}"')


def _head(curve: Curve) -> str:
    """A triangle from the end of the curve to the tip."""
    (x, y), (tip_x, tip_y) = curve.points[-1], curve.tip
    length = ((tip_x - x) ** 2 + (tip_y - y) ** 2) ** 0.5 or 1
    across, along = (tip_y - y) / length * ARROW, (tip_x - x) / length * ARROW
    return f"M{_n(tip_x)} {_n(tip_y)}L{_n(x - across)} {_n(y + along)}L{_n(x + across)} {_n(y - along)}Z"


def _node(item: Item, label: Label, box: Box) -> str:
    """A box with its lines; pointed at, it says its whole name. Folded blocks look like a pile."""
    lines, level = label
    x, _ = box.middle
    style = f'rx="{ROUND if item.row else _n((box.bottom - box.top) / 2)}" fill="{FILLS[level]}" stroke="{LINE}"'
    parts = ["<g>", f"<title>{_x(printable(item.name))}</title>"]
    if item.role == "block":
        style += ' stroke-width="1.8"'
    parts.append(_rect(box, style))
    for i, line in enumerate(lines):
        strong = f' font-size="{FONT}" font-weight="bold"' if i == 0 else ""
        parts.append(_text(line, (x, box.top + PAD_Y + STEP * (i + 0.76)), strong))
    return "".join(parts) + "</g>"


def _rect(box: Box, style: str) -> str:
    size = f'width="{_n(box.right - box.left)}" height="{_n(box.bottom - box.top)}"'
    return f'<rect x="{_n(box.left)}" y="{_n(box.top)}" {size} {style}/>'


def _text(text: str, middle: Point, style: str = "") -> str:
    x, y = middle
    return f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="middle"{style}>{_x(text)}</text>'


def _n(value: float) -> str:
    """A coordinate, with as many digits as can be seen."""
    return f"{value:.1f}".removesuffix(".0")


def _x(text: str) -> str:
    """A text in XML, without the characters that XML has no place for."""
    return NOT_XML.sub("\ufffd", escape(text))
