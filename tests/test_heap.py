"""Freed memory: kept by the process, or handed back."""

from __future__ import annotations

import platform
import subprocess
import sys
from mmap import PAGESIZE
from statistics import median

import pytest

from cnncost.live import heap
from cnncost.live.clocks import CpuLoad, CudaLoad, page_faults
from cnncost.live.machine import page_fault_seconds

BLOCK = 40 * 2**20
"""More than what glibc ever takes from within its heap by itself."""
PROGRAM = """
import sys
import torch
from cnncost.live import heap
from cnncost.live.clocks import CpuLoad

def faults():
    load.start()
    torch.ones(int(sys.argv[2]), dtype=torch.uint8)
    return load.page_faults()

load = CpuLoad()
if sys.argv[1] == "kept":
    assert heap.keep()
print(*(faults() for _ in range(60)))
heap.give_back()
print(faults())
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's heap can be told to be kept")


@glibc
def test_a_heap_that_is_kept_has_no_page_faults_until_it_is_given_back() -> None:
    pages = BLOCK // PAGESIZE
    faults, back = {}, {}
    for how in ("kept", "default"):
        command = [sys.executable, "-c", PROGRAM, how, str(BLOCK)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        first, last = done.stdout.splitlines()
        faults[how], back[how] = [int(n) for n in first.split()], int(last)
    assert min(faults["default"]) >= pages
    assert median(faults["kept"]) < pages / 100, "the heap grows a few times until aligned blocks find room in it"
    assert back["kept"] >= pages


@pytest.mark.skipif(page_faults() is None, reason="this system does not tell page faults")
def test_page_faults_take_time() -> None:
    cost = page_fault_seconds()
    assert cost is not None
    assert 1e-8 < cost < 1e-3


def test_what_the_system_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    load = CpuLoad()
    load.start()
    assert load.page_faults() is None
    assert page_fault_seconds.__wrapped__() is None


def test_a_library_without_these_calls_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_libc", lambda: None)
    assert heap.keep.__wrapped__() is False
    heap.give_back()


def test_on_a_gpu_there_is_nothing_to_count() -> None:
    assert CudaLoad.page_faults(CudaLoad.__new__(CudaLoad)) is None
