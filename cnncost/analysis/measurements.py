"""Measurements on file: JSON lines, one a repetition, appended as they are taken and never changed.

A run that is cut off loses the repetition in flight; the next one with the same file goes on behind
it. What was measured twice is read twice, and its samples count together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cnncost.analysis.samples import DOUBTS, Timing, drift, timing
from cnncost.errors import UsageError
from cnncost.ops import find
from cnncost.ops.base import Op

SCHEMA_VERSION = 1
"""Of a line; grows when a key changes its meaning or goes."""
LAYER, NETWORK = "layer", "network"


class Setting(NamedTuple):
    """The form in which something is timed. direction: forward, backward or train. algorithms: what cuDNN does.

    threads: of the CPU; None on a GPU. device: its name, as the driver or the system says it. heap: kept or
    default, as live.heap has it.
    """

    device: str
    dtype: str = "fp32"
    layout: str = "nchw"
    direction: str = "forward"
    cache: str = "chain"
    compile: bool = False
    algorithms: str = "default"
    threads: int | None = None
    heap: str = "kept"

    def record(self) -> dict[str, Any]:
        """As a line has it; `direction` is called pass there."""
        return {"pass" if name == "direction" else name: value for name, value in self._asdict().items()}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Setting:
        """From a line's."""
        return cls(**{"direction" if name == "pass" else name: value for name, value in record.items()})


@dataclass
class Measurement:
    """All repetitions of one subject in one setting.

    what: layer or network. subject: what was timed, as plain data. repetitions: samples in seconds a
    run. failure: why there are none. page_faults: of a run, by repetition, where the system tells. within: of a
    network, by repetition, seconds of each of its layers. drift: of the run, see samples.drift.
    """

    what: str
    subject: dict[str, Any]
    setting: Setting
    repetitions: list[list[float]] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    failure: str | None = None
    machine: dict[str, Any] = field(default_factory=dict)
    page_faults: list[float] = field(default_factory=list)
    within: list[list[float]] = field(default_factory=list)
    drift: float = 0.0

    @property
    def key(self) -> str:
        return key_of(self.what, self.subject, self.setting)

    @property
    def timing(self) -> Timing | None:
        """What the repetitions say together; None where there are none."""
        return timing(self.repetitions, self.doubts, self.drift) if self.repetitions else None


def key_of(what: str, subject: Mapping[str, Any], setting: Setting) -> str:
    """What is measured in which setting, as a text."""
    return json.dumps([what, subject, setting.record()], sort_keys=True)


# ---- what is timed, as plain data -------------------------------------------------------------------


def layer_subject(op: Op, shapes: Iterable[tuple[int, ...]]) -> dict[str, Any]:
    """A layer: its op, the options that are not the defaults, and the shapes of its inputs with the batch."""
    options = {n: _plain(v) for n, v in op.__dict__.items() if v != op.options[n].default}
    return {"op": op.key, "options": options, "inputs": [list(map(int, shape)) for shape in shapes]}


def layer_of(subject: Mapping[str, Any]) -> tuple[Op, tuple[tuple[int, ...], ...]]:
    """The op and its inputs' shapes. Raises CnncostError for one that this version does not know."""
    options = {name: _frozen(value) for name, value in subject["options"].items()}
    return find(subject["op"])(**options), tuple(map(tuple, subject["inputs"]))


def _plain(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value


# ---- the file -------------------------------------------------------------------------------------------


class Lines:
    """A results file, open for more. Raises UsageError for one that cannot be written, or that another run writes."""

    def __init__(self, path: str) -> None:
        self.path = path
        if os.path.exists(path) and not os.path.isfile(path):
            raise UsageError(f"{path} is no regular file", hint="give the name of a file to append to")
        try:
            self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as e:
            raise _unwritable(path, e) from None
        self._lock()
        try:
            self.before = list(self._whole_lines())
        except BaseException:
            os.close(self.file)
            raise

    def _lock(self) -> None:
        try:
            import fcntl

            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # not on this system
            return
        except OSError:
            os.close(self.file)
            raise UsageError(f"{self.path}: another run writes to it", hint="give another file, or wait") from None

    def _whole_lines(self) -> Iterator[dict[str, Any]]:
        """The records that are there; half a line at the end, of a run that was cut off, is taken away."""
        with open(self.path, "rb") as f:
            data = f.read()
        whole = data[: data.rfind(b"\n") + 1]
        yield from parsed(whole, self.path)
        if len(whole) < len(data):
            os.ftruncate(self.file, len(whole))

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a line, at once and whole. Raises UsageError where there is no room."""
        data = (json.dumps(record, ensure_ascii=False) + "\n").encode()
        end = os.fstat(self.file).st_size
        try:
            written = os.write(self.file, data)
            if written < len(data):
                raise OSError(28, "No space left on device")
        except OSError as e:
            os.ftruncate(self.file, end)
            raise _unwritable(self.path, e) from None

    def close(self) -> None:
        os.close(self.file)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unwritable(path: str, error: OSError) -> UsageError:
    hint = "what was measured before is in the file; the same command goes on from there"
    return UsageError(f"{path}: {error.strerror}", hint=hint if os.path.exists(path) else "give another file with -o")


def parsed(data: bytes, path: str) -> Iterator[dict[str, Any]]:
    """The records of whole lines. Raises UsageError for a line that is none."""
    for number, line in enumerate(data.splitlines(), 1):
        try:
            record = json.loads(line)
            if record["schema"] != SCHEMA_VERSION:
                raise UsageError(
                    f"{path}:{number}: written in version {record['schema']} of the format, this is {SCHEMA_VERSION}",
                    hint="give another file",
                )
            _check(record)
        except UsageError:
            raise
        except (ValueError, KeyError, TypeError) as e:
            why = f"{type(e).__name__} {e}" if isinstance(e, (KeyError, TypeError)) else "no JSON"
            raise UsageError(
                f"{path}:{number}: no measurement ({why})", hint="is this a file of cnncost bench?"
            ) from None
        yield record


def _check(record: Mapping[str, Any]) -> None:
    """Raise KeyError or TypeError for a record that is none."""
    Setting.of(record["setting"])
    samples = record["samples"]
    if record["what"] not in (LAYER, NETWORK) or not isinstance(record["subject"], dict):
        raise TypeError("unknown subject")
    if not all(type(sample) in (int, float) and sample > 0 for sample in samples) or not (samples or record["failure"]):
        raise TypeError("samples are seconds")
    if not set(record["doubts"]) <= set(DOUBTS):
        raise TypeError("unknown doubt")
    told = (record.get("page_faults") or 0, *(record.get("within") or ()))
    if not all(type(number) in (int, float) and number >= 0 for number in told):
        raise TypeError("page_faults is a number, within are seconds")


def read(path: str) -> list[Measurement]:
    """The measurements of a file (.gz: compressed), in the order in which they were first taken. Raises UsageError."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"{path} is no regular file", hint="give a file that cnncost bench wrote")
    try:
        with open(path, "rb") as f:
            data = f.read()
        if path.endswith(".gz"):
            import gzip

            data = gzip.decompress(data)
    except (OSError, EOFError) as e:
        why = getattr(e, "strerror", None) or e
        raise UsageError(f"{path}: {why}", hint="give a file that cnncost bench wrote") from None
    found = together(parsed(data[: data.rfind(b"\n") + 1], path))
    if not found:
        raise UsageError(f"{path}: no measurement in it", hint="give a file that cnncost bench wrote")
    return list(found.values())


def together(records: Iterable[Mapping[str, Any]]) -> dict[str, Measurement]:
    """Measurements by key, with all their repetitions. A later success takes the place of a failure."""
    found: dict[str, Measurement] = {}
    for record in records:
        setting = Setting.of(record["setting"])
        key = key_of(record["what"], record["subject"], setting)
        known = found.get(key)
        if known is None or (known.failure and record["samples"]):
            known = found[key] = Measurement(
                record["what"], record["subject"], setting, failure=record["failure"], machine=record["machine"]
            )
        if record["samples"]:
            known.repetitions.append(list(record["samples"]))
            known.doubts.extend(record["doubts"])
            if record.get("page_faults") is not None:
                known.page_faults.append(record["page_faults"])
            if record.get("within"):
                known.within.append(record["within"])
    drifts = drift(measured.repetitions for measured in found.values())
    for measured in found.values():
        measured.drift = drifts
    return found
