"""Names of layers from an ONNX file: the module that a node was exported from, where the exporter left it."""

from __future__ import annotations

from ast import literal_eval
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch's exporter notes the modules around an operator, the outermost first."""


def paths(nodes: Sequence[Any], constants: Collection[str]) -> list[str]:
    """A dotted path for each node: its module's, with the operator's name where the module has several."""
    scopes = [_weights_module(node, constants) or _scope(node) for node in nodes]
    alone = Counter(scopes)
    around = {scope.rsplit(".", i)[0] for scope in scopes for i in range(1, scope.count(".") + 1)}
    result = []
    for node, scope in zip(nodes, scopes):
        module = scope and alone[scope] == 1 and scope not in around
        result.append(scope if module else f"{scope}.{snake(node.op_type)}" if scope else snake(node.op_type))
    return result


def _weights_module(node: Any, constants: Collection[str]) -> str:
    """The module of a node's weights: layer1.0.conv1 of layer1.0.conv1.weight."""
    names = [name for name in node.input if name in constants and name.endswith(".weight")]
    return names[0].removesuffix(".weight").replace("/", ".").strip(".") if names else ""


def _scope(node: Any) -> str:
    """The module that a node was exported from; nothing where neither its properties nor its name say it."""
    for entry in node.metadata_props:
        if entry.key == SCOPES:
            try:
                scopes = [str(scope) for scope in literal_eval(entry.value)]
            except (ValueError, SyntaxError):
                break
            return scopes[-2] if len(scopes) > 1 else ""
    # /layer1/layer1.0/conv1/Conv: parts that repeat the ones before them
    parts: list[str] = []
    for part in node.name.strip("/").split("/")[:-1]:
        parts = [part] if parts and part.startswith(f"{'.'.join(parts)}.") else [*parts, part]
    return ".".join(parts)


def snake(name: str) -> str:
    """An operator's name in the style of the language: MaxPool as max_pool."""
    return "".join(
        f"_{c.lower()}" if c.isupper() and i and not name[i - 1].isupper() else c.lower() for i, c in enumerate(name)
    )
