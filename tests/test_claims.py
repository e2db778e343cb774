"""Published figures: how they are read, derived and judged, and those that the bundled architectures carry.

`python tests/test_claims.py` writes the tables of docs/claims.md and the messages of bad_claims.txt anew.
"""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from claimed import NET, claimed
from documents import ROOT, blocks
from hypothesis import given
from hypothesis import strategies as st

import cnncost
from cnncost.analysis.claims import DIFFERS, EXACT, OPEN, ROUNDED, STALE, VERDICTS, WRONG, counted, verify
from cnncost.analysis.quantities import COUNTS, OF_ONE, covers
from cnncost.output.claims import (
    percent_off,
)
from cnncost.spec.claims import CLAIM, FACT
from cnncost.spec.document import read_document
from cnncost.spec.files import Source
from cnncost.spec.printed import UNITS, figure, rounding

DOCS = ROOT / "docs" / "claims.md"
BAD = Path(__file__).parent / "bad_claims.txt"
STEM = (3 * 5 * 3 * 10, 8 * 7)
"""Weights of the stem, and places of its output."""


def derived(quantity: str, more: str = "") -> Any:
    return claimed(f"printed: 1, quantity: {quantity}{more}, open: asked").verdicts[0].derived


# ---- printed numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "last_digit"),
    [
        ("34848", 34848, 1),
        ("34,848", 34848, 1),
        ("60M", 60 * 10**6, 10**6),
        ("3.86G", 386 * 10**7, 10**7),
        ("11.3 BFLOPs", 113 * 10**8, 10**8),
        ("4.2 million", 42 * 10**5, 10**5),
        ("3.8 x 10^9", 38 * 10**8, 10**8),
        ("4.2e6", 42 * 10**5, 10**5),
        ("4.20E+06", 42 * 10**5, 10**4),
        ("1e6", 10**6, 10**6),
        ("5e-2", Fraction(5, 100), Fraction(1, 100)),
        ("4.8MB", 48 * 10**5, 10**5),
        ("4.8 MiB", Fraction(48, 10) * 2**20, Fraction(2**20, 10)),
        ("94.86%", Fraction(9486, 10_000), Fraction(1, 10_000)),
        ("0.27M parameters", 27 * 10**4, 10**4),
        ("22 layers", 22, 1),
        ("2.33", Fraction(233, 100), Fraction(1, 100)),
    ],
)
def test_printed_numbers(text: str, value: Any, last_digit: Any) -> None:
    assert figure(text) == (value, last_digit)


@pytest.mark.parametrize(
    "text", ["", "M", "34,84", "3,8", "60m", "1.2.3", "-5", "10x32x32", "5 x 5", "60M apples", "1e", "e6", "1e6.5"]
)
def test_what_is_no_number(text: str) -> None:
    assert figure(text) is None


@given(st.integers(0, 10**12), st.integers(0, 6), st.sampled_from(sorted(UNITS)))
def test_a_number_keeps_its_digits(digits: int, decimals: int, unit: str) -> None:
    whole, part = divmod(digits, 10**decimals)
    text = f"{whole:,}" + (f".{part:0{decimals}d}" if decimals else "") + f" {unit}"
    found = figure(text)
    assert found is not None
    assert found.value == Fraction(digits, 10**decimals) * UNITS[unit]
    assert found.value / found.last_digit == digits


# ---- rounding ----------------------------------------------------------------------------------


@given(st.integers(1, 10**7), st.integers(1, 4), st.sampled_from(["nearest", "cut", "up"]), st.booleans())
def test_a_figure_agrees_with_what_it_was_rounded_from(width: int, digits: int, how: str, coarse: bool) -> None:
    """And with nothing a unit away."""
    unit = 10**digits
    value = width * 3 + 3  # weights and biases of a 1x1 convolution over three channels, less one channel's bias
    net = f"paper: x\ninput: 3x1x1\nlayers: {{a: {{conv: {width + 1}, bias: false}}}}\n"
    made = {"nearest": (2 * value + unit) // (2 * unit), "cut": value // unit, "up": -(-value // unit)}[how]
    to = f" to {unit}"
    verdicts = claimed(
        *(
            f"printed: {(made + wrong) * unit}, quantity: weights, rounding: {how}{to}"
            for wrong in (0, 2, -2 * (made > 2))
        ),
        net=net,
    ).verdicts
    assert verdicts[0].verdict == (EXACT if value % unit == 0 else ROUNDED)
    assert verdicts[1].verdict == WRONG
    assert verdicts[2].verdict == (WRONG if made > 2 else verdicts[0].verdict)


def test_digits_of_a_number_count_without_quotes_too() -> None:
    """2.50 is not 2.5: it says that the second decimal is a 0."""
    verdicts = claimed(*(f"printed: {printed}, quantity: 254 / 100" for printed in ("2.5", "2.50", '"2.50"', "2.54")))
    assert [v.verdict for v in verdicts.verdicts] == [ROUNDED, WRONG, WRONG, EXACT]


def test_layers_rounded_before_they_are_added() -> None:
    weights = [STEM[0], 10 * 10 * 9, 10 * 10 * 9, 10 * 20 * 9, 20 * 20 * 9, 20 * 7]
    for how, each in (("cut", [n // 1000 for n in weights]), ("rounded", [(n + 500) // 1000 for n in weights])):
        found = claimed(f"printed: {sum(each)}K, quantity: weights, rounding: each layer {how} to 1K").verdicts[0]
        assert (found.verdict, found.derived) == (ROUNDED, sum(each) * 1000)
        off = claimed(f"printed: {sum(each) + 1}K, quantity: weights, rounding: each layer {how} to 1K").verdicts[0]
        assert off.verdict == WRONG
    assert sum(n // 1000 for n in weights) * 1000 != sum(weights) // 1000 * 1000, "or the two could not be told apart"


def test_a_figure_that_its_rounding_cannot_give_does_not_hold() -> None:
    """STEM's 450 weights are 400 or 500 to the nearest hundred; 440 is no hundred, though near enough."""
    verdicts = claimed(
        *(f"printed: {n}, quantity: weights, of: stem, rounding: nearest to 100" for n in (400, 440, 450, 460, 500))
    ).verdicts
    assert [v.verdict for v in verdicts] == [ROUNDED, WRONG, EXACT, WRONG, ROUNDED]


def test_decimal_fractions_are_exact() -> None:
    claims = ("printed: 30%, quantity: 3 / 10", "printed: 0.1, quantity: 1 / 10", "printed: 0.3, quantity: 1 / 3")
    assert [v.verdict for v in claimed(*claims).verdicts] == [EXACT, EXACT, ROUNDED]


@pytest.mark.parametrize(
    "text", ["down", "cut to", "cut to M", "each layer", "each layer cut", "nearest to 0", "cut to x"]
)
def test_roundings_that_are_not_understood(text: str) -> None:
    with pytest.raises(cnncost.SpecError, match="is not understood"):
        rounding(text)


# ---- quantities --------------------------------------------------------------------------------


def test_counts_are_those_of_the_report(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(NET)
    report = cnncost.analyze(tmp_path / "net.yaml")
    totals = {**report.totals, "operations": report.total.operations, "count": len(report.layers)}
    assert {name: derived(name) for name in COUNTS} == {name: totals[name] for name in COUNTS}


def test_counts_of_some_layers() -> None:
    weights, places = STEM
    pair = 2 * 10 * 10 * 3 * 3
    assert derived("macs", ", of: stem") == weights * places
    assert derived("weights", ", of: one") == pair
    assert derived("weights", ", of: [stem, one]") == weights + pair
    assert derived("weights", ", of: '*.a'") == 10 * 10 * 9 + 10 * 20 * 9
    assert derived("weights", ", of: '*', except: [fc, two]") == weights + pair
    assert derived("weights", ", except: fc, set: {width: 4}") == 3 * 5 * 3 * 4 + 4 * 4 * 18 + 4 * 8 * 9 + 8 * 8 * 9
    assert derived("macs", ", of: stem, input: 3x21x15, batch: 3") == 3 * weights * 9 * 7
    assert derived("layers", ", of: one") == 2
    assert derived("layers", ", of: ['*.a', fc]") == 3, "the path leads through layers that are not counted"
    assert derived("weight_bytes", ", of: one.b, dtype: fp16") == 2 * 10 * 10 * 9


def test_counts_of_one_op() -> None:
    _, places = STEM
    assert derived("add.additions") == 10 * places
    assert derived("conv.count") == 5
    assert derived("linear.weights + linear.biases") == 20 * 7 + 7
    assert (derived("conv.layers"), derived("linear.layers"), derived("max_pool.layers")) == (5, 1, 0)
    assert derived("conv.macs, of: fc") == 0
    assert derived("macs + add.additions - macs") == 10 * places


def test_share_of_the_network() -> None:
    assert derived("network.macs", ", of: fc") == derived("macs")
    assert derived("100 * macs / network.macs", ", of: fc") == 100 * derived("macs", ", of: fc") / derived("macs")


def test_sizes_and_options_of_one_layer() -> None:
    assert derived("channels", ", of: stem") == 10
    assert derived("height * width", ", of: stem") == 8 * 7
    assert derived("elements", ", of: two") == 20 * 8 * 7
    assert derived("(input.height - 5) // stride + 1", ", of: stem") == 8
    assert derived("input.width") == 15
    assert derived("input.channels", ", of: two") == 10
    two = "paper: x\ninput: 1x9x8\nlayers: {a: {conv: 2, kernel: 3}, b: {conv: 2, kernel: 3}}\n"
    assert claimed(f"printed: {3 + 2}, quantity: receptive_field, of: b", net=two).verdicts[0].verdict == EXACT
    assert derived("crops * models", ", crops: 144, models: 7") == 144 * 7
    assert derived("macs / 2", ", of: fc") == 70
    assert derived("1 / 3") == pytest.approx(1 / 3)


def test_an_option_that_is_a_number_comes_before_a_size_of_the_output() -> None:
    net = "paper: x\ninput: 4x9x8\nlayers: {norm: {lrn: 5}, drop: {dropout: 0.5, channels: true}}\n"
    claims = ("printed: 5, quantity: size, of: norm", "printed: 4, quantity: channels, of: drop")
    assert [v.verdict for v in claimed(*claims, net=net).verdicts] == [EXACT, EXACT]


def test_gates_have_a_depth_of_their_own() -> None:
    net = """
paper: x
input: 3x9x8
layers:
  a: {conv: 8}
  pool: {global_avg_pool, keep: false}
  fc1: {linear: 2}
  fc2: {linear: 8}
  gate: {reshape: [8, 1, 1]}
  scale: {multiply: [a, gate]}
  b: {conv: 8}
"""
    wanted = {"": 2, ", of: 'fc*'": 2, ", of: [b, 'fc*']": 1}
    verdicts = claimed(*(f"printed: {n}, quantity: layers{of}" for of, n in wanted.items()), net=net).verdicts
    assert [v.verdict for v in verdicts] == [EXACT] * 3


def test_shapes_channels_first_or_last() -> None:
    verdicts = claimed(*(f"printed: {s}, quantity: output, of: stem" for s in ("10x8x7", "8x7x10", "10x7x8"))).verdicts
    assert [v.verdict for v in verdicts] == [EXACT, EXACT, WRONG]
    assert {v.derived for v in verdicts} == {"10x8x7"}


def test_printed_products_take_the_parameters() -> None:
    verdicts = claimed(
        "printed: 3 x 5 x 3 x width, quantity: weights, of: stem",
        "printed: 3 x 5 x 3 x width x 8 x 7, quantity: macs, of: stem, set: {width: 6}",
        "printed: (20 × classes) + 1, quantity: weights, of: fc",
    ).verdicts
    assert [v.verdict for v in verdicts] == [EXACT, EXACT, WRONG]


@pytest.mark.parametrize(
    ("pattern", "name", "yes"),
    [
        ("conv1", "conv1", True),
        ("conv1", "conv10", False),
        ("3a", "3a.1x1.conv", True),
        ("3a.1x1", "3a.1x10.conv", False),
        ("conv*", "conv1", True),
        ("conv?_x", "conv2_x.0.conv1", True),
        ("*.bn", "stem.bn", True),
        ("*.bn", "stem.bn2", False),
        ("conv2_x.*.conv1", "conv2_x.0.conv1.bn", True),
    ],
)
def test_what_a_pattern_covers(pattern: str, name: str, yes: bool) -> None:
    assert covers(pattern, name) is yes


# ---- verdicts ----------------------------------------------------------------------------------


def test_reasons_turn_faults_into_open_questions_and_back() -> None:
    right, wrong = f"printed: {STEM[0]}, quantity: weights, of: stem", "printed: 7, quantity: weights, of: stem"
    lines = [f"{claim}{reason}" for claim in (right, wrong) for reason in ("", ", differs: a slip", ", open: tried")]
    found = claimed(*lines)
    assert [v.verdict for v in found.verdicts] == [EXACT, STALE, STALE, WRONG, DIFFERS, OPEN]
    assert [v.holds for v in found.verdicts] == [True, False, False, False, True, True]
    assert not found.holds
    assert counted([found, found])[STALE] == 2 * 2
    assert found.verdicts[3].off == pytest.approx((STEM[0] - 7) / 7)


def test_percents() -> None:
    assert [percent_off(x) for x in (-0.1293, 0.000412, 0.5, 20.0)] == ["-12.9 %", "+0.0412 %", "+50.0 %", "+20 times"]


# ---- bad input ---------------------------------------------------------------------------------


def bad_entries() -> list[tuple[str, str]]:
    """(line of a spec, message) of every entry of tests/bad_claims.txt."""
    entries = BAD.read_text(encoding="utf-8").strip().split("\n\n")
    return [(line, message.strip()) for line, _, message in (entry.partition("\n=>") for entry in entries)]


def complaint(lines: str) -> str:
    text = f"input: 3x20x15\n{NET.split('input: 3x20x15')[1].lstrip()}{lines}\n"
    with pytest.raises(cnncost.SpecError) as caught:
        verify(read_document(Source(text, "net.yaml", None, False)))
    return str(caught.value)


@pytest.mark.parametrize(("lines", "message"), bad_entries(), ids=[lines for lines, _ in bad_entries()])
def test_messages(lines: str, message: str) -> None:
    assert complaint(lines) == message
    assert re.match(r"net\.yaml:\d+:\d+: .*\nhint: .", message)


# ---- docs --------------------------------------------------------------------------------------


def with_tables(document: str) -> str:
    for what, keys in (("claim", CLAIM), ("fact", FACT)):
        table = "| key | meaning |\n|---|---|\n" + "".join(f"| `{key}` | {text} |\n" for key, text in keys.items())
        pattern = rf"(<!-- {what} keys: .*? -->\n).*?(<!-- end of {what} keys -->)"
        document = re.sub(pattern, lambda m, t=table: m[1] + t + m[2], document, flags=re.DOTALL)  # type: ignore[misc]
    return document


def test_the_tables_of_the_docs_are_up_to_date() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert with_tables(text) == text, "python tests/test_claims.py writes them anew"


def test_the_docs_name_every_quantity_and_verdict() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in (*COUNTS, *OF_ONE) if f"`{name}`" not in text] == []
    assert [verdict for verdict in VERDICTS if f"| {verdict}" not in text] == []


def test_the_example_of_the_docs() -> None:
    found = verify(read_document(Source(blocks(DOCS, "yaml")[0], "net.yaml", None, False)))
    assert [v.verdict for v in found.verdicts] == [ROUNDED, EXACT, DIFFERS]
    assert len(found.facts) == 1


if __name__ == "__main__":
    DOCS.write_text(with_tables(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
    entries = [f"{lines}\n=>\n{complaint(lines)}" for lines, _ in bad_entries()]
    BAD.write_text("\n\n".join(entries) + "\n", encoding="utf-8")
