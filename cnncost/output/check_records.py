"""Verdicts of other counters on a network for programs: JSON (a public format), its schema, and CSV."""

from __future__ import annotations

from typing import Any

from cnncost.analysis.checks import VERDICTS, LayerCheck
from cnncost.output.check import Checks
from cnncost.output.conventions import counted_record
from cnncost.output.formats import csv_text, json_text
from cnncost.output.units import shape

SCHEMA_VERSION = 1
"""Of the JSON of check; grows when a key changes its meaning or goes."""


def layer_record(layer: LayerCheck) -> dict[str, Any]:
    """One layer of the JSON."""
    return {
        "name": layer.name,
        "op": layer.op,
        "kind": layer.kind,
        "output_shape": list(layer.output_shape),
        "params": layer.params,
        "macs": layer.macs,
        "torch": {
            "output_shape": list(layer.torch_shape),
            "params": layer.torch_params,
            "macs": layer.torch_macs,
            "unknown": list(layer.torch_unknown),
        },
        "fvcore": {
            "macs": None if layer.unknown else layer.fvcore_macs,
            "others": layer.fvcore_others,
            "unknown": list(layer.unknown),
        },
        "verdict": layer.verdict,
        "faults": list(layer.faults),
    }


def check_record(checks: Checks) -> dict[str, Any]:
    """The JSON of `cnncost check` as Python values."""
    from cnncost import __version__

    return {
        "schema": SCHEMA_VERSION,
        "cnncost": __version__,
        "holds": checks.holds,
        "verdicts": VERDICTS,
        "missing": dict(checks.missing),
        "networks": [
            {
                "name": c.name,
                "source": c.source,
                "inputs": {name: list(sizes) for name, sizes in c.inputs.items()},
                "holds": c.holds,
                "params": c.params,
                "macs": c.macs,
                "torch": {"params": c.torch_params, "macs": c.torch_macs},
                "faults": list(c.faults),
                "notes": list(c.notes),
                "tools": [
                    {
                        **counted_record(tool.counts),
                        "installed": tool.version,
                        "number": tool.number,
                        "not_explained": tool.rest,
                        "failure": tool.failure,
                    }
                    for tool in c.against
                ],
                "layers": [layer_record(layer) for layer in c.layers],
            }
            for c in checks.networks
        ],
    }


def check_json(checks: Checks) -> str:
    """The JSON of `cnncost check`."""
    return json_text(check_record(checks))


def check_csv(checks: Checks) -> str:
    """One line a layer, with the network first."""
    head = ("network", "layer", "kind", "output_shape", "params", "torch_params", "macs", "torch_macs")
    rows = [
        (
            c.name,
            layer.name,
            layer.kind,
            shape(layer.output_shape),
            layer.params,
            layer.torch_params,
            layer.macs,
            layer.torch_macs,
            None if layer.unknown else layer.fvcore_macs,
            None if layer.unknown else sum(layer.fvcore_others.values()),
            " ".join(layer.unknown),
            layer.verdict,
            " ".join(layer.torch_unknown),
        )
        for c in checks.networks
        for layer in c.layers
    ]
    return csv_text([(*head, "fvcore_macs", "fvcore_others", "fvcore_unknown", "verdict", "torch_unknown"), *rows])


def check_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost check --format json` writes."""
    from cnncost.output.schema import COUNT, NAMES, SHAPE, counted_parts, document, object_

    text, some_text = {"type": "string"}, {"type": ["string", "null"]}
    flag, some_count = {"type": "boolean"}, {"type": ["integer", "null"]}
    by_operator = {"type": "object", "additionalProperties": COUNT}
    fvcore = {
        "macs": {**some_count, "description": "null where it does not know an operator"},
        "others": {**by_operator, "description": "what it counts besides MACs, by operator"},
        "unknown": {**NAMES, "description": "operators that it does not know, or why it could not count"},
    }
    torch_unknown = {**NAMES, "description": "operators with MACs that it has no rule for, and takes for nothing"}
    layer = {
        "name": text,
        "op": text,
        "kind": text,
        "output_shape": {**SHAPE, "description": "batch first"},
        "params": {**COUNT, "description": "also where another layer holds them"},
        "macs": COUNT,
        "torch": object_({"output_shape": SHAPE, "params": COUNT, "macs": COUNT, "unknown": torch_unknown}),
        "fvcore": object_(fvcore),
        "verdict": {"enum": list(VERDICTS)},
        "faults": {**NAMES, "description": "what differs, in words"},
    }
    tool = {
        **counted_parts(),
        "installed": {**text, "description": "version that counted"},
        "number": {**some_count, "description": "what the tool itself says; null where it failed"},
        "not_explained": {**some_count, "description": "number - total"},
        "failure": some_text,
    }
    network = {
        "name": text,
        "source": some_text,
        "inputs": {"type": "object", "additionalProperties": SHAPE},
        "holds": flag,
        "params": COUNT,
        "macs": COUNT,
        "torch": object_({"params": COUNT, "macs": COUNT}),
        "faults": {**NAMES, "description": "what differs in the totals"},
        "notes": {**NAMES, "description": "what a reader must know of the network"},
        "tools": {"type": "array", "items": object_(tool)},
        "layers": {"type": "array", "items": object_(layer)},
    }
    return document(
        "cnncost check",
        {
            "schema": {"const": SCHEMA_VERSION},
            "cnncost": text,
            "holds": {**flag, "description": "whether nothing differs; exit code 0 or 1"},
            "verdicts": {"type": "object", "description": "what the verdicts mean"},
            "missing": {"type": "object", "additionalProperties": text, "description": "tools that are not here"},
            "networks": {"type": "array", "items": object_(network)},
        },
    )
