"""A spec in a string, as the tests of the language use it: loaded, and held against the JSON Schema."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

import cnncost
from cnncost.graph import Graph
from cnncost.spec.schema import schema

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
