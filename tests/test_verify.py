"""`cnncost verify`: the claims that the bundled architectures carry, and how verdicts are written."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from claimed import NET, claimed

import cnncost
from cnncost.analysis.claims import EXACT, VERDICTS, Verification, verify
from cnncost.output.claims import (
    figure_text,
    number,
    verdict_record,
    verify_csv,
    verify_record,
    verify_schema,
    verify_text,
)
from cnncost.output.tables import Paper
from cnncost.spec.document import read_document
from cnncost.spec.files import Source, bundled_names, open_spec

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
