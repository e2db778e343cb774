"""Data sheets of devices: what they say, that it adds up, and how faulty ones are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from documents import ROOT, blocks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cnncost
from cnncost.devices import Device, all_devices, folder, load, names
from cnncost.devices.quantities import EXAMPLES, UNITS, quantity
from cnncost.devices.schema import schema
from cnncost.devices.sheet import FIGURES, PEAK, SOURCE, TOP
from cnncost.errors import CnncostError, SpecError, UsageError

DEVICES = {device.key: device for device in all_devices()}
GIB, TERA = 2**30, 1e12


# ---- the sheets that come with cnncost ---------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_every_figure_has_a_source(device: Device) -> None:
    said = {name for name in FIGURES if getattr(device, name) is not None} - {"gpus"}
    assert said <= set(device.sources)
    for source in (*device.sources.values(), *(peak.source for peak in device.peaks)):
        assert source is not None and source.title
        assert source.url is None or re.match(r"https?://\S+$", source.url)


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_figures_are_of_a_sane_size_and_order(device: Device) -> None:
    assert device.peaks and device.units
    assert device.boost_clock and 0.5e9 < device.boost_clock < 6e9
    assert device.base_clock is None or device.base_clock < device.boost_clock
    assert device.bandwidth and 50e9 < device.bandwidth < 10e12
    assert device.memory is None or GIB < device.memory < 200 * GIB
    assert (device.memory is None) == (device.kind == "cpu"), "a CPU has the memory that it is given"
    assert device.tdp and 50 <= device.tdp <= 1000
    assert device.l3 is None or device.l2 is None or device.l2 < device.l3


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_rates_are_units_x_fmas_x_2_x_clock(device: Device) -> None:
    for peak in device.peaks:
        assert peak.fmas and peak.clock and device.units
        derived = device.units * peak.fmas * 2 * peak.clock
        assert peak.rate == pytest.approx(derived, rel=0.015 if peak.printed else 1e-12)


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_narrower_numbers_are_never_slower(device: Device) -> None:
    for unit in {peak.unit for peak in device.peaks}:
        order = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8")
        rates = [max(p.rate for p in device.peaks if (p.unit, p.dtype) == (unit, d)) for d in order
                 if any((p.unit, p.dtype) == (unit, d) for p in device.peaks)]  # fmt: skip
        assert rates == sorted(rates), unit


@pytest.mark.parametrize(
    ("name", "dtype", "rate"),
    [
        # NVIDIA prints no rate for it: 512 CUDA cores, a fused multiply-add each at 1.544 GHz.
        ("gtx-580", "fp32", 512 * 2 * 1.544e9),
        ("gtx-titan-black", "fp32", 2880 * 2 * 980e6),
        ("k80-half", "fp32", 2496 * 2 * 875e6),
        # AMD prints none: two 256-bit units a core, of 8 fp32 numbers each, at the base clock.
        ("epyc-7763", "fp32", 64 * 2 * 8 * 2 * 2.45e9),
        ("ryzen-9-7950x", "fp32", 16 * 2 * 8 * 2 * 4.5e9),
        # 8 tensor cores of 4x4x4 products a multiprocessor: 125 TFLOP/s as printed.
        ("v100", "fp16", 125 * TERA),
        ("jetson-agx-orin", "int8", 16 * 4 * 512 * 2 * 1.3e9),
    ],
)
def test_rates_spelled_out(name: str, dtype: str, rate: float) -> None:
    assert load(name).peak(dtype).rate == pytest.approx(rate, rel=1e-9)


def test_printed_rates_are_taken_as_they_are() -> None:
    peaks = {name: load(name).peak("fp32") for name in ("k80", "p100", "v100", "a100-40gb", "h100", "rtx-4090")}
    assert {name: peak.rate / TERA for name, peak in peaks.items()} == {
        "k80": 8.73, "p100": 10.6, "v100": 15.7, "a100-40gb": 19.5, "h100": 66.9, "rtx-4090": 82.6,
    }  # fmt: skip
    assert all(peak.printed for peak in peaks.values())


def test_frameworks_add_up_in_fp32_where_the_device_can() -> None:
    device = load("rtx-4090")
    assert device.peak("fp16").accumulate == "fp32"
    assert device.peak("fp16", "fp16").rate == pytest.approx(2 * device.peak("fp16").rate, rel=0.001)
    assert load("p100").peak("fp16").accumulate == "fp16"
    assert load("a100-40gb").peak("fp64").unit == "tensor cores"


def test_a_rate_that_the_sheet_lacks_is_an_error_and_no_zero() -> None:
    with pytest.raises(UsageError) as e:
        load("gtx-580").peak("fp16")
    assert str(e.value) == "GeForce GTX 580 has no peak rate for fp16\nhint: its sheet has fp32, fp64"
    with pytest.raises(UsageError, match="no peak rate for fp16 with sums in bf16"):
        load("h100").peak("fp16", "bf16")


def test_half_a_k80_is_half_of_it() -> None:
    board, half = load("k80"), load("k80-half")
    assert (board.gpus, half.gpus) == (2, 1)
    for name in ("units", "memory", "bus", "bandwidth", "tdp"):
        assert getattr(board, name) == 2 * getattr(half, name), name
    for dtype in board.dtypes:
        assert board.peak(dtype).rate == pytest.approx(2 * half.peak(dtype).rate, rel=0.001)


def test_forms_of_a_device_differ_in_what_they_say() -> None:
    for a, b, memories in (("gtx-580", "gtx-580-3gb", (1.5, 3)), ("v100", "v100-32gb", (16, 32)),
                           ("a100-40gb", "a100-80gb", (40, 80)), ("h100", "h200", (80, 141))):  # fmt: skip
        assert (load(a).memory, load(b).memory) == tuple(int(m * GIB) for m in memories)
        assert [p.rate for p in load(a).peaks] == [p.rate for p in load(b).peaks]
        assert load(a).about != load(b).about


@pytest.mark.parametrize("name", names())
def test_sheets_follow_the_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(yaml.safe_load(Path(folder(), f"{name}.yaml").read_text(encoding="utf-8")), schema())


def test_the_page_on_sheets_has_every_key_and_its_example_is_a_sheet(tmp_path) -> None:
    path = ROOT / "docs" / "devices.md"
    page = path.read_text(encoding="utf-8")
    for key in (*TOP, *PEAK, *SOURCE):
        assert f"`{key}`" in page, key
    (tmp_path / "rtx.yaml").write_text(blocks(path, "yaml")[0], encoding="utf-8")
    shown, ours = load(tmp_path / "rtx.yaml"), load("rtx-4090")
    for name in ("name", "units", "boost_clock", "l2", "memory", "bandwidth", "tdp"):
        assert getattr(shown, name) == getattr(ours, name)
    assert {(p.dtype, p.accumulate, p.rate) for p in shown.peaks} <= {
        (p.dtype, p.accumulate, p.rate) for p in ours.peaks
    }


# ---- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("rtx-4090", "rtx-4090"),
        ("RTX 4090", "rtx-4090"),
        ("rtx_4090", "rtx-4090"),
        ("GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("4090", "rtx-4090"),
        ("a100", "a100-40gb"),
        ("NVIDIA A100-SXM4-80GB", "a100-80gb"),
        ("Tesla V100-SXM2-16GB", "v100"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("7950X", "ryzen-9-7950x"),
    ],
)
def test_names_are_read_kindly(name: str, key: str) -> None:
    assert load(name).key == key


@given(st.sampled_from(names()), st.randoms(use_true_random=False))
def test_case_spaces_and_dashes_do_not_matter(key: str, random) -> None:
    spelling = "".join(random.choice((c.upper(), c.lower())) for c in key)
    assert load(spelling.replace("-", random.choice(("", " ", "_", "-", "  ")))).key == key


def test_no_two_devices_answer_to_one_name() -> None:
    called: dict[str, str] = {}
    for device in DEVICES.values():
        for name in {re.sub(r"[\W_]", "", n.lower()) for n in (device.key, device.name, *device.aliases)}:
            assert called.setdefault(name, device.key) == device.key, name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rtx4080", "unknown device rtx4080\nhint: did you mean rtx-4090?"),
        ("RTX", "unknown device RTX\nhint: did you mean rtx-3090, rtx-4090 or rtx-5090?"),
        ("7950", "unknown device 7950\nhint: did you mean ryzen-9-7950x?"),
        ("abacus", "unknown device abacus\nhint: cnncost devices lists them; or give the path of a sheet"),
        ("", "unknown device ''\nhint: cnncost devices lists them; or give the path of a sheet"),
        ("no.yaml", "no.yaml: No such file or directory\nhint: cnncost devices lists those that come with it"),
        (".yaml/x", ".yaml/x: No such file or directory\nhint: cnncost devices lists those that come with it"),
        (580, "a device is a name or a path, got 580\nhint: write rtx-4090"),
    ],
)
def test_unknown_devices(folder: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError) as e:
        load(name)
    assert str(e.value) == message


# ---- sheets of one's own -----------------------------------------------------------------------

SHEET = """\
name: Abacus
maker: Acme
year: 2030
kind: gpu
sources: {page: {title: a page}}
units: 10
boost_clock: 2 GHz
memory: 8 GiB
bus: 64 bit
pin_rate: 16 Gbit/s
bandwidth: 128 GB/s
peaks:
  - {dtype: fp32, unit: cores, fmas: 50, rate: 2.0 TFLOP/s}
"""


def own(folder: Path, text: str, name: str = "abacus.yaml") -> Device:
    (folder / name).write_text(text, encoding="utf-8")
    return load(name)


def test_a_sheet_of_ones_own(folder: Path) -> None:
    device = own(folder, SHEET)
    assert (device.key, device.name, device.memory, device.bandwidth) == ("abacus", "Abacus", 8 * GIB, 64 * 16e9 / 8)
    assert device.peak("fp32").rate == 10 * 50 * 2 * 2e9
    assert device.sources["memory"].title == "a page"
    assert (device.l2, device.tdp, device.base_clock) == (None, None, None)
    jsonschema.validate(yaml.safe_load(SHEET), schema())


def test_what_follows_need_not_be_printed(folder: Path) -> None:
    device = own(folder, SHEET.replace("bandwidth: 128 GB/s\n", "").replace(", rate: 2.0 TFLOP/s", ""))
    assert device.bandwidth == 64 * 16e9 / 8
    assert (device.peaks[0].rate, device.peaks[0].printed) == (10 * 50 * 2 * 2e9, False)
    alone = own(folder, SHEET.replace("fmas: 50, ", "").replace("units: 10\n", ""))
    assert (alone.peaks[0].rate, alone.peaks[0].how, alone.units) == (2e12, None, None)


def test_clocks_of_a_peak(folder: Path) -> None:
    for clock, hertz in (("base_clock", 1e9), ("boost_clock", 2e9), ("1500 MHz", 1.5e9)):
        peak = f"  - {{dtype: int8, unit: cores, fmas: 4, clock: {clock}}}\n"
        device = own(folder, SHEET.replace("boost", "base_clock: 1 GHz\nboost") + peak)
        assert device.peak("int8").rate == 10 * 4 * 2 * hertz


def test_a_sheet_extends_another(folder: Path) -> None:
    own(folder, SHEET + "about: the first\naliases: [one]\n")
    more = "extends: abacus\nname: Abacus 2\nsources: {blog: {title: a blog}}\nmemory: 16 GiB\n"
    device = own(folder, more, "two.yaml")
    assert (device.key, device.name, device.memory, device.units) == ("two", "Abacus 2", 16 * GIB, 10)
    assert (device.sources["memory"].title, device.sources["units"].title) == ("a blog", "a page")
    assert (device.about, device.aliases) == (None, ())
    with pytest.raises(SpecError) as e:
        own(folder, "extends: two\nname: x\n", "abacus.yaml")
    assert str(e.value) == (
        "two.yaml:1:10: extends in a circle: abacus.yaml -> two.yaml -> abacus.yaml\nhint: extend another sheet"
    )


WRONG = [
    ("", None,
     "abacus.yaml:1:1: the file is empty\nhint: a device sheet has name, maker, year, kind, sources and figures"),
    ("- 1", None,
     "abacus.yaml:1:1: a device sheet must be a mapping, got [1]\nhint: it starts with `name:` and `maker:`"),
    ("memory: 8 GiB", "memry: 8 GiB", "abacus.yaml:8:1: a device sheet has no key memry\nhint: did you mean memory?"),
    ("memory: 8 GiB", "memory: 8 GB",
     'abacus.yaml:8:9: memory must be a number of KiB or MiB or GiB or TiB, got "8 GB"\n'
     "hint: makers' GB of memory are powers of two: write GiB"),
    ("memory: 8 GiB", "memory: 0 GiB",
     'abacus.yaml:8:9: memory must be a number of KiB or MiB or GiB or TiB, got "0 GiB"\nhint: write 24 GiB'),
    ("memory: 8 GiB", "memory: {is: 8, source: page}",
     "abacus.yaml:8:14: memory must be a number of KiB or MiB or GiB or TiB, got 8\nhint: write 24 GiB"),
    ("memory: 8 GiB", "memory: {is: 8 GiB, source: pge}",
     "abacus.yaml:8:29: source must be one of page, got pge\nhint: did you mean page?"),
    ("memory: 8 GiB", "memory: {source: page}",
     "abacus.yaml:8:9: memory without `is`\nhint: write {is: figure, source: key}"),
    ("memory: 8 GiB", "memory: {is: 8 GiB, from: page}",
     "abacus.yaml:8:21: memory has no key from\nhint: known here: is, source"),
    ("units: 10", "units: ten",
     "abacus.yaml:6:8: units must be a whole number of at least 1, got ten\nhint: write 128"),
    ("2 GHz", "2", "abacus.yaml:7:14: boost_clock must be a number of MHz or GHz, got 2\nhint: write 2.52 GHz"),
    ("128 GB/s", "130 GB/s",
     "abacus.yaml:11:12: bandwidth 130 GB/s is not bus x pin_rate: 64 bit x 16 Gbit/s / 8 = 128 GB/s\n"
     "hint: correct one of the three, or leave bus and pin_rate out"),
    ("2.0 TFLOP/s", "2.2 TFLOP/s",
     "abacus.yaml:13:48: rate 2.2 TFLOP/s is not 10 SMs x 50 FMA x 2 x 2 GHz = 2 TFLOP/s\n"
     "hint: correct rate, fmas, units or clock; or leave fmas out"),
    ("2.0 TFLOP/s", "2.0 TOP/s",
     'abacus.yaml:13:48: rate must be a number of GFLOP/s or TFLOP/s or PFLOP/s, got "2.0 TOP/s"\n'
     "hint: write 82.6 TFLOP/s"),
    ("dtype: fp32", "dtype: fp31",
     "abacus.yaml:13:13: dtype must be one of fp64, fp32, tf32, fp16, bf16, fp8, int8, got fp31\n"
     "hint: did you mean fp32?"),
    ("unit: cores, ", "",
     "abacus.yaml:13:5: a peak without unit\nhint: what computes it: cores, tensor cores, vector units"),
    ("fmas: 50, rate: 2.0 TFLOP/s", "accumulate: fp32",
     "abacus.yaml:13:5: a peak with neither rate nor fmas\n"
     "hint: give the rate as printed, or the FMAs a unit and clock"),
    ("fmas: 50", "fma: 50", "abacus.yaml:13:32: a peak has no key fma\nhint: did you mean fmas?"),
    ("fmas: 50", "fmas: 0",
     "abacus.yaml:13:38: fmas must be a whole number of at least 1, got 0\nhint: write 128"),
    ("units: 10\n", "",
     "abacus.yaml:12:38: fmas without units\nhint: units: streaming multiprocessors of a GPU, cores of a CPU"),
    ("fmas: 50", "fmas: 50, clock: base_clock",
     "abacus.yaml:13:49: fmas without base_clock\nhint: base_clock: clock that is guaranteed"),
    ("kind: gpu", "kind: tpu", "abacus.yaml:4:7: kind must be one of gpu, cpu, got tpu\nhint: did you mean gpu?"),
    ("year: 2030", "year: soon",
     "abacus.yaml:3:7: year must be a year, like 2022, got soon\n"
     "hint: year in which it came out; of what was measured, when that was"),
    ("year: 2030", "year: 2030\nworking_sets: [{size: 1 MiB, read: 9 GB/s}, {size: 8 KiB, read: 9 GB/s}]",
     "abacus.yaml:4:15: working_sets must go from small to large\nhint: sort them by size"),
    ("year: 2030", "year: 2030\nworking_sets: [{size: 1 MiB}]",
     "abacus.yaml:4:16: a working set without size and bandwidth\n"
     "hint: write working_sets as a list: `- {size: 32 KiB, read: 200 GB/s, copy: 150 GB/s}`"),
    ("year: 2030", "year: 2030\nworking_sets: [{size: 1 MiB, read: fast}]",
     "abacus.yaml:4:36: read must be a number of GB/s or TB/s, got fast\nhint: write 1008 GB/s"),
    ("year: 2030", "year: 2030\nlaunch_overhead: 2 s",
     'abacus.yaml:4:18: launch_overhead must be a number of ns or us or ms, got "2 s"\nhint: write 1.8 us'),
    ("maker: Acme\n", "", "abacus.yaml:1:1: a device sheet without maker\nhint: who makes it"),
    ("maker: Acme", "maker: 3", "abacus.yaml:2:8: maker must be text, got 3\nhint: who makes it"),
    ("maker: Acme", "maker: Acme\nmaker: Acme",
     "abacus.yaml:3:1: duplicate key maker, first on line 2\nhint: rename or remove one of the two"),
    ("sources: {page: {title: a page}}\n", "",
     "abacus.yaml:5:8: a figure without a source\nhint: write sources: {sheet: {title: ...}} on top"),
    ("{title: a page}", "{url: x}", "abacus.yaml:5:17: source page without title\nhint: name of the document"),
    ("{page: {title: a page}}", "a page",
     "abacus.yaml:5:10: sources must be a mapping, got a page\n"
     "hint: write sources: {sheet: {title: ..., url: ...}}"),
    ("kind: gpu", "kind: gpu\naliases: one",
     "abacus.yaml:5:10: aliases must be a list\nhint: write aliases: [NVIDIA GeForce RTX 4090]"),
    ("name: Abacus", "extends: nothing",
     "abacus.yaml:1:10: extends nothing.yaml: No such file or directory\nhint: name a sheet in the same folder"),
    ("peaks:\n  - {dtype: fp32, unit: cores, fmas: 50, rate: 2.0 TFLOP/s}", "peaks: []",
     "abacus.yaml:12:8: peaks must be a list that is not empty\n"
     "hint: write peaks as a list: `- {dtype: fp32, unit: cores, fmas: 128, rate: 82.6 TFLOP/s}`"),
]  # fmt: skip
"""(what of the sheet, what it becomes, the whole message); the whole sheet where the second is None."""


@pytest.mark.parametrize(("part", "wrong", "message"), WRONG, ids=[m.partition("\n")[0] for _, _, m in WRONG])
def test_a_slip_is_one_message_at_its_place(folder: Path, part: str, wrong: str | None, message: str) -> None:
    assert wrong is None or SHEET.count(part) >= 1
    with pytest.raises(CnncostError) as e:
        own(folder, part if wrong is None else SHEET.replace(part, wrong, 1))
    assert str(e.value) == message


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_garbled_sheet_is_a_device_or_one_message(folder: Path, data: st.DataObject) -> None:
    text = SHEET
    for _ in range(data.draw(st.integers(1, 3))):
        at, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        words = [
            "",
            "0",
            "-1",
            "{",
            "[",
            "]",
            ": ",
            "\n",
            "null",
            "true",
            "1e9",
            "é",
            "is",
            "&a",
            "*a",
            "GHz",
            "9" * 50,
        ]
        text = text[:at] + data.draw(st.sampled_from(words)) + text[at if data.draw(st.booleans()) else end :]
    try:
        assert own(folder, text).peaks is not None
    except CnncostError as e:
        assert e.message and "\n" not in e.message


def test_files_that_are_no_sheets(folder: Path) -> None:
    (folder / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    (folder / "large.yaml").write_bytes(b"#" * (2**20 + 1))
    for name, message in (("bytes.yaml", "not UTF-8 text"), ("large.yaml", "larger than 1 MiB")):
        with pytest.raises(UsageError, match=re.escape(message)):
            load(name)


@pytest.mark.parametrize("dimension", UNITS)
def test_quantities_are_read_exactly(dimension: str) -> None:
    for unit, worth in UNITS[dimension].items():
        read = quantity(f"1,234{unit and ' ' + unit}", dimension)
        assert (read.value, read.last_digit) == (1234 * worth, worth)
        read = quantity(f"0.250{unit}", dimension)
        assert (4 * read.value, 1000 * read.last_digit) == (worth, worth)
    assert quantity(EXAMPLES[dimension], dimension).value > 0


# ---- the command -------------------------------------------------------------------------------


def test_the_help(run, golden, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    result = run("devices", "--help")
    assert (result.code, result.err) == (0, "")
    assert max(map(len, result.out.splitlines())) <= 100
    golden("help-devices.txt", result.out)


def test_the_list(run, golden) -> None:
    result = run("devices")
    assert (result.code, result.err) == (0, "")
    golden("devices.txt", result.out)
    for device in DEVICES.values():
        assert f"\n{device.key} " in result.out


@pytest.mark.parametrize("name", ["gtx-580", "k80", "rtx-4090", "ryzen-9-7950x"])
def test_a_sheet_in_80_columns(golden, name: str) -> None:
    from cnncost.output.devices import device_page
    from cnncost.output.tables import Paper

    text = device_page(load(name), Paper(width=80))
    golden(f"device-{name}.txt", text)
    assert [line for line in text.splitlines() if len(line) > 80 and "http" not in line] == []
    assert "…" not in text


def test_json_holds_what_the_sheet_says_and_no_more(run) -> None:
    whole = json.loads(run("devices", "--format", "json").out)
    format_ = json.loads(run("schema", "devices").out)
    jsonschema.Draft202012Validator.check_schema(format_)
    jsonschema.validate(whole, format_)
    assert (whole["schema"], whole["cnncost"]) == (1, cnncost.__version__)
    listed = whole["devices"]
    assert [entry["key"] for entry in listed] == names()
    (one,) = json.loads(run("devices", "GTX 580", "--format", "json").out)["devices"]
    assert one == next(entry for entry in listed if entry["key"] == "gtx-580")
    assert (one["memory"], one["bandwidth"], one["units"]) == (int(1.5 * GIB), 192.4e9, 16)
    assert "base_clock" not in one and "l3" not in one
    assert one["peaks"][0]["rate"] == 512 * 2 * 1.544e9
    assert one["sources"]["l2"]["title"].endswith("Fermi (white paper)")


def test_an_unknown_device_on_the_command_line(run) -> None:
    result = run("devices", "gtx-590")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: unknown device gtx-590\nhint: did you mean gtx-580?\n"
