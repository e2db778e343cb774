"""The JSON Schema of device sheets, for editors; it follows from the tables of keys and units."""

from __future__ import annotations

import re
from typing import Any

from cnncost.devices.quantities import UNITS
from cnncost.devices.sheet import DTYPES, FIGURE, FIGURES, KINDS, PEAK, SOURCE, TOP, WORDS, WORKING_SET

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "pattern": r"\S"}
NUMBER = r"^\s*([0-9]{1,3}(,[0-9]{3})+|[0-9]{1,12})(\.[0-9]{1,9})?\s*"


def schema() -> Schema:
    """JSON Schema (draft 2020-12) of a device sheet. It cannot hold rates against units and clocks."""
    figures = {key: {"description": about, **_figure(dimension)} for key, (dimension, about) in FIGURES.items()}
    words = {key: {"description": about, **TEXT} for key, about in WORDS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cnncost device",
        "description": "The data sheet of a device for cnncost",
        "type": "object",
        "properties": {
            "extends": {"description": TOP["extends"], **TEXT},
            **words,
            "year": {"description": TOP["year"], "type": "integer", "minimum": 1940, "maximum": 2100},
            "kind": {"description": TOP["kind"], "enum": list(KINDS)},
            "aliases": {"description": TOP["aliases"], "type": "array", "items": TEXT},
            "sources": {
                "description": TOP["sources"],
                "type": "object",
                "minProperties": 1,
                "additionalProperties": _object(
                    {key: {"description": a, **TEXT} for key, a in SOURCE.items()}, "title"
                ),
            },
            **figures,
            "peaks": {"description": TOP["peaks"], "type": "array", "minItems": 1, "items": _peak()},
            "working_sets": {
                "description": TOP["working_sets"],
                "type": "array",
                "minItems": 1,
                "items": _working_set(),
            },
        },
        "additionalProperties": False,
        "if": {"not": {"required": ["extends"]}},
        "then": {"required": ["name", "maker", "year", "kind", "sources"]},
    }


def _object(properties: dict[str, Schema], *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _quantity(dimension: str) -> Schema:
    """A figure as it stands: text with a unit, or for counts a whole number."""
    if dimension == "count":
        return {"type": "integer", "minimum": 1}
    units = "|".join(re.escape(unit) for unit in UNITS[dimension])
    return {"type": "string", "pattern": rf"{NUMBER}({units})\s*$"}


def _figure(dimension: str) -> Schema:
    value = _quantity(dimension)
    described = {"description": FIGURE["is"], **value}
    return {"anyOf": [value, _object({"is": described, "source": {"description": FIGURE["source"], **TEXT}}, "is")]}


def _working_set() -> Schema:
    dimensions = {key: "bytes" if key == "size" else "bandwidth" for key in WORKING_SET}
    properties = {key: {"description": about, **_quantity(dimensions[key])} for key, about in WORKING_SET.items()}
    return {**_object(properties, "size"), "minProperties": 2}


def _peak() -> Schema:
    rates = {"anyOf": [_quantity("rate"), _quantity("int_rate")]}
    clocks = {"anyOf": [{"enum": ["base_clock", "boost_clock"]}, _quantity("clock")]}
    kinds: dict[str, Schema] = {
        "dtype": {"enum": list(DTYPES)},
        "fmas": _quantity("count"),
        "clock": clocks,
        "rate": rates,
    }
    properties = {key: {"description": about, **kinds.get(key, TEXT)} for key, about in PEAK.items()}
    return {**_object(properties, "dtype", "unit"), "anyOf": [{"required": ["rate"]}, {"required": ["fmas"]}]}
