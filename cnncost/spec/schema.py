"""The JSON Schema of the language, and its table of ops: both follow from the op classes.

Editors complete and check specs with the schema. It cannot know a file's own blocks, nor the order
of keys: a layer that has the key of an op is held against that op, any other is taken for a call of
a block.
"""

from __future__ import annotations

from dataclasses import MISSING
from typing import Any

from cnncost.ops import MENU, Op, find
from cnncost.options import EXPRESSION, kind_of, spelled
from cnncost.spec.amounts import NUMBER, parse_bytes, parse_count
from cnncost.spec.budget import DEFAULTS, QUANTITIES, SIZES
from cnncost.spec.claims import CLAIM, FACT, LISTS, PERCENT, WHOLE
from cnncost.spec.document import ABOUT, COMMON
from cnncost.spec.lines import RESERVED

Schema = dict[str, Any]

NAME = r"^[\w+#-]{1,60}$"
NAMED: Schema = {"type": ["string", "integer"]}
COMMON_SCHEMAS: dict[str, Schema] = {
    "from": {
        "description": "layers to take as input, by name; the layer above if left out",
        "anyOf": [NAMED, {"type": "array", "items": NAMED, "minItems": 1}, {"type": "null"}],
    },
    "if": {
        "description": "a condition; where it is false the layer passes its input on",
        "type": ["boolean", "string"],
    },
    "repeat": {
        "description": "how many times, one after another; `i` counts them from 0 in this layer's expressions",
        "anyOf": [{"type": "integer", "minimum": 0}, EXPRESSION],
    },
    "reuse": {"description": "an earlier layer or block to run again, with the same parameters", **NAMED},
    "after": {"description": "the layer of the extended spec that this one follows", **NAMED},
}
"""Keys that any layer may have; `after` only where a spec extends another."""

VALUE: Schema = {
    "description": "a number, a word, an expression, true, false, null, or a list of these",
    "anyOf": [
        {"type": ["number", "string", "boolean", "null"]},
        {"type": "array", "items": {"$ref": "#/$defs/value"}},
    ],
}

ONE_OR_MORE: Schema = {
    "anyOf": [{"$ref": "#/$defs/budget"}, {"type": "array", "items": {"$ref": "#/$defs/budget"}, "minItems": 1}]
}
"""A budget, or several at sizes of their own."""


def schema() -> Schema:
    """JSON Schema (draft 2020-12) of a spec file."""
    definitions: dict[str, Schema] = {key: _op(find(key)) for key in MENU}
    definitions |= {"layer": _layer(), "change": _change(), "block": _block("layer"), "block_change": _block("change")}
    definitions = {"value": VALUE, **_shortened({"budget": _budget(), **definitions}), "expression": EXPRESSION}
    about: dict[str, Schema] = {key: {"description": text, "type": "string"} for key, text in ABOUT.items()}
    about["name"]["type"] = about["title"]["type"] = ["string", "number"]
    about["year"]["type"] = "integer"
    whole: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cnncost spec",
        "description": "A convolutional network for cnncost, one network a file",
        "type": "object",
        "properties": {
            **about,
            "extends": {
                "description": "the spec to start from: a file beside this one, or a bundled name",
                "type": "string",
            },
            "input": _input(),
            "parameters": _parameters(),
            "blocks": {"description": "sub-networks by name, to be used like ops", "type": "object"},
            "layers": {"description": "layers by name, in the order in which they run", "type": "object"},
            "facts": _figures(FACT, "measured, not derived: error rates, training times", []),
            "claims": _figures(CLAIM, "published figures, for `cnncost verify`", ["printed", "quantity"]),
            "budget": {"description": "what it may cost at most, for `cnncost budget`", **ONE_OR_MORE},
        },
        "additionalProperties": False,
        "if": {"required": ["extends"]},
        "then": _sections("change"),
        "else": {**_sections("layer"), "required": ["layers"]},
    }
    return {key: _shortened(value) for key, value in whole.items()} | {"$defs": definitions}


def _shortened(part: Any) -> Any:
    """The same schema with a reference in place of every copy of the expression's."""
    if part == EXPRESSION:
        return {"$ref": "#/$defs/expression"}
    if isinstance(part, dict):
        return {key: _shortened(value) for key, value in part.items()}
    return [_shortened(item) for item in part] if isinstance(part, list) else part


def _sections(layer: str) -> Schema:
    """Layers and blocks of a spec: `change` where it extends another."""
    block = "block" if layer == "layer" else "block_change"
    blocks = {"additionalProperties": {"$ref": f"#/$defs/{block}"}, "minProperties": 1}
    return {"properties": {"layers": _layers(layer), "blocks": {**blocks, "propertyNames": _block_name()}}}


def _layers(layer: str) -> Schema:
    names = {"pattern": NAME, "not": {"const": "input"}}
    values = {"$ref": f"#/$defs/{layer}"}
    return {"type": "object", "minProperties": 1, "propertyNames": names, "additionalProperties": values}


def _block_name() -> Schema:
    return {"pattern": NAME, "not": {"enum": [*MENU, *RESERVED]}}


def _input() -> Schema:
    size = {"anyOf": [{"type": "integer", "minimum": 1}, EXPRESSION]}
    shape = {
        "anyOf": [
            {"type": "string", "pattern": r"^[1-9][0-9]*(x[1-9][0-9]*)*$"},
            {"type": "integer", "minimum": 1},
            {"type": "array", "items": size, "minItems": 1},
        ]
    }
    several = {"type": "object", "minProperties": 1, "propertyNames": {"pattern": NAME}, "additionalProperties": shape}
    text = "channels x height x width, without the batch: 3x224x224; several inputs by name"
    return {"description": text, "anyOf": [*shape["anyOf"], several]}


def _figures(keys: dict[str, str], about: str, required: list[str]) -> Schema:
    """Facts or claims: a list of mappings with these keys."""
    kinds: dict[str, Schema] = {key: {"type": ["string", "number"]} for key in keys}
    kinds |= {key: {"type": "integer", "minimum": 1} for key in WHOLE}
    kinds |= {key: {"type": "number", "minimum": 0, "maximum": 100} for key in PERCENT}
    kinds |= {key: {"anyOf": [NAMED, {"type": "array", "items": NAMED, "minItems": 1}]} for key in LISTS}
    kinds |= {
        "input": {key: value for key, value in _input().items() if key != "description"},
        "set": {"type": "object"},
    }
    properties = {key: {"description": text, **kinds[key]} for key, text in keys.items()}
    entry = {"type": "object", "properties": properties, "additionalProperties": False, "required": required}
    return {"description": about, "type": "array", "minItems": 1, "items": entry}


def _budget() -> Schema:
    """Limits, and the sizes at which they hold."""

    def amount(units: str, whole: bool = True) -> list[Schema]:
        text = {"type": "string", "pattern": f"^{NUMBER}{units}$"}
        return [{"type": "integer", "minimum": 0}, text] if whole else [text]

    counts, times = amount("[kKMGTPE]?"), amount("([nNuUµμmM])?[sS]", whole=False)
    kinds: dict[Any, list[Schema]] = {parse_count: counts, parse_bytes: amount("(([KkMmGgTt][Ii]?)?[Bb]|bytes)?")}
    limits: dict[str, Schema] = {}
    for key, quantity in QUANTITIES.items():
        kind = kinds.get(quantity.parse)
        each = {"type": "object", "minProperties": 1, "additionalProperties": {"anyOf": times}}
        limits[key] = {"description": quantity.about, **(each if kind is None else {"anyOf": kind})}
    sizes: dict[str, Schema] = {
        "batch": {"type": "integer", "minimum": 1},
        "dtype": {"type": "string"},
        "input": {key: value for key, value in _input().items() if key != "description"},
        "set": {"type": "object"},
    }
    described = {key: {"description": about, **sizes[key]} for key, about in SIZES.items()}
    return {"type": "object", "properties": {**limits, **described}, "additionalProperties": False, "minProperties": 1}


def budgets_schema() -> Schema:
    """JSON Schema (draft 2020-12) of a file of budgets, for `cnncost budget --budget FILE`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cnncost budgets",
        "description": "What networks may cost at most: by name, path or pattern",
        "type": "object",
        "minProperties": 1,
        "properties": {DEFAULTS: {"description": "what holds for all of them", "$ref": "#/$defs/budget"}},
        "additionalProperties": ONE_OR_MORE,
        "$defs": {"budget": _shortened(_budget()), "expression": EXPRESSION},
    }


def _parameters() -> Schema:
    names = {"pattern": r"^[^\W0-9]\w{0,59}$", "not": {"enum": list(RESERVED)}}
    return {
        "description": "values by name, for expressions and for --set",
        "type": "object",
        "minProperties": 1,
        "propertyNames": names,
        "additionalProperties": {"$ref": "#/$defs/value"},
    }


def _block(layer: str) -> Schema:
    values = {"type": "object", "additionalProperties": {"$ref": "#/$defs/value"}}
    parameters = {
        "description": "names, with defaults or without: [out, stride: 1]",
        "anyOf": [{"type": "array", "items": {"anyOf": [{"type": "string"}, values]}}, values, {"type": "string"}],
    }
    inputs = {"description": "names of the inputs, [input] if left out", "type": "array", "minItems": 1}
    return {
        "type": "object",
        "properties": {
            "parameters": parameters,
            "inputs": {**inputs, "items": {"type": "string"}},
            "layers": _layers(layer),
        },
        "additionalProperties": False,
        **({"required": ["layers"]} if layer == "layer" else {}),
    }


def _layer() -> Schema:
    """A layer of a spec that stands alone: an op, a block by its name, or a reuse."""
    bare = [key for key in MENU if not _needed(find(key))]
    needy = [key for key in MENU if _needed(find(key))]
    word = {"anyOf": [{"enum": bare}, {"type": "string", "not": {"enum": needy}}]}
    without_op = {"properties": {key: COMMON_SCHEMAS[key] for key in COMMON}, "additionalProperties": False}
    mapping = {
        "properties": {"after": False},
        "if": {"required": ["reuse"]},
        "then": without_op,
        "else": {"not": {"propertyNames": {"enum": list(COMMON)}}},
    }
    return _mapping_or(word, mapping)


def _change() -> Schema:
    """A layer of a spec that extends another: as ever, or null to remove one, or some options of an old one."""
    return _mapping_or({"type": ["string", "null"]}, {})


def _mapping_or(otherwise: Schema, rules: Schema) -> Schema:
    calls = [{"if": {"required": [key]}, "then": {"$ref": f"#/$defs/{key}"}} for key in MENU]
    keys = {key: {"description": _first_line(find(key))} for key in MENU}
    block = {
        "type": "object",
        "minProperties": 1,
        "properties": {**keys, **COMMON_SCHEMAS, **rules.pop("properties", {})},
        "additionalProperties": {"$ref": "#/$defs/value"},
        "allOf": calls,
        **rules,
    }
    return {"if": {"type": "object"}, "then": block, "else": otherwise}


def _op(cls: type[Op]) -> Schema:
    """One op as a mapping: its own key, its options, and what any layer may have."""
    options = {name: _option(cls, name) for name in cls.options}
    described = {"description": _text(cls)}
    own: Schema
    if cls.main is not None:
        own = {"anyOf": [*options[cls.main]["anyOf"], {"type": "null"}]}
    elif cls.arity != (1, 1):
        own = {"anyOf": COMMON_SCHEMAS["from"]["anyOf"]}
    else:
        own = {"type": "null"}
    common = {key: value for key, value in COMMON_SCHEMAS.items() if key != "reuse"}
    whole: Schema = {
        "description": _text(cls),
        "type": "object",
        "properties": {cls.key: {**described, **own}, **options, **common},
        "additionalProperties": False,
    }
    needed = _needed(cls)
    if cls.main in needed:
        whole["if"] = {"properties": {cls.key: {"type": "null"}}}
        whole["then"] = {"required": [cls.main]}
    others = [name for name in needed if name != cls.main]
    return {**whole, "required": others} if others else whole


def _needed(cls: type[Op]) -> list[str]:
    """Options without a default."""
    return [name for name, field in cls.options.items() if field.default is MISSING]


def _option(cls: type[Op], name: str) -> Schema:
    field = cls.options[name]
    kind = kind_of(str(field.type), cls.__module__)
    result: Schema = {"description": kind.noun, **kind.schema()}
    if field.default is None and {"type": "null"} not in result["anyOf"]:
        result["anyOf"] = [*result["anyOf"], {"type": "null"}]
    return result if field.default is MISSING else {**result, "default": field.default}


def _text(cls: type[Op]) -> str:
    """The docstring in one piece, paragraphs kept."""
    paragraphs = (cls.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _first_line(cls: type[Op]) -> str:
    return _text(cls).split("\n\n", maxsplit=1)[0]


def op_table() -> str:
    """Every op with its options and their defaults, as Markdown: the table in docs/spec.md."""
    rows = ["| Op | Options | What it is |", "|---|---|---|"]
    for key in MENU:
        cls = find(key)
        options = []
        for name, field in cls.options.items():
            value = "null" if field.default is None else spelled(field.default)
            default = "" if field.default is MISSING else f" = {value}"
            options.append(f"**{name}**{default}" if name == cls.main else f"{name}{default}")
        text = _text(cls).replace("\n\n", " ").replace("|", "\\|")
        rows.append(f"| `{key}` | {', '.join(options)} | {text} |")
    return "\n".join(rows) + "\n"
