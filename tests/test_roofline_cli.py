"""cnncost roofline: whole outputs, the drawing, formats for programs, and arguments."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from math import log10
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from documents import ROOT, commands, printed

import cnncost
from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.roofline import ROOFLINE_COLUMNS, fold
from cnncost.output.roofline import roofline_schema, roofline_table
from cnncost.output.roofline_chart import BRAILLE, HEIGHT, MARGIN, SLOPE, Scale, chart
from cnncost.output.tables import Paper

NET = """\
name: Small
input: 16x32x32
layers:
  conv: {conv: 64, kernel: 3, padding: 1, bias: false}
  bn: batch_norm
  relu: relu
  pool: {max_pool: 2}
  up: {upsample: 2}
  gap: {global_avg_pool, keep: false}
  fc: {linear: 10}
"""
SLOW = """\
name: Slow
maker: Nobody
year: 2026
kind: cpu
sources: {us: {title: a guess}}
bandwidth: 100 GB/s
peaks: [{dtype: fp32, unit: vector units, rate: 1 TFLOP/s}]
"""


@pytest.fixture
def net(folder: Path) -> str:
    (folder / "small.yaml").write_text(NET)
    (folder / "slow.yaml").write_text(SLOW)
    return "small.yaml"


# ---- what people see --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("roofline-alexnet.txt", "roofline alexnet --device gtx-580"),
        ("roofline-resnet50.txt", "roofline resnet50 --device h100 --dtype bf16 --batch 32 --by block"),
        ("roofline-fused.txt", "roofline resnet18 --device h100 --dtype bf16 --batch 32 --fuse"),
        ("roofline-train.txt", "roofline vgg11_bn --device a100-40gb --dtype tf32 --pass train --by op --units exact"),
        ("roofline-small.txt", "roofline small.yaml --device slow.yaml --columns all --sort seconds --top 3"),
        ("roofline-close.txt", "roofline resnet18 --device rtx-4090 --dtype fp16 --batch 16 --by op --no-legend"),
        ("roofline-int8.txt", "roofline mobilenet_v2 --device t4 --dtype int8 --by op --no-legend"),
        ("roofline.md", "roofline small.yaml --device slow.yaml --format markdown"),
        ("roofline.csv", "roofline small.yaml --device slow.yaml --format csv"),
        ("help-roofline.txt", "roofline --help"),
    ],
)
def test_whole_output(net: str, run: Any, golden: Any, name: str, arguments: str) -> None:
    result = run(*arguments.split())
    assert result.code == 0
    assert result.err == ""
    golden(name, result.out)


@pytest.mark.parametrize("unicode", [True, False], ids=["unicode", "ascii"])
@pytest.mark.parametrize("width", [50, 80, 120])
@pytest.mark.parametrize("name", ["alexnet", "resnet50", "mobilenet_v2", "densenet121", "lenet5"])
def test_it_fits_a_terminal(name: str, width: int, unicode: bool) -> None:
    for passes in ("forward", "train"):
        found = cnncost.roofline(name, "h100", dtype="bf16", batch=8, passes=passes)
        lines = roofline_table(found, fold(found, "block"), paper=Paper(width, unicode=unicode)).splitlines()
        assert max(map(len, lines)) <= width
        assert unicode or "\n".join(lines).isascii()
        picture = [str(line) for line in chart(found, width, unicode)]
        assert len(picture) > HEIGHT
        assert max(map(len, picture)) <= width
        assert unicode or "".join(picture).isascii()


def test_a_terminal_too_narrow_gets_no_drawing() -> None:
    found = cnncost.roofline("alexnet", "h100")
    assert chart(found, 49) == []
    assert "FLOP/s │" not in roofline_table(found, found.layers, paper=Paper(49))


@pytest.mark.parametrize("width", [80, 120])
def test_golden_at_a_terminal_of_some_width(golden: Any, width: int) -> None:
    found = cnncost.roofline("alexnet", "gtx-580")
    text = roofline_table(found, found.layers, paper=Paper(width))
    assert max(map(len, text.splitlines())) <= width
    golden(f"roofline-{width}.txt", text)


def test_the_drawing_in_ascii(golden: Any) -> None:
    found = cnncost.roofline("mobilenet_v2", "h100", dtype="tf32", batch=32)
    text = "".join(f"{line}\n" for line in chart(found, 80, False))
    assert text.isascii()
    golden("roofline-ascii.txt", text)


def test_a_roofline_over_arrays_is_refused() -> None:
    import numpy

    found = cnncost.roofline("lenet5", "h100", batch=numpy.array([1, 2]))
    with pytest.raises(cnncost.UsageError, match="a roofline over arrays cannot be shown as one table"):
        roofline_table(found, found.layers)


# ---- the drawing ------------------------------------------------------------------------------------


def marks(picture: list[str]) -> dict[tuple[int, int], str]:
    """Letters of the drawing by their place: characters from the left and lines from the top, labels left out."""
    found = {}
    for up, line in enumerate(picture[:HEIGHT]):
        body = re.sub(r"\d[\d.]* ?[KMGTP]?\w*(OP|B)/s( \w+, [\w ]+)?", lambda m: " " * len(m[0]), line[MARGIN + 1 :])
        found |= {(column, up): c for column, c in enumerate(body) if c.isascii() and c.isalpha()}
    return found


def test_points_stand_where_their_figures_are(net: str) -> None:
    found = cnncost.roofline(net, "slow.yaml")
    picture = [str(line) for line in chart(found, 80)]
    places = marks(picture)
    assert sorted(places.values(), key=str.lower) == ["B", "C", "l", "M", "R"], "gap is where bn is; up has none"
    column = {letter.lower(): place[0] for place, letter in places.items()}
    up = {letter.lower(): HEIGHT - 1 - place[1] for place, letter in places.items()}
    ticks = [i for i, c in enumerate(picture[HEIGHT][MARGIN + 1 :]) if c == "┴"]
    assert len(ticks) == 2, "0.1 and 1 FLOPs a byte; at 10 is the ridge"
    decade = ticks[1] - ticks[0]
    for letter, name in (("c", "conv"), ("l", "fc"), ("m", "pool"), ("b", "bn")):
        assert column[letter] == pytest.approx(ticks[1] + decade * log10(found[name].intensity), abs=1.5)
    assert up["r"] < up["b"] < up["c"], "attainable rates rise with the intensity"
    assert up["c"] == HEIGHT - 2, "bound by arithmetic, on the roof, under its label"


@pytest.mark.parametrize("unicode", [True, False], ids=["unicode", "ascii"])
def test_the_roof_is_a_line_without_gaps(folder: Path, golden: Any, unicode: bool) -> None:
    """Also where it is steep: a ridge far left of the layers."""
    (folder / "fast.yaml").write_text(SLOW.replace("100 GB/s", "100 TB/s").replace("name: Slow", "name: Fast"))
    (folder / "net.yaml").write_text("input: 512x32x32\nlayers: {a: {conv: 4096, kernel: 3, bias: false}}")
    found = cnncost.roofline("net.yaml", "fast.yaml", batch=4096)
    golden(
        f"roofline-steep-{'unicode' if unicode else 'ascii'}.txt", "".join(f"{i}\n" for i in chart(found, 50, unicode))
    )
    picture = [str(line)[MARGIN + 1 :] for line in chart(found, 50, unicode)[:HEIGHT]]
    heights: list[set[int]] = [set() for _ in range(2 * 41)]
    for up, line in enumerate(reversed(picture)):
        for column, c in enumerate(line):
            for half in range(2):
                bits = ord(c) - 0x2800 if unicode and 0x2800 <= ord(c) < 0x2900 else 0
                heights[2 * column + half] |= {4 * up + dot for dot in range(4) if bits & BRAILLE[half][dot]}
                if not unicode and c in f"{SLOPE}/" and up < HEIGHT - 1:
                    heights[2 * column + half] |= (
                        set(range(4 * up, 4 * up + 4)) if c == "/" else {4 * up + SLOPE.index(c)}
                    )
    drawn = [places for places in heights if places]
    assert len(drawn) >= 2 * 41 - 2, "all columns but that of the point"
    steps = [min(after) - max(before) for before, after in pairwise(drawn)]
    assert max(steps) <= (1 if unicode else 7), "in ASCII from the foot of one line to the top of the next"
    assert max(drawn[-1]) - min(drawn[0]) >= 4 * (HEIGHT - 3)


def test_a_layer_counts_as_bound_by_what_bounds_most_of_its_time(net: str) -> None:
    found = cnncost.roofline(net, "slow.yaml")
    conv = found["conv"]._replace(seconds=1.0)
    layers = tuple(conv._replace(memory_bound=share) for share in (0.0, 0.4, 0.6, 1.0))
    assert "50.0%  of it, in 2 of 4 layers that take time" in str(replace(found, layers=layers))


def test_measured_points_are_below_the_roof(net: str) -> None:
    plain = cnncost.roofline(net, "slow.yaml")
    found = cnncost.roofline(net, "slow.yaml", measured={"conv": 30 * plain["conv"].seconds})
    roof, picture = chart(plain, 80), [str(line) for line in chart(found, 80)]
    ((place, letter),) = marks(picture).items()
    (before,) = (place for place, mark in marks([str(line) for line in roof]).items() if mark == "C")
    assert letter == "C"
    assert place[0] == before[0], "the same intensity"
    assert place[1] > before[1], "a lower rate"
    text = roofline_table(
        found, found.layers, [ROOFLINE_COLUMNS[n] for n in ("name", "seconds", "measured", "attained")]
    )
    assert "3.3%" in text
    assert "3.3% of it attained, in 1 of 7 layers" in text


def test_a_mark_is_bold_where_there_is_colour() -> None:
    found = cnncost.roofline("alexnet", "gtx-580")
    assert "\x1b[1;36mC\x1b[0m" in roofline_table(found, found.layers, paper=Paper(80, colour=True))


def test_a_scale_of_decades() -> None:
    scale = Scale(-1, 3, 40)
    assert [scale.cell(value) for value in (0.1, 1, 10, 999, 1e6, 1e-6)] == [0, 10, 20, 39, 39, 0]
    assert scale.decades == [0.1, 1, 10, 100, 1000]
    assert scale.value(scale.at(7.0)) == pytest.approx(7.0)


def test_a_network_that_only_moves_has_no_drawing(folder: Path) -> None:
    (folder / "moves.yaml").write_text("input: 4x8x8\nlayers: {up: {upsample: 2}, f: flatten}")
    found = cnncost.roofline("moves.yaml", "h100")
    assert chart(found, 80) == []
    text = str(found)
    assert "bound by memory  100.0%" in " ".join(text.split()).replace("memory 100", "memory  100")
    assert "attainable" not in text


def test_a_network_that_does_nothing(folder: Path, run: Any) -> None:
    (folder / "nothing.yaml").write_text("input: 4x8x8\nlayers: {f: flatten}")
    result = run("roofline", "nothing.yaml", "--device", "h100")
    assert (result.code, result.err) == (0, "")
    assert "least time" in result.out


# ---- for programs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("more", ["", "--pass train", "--fuse", "--by block --top 2", "--dtype int8 --device t4"])
def test_json_keeps_its_schema(net: str, run: Any, more: str) -> None:
    record = json.loads(run("roofline", net, "--device", "h100", "--format", "json", *more.split()).out)
    jsonschema.validate(record, roofline_schema())
    assert record["total"]["seconds"] == pytest.approx(sum(row["seconds"] for row in record["layers"]))
    assert record["total"]["flops"] == sum(row["flops"] for row in record["layers"])
    assert record["ridge"] == record["peak"]["flops_per_second"] / record["bandwidth"]


def test_json_has_the_figures_of_the_value(net: str, run: Any) -> None:
    record = json.loads(run("roofline", net, "--device", "slow.yaml", "--format", "json").out)
    found = cnncost.roofline(net, "slow.yaml")
    assert [row["seconds"] for row in record["layers"]] == [row.seconds for row in found.layers]
    conv = record["layers"][0]
    assert conv["flops"] == 2 * (64 * 32 * 32) * (16 * 9)
    assert conv["bytes_read"] == 4 * (16 * 32 * 32 + 64 * 16 * 9)
    assert (conv["bound"], conv["flops_per_second"]) == ("arithmetic", 1e12)
    assert (conv["measured_seconds"], conv["attained"]) == (None, None)


def test_the_schema_is_printed(run: Any) -> None:
    assert json.loads(run("schema", "roofline").out) == roofline_schema()


def test_csv_has_a_line_a_row_and_no_total(net: str, run: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(run("roofline", net, "--device", "slow.yaml", "--format", "csv").out)))
    found = cnncost.roofline(net, "slow.yaml")
    assert [row["name"] for row in rows] == [row.name for row in found.layers]
    assert [float(row["seconds"]) for row in rows] == [row.seconds for row in found.layers]
    assert [int(row["moved"]) for row in rows] == [row.bytes for row in found.layers]
    assert next(row["intensity"] for row in rows if row["name"] == "up") == "", "none is not zero"


def test_columns_are_listed(run: Any) -> None:
    listed = run("roofline", "--list-columns").out
    assert [line.split()[0] for line in listed.splitlines()] == list(ROOFLINE_COLUMNS)


# ---- arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("small.yaml", "error: missing option '--device'\nhint: cnncost roofline --help\n"),
        ("resnet999 --device h100", "error: resnet999: no such file, and no bundled architecture of that name\n"),
        ("small.yaml --device h10", "error: unknown device h10\nhint: did you mean h100 or h100-pcie?\n"),
        (
            "small.yaml --device gtx-580 --dtype bf16",
            "error: GeForce GTX 580 has no peak rate for bf16\nhint: its sheet has fp32, fp64\n",
        ),
        (
            "small.yaml --device h100 --accumulate fp16",
            "error: H100 SXM5 has no peak rate for fp32 with sums in fp16\n"
            "hint: its sheet has fp64, fp32, fp16, bf16, tf32, fp8, int8\n",
        ),
        (
            "small.yaml --device none.yaml",
            "error: the sheet of Slow has no bandwidth\n"
            "hint: add bandwidth to the sheet, or take another device: cnncost devices\n",
        ),
        (
            "small.yaml --device h100 --dtype half",
            f"error: invalid value for '--dtype': 'half' is not one of {', '.join(map(repr, DTYPES))}\n"
            "hint: cnncost roofline --help\n",
        ),
        (
            "small.yaml --device h100 --pass train --fuse",
            "error: --fuse has no effect on --pass train\n"
            "hint: training keeps what fusing leaves out; it goes with --pass forward\n",
        ),
        (
            "small.yaml --device h100 --depth 2",
            "error: --depth has no effect here\nhint: it goes with --by block\n",
        ),
        (
            "small.yaml --device h100 --sort second",
            "error: --sort: unknown column second\nhint: did you mean seconds?\n",
        ),
        ("small.yaml --device h100 --columns time", "error: unknown column time\nhint: did you mean seconds?\n"),
        (
            "small.yaml --device h100 --format csv --no-chart",
            "error: --no-chart has no effect on csv\nhint: it goes with --format table or markdown\n",
        ),
        (
            "small.yaml --device h100 --format json --units M",
            "error: --units has no effect on json\nhint: programs get whole numbers\n",
        ),
        (
            "small.yaml --device h100 --batch 0",
            "error: batch must be a whole number of at least 1, got 0\n",
        ),
        (
            "small.yaml --device h100 -o small.yaml",
            "error: -o small.yaml: no format has the suffix .yaml\n",
        ),
    ],
)
def test_bad_arguments(net: str, run: Any, arguments: str, message: str) -> None:
    Path("none.yaml").write_text(SLOW.replace("bandwidth: 100 GB/s\n", ""))
    result = run("roofline", *arguments.split())
    assert result.code == 2
    assert result.err.startswith(message)
    assert result.err.count("\n") == 2
    assert result.out == ""


def test_options_change_the_network(net: str, run: Any) -> None:
    record = json.loads(
        run("roofline", net, "--device", "h100", "--input", "16x8x8", "--batch", "3", "--format", "json").out
    )
    assert record["inputs"] == {"input": [3, 16, 8, 8]}
    assert record["layers"][0]["macs"] == 3 * (64 * 8 * 8) * (16 * 9)


def test_it_needs_neither_torch_nor_numpy() -> None:
    code = (
        "import sys\nfrom cnncost.cli import main\n"
        "try:\n    main(['roofline', 'resnet50', '--device', 'h100', '--pass', 'train'])\n"
        "except SystemExit as e:\n    print(e.code, *{'torch', 'numpy', 'pandas', 'onnx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"


# ---- docs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "shown"), commands(ROOT / "docs/roofline.md"), ids=lambda text: text.split("\n")[0]
)
def test_the_docs_show_what_happens(command: str, shown: str) -> None:
    assert printed(command) == shown
