"""Graphs as text that other programs draw: Mermaid and Graphviz."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cnncost.analysis.folded import Folded, Group
from cnncost.output.graph_labels import EDGE, FILLS, GROUP, LINE, TEXT, Words, group_name

PLAIN = re.compile(r"[^\w ,/()=.\-→]|(?<![^\W_])[_\-]|[_\-](?![^\W_])|\.(?= )")
"""What Mermaid could take for more than text: its own signs, HTML, and Markdown, whose marks stand at ends of words."""
FONT = "Helvetica"


def to_mermaid(graph: Folded, words: Words) -> str:
    """A flowchart of Mermaid: a node a line, open blocks as subgraphs. (mermaid.js.org/syntax/flowchart)"""
    title = mermaid_text(words.title)  # a setting in a comment would be obeyed
    lines = [f"%% {line}" for line in (title, words.about, words.key, *words.conventions)]
    lines.append("flowchart TD")
    lines += _mermaid_group(graph, words, graph.top, "  ", _numbers(graph))
    for edge, text in zip(graph.edges, words.edges):
        said = f'|"{mermaid_text(text)}"|' if text else ""
        lines.append(f"  n{edge.source} -->{said} n{edge.target}")
    levels: dict[int, list[str]] = {}
    for i, label in enumerate(words.labels):
        levels.setdefault(label.level, []).append(f"n{i}")
    for level, nodes in sorted(levels.items()):
        lines.append(f"  classDef c{level} fill:{FILLS[level]},stroke:{LINE},color:{TEXT}")
        lines.append(f"  class {','.join(nodes)} c{level}")
    return "\n".join(lines) + "\n"


def mermaid_text(text: str) -> str:
    """A text between quotes, where only Mermaid's #number; means something."""
    return PLAIN.sub(lambda match: f"#{ord(match[0])};", text)


def _mermaid_group(
    graph: Folded, words: Words, group: Group, indent: str, numbers: dict[tuple[str, ...], int]
) -> Iterator[str]:
    for part in group.inside:
        if isinstance(part, Group):
            yield f'{indent}subgraph g{numbers[part.path]}["{mermaid_text(group_name(part))}"]'
            yield from _mermaid_group(graph, words, part, indent + "  ", numbers)
            yield f"{indent}end"
        else:
            text = "<br/>".join(mermaid_text(line) for line in words.labels[part].lines)
            opening, closing = ('["', '"]') if graph.items[part].row else ('(["', '"])')
            yield f"{indent}n{part}{opening}{text}{closing}"


def to_dot(graph: Folded, words: Words) -> str:
    """A graph of Graphviz: a node a line, open blocks as clusters. (graphviz.org/doc/info/lang.html)"""
    lines = [f"// {line}" for line in words.conventions]
    lines += [
        "digraph network {",
        f"  graph [label={quoted(words.title, words.about, words.key)}, labelloc=t, fontname={FONT}, fontsize=12]",
        f'  node [shape=box, style="rounded,filled", fontname={FONT}, fontsize=11, color="{LINE}", fontcolor="{TEXT}"]',
        f'  edge [fontname={FONT}, fontsize=10, color="{EDGE}"]',
        *_dot_group(graph, words, graph.top, "  ", _numbers(graph)),
    ]
    for edge, text in zip(graph.edges, words.edges):
        said = f" [label={quoted(text)}]" if text else ""
        lines.append(f"  n{edge.source} -> n{edge.target}{said}")
    return "\n".join(lines) + "\n}\n"


def quoted(*lines: str) -> str:
    """Lines as a string of Graphviz, in which backslashes and HTML's entities mean themselves."""
    escaped = (line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def _dot_group(
    graph: Folded, words: Words, group: Group, indent: str, numbers: dict[tuple[str, ...], int]
) -> Iterator[str]:
    for part in group.inside:
        if isinstance(part, Group):
            yield f"{indent}subgraph cluster_g{numbers[part.path]} {{"
            yield f'{indent}  graph [label={quoted(group_name(part))}, labeljust=l, style=rounded, color="{GROUP}"]'
            yield from _dot_group(graph, words, part, indent + "  ", numbers)
            yield f"{indent}}}"
        else:
            label = words.labels[part]
            shape = "" if graph.items[part].row else ", shape=oval"
            yield f'{indent}n{part} [label={quoted(*label.lines)}, fillcolor="{FILLS[label.level]}"{shape}]'


def _numbers(graph: Folded) -> dict[tuple[str, ...], int]:
    """Groups by number, the network as 0."""
    return {group.path: i for i, group in enumerate(graph.top.groups())}
