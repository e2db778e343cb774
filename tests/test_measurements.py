"""Results on file: what a run that is cut off leaves, what the next one reads, and what cannot be read."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cases import CASES  # every op of the language with options

from cnncost.analysis.bench import regression, title
from cnncost.analysis.measurements import (
    LAYER,
    Lines,
    Setting,
    key_of,
    layer_of,
    layer_subject,
    parsed,
    read,
    together,
)
from cnncost.analysis.samples import NOISY
from cnncost.errors import UsageError

SETTING = Setting("a processor", threads=2)


def line(
    subject: str = "conv", samples: tuple[float, ...] = (1.0, 1.1), repetition: int = 0, **changed: Any
) -> dict[str, Any]:
    return {
        "schema": 1,
        "what": LAYER,
        "subject": {"op": subject, "options": {"out": 8}, "inputs": [[1, 3, 5, 7]]},
        "setting": SETTING.record(),
        "repetition": repetition,
        "samples": list(samples),
        "failure": None,
        "doubts": [],
        "machine": {"processor": "a processor"},
        **changed,
    }


def written(path: Path, *records: dict[str, Any]) -> str:
    with Lines(str(path)) as lines:
        for record in records:
            lines.append(record)
    return str(path)


# ---- what is there ------------------------------------------------------------------------------


def test_repetitions_of_one_subject_belong_together(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", line(), line("pool"), line(samples=(1.2,), repetition=1, doubts=[NOISY]))
    conv, pool = read(path)
    assert conv.repetitions == [[1.0, 1.1], [1.2]]
    assert conv.doubts == [NOISY]
    assert pool.repetitions == [[1.0, 1.1]]
    assert conv.timing is not None
    assert conv.timing.samples == 3


def test_settings_tell_measurements_apart(tmp_path: Path) -> None:
    others = [SETTING._replace(dtype="bf16"), SETTING._replace(direction="train"), SETTING._replace(threads=1)]
    records = [line(), *(line(setting=setting.record()) for setting in others)]
    found = read(written(tmp_path / "r.jsonl", *records))
    assert [measured.setting for measured in found] == [SETTING, *others]


def test_a_later_success_takes_the_place_of_a_failure(tmp_path: Path) -> None:
    failed = line(samples=(), failure="out of memory")
    (only,) = read(written(tmp_path / "r.jsonl", failed))
    assert (only.failure, only.timing) == ("out of memory", None)
    (only,) = read(written(tmp_path / "r.jsonl", line()))
    assert only.failure is None
    assert only.timing is not None


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_layer_comes_back_from_its_plain_form(case: Any) -> None:
    subject = json.loads(json.dumps(layer_subject(case.op(), case.shapes)))
    op, inputs = layer_of(subject)
    assert op == case.op()
    assert inputs == case.shapes


# ---- runs that are cut off ------------------------------------------------------------------------


def test_half_a_line_is_taken_away_and_the_rest_stays(tmp_path: Path) -> None:
    path = Path(written(tmp_path / "r.jsonl", line(), line("pool")))
    whole = path.read_bytes()
    with path.open("ab") as f:
        f.write(b'{"schema": 1, "what": "lay')
    assert [measured.subject["op"] for measured in read(str(path))] == ["conv", "pool"], "reading changes nothing"
    assert path.read_bytes() != whole
    with Lines(str(path)) as lines:
        assert len(lines.before) == 2
        assert path.read_bytes() == whole
        lines.append(line("linear"))
    assert [measured.subject["op"] for measured in read(str(path))] == ["conv", "pool", "linear"]


KILLED = """
import sys
from cnncost.analysis.measurements import Lines
record = {"schema": 1, "what": "layer", "subject": {}, "setting": {"device": "x"}, "samples": [1.0] * 400,
          "failure": None, "doubts": [], "machine": {}}
with Lines(sys.argv[1]) as lines:
    print(len(lines.before), flush=True)
    for number in range(len(lines.before), 100000):
        lines.append({**record, "repetition": number})
"""


def test_killed_at_any_moment_the_file_is_readable_and_goes_on(tmp_path: Path) -> None:
    path = str(tmp_path / "r.jsonl")
    rng, before = random.Random(20240607), 0
    for _ in range(20):
        process = subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert int(process.stdout.readline()) == before
        time.sleep(rng.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        data = Path(path).read_bytes()
        numbers = [record["repetition"] for record in parsed(data[: data.rfind(b"\n") + 1], path)]
        assert numbers == list(range(len(numbers))), "none lost, none twice"
        assert len(numbers) >= before
        before = len(numbers)
    assert before > 0


def test_two_runs_cannot_write_one_file(tmp_path: Path) -> None:
    path = str(tmp_path / "r.jsonl")
    with Lines(path) as lines:
        lines.append(line())
        with pytest.raises(UsageError, match="another run writes to it"):
            Lines(path)
    with Lines(path) as lines:
        assert len(lines.before) == 1


FULL = """
import resource, sys
from cnncost.analysis.measurements import Lines
from cnncost.errors import UsageError
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
record = {"schema": 1, "what": "layer", "subject": {}, "setting": {"device": "x"}, "samples": [1.0] * 100,
          "failure": None, "doubts": [], "machine": {}}
with Lines(sys.argv[1]) as lines:
    try:
        for number in range(100):
            lines.append({**record, "repetition": number})
    except UsageError as e:
        print(e.message)
"""


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout in (f"{path}: File too large\n", f"{path}: No space left on device\n")
    numbers = [record["repetition"] for record in parsed(path.read_bytes(), str(path))]
    assert numbers == list(range(len(numbers)))
    assert 1 < len(numbers) < 100


def test_a_line_that_did_not_fit_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.jsonl"
    with Lines(str(path)) as lines:
        lines.append(line())
        before, write = path.read_bytes(), os.write
        monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:10]))
        with pytest.raises(UsageError, match="No space left on device"):
            lines.append(line("pool"))
        assert path.read_bytes() == before


# ---- what cannot be read or written -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", "r.jsonl:1: no measurement (no JSON)"),
        ("[1, 2]\n", "r.jsonl:1: no measurement"),
        ('{"a": 1}\n', "r.jsonl:1: no measurement (KeyError 'schema')"),
        (json.dumps(line(schema=2)) + "\n", "r.jsonl:1: written in version 2 of the format, this is 1"),
        (json.dumps(line(samples=(0.0,))) + "\n", "samples are seconds"),
        (json.dumps(line(samples=())) + "\n", "samples are seconds"),
        (json.dumps(line(doubts=["odd"])) + "\n", "unknown doubt"),
        (json.dumps(line(what="song")) + "\n", "unknown subject"),
        (json.dumps(line(setting={"device": "x", "colour": 1})) + "\n", "colour"),
        ("", "no measurement in it"),
    ],
)
def test_what_is_no_file_of_results(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        read(str(path))
    assert message in str(error.value)
    assert path.read_text() == text


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    plain = Path(written(tmp_path / "r.jsonl", line(), line("pool")))
    packed = tmp_path / "r.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read(str(packed)) == read(str(plain))
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(UsageError, match=r"r\.jsonl\.gz: Compressed file ended before"):
        read(str(packed))
    packed.write_bytes(plain.read_bytes())
    with pytest.raises(UsageError, match=r"r\.jsonl\.gz: Not a gzipped file"):
        read(str(packed))


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read(str(tmp_path / "none.jsonl"))
    with pytest.raises(UsageError, match="is no regular file"):
        Lines(str(tmp_path))
    with pytest.raises(UsageError, match="No such file"):
        Lines(str(tmp_path / "none" / "r.jsonl"))


# ---- two runs -----------------------------------------------------------------------------------------


def test_two_runs_are_compared_by_what_they_share() -> None:
    def run(**times: float) -> Any:
        return together([line(op, (seconds, seconds)) for op, seconds in times.items()]).values()

    found = regression(run(conv=1.0, pool=1.0, linear=1.0), run(conv=1.5, pool=1.01, relu=1.0), 0.02)
    verdicts = {measured.subject["op"]: change.verdict for measured, change in found.changes}
    assert verdicts == {"conv": "slower", "pool": "same"}
    assert found.slower == 1
    assert found.alone == (("new", "relu out=8 on 1x3x5x7"), ("old", "linear out=8 on 1x3x5x7"))


def test_keys_do_not_depend_on_the_order_of_options() -> None:
    one = {"op": "conv", "options": {"out": 8, "kernel": 3}, "inputs": [[1, 3, 5, 7]]}
    other = {"inputs": [[1, 3, 5, 7]], "options": {"kernel": 3, "out": 8}, "op": "conv"}
    assert key_of(LAYER, one, SETTING) == key_of(LAYER, other, SETTING)
    assert title(next(iter(together([line()]).values()))) == "conv out=8 on 1x3x5x7"
