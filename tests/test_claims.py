"""Published figures: how they are read, derived and judged, and those that the bundled architectures carry.

`python tests/test_claims.py` writes the tables of docs/claims.md and the messages of bad_claims.txt anew.
"""

from __future__ import annotations

import json
import re
import shlex
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import faults

import cnncost
from cnncost.analysis.claims import DIFFERS, EXACT, OPEN, ROUNDED, STALE, VERDICTS, WRONG, Verification, counted, verify
from cnncost.analysis.quantities import COUNTS, OF_ONE, covers
from cnncost.output.claims import (
    figure_text,
    number,
    percent_off,
    verdict_record,
    verify_csv,
    verify_record,
    verify_schema,
    verify_text,
)
from cnncost.output.tables import Paper
from cnncost.spec.claims import CLAIM, FACT
from cnncost.spec.document import read_document
from cnncost.spec.files import Source, bundled_names, open_spec
from cnncost.spec.printed import UNITS, figure, rounding

DOCS = Path(__file__).parent.parent / "docs" / "claims.md"
BAD = Path(__file__).parent / "bad_claims.txt"
NET = """
paper: a paper
input: 3x20x15
parameters: {classes: 7, width: 10}
blocks:
  pair:
    parameters: [out]
    layers:
      a: {conv: out, kernel: 3, padding: 1}
      b: {conv: out, kernel: 3, padding: 1, bias: false}
layers:
  stem: {conv: width, kernel: [5, 3], stride: 2}
  one: {pair: width}
  sum: {add: [one, stem]}
  two: {pair: 2 * width}
  pool: global_avg_pool
  flatten: flatten
  fc: {linear: classes}
"""
STEM = (3 * 5 * 3 * 10, 8 * 7)
"""Weights of the stem, and places of its output."""


def claimed(*lines: str, net: str = NET) -> Verification:
    """The verdicts on claims about NET."""
    text = net + "claims:\n" + "".join(f"  - {{{line}}}\n" for line in lines)
    assert faults(text) == []
    return verify(read_document(Source(text, "net.yaml", None, False)))


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


# ---- the bundled architectures -----------------------------------------------------------------


@pytest.fixture(scope="module")
def zoo() -> dict[str, Verification]:
    return {name: verify(read_document(open_spec(name))) for name in bundled_names()}


def test_every_claim_holds_or_says_why(zoo: dict[str, Verification]) -> None:
    faulty = {name: [v.claim.printed for v in found.verdicts if not v.holds] for name, found in zoo.items()}
    assert {name: claims for name, claims in faulty.items() if claims} == {}


def test_a_changed_figure_would_be_noticed(zoo: dict[str, Verification]) -> None:
    """Every exact whole number, printed one larger, does not hold."""
    for name, found in zoo.items():
        document = read_document(open_spec(name))
        exact = [v.claim for v in found.verdicts if v.verdict == EXACT and v.claim.printed.isdecimal()]
        document.claims = tuple(
            claim._replace(printed=str(int(claim.printed) + 1), rounding="nearest") for claim in exact
        )
        held = [v.claim.printed for v in verify(document).verdicts if v.holds]
        assert held == [], f"{name} would take {held} as well"


def test_every_network_has_figures(zoo: dict[str, Verification]) -> None:
    examples = [name for name in zoo if name.startswith("example_")]
    bare = [name for name, found in zoo.items() if not found.verdicts and not found.facts]
    assert bare == []
    assert all(zoo[name].verdicts for name in examples)


def test_json_keeps_its_schema(zoo: dict[str, Verification]) -> None:
    record = json.loads(json.dumps(verify_record(list(zoo.values()))))
    schema = verify_schema()
    jsonschema.validate(record, schema)
    network = schema["properties"]["networks"]["items"]["properties"]
    assert list(record) == list(schema["properties"])
    assert all(list(found) == list(network) for found in record["networks"])
    described = set(network["claims"]["items"]["properties"])
    assert all(set(claim) == described for found in record["networks"] for claim in found["claims"])
    assert sum(record["counts"].values()) == sum(len(network["claims"]) for network in record["networks"])
    assert list(record["counts"]) == list(VERDICTS)


def test_inputs_are_shown_as_the_command_line_takes_them() -> None:
    one = "3x24x24", "[3, 24, 24]", "{input: 3x24x24}"
    verdicts = claimed(*(f"printed: 7, quantity: out, of: fc, input: {size}" for size in one)).verdicts
    shown = ["3x24x24", "3x24x24", "input=3x24x24"]
    assert [verdict_record(v)["input"] for v in verdicts] == shown
    assert [figure_text(v.claim) for v in verdicts] == [f"out of fc at input {size}" for size in shown]


def test_csv_has_a_line_a_claim(zoo: dict[str, Verification]) -> None:
    import csv

    rows = list(csv.DictReader(verify_csv(list(zoo.values())).splitlines()))
    assert len(rows) == sum(len(found.verdicts) for found in zoo.values())
    assert {row["verdict"] for row in rows} <= set(VERDICTS)


# ---- the command -------------------------------------------------------------------------------


def test_the_exit_code_is_the_verdict(run: Any, tmp_path: Path) -> None:
    for line, code in (("printed: 999, quantity: params", 1), ("printed: 999, quantity: params, open: tried", 0)):
        path = tmp_path / f"net{code}.yaml"
        path.write_text(NET + f"claims: [{{{line}}}]\n")
        assert run("verify", str(path)).code == code


def test_from_python() -> None:
    found = cnncost.verify("alexnet")
    assert found.holds
    assert {v.claim.of for v in found.verdicts} >= {("conv1",), ("conv5",)}


EVERY_VERDICT = """
name: A net of two blocks
year: 2026
facts:
  - {top1_error: 40.7, top5_error: 18.2, dataset: ILSVRC-2012 validation, models: 1, crops: 10, place: table 2}
  - {training_time: 5 to 6 days, devices: 2x gtx-580, epochs: 90, images: 1.2M, batch: 128, note: two towers}
claims:
  - {printed: 450, quantity: weights, of: stem, place: table 1, note: no biases}
  - {printed: 3K, quantity: weights, of: [one, two], rounding: cut to 1K, except: two.b, place: table 1}
  - {printed: 10x8x7, quantity: output, of: stem}
  - {printed: 1008, quantity: crops * models, crops: 144, models: 7}
  - {printed: 495, quantity: weights, of: stem, differs: "the slide counts
      an eleventh map over one channel, which the text beside it does not mention at any place"}
  - {printed: 0.9M, quantity: macs, set: {width: 6}, input: 3x21x15, batch: 2, open: "with and without padding"}
  - {printed: 1M, quantity: macs + add.additions, source: another paper}
  - {printed: 0.43M, quantity: macs, open: nothing, source: another paper}
"""


@pytest.mark.parametrize("width", [None, 120, 80])
def test_what_a_reader_sees(golden: Any, tmp_path: Path, width: int | None) -> None:
    found = verify(read_document(Source(NET + EVERY_VERDICT, "net.yaml", None, False)))
    assert {v.verdict for v in found.verdicts} == set(VERDICTS)
    bare = verify(read_document(Source(NET, "bare.yaml", None, False)))
    text = verify_text([found, bare], Paper(width=width))
    golden(f"verify-{width or 'pipe'}.txt", text)
    assert max(map(len, text.splitlines())) <= (width or 120)
    assert all(number(v.derived) in text for v in found.verdicts)


@pytest.mark.parametrize("width", [70, 76, 80, 100])
def test_long_verdicts_stay_in_their_column(width: int) -> None:
    lines = verify_text([cnncost.verify("alexnet")], Paper(width=width)).splitlines()
    assert max(map(len, lines)) <= width
    start = lines[1].index("verdict")
    verdicts = " ".join(line[start:] for line in lines if line[:start].count("  ") > 2)
    assert " ".join(verdicts.split()).count("within rounding: cut to 10K") == 3
    assert any("  1.452%  within" in line for line in lines), "a share is shown as a share"


def test_only_some_verdicts_are_shown(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(NET + EVERY_VERDICT)
    shown = run("verify", str(path), "--only", "off", "--only", "open").out
    assert ("off by" in shown, "not reproduced, " in shown) == (True, True)
    assert ("does not hold" in shown, "trained in" in shown) == (False, False)
    assert "8 claims on 1 network\n" in shown, "the counts are those of all"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("verify 'res nets*'", "error: no file and no bundled architecture fits res nets*"),
        ("verify nothing_here", "error: nothing_here: no such file"),
        ("verify lenet5 --only exact --format json", "error: --only has no effect here"),
        ("verify lenet5 --force", "error: --force has no effect here"),
        ("verify lenet5 -o nowhere/claims.txt", "error: nowhere/claims.txt: No such file or directory"),
        ("verify lenet5 --format yaml", "error: invalid value for '--format'"),
    ],
)
def test_bad_arguments(run: Any, folder: Path, arguments: str, message: str) -> None:
    result = run(*shlex.split(arguments))
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(message)
    assert "\nhint: " in result.err


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
    example = re.findall(r"^```yaml\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[0]
    found = verify(read_document(Source(example, "net.yaml", None, False)))
    assert [v.verdict for v in found.verdicts] == [ROUNDED, EXACT, DIFFERS]
    assert len(found.facts) == 1


if __name__ == "__main__":
    DOCS.write_text(with_tables(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
    entries = [f"{lines}\n=>\n{complaint(lines)}" for lines, _ in bad_entries()]
    BAD.write_text("\n\n".join(entries) + "\n", encoding="utf-8")
