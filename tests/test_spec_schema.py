"""The JSON Schema of the language: what it accepts, what it flags, and that start-up does not pay for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from cases import CASES
from specs import as_json, faults, net

import cnncost
from cnncost.ops import MENU, find
from cnncost.spec.files import bundled_folder, bundled_names
from cnncost.spec.schema import schema


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema() == schema()  # and nothing in it is changed by making it


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_architectures(name: str) -> None:
    assert faults(Path(bundled_folder(), f"{name}.yaml").read_text(encoding="utf-8")) == []


def written(value: object) -> object:
    return [written(item) for item in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("key", MENU)
def test_every_case_of_every_op(key: str) -> None:
    """Whatever the tests of the ops build can be written, and the schema accepts it."""
    import json

    found = [case for case in CASES if case.key == key and len({shape[0] for shape in case.shapes}) == 1]
    assert found
    for case in found:
        options = {name: written(value) for name, value in case.options.items()}
        inputs = {f"x{i}": [*shape[1:]] for i, shape in enumerate(case.shapes)}
        layer = {key: None, "from": list(inputs), **options}
        graph = net(json.dumps({"input": inputs, "layers": {"a": layer}}), batch=case.shapes[0][0])
        assert graph.nodes[0].op == case.op()


def flagged(text: str) -> str:
    """The deepest fault that the schema finds, which is the one that an editor underlines."""
    errors = list(jsonschema.Draft202012Validator(schema()).iter_errors(as_json(text)))
    assert errors
    return ".".join(map(str, jsonschema.exceptions.best_match(errors).absolute_path))


LAYERS = "input: 3x8x8\nlayers:\n"
EXTENDS = "extends: alexnet\nlayers:\n"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ""),
        ("[]", ""),
        ("input: 3x8x8", ""),
        ("input: 3x8x8\nlayer: {a: relu}", ""),
        ("input: 3x8x8\nlayers: []", "layers"),
        ("input: 3x8x8\nlayers: {}", "layers"),
        ("input: 3 by 8\nlayers: {a: relu}", "input"),
        ("input: 3x0x8\nlayers: {a: relu}", "input"),
        ("input: [3, 0, 8]\nlayers: {a: relu}", "input.1"),
        ("input: 3x8x8\nyear: last\nlayers: {a: relu}", "year"),
        ("input: 3x8x8\nparameters: {if: 3}\nlayers: {a: relu}", "parameters"),
        ("input: 3x8x8\nparameters: {a: {b: 3}}\nlayers: {a: relu}", "parameters.a"),
        ("input: 3x8x8\nblocks: {conv: {layers: {a: relu}}}\nlayers: {a: relu}", "blocks"),
        ("input: 3x8x8\nblocks: {u: {parameters: [a]}}\nlayers: {a: relu}", "blocks.u"),
        ("input: 3x8x8\nblocks: {u: {params: [a], layers: {a: relu}}}\nlayers: {a: relu}", "blocks.u"),
        ("input: 3x8x8\nblocks: {u: {layers: {a: {conv: 8, kernal: 3}}}}\nlayers: {a: relu}", "blocks.u.layers.a"),
        (LAYERS + "  a.b: relu", "layers"),
        (LAYERS + "  input: relu", "layers"),
        (LAYERS + "  a:", "layers.a"),
        (LAYERS + "  a: 3", "layers.a"),
        (LAYERS + "  a: [relu]", "layers.a"),
        (LAYERS + "  a: {}", "layers.a"),
        (LAYERS + "  a: conv", "layers.a"),
        (LAYERS + "  a: {from: input}", "layers.a"),
        (LAYERS + "  a: {conv: }", "layers.a"),
        (LAYERS + "  a: {conv: 8, kernal: 3}", "layers.a"),
        (LAYERS + "  a: {conv: 8, relu: }", "layers.a"),
        (LAYERS + "  a: {conv: 0}", "layers.a.conv"),
        (LAYERS + "  a: {conv: 2.5}", "layers.a.conv"),
        (LAYERS + "  a: {conv: true}", "layers.a.conv"),
        (LAYERS + "  a: {conv: {out: 8}}", "layers.a.conv"),
        (LAYERS + "  a: {conv: 8, kernel: [3, -3]}", "layers.a.kernel"),
        (LAYERS + "  a: {conv: 8, padding: [[1, 2, 3]]}", "layers.a.padding"),
        (LAYERS + "  a: {conv: 8, bias: 1}", "layers.a.bias"),
        (LAYERS + "  a: {relu: 6}", "layers.a.relu"),
        (LAYERS + "  a: {add: {b: c}}", "layers.a.add"),
        (LAYERS + "  a: {relu: , repeat: -1}", "layers.a.repeat"),
        (LAYERS + "  a: {relu: , if: 3}", "layers.a.if"),
        (LAYERS + "  a: {relu: , from: []}", "layers.a.from"),
        (LAYERS + "  a: {relu: , from: {b: c}}", "layers.a.from"),
        (LAYERS + "  a: {relu: , after: b}", "layers.a"),
        (LAYERS + "  a: {reuse: b, stride: 2}", "layers.a"),
        (LAYERS + "  a: {reuse: [b]}", "layers.a.reuse"),
        (LAYERS + "  a: {block: {b: 3}}", "layers.a.block"),
        ("extends: [alexnet]", "extends"),
        (EXTENDS + "  conv1: 3", "layers.conv1"),
        (EXTENDS + "  conv1: {}", "layers.conv1"),
        (EXTENDS + "  conv1: {conv: 8, kernal: 3}", "layers.conv1"),
        (EXTENDS + "  conv1: {stride: {}}", "layers.conv1.stride"),
        (EXTENDS + "  conv1: {after: [a]}", "layers.conv1.after"),
    ],
)
def test_flags(text: str, path: str) -> None:
    assert flagged(text).startswith(path)


def test_a_wrong_op_is_flagged_in_one_line() -> None:
    """An editor shows the op's own complaint, not one for every other op."""
    assert faults(LAYERS + "  a: {conv: 8, kernal: 3}") == [
        "layers.a: Additional properties are not allowed ('kernal' was unexpected)"
    ]


def test_every_op_is_described() -> None:
    definitions = schema()["$defs"]
    for key in MENU:
        cls = find(key)
        assert definitions[key]["description"].split() == (cls.__doc__ or "").split()
        properties = definitions[key]["properties"]
        assert set(properties) == {key, *cls.options, "from", "if", "repeat", "after"}
        for name, field in cls.options.items():
            assert properties[name].get("default", "none") == (
                field.default if "default" in properties[name] else "none"
            )


def test_start_up_does_not_load_it() -> None:
    code = "import sys, cnncost; cnncost.load('alexnet'); assert 'cnncost.spec.schema' not in sys.modules"
    package = str(Path(cnncost.__file__).parent.parent)
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": package})
