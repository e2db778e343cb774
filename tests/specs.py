"""A spec in a string, as the tests of the language use it: loaded, and held against the JSON Schema."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import cnncost
from cnncost.graph import Graph
from cnncost.spec.schema import schema

TINY = """\
name: tiny
input: 3x7x9
parameters: {out: 5}
blocks:
  unit:
    parameters: [out]
    layers:
      conv: {conv: out, kernel: 3, stride: 3}
      relu: relu
layers:
  first: {unit: out}
  pool: {global_avg_pool, keep: false}
  fc: {linear: 2}
"""
"""A small network with a block and a parameter."""
FOLDER = Path(tempfile.mkdtemp())


@cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema())


def as_json(text: str) -> Any:
    """A spec as an editor's YAML reader sees it: keys are text."""
    return json.loads(json.dumps(yaml.safe_load(text)))


def faults(text: str) -> list[str]:
    """What the JSON Schema has against a spec."""
    return [f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in validator().iter_errors(as_json(text))]


def net(text: str, name: str = "net", **given: Any) -> Graph:
    """Load a spec that the JSON Schema must accept as well."""
    assert faults(text) == []
    path = FOLDER / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return cnncost.load(path, **given)


def wires(graph: Graph) -> list[str]:
    """A graph in a line a layer: name: op(inputs)."""
    return [f"{node.name}: {node.op.key}({', '.join(node.inputs)})" for node in graph]


def layer(graph: Graph, name: str) -> Any:
    """The op of a layer."""
    return next(node.op for node in graph if node.name == name)


def failure(text: str, **given: Any) -> str:
    """The message with which a spec is refused that the JSON Schema takes."""
    with pytest.raises(cnncost.CnncostError) as caught:
        net(text, **given)
    return caught.value.message
