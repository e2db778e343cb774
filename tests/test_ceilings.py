"""cnncost machine: ceilings of a made-up machine on a clock that is wound by hand, their sheet, and the command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
import yaml
from clocks import Once, Quiet, Wound

import cnncost
from cnncost.analysis.ceilings import Machine, Rate
from cnncost.analysis.roofline import ceilings as roofs
from cnncost.analysis.samples import OTHER_LOAD, TOO_SHORT
from cnncost.devices import WorkingSet
from cnncost.devices.schema import schema
from cnncost.live import ceilings as live
from cnncost.live import machine as here
from cnncost.live.ceilings import LONG_RUNS, LONGEST, PRODUCTS, Probe, TorchStand, caches, measure
from cnncost.live.timing import Method
from cnncost.output.devices import device_page
from cnncost.output.machine import device, figure, named, sheet
from cnncost.output.tables import Paper

KIB, MIB, GIGA = 2**10, 2**20, 1e9
LAUNCH, KERNEL = 2e-6, 3e-6
RATES = {"fp32": 100 * GIGA, "bf16": 400 * GIGA, "fp16": GIGA}
CACHE = 2 * MIB
IN_CACHE, READ, COPY = 200 * GIGA, 40 * GIGA, 30 * GIGA


class Uneven(Wound):
    """Every third sample is slow."""

    samples = 0

    def time(self, run: Callable[[int], None], first: int, loops: int) -> float:
        took = super().time(run, first, loops)
        self.samples += 1
        if self.samples % 3 == 0:
            self.at += 0.2 * took
            took *= 1.2
        return took


class MadeUp:
    """A machine with known rates: a run takes its launch, and its work over the rate."""

    def __init__(self, clock: Wound, kind: str = "cpu") -> None:
        self.clock, self.kind, self.name, self.dtypes = clock, kind, "AMD Abacus(TM) 9 CPU @ 1.00GHz", tuple(RATES)
        self.facts: dict[str, Any] = {"units": 4, "threads": 2, "l2": CACHE, "told": ("torch 9.9",)}
        self.configured_for: list[str] = []
        self.products: list[tuple[str, int]] = []

    def _probe(self, seconds: float, work: float = 1.0) -> Probe:
        def run(i: int) -> None:
            self.clock.at += LAUNCH + seconds

        return Probe(run, work)

    def configured(self, dtype: str) -> AbstractContextManager[None]:
        self.configured_for.append(dtype)
        return nullcontext()

    def unit(self, dtype: str) -> str:
        return "tensor cores" if dtype == "fp16" else "cores"

    def nothing(self) -> Probe:
        return self._probe(0.0)

    def product(self, dtype: str, size: int) -> Probe:
        self.products.append((dtype, size))
        return self._probe(2 * size**3 / RATES[dtype], 2 * size**3)

    def convolutions(self, dtype: str) -> Sequence[tuple[str, Probe]]:
        rate = RATES[dtype] * (1.5 if dtype == "bf16" else 0.5)
        return [(f"convolutions in {dtype}", self._probe(1e9 / rate, 1e9))]

    def reads(self, size: int) -> Sequence[Probe]:
        again = max(1, 64 * MIB // size)
        rate = IN_CACHE if size <= CACHE else READ
        return self._probe(again * size / rate, again * size), self._probe(size / (rate / 3), size)

    def copy(self, size: int) -> Probe:
        return self._probe(size / (IN_CACHE if size <= CACHE else COPY), size)

    def sizes(self) -> Sequence[int]:
        return [8 * KIB, 512 * KIB, CACHE, 8 * CACHE, 16 * CACHE]


def measured(kind: str = "cpu", load: Quiet | None = None, watch: Any = None) -> tuple[Machine, MadeUp]:
    clock = Uneven()
    stand = MadeUp(clock, kind)
    host = Uneven() if kind == "cpu" else HostClock(clock)
    return measure(stand, clock, clock if kind == "cpu" else host, load or Quiet(), watch or (lambda *_: None)), stand


class HostClock(Wound):
    """Of a host that takes KERNEL for each launch, whatever the device does."""

    def __init__(self, device_clock: Wound) -> None:
        super().__init__()
        self.device_clock = device_clock

    def time(self, run: Callable[[int], None], first: int, loops: int) -> float:
        self.at += loops * KERNEL
        return loops * KERNEL


# ---- what is measured -----------------------------------------------------------------------------


def test_rates_bandwidths_and_overheads_are_those_of_the_machine() -> None:
    found, stand = measured()
    best = {**RATES, "bf16": 1.5 * RATES["bf16"]}  # its convolutions are faster than its products
    assert {rate.dtype: rate.rate for rate in found.rates} == pytest.approx(best, rel=0.05)
    assert [rate.of for rate in found.rates][1:] == ["convolutions in bf16", "products of 512 x 512"]
    assert found.launch_overhead == pytest.approx(LAUNCH)
    assert found.read_bandwidth == pytest.approx(READ, rel=0.01)
    assert found.copy_bandwidth == pytest.approx(COPY, rel=0.01)
    assert found.bandwidth == found.read_bandwidth, "a ceiling is the faster of the two"
    assert [each.size for each in found.curve] == list(stand.sizes())
    assert [each.read for each in found.curve[:3]] == pytest.approx([IN_CACHE] * 3, rel=0.02)
    assert found.shortest_kernel is None and found.threads == 2 and found.units == 4 and found.l2 == CACHE


def test_copies_no_longer_than_their_launch_are_left_out() -> None:
    found, _ = measured()
    for each in found.curve:
        took = LAUNCH + each.size / (IN_CACHE if each.size <= CACHE else COPY)
        assert (each.copy is None) == (took < LONG_RUNS * LAUNCH), each
    assert [each.copy is None for each in found.curve[:3]] == [True, True, False]


def test_products_grow_as_far_as_they_take_no_longer_than_that() -> None:
    _, stand = measured()
    for dtype, rate in RATES.items():
        sizes = [size for each, size in stand.products if each == dtype]
        assert sizes == list(PRODUCTS[: len(sizes)]) and sizes
        assert all(2 * size**3 / rate < LONGEST for size in sizes[1:])
        assert sizes[-1] == PRODUCTS[-1] or 8 * (2 * sizes[-1] ** 3 / rate + LAUNCH) > LONGEST
    assert stand.configured_for == ["fp32", *RATES, "fp32"], "each dtype with the switches that it needs"


def test_on_a_gpu_the_host_launches_and_the_kernel_takes_its_own_time() -> None:
    found, _ = measured("gpu")
    assert found.launch_overhead == pytest.approx(KERNEL)
    assert found.shortest_kernel == pytest.approx(LAUNCH)


def test_progress_is_told_of_every_step() -> None:
    steps: list[tuple[int, int]] = []
    measured(watch=lambda done, of: steps.append((done, of)))
    count = 1 + len(RATES) + 5
    assert steps == [(n, count) for n in range(count + 1)]


def test_doubts_are_kept_but_for_runs_that_are_short_by_design() -> None:
    assert measured(load=Quiet(OTHER_LOAD, TOO_SHORT))[0].doubts == (OTHER_LOAD,)
    assert measured()[0].doubts == ()


def test_caches_are_counted_as_often_as_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = (("1", "Data", "32K", "0"), ("1", "Instruction", "64K", "0"), ("2", "Unified", "1024K", "0,4"),
             ("3", "Unified", "8192K", "0-3,5-8"), ("4", "Unified", "1K", "0"))  # fmt: skip
    for number, (level, kind, size, shared) in enumerate(kinds):
        folder = tmp_path / f"index{number}"
        folder.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size), ("shared_cpu_list", shared)):
            (folder / name).write_text(text + "\n")
    monkeypatch.setattr(here, "CACHES", tmp_path)
    monkeypatch.setattr(live.os, "cpu_count", lambda: 8)
    assert caches() == {"l1": 8 * 32 * KIB, "l2": 4 * 1024 * KIB, "l3": 8192 * KIB}
    monkeypatch.setattr(here, "CACHES", tmp_path / "none")
    assert caches() == {}


# ---- PyTorch's own, with a clock that looks away --------------------------------------------------


def test_every_probe_runs_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PRODUCTS", (16, 32))
    monkeypatch.setattr(live, "CHANNELS", (1,))
    monkeypatch.setattr(TorchStand, "sizes", lambda self: (8 * KIB, 64 * KIB))
    stand, threads = TorchStand(torch.device("cpu"), 1), torch.get_num_threads()
    method = Method(warm_up=0.0, window=2, samples=1, fewest=1)
    found = measure(stand, Once(lambda n: 0.01), Once(lambda n: 1e-6), Quiet(), method=method)
    assert {rate.dtype: rate.rate for rate in found.rates} == pytest.approx(dict.fromkeys(RATES, 2 * 32**3 / 0.01))
    assert [each.copy for each in found.curve] == pytest.approx([8 * KIB / 0.01, 64 * KIB / 0.01])
    assert found.name == here.processor() and found.units and found.told[0] == f"torch {torch.__version__}"
    assert torch.get_num_threads() == threads, "switches are as they were"
    assert roofs(device(found), "fp32").bandwidth > 0


def test_reading_and_copying_move_what_they_say() -> None:
    stand = TorchStand(torch.device("cpu"), 1)
    again, halves = stand.reads(64 * KIB)
    assert again.work == live.AT_A_TIME["cpu"] and halves.work == stand.copy(64 * KIB).work == 64 * KIB
    assert stand.product("fp32", 64).work == 2 * 64**3
    works = [probe.work for _, probe in stand.convolutions("fp32")]
    assert works == [2 * 28 * 28 * n * n * 9 for n in live.CHANNELS]
    sizes = list(stand.sizes())
    assert sizes[0] == 8 * KIB and all(b == 2 * a for a, b in pairwise(sizes))
    assert sizes[-1] >= min(live.LEAST_BEYOND, here.free_bytes(torch.device("cpu")) or 1)


@pytest.mark.cuda
def test_a_gpu_is_measured() -> None:
    found = live.ceilings(torch.device("cuda", 0))
    assert found.kind == "gpu" and found.shortest_kernel and found.bandwidth > 50 * GIGA
    assert device(found).peak("fp16").rate > device(found).peak("fp32").rate


# ---- the sheet ------------------------------------------------------------------------------------

ABACUS = Machine(
    "AMD Abacus(TM) 9 16-Core Processor", "cpu",
    (Rate("fp32", "cores", "products of 1024 x 1024", 123.456e9),
     Rate("fp16", "cores", "products of 512 x 512", 3.2e8)),
    (WorkingSet(8 * KIB, 199.96e9), WorkingSet(3 * MIB, 99.4e9, 98.76e9), WorkingSet(64 * MIB, 41.234e9, 17.5e9)),
    1.2345e-6, "2026-02-03", ("torch 2.9", "AVX512"), None, 16, 1, 512 * KIB, 16 * MIB, 64 * MIB, None, (OTHER_LOAD,),
)  # fmt: skip


def test_a_sheet_says_what_was_measured_and_loads(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(sheet(ABACUS))
    jsonschema.validate(yaml.safe_load(sheet(ABACUS)), schema())
    found = cnncost.load_device(str(tmp_path / "mine.yaml"))
    assert (found.name, found.maker, found.year, found.kind) == ("Abacus 9", "AMD", 2026, "cpu")
    assert found.aliases == (ABACUS.name,), "as results name it"
    assert found.about and OTHER_LOAD in found.about
    assert (found.units, found.threads, found.l1, found.l2, found.l3) == (16, 1, 512 * KIB, 16 * MIB, 64 * MIB)
    assert [(p.dtype, p.rate) for p in found.peaks] == [("fp32", 123.5e9), ("fp16", 3.2e8)], "four digits"
    assert (found.bandwidth, found.read_bandwidth) == pytest.approx((99.4e9, 99.4e9))
    assert found.launch_overhead == pytest.approx(1.2345e-6, rel=1e-3)
    assert [each.size for each in found.working_sets] == [each.size for each in ABACUS.curve]
    assert [each.copy for each in found.working_sets] == [None, 98.76e9, 17.5e9]
    place = found.sources["bandwidth"].place
    assert place == "2026-02-03, torch 2.9, AVX512, 1 thread"
    assert roofs(found, "fp32").macs.rate == 123.5e9


def test_the_page_of_a_measured_machine_has_the_curve() -> None:
    page = device_page(device(ABACUS), Paper())
    lines = [" ".join(line.split()) for line in page.splitlines()]
    assert "launch overhead 1.234 us [2]" in lines or "launch overhead 1.235 us [2]" in lines
    assert "8 KiB 200 -" in lines and "64 MiB 41.23 17.5" in lines
    assert not any("FMAs x 2" in line for line in lines), "no rate follows from clocks"


def test_a_gpu_has_a_sheet_too() -> None:
    gpu = replace(ABACUS, name="NVIDIA Z100 80GB", kind="gpu", threads=None, shortest_kernel=2e-6, memory=80 * 2**30,
                  rates=(Rate("tf32", "tensor cores", "products of 8192 x 8192", 4.5e14),), doubts=())  # fmt: skip
    found = device(gpu)
    assert (found.maker, found.name, found.memory, found.threads) == ("NVIDIA", "Z100 80GB", 80 * 2**30, None)
    assert found.peak("tf32").unit == "tensor cores" and found.peak("tf32").rate == 450e12
    assert found.shortest_kernel == 2e-6


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("AMD EPYC 7763 64-Core Processor", ("AMD", "EPYC 7763")),
        ("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", ("Intel", "Xeon Platinum 8481C")),
        ("NVIDIA H100 80GB HBM3", ("NVIDIA", "H100 80GB HBM3")),
        ("Apple M2", ("Apple", "M2")),
        ("aarch64", ("unknown maker", "aarch64")),
        ("AMD", ("AMD", "AMD")),
    ],
)
def test_makers_and_names(name: str, parts: tuple[str, str]) -> None:
    assert named(replace(ABACUS, name=name)) == parts
    assert device(replace(ABACUS, name=name)).aliases == (name,)


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (123.456e9, "rate", "123.5 GFLOP/s"), (999.96e9, "rate", "1000.0 GFLOP/s"), (1.5e15, "rate", "1.500 PFLOP/s"),
        (3.2e8, "rate", "0.3200 GFLOP/s"), (1.23456e-6, "time", "1.235 us"), (5e-10, "time", "0.5000 ns"),
        (96 * KIB, "bytes", "96 KiB"), (1536 * KIB, "bytes", "1536 KiB"), (32 * MIB, "bytes", "32 MiB"),
        (12.5e12, "bandwidth", "12.50 TB/s"), (2e5, "bandwidth", "0.0002000 GB/s"),
    ],
)  # fmt: skip
def test_figures_have_four_digits_and_a_unit(value: float, dimension: str, text: str) -> None:
    assert figure(value, dimension) == text


# ---- the command ----------------------------------------------------------------------------------


@pytest.fixture
def abacus(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A machine that is measured at once; what it was asked for."""
    asked: list[Any] = []

    def ceilings(where: Any, threads: int | None = None, watch: Any = None) -> Machine:
        asked.append((where.type, threads))
        return ABACUS

    monkeypatch.setattr(live, "ceilings", ceilings)
    return asked


def test_the_sheet_is_written_and_its_page_printed(folder: Path, run, abacus: list[Any]) -> None:
    done = run("machine", "--threads", "1", "-o", "mine.yaml")
    assert (done.code, done.err, abacus) == (0, "", [("cpu", 1)])
    assert Path("mine.yaml").read_text() == sheet(ABACUS)
    assert run("devices", "mine.yaml").out == done.out == device_page(device(ABACUS), Paper())
    assert run("roofline", "alexnet", "--device", "mine.yaml").code == 0


def test_without_a_file_there_is_the_page_and_with_a_dash_the_sheet(folder: Path, run, abacus: list[Any]) -> None:
    assert run("machine").out == device_page(device(ABACUS), Paper())
    assert run("machine", "-o", "-").out == sheet(ABACUS)
    assert not list(folder.iterdir())


def test_a_file_is_kept_unless_forced_and_nothing_is_measured_in_vain(folder: Path, run, abacus: list[Any]) -> None:
    Path("mine.yaml").write_text("mine")
    done = run("machine", "-o", "mine.yaml")
    assert (done.code, done.err) == (2, "error: mine.yaml: exists already\nhint: --force replaces it\n")
    assert Path("mine.yaml").read_text() == "mine" and abacus == []
    assert run("machine", "-o", "mine.yaml", "--force").code == 0
    assert Path("mine.yaml").read_text() == sheet(ABACUS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "mine.txt"), "-o mine.txt: a device sheet is a YAML file\nhint: give another name: my-machine.yaml"),
        (("-o", "no/mine.yaml"), "no/mine.yaml: No such file or directory\nhint: nothing was written"),
        (("--force",), "--force has no effect here\nhint: it goes with -o FILE"),
        (("--device", "tpu"), "--device tpu: unknown device\nhint: write cpu, cuda or cuda:1"),
        (("--threads", "0"), "invalid value for '--threads': 0 is not in the range x>=1\nhint: cnncost machine --help"),
    ],
)
def test_what_cannot_be_done_is_one_message(
    folder: Path, run, abacus, arguments: tuple[str, ...], message: str
) -> None:
    done = run("machine", *arguments)
    assert (done.code, done.out, done.err) == (2, "", f"error: {message}\n")
    assert abacus == [] and not list(folder.iterdir())


def test_a_stop_leaves_nothing_half_written(folder: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any) -> Machine:
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "ceilings", stopped)
    done = run("machine", "-o", "mine.yaml")
    assert (done.code, done.out, done.err.strip()) == (130, "", "interrupted")
    assert not list(folder.iterdir())
