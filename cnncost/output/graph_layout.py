"""Where the nodes and edges of a graph stand, by Graphviz; sizes are ours, so that no font of a machine matters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any, NamedTuple

from cnncost.analysis.folded import Folded, Group
from cnncost.errors import UsageError

INCH = 72
"""Points in one; a point is drawn as a pixel."""
NODES_AT_MOST = 10_000
APART = 0.4
"""Inches between layers."""
ABOVE = 14
"""Points kept free above a group, for edges that spread there: Graphviz takes titles from what is between layers."""
Point = tuple[float, float]
Size = tuple[float, float]


class Box(NamedTuple):
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> Point:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


class Curve(NamedTuple):
    """An edge: points of cubic curves, 1 + 3n of them; where its arrow ends; the middle of its label."""

    points: tuple[Point, ...]
    tip: Point
    label: Point | None


class Layout(NamedTuple):
    """A graph in its place. nodes, edges: by number. groups: all but the network, in the order of Group.groups()."""

    width: float
    height: float
    nodes: tuple[Box, ...]
    groups: tuple[Box, ...]
    edges: tuple[Curve, ...]


def require_graphviz() -> Any:
    """Graphviz by pygraphviz, whose wheels bring it along. Raises UsageError where it is not installed."""
    try:
        import pygraphviz
    except ImportError:
        hint = "pip install 'cnncost[graph]'; or --format mermaid or dot, which need nothing"
        raise UsageError("--format svg needs Graphviz", hint=hint) from None
    return pygraphviz


def laid_out(graph: Folded, nodes: Sequence[Size], groups: Sequence[Size], edges: Sequence[Size | None]) -> Layout:
    """Place boxes of these sizes, and titles of groups and labels of edges, in layers from above.

    Raises UsageError without Graphviz, and for more nodes than it places in reasonable time.
    """
    if len(nodes) > NODES_AT_MOST:
        message = f"a picture of {len(nodes):,} nodes"
        raise UsageError(message, hint=f"at most {NODES_AT_MOST:,}: fold it with a smaller --depth, or --format dot")
    graphviz = require_graphviz()
    with redirect_stderr(StringIO()):  # pygraphviz says there that large graphs take long
        drawn = graphviz.AGraph(string=_source(graph, nodes, groups, edges)).draw(prog="dot", format="json0")
    return _read(json.loads(drawn), len(nodes), len(groups), len(edges))


def _source(graph: Folded, nodes: Sequence[Size], groups: Sequence[Size], edges: Sequence[Size | None]) -> str:
    """The graph for Graphviz, without any text."""
    numbers = {group.path: i for i, group in enumerate(list(graph.top.groups())[1:])}

    def inside(group: Group) -> Iterator[str]:
        for part in group.inside:
            if isinstance(part, Group):
                i = numbers[part.path]
                width, height = groups[i]
                yield f"subgraph cluster_{i} {{ graph [label={_room((width, height + ABOVE))}, labeljust=l, margin=8]"
                yield from inside(part)
                yield "}"
            else:
                width, height = nodes[part]
                yield f"{part} [width={width / INCH:.4f}, height={height / INCH:.4f}]"

    wires = (
        f"{edge.source} -> {edge.target} [id={i}{f', label={_room(size)}' if size else ''}]"
        for i, (edge, size) in enumerate(zip(graph.edges, edges))
    )
    head = (
        f"digraph {{ graph [ranksep={APART}, nodesep=0.22]",
        'node [label="", shape=box, fixedsize=true]',
        "edge [arrowsize=0.7, tailport=s, headport=n]",  # edges leave below and come in above
    )
    return "\n".join([*head, *inside(graph.top), *wires, "}"])


def _room(size: Size) -> str:
    """A label that is nothing but its size."""
    width, height = size
    return f'<<table border="0" fixedsize="true" width="{width:.0f}" height="{height:.0f}"><tr><td></td></tr></table>>'


def _read(drawn: dict[str, Any], nodes: int, groups: int, edges: int) -> Layout:
    """What Graphviz says, with y from above."""
    _, _, width, height = map(float, drawn["bb"].split(","))
    objects = {thing["name"]: thing for thing in drawn.get("objects", ())}
    wires = {int(edge["id"]): edge for edge in drawn.get("edges", ())}

    def point(text: str) -> Point:
        x, y = map(float, text.split(","))
        return x, height - y

    def node(thing: dict[str, Any]) -> Box:
        x, y = point(thing["pos"])
        w, h = float(thing["width"]) * INCH / 2, float(thing["height"]) * INCH / 2
        return Box(x - w, y - h, x + w, y + h)

    def group(thing: dict[str, Any]) -> Box:
        left, low, right, high = map(float, thing["bb"].split(","))
        return Box(left, height - high + ABOVE, right, height - low)

    def curve(edge: dict[str, Any]) -> Curve:
        tip, *points = edge["pos"].removeprefix("e,").split(" ")
        return Curve(tuple(map(point, points)), point(tip), point(edge["lp"]) if "lp" in edge else None)

    return Layout(
        width,
        height,
        tuple(node(objects[str(i)]) for i in range(nodes)),
        tuple(group(objects[f"cluster_{i}"]) for i in range(groups)),
        tuple(curve(wires[i]) for i in range(edges)),
    )
