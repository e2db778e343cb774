"""What commands write: whole texts, formats, files."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from specs import TINY

import cnncost


@pytest.fixture
def tiny(folder: Path) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(TINY)
    return path


# ---- whole texts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("report-alexnet.txt", "report alexnet"),
        ("report-resnet50-by-block.txt", "report resnet50 --by block --units auto --batch 4 --dtype fp16"),
        ("report-resnet152-by-op.txt", "report resnet152 --by op --sort macs --columns name,kind,macs,flops,share"),
        ("report-googlenet-top.txt", "report googlenet --sort macs --top 5 --units M"),
        ("report-mobilenet-width.txt", "report mobilenet_v2 --set width=0.5 --by block --input 3x160x96"),
        ("report-alexnet.csv", "report alexnet --format csv --columns all"),
        ("report-alexnet.md", "report alexnet --format markdown"),
        ("report-tiny.json", "report tiny.yaml --format json --batch 2"),
        ("report-tiny-all.txt", "report tiny.yaml --columns all"),
        ("columns.txt", "report --list-columns"),
        ("help.txt", "--help"),
        ("help-report.txt", "report --help"),
        ("help-list.txt", "list --help"),
        ("help-schema.txt", "schema --help"),
        ("help-completion.txt", "completion --help"),
        ("help-ops.txt", "ops --help"),
        ("ops.txt", "ops"),
        ("ops-conv.txt", "ops conv"),
        ("report-alexnet-by-field.txt", "report alexnet --sort receptive_field --columns name,receptive_field,output"),
    ],
)
def test_whole_output(tiny, run, golden, name, arguments, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    result = run(*arguments.split())
    assert (result.code, result.err) == (0, "")
    golden(name, result.out.replace(cnncost.__version__, "VERSION") if name.endswith("json") else result.out)


def test_a_table_in_80_columns_cuts_no_number(tiny, golden) -> None:
    from cnncost.analysis.columns import chosen
    from cnncost.analysis.report import analyze
    from cnncost.output.tables import Paper, report_table

    report = analyze(cnncost.load("inception_v3"))
    text = report_table(report, report.layers[:12], chosen(None), paper=Paper(width=80))
    golden("report-80-columns.txt", text)
    assert max(map(len, text.splitlines())) <= 80
    for layer in report.layers[:12]:
        assert f"{layer.macs:,}" in text
        assert f"{layer.params:,}" in text


# ---- formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "resnet50", "densenet121", "mobilenet_v2", "lenet5"])
def test_json_follows_its_schema_and_adds_up(run, name) -> None:
    report = json.loads(run("report", name, "--format", "json", "--batch", "3").out)
    schema = json.loads(run("schema", "report").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(report, schema)
    for key in ("params", "weights", "biases", "macs", "flops", "activation_bytes", "neurons", "elements_read"):
        counts = [layer[key] for layer in report["layers"]]
        assert all(type(n) is int for n in counts), key
        assert report["totals"][key] == sum(counts), key
    assert report["per_image"]["macs"] * 3 == report["totals"]["macs"]


def test_the_schema_of_the_report_names_every_figure() -> None:
    from cnncost.output.schema import COUNTS

    assert list(cnncost.analyze("lenet5").totals) == [*COUNTS, "peak_bytes", "layers"]


def test_json_of_the_public_format_has_the_promised_keys(run) -> None:
    report = json.loads(run("report", "alexnet", "--format", "json").out)
    assert report["schema"] == 1
    assert report["input"] == [1, 3, 227, 227]
    promised = ["params", "weights", "biases", "macs", "flops", "neurons", "activation_bytes", "weight_bytes"]
    promised += ["peak_bytes", "layers"]
    assert set(promised) <= set(report["totals"])
    promised = (
        "name op inputs output_shape params weights biases macs flops activation_bytes peak_bytes receptive_field where"
    )
    assert set(promised.split()) <= set(report["layers"][0])


def test_csv_holds_whole_numbers(run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("report", "alexnet", "--format", "csv").out)))
    assert sum(int(row["macs"]) for row in rows) == 724406816


def test_folded_rows_keep_the_sums(run) -> None:
    for options in (["--by", "block"], ["--by", "op"], ["--by", "block", "--depth", "2"], ["--top", "3"]):
        report = json.loads(run("report", "googlenet", "--format", "json", *options).out)
        assert len(report["layers"]) < len(cnncost.load("googlenet"))
        for key in ("params", "macs", "flops"):
            assert sum(layer[key] for layer in report["layers"]) == report["totals"][key]


def test_sort_and_top(run) -> None:
    out = run("report", "vgg16", "--format", "csv", "--sort", "params", "--top", "3", "--columns", "name,params").out
    rows = list(csv.reader(io.StringIO(out)))[1:]
    assert [int(n) for _, n in rows[:3]] == [25088 * 4096 + 4096, 4096 * 4096 + 4096, 4096 * 1000 + 1000]
    assert rows[3][0] == "(the others)"


# ---- files -------------------------------------------------------------------------------------


def test_output_goes_to_a_file_in_the_format_of_its_suffix(folder, run) -> None:
    for name, start in (("a.json", "{"), ("a.csv", "name,"), ("a.md", "**AlexNet"), ("a.txt", "AlexNet (2012)")):
        result = run("report", "alexnet", "-o", name)
        assert (result.code, result.out) == (0, "")
        assert Path(name).read_text().startswith(start)


def test_a_file_is_never_overwritten_without_force(folder, run) -> None:
    Path("a.json").write_text("mine")
    result = run("report", "alexnet", "-o", "a.json")
    assert (result.code, result.err) == (2, "error: a.json: exists already\nhint: --force replaces it\n")
    assert Path("a.json").read_text() == "mine"
    assert run("report", "alexnet", "-o", "a.json", "--force").code == 0
    assert json.loads(Path("a.json").read_text())["name"] == "AlexNet"
    assert os.listdir(folder) == ["a.json"]


def test_a_report_never_replaces_the_spec_it_reads(tiny, run) -> None:
    Path("net").write_text(TINY)
    for spec, output in (("tiny.yaml", "tiny.yaml"), ("tiny.yaml", "other.yml"), ("net", "net"), ("net", "./net")):
        result = run("report", spec, "-o", output, "--force", "--format", "table")
        assert result.code == 2
        assert "would lose the spec" in result.err
    assert tiny.read_text() == Path("net").read_text() == TINY


def test_links_are_written_through_and_permissions_kept(folder, run) -> None:
    Path("real.json").write_text("old")
    Path("real.json").chmod(0o600)
    Path("link.json").symlink_to("real.json")
    Path("dangling.json").symlink_to("nowhere.json")
    assert run("report", "lenet5", "-o", "link.json").code == 2
    assert run("report", "lenet5", "-o", "link.json", "--force").code == 0
    assert Path("link.json").is_symlink()
    assert json.loads(Path("real.json").read_text())["name"] == "LeNet-5"
    assert Path("real.json").stat().st_mode & 0o777 == 0o600
    assert run("report", "lenet5", "-o", "dangling.json").code == 0
    assert Path("dangling.json").is_symlink()
    assert Path("nowhere.json").exists()


def test_a_failed_write_leaves_nothing(folder, run, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.chmod", full)
    result = run("report", "lenet5", "-o", "a.json")
    assert (result.code, result.err) == (2, "error: a.json: No space left on device\nhint: nothing was written\n")
    assert os.listdir(folder) == []


def test_devices_and_pipes_need_no_force_and_never_hang(folder, run) -> None:
    assert run("report", "lenet5", "-o", "/dev/null").code == 0
    assert run("report", "lenet5", "-o", "-").out == run("report", "lenet5").out
    os.mkfifo("pipe")
    assert run("report", "lenet5", "-o", "pipe", "--force").code == 2


@pytest.mark.parametrize("arguments", ["report alexnet >&-", "report - <&-", "report alexnet > /dev/full"])
def test_closed_and_full_standard_streams(folder, arguments) -> None:
    command = f"{sys.executable} -m cnncost {arguments}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("error: standard ")
    assert "Traceback" not in result.stderr


def test_no_command_shows_the_help(run) -> None:
    result = run()
    assert result.code == 2
    assert result.err.startswith("Usage: cnncost")


def test_names_cannot_steer_the_terminal(folder, run) -> None:
    Path("net.yaml").write_text('name: "\\u202Eevil\\u0007\\u001b]0;x\\u0007"\ninput: 3x8x8\nlayers: {a: relu}\n')
    for format_ in ("table", "markdown"):
        out = run("report", "net.yaml", "--format", format_).out
        assert out.replace("\n", "").isprintable()
        assert "\\u202eevil" in out


def test_rows_sort_by_what_cells_mean(run) -> None:
    def column(name: str, *options: str) -> list[str]:
        out = run("report", "alexnet", "--format", "csv", "--columns", name, "--sort", name, *options).out
        return [cell for row in list(csv.reader(io.StringIO(out)))[1:] for cell in row]

    fields = [int(n) for n in column("receptive_field")]
    assert fields == sorted(fields, reverse=True)
    elements = [eval(shape.replace("x", "*")) for shape in column("output")]
    assert elements == sorted(elements, reverse=True)
    assert column("kind") == sorted(column("kind"))


def test_completion_of_columns(monkeypatch) -> None:
    line = "cnncost report alexnet --columns name,rec"
    env = {**os.environ, "_CNNCOST_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "4"}
    code = "import sys; sys.argv = ['cnncost']; from cnncost.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert result.stdout == "plain,name,receptive_field\n"
