"""JSON Schema of the JSON report."""

from __future__ import annotations

from typing import Any

from cnncost.analysis.dtypes import DTYPES
from cnncost.output.records import SCHEMA_VERSION

COUNT = {"type": "integer", "minimum": 0}
SHAPE = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1}
PAIR = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
NAMES = {"type": "array", "items": {"type": "string"}}

COUNTS = {
    "params": "learned numbers: weights + biases + other_params",
    "weights": "learned numbers that multiply inputs inside a MAC",
    "biases": "learned numbers that are added to such a sum",
    "other_params": "other learned numbers: scales and shifts of norms, slopes",
    "buffers": "running statistics: kept, not learned",
    "macs": "multiply-accumulates of the whole batch",
    "flops": "2 x macs + additions + multiplications + comparisons + divisions + exponentials",
    "additions": "additions outside MACs, those of biases included",
    "multiplications": "multiplications outside MACs",
    "comparisons": "comparisons",
    "divisions": "divisions",
    "exponentials": "exp, log, erf, powers and roots",
    "neurons": "outputs of layers with weights",
    "elements_read": "inputs and parameters, each once",
    "elements_written": "outputs",
    "activation_bytes": "bytes of new storage that outputs take; views and in-place layers take none",
    "weight_bytes": "bytes of the parameters",
}
"""Keys that a layer and the totals share, and what they count. Whole batch, inference."""


def _counts() -> dict[str, Any]:
    return {key: {**COUNT, "description": about} for key, about in COUNTS.items()}


def _per_axis(about: str, item: dict[str, Any]) -> dict[str, Any]:
    return {"description": about, "anyOf": [{"type": "array", "items": item}, {"type": "null"}]}


def object_(properties: dict[str, Any]) -> dict[str, Any]:
    """An object that has all of these keys."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def document(title: str, properties: dict[str, Any]) -> dict[str, Any]:
    """A schema of its own."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **object_(properties)}


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost report --format json` writes."""
    whole = document("cnncost report", report_parts())
    asked = {"training": _training(), "testing": _testing(), "convention": _convention()}
    return {**whole, "properties": {**whole["properties"], **asked}}


def counted_parts() -> dict[str, Any]:
    """The keys of a network as another tool counts it."""
    text = {"type": "string"}
    amounts = {"type": "object", "additionalProperties": {"type": "integer"}}
    return {
        "tool": text,
        "version": {**text, "description": "of the tool whose rules these are"},
        "calls_it": {**text, "description": "what the tool calls its number"},
        "macs": COUNT,
        "added": {**amounts, "description": "what the rules add to the MACs, by kind of layer; below 0 for less"},
        "total": {**COUNT, "description": "the tool's number: macs + added"},
        "rules": {"type": "object", "additionalProperties": NAMES, "description": "what was added, in words"},
        "note": text,
        "unruled": {**NAMES, "description": "kinds of traced operators that the tool was not tried on"},
    }


def _convention() -> dict[str, Any]:
    """The key `convention`, there where it is asked for."""
    counts = {"type": "object", "additionalProperties": COUNT, "description": "the tool's number, a row each"}
    return object_({**counted_parts(), "layers": counts})


def _training() -> dict[str, Any]:
    """The key `training`, there where it is asked for."""
    share = {"description": "[least, most] share of the devices' peak", "anyOf": [PAIR, {"type": "null"}]}
    simple = "by the usual rule, every gradient of every layer"
    run = {
        "devices": {**COUNT, "minimum": 1},
        "device": {"type": "string", "description": "key of the device's sheet"},
        "dtype": {"enum": list(DTYPES)},
        "epochs": COUNT,
        "images": {**COUNT, "description": "images of an epoch"},
        "source": {"type": ["string", "null"], "description": "where the run is told, for those of the spec's facts"},
        "macs": COUNT,
        "flops": {**COUNT, "description": "2 x macs"},
        "three_times_forward_macs": {**COUNT, "description": simple},
        "peak_flops_per_second": {"type": "number", "description": "of all devices together, dense"},
        "seconds_at_peak": {"type": "number"},
        "seconds": {"description": "[least, most] that the run took", "anyOf": [PAIR, {"type": "null"}]},
        "utilisation": share,
        "three_times_forward_utilisation": share,
    }
    an_image = {
        "macs_per_image": {**COUNT, "description": "forward and both gradients"},
        "forward_macs_per_image": COUNT,
        "weight_gradient_macs_per_image": COUNT,
        "data_gradient_macs_per_image": {**COUNT, "description": "none for layers that take only the network's input"},
        "three_times_forward_macs_per_image": {**COUNT, "description": simple},
    }
    return object_({**an_image, "runs": {"type": "array", "items": object_(run)}})


def _testing() -> dict[str, Any]:
    """The key `testing`, there where it is asked for."""
    number = {"type": ["number", "null"], "description": "null without a device"}
    return object_(
        {
            "crops": COUNT,
            "models": COUNT,
            "passes": {**COUNT, "description": "crops x models"},
            "macs": {**COUNT, "description": "of one test image"},
            "flops": {**COUNT, "description": "2 x macs"},
            "device": {"type": ["string", "null"], "description": "key of the device's sheet"},
            "dtype": {"enum": [*DTYPES, None]},
            "peak_flops_per_second": number,
            "seconds_at_peak": number,
        }
    )


def version_parts(version: int) -> dict[str, Any]:
    """The keys with which every public format begins."""
    return {
        "schema": {"const": version, "description": "grows when a key changes its meaning or goes"},
        "cnncost": {"type": "string", "description": "version of the program"},
    }


def report_parts() -> dict[str, Any]:
    """The keys of a report."""
    number = {"type": ["number", "null"]}
    text = {"type": ["string", "null"]}
    layer = {
        "name": {"type": "string", "description": "path of the layer in the spec"},
        "op": {"type": "string", "description": "key of the op in the language; block for folded rows"},
        "kind": {"type": "string", "description": "the op and its telling options"},
        "inputs": {**NAMES, "description": "names of the layers or network inputs that it takes"},
        "output_shape": {"type": "array", "items": {"type": "integer"}, "description": "batch first"},
        **_counts(),
        "peak_bytes": {**COUNT, "description": "most bytes of the whole network alive while the layer runs"},
        "intensity": {**number, "description": "flops per byte read or written"},
        "receptive_field": _per_axis("input pixels that one output depends on, an axis each", COUNT),
        "receptive_field_stride": _per_axis("input pixels between neighbouring fields", number),
        "receptive_field_centre": _per_axis("middle of the first field, in pixels from 0", number),
        "dropped": _per_axis("input pixels at the far border that the stride leaves unseen", COUNT),
        "shares": {**text, "description": "the layer whose parameters this one reuses; its own counts are 0"},
        "where": {**text, "description": "file:line:column"},
    }
    training = {
        "type": ["integer", "null"],
        "description": "the same in a step of training, SGD with momentum; null where the dtype has no gradients",
    }
    totals = {
        **_counts(),
        "peak_bytes": {**COUNT, "description": "most bytes alive at once at inference, parameters and inputs too"},
        "layers": {**COUNT, "description": "layers with weights on the longest path"},
    }
    return {
        **version_parts(SCHEMA_VERSION),
        "name": {"type": "string"},
        "source": text,
        "about": {"type": "object"},
        "input": {**SHAPE, "description": "shape of the (first) input, batch first"},
        "inputs": {"type": "object", "additionalProperties": SHAPE},
        "outputs": {**NAMES, "description": "layers that no other layer takes"},
        "batch": {"type": "integer", "minimum": 1},
        "dtype": {"enum": list(DTYPES)},
        "notes": {**NAMES, "description": "what a reader of these numbers must know"},
        "conventions": {**NAMES, "description": "what the numbers mean"},
        "totals": object_({**totals, "training_peak_bytes": training}),
        "per_image": {"type": "object", "additionalProperties": COUNT},
        "layers": {"type": "array", "items": object_(layer)},
    }
