"""Whatever the text, load() returns a graph or raises CnncostError: never another exception, never a hang."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cnncost
from cnncost.ops import MENU, find
from cnncost.spec.files import bundled_folder, bundled_names
from cnncost.spec.functions import FUNCTIONS

FILE = Path(tempfile.mkdtemp()) / "net.yaml"
TEXTS = [Path(bundled_folder(), f"{name}.yaml").read_bytes() for name in bundled_names()]
TOKEN = re.compile(rb"[\w.]+|\s+|[^\w\s]")
TOKENS = sorted({token for text in TEXTS for token in TOKEN.findall(text)})
OPTIONS = sorted({option for key in MENU for option in find(key).options})
COMMON = ["from", "if", "repeat", "reuse", "after", "op", "layers", "blocks", "parameters", "inputs", "extends"]
many = settings(max_examples=600, deadline=2000, suppress_health_check=list(HealthCheck))


def check_survives(text: bytes) -> None:
    FILE.write_bytes(text)
    with contextlib.suppress(cnncost.CnncostError):
        cnncost.analyze(FILE).to_json()  # what loads can be priced and written too


def changed(draw: st.DrawFn, pieces: list[bytes], fresh: st.SearchStrategy[bytes]) -> bytes:
    """The pieces joined, after a few of them are dropped, doubled, swapped, moved or replaced."""
    for _ in range(draw(st.integers(1, 6))):
        if not pieces:
            break
        i, j = draw(st.integers(0, len(pieces) - 1)), draw(st.integers(0, len(pieces) - 1))
        match draw(st.integers(0, 4)):
            case 0:
                del pieces[i : i + draw(st.integers(1, 8))]
            case 1:
                pieces[i:i] = pieces[i:j]
            case 2:
                pieces[i], pieces[j] = pieces[j], pieces[i]
            case 3:
                pieces[i] = draw(fresh)
            case _:
                pieces.insert(i, draw(fresh))
    return b"".join(pieces)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A bundled architecture with a few bytes, tokens or lines changed."""
    text = draw(st.sampled_from(TEXTS))
    match draw(st.integers(0, 2)):
        case 0:
            return changed(draw, [text[i : i + 1] for i in range(len(text))], st.binary(max_size=3))
        case 1:
            return changed(draw, TOKEN.findall(text), st.sampled_from(TOKENS))
        case _:
            lines = [line for other in TEXTS for line in other.splitlines(keepends=True)]
            return changed(draw, text.splitlines(keepends=True), st.sampled_from(lines))


@many
@given(mutated())
def test_mutations_of_the_bundled_architectures(text: bytes) -> None:
    check_survives(text)


words = st.sampled_from(
    ["a", "b", "c", "n", "i", "input", "a.0", "a.b", "3x8x8", "8x5", "relu", "conv", "block", "input.channels", "same",
     "n // 0", "2 * n", "n[0]", "n[i]", "10 ** n", "max(n)", "a if n else b", "n == 3", "not n", "-n", "[n, 2]", ""]
)  # fmt: skip
scalars = (
    words
    | st.integers(-3, 9)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
    | st.text(max_size=5)
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=3))
options = st.dictionaries(st.sampled_from(OPTIONS + COMMON), values, max_size=4)


@st.composite
def layer(draw: st.DrawFn) -> object:
    key = draw(st.sampled_from([*MENU, "block", "op"]))
    return draw(st.just({key: draw(values), **draw(options)}) | st.just(key) | values)


layers = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "left", "1"]), layer(), min_size=1, max_size=5)
block = st.fixed_dictionaries({"layers": layers}, optional={"parameters": values, "inputs": values}) | values
specs = st.fixed_dictionaries(
    {"input": st.sampled_from(["3x8x8", "4x9", "2x5x6x7", "12"]) | values, "layers": layers},
    optional={
        "parameters": st.dictionaries(words, values, max_size=3),
        "blocks": st.dictionaries(st.sampled_from(["block", "a"]), block, max_size=2),
        "extends": st.sampled_from(bundled_names()) | values,
    },
)


@many
@given(specs)
def test_structures_that_look_like_specs(spec: object) -> None:
    check_survives(json.dumps(spec).encode())


pieces = st.lists(
    st.sampled_from([*"()[]+-*/%<>=!.,:'\\ ", "**", "//", "<<", " if ", " else ", " and ", "not ", " in ", " for ",
                     "lambda ", "n", "m", "i", "input", ".channels", "0", "7", "9" * 20, "1e308", "'x'", "0x1f", "None",
                     *FUNCTIONS]),
    max_size=14,
)  # fmt: skip


@many
@given(pieces.map("".join) | st.text(max_size=20))
def test_expressions(text: str) -> None:
    spec = {"input": "3x8x8", "parameters": {"n": 3, "m": [1, 2.5]}, "layers": {"a": {"conv": text}}}
    check_survives(json.dumps(spec).encode())


@pytest.mark.parametrize("name", bundled_names())
def test_every_prefix_of_a_file(name: str) -> None:
    text = Path(bundled_folder(), f"{name}.yaml").read_bytes()
    for end in range(0, len(text), len(text) // 100):
        check_survives(text[:end])
