"""The laws notice faults: a fixed sample of single planted ones. `python tests/mutate.py` plants all of them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import mutate

SAMPLE = 48


def test_a_sample_of_planted_faults_is_noticed() -> None:
    command = [sys.executable, Path(mutate.__file__), "--sample", str(SAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SAMPLE} faults planted, {SAMPLE} noticed, 0 survived" in done.stdout


def test_faults_are_planted_in_every_source() -> None:
    sources = Counter(fault.source for fault in mutate.faults())
    assert set(sources) == set(mutate.SOURCES)
    assert sum(sources.values()) >= 1000


def test_a_fault_is_one_change() -> None:
    for fault in mutate.faults()[::40]:
        assert fault.before != fault.after
