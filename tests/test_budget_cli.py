"""cnncost budget: the table, the formats, the exit codes, and every message.

The messages about budgets are in tests/bad_budgets.txt: `=== spec` or `=== file`, what is written into net.yaml behind
a small network or into budgets.yaml, and after `=>` what cnncost says. `python tests/test_budget_cli.py` writes the
messages anew; read them before you commit them.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
import yaml
from documents import ROOT, blocks, commands, printed
from specs import as_json, faults

import cnncost
from cnncost.output.budget import MEANING, NAMES, budget_schema, budget_table
from cnncost.output.tables import Paper
from cnncost.output.units import growth, share_of, side_by_side
from cnncost.spec.budget import QUANTITIES
from cnncost.spec.schema import budgets_schema, schema

HEAD = "input: 3x8x8\nlayers: {a: {conv: 4}}\n"
NET = """\
name: Small
input: 3x16x12
parameters: {width: 4}
layers:
  conv: {conv: 2 * width, kernel: 3, padding: 1}
  bn: batch_norm
  relu: {relu, inplace: true}
  down: {conv: 4 * width, kernel: 3, stride: 2}
  pool: {global_avg_pool, keep: false}
  fc: {linear: 5}
"""
BUDGETS = """\
defaults: {dtype: fp16}
net.yaml: [{params: 2K, macs: 80K, peak: 10KiB}, {batch: 32, training_peak: 1MB, time: {t4: 10us}}]
alexnet: {macs: 700M, activations: 4MB, layers: 8}
"""


@pytest.fixture
def net(folder: Path) -> Path:
    (folder / "net.yaml").write_text(NET)
    (folder / "budgets.yaml").write_text(BUDGETS)
    return folder / "net.yaml"


@pytest.fixture
def before(net: Path, run: Any) -> str:
    """A baseline, of a network that has grown since."""
    result = run("budget", "net.yaml", "--max-time", "1ms", "--device", "t4", "--format", "json", "-o", "before.json")
    assert result == (0, "", "")
    net.write_text(NET.replace("{linear: 5}", "{linear: 9}").replace("  bn:", "  more: {conv: 8}\n  bn:"))
    return "before.json"


# ---- tables ---------------------------------------------------------------------------------------

LIMITS = ["--max-params", "1.45K", "--max-macs", "90000", "--max-flops", "1G", "--max-layers", "3"]
BYTES = ["--max-activations", "8KB", "--max-peak", "20KiB", "--max-training-peak", "1MiB"]
TIME = ["--max-time", "1ms", "--device", "rtx-4090"]


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("budget.txt", ["net.yaml", *LIMITS, *BYTES, *TIME], 1),
        ("budget.md", ["net.yaml", *LIMITS, *BYTES, *TIME, "--format", "markdown"], 1),
        ("budget.csv", ["net.yaml", *LIMITS, *BYTES, *TIME, "--batch", "2", "--dtype", "fp16", "--format", "csv"], 1),
        ("budget-kept.txt", ["net.yaml", "--max-params", "1.5K", "--no-legend"], 0),
        ("budget-many.txt", ["--budget", "budgets.yaml"], 1),
        ("budget-many.csv", ["--budget", "budgets.yaml", "--format", "csv"], 1),
        ("budget-several.txt", ["net.yaml", "lenet5", "--max-macs", "200K", "--no-legend"], 1),
        ("budget-sizes.txt", ["net.yaml", "--budget", "budgets.yaml", "--no-legend"], 1),
    ],
)
def test_whole_output(net: Path, run: Any, golden: Any, name: str, arguments: list[str], code: int) -> None:
    result = run("budget", *arguments)
    assert (result.code, result.err) == (code, "")
    golden(name, result.out)


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("budget-grown.txt", ["net.yaml", "--max-macs", "90K", *TIME[:2], "--device", "t4", "--growth", "10%"], 1),
        ("budget-grown.md", ["net.yaml", "--format", "markdown"], 1),
        ("budget-grown.csv", ["net.yaml", "--format", "csv"], 1),
        ("budget-grown-several.txt", ["net.yaml", "lenet5", "--no-legend", "--set", "width=3", "--growth", "5.5%"], 1),
        ("budget-grown-little.txt", ["net.yaml", "--growth", "100%", "--no-legend", "--input", "3x15x11"], 0),
    ],
)
def test_whole_output_of_growth(
    before: str, folder: Path, run: Any, golden: Any, name: str, arguments: list[str], code: int
) -> None:
    arguments = [a if a != "lenet5" else "other.yaml" for a in arguments]
    (folder / "other.yaml").write_text(NET.replace("Small", "Other"))
    result = run("budget", *arguments, "--baseline", before)
    assert (result.code, result.err) == (code, "")
    golden(name, result.out)


def test_a_terminal_has_other_lines(net: Path) -> None:
    check = cnncost.budget("net.yaml", {"params": "1K", "time": {"t4": "5us"}})
    plain, wide = (budget_table(check, paper) for paper in (Paper(), Paper(width=100, colour=True)))
    assert "--no-legend leaves these lines out." in wide
    assert "--no-legend" not in plain
    assert "\x1b[1;31mover budget: 1 of 2 limits\x1b[0m" in wide
    assert "\x1b[1;31mover\x1b[0m" in wide
    assert "\x1b[32mok\x1b[0m" in wide
    assert "█" in plain
    assert "█" not in budget_table(check, Paper(width=50)), "bars go first"
    ascii_ = budget_table(check, Paper(unicode=False))
    assert ascii_.isascii()
    assert "least time on t4 (us)" in ascii_
    assert "################" in ascii_


def test_with_little_room_no_number_is_cut(net: Path) -> None:
    check = cnncost.budget("net.yaml", {"macs": 123_456_789_012, "peak": "100GiB"})
    narrow = budget_table(check, Paper(width=40))
    assert "123,456,789,012" in narrow


def test_on_a_narrow_terminal_networks_stand_above_their_rows(before: str, golden: Any) -> None:
    limits = {"macs": "300M", "time": {"jetson-agx-orin": "1ms"}}
    check = cnncost.budget(["net.yaml", "alexnet"], limits, baseline=before)
    text = budget_table(check, Paper(width=60, legend=False))
    golden("budget-60.txt", text)
    assert max(map(len, text.splitlines())) <= 60
    assert text.count("MACs (") == 2 + 1 + 1


def test_help(run: Any, golden: Any) -> None:
    done = run("budget", "--help")
    assert (done.code, done.err) == (0, "")
    golden("help-budget.txt", done.out)


def test_every_quantity_has_a_name_and_a_meaning() -> None:
    assert set(NAMES) == set(MEANING) == set(QUANTITIES)


@pytest.mark.parametrize(
    ("values", "unit", "worth", "shown"),
    [
        ([724_406_816, 600_000_000], "M", 10**6, (["724.407", "600.000"], "M")),
        ([600_000_001, 600_000_000], "M", 10**6, (["600,000,001", "600,000,000"], "")),
        ([600_000_000, 600_000_000], "M", 10**6, (["600.000", "600.000"], "M")),
        ([2**30 + 1, 2**30], "GiB", 2**30, (["1,073,741,825", "1,073,741,824"], "B")),
        ([3, 10**9], "G", 10**9, (["<0.001", "1.000"], "G")),
        ([12_345, 3], "", 1, (["12,345", "3"], "")),
        ([0, 3], "", 1, (["0", "3"], "")),
        ([0.00050001, 0.0005], "ms", 1e-3, (["0.50001", "0.5"], "ms")),
    ],
)
def test_amounts_beside_each_other(values: list[Any], unit: str, worth: float, shown: Any) -> None:
    assert side_by_side(values, unit, worth) == shown


def test_shares_that_are_rounded_to_all_of_it() -> None:
    assert [share_of(*pair) for pair in ((5, 5), (100_001, 100_000), (99_999, 100_000), (3, 2), (1, 0))] == [
        "100.0%", ">100%", "<100%", "150.0%", "-",
    ]  # fmt: skip
    assert [growth(*pair) for pair in ((100, 102), (100, 100), (100, 90), (0, 5), (10**6, 10**6 + 1))] == [
        "+2.00%", "0%", "-10.00%", "-", "+<0.01%",
    ]  # fmt: skip


# ---- for programs ---------------------------------------------------------------------------------


def test_json_follows_its_schema(before: str, run: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(budget_schema())
    result = run("budget", "net.yaml", "--max-macs", "1K", *TIME, "--baseline", before, "--format", "json")
    assert result.code == 1
    record = json.loads(result.out)
    jsonschema.validate(record, budget_schema())
    (network,) = record["networks"]
    assert (record["holds"], record["baseline"], record["growth"]) == (False, "before.json", 0)
    macs, time = network["limits"]
    assert (macs["quantity"], macs["limit"], macs["over"], macs["where"]) == ("macs", 1000, True, None)
    assert (time["device"], time["limit"], time["over"]) == ("rtx-4090", 0.001, False)
    assert time["used"] == network["seconds"]["rtx-4090"]
    assert {layer["now"] for layer in network["grown_layers"]} == {"more", "fc"}
    assert network["grown_layers"][0]["before"] is None
    assert [one["quantity"] for one in network["growth"]][:2] == ["params", "macs"]


def test_json_of_several_says_where_limits_stand(net: Path, run: Any) -> None:
    record = json.loads(run("budget", "--budget", "budgets.yaml", "--format", "json").out)
    jsonschema.validate(record, budget_schema())
    assert [network["called"] for network in record["networks"]] == ["net", "net", "alexnet"]
    assert [network["batch"] for network in record["networks"]] == [1, 32, 1]
    assert record["networks"][2]["limits"][0]["where"] == "budgets.yaml:3:17"
    assert record["networks"][0]["growth"] is None
    assert record["baseline"] is record["growth"] is None


def test_csv_has_a_line_for_each_limit_and_figure(before: str, run: Any) -> None:
    result = run("budget", "net.yaml", "--max-macs", "1K", "--baseline", before, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert [(row["quantity"], row["limit"]) for row in rows][:2] == [("macs", "1000"), ("params", "")]
    assert all(bool(row["limit"]) != bool(row["before"]) for row in rows)
    assert rows[0]["used"] == rows[2]["used"]


def test_the_schemas_are_there(run: Any) -> None:
    assert json.loads(run("schema", "budget").out) == budget_schema()
    assert json.loads(run("schema", "budgets").out) == budgets_schema()
    jsonschema.validate(yaml.safe_load(BUDGETS), budgets_schema())
    jsonschema.Draft202012Validator.check_schema(budgets_schema())


def test_a_new_baseline_is_written_beside_the_old_one(before: str, folder: Path, run: Any) -> None:
    result = run("budget", "net.yaml", "--baseline", before, "-o", "after.json")
    assert (result.code, result.out) == (1, "")
    assert run("budget", "net.yaml", "--baseline", "after.json").code == 0


def test_a_baseline_from_standard_input(net: Path, folder: Path) -> None:
    command = f"{sys.executable} -m cnncost"
    line = f"{command} report - --format json < net.yaml | {command} budget net.yaml --baseline - --no-legend"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=folder, check=False)
    # A spec from standard input has no file: it is called by its name, and net.yaml by its own.
    assert (done.returncode, done.stderr.split("\n")[0]) == (2, "error: <stdin> is of Small, and not of net")
    line = line.replace("budget net.yaml", "budget <(cat net.yaml)").replace("report -", "report net.yaml")
    done = subprocess.run(["bash", "-c", line.replace("<(cat net.yaml)", "net.yaml")], capture_output=True, text=True,
                          cwd=folder, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nnone of 6 figures grew too much\n")


# ---- messages -------------------------------------------------------------------------------------

TABLE = Path(__file__).parent / "bad_budgets.txt"


class Bad(NamedTuple):
    kind: str
    text: str
    message: str


def table() -> list[Bad]:
    entries = TABLE.read_text(encoding="utf-8").split("=== ")[1:]
    return [Bad(*re.fullmatch(r"(spec|file)\n(.*?)\n=>\n(.*?)\n*", entry, re.DOTALL).groups()) for entry in entries]


def message(bad: Bad) -> str:
    """What cnncost says, in the current folder."""
    Path("net.yaml").write_text(HEAD + (bad.text + "\n" if bad.kind == "spec" else ""), encoding="utf-8")
    Path("budgets.yaml").write_text(bad.text, encoding="utf-8")
    with pytest.raises(cnncost.CnncostError) as caught:
        cnncost.budget(**({"networks": "net.yaml"} if bad.kind == "spec" else {"file": "budgets.yaml"}))
    return str(caught.value)


@pytest.mark.parametrize("bad", table() if TABLE.exists() else [], ids=lambda bad: bad.text)
def test_message(bad: Bad, folder: Path) -> None:
    assert message(bad) == bad.message
    assert re.match(r"(net|budgets)\.yaml:\d+:\d+: [^\n]+\nhint: [^\n]+$", bad.message)


LATER = ("9999999TB", "rtx-409:", "k80", "float17", "{width: 3}", "3x9}", "macs: 2M", "int8", "{batch: 4}")
"""Parts of budgets that are sound by themselves, or of which an editor's YAML reader sees only one."""


@pytest.mark.parametrize("bad", table() if TABLE.exists() else [], ids=lambda bad: bad.text)
def test_editors_flag_it_where_they_can(bad: Bad) -> None:
    if any(part in bad.text for part in LATER) or (bad.kind == "file" and "{mac:" not in bad.text):
        return
    whole = HEAD + bad.text if bad.kind == "spec" else bad.text
    schema_ = schema() if bad.kind == "spec" else budgets_schema()
    assert not jsonschema.Draft202012Validator(schema_).is_valid(as_json(whole))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["net.yaml"], "error: net.yaml: no limit to hold it against\nhint: give one: --max-macs 600M; or write "
         "`budget: {macs: 600M}` into the spec, or a file of budgets"),
        ([], "error: no network to hold against a budget\nhint: give a spec, or a file of budgets that names some: "
         "--budget FILE"),
        (["net.yaml", "--max-macs", "600X"], "error: --max-macs 600X is no whole count\nhint: K is 10^3, M 10^6 and "
         "G 10^9: write 600M, 4.1G or 25557032"),
        (["net.yaml", "--max-training-peak", "2GX"], "error: --max-training-peak 2GX is no number of bytes\nhint: "
         "GB is 10^9 bytes and GiB 2^30: write 24GB, 24GiB or 512MiB"),
        (["net.yaml", "--max-time", "5", "--device", "t4"], "error: --max-time 5 is no time\nhint: write 5ms, 250us or "
         "1.5s"),
        (["net.yaml", "--max-time", "5ms"], "error: --max-time has no effect alone\nhint: give --device rtx-4090 too"),
        (["net.yaml", "--device", "t4"], "error: --device has no effect alone\nhint: give --max-time 5ms too"),
        (["net.yaml", "--max-time", "5ms", "--device", "t44"], "error: net.yaml: unknown device t44\nhint: did "
         "you mean t4?"),
        (["net.yaml", "--max-training-peak", "1GB", "--dtype", "int8"], "error: net.yaml: Small has no training peak "
         "in int8: it cannot be trained so\nhint: leave that limit out, or take another dtype; each budget of a list "
         "has its own"),
        (["net.yaml", "--max-macs", "1K", "--growth", "2%"], "error: --growth has no effect here\nhint: it goes with "
         "--baseline"),
        (["net.yaml", "--baseline", "before.json", "--growth", "2"], "error: growth 2 is no percentage\nhint: write 2% "
         "or 0.5%"),
        (["net.yaml", "--budget", "no.yaml"], "error: no.yaml: no such file\nhint: --budget takes a YAML file; it has "
         "a line for each network: `my_net.yaml: {macs: 600M}`"),
        (["net.yaml", "--budget", "."], "error: .: is a directory\nhint: --budget takes a YAML file; it has a "
         "line for each network: `my_net.yaml: {macs: 600M}`"),
        (["net.yaml", "--max-macs", "1K", "--batch", "0"], "error: net.yaml: batch must be a whole number of at least "
         "1, got 0\nhint: give the number of images, like 32"),
        (["net.yaml", "--max-macs", "1K", "--input", "3x9"], "error: net.yaml: input 3x9 has 2 sizes, and the spec's "
         "input 3x16x12 has 3\nhint: give a size for each of 3x16x12"),
        (["net.yaml", "--max-macs", "1K", "--format", "csv", "--no-legend"], "error: --no-legend has no effect on csv\n"
         "hint: it goes with --format table or markdown"),
        (["net.yaml", "--max-macs", "1K", "-o", "net.yaml", "--format", "csv"], "error: net.yaml: a report over a "
         "spec would lose the spec\nhint: give another name: report.txt"),
        (["net.yaml", "--baseline", "before.json", "-o", "before.json", "--force"], "error: before.json is the "
         "baseline, and would be lost\nhint: write a new one without --baseline"),
    ],
)  # fmt: skip
def test_refused(before: str, run: Any, arguments: list[str], text: str) -> None:
    assert run("budget", *arguments) == (2, "", text + "\n")


WRITE_IT = "\nhint: write one with: cnncost budget SPEC --format json -o FILE\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "old.json: no such file"),
        ("", "old.json is no JSON: line 1, column 1"),
        ('{"schema": 1,\n', "old.json is no JSON: line 2, column 1"),
        ("[" * 100_000, "old.json is no JSON"),
        (b"\xff\xfe{}", "old.json is no JSON"),
        ("[]", "old.json is no report and no budget of cnncost"),
        ("{}", "old.json is no report and no budget of cnncost"),
        ('{"schema": 1, "cnncost": "0.1.0"}', "old.json is no report and no budget of cnncost"),
        ('{"schema": 1, "cnncost": "0.1.0", "holds": true, "networks": [3]}', "old.json is no report and no budget of "
         "cnncost"),
        ('{"schema": 2, "cnncost": "9.9"}', "old.json has schema 2, and this version of cnncost reads 1"),
        ('{"schema": 1, "cnncost": "0.1.0", "holds": true, "networks": []}', "old.json is of no network, and not of "
         "net"),
    ],
)  # fmt: skip
def test_what_is_no_baseline(net: Path, folder: Path, run: Any, text: Any, reason: str) -> None:
    if text is not None:
        (folder / "old.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert run("budget", "net.yaml", "--baseline", "old.json") == (2, "", f"error: {reason}{WRITE_IT}")


def test_baselines_of_other_commands_and_with_other_values_are_none(before: str, folder: Path, run: Any) -> None:
    none = (2, "", f"error: other.json is no report and no budget of cnncost{WRITE_IT}")
    (folder / "other.json").write_text(run("compare", "alexnet", "vgg16", "--format", "json").out)
    assert run("budget", "net.yaml", "--baseline", "other.json") == none
    good = json.loads((folder / before).read_text())

    def refused(change: Any) -> None:
        record = json.loads(json.dumps(good))
        change(record["networks"][0])
        (folder / "other.json").write_text(json.dumps(record))
        assert run("budget", "net.yaml", "--baseline", "other.json") == none

    refused(lambda network: network.pop("totals"))
    refused(lambda network: network["totals"].update(macs="many"))
    refused(lambda network: network["totals"].update(peak_bytes=-1))
    refused(lambda network: network.update(dtype="fp7"))
    refused(lambda network: network.update(layers=[{}]))
    refused(lambda network: network.update(inputs=[3, 4]))
    refused(lambda network: network["seconds"].update(t4="soon"))
    refused(lambda network: network["seconds"].update(t4=float("nan")))
    refused(lambda network: network["layers"][0].update(macs=1.5))


def test_baselines_of_other_networks_and_sizes(before: str, run: Any) -> None:
    other = "error: before.json is of net, and not of alexnet" + WRITE_IT
    assert run("budget", "alexnet", "--baseline", before) == (2, "", other)
    for batch, dtype in (("8", "fp16"), ("8", "fp32"), ("1", "fp16")):
        sizes = (
            f"error: net.yaml: before.json has net at batch 1, fp32, not at batch {batch}, {dtype}\n"
            "hint: take the same sizes, or write one with: cnncost budget SPEC --format json -o FILE\n"
        )
        assert run("budget", "net.yaml", "--baseline", before, "--batch", batch, "--dtype", dtype) == (2, "", sizes)


def test_arguments_of_programs(net: Path) -> None:
    def text(**given: Any) -> str:
        with pytest.raises(cnncost.UsageError) as caught:
            cnncost.budget("net.yaml", **given)
        return str(caught.value)

    assert text(limits={"mac": 3}) == "a budget has no limit mac\nhint: did you mean macs?"
    assert text(limits={"batch": 3}).startswith("a budget has no limit batch")
    assert text(limits={"time": "5ms"}) == (
        'time takes a limit for each device, got the text 5ms\nhint: write {"time": {"rtx-4090": "5ms"}}'
    )
    assert text(limits={"time": {"t4": 3}}) == "time on t4: 3 is no time\nhint: write 5ms, 250us or 1.5s"
    graph = cnncost.load("net.yaml", batch=__import__("numpy").array([1, 2]))
    with pytest.raises(cnncost.UsageError, match="a budget is for one design point"):
        cnncost.budget(graph, {"macs": 1})


# ---- documents ------------------------------------------------------------------------------------

DOCS = ROOT / "docs" / "budget.md"


@pytest.mark.parametrize(("command", "shown"), commands(DOCS), ids=[c for c, _ in commands(DOCS)])
def test_commands_print_what_the_document_shows(command: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert printed(command) == shown


def test_the_document_names_all_limits_and_options(run: Any) -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name in QUANTITIES:
        assert f"| `--max-{name.replace('_', '-')}" in text
        assert f"| `{name}` |" in text
    out = run("budget", "--help").out
    for option in ("--budget", "--baseline", "--growth", "--device", "--batch", "--dtype", "--input", "--set"):
        assert f"`{option}" in text
        assert option in out


def test_the_examples_of_the_document_are_sound(folder: Path) -> None:
    spec, file, *_ = blocks(DOCS, "yaml")
    assert faults(spec) == []
    jsonschema.validate(as_json(file), budgets_schema())
    (folder / "budgets.yaml").write_text(file)
    check = cnncost.budget(file="budgets.yaml")
    assert {network.named for network in check} >= {"mobilenet_v3_small", "resnet50"}
    assert check.holds


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(blocks(DOCS, "python")[0], names)
    assert names["check"].holds
    assert len(capsys.readouterr().out.splitlines()) == 3


if __name__ == "__main__":
    import os
    import tempfile

    entries = table()
    os.chdir(tempfile.mkdtemp())
    text = "\n".join(f"=== {bad.kind}\n{bad.text}\n=>\n{message(bad)}\n" for bad in entries)
    TABLE.write_text(text, encoding="utf-8")
